//! What WeChat says about a payment, whoever brought it: answer, callback or query (wechat.md R4, R5, R8).

use super::command::Event;
use super::{
    AfterClose, CancelReason, Capture, CloseStep, FactState, Order, OrderStatus, PaymentFact, PaymentState, Stage,
};
use crate::ids::OutTradeNo;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// The longest that a client may wait for WeChat.
pub const CALL_TIMEOUT_SECONDS_MAX: i64 = 30;
/// How long after the create call "not known" is no proof: the call may reach WeChat until its timeout, and the answer
/// to a query made before that may be under way for another.
const CREATE_WINDOW_SECONDS: i64 = 2 * CALL_TIMEOUT_SECONDS_MAX;

impl Order {
    pub(super) fn create_refused(&self, number: OutTradeNo, code: &str, may_exist: bool) -> Vec<Event> {
        if self.stage != Stage::Creating || !self.is_live(number) {
            return vec![];
        }
        if may_exist || self.create_unsure {
            // The number may be in use, by this call or an earlier one: only a query can tell what became of it.
            // Beginning anew could make two payments that the traveller can pay (wechat.md R1).
            return vec![Event::ClosingBegun { then: AfterClose::Cancel(CancelReason::Expired) }];
        }
        vec![Event::PaymentRefused { number, code: code.into() }]
    }

    pub(super) fn payment_fact(&self, fact: &PaymentFact, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let payment = self.payment(fact.number).ok_or(Rejection::PaymentMismatch("no such payment of this order"))?;
        match &fact.state {
            FactState::Paid(capture) => {
                if capture.amount != payment.total {
                    return Err(Rejection::PaymentMismatch("amount or currency"));
                }
                if capture.payer.is_some_and(|payer| payer != self.draft.traveller) {
                    return Err(Rejection::PaymentMismatch("another payer"));
                }
                Ok(self.money_came(fact.number, &payment.state, capture, now))
            }
            FactState::NotPaid => Ok(self.seen_unpaid(fact.number, now)),
            FactState::Closed => self.seen_closed(fact.number, &payment.state, now),
            FactState::NotFound => Ok(self.seen_missing(fact.number, now)),
            FactState::Foreign(why) => Err(Rejection::PaymentMismatch(why)),
        }
    }

    /// Success always wins over what we thought (wechat.md R4), once per payment.
    fn money_came(&self, number: OutTradeNo, state: &PaymentState, capture: &Capture, now: Timestamp) -> Vec<Event> {
        if matches!(state, PaymentState::Paid { .. } | PaymentState::PaidLate { .. }) {
            return vec![];
        }
        match (&self.status, &self.stage) {
            (
                OrderStatus::Pending,
                Stage::Settling { capture: Some((first, _)), .. } | Stage::Releasing { capture: Some((first, _)), .. },
            ) if *first == number => vec![],
            // Another attempt was paid as well, while the first money is being settled.
            (OrderStatus::Pending, Stage::Settling { .. } | Stage::Releasing { capture: Some(_), .. }) => {
                self.late_money(number, capture, None, now)
            }
            (
                OrderStatus::Pending,
                Stage::Releasing { capture: None, .. }
                | Stage::Placing { .. }
                | Stage::Undoing { .. }
                | Stage::Refused { .. }
                | Stage::Open
                | Stage::Extending { .. }
                | Stage::Creating
                | Stage::Payable { .. }
                | Stage::Closing { .. }
                | Stage::Seeking { .. }
                | Stage::Reviving { .. }
                | Stage::GivingBack { .. }
                | Stage::Refunding { .. }
                | Stage::Done,
            ) => {
                vec![Event::SettlingBegun { capture: Some((number, capture.clone())) }]
            }
            // Money after the cancellation, or a second time.
            (OrderStatus::Cancelled | OrderStatus::Paid | OrderStatus::Completed, _) => {
                self.late_money(number, capture, self.cancelled.map(|(_, why)| why), now)
            }
        }
    }

    fn seen_unpaid(&self, number: OutTradeNo, now: Timestamp) -> Vec<Event> {
        if !self.is_live(number) {
            return vec![];
        }
        match &self.stage {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded],
            Stage::Closing { step: CloseStep::QueryFirst, .. } => vec![Event::CloseStepped { step: CloseStep::Close }],
            // Still open after the close: close again, later.
            Stage::Closing { step: CloseStep::QueryAgain, .. } => {
                vec![Event::CloseStepped { step: CloseStep::Close }, self.step_failed(now)]
            }
            // An answer to a question of before, or none that matters here.
            Stage::Payable { polling: false, .. }
            | Stage::Closing { step: CloseStep::Close, .. }
            | Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. }
            | Stage::Done => vec![],
        }
    }

    fn seen_closed(&self, number: OutTradeNo, state: &PaymentState, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match state {
            PaymentState::Begun | PaymentState::Created(_) => {}
            PaymentState::Refused { .. } | PaymentState::Closed => return Ok(vec![]),
            // WeChat never closes what is paid: one of the two facts is wrong, and a person has to look.
            PaymentState::Paid { .. } | PaymentState::PaidLate { .. } => {
                return Err(Rejection::PaymentMismatch("closed, and it was paid"));
            }
        }
        Ok(match &self.stage {
            Stage::Closing { then, .. } => vec![payment_over(*then, number, self.unpayable_since(now))],
            Stage::Payable { .. } | Stage::Creating => {
                vec![Event::ReleaseBegun { why: CancelReason::Expired, at: self.unpayable_since(now) }]
            }
            // Its end is under way already, or its create call has not been made.
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. }
            | Stage::Done => vec![],
        })
    }

    /// The answer that nobody can pay any more was true when it was given: at some time since the question.
    fn unpayable_since(&self, now: Timestamp) -> Timestamp {
        self.query_called_at.map_or(now, |asked_at| asked_at.min(now))
    }

    /// WeChat does not know the number. That frees the seats only once no create call can arrive any more.
    fn seen_missing(&self, number: OutTradeNo, now: Timestamp) -> Vec<Event> {
        if !self.is_live(number) {
            return vec![];
        }
        let window_is_over = self.create_called_at.is_none_or(|at| now >= at.plus_seconds(CREATE_WINDOW_SECONDS));
        match &self.stage {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded],
            Stage::Closing { then, .. } if window_is_over => {
                vec![payment_over(*then, number, self.unpayable_since(now))]
            }
            Stage::Closing { .. } => vec![self.step_failed(now)],
            // Nobody has asked, or it does not matter here.
            Stage::Payable { polling: false, .. }
            | Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. }
            | Stage::Done => vec![],
        }
    }
}

/// Nobody can pay it any more.
fn payment_over(then: AfterClose, number: OutTradeNo, now: Timestamp) -> Event {
    match then {
        AfterClose::Cancel(why) => Event::ReleaseBegun { why, at: now },
        AfterClose::Stay => Event::PaymentEnded { number, at: now },
    }
}
