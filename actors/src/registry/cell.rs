//! A cell: what an actor shares with those who ask it. While the actor has nothing to do, whoever asks has its turn run at
//! once on his own thread, and no thread is woken for it: the same exclusion, the same log, and a panic is the owner's as
//! it would be in the actor. Nothing in a turn may wait.
//!
//! An asker tries once: while somebody else has the cell, or a message waits in the mailbox, his own goes there, too. So
//! the messages of one sender are heard in their order. He has one cell at a time. Timers, the end and rest between turns
//! are the actor's: where a turn leaves something to do for it, it is [told](GoOn).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use actix::{Handler, Message};

use super::{Keys, Owner};
use crate::journal::lock;
use crate::outage::Outage;

/// What an owner shares with those who ask it.
pub trait Shared: Clone + Default + Send + Sync + 'static {
    /// A message is on its way into the actor's mailbox.
    fn has_mail(&self);

    /// The actor has gone: nobody has a turn any more.
    fn end(&self);
}

/// Of owners that share nothing: they are asked by message only.
impl Shared for () {
    fn has_mail(&self) {}

    fn end(&self) {}
}

impl<S: InCell> Shared for Arc<Cell<S>> {
    fn has_mail(&self) {
        self.mail.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        let ended = lock(&self.state).take();
        // Outside of the lock: with it others may end.
        drop(ended);
    }
}

/// What lies in a cell.
pub trait InCell: Send + 'static {
    /// It is ahead of its log: nobody may use it any more.
    fn has_failed(&self) -> bool;

    /// The actor has something to do after this turn: its timer is late, say.
    fn calls_actor(&self) -> bool;
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Cell<S> {
    /// `None`: the actor has not begun, or it has to end.
    state: Mutex<Option<S>>,
    /// Messages that the actor has yet to handle.
    mail: AtomicUsize,
}

impl<S> Default for Cell<S> {
    fn default() -> Cell<S> {
        Cell { state: Mutex::new(None), mail: AtomicUsize::new(0) }
    }
}

/// A turn on an asker's thread has left something to do: the actor looks at its cell, and ends if that is empty.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct GoOn;

impl<S: InCell> Cell<S> {
    /// The actor begins with this.
    pub fn put(&self, state: S) {
        *lock(&self.state) = Some(state);
    }

    /// The actor's own turn, for a message or a timer. `None`: it has to end.
    pub fn turn<T>(&self, turn: impl FnOnce(&mut S) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        let value = turn(state.as_mut()?);
        state.take_if(|state| state.has_failed());
        Some(value)
    }

    /// A message has been handled.
    pub fn handled(&self) {
        self.mail.fetch_sub(1, Ordering::Relaxed);
    }

    /// For a turn on an asker's thread. `None`: the actor is not idle. A lock that a panic of the actor has poisoned is not
    /// taken: what it left is half-changed.
    fn idle(&self) -> Option<MutexGuard<'_, Option<S>>> {
        let state = self.state.try_lock().ok()?;
        // Looked at under the lock: a message that was sent before is counted or handled.
        (self.mail.load(Ordering::Relaxed) == 0).then_some(state)
    }
}

impl<S: InCell, A: Owner<Shared = Arc<Cell<S>>> + Handler<GoOn>> Keys<A> {
    /// Runs a turn of an idle owner on this thread, about something. That comes back if the owner is not idle, or not
    /// awake, and is to be told by message.
    pub fn turn_here<T, C>(
        &self,
        id: &A::Id,
        fingerprint: u64,
        about: C,
        turn: impl FnOnce(&mut S, C) -> T,
    ) -> Result<Result<T, Outage>, C> {
        // As for a message, the slot stays locked: an owner that wants to leave has this turn before.
        let Some(slot) = self.slots.get(id).filter(|_| !self.is_set_aside(id, fingerprint)) else { return Err(about) };
        let Some(live) = slot.awake() else { return Err(about) };
        let Some(mut state) = live.shared.idle() else { return Err(about) };
        let Some(found) = state.as_mut() else { return Err(about) };
        let turned = catch_unwind(AssertUnwindSafe(|| turn(found, about)));
        state.take_if(|state| turned.is_err() || state.has_failed());
        let calls_actor = state.as_ref().is_none_or(InCell::calls_actor);
        drop(state);
        if turned.is_err() {
            tracing::error!(kind = A::KIND, %id, fingerprint, "{} {id} panicked on the thread of whoever asked it", A::KIND);
            self.count_death(id, fingerprint);
        }
        if calls_actor {
            live.send(GoOn);
        }
        Ok(turned.map_err(|_| Outage::Rebuilding))
    }
}
