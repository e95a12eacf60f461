//! The inventory of one dated departure: its seats, who holds them on which stretch, and which channel may sell them.
//!
//! The departure's actor is the caller: it decides a command, writes the rows that the events changed, evolves, and
//! wakes at [`Inventory::next_deadline`]. What the life of a hold alone decides is [`hold`]'s.
//! Prices, people and payments are deliberately absent; so are other departures, so that an order with several legs is
//! held together by the order, not here.
//!
//! The parts: [`command`] what can be asked and what then happened; `decide` every check; `evolve` the only mutation;
//! `pick` which seats a party gets; `allot` and `refit` what administrators change of the seats, and `uses` what stands
//! against it; [`rows`] how it all looks in the journal and in the database.

mod allot;
pub mod command;
mod decide;
mod evolve;
mod load;
mod pick;
mod refit;
pub mod rows;
mod seats;
mod taken;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::HashSet;

pub use crate::departure::Allotment;
pub use crate::hold::{BeginPaying, HoldAt, HoldState};
pub use command::{Alteration, Command, Event, FreeSeats, PlaceHold, Refit, Wanted};
pub use decide::{LAPSES_PER_TURN_MAX, RETIME_SECONDS_MAX};
pub use seats::{HeldSeats, SEATS_PER_HOLD_MAX, SeatList};
pub use uses::PoolUse;

use crate::departure::{Channel, DepartureSpec, SEATS_MAX, STOPS_MAX, STOPS_MIN, Seat, SeatMap};
use crate::hold::{self, Holds};
use crate::ids::{HoldId, codes};
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::time::Timestamp;
use pick::{Layout, Place};
use taken::Taken;

/// Most channels of one departure, the operator's own included: a seat names its channel in one byte.
pub const CHANNELS_MAX: usize = 256;
/// Most seat classes of one departure: a seat names its class in one byte.
pub const CLASSES_MAX: usize = 256;

/// One departure's seats and the holds on them.
#[derive(Clone, Debug)]
pub struct Inventory {
    spec: DepartureSpec,
    /// Whether the departure's opening was decided. Until then the schedule may still reshape it.
    born: bool,
    status: Status,
    /// Channels that have or had seats here; the operator's own is the first.
    channels: Vec<Channel>,
    /// Per seat: where it is, its class and its channel.
    places: Box<[Place]>,
    /// Follows from `places`.
    layout: Layout,
    taken: Taken,
    holds: Holds<HeldSeats>,
    /// What was printed on seats that holds name and that are no longer on board. They are numbered behind those that are.
    retired: Vec<String>,
}

/// Whether the departure sells at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    OnSale,
    /// No new holds until it is resumed; what is held may be paid.
    Stopped,
    /// No new holds; what is confirmed stays until it is refunded or changed.
    Cancelled,
}

codes!(Status, "departure status": OnSale = "on_sale", Stopped = "stopped", Cancelled = "cancelled");

/// A live hold with its seats.
pub type Hold = hold::Hold<HeldSeats>;

/// The seats of one class that one channel may sell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pool {
    class: u8,
    channel: u8,
}

impl Pool {
    const fn new(class: u8, channel: u8) -> Pool {
        Pool { class, channel }
    }
}

/// A departure that cannot be: the catalogue must never make one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    #[error("a departure has {STOPS_MIN} to {STOPS_MAX} stops, not {0}")]
    Stops(usize),
    #[error("a departure has at most {SEATS_MAX} seats, not {0}")]
    Seats(usize),
    #[error("a departure has at most {CLASSES_MAX} seat classes, not {0}")]
    Classes(usize),
    #[error("seat {0} has a class that the seat map lacks")]
    UnknownClass(String),
    #[error("seat {0} is not behind or to the right of the one before it")]
    SeatOrder(String),
    #[error("two seats are labelled {0}")]
    SeatLabel(String),
}

impl Machine for Inventory {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.decide(command, now)
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        for event in events {
            self.evolve(event);
        }
        self.changed_rows(events, version)
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.next_deadline()
    }

    fn when_due() -> Option<Command> {
        Some(Command::Expire)
    }
}

impl Inventory {
    /// Whether its seats are its own, and not what the catalogue says.
    pub fn is_born(&self) -> bool {
        self.born
    }

    /// A departure nobody has touched yet: every seat free and the operator's own. The first decision that changes
    /// something opens it.
    pub fn unborn(spec: DepartureSpec) -> Result<Inventory, SpecError> {
        check_spec(&spec)?;

        let places = places_of(&spec.seat_map);
        Ok(Inventory {
            taken: Taken::nothing(places.len(), spec.calls.len() - 1),
            layout: Layout::of(&places),
            spec,
            born: false,
            status: Status::OnSale,
            channels: vec![Channel::Direct],
            places,
            holds: Holds::default(),
            retired: Vec::new(),
        })
    }

    pub fn spec(&self) -> &DepartureSpec {
        &self.spec
    }

    /// A live hold: held (perhaps due, not yet swept), paying or confirmed.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// All live holds, in no particular order.
    pub fn holds(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter()
    }

    /// When to decide [`Command::Expire`] next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.holds.next_deadline()
    }

    /// Paying holds past their `expires_at`: an alarm, never a release (R-HOLD-09). Looks at every hold.
    pub fn overdue(&self, now: Timestamp) -> Vec<HoldId> {
        self.holds.overdue(now)
    }

    /// The ways between neighbouring stops on which a seat is held or sold, as bits of
    /// [`Stretch::mask`](crate::departure::Stretch::mask). 0 for a seat
    /// that does not exist.
    pub fn occupancy(&self, seat: u16) -> u64 {
        self.taken.of(seat)
    }

    /// The channel that may sell a seat.
    pub fn channel_of(&self, seat: u16) -> Option<&Channel> {
        self.places.get(usize::from(seat)).and_then(|place| self.channel(place.pool.channel))
    }

    /// The channel behind [`HeldSeats::channel`].
    pub fn channel(&self, index: u8) -> Option<&Channel> {
        self.channels.get(usize::from(index))
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// What is printed on a seat, also on one that is no longer on board.
    pub fn label(&self, seat: u16) -> &str {
        let (seat, seats) = (usize::from(seat), &self.spec.seat_map.seats);
        match seats.get(seat) {
            Some(seat) => &seat.label,
            None => self.retired.get(seat - seats.len()).map_or("", |label| label),
        }
    }

    fn channel_index(&self, channel: &Channel) -> Option<u8> {
        self.channels.iter().position(|known| known == channel).map(|index| index as u8)
    }
}

/// Every seat as the operator's own.
fn places_of(map: &SeatMap) -> Box<[Place]> {
    let mut before: Option<&Seat> = None;
    map.seats.iter().map(|seat| Place::new(seat, before.replace(seat))).collect()
}

fn check_spec(spec: &DepartureSpec) -> Result<(), SpecError> {
    if !(STOPS_MIN..=STOPS_MAX).contains(&spec.calls.len()) {
        return Err(SpecError::Stops(spec.calls.len()));
    }
    check_seats(&spec.seat_map)
}

fn check_seats(map: &SeatMap) -> Result<(), SpecError> {
    if map.seats.len() > SEATS_MAX {
        return Err(SpecError::Seats(map.seats.len()));
    }
    if map.classes.len() > CLASSES_MAX {
        return Err(SpecError::Classes(map.classes.len()));
    }
    let mut labels = HashSet::with_capacity(map.seats.len());
    let mut before = None;
    for seat in &map.seats {
        if usize::from(seat.class) >= map.classes.len() {
            return Err(SpecError::UnknownClass(seat.label.clone()));
        }
        if before.replace((seat.row, seat.column)) >= Some((seat.row, seat.column)) {
            return Err(SpecError::SeatOrder(seat.label.clone()));
        }
        if !labels.insert(&seat.label) {
            return Err(SpecError::SeatLabel(seat.label.clone()));
        }
    }
    Ok(())
}
