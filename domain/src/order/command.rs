//! What an order is told, what happens to it, and what it wants done.

use std::sync::Arc;

use super::scan::{Scan, ScanOutcome};
use super::{
    AfterClose, CancelReason, Capture, CloseStep, Order, PaymentFact, PaymentTerms, Prepay, Refund, RefundFact,
    RefundState, RefundStep, SeatWish, Seats, Stage,
};
use crate::ids::{HoldId, OutRefundNo, OutTradeNo};
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

/// Why a call to WeChat brought no answer that can be used. Either way nobody knows what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallFailure {
    /// No answer, or none that verifies.
    NoAnswer,
    /// The answer is about something else than the order: a person has to look, and asking again soon is of no use.
    Distrusted,
}

/// What a departure was asked to do with a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldStep {
    Place,
    Release,
    BeginPaying,
    Confirm,
    /// Seats that are confirmed go back on sale.
    Free,
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

impl HoldAnswer {
    /// The departure does not release the hold, because its seats are sold.
    pub(super) fn found_confirmed(&self) -> bool {
        let sold = matches!(self.result, Err(StepFailure::Refused(Rejection::HoldAlreadyConfirmed)));
        self.step == HoldStep::Release && sold
    }
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
    /// WeChat is about to be asked about the payment: told before each query, also a repeated one.
    QueryCalled,
    PaymentCreated {
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
    PaymentFact(PaymentFact),
    /// The exact body of a refund that is due, made when [`Effect::BeginRefund`] asks for it.
    BeginRefund {
        number: OutRefundNo,
        body: Arc<[u8]>,
    },
    /// WeChat refused the refund's call: nothing has moved.
    RefundRefused {
        number: OutRefundNo,
        code: Box<str>,
    },
    /// A call about a refund ended without an answer that the order can use.
    RefundCallFailed {
        number: OutRefundNo,
        why: CallFailure,
    },
    /// What WeChat says about a refund. Rejected as a [`Command::PaymentFact`] is.
    RefundFact(RefundFact),
    /// A person wants a refund that is stuck to be tried again now.
    RetryRefund {
        number: OutRefundNo,
    },
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
        prepay: Prepay,
    },
    PaymentRefused {
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
    /// Of a paid order: nobody can pay this other attempt any more.
    PaymentEnded {
        number: OutTradeNo,
        at: Timestamp,
    },
    /// Memory, but for `at`, which the order's end records: from then on nobody could pay.
    ReleaseBegun {
        why: CancelReason,
        at: Timestamp,
    },
    /// Memory.
    HoldReleased,
    /// Memory: the hold that was to be released had been confirmed before a crash. Its seats are freed instead.
    HoldFoundConfirmed,
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
    /// Money came for an order that cannot simply use it: it is to go back, unless it finds seats again.
    LateMoney {
        number: OutTradeNo,
        capture: Capture,
        at: Timestamp,
    },
    /// The order's seats are sought again, as holds of a new epoch. `payable`: see [`Event::EqualSought`].
    SeekingBegun {
        number: OutTradeNo,
        expires_at: Timestamp,
        payable: bool,
    },
    /// Memory.
    SeatsFound {
        seats: Seats,
    },
    /// Memory: the seats that the order had are gone. `resold`: to somebody else, although the traveller had paid
    /// while WeChat still let him. Never, while the rules hold (`seats_resold_while_payable`).
    EqualSought {
        resold: bool,
    },
    /// Memory.
    GivingBackBegun {
        confirmed: usize,
    },
    /// Memory: no seats, the money goes back.
    SeekingEnded,
    /// The cancelled order is paid after all (R-PAY-04).
    Revived {
        number: OutTradeNo,
        seats: Vec<Seats>,
        tickets: Vec<Ticket>,
        at: Timestamp,
    },
    /// Money is to go back. The ledger says so already.
    RefundDue {
        refund: Refund,
    },
    /// Memory: it is asked about as soon as nothing else is being done.
    RefundRetried {
        number: OutRefundNo,
    },
    /// Memory.
    RefundStepBegun {
        number: OutRefundNo,
        step: RefundStep,
        at: Timestamp,
    },
    RefundBegun {
        number: OutRefundNo,
        body: Arc<[u8]>,
        at: Timestamp,
    },
    /// Memory: the call never reached WeChat and is repeated.
    RefundUnknown {
        number: OutRefundNo,
    },
    /// Memory: there was no news.
    RefundStepEnded,
    RefundMoved {
        number: OutRefundNo,
        state: RefundState,
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

/// One step that the order wants done now. Repeating a step is harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    PlaceHold {
        item: usize,
        hold: HoldId,
        epoch: u32,
        wish: SeatWish,
        expires_at: Timestamp,
    },
    ReleaseHold {
        item: usize,
        hold: HoldId,
        epoch: u32,
    },
    /// Puts the seats of a confirmed hold back on sale.
    FreeSeats {
        item: usize,
        hold: HoldId,
        epoch: u32,
        seats: Vec<Box<str>>,
    },
    BeginPaying {
        item: usize,
        hold: HoldId,
        epoch: u32,
        expires_at: Timestamp,
    },
    ConfirmHold {
        item: usize,
        hold: HoldId,
        epoch: u32,
    },
    CreatePayment {
        number: OutTradeNo,
        body: Arc<[u8]>,
    },
    QueryPayment {
        number: OutTradeNo,
    },
    ClosePayment {
        number: OutTradeNo,
    },
    /// Make the exact body of [`Order::refund_terms`], and answer with [`Command::BeginRefund`].
    BeginRefund {
        number: OutRefundNo,
    },
    CallRefund {
        number: OutRefundNo,
        body: Arc<[u8]>,
    },
    QueryRefund {
        number: OutRefundNo,
    },
}

impl Effect {
    /// The answer to this step, if it is one with a departure.
    pub fn hold_answer(&self, result: Result<Vec<Box<str>>, StepFailure>) -> Option<HoldAnswer> {
        let (item, step) = match self {
            Effect::PlaceHold { item, .. } => (*item, HoldStep::Place),
            Effect::ReleaseHold { item, .. } => (*item, HoldStep::Release),
            Effect::BeginPaying { item, .. } => (*item, HoldStep::BeginPaying),
            Effect::ConfirmHold { item, .. } => (*item, HoldStep::Confirm),
            Effect::FreeSeats { item, .. } => (*item, HoldStep::Free),
            Effect::CreatePayment { .. }
            | Effect::QueryPayment { .. }
            | Effect::ClosePayment { .. }
            | Effect::BeginRefund { .. }
            | Effect::CallRefund { .. }
            | Effect::QueryRefund { .. } => return None,
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
        match &self.stage {
            Stage::Placing { next } => {
                Some(self.place(*next, self.items.get(*next)?.wish.clone(), self.lock_expires_at))
            }
            Stage::Undoing { left, .. } => Some(self.release(left.checked_sub(1)?)),
            Stage::Extending { next } => {
                let expires_at = self.live_payment()?.hold_expires_at;
                let (hold, epoch) = (self.hold(*next), self.seat_epoch);
                Some(Effect::BeginPaying { item: *next, hold, epoch, expires_at })
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
            Stage::Releasing { next, confirmed, .. } if next < confirmed => {
                Some(self.free(*next, self.items.get(*next)?.seats.clone()))
            }
            Stage::Releasing { next, .. } => Some(self.release(*next)),
            Stage::GivingBack { found, confirmed } => {
                let seats = found.last()?;
                let item = found.len() - 1;
                Some(if item < *confirmed { self.free(item, seats.clone()) } else { self.release(item) })
            }
            Stage::Settling { next, .. } | Stage::Reviving { next, .. } => {
                Some(Effect::ConfirmHold { item: *next, hold: self.hold(*next), epoch: self.seat_epoch })
            }
            Stage::Seeking { found, equal, expires_at, .. } => {
                let item = found.len();
                let had = self.items.get(item)?.seats.clone();
                Some(self.place(item, if *equal { SeatWish::Any } else { SeatWish::Chosen(had) }, *expires_at))
            }
            Stage::Refunding { number, step } => Some(match step {
                RefundStep::Begin => Effect::BeginRefund { number: *number },
                RefundStep::Call => {
                    Effect::CallRefund { number: *number, body: Arc::clone(&self.refund(*number)?.body) }
                }
                RefundStep::Ask => Effect::QueryRefund { number: *number },
            }),
            Stage::Payable { polling: false, .. } | Stage::Refused { .. } | Stage::Open | Stage::Done => None,
        }
    }

    fn place(&self, item: usize, wish: SeatWish, expires_at: Timestamp) -> Effect {
        Effect::PlaceHold { item, hold: self.hold(item), epoch: self.seat_epoch, wish, expires_at }
    }

    fn release(&self, item: usize) -> Effect {
        Effect::ReleaseHold { item, hold: self.hold(item), epoch: self.seat_epoch }
    }

    fn free(&self, item: usize, seats: Seats) -> Effect {
        Effect::FreeSeats { item, hold: self.hold(item), epoch: self.seat_epoch, seats }
    }
}
