//! What all machines have in common: how a shell drives one.

use std::sync::Arc;

use crate::rejection::Rejection;
use crate::row::Rows;
use crate::time::Timestamp;

/// When room for a record is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Before the change, for so many events as there are: their images are small.
    Estimated,
    /// After the change was made aside: its images may be large, and the machine is cheap to clone.
    Exact,
}

/// A machine with an owner: it decides commands, evolves by events, and leaves rows behind.
pub trait Machine: Clone {
    type Command;
    type Event;

    const ROOM: Room;

    /// All checks, and no change. No events: it is already so.
    fn decide(&self, command: &Self::Command, now: Timestamp) -> Result<Vec<Self::Event>, Rejection>;

    /// The only mutation: what was decided happens. Images of the rows that it touched, as they are then; none: nothing durable
    /// happened, and no record is needed.
    fn apply(&mut self, events: &[Self::Event], version: u64) -> Rows;

    /// Whether room for a record has to be there before this happens. Without it what happens is memory only, and leaves no
    /// row; a decision that leaves none by itself may still want room, so that nothing begins that cannot go on.
    fn wants_room(&self, _events: &[Self::Event]) -> bool {
        true
    }

    /// When something is due by itself.
    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// What the machine is told then. `None`: nothing ever is due.
    fn when_due() -> Option<Self::Command> {
        None
    }
}

/// A machine that is shared with readers: it is copied when it changes and somebody still reads it.
impl<M: Machine> Machine for Arc<M> {
    type Command = M::Command;
    type Event = M::Event;

    const ROOM: Room = M::ROOM;

    fn decide(&self, command: &M::Command, now: Timestamp) -> Result<Vec<M::Event>, Rejection> {
        M::decide(self, command, now)
    }

    fn apply(&mut self, events: &[M::Event], version: u64) -> Rows {
        Arc::make_mut(self).apply(events, version)
    }

    fn wants_room(&self, events: &[M::Event]) -> bool {
        M::wants_room(self, events)
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        M::next_deadline(self)
    }

    fn when_due() -> Option<M::Command> {
        M::when_due()
    }
}
