//! The terms on which a payment begins (R-HOLD-09; wechat.md R1, R2).

use std::sync::Arc;

use crate::ids::OutTradeNo;
use crate::money::Money;
use crate::order::Order;
use crate::order::draft::before_boarding;
use crate::order::meeting::Asked;
use crate::order::payment::{Payment, PaymentState};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Most attempts to pay one order. A further one is begun only if WeChat has refused all before it, which it does for minutes
/// on end when it has trouble: whoever tries every quarter of a minute comes to the end of a lock of ten minutes. Bounded,
/// because each leaves a row.
pub const PAYMENT_ATTEMPTS_MAX: u16 = 40;

/// The limits around payment, from configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentPolicy {
    /// WeChat raises an earlier end of payment to this long after the create call, silently.
    pub min_seconds: u32,
    /// Seats are kept this much longer than the traveller can pay, so that the close can be confirmed.
    pub grace_seconds: u32,
    /// A traveller never holds seats longer than the first lock and this (R-HOLD-09).
    pub cap_extra_seconds: u32,
}

/// Terms of the payment that would be begun now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentTerms {
    pub number: OutTradeNo,
    pub total: Money,
    pub time_expire: Timestamp,
    /// Until when the departures are asked to keep the seats.
    pub hold_expires_at: Timestamp,
}

impl PaymentTerms {
    /// The payment that begins on them.
    pub(super) fn payment(&self, body: &Arc<[u8]>, at: Timestamp) -> Payment {
        Payment {
            number: self.number,
            total: self.total,
            body: Arc::clone(body),
            time_expire: self.time_expire,
            hold_expires_at: self.hold_expires_at,
            begun_at: at,
            ended_at: None,
            state: PaymentState::Begun,
        }
    }
}

impl Order {
    /// The terms on which a payment would begin now (wechat.md R2): it ends with the lock, but not before WeChat's
    /// minimum, and the seats are kept for the grace after it, within the cap. The right to pay ends before the party boards.
    pub fn payment_terms(&self, policy: &PaymentPolicy, now: Timestamp) -> Result<PaymentTerms, Rejection> {
        self.check_payable(now)?;
        let earliest = now.plus_seconds(i64::from(policy.min_seconds));
        let grace = i64::from(policy.grace_seconds);
        let cap = self.first_lock_expires_at().plus_seconds(i64::from(policy.cap_extra_seconds));
        let time_expire = before_boarding(self.items(), self.lock_expires_at().max(earliest));
        let hold_expires_at = time_expire.plus_seconds(grace).min(cap);
        let time_expire = time_expire.min(hold_expires_at);
        if time_expire < earliest {
            return Err(Rejection::OrderNotPayable);
        }
        let terms = PaymentTerms { number: self.next_number(), total: self.total(), time_expire, hold_expires_at };
        self.check_terms(&terms, now)?;

        Ok(terms)
    }

    fn next_number(&self) -> OutTradeNo {
        OutTradeNo { order: self.id(), attempt: (self.payments().len() as u16).saturating_add(1) }
    }

    /// What holds for the terms of any payment that begins now, whatever the policy.
    pub(super) fn check_terms(&self, terms: &PaymentTerms, now: Timestamp) -> Result<(), Rejection> {
        let ours = terms.number == self.next_number() && terms.total == self.total();
        let in_time = now < terms.time_expire && terms.time_expire <= terms.hold_expires_at;
        // A lock is extended once: a later attempt has to fit into what the first one obtained (R-HOLD-09).
        let fits = self.payments().is_empty() || terms.time_expire <= self.lock_expires_at();
        let boards_later = before_boarding(self.items(), terms.time_expire) == terms.time_expire;
        let again = terms.number.attempt <= PAYMENT_ATTEMPTS_MAX;
        if ours && in_time && fits && boards_later && again { Ok(()) } else { Err(Rejection::OrderNotPayable) }
    }

    pub(super) fn check_payable(&self, now: Timestamp) -> Result<(), Rejection> {
        self.meets(Asked::Pay)?;
        if now < self.lock_expires_at() { Ok(()) } else { Err(Rejection::OrderNotPayable) }
    }
}
