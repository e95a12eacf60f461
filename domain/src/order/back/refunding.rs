//! Refunds of an order: money that goes back through WeChat, one call at a time, each under a number that never
//! changes (wechat.md R8 to R10, section 4; R-PAY-09).
//!
//! A refund is due from the moment a record says so. Its exact body is recorded before the call; a call without an
//! answer is asked about before it is repeated, and is repeated with the same bytes; only a refund that WeChat has
//! closed without paying gets a successor under a new number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Command, Event};
use crate::ids::{OutRefundNo, OutTradeNo};
use crate::money::Money;
use crate::order::meeting::Asked;
use crate::order::part::PartName;
use crate::order::payment::PaymentState;
use crate::order::refund::{
    REFUNDS_MAX, Refund, RefundFact, RefundFactState, RefundReason, RefundState, RefundStatus, RefundStep, RefundTerms,
};
use crate::order::rows::Touched;
use crate::order::{CallFailure, Effect, Event as OrderEvent, Order};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// WeChat wants refunds of one transaction to be this far apart.
const SPACING_SECONDS: i64 = 60;
/// An accepted refund is asked about this long after it was begun; after the last, in pauses of the last.
const ASK_AFTER_SECONDS: [i64; 8] = [60, 120, 180, 240, 300, 600, 1_200, 1_800];
/// A refund that needs a person is asked about this often: somebody may have mended it at WeChat.
const STUCK_SECONDS: i64 = 30 * 60;

/// What is being done about refunds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// The refund whose turn it is.
    pub(super) step: Option<(OutRefundNo, RefundStep)>,
    /// When WeChat last heard of a refund. After a restart it is asked at once.
    asked_at: Vec<(OutRefundNo, Timestamp)>,
}

impl Stage {
    fn asked_at(&self, number: OutRefundNo) -> Option<Timestamp> {
        self.asked_at.iter().find(|(asked, _)| *asked == number).map(|(_, at)| *at)
    }

    fn set_asked(&mut self, number: OutRefundNo, at: Option<Timestamp>) {
        self.asked_at.retain(|(asked, _)| *asked != number);
        self.asked_at.extend(at.map(|at| (number, at)));
    }
}

impl Order {
    pub(in crate::order) fn back_decides(
        &self,
        command: &Command,
        now: Timestamp,
    ) -> Result<Vec<OrderEvent>, Rejection> {
        self.meets(Asked::Refund)?;
        match command {
            Command::BeginRefund { number, body } => Ok(self.begin_refund(*number, body, now)),
            Command::RefundRefused { number, code } => Ok(self.refund_refused(*number, code)),
            Command::RefundCallFailed { number, why } => Ok(self.refund_call_failed(*number, *why, now)),
            Command::RefundFact(fact) => self.refund_fact(fact, now),
            Command::RetryRefund { number } => self.retry_refund(*number, now),
        }
    }

    pub fn refund(&self, number: OutRefundNo) -> Option<&Refund> {
        self.refunds().iter().find(|refund| refund.number == number)
    }

    /// The refunds that count, in the order of their numbers: without those that WeChat closed and another one replaced,
    /// so that their amounts add up to what goes back.
    pub fn shown_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds().iter().filter(|refund| !self.is_replaced(refund))
    }

    /// A new refund; `after` others that are decided with it.
    pub(in crate::order) fn refund_of(
        &self,
        payment: OutTradeNo,
        amount: Money,
        reason: RefundReason,
        now: Timestamp,
        after: usize,
    ) -> Refund {
        let number = (self.refunds().len() + after + 1) as u16;
        Refund {
            number: OutRefundNo { order: self.id(), number },
            payment,
            amount,
            reason,
            due_at: now,
            begun_at: None,
            body: Arc::default(),
            state: RefundState::Due,
            replaces: None,
        }
    }

    /// The same money under a new number.
    fn successor(&self, closed: &Refund, now: Timestamp) -> OrderEvent {
        let next = self.refund_of(closed.payment, closed.amount, closed.reason, now, 0);
        Event::RefundDue { refund: Refund { replaces: Some(closed.number), ..next } }.into()
    }

    /// The terms of a refund that is due.
    pub fn refund_terms(&self, number: OutRefundNo) -> Option<RefundTerms> {
        let refund = self.refund(number)?;
        let payment = self.payment(refund.payment)?;
        let (PaymentState::Paid { transaction_id } | PaymentState::PaidLate { transaction_id, .. }) = &payment.state
        else {
            return None;
        };
        Some(RefundTerms {
            number,
            payment: refund.payment,
            transaction_id: transaction_id.clone(),
            amount: refund.amount,
            total: payment.total,
            reason: refund.reason,
        })
    }

    /// When something is to be done about a refund next, and what: one at a time, in the order of their numbers when
    /// several are due.
    fn refund_plan(&self) -> Option<(Timestamp, OutRefundNo, RefundStep)> {
        let last_begun = self.refunds().iter().filter_map(|refund| refund.begun_at).max();
        let outstanding = self.refunds().iter().filter(|refund| refund.state.is_outstanding());
        let plans = outstanding.map(|refund| {
            let begun_at = refund.begun_at.unwrap_or(refund.due_at);
            let asked_at = self.refunding.stage().asked_at(refund.number);
            let again = |seconds| asked_at.map_or(begun_at, |at| at.plus_seconds(seconds));
            let (at, step) = match &refund.state {
                RefundState::Due => {
                    let spaced = last_begun.map_or(refund.due_at, |at| at.plus_seconds(SPACING_SECONDS));
                    (spaced.max(refund.due_at), RefundStep::Begin)
                }
                // Its call was interrupted.
                RefundState::Begun => (again(SPACING_SECONDS), RefundStep::Ask),
                RefundState::Processing { .. } => {
                    (asked_at.map_or(begun_at, |at| next_ask(begun_at, at)), RefundStep::Ask)
                }
                RefundState::Refused { .. } | RefundState::Abnormal { .. } => (again(STUCK_SECONDS), RefundStep::Ask),
                RefundState::Succeeded { .. } | RefundState::Closed { .. } => (Timestamp::MAX, RefundStep::Ask),
            };
            (at, refund.number, step)
        });
        plans.min_by_key(|(at, number, _)| (*at, *number))
    }

    fn does(&self, number: OutRefundNo, step: RefundStep) -> bool {
        self.refunding.stage().step == Some((number, step))
    }

    fn is_refunding(&self, number: OutRefundNo) -> bool {
        self.refunding.stage().step.is_some_and(|(current, _)| current == number)
    }

    fn begin_refund(&self, number: OutRefundNo, body: &Arc<[u8]>, now: Timestamp) -> Vec<OrderEvent> {
        let due = self.refund(number).is_some_and(|refund| refund.state == RefundState::Due);
        if due && self.does(number, RefundStep::Begin) {
            vec![Event::RefundBegun { number, body: Arc::clone(body), at: now }.into()]
        } else {
            vec![]
        }
    }

    /// WeChat refused the call: nothing has moved.
    fn refund_refused(&self, number: OutRefundNo, code: &str) -> Vec<OrderEvent> {
        if !self.does(number, RefundStep::Call) {
            return vec![];
        }
        vec![Event::RefundMoved { number, state: RefundState::Refused { code: code.into() } }.into()]
    }

    fn refund_call_failed(&self, number: OutRefundNo, why: CallFailure, now: Timestamp) -> Vec<OrderEvent> {
        if self.is_refunding(number) { vec![self.call_failed(PartName::Refunding, why, now)] } else { vec![] }
    }

    /// A person wants a stuck refund to be tried again now.
    /// Its turn comes as soon as that of no other refund is.
    fn retry_refund(&self, number: OutRefundNo, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        let refund = self.refund(number).ok_or(Rejection::RefundNotFound)?;
        if self.is_given_up(refund) {
            return Ok(vec![self.successor(refund, now)]);
        }
        if !refund.state.is_stuck() {
            return Err(Rejection::RefundNotStuck);
        }
        Ok(vec![Event::RefundRetried { number }.into()])
    }

    /// One function for every source of facts (wechat.md R9).
    fn refund_fact(&self, fact: &RefundFact, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        use RefundState::{Abnormal, Begun, Closed, Due, Processing, Refused, Succeeded};

        let number = fact.number;
        let refund = self.refund(number).ok_or(Rejection::PaymentMismatch("no such refund of this order"))?;
        let known = match &fact.state {
            RefundFactState::Known(known) => known,
            RefundFactState::NotFound => return self.refund_missing(refund),
            RefundFactState::Foreign(why) => return Err(Rejection::PaymentMismatch(why)),
        };
        if known.payment != refund.payment {
            return Err(Rejection::PaymentMismatch("a refund of another payment"));
        }
        if known.amount != refund.amount {
            return Err(Rejection::PaymentMismatch("the refund's amount or currency"));
        }
        let refund_id = known.refund_id.clone();
        let moved = |state| Ok(vec![Event::RefundMoved { number, state }.into()]);
        match (&refund.state, known.status) {
            (Due | Begun | Refused { .. }, RefundStatus::Processing) => moved(Processing { refund_id }),
            // It had to be mended at WeChat, and is under way again.
            (Processing { .. } | Abnormal { .. }, RefundStatus::Processing)
            | (Abnormal { .. }, RefundStatus::Abnormal) => Ok(self.refund_asked(number)),
            (Due | Begun | Refused { .. } | Processing { .. } | Abnormal { .. }, RefundStatus::Success) => {
                moved(Succeeded { refund_id, at: now })
            }
            (Due | Begun | Refused { .. } | Processing { .. }, RefundStatus::Abnormal) => moved(Abnormal { refund_id }),
            (Due | Begun | Refused { .. } | Processing { .. } | Abnormal { .. }, RefundStatus::Closed) => {
                Ok(self.refund_closed(refund, refund_id, now))
            }
            // Old news: a terminal state is never overwritten.
            (Succeeded { .. }, RefundStatus::Processing | RefundStatus::Success)
            | (Closed { .. }, RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Closed) => Ok(vec![]),
            (Succeeded { .. }, RefundStatus::Closed | RefundStatus::Abnormal) => {
                Err(Rejection::PaymentMismatch("a refund that had succeeded has not"))
            }
            // Its successor may have paid too: a person has to look.
            (Closed { .. }, RefundStatus::Success) => {
                Err(Rejection::PaymentMismatch("a refund that was closed has succeeded"))
            }
        }
    }

    /// WeChat closed it without paying: the same money goes back under a new number.
    fn refund_closed(&self, refund: &Refund, refund_id: Box<str>, now: Timestamp) -> Vec<OrderEvent> {
        let closed = RefundState::Closed { refund_id };
        let mut events = vec![Event::RefundMoved { number: refund.number, state: closed }.into()];
        if self.refunds().len() < REFUNDS_MAX {
            events.push(self.successor(refund, now));
        }
        events
    }

    /// WeChat closed it without paying, and nothing has taken its place: there had been too many.
    fn is_given_up(&self, refund: &Refund) -> bool {
        matches!(refund.state, RefundState::Closed { .. }) && !self.is_replaced(refund)
    }

    fn is_replaced(&self, refund: &Refund) -> bool {
        self.refunds().iter().any(|other| other.replaces == Some(refund.number))
    }

    fn refund_missing(&self, refund: &Refund) -> Result<Vec<OrderEvent>, Rejection> {
        let number = refund.number;
        match refund.state {
            RefundState::Begun | RefundState::Refused { .. } => {
                let asking = self.does(number, RefundStep::Ask);
                Ok(if asking { vec![Event::RefundUnknown { number }.into()] } else { vec![] })
            }
            RefundState::Due => Ok(vec![]),
            RefundState::Processing { .. }
            | RefundState::Abnormal { .. }
            | RefundState::Succeeded { .. }
            | RefundState::Closed { .. } => {
                Err(Rejection::PaymentMismatch("a refund that WeChat had accepted is not known there"))
            }
        }
    }

    /// Nothing new: the step is over all the same.
    fn refund_asked(&self, number: OutRefundNo) -> Vec<OrderEvent> {
        if self.is_refunding(number) { vec![Event::RefundStepEnded.into()] } else { vec![] }
    }

    pub(in crate::order) fn refunding_wakes(&self, now: Timestamp) -> Option<OrderEvent> {
        let idle = self.refunding.stage().step.is_none();
        let (_, number, step) = self.refund_plan().filter(|(at, ..)| idle && now >= *at)?;
        Some(Event::RefundStepBegun { number, step, at: now }.into())
    }

    pub(in crate::order) fn refunding_deadline(&self) -> Option<Timestamp> {
        match self.refunding.stage().step {
            Some(_) => self.refunding.retry.at(),
            None => self.refund_plan().map(|(at, ..)| at),
        }
    }

    pub(in crate::order) fn refunding_effect(&self) -> Option<Effect> {
        let (number, step) = self.refunding.stage().step?;
        Some(match step {
            RefundStep::Begin => Effect::BeginRefund { number },
            RefundStep::Call => Effect::CallRefund { number, body: Arc::clone(&self.refund(number)?.body) },
            RefundStep::Ask => Effect::QueryRefund { number },
        })
    }

    pub(in crate::order) fn back_evolves(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::HoldReleased => self.giving_goes_on(),
            Event::HoldFoundConfirmed => self.giving_found_confirmed(),
            Event::RefundDue { refund } => self.saved.refund_due(refund, touched),
            Event::RefundRetried { number } => self.refunding.note(|stage| stage.set_asked(*number, None)),
            Event::RefundStepBegun { number, step, at } => {
                self.refund_goes_to(*number, Some(*step), (*step == RefundStep::Ask).then_some(*at));
            }
            Event::RefundBegun { number, body, at } => {
                self.saved.refund_begun(*number, body, *at, touched);
                self.refund_goes_to(*number, Some(RefundStep::Call), Some(*at));
            }
            Event::RefundUnknown { number } => self.refund_goes_to(*number, Some(RefundStep::Call), None),
            Event::RefundStepEnded => self.refunding.step(|stage| stage.step = None),
            Event::RefundMoved { number, state } => {
                self.saved.refund_moved(*number, state, touched);
                if self.is_refunding(*number) {
                    self.refund_goes_to(*number, None, None);
                }
            }
        }
    }

    /// `asked_at`: WeChat hears of it with this.
    fn refund_goes_to(&mut self, number: OutRefundNo, step: Option<RefundStep>, asked_at: Option<Timestamp>) {
        self.refunding.step(|stage| {
            stage.step = step.map(|step| (number, step));
            if asked_at.is_some() {
                stage.set_asked(number, asked_at);
            }
        });
    }

    /// Nobody knows whether the call arrived: it is asked about before it is repeated (wechat.md R9).
    pub(in crate::order) fn refund_step_failed(&mut self) {
        self.refunding.note(|stage| {
            if let Some((_, step @ RefundStep::Call)) = &mut stage.step {
                *step = RefundStep::Ask;
            }
        });
    }
}

/// The first instant of the schedule after `asked_at`.
fn next_ask(begun_at: Timestamp, asked_at: Timestamp) -> Timestamp {
    let planned = ASK_AFTER_SECONDS.iter().map(|seconds| begun_at.plus_seconds(*seconds));
    let longest = ASK_AFTER_SECONDS.last().copied().unwrap_or(STUCK_SECONDS);
    planned.into_iter().find(|at| *at > asked_at).unwrap_or_else(|| asked_at.plus_seconds(longest))
}
