//! `burst`: 10,000 connections, each asking again as soon as it is answered, against `durable` under the same.

use super::sales::{Sales, orders_of};
use super::yardsticks::Rival;
use super::{audit_orders, plan};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Figures, Outcome, Scenario};
use crate::yardstick::Kind;

/// Connections unless --connections asks for others.
const CONNECTIONS: usize = 10_000;

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let connections =
        if options.connections == crate::options::CONNECTIONS { CONNECTIONS } else { options.connections };
    let plan = Plan { connections, rate: None, ..plan(options) };
    let mut ours = Sales::usual("burst", options, orders_of(&plan, options.rounds)).await?;
    let mut durable: Option<Rival<_>> = None;
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        ours.turn(plan).await?;
        if options.compares() {
            if durable.is_none() {
                let answer_bytes = ours.course.turns.first().map_or(0.0, |turn| turn.answer_bytes);
                durable = Some(Rival::start(Kind::Durable, options, ours.course.load(), answer_bytes)?);
            }
            if let Some(durable) = &mut durable {
                durable.turn(plan).await?;
            }
        }
    }
    let mut scenario = Scenario::of_turns("burst", std::mem::take(&mut ours.course.turns));
    let failed: u64 = scenario.turns.values().flatten().map(not_answered).sum();
    scenario.facts.insert("failed".to_owned(), failed as f64);
    if failed > 0 {
        scenario.problems.push(format!("{failed} requests were not answered, or with 5xx"));
    }
    if let Some(durable) = durable {
        scenario.rival("durable", durable.course.turns);
    }
    scenario.conclude(Some(audit_orders(&ours).await?));
    scenario.end(ours.close());
    scenario.notes.push(super::SAME_SYNC.to_owned());
    let rounds = [("burstVsDurable", by_round(&scenario.rates("burst"), &scenario.rates("durable")))].into();
    Ok(Outcome { scenario, rounds })
}

/// Overload counts here, too: all are answered, none with 5xx.
fn not_answered(figures: &Figures) -> u64 {
    figures.errors.values().sum()
}
