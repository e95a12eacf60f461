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
