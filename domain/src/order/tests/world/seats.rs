//! The side of departures and stocks: a hold for each claim of the order, and other buyers for its seats and for its uses of
//! promotions.

use super::*;
use crate::rejection::Uses;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hold {
    None,
    Held {
        until: Timestamp,
    },
    Paying,
    Confirmed,
    Released,
    /// Confirmed once, and back on sale.
    Freed,
}

pub(super) struct Seats {
    /// Of each claim: first the uses, then the items.
    holds: Vec<Hold>,
    epochs: Vec<u32>,
    /// Somebody else has it meanwhile.
    resold: Vec<bool>,
    uses: usize,
}

impl Seats {
    pub(super) fn new(items: usize, uses: usize) -> Seats {
        let claims = items + uses;
        Seats { holds: vec![Hold::None; claims], epochs: vec![0; claims], resold: vec![false; claims], uses }
    }

    pub(super) fn claims(&self) -> usize {
        self.holds.len()
    }

    /// What nobody else can have.
    fn has(&self, claim: usize, now: Timestamp) -> bool {
        match self.holds[claim] {
            Hold::Held { until } => now < until,
            Hold::Paying | Hold::Confirmed => true,
            Hold::None | Hold::Released | Hold::Freed => false,
        }
    }

    /// Somebody else buys the seats of one of the items, or has the last use, if they are free.
    pub(super) fn resell(&mut self, pick: usize, now: Timestamp) {
        let claim = pick % self.holds.len();
        self.resold[claim] |= !self.has(claim, now);
    }

    fn labels(&self, claim: usize) -> Vec<Box<str>> {
        claim.checked_sub(self.uses).map_or(vec![], |item| seats(item, 1))
    }

    fn taken(&self, claim: usize) -> Rejection {
        if claim < self.uses {
            Rejection::PromotionExhausted { promotion: "PROMO-0".parse().unwrap(), of: Uses::All }
        } else {
            Rejection::SeatTaken { seat: "0A".to_owned() }
        }
    }

    /// What the owner of a claim answers to a step.
    pub(super) fn ask(&mut self, effect: &Effect, refused: bool, now: Timestamp) -> Result<Vec<Box<str>>, StepFailure> {
        let no = |rejection| Err(StepFailure::Refused(rejection));
        let (Effect::PlaceHold { claim, epoch, .. }
        | Effect::ReleaseHold { claim, epoch, .. }
        | Effect::BeginPaying { claim, epoch, .. }
        | Effect::ConfirmHold { claim, epoch, .. }
        | Effect::Free { claim, epoch, .. }) = effect
        else {
            unreachable!("{effect:?}")
        };
        if *epoch < self.epochs[*claim] {
            return no(Rejection::HoldEpochStale);
        }
        let lapsed = matches!(self.holds[*claim], Hold::Held { until } if now >= until);
        // A hold placed under a new epoch starts afresh, unless the old one still has its seats.
        if let (Effect::PlaceHold { .. }, true, false) = (effect, *epoch > self.epochs[*claim], self.has(*claim, now)) {
            (self.holds[*claim], self.epochs[*claim]) = (Hold::None, *epoch);
        }
        let hold = self.holds[*claim];
        let (next, answer) = match (effect, hold) {
            (Effect::PlaceHold { .. }, Hold::None) if refused => (hold, no(Rejection::BookingClosed)),
            (Effect::PlaceHold { .. }, Hold::None) if self.resold[*claim] => (hold, no(self.taken(*claim))),
            (Effect::PlaceHold { expires_at, .. }, Hold::None) if now < *expires_at => {
                (Hold::Held { until: *expires_at }, Ok(self.labels(*claim)))
            }
            (Effect::PlaceHold { .. }, Hold::Held { .. }) if !lapsed => (hold, Ok(self.labels(*claim))),
            (Effect::PlaceHold { .. }, Hold::Confirmed) if *epoch == self.epochs[*claim] => {
                (hold, Ok(self.labels(*claim)))
            }
            (Effect::PlaceHold { .. }, _) => (hold, no(Rejection::HoldExpired)),
            (Effect::Free { .. }, Hold::Confirmed | Hold::Freed) => (Hold::Freed, Ok(vec![])),
            (_, Hold::Freed) => (hold, no(Rejection::HoldAlreadyReleased)),
            (Effect::ReleaseHold { .. }, Hold::Confirmed) => (hold, no(Rejection::HoldAlreadyConfirmed)),
            (Effect::ReleaseHold { .. }, Hold::Held { .. } | Hold::Paying) => (Hold::Released, Ok(vec![])),
            (Effect::ReleaseHold { .. }, _) => (hold, Ok(vec![])),
            (_, Hold::Held { .. }) if lapsed => (hold, no(Rejection::HoldExpired)),
            (Effect::BeginPaying { .. }, Hold::Held { .. } | Hold::Paying) => (Hold::Paying, Ok(vec![])),
            (Effect::BeginPaying { .. }, Hold::Confirmed) => (hold, no(Rejection::HoldAlreadyConfirmed)),
            (_, Hold::None | Hold::Released) => (hold, no(Rejection::HoldNotFound)),
            (_, Hold::Held { .. } | Hold::Paying | Hold::Confirmed) => (Hold::Confirmed, Ok(vec![])),
        };
        self.holds[*claim] = next;
        answer
    }

    /// No seat is sold twice, and no use. `payable`: the order can still be paid.
    pub(super) fn check(&self, order: &Order, payable: bool, now: Timestamp) {
        let claims = || 0..self.holds.len();
        // The metric `seats_resold_while_payable` stays 0 (R-PAY-04).
        if payable {
            assert!(
                claims().all(|claim| matches!(self.holds[claim], Hold::Paying | Hold::Confirmed)),
                "{:?}",
                self.holds
            );
        }
        if matches!(order.status(), OrderStatus::Paid | OrderStatus::Completed) {
            assert!(
                claims().all(|claim| self.holds[claim] == Hold::Confirmed),
                "a ticket without a seat, or a price without a use"
            );
        }
        if order.status() == OrderStatus::Cancelled && !order.is_seeking() {
            assert!(!claims().any(|claim| self.has(claim, now)), "a cancelled order keeps nothing");
        }
        assert!(!claims().any(|claim| self.resold[claim] && self.has(claim, now)), "sold twice");
    }
}
