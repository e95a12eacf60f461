//! The inventory as rows: what a journal record carries and the database shows. Rows are images of how things are, so
//! the newest of each is enough to rebuild the machine. Numbers of prost fields are never reused.
//!
//! The departure's own row is written when it opens and when its allotments or status change; a hold's row whenever the
//! hold changes, also when it ends.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::departure::{Channel, DepartureSpec, SeatMap};
use crate::ids::HoldId;
use crate::time::Timestamp;

use super::command::Event;
use super::{Hold, HoldState, Inventory, Status};

/// A dated departure that was born.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct DepartureRow {
    /// Primary key.
    #[prost(string, tag = "1")]
    pub departure_id: String,
    /// The version of the departure's key with which this image was written.
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub route_code: String,
    #[prost(string, tag = "4")]
    pub operator_code: String,
    /// From the first stop, in ms since the epoch; here for queries, the calls decide.
    #[prost(int64, tag = "5")]
    pub departs_at: i64,
    /// One per stop, in order.
    #[prost(message, repeated, tag = "6")]
    pub calls: Vec<CallRow>,
    #[prost(uint32, tag = "7")]
    pub booking_closes_minutes: u32,
    #[prost(message, repeated, tag = "8")]
    pub classes: Vec<ClassRow>,
    /// In the order of the map; holds name seats by their place in it.
    #[prost(message, repeated, tag = "9")]
    pub seats: Vec<SeatRow>,
    /// `direct` first, then `ota:<partner>`.
    #[prost(string, repeated, tag = "10")]
    pub channels: Vec<String>,
    /// Per seat the index of its channel; empty while all seats are the first channel's.
    #[prost(bytes = "vec", tag = "11")]
    pub seat_channels: Vec<u8>,
    /// `on_sale` or `cancelled`.
    #[prost(string, tag = "12")]
    pub status: String,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "13")]
    pub first: bool,
}

/// A departure's call at a stop, in ms since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct CallRow {
    #[prost(int64, tag = "1")]
    pub arrives_at: i64,
    #[prost(int64, tag = "2")]
    pub departs_at: i64,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct ClassRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct SeatRow {
    #[prost(string, tag = "1")]
    pub label: String,
    /// Index into the classes.
    #[prost(uint32, tag = "2")]
    pub class: u32,
    #[prost(uint32, tag = "3")]
    pub row: u32,
    #[prost(uint32, tag = "4")]
    pub column: u32,
}

/// A hold, live or ended. A hold placed again under a higher epoch takes over its row.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct HoldRow {
    /// Primary key.
    #[prost(string, tag = "1")]
    pub hold_id: String,
    #[prost(string, tag = "2")]
    pub departure_id: String,
    /// The version of the departure's key with which this image was written.
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(uint32, tag = "4")]
    pub epoch: u32,
    #[prost(string, tag = "5")]
    pub class_code: String,
    /// All seats of the hold, also those freed since, as places in the seat map.
    #[prost(uint32, repeated, tag = "6")]
    pub seats: Vec<u32>,
    /// The labels of `seats`.
    #[prost(string, repeated, tag = "7")]
    pub seat_numbers: Vec<String>,
    /// Those of `seats` that after-sales has put back on sale.
    #[prost(uint32, repeated, tag = "8")]
    pub freed_seats: Vec<u32>,
    #[prost(uint32, tag = "9")]
    pub board_stop: u32,
    #[prost(uint32, tag = "10")]
    pub alight_stop: u32,
    #[prost(string, tag = "11")]
    pub channel: String,
    /// `held`, `paying`, `confirmed`, `released` or `expired`.
    #[prost(string, tag = "12")]
    pub state: String,
    /// ms since the epoch, as the other instants.
    #[prost(int64, tag = "13")]
    pub placed_at: i64,
    #[prost(int64, tag = "14")]
    pub expires_at: i64,
    /// When it was released or expired.
    #[prost(int64, optional, tag = "15")]
    pub ended_at: Option<i64>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "16")]
    pub first: bool,
}

/// One row's image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InventoryRow {
    Departure(DepartureRow),
    Hold(HoldRow),
}

/// With which an order places a hold for the first time.
const FIRST_EPOCH: u32 = 1;

pub(super) const ON_SALE: &str = "on_sale";
pub(super) const CANCELLED: &str = "cancelled";
pub(super) const HELD: &str = "held";
pub(super) const PAYING: &str = "paying";
pub(super) const CONFIRMED: &str = "confirmed";
pub(super) const RELEASED: &str = "released";
pub(super) const EXPIRED: &str = "expired";

impl Inventory {
    /// The rows that `events` changed, one image each, as they are now that the machine has evolved by them. `version`
    /// is the new one of the departure's key.
    pub fn changed_rows(&self, events: &[Event], version: u64) -> Vec<InventoryRow> {
        let mut rows = Vec::with_capacity(events.len());
        let mut imaged = BTreeSet::new();
        let mut departure_changed = false;
        let mut opened = false;
        // The last event of a hold says how it now is.
        for event in events.iter().rev() {
            match event {
                Event::Opened => (departure_changed, opened) = (true, true),
                Event::SeatsAllotted { .. } | Event::DepartureCancelled => departure_changed = true,
                Event::HoldPlaced { id, .. }
                | Event::PayingBegun { id, .. }
                | Event::HoldConfirmed { id }
                | Event::SeatsFreed { id, .. } => {
                    if let Some(hold) = self.holds.get(id).filter(|_| imaged.insert(*id)) {
                        let state = match hold.state {
                            HoldState::Held => HELD,
                            HoldState::Paying => PAYING,
                            HoldState::Confirmed => CONFIRMED,
                        };
                        let first = matches!(event, Event::HoldPlaced { .. }) && hold.epoch == FIRST_EPOCH;
                        rows.push(InventoryRow::Hold(HoldRow {
                            first,
                            ..self.hold_row(*id, hold, state, None, version)
                        }));
                    }
                }
                Event::HoldReleased { id, hold, at } if imaged.insert(*id) => {
                    rows.push(InventoryRow::Hold(self.hold_row(*id, hold, RELEASED, Some(*at), version)));
                }
                Event::HoldLapsed { id, hold, at } if imaged.insert(*id) => {
                    rows.push(InventoryRow::Hold(self.hold_row(*id, hold, EXPIRED, Some(*at), version)));
                }
                Event::HoldReleased { .. } | Event::HoldLapsed { .. } => {}
            }
        }
        if departure_changed {
            rows.push(InventoryRow::Departure(DepartureRow { first: opened, ..self.departure_row(version) }));
        }
        rows.reverse();
        rows
    }

    fn departure_row(&self, version: u64) -> DepartureRow {
        let DepartureSpec { id, route, operator, calls, booking_closes_minutes, seat_map } = &self.spec;
        let SeatMap { classes, seats } = &**seat_map;
        let call = |call: &crate::departure::Call| CallRow {
            arrives_at: call.arrives_at.as_ms(),
            departs_at: call.departs_at.as_ms(),
        };
        let seat = |seat: &crate::departure::Seat| SeatRow {
            label: seat.label.clone(),
            class: seat.class.into(),
            row: seat.row.into(),
            column: seat.column.into(),
        };
        let all_own = self.places.iter().all(|place| place.pool.channel() == 0);
        DepartureRow {
            departure_id: id.to_string(),
            version,
            route_code: route.to_string(),
            operator_code: operator.to_string(),
            departs_at: self.spec.departs_at().as_ms(),
            calls: calls.iter().map(call).collect(),
            booking_closes_minutes: (*booking_closes_minutes).into(),
            classes: classes.iter().map(|c| ClassRow { code: c.code.to_string(), name: c.name.clone() }).collect(),
            seats: seats.iter().map(seat).collect(),
            channels: self.channels.iter().map(Channel::to_string).collect(),
            seat_channels: if all_own {
                Vec::new()
            } else {
                self.places.iter().map(|place| place.pool.channel()).collect()
            },
            status: match self.status {
                Status::OnSale => ON_SALE,
                Status::Cancelled => CANCELLED,
            }
            .to_owned(),
            first: false,
        }
    }

    fn hold_row(&self, id: HoldId, hold: &Hold, state: &str, ended_at: Option<Timestamp>, version: u64) -> HoldRow {
        let class = self.spec.seat_map.classes.get(usize::from(hold.class));
        HoldRow {
            hold_id: id.to_string(),
            departure_id: self.spec.id.to_string(),
            version,
            epoch: hold.epoch,
            class_code: class.map(|class| class.code.to_string()).unwrap_or_default(),
            seats: hold.seats.iter().map(u32::from).collect(),
            seat_numbers: hold.seats.iter().map(|seat| self.label(seat).to_owned()).collect(),
            freed_seats: hold.freed_seats().map(u32::from).collect(),
            board_stop: hold.stretch.board.into(),
            alight_stop: hold.stretch.alight.into(),
            channel: self.channel(hold.channel).map(Channel::to_string).unwrap_or_default(),
            state: state.to_owned(),
            placed_at: hold.placed_at.as_ms(),
            expires_at: hold.expires_at.as_ms(),
            ended_at: ended_at.map(Timestamp::as_ms),
            first: false,
        }
    }
}
