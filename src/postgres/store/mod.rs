//! The projected tables behind the ports: batches of rows in, the rows of keys that wake and of lists out.
//!
//! What a row looks like is declared in the domain, and statements are the files of `sql/queries`: neither a table nor a rule of
//! the business is known here (rule 12).

mod batch;
mod columns;
mod load;
mod statements;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use deeptravel_actors::journal::Position;
use deeptravel_actors::ports::{self, Haste, Load, Parameter, StoreError};
use deeptravel_domain::row::Rows;
use futures_util::SinkExt as _;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use self::batch::{Copy, Marks, Upsert, Writes, writes};
use super::error::text;
use super::position::{JournalPosition, PositionError, advance_position, outages_outside};
use super::{Database, Lane, Session};

/// The projected tables, for the process that holds `epoch`.
#[derive(Debug)]
pub struct Store {
    database: Database,
    journal_id: Uuid,
    epoch: u64,
    /// The projection's lane has one connection. It is shared with the loads of a start, which may take longer than a
    /// waking key may; whoever comes second waits here rather than being told that it is busy.
    ///
    /// Whose turn it is also has the position before a batch whose outcome nobody knows: Postgres went away and may have
    /// committed it.
    turn: Mutex<Option<Position>>,
}

impl Store {
    /// `epoch` as [`claim_epoch`](super::claim_epoch) has taken it for this journal.
    pub fn new(database: Database, journal_id: Uuid, epoch: u64) -> Store {
        Store { database, journal_id, epoch, turn: Mutex::new(None) }
    }

    /// Rows that say that they are new are added without a look. If one of them is there after all, the whole batch is
    /// written again as if none had said so.
    async fn try_project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), PositionError> {
        let believed = writes(rows, Marks::Believed)?;
        let hopeful = !believed.copies.is_empty();
        match self.write(believed, from, to).await {
            Err(PositionError::Store(super::StoreError::Data(error)))
                if hopeful && error.code() == Some(&SqlState::UNIQUE_VIOLATION) =>
            {
                tracing::debug!(%from, %to, "Rows that were said to be new are there already; they are looked for");
                self.write(writes(rows, Marks::Ignored)?, from, to).await
            }
            result => result,
        }
    }

    async fn write(&self, writes: Writes, from: Position, to: Position) -> Result<(), PositionError> {
        let held = JournalPosition { journal_id: self.journal_id, position: from.0, epoch: self.epoch };
        let job = move |mut session: Session| async move {
            let written = write(&mut session, writes, held, to).await;
            if written.is_err() {
                // Statements may be of tables that a restore has replaced since: they would fail for ever.
                session.statement_cache.clear();
            }
            outages_outside(written)
        };
        self.database.run(Lane::Projection, job).await?
    }
}

/// One transaction: the position, and the rows. The position comes first: whatever has become of the tables, a database that is
/// not where we left it is told apart from one that cannot now.
async fn write(
    session: &mut Session,
    writes: Writes,
    held: JournalPosition,
    to: Position,
) -> Result<(), PositionError> {
    let transaction = session.transaction().await?;
    advance_position(&transaction, held, to.0).await?;
    for Copy { sql, rows } in writes.copies {
        let statement = transaction.prepare_cached(&sql).await?;
        let sink = transaction.copy_in(&statement).await?;
        tokio::pin!(sink);
        sink.send(rows).await?;
        sink.finish().await?;
    }
    for Upsert { sql, rows } in &writes.upserts {
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, &[rows]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

#[async_trait]
impl ports::Store for Store {
    /// Loads that may take longer share the projection's lane, one at a time.
    async fn load(&self, load: Load, parameters: Vec<Parameter>, haste: Haste) -> Result<Rows, StoreError> {
        let job = move |session| load::load(session, load, parameters);
        match haste {
            Haste::Wake => Ok(self.database.run(Lane::Wakes, job).await?),
            Haste::Start => {
                let _turn = self.turn.lock().await;
                Ok(self.database.run(Lane::Projection, job).await?)
            }
        }
    }

    /// After [`StoreError::Unavailable`] nobody knows whether the batch was committed. The next batch from the same
    /// position, shorter or longer, goes on from wherever this process has come; images are idempotent.
    async fn project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), StoreError> {
        let mut in_doubt = self.turn.lock().await;
        let doubtful = in_doubt.take() == Some(from);
        let mut result = self.try_project(rows, from, to).await;
        if let Err(PositionError::Moved { found, .. }) = result
            && doubtful
            && from.0 < found
        {
            // Our epoch is in place, so it was this process that came so far.
            result = if found >= to.0 { Ok(()) } else { self.try_project(rows, Position(found), to).await };
            if found > to.0 {
                // This batch is shorter than the one that was committed: the next one meets the same.
                *in_doubt = Some(to);
            }
        }
        let result = result.map_err(StoreError::from);
        if matches!(result, Err(StoreError::Unavailable(_))) {
            *in_doubt = Some(from);
        }
        result
    }
}

/// Lists that people page through, as Postgres has them: behind the journal by as much as the projection is. They wait for
/// nobody and starve nobody: a lane of their own, the newest page first, and a cursor that stays right while rows are added.
#[async_trait]
impl ports::Lists for Database {
    fn is_available(&self) -> bool {
        Database::is_available(self)
    }

    async fn load(&self, wanted: Load, parameters: Vec<Parameter>) -> Result<Rows, StoreError> {
        Ok(self.run(Lane::Lists, move |session| load::load(session, wanted, parameters)).await?)
    }
}

impl From<super::StoreError> for StoreError {
    fn from(error: super::StoreError) -> StoreError {
        match error {
            super::StoreError::Unavailable(outage) => StoreError::Unavailable(text(outage)),
            super::StoreError::Data(error) => StoreError::Data(text(error)),
            super::StoreError::Unfit(why) => StoreError::Data(why),
        }
    }
}

impl From<PositionError> for StoreError {
    fn from(error: PositionError) -> StoreError {
        match error {
            PositionError::Store(error) => error.into(),
            PositionError::Moved { .. }
            | PositionError::OtherJournal { .. }
            | PositionError::EpochTaken { .. }
            | PositionError::Unclaimed => StoreError::Fenced(text(error)),
        }
    }
}
