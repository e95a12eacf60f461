//! Waking an inventory from its rows, with the checks that damage to them would fail: no seat twice, nothing unknown.

use std::str::FromStr;
use std::sync::Arc;

use crate::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap};
use crate::ids::HoldId;
use crate::time::Timestamp;

use super::pick::{Layout, Pool};
use super::rows::{CANCELLED, CONFIRMED, DepartureRow, EXPIRED, HELD, HoldRow, ON_SALE, PAYING, RELEASED};
use super::{Hold, HoldState, Inventory, SeatList, SpecError, Status};

/// Rows that no run of the machine can have written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RowsError {
    #[error("departure {departure}: the {column} {value:?} cannot be read")]
    Departure { departure: String, column: &'static str, value: String },
    #[error("departure {departure}")]
    Spec {
        departure: String,
        #[source]
        source: SpecError,
    },
    #[error("hold {hold}: the {column} {value:?} cannot be read, or does not fit its departure")]
    Hold { hold: String, column: &'static str, value: String },
    #[error("hold {hold}: seat {seat} is another hold's on the same stretch, or is in the hold twice")]
    SeatTwice { hold: HoldId, seat: String },
    #[error("hold {hold}: seat {seat} is of another class or channel")]
    WrongPool { hold: HoldId, seat: String },
    #[error("hold {hold} is there twice")]
    HoldTwice { hold: HoldId },
}

impl Inventory {
    /// The machine that wrote these rows. Ended holds may be left out once their `expires_at` has passed.
    pub fn from_rows(departure: &DepartureRow, holds: &[HoldRow], now: Timestamp) -> Result<Inventory, RowsError> {
        let mut inventory = departure_from(departure)?;
        for row in holds {
            inventory.add_row(row, now)?;
        }
        Ok(inventory)
    }

    /// Departures with the same vehicle can share one seat map in memory. Does nothing if `known` is not the same.
    pub fn share_seat_map(&mut self, known: &Arc<SeatMap>) {
        if self.spec.seat_map == *known {
            self.spec.seat_map = Arc::clone(known);
        }
    }

    fn add_row(&mut self, row: &HoldRow, now: Timestamp) -> Result<(), RowsError> {
        let id: HoldId = parse(row, "hold_id", &row.hold_id)?;
        if row.departure_id != self.spec.id.as_str() {
            return Err(misfit(row, "departure_id", &row.departure_id));
        }
        if self.holds.contains_key(&id) || self.ended.contains_key(&id) {
            return Err(RowsError::HoldTwice { hold: id });
        }
        let expires_at = Timestamp::from_ms(row.expires_at);
        let state = match row.state.as_str() {
            HELD => HoldState::Held,
            PAYING => HoldState::Paying,
            CONFIRMED => HoldState::Confirmed,
            RELEASED => {
                if expires_at > now {
                    self.insert_tombstone(id, row.epoch, expires_at);
                }
                return Ok(());
            }
            EXPIRED => return Ok(()),
            _ => return Err(misfit(row, "state", &row.state)),
        };
        let hold = self.hold_from(row, state)?;

        let pool = Pool::new(hold.class, hold.channel);
        for seat in hold.live_seats() {
            let label = self.label(seat).to_owned();
            if self.occupancy(seat) & hold.stretch.mask() != 0 {
                return Err(RowsError::SeatTwice { hold: id, seat: label });
            }
            if self.places.get(usize::from(seat)).is_none_or(|place| place.pool != pool) {
                return Err(RowsError::WrongPool { hold: id, seat: label });
            }
        }
        let listed = hold.seats.as_slice();
        if let Some((_, seat)) =
            listed.iter().enumerate().find(|(at, seat)| listed.iter().take(*at).any(|s| s == *seat))
        {
            return Err(RowsError::SeatTwice { hold: id, seat: self.label(*seat).to_owned() });
        }
        self.insert_hold(id, hold);
        Ok(())
    }

    fn hold_from(&mut self, row: &HoldRow, state: HoldState) -> Result<Hold, RowsError> {
        let class = row.class_code.parse().ok().and_then(|code| self.spec.seat_map.class(&code));
        let class = class.ok_or_else(|| misfit(row, "class_code", &row.class_code))?;
        let stop = |stop: u32| u8::try_from(stop).unwrap_or(u8::MAX);
        let stretch = self.spec.stretch(stop(row.board_stop), stop(row.alight_stop));
        let stretch =
            stretch.ok_or_else(|| misfit(row, "stretch", &format!("{}–{}", row.board_stop, row.alight_stop)))?;
        let channel: Channel = parse(row, "channel", &row.channel)?;
        // A channel may have given up its seats since; a hold whose seats were all freed still names it.
        let channel = self.intern(&channel).ok_or_else(|| misfit(row, "channel", &row.channel))?;
        let seats = row.seats.iter().map(|seat| self.seat_from(row, *seat)).collect::<Result<Vec<_>, _>>()?;
        if !seats.iter().map(|seat| self.label(*seat)).eq(row.seat_numbers.iter().map(String::as_str)) {
            return Err(misfit(row, "seat_numbers", &row.seat_numbers.join(" ")));
        }
        let seats = SeatList::new(seats).ok_or_else(|| misfit(row, "seats", &row.seat_numbers.join(" ")))?;
        let mut freed = 0;
        for seat in &row.freed_seats {
            let at = seats.iter().position(|of_hold| u32::from(of_hold) == *seat);
            let at = at.filter(|_| state == HoldState::Confirmed);
            freed |= 1 << at.ok_or_else(|| misfit(row, "freed_seats", &seat.to_string()))?;
        }
        Ok(Hold {
            epoch: row.epoch,
            state,
            class,
            channel,
            stretch,
            seats,
            freed,
            placed_at: Timestamp::from_ms(row.placed_at),
            expires_at: Timestamp::from_ms(row.expires_at),
        })
    }

    fn seat_from(&self, row: &HoldRow, seat: u32) -> Result<u16, RowsError> {
        let known = u16::try_from(seat).ok().filter(|seat| usize::from(*seat) < self.places.len());
        known.ok_or_else(|| misfit(row, "seats", &seat.to_string()))
    }
}

/// The newest version among a departure's rows: the one its key had when it was last written.
pub fn key_version(departure: &DepartureRow, holds: &[HoldRow]) -> u64 {
    holds.iter().map(|hold| hold.version).fold(departure.version, u64::max)
}

fn departure_from(row: &DepartureRow) -> Result<Inventory, RowsError> {
    let misfit = |column, value: &str| RowsError::Departure {
        departure: row.departure_id.clone(),
        column,
        value: value.to_owned(),
    };
    let number = |column, value: u32| u16::try_from(value).map_err(|_| misfit(column, &value.to_string()));
    let byte = |column, value: u32| u8::try_from(value).map_err(|_| misfit(column, &value.to_string()));

    let mut classes = Vec::with_capacity(row.classes.len());
    for class in &row.classes {
        let code = class.code.parse().map_err(|_| misfit("class", &class.code))?;
        classes.push(SeatClass { code, name: class.name.clone() });
    }
    let mut seats = Vec::with_capacity(row.seats.len());
    for seat in &row.seats {
        seats.push(Seat {
            label: seat.label.clone(),
            class: byte("class of a seat", seat.class)?,
            row: number("row of a seat", seat.row)?,
            column: byte("column of a seat", seat.column)?,
        });
    }
    let call = |call: &super::rows::CallRow| Call {
        arrives_at: Timestamp::from_ms(call.arrives_at),
        departs_at: Timestamp::from_ms(call.departs_at),
    };
    let spec = DepartureSpec {
        id: row.departure_id.parse().map_err(|_| misfit("departure_id", &row.departure_id))?,
        route: row.route_code.parse().map_err(|_| misfit("route_code", &row.route_code))?,
        operator: row.operator_code.parse().map_err(|_| misfit("operator_code", &row.operator_code))?,
        calls: row.calls.iter().map(call).collect(),
        booking_closes_minutes: number("booking_closes_minutes", row.booking_closes_minutes)?,
        seat_map: Arc::new(SeatMap { classes, seats }),
    };
    let mut inventory =
        Inventory::unborn(spec).map_err(|source| RowsError::Spec { departure: row.departure_id.clone(), source })?;
    inventory.born = true;
    inventory.status = match row.status.as_str() {
        ON_SALE => Status::OnSale,
        CANCELLED => Status::Cancelled,
        _ => return Err(misfit("status", &row.status)),
    };
    for (index, channel) in row.channels.iter().enumerate() {
        let known = channel.parse().ok().and_then(|known| inventory.intern(&known));
        if known.map(usize::from) != Some(index) {
            return Err(misfit("channel", channel));
        }
    }
    if !row.seat_channels.is_empty() && row.seat_channels.len() != inventory.places.len() {
        return Err(misfit("seat_channels", &format!("of {} seats", row.seat_channels.len())));
    }
    for (place, channel) in inventory.places.iter_mut().zip(&row.seat_channels) {
        if usize::from(*channel) >= inventory.channels.len() {
            return Err(misfit("seat_channels", &channel.to_string()));
        }
        place.pool = Pool::new(place.pool.class(), *channel);
    }
    inventory.layout = Layout::of(&inventory.places);
    Ok(inventory)
}

fn parse<T: FromStr>(row: &HoldRow, column: &'static str, value: &str) -> Result<T, RowsError> {
    value.parse().map_err(|_| misfit(row, column, value))
}

fn misfit(row: &HoldRow, column: &'static str, value: &str) -> RowsError {
    RowsError::Hold { hold: row.hold_id.clone(), column, value: value.to_owned() }
}
