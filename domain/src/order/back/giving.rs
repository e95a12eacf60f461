//! Seats that are given back, one claim after the other: released, or put back on sale where they are sold already.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::order::claim::{HoldAnswer, HoldStep, Seats, StepFailure};
use crate::order::part::PartName;
use crate::order::{Effect, Event as OrderEvent, Order};
use crate::time::Timestamp;

/// What is left to give back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Giving {
    /// Claims with their seats. The last is the next.
    left: Vec<(usize, Seats)>,
    /// Claims below are sold: departures confirm them in the order of their claims.
    confirmed: usize,
}

impl Giving {
    /// For an order that ends. `seats` of each claim.
    pub fn first_first(seats: Vec<Seats>, confirmed: usize) -> Giving {
        Giving { left: seats.into_iter().enumerate().rev().collect(), confirmed }
    }

    /// For one that may seek them again: whoever does so after a crash then finds all that is left.
    pub fn last_first(seats: Vec<Seats>, confirmed: usize) -> Giving {
        Giving { left: seats.into_iter().enumerate().collect(), confirmed }
    }

    fn next(&self) -> Option<&(usize, Seats)> {
        self.left.last()
    }
}

impl Order {
    pub(in crate::order) fn gives_back(&self) -> bool {
        self.giving_back.stage().next().is_some()
    }

    pub(in crate::order) fn giving_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<OrderEvent> {
        let given = self.giving_back.stage();
        let asked = matches!(answer.step, HoldStep::Release | HoldStep::Free);
        // An answer to a step that is no longer wanted.
        if !asked || given.next().is_none_or(|(claim, _)| *claim != answer.claim) {
            return vec![];
        }
        // The traveller waits for the refusal; what could not be given back for him expires by itself.
        let waits = !self.is_being_refused();
        match &answer.result {
            _ if answer.found_confirmed() => vec![Event::HoldFoundConfirmed.into()],
            Err(StepFailure::Unavailable) if waits => vec![self.step_failed(PartName::GivingBack, now)],
            // A refusal says that there is nothing to give back.
            Ok(_) | Err(StepFailure::Refused(_) | StepFailure::Unavailable) => {
                let mut events = vec![Event::HoldReleased.into()];
                if given.left.len() == 1 {
                    events.extend(self.seats_are_back(now));
                }
                events
            }
        }
    }

    pub(in crate::order) fn giving_effect(&self) -> Option<Effect> {
        let given = self.giving_back.stage();
        let (claim, seats) = given.next()?;
        let (claim, hold, epoch) = (*claim, self.hold(*claim), self.seat_epoch());
        Some(if claim < given.confirmed {
            Effect::Free { claim, hold, epoch, seats: seats.clone() }
        } else {
            Effect::ReleaseHold { claim, hold, epoch }
        })
    }

    pub(in crate::order) fn giving_goes_on(&mut self) {
        self.giving_back.step(|given| drop(given.left.pop()));
    }

    /// It is sold, and so are those before it.
    pub(in crate::order) fn giving_found_confirmed(&mut self) {
        self.giving_back.step(|given| given.confirmed = given.next().map_or(0, |(claim, _)| claim + 1));
    }
}
