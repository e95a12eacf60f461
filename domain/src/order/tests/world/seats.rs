//! The departures' side of the world: a hold for each item of the order, and other buyers for its seats.

use super::*;

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
    holds: Vec<Hold>,
    /// Of the hold of each item.
    epochs: Vec<u32>,
    /// Seats of items that somebody else has bought meanwhile.
    resold: Vec<bool>,
}

impl Seats {
    pub(super) fn new(items: usize) -> Seats {
        Seats { holds: vec![Hold::None; items], epochs: vec![0; items], resold: vec![false; items] }
    }

    pub(super) fn items(&self) -> usize {
        self.holds.len()
    }

    /// Seats that nobody else can have.
    fn has(&self, item: usize, now: Timestamp) -> bool {
        match self.holds[item] {
            Hold::Held { until } => now < until,
            Hold::Paying | Hold::Confirmed => true,
            Hold::None | Hold::Released | Hold::Freed => false,
        }
    }

    /// Somebody else buys the seats of one of the items, if they are free.
    pub(super) fn resell(&mut self, pick: usize, now: Timestamp) {
        let item = pick % self.holds.len();
        self.resold[item] |= !self.has(item, now);
    }

    /// What the departure answers to a step.
    pub(super) fn ask(&mut self, effect: &Effect, refused: bool, now: Timestamp) -> Result<Vec<Box<str>>, StepFailure> {
        let no = |rejection| Err(StepFailure::Refused(rejection));
        let (Effect::PlaceHold { claim: item, epoch, .. }
        | Effect::ReleaseHold { claim: item, epoch, .. }
        | Effect::BeginPaying { claim: item, epoch, .. }
        | Effect::ConfirmHold { claim: item, epoch, .. }
        | Effect::Free { claim: item, epoch, .. }) = effect
        else {
            unreachable!("{effect:?}")
        };
        if *epoch < self.epochs[*item] {
            return no(Rejection::HoldEpochStale);
        }
        let lapsed = matches!(self.holds[*item], Hold::Held { until } if now >= until);
        // A hold placed under a new epoch starts afresh, unless the old one still has its seats.
        if let (Effect::PlaceHold { .. }, true, false) = (effect, *epoch > self.epochs[*item], self.has(*item, now)) {
            (self.holds[*item], self.epochs[*item]) = (Hold::None, *epoch);
        }
        let hold = self.holds[*item];
        let taken = || Rejection::SeatTaken { seat: "0A".to_owned() };
        let (next, answer) = match (effect, hold) {
            (Effect::PlaceHold { .. }, Hold::None) if refused => (hold, no(Rejection::BookingClosed)),
            (Effect::PlaceHold { .. }, Hold::None) if self.resold[*item] => (hold, no(taken())),
            (Effect::PlaceHold { expires_at, .. }, Hold::None) if now < *expires_at => {
                (Hold::Held { until: *expires_at }, Ok(seats(*item, 1)))
            }
            (Effect::PlaceHold { .. }, Hold::Held { .. }) if !lapsed => (hold, Ok(seats(*item, 1))),
            (Effect::PlaceHold { .. }, Hold::Confirmed) if *epoch == self.epochs[*item] => (hold, Ok(seats(*item, 1))),
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
        self.holds[*item] = next;
        answer
    }

    /// No seat is sold twice. `payable`: the order can still be paid.
    pub(super) fn check(&self, order: &Order, payable: bool, now: Timestamp) {
        let items = || 0..self.holds.len();
        // The metric `seats_resold_while_payable` stays 0 (R-PAY-04).
        if payable {
            assert!(items().all(|item| matches!(self.holds[item], Hold::Paying | Hold::Confirmed)), "{:?}", self.holds);
        }
        if matches!(order.status(), OrderStatus::Paid | OrderStatus::Completed) {
            assert!(items().all(|item| self.holds[item] == Hold::Confirmed), "a ticket without a seat");
        }
        if order.status() == OrderStatus::Cancelled && !order.is_seeking() {
            assert!(!items().any(|item| self.has(item, now)), "a cancelled order keeps no seat");
        }
        assert!(!items().any(|item| self.resold[item] && self.has(item, now)), "sold twice");
    }
}
