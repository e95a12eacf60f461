//! What a partner has reserved without paying, and what was drawn of it (R-OTA-03): one machine for each partner.
//!
//! The units of a reservation are one confirmed hold at the template's stock. The book alone says what the hold keeps, and its
//! owner tells the stock, see [`PartnerBook::untold`]; the stock knows no time limit. What is drawn stays in the hold: a draw
//! changes nothing at the stock, so its units are never on sale in between. Whoever drew them gives them back through the
//! book. See docs/decisions/partner-reservations.md.
//!
//! Prices, products and whether a partner may sell are the catalogue's; what was drawn for is a batch's or an order's own.
//!
//! The parts: [`command`] what can be asked and what then happened; `activation` from units to an order; `decide` every check;
//! `evolve` the only mutation; [`rows`] how it looks in the journal and in the database, and the way back.

mod activation;
pub mod command;
mod decide;
mod evolve;
pub mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use command::{Command, Draw, Event, GiveBack, Reserve};

use crate::batch::Offer;
use crate::batch::plan::HELD_SECONDS;
use crate::departure::Channel;
use crate::hold::{FIRST_EPOCH, HoldAt};
use crate::ids::{HoldId, InvalidId, OrderId, PartnerCode, Shard, TemplateId, codes};
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::stock::{self, Free, Place, StockId};
use crate::time::Timestamp;

/// Most units of one reservation: as many as one batch of tickets has.
pub const RESERVED_UNITS_MAX: u32 = 5_000;
/// Most units that one order takes of a reservation: its tickets are issued in one record.
pub const ORDER_UNITS_MAX: u32 = 100;
/// Most active reservations of a partner: a program that has run wild does not fill the memory.
pub const ACTIVE_MAX: usize = 1_000;
/// Reservations that end in one turn, so that it stays short and its record small; the deadline of the rest is still due.
pub const EXPIRES_PER_TURN_MAX: usize = 256;
/// So long after the end of a reservation its Idempotency-Key names it, and it is remembered.
pub const KEYS_KEPT_SECONDS: i64 = 48 * 60 * 60;
/// The number of a reservation: its hold's. It is composed as an order's id is, of version 9 instead of 7 (RFC 9562), so that
/// the two never meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PartnerReservationId(OrderId);

const VERSION: u128 = 0x9 << 76;
const VERSION_MASK: u128 = 0xF << 76;

impl PartnerReservationId {
    /// A new id. `chance` must be fresh for every call.
    pub fn compose(at: Timestamp, chance: u64) -> PartnerReservationId {
        let bits = OrderId::compose(at, Shard::of(chance >> 48), chance).bits() & !VERSION_MASK | VERSION;
        PartnerReservationId(OrderId::from_bits(bits))
    }

    /// `None`: it is the number of something else.
    pub fn of_number(number: OrderId) -> Option<PartnerReservationId> {
        (number.bits() & VERSION_MASK == VERSION).then_some(PartnerReservationId(number))
    }

    /// As others refer to it.
    pub fn number(self) -> OrderId {
        self.0
    }

    pub fn hold(self) -> HoldAt {
        HoldAt { hold: HoldId { order: self.0, item: 0 }, epoch: FIRST_EPOCH }
    }
}

impl fmt::Display for PartnerReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PartnerReservationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<PartnerReservationId, InvalidId> {
        let number = text.parse().ok().and_then(PartnerReservationId::of_number);
        number.ok_or(InvalidId("reservation id"))
    }
}

/// How a reservation stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReservationStatus {
    /// What is left of it can be drawn.
    Active,
    /// Its time was over before all of it was drawn.
    Expired,
    /// All of it was drawn.
    Activated,
    /// The partner gave back what was left, or its units were sold before it could be answered.
    Cancelled,
}

impl ReservationStatus {
    /// What was recorded, as it is at an instant, however late the timer is. `expires_at`: of the reservation.
    #[must_use]
    pub fn at(self, expires_at: Option<Timestamp>, now: Timestamp) -> ReservationStatus {
        match self {
            ReservationStatus::Active if expires_at.is_some_and(|at| at <= now) => ReservationStatus::Expired,
            recorded => recorded,
        }
    }
}

codes!(ReservationStatus, "reservation status: known are active, expired, activated and cancelled":
    Active = "active",
    Expired = "expired",
    Activated = "activated",
    Cancelled = "cancelled",
);

/// What units are drawn for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DrawnFor {
    Batch,
    Order,
}

codes!(DrawnFor, "drawer: known are batch and order": Batch = "batch", Order = "order");

/// A reservation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    pub id: PartnerReservationId,
    pub idempotency_key: Box<str>,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
    pub template: TemplateId,
    /// Of the template, as it was reserved.
    pub template_version: u32,
    pub product: u32,
    /// What its units are sold as. `None`: it has ended, and sells nothing any more.
    pub offer: Option<Arc<Offer>>,
    pub quantity: u32,
    pub created_at: Timestamp,
    /// From this instant on nothing can be drawn of it. `None`: never.
    pub expires_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// As it was recorded; see [`Reservation::status`].
    recorded: ReservationStatus,
    draws: Vec<Drawn>,
    /// How many units the stock knows that its hold keeps. `None`: it is not confirmed, and nobody was promised anything.
    told: Option<u32>,
}

/// Units that were drawn together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The number of the batch or order.
    pub by: OrderId,
    pub drawn_for: DrawnFor,
    pub quantity: u32,
    /// Those that have not been given back.
    pub units_left: u32,
    pub at: Timestamp,
}

impl Reservation {
    pub fn status(&self, now: Timestamp) -> ReservationStatus {
        self.recorded.at(self.expires_at, now)
    }

    /// Units that nobody has drawn: to be drawn while it is active.
    pub fn remaining(&self) -> u32 {
        self.draws.iter().fold(self.quantity, |left, drawn| left.saturating_sub(drawn.quantity))
    }

    pub fn draws(&self) -> &[Drawn] {
        &self.draws
    }

    /// Whether its units are held for good: from then on the partner may know of it.
    pub fn is_confirmed(&self) -> bool {
        self.told.is_some()
    }

    /// Units that its hold has to keep.
    fn keeps(&self) -> u32 {
        let kept: u32 = self.draws.iter().map(|drawn| drawn.units_left).sum();
        match self.recorded {
            ReservationStatus::Active => kept + self.remaining(),
            ReservationStatus::Expired | ReservationStatus::Activated | ReservationStatus::Cancelled => kept,
        }
    }

    /// Its units went before it was confirmed: nobody was promised it, and its key is free.
    fn is_lost(&self) -> bool {
        self.told.is_none() && self.ended_at.is_some()
    }

    fn is_untold(&self) -> bool {
        !self.is_lost() && self.told != Some(self.keeps())
    }

    /// From when on nobody can ask for it by its key.
    fn key_ends_at(&self) -> Option<Timestamp> {
        self.ended_at.map(|at| at.plus_seconds(KEYS_KEPT_SECONDS))
    }

    /// Whether nothing of it can come back.
    fn is_settled(&self) -> bool {
        self.keeps() == 0 && !self.is_untold()
    }
}

/// What the stock has to be told, so that its hold is as the book says. Doing it twice is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// The reservation is recorded.
    Confirm,
    /// The hold keeps so many units.
    Keep(u32),
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct PartnerBook {
    partner: PartnerCode,
    reservations: BTreeMap<PartnerReservationId, Reservation>,
    keys: HashMap<Box<str>, PartnerReservationId>,
    drawers: HashMap<OrderId, PartnerReservationId>,
    active: BTreeSet<PartnerReservationId>,
    /// When those that are confirmed and active end.
    due: BTreeSet<(Timestamp, PartnerReservationId)>,
    untold: BTreeSet<PartnerReservationId>,
    /// Of those that have ended and keep nothing, from when on nobody asks for them.
    settled: BTreeSet<(Timestamp, PartnerReservationId)>,
}

impl PartnerBook {
    pub fn new(partner: PartnerCode) -> PartnerBook {
        PartnerBook {
            partner,
            reservations: BTreeMap::new(),
            keys: HashMap::new(),
            drawers: HashMap::new(),
            active: BTreeSet::new(),
            due: BTreeSet::new(),
            untold: BTreeSet::new(),
            settled: BTreeSet::new(),
        }
    }

    pub fn partner(&self) -> &PartnerCode {
        &self.partner
    }

    /// One that is confirmed. Refused with `ReservationNotFound`, as another partner's is.
    pub fn reservation(&self, id: PartnerReservationId) -> Result<&Reservation, Rejection> {
        let found = self.reservations.get(&id).filter(|reservation| reservation.is_confirmed());
        found.ok_or(Rejection::ReservationNotFound)
    }

    /// The reservation that an Idempotency-Key has made before. Refused with `IdempotencyMismatch` for another request.
    pub fn made_by(&self, key: &str, body_hash: &[u8; 32], now: Timestamp) -> Result<Option<&Reservation>, Rejection> {
        let made = self.keys.get(key).and_then(|id| self.reservations.get(id));
        let is_known = |of: &&Reservation| !of.is_lost() && of.key_ends_at().is_none_or(|at| now < at);
        match made.filter(is_known) {
            Some(reservation) if reservation.body_hash == *body_hash => Ok(Some(reservation)),
            Some(_) => Err(Rejection::IdempotencyMismatch),
            None => Ok(None),
        }
    }

    /// Those whose stock does not know what their hold keeps: its owner tells it, after the record and again after a restart.
    pub fn untold(&self) -> impl Iterator<Item = (PartnerReservationId, Tell)> {
        let untold = self.untold.iter().filter_map(|id| self.reservations.get(id));
        untold.map(|reservation| {
            let tell = reservation.told.map_or(Tell::Confirm, |_| Tell::Keep(reservation.keeps()));
            (reservation.id, tell)
        })
    }

    /// Of any reservation that there is, the stock and what to tell it.
    pub fn request(&self, id: PartnerReservationId, tell: Tell) -> Option<(StockId, stock::Command)> {
        let stock = StockId::Package(self.reservations.get(&id)?.template.clone());
        let at = id.hold();
        Some(match tell {
            Tell::Confirm => (stock, stock::Command::Confirm(at)),
            Tell::Keep(units_left) => (stock, stock::Command::Free(Free { at, units_left, settled: None })),
        })
    }
}

impl Reserve {
    /// The hold of its units, and whose it is.
    pub fn held(&self) -> (StockId, HoldAt) {
        (StockId::Package(self.offer.terms.template.clone()), self.id.hold())
    }

    /// The stock, and what it is asked before there is a record.
    pub fn place(&self, partner: &PartnerCode, now: Timestamp) -> (StockId, stock::Command) {
        let place = Place {
            at: self.id.hold(),
            quantity: self.quantity,
            date: None,
            channel: Channel::from(partner),
            holder: None,
            expires_at: now.plus_seconds(HELD_SECONDS),
        };
        (StockId::Package(self.offer.terms.template.clone()), stock::Command::Place(place))
    }
}

impl Machine for PartnerBook {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        PartnerBook::decide(self, command, now)
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        for event in events {
            self.evolve(event);
        }
        self.changed_rows(events, version)
    }

    fn wants_room(&self, events: &[Event]) -> bool {
        events.iter().any(|event| !matches!(event, Event::Forgotten { .. }))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn when_due() -> Option<Command> {
        Some(Command::Expire)
    }
}
