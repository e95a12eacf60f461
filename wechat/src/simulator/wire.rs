//! The names and texts of WeChat's wire format, written down a second time: the client has its own, so that a mistake
//! on one side does not cancel out on the other.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;

pub(super) const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";
/// How a deliberately wrong signature begins.
pub(super) const SIGNTEST_PREFIX: &str = "WECHATPAY/SIGNTEST/";

pub(super) const TIMESTAMP: &str = "Wechatpay-Timestamp";
pub(super) const NONCE: &str = "Wechatpay-Nonce";
pub(super) const SIGNATURE: &str = "Wechatpay-Signature";
pub(super) const SERIAL: &str = "Wechatpay-Serial";
pub(super) const TYPE: &str = "Wechatpay-Signature-Type";

pub(super) const JSON: &str = "application/json; charset=utf-8";

pub(super) const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// WeChat writes its times in China's offset.
const CHINA: Offset = Offset::constant(8);

/// A notification's body.
#[derive(Debug, Serialize)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) create_time: String,
    pub(super) resource_type: &'static str,
    pub(super) event_type: &'static str,
    pub(super) summary: &'static str,
    pub(super) resource: Sealed,
}

/// Something encrypted under the API v3 key: a notification's content, or a certificate.
#[derive(Debug, Serialize)]
pub(super) struct Sealed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original_type: Option<&'static str>,
    pub(super) algorithm: &'static str,
    pub(super) ciphertext: String,
    pub(super) associated_data: &'static str,
    pub(super) nonce: String,
}

/// `2026-10-01T10:34:56+08:00`, without parts of a second.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_nanosecond().div_euclid(1_000_000_000) as i64).unwrap_or(time);
    seconds.display_with_offset(CHINA).to_string()
}

/// Date or time in China, as `strftime` writes it.
pub(super) fn china_digits(time: Timestamp, format: &str) -> String {
    CHINA.to_datetime(time).strftime(format).to_string()
}
