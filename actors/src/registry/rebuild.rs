//! After a fault: a key answers 503 until a successor has been built from its durable rows, and a command that breaks
//! its owner twice is set aside (rule 20).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::{Entry, OccupiedEntry};

use super::{Keys, NOT_TOLD_APART, Owner, Slot, Waiting, load, tell_all};
use crate::outage::Outage;

/// A command that ended its owner this often is set aside (rule 20).
const DEATHS_MAX: u32 = 2;

/// Commands whose deaths are remembered. Each was a bug that was reported; beyond so many the server has other worries.
const DEATHS_KEPT: usize = 4_096;

/// First and longest pause between attempts to rebuild an owner; it doubles in between. An owner that lived shorter
/// than the first is not rebuilt before it.
const REBUILD_PAUSE: Duration = Duration::from_millis(250);
const REBUILD_PAUSE_LONGEST: Duration = Duration::from_secs(15);

/// What the registry knows of a running actor without asking it.
#[derive(Debug)]
pub struct Vitals {
    born: Instant,
    /// Fingerprint of the message being handled; 0 between messages.
    handling: AtomicU64,
    /// The machine is ahead of its log: the actor has stopped itself and must be rebuilt.
    failed: AtomicBool,
}

impl Vitals {
    pub(crate) fn new() -> Vitals {
        Vitals { born: Instant::now(), handling: AtomicU64::new(0), failed: AtomicBool::new(false) }
    }

    pub fn handling(&self, fingerprint: u64) {
        self.handling.store(fingerprint, Ordering::Relaxed);
    }

    pub fn handled(&self) {
        self.handling.store(0, Ordering::Relaxed);
    }

    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// The command that ended it, if one did.
    pub(super) fn handled_last(&self) -> u64 {
        self.handling.load(Ordering::Relaxed)
    }

    /// One that breaks at once does not keep a core busy.
    pub(super) fn pause_before_rebuilding(&self) -> Duration {
        REBUILD_PAUSE.saturating_sub(self.born.elapsed())
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

impl<A: Owner> Keys<A> {
    pub(super) fn count_death(&self, id: &A::Id, fingerprint: u64) {
        if fingerprint == NOT_TOLD_APART || self.deaths.len() >= DEATHS_KEPT {
            return;
        }
        let mut count = self.deaths.entry((id.clone(), fingerprint)).or_default();
        *count += 1;
        if *count == DEATHS_MAX {
            tracing::error!(kind = A::KIND, %id, fingerprint, "A command that broke {id} twice is set aside");
            self.set_aside.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn is_set_aside(&self, id: &A::Id, fingerprint: u64) -> bool {
        if self.set_aside.load(Ordering::Acquire) == 0 {
            return false;
        }
        self.deaths.get(&(id.clone(), fingerprint)).is_some_and(|count| *count >= DEATHS_MAX)
    }

    pub(super) fn rebuild_at(
        &self,
        mut entry: OccupiedEntry<'_, A::Id, Slot<A>>,
        waiting: Vec<Waiting>,
        pause: Duration,
    ) {
        entry.insert(Slot::Rebuilding);
        let id = entry.key().clone();
        drop(entry);
        tell_all(waiting, Err(Outage::Rebuilding));
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.rebuild(id, pause);
    }

    /// A key that was kept for somebody has broken in his hands: it is built from its rows, if there are any.
    pub fn broken(&self, id: &A::Id) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        let waiting = match entry.get_mut() {
            Slot::Waking(waiting) => std::mem::take(waiting),
            Slot::AtHand(at_hand) => self.vacate(at_hand),
            Slot::Live(_) | Slot::Dormant(_) | Slot::Rebuilding => return,
        };
        tracing::error!(kind = A::KIND, %id, "{} {id} broke without an actor and is rebuilt", A::KIND);
        self.rebuild_at(entry, waiting, REBUILD_PAUSE);
    }

    /// A successor starts from rows that contain everything its predecessor appended.
    fn rebuild(&self, id: A::Id, mut pause: Duration) {
        let (Some(keys), Some(world)) = (self.this.upgrade(), self.world()) else { return };
        let appended = self.parts.journal.appended();
        self.parts.io.spawn(async move {
            let mut projected = keys.parts.projected.clone();
            if projected.wait_for(|position| *position >= appended).await.is_err() {
                // Projection has halted: the rows will not get there, and the key stays 503 until somebody has looked.
                return;
            }
            loop {
                tokio::time::sleep(pause).await;
                match load::<A>(Arc::clone(&world), &id).await {
                    Ok(woken) => {
                        if let Entry::Occupied(entry) = keys.slots.entry(id) {
                            keys.fill(entry, woken);
                        }
                        return;
                    }
                    Err(outage) => {
                        tracing::warn!(kind = A::KIND, %id, %outage, "{} {id} cannot be rebuilt yet", A::KIND);
                        pause = (pause * 2).clamp(REBUILD_PAUSE, REBUILD_PAUSE_LONGEST);
                    }
                }
            }
        });
    }
}
