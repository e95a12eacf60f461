//! The refunds: how much, how often and how far apart, and how they end, without HTTP (`wechat.md` 4).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api_error::ApiError;
use super::jobs::Job;
use super::notice::{Pending, Subject};
use super::refund::{Refund, RefundOrder, RefundStatus};
use super::settings::Settings;
use super::state::State;
use super::time::{duration, later};
use super::transaction::random_digits;
use super::wire::china_digits;

/// Most refunds of one transaction.
const MAX_REFUNDS: usize = 50;
/// A payment can be refunded for this long.
const REFUNDABLE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Why the control plane cannot end a refund as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettleRefusal {
    Unknown,
    /// It has ended otherwise, and that is final.
    Final,
}

impl State {
    /// Accepts a refund, or answers a repeated call: the refund as it is now.
    pub(super) fn refund(
        &mut self,
        order: RefundOrder,
        becomes: RefundStatus,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        if let Some(known) = self.refunds.get(&order.out_refund_no) {
            if known.order.body != order.body {
                return Err(invalid("商户退款单号重复，且请求参数不一致"));
            }
            return Ok(known.to_json());
        }
        self.check_refund(&order, settings, now)?;

        let number = order.out_refund_no.clone();
        let refund_id = new_refund_id(now);
        let transaction_id = match self.payment_mut(&order.out_trade_no) {
            Some(payment) => {
                payment.refunds.push(number.clone());
                payment.transaction_id.clone()
            }
            None => return Err(no_resource()),
        };
        let refund = Refund {
            order,
            id: refund_id.clone(),
            transaction_id,
            created: now,
            status: RefundStatus::Processing,
            becomes,
            settled_at: None,
            notification_id: String::new(),
        };
        let json = refund.to_json();
        self.by_refund_id.insert(refund_id, number.clone());
        self.refunds.insert(number.clone(), refund);
        self.jobs.push(later(now, duration(settings.refund_seconds)), Job::SettleRefund { out_refund_no: number });
        Ok(json)
    }

    fn check_refund(&self, order: &RefundOrder, settings: &Settings, now: Timestamp) -> Result<(), ApiError> {
        let (Some(payment), Some(paid)) = (self.payment(&order.out_trade_no), self.total(&order.out_trade_no)) else {
            return Err(no_resource());
        };
        if order.total != paid {
            return Err(invalid("订单金额或退款金额与之前请求不一致，请核实后再试"));
        }
        if now.duration_since(payment.at) > REFUNDABLE {
            return Err(ApiError::new(400, "TRADE_OVERDUE", "订单已经超过退款期限"));
        }
        if payment.refunds.len() >= MAX_REFUNDS {
            return Err(invalid("部分退款次数超限"));
        }
        let given = payment.refunds.iter().filter_map(|number| self.refunds.get(number));
        // A closed refund has moved no money.
        let refunded: i64 =
            given.filter(|refund| refund.status != RefundStatus::Closed).map(|refund| refund.order.refund).sum();
        if refunded.checked_add(order.refund).is_none_or(|sum| sum > paid) {
            return Err(invalid("申请退款金额超过订单可退金额"));
        }
        let last = payment.refunds.last().and_then(|number| self.refunds.get(number));
        let spacing = duration(settings.refund_spacing_seconds);
        if last.is_some_and(|last| now.duration_since(last.created) < spacing) {
            return Err(ApiError::new(429, "FREQUENCY_LIMITED", "同一笔订单退款间隔须大于1分钟，请稍后再试"));
        }
        Ok(())
    }

    pub(super) fn query_refund(&self, out_refund_no: &str) -> Result<Value, ApiError> {
        self.refunds.get(out_refund_no).map(Refund::to_json).ok_or_else(no_resource)
    }

    /// Another card for a refund that could not reach the payer: it is on its way again, and will arrive.
    pub(super) fn apply_abnormal(
        &mut self,
        refund_id: &str,
        out_refund_no: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let known = self.by_refund_id.get(refund_id).filter(|number| *number == out_refund_no);
        let refund = known.and_then(|number| self.refunds.get_mut(number)).ok_or_else(no_resource)?;
        if refund.status != RefundStatus::Abnormal {
            return Err(invalid("退款单状态不是退款异常"));
        }

        refund.status = RefundStatus::Processing;
        refund.becomes = RefundStatus::Success;
        let json = refund.to_json();
        let job = Job::SettleRefund { out_refund_no: out_refund_no.to_owned() };
        self.jobs.push(later(now, duration(settings.refund_seconds)), job);
        Ok(json)
    }

    /// A refund's time has come.
    pub(super) fn settle_refund(&mut self, out_refund_no: &str, now: Timestamp) {
        if let Some(refund) = self.refunds.get(out_refund_no)
            && refund.status == RefundStatus::Processing
            && refund.becomes != RefundStatus::Processing
        {
            self.end_refund(out_refund_no, refund.becomes, now);
        }
    }

    /// Ends a refund by hand. What is final stays; money that could not arrive may arrive after all.
    pub(super) fn settle_by_hand(
        &mut self,
        out_refund_no: &str,
        status: RefundStatus,
        now: Timestamp,
    ) -> Result<Value, SettleRefusal> {
        let refund = self.refunds.get(out_refund_no).ok_or(SettleRefusal::Unknown)?;
        match (refund.status, status) {
            (before, after) if before == after => {}
            (_, RefundStatus::Processing) => return Err(SettleRefusal::Final),
            (RefundStatus::Success | RefundStatus::Closed, _) => return Err(SettleRefusal::Final),
            (RefundStatus::Processing | RefundStatus::Abnormal, _) => self.end_refund(out_refund_no, status, now),
        }
        self.query_refund(out_refund_no).map_err(|_| SettleRefusal::Unknown)
    }

    /// What really happened to money, in fen: every paid transaction with its refunds, and the sums.
    pub(super) fn money(&self) -> Value {
        let (mut paid_sum, mut refunded, mut refunding) = (0_i64, 0_i64, 0_i64);
        let mut transactions = Vec::new();
        for (number, paid, payment) in self.paid() {
            paid_sum = paid_sum.saturating_add(paid);
            let mut refunds = Vec::new();
            for refund in payment.refunds.iter().filter_map(|number| self.refunds.get(number)) {
                let amount = refund.order.refund;
                match refund.status {
                    RefundStatus::Success => refunded = refunded.saturating_add(amount),
                    RefundStatus::Processing | RefundStatus::Abnormal => refunding = refunding.saturating_add(amount),
                    RefundStatus::Closed => {}
                }
                refunds.push(json!({
                    "out_refund_no": refund.order.out_refund_no,
                    "refund_id": refund.id,
                    "amount": amount,
                    "status": refund.status,
                }));
            }
            transactions.push(json!({
                "out_trade_no": number,
                "transaction_id": payment.transaction_id,
                "paid": paid,
                "paid_at": payment.at,
                "refunds": refunds,
            }));
        }
        let (count, refunds) = (transactions.len(), self.refunds.len());
        json!({
            "paid": paid_sum,
            "refunded": refunded,
            "refunding": refunding,
            "paid_count": count,
            "refund_count": refunds,
            "transactions": transactions,
        })
    }

    fn end_refund(&mut self, out_refund_no: &str, status: RefundStatus, now: Timestamp) {
        if let Some(refund) = self.refunds.get_mut(out_refund_no) {
            refund.status = status;
            refund.settled_at = Some(now);
            refund.notification_id = uuid::Uuid::new_v4().to_string();
            self.notify_refund(out_refund_no, now);
        }
    }

    /// Puts the notification of an ended refund in line, due at once. Without a notify url there is none.
    pub(super) fn notify_refund(&mut self, out_refund_no: &str, now: Timestamp) -> bool {
        let Some(refund) = self.refunds.get(out_refund_no) else {
            return false;
        };
        let (Some(url), true) = (&refund.order.notify_url, refund.settled_at.is_some()) else {
            return false;
        };
        let subject = Subject::Refund {
            out_trade_no: refund.order.out_trade_no.clone(),
            out_refund_no: out_refund_no.to_owned(),
            status: refund.status,
            url: url.clone(),
            content: refund.notice(),
        };
        let pending = Pending::new(refund.notification_id.clone(), subject);
        self.queue.push(now, pending);
        true
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "INVALID_REQUEST", message)
}

/// The order is unknown or unpaid; or, to a query, the refund is unknown.
pub(super) fn no_resource() -> ApiError {
    ApiError::new(404, "RESOURCE_NOT_EXISTS", "查询的资源不存在")
}

/// 28 digits that begin with 50.
fn new_refund_id(now: Timestamp) -> String {
    format!("5030{}{:016}", china_digits(now, "%Y%m%d"), random_digits(16))
}
