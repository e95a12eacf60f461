//! What a dated departure is: calls at stops, and seats. Made from the catalogue (a schedule on a service date) and
//! owned, once born, by the departure's [inventory](crate::inventory).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{DepartureId, OperatorCode, PartnerCode, RouteCode, SeatClassCode};
use crate::names::{Names, once_one_name};
use crate::row::{part, text_fields};
use crate::time::Timestamp;

/// Fewest and most stops of a departure. With 64 stops there are 63 stretches between neighbours, one bit each.
pub const STOPS_MIN: usize = 2;
pub const STOPS_MAX: usize = 64;
/// Most seats of a departure: larger than any vessel on the routes we serve, and a seat's index fits 16 bits.
pub const SEATS_MAX: usize = 4_096;

/// A stretch of a departure: boarded at one stop, left at a later one. Numbers count the stops from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Stretch {
    pub board: u8,
    pub alight: u8,
}

impl Stretch {
    /// `None` unless `board < alight` and both are below [`STOPS_MAX`].
    pub fn new(board: u8, alight: u8) -> Option<Stretch> {
        (board < alight && usize::from(alight) < STOPS_MAX).then_some(Stretch { board, alight })
    }

    /// One bit per pair of neighbouring stops: bit `n` is the way from stop `n` to stop `n + 1`.
    pub fn mask(self) -> u64 {
        let up_to = |stop: u8| (1_u64 << stop) - 1;
        up_to(self.alight) & !up_to(self.board)
    }
}

part!(Stretch { 1 board: u8, 2 alight: u8 } => Stretch::new(board, alight));

/// A class of seats with its own fares.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeatClass {
    pub code: SeatClassCode,
    #[serde(rename = "name", deserialize_with = "once_one_name")]
    pub names: Names,
}

part!(SeatClass {
    1 code: SeatClassCode,
    2 name (|class| class.names.zh): String,
    // Absent in rows that were written before classes had two names.
    3 name_en (|class| Some(class.names.en.clone())): Option<String>,
} => Some(SeatClass { code, names: Names::stored(&name, name_en.as_deref()) }));

/// One seat. Rows count from the front; columns from the left. A gap in the columns of a row is an aisle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// As printed on the seat: `07A`. Unique in its map.
    pub label: String,
    /// Index into [`SeatMap::classes`].
    pub class: u8,
    pub row: u16,
    pub column: u8,
}

part!(Seat { 1 label: String, 2 class: u8, 3 row: u16, 4 column: u8 } => Some(Seat { label, class, row, column }));

/// The seats of a vehicle, ordered by row and column: neighbours in the list are neighbours on board.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeatMap {
    pub classes: Vec<SeatClass>,
    pub seats: Vec<Seat>,
}

impl SeatMap {
    /// The index of a class, if the vehicle has it.
    pub fn class(&self, code: &SeatClassCode) -> Option<u8> {
        self.classes.iter().position(|class| class.code == *code).map(|index| index as u8)
    }

    /// The seat printed `label`.
    pub fn seat(&self, label: &str) -> Option<u16> {
        self.seats.iter().position(|seat| seat.label == label).map(|index| index as u16)
    }
}

/// When a departure is at one of its stops. The first has only a departure and the last only an arrival that matter;
/// both instants are always there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Call {
    pub arrives_at: Timestamp,
    pub departs_at: Timestamp,
}

part!(Call { 1 arrives_at: Timestamp, 2 departs_at: Timestamp } => Some(Call { arrives_at, departs_at }));

/// When a party travels: from the stop where it boards, and at the one where it leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ride {
    pub departs_at: Timestamp,
    pub arrives_at: Timestamp,
}

/// Whether the stops are called at one after the other, each departure not before its arrival.
pub fn in_order(calls: &[Call]) -> bool {
    let stays = |call: &Call| call.arrives_at <= call.departs_at;
    calls.iter().all(stays) && calls.windows(2).all(|two| matches!(two, [a, b] if a.departs_at <= b.arrives_at))
}

/// So many seats of a class (R-ADMIN-04).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClassCapacity {
    pub code: SeatClassCode,
    pub capacity: u16,
}

part!(ClassCapacity { 1 code: SeatClassCode, 2 capacity: u16 } => Some(ClassCapacity { code, capacity }));

/// Everything a departure's inventory needs to know of the outside. Once the departure is born only its own commands change
/// it: other seats, other times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DepartureSpec {
    pub id: DepartureId,
    pub route: RouteCode,
    pub operator: OperatorCode,
    /// One per stop, in order; between [`STOPS_MIN`] and [`STOPS_MAX`].
    pub calls: Vec<Call>,
    /// Booking for a stretch closes this long before the departure from its first stop.
    pub booking_closes_minutes: u16,
    pub seat_map: Arc<SeatMap>,
}

impl DepartureSpec {
    pub fn departs_at(&self) -> Timestamp {
        self.calls.first().map_or(Timestamp::MAX, |call| call.departs_at)
    }

    /// When a stretch is travelled, if the departure has both stops.
    pub fn ride(&self, stretch: Stretch) -> Option<Ride> {
        let board = self.calls.get(usize::from(stretch.board))?;
        let alight = self.calls.get(usize::from(stretch.alight))?;
        Some(Ride { departs_at: board.departs_at, arrives_at: alight.arrives_at })
    }

    /// The stretch, if the departure has both stops.
    pub fn stretch(&self, board: u8, alight: u8) -> Option<Stretch> {
        Stretch::new(board, alight).filter(|stretch| usize::from(stretch.alight) < self.calls.len())
    }

    /// From this instant on, the stretch is no longer sold.
    pub fn booking_closes_at(&self, stretch: Stretch) -> Timestamp {
        let departs_at =
            self.calls.get(usize::from(stretch.board)).map_or(Timestamp::from_ms(0), |call| call.departs_at);
        departs_at.plus_seconds(-60 * i64::from(self.booking_closes_minutes))
    }
}

/// Who sells: the operator's own shop, or one partner (R-ADMIN-04). Text: `direct`, `ota:<partner>`. Serialised it is part of
/// a packed order.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Channel {
    Direct,
    Ota(#[serde(with = "crate::packing::shared_text")] Arc<str>),
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Channel::Direct => f.write_str("direct"),
            Channel::Ota(partner) => write!(f, "ota:{partner}"),
        }
    }
}

impl std::str::FromStr for Channel {
    type Err = crate::ids::InvalidId;

    fn from_str(text: &str) -> Result<Channel, Self::Err> {
        match text.split_once(':') {
            None if text == "direct" => Ok(Channel::Direct),
            Some(("ota", partner)) if !partner.is_empty() && partner.len() <= crate::ids::CODE_LEN_MAX => {
                Ok(Channel::Ota(partner.into()))
            }
            _ => Err(crate::ids::InvalidId("channel")),
        }
    }
}

text_fields!(Channel: Text);

impl From<&PartnerCode> for Channel {
    fn from(partner: &PartnerCode) -> Channel {
        Channel::Ota(partner.as_str().into())
    }
}

/// Physical seats set aside for a partner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allotment {
    pub channel: Channel,
    pub class: SeatClassCode,
    pub seats: u16,
}

part!(Allotment { 1 channel: Channel, 2 class as "seatClass": SeatClassCode, 3 seats: u16 }
    => Some(Allotment { channel, class, seats }));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_search_06_stretches_overlap_exactly_when_they_share_a_way_between_neighbours() {
        let mask = |board, alight| Stretch::new(board, alight).unwrap().mask();
        assert_eq!(mask(0, 2) & mask(2, 4), 0, "A–C and C–E do not overlap");
        assert_ne!(mask(0, 2) & mask(1, 3), 0, "A–C and B–D do");
        assert_eq!(mask(0, 63), u64::MAX >> 1);
        assert_eq!(Stretch::new(2, 2), None);
        assert_eq!(Stretch::new(0, 64), None);
    }
}
