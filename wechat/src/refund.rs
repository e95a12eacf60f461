//! Refunds: what is asked for, what WeChat says about one, and its notification (`wechat.md` 4).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{clean_text, cny, is_word, lenient_time};

/// WeChat's limit on `reason`, in characters.
const MAX_REASON: usize = 80;
/// WeChat's refund numbers have at most so many characters.
const MAX_REFUND_ID: usize = 32;

/// What a refund is to be. [`crate::Client::refund_body`] turns it into the bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// Our number of the payment; WeChat goes by `transaction_id` when it has both.
    pub out_trade_no: Option<String>,
    /// 1 to 64 of `A-Z a-z 0-9 _ -`. The same number with the same parameters is the same refund, however often it is
    /// sent.
    pub out_refund_no: String,
    /// What the payer reads. Characters that WeChat refuses are dropped, and what exceeds 80 characters.
    pub reason: Option<String>,
    /// Fen, at least 1.
    pub refund_minor: i64,
    /// What the payment was about, in fen.
    pub total_minor: i64,
}

/// The body of the refund call. Field order is the order of the bytes.
#[derive(Serialize)]
struct RefundBody<'a> {
    transaction_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<&'a str>,
    out_refund_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    notify_url: &'a str,
    amount: BodyAmount,
}

#[derive(Serialize)]
struct BodyAmount {
    refund: i64,
    total: i64,
    currency: &'static str,
}

impl RefundRequest {
    /// The same request gives the same bytes. The address is always named: without it WeChat may send its old XML to
    /// whatever the merchant's console says.
    pub(crate) fn body(&self, notify_url: &str) -> Vec<u8> {
        let body = RefundBody {
            transaction_id: &self.transaction_id,
            out_trade_no: self.out_trade_no.as_deref(),
            out_refund_no: &self.out_refund_no,
            reason: self.reason.as_deref().map(|text| clean_text(text, MAX_REASON)).filter(|text| !text.is_empty()),
            notify_url,
            amount: BodyAmount { refund: self.refund_minor, total: self.total_minor, currency: "CNY" },
        };
        serde_json::to_vec(&body).expect("strings and integers always serialise")
    }
}

/// The refund number that a body asks for.
pub(crate) fn number_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Numbered {
        out_refund_no: String,
    }

    serde_json::from_slice::<Numbered>(body).ok().map(|body| body.out_refund_no)
}

/// Where a refund stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum RefundStatus {
    /// The payer has the money.
    Success,
    /// Accepted and under way.
    Processing,
    /// Failed: nothing was paid back. To try again takes a new number.
    Closed,
    /// The payer's card takes nothing; somebody has to resolve it, and then it may still become `Success`.
    Abnormal,
    /// A name that we do not know.
    Unknown(String),
}

impl From<String> for RefundStatus {
    fn from(name: String) -> Self {
        match name.as_str() {
            "SUCCESS" => Self::Success,
            "PROCESSING" => Self::Processing,
            "CLOSED" => Self::Closed,
            "ABNORMAL" => Self::Abnormal,
            _ => Self::Unknown(name),
        }
    }
}

/// A refund as the call, the query and the notification tell of it. That the amounts are those asked for is the
/// caller's to compare. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// WeChat's number of the refund.
    pub refund_id: String,
    pub out_refund_no: String,
    pub transaction_id: String,
    pub out_trade_no: String,
    pub status: RefundStatus,
    pub amount: RefundAmount,
    /// With [`RefundStatus::Success`]; absent when WeChat's text is not a time.
    #[serde(default, deserialize_with = "lenient_time")]
    pub success_time: Option<Timestamp>,
}

impl Refund {
    /// WeChat's number of the refund, if it can be one.
    pub fn sound_id(&self) -> Option<&str> {
        Some(self.refund_id.as_str()).filter(|id| is_word(id, MAX_REFUND_ID))
    }
}

/// What a refund is about. What the payer gets after WeChat's coupons (`payer_refund`) is left out on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RefundAmount {
    /// Fen: of the payment.
    pub total: i64,
    /// Fen: of this refund.
    pub refund: i64,
    /// A notification has none; CNY is what an absent field means.
    #[serde(default = "cny")]
    pub currency: String,
}

/// The plaintext of a refund's notification. There is no appid in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "NoticeBody")]
pub struct RefundNotice {
    pub mchid: String,
    pub refund: Refund,
}

/// The status has another name here than in answers.
#[derive(Deserialize)]
struct NoticeBody {
    mchid: String,
    refund_id: String,
    out_refund_no: String,
    transaction_id: String,
    out_trade_no: String,
    refund_status: RefundStatus,
    amount: RefundAmount,
    #[serde(default, deserialize_with = "lenient_time")]
    success_time: Option<Timestamp>,
}

impl From<NoticeBody> for RefundNotice {
    fn from(body: NoticeBody) -> Self {
        Self {
            mchid: body.mchid,
            refund: Refund {
                refund_id: body.refund_id,
                out_refund_no: body.out_refund_no,
                transaction_id: body.transaction_id,
                out_trade_no: body.out_trade_no,
                status: body.refund_status,
                amount: body.amount,
                success_time: body.success_time,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RefundRequest {
        RefundRequest {
            transaction_id: "4200000001".into(),
            out_trade_no: None,
            out_refund_no: "R-1".into(),
            reason: None,
            refund_minor: 5,
            total_minor: 100,
        }
    }

    fn text(request: &RefundRequest) -> String {
        String::from_utf8(request.body("https://shop.example/refund-notify")).unwrap()
    }

    #[test]
    fn r9_the_same_request_gives_the_same_bytes_and_always_names_the_address() {
        assert_eq!(
            text(&request()),
            r#"{"transaction_id":"4200000001","out_refund_no":"R-1","notify_url":"https://shop.example/refund-notify","amount":{"refund":5,"total":100,"currency":"CNY"}}"#
        );
        let full =
            RefundRequest { out_trade_no: Some("T-1".into()), reason: Some("座位已售\n🚌".into()), ..request() };
        assert_eq!(
            text(&full),
            r#"{"transaction_id":"4200000001","out_trade_no":"T-1","out_refund_no":"R-1","reason":"座位已售","notify_url":"https://shop.example/refund-notify","amount":{"refund":5,"total":100,"currency":"CNY"}}"#
        );
        assert_eq!(text(&full), text(&full.clone()));
        assert_eq!(number_of(text(&full).as_bytes()).as_deref(), Some("R-1"));
        assert_eq!(number_of(b"[]"), None);
    }

    #[test]
    fn a_reason_that_says_nothing_is_left_out_and_a_long_one_is_cut() {
        let with = |reason: &str| text(&RefundRequest { reason: Some(reason.into()), ..request() });
        assert!(!with("🚌").contains("reason"));
        assert!(with(&"港".repeat(81)).contains(&format!("\"{}\"", "港".repeat(80))));
    }

    #[test]
    fn a_notice_calls_its_status_by_another_name() {
        let json = serde_json::json!({
            "mchid": "1900000001", "transaction_id": "42", "out_trade_no": "T-1", "refund_id": "50",
            "out_refund_no": "R-1", "refund_status": "ABNORMAL", "user_received_account": "招商银行信用卡0403",
            "amount": {"total": 100, "refund": 5, "payer_total": 90, "payer_refund": 4},
        });
        let notice: RefundNotice = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(notice.refund.status, RefundStatus::Abnormal);
        assert_eq!(notice.refund.amount, RefundAmount { total: 100, refund: 5, currency: "CNY".into() });
        assert_eq!(notice.refund.success_time, None);

        let mut as_answered = json;
        as_answered["status"] = "SUCCESS".into();
        as_answered.as_object_mut().unwrap().remove("refund_status");
        assert!(serde_json::from_value::<RefundNotice>(as_answered).is_err());
    }

    #[test]
    fn a_status_that_nobody_knows_keeps_its_name() {
        for (name, status) in [
            ("SUCCESS", RefundStatus::Success),
            ("PROCESSING", RefundStatus::Processing),
            ("CLOSED", RefundStatus::Closed),
            ("ABNORMAL", RefundStatus::Abnormal),
            ("CHANGE", RefundStatus::Unknown("CHANGE".into())),
        ] {
            assert_eq!(RefundStatus::from(name.to_owned()), status);
        }
    }
}
