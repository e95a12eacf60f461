//! A merchant's keys, made on the spot for the demo and for tests. A real merchant gets them from WeChat's console.

use std::fmt;

use crate::crypto::{CryptoFailure, SigningKey};

/// A merchant's API key pair and the serial number of its certificate. `Debug` hides the private key.
#[derive(Clone)]
pub struct MerchantKeys {
    /// PKCS#8, RSA 2048.
    pub private_key_pem: String,
    /// X.509 SubjectPublicKeyInfo.
    pub public_key_pem: String,
    /// 40 upper-case hexadecimal digits.
    pub serial: String,
}

impl fmt::Debug for MerchantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MerchantKeys").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// Makes a new 2048-bit key pair and a random serial number.
pub fn generate_merchant() -> Result<MerchantKeys, CryptoFailure> {
    let key = SigningKey::generate()?;
    Ok(MerchantKeys { private_key_pem: key.private_pem()?, public_key_pem: key.public_pem()?, serial: random_serial() })
}

/// Twenty bytes, the first between 0x40 and 0x4F: a positive number without leading zeros, so that hexadecimal, integer
/// and DER forms agree.
fn random_serial() -> String {
    let digits = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut serial: String = digits.chars().take(39).collect();
    serial.insert(0, '4');
    serial.make_ascii_uppercase();
    serial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_has_a_serial_of_forty_digits_and_hides_the_key() {
        let keys = generate_merchant().unwrap();

        assert_eq!(keys.serial.len(), 40);
        assert!(keys.serial.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()));
        assert!(!format!("{keys:?}").contains("PRIVATE"));
        assert_ne!(keys.serial, generate_merchant().unwrap().serial);
    }
}
