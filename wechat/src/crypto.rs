//! The few primitives WeChat Pay needs, over aws-lc-rs: RSA-SHA256 (PKCS#1 v1.5), AES-256-GCM, PEM and random strings.
//!
//! Used by the client and by the simulator. How messages to be signed are put together is not here: each side builds
//! them itself, so that a mistake on one side does not cancel out on the other.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of the nonce that WeChat sends with a resource and that AES-GCM takes here.
pub(crate) const GCM_NONCE_BYTES: usize = 12;
/// Bytes of the authentication tag at the end of a ciphertext.
pub(crate) const GCM_TAG_BYTES: usize = 16;
/// Characters per line of a PEM body (RFC 7468).
const PEM_LINE: usize = 64;

/// The key is not a PEM of the expected kind. The text names no part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no `-----BEGIN {0}-----` … `-----END {0}-----` block")]
    NotPem(&'static str),
    #[error("the PEM body is not base64")]
    NotBase64,
    #[error("not an RSA key of 2048 to 8192 bits")]
    NotRsa,
}

/// The crypto library refused an operation that cannot fail on a valid key: out of memory or a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the crypto library failed")]
pub struct CryptoFailure;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// An RSA private key that signs. Never shown by `Debug`.
#[derive(Clone)]
pub(crate) struct SigningKey(RsaKeyPair);

impl SigningKey {
    /// A new 2048-bit key.
    pub(crate) fn generate() -> Result<Self, CryptoFailure> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(Self).map_err(|_| CryptoFailure)
    }

    /// Reads a PKCS#8 PEM (`BEGIN PRIVATE KEY`).
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = decode_pem(pem, PRIVATE)?;
        RsaKeyPair::from_pkcs8(&der).map(Self).map_err(|_| KeyError::NotRsa)
    }

    pub(crate) fn private_pem(&self) -> Result<String, CryptoFailure> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| CryptoFailure)?;
        Ok(encode_pem(der.as_ref(), PRIVATE))
    }

    pub(crate) fn public_pem(&self) -> Result<String, CryptoFailure> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| CryptoFailure)?;
        Ok(encode_pem(der.as_ref(), PUBLIC))
    }

    /// The base64 signature of `message`. Deterministic: PKCS#1 v1.5 uses no salt.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, CryptoFailure> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| CryptoFailure)?;
        Ok(STANDARD.encode(signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// An RSA public key that verifies.
#[derive(Clone)]
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Reads an X.509 SubjectPublicKeyInfo PEM (`BEGIN PUBLIC KEY`).
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_der(&decode_pem(pem, PUBLIC)?)
    }

    /// Reads an X.509 SubjectPublicKeyInfo.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map(Self).map_err(|_| KeyError::NotRsa)
    }

    /// Whether `signature` (base64, canonical) is this key's signature of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|bytes| self.0.verify_sig(message, &bytes).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}

/// Why a ciphertext could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the nonce is not {GCM_NONCE_BYTES} bytes")]
    Nonce,
    #[error("the ciphertext is not base64")]
    NotBase64,
    #[error("the ciphertext is shorter than its tag")]
    TooShort,
    #[error("the ciphertext does not open with the API v3 key")]
    Tag,
}

/// AES-256-GCM under the API v3 key. Never shown by `Debug`.
pub(crate) struct ApiV3Key(LessSafeKey);

impl ApiV3Key {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, CryptoFailure> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| CryptoFailure)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Opens base64(data ‖ tag).
    pub(crate) fn open(&self, nonce: &str, associated_data: &str, ciphertext: &str) -> Result<Vec<u8>, OpenError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| OpenError::Nonce)?;
        let mut data = STANDARD.decode(ciphertext).map_err(|_| OpenError::NotBase64)?;
        if data.len() < GCM_TAG_BYTES {
            return Err(OpenError::TooShort);
        }
        let aad = Aad::from(associated_data.as_bytes());
        let length = self.0.open_in_place(nonce, aad, &mut data).map_err(|_| OpenError::Tag)?.len();
        data.truncate(length);
        Ok(data)
    }

    /// Seals to base64(data ‖ tag). `nonce` must be [`GCM_NONCE_BYTES`] long and never used before with this key.
    pub(crate) fn seal(&self, nonce: &str, associated_data: &str, plaintext: &[u8]) -> Result<String, CryptoFailure> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| CryptoFailure)?;
        let mut data = plaintext.to_vec();
        let aad = Aad::from(associated_data.as_bytes());
        self.0.seal_in_place_append_tag(nonce, aad, &mut data).map_err(|_| CryptoFailure)?;
        Ok(STANDARD.encode(data))
    }
}

impl fmt::Debug for ApiV3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiV3Key(…)")
    }
}

/// A fresh random string of 32 characters (hexadecimal, 122 random bits), as WeChat's `nonce_str` takes it.
pub fn random_nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The bytes of the first block with this label.
pub(crate) fn decode_pem(pem: &str, label: &'static str) -> Result<Vec<u8>, KeyError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let (_, rest) = pem.split_once(&begin).ok_or(KeyError::NotPem(label))?;
    let (body, _) = rest.split_once(&end).ok_or(KeyError::NotPem(label))?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).map_err(|_| KeyError::NotBase64)
}

fn encode_pem(der: &[u8], label: &str) -> String {
    let body = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in body.chars().enumerate() {
        if index > 0 && index % PEM_LINE == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_key_survives_the_way_through_pem() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.private_pem().unwrap()).unwrap();
        let public = VerifyingKey::from_pem(&key.public_pem().unwrap()).unwrap();

        assert_eq!(key.sign(b"message").unwrap(), again.sign(b"message").unwrap());
        assert!(public.verifies(b"message", &again.sign(b"message").unwrap()));
        assert!(!public.verifies(b"massage", &again.sign(b"message").unwrap()));
    }

    #[test]
    fn keys_of_the_wrong_kind_are_refused_and_say_why() {
        let key = SigningKey::generate().unwrap();
        let public = key.public_pem().unwrap();

        assert_eq!(SigningKey::from_pem(&public).unwrap_err(), KeyError::NotPem("PRIVATE KEY"));
        let renamed = public.replace("PUBLIC", "PRIVATE");
        assert_eq!(SigningKey::from_pem(&renamed).unwrap_err(), KeyError::NotRsa);
        let not_base64 = "-----BEGIN PUBLIC KEY-----\n***\n-----END PUBLIC KEY-----";
        assert_eq!(VerifyingKey::from_pem(not_base64).unwrap_err(), KeyError::NotBase64);
        assert_eq!(VerifyingKey::from_pem("").unwrap_err(), KeyError::NotPem("PUBLIC KEY"));
    }

    #[test]
    fn what_was_sealed_opens_only_unchanged() {
        let key = ApiV3Key::new(KEY).unwrap();
        let sealed = key.seal("abcdef012345", "transaction", b"plain").unwrap();

        assert_eq!(key.open("abcdef012345", "transaction", &sealed).unwrap(), b"plain");
        assert_eq!(key.open("abcdef012346", "transaction", &sealed), Err(OpenError::Tag));
        assert_eq!(key.open("abcdef012345", "", &sealed), Err(OpenError::Tag));
        let other = ApiV3Key::new(b"another-key-another-key-another!").unwrap();
        assert_eq!(other.open("abcdef012345", "transaction", &sealed), Err(OpenError::Tag));
    }

    #[test]
    fn odd_nonces_and_short_ciphertexts_are_refused_cleanly() {
        let key = ApiV3Key::new(KEY).unwrap();

        for nonce in ["", "abcdef01234", "abcdef0123456", "abcdef0123456789"] {
            assert_eq!(key.open(nonce, "", "AAAAAAAAAAAAAAAAAAAAAA=="), Err(OpenError::Nonce));
        }
        assert_eq!(key.open("abcdef012345", "", ""), Err(OpenError::TooShort));
        assert_eq!(key.open("abcdef012345", "", &STANDARD.encode([0; 15])), Err(OpenError::TooShort));
        assert_eq!(key.open("abcdef012345", "", &STANDARD.encode([0; 16])), Err(OpenError::Tag));
        assert_eq!(key.open("abcdef012345", "", "not base64"), Err(OpenError::NotBase64));
    }

    #[test]
    fn secrets_do_not_show() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
        assert_eq!(format!("{:?}", ApiV3Key::new(KEY).unwrap()), "ApiV3Key(…)");
    }
}
