//! One transaction: its order, where it stands, and what may follow (`wechat.md` 2). Time comes in as an argument.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api_error::ApiError;
use super::notice::Pending;
use super::settings::{ClosePaid, Reentry, Settings};
use super::time::later;
use super::wire::{china_digits, rfc3339};

/// How long a prepay id can be paid with.
const PREPAY_LIFE: SignedDuration = SignedDuration::from_hours(2);
/// Unpaid transactions close by themselves after this time; it is also the default deadline.
const AUTO_CLOSE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A create call's content after validation.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) appid: String,
    pub(super) mchid: String,
    pub(super) out_trade_no: String,
    pub(super) notify_url: String,
    pub(super) attach: Option<String>,
    pub(super) total: i64,
    pub(super) openid: String,
    pub(super) time_expire: Option<Timestamp>,
    /// The whole body: re-entry compares it, whatever the order of its fields.
    pub(super) body: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) order: Order,
    pub(super) prepay_id: String,
    prepay_until: Timestamp,
    pub(super) time_expire: Timestamp,
    pub(super) created: Timestamp,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    NotPay,
    Closed,
    Paid(Box<Payment>),
}

/// The money of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) transaction_id: String,
    pub(super) notification_id: String,
    pub(super) at: Timestamp,
    reported: Reported,
    /// The `out_refund_no` of its refunds, oldest first.
    pub(super) refunds: Vec<String>,
    /// The payment's notification, while it waits for that of a refund to overtake it.
    pub(super) held: Option<Pending>,
    /// Its notification was sent.
    pub(super) told: bool,
    /// A notification of a refund was sent.
    pub(super) refund_told: bool,
}

/// What a paid transaction says of itself. Differs from its order only when a test wants it to.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) appid: String,
    pub(super) mchid: String,
    pub(super) openid: String,
    pub(super) total: i64,
    pub(super) currency: String,
}

/// Why a payment is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayRefusal {
    Unknown,
    Closed,
    Paid,
    /// After `time_expire`.
    Expired,
    /// The prepay id is older than two hours; create again with the same body.
    PrepayExpired,
}

impl Reported {
    pub(super) fn honest(order: &Order) -> Self {
        Self {
            appid: order.appid.clone(),
            mchid: order.mchid.clone(),
            openid: order.openid.clone(),
            total: order.total,
            currency: "CNY".to_owned(),
        }
    }
}

impl Transaction {
    pub(super) fn new(order: Order, least_seconds: i64, now: Timestamp) -> Self {
        let earliest = later(now, SignedDuration::from_secs(least_seconds));
        let default = later(now, AUTO_CLOSE);
        Self {
            prepay_id: new_prepay_id(now),
            prepay_until: later(now, PREPAY_LIFE),
            time_expire: order.time_expire.unwrap_or(default).max(earliest),
            created: now,
            stage: Stage::NotPay,
            order,
        }
    }

    /// The prepay id again, for the same body and as long as it is unpaid.
    pub(super) fn create_again(&mut self, order: &Order, code: Reentry, now: Timestamp) -> Result<String, ApiError> {
        let unpaid = matches!(self.stage, Stage::NotPay);
        if !unpaid || self.order.body != order.body {
            return Err(match code {
                Reentry::OutTradeNoUsed => ApiError::new(403, "OUT_TRADE_NO_USED", "商户订单号重复"),
                Reentry::InvalidRequest => ApiError::new(400, "INVALID_REQUEST", "201 商户订单号重复"),
            });
        }

        if now > self.prepay_until {
            self.prepay_id = new_prepay_id(now);
            self.prepay_until = later(now, PREPAY_LIFE);
        }
        Ok(self.prepay_id.clone())
    }

    /// Closes. Closed already is no error.
    pub(super) fn close(&mut self, settings: &Settings) -> Result<(), ApiError> {
        match self.stage {
            Stage::NotPay | Stage::Closed => {
                self.stage = Stage::Closed;
                Ok(())
            }
            Stage::Paid(_) => {
                let code = match settings.close_paid_code {
                    ClosePaid::OrderPaid => "ORDERPAID",
                    ClosePaid::InvalidRequest => "INVALID_REQUEST",
                    ClosePaid::TradeError => "TRADE_ERROR",
                };
                Err(ApiError::new(400, code, "订单已支付"))
            }
        }
    }

    /// The payer pays; the new `transaction_id`. `force` pays what is closed or expired.
    pub(super) fn pay(
        &mut self,
        force: bool,
        now: Timestamp,
        report: impl FnOnce(&Order) -> Reported,
    ) -> Result<String, PayRefusal> {
        match self.stage {
            Stage::Paid(_) => return Err(PayRefusal::Paid),
            Stage::NotPay | Stage::Closed if force => {}
            Stage::Closed => return Err(PayRefusal::Closed),
            Stage::NotPay if now > self.time_expire => return Err(PayRefusal::Expired),
            Stage::NotPay if now > self.prepay_until => return Err(PayRefusal::PrepayExpired),
            Stage::NotPay => {}
        }

        let transaction_id = new_transaction_id(now);
        self.stage = Stage::Paid(Box::new(Payment {
            transaction_id: transaction_id.clone(),
            notification_id: uuid::Uuid::new_v4().to_string(),
            at: now,
            reported: report(&self.order),
            refunds: Vec::new(),
            held: None,
            told: false,
            refund_told: false,
        }));
        Ok(transaction_id)
    }

    pub(super) fn close_when_old(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::NotPay) && now >= later(self.created, AUTO_CLOSE) {
            self.stage = Stage::Closed;
        }
    }

    /// The object of query answers and notifications, as it was at `seen` where payments are concerned.
    pub(super) fn to_json(&self, seen: Timestamp) -> Value {
        let order = &self.order;
        let mut json = json!({
            "appid": order.appid,
            "mchid": order.mchid,
            "out_trade_no": order.out_trade_no,
            "payer": { "openid": order.openid },
            "amount": { "total": order.total, "currency": "CNY" },
        });
        if let Some(attach) = &order.attach {
            json["attach"] = attach.clone().into();
        }
        let (state, description) = match &self.stage {
            Stage::NotPay => ("NOTPAY", "订单未支付"),
            Stage::Closed => ("CLOSED", "订单已关闭"),
            // A query that lags behind the payer.
            Stage::Paid(payment) if payment.at > seen => ("NOTPAY", "订单未支付"),
            Stage::Paid(payment) => {
                let reported = &payment.reported;
                json["appid"] = reported.appid.clone().into();
                json["mchid"] = reported.mchid.clone().into();
                json["payer"]["openid"] = reported.openid.clone().into();
                json["amount"] = json!({
                    "total": reported.total,
                    "payer_total": reported.total,
                    "currency": reported.currency,
                    "payer_currency": reported.currency,
                });
                json["transaction_id"] = payment.transaction_id.clone().into();
                json["trade_type"] = "JSAPI".into();
                json["bank_type"] = "OTHERS".into();
                json["success_time"] = rfc3339(payment.at).into();
                if payment.refunds.is_empty() {
                    ("SUCCESS", "支付成功")
                } else {
                    ("REFUND", "订单发生过退款")
                }
            }
        };
        json["trade_state"] = state.into();
        json["trade_state_desc"] = description.into();
        json
    }
}

/// `wx`, date and time, and hexadecimal digits: 36 characters.
fn new_prepay_id(now: Timestamp) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let (tail, _) = random.split_at(20);
    format!("wx{}{tail}", china_digits(now, "%Y%m%d%H%M%S"))
}

/// 28 digits that begin with 42.
fn new_transaction_id(now: Timestamp) -> String {
    format!("4200{}{:016}", china_digits(now, "%Y%m%d"), random_digits(16))
}

/// A random number of at most `digits` decimal digits (38 at most).
pub(super) fn random_digits(digits: u32) -> u128 {
    uuid::Uuid::new_v4().as_u128() % 10_u128.pow(digits)
}
