//! The command line.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};

use crate::report::Report;
use crate::run::run;
use crate::scenario::Scenario;
use crate::yardstick;

/// Connections unless others are asked for.
pub const CONNECTIONS: usize = 64;

/// Loads a DeepTravel server over HTTP, measures it, and audits what it acknowledged.
#[derive(Parser, Debug)]
#[command(name = "loadtest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs scenarios, one after the other, each on servers of its own and beside its yardsticks; with --target on that
    /// server alone.
    Run {
        #[arg(required = true)]
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        options: Options,
    },
    /// Runs every scenario that a line of the report needs.
    All {
        #[command(flatten)]
        options: Options,
    },
    /// Shows the report of an earlier run.
    Report { file: PathBuf },
    /// What the runs compare ours with, as a server of its own; they start it themselves.
    #[command(hide = true)]
    Yardstick {
        #[command(flatten)]
        arguments: yardstick::Arguments,
    },
}

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

/// Does what was asked; whether everything went as it must.
pub fn execute(cli: Cli) -> anyhow::Result<bool> {
    if let Command::Yardstick { arguments } = &cli.command {
        return yardstick::execute(arguments).map(|()| true);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (scenarios, options) = match cli.command {
            Command::Run { scenarios, options } => (scenarios, options),
            Command::All { options } => (Scenario::ALL.to_vec(), options),
            Command::Report { file } => return show(&file),
            Command::Yardstick { .. } => unreachable!("done above, on a runtime of its own"),
        };
        tokio::select! {
            ran = run(&scenarios, &options) => finish(&ran?, &options),
            // The server, if it is ours, is stopped and its data removed on the way out.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

fn show(file: &PathBuf) -> anyhow::Result<bool> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let report: Report = serde_json::from_slice(&text).with_context(|| format!("{} is no report", file.display()))?;
    print!("{}", report.text());
    Ok(report.ok())
}

fn finish(report: &Report, options: &Options) -> anyhow::Result<bool> {
    print!("{}", report.text());
    if let Some(file) = &options.json {
        let mut text = serde_json::to_vec_pretty(report)?;
        text.push(b'\n');
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(report.ok())
}

impl Options {
    /// Whether yardsticks are measured too; they are, unless it is about a server that runs elsewhere.
    pub fn compares(&self) -> bool {
        !self.no_yardsticks && (self.target.is_none() || self.own_program.is_some())
    }
}
