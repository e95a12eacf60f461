//! The shapes of the payment API that callers see.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize};

/// WeChat's limit on `description`, in characters.
const MAX_DESCRIPTION: usize = 127;
/// WeChat's limit on `prepay_id`, in characters.
const MAX_PREPAY_ID: usize = 64;
/// Longest transaction id that is taken for one; WeChat's have at most 32 characters.
const MAX_TRANSACTION_ID: usize = 64;
/// WeChat writes and shows times in China's offset.
pub(crate) const CHINA: Offset = Offset::constant(8);

/// What a new transaction is to be. [`crate::Client::create_body`] turns it into the bytes to send.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// 6 to 32 of `A-Z a-z 0-9 _ -`, never used before by this merchant.
    pub out_trade_no: String,
    /// What the payer reads. Characters that WeChat refuses are dropped, and what exceeds 127 characters.
    pub description: String,
    /// Fen, at least 1.
    pub total_minor: i64,
    /// The payer, under our appid.
    pub openid: String,
    /// Last moment to pay; fractions of a second are cut. WeChat silently raises anything below now + 60 s.
    pub time_expire: Timestamp,
    /// Comes back with the transaction, at most 128 characters.
    pub attach: Option<String>,
}

/// The body of the create call. Field order is the order of the bytes.
#[derive(Serialize)]
pub(crate) struct CreateBody<'a> {
    pub(crate) appid: &'a str,
    pub(crate) mchid: &'a str,
    pub(crate) description: String,
    pub(crate) out_trade_no: &'a str,
    pub(crate) time_expire: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attach: Option<&'a str>,
    pub(crate) notify_url: &'a str,
    pub(crate) amount: CreateAmount,
    pub(crate) payer: CreatePayer<'a>,
}

#[derive(Serialize)]
pub(crate) struct CreateAmount {
    pub(crate) total: i64,
    pub(crate) currency: &'static str,
}

#[derive(Serialize)]
pub(crate) struct CreatePayer<'a> {
    pub(crate) openid: &'a str,
}

/// Whole seconds with the offset `+08:00`, rounded down so that it never lies after the deadline it was made from.
pub(crate) fn rfc3339_china(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_nanosecond().div_euclid(1_000_000_000) as i64).unwrap_or(time);
    seconds.display_with_offset(CHINA).to_string()
}

pub(crate) fn clean_description(text: &str) -> String {
    clean_text(text, MAX_DESCRIPTION)
}

/// WeChat takes characters of the basic plane only, and a line of text has no control characters.
pub(crate) fn clean_text(text: &str, max: usize) -> String {
    text.chars().filter(|c| c.len_utf8() <= 3 && !c.is_control()).take(max).collect()
}

/// Whether a text is 1 to `max` visible ASCII characters, as all ids and codes are. Others are not to be stored:
/// databases refuse some of them.
pub(crate) fn is_word(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Identifies a transaction towards the payer's client for two hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrepayId(String);

impl PrepayId {
    /// `None` when the text cannot be one: empty, too long, or with characters that would break the signature's lines.
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text, MAX_PREPAY_ID).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The arguments of `wx.requestPayment`, plus the appid that is signed with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PayParams {
    pub app_id: String,
    /// Unix seconds, as a string.
    pub time_stamp: String,
    pub nonce_str: String,
    /// `prepay_id=…`.
    pub package: String,
    /// Always `RSA`.
    pub sign_type: &'static str,
    /// Base64.
    pub pay_sign: String,
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum TradeState {
    NotPay,
    Success,
    /// Was paid; money went back since, all or in part.
    Refund,
    Closed,
    /// `REVOKED`, `USERPAYING` and `PAYERROR` belong to payment codes, which we do not use; they stay here by name.
    Unknown(String),
}

impl TradeState {
    /// Money was captured: `SUCCESS` or `REFUND`.
    pub fn is_paid(&self) -> bool {
        matches!(self, Self::Success | Self::Refund)
    }
}

impl From<String> for TradeState {
    fn from(name: String) -> Self {
        match name.as_str() {
            "NOTPAY" => Self::NotPay,
            "SUCCESS" => Self::Success,
            "REFUND" => Self::Refund,
            "CLOSED" => Self::Closed,
            _ => Self::Unknown(name),
        }
    }
}

/// A transaction as a query answers it and as a notification carries it. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    pub appid: String,
    pub mchid: String,
    pub out_trade_no: String,
    /// Absent until paid.
    #[serde(default)]
    pub transaction_id: Option<String>,
    pub trade_state: TradeState,
    #[serde(default)]
    pub attach: Option<String>,
    /// Absent until paid, and when WeChat's text is not a time: money must not fail on it.
    #[serde(default, deserialize_with = "lenient_time")]
    pub success_time: Option<Timestamp>,
    /// May be absent until paid.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// May be absent until paid.
    #[serde(default)]
    pub payer: Option<Payer>,
}

impl Transaction {
    /// The transaction id, if it can be one.
    pub fn sound_id(&self) -> Option<&str> {
        self.transaction_id.as_deref().filter(|id| is_word(id, MAX_TRANSACTION_ID))
    }
}

/// What a transaction is about. `payer_total` (after WeChat's coupons) is left out on purpose: compare `total`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Amount {
    /// Fen.
    pub total: i64,
    /// WeChat's default is CNY, so that is what an absent field means.
    #[serde(default = "cny")]
    pub currency: String,
}

/// Who paid. `Debug` shows it: do not log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Payer {
    pub openid: String,
}

pub(crate) fn cny() -> String {
    "CNY".to_owned()
}

pub(crate) fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_written_in_chinas_offset_and_rounded_down() {
        let time: Timestamp = "2026-10-01T02:34:56.999Z".parse().unwrap();
        assert_eq!(rfc3339_china(time), "2026-10-01T10:34:56+08:00");
    }

    #[test]
    fn a_description_keeps_what_wechat_accepts() {
        assert_eq!(clean_description("广州 → 香港 🚌\n2 张"), "广州 → 香港 2 张");
        assert_eq!(clean_description(&"港".repeat(200)).chars().count(), 127);
    }

    #[test]
    fn a_transaction_id_is_a_word() {
        let sound = |id: &str| {
            let json = serde_json::json!({
                "appid": "a", "mchid": "m", "out_trade_no": "n", "trade_state": "SUCCESS", "transaction_id": id,
            });
            serde_json::from_value::<Transaction>(json).unwrap().sound_id().is_some()
        };
        assert!(sound("4200000001202611204567890123"));
        for bad in ["", "42\0", "42 1", "深", &"4".repeat(65)] {
            assert!(!sound(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_unpaid_transaction_may_lack_everything_optional() {
        let json = r#"{"appid":"a","mchid":"m","out_trade_no":"n","trade_state":"NOTPAY","new_field":{"x":1}}"#;
        let transaction: Transaction = serde_json::from_str(json).unwrap();
        assert_eq!(transaction.trade_state, TradeState::NotPay);
        assert_eq!((transaction.amount, transaction.success_time), (None, None));
    }

    #[test]
    fn money_does_not_fail_on_a_strange_time_or_an_absent_currency() {
        let json = r#"{"appid":"a","mchid":"m","out_trade_no":"n","trade_state":"SUCCESS","success_time":"soon",
            "amount":{"total":5}}"#;
        let transaction: Transaction = serde_json::from_str(json).unwrap();
        assert_eq!(transaction.success_time, None);
        assert_eq!(transaction.amount, Some(Amount { total: 5, currency: "CNY".into() }));
    }

    #[test]
    fn only_success_and_refund_are_paid() {
        for (name, paid) in
            [("SUCCESS", true), ("REFUND", true), ("NOTPAY", false), ("CLOSED", false), ("REVOKED", false)]
        {
            assert_eq!(TradeState::from(name.to_owned()).is_paid(), paid, "{name}");
        }
        assert_eq!(TradeState::from("REVOKED".to_owned()), TradeState::Unknown("REVOKED".into()));
    }

    #[test]
    fn a_prepay_id_cannot_hold_what_would_break_the_signed_lines() {
        assert!(PrepayId::parse("wx201410272009395522657a690389285100").is_some());
        for bad in ["", "wx 1", "wx\n1", &"w".repeat(65)] {
            assert_eq!(PrepayId::parse(bad), None);
        }
    }
}
