//! All transactions, what is to be sent and what happens by itself, without HTTP. Time comes in as an argument. What may
//! follow what is in [`super::transaction`] and [`super::refunds`].

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::api_error::ApiError;
use super::jobs::{Job, Queue};
use super::notice::{Attempt, Pending, Subject};
use super::refund::Refund;
use super::settings::Settings;
use super::time::duration;
use super::transaction::{Order, PayRefusal, Payment, Reported, Stage, Transaction};
use super::wire::rfc3339;

/// More transactions than this are refused with a rate limit, so that a long load run cannot eat the machine.
const MAX_TRANSACTIONS: usize = 500_000;
/// Only the newest delivery attempts are kept: about 50 MB, and enough for a run of ten thousand orders.
const MAX_ATTEMPTS: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct State {
    transactions: HashMap<String, Transaction>,
    by_transaction_id: HashMap<String, String>,
    /// By `out_refund_no`.
    pub(super) refunds: HashMap<String, Refund>,
    /// `out_refund_no` by `refund_id`.
    pub(super) by_refund_id: HashMap<String, String>,
    attempts: VecDeque<Attempt>,
    /// Notifications to send.
    pub(super) queue: Queue<Pending>,
    /// What happens by itself.
    pub(super) jobs: Queue<Job>,
}

impl State {
    /// Creates, or answers a repeated create: the prepay id.
    pub(super) fn create(&mut self, order: Order, settings: &Settings, now: Timestamp) -> Result<String, ApiError> {
        if let Some(known) = self.find(&order.out_trade_no, now) {
            return known.create_again(&order, settings.reentry_code, now);
        }
        if self.transactions.len() >= MAX_TRANSACTIONS {
            return Err(ApiError::new(429, "FREQUENCY_LIMITED", "频率超限"));
        }

        let transaction = Transaction::new(order, settings.min_time_expire_seconds, now);
        let prepay_id = transaction.prepay_id.clone();
        let nth = self.transactions.len() as u64;
        if let Some((at, force)) = settings.payer.plan(settings.seed, nth, now, transaction.time_expire) {
            self.jobs.push(at, Job::Pay { out_trade_no: transaction.order.out_trade_no.clone(), force });
        }
        self.transactions.insert(transaction.order.out_trade_no.clone(), transaction);
        Ok(prepay_id)
    }

    /// What a query says that sees payments only `lag_seconds` after they were made.
    pub(super) fn query(&mut self, out_trade_no: &str, lag_seconds: f64, now: Timestamp) -> Result<Value, ApiError> {
        let seen = now.saturating_sub(duration(lag_seconds)).unwrap_or(Timestamp::MIN);
        self.find(out_trade_no, now).map(|known| known.to_json(seen)).ok_or_else(not_exist)
    }

    /// The number of the transaction that has this `transaction_id`.
    pub(super) fn number_of(&self, transaction_id: &str) -> Result<String, ApiError> {
        self.by_transaction_id.get(transaction_id).cloned().ok_or_else(not_exist)
    }

    /// Closes. Closed already is no error, and neither is an unknown number, as reported of the real service.
    pub(super) fn close(&mut self, out_trade_no: &str, settings: &Settings, now: Timestamp) -> Result<(), ApiError> {
        match self.find(out_trade_no, now) {
            Some(known) => known.close(settings),
            None if settings.close_unknown_is_done => Ok(()),
            None => Err(not_exist()),
        }
    }

    /// The payer pays what was asked; the notification follows.
    pub(super) fn pay_honestly(
        &mut self,
        out_trade_no: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Value, PayRefusal> {
        self.pay(out_trade_no, force, now, Reported::honest)
    }

    /// The payer pays. What is reported may differ from the order for tests; `force` pays what is closed or expired.
    /// The notification follows.
    pub(super) fn pay(
        &mut self,
        out_trade_no: &str,
        force: bool,
        now: Timestamp,
        report: impl FnOnce(&Order) -> Reported,
    ) -> Result<Value, PayRefusal> {
        let known = self.find(out_trade_no, now).ok_or(PayRefusal::Unknown)?;
        let transaction_id = known.pay(force, now, report)?;
        let json = known.to_json(now);
        self.by_transaction_id.insert(transaction_id, out_trade_no.to_owned());
        self.notify_payment(out_trade_no, now);
        Ok(json)
    }

    /// Does what has come due, each at its own time, oldest first.
    pub(super) fn run_due(&mut self, now: Timestamp) {
        while let Some((due, job)) = self.jobs.pop_due(now) {
            match job {
                Job::Pay { out_trade_no, force } => {
                    if let Err(refusal) = self.pay_honestly(&out_trade_no, force, due) {
                        tracing::debug!(wechat.out_trade_no = out_trade_no, ?refusal, "The payer could not pay");
                    }
                }
                Job::SettleRefund { out_refund_no } => self.settle_refund(&out_refund_no, due),
            }
        }
    }

    /// Puts the notification of a paid transaction in line, due at once, always under the same id.
    pub(super) fn notify_payment(&mut self, out_trade_no: &str, now: Timestamp) -> bool {
        let Some(payment) = self.payment(out_trade_no) else {
            return false;
        };
        let id = payment.notification_id.clone();
        let out_trade_no = out_trade_no.to_owned();
        self.queue.push(now, Pending::new(id, Subject::Payment { out_trade_no }));
        true
    }

    /// Where a notification of this payment goes, and what it says.
    pub(super) fn payment_notice(&self, out_trade_no: &str) -> Option<(String, Value)> {
        let known = self.transactions.get(out_trade_no)?;
        let mut content = known.to_json(Timestamp::MAX);
        content["trade_state"] = "SUCCESS".into();
        content["trade_state_desc"] = "支付成功".into();
        Some((known.order.notify_url.clone(), content))
    }

    /// Keeps a payment's notification back until one of a refund was sent; gives it back if that has happened.
    pub(super) fn hold_until_refund(&mut self, out_trade_no: &str, pending: Pending) -> Option<Pending> {
        match self.payment_mut(out_trade_no) {
            Some(payment) if !payment.refund_told => {
                payment.held = Some(pending);
                None
            }
            _ => Some(pending),
        }
    }

    pub(super) fn payment_told(&mut self, out_trade_no: &str) {
        if let Some(payment) = self.payment_mut(out_trade_no) {
            payment.told = true;
        }
    }

    /// A refund's notification was sent: the payment's may follow.
    pub(super) fn refund_told(&mut self, out_trade_no: &str, now: Timestamp) {
        if let Some(payment) = self.payment_mut(out_trade_no) {
            payment.refund_told = true;
            if let Some(held) = payment.held.take() {
                self.queue.push(now, held);
            }
        }
    }

    pub(super) fn payment(&self, out_trade_no: &str) -> Option<&Payment> {
        match &self.transactions.get(out_trade_no)?.stage {
            Stage::Paid(payment) => Some(payment),
            Stage::NotPay | Stage::Closed => None,
        }
    }

    pub(super) fn payment_mut(&mut self, out_trade_no: &str) -> Option<&mut Payment> {
        match &mut self.transactions.get_mut(out_trade_no)?.stage {
            Stage::Paid(payment) => Some(payment),
            Stage::NotPay | Stage::Closed => None,
        }
    }

    /// What the payer was asked for, and paid if there is a payment. What a payment reports may differ for tests.
    pub(super) fn total(&self, out_trade_no: &str) -> Option<i64> {
        self.transactions.get(out_trade_no).map(|known| known.order.total)
    }

    /// What really happened to money: `(out_trade_no, paid, payment)` of every paid transaction.
    pub(super) fn paid(&self) -> impl Iterator<Item = (&str, i64, &Payment)> {
        self.transactions.iter().filter_map(|(number, known)| match &known.stage {
            Stage::Paid(payment) => Some((number.as_str(), known.order.total, &**payment)),
            Stage::NotPay | Stage::Closed => None,
        })
    }

    /// All transactions, oldest first.
    pub(super) fn list(&mut self, now: Timestamp) -> Vec<Value> {
        let mut all: Vec<&mut Transaction> = self.transactions.values_mut().collect();
        all.sort_by(|a, b| (a.created, &a.order.out_trade_no).cmp(&(b.created, &b.order.out_trade_no)));
        all.into_iter()
            .map(|known| {
                known.close_when_old(now);
                let mut json = known.to_json(now);
                json["prepay_id"] = known.prepay_id.clone().into();
                json["time_expire"] = rfc3339(known.time_expire).into();
                json["create_time"] = rfc3339(known.created).into();
                json
            })
            .collect()
    }

    pub(super) fn record(&mut self, attempt: Attempt) {
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(attempt);
    }

    /// Delivery attempts, oldest first; with a number, those about it.
    pub(super) fn attempts(&self, out_trade_no: Option<&str>) -> Vec<Attempt> {
        let about = |attempt: &&Attempt| out_trade_no.is_none_or(|number| attempt.out_trade_no == number);
        self.attempts.iter().filter(about).cloned().collect()
    }

    fn find(&mut self, out_trade_no: &str, now: Timestamp) -> Option<&mut Transaction> {
        let known = self.transactions.get_mut(out_trade_no)?;
        known.close_when_old(now);
        Some(known)
    }
}

fn not_exist() -> ApiError {
    ApiError::new(404, "ORDER_NOT_EXIST", "订单不存在")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> Settings {
        Settings::new(1.0, 60).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn order(total: i64) -> Order {
        Order {
            appid: "wx1".into(),
            mchid: "1900000001".into(),
            out_trade_no: "order-1".into(),
            notify_url: "http://127.0.0.1/notify".into(),
            attach: None,
            total,
            openid: "alice".into(),
            time_expire: Some(at(600)),
            body: json!({ "total": total }),
        }
    }

    #[test]
    fn the_same_create_gives_the_same_prepay_id_and_after_two_hours_a_new_one() {
        let mut state = State::default();
        let first = state.create(order(100), &settings(), at(0)).unwrap();

        assert_eq!(state.create(order(100), &settings(), at(5)).unwrap(), first);
        assert_eq!(state.create(order(101), &settings(), at(5)).unwrap_err().code, "OUT_TRADE_NO_USED");
        assert_ne!(state.create(order(100), &settings(), at(2 * 3600 + 1)).unwrap(), first);
    }

    #[test]
    fn a_number_that_was_paid_or_closed_is_used_up() {
        let mut state = State::default();
        state.create(order(100), &settings(), at(0)).unwrap();
        state.close("order-1", &settings(), at(1)).unwrap();

        assert_eq!(state.create(order(100), &settings(), at(2)).unwrap_err().code, "OUT_TRADE_NO_USED");
        assert_eq!(state.pay_honestly("order-1", false, at(2)).unwrap_err(), PayRefusal::Closed);
    }

    #[test]
    fn a_deadline_below_the_minimum_is_silently_raised_and_then_kept() {
        let mut state = State::default();
        state.create(Order { time_expire: Some(at(3)), ..order(100) }, &settings(), at(0)).unwrap();

        assert!(state.pay_honestly("order-1", false, at(61)).is_err());
        assert!(state.pay_honestly("order-1", false, at(60)).is_ok());
    }

    #[test]
    fn an_expired_transaction_cannot_be_paid_but_stays_notpay_for_a_week() {
        let mut state = State::default();
        state.create(order(100), &settings(), at(0)).unwrap();

        assert_eq!(state.pay_honestly("order-1", false, at(601)).unwrap_err(), PayRefusal::Expired);
        assert_eq!(state.query("order-1", 0.0, at(601)).unwrap()["trade_state"], "NOTPAY");
        assert_eq!(state.query("order-1", 0.0, at(7 * 86_400)).unwrap()["trade_state"], "CLOSED");
    }

    #[test]
    fn paid_once_it_cannot_be_paid_or_closed_and_is_found_by_both_numbers() {
        let mut state = State::default();
        state.create(order(100), &settings(), at(0)).unwrap();
        let paid = state.pay_honestly("order-1", false, at(10)).unwrap();
        let id = paid["transaction_id"].as_str().unwrap();

        assert_eq!((id.len(), &id[..2]), (28, "42"));
        assert_eq!(state.pay_honestly("order-1", false, at(11)).unwrap_err(), PayRefusal::Paid);
        assert_eq!(state.close("order-1", &settings(), at(11)).unwrap_err().code, "ORDERPAID");
        assert_eq!(state.number_of(id).unwrap(), "order-1");
    }

    #[test]
    fn closing_is_re_entrant_and_silent_about_unknown_numbers() {
        let mut state = State::default();
        state.create(order(100), &settings(), at(0)).unwrap();

        for number in ["order-1", "order-1", "never-created"] {
            assert!(state.close(number, &settings(), at(1)).is_ok());
        }
        assert_eq!(state.query("never-created", 0.0, at(1)).unwrap_err().code, "ORDER_NOT_EXIST");
    }
}
