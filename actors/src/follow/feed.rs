//! What all followers read: one task goes through the log, and keeps the newest of what it has found.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Announcing;
use crate::journal::{Journal, Limits, Position, ReadError, Reader, lock};
use crate::kind::Kind;

/// From one look at the log to the next while it grows. Every look that finds something is a record of each follower, and
/// nobody waits for what follows; what comes after a longer silence is followed at once.
const GATHER: Duration = Duration::from_millis(50);

/// What one look finds at most: what follows from a thousand announcements is far smaller than the largest record. Going
/// through as many bytes takes about a millisecond, in which the thread does nothing else; reading what is announced comes on
/// top.
const LIMITS: Limits = Limits { records: 1_024, bytes: 1024 * 1024, passed_bytes: 4 * 1024 * 1024 };

/// Pause before a segment that could not be opened is tried again.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// Chunks that are kept for those who are a little behind: most of a second while the log grows. Of records only what they
/// announce is kept: a few times the 16 MiB that it has in the log at most, when records hold nothing else.
const CHUNKS_KEPT: usize = 16;

/// Announcing records of a stretch of the log.
#[derive(Debug)]
pub(super) struct Chunk {
    after: Position,
    records: Vec<Announcing>,
    /// There are no others up to here.
    pub up_to: Position,
}

/// Why the log cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("record {position} is of kind {kind}, which is not known to this release")]
    Kind { position: Position, kind: u16 },
}

impl Chunk {
    pub async fn read(reader: &mut Reader) -> Result<Chunk, FeedError> {
        let after = reader.position();
        let passage = loop {
            // What is not known is not passed over.
            match reader.next_wanted(LIMITS, |kind| Kind::known(kind).is_none_or(Kind::announces)) {
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "Followers wait for the journal: {error}");
                    tokio::time::sleep(READ_AGAIN).await;
                }
                read => break read?,
            }
        };
        let unknown = passage.records.iter().find(|(_, record)| Kind::known(record.header.kind).is_none());
        if let Some((position, record)) = unknown {
            return Err(FeedError::Kind { position: *position, kind: record.header.kind });
        }
        let records = passage.records.into_iter().map(|(position, record)| Announcing::new(position, record)).collect();
        Ok(Chunk { after, records, up_to: passage.up_to })
    }

    /// Those of its records that come after a position.
    pub fn records_after(&self, position: Position) -> &[Announcing] {
        let passed = self.records.partition_point(|record| record.position <= position);
        self.records.get(passed..).unwrap_or_default()
    }
}

/// One follower's view of what is read for all.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    chunks: Arc<Mutex<VecDeque<Arc<Chunk>>>>,
    /// How far has been read. Closed when the journal is, or when it cannot be read.
    head: watch::Receiver<Position>,
}

impl Feed {
    /// Reads what comes after a position that the journal has.
    pub fn start(io: &Handle, journal: &Journal, after: Position) -> Feed {
        let chunks = Arc::default();
        let (sender, head) = watch::channel(after);
        let feed = Feed { chunks, head };
        let (reading, journal) = (feed.clone(), journal.clone());
        io.spawn(async move {
            if let Err(error) = reading.read(&journal, after, sender).await {
                tracing::error!(%error, "The journal cannot be followed any further: {error}");
            }
        });
        feed
    }

    async fn read(self, journal: &Journal, after: Position, head: watch::Sender<Position>) -> Result<(), FeedError> {
        let mut reader = journal.reader(after)?;
        while reader.more().await.is_ok() {
            let begun = Instant::now();
            let durable = journal.durable();
            while reader.position() < durable {
                let chunk = Chunk::read(&mut reader).await?;
                let up_to = chunk.up_to;
                self.keep(chunk);
                head.send_replace(up_to);
                tokio::task::yield_now().await;
            }
            tokio::time::sleep_until(begun + GATHER).await;
        }
        Ok(())
    }

    fn keep(&self, chunk: Chunk) {
        let mut chunks = lock(&self.chunks);
        if chunks.len() >= CHUNKS_KEPT {
            chunks.pop_front();
        }
        chunks.push_back(Arc::new(chunk));
    }

    /// Resolves when there is something after a position; `false`: there never will be.
    pub async fn more(&mut self, after: Position) -> bool {
        self.head.wait_for(|head| *head > after).await.is_ok()
    }

    /// What comes after a position, if it is kept.
    pub fn chunk(&self, after: Position) -> Option<Arc<Chunk>> {
        lock(&self.chunks).iter().find(|chunk| chunk.after <= after && after < chunk.up_to).cloned()
    }
}
