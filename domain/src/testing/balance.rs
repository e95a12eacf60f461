//! What an order's ledger comes to.

use deeptravel_domain::order::{LedgerEntry, LedgerKind};

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
}
