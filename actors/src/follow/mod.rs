//! Followers: parts that learn from the journal what others announce, and write down what follows from it (rule 16). The
//! journal is their queue: an announcement is a row of the record that made it true, and that record has a kind of its
//! own ([`Kind::Announcing`](crate::kind::Kind)), so that all others are passed over unread.
//!
//! A follower writes its position into the record that holds what follows, so both are durable or neither is: everything
//! follows exactly once, whenever the process ends, and Postgres is not asked. What has to be true for that is one
//! comparison at the follower's owner, see [`Follower::take`].
//!
//! One task reads, in order and once (`feed.rs`), and keeps the newest chunks of what it has read. Each follower has a
//! task of its own that takes them from there (`run.rs`). One that waits for its owner or is asked again after an outage
//! holds up nobody: when the chunk that it needs is no longer kept it reads the log for itself until it has caught up, so
//! what a slow follower costs is a second reader, and never memory. Its segments stay (`holding.rs`).
//!
//! Deliberately absent: what announcements mean (the followers), where positions are stored (their owners' rows).

mod announcing;
mod feed;
mod holding;
mod run;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::journal::{Journal, Position, lock};
use crate::outage::Outage;
pub use announcing::Announcing;
use feed::Feed;
use run::Run;

/// Whoever follows.
#[async_trait]
pub trait Follower: Send {
    /// For logs and metrics.
    fn name(&self) -> &'static str;

    /// How far it had followed when it woke, as its newest row says; [`Position::NOTHING`] if it has none. A follower
    /// without a row is new and begins with the oldest record there is.
    fn position(&self) -> Position;

    /// Whether anything follows from these records. If not, it need not take them: its position is written down with what
    /// follows next, or when it holds a segment for nothing.
    fn follows_from(&self, _: &[Announcing]) -> bool {
        true
    }

    /// Writes what follows from a batch, and its end as the follower's position, in one record of its owner, and answers
    /// the owner's position once that is durable.
    ///
    /// It may be asked the same again, as nobody knows what has become of an outage. So the owner compares: if it does
    /// not stand where the batch begins it writes nothing and answers where it stands; the batch that comes next begins
    /// there.
    async fn take(&mut self, batch: Batch<'_>) -> Result<Position, Failure>;
}

/// A stretch of the log, as followers see it.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Where the follower stands.
    pub after: Position,
    /// Everything that is announced behind it, in order. May be empty: then only the position moves.
    pub records: &'a [Announcing],
    /// There is nothing else up to here.
    pub up_to: Position,
}

/// Why a batch was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing can be written now: it is asked again.
    #[error(transparent)]
    Outage(Outage),
    /// It cannot deal with these records. They are tried once more, one by one; what fails alone is set aside.
    #[error("{0}")]
    Fault(String),
}

impl From<Outage> for Failure {
    fn from(outage: Outage) -> Failure {
        match outage {
            // Its owner has broken twice over it.
            Outage::SetAside => Failure::Fault(outage.to_string()),
            Outage::Overloaded
            | Outage::Rebuilding
            | Outage::Storage
            | Outage::Journal
            | Outage::JournalFull
            | Outage::Provider => Failure::Outage(outage),
        }
    }
}

/// What a follower is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It follows, or waits for an outage to end.
    Follows,
    /// Records that it had not followed are gone. It has stopped: nothing may follow from what comes after a gap.
    Lost,
    /// It has stopped at something that it cannot read; perhaps a later release can. Its segments stay.
    Stopped,
}

/// What a follower keeps of the journal that nobody else needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    Little,
    /// So much that somebody has to look.
    TooMuch,
    /// Some of what it had not followed is deleted already.
    GaveWay,
}

/// How a follower is getting on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    pub name: &'static str,
    pub state: State,
    /// Its own record says that it has followed up to here; it needs whatever comes after.
    pub written: Position,
    /// Up to here there is nothing more to follow.
    pub seen: Position,
    /// Records set aside since the start.
    pub set_aside: u64,
    pub holds: Holds,
}

/// A status that its follower's task writes and others read.
type Watched = Mutex<Status>;

/// The followers of a journal. Their tasks end with the journal. Clones are the same followers.
#[derive(Clone, Debug)]
pub struct Following {
    journal: Journal,
    followers: Arc<[Arc<Watched>]>,
}

impl Following {
    /// Starts to follow on the runtime that waits for disk and network, every follower from where it stands.
    pub fn start(io: &Handle, journal: &Journal, followers: Vec<Box<dyn Follower>>) -> Following {
        let oldest = journal.oldest().previous();
        let watch = |follower: &dyn Follower| {
            // Of one that is new, nothing older than the journal was ever meant.
            let stands_at = if follower.position() == Position::NOTHING { oldest } else { follower.position() };
            let begins_at = behind_what_was_given_up(journal, stands_at);
            if begins_at > stands_at {
                let (name, from) = (follower.name(), stands_at.next());
                tracing::warn!(
                    follower = name, %from, to = %begins_at,
                    "Follower {name} passes positions {from} to {begins_at}, which were given up with the journal before \
                     this one"
                );
            }
            let (name, state, written, seen) = (follower.name(), State::Follows, begins_at, begins_at);
            Arc::new(Mutex::new(Status { name, state, written, seen, set_aside: 0, holds: Holds::Little }))
        };
        let watched: Arc<[_]> = followers.iter().map(|follower| watch(&**follower)).collect();
        let following = Following { journal: journal.clone(), followers: Arc::clone(&watched) };
        let Some(furthest) = following.statuses().iter().map(|status| status.seen).max() else { return following };

        holding::describe();
        let feed = Feed::start(io, journal, furthest.clamp(oldest, journal.durable()));
        for (follower, watched) in followers.into_iter().zip(watched.iter()) {
            io.spawn(Run::new(follower, journal.clone(), feed.clone(), Arc::clone(watched)).run());
        }
        following
    }

    pub fn statuses(&self) -> Vec<Status> {
        self.followers.iter().map(|watched| *lock(watched)).collect()
    }
}

/// Where a follower goes on that stands at a position. Somebody has agreed that nothing follows from what was lost with
/// the journal before this one; what this one has let go is another matter.
fn behind_what_was_given_up(journal: &Journal, position: Position) -> Position {
    match journal.adopted() {
        Some(adopted) if journal.oldest() <= adopted.first => position.max(adopted.first.previous()),
        Some(_) | None => position,
    }
}
