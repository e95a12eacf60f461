//! The only mutation. It trusts the events of the owner and cannot fail; what does not fit changes nothing.

use crate::ids::HoldId;
use crate::time::Timestamp;

use super::{Hold, HoldState, Holds, Life, Tombstone};

impl<T> Holds<T> {
    pub fn placed(&mut self, id: HoldId, hold: Hold<T>) {
        self.forget_ended_before(hold.life.placed_at);
        self.insert(id, hold);
    }

    /// Adds a live hold, as it is when its owner wakes.
    pub fn insert(&mut self, id: HoldId, hold: Hold<T>) {
        self.ended.remove(&id);
        if hold.life.state == HoldState::Held {
            self.deadlines.note(hold.life.expires_at, id);
        }
        self.live.insert(id, hold);
    }

    /// Remembers a hold that was released before its time.
    pub fn insert_ended(&mut self, id: HoldId, epoch: u32, expires_at: Timestamp) {
        self.ended.insert(id, Tombstone { epoch, expires_at });
        self.forget.note(expires_at, id);
    }

    pub fn paying_begun(&mut self, id: HoldId, expires_at: Timestamp) {
        if let Some(hold) = self.live.get_mut(&id) {
            hold.life.state = HoldState::Paying;
            hold.life.expires_at = expires_at;
            self.drop_settled_deadlines();
        }
    }

    pub fn confirmed(&mut self, id: HoldId) {
        if let Some(hold) = self.live.get_mut(&id) {
            hold.life.state = HoldState::Confirmed;
            self.drop_settled_deadlines();
        }
    }

    /// What the hold takes, for its owner to note what of it is back on sale.
    pub fn takes_mut(&mut self, id: HoldId) -> Option<&mut T> {
        self.live.get_mut(&id).map(|hold| &mut hold.takes)
    }

    /// Released or lapsed. The hold as it was: what it took is free.
    pub fn ended(&mut self, id: HoldId, at: Timestamp) -> Option<Hold<T>> {
        let hold = self.live.remove(&id);
        if let Some(Hold { life, .. }) = &hold {
            self.drop_settled_deadlines();
            if life.expires_at > at {
                self.insert_ended(id, life.epoch, life.expires_at);
            }
        }
        self.forget_ended_before(at);
        hold
    }

    /// Live holds that are not needed in memory any more. They still are as they were: their owner knows where.
    pub fn forget(&mut self, is_settled: impl Fn(&Life) -> bool) {
        self.live.retain(|_, hold| !is_settled(&hold.life));
        // After a rush their room goes, too.
        if self.live.len() < self.live.capacity() / 4 {
            self.live.shrink_to(self.live.capacity() / 2);
        }
        self.drop_settled_deadlines();
    }

    /// The first deadline is that of a hold that lapses: the timer is set to it.
    fn drop_settled_deadlines(&mut self) {
        let live = &self.live;
        self.deadlines.drop_first_while(|at, id| !live.get(&id).is_some_and(|hold| hold.life.lapses_at(at)));
    }

    /// Nobody can see this: from its instant on, no decision looks at a tombstone.
    fn forget_ended_before(&mut self, now: Timestamp) {
        for (at, id) in self.forget.due(now) {
            if self.ended.get(&id).is_some_and(|ended| ended.expires_at == at) {
                self.ended.remove(&id);
            }
        }
        self.forget.drop_first_while(|at, _| at <= now);
    }
}
