//! What goes back: seats to their departures, and money through WeChat. Each by itself, beside everything else.

mod giving;
mod refunding;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use giving::Giving;
pub(super) use refunding::Stage;

use super::CallFailure;
use super::refund::{Refund, RefundFact, RefundState, RefundStep};
use crate::ids::OutRefundNo;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The exact body of a refund that is due, made when [`Effect::BeginRefund`](super::Effect::BeginRefund) asks for it.
    BeginRefund { number: OutRefundNo, body: Arc<[u8]> },
    /// WeChat refused the refund's call: nothing has moved.
    RefundRefused { number: OutRefundNo, code: Box<str> },
    /// A call about a refund ended without an answer that the order can use.
    RefundCallFailed { number: OutRefundNo, why: CallFailure },
    /// What WeChat says about a refund. Rejected as a fact about a payment is.
    RefundFact(RefundFact),
    /// A person wants a refund that is stuck to be tried again now.
    RetryRefund { number: OutRefundNo },
}

/// Those marked *memory* leave no row: they are progress that can be repeated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Memory.
    HoldReleased,
    /// Memory: the hold that was to be released had been confirmed before a crash. Its seats are freed instead.
    HoldFoundConfirmed,
    /// Money is to go back. The ledger says so already.
    RefundDue {
        refund: Refund,
    },
    /// Memory: it is asked about as soon as no other refund is.
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
}
