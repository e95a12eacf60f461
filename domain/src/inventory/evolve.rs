//! The only mutation. It trusts the events and cannot fail; an event that does not fit changes nothing.

use crate::departure::Channel;
use crate::ids::HoldId;
use crate::time::Timestamp;

use super::command::Event;
use super::pick::Layout;
use super::taken::BestFit;
use super::{CHANNELS_MAX, Hold, HoldState, Inventory, Pool, Status, Tombstone};

impl Inventory {
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened => self.born = true,
            Event::HoldPlaced { id, hold, is_best_fit } => {
                self.forget_ended_before(hold.placed_at);
                self.insert_hold(*id, *hold);
                let (pool, mask) = (Pool::new(hold.class, hold.channel), hold.stretch.mask());
                self.taken.set_best_fit(is_best_fit.then_some(BestFit { pool, mask, seats: hold.seats }));
            }
            Event::PayingBegun { id, expires_at } => {
                self.settle(*id, HoldState::Paying);
                if let Some(hold) = self.holds.get_mut(id) {
                    hold.expires_at = *expires_at;
                }
            }
            Event::HoldConfirmed { id } => self.settle(*id, HoldState::Confirmed),
            Event::HoldReleased { id, at, .. } | Event::HoldLapsed { id, at, .. } => {
                self.end_hold(*id, *at);
                self.forget_ended_before(*at);
            }
            Event::SeatsFreed { id, seats } => {
                let Some(hold) = self.holds.get_mut(id) else { return };
                for (at, seat) in hold.seats.iter().enumerate() {
                    if seats.contains(seat) {
                        hold.freed |= 1 << at;
                    }
                }
                let mask = hold.stretch.mask();
                self.clear(seats.iter(), mask);
            }
            Event::SeatsAllotted { moves } => {
                for (seat, channel) in moves {
                    let Some(channel) = self.intern(channel) else { return };
                    if let Some(place) = self.places.get_mut(usize::from(*seat)) {
                        place.pool = Pool::new(place.pool.class, channel);
                    }
                }
                self.layout = Layout::of(&self.places);
                self.taken.set_best_fit(None);
            }
            Event::DepartureCancelled => self.status = Status::Cancelled,
        }
    }

    /// Adds a live hold and what depends on it.
    pub(super) fn insert_hold(&mut self, id: HoldId, hold: Hold) {
        for seat in hold.live_seats() {
            self.taken.take(seat, hold.stretch.mask());
        }
        self.ended.remove(&id);
        if hold.state == HoldState::Held {
            self.deadlines.note(hold.expires_at, id);
        }
        self.holds.insert(id, hold);
    }

    pub(super) fn insert_tombstone(&mut self, id: HoldId, epoch: u32, expires_at: Timestamp) {
        self.ended.insert(id, Tombstone { epoch, expires_at });
        self.forget.note(expires_at, id);
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

    /// The hold reaches a state in which it does not lapse.
    fn settle(&mut self, id: HoldId, state: HoldState) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.state = state;
            self.drop_settled_deadlines();
        }
    }

    fn end_hold(&mut self, id: HoldId, at: Timestamp) {
        let Some(hold) = self.holds.remove(&id) else { return };
        self.drop_settled_deadlines();
        self.clear(hold.live_seats(), hold.stretch.mask());
        if hold.expires_at > at {
            self.insert_tombstone(id, hold.epoch, hold.expires_at);
        }
    }

    fn clear(&mut self, seats: impl Iterator<Item = u16>, mask: u64) {
        for seat in seats {
            self.taken.clear(seat, mask);
        }
    }

    /// The first deadline is that of a hold that lapses: the timer is set to it.
    fn drop_settled_deadlines(&mut self) {
        let holds = &self.holds;
        self.deadlines.drop_first_while(|at, id| !holds.get(&id).is_some_and(|hold| hold.lapses_at(at)));
    }

    /// Nobody can see this: from its instant on, `decide` no longer looks at a tombstone.
    fn forget_ended_before(&mut self, now: Timestamp) {
        for (at, id) in self.forget.due(now) {
            if self.ended.get(&id).is_some_and(|ended| ended.expires_at == at) {
                self.ended.remove(&id);
            }
        }
        self.forget.drop_first_while(|at, _| at <= now);
    }
}
