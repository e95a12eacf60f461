//! The order's ledger: money moves, append-only. Every balance is a sum over it (R-PAY-09).

use serde::{Deserialize, Serialize};

use crate::ids::{OutRefundNo, OutTradeNo, codes};
use crate::money::Money;
use crate::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LedgerKind {
    /// The provider has taken money from the traveller.
    Captured,
    /// Money that is to go back; negative once it has gone back, or when the order can use it after all.
    RefundDue,
    /// The provider has given money back.
    Refunded,
}

codes!(LedgerKind, "ledger kind": Captured = "captured", RefundDue = "refund_due", Refunded = "refunded");

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub kind: LedgerKind,
    pub payment: OutTradeNo,
    /// The refund that moved it, of entries that one caused.
    pub refund: Option<OutRefundNo>,
    pub amount: Money,
    pub at: Timestamp,
}

/// What the ledger adds up to, in minor units. `captured` = what the order keeps + `refund_due` + `refunded`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    pub captured: i64,
    pub refund_due: i64,
    pub refunded: i64,
}

impl Balance {
    pub fn of(entries: &[LedgerEntry]) -> Balance {
        let sum =
            |kind: LedgerKind| entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.amount.minor).sum();
        Balance {
            captured: sum(LedgerKind::Captured),
            refund_due: sum(LedgerKind::RefundDue),
            refunded: sum(LedgerKind::Refunded),
        }
    }

    /// What the order keeps of the money that came.
    pub const fn kept(self) -> i64 {
        self.captured - self.refund_due - self.refunded
    }
}
