//! How an owner is asked: a question, whoever gets the answer, and one way to wait for it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use actix::{Actor, Message};

use crate::journal::{Journal, Parked, Parker, Position, Unanswered};
use crate::outage::{Answer, Outage};

/// Fingerprint of questions that are not set aside: they only read, or whoever asks sees the fault and does not repeat.
pub const NOT_TOLD_APART: u64 = 0;

/// A fingerprint that equal values have in common.
pub fn fingerprint_of(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value).max(NOT_TOLD_APART + 1)
}

/// Something that an owner is asked.
pub trait Question<A: Actor>: Send + 'static {
    type Answer: Send + 'static;

    /// Tells a question that changes something apart from others: the same number when the same one is asked again.
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }

    /// What its owner does with it. Whoever asks may be kept until there is an answer.
    fn put(self, owner: &mut A, asker: Asker<Self::Answer>, ctx: &mut A::Context);
}

/// A question on its way to its owner.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ask<Q, T> {
    pub question: Q,
    pub asker: Asker<T>,
}

/// To whom an answer goes that he sees once it is durable. Dropped without one, he learns that its owner has ended.
pub struct Asker<T>(Parker<Answer<T>>);

/// Whoever waits for an answer.
#[must_use = "an answer is there only once this has been awaited"]
pub struct Asked<T>(Parked<Answer<T>>);

/// A place for one answer, and the wait for it.
pub fn asking<T>(journal: &Journal) -> (Asker<T>, Asked<T>) {
    let (parker, parked) = journal.parked();
    (Asker(parker), Asked(parked))
}

impl<T> Asked<T> {
    /// The answer.
    pub async fn durable(self) -> Answer<T> {
        self.0.await.unwrap_or_else(|why| match why {
            Unanswered::Abandoned => Err(Outage::Rebuilding),
            Unanswered::Failed(_) => Err(Outage::Journal),
        })
    }

    /// What is made of the answer: while the journal is still at it, if the answer is there already.
    pub async fn made_into<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        let Some((answer, wait)) = self.0.given() else { return Ok(self.durable().await?.map(make)) };
        let made = answer?.map(make);
        wait.await.map_err(|_| Outage::Journal)?;
        Ok(made)
    }
}

impl<T> Asker<T> {
    pub fn answer(self, answer: Answer<T>) {
        // An outage rests on nothing.
        let position = answer.as_ref().map_or(Position::NOTHING, |reply| reply.position);
        self.0.park(answer, position);
    }
}

/// The same answer for all who wait for it.
pub fn answer_all<T: Clone>(waiting: &mut Vec<Asker<T>>, answer: &Answer<T>) {
    for asker in waiting.drain(..) {
        asker.answer(answer.clone());
    }
}
