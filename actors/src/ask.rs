//! How an owner is asked: a question, whoever gets the answer, and one way to wait for it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use actix::{Actor, Message};
use futures_util::TryFutureExt;

use crate::journal::{Journal, Parker, Position, Unanswered};
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

/// A place for one answer, and the wait for it.
pub fn asking<T>(journal: &Journal) -> (Asker<T>, impl Future<Output = Answer<T>> + use<T>) {
    let (parker, parked) = journal.parked();
    let answer = parked.unwrap_or_else(|why| match why {
        Unanswered::Abandoned => Err(Outage::Rebuilding),
        Unanswered::Failed(_) => Err(Outage::Journal),
    });
    (Asker(parker), answer)
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
