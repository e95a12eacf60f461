//! What WeChat says about a payment, whoever brought it: answer, callback or query (wechat.md R4, R5, R8).

use super::{AfterClose, CloseStep, Event, Stage};
use crate::ids::OutTradeNo;
use crate::order::meeting::{Asked, Course};
use crate::order::part::PartName;
use crate::order::payment::{Capture, FactState, PaymentFact, PaymentState};
use crate::order::{CancelReason, Command, Event as OrderEvent, Order};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// The longest that a client may wait for WeChat.
pub const CALL_TIMEOUT_SECONDS_MAX: i64 = 30;
/// How long after the create call "not known" is no proof: the call may reach WeChat until its timeout, and the answer
/// to a query made before that may be under way for another.
const CREATE_WINDOW_SECONDS: i64 = 2 * CALL_TIMEOUT_SECONDS_MAX;

impl Order {
    pub(super) fn create_refused(&self, number: OutTradeNo, code: &str, may_exist: bool) -> Vec<OrderEvent> {
        if *self.collecting.stage() != Stage::Creating || !self.is_live(number) {
            return vec![];
        }
        if may_exist || self.calls.unsure {
            // The number may be in use, by this call or an earlier one: only a query can tell what became of it.
            // Beginning anew could make two payments that the traveller can pay (wechat.md R1).
            return vec![Event::ClosingBegun { then: AfterClose::Cancel(CancelReason::Expired) }.into()];
        }
        vec![Event::Refused { number, code: code.into() }.into()]
    }

    /// The payment that this command would have the order take for paid, and the transaction that has paid it.
    pub fn would_be_paid_by<'c>(&self, command: &'c Command, now: Timestamp) -> Option<(OutTradeNo, &'c str)> {
        let Command::Collect(super::Command::Fact(fact)) = command else { return None };
        let FactState::Paid(capture) = &fact.state else { return None };
        self.payment_fact(fact, now).is_ok().then_some((fact.number, &*capture.transaction_id))
    }

    pub(super) fn payment_fact(&self, fact: &PaymentFact, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        let payment = self.payment(fact.number).ok_or(Rejection::PaymentMismatch("no such payment of this order"))?;
        match &fact.state {
            FactState::Paid(capture) => {
                if capture.amount != payment.total {
                    return Err(Rejection::PaymentMismatch("amount or currency"));
                }
                if capture.payer.is_some_and(|payer| Some(payer) != self.traveller()) {
                    return Err(Rejection::PaymentMismatch("another payer"));
                }
                self.money_came(fact.number, &payment.state, capture, now)
            }
            FactState::NotPaid => Ok(self.seen_unpaid(fact.number, now)),
            FactState::Closed => self.seen_closed(fact.number, &payment.state, now),
            FactState::NotFound => Ok(self.seen_missing(fact.number, now)),
            FactState::Foreign(why) => Err(Rejection::PaymentMismatch(why)),
        }
    }

    fn money_came(
        &self,
        number: OutTradeNo,
        state: &PaymentState,
        capture: &Capture,
        now: Timestamp,
    ) -> Result<Vec<OrderEvent>, Rejection> {
        if matches!(state, PaymentState::Paid { .. } | PaymentState::PaidLate { .. }) {
            return Ok(vec![]);
        }
        Ok(match self.meets(Asked::Money { in_hand: self.money_in_hand() == Some(number) })? {
            Course::Goes | Course::AlreadySo => vec![],
            Course::Settles if self.boards_before(capture.paid_at.unwrap_or(now)) => {
                Order::end_with(number, capture.clone(), now)
            }
            Course::Settles => vec![Order::settle_with(number, capture.clone())],
            Course::ComesLate => self.late_money(number, capture, self.cancelled().map(|(_, why)| why), now),
        })
    }

    fn seen_unpaid(&self, number: OutTradeNo, now: Timestamp) -> Vec<OrderEvent> {
        if !self.is_live(number) {
            return vec![];
        }
        let close = Event::CloseStepped { step: CloseStep::Close }.into();
        match self.collecting.stage() {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded.into()],
            Stage::Closing { step: CloseStep::QueryFirst, .. } => vec![close],
            // Still open after the close: close again, later.
            Stage::Closing { step: CloseStep::QueryAgain, .. } => {
                vec![close, self.step_failed(PartName::Collecting, now)]
            }
            // An answer to a question of before, or none that matters here.
            Stage::Payable { polling: false, .. }
            | Stage::Closing { step: CloseStep::Close, .. }
            | Stage::Idle
            | Stage::Extending { .. }
            | Stage::Creating => vec![],
        }
    }

    fn seen_closed(
        &self,
        number: OutTradeNo,
        state: &PaymentState,
        now: Timestamp,
    ) -> Result<Vec<OrderEvent>, Rejection> {
        match state {
            PaymentState::Begun | PaymentState::Created(_) => {}
            PaymentState::Refused { .. } | PaymentState::Closed => return Ok(vec![]),
            // WeChat never closes what is paid: one of the two facts is wrong, and a person has to look.
            PaymentState::Paid { .. } | PaymentState::PaidLate { .. } => {
                return Err(Rejection::PaymentMismatch("closed, and it was paid"));
            }
        }
        let since = self.unpayable_since(now);
        Ok(match self.collecting.stage() {
            Stage::Closing { then, .. } => vec![payment_over(*then, number, since)],
            Stage::Payable { .. } | Stage::Creating => {
                vec![Order::end_at(CancelReason::Expired, since)]
            }
            // Its money is being settled, or its create call has not been made.
            Stage::Idle | Stage::Extending { .. } => vec![],
        })
    }

    /// The answer that nobody can pay any more was true when it was given: at some time since the question.
    fn unpayable_since(&self, now: Timestamp) -> Timestamp {
        self.calls.queried_at.map_or(now, |asked_at| asked_at.min(now))
    }

    /// WeChat does not know the number. That frees the seats only once no create call can arrive any more.
    fn seen_missing(&self, number: OutTradeNo, now: Timestamp) -> Vec<OrderEvent> {
        if !self.is_live(number) {
            return vec![];
        }
        let window_is_over = self.calls.created_at.is_none_or(|at| now >= at.plus_seconds(CREATE_WINDOW_SECONDS));
        match self.collecting.stage() {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded.into()],
            Stage::Closing { then, .. } if window_is_over => {
                vec![payment_over(*then, number, self.unpayable_since(now))]
            }
            Stage::Closing { .. } => vec![self.step_failed(PartName::Collecting, now)],
            // Nobody has asked, or it does not matter here.
            Stage::Payable { polling: false, .. } | Stage::Idle | Stage::Extending { .. } | Stage::Creating => vec![],
        }
    }
}

/// Nobody can pay it any more.
fn payment_over(then: AfterClose, number: OutTradeNo, at: Timestamp) -> OrderEvent {
    match then {
        AfterClose::Cancel(why) => Order::end_at(why, at),
        AfterClose::Stay => Event::Ended { number, at }.into(),
    }
}
