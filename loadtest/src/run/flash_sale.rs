//! `flash-sale`: everyone wants one departure, and when it is sold out everyone wants the next one. Against the spread
//! rate of the same server, and against the baseline's one hot row at 128 clients.

use std::sync::Arc;

use super::sales::{Sales, orders_of};
use super::yardsticks::{MANY_CLIENTS, baseline};
use super::{audit_orders, plan};
use crate::baseline::Job;
use crate::course::Course;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Outcome, Scenario};
use crate::scenario::orders::Orders;
use crate::timetable::{DEPARTURES_PER_DAY, SEATS};

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let plan = plan(options);
    let orders = orders_of(&plan, options.rounds);
    // Seats for both, which share no day.
    let day = (SEATS * DEPARTURES_PER_DAY) as u64;
    let mut spread = Sales::usual("orders, spread", options, 2 * orders + day).await?;
    let hot = spread.keep(orders);
    let subject = &spread.subject;
    let load = Arc::new(Orders::hot(spread.tokens.clone(), &hot));
    let mut course = Course::new("flash-sale", load, subject.target.clone(), subject.pid(), options.quiet);
    let rival = baseline(options, subject, 0).await?;
    let mut theirs = Vec::new();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let lag_of = spread.subject.database().await?;
        course.turn(plan, lag_of).await?;
        spread.subject.settle().await?;
        if options.compares() {
            spread.turn(plan).await?;
        }
        if let Some(rival) = &rival {
            theirs.push(rival.turn(Job::HotCounter, MANY_CLIENTS, plan.warm_up, plan.measured).await?);
        }
    }
    drop(rival);

    let mut scenario = Scenario::of_turns("flash-sale", std::mem::take(&mut course.turns));
    scenario.turns.insert("orders, spread".to_owned(), std::mem::take(&mut spread.course.turns));
    scenario.rival("baseline, hot, 128 clients", theirs);
    spread.course.acks.append(&mut course.acks);
    scenario.conclude(Some(audit_orders(&spread).await?));
    scenario.end(spread.close());
    let against = |theirs| by_round(&scenario.rates("flash-sale"), &scenario.rates(theirs));
    let rounds = [("hotVsSpread", against("orders, spread")), ("hotVsBaseline", against("baseline, hot, 128 clients"))];
    Ok(Outcome { rounds: rounds.into(), scenario })
}
