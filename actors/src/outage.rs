//! Answers of the owners, and why there may be none.

use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Damage;

use crate::journal::{Journal, Parked, Parker, Position, Unanswered};

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
pub fn damaged(damage: Damage) -> Outage {
    let sentence = damage.to_string();
    let Damage { table, key, what } = damage;
    tracing::error!(table, key, what, "Stored rows cannot be used: {sentence}");
    Outage::Rebuilding
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

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { outcome: self.outcome.map(change), position: self.position }
    }
}

/// What a handler answers with.
pub type Answer<T> = Result<Reply<T>, Outage>;

/// To whom an answer goes that he sees once it is durable. Dropped without one, he learns that its owner has ended.
#[derive(Debug)]
pub struct Asker<T>(Parker<Answer<T>>);

/// What an asker waits for.
#[derive(Debug)]
#[must_use = "an answer is there only once it is waited for"]
pub struct Asked<T>(Parked<Answer<T>>);

/// A place for one answer.
pub fn asking<T>(journal: &Journal) -> (Asker<T>, Asked<T>) {
    let (parker, parked) = journal.parked();
    (Asker(parker), Asked(parked))
}

impl<T> Asker<T> {
    pub fn answer(self, answer: Answer<T>) {
        // An outage rests on nothing.
        let position = answer.as_ref().map_or(Position::NOTHING, |reply| reply.position);
        self.0.park(answer, position);
    }
}

impl<T> Asked<T> {
    /// The answer, durable.
    pub async fn answer(self) -> Answer<T> {
        self.0.await.unwrap_or_else(|why| match why {
            Unanswered::Abandoned => Err(Outage::Rebuilding),
            Unanswered::Failed(_) => Err(Outage::Journal),
        })
    }
}
