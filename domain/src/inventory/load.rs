//! Waking an inventory from its rows, with the checks that damage to them would fail: no seat twice, nothing unknown.

use std::sync::Arc;

use crate::departure::{DepartureSpec, SeatMap};
use crate::hold::{FIRST_EPOCH, Life, Standing};
use crate::ids::{HoldId, IdMap};
use crate::row::{Damage, Row as _, Rows};
use crate::time::Timestamp;

use super::pick::Layout;
use super::rows::{DepartureRow, HoldRow};
use super::{HeldSeats, Hold, HoldState, Inventory, Pool, SeatList};

impl Inventory {
    /// The machine that wrote these rows. Ended holds may be left out once their `expires_at` has passed, but not those of
    /// later epochs: they say that the earlier ones are over.
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Inventory, Damage> {
        let mut inventory = departure_from(&rows.only()?)?;
        let holds: Vec<HoldRow<'_>> = rows.all()?;
        let last = last_rows(&holds);
        // An earlier row may say that its hold is live: older releases wrote nothing of one that made way.
        let counts = |row: &&HoldRow<'_>| last.get(&row.hold()).is_none_or(|last| written(row) == *last);
        for hold in holds.iter().filter(counts) {
            inventory.add_row(hold, now)?;
        }
        Ok(inventory)
    }

    /// Departures with the same vehicle can share one seat map in memory. Does nothing if `known` is not the same.
    pub fn share_seat_map(&mut self, known: &Arc<SeatMap>) {
        if self.spec.seat_map == *known {
            self.spec.seat_map = Arc::clone(known);
        }
    }

    fn add_row(&mut self, row: &HoldRow<'_>, now: Timestamp) -> Result<(), Damage> {
        let id = row.hold();
        if row.departure_id != self.spec.id.as_str() {
            return Err(misfit(row, "departure_id"));
        }
        if self.holds.knows(id) {
            return Err(row.damage("it is there twice"));
        }
        let state = match row.state.parse().map_err(|_| misfit(row, "state"))? {
            Standing::Live(state) => state,
            Standing::Released => {
                if row.expires_at > now {
                    self.holds.insert_ended(id, row.epoch, row.expires_at);
                }
                return Ok(());
            }
            Standing::Expired => return Ok(()),
        };
        let hold = self.hold_from(row, state)?;

        let HeldSeats { class, channel, stretch, seats, .. } = hold.takes;
        let pool = Pool::new(class, channel);
        for seat in hold.takes.live_seats() {
            if self.occupancy(seat) & stretch.mask() != 0 {
                return Err(seat_twice(row, self.label(seat)));
            }
            if self.places.get(usize::from(seat)).is_none_or(|place| place.pool != pool) {
                return Err(row.damage(format!("seat {} is of another class or channel", self.label(seat))));
            }
        }
        let listed = seats.as_slice();
        if let Some((_, seat)) =
            listed.iter().enumerate().find(|(at, seat)| listed.iter().take(*at).any(|s| s == *seat))
        {
            return Err(seat_twice(row, self.label(*seat)));
        }
        self.take(&hold.takes);
        self.holds.insert(id, hold);
        Ok(())
    }

    fn hold_from(&mut self, row: &HoldRow<'_>, state: HoldState) -> Result<Hold, Damage> {
        let class = row.class_code.parse().ok().and_then(|code| self.spec.seat_map.class(&code));
        let class = class.ok_or_else(|| misfit(row, "class_code"))?;
        let stretch = self.spec.stretch(row.board_stop, row.alight_stop).ok_or_else(|| misfit(row, "stretch"))?;
        // A channel may have given up its seats since; a hold whose seats were all freed still names it.
        let channel = self.intern(&row.channel).ok_or_else(|| misfit(row, "channel"))?;
        let seats = row.seats.0.iter().map(|seat| self.seat_from(row, *seat)).collect::<Result<Vec<_>, _>>()?;
        if !seats.iter().map(|seat| self.label(*seat)).eq(row.seat_numbers.to_vec()) {
            return Err(misfit(row, "seat_numbers"));
        }
        let seats = SeatList::new(seats).ok_or_else(|| misfit(row, "seats"))?;
        let mut freed = 0;
        for seat in &row.freed_seats.0 {
            let at = seats.iter().position(|of_hold| u32::from(of_hold) == *seat);
            let at = at.filter(|_| state == HoldState::Confirmed);
            freed |= 1 << at.ok_or_else(|| misfit(row, "freed_seats"))?;
        }
        let HoldRow { epoch, placed_at, expires_at, .. } = *row;
        let life = Life { epoch, state, placed_at, expires_at };
        Ok(Hold { life, takes: HeldSeats { class, channel, stretch, seats, freed } })
    }

    fn seat_from(&self, row: &HoldRow<'_>, seat: u32) -> Result<u16, Damage> {
        let numbered = self.places.len() + self.retired.len();
        let known = u16::try_from(seat).ok().filter(|seat| usize::from(*seat) < numbered);
        known.ok_or_else(|| misfit(row, "seats"))
    }
}

/// Of each hold that was placed again, when its last row was written.
fn last_rows(holds: &[HoldRow<'_>]) -> IdMap<HoldId, (u64, u32)> {
    let again = holds.iter().filter(|row| row.epoch > FIRST_EPOCH);
    let mut last: IdMap<HoldId, (u64, u32)> = again.map(|row| (row.hold(), written(row))).collect();
    for row in holds {
        if let Some(known) = last.get_mut(&row.hold()) {
            *known = written(row).max(*known);
        }
    }
    last
}

/// The order in which the rows of a hold were written: in one record an earlier epoch makes way for a later one.
fn written(row: &HoldRow<'_>) -> (u64, u32) {
    (row.version, row.epoch)
}

fn departure_from(row: &DepartureRow<'_>) -> Result<Inventory, Damage> {
    let misfit = |column: &str| row.damage(format!("{column} does not fit"));
    let spec = DepartureSpec {
        id: row.departure_id.clone(),
        route: row.route_code.clone(),
        operator: row.operator_code.clone(),
        calls: row.calls.to_vec(),
        booking_closes_minutes: row.booking_closes_minutes,
        seat_map: Arc::new(SeatMap { classes: row.classes.to_vec(), seats: row.seat_map.to_vec() }),
    };
    let mut inventory = Inventory::unborn(spec).map_err(|error| row.damage(error.to_string()))?;
    inventory.born = true;
    inventory.status = row.status;
    inventory.retired = row.retired_seats.to_vec().into_iter().map(str::to_owned).collect();
    for (index, channel) in row.channels.to_vec().iter().enumerate() {
        if inventory.intern(channel).map(usize::from) != Some(index) {
            return Err(misfit("channels"));
        }
    }
    if !row.seat_channels.is_empty() && row.seat_channels.len() != inventory.places.len() {
        return Err(misfit("seat_channels"));
    }
    for (place, channel) in inventory.places.iter_mut().zip(row.seat_channels) {
        if usize::from(*channel) >= inventory.channels.len() {
            return Err(misfit("seat_channels"));
        }
        place.pool = Pool::new(place.pool.class, *channel);
    }
    inventory.layout = Layout::of(&inventory.places);
    Ok(inventory)
}

fn misfit(row: &HoldRow<'_>, column: &str) -> Damage {
    row.damage(format!("{column} does not fit"))
}

fn seat_twice(row: &HoldRow<'_>, seat: &str) -> Damage {
    row.damage(format!("seat {seat} is another hold's on the same stretch, or is in the hold twice"))
}
