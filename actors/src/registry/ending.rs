//! How an owner's task ends: by itself, by a fault, or with its arbiter.

use std::sync::Arc;

use actix::Context;
use actix::dev::channel::AddressReceiver;
use dashmap::Entry;

use super::cell::Shared as _;
use super::{Keys, Leaving, Origin, Owner, Post, Slot, Vitals, Woken, tell_all};
use crate::outage::Outage;

impl<A: Owner> Keys<A> {
    fn ended(&self, id: &A::Id, generation: u64, vitals: &Vitals, end: End) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        let Leaving { waiting, rest } = match entry.get_mut() {
            Slot::Live(live) if live.generation == generation => live.leaving.take().unwrap_or_default(),
            // Its successor runs already.
            Slot::Live(_) | Slot::Dormant(_) | Slot::AtHand(_) | Slot::Waking(_) | Slot::Rebuilding => return,
        };
        match end {
            End::Stopped if !vitals.has_failed() => {
                match rest {
                    rest if waiting.is_empty() => {
                        self.fill(entry, rest.map_or(Woken::Absent, Woken::Dormant));
                    }
                    Some(rest) => {
                        entry.insert(Slot::Live(Box::new(self.start(id, Origin::Packed(rest.packed)))));
                        drop(entry);
                        tell_all(waiting, Ok(true));
                    }
                    None => {
                        entry.insert(Slot::Waking(waiting));
                        self.wake(id.clone());
                    }
                }
                return;
            }
            End::Stopped => tracing::error!(kind = A::KIND, %id, "{} {id} could not go on and is rebuilt", A::KIND),
            End::CannotStart(outage) => {
                tracing::error!(kind = A::KIND, %id, %outage, "{} {id} cannot start: {outage}", A::KIND);
            }
            End::Panicked => {
                tracing::error!(kind = A::KIND, %id, "{} {id} panicked and is rebuilt", A::KIND);
                self.count_death(id, vitals.handled_last());
            }
        }
        self.rebuild_at(entry, waiting, vitals.pause_before_rebuilding());
    }
}

/// How an owner's task ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    Stopped,
    CannotStart(Outage),
    /// It has been printed.
    Panicked,
}

/// Tells the registry that an owner has ended, however it did: dropped with its task, after the owner itself.
pub(super) struct Ending<A: Owner> {
    pub post: Post<A>,
    pub generation: u64,
    /// Unless it panicked.
    pub end: Option<End>,
}

impl<A: Owner> Ending<A> {
    pub fn run(
        &self,
        receiver: AddressReceiver<A>,
        origin: Origin<A>,
    ) -> impl Future<Output = Result<(), Outage>> + use<A> {
        let Post { id, keys, vitals, shared } = &self.post;
        let (keys, vitals) = (Arc::clone(keys), Arc::clone(vitals));
        let post = Post { id: id.clone(), keys, vitals, shared: shared.clone() };
        async move {
            let seed = match origin {
                Origin::Seed(seed) => seed,
                // It was packed in this process: what cannot be unpacked is a fault, and the rows have it, too.
                Origin::Packed(packed) => A::unpack(&post.id, &packed).ok_or(Outage::Rebuilding)?,
            };
            // The engine has ended, and its arbiters are about to.
            let world = post.keys.world().ok_or(Outage::Rebuilding)?;
            let actor = A::build(world, post, seed)?;
            Context::with_receiver(receiver).into_future(actor).await;
            Ok(())
        }
    }

    pub fn with(mut self, outcome: Result<(), Outage>) {
        self.end = Some(outcome.map_or_else(End::CannotStart, |()| End::Stopped));
    }
}

impl<A: Owner> Drop for Ending<A> {
    fn drop(&mut self) {
        self.post.shared.end();
        let end = match self.end {
            Some(end) => end,
            None if std::thread::panicking() => End::Panicked,
            // The arbiter ends, and with it every owner.
            None => return,
        };
        let Post { id, keys, vitals, .. } = &self.post;
        keys.ended(id, self.generation, vitals, end);
    }
}
