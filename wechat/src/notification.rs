//! From the raw bytes of a callback to a fact that can be trusted (R-PAY-02, R-PAY-06).
//!
//! Verified means: it is from WeChat. Whether amount, currency, merchant and order fit is the caller's to compare.

use jiff::Timestamp;

use crate::crypto::ApiV3Key;
use crate::envelope::{ALGORITHM, Envelope, ORIGINAL_TRANSACTION, RESOURCE_TYPE};
use crate::error::JsonFault;
use crate::model::Transaction;
use crate::verify::{KeyRing, NotificationHeaders, VerifyError};

/// Largest callback body an endpoint should read, in bytes; WeChat's are below 4 KiB.
pub const MAX_NOTIFICATION_BYTES: usize = 64 * 1024;

/// A verified and decrypted callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same over all repeats of one notification; for logs, not for deduplication.
    pub id: String,
    /// For example `TRANSACTION.SUCCESS`.
    pub event_type: String,
    pub resource: Resource,
}

/// What a callback carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    Transaction(Transaction),
    /// Genuine, but of a kind that this client does not read; acknowledge it so that WeChat stops repeating it.
    Other {
        original_type: String,
    },
}

/// Why a callback is not accepted. All but `Malformed` are answered 401, `Malformed` 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    #[error("the signature is wrong")]
    Signature,
    #[error("no key has this serial")]
    UnknownSerial,
    #[error("the timestamp is too far from now")]
    Age,
    #[error("the header {0} is missing or empty")]
    MissingHeader(&'static str),
    #[error("the signature is of an unknown type")]
    SignatureType,
    /// One of WeChat's own probes with a deliberately wrong signature; the real one follows.
    #[error("a SIGNTEST probe")]
    SignTest,
    /// The signature was right and the content still makes no sense. The text repeats no value.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl From<VerifyError> for NotificationError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::MissingHeader(name) => Self::MissingHeader(name),
            VerifyError::SignatureType => Self::SignatureType,
            VerifyError::Age => Self::Age,
            VerifyError::UnknownSerial => Self::UnknownSerial,
            VerifyError::SignTest => Self::SignTest,
            VerifyError::Signature => Self::Signature,
        }
    }
}

pub(crate) fn open(
    keys: &KeyRing,
    api_v3_key: &ApiV3Key,
    headers: &NotificationHeaders<'_>,
    raw: &[u8],
    now: Timestamp,
) -> Result<Notification, NotificationError> {
    keys.verify(headers, raw, now)?;

    let envelope: Envelope = serde_json::from_slice(raw).map_err(|error| malformed(JsonFault("body", &error)))?;
    if envelope.resource_type != RESOURCE_TYPE {
        return Err(malformed("unknown resource_type"));
    }
    let sealed = &envelope.resource;
    if sealed.algorithm != ALGORITHM {
        return Err(malformed("unknown algorithm"));
    }
    let associated_data = sealed.associated_data.as_deref().unwrap_or_default();
    let plaintext = api_v3_key.open(&sealed.nonce, associated_data, &sealed.ciphertext).map_err(malformed)?;
    let resource = if sealed.original_type == ORIGINAL_TRANSACTION {
        let transaction = serde_json::from_slice(&plaintext);
        Resource::Transaction(transaction.map_err(|error| malformed(JsonFault("transaction", &error)))?)
    } else {
        Resource::Other { original_type: envelope.resource.original_type }
    };
    Ok(Notification { id: envelope.id, event_type: envelope.event_type, resource })
}

fn malformed(reason: impl std::fmt::Display) -> NotificationError {
    NotificationError::Malformed(reason.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::crypto::{SigningKey, VerifyingKey};
    use crate::verify::SIGNTEST_PREFIX;

    const NONCE: &str = "abcdef012345";
    const NOW: &str = "1800000000";

    /// WeChat, as far as a callback shows it.
    struct Sender {
        key: SigningKey,
        ring: KeyRing,
        api_v3_key: ApiV3Key,
    }

    impl Sender {
        fn new() -> Self {
            let key = SigningKey::generate().unwrap();
            let ring = KeyRing::default();
            ring.insert("PUB_KEY_ID_1".into(), VerifyingKey::from_pem(&key.public_pem().unwrap()).unwrap());
            Self { key, ring, api_v3_key: ApiV3Key::new(b"0123456789abcdef0123456789abcdef").unwrap() }
        }

        fn seal(&self, associated_data: &str, plaintext: &str) -> String {
            self.api_v3_key.seal(NONCE, associated_data, plaintext.as_bytes()).unwrap()
        }

        /// Opens `body`, rightly signed.
        fn open(&self, body: &[u8]) -> Result<Notification, NotificationError> {
            let message = [NOW.as_bytes(), b"n", body, b""].join(&b'\n');
            self.open_signed(body, &self.key.sign(&message).unwrap())
        }

        fn open_signed(&self, body: &[u8], signature: &str) -> Result<Notification, NotificationError> {
            let headers = NotificationHeaders {
                timestamp: Some(NOW),
                nonce: Some("n"),
                signature: Some(signature),
                serial: Some("PUB_KEY_ID_1"),
                signature_type: None,
            };
            let now = Timestamp::from_second(NOW.parse().unwrap()).unwrap();
            open(&self.ring, &self.api_v3_key, &headers, body, now)
        }

        fn good(&self) -> Value {
            let plaintext = r#"{"appid":"a","mchid":"m","out_trade_no":"n","trade_state":"SUCCESS"}"#;
            json!({
                "id": "1", "create_time": "2027-01-15T16:00:00+08:00", "event_type": "TRANSACTION.SUCCESS",
                "resource_type": "encrypt-resource", "summary": "支付成功", "later_field": 1,
                "resource": {
                    "original_type": "transaction", "algorithm": "AEAD_AES_256_GCM", "nonce": NONCE,
                    "associated_data": "transaction", "ciphertext": self.seal("transaction", plaintext),
                },
            })
        }
    }

    fn reason(result: Result<Notification, NotificationError>) -> String {
        match result {
            Err(NotificationError::Malformed(reason)) => reason,
            other => panic!("not malformed: {other:?}"),
        }
    }

    #[test]
    fn the_associated_data_may_be_empty_null_or_absent() {
        let sender = Sender::new();
        assert!(sender.open(sender.good().to_string().as_bytes()).is_ok());

        let plaintext = r#"{"appid":"a","mchid":"m","out_trade_no":"n","trade_state":"SUCCESS"}"#;
        for associated_data in [Some(json!("")), Some(Value::Null), None] {
            let mut body = sender.good();
            body["resource"]["ciphertext"] = sender.seal("", plaintext).into();
            match associated_data {
                Some(value) => body["resource"]["associated_data"] = value,
                None => drop(body["resource"].as_object_mut().unwrap().remove("associated_data")),
            }
            assert!(sender.open(body.to_string().as_bytes()).is_ok());
        }
    }

    #[test]
    fn r_pay_06_genuine_and_senseless_is_malformed() {
        let sender = Sender::new();
        let plaintexts =
            [("", "transaction: Eof"), ("[]", "transaction: Data"), (r#"{"appid":1}"#, "transaction: Data")];
        for (plaintext, expected) in plaintexts {
            let mut body = sender.good();
            body["resource"]["ciphertext"] = sender.seal("transaction", plaintext).into();
            let reason = reason(sender.open(body.to_string().as_bytes()));
            assert!(reason.starts_with(expected), "{reason}");
        }
        for (pointer, value, expected) in [
            ("/resource_type", json!("plain-resource"), "unknown resource_type"),
            ("/resource/algorithm", json!("AEAD_SM4_GCM"), "unknown algorithm"),
            ("/resource/nonce", json!("short"), "the nonce is not 12 bytes"),
            ("/resource/nonce", json!("abcdef0123456789"), "the nonce is not 12 bytes"),
            ("/resource/nonce", json!("abcdef012346"), "the ciphertext does not open"),
            ("/resource/associated_data", json!("refund"), "the ciphertext does not open"),
            ("/resource/ciphertext", json!(""), "the ciphertext is shorter"),
            ("/resource/ciphertext", json!("AAAA"), "the ciphertext is shorter"),
            ("/resource/ciphertext", json!("****"), "the ciphertext is not base64"),
            ("/resource", json!(null), "body: Data"),
            ("/id", json!(7), "body: Data"),
        ] {
            let mut body = sender.good();
            *body.pointer_mut(pointer).unwrap() = value;
            let reason = reason(sender.open(body.to_string().as_bytes()));
            assert!(reason.starts_with(expected), "{pointer}: {reason}");
        }
        for body in [&b""[..], b"<xml></xml>", b"{", b"[]", b"\xff\xfe"] {
            assert!(reason(sender.open(body)).starts_with("body: "));
        }
    }

    #[test]
    fn a_malformed_reason_repeats_no_value() {
        let sender = Sender::new();
        let mut body = sender.good();
        let plaintext =
            r#"{"appid":"a","mchid":"m","out_trade_no":"n","trade_state":"SUCCESS","amount":"secret-openid"}"#;
        body["resource"]["ciphertext"] = sender.seal("transaction", plaintext).into();
        assert!(!reason(sender.open(body.to_string().as_bytes())).contains("secret-openid"));
    }

    #[test]
    fn a_genuine_notification_of_another_kind_is_no_error() {
        let sender = Sender::new();
        let mut body = sender.good();
        body["event_type"] = "REFUND.SUCCESS".into();
        body["resource"]["original_type"] = "refund".into();
        let notification = sender.open(body.to_string().as_bytes()).unwrap();
        assert_eq!(notification.resource, Resource::Other { original_type: "refund".into() });
    }

    #[test]
    fn r_pay_06_a_probe_is_told_from_a_forgery_whether_it_decodes_or_not() {
        let sender = Sender::new();
        let body = sender.good().to_string();
        let decodable = format!("{SIGNTEST_PREFIX}{}", "A".repeat(344 - SIGNTEST_PREFIX.len()));
        for probe in [decodable, format!("{SIGNTEST_PREFIX}?!"), SIGNTEST_PREFIX.to_owned()] {
            assert_eq!(sender.open_signed(body.as_bytes(), &probe), Err(NotificationError::SignTest));
        }
        for forgery in ["A".repeat(344), "no base64".to_owned(), format!(" {SIGNTEST_PREFIX}")] {
            assert_eq!(sender.open_signed(body.as_bytes(), &forgery), Err(NotificationError::Signature));
        }
    }
}
