//! The settings of the private server. They stand on its command line, so that a new release brings its own and no
//! file in an existing cluster goes stale.
//!
//! The load they are made for: one projector writing batches behind the journal, a few readers, two cores shared with
//! the engine.

use std::path::Path;

/// Part of the name of the socket only: the server does not listen on TCP.
pub(super) const PORT: u16 = 5432;

/// Enough for our pools, an operator's `psql` and a backup; every connection costs memory.
const MAX_CONNECTIONS: &str = "50";

/// The rows of a busy month fit; the journal and the engine need the rest of a small machine.
const SHARED_BUFFERS: &str = "256MB";

/// One projector transaction writes a few megabytes of log; the default of 4 MB at most makes it wait for itself.
const WAL_BUFFERS: &str = "16MB";

/// A checkpoint rewrites every touched page into the log once more, so they are rare; five minutes also bound how long a
/// crash takes to recover from.
const CHECKPOINT_TIMEOUT: &str = "5min";

/// Lets a five-minute checkpoint happen by the clock and not by volume at a few thousand orders a second.
const MAX_WAL_SIZE: &str = "2GB";

/// Recycled segments are cheaper than fresh ones.
const MIN_WAL_SIZE: &str = "256MB";

/// Sorts of a report stay in memory; 50 connections of this size still fit.
const WORK_MEM: &str = "8MB";

/// The projected tables are updated in place all day: vacuum soon and in small portions.
const AUTOVACUUM_NAPTIME: &str = "20s";

/// One core is enough for vacuum; the other sells.
const AUTOVACUUM_MAX_WORKERS: &str = "1";

/// A report must not take both cores from the engine.
const PARALLEL_WORKERS: &str = "0";

/// A client that died in a transaction must not keep vacuum from its work.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "60s";

/// The command line of the server after `-D directory`.
pub(super) fn arguments(socket_dir: &Path, fsync: bool) -> Vec<String> {
    let port = PORT.to_string();
    // The setting is a list; the quotes keep a comma in the path from splitting it.
    let socket_dir = format!("\"{}\"", socket_dir.display());
    let mut settings = vec![
        ("listen_addresses", ""),
        ("unix_socket_directories", &socket_dir),
        ("unix_socket_permissions", "0700"),
        ("port", &port),
        ("max_connections", MAX_CONNECTIONS),
        ("shared_buffers", SHARED_BUFFERS),
        ("work_mem", WORK_MEM),
        ("wal_buffers", WAL_BUFFERS),
        ("checkpoint_timeout", CHECKPOINT_TIMEOUT),
        ("max_wal_size", MAX_WAL_SIZE),
        ("min_wal_size", MIN_WAL_SIZE),
        // On: the projector says "projected" only of what Postgres will not forget, and keys go to sleep on that word.
        ("synchronous_commit", "on"),
        ("autovacuum_naptime", AUTOVACUUM_NAPTIME),
        ("autovacuum_max_workers", AUTOVACUUM_MAX_WORKERS),
        ("max_parallel_workers_per_gather", PARALLEL_WORKERS),
        ("max_parallel_maintenance_workers", PARALLEL_WORKERS),
        // Compiling a plan costs more than our short statements take.
        ("jit", "off"),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("logging_collector", "off"),
        ("log_line_prefix", "%m [%p] "),
        ("log_checkpoints", "off"),
    ];
    if !fsync {
        // For tests: the data need not survive the machine, only the server's own crash.
        settings.extend([("fsync", "off"), ("full_page_writes", "off")]);
    }
    settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
}
