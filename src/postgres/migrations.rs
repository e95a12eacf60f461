//! Bringing the schema to the newest version: the files of `sql/migrations`, each once, in order.

use std::time::Duration;

use tokio_postgres::Client;

use super::access::{Access, Driver};
use super::complaint::without_data;
use super::error::{Outage, StoreError, is_outage};
use super::pool::TCP_SILENCE_MAX;

/// The oldest server whose SQL we stay within.
const OLDEST_SERVER: u32 = 15;

/// The number of the advisory lock that lets one process at a time migrate; any fixed number of our own.
const MIGRATION_LOCK: i64 = 0x6465_6570_7472_7601;

/// How long to wait for another process that migrates. Migrations only add, so they are short.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

mod embedded {
    refinery::embed_migrations!("sql/migrations");
}
pub(crate) use embedded::migrations::runner as migrations;

/// Why the schema is not what this program needs.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("the server is PostgreSQL {found}; this program needs {OLDEST_SERVER} or newer")]
    ServerTooOld { found: u32 },
    #[error("the server names its version `{answer}`, which is no number")]
    StrangeVersion { answer: String },
    #[error("a migration failed: {why}")]
    Migration { why: String, is_outage: bool },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for SchemaError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<refinery::Error> for SchemaError {
    fn from(error: refinery::Error) -> Self {
        let cause = match error.kind() {
            refinery::error::Kind::Connection(doing, cause) => cause.downcast_ref().map(|cause| (doing, cause)),
            _ => None,
        };
        match cause {
            Some((doing, cause)) => {
                Self::Migration { why: format!("{doing}: {}", without_data(cause)), is_outage: is_outage(cause) }
            }
            None => Self::Migration { why: error.to_string(), is_outage: false },
        }
    }
}

impl SchemaError {
    /// Whether Postgres went away or was not there: each migration runs in a transaction, so trying again is safe.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::ServerTooOld { .. } | Self::StrangeVersion { .. } => false,
            Self::Store(error) => error.is_outage(),
            Self::Migration { is_outage, .. } => *is_outage,
        }
    }
}

/// Brings the database to the newest schema, and names the migrations that it has applied, such as
/// `V1__journal_position`. Several processes may do so at once: one works, the others wait for it and find nothing left.
/// Uses one connection of its own, driven by the current runtime until the work is done.
///
/// # Errors
/// [`SchemaError::is_outage`] says whether waiting for Postgres helps; anything else needs a person.
pub async fn migrate(access: &Access) -> Result<Vec<String>, SchemaError> {
    let (mut client, connection) = connect(access, "deeptravel migrate").await?;
    let work = async move {
        check_server_version(&client).await?;
        take_lock(&client).await?;
        // The lock ends with the connection, also when a migration fails.
        Ok::<_, SchemaError>(migrations().run_async(&mut client).await?)
    };
    // The driver ends by itself once `work` has dropped the client; what it says then adds nothing to a query's error.
    let (report, _) = tokio::join!(work, connection);
    Ok(report?.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Whether a server that is new enough answers, within ten seconds. Changes nothing.
pub async fn try_out(access: &Access) -> Result<(), SchemaError> {
    let (client, connection) = connect(access, "deeptravel config check").await?;
    let asking = async move { check_server_version(&client).await };
    let asked = tokio::time::timeout(CONNECT_TIMEOUT, async { tokio::join!(asking, connection).0 }).await;
    asked.map_err(|_| silent())?
}

async fn connect(access: &Access, name: &str) -> Result<(Client, Driver), StoreError> {
    let mut access = access.clone();
    access.config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(TCP_SILENCE_MAX).application_name(name);
    // The driver's own limit ends with the connection's first byte; a stopped server accepts, and says nothing.
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, access.connect()).await;
    connecting.map_err(|_| silent())?.map_err(StoreError::connect)
}

fn silent() -> StoreError {
    StoreError::Unavailable(Outage::Silent { limit: CONNECT_TIMEOUT })
}

/// Refuses a server older than PostgreSQL 15.
async fn check_server_version(client: &Client) -> Result<(), SchemaError> {
    let row = client.query_one("SHOW server_version_num", &[]).await?;
    let answer: String = row.try_get(0)?;
    check_version_number(&answer)
}

/// `answer` is major version × 10,000 + minor version: 150008 is 15.8.
fn check_version_number(answer: &str) -> Result<(), SchemaError> {
    match answer.parse::<u32>().map(|number| number / 10_000) {
        Ok(found) if found >= OLDEST_SERVER => Ok(()),
        Ok(found) => Err(SchemaError::ServerTooOld { found }),
        Err(_) => Err(SchemaError::StrangeVersion { answer: answer.to_owned() }),
    }
}

async fn take_lock(client: &Client) -> Result<(), SchemaError> {
    let limit = LOCK_TIMEOUT.as_millis();
    client.batch_execute(&format!("SET lock_timeout = {limit}; SELECT pg_advisory_lock({MIGRATION_LOCK})")).await?;
    // A migration may rightly wait longer for a busy table than we wait for each other.
    Ok(client.batch_execute("SET lock_timeout = 0").await?)
}

#[cfg(test)]
mod tests {
    use super::{SchemaError, check_version_number};

    #[test]
    fn servers_older_than_15_are_refused_by_name() {
        check_version_number("150000").unwrap();
        check_version_number("180001").unwrap();
        let old = check_version_number("140012").unwrap_err();
        assert!(matches!(old, SchemaError::ServerTooOld { found: 14 }), "{old:?}");
        assert_eq!(old.to_string(), "the server is PostgreSQL 14; this program needs 15 or newer");
        assert!(!old.is_outage());
        assert!(matches!(check_version_number("15.8"), Err(SchemaError::StrangeVersion { .. })));
    }
}
