//! `growth`: what it costs when there is more of everything: live orders, departures in memory, connections. Run by hand:
//! it takes a quarter of an hour. Every point is a turn over 64 connections (but for the third curve) with the projector
//! on, and what the server's memory has grown by per unit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::memory::at_rest;
use super::sales::{ORDERS_PER_SECOND_MAX, Sales, orders_of};
use super::{audit_orders, plan};
use crate::course::Course;
use crate::drive::Plan;
use crate::options::Options;
use crate::report::{Outcome, Scenario};
use crate::scenario::orders::Orders;
use crate::scenario::setup::Departure;
use crate::subject::Setup;
use crate::timetable::{DAYS, DEPARTURES_PER_DAY, SEATS};

const LIVE_ORDERS: [u64; 3] = [1_000, 100_000, 1_000_000];
const DEPARTURES: [usize; 3] = [10, 1_000, 20_000];
const CONNECTIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Orders before the first figure of memory.
const WARM_UP: u64 = 10_000;
/// Of a turn over few departures.
const SHORT_WARM_UP: Duration = Duration::from_millis(200);
/// Making orders takes this long at most.
const FILL_TIME_MAX: Duration = Duration::from_mins(10);

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.target.is_none(), "growth is measured of servers of our own");
    let mut scenario = Scenario::default();
    live_orders(options, &mut scenario).await?;
    for departures in DEPARTURES {
        departures_in_memory(options, departures, &mut scenario).await?;
    }
    connections(options, &mut scenario).await?;
    scenario.figures = scenario.turns.values().flatten().next().cloned().unwrap_or_default();
    let audit = scenario.audit.take();
    scenario.conclude(audit);
    Ok(Outcome { scenario, ..Outcome::default() })
}

fn fill(options: &Options, orders: u64) -> Plan {
    Plan { rate: None, warm_up: Duration::ZERO, measured: FILL_TIME_MAX, until: Some(orders), ..plan(options) }
}

async fn live_orders(options: &Options, scenario: &mut Scenario) -> anyhow::Result<()> {
    let plan = plan(options);
    let most = LIVE_ORDERS.iter().max().copied().unwrap_or(0);
    let seats = most + WARM_UP + orders_of(&plan, LIVE_ORDERS.len());
    let mut ours = Sales::usual("live orders", options, seats).await?;
    // The first steps are small, so a warm-up would be as large as they are: memory is compared with the start.
    let before = at_rest(&ours.subject).await?;
    for live in LIVE_ORDERS {
        let missing = live.saturating_sub(ours.course.acks.len() as u64);
        ours.run(fill(options, missing)).await?;
        let resident = at_rest(&ours.subject).await?;
        let made = ours.course.acks.len() as f64;
        scenario.fact(&format!("bytesPerOrderAt{live:07}LiveOrders"), (resident - before) / made);
        ours.turn(plan).await?;
        scenario.turns.insert(format!("live orders {live:>7}"), std::mem::take(&mut ours.course.turns));
    }
    scenario.audit_too("live orders", audit_orders(&ours).await?);
    scenario.end(ours.close());
    Ok(())
}

async fn departures_in_memory(options: &Options, number: usize, scenario: &mut Scenario) -> anyhow::Result<()> {
    let plan = plan(options);
    // Some spare: the first days may have fewer left.
    let per_day = match number {
        few if few <= DEPARTURES_PER_DAY => few,
        more => more.div_ceil(DAYS as usize - 2).max(DEPARTURES_PER_DAY),
    };
    let setup = Setup { departures_per_day: per_day, ..Setup::default() };
    let mut ours = Sales::open("departures", options, setup, ORDERS_PER_SECOND_MAX as u64 * 30 * 2).await?;
    if number > DEPARTURES_PER_DAY {
        ours.find_all().await?;
    }
    let all: Vec<Departure> = std::mem::take(&mut ours.days).into_iter().flatten().take(number).collect();
    ensure!(all.len() == number, "the server has {} departures instead of {number}", all.len());
    let (target, pid) = (ours.subject.target.clone(), ours.subject.pid());
    let load = Arc::new(Orders::new(ours.tokens.clone(), std::slice::from_ref(&all)));
    ours.course = Course::new("departures", load, target, pid, options.quiet);

    // One order wakes a departure; that order's memory is known from the other curve.
    let before = at_rest(&ours.subject).await?;
    ours.run(fill(options, number as u64)).await?;
    let resident = at_rest(&ours.subject).await?;
    scenario.fact(&format!("bytesPerDepartureAndOrderAt{number:05}"), (resident - before) / number as f64);
    // Few departures have few seats: then the turn is shorter, but none is refused.
    let seats = (number * SEATS) as u64 - number as u64;
    let plan = Plan { until: Some(seats / 10 * 9), warm_up: plan.warm_up.min(SHORT_WARM_UP), ..plan };
    ours.turn(plan).await?;
    scenario.turns.insert(format!("departures {number:>6}"), std::mem::take(&mut ours.course.turns));
    scenario.audit_too("departures", audit_orders(&ours).await?);
    scenario.end(ours.close());
    Ok(())
}

async fn connections(options: &Options, scenario: &mut Scenario) -> anyhow::Result<()> {
    let plan = plan(options);
    let mut ours = Sales::usual("connections", options, WARM_UP + orders_of(&plan, CONNECTIONS.len())).await?;
    ours.run(fill(options, WARM_UP)).await?;
    for connections in CONNECTIONS {
        ours.turn(Plan { connections, threads: plan.threads.min(connections), ..plan }).await?;
        scenario.turns.insert(format!("connections {connections:>5}"), std::mem::take(&mut ours.course.turns));
    }
    scenario.audit_too("connections", audit_orders(&ours).await?);
    scenario.end(ours.close());
    Ok(())
}
