//! The inventory as rows. Rows are images of how things are, so the newest of each is enough to rebuild the machine.
//!
//! The departure's own row is written when it opens and when its seats, allotments, times or status change; a hold's row
//! whenever the hold changes, also when it ends, and when the seats are others.

use std::collections::BTreeSet;

use crate::departure::{Call, Channel, DepartureSpec, Seat, SeatClass};
use crate::hold::{Standing, Stands};
use crate::ids::{DepartureId, HoldId, OperatorCode, OrderId, RouteCode};
use crate::row;
use crate::row::{First, List, Numbers, Rows, Uuid};
use crate::time::Timestamp;

use super::command::Event;
use super::{HeldSeats, Hold, Inventory, Status};

row! {
    /// A dated departure that was born.
    pub struct DepartureRow<'a>: 1 "departures", First::Marked(13);
    1 departure_id [Key]: DepartureId,
    2 version: u64,
    3 route_code: RouteCode,
    4 operator_code: OperatorCode,
    /// From the first stop; here for queries, the calls decide.
    5 departs_at: Timestamp,
    /// One per stop, in order.
    6 calls: List<'a, Call>,
    7 booking_closes_minutes: u16,
    8 classes: List<'a, SeatClass>,
    /// In the order of the map; holds name seats by their place in it.
    9 seat_map [Compact]: List<'a, Seat>,
    /// `direct` first, then `ota:<partner>`.
    10 channels: List<'a, Channel>,
    /// Per seat the index of its channel; empty while all seats are the first channel's.
    11 seat_channels: &'a [u8],
    12 status: Status,
    /// Labels that holds name and that are not in the map any more: they are numbered behind it.
    14 retired_seats: List<'a, &'a str>,
}

row! {
    /// A hold of one epoch, live or ended. Placed again it gets another row, and its earlier ones say what it had before.
    pub struct HoldRow<'a>: 34 "hold_rows", First::Marked(17);
    1 order_id [Key]: Uuid<OrderId>,
    /// The number of its item.
    2 item [Key]: u16,
    3 epoch [Key]: u32,
    4 version: u64,
    5 departure_id: &'a str,
    6 class_code: &'a str,
    /// All seats of the hold, also those freed since, as places in the seat map.
    7 seats [Json]: Numbers,
    /// The labels of `seats`.
    8 seat_numbers [Json]: List<'a, &'a str>,
    /// Those of `seats` that after-sales has put back on sale.
    9 freed_seats [Json]: Numbers,
    10 board_stop: u8,
    11 alight_stop: u8,
    12 channel: Channel,
    /// `held`, `paying`, `confirmed`, `released` or `expired`.
    13 state: &'a str,
    14 placed_at: Timestamp,
    15 expires_at: Timestamp,
    /// When it was released or expired.
    16 ended_at: Option<Timestamp>,
}

impl HoldRow<'_> {
    pub(super) fn hold(&self) -> HoldId {
        HoldId { order: self.order_id.0, item: self.item }
    }
}

impl Inventory {
    /// The rows that `events` changed, one image each, as they are now that the machine has evolved by them. `version`
    /// is the new one of the departure's key.
    pub fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        let mut rows = Rows::default();
        let mut imaged = BTreeSet::new();
        let mut departure_changed = false;
        let (mut opened, mut refitted) = (false, false);
        // The last event of an epoch of a hold says how that now is.
        for event in events.iter().rev() {
            let (id, stands) = match event {
                Event::Opened => {
                    (departure_changed, opened) = (true, true);
                    continue;
                }
                Event::SeatsAllotted { .. }
                | Event::SaleStopped
                | Event::SaleResumed
                | Event::Retimed { .. }
                | Event::DepartureCancelled => {
                    departure_changed = true;
                    continue;
                }
                Event::Refitted { .. } => {
                    (departure_changed, refitted) = (true, true);
                    continue;
                }
                Event::HoldPlaced { id, .. }
                | Event::PayingBegun { id, .. }
                | Event::HoldConfirmed { id }
                | Event::SeatsFreed { id, .. } => (id, self.holds.get(*id).map(Stands::live)),
                Event::HoldReleased { id, hold, at } => (id, Some(Stands::ended(hold, Standing::Released, *at))),
                Event::HoldLapsed { id, hold, at } => (id, Some(Stands::ended(hold, Standing::Expired, *at))),
            };
            if let Some(stands) = stands.filter(|stands| imaged.insert((*id, stands.hold.life.epoch))) {
                let is_first = matches!(event, Event::HoldPlaced { .. });
                self.put_hold(*id, &stands, is_first, version, &mut rows);
            }
        }
        // Rows of holds name seats by their place in the map.
        for (id, hold) in self.holds().filter(|_| refitted) {
            if imaged.insert((id, hold.life.epoch)) {
                self.put_hold(id, &Stands::live(hold), false, version, &mut rows);
            }
        }
        if departure_changed {
            self.put_departure(opened, version, &mut rows);
        }
        rows
    }

    fn put_departure(&self, first: bool, version: u64, rows: &mut Rows) {
        let DepartureSpec { id, route, operator, calls, booking_closes_minutes, seat_map } = &self.spec;
        let all_own = self.places.iter().all(|place| place.pool.channel == 0);
        let seat_channels: Vec<u8> =
            if all_own { Vec::new() } else { self.places.iter().map(|place| place.pool.channel).collect() };
        let retired: Vec<&str> = self.retired.iter().map(String::as_str).collect();
        let row = DepartureRow {
            departure_id: id.clone(),
            version,
            route_code: route.clone(),
            operator_code: operator.clone(),
            departs_at: self.spec.departs_at(),
            calls: List::Of(calls),
            booking_closes_minutes: *booking_closes_minutes,
            classes: List::Of(&seat_map.classes),
            seat_map: List::Of(&seat_map.seats),
            channels: List::Of(&self.channels),
            seat_channels: &seat_channels,
            status: self.status,
            retired_seats: List::Of(&retired),
        };
        rows.put_as(first, &row);
    }

    fn put_hold(&self, id: HoldId, stands: &Stands<'_, HeldSeats>, first: bool, version: u64, rows: &mut Rows) {
        let &Stands { hold: Hold { life, takes }, standing, ended_at } = stands;
        let class = self.spec.seat_map.classes.get(usize::from(takes.class));
        let labels: Vec<&str> = takes.seats.iter().map(|seat| self.label(seat)).collect();
        let row = HoldRow {
            order_id: Uuid(id.order),
            item: id.item,
            epoch: life.epoch,
            version,
            departure_id: self.spec.id.as_str(),
            class_code: class.map(|class| class.code.as_str()).unwrap_or_default(),
            seats: Numbers(takes.seats.iter().map(u32::from).collect()),
            seat_numbers: List::Of(&labels),
            freed_seats: Numbers(takes.freed_seats().map(u32::from).collect()),
            board_stop: takes.stretch.board,
            alight_stop: takes.stretch.alight,
            channel: self.channel(takes.channel).cloned().unwrap_or(Channel::Direct),
            state: standing.code(),
            placed_at: life.placed_at,
            expires_at: life.expires_at,
            ended_at,
        };
        rows.put_as(first, &row);
    }
}
