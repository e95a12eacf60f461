//! What Postgres says of time.

use deadpool_postgres::GenericClient;
use deeptravel_domain::time::Timestamp;

use super::error::StoreError;

const READ: &str = include_str!("../../sql/queries/clock_read.sql");
const LOCKS_BEYOND: &str = include_str!("../../sql/queries/locks_beyond.sql");

/// The database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseClock {
    pub now: Timestamp,
    /// It is the clock of this machine.
    pub is_here: bool,
}

pub async fn read_clock(client: &impl GenericClient) -> Result<DatabaseClock, StoreError> {
    let row = client.query_one(READ, &[]).await?;
    Ok(DatabaseClock { now: Timestamp::from_jiff(row.try_get("read_at")?), is_here: row.try_get("is_here")? })
}

/// How many unpaid orders hold seats until after an instant.
pub async fn locks_beyond(client: &impl GenericClient, at: Timestamp) -> Result<i64, StoreError> {
    Ok(client.query_one(LOCKS_BEYOND, &[&at.to_jiff()]).await?.try_get("orders")?)
}
