//! The projector: reads durable records in order and brings Postgres after them, many records a transaction
//! (rule 12). It knows no business rule, and no request ever waits for it except lists.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::watch;

use crate::journal::{Journal, Position, ReadError, Reader};
use crate::ports::{Store, StoreError};
use crate::rows::{CODEC, KIND_ROWS, Rows};

/// Records of one transaction: enough that its costs are shared, few enough that lists do not wait long for it.
const BATCH_RECORDS: usize = 4_096;
/// Bytes of one transaction's records.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Pause after a failure, doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

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

/// Follows the journal for ever, from `from` on; publishes how far it is.
pub struct Projector {
    reader: Reader,
    store: Arc<dyn Store>,
    projected: watch::Sender<Position>,
}

impl std::fmt::Debug for Projector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector").field("projected", &*self.projected.borrow()).finish_non_exhaustive()
    }
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
        Ok((Projector { reader, store, projected }, receiver))
    }

    /// Projects everything that is durable now, and returns.
    pub async fn catch_up(&mut self) -> Result<Position, ProjectionHalted> {
        while self.step().await? {}
        Ok(*self.projected.borrow())
    }

    /// Runs until the journal is closed or projection has to halt.
    pub async fn run(mut self) -> Result<(), ProjectionHalted> {
        loop {
            self.catch_up().await?;
            if self.reader.more().await.is_err() {
                // Closed: what became durable before is still to be projected.
                self.catch_up().await?;
                return Ok(());
            }
        }
    }

    /// One batch. `false`: nothing is left.
    async fn step(&mut self) -> Result<bool, ProjectionHalted> {
        let records = self.reader.next_batch(BATCH_RECORDS, BATCH_BYTES)?;
        let Some((to, _)) = records.last() else { return Ok(false) };
        let (from, to) = (*self.projected.borrow(), *to);
        let mut rows = Rows::default();
        for (position, record) in &records {
            decode(&mut rows, *position, record)?;
        }
        self.project(&rows, from, to).await?;
        self.projected.send_replace(to);
        Ok(true)
    }

    async fn project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), ProjectionHalted> {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.store.project(rows, from, to).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Unavailable(why)) => {
                    tracing::warn!(%from, %to, %why, "Projection waits for the database: {why}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_LONGEST);
                }
                Err(StoreError::Data(why)) => return Err(ProjectionHalted::Data { from, to, why }),
                Err(StoreError::Fenced(why)) => return Err(ProjectionHalted::Fenced(why)),
            }
        }
    }
}

/// Adds a record's rows to a batch.
fn decode(rows: &mut Rows, position: Position, record: &crate::journal::Record) -> Result<(), ProjectionHalted> {
    let header = &record.header;
    if header.kind != KIND_ROWS || header.codec != CODEC {
        let why = format!("kind {} with encoding {} is not known to this release", header.kind, header.codec);
        return Err(ProjectionHalted::Record { position, why });
    }
    rows.merge(record.payload.as_slice()).map_err(|error| ProjectionHalted::Record { position, why: error.to_string() })
}
