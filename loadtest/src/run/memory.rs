//! `memory`: what an order takes in the server. Its process alone is looked at, after a warm-up that has made arenas and
//! buffers, and always when it is idle and projected. The WeChat simulator runs in a process of its own, so that what
//! it remembers of payments is not counted. The paid orders are for departures of the next 24 hours, which stay in
//! memory; later ones are in Postgres only.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::ToSpan;
use serde_json::Value;

use super::sales::Sales;
use super::{audit_orders, plan};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::{Outcome, Scenario};
use crate::scenario::setup::{self, Departure, PARTY};
use crate::server::binary_beside_us;
use crate::simulator::Simulator;
use crate::subject::{Setup, Subject};
use crate::usage;

/// Live pending orders that are measured.
const PENDING: u64 = 100_000;
/// Before them, as many: what the first ones fill is left over from requests under way, and would make orders look
/// smaller than they are.
const PENDING_WARM_UP: u64 = 100_000;
/// Of those that are paid one in so many goes before them.
const PAID_WARM_UP_DIVISOR: usize = 3;
/// So many parties of ten to one paid order of one.
const TENS_DIVISOR: usize = 5;
/// From the last answer until owners are at rest and the allocator has given back what it will.
const REST: Duration = Duration::from_secs(3);
/// The least of so many looks counts, a little apart.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// The run takes this long at most.
const RUN_TIME_MAX: Duration = Duration::from_mins(5);

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.target.is_none(), "memory is measured of a server of our own");
    let binary = options.binary.clone().map_or_else(binary_beside_us, Ok)?;
    let simulator = Arc::new(Simulator::start(&binary, &options.scratch)?);
    let setup = Setup { settings: simulator.settings(), ..Setup::default() };
    let mut ours = Sales::open("memory", options, setup, PENDING + PENDING_WARM_UP).await?;
    let plan = Plan { rate: None, warm_up: Duration::ZERO, measured: RUN_TIME_MAX, ..plan(options) };
    let so_many = |orders| Plan { until: Some(orders), ..plan };

    ours.run(so_many(PENDING_WARM_UP)).await?;
    let before = at_rest(&ours.subject).await?;
    ours.turn(so_many(PENDING / 2)).await?;
    let between = at_rest(&ours.subject).await?;
    ours.turn(so_many(PENDING / 2)).await?;
    let after = at_rest(&ours.subject).await?;
    let mut scenario = Scenario::of_turns("memory", std::mem::take(&mut ours.course.turns));
    scenario.fact("residentMiBBefore", before / f64::from(1 << 20));
    scenario.fact("bytesPerPendingOrder", (after - before) / PENDING as f64);
    scenario.fact("bytesPerPendingOrderFirstHalf", (between - before) / (PENDING / 2) as f64);
    scenario.fact("bytesPerPendingOrderSecondHalf", (after - between) / (PENDING / 2) as f64);
    scenario.conclude(Some(audit_orders(&ours).await?));

    let items = soon(&ours).await?.iter().map(Departure::item).collect();
    let paying = Paying { sales: &ours, simulator: &simulator, items };
    for party in [1, PARTY] {
        paying.pay((options.paid_orders / PAID_WARM_UP_DIVISOR / party).max(1), party).await?;
    }
    let (ones, tens) = (options.paid_orders, (options.paid_orders / TENS_DIVISOR).max(1));
    let before = at_rest(&ours.subject).await?;
    paying.pay(ones, 1).await?;
    let between = at_rest(&ours.subject).await?;
    paying.pay(tens, PARTY).await?;
    let after = at_rest(&ours.subject).await?;
    scenario.fact("paidOrders", ones as f64);
    scenario.fact("bytesPerPaidOrder", (between - before) / ones as f64);
    scenario.fact("bytesPerPaidOrderOfTen", (after - between) / tens as f64);
    scenario.notes.push(
        "resident memory of the server's process only, idle and projected; the WeChat simulator ran in a process of its \
         own; pending and paid orders have one passenger, those of ten are given beside them"
            .to_owned(),
    );
    scenario.end(ours.close());
    Ok(Outcome { scenario, ..Outcome::default() })
}

/// Orders that are made and paid.
struct Paying<'a> {
    sales: &'a Sales,
    simulator: &'a Simulator,
    items: Vec<Value>,
}

impl Paying<'_> {
    async fn pay(&self, number: usize, party: usize) -> anyhow::Result<()> {
        eprintln!("paying {number} orders of {party}");
        let (target, tokens) = (&self.sales.subject.target, &self.sales.tokens);
        let provider = &self.simulator.target;
        setup::paid_orders(target, provider, tokens, &self.items, number, party).await.map(drop)
    }
}

/// Departures that a paid order stays in memory for, with some hours to spare.
async fn soon(sales: &Sales) -> anyhow::Result<Vec<Departure>> {
    let days = setup::departures_from(0, &sales.subject.target, u64::MAX, usize::MAX, 2).await?;
    let until = jiff::Timestamp::now().checked_add(22.hours())?;
    let soon = days.into_iter().flatten().filter(|departure| departure.departs_at.is_some_and(|at| at < until));
    let soon: Vec<Departure> = soon.collect();
    ensure!(!soon.is_empty(), "the server has no departures in the next hours");
    Ok(soon)
}

/// Resident bytes when everything has been done.
pub async fn at_rest(subject: &Subject) -> anyhow::Result<f64> {
    let pid = subject.pid().context("a server of our own")?;
    subject.settle().await?;
    tokio::time::sleep(REST).await;
    let mut least = u64::MAX;
    for _ in 0..LOOKS {
        least = least.min(usage::memory(pid).context("the server has gone")?.resident_bytes);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(least as f64)
}
