//! The command line, and a run from start to report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand};

use crate::audit;
use crate::database::Database;
use crate::drive::{Driven, Load, Plan, drive};
use crate::http::Target;
use crate::report::{self, Conditions, Report};
use crate::scenario::orders::Orders;
use crate::scenario::scans::Scans;
use crate::scenario::{Scenario, setup};
use crate::server::{Launch, Server, binary_beside_us};
use crate::timetable::{DEPARTURES_PER_DAY, SEATS};
use crate::watch::Watch;

/// Orders a second that a run provides seats for in the closed loop: no server here makes more.
const ORDERS_PER_SECOND_MAX: f64 = 40_000.0;

/// Loads a DeepTravel server over HTTP, measures it, and audits what it acknowledged.
#[derive(Parser, Debug)]
#[command(name = "loadtest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs scenarios, one after the other; each on a server of its own unless --target names one.
    Run {
        #[arg(required = true)]
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        options: Options,
    },
    /// Runs every scenario.
    All {
        #[command(flatten)]
        options: Options,
    },
    /// Shows the report of an earlier run.
    Report { file: PathBuf },
}

/// How to run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Length of the measured part.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Load before the measured part, in seconds: audited, not counted.
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
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
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests a second in the open loop. Without it the loop is closed: each connection asks again when it is answered.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    #[arg(long, default_value_t = 1000)]
    pub travellers: usize,
    /// Paid tickets for the scans; when all are scanned the run ends.
    #[arg(long, default_value_t = 20_000)]
    pub tickets: usize,
    /// Gates at which they are scanned.
    #[arg(long, default_value_t = 16)]
    pub gates: usize,
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
}

/// Does what was asked; whether everything went as it must.
pub fn execute(cli: Cli) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (scenarios, options) = match cli.command {
            Command::Run { scenarios, options } => (scenarios, options),
            Command::All { options } => (Scenario::ALL.to_vec(), options),
            Command::Report { file } => return show(&file),
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

/// Runs the scenarios and reports them.
pub async fn run(scenarios: &[Scenario], options: &Options) -> anyhow::Result<Report> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    ensure!(positive(options.seconds), "--seconds must be above zero");
    ensure!(options.warm_up.is_finite() && options.warm_up >= 0.0, "--warm-up must not be below zero");
    ensure!(options.rate.is_none_or(positive), "--rate must be above zero");
    let counts = [options.connections, options.threads, options.travellers, options.tickets, options.gates];
    ensure!(!counts.contains(&0), "--connections, --threads, --travellers, --tickets and --gates must be above zero");

    let mut report = Report::default();
    for scenario in scenarios {
        let subject = Subject::prepare(options).await?;
        report.conditions = Conditions::now(subject.description.clone(), subject.directory());
        eprintln!("{}: setting up on {}", scenario.name(), subject.target.url());
        let mut outcome = match scenario {
            Scenario::Orders => orders(&subject, options).await,
            Scenario::Scans => scans(&subject, options).await,
        }
        .with_context(|| format!("scenario {}", scenario.name()))?;
        if let Err(error) = subject.stop() {
            outcome.problems.push(format!("{error:#}"));
            outcome.ok = false;
        }
        report.scenarios.insert(scenario.name().to_owned(), outcome);
    }
    Ok(report)
}

/// The server under test.
struct Subject {
    target: Target,
    simulator: Target,
    /// How to connect to its database, if we know.
    postgres: Option<String>,
    description: String,
    /// When it is ours.
    server: Option<Server>,
}

impl Subject {
    async fn prepare(options: &Options) -> anyhow::Result<Subject> {
        if let Some(url) = &options.target {
            let target = Target::parse(url)?;
            let simulator = match &options.simulator {
                Some(url) => Target::parse(url)?,
                None => target.port_above(1)?,
            };
            let description = target.url();
            return Ok(Subject { target, simulator, postgres: options.postgres.clone(), description, server: None });
        }
        let binary = options.binary.clone().map_or_else(binary_beside_us, Ok)?;
        let description = binary.display().to_string();
        eprintln!("starting {description}");
        let launch = Launch { binary, scratch: options.scratch.clone(), keep: options.keep };
        let server = Server::start(&launch).await?;
        let (target, postgres) = (server.target.clone(), server.postgres.clone());
        Ok(Subject { simulator: target.port_above(1)?, target, postgres, description, server: Some(server) })
    }

    fn directory(&self) -> Option<&std::path::Path> {
        self.server.as_ref().map(Server::directory)
    }

    fn stop(self) -> anyhow::Result<()> {
        self.server.map_or(Ok(()), Server::stop)
    }

    async fn database(&self) -> anyhow::Result<Option<Database>> {
        match &self.postgres {
            Some(how) => Database::connect(how).await.map(Some),
            None => Ok(None),
        }
    }

    async fn watch(&self, options: &Options, lag: bool) -> anyhow::Result<Watch> {
        let lag_of = if lag { self.database().await? } else { None };
        Ok(Watch::new(self.server.as_ref().map(Server::pid), lag_of, options.quiet))
    }

    /// Drives the load and makes the report of it, still without the audit.
    async fn load<L: Load>(
        &self,
        load: L,
        options: &Options,
        watch_lag: bool,
    ) -> anyhow::Result<(Driven<L::Ack>, report::Scenario)> {
        let plan = Plan {
            connections: options.connections,
            threads: options.threads.min(options.connections),
            rate: options.rate,
            warm_up: Duration::from_secs_f64(options.warm_up),
            measured: Duration::from_secs_f64(options.seconds),
        };
        let mut watch = self.watch(options, watch_lag).await?;
        let driven = drive(load, self.target.clone(), plan, &mut watch).await?;
        let outcome = report::Scenario::new(&plan, &driven, &watch);
        Ok((driven, outcome))
    }
}

async fn orders(subject: &Subject, options: &Options) -> anyhow::Result<report::Scenario> {
    let tokens = setup::travellers(&subject.target, options.travellers).await?;
    let rate = options.rate.unwrap_or(ORDERS_PER_SECOND_MAX);
    let seats = (rate * (options.seconds + options.warm_up)).ceil() as u64;
    let days = setup::departures(&subject.target, seats, DEPARTURES_PER_DAY).await?;
    let load = Orders::new(subject.target.clone(), tokens.clone(), &days);

    let (driven, mut outcome) = subject.load(load, options, true).await?;
    eprintln!("auditing {} orders", driven.acks.len());
    let database = subject.database().await?;
    let findings = audit::orders(&subject.target, database.as_ref(), &tokens, &driven.acks).await?;
    outcome.conclude(Some(findings));
    Ok(outcome)
}

async fn scans(subject: &Subject, options: &Options) -> anyhow::Result<report::Scenario> {
    let target = &subject.target;
    let tokens = setup::travellers(target, options.travellers).await?;
    let days = setup::departures(target, SEATS.max(options.tickets) as u64, DEPARTURES_PER_DAY).await?;
    let departures: Vec<setup::Departure> = days.into_iter().flatten().collect();
    let (operator, gates) = setup::gates(target, options.gates).await?;
    let tickets = setup::paid_tickets(target, &subject.simulator, &tokens, &departures, options.tickets).await?;
    eprintln!("{} tickets are paid", tickets.len());
    let load = Scans::new(target.clone(), operator, gates, tickets.clone());

    let (driven, mut outcome) = subject.load(load, options, false).await?;
    eprintln!("auditing {} scans", driven.acks.len());
    let database = subject.database().await?;
    let findings = audit::scans(target, database.as_ref(), &tokens, &tickets, &driven.acks).await?;
    outcome.conclude(Some(findings));
    Ok(outcome)
}
