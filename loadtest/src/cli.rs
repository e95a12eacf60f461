//! The command line.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use crate::options::Options;
use crate::report::Report;
use crate::run::run;
use crate::scenario::Scenario;
use crate::yardstick;

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
