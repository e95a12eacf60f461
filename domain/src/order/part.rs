//! The parts of an order run beside each other, each with a step of its own that is tried again by itself.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// First and longest pause before a failed step is repeated; it doubles in between.
const RETRY_FIRST_MS: i64 = 500;
const RETRY_LONGEST_MS: i64 = 30_000;

/// What an order can be doing at once: one step of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartName {
    /// Seats found and confirmed, for money in time or late.
    Sale,
    /// The one payment that is alive.
    Collecting,
    /// Seats put back on sale.
    GivingBack,
    /// Money on its way back.
    Refunding,
}

impl PartName {
    pub const ALL: [PartName; 4] = [PartName::Sale, PartName::Collecting, PartName::GivingBack, PartName::Refunding];
}

/// Where a part stands. Between two durable events this is memory only: after a restart it is derived from the rows, and
/// every step that was under way is done again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Part<S> {
    stage: S,
    pub retry: Retry,
}

impl<S> Part<S> {
    pub const fn new(stage: S) -> Part<S> {
        Part { stage, retry: Retry { at: None, failures: 0 } }
    }

    pub const fn stage(&self) -> &S {
        &self.stage
    }

    /// A new stage starts afresh: nothing of it has failed yet.
    pub fn advance_to(&mut self, stage: S) {
        *self = Part::new(stage);
    }

    /// The same stage goes on, with another step.
    pub fn step(&mut self, go_on: impl FnOnce(&mut S)) {
        go_on(&mut self.stage);
        self.retry = Retry::default();
    }

    /// What changes without a new step: the one under way goes on.
    pub fn note(&mut self, change: impl FnOnce(&mut S)) {
        change(&mut self.stage);
    }
}

/// When a step that failed is done again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Retry {
    at: Option<Timestamp>,
    failures: u32,
}

impl Retry {
    /// `None`: nothing has failed, or its time has come.
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// When a step that fails now is done again.
    pub fn after_failure(&self, now: Timestamp) -> Timestamp {
        let pause = RETRY_FIRST_MS << self.failures.min(6);
        now.plus_ms(pause.min(RETRY_LONGEST_MS))
    }

    pub fn failed_until(&mut self, at: Timestamp) {
        self.at = Some(at);
        self.failures = self.failures.saturating_add(1);
    }

    pub fn is_due(&mut self) {
        self.at = None;
    }
}
