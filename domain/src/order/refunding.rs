//! Refunds of an order: money that goes back through WeChat, one call at a time, each under a number that never
//! changes (wechat.md R8 to R10, section 4; R-PAY-09).
//!
//! A refund is due from the moment a record says so. Its exact body is recorded before the call; a call without an
//! answer is asked about before it is repeated, and is repeated with the same bytes; only a refund that WeChat has
//! closed without paying gets a successor under a new number.

use std::sync::Arc;

use super::command::{CallFailure, Event};
use super::payment::PaymentState;
use super::refund::{
    REFUNDS_MAX, Refund, RefundFact, RefundFactState, RefundReason, RefundState, RefundStatus, RefundStep, RefundTerms,
};
use super::{Order, Stage};
use crate::ids::{OutRefundNo, OutTradeNo};
use crate::money::Money;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// WeChat wants refunds of one transaction to be this far apart.
const SPACING_SECONDS: i64 = 60;
/// An accepted refund is asked about this long after it was begun; after the last, in pauses of the last.
const ASK_AFTER_SECONDS: [i64; 8] = [60, 120, 180, 240, 300, 600, 1_200, 1_800];
/// A refund that needs a person is asked about this often: somebody may have mended it at WeChat.
const STUCK_SECONDS: i64 = 30 * 60;

impl Order {
    pub fn refund(&self, number: OutRefundNo) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.number == number)
    }

    /// The refunds that count, in the order of their numbers: without those that WeChat closed and another one replaced,
    /// so that their amounts add up to what goes back.
    pub fn shown_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(|refund| !self.is_replaced(refund))
    }

    /// A new refund; `after` others that are decided with it.
    pub(super) fn refund_of(
        &self,
        payment: OutTradeNo,
        amount: Money,
        reason: RefundReason,
        now: Timestamp,
        after: usize,
    ) -> Refund {
        let number = (self.refunds.len() + after + 1) as u16;
        Refund {
            number: OutRefundNo { order: self.draft.id, number },
            payment,
            amount,
            reason,
            due_at: now,
            begun_at: None,
            body: Arc::default(),
            state: RefundState::Due,
            replaces: None,
            asked_at: None,
        }
    }

    /// The same money under a new number.
    fn successor(&self, closed: &Refund, now: Timestamp) -> Event {
        let next = self.refund_of(closed.payment, closed.amount, closed.reason, now, 0);
        Event::RefundDue { refund: Refund { replaces: Some(closed.number), ..next } }
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
    pub(super) fn refund_plan(&self) -> Option<(Timestamp, OutRefundNo, RefundStep)> {
        let last_begun = self.refunds.iter().filter_map(|refund| refund.begun_at).max();
        let outstanding = self.refunds.iter().filter(|refund| refund.state.is_outstanding());
        let plans = outstanding.map(|refund| {
            let begun_at = refund.begun_at.unwrap_or(refund.due_at);
            let again = |seconds| refund.asked_at.map_or(begun_at, |at| at.plus_seconds(seconds));
            let (at, step) = match &refund.state {
                RefundState::Due => {
                    let spaced = last_begun.map_or(refund.due_at, |at| at.plus_seconds(SPACING_SECONDS));
                    (spaced.max(refund.due_at), RefundStep::Begin)
                }
                // Its call was interrupted.
                RefundState::Begun => (again(SPACING_SECONDS), RefundStep::Ask),
                RefundState::Processing { .. } => {
                    (refund.asked_at.map_or(begun_at, |at| next_ask(begun_at, at)), RefundStep::Ask)
                }
                RefundState::Refused { .. } | RefundState::Abnormal { .. } => (again(STUCK_SECONDS), RefundStep::Ask),
                RefundState::Succeeded { .. } | RefundState::Closed { .. } => (Timestamp::MAX, RefundStep::Ask),
            };
            (at, refund.number, step)
        });
        plans.min_by_key(|(at, number, _)| (*at, *number))
    }

    pub(super) fn begin_refund(&self, number: OutRefundNo, body: &Arc<[u8]>, now: Timestamp) -> Vec<Event> {
        let wanted = self.stage == Stage::Refunding { number, step: RefundStep::Begin };
        let due = self.refund(number).is_some_and(|refund| refund.state == RefundState::Due);
        if wanted && due { vec![Event::RefundBegun { number, body: Arc::clone(body), at: now }] } else { vec![] }
    }

    /// WeChat refused the call: nothing has moved.
    pub(super) fn refund_refused(&self, number: OutRefundNo, code: &str) -> Vec<Event> {
        if self.stage != (Stage::Refunding { number, step: RefundStep::Call }) {
            return vec![];
        }
        vec![Event::RefundMoved { number, state: RefundState::Refused { code: code.into() } }]
    }

    pub(super) fn refund_call_failed(&self, number: OutRefundNo, why: CallFailure, now: Timestamp) -> Vec<Event> {
        if self.is_refunding(number) { vec![self.call_failed(why, now)] } else { vec![] }
    }

    /// A person wants a stuck refund to be tried again now.
    /// Its turn comes as soon as nothing else is being done.
    pub(super) fn retry_refund(&self, number: OutRefundNo, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let refund = self.refund(number).ok_or(Rejection::RefundNotFound)?;
        if self.is_given_up(refund) {
            return Ok(vec![self.successor(refund, now)]);
        }
        if !refund.state.is_stuck() {
            return Err(Rejection::RefundNotStuck);
        }
        Ok(vec![Event::RefundRetried { number }])
    }

    /// One function for every source of facts (wechat.md R9).
    pub(super) fn refund_fact(&self, fact: &RefundFact, now: Timestamp) -> Result<Vec<Event>, Rejection> {
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
        let moved = |state| Ok(vec![Event::RefundMoved { number, state }]);
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
    fn refund_closed(&self, refund: &Refund, refund_id: Box<str>, now: Timestamp) -> Vec<Event> {
        let mut events = vec![Event::RefundMoved { number: refund.number, state: RefundState::Closed { refund_id } }];
        if self.refunds.len() < REFUNDS_MAX {
            events.push(self.successor(refund, now));
        }
        events
    }

    /// WeChat closed it without paying, and nothing has taken its place: there had been too many.
    fn is_given_up(&self, refund: &Refund) -> bool {
        matches!(refund.state, RefundState::Closed { .. }) && !self.is_replaced(refund)
    }

    fn is_replaced(&self, refund: &Refund) -> bool {
        self.refunds.iter().any(|other| other.replaces == Some(refund.number))
    }

    fn refund_missing(&self, refund: &Refund) -> Result<Vec<Event>, Rejection> {
        let number = refund.number;
        match refund.state {
            RefundState::Begun | RefundState::Refused { .. } => {
                let asking = self.stage == Stage::Refunding { number, step: RefundStep::Ask };
                Ok(if asking { vec![Event::RefundUnknown { number }] } else { vec![] })
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

    pub(super) fn is_refunding(&self, number: OutRefundNo) -> bool {
        matches!(&self.stage, Stage::Refunding { number: current, .. } if *current == number)
    }

    /// Nothing new: the step is over all the same.
    fn refund_asked(&self, number: OutRefundNo) -> Vec<Event> {
        if self.is_refunding(number) { vec![Event::RefundStepEnded] } else { vec![] }
    }
}

/// The first instant of the schedule after `asked_at`.
fn next_ask(begun_at: Timestamp, asked_at: Timestamp) -> Timestamp {
    let planned = ASK_AFTER_SECONDS.iter().map(|seconds| begun_at.plus_seconds(*seconds));
    let longest = ASK_AFTER_SECONDS.last().copied().unwrap_or(STUCK_SECONDS);
    planned.into_iter().find(|at| *at > asked_at).unwrap_or_else(|| asked_at.plus_seconds(longest))
}
