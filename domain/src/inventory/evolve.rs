//! The only mutation. It trusts the events and cannot fail; an event that does not fit changes nothing.

use std::sync::Arc;

use crate::departure::{Channel, SeatMap};
use crate::ids::HoldId;

use super::command::Event;
use super::pick::Layout;
use super::refit::Numbers;
use super::taken::{BestFit, Taken};
use super::{CHANNELS_MAX, HeldSeats, Hold, Inventory, Pool, Status, places_of};

impl Inventory {
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened => self.born = true,
            Event::HoldPlaced { id, hold, is_best_fit } => {
                self.take(&hold.takes);
                self.holds.placed(*id, *hold);
                let HeldSeats { class, channel, stretch, seats, .. } = hold.takes;
                let (pool, mask) = (Pool::new(class, channel), stretch.mask());
                self.taken.set_best_fit(is_best_fit.then_some(BestFit { pool, mask, seats }));
            }
            Event::PayingBegun { id, expires_at } => self.holds.paying_begun(*id, *expires_at),
            Event::HoldConfirmed { id } => self.holds.confirmed(*id),
            Event::HoldReleased { id, at, .. } | Event::HoldLapsed { id, at, .. } => {
                if let Some(Hold { takes, .. }) = self.holds.ended(*id, *at) {
                    self.clear(takes.live_seats(), takes.stretch.mask());
                }
            }
            Event::SeatsFreed { id, seats } => {
                let Some(takes) = self.holds.takes_mut(*id) else { return };
                for (at, seat) in takes.seats.iter().enumerate() {
                    if seats.contains(seat) {
                        takes.freed |= 1 << at;
                    }
                }
                let mask = takes.stretch.mask();
                self.clear(seats.iter(), mask);
            }
            Event::SeatsAllotted { moves } => {
                for (seat, channel) in moves {
                    self.set_aside(*seat, channel);
                }
                self.layout = Layout::of(&self.places);
                self.taken.set_best_fit(None);
            }
            Event::Refitted { seat_map, retired, set_aside } => self.put_seats(seat_map, retired, set_aside),
            Event::SaleStopped => self.status = Status::Stopped,
            Event::SaleResumed => self.status = Status::OnSale,
            Event::Retimed { calls } => self.spec.calls.clone_from(calls),
            Event::DepartureCancelled => self.status = Status::Cancelled,
        }
    }

    /// Everybody who holds a seat holds the one with the same label.
    fn put_seats(&mut self, seat_map: &Arc<SeatMap>, retired: &[String], set_aside: &[(u16, Channel)]) {
        let numbers = Numbers::of(seat_map, retired);
        let held: Vec<(HoldId, HeldSeats)> =
            self.holds.iter().map(|(id, hold)| (id, self.renumbered(&hold.takes, seat_map, &numbers))).collect();
        self.spec.seat_map = Arc::clone(seat_map);
        self.retired = retired.to_vec();
        self.places = places_of(seat_map);
        for (seat, channel) in set_aside {
            self.set_aside(*seat, channel);
        }
        self.layout = Layout::of(&self.places);
        self.taken = Taken::nothing(self.places.len(), self.taken.ways);
        for (id, takes) in held {
            self.take(&takes);
            if let Some(own) = self.holds.takes_mut(id) {
                *own = takes;
            }
        }
    }

    fn set_aside(&mut self, seat: u16, channel: &Channel) {
        let Some(channel) = self.intern(channel) else { return };
        if let Some(place) = self.places.get_mut(usize::from(seat)) {
            place.pool = Pool::new(place.pool.class, channel);
        }
    }

    pub(super) fn take(&mut self, takes: &HeldSeats) {
        for seat in takes.live_seats() {
            self.taken.take(seat, takes.stretch.mask());
        }
    }

    /// The index of a channel, new if need be. `None` beyond [`CHANNELS_MAX`].
    pub(super) fn intern(&mut self, channel: &Channel) -> Option<u8> {
        if let Some(index) = self.channel_index(channel) {
            return Some(index);
        }
        if self.channels.len() >= CHANNELS_MAX {
            return None;
        }
        self.channels.push(channel.clone());
        self.channel_index(channel)
    }

    fn clear(&mut self, seats: impl Iterator<Item = u16>, mask: u64) {
        for seat in seats {
            self.taken.clear(seat, mask);
        }
    }
}
