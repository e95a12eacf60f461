//! Claims: what an order holds at other owners. Seats of a departure are the only kind so far. They are asked in the order
//! of their owners' keys (rule 5), one step at a time, and every step can be repeated harmlessly.

use super::draft::{ItemKind, Leg};
use super::{Effect, Order};
use crate::ids::HoldId;
use crate::rejection::Rejection;

/// Labels of a claim's seats, in the order of the passengers.
pub(crate) type Seats = Vec<Box<str>>;

/// What the owner of a claim was asked to do with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldStep {
    Place,
    Release,
    BeginPaying,
    Confirm,
    /// Seats that are confirmed go back on sale.
    Free,
}

/// Why a step with a claim's owner did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepFailure {
    Refused(Rejection),
    /// The owner could not be asked: overload, outage, being rebuilt.
    Unavailable,
}

/// The answer of a claim's owner. It names the step, so that the late answer to one is never taken for the answer to the
/// next (R-HOLD-10); [`Effect::hold_answer`] makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldAnswer {
    /// Index of the claim that was asked for.
    pub claim: usize,
    pub step: HoldStep,
    /// The labels of the seats when they were placed; otherwise not looked at.
    pub result: Result<Seats, StepFailure>,
}

impl HoldAnswer {
    /// The departure does not release the hold, because its seats are sold.
    pub(super) fn found_confirmed(&self) -> bool {
        let sold = matches!(self.result, Err(StepFailure::Refused(Rejection::HoldAlreadyConfirmed)));
        self.step == HoldStep::Release && sold
    }
}

impl Order {
    /// Every journey is a claim on its departure, with the item's number: items stand in the order in which claims are
    /// asked.
    pub(super) fn claims(&self) -> usize {
        self.items().len()
    }

    pub(super) fn is_last(&self, claim: usize) -> bool {
        claim + 1 == self.claims()
    }

    /// The journey whose claim it is.
    pub fn claimed(&self, claim: usize) -> Option<&Leg> {
        self.items().get(claim).map(|item| {
            let ItemKind::Journey(leg) = &item.kind;
            leg
        })
    }

    /// The seats of every claim.
    pub(super) fn seats(&self) -> impl Iterator<Item = &Seats> {
        self.items().iter().map(|item| {
            let ItemKind::Journey(leg) = &item.kind;
            &leg.seats
        })
    }

    /// The hold of a claim.
    pub fn hold(&self, claim: usize) -> HoldId {
        HoldId { order: self.id(), item: claim as u16 }
    }
}

impl Effect {
    /// The answer to this step, if it is one with a claim's owner.
    pub fn hold_answer(&self, result: Result<Seats, StepFailure>) -> Option<HoldAnswer> {
        let (claim, step) = match self {
            Effect::PlaceHold { claim, .. } => (*claim, HoldStep::Place),
            Effect::ReleaseHold { claim, .. } => (*claim, HoldStep::Release),
            Effect::BeginPaying { claim, .. } => (*claim, HoldStep::BeginPaying),
            Effect::ConfirmHold { claim, .. } => (*claim, HoldStep::Confirm),
            Effect::FreeSeats { claim, .. } => (*claim, HoldStep::Free),
            Effect::CreatePayment { .. }
            | Effect::QueryPayment { .. }
            | Effect::ClosePayment { .. }
            | Effect::BeginRefund { .. }
            | Effect::CallRefund { .. }
            | Effect::QueryRefund { .. } => return None,
        };
        Some(HoldAnswer { claim, step, result })
    }
}
