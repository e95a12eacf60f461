//! Whose the database is: taking it over at the start, and noticing while running that it is ours no more (rule 14).

use std::time::Duration;

use anyhow::bail;
use deeptravel_actors::journal::{Journal, Position};
use tokio::sync::watch;
use uuid::Uuid;

use super::look::{Tables, check_filled, look_at_segments};
use super::with_way_on;
use crate::postgres::{
    self, Backoff, Database, JournalPosition, Lane, PositionError, Session, StoreError, outages_outside,
};

/// How often a server looks whether it still has the database: what it answers in between, after another took it over
/// from a copy of its data directory, only its own journal knows. By the same question it learns that the database has
/// gone or hangs, also when nobody else asks.
const FENCE_CHECK: Duration = Duration::from_secs(1);

/// A database that this process has taken over.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub journal_id: Uuid,
    pub epoch: u64,
    /// What it had projected before.
    pub seen: Position,
}

/// Compares journal and database, and takes an epoch above both. A server that still runs on this database is not
/// disturbed by one that has to refuse.
pub async fn take_over(database: &Database, journal: &Journal) -> anyhow::Result<Held> {
    let journal_id = journal.id();
    loop {
        let found = stored(database).await?;
        if let Some(found) = found {
            journal.check_database(found.into()).map_err(with_way_on)?;
        }
        let seen = found.map_or(Position::NOTHING, |found| Position(found.position));
        patiently(StoreError::is_outage, || check_filled(database, seen)).await??;
        // The journal first: so it knows every epoch under which its records were projected.
        let epoch = journal.epoch() + 1;
        journal.set_epoch(epoch)?;
        let wanted = JournalPosition { journal_id, position: seen.0, epoch };
        let claim = move |session: Session| async move {
            outages_outside(match found {
                // The journal has taken the place of the one that the database follows.
                Some(found) if found.journal_id != journal_id => {
                    postgres::adopt_position(&*session, found, wanted).await
                }
                Some(_) | None => postgres::claim_epoch(&*session, wanted).await,
            })
        };
        let claimed = patiently(StoreError::is_outage, || database.run(Lane::Projection, claim)).await?;
        match claimed {
            Ok(()) => return Ok(Held { journal_id, epoch, seen }),
            // Somebody has come since we looked: a commit of the killed process before us, or another server, or our own
            // claim whose answer was lost. Our journal may lack what is there now.
            Err(
                PositionError::Moved { .. } | PositionError::EpochTaken { .. } | PositionError::OtherJournal { .. },
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How far the database has followed which journal; none: it is empty.
pub async fn stored(database: &Database) -> anyhow::Result<Option<JournalPosition>> {
    patiently(StoreError::is_outage, || read_position(database, Lane::Projection)).await
}

async fn read_position(database: &Database, lane: Lane) -> Result<Option<JournalPosition>, StoreError> {
    database.run(lane, |session| async move { postgres::read_position(&*session).await }).await
}

/// Asks Postgres, and waits for it while it is away: live, not ready, nothing lost (rule 14).
pub async fn patiently<T, E, Asking>(is_outage: fn(&E) -> bool, ask: impl Fn() -> Asking) -> anyhow::Result<T>
where
    Asking: Future<Output = Result<T, E>>,
    anyhow::Error: From<E>,
{
    let mut backoff = Backoff::default();
    loop {
        match ask().await {
            Err(error) if is_outage(&error) => {
                tracing::warn!("The start waits for the database: {:#}", anyhow::Error::from(error));
                backoff.pause().await;
            }
            answered => return Ok(answered?),
        }
    }
}

/// Resolves when the database is ours no more: another server has taken it over, an older state of it was restored under us,
/// or its tables were emptied; or when a segment of the journal was deleted. While Postgres is away the database cannot be.
pub async fn fenced(
    database: &Database,
    journal: &Journal,
    held: Held,
    projected: &watch::Receiver<Position>,
) -> anyhow::Error {
    let mut tick = tokio::time::interval(FENCE_CHECK);
    let mut tables = Tables::default();
    loop {
        tick.tick().await;
        if let Err(error) = look_at_segments(journal).await {
            return error;
        }
        // A backup that was restored has other tables, too: its position says so better.
        let filled = tables.look(database, held.seen).await;
        // Read before the database is: it cannot be behind this.
        let at_least = *projected.borrow();
        if let Ok(found) = read_position(database, Lane::Wakes).await
            && let Err(error) = still_ours(held, at_least, found)
        {
            return error;
        }
        if let Err(error) = filled {
            return error;
        }
    }
}

fn still_ours(held: Held, at_least: Position, found: Option<JournalPosition>) -> anyhow::Result<()> {
    match found {
        None => bail!("the database has been emptied under this server"),
        Some(found) if found.journal_id != held.journal_id => {
            bail!("the database has been replaced by that of journal {}", found.journal_id)
        }
        Some(found) if found.position < at_least.0 => bail!(
            "an older state of the database was restored under this server, position {} after {at_least}; its next \
             start brings it up to date",
            found.position
        ),
        Some(found) if found.epoch != held.epoch => {
            bail!("another server has taken the database over: epoch {} after {}", found.epoch, held.epoch)
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_14_a_server_notices_every_way_in_which_its_database_is_no_longer_its_own() {
        let held = Held { journal_id: Uuid::from_u128(1), epoch: 5, seen: Position(10) };
        let ours = JournalPosition { journal_id: held.journal_id, position: 20, epoch: 5 };
        let says = |found: Option<JournalPosition>| {
            still_ours(held, Position(20), found).map_or_else(|error| error.to_string(), |()| String::new())
        };
        assert_eq!(says(Some(ours)), "");
        assert_eq!(says(Some(JournalPosition { position: 21, ..ours })), "", "projected meanwhile");
        assert!(says(Some(JournalPosition { position: 19, ..ours })).contains("position 19 after 20"));
        assert!(says(Some(JournalPosition { position: 19, epoch: 4, ..ours })).contains("older state"));
        assert!(says(Some(JournalPosition { epoch: 6, ..ours })).contains("epoch 6 after 5"));
        assert!(says(Some(JournalPosition { journal_id: Uuid::nil(), ..ours })).contains("replaced"));
        assert!(says(None).contains("emptied"));
    }
}
