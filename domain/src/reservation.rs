//! Reservations: seats that a traveller holds before there is an order (R-HOLD-07). What is held is a hold of the departure
//! like any other, under an id that no order has; an order adopts it, its traveller releases it, or it lapses. The desk of
//! the traveller asks for it, and counts it among his live locks (R-HOLD-08).

use std::fmt;
use std::str::FromStr;

use crate::catalogue::{Catalogue, Sought};
use crate::departure::{Channel, Stretch};
use crate::hold::{FIRST_EPOCH, HoldAt};
use crate::id_text::TEXT_LEN;
use crate::ids::{DepartureId, HoldId, InvalidId, OrderId, SeatClassCode, Shard, TravellerId};
use crate::inventory::{PlaceHold, Wanted};
use crate::party::{PARTY_MAX, Party};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{First, Uuid};
use crate::time::Timestamp;

/// A reservation: its hold, and the departure that has it. Text: `<26 characters>.<departure>`.
///
/// The hold's number is composed as an order's id is, of version 8 instead of 7 (RFC 9562), so that the two never meet;
/// 32 of its 62 bits of chance are a check of its traveller instead, so that another one's is known without looking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReservationId {
    number: OrderId,
    departure: DepartureId,
}

/// What tells the number of a reservation from an order's id.
const VERSION: u128 = 0x8 << 76;
const VERSION_MASK: u128 = 0xF << 76;
const CHANCE_BITS: u32 = 30;
const CHECK_MASK: u128 = 0xFFFF_FFFF << CHANCE_BITS;
/// Odd, with bits everywhere (2^128 divided by the golden ratio).
const SPREAD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

impl ReservationId {
    /// A new id. `chance` must be fresh for every call.
    pub fn compose(
        at: Timestamp,
        shard: Shard,
        chance: u64,
        traveller: TravellerId,
        departure: DepartureId,
    ) -> ReservationId {
        let bits = OrderId::compose(at, shard, chance).bits() & !VERSION_MASK & !CHECK_MASK | VERSION;
        ReservationId { number: OrderId::from_bits(bits | check(bits, traveller)), departure }
    }

    /// As its rows name it. `None`: it is an order's.
    pub fn of_hold(number: OrderId, departure: DepartureId) -> Option<ReservationId> {
        (number.bits() & VERSION_MASK == VERSION).then_some(ReservationId { number, departure })
    }

    /// Whether it is this traveller's. Of another's it is not, but by one chance in 2^32.
    pub fn is_of(&self, traveller: TravellerId) -> bool {
        let bits = self.number.bits();
        bits & CHECK_MASK == check(bits & !CHECK_MASK, traveller)
    }

    pub fn hold(&self) -> HoldId {
        HoldId { order: self.number, item: 0 }
    }

    pub fn departure(&self) -> &DepartureId {
        &self.departure
    }
}

/// In its place within the number.
fn check(rest: u128, traveller: TravellerId) -> u128 {
    let digest = (rest ^ traveller.bits()).wrapping_mul(SPREAD) >> 96;
    digest << CHANCE_BITS
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.departure)
    }
}

impl FromStr for ReservationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<ReservationId, InvalidId> {
        let parsed = || {
            let number = text.get(..TEXT_LEN)?.parse().ok()?;
            let departure = text.get(TEXT_LEN..)?.strip_prefix('.')?.parse().ok()?;
            ReservationId::of_hold(number, departure)
        };
        parsed().ok_or(InvalidId("reservation id"))
    }
}

/// A request for a reservation, its fields parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReservationWish {
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub body_hash: [u8; 32],
    pub departure: DepartureId,
    pub class: SeatClassCode,
    /// `None`: the first stop.
    pub board: Option<u8>,
    /// `None`: the last stop.
    pub alight: Option<u8>,
    pub wanted: Wanted,
}

/// A reservation as its departure is asked for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    pub id: ReservationId,
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub body_hash: [u8; 32],
    pub class: SeatClassCode,
    pub stretch: Stretch,
    pub wanted: Wanted,
    pub expires_at: Timestamp,
}

impl ReservationWish {
    /// Checks the request against what is sold: only what an order could have is reserved, for as long as it would be held
    /// for one. `lock_seconds` overrides every route's lock. Errors: as of an order of these seats, with fields named as in
    /// the request.
    pub fn reserve(
        self,
        catalogue: &Catalogue,
        id: impl FnOnce(DepartureId) -> ReservationId,
        now: Timestamp,
        lock_seconds: Option<u32>,
    ) -> Result<Reservation, Rejection> {
        let sought = Sought { departure: &self.departure, board: self.board, alight: self.alight };
        let (trip, route_lock) = sought.on_sale(catalogue, now, str::to_owned)?;
        let seats = seats_of(&self.wanted);
        let party = Party::new(seats, 0, 0);
        let party = party.ok_or_else(|| Rejection::field("seats", format!("is 1 to {PARTY_MAX}")))?;
        // What has no price is not sold.
        catalogue.quote(&trip, &self.class, party)?;
        let lock = now.plus_seconds(i64::from(lock_seconds.unwrap_or(route_lock)));

        Ok(Reservation {
            stretch: trip.stretch,
            expires_at: lock.min(trip.departs_at.plus_seconds(-1)),
            id: id(self.departure),
            traveller: self.traveller,
            idempotency_key: self.idempotency_key,
            body_hash: self.body_hash,
            class: self.class,
            wanted: self.wanted,
        })
    }
}

impl Reservation {
    /// What its departure is asked. Asking again is already so while it is held, and refused once it has ended.
    pub fn place(&self) -> PlaceHold {
        PlaceHold {
            hold: self.id.hold(),
            epoch: FIRST_EPOCH,
            channel: Channel::Direct,
            class: self.class.clone(),
            stretch: self.stretch,
            // The order that adopts it says when its party means to travel.
            ride: None,
            wanted: self.wanted.clone(),
            expires_at: self.expires_at,
        }
    }

    /// How many seats it holds.
    pub fn seats(&self) -> u16 {
        seats_of(&self.wanted)
    }

    /// Born in the record that holds the seats.
    pub fn row(&self) -> ReservationRow<'_> {
        ReservationRow {
            reservation_id: Uuid(self.id.number),
            version: BORN,
            departure_id: self.id.departure.as_str(),
            traveller_id: Uuid(self.traveller),
            idempotency_key: &self.idempotency_key,
            body_hash: self.body_hash,
        }
    }
}

/// What to ask the departure for, to give the seats back.
pub fn release(id: &ReservationId) -> HoldAt {
    HoldAt { hold: id.hold(), epoch: FIRST_EPOCH }
}

fn seats_of(wanted: &Wanted) -> u16 {
    match wanted {
        Wanted::Auto(seats) | Wanted::Reserved { seats, .. } => *seats,
        Wanted::Chosen(labels) => u16::try_from(labels.len()).unwrap_or(u16::MAX),
    }
}

/// The row is nobody's key's own (rule 4), and never written again.
const BORN: u64 = 0;

row! {
    /// Whose a reservation is, and which request has made it; its hold's row says the rest.
    pub struct ReservationRow<'a>: 70 "reservation_rows", First::Always;
    /// The `order_id` of its hold.
    1 reservation_id [Key]: Uuid<OrderId>,
    2 version: u64,
    3 departure_id: &'a str,
    4 traveller_id: Uuid<TravellerId>,
    5 idempotency_key: &'a str,
    /// SHA-256 of the request.
    6 body_hash: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traveller(number: u128) -> TravellerId {
        TravellerId::from_bits(number << 64 | number)
    }

    fn reservation(chance: u64, traveller: TravellerId) -> ReservationId {
        let departure = "GZ-HKA-0830.20261224".parse().unwrap();
        ReservationId::compose(Timestamp::from_ms(1_795_147_200_123), Shard::of(77), chance << 2, traveller, departure)
    }

    #[test]
    fn a_reservation_names_its_departure_its_shard_and_its_instant() {
        let id = reservation(u64::MAX >> 2, traveller(7));
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id.departure().as_str(), "GZ-HKA-0830.20261224");
        assert_eq!(id.hold().order.shard(), Shard::of(77));
        assert_eq!(id.hold().order.made_at(), Timestamp::from_ms(1_795_147_200_123));
        assert!(id.to_string().len() < 100);
    }

    #[test]
    fn r_hold_07_a_reservation_is_its_travellers_alone() {
        for chance in 0..1_000 {
            let id = reservation(chance, traveller(7));
            assert!(id.is_of(traveller(7)));
            assert!(!id.is_of(traveller(8)));
            assert!(!id.is_of(TravellerId::from_bits(u128::from(chance))));
        }
    }

    #[test]
    fn no_order_is_taken_for_a_reservation_and_nothing_else_is_one() {
        let order = OrderId::compose(Timestamp::from_ms(1_795_147_200_123), Shard::of(77), 5);
        let id = reservation(5, traveller(7)).to_string();
        for text in [format!("{order}.R1-0800.20261224"), id[..26].to_owned(), id[..27].to_owned(), format!("{id} ")] {
            assert_eq!(text.parse::<ReservationId>(), Err(InvalidId("reservation id")), "{text}");
        }
    }
}
