//! The projector: reads durable records in order and brings Postgres after them, many records a transaction
//! (rule 12). It knows no business rule, and no request ever waits for it except lists.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deeptravel_domain::earlier::renewed;
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables;
use serde::Deserialize;
use tokio::sync::watch;

use crate::journal::{Journal, Position, ReadError, Reader, Record};
use crate::kind::{CODEC, Kind};
use crate::ports::{Store, StoreError};

/// Records of one transaction: enough that its costs are shared, few enough that lists do not wait long for it.
const BATCH_RECORDS: usize = 4_096;
/// From one transaction's begin to the next one's, while records come in fewer than a whole batch: it bounds the commits
/// a second, each of which costs the database a sync and both of us a dozen round trips, and the lists' wait with them. What
/// comes after a longer silence is projected at once.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// More than this many who wait for an answer are a rush: the projector leaves the processors to them, nobody being
/// in such a hurry for the database. Several times of what keeps the processors busy.
const RUSH_WAITING: usize = 2_048;
/// In a rush it works for one part of so many of the time.
const RUSH_PARTS: u32 = 5;
/// But not for longer than this without having caught up: lists wait two seconds for it (rule 13).
const RUSH_LONGEST: Duration = Duration::from_millis(1_500);
/// However slow the database is: a few rows in the time that a transaction may take.
const BATCH_RECORDS_MIN: usize = 32;
/// Bytes of one transaction's records.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Pause after a failure, doubled up to the longest. Asking a database that is known to be away costs nothing, and every
/// list waits for the end of the pause.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// Why the projector ended. The process must not go on as if nothing had happened.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionHalted {
    /// Postgres refuses a batch: nothing is skipped, so nothing follows (rule 12).
    #[error("records {from} to {to} do not fit the database: {why}")]
    Data { from: Position, to: Position, why: String },
    /// Another server has taken the database over (rule 14).
    #[error("another server writes to this database: {0}")]
    Fenced(String),
    #[error("the journal cannot be read")]
    Journal(#[from] ReadError),
    #[error("record {position} cannot be decoded: {why}")]
    Record { position: Position, why: String },
}

/// Section `projector` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectorOptions {
    /// The process does not run it; the start still catches up.
    pub paused: bool,
}

/// Follows the journal for ever, from `from` on; publishes how far it is.
pub struct Projector {
    reader: Reader,
    store: Arc<dyn Store>,
    projected: watch::Sender<Position>,
    /// Records of the next transaction, at most.
    batch_records: usize,
    /// The rows of a transaction, one after the other: kept, so that its room need not be made again.
    rows: Rows,
    giving_way: GivingWay,
    /// The database could not, since that was last looked at.
    was_hindered: bool,
    waiting: Option<Waiting>,
}

impl Projector {
    /// `from`: what Postgres has.
    pub fn new(
        journal: &Journal,
        store: Arc<dyn Store>,
        from: Position,
    ) -> Result<(Projector, watch::Receiver<Position>), ProjectionHalted> {
        let reader = journal.reader(from)?;
        let (projected, receiver) = watch::channel(from);
        let projector = Projector {
            reader,
            store,
            projected,
            batch_records: BATCH_RECORDS,
            rows: Rows::default(),
            giving_way: GivingWay::default(),
            was_hindered: false,
            waiting: None,
        };
        Ok((projector, receiver))
    }

    /// Projects everything that is durable now, and returns.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionHalted> {
        while self.step().await? != Size::Nothing {}
        Ok(*self.projected.borrow())
    }

    /// Runs until the journal is closed or projection has to halt.
    pub async fn run(mut self) -> Result<(), ProjectionHalted> {
        loop {
            let begun = Instant::now();
            let size = self.step().await?;
            let is_rush = self.reader.waiting() > RUSH_WAITING;
            // Of a database that is away or slow the others need not be spared.
            let gives_way = is_rush && !std::mem::take(&mut self.was_hindered);
            let spacing = self.giving_way.spacing(size, begun.elapsed(), gives_way, Instant::now());
            if spacing.is_zero() {
                continue;
            }
            tokio::time::sleep_until((begun + spacing).into()).await;
            if self.reader.more().await.is_err() {
                // Closed: what became durable before is still to be projected.
                self.catch_up().await?;
                return Ok(());
            }
        }
    }

    /// One batch, in parts if the database is slow.
    async fn step(&mut self) -> Result<Size, ProjectionHalted> {
        let records = match self.reader.next_batch(BATCH_RECORDS, BATCH_BYTES) {
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "Projection waits for the journal: {error}");
                tokio::time::sleep(PAUSE_LONGEST).await;
                return Ok(Size::Part);
            }
            read => read?,
        };
        let size = Size::of(&records);
        // All at once: with one that cannot be decoded nothing follows anyway.
        let records: Vec<(Position, Rows)> = records.into_iter().map(decode).collect::<Result<_, _>>()?;
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(self.batch_records));
            if self.project(batch).await? {
                self.batch_records = (self.batch_records * 2).min(BATCH_RECORDS);
                rest = later;
            } else {
                // It may have taken too long: a database that is slow gets on with less at once.
                self.batch_records = (batch.len() / 2).max(BATCH_RECORDS_MIN);
            }
        }
        Ok(size)
    }

    /// One transaction. `false`: the database could not now; a pause has been made.
    async fn project(&mut self, batch: &[(Position, Rows)]) -> Result<bool, ProjectionHalted> {
        let Some((to, _)) = batch.last() else { return Ok(true) };
        let (from, to) = (*self.projected.borrow(), *to);
        self.rows.clear();
        for (_, rows) in batch {
            self.rows.extend(rows);
        }
        match self.store.project(&self.rows, from, to).await {
            Ok(()) => {
                self.projected.send_replace(to);
                self.waiting.take().inspect(Waiting::is_over);
                Ok(true)
            }
            Err(StoreError::Unavailable(why)) => {
                self.was_hindered = true;
                let pause = self.waiting.get_or_insert_with(Waiting::default).again(from, to, why);
                tokio::time::sleep(pause).await;
                Ok(false)
            }
            Err(StoreError::Data(why)) => Err(ProjectionHalted::Data { from, to, why }),
            Err(StoreError::Fenced(why)) => Err(ProjectionHalted::Fenced(why)),
        }
    }
}

/// How much one batch had in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Nothing,
    Part,
    /// About as much as one may have: there may be more.
    Whole,
}

impl Size {
    fn of(records: &[(Position, Record)]) -> Size {
        let bytes: usize = records.iter().map(|(_, record)| record.payload.len()).sum();
        match records.len() {
            0 => Size::Nothing,
            BATCH_RECORDS.. => Size::Whole,
            _ if bytes >= BATCH_BYTES / 2 => Size::Whole,
            _ => Size::Part,
        }
    }
}

/// How the projector leaves the processors to others.
#[derive(Debug, Default)]
struct GivingWay {
    /// Since when it has, without having caught up.
    since: Option<Instant>,
}

impl GivingWay {
    /// From the begin of a transaction that took so long to the next one's.
    fn spacing(&mut self, size: Size, took: Duration, is_rush: bool, now: Instant) -> Duration {
        let usual = if size == Size::Whole { Duration::ZERO } else { GATHER };
        if size != Size::Whole {
            self.since = None;
        }
        if !is_rush {
            return usual;
        }
        let left = RUSH_LONGEST.saturating_sub(now - *self.since.get_or_insert(now));
        let pause = (took * (RUSH_PARTS - 1)).min(left);
        if pause.is_zero() { usual } else { GATHER.max(took + pause) }
    }
}

/// An outage, as the projector meets it.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    pause: Duration,
    /// The reason last reported.
    why: String,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { since: Instant::now(), pause: PAUSE_FIRST, why: String::new() }
    }
}

impl Waiting {
    /// How long to pause now. Reports each reason once: the outage may take hours.
    fn again(&mut self, from: Position, to: Position, why: String) -> Duration {
        if self.why != why {
            tracing::warn!(%from, %to, %why, "Projection waits for the database: {why}");
            self.why = why;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_LONGEST);
        pause
    }

    fn is_over(&self) {
        let waited_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(waited_ms, "Projection goes on after {waited_ms} ms");
    }
}

/// A record's rows, as they are written today.
fn decode((position, record): (Position, Record)) -> Result<(Position, Rows), ProjectionHalted> {
    let header = &record.header;
    if Kind::known(header.kind).is_none() || header.codec != CODEC {
        let why = format!("kind {} with encoding {} is not known to this release", header.kind, header.codec);
        return Err(ProjectionHalted::Record { position, why });
    }
    let why = |why: &str| ProjectionHalted::Record { position, why: why.to_owned() };
    let rows = Rows::from_bytes(record.payload).map_err(|_| why("its payload is not rows"))?;
    if rows.images().any(|(slot, _)| tables::by_slot(slot).is_none()) {
        return Err(why("it has rows of a table that is not known to this release"));
    }
    Ok((position, renewed(rows).map_err(|damage| why(&damage.to_string()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(100);

    #[test]
    fn a_backlog_is_projected_without_pauses_and_a_trickle_with_one() {
        let (mut way, now) = (GivingWay::default(), Instant::now());
        assert_eq!(way.spacing(Size::Whole, TOOK, false, now), Duration::ZERO);
        assert_eq!(way.spacing(Size::Part, TOOK, false, now), GATHER);
    }

    #[test]
    fn in_a_rush_others_have_the_processors_until_it_is_too_far_behind() {
        let (mut way, begun) = (GivingWay::default(), Instant::now());
        assert_eq!(way.spacing(Size::Whole, TOOK, true, begun), TOOK * RUSH_PARTS);
        assert_eq!(way.spacing(Size::Whole, TOOK, true, begun + RUSH_LONGEST / 2), TOOK * RUSH_PARTS);
        assert_eq!(way.spacing(Size::Whole, TOOK, true, begun + RUSH_LONGEST), Duration::ZERO);
        // Once it has caught up it gives way again.
        assert_eq!(way.spacing(Size::Part, TOOK, false, begun + RUSH_LONGEST), GATHER);
        assert_eq!(way.spacing(Size::Whole, TOOK, true, begun + 2 * RUSH_LONGEST), TOOK * RUSH_PARTS);
    }

    #[test]
    fn no_transaction_is_so_long_that_lists_wait_in_vain_for_the_next() {
        let (mut way, begun) = (GivingWay::default(), Instant::now());
        let slow = Duration::from_mins(1);
        assert_eq!(way.spacing(Size::Whole, slow, true, begun), slow + RUSH_LONGEST);
        let late = begun + RUSH_LONGEST / 10 * 9;
        assert_eq!(way.spacing(Size::Whole, 3 * TOOK, true, late), 3 * TOOK + RUSH_LONGEST / 10);
    }

    #[test]
    fn a_short_transaction_is_followed_by_as_long_a_pause_as_ever() {
        let (mut way, now) = (GivingWay::default(), Instant::now());
        assert_eq!(way.spacing(Size::Part, Duration::from_millis(1), true, now), GATHER);
    }
}
