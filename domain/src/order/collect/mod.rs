//! Collecting: the one payment that is alive. Its record comes first, then the departures are told to keep the seats, then
//! WeChat is called; it is looked up on a schedule, and ended at WeChat before anybody else may have the seats
//! (wechat.md R1 to R8).

mod facts;
mod terms;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use facts::CALL_TIMEOUT_SECONDS_MAX;
pub use terms::{PAYMENT_ATTEMPTS_MAX, PaymentPolicy, PaymentTerms};

use super::claim::{HoldAnswer, HoldStep, StepFailure};
use super::part::PartName;
use super::payment::{Payment, PaymentFact, PaymentState, Prepay};
use super::rows::Touched;
use super::{CallFailure, CancelReason, Effect, Event as OrderEvent, Order};
use crate::ids::OutTradeNo;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// A payment without an answer is looked up this many seconds after it was created (wechat.md R7); after the last,
/// the end of payment is waited for.
const POLL_AFTER_SECONDS: [i64; 7] = [5, 30, 60, 180, 300, 600, 1800];

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A payment on these terms; `body` is the exact create call.
    Begin {
        terms: PaymentTerms,
        body: Arc<[u8]>,
    },
    /// The create call is about to be made: told before each call, also a repeated one.
    CreateCalled,
    /// WeChat is about to be asked about the payment: told before each query, also a repeated one.
    QueryCalled,
    Created {
        number: OutTradeNo,
        prepay: Prepay,
    },
    /// WeChat refused for good. `may_exist` when the refusal suggests that the number is known there.
    CreateRefused {
        number: OutTradeNo,
        code: Box<str>,
        may_exist: bool,
    },
    /// WeChat answered the close call. No proof: a query follows (wechat.md R3).
    CloseAnswered {
        number: OutTradeNo,
    },
    /// A call about a payment ended without an answer that the order can use.
    CallFailed {
        number: OutTradeNo,
        why: CallFailure,
    },
    /// What WeChat says. A fact that does not match the order is rejected and changes nothing; if a query of ours
    /// brought it, the caller reports [`Command::CallFailed`] as well, so that the query is repeated with pauses.
    Fact(PaymentFact),
}

/// Those marked *memory* leave no row: they are progress that can be repeated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Begun {
        terms: PaymentTerms,
        body: Arc<[u8]>,
        at: Timestamp,
    },
    /// Memory.
    HoldPaying,
    /// Memory.
    CreateCalled {
        at: Timestamp,
    },
    Created {
        number: OutTradeNo,
        prepay: Prepay,
    },
    Refused {
        number: OutTradeNo,
        code: Box<str>,
    },
    /// Memory.
    QueryCalled {
        at: Timestamp,
    },
    /// Memory.
    PollBegun,
    /// Memory.
    PollEnded,
    /// Memory.
    ClosingBegun {
        then: AfterClose,
    },
    /// Memory.
    CloseStepped {
        step: CloseStep,
    },
    /// Beside an attempt whose money came: nobody can pay this one any more.
    Ended {
        number: OutTradeNo,
        at: Timestamp,
    },
}

/// What is being done about the payment that is alive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// There is none, or its money is there.
    Idle,
    /// It has begun: departures are told to keep the seats.
    Extending { next: usize },
    /// Seats are kept: the create call is under way or to be repeated.
    Creating,
    /// The traveller can pay. `polls` have been made; `polling` while one is under way.
    Payable { polls: u32, polling: bool },
    /// It is being ended at WeChat: query, close, query (wechat.md R3).
    Closing { then: AfterClose, step: CloseStep },
}

/// What ending a payment at WeChat is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AfterClose {
    /// The order ends with it.
    Cancel(CancelReason),
    /// Another attempt pays the order: nobody shall pay this one too.
    Stay,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CloseStep {
    QueryFirst,
    Close,
    QueryAgain,
}

/// Calls about the live payment, as far as memory knows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    /// When the create call was last started: until its window is over, WeChat may still learn of the payment.
    pub created_at: Option<Timestamp>,
    /// An earlier create call ended without an answer: it may have reached WeChat.
    pub unsure: bool,
    /// When WeChat was last asked about it.
    pub queried_at: Option<Timestamp>,
}

impl Stage {
    /// As rows tell it: a live payment is asked about at once.
    pub fn at_waking(live: Option<&Payment>, is_pending: bool, now: Timestamp) -> Stage {
        let Some(payment) = live else { return Stage::Idle };
        if !is_pending {
            return Stage::Closing { then: AfterClose::Stay, step: CloseStep::QueryFirst };
        }
        if now >= payment.time_expire {
            let then = AfterClose::Cancel(CancelReason::Expired);
            return Stage::Closing { then, step: CloseStep::QueryFirst };
        }
        match payment.state {
            PaymentState::Created(_) => Stage::Payable { polls: polls_until(payment.begun_at, now), polling: true },
            PaymentState::Begun
            // A live payment is in none of these.
            | PaymentState::Refused { .. }
            | PaymentState::Closed
            | PaymentState::Paid { .. }
            | PaymentState::PaidLate { .. } => Stage::Extending { next: 0 },
        }
    }
}

impl Order {
    /// The payment that the traveller may still be able to pay.
    pub fn live_payment(&self) -> Option<&Payment> {
        self.payments().iter().find(|payment| payment.state.is_alive())
    }

    /// The payment with this number.
    pub fn payment(&self, number: OutTradeNo) -> Option<&Payment> {
        self.payments().iter().find(|payment| payment.number == number)
    }

    fn is_live(&self, number: OutTradeNo) -> bool {
        self.payment(number).is_some_and(|payment| payment.state.is_alive())
    }

    pub(super) fn collect_decides(&self, command: &Command, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        let stage = self.collecting.stage();
        Ok(match command {
            Command::Begin { terms, body } => {
                self.check_payable(now)?;
                self.check_terms(terms, now)?;
                vec![Event::Begun { terms: *terms, body: Arc::clone(body), at: now }.into()]
            }
            Command::CreateCalled => only_if(self.live_payment().is_some(), Event::CreateCalled { at: now }),
            Command::QueryCalled => only_if(self.live_payment().is_some(), Event::QueryCalled { at: now }),
            Command::Created { number, prepay } => {
                let waiting = *stage == Stage::Creating && self.is_live(*number);
                only_if(waiting, Event::Created { number: *number, prepay: prepay.clone() })
            }
            Command::CreateRefused { number, code, may_exist } => self.create_refused(*number, code, *may_exist),
            Command::CloseAnswered { number } => {
                let waiting = matches!(stage, Stage::Closing { step: CloseStep::Close, .. });
                only_if(waiting && self.is_live(*number), Event::CloseStepped { step: CloseStep::QueryAgain })
            }
            Command::CallFailed { number, why } => {
                let calling = match stage {
                    Stage::Creating | Stage::Payable { polling: true, .. } | Stage::Closing { .. } => true,
                    Stage::Idle | Stage::Extending { .. } | Stage::Payable { polling: false, .. } => false,
                };
                only_if(calling && self.is_live(*number), self.call_failed(PartName::Collecting, *why, now))
            }
            Command::Fact(fact) => self.payment_fact(fact, now)?,
        })
    }

    /// A departure has kept the seats for the payment, or not.
    pub(super) fn collect_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<OrderEvent> {
        let wanted = answer.step == HoldStep::BeginPaying
            && *self.collecting.stage() == (Stage::Extending { next: answer.claim });
        match &answer.result {
            _ if !wanted => vec![],
            Ok(_) => vec![Event::HoldPaying.into()],
            Err(StepFailure::Refused(refused)) => vec![self.lose_seats(refused, now)],
            Err(StepFailure::Unavailable) => vec![self.step_failed(PartName::Collecting, now)],
        }
    }

    pub(super) fn collect_wakes(&self, now: Timestamp) -> Option<OrderEvent> {
        let payment = self.live_payment()?;
        match self.collecting.stage() {
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. } if now >= payment.time_expire => {
                Some(self.end_payment(CancelReason::Expired, now))
            }
            Stage::Payable { polls, polling: false } => {
                poll_at(payment.begun_at, *polls).filter(|at| now >= *at).map(|_| Event::PollBegun.into())
            }
            // It is too early, or an answer is waited for.
            Stage::Idle
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Payable { polling: true, .. }
            | Stage::Closing { .. } => None,
        }
    }

    pub(super) fn collect_deadline(&self) -> Option<Timestamp> {
        let retry_at = self.collecting.retry.at();
        let next = match self.collecting.stage() {
            Stage::Idle | Stage::Closing { .. } => return retry_at,
            Stage::Payable { polls, polling: false } => poll_at(self.live_payment()?.begun_at, *polls),
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { polling: true, .. } => retry_at,
        };
        // However the step under way goes, and however long its repetition is put off: a payment's end is its end.
        next.into_iter().chain(self.live_payment().map(|payment| payment.time_expire)).min()
    }

    pub(super) fn collect_effect(&self) -> Option<Effect> {
        let stage = self.collecting.stage();
        if matches!(stage, Stage::Idle | Stage::Payable { polling: false, .. }) {
            return None;
        }
        let payment = self.live_payment()?;
        let number = payment.number;
        Some(match stage {
            Stage::Extending { next } => {
                let (hold, epoch, expires_at) = (self.hold(*next), self.seat_epoch(), payment.hold_expires_at);
                Effect::BeginPaying { claim: *next, hold, epoch, expires_at }
            }
            Stage::Creating => Effect::CreatePayment { number, body: Arc::clone(&payment.body) },
            Stage::Payable { .. } | Stage::Closing { step: CloseStep::QueryFirst | CloseStep::QueryAgain, .. } => {
                Effect::QueryPayment { number }
            }
            Stage::Closing { step: CloseStep::Close, .. } => Effect::ClosePayment { number },
            Stage::Idle => return None,
        })
    }

    pub(super) fn collect_evolves(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::Begun { terms, body, at } => {
                self.saved.payment_begun(terms.payment(body, *at), touched);
                self.calls = Calls::default();
                self.collecting.advance_to(Stage::Extending { next: 0 });
            }
            Event::HoldPaying => {
                let claims = self.claims();
                self.collecting.step(|stage| {
                    if let Stage::Extending { next } = *stage {
                        let next = next + 1;
                        *stage = if next < claims { Stage::Extending { next } } else { Stage::Creating };
                    }
                });
            }
            Event::CreateCalled { at } => {
                self.calls.unsure = self.calls.created_at.is_some();
                self.calls.created_at = Some(*at);
            }
            Event::Created { number, prepay } => {
                self.saved.set_payment(*number, PaymentState::Created(prepay.clone()), touched);
                self.collecting.advance_to(Stage::Payable { polls: 0, polling: false });
            }
            Event::Refused { number, code } => {
                // Should it be paid all the same, its seats were not sold while anybody could know that.
                if let Some(at) = self.calls.created_at {
                    self.saved.note_end_of_payments(at);
                }
                self.saved.set_payment(*number, PaymentState::Refused { code: code.clone() }, touched);
                self.collecting.advance_to(Stage::Idle);
            }
            Event::QueryCalled { at } => self.calls.queried_at = Some(*at),
            Event::PollBegun => self.collecting.note(|stage| {
                if let Stage::Payable { polls, polling } = stage {
                    (*polls, *polling) = (*polls + 1, true);
                }
            }),
            Event::PollEnded => self.collecting.step(|stage| {
                if let Stage::Payable { polling, .. } = stage {
                    *polling = false;
                }
            }),
            Event::ClosingBegun { then } => {
                self.collecting.advance_to(Stage::Closing { then: *then, step: CloseStep::QueryFirst });
            }
            Event::CloseStepped { step: next } => self.collecting.note(|stage| {
                if let Stage::Closing { step, .. } = stage {
                    *step = *next;
                }
            }),
            Event::Ended { number, at } => {
                self.saved.note_end_of_payments(*at);
                self.saved.set_payment(*number, PaymentState::Closed, touched);
                self.collecting.advance_to(Stage::Idle);
            }
        }
    }

    /// The money of this payment has come, or none is needed: another that is alive is ended at WeChat.
    pub(super) fn collect_no_more(&mut self, paid: Option<OutTradeNo>) {
        let other = self.live_payment().is_some_and(|payment| Some(payment.number) != paid);
        let closing = Stage::Closing { then: AfterClose::Stay, step: CloseStep::QueryFirst };
        self.collecting.advance_to(if other { closing } else { Stage::Idle });
    }
}

fn poll_at(begun_at: Timestamp, polls: u32) -> Option<Timestamp> {
    POLL_AFTER_SECONDS.get(polls as usize).map(|seconds| begun_at.plus_seconds(*seconds))
}

/// How many look-ups were due by `now`: those missed while nobody was there are not made up for.
fn polls_until(begun_at: Timestamp, now: Timestamp) -> u32 {
    POLL_AFTER_SECONDS.iter().filter(|seconds| now >= begun_at.plus_seconds(**seconds)).count() as u32
}

fn only_if(wanted: bool, event: impl Into<OrderEvent>) -> Vec<OrderEvent> {
    if wanted { vec![event.into()] } else { vec![] }
}
