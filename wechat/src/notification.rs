//! From the raw bytes of a callback to a fact that can be trusted (R-PAY-02, R-PAY-06).
//!
//! Verified means: it is from WeChat. Whether amount, currency, merchant and order fit is the caller's to compare.

use jiff::Timestamp;

use crate::crypto::ApiV3Key;
use crate::envelope::{ALGORITHM, Envelope, ORIGINAL_REFUND, ORIGINAL_TRANSACTION, RESOURCE_TYPE};
use crate::error::JsonFault;
use crate::model::Transaction;
use crate::refund::{RefundNotice, RefundStatus};
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
    /// `REFUND.SUCCESS`, `REFUND.ABNORMAL` or `REFUND.CLOSED`, and the refund says the same of itself.
    Refund(RefundNotice),
    /// Genuine, but of a kind that this client does not read; acknowledge it so that WeChat stops repeating it.
    Other {
        original_type: String,
    },
}

/// Why a callback is not accepted. `Malformed` and `OldProtocol` are answered 400, all others 401.
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
    /// The unsigned XML of API v2, which WeChat posts when a refund was made in the merchant's console. Nothing in it is
    /// believed; the refund shows by its query and in the bill.
    #[error("an unsigned XML notification of API v2")]
    OldProtocol,
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
    if headers.signature.is_none() && raw.trim_ascii_start().starts_with(b"<") {
        return Err(NotificationError::OldProtocol);
    }
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
    let resource = match sealed.original_type.as_str() {
        ORIGINAL_TRANSACTION => {
            let transaction = serde_json::from_slice(&plaintext);
            Resource::Transaction(transaction.map_err(|error| malformed(JsonFault("transaction", &error)))?)
        }
        ORIGINAL_REFUND => refund(&envelope.event_type, &plaintext)?,
        other => Resource::Other { original_type: other.to_owned() },
    };
    Ok(Notification { id: envelope.id, event_type: envelope.event_type, resource })
}

fn refund(event_type: &str, plaintext: &[u8]) -> Result<Resource, NotificationError> {
    let said = match event_type {
        "REFUND.SUCCESS" => RefundStatus::Success,
        "REFUND.ABNORMAL" => RefundStatus::Abnormal,
        "REFUND.CLOSED" => RefundStatus::Closed,
        _ => return Ok(Resource::Other { original_type: ORIGINAL_REFUND.to_owned() }),
    };
    let notice: RefundNotice =
        serde_json::from_slice(plaintext).map_err(|error| malformed(JsonFault("refund", &error)))?;
    // Which of the two is true, a query tells.
    if notice.refund.status != said {
        return Err(malformed("the event and the refund disagree"));
    }
    Ok(Resource::Refund(notice))
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

    fn refund_body(sender: &Sender, event_type: &str, status: &str) -> Value {
        let plaintext = json!({
            "mchid": "m", "transaction_id": "42", "out_trade_no": "n", "refund_id": "50", "out_refund_no": "R-1",
            "refund_status": status, "success_time": "2027-01-15T16:00:00+08:00", "user_received_account": "零钱",
            "amount": {"total": 100, "refund": 5, "payer_total": 100, "payer_refund": 5},
        });
        let mut body = sender.good();
        body["event_type"] = event_type.into();
        body["resource"]["original_type"] = "refund".into();
        body["resource"]["associated_data"] = "refund".into();
        body["resource"]["ciphertext"] = sender.seal("refund", &plaintext.to_string()).into();
        body
    }

    #[test]
    fn r9_a_refunds_notification_says_what_became_of_it() {
        let sender = Sender::new();
        for (event_type, status, expected) in [
            ("REFUND.SUCCESS", "SUCCESS", RefundStatus::Success),
            ("REFUND.ABNORMAL", "ABNORMAL", RefundStatus::Abnormal),
            ("REFUND.CLOSED", "CLOSED", RefundStatus::Closed),
        ] {
            let notification = sender.open(refund_body(&sender, event_type, status).to_string().as_bytes()).unwrap();
            let Resource::Refund(notice) = notification.resource else { panic!("not a refund") };
            assert_eq!((notice.mchid.as_str(), notice.refund.out_refund_no.as_str()), ("m", "R-1"));
            assert_eq!((notice.refund.status, notice.refund.amount.refund), (expected, 5));
            assert_eq!(notice.refund.success_time, Some("2027-01-15T08:00:00Z".parse().unwrap()));
        }
    }

    #[test]
    fn r9_an_event_that_contradicts_its_refund_is_not_believed() {
        let sender = Sender::new();
        for (event_type, status) in
            [("REFUND.SUCCESS", "CLOSED"), ("REFUND.CLOSED", "SUCCESS"), ("REFUND.SUCCESS", "PROCESSING")]
        {
            let body = refund_body(&sender, event_type, status).to_string();
            assert_eq!(reason(sender.open(body.as_bytes())), "the event and the refund disagree");
        }
        let mut body = refund_body(&sender, "REFUND.SUCCESS", "SUCCESS");
        body["resource"]["ciphertext"] = sender.seal("refund", r#"{"status":"SUCCESS"}"#).into();
        assert!(reason(sender.open(body.to_string().as_bytes())).starts_with("refund: Data"));
    }

    #[test]
    fn a_genuine_notification_of_another_kind_is_no_error() {
        let sender = Sender::new();
        for (event_type, original_type) in [("COUPON.USE", "coupon"), ("REFUND.LATER", "refund")] {
            let mut body = sender.good();
            body["event_type"] = event_type.into();
            body["resource"]["original_type"] = original_type.into();
            let notification = sender.open(body.to_string().as_bytes()).unwrap();
            assert_eq!(notification.resource, Resource::Other { original_type: original_type.into() });
        }
    }

    #[test]
    fn the_xml_of_the_old_protocol_is_recognised_and_not_believed() {
        let sender = Sender::new();
        let now = Timestamp::from_second(NOW.parse().unwrap()).unwrap();
        for body in ["<xml><return_code>SUCCESS</return_code></xml>", "\n  <?xml version=\"1.0\"?><xml/>"] {
            let opened = open(&sender.ring, &sender.api_v3_key, &NotificationHeaders::default(), body.as_bytes(), now);
            assert_eq!(opened, Err(NotificationError::OldProtocol));
        }
        let unsigned = open(&sender.ring, &sender.api_v3_key, &NotificationHeaders::default(), b"{}", now);
        assert_eq!(unsigned, Err(NotificationError::MissingHeader("Wechatpay-Timestamp")));
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
