//! Dormant keys: their whole state stays in memory without an actor (rule 6). Their owner packs it when nothing is under
//! way; whoever asks gets an actor that starts from it, without a look at Postgres. Here is when each is to be looked at,
//! because it has something to do or may leave memory, and how much they all take.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Weak};
use std::time::Duration;

use dashmap::Entry;
use deeptravel_domain::time::Timestamp;

use super::{Keys, Live, Origin, Owner, Slot};
use crate::journal::lock;

/// How often deadlines of dormant keys are looked at. In tests the clock is moved by hand.
const LOOK_PAUSE: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_millis(250) };

/// Dormant keys that are looked at before others of the arbiter have their turn: well below a millisecond.
const LOOKS_A_TURN: usize = 64;

/// Deadlines are kept by the quarter of a second: an order lies here for minutes, and nothing hangs on the instant.
const BUCKET_MS: i64 = 250;

/// What such a key takes besides its state: its slot and its place among the deadlines, with the room that
/// such tables leave. Measured by `examples/order_memory`.
const ENTRY_BYTES: usize = 128;

/// When dormant keys of one arbiter are to be looked at. A key that was asked for meanwhile stays noted: whoever takes
/// it out has to see whether it is still meant.
#[derive(Debug)]
pub struct Deadlines<I> {
    buckets: Mutex<BTreeMap<Timestamp, Vec<I>>>,
}

impl<I> Default for Deadlines<I> {
    fn default() -> Deadlines<I> {
        Deadlines { buckets: Mutex::default() }
    }
}

impl<I> Deadlines<I> {
    pub fn note(&self, at: Timestamp, id: I) {
        let bucket = at.as_ms().div_euclid(BUCKET_MS).saturating_add(1).saturating_mul(BUCKET_MS);
        lock(&self.buckets).entry(Timestamp::from_ms(bucket)).or_default().push(id);
    }

    /// Keys whose deadline has passed, some of them. Empty: there are none.
    pub fn take_due(&self, now: Timestamp) -> Vec<I> {
        let mut buckets = lock(&self.buckets);
        let Some(first) = buckets.first_entry() else { return Vec::new() };
        if *first.key() <= now { first.remove() } else { Vec::new() }
    }

    /// As [`Deadlines::take_due`]; what is not looked at is due again.
    fn due(&self, now: Timestamp) -> Due<'_, I> {
        Due { deadlines: self, now, ids: self.take_due(now) }
    }
}

/// Keys that are being looked at, one after the other. If one of them breaks that off, the others are not forgotten:
/// nobody else would ever wake them.
struct Due<'a, I> {
    deadlines: &'a Deadlines<I>,
    now: Timestamp,
    ids: Vec<I>,
}

impl<I> Drop for Due<'_, I> {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            self.deadlines.note(self.now, id);
        }
    }
}

/// Counts keys of one kind that have no actor, and their bytes.
#[derive(Debug, Default)]
pub struct Gauge {
    keys: AtomicUsize,
    bytes: AtomicUsize,
}

impl Gauge {
    pub fn add(&self, bytes: usize) {
        self.keys.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn remove(&self, bytes: usize) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Everything that they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.keys() * ENTRY_BYTES
    }
}

/// An owner's whole state, and when to look at it.
#[derive(Debug)]
pub struct Rest {
    pub due: Timestamp,
    pub packed: Box<[u8]>,
}

/// What becomes of a dormant key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// It has something to do: its actor starts.
    Act,
    /// It leaves memory: everything of it is projected.
    Sleep,
    /// It stays as it is until then.
    Stay(Timestamp),
}

impl<A: Owner> Keys<A> {
    /// An owner that got [`Sleep`](super::Sleep) leaves its state here and stops: once it has ended it is dormant, or starts again for
    /// those who asked meanwhile.
    pub fn rest(&self, id: &A::Id, rest: Rest) {
        if let Some(mut slot) = self.slots.get_mut(id)
            && let Slot::Live(live) = &mut *slot
            && let Some(leaving) = &mut live.leaving
        {
            leaving.rest = Some(rest);
        }
    }

    /// Starts a dormant key's actor. To be called while the key's slot is locked.
    pub(super) fn rouse(&self, id: &A::Id, rest: &mut Rest) -> Live<A> {
        let packed = std::mem::take(&mut rest.packed);
        self.dormant.remove(packed.len());
        self.start(id, Origin::Packed(packed))
    }

    pub(super) fn deadlines_of(&self, id: &A::Id) -> &Deadlines<A::Id> {
        &self.deadlines[self.place(id)]
    }

    /// From now on dormant keys are looked at when their time has come: on their own arbiter, and by one timer there.
    pub fn tend_dormant(&self) {
        for place in 0..self.arbiters.count() {
            let keys = self.this.clone();
            self.arbiters.run_at(place, move || {
                actix_rt::spawn(async move {
                    // Whoever is looked at may break it: the others must not wait for ever.
                    while let Err(error) = actix_rt::spawn(tend::<A>(keys.clone(), place)).await {
                        tracing::error!(kind = A::KIND, %error, "Looking at dormant keys broke off, and goes on");
                    }
                });
            });
        }
    }

    fn look(&self, world: &A::World, id: &A::Id, now: Timestamp) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        let rest = match entry.get_mut() {
            Slot::Dormant(rest) => rest,
            Slot::AtHand(_) => return self.look_at_hand(entry, now),
            Slot::Live(_) | Slot::Waking(_) | Slot::Rebuilding => return,
        };
        if rest.due > now {
            // It was asked for meanwhile, and has another deadline now.
            return;
        }
        match A::look(world, id, &rest.packed, now) {
            Look::Act => {
                let live = self.rouse(id, rest);
                entry.insert(Slot::Live(Box::new(live)));
            }
            Look::Sleep => {
                self.dormant.remove(rest.packed.len());
                entry.remove();
            }
            Look::Stay(until) => {
                rest.due = until;
                self.deadlines_of(id).note(until, id.clone());
            }
        }
    }
}

/// Looks at dormant keys of one arbiter for ever.
async fn tend<A: Owner>(keys: Weak<Keys<A>>, place: usize) {
    loop {
        actix_rt::time::sleep(LOOK_PAUSE).await;
        let Some(keys) = keys.upgrade() else { return };
        let Some(world) = keys.world() else { return };
        let now = keys.parts.clock.now();
        loop {
            let mut due = keys.deadlines[place].due(now);
            if due.ids.is_empty() {
                break;
            }
            while let Some(id) = due.ids.pop() {
                keys.look(&world, &id, now);
                if due.ids.len().is_multiple_of(LOOKS_A_TURN) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_due_early_and_at_most_a_bucket_late() {
        let deadlines = Deadlines::default();
        for ms in [1_000, 1_249, 1_250] {
            deadlines.note(Timestamp::from_ms(ms), ms);
        }
        let due = |ms| deadlines.take_due(Timestamp::from_ms(ms));
        assert_eq!(due(1_249), [0; 0]);
        assert_eq!(due(1_250), [1_000, 1_249]);
        assert_eq!(due(1_250), [0; 0]);
        assert_eq!(due(9_000), [1_250]);
    }

    #[test]
    fn whoever_breaks_while_it_is_looked_at_takes_no_other_with_it() {
        let deadlines = Deadlines::default();
        for id in ["one", "breaks", "another"] {
            deadlines.note(Timestamp::from_ms(1_000), id);
        }
        let looking = std::thread::scope(|scope| {
            let look = || {
                let mut due = deadlines.due(Timestamp::from_ms(1_250));
                while let Some(id) = due.ids.pop() {
                    assert_ne!(id, "breaks");
                }
            };
            scope.spawn(look).join()
        });
        assert!(looking.is_err());
        assert_eq!(deadlines.take_due(Timestamp::from_ms(1_500)), ["one"]);
    }
}
