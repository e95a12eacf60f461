//! What tests see of a registry.

use super::{Keys, Owner, Slot};

impl<A: Owner> Keys<A> {
    /// Keys that are in memory, dormant ones included.
    pub fn in_memory(&self) -> usize {
        self.slots.len()
    }

    /// Keys that have an actor, or are about to.
    pub fn live(&self) -> usize {
        self.figures().live
    }

    /// Actors rebuilt after a fault since the start.
    pub fn restarts(&self) -> u64 {
        self.figures().restarts
    }

    pub fn is_live(&self, id: &A::Id) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.awake().is_some())
    }

    pub fn is_at_hand(&self, id: &A::Id) -> bool {
        self.slots.get(id).is_some_and(|slot| matches!(&*slot, Slot::AtHand(_)))
    }

    /// Whether two keys share a thread.
    pub fn is_beside<B: Owner>(&self, id: &A::Id, others: &Keys<B>, other: &B::Id) -> bool {
        self.place(id) == others.place(other)
    }
}
