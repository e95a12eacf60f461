//! A refund at WeChat, and what WeChat says about it (wechat.md R8 to R10).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{OutRefundNo, OutTradeNo, codes};
use crate::money::Money;
use crate::time::Timestamp;

/// Most refunds of one order, those included that WeChat closed; WeChat allows 50 of one transaction. What is due
/// beyond them stays in the ledger as due, and a person has to look.
pub const REFUNDS_MAX: usize = 40;

/// Why money goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RefundReason {
    /// It came after the order was cancelled, and the seats were gone (R-PAY-04).
    Late,
    /// The order had been paid already (wechat.md R8).
    Duplicate,
}

codes!(RefundReason, "refund reason": Late = "late", Duplicate = "duplicate");

/// Where a refund stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RefundState {
    /// Money is to go back; WeChat has not been asked.
    Due,
    /// Recorded with its exact body: the call is under way, or nobody knows how it ended.
    Begun,
    /// WeChat refused, nothing moved. A person has to look; the same call is repeated now and then.
    Refused {
        code: Box<str>,
    },
    /// WeChat has accepted it.
    Processing {
        refund_id: Box<str>,
    },
    /// The traveller's account cannot take it. A person has to look; it may still succeed.
    Abnormal {
        refund_id: Box<str>,
    },
    Succeeded {
        refund_id: Box<str>,
        at: Timestamp,
    },
    /// WeChat gave up without paying: the refund after it takes its place.
    Closed {
        refund_id: Box<str>,
    },
}

impl RefundState {
    /// Every [`RefundState::code`].
    pub const CODES: [&'static str; 7] = ["due", "begun", "refused", "processing", "abnormal", "succeeded", "closed"];
    /// Codes of the states that are outstanding.
    pub const OUTSTANDING: [&'static str; 5] = ["due", "begun", "refused", "processing", "abnormal"];
    /// Codes of the states that are stuck.
    pub const STUCK: [&'static str; 2] = ["refused", "abnormal"];

    pub const fn code(&self) -> &'static str {
        match self {
            RefundState::Due => "due",
            RefundState::Begun => "begun",
            RefundState::Refused { .. } => "refused",
            RefundState::Processing { .. } => "processing",
            RefundState::Abnormal { .. } => "abnormal",
            RefundState::Succeeded { .. } => "succeeded",
            RefundState::Closed { .. } => "closed",
        }
    }

    /// For the traveller. A closed refund that has a successor is not shown, see
    /// [`crate::order::Order::shown_refunds`].
    pub const fn progress(&self) -> RefundProgress {
        match self {
            RefundState::Due | RefundState::Begun => RefundProgress::Due,
            RefundState::Processing { .. } => RefundProgress::Processing,
            RefundState::Refused { .. } | RefundState::Abnormal { .. } => RefundProgress::Delayed,
            RefundState::Succeeded { .. } => RefundProgress::Succeeded,
            RefundState::Closed { .. } => RefundProgress::Failed,
        }
    }

    /// Whether something is left to be done.
    pub fn is_outstanding(&self) -> bool {
        match self {
            RefundState::Due
            | RefundState::Begun
            | RefundState::Refused { .. }
            | RefundState::Processing { .. }
            | RefundState::Abnormal { .. } => true,
            RefundState::Succeeded { .. } | RefundState::Closed { .. } => false,
        }
    }

    /// Whether it waits for a person.
    pub fn is_stuck(&self) -> bool {
        matches!(self, RefundState::Refused { .. } | RefundState::Abnormal { .. })
    }
}

/// Where a refund stands for whoever waits for the money. Words that stay, whatever happens between us and WeChat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefundProgress {
    /// The money is to go back; WeChat has not accepted that yet.
    Due,
    /// WeChat has accepted it.
    Processing,
    /// We are seeing to it, and the traveller need not do anything.
    Delayed,
    Succeeded,
    /// Nothing happens by itself any more.
    Failed,
}

codes!(RefundProgress, "progress of a refund":
    Due = "due",
    Processing = "processing",
    Delayed = "delayed",
    Succeeded = "succeeded",
    Failed = "failed",
);

/// Money on its way back to the traveller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub number: OutRefundNo,
    pub payment: OutTradeNo,
    pub amount: Money,
    pub reason: RefundReason,
    pub due_at: Timestamp,
    pub begun_at: Option<Timestamp>,
    /// The exact body of the call, from when it is begun until WeChat has accepted it.
    pub body: Arc<[u8]>,
    pub state: RefundState,
    /// The refund that WeChat closed without paying, whose money this one gives back.
    pub replaces: Option<OutRefundNo>,
}

/// What the call of a refund is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundTerms {
    pub number: OutRefundNo,
    pub payment: OutTradeNo,
    pub transaction_id: Box<str>,
    pub amount: Money,
    /// What the payment came to.
    pub total: Money,
    pub reason: RefundReason,
}

/// What WeChat says about a refund, whoever brought it: answer, query, notice or bill.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundFact {
    pub number: OutRefundNo,
    pub state: RefundFactState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefundFactState {
    Known(KnownRefund),
    /// WeChat does not know the number: the call never reached it.
    NotFound,
    /// Under our number, and about somebody else's money. Says what differs.
    Foreign(&'static str),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownRefund {
    pub payment: OutTradeNo,
    pub refund_id: Box<str>,
    pub amount: Money,
    pub status: RefundStatus,
}

/// A refund's state at WeChat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefundStatus {
    Processing,
    Success,
    Closed,
    Abnormal,
}

/// What is being done about a refund.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RefundStep {
    /// Its body is being made and recorded.
    Begin,
    Call,
    Ask,
}
