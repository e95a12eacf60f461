//! `mixed`: all kinds of requests at once, audited like orders, scans and cancels. It has no yardstick: nothing else does
//! all of it.

use std::sync::Arc;

use serde_json::Value;

use super::plan;
use super::sales::ORDERS_PER_SECOND_MAX;
use crate::audit;
use crate::course::Course;
use crate::options::Options;
use crate::report::{Outcome, Scenario};
use crate::scenario::mixed::{Ack, CANCELS_OF_A_HUNDRED, Mixed, Parts, SCANS_OF_A_HUNDRED};
use crate::scenario::orders::Orders;
use crate::scenario::scans::{Place, Scans};
use crate::scenario::setup;
use crate::subject::{Setup, Subject};
use crate::timetable::DEPARTURES_PER_DAY;

/// Orders that are looked at again and again.
const SEEN: usize = 1_000;
/// More are not prepared; when they are used up, orders are looked at instead.
const CANCELS_MAX: f64 = 20_000.0;

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let plan = plan(options);
    let subject = Subject::prepare(options, Setup::default()).await?;
    let target = &subject.target;
    let seconds = (plan.measured + plan.warm_up).as_secs_f64() * options.rounds as f64;
    let requests = options.rate.unwrap_or(ORDERS_PER_SECOND_MAX) * seconds;
    let number = (requests * SCANS_OF_A_HUNDRED / 100.0).min(options.tickets as f64).ceil() as usize;
    let cancels = (requests * CANCELS_OF_A_HUNDRED / 100.0).min(CANCELS_MAX).ceil() as usize;

    let tokens = setup::travellers(target, options.travellers).await?;
    let days = setup::departures(target, requests as u64, DEPARTURES_PER_DAY).await?;
    let bought: Vec<Value> = days.iter().flatten().map(setup::Departure::item).collect();
    let seen = setup::pending_orders(target, &tokens, &bought, SEEN, 1).await?;
    let to_cancel = setup::pending_orders(target, &tokens, &bought, cancels, 1).await?;
    let (operator, gates) = setup::gates(target, options.gates).await?;
    let tickets = setup::paid_tickets(target, &subject.simulator, &tokens, &bought, number, setup::PARTY).await?;
    eprintln!("{} tickets are paid, {cancels} orders are there to be cancelled", tickets.len());
    subject.settle().await?;

    let search = super::search::of(options, target).await?;
    let load = Mixed::new(Parts {
        tokens: tokens.clone(),
        orders: Orders::new(tokens.clone(), &days),
        scans: Scans::new(Place::Gates, operator, gates, tickets.clone()),
        departures: setup::found(target, &search).await?,
        search,
        seen,
        to_cancel,
    });
    let mut ours = Course::new("mixed", Arc::new(load), target.clone(), subject.pid(), options.quiet);
    for _ in 0..options.rounds {
        let lag_of = subject.database().await?;
        ours.turn(plan, lag_of).await?;
        subject.settle().await?;
    }

    let mut scenario = Scenario::of_turns("mixed", std::mem::take(&mut ours.turns));
    let (mut orders, mut scans, mut cancelled) = (Vec::new(), Vec::new(), Vec::new());
    for ack in ours.acks {
        match ack {
            Ack::Order(ack) => orders.push(ack),
            Ack::Scan(ack) => scans.push(ack),
            Ack::Cancelled(order) => cancelled.push(order),
        }
    }
    eprintln!("auditing {} orders, {} scans, {} cancels", orders.len(), scans.len(), cancelled.len());
    let database = subject.database().await?;
    scenario.conclude(Some(audit::orders(target, database.as_ref(), &tokens, &orders).await?));
    scenario.audit_too("scans", audit::scans(target, database.as_ref(), &tokens, &tickets, &scans).await?);
    scenario.audit_too("cancels", audit::cancels(database.as_ref(), &cancelled).await?);
    scenario.fact("orders", orders.len() as f64);
    scenario.fact("scans", scans.len() as f64);
    scenario.fact("cancels", cancelled.len() as f64);
    scenario.end(subject.stop().err().map(|error| format!("{error:#}")));
    Ok(Outcome { scenario, ..Outcome::default() })
}
