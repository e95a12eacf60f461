//! Births: an owner's record may hold the first images of a key that never had a record, with version 0 (rule 4); that
//! key's own first record is version 1. So no row ever changes its owner or goes back in version. An order that is placed
//! without its departure's record keeps its slot in the same way, until its own first record.
//!
//! Until that record is projected the child is nowhere but in memory, and reading its rows would say that there is
//! no such key. So whoever makes it keeps its slot before he writes, and lays the child into it afterwards: from there
//! on it is like any other key, that leaves memory only once it is projected. A crash in between loses nothing: the next
//! start projects the record, and the child wakes from its rows.
//!
//! That the key never had a record is for the parent to know: it gave out the id and remembers what has become of it.

use std::sync::Arc;

use dashmap::Entry;

use super::{Keys, Owner, Slot, Woken};

/// Version of a child's rows in its parent's record.
pub const BORN: u64 = 0;

/// The slot of a child whose first images are about to be written: nobody else wakes or makes it, and whoever asks for it
/// waits.
///
/// Dropped, it is given back, as when the record was refused: there is no such key. Only a panic leaves open whether
/// there is one; then the key answers 503 until its rows would be there.
#[must_use = "the slot is given back when this is dropped"]
pub struct Birth<A: Owner> {
    keys: Arc<Keys<A>>,
    /// Until it is known what has become of it.
    id: Option<A::Id>,
}

impl<A: Owner> Keys<A> {
    /// Keeps the slot of a key that never had a record. To be called before anything changes. `None`: somebody asks for
    /// the key just now, or it exists after all; the parent's command is to be repeated.
    pub fn expect_birth(&self, id: &A::Id) -> Option<Birth<A>> {
        let keys = self.this.upgrade()?;
        let Entry::Vacant(entry) = self.slots.entry(id.clone()) else { return None };
        entry.insert(Slot::Waking(Vec::new()));
        Some(Birth { keys, id: Some(id.clone()) })
    }
}

impl<A: Owner> Birth<A> {
    /// The record has been appended: here is the child as that says, resting on no earlier position than the record's;
    /// with version 0 if the record was its parent's.
    pub fn born(mut self, child: Woken<A>) {
        if let Some(id) = self.id.take() {
            self.keys.woken(&id, Ok(child));
        }
    }

    /// It is not known what has become of it, as after a panic.
    pub fn broken(mut self) {
        if let Some(id) = self.id.take() {
            self.keys.broken(&id);
        }
    }
}

impl<A: Owner> Drop for Birth<A> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        if std::thread::panicking() {
            self.keys.broken(&id);
        } else {
            self.keys.woken(&id, Ok(Woken::Absent));
        }
    }
}
