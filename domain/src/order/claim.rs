//! Claims: what an order holds at other owners: uses of promotions, seats of departures, and units of packages. They are asked
//! in this order, one step at a time, and every step can be repeated harmlessly: uses as they were taken off, seats and units by
//! the keys of their owners (rule 5).
//! Uses come first: who cannot have one takes no seats from others, and loses no reservation, since those are adopted last.

use super::draft::{At, Item, ItemKind, Leg, SeatWish};
use super::{Effect, Order};
use crate::hold::HoldAt;
use crate::ids::{HoldId, PromotionCode};
use crate::package::PackageTerms;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Labels of a claim's seats, in the order of the passengers. Units and uses have none.
pub(crate) type Seats = Vec<Box<str>>;

/// Holds on uses of promotions count from here, far beyond any item.
const PROMOTIONS_FROM: u16 = 0x8000;

/// What an order holds at one owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim<'a> {
    /// Of a promotion: one, whatever the party.
    Use(&'a PromotionCode),
    /// A seat for every passenger.
    Seats(&'a Leg),
    /// Of the package's stock, see [`PackageTerms::units`].
    Units(&'a PackageTerms),
}

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

impl StepFailure {
    /// A claim's owner knows nothing of items: the field that it names is one of the item that asked.
    pub(super) fn named(&self, at: At) -> StepFailure {
        match self {
            StepFailure::Refused(Rejection::Field { field, message }) => {
                StepFailure::Refused(Rejection::field(at.field(field), message.clone()))
            }
            StepFailure::Refused(_) | StepFailure::Unavailable => self.clone(),
        }
    }
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
    /// After the uses of promotions that have limits, every item is a claim: items stand in the order in which claims are
    /// asked. A package whose stock has no limit claims its units all the same: then they are counted. A partner's order claims
    /// nothing: its units are held for its batch or its reservation.
    pub(super) fn claims(&self) -> usize {
        if self.partner().is_some() { 0 } else { self.uses() + self.items().len() }
    }

    fn uses(&self) -> usize {
        self.details().used_promotions().count()
    }

    /// Index of the item that a claim is for. `None`: it is a use of a promotion.
    pub(super) fn item_of(&self, claim: usize) -> Option<usize> {
        claim.checked_sub(self.uses())
    }

    pub(super) fn is_last(&self, claim: usize) -> bool {
        claim + 1 == self.claims()
    }

    pub fn claimed(&self, claim: usize) -> Option<Claim<'_>> {
        if claim >= self.claims() {
            return None;
        }
        match self.item_of(claim) {
            Some(item) => self.items().get(item).map(Item::claim),
            None => self.details().used_promotions().nth(claim).map(Claim::Use),
        }
    }

    /// The seats of every claim.
    pub(super) fn seats(&self) -> impl Iterator<Item = &[Box<str>]> {
        std::iter::repeat_n(&[] as &[_], self.uses()).chain(self.item_seats())
    }

    pub(super) fn item_seats(&self) -> impl Iterator<Item = &[Box<str>]> {
        self.items().iter().map(|item| item.leg().map_or(&[] as &[_], |leg| &leg.seats))
    }

    /// Those of the items, of what was found for every claim.
    pub(super) fn of_items<'a>(&self, found: &'a [Seats]) -> &'a [Seats] {
        found.get(self.uses()..).unwrap_or_default()
    }

    /// The hold of a claim: those of items have the item's number.
    pub fn hold(&self, claim: usize) -> HoldId {
        let item = self.item_of(claim).map_or(PROMOTIONS_FROM + claim as u16, |item| item as u16);
        HoldId { order: self.id(), item }
    }
}

impl Item {
    fn claim(&self) -> Claim<'_> {
        match &self.kind {
            ItemKind::Journey(leg) => Claim::Seats(leg),
            ItemKind::Package(terms) => Claim::Units(terms),
        }
    }
}

/// What an effect asks of a claim's owner, whatever that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimStep<'a> {
    Place { wish: &'a SeatWish, expires_at: Timestamp },
    BeginPaying { expires_at: Timestamp },
    Confirm,
    Release,
    Free { seats: &'a [Box<str>] },
}

impl Effect {
    /// Which claim it is about, its hold, and the step. `None`: none.
    pub fn claim_step(&self) -> Option<(usize, HoldAt, ClaimStep<'_>)> {
        let (claim, hold, epoch, step) = match self {
            Effect::PlaceHold { claim, hold, epoch, wish, expires_at } => {
                (claim, hold, epoch, ClaimStep::Place { wish, expires_at: *expires_at })
            }
            Effect::BeginPaying { claim, hold, epoch, expires_at } => {
                (claim, hold, epoch, ClaimStep::BeginPaying { expires_at: *expires_at })
            }
            Effect::ConfirmHold { claim, hold, epoch } => (claim, hold, epoch, ClaimStep::Confirm),
            Effect::ReleaseHold { claim, hold, epoch } => (claim, hold, epoch, ClaimStep::Release),
            Effect::Free { claim, hold, epoch, seats } => (claim, hold, epoch, ClaimStep::Free { seats }),
            Effect::CreatePayment { .. }
            | Effect::QueryPayment { .. }
            | Effect::ClosePayment { .. }
            | Effect::BeginRefund { .. }
            | Effect::CallRefund { .. }
            | Effect::QueryRefund { .. } => return None,
        };
        Some((*claim, HoldAt { hold: *hold, epoch: *epoch }, step))
    }

    /// The answer to this step, if it is one with a claim's owner.
    pub fn hold_answer(&self, result: Result<Seats, StepFailure>) -> Option<HoldAnswer> {
        let (claim, _, step) = self.claim_step()?;
        let step = match step {
            ClaimStep::Place { .. } => HoldStep::Place,
            ClaimStep::BeginPaying { .. } => HoldStep::BeginPaying,
            ClaimStep::Confirm => HoldStep::Confirm,
            ClaimStep::Release => HoldStep::Release,
            ClaimStep::Free { .. } => HoldStep::Free,
        };
        Some(HoldAnswer { claim, step, result })
    }
}
