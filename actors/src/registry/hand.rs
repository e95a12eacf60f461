//! Keys at hand: the machine lies in its slot as it is, without an actor and without being packed, and whoever has
//! something for it that needs no actor tells it there (rule 6). He takes the key for one turn: until he lays it back
//! nobody else has it, whoever asks meanwhile waits, and nothing in between may wait. A turn that panics ends that
//! key only, which is rebuilt from its rows (rule 20).
//!
//! Here is how a turn begins and ends, and who makes room when keys at hand take more than they may.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::{Entry, OccupiedEntry};
use deeptravel_domain::time::Timestamp;

use super::dormant::Gauge;
use super::{Keys, Live, NOT_TOLD_APART, Origin, Owner, Slot, Waiting, Woken, tell_all};
use crate::journal::lock;

/// Keys at hand that one turn looks at to make room. Two would do, as a turn brings one; packing each takes microseconds.
const LOOKS_A_TURN: usize = 8;
/// Places in the queue that keys have left, beyond as many as are at hand, before the queue is swept.
const LEFT_MAX: usize = 1_024;

/// What lies in the slot of a key at hand.
pub trait Hand<A: Owner>: Send + Sync + Sized + 'static {
    /// What its actor starts from.
    fn seed(self) -> A::Seed;

    /// Packed for a dormant key; what cannot be packed, which is a fault, becomes an actor.
    fn lay_down(self) -> Woken<A>;

    /// What it takes in memory, about.
    fn bytes(&self) -> usize;

    /// Until when it stays at hand if nobody asks. `None`: nobody wants it soon, and it is packed.
    fn stays(&self, now: Timestamp) -> Option<Timestamp>;
}

/// Of owners that never are at hand.
impl<A: Owner> Hand<A> for Infallible {
    fn seed(self) -> A::Seed {
        match self {}
    }

    fn lay_down(self) -> Woken<A> {
        match self {}
    }

    fn bytes(&self) -> usize {
        match *self {}
    }

    fn stays(&self, _: Timestamp) -> Option<Timestamp> {
        match *self {}
    }
}

/// The slot of a key at hand.
pub(super) struct AtHand<A: Owner> {
    /// `None`: somebody has it for a turn.
    hand: Option<A::Hand>,
    /// As it is counted.
    bytes: usize,
    /// When it is looked at.
    due: Timestamp,
    /// Which place in the queue is this one's. 0: it has none yet.
    place: u64,
    /// It had a turn since its place was looked at.
    is_wanted: bool,
    /// For the end of the turn.
    waiting: Vec<Waiting>,
}

impl<A: Owner> AtHand<A> {
    pub(super) fn wait(&mut self, sender: Waiting) {
        self.waiting.push(sender);
    }
}

/// All keys at hand of one kind.
#[derive(Debug)]
pub(super) struct Hands<I> {
    gauge: Gauge,
    /// Those that were told longest ago come first, about: one that was told since is put back once.
    queue: Mutex<VecDeque<(I, u64)>>,
    places: AtomicU64,
}

impl<I> Default for Hands<I> {
    fn default() -> Hands<I> {
        Hands { gauge: Gauge::default(), queue: Mutex::default(), places: AtomicU64::new(1) }
    }
}

/// What somebody finds who takes a key for a turn.
pub enum Lying<A: Owner> {
    AtHand(A::Hand),
    /// It was dormant.
    Packed(Box<[u8]>),
}

/// A key without an actor that somebody has for a turn. To be laid back, or left. Dropped, as by a panic, it is broken.
#[must_use = "the key is broken when this is dropped"]
pub struct Turn<'a, A: Owner> {
    keys: &'a Keys<A>,
    /// Until it is known what has become of it.
    id: Option<A::Id>,
    /// Of what it is told.
    fingerprint: u64,
    was_dormant: bool,
}

impl<A: Owner> Keys<A> {
    /// How many keys are at hand, and what they take.
    pub fn at_hand(&self) -> &Gauge {
        &self.at_hand.gauge
    }

    /// Runs something short on the key's arbiter: at once if that is this thread.
    pub fn run_at_home(&self, id: &A::Id, work: impl FnOnce() + Send + 'static) {
        self.arbiters.run_at(self.place(id), work);
    }

    /// Takes a key that has no actor for a turn, to tell it something with this fingerprint. `None`: it
    /// has an actor, or is about to, or somebody else has it: its owner is to be asked.
    pub fn take(&self, id: &A::Id, fingerprint: u64) -> Option<(Turn<'_, A>, Lying<A>)> {
        let mut slot = self.slots.get_mut(id)?;
        let (was_dormant, lying) = match &mut *slot {
            Slot::AtHand(at_hand) => (false, Lying::AtHand(at_hand.hand.take()?)),
            Slot::Dormant(rest) => {
                let packed = std::mem::take(&mut rest.packed);
                self.dormant.remove(packed.len());
                self.at_hand.gauge.add(0);
                *slot = Slot::AtHand(Box::new(AtHand {
                    hand: None,
                    bytes: 0,
                    due: Timestamp::MAX,
                    place: 0,
                    is_wanted: false,
                    waiting: Vec::new(),
                }));
                (true, Lying::Packed(packed))
            }
            Slot::Live(_) | Slot::Waking(_) | Slot::Rebuilding => return None,
        };
        drop(slot);
        Some((Turn { keys: self, id: Some(id.clone()), fingerprint, was_dormant }, lying))
    }

    /// Starts the actor of a key at hand, to be called while the key's slot is locked. `None`: somebody has it.
    pub(super) fn rouse_hand(&self, id: &A::Id, at_hand: &mut AtHand<A>) -> Option<Live<A>> {
        let hand = at_hand.hand.take()?;
        self.vacate(at_hand);
        Some(self.start(id, Origin::Seed(hand.seed())))
    }

    /// A key at hand takes so much now.
    fn count(&self, at_hand: &mut AtHand<A>, bytes: usize) {
        self.at_hand.gauge.remove(at_hand.bytes);
        self.at_hand.gauge.add(bytes);
        at_hand.bytes = bytes;
    }

    /// The slot will be another one: it is no longer counted, and these wait for it.
    pub(super) fn vacate(&self, at_hand: &mut AtHand<A>) -> Vec<Waiting> {
        self.at_hand.gauge.remove(at_hand.bytes);
        std::mem::take(&mut at_hand.waiting)
    }

    /// The time of a key at hand has come.
    pub(super) fn look_at_hand(&self, mut entry: OccupiedEntry<'_, A::Id, Slot<A>>, now: Timestamp) {
        let Slot::AtHand(at_hand) = entry.get_mut() else { return };
        if at_hand.due > now {
            return;
        }
        match at_hand.hand.as_ref().map(|hand| (hand.stays(now), hand.bytes())) {
            Some((None, _)) => self.lay_down(entry),
            Some((Some(until), bytes)) => {
                self.count(at_hand, bytes);
                at_hand.due = until;
                self.deadlines_of(entry.key()).note(until, entry.key().clone());
            }
            // Somebody has it just now.
            None => self.deadlines_of(entry.key()).note(now, entry.key().clone()),
        }
    }

    /// Packs a key at hand that nobody has, in a turn of its own: should that panic, it is broken.
    fn lay_down(&self, mut entry: OccupiedEntry<'_, A::Id, Slot<A>>) {
        let Slot::AtHand(at_hand) = entry.get_mut() else { return };
        let Some(hand) = at_hand.hand.take() else { return };
        let id = Some(entry.key().clone());
        let turn = Turn { keys: self, id, fingerprint: NOT_TOLD_APART, was_dormant: false };
        drop(entry);
        turn.leave(hand.lay_down());
    }

    /// Packs keys at hand, those first that were told longest ago, until they take no more than this. What a turn has
    /// no time for is left to the next one.
    fn make_room(&self, bytes_max: usize) {
        for _ in 0..LOOKS_A_TURN {
            if self.at_hand().bytes() <= bytes_max {
                return;
            }
            let Some((id, place)) = lock(&self.at_hand.queue).pop_front() else { return };
            let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { continue };
            let Slot::AtHand(at_hand) = entry.get_mut() else { continue };
            if at_hand.place != place {
                continue;
            }
            if at_hand.hand.is_some() && !at_hand.is_wanted {
                self.lay_down(entry);
                continue;
            }
            at_hand.is_wanted = false;
            drop(entry);
            lock(&self.at_hand.queue).push_back((id, place));
        }
    }

    fn queue(&self, id: A::Id, place: u64) {
        let mut queue = lock(&self.at_hand.queue);
        queue.push_back((id, place));
        if queue.len() > 2 * self.at_hand().keys() + LEFT_MAX {
            let is_there = |(id, place): &(A::Id, u64)| {
                let slot = self.slots.get(id);
                slot.is_some_and(|slot| matches!(&*slot, Slot::AtHand(at_hand) if at_hand.place == *place))
            };
            queue.retain(is_there);
        }
    }
}

impl<A: Owner> Turn<'_, A> {
    /// The key stays at hand until `until` at least. Others are packed if they take more than this all together.
    pub fn lay_back(mut self, hand: A::Hand, until: Timestamp, bytes_max: usize) {
        let bytes = self.was_dormant.then(|| hand.bytes());
        let Some(id) = self.id.take() else { return };
        let keys = self.keys;
        let Some(mut slot) = keys.slots.get_mut(&id) else { return };
        let Slot::AtHand(at_hand) = &mut *slot else { return };
        let waiting = std::mem::take(&mut at_hand.waiting);
        at_hand.hand = Some(hand);
        at_hand.is_wanted = !self.was_dormant;
        if let Some(bytes) = bytes {
            let place = keys.at_hand.places.fetch_add(1, Ordering::Relaxed);
            (at_hand.place, at_hand.due) = (place, until);
            keys.count(at_hand, bytes);
            drop(slot);
            keys.deadlines_of(&id).note(until, id.clone());
            keys.queue(id, place);
        } else {
            drop(slot);
        }
        tell_all(waiting, Ok(true));
        keys.make_room(bytes_max);
    }

    /// The key does not stay at hand.
    pub fn leave(mut self, woken: Woken<A>) {
        let Some(id) = self.id.take() else { return };
        let Entry::Occupied(mut entry) = self.keys.slots.entry(id) else { return };
        let Slot::AtHand(at_hand) = entry.get_mut() else { return };
        let waiting = self.keys.vacate(at_hand);
        let exists = self.keys.fill(entry, woken);
        tell_all(waiting, Ok(exists));
    }
}

impl<A: Owner> Drop for Turn<'_, A> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        if std::thread::panicking() {
            self.keys.count_death(&id, self.fingerprint);
        }
        self.keys.broken(&id);
    }
}
