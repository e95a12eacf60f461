//! The threads that owners' actors run on. None of them serves HTTP.

use std::cell::Cell;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::journal::Journal;

thread_local! {
    /// Which set of arbiters this thread belongs to, and where in it.
    static OWN: Cell<Option<(u64, usize)>> = const { Cell::new(None) };
}

/// A set of arbiters. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Arbiters {
    /// Tells several engines of one process apart.
    number: u64,
    handles: Arc<[ArbiterHandle]>,
}

impl Arbiters {
    /// What owners append in one turn is written together.
    pub fn start(count: usize, journal: &Journal) -> Arbiters {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let handles: Arc<[ArbiterHandle]> = (0..count.max(1)).map(|_| Arbiter::new().handle()).collect();
        for (place, handle) in handles.iter().enumerate() {
            handle.spawn_fn(move || OWN.set(Some((number, place))));
            handle.spawn(journal.kicker());
        }
        Arbiters { number, handles }
    }

    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// The arbiter of a home.
    pub fn place(&self, home: u64) -> usize {
        (home % self.handles.len() as u64) as usize
    }

    /// Runs something short there: at once if that is this thread.
    pub fn run_at(&self, place: usize, work: impl FnOnce() + Send + 'static) {
        if OWN.get() == Some((self.number, place)) {
            work();
        } else if let Some(handle) = self.handles.get(place) {
            handle.spawn_fn(work);
        }
    }

    pub fn stop(&self) {
        for handle in self.handles.iter() {
            handle.stop();
        }
    }
}

/// A home like any other.
pub fn home_of(id: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}
