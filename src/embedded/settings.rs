//! The settings of the private server. They stand on its command line, so that a new release brings its own and no
//! file in an existing cluster goes stale.
//!
//! The load they are made for: one projector writing batches behind the journal, a few readers, two cores shared with
//! the engine.

use std::path::Path;

/// Part of the name of the socket only: the server does not listen on TCP.
pub(super) const PORT: u16 = 5432;

/// Of sessions of ours. What fails in them is logged by us, without data; the message of an error may quote a value.
pub(super) const OF_OUR_SESSIONS: &str = "-c log_min_messages=log";

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
        // Enough for our pools, an operator's `psql` and a backup; every connection costs memory.
        ("max_connections", "50"),
        // The rows of a busy month fit; the journal and the engine need the rest of a small machine.
        ("shared_buffers", "256MB"),
        // Sorts of a report stay in memory; 50 connections of this size still fit.
        ("work_mem", "8MB"),
        // One projector transaction writes a few megabytes of log; the default of 4 MB at most makes it wait for itself.
        ("wal_buffers", "16MB"),
        // A checkpoint rewrites every touched page into the log once more, so they are rare; five minutes also bound how long a
        // crash takes to recover from.
        ("checkpoint_timeout", "5min"),
        // Lets a five-minute checkpoint happen by the clock and not by volume at a few thousand orders a second.
        ("max_wal_size", "2GB"),
        // Recycled segments are cheaper than fresh ones.
        ("min_wal_size", "256MB"),
        // On: the projector says "projected" only of what Postgres will not forget, and keys go to sleep on that word.
        ("synchronous_commit", "on"),
        // The projected tables are updated in place all day: vacuum soon and in small portions.
        ("autovacuum_naptime", "20s"),
        // One core is enough for vacuum; the other sells.
        ("autovacuum_max_workers", "1"),
        // A report must not take both cores from the engine.
        ("max_parallel_workers_per_gather", "0"),
        ("max_parallel_maintenance_workers", "0"),
        // Compiling a plan costs more than our short statements take.
        ("jit", "off"),
        // A client that died in a transaction must not keep vacuum from its work.
        ("idle_in_transaction_session_timeout", "60s"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("logging_collector", "off"),
        ("log_line_prefix", "%m [%p] "),
        ("log_checkpoints", "off"),
        // What a traveller is called stands in no log: neither the row that did not fit (DETAIL) nor what was sent.
        ("log_error_verbosity", "terse"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_min_error_statement", "panic"),
        ("log_statement", "none"),
        ("log_min_duration_statement", "-1"),
    ];
    if !fsync {
        // For tests: the data need not survive the machine, only the server's own crash.
        settings.extend([("fsync", "off"), ("full_page_writes", "off")]);
    }
    settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
}
