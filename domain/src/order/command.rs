//! What an order is told, what happens to it, and what it wants done.

use std::sync::Arc;

use super::redeem::{Scan, ScanOutcome};
use super::{CancelReason, Capture, Order, PaymentFact, PaymentTerms, Stage};
use super::{CloseStep, FIRST_EPOCH};
use crate::ids::{HoldId, OutTradeNo};
use crate::rejection::Rejection;
use crate::ticket::Ticket;
use crate::time::Timestamp;

/// Why a step with a departure did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepFailure {
    Refused(Rejection),
    /// The departure could not be asked: overload, outage, being rebuilt.
    Unavailable,
}

/// What a departure was asked to do with a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldStep {
    Place,
    Release,
    BeginPaying,
    Confirm,
}

/// A departure's answer about an item's hold. It names the step, so that the late answer to one is never taken for
/// the answer to the next (R-HOLD-10); [`Effect::hold_answer`] makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldAnswer {
    /// Index of the item that was asked for.
    pub item: usize,
    pub step: HoldStep,
    /// The labels of the seats when they were placed; otherwise not looked at.
    pub result: Result<Vec<Box<str>>, StepFailure>,
}

/// Everything an order can be told. Answers to steps that are no longer wanted change nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The answer to a step with a departure.
    HoldAnswered(HoldAnswer),
    /// A payment on these terms; `body` is the exact create call.
    BeginPayment {
        terms: PaymentTerms,
        body: Arc<[u8]>,
    },
    /// The create call is about to be made: told before each call, also a repeated one.
    CreateCalled,
    PaymentCreated {
        number: OutTradeNo,
        prepay_id: Box<str>,
        nonce: Box<str>,
        signed_at_seconds: i64,
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
    /// A call to WeChat ended without an answer that can be trusted.
    CallFailed {
        number: OutTradeNo,
    },
    /// What WeChat says. A fact that does not match the order is rejected and changes nothing; if a query of ours
    /// brought it, the caller reports [`Command::CallFailed`] as well, so that the query is repeated with pauses.
    PaymentFact(PaymentFact),
    /// The traveller gives the order up.
    Cancel,
    /// A deadline may have passed.
    Wake,
    Scan(Scan),
}

/// What happened. Those marked *memory* leave no row: they are progress that can be repeated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Memory.
    HoldPlaced {
        item: usize,
        seats: Vec<Box<str>>,
    },
    /// Memory.
    HoldRefused {
        failure: StepFailure,
    },
    /// Memory.
    HoldUndone,
    /// All seats are held: the order exists.
    Placed,
    PaymentBegun {
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
    PaymentCreated {
        number: OutTradeNo,
        prepay_id: Box<str>,
        nonce: Box<str>,
        signed_at_seconds: i64,
    },
    PaymentRefused {
        number: OutTradeNo,
        code: Box<str>,
    },
    /// Memory.
    PollBegun,
    /// Memory.
    PollEnded,
    /// Memory.
    ClosingBegun {
        why: CancelReason,
    },
    /// Memory.
    CloseStepped {
        step: CloseNext,
    },
    /// Memory.
    ReleaseBegun {
        why: CancelReason,
    },
    /// Memory.
    HoldReleased,
    /// Memory: money is there (or none is needed) and the seats are being confirmed.
    SettlingBegun {
        capture: Option<(OutTradeNo, Capture)>,
    },
    /// Memory.
    HoldConfirmed,
    Paid {
        at: Timestamp,
        capture: Option<(OutTradeNo, Capture)>,
        tickets: Vec<Ticket>,
    },
    Cancelled {
        at: Timestamp,
        why: CancelReason,
    },
    /// Money came for an order that cannot use it: it is to go back.
    LateMoney {
        number: OutTradeNo,
        capture: Capture,
        at: Timestamp,
    },
    /// Memory: the step under way is repeated later.
    StepFailed {
        retry_at: Timestamp,
    },
    /// Memory.
    RetryDue,
    Scanned(ScanOutcome),
    Completed {
        at: Timestamp,
    },
}

/// Where closing goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseNext {
    Close,
    QueryAgain,
    /// The payment was seen unpaid once more after the close: close again.
    Restart,
}

/// One step that the order wants done now. Repeating a step is harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    PlaceHold { item: usize, hold: HoldId, epoch: u32, expires_at: Timestamp },
    ReleaseHold { item: usize, hold: HoldId, epoch: u32 },
    BeginPaying { item: usize, hold: HoldId, epoch: u32, expires_at: Timestamp },
    ConfirmHold { item: usize, hold: HoldId, epoch: u32 },
    CreatePayment { number: OutTradeNo, body: Arc<[u8]> },
    QueryPayment { number: OutTradeNo },
    ClosePayment { number: OutTradeNo },
}

impl Effect {
    /// The answer to this step, if it is one with a departure.
    pub fn hold_answer(&self, result: Result<Vec<Box<str>>, StepFailure>) -> Option<HoldAnswer> {
        let (item, step) = match self {
            Effect::PlaceHold { item, .. } => (*item, HoldStep::Place),
            Effect::ReleaseHold { item, .. } => (*item, HoldStep::Release),
            Effect::BeginPaying { item, .. } => (*item, HoldStep::BeginPaying),
            Effect::ConfirmHold { item, .. } => (*item, HoldStep::Confirm),
            Effect::CreatePayment { .. } | Effect::QueryPayment { .. } | Effect::ClosePayment { .. } => return None,
        };
        Some(HoldAnswer { item, step, result })
    }
}

impl Order {
    /// The step to be done now, if any. While it is under way the caller does not ask again.
    pub fn effect(&self) -> Option<Effect> {
        if self.retry_at.is_some() {
            return None;
        }
        let epoch = FIRST_EPOCH;
        match &self.stage {
            Stage::Placing { next } => {
                let expires_at = self.lock_expires_at;
                Some(Effect::PlaceHold { item: *next, hold: self.hold(*next), epoch, expires_at })
            }
            Stage::Undoing { left, .. } => {
                let item = left.checked_sub(1)?;
                Some(Effect::ReleaseHold { item, hold: self.hold(item), epoch })
            }
            Stage::Extending { next } => {
                let expires_at = self.live_payment()?.hold_expires_at;
                Some(Effect::BeginPaying { item: *next, hold: self.hold(*next), epoch, expires_at })
            }
            Stage::Creating => {
                let payment = self.live_payment()?;
                Some(Effect::CreatePayment { number: payment.number, body: Arc::clone(&payment.body) })
            }
            Stage::Payable { polling: true, .. } => Some(Effect::QueryPayment { number: self.live_payment()?.number }),
            Stage::Closing { step, .. } => {
                let number = self.live_payment()?.number;
                Some(match step {
                    CloseStep::QueryFirst | CloseStep::QueryAgain => Effect::QueryPayment { number },
                    CloseStep::Close => Effect::ClosePayment { number },
                })
            }
            Stage::Releasing { next, .. } => Some(Effect::ReleaseHold { item: *next, hold: self.hold(*next), epoch }),
            Stage::Settling { next, .. } => Some(Effect::ConfirmHold { item: *next, hold: self.hold(*next), epoch }),
            Stage::Payable { polling: false, .. } | Stage::Refused { .. } | Stage::Open | Stage::Done => None,
        }
    }
}
