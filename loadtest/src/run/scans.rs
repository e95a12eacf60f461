//! `scans`: paid tickets at gates, each round a part of them, against `durable` under the same requests.

use std::sync::Arc;
use std::time::Duration;

use super::plan;
use super::yardsticks::{MANY_CLIENTS, Rival, baseline, best_of};
use crate::audit;
use crate::baseline::Job;
use crate::course::Course;
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Outcome, Scenario};
use crate::scenario::scans::{Place, Scans, shots};
use crate::scenario::setup;
use crate::subject::{Setup, Subject};
use crate::timetable::{DEPARTURES_PER_DAY, SEATS};
use crate::yardstick::Kind;

/// Tickets are few, and a longer warm-up would use them up.
pub const WARM_UP_MAX: Duration = Duration::from_millis(200);

/// The baseline redeems for so long at most: every ticket it needs is a row.
const BASELINE_TIME_MAX: Duration = Duration::from_secs(5);
/// Tickets that the baseline is given a second: no Postgres here redeems more.
const REDEEM_PER_SECOND_MAX: f64 = 12_000.0;

const REDEEM: &str = "baseline, redeem";
const REDEEM_MANY: &str = "baseline, redeem, 128 clients";

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let subject = Subject::prepare(options, Setup::default()).await?;
    let target = &subject.target;
    let tokens = setup::travellers(target, options.travellers).await?;
    let days = setup::departures(target, SEATS.max(options.tickets) as u64, DEPARTURES_PER_DAY).await?;
    let journeys: Vec<_> = days.iter().flatten().map(setup::Departure::item).collect();
    let (operator, gates) = setup::gates(target, options.gates).await?;
    let tickets =
        setup::paid_tickets(target, &subject.simulator, &tokens, &journeys, options.tickets, setup::PARTY).await?;
    eprintln!("{} tickets are paid", tickets.len());
    subject.settle().await?;

    let load = Arc::new(Scans::new(Place::Gates, operator, gates, tickets.clone()));
    let requests = shots(tickets.len()).len() as u64;
    let plan = plan(options);
    let per_round = requests.div_ceil(options.rounds as u64);
    let plan = Plan { warm_up: plan.warm_up.min(WARM_UP_MAX), until: Some(per_round), ..plan };
    let mut ours = Course::new("scans", Arc::clone(&load), target.clone(), subject.pid(), options.quiet);
    let mut durable: Option<Rival<_>> = None;
    let baseline_time = plan.measured.min(BASELINE_TIME_MAX);
    let redeemed =
        REDEEM_PER_SECOND_MAX * (2.0 * options.rounds as f64 * (baseline_time + WARM_UP_MAX).as_secs_f64() + 8.0);
    let baseline = baseline(options, &subject, redeemed as u64).await?;
    let clients = match &baseline {
        Some(baseline) => baseline.best_clients(Job::Redeem).await?,
        None => 0,
    };
    let (mut some, mut many) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        ours.turn(plan, None).await?;
        subject.settle().await?;
        if options.compares() {
            if durable.is_none() {
                let answer_bytes = ours.turns.first().map_or(0.0, |turn| turn.answer_bytes);
                durable = Some(Rival::start(Kind::Durable, options, &load, answer_bytes)?);
            }
            if let Some(durable) = &mut durable {
                durable.turn(plan).await?;
            }
        }
        if let Some(baseline) = &baseline {
            some.push(baseline.turn(Job::Redeem, clients, WARM_UP_MAX, baseline_time).await?);
            many.push(baseline.turn(Job::Redeem, MANY_CLIENTS, WARM_UP_MAX, baseline_time).await?);
        }
    }
    drop(baseline);

    let mut scenario = Scenario::of_turns("scans", std::mem::take(&mut ours.turns));
    if let Some(durable) = durable {
        scenario.rival("durable", durable.course.turns);
    }
    scenario.rival(REDEEM, some);
    scenario.rival(REDEEM_MANY, many);
    scenario.facts.insert("baselineClients".to_owned(), clients as f64);
    eprintln!("auditing {} scans", ours.acks.len());
    let database = subject.database().await?;
    scenario.conclude(Some(audit::scans(target, database.as_ref(), &tokens, &tickets, &ours.acks).await?));
    scenario.end(subject.stop().err().map(|error| format!("{error:#}")));
    scenario.notes.push(super::SAME_SYNC.to_owned());
    let best = best_of(&scenario.rates(REDEEM), &scenario.rates(REDEEM_MANY));
    let against = |theirs: &[f64]| by_round(&scenario.rates("scans"), theirs);
    let rounds = [("scansVsDurable", against(&scenario.rates("durable"))), ("scansVsBaseline", against(&best))];
    Ok(Outcome { rounds: rounds.into(), scenario })
}
