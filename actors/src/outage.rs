//! Answers of the owners, and why there may be none.

use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Damage;

use crate::journal::Position;

/// Why an owner gives no answer now. The request can be repeated; nothing was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Outage {
    #[error("too much is under way")]
    Overloaded,
    #[error("this part is being rebuilt after a fault")]
    Rebuilding,
    #[error("the request was set aside because it broke its owner twice")]
    SetAside,
    #[error("the database is not available")]
    Storage,
    #[error("nothing can be made durable now")]
    Journal,
    /// New sales meet this first, everything else when the last of the space is used (rule 11).
    #[error("the journal has no space for this")]
    JournalFull,
    #[error("the payment provider gives no answer")]
    Provider,
}

/// An owner cannot be made from what is stored.
impl From<Damage> for Outage {
    fn from(damage: Damage) -> Outage {
        let Damage { table, key, .. } = &damage;
        tracing::error!(table, key, %damage, "Stored rows cannot be used: {damage}");
        Outage::Rebuilding
    }
}

/// An owner's answer, refusals included. It may be shown once `position` is durable (rule 9).
#[derive(Clone, Debug)]
pub struct Reply<T> {
    pub outcome: Result<T, Rejection>,
    pub position: Position,
}

impl<T> Reply<T> {
    pub fn ok(value: T, position: Position) -> Reply<T> {
        Reply { outcome: Ok(value), position }
    }

    pub fn rejected(rejection: Rejection, position: Position) -> Reply<T> {
        Reply { outcome: Err(rejection), position }
    }

    pub fn and_then<U>(self, change: impl FnOnce(T) -> Result<U, Rejection>) -> Reply<U> {
        Reply { outcome: self.outcome.and_then(change), position: self.position }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { outcome: self.outcome.map(change), position: self.position }
    }
}

/// An answer, or why there is none.
pub type Answer<T> = Result<Reply<T>, Outage>;
