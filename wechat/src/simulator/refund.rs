//! One refund: its order, where it stands, and how WeChat tells of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::rfc3339;

/// A refund call's content after validation.
#[derive(Clone, Debug)]
pub(super) struct RefundOrder {
    pub(super) mchid: String,
    pub(super) out_refund_no: String,
    /// Of the transaction, however the call named it.
    pub(super) out_trade_no: String,
    pub(super) notify_url: Option<String>,
    pub(super) refund: i64,
    pub(super) total: i64,
    /// The whole body: a repeated call must have the same.
    pub(super) body: Value,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RefundStatus {
    Processing,
    Success,
    /// Failed, the money is still the merchant's; another try needs another number.
    Closed,
    /// The payer's card is dead: by hand, or by another card.
    Abnormal,
}

#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) order: RefundOrder,
    /// WeChat's own number.
    pub(super) id: String,
    pub(super) transaction_id: String,
    pub(super) created: Timestamp,
    pub(super) status: RefundStatus,
    /// How it ends when its time has come; `Processing` means that it never does.
    pub(super) becomes: RefundStatus,
    /// When it came to where it stands.
    pub(super) settled_at: Option<Timestamp>,
    pub(super) notification_id: String,
}

impl Refund {
    /// The object of answers.
    pub(super) fn to_json(&self) -> Value {
        let order = &self.order;
        let mut json = json!({
            "refund_id": self.id,
            "out_refund_no": order.out_refund_no,
            "transaction_id": self.transaction_id,
            "out_trade_no": order.out_trade_no,
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": rfc3339(self.created),
            "status": self.status,
            "funds_account": "AVAILABLE",
            "amount": {
                "total": order.total,
                "refund": order.refund,
                "from": [],
                "payer_total": order.total,
                "payer_refund": order.refund,
                "settlement_refund": order.refund,
                "settlement_total": order.total,
                "discount_refund": 0,
                "currency": "CNY",
                "refund_fee": 0,
            },
            "promotion_detail": [],
        });
        if let (RefundStatus::Success, Some(at)) = (self.status, self.settled_at) {
            json["success_time"] = rfc3339(at).into();
        }
        json
    }

    /// What a notification says: other names, and less of it.
    pub(super) fn notice(&self) -> Value {
        let order = &self.order;
        let mut json = json!({
            "mchid": order.mchid,
            "transaction_id": self.transaction_id,
            "out_trade_no": order.out_trade_no,
            "refund_id": self.id,
            "out_refund_no": order.out_refund_no,
            "refund_status": self.status,
            "user_received_account": "支付用户零钱",
            "amount": {
                "total": order.total,
                "refund": order.refund,
                "payer_total": order.total,
                "payer_refund": order.refund,
            },
        });
        if let (RefundStatus::Success, Some(at)) = (self.status, self.settled_at) {
            json["success_time"] = rfc3339(at).into();
        }
        json
    }
}
