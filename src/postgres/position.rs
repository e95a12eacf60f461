//! How far Postgres is behind the journal, and which process may move it (architecture rules 12 and 14).

use deadpool_postgres::GenericClient;
use deeptravel_actors::journal::{Position, Seen};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error::StoreError;

const READ: &str = include_str!("../../sql/queries/journal_position_read.sql");
const CLAIM_EPOCH: &str = include_str!("../../sql/queries/journal_position_claim_epoch.sql");
const ADOPT: &str = include_str!("../../sql/queries/journal_position_adopt.sql");
const ADVANCE: &str = include_str!("../../sql/queries/journal_position_advance.sql");

/// The one row of `journal_position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalPosition {
    /// The journal whose records the projected tables hold.
    pub journal_id: Uuid,
    /// Every record up to and including this position is projected; 0 before the first.
    pub position: u64,
    /// The epoch of the process that may project.
    pub epoch: u64,
}

impl From<JournalPosition> for Seen {
    fn from(JournalPosition { journal_id, position, epoch }: JournalPosition) -> Seen {
        Seen { journal: journal_id, position: Position(position), epoch }
    }
}

/// Why the position could not be claimed or moved. All but the last mean that this process must not project.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    #[error("the projected tables hold the records of journal {found}, not of {ours}")]
    OtherJournal { ours: Uuid, found: Uuid },
    #[error("a newer process took over: its epoch is {found}, ours is {ours}")]
    EpochTaken { ours: u64, found: u64 },
    #[error("the projection stands at position {found}, expected {expected}")]
    Moved { expected: u64, found: u64 },
    #[error("nobody has claimed an epoch in this database yet")]
    Unclaimed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for PositionError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A job's result in two layers: an outage belongs into the outer one, where the lane notices it.
pub fn outages_outside<T>(result: Result<T, PositionError>) -> Result<Result<T, PositionError>, StoreError> {
    match result {
        Err(PositionError::Store(error)) => Err(error),
        other => Ok(other),
    }
}

/// Where the projection stands, `None` before any process has claimed an epoch.
pub async fn read_position(client: &impl GenericClient) -> Result<Option<JournalPosition>, StoreError> {
    let statement = client.prepare_cached(READ).await?;
    let Some(row) = client.query_opt(&statement, &[]).await? else { return Ok(None) };
    let position = JournalPosition {
        journal_id: row.try_get("journal_id")?,
        position: from_sql(row.try_get("position")?)?,
        epoch: from_sql(row.try_get("epoch")?)?,
    };
    Ok(Some(position))
}

/// Takes `wanted.epoch`, if it is above the database's and the tables still hold `wanted.journal_id` up to
/// `wanted.position`. From now on [`advance_position`] refuses every process with a lower epoch. Two processes never get
/// the same one.
///
/// # Errors
/// [`PositionError::OtherJournal`] when the projected tables belong to another journal, [`PositionError::EpochTaken`] and
/// [`PositionError::Moved`] when somebody has come in between; nothing is changed then.
pub async fn claim_epoch(client: &impl GenericClient, wanted: JournalPosition) -> Result<(), PositionError> {
    let statement = client.prepare_cached(CLAIM_EPOCH).await?;
    let (position, epoch) = (to_sql(wanted.position)?, to_sql(wanted.epoch)?);
    if client.execute(&statement, &[&wanted.journal_id, &position, &epoch]).await? == 1 {
        return Ok(());
    }
    Err(refusal(client, wanted, |epoch| epoch >= wanted.epoch).await?)
}

/// Hands a database that is as it was `found` over to the journal that has taken the place of the one that it followed:
/// its position stays, and the epoch is `wanted.epoch`.
///
/// # Errors
/// As of [`claim_epoch`].
pub async fn adopt_position(
    client: &impl GenericClient,
    found: JournalPosition,
    wanted: JournalPosition,
) -> Result<(), PositionError> {
    let statement = client.prepare_cached(ADOPT).await?;
    let (position, epoch) = (to_sql(found.position)?, to_sql(wanted.epoch)?);
    let parameters: [&(dyn ToSql + Sync); 4] = [&found.journal_id, &position, &wanted.journal_id, &epoch];
    if client.execute(&statement, &parameters).await? == 1 {
        return Ok(());
    }
    Err(refusal(client, JournalPosition { epoch: wanted.epoch, ..found }, |epoch| epoch >= wanted.epoch).await?)
}

/// Moves the position from `held.position` to `to`, if nobody else has moved it or taken the epoch. Belongs into the
/// transaction that writes the rows.
///
/// # Errors
/// Says which of journal, epoch and position is not what `held` says; the caller rolls back and exits.
pub async fn advance_position(
    client: &impl GenericClient,
    held: JournalPosition,
    to: u64,
) -> Result<(), PositionError> {
    let statement = client.prepare_cached(ADVANCE).await?;
    let (epoch, from, to) = (to_sql(held.epoch)?, to_sql(held.position)?, to_sql(to)?);
    let moved = client.execute(&statement, &[&held.journal_id, &epoch, &from, &to]).await?;
    if moved == 1 {
        return Ok(());
    }
    Err(refusal(client, held, |epoch| epoch != held.epoch).await?)
}

/// What of the database is not as `ours` says.
async fn refusal(
    client: &impl GenericClient,
    ours: JournalPosition,
    is_taken: impl Fn(u64) -> bool,
) -> Result<PositionError, PositionError> {
    Ok(match read_position(client).await? {
        None => PositionError::Unclaimed,
        Some(found) if found.journal_id != ours.journal_id => {
            PositionError::OtherJournal { ours: ours.journal_id, found: found.journal_id }
        }
        Some(found) if is_taken(found.epoch) => PositionError::EpochTaken { ours: ours.epoch, found: found.epoch },
        Some(found) => PositionError::Moved { expected: ours.position, found: found.position },
    })
}

fn to_sql(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Unfit(format!("{number} does not fit a 64-bit signed number")))
}

fn from_sql(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Unfit(format!("{number} is a position or epoch below zero")))
}
