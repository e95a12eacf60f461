//! The life of a hold, whatever it takes: placed, then paying and confirmed, or released, or lapsed (R-HOLD-03, R-HOLD-09,
//! R-HOLD-10).
//!
//! An owner of what can be held has [`Holds`] of it: a departure of its seats. It asks them what a command means for the
//! hold's life, looks itself whether there is room, and tells them what then happened. The order that owns a hold names it,
//! and its epoch, in every command. What a hold takes is its owner's ([`Takes`]), and so are events and rows.
//!
//! The parts: `decide` every check; `evolve` the only mutation; `deadlines` when holds end.

mod deadlines;
mod decide;
mod evolve;
#[cfg(test)]
mod tests;

pub use decide::Placing;

use crate::ids::{HoldId, IdMap, InvalidId, codes};
use crate::time::Timestamp;
use deadlines::Deadlines;

/// Epoch of a hold that is placed for the first time.
pub const FIRST_EPOCH: u32 = 1;

/// A hold and its epoch (R-HOLD-10). The order counts a hold's epochs: every new placing has a higher one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HoldAt {
    pub hold: HoldId,
    pub epoch: u32,
}

/// Repeating it, or a sooner `expires_at` than the hold has, is already so: a hold is never shortened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeginPaying {
    pub hold: HoldId,
    pub epoch: u32,
    pub expires_at: Timestamp,
}

/// Where a live hold stands. Ended ones are forgotten by their owner and remain as rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum HoldState {
    /// Lapses at its `expires_at`.
    Held,
    /// A payment was begun: never lapses (R-HOLD-09).
    Paying,
    /// Sold.
    Confirmed,
}

codes!(HoldState, "hold state": Held = "held", Paying = "paying", Confirmed = "confirmed");

/// Where a hold stands as its row says: live, or how it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Live(HoldState),
    /// Given up by its order, or made way for a later epoch.
    Released,
    /// Its time was over.
    Expired,
}

impl Standing {
    pub const fn code(self) -> &'static str {
        match self {
            Standing::Live(state) => state.code(),
            Standing::Released => "released",
            Standing::Expired => "expired",
        }
    }
}

impl std::str::FromStr for Standing {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Standing, InvalidId> {
        let ended = [Standing::Released, Standing::Expired].into_iter().find(|ended| ended.code() == text);
        ended.map_or_else(|| text.parse().map(Standing::Live), Ok)
    }
}

/// A live hold as far as it does not matter what it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    pub epoch: u32,
    pub state: HoldState,
    pub placed_at: Timestamp,
    /// From this instant on a held hold has lapsed. For a paying one it is the instant of the alarm.
    pub expires_at: Timestamp,
}

impl Life {
    /// Whether what it takes is free again at `now`, swept or not (R-HOLD-03).
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == HoldState::Held && self.expires_at <= now
    }

    /// Whether this is when it lapses, if nothing happens before.
    fn lapses_at(&self, at: Timestamp) -> bool {
        self.state == HoldState::Held && self.expires_at == at
    }
}

/// Something taken for a while, or sold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold<T> {
    pub life: Life,
    pub takes: T,
}

impl<T: Takes> Hold<T> {
    /// Confirmed once, and all that it took is back on sale since.
    pub fn is_given_back(&self) -> bool {
        self.life.state == HoldState::Confirmed && self.takes.is_given_back()
    }
}

/// What a hold's row says of it.
#[derive(Debug)]
pub(crate) struct Stands<'a, T> {
    pub hold: &'a Hold<T>,
    pub standing: Standing,
    pub ended_at: Option<Timestamp>,
}

impl<'a, T> Stands<'a, T> {
    pub fn live(hold: &'a Hold<T>) -> Stands<'a, T> {
        Stands { hold, standing: Standing::Live(hold.life.state), ended_at: None }
    }

    pub fn ended(hold: &'a Hold<T>, standing: Standing, at: Timestamp) -> Stands<'a, T> {
        Stands { hold, standing, ended_at: Some(at) }
    }
}

/// What a hold takes of its owner.
pub trait Takes {
    /// Whether after-sales has put all of it back on sale.
    fn is_given_back(&self) -> bool;
}

/// All live holds of one owner, with what each takes, and what has to be remembered of ended ones.
#[derive(Clone, Debug)]
pub struct Holds<T> {
    live: IdMap<HoldId, Hold<T>>,
    /// When the holds in state [`HoldState::Held`] expire. The first is one of theirs, others may be settled since.
    deadlines: Deadlines,
    /// Holds released before their time: a late placing must not place them again.
    ended: IdMap<HoldId, Tombstone>,
    /// When each of `ended` may be forgotten, because the late message then refuses itself.
    forget: Deadlines,
}

/// What is remembered of a hold released before its `expires_at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tombstone {
    epoch: u32,
    expires_at: Timestamp,
}

impl<T> Default for Holds<T> {
    fn default() -> Holds<T> {
        Holds {
            live: IdMap::default(),
            deadlines: Deadlines::default(),
            ended: IdMap::default(),
            forget: Deadlines::default(),
        }
    }
}

impl<T> Holds<T> {
    /// A live hold: held (perhaps due, not yet swept), paying or confirmed.
    pub fn get(&self, id: HoldId) -> Option<&Hold<T>> {
        self.live.get(&id)
    }

    /// All live holds, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (HoldId, &Hold<T>)> {
        self.live.iter().map(|(id, hold)| (*id, hold))
    }

    /// Whether the hold is live, or remembered as ended.
    pub fn knows(&self, id: HoldId) -> bool {
        self.live.contains_key(&id) || self.ended.contains_key(&id)
    }

    /// When the next hold lapses by itself.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// The holds whose time is over, the earliest first.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (HoldId, &Hold<T>)> {
        let due = self.deadlines.due(now);
        due.filter_map(move |(at, id)| Some((id, self.get(id).filter(|hold| hold.life.lapses_at(at))?)))
    }

    /// Paying holds past their `expires_at`: an alarm, never a release (R-HOLD-09). Looks at every hold.
    pub fn overdue(&self, now: Timestamp) -> Vec<HoldId> {
        let late = |life: &Life| life.state == HoldState::Paying && life.expires_at <= now;
        let mut ids: Vec<_> = self.iter().filter(|(_, hold)| late(&hold.life)).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }
}
