//! `ready`: how long a server takes from its start until it is ready, on what a run has left: with many live orders, which
//! it loads, and with many records that Postgres lacks, which it projects before. Both are made by ordering, so nothing here
//! knows how they are stored. Run by hand: most of it is filling.

use std::time::Duration;

use anyhow::ensure;

use super::sales::Sales;
use super::{PAUSED, audit_orders, plan};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::median;
use crate::report::{Outcome, Scenario};
use crate::subject::Setup;

/// An order of one journey writes two: the departure's and its own.
const RECORDS_PER_ORDER: u64 = 2;
/// Making orders takes this long at most.
const FILL_TIME_MAX: Duration = Duration::from_mins(10);

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.target.is_none(), "only a server of our own can be started again");
    let fill = |orders| Plan {
        rate: None,
        warm_up: Duration::ZERO,
        measured: FILL_TIME_MAX,
        until: Some(orders),
        ..plan(options)
    };

    let mut ours = Sales::usual("live orders", options, options.live_orders).await?;
    ours.turn(fill(options.live_orders)).await?;
    let mut seconds = Vec::new();
    for round in 1..=options.rounds {
        eprintln!("starting again, {round} of {}", options.rounds);
        seconds.push(ours.restart().await?.as_secs_f64());
    }
    let mut scenario = Scenario::of_turns("ready", std::mem::take(&mut ours.course.turns));
    scenario.fact("liveOrders", ours.course.acks.len() as f64);
    scenario.fact("secondsToReadyWithLiveOrders", median(&seconds));
    scenario.audit_too("live orders", audit_orders(&ours).await?);
    scenario.end(ours.close());

    let orders = options.unprojected_records.div_ceil(RECORDS_PER_ORDER);
    let mut paused = Sales::open(PAUSED, options, Setup::paused(orders), orders).await?;
    scenario.turns.insert(PAUSED.to_owned(), vec![paused.run(fill(orders)).await?]);
    let drained = paused.project().await?;
    scenario.fact("unprojectedRecords", drained.records as f64);
    scenario.fact("secondsToReadyWithUnprojectedRecords", drained.ready_after.as_secs_f64());
    scenario.audit_too("the paused server", audit_orders(&paused).await?);
    scenario.end(paused.close());
    let audit = scenario.audit.take();
    scenario.conclude(audit);
    Ok(Outcome { scenario, ..Outcome::default() })
}
