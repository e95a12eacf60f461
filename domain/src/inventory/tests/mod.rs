//! Stories, a naive model, and the way through the rows. What they share is here.

mod adopting;
mod altering;
mod model;
mod random;
mod rows;
mod seats;
mod shown;
mod stories;

use std::sync::Arc;

use shown::SeatState;

use super::*;
use crate::departure::{Call, ClassCapacity, Ride, SeatClass, SeatMap, Stretch};
use crate::ids::{OrderId, SeatClassCode};
use crate::names::Names;
use crate::rejection::{Rejection, Sold};

/// 08:00 on the day of departure; every stop is an hour after the one before it.
pub(super) const DEPARTS_AT: Timestamp = Timestamp::from_ms(1_770_000_000_000);
pub(super) const MINUTE: i64 = 60_000;

/// `minutes` after the start of the story, a week before the departure.
pub(super) fn at(minutes: i64) -> Timestamp {
    DEPARTS_AT.plus_seconds(-7 * 24 * 3600).plus_ms(minutes * MINUTE)
}

/// A vehicle drawn row by row: a letter is the first character of a seat's class, a space an aisle. Seats are labelled
/// by row and column: `1A`, `1B`, …
pub(super) fn seat_map(drawing: &[&str]) -> SeatMap {
    let mut classes: Vec<SeatClass> = Vec::new();
    let mut seats = Vec::new();
    for (row, line) in drawing.iter().enumerate() {
        for (column, letter) in line.chars().enumerate().filter(|(_, letter)| *letter != ' ') {
            let code = class(letter);
            let known = classes.iter().position(|class| class.code == code);
            let class = known.unwrap_or_else(|| {
                classes.push(SeatClass { code, names: Names::same(letter) });
                classes.len() - 1
            });
            let label = format!("{}{}", row + 1, char::from(b'A' + column as u8));
            seats.push(Seat { label, class: class as u8, row: row as u16, column: column as u8 });
        }
    }
    SeatMap { classes, seats }
}

pub(super) fn class(letter: char) -> SeatClassCode {
    letter.to_string().parse().unwrap()
}

/// A departure with stops A, B, C, … whose booking closes half an hour before.
pub(super) fn departure(stops: usize, drawing: &[&str]) -> DepartureSpec {
    let call = |stop: usize| {
        let at = DEPARTS_AT.plus_seconds(3600 * stop as i64);
        Call { arrives_at: at, departs_at: at }
    };
    DepartureSpec {
        id: "HKMO-0800.20260202".parse().unwrap(),
        route: "HKMO".parse().unwrap(),
        operator: "TJ".parse().unwrap(),
        calls: (0..stops).map(call).collect(),
        booking_closes_minutes: 30,
        seat_map: Arc::new(seat_map(drawing)),
    }
}

pub(super) fn hold_id(number: u16) -> HoldId {
    HoldId { order: OrderId::from_bits(u128::from(number / 2)), item: number % 2 }
}

pub(super) fn partner(name: &str) -> Channel {
    Channel::Ota(name.into())
}

/// `"AC"` is the stretch from stop A to stop C.
pub(super) fn stretch(stops: &str) -> Stretch {
    let [board, alight] = stops.as_bytes() else { panic!("two stops") };
    Stretch { board: board - b'A', alight: alight - b'A' }
}

/// An order's standard request: seats of class `s`, sold by the operator, on the given stretch, for ten minutes.
pub(super) fn place(number: u16, stops: &str, wanted: Wanted, now: Timestamp) -> PlaceHold {
    PlaceHold {
        hold: hold_id(number),
        epoch: 1,
        channel: Channel::Direct,
        class: class('s'),
        stretch: stretch(stops),
        ride: None,
        wanted,
        expires_at: now.plus_ms(10 * MINUTE),
    }
}

pub(super) fn chosen(labels: &str) -> Wanted {
    Wanted::Chosen(labels.split(' ').map(str::to_owned).collect())
}

/// The same inventory without what it remembers of the last choice of seats.
pub(super) fn forgetful(inventory: &Inventory) -> Inventory {
    let mut forgetful = inventory.clone();
    forgetful.taken.set_best_fit(None);
    forgetful
}

pub(super) fn hold_at(number: u16) -> HoldAt {
    HoldAt { hold: hold_id(number), epoch: 1 }
}

/// A machine in a story: says a command, gets the events or the refusal.
pub(super) struct Story(pub Inventory);

impl Inventory {
    /// How many seats of a class are free all along a stretch for a channel (R-SEARCH-04), looked at one by one. Holds that
    /// are due count as taken until they are swept.
    pub fn availability(&self, class: &SeatClassCode, stretch: Stretch, channel: &Channel) -> u16 {
        self.seats_of(class, channel).filter(|seat| self.occupancy(*seat) & stretch.mask() == 0).count() as u16
    }

    /// How many seats of a class are set aside for a channel, taken or not (R-ADMIN-04).
    pub fn allotment(&self, class: &SeatClassCode, channel: &Channel) -> u16 {
        self.seats_of(class, channel).count() as u16
    }

    fn seats_of(&self, class: &SeatClassCode, channel: &Channel) -> impl Iterator<Item = u16> {
        let class = self.spec().seat_map.class(class);
        let seats = self.spec().seat_map.seats.iter().zip(0..);
        seats
            .filter(move |(place, seat)| Some(place.class) == class && self.channel_of(*seat) == Some(channel))
            .map(|(_, seat)| seat)
    }
}

impl Story {
    pub fn new(stops: usize, drawing: &[&str]) -> Story {
        Story(Inventory::unborn(departure(stops, drawing)).unwrap())
    }

    pub fn apply(&mut self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let events = self.0.decide(command, now)?;
        for event in &events {
            self.0.evolve(event);
        }
        Ok(events)
    }

    /// Places a hold and says which seats it got.
    pub fn place(&mut self, place: &PlaceHold, now: Timestamp) -> Result<String, Rejection> {
        self.apply(&Command::PlaceHold(place.clone()), now)?;
        Ok(self.seats_of(place.hold))
    }

    /// `wanted` seats of class `s` for ten minutes.
    pub fn auto(&mut self, number: u16, stops: &str, wanted: u16, now: Timestamp) -> Result<String, Rejection> {
        self.place(&place(number, stops, Wanted::Auto(wanted), now), now)
    }

    pub fn choose(&mut self, number: u16, stops: &str, labels: &str, now: Timestamp) -> Result<String, Rejection> {
        self.place(&place(number, stops, chosen(labels), now), now)
    }

    pub fn confirm(&mut self, number: u16, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.apply(&Command::ConfirmHold(hold_at(number)), now)
    }

    pub fn release(&mut self, number: u16, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.apply(&Command::ReleaseHold(hold_at(number)), now)
    }

    pub fn pay(&mut self, number: u16, expires_at: Timestamp, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.apply(&Command::BeginPaying(BeginPaying { hold: hold_id(number), epoch: 1, expires_at }), now)
    }

    pub fn free(&mut self, number: u16, labels: &str, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let seats = labels.split(' ').map(str::to_owned).collect();
        self.apply(&Command::FreeSeats(FreeSeats { hold: hold_id(number), epoch: 1, seats }), now)
    }

    pub fn allot(&mut self, partner_name: &str, seats: u16, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let allotments = vec![Allotment { channel: partner(partner_name), class: class('s'), seats }];
        self.apply(&Command::SetAllotments(allotments), now)
    }

    pub fn seats_of(&self, hold: HoldId) -> String {
        let seats =
            self.0.hold(hold).map(|hold| hold.takes.live_seats().map(|seat| self.0.label(seat)).collect::<Vec<_>>());
        seats.unwrap_or_default().join(" ")
    }

    pub fn left(&self, stops: &str) -> u16 {
        self.0.availability(&class('s'), stretch(stops), &Channel::Direct)
    }
}
