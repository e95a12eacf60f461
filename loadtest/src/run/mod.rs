//! A run of a scenario from its set-up over its rounds to its audit. One file per scenario, or per few that share
//! everything.

mod burst;
mod flash_sale;
mod growth;
mod memory;
mod mixed;
mod orders;
mod packages;
mod partners;
mod ready;
mod redemptions;
mod sales;
mod scans;
mod search;
mod steady;
mod yardsticks;

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::audit::{self, Findings};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::{Conditions, Outcome, Report, Scenario as ScenarioReport};
use crate::scenario::Scenario;
use crate::server::binary_beside_us;
use sales::Sales;

/// Turns of a second server, whose projector is paused.
const PAUSED: &str = "orders, projector paused";

/// Said wherever ours is compared with `durable`.
const SAME_SYNC: &str = "durable and ours sync the same way: every answer waits until an fdatasync of a preallocated \
                         file has covered its record; what gathers meanwhile shares the next one";

/// Runs the scenarios one after the other, and reports them. A scenario that cannot be run is reported as failed, and
/// the others are run all the same.
pub async fn run(scenarios: &[Scenario], options: &Options) -> anyhow::Result<Report> {
    check(options)?;
    raise_open_files()?;
    let server = match (&options.target, &options.binary) {
        (Some(target), _) => target.clone(),
        (None, Some(binary)) => binary.display().to_string(),
        (None, None) => binary_beside_us()?.display().to_string(),
    };
    let directory = options.target.is_none().then_some(options.scratch.as_path());
    let mut report = Report { conditions: Conditions::now(server, directory), ..Report::default() };
    for scenario in scenarios {
        eprintln!("{}: setting up", scenario.name());
        let outcome = match scenario {
            Scenario::Orders => orders::run(options).await,
            Scenario::Scans => scans::run(options).await,
            Scenario::Packages => packages::run(options).await,
            Scenario::Redemptions => redemptions::run(options).await,
            Scenario::Partners => partners::run(options).await,
            Scenario::Burst => burst::run(options).await,
            Scenario::FlashSale => flash_sale::run(options).await,
            Scenario::Steady => steady::steady(options).await,
            Scenario::Sustained => steady::sustained(options).await,
            Scenario::Memory => memory::run(options).await,
            Scenario::Mixed => mixed::run(options).await,
            Scenario::Growth => growth::run(options).await,
            Scenario::Ready => ready::run(options).await,
            Scenario::Search => search::run(options).await,
        };
        let outcome = outcome.unwrap_or_else(|error| {
            let problems = vec![format!("{error:#}")];
            Outcome { scenario: ScenarioReport { problems, ..ScenarioReport::default() }, ..Outcome::default() }
        });
        report.add(scenario.name(), outcome);
    }
    Ok(report)
}

/// Looks for every acknowledged order.
async fn audit_orders(sales: &Sales) -> anyhow::Result<Findings> {
    eprintln!("auditing {} orders", sales.course.acks.len());
    let database = sales.subject.database().await?;
    audit::orders(&sales.subject.target, database.as_ref(), &sales.tokens, &sales.course.acks).await
}

fn check(options: &Options) -> anyhow::Result<()> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    ensure!(positive(options.seconds), "--seconds must be above zero");
    ensure!(options.warm_up.is_finite() && options.warm_up >= 0.0, "--warm-up must not be below zero");
    ensure!(options.rate.is_none_or(positive), "--rate must be above zero");
    let counts = [options.connections, options.threads, options.travellers, options.tickets, options.gates];
    ensure!(!counts.contains(&0), "--connections, --threads, --travellers, --tickets and --gates must be above zero");
    ensure!(positive(options.sustained_seconds), "--sustained-seconds must be above zero");
    ensure!(options.paid_orders > 0, "--paid-orders must be above zero");
    let left = [options.live_orders, options.unprojected_records];
    ensure!(!left.contains(&0), "--live-orders and --unprojected-records must be above zero");
    ensure!(options.rounds > 0, "--rounds must be above zero");
    Ok(())
}

/// Connections are open files, here and in the servers that we start, which inherit the limit.
fn raise_open_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raising the number of open files")
}

/// The plan that the options ask for.
fn plan(options: &Options) -> Plan {
    Plan {
        connections: options.connections,
        threads: options.threads.min(options.connections),
        rate: options.rate,
        warm_up: Duration::from_secs_f64(options.warm_up),
        measured: Duration::from_secs_f64(options.seconds),
        first: 0,
        until: None,
    }
}
