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
