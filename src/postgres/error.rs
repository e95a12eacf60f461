//! What can go wrong between us and Postgres: it is away, or what we sent or read does not fit.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use super::complaint::Complaint;

/// The two kinds of failure, which call for opposite answers.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot answer now; the same request may succeed later. On the wire 503 `STORAGE_UNAVAILABLE`.
    #[error("Postgres is not available")]
    Unavailable(#[source] Outage),
    /// Postgres answered and refused, or answered what we do not understand. Repeating does not help.
    #[error("Postgres and this program disagree about data")]
    Data(#[source] Complaint),
    /// What it answered are not the rows that were asked for, or what is to be written are none.
    #[error("Postgres answered what no row can be: {0}")]
    Unfit(String),
}

/// Why Postgres cannot answer now.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    #[error("it was away a moment ago and has not come back yet")]
    Away,
    #[error("all {connections} connections for this work are busy")]
    Busy { connections: usize },
    #[error("no answer within {} ms", limit.as_millis())]
    Silent { limit: Duration },
    #[error("could not connect")]
    Connect(#[source] Complaint),
    #[error("the connection broke")]
    Broken(#[source] Complaint),
    #[error("it gave the statement up")]
    GaveUp(#[source] Complaint),
    #[error("this process is shutting down")]
    ShuttingDown,
}

impl StoreError {
    /// Whether the failure says that Postgres as a whole is away, rather than busy with this one statement.
    pub(super) fn means_away(&self) -> bool {
        match self {
            // Those who have a connection go on.
            Self::Unavailable(Outage::Connect(error)) => error.code() != Some(&SqlState::TOO_MANY_CONNECTIONS),
            Self::Unavailable(outage) => matches!(outage, Outage::Silent { .. } | Outage::Broken(_)),
            Self::Data(_) | Self::Unfit(_) => false,
        }
    }

    /// The failure of an attempt to connect: whatever the reason, Postgres is of no use now.
    pub(super) fn connect(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(Outage::Connect(Complaint(error)))
    }

    /// The failure to get a connection from a pool of `connections`, or to open one within `limit`.
    pub(super) fn from_pool(error: PoolError, connections: usize, limit: Duration) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Unavailable(Outage::Busy { connections }),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::Unavailable(Outage::Silent { limit })
            }
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Self::connect(error),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_)) => {
                Self::Unavailable(Outage::ShuttingDown)
            }
        }
    }

    /// Whether the same may succeed once Postgres is back.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(state) if may_succeed_later(state) && !ends_the_connection(state) => {
                Self::Unavailable(Outage::GaveUp(Complaint(error)))
            }
            _ if is_outage(&error) => Self::Unavailable(Outage::Broken(Complaint(error))),
            _ => Self::Data(Complaint(error)),
        }
    }
}

/// Whether the driver's error speaks of Postgres being away and not of what was sent.
pub(super) fn is_outage(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(state) => ends_the_connection(state) || may_succeed_later(state),
        None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>),
    }
}

/// States with which Postgres says goodbye, that it sends instead of letting us in, or after which a connection is of no
/// more use.
fn ends_the_connection(state: &SqlState) -> bool {
    const GOODBYES: [SqlState; 11] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::DATABASE_DROPPED,
        SqlState::IDLE_SESSION_TIMEOUT,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        // A prepared statement is unknown: something between us and Postgres has changed the server's side.
        SqlState::INVALID_SQL_STATEMENT_NAME,
    ];
    GOODBYES.contains(state) || state.code() == TRANSACTION_TIMEOUT || state.code().starts_with(CONNECTION_EXCEPTION)
}

/// States that speak of the server's condition and not of what we sent: time limits, locks, memory, disk, failover.
fn may_succeed_later(state: &SqlState) -> bool {
    const CONDITIONS: [SqlState; 6] = [
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    let conditions = [RESOURCES, SYSTEM, INTERNAL];
    CONDITIONS.contains(state) || conditions.iter().any(|class| state.code().starts_with(class))
}

/// Of PostgreSQL 17 and newer; the driver has no name for it yet.
const TRANSACTION_TIMEOUT: &str = "25P04";

const CONNECTION_EXCEPTION: &str = "08";
const RESOURCES: &str = "53";
const SYSTEM: &str = "58";
/// What Postgres did not expect of itself, such as a page that does not read. No statement of ours causes it; it goes on
/// once somebody has repaired the server.
const INTERNAL: &str = "XX";

/// An error and what is behind it, in one sentence.
pub(super) fn text(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
