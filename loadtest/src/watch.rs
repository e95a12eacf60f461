//! What is looked at while a run goes on: progress on standard error, the use of processor and memory, and how far the
//! database lags behind.

use std::time::Duration;

use crate::database::Database;
use crate::tally::{Tally, ms_at};
use crate::usage::{self, Memory, Usage};

/// Watches a run.
#[derive(Debug, Default)]
pub struct Watch {
    server: Option<u32>,
    lag_of: Option<Database>,
    quiet: bool,
    before: Option<Usage>,
    memory_before: Option<Memory>,
    /// What was used in the measured part.
    pub used: Usage,
    /// At its end.
    pub memory: Option<Memory>,
    /// How the resident memory grew in it, in bytes.
    pub memory_growth: Option<i64>,
    /// Samples of the lag, in seconds.
    pub lags: Vec<f64>,
}

impl Watch {
    /// `server` is the server's process, when it is ours; `lag_of` is asked again and again how old its newest order is;
    /// `quiet` is without progress lines.
    pub fn new(server: Option<u32>, lag_of: Option<Database>, quiet: bool) -> Watch {
        Watch { server, lag_of, quiet, ..Watch::default() }
    }

    /// The measured part begins.
    pub fn begins(&mut self) {
        self.before = Some(usage::usage(self.server));
        self.memory_before = self.server.and_then(usage::memory);
    }

    /// Looks how far the database is behind.
    pub async fn look(&mut self) {
        if let Some(database) = &mut self.lag_of {
            self.lags.extend(database.lag_seconds().await);
        }
    }

    /// A second has passed; `recent` is what was counted in it.
    pub fn second(&mut self, since_begin: Duration, per_second: f64, recent: &Tally) {
        if self.quiet {
            return;
        }
        let lag = self.lags.last().map(|seconds| format!("  lag {seconds:.2} s")).unwrap_or_default();
        eprintln!(
            "{:>5.0} s  {per_second:>9.0} /s  p50 {:.2} ms  p99 {:.2} ms  refused {}  errors {}{lag}",
            since_begin.as_secs_f64(),
            ms_at(&recent.latency, 0.5),
            ms_at(&recent.latency, 0.99),
            recent.refused_total(),
            recent.failed_total(),
        );
    }

    /// The load is over.
    pub fn ends(&mut self) {
        if let Some(before) = &self.before {
            self.used = usage::usage(self.server).since(before);
        }
        self.memory = self.server.and_then(usage::memory);
        self.memory_growth = self
            .memory_before
            .zip(self.memory)
            .map(|(before, after)| after.resident_bytes as i64 - before.resident_bytes as i64);
    }
}
