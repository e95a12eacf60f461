//! An order of one journey from its wish to its first images: they are born in the record that holds its seats, and it needs
//! no actor as long as nothing goes wrong. Whoever has wished for it has the departure asked, and lays it to rest when that
//! has answered.
//!
//! An order of several departures, or of one that has to be woken first, gets an actor, which asks them one after the other
//! and writes records of its own; so does whatever else is to be done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deeptravel_domain::ids::DepartureId;
use deeptravel_domain::inventory::Command as SeatCommand;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::order::{Command, Draft, Order, StepFailure};
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;

use super::steps::{Request, request_of};
use super::{OrderActor, Peers, Seed, newborn};
use crate::departure::{AsksForSeats, Labels};
use crate::desk::Making;
use crate::outage::{Answer, Outage, Reply};
use crate::registry::Woken;
use crate::registry::birth::{BORN, Birth};

/// An order that is being placed, in whose hands it is. Dropped it is not lost: its rows tell what has become of it.
pub struct Placing {
    peers: Arc<Peers>,
    /// Until it is placed or refused.
    order: Option<Unplaced>,
}

type Unplaced = (Arc<Order>, Making, Birth<OrderActor>);

impl Placing {
    /// Begins with a draft, for which its slot is kept. `making` gets the answer.
    pub fn begin(peers: &Arc<Peers>, draft: Draft, making: Making, birth: Birth<OrderActor>) {
        let order = Order::draft(draft, peers.clock.now());
        let wanted = seats_wanted(&order);
        let unplaced = (Arc::new(order), making, birth);
        let unplaced = match wanted {
            Some((departure, command)) => {
                let placing = Placing { peers: Arc::clone(peers), order: Some(unplaced) };
                let unasked = peers.departures.change(&departure, command, placing).err();
                unasked.and_then(|mut placing| placing.order.take())
            }
            None => Some(unplaced),
        };
        if let Some((order, making, birth)) = unplaced {
            birth.born(Woken::Awake(Seed { order, version: 0, making: Some(making), rested: None }));
        }
    }
}

/// The one departure that has to hold seats for the order.
fn seats_wanted(order: &Order) -> Option<(DepartureId, SeatCommand)> {
    if order.claimed(1).is_some() {
        return None;
    }
    match request_of(order, &order.effects().next()?)? {
        Request::Departure(departure, command) => Some((departure, command)),
        Request::Stock(..) => None,
    }
}

impl AsksForSeats for Placing {
    fn bear(&mut self, seats: &mut Labels, rows: &mut Rows) {
        let Some((order, ..)) = &mut self.order else { return };
        let now = self.peers.clock.now();
        #[cfg(test)]
        let faults = &self.peers.faults;
        let born = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            faults.strike_order(order, crate::testing::Fault::BeforeOrder);
            hear(order, Ok(std::mem::take(seats)), now)
        }));
        match born {
            Ok(images) => rows.extend(&images),
            // The fault is the order's, and not the departure's.
            Err(_) => self.breaks(),
        }
    }

    fn told(mut self, answer: Answer<Labels>) {
        let Some(unplaced) = self.order.take() else { return };
        // As above: of whoever runs this the fault is even less.
        let _ = catch_unwind(AssertUnwindSafe(|| ends(&self.peers, unplaced, answer)));
    }
}

impl Placing {
    /// Only its rows can tell what has become of it.
    fn breaks(&mut self) {
        if let Some((_, making, birth)) = self.order.take() {
            birth.broken();
            drop(making);
        }
    }
}

impl Drop for Placing {
    /// The departure has ended, and may have heard before.
    fn drop(&mut self) {
        self.breaks();
    }
}

/// The order as it is with what the departure says. Its parent writes the rows, so its own first record is still to come.
fn hear(order: &mut Arc<Order>, says: Result<Labels, StepFailure>, now: Timestamp) -> Rows {
    let asked = order.effects().next();
    let answer = asked.and_then(|step| step.hold_answer(says)).map(Command::HoldAnswered);
    let events = answer.and_then(|answer| order.decide(&answer, now).ok()).unwrap_or_default();
    order.apply(&events, BORN)
}

/// Answers, and lays the order to rest.
fn ends(peers: &Peers, (mut order, making, birth): Unplaced, answer: Answer<Labels>) {
    #[cfg(test)]
    peers.faults.strike_order(&order, crate::testing::Fault::AfterOrder);
    let now = peers.clock.now();
    match answer {
        Ok(Reply { outcome: Ok(_), position }) if order.is_placed() => {
            making.answer(&Ok(Reply::ok(Arc::clone(&order), position)));
            birth.born(newborn(order, position, now));
        }
        Ok(Reply { outcome: Ok(_), .. }) => birth.broken(),
        Ok(Reply { outcome: Err(rejection), position }) => {
            hear(&mut order, Err(StepFailure::Refused(rejection)), now);
            match order.refusal() {
                // In the words of the order: which of its items it is about.
                Some(StepFailure::Refused(rejection)) => {
                    making.answer(&Ok(Reply::rejected(rejection.clone(), position)));
                    birth.born(Woken::Absent);
                }
                Some(StepFailure::Unavailable) | None => birth.broken(),
            }
        }
        Err(outage) => {
            making.answer(&Err(outage));
            match outage {
                // Found before anything was written.
                Outage::Overloaded | Outage::JournalFull | Outage::SetAside => birth.born(Woken::Absent),
                Outage::Rebuilding | Outage::Storage | Outage::Journal | Outage::Provider => birth.broken(),
            }
        }
    }
}
