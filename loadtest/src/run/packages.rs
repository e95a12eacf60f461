//! `packages`: orders of one package for one passenger, against orders of one journey on the same server.

use std::sync::Arc;

use super::sales::{Sales, orders_of};
use super::{audit_orders, plan};
use crate::audit;
use crate::course::Course;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Outcome, Scenario};
use crate::scenario::packages::Packages;
use crate::scenario::setup;
use crate::subject::Setup;

/// As the timetable keeps seats for journeys: nothing expires while we measure.
const LOCK_SECONDS: &str = "3600";

const JOURNEYS: &str = "orders of a journey";

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let plan = plan(options);
    let orders = orders_of(&plan, options.rounds);
    let settings = vec![("DEEPTRAVEL__ORDER__LOCK_SECONDS".to_owned(), LOCK_SECONDS.to_owned())];
    let setup = Setup { orders: 2 * orders, settings, ..Setup::default() };
    let mut journeys = Sales::open(JOURNEYS, options, setup, orders).await?;
    let subject = &journeys.subject;
    let templates = setup::packages(&subject.target).await?;
    let load = Arc::new(Packages::new(journeys.tokens.clone(), &templates));
    let mut course = Course::new("packages", load, subject.target.clone(), subject.pid(), options.quiet);
    subject.settle().await?;
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let lag_of = journeys.subject.database().await?;
        course.turn(plan, lag_of).await?;
        journeys.subject.settle().await?;
        if options.compares() {
            journeys.turn(plan).await?;
        }
    }

    let mut scenario = Scenario::of_turns("packages", std::mem::take(&mut course.turns));
    scenario.turns.insert(JOURNEYS.to_owned(), std::mem::take(&mut journeys.course.turns));
    eprintln!("auditing {} orders of packages", course.acks.len());
    let database = journeys.subject.database().await?;
    let target = &journeys.subject.target;
    let found = audit::packages(target, database.as_ref(), &journeys.tokens, &course.acks).await?;
    scenario.conclude(Some(found));
    scenario.audit_too("journeys", audit_orders(&journeys).await?);
    scenario.end(journeys.close());
    let rounds = [("packagesVsJourneys", by_round(&scenario.rates("packages"), &scenario.rates(JOURNEYS)))].into();
    Ok(Outcome { scenario, rounds })
}
