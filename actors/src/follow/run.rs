//! One follower's task.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::feed::{Chunk, Feed, FeedError};
use super::{Announcing, Batch, Failure, Follower, State, Watched, holding};
use crate::journal::{Journal, Position, ReadError, Reader, lock};

/// Pause before a follower is asked the same again, doubled up to the longest: nobody waits for what follows.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Why a follower ends.
enum End {
    /// The journal was closed, or has failed and the process ends.
    Closed,
    Unreadable(FeedError),
}

impl<E: Into<FeedError>> From<E> for End {
    fn from(error: E) -> End {
        End::Unreadable(error.into())
    }
}

/// What has become of a batch.
enum Outcome {
    /// The follower stands elsewhere than before: at the batch's end, unless its owner knew better.
    Moved,
    /// It cannot deal with it.
    Fault(String),
}

pub(super) struct Run {
    follower: Box<dyn Follower>,
    journal: Journal,
    feed: Feed,
    /// For as long as it is too far behind for the feed.
    own: Option<Reader>,
    watched: Arc<Watched>,
    /// Where its owner stands, durably.
    written: Position,
    /// Up to here nothing is left to be done for it.
    seen: Position,
}

impl Run {
    pub fn new(follower: Box<dyn Follower>, journal: Journal, feed: Feed, watched: Arc<Watched>) -> Run {
        let written = follower.position();
        let seen = lock(&watched).seen;
        Run { follower, journal, feed, own: None, watched, written, seen }
    }

    /// Follows until the journal is closed or the follower cannot go on; says so.
    pub async fn run(mut self) {
        let name = self.follower.name();
        metrics::counter!("follower_set_aside_total", "follower" => name).increment(0);
        holding::show_position(name, self.seen);
        let ended = AssertUnwindSafe(self.follow()).catch_unwind().await;
        let (state, why) = match ended {
            Ok(Ok(never)) => match never {},
            Ok(Err(End::Closed)) => return,
            // What it needs is gone.
            Ok(Err(End::Unreadable(lost @ FeedError::Read(ReadError::Released { .. })))) => {
                (State::Lost, lost.to_string())
            }
            Ok(Err(End::Unreadable(error))) => (State::Stopped, error.to_string()),
            Err(_) => (State::Stopped, "it broke".to_owned()),
        };
        lock(&self.watched).state = state;
        tracing::error!(follower = name, position = %self.seen, "Follower {name} has stopped: {why}");
    }

    async fn follow(&mut self) -> Result<Infallible, End> {
        // Where it stands has to be in the journal.
        self.own = Some(self.journal.reader(self.seen)?);
        loop {
            if self.holds_a_segment_for_nothing() {
                self.hand(&[], self.seen).await?;
                continue;
            }
            let chunk = self.next().await?;
            let records = chunk.records_after(self.seen);
            if records.is_empty() || !self.follower.follows_from(records) {
                self.moved(self.written, chunk.up_to);
            } else if let Outcome::Fault(why) = self.hand(records, chunk.up_to).await? {
                self.hand_one_by_one(records, why).await?;
            }
        }
    }

    /// It has seen a whole segment through, and its record does not say so. Otherwise a position is not worth a record of
    /// its own: the journal would never come to rest.
    fn holds_a_segment_for_nothing(&self) -> bool {
        self.journal.segment_of(self.seen.next()).is_some_and(|first| first > self.written.next())
    }

    async fn next(&mut self) -> Result<Arc<Chunk>, End> {
        let is_fed = self.feed.more(self.seen).await;
        if let Some(chunk) = self.feed.chunk(self.seen) {
            self.own = None;
            return Ok(chunk);
        }
        let mut own = match self.own.take() {
            Some(own) if own.position() == self.seen => own,
            _ => self.journal.reader(self.seen)?,
        };
        // The feed has ended with the journal, or at something that is for each follower to come to.
        if !is_fed && own.more().await.is_err() {
            return Err(End::Closed);
        }
        let chunk = Chunk::read(&mut own).await?;
        self.own = Some(own);
        tokio::task::yield_now().await;
        Ok(Arc::new(chunk))
    }

    /// Has the follower take a batch, again and again until it has or cannot.
    async fn hand(&mut self, records: &[Announcing], up_to: Position) -> Result<Outcome, End> {
        let mut pause = PAUSE_FIRST;
        loop {
            let batch = Batch { after: self.written, records, up_to };
            let taking = AssertUnwindSafe(self.follower.take(batch)).catch_unwind();
            let taken = taking.await.unwrap_or_else(|_| Err(Failure::Fault("it broke".to_owned())));
            let why = match taken {
                Ok(position) if position != self.written => {
                    self.moved(position, position);
                    return Ok(Outcome::Moved);
                }
                Ok(_) => "it has not moved".to_owned(),
                Err(Failure::Fault(why)) if !records.is_empty() => return Ok(Outcome::Fault(why)),
                Err(failure) => failure.to_string(),
            };
            if self.journal.failure().is_some() {
                return Err(End::Closed);
            }
            if pause == PAUSE_FIRST {
                let name = self.follower.name();
                tracing::warn!(follower = name, position = %self.written, "Follower {name} is asked again: {why}");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// The second time each record is alone. One that fails again is set aside: the others do not wait for it.
    async fn hand_one_by_one(&mut self, records: &[Announcing], why: String) -> Result<(), End> {
        let name = self.follower.name();
        tracing::warn!(follower = name, position = %self.written, "Follower {name} takes records one by one: {why}");
        for record in records {
            let (position, key) = (record.position, &record.key);
            if let Outcome::Fault(why) = self.hand(std::slice::from_ref(record), position).await? {
                tracing::error!(
                    follower = name, %position, %key,
                    "Follower {name} has failed twice at record {position}, which is set aside: {why}"
                );
                metrics::counter!("follower_set_aside_total", "follower" => name).increment(1);
                lock(&self.watched).set_aside += 1;
                self.hand(&[], position).await?;
            }
            if self.seen != position {
                // Its owner stands elsewhere: what comes next is read from there.
                return Ok(());
            }
        }
        Ok(())
    }

    fn moved(&mut self, written: Position, seen: Position) {
        (self.written, self.seen) = (written, seen);
        holding::show_position(self.follower.name(), seen);
        let mut status = lock(&self.watched);
        // Of a new one that has not written yet, nothing older than where it began is needed.
        status.written = status.written.max(written);
        status.seen = seen;
    }
}
