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
    /// A partner has taken money from its customer: none of it has come to us.
    PartnerPaid,
    /// What a partner has cancelled of that: giving it back is the partner's affair (R-OTA-07).
    PartnerRefunded,
}

codes!(LedgerKind, "ledger kind":
    Captured = "captured",
    RefundDue = "refund_due",
    Refunded = "refunded",
    PartnerPaid = "partner_paid",
    PartnerRefunded = "partner_refunded",
);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub kind: LedgerKind,
    pub moved_by: MovedBy,
    pub amount: Money,
    pub at: Timestamp,
}

/// What moved the money of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MovedBy {
    Payment(OutTradeNo),
    /// Of this payment.
    Refund(OutTradeNo, OutRefundNo),
    /// The partner that has sold the order, without a payment of ours.
    Partner,
}

impl MovedBy {
    pub const fn payment(self) -> Option<OutTradeNo> {
        match self {
            MovedBy::Payment(number) | MovedBy::Refund(number, _) => Some(number),
            MovedBy::Partner => None,
        }
    }

    pub const fn refund(self) -> Option<OutRefundNo> {
        match self {
            MovedBy::Refund(_, number) => Some(number),
            MovedBy::Payment(_) | MovedBy::Partner => None,
        }
    }
}
