//! Is this really from WeChat? Answers and notifications carry the same five headers and are checked by the same code.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

use crate::crypto::VerifyingKey;

/// A message this many seconds away from our clock, in either direction, is refused. WeChat's own SDKs use the same.
pub const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// The only signature type there is; a message without the header is taken to be of it.
pub(crate) const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";
/// How WeChat's deliberately wrong signatures begin.
pub(crate) const SIGNTEST_PREFIX: &str = "WECHATPAY/SIGNTEST/";

pub(crate) const TIMESTAMP: &str = "Wechatpay-Timestamp";
pub(crate) const NONCE: &str = "Wechatpay-Nonce";
pub(crate) const SIGNATURE: &str = "Wechatpay-Signature";
pub(crate) const SERIAL: &str = "Wechatpay-Serial";
pub(crate) const TYPE: &str = "Wechatpay-Signature-Type";

/// The `Wechatpay-*` headers of a notification or an answer, as they came. `None` also stands for a header whose value
/// is not text.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotificationHeaders<'a> {
    /// `Wechatpay-Timestamp`: Unix seconds.
    pub timestamp: Option<&'a str>,
    /// `Wechatpay-Nonce`.
    pub nonce: Option<&'a str>,
    /// `Wechatpay-Signature`: base64.
    pub signature: Option<&'a str>,
    /// `Wechatpay-Serial`: a `PUB_KEY_ID_…` or a certificate's serial.
    pub serial: Option<&'a str>,
    /// `Wechatpay-Signature-Type`; may be absent.
    pub signature_type: Option<&'a str>,
}

/// Why a message is not accepted as WeChat's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the header {0} is missing or empty")]
    MissingHeader(&'static str),
    #[error("the signature is of an unknown type")]
    SignatureType,
    #[error("the timestamp is {MAX_CLOCK_SKEW_SECONDS} s or more away from now")]
    Age,
    #[error("no key has this serial")]
    UnknownSerial,
    #[error("a SIGNTEST probe")]
    SignTest,
    #[error("the signature is wrong")]
    Signature,
}

/// A certificate, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct PlatformCertificate {
    /// As messages spell it.
    pub(crate) serial: String,
    pub(crate) key: VerifyingKey,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl PlatformCertificate {
    /// Our clock and WeChat's may differ when a certificate has just been issued.
    fn is_valid(&self, now: Timestamp) -> bool {
        now.as_second() + MAX_CLOCK_SKEW_SECONDS >= self.not_before.as_second() && now < self.not_after
    }
}

/// Verification keys by serial, compared as exact strings: public keys for good, certificates for their time.
#[derive(Debug, Default)]
pub(crate) struct KeyRing(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    public: HashMap<String, VerifyingKey>,
    certificates: HashMap<String, PlatformCertificate>,
}

impl KeyRing {
    /// A key that stays.
    pub(crate) fn insert(&self, serial: String, key: VerifyingKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).public.insert(serial, key);
    }

    /// These certificates are the ones in use from now on; what is no longer listed has been withdrawn.
    pub(crate) fn replace_certificates(&self, certificates: Vec<PlatformCertificate>) {
        let certificates = certificates.into_iter().map(|certificate| (certificate.serial.clone(), certificate));
        self.0.write().unwrap_or_else(PoisonError::into_inner).certificates = certificates.collect();
    }

    /// How many certificates are valid.
    pub(crate) fn certificates(&self, now: Timestamp) -> usize {
        self.keys().certificates.values().filter(|certificate| certificate.is_valid(now)).count()
    }

    /// The serial of the valid certificate that was issued last.
    pub(crate) fn newest_certificate(&self, now: Timestamp) -> Option<String> {
        let keys = self.keys();
        let valid = keys.certificates.values().filter(|certificate| certificate.is_valid(now));
        valid.max_by_key(|certificate| certificate.not_before).map(|certificate| certificate.serial.clone())
    }

    fn get(&self, serial: &str, now: Timestamp) -> Option<VerifyingKey> {
        let keys = self.keys();
        let certificate = keys.certificates.get(serial).filter(|certificate| certificate.is_valid(now));
        keys.public.get(serial).or(certificate.map(|certificate| &certificate.key)).cloned()
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks headers, age, serial and signature, in this order. `raw` are the bytes as received.
    pub(crate) fn verify(
        &self,
        headers: &NotificationHeaders<'_>,
        raw: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let timestamp = present(headers.timestamp, TIMESTAMP)?;
        let nonce = present(headers.nonce, NONCE)?;
        let signature = present(headers.signature, SIGNATURE)?;
        let serial = present(headers.serial, SERIAL)?;
        if headers.signature_type.is_some_and(|kind| kind != SIGNATURE_TYPE) {
            return Err(VerifyError::SignatureType);
        }
        check_age(timestamp, now)?;
        let key = self.get(serial, now).ok_or(VerifyError::UnknownSerial)?;

        if key.verifies(&signed_message(timestamp, nonce, raw), signature) {
            Ok(())
        } else if signature.starts_with(SIGNTEST_PREFIX) {
            Err(VerifyError::SignTest)
        } else {
            Err(VerifyError::Signature)
        }
    }
}

fn present<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, VerifyError> {
    value.filter(|text| !text.is_empty()).ok_or(VerifyError::MissingHeader(name))
}

/// A timestamp that is no number of seconds has no acceptable age either.
fn check_age(timestamp: &str, now: Timestamp) -> Result<(), VerifyError> {
    if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VerifyError::Age);
    }
    let seconds: i64 = timestamp.parse().map_err(|_| VerifyError::Age)?;
    let skew = now.as_second().abs_diff(seconds);
    if skew >= MAX_CLOCK_SKEW_SECONDS.unsigned_abs() { Err(VerifyError::Age) } else { Ok(()) }
}

/// Timestamp, nonce and body, each ended by a line feed. The body of a 204 is empty and still has its line.
fn signed_message(timestamp: &str, nonce: &str, raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(timestamp.len() + nonce.len() + raw.len() + 3);
    for line in [timestamp.as_bytes(), nonce.as_bytes(), raw] {
        message.extend_from_slice(line);
        message.push(b'\n');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    const NOW: i64 = 1_800_000_000;

    fn ring() -> (KeyRing, SigningKey) {
        let key = SigningKey::generate().unwrap();
        let ring = KeyRing::default();
        ring.insert("PUB_KEY_ID_1".into(), VerifyingKey::from_pem(&key.public_pem().unwrap()).unwrap());
        (ring, key)
    }

    fn verify_at(ring: &KeyRing, key: &SigningKey, timestamp: &str) -> Result<(), VerifyError> {
        let signature = key.sign(format!("{timestamp}\nnonce\nbody\n").as_bytes()).unwrap();
        let headers = NotificationHeaders {
            timestamp: Some(timestamp),
            nonce: Some("nonce"),
            signature: Some(&signature),
            serial: Some("PUB_KEY_ID_1"),
            signature_type: None,
        };
        ring.verify(&headers, b"body", Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn r_pay_06_the_window_ends_before_three_hundred_seconds_on_both_sides() {
        let (ring, key) = ring();
        for (offset, expected) in [
            (0, Ok(())),
            (-299, Ok(())),
            (299, Ok(())),
            (-300, Err(VerifyError::Age)),
            (300, Err(VerifyError::Age)),
            (-301, Err(VerifyError::Age)),
            (301, Err(VerifyError::Age)),
        ] {
            assert_eq!(verify_at(&ring, &key, &(NOW + offset).to_string()), expected, "offset {offset}");
        }
    }

    #[test]
    fn r_pay_06_a_timestamp_that_is_no_count_of_seconds_has_no_age() {
        let (ring, key) = ring();
        for text in [
            "1800000000000",
            "now",
            "-1800000000",
            "+1800000000",
            "1800000000.0",
            " 1800000000",
            "99999999999999999999",
        ] {
            assert_eq!(verify_at(&ring, &key, text), Err(VerifyError::Age), "{text}");
        }
    }

    #[test]
    fn several_keys_verify_side_by_side() {
        let (ring, first) = ring();
        let second = SigningKey::generate().unwrap();
        ring.insert("4ABC".into(), VerifyingKey::from_pem(&second.public_pem().unwrap()).unwrap());

        let now = Timestamp::from_second(NOW).unwrap();
        let timestamp = NOW.to_string();
        for (serial, key, expected) in [
            ("PUB_KEY_ID_1", &first, Ok(())),
            ("4ABC", &second, Ok(())),
            ("4ABC", &first, Err(VerifyError::Signature)),
            ("4abc", &second, Err(VerifyError::UnknownSerial)),
        ] {
            let signature = key.sign(format!("{timestamp}\nn\n\n").as_bytes()).unwrap();
            let headers = NotificationHeaders {
                timestamp: Some(&timestamp),
                nonce: Some("n"),
                signature: Some(&signature),
                serial: Some(serial),
                signature_type: Some(SIGNATURE_TYPE),
            };
            assert_eq!(ring.verify(&headers, b"", now), expected, "{serial}");
        }
    }
}
