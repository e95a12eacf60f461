//! How to run, as the command line says it and every run reads it.

use std::path::PathBuf;

use clap::Args;

/// Connections unless others are asked for.
pub const CONNECTIONS: usize = 64;

/// How to run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Length of the measured part of a turn.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Load before the measured part, in seconds: audited, not counted.
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
    /// How often ours and the yardsticks take turns; the median of the rounds counts.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Ours alone.
    #[arg(long)]
    pub no_yardsticks: bool,
    /// A running server, as http://HOST:PORT, instead of one of our own.
    #[arg(long)]
    pub target: Option<String>,
    /// The WeChat simulator of that server; else the port above the server's.
    #[arg(long, requires = "target")]
    pub simulator: Option<String>,
    /// The database of that server for the audit: its `postgres:` line or a connection string.
    #[arg(long, requires = "target")]
    pub postgres: Option<String>,
    /// Writes the result there too.
    #[arg(long)]
    pub json: Option<PathBuf>,
    #[arg(long, default_value_t = CONNECTIONS)]
    pub connections: usize,
    /// Requests a second in the open loop. Without it the loop is closed: each connection asks again when it is answered.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    #[arg(long, default_value_t = 1000)]
    pub travellers: usize,
    /// Paid tickets for the scans; each round scans a part of them, and ends when these are used up.
    #[arg(long, default_value_t = 90_000)]
    pub tickets: usize,
    /// Gates at which they are scanned.
    #[arg(long, default_value_t = 16)]
    pub gates: usize,
    /// Length of `sustained`.
    #[arg(long, default_value_t = 60.0)]
    pub sustained_seconds: f64,
    /// Paid orders whose memory is measured.
    #[arg(long, default_value_t = 30_000)]
    pub paid_orders: usize,
    /// Live orders with which `ready` starts a server again.
    #[arg(long, default_value_t = 1_000_000)]
    pub live_orders: u64,
    /// Records that Postgres lacks when `ready` starts a server again.
    #[arg(long, default_value_t = 100_000)]
    pub unprojected_records: u64,
    /// The server's program; else the `deeptravel` beside this one.
    #[arg(long, conflicts_with = "target")]
    pub binary: Option<PathBuf>,
    /// Where the server's data is made and removed. It should be on a disk.
    #[arg(long, default_value = "/var/tmp")]
    pub scratch: PathBuf,
    /// Leaves the server's data and log there.
    #[arg(long)]
    pub keep: bool,
    /// Without progress lines.
    #[arg(long)]
    pub quiet: bool,
    /// This program, to be started as a yardstick, when it is not the one that runs; with --target yardsticks are
    /// measured only so.
    #[arg(long, hide = true)]
    pub own_program: Option<PathBuf>,
}

impl Options {
    /// Whether yardsticks are measured too; they are, unless it is about a server that runs elsewhere.
    pub fn compares(&self) -> bool {
        !self.no_yardsticks && (self.target.is_none() || self.own_program.is_some())
    }
}
