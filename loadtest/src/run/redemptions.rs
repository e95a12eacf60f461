//! `redemptions`: items of paid packages at counters, each round a part of them, against scans of journeys at gates of the same
//! server. Both have half of the tickets.

use std::sync::Arc;

use super::plan;
use super::scans::WARM_UP_MAX;
use crate::audit;
use crate::course::Course;
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Outcome, Scenario};
use crate::scenario::scans::{Place, Scans};
use crate::scenario::setup::{self, Departure, PaidTicket};
use crate::subject::{Setup, Subject};
use crate::timetable::{DEPARTURES_PER_DAY, SEATS};

const GATES: &str = "scans at gates";

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let subject = Subject::prepare(options, Setup::default()).await?;
    let target = &subject.target;
    let number = options.tickets.div_ceil(2);
    let tokens = setup::travellers(target, options.travellers).await?;
    let days = setup::departures(target, SEATS.max(number) as u64, DEPARTURES_PER_DAY).await?;
    let journeys: Vec<_> = days.iter().flatten().map(Departure::item).collect();
    let templates = setup::packages(target).await?;
    let packages: Vec<_> = templates.iter().map(|template| setup::package_item(template)).collect();
    let (operator, gates) = setup::gates(target, options.gates).await?;
    let paid =
        async |items| setup::paid_tickets(target, &subject.simulator, &tokens, items, number, setup::PARTY).await;
    let (of_packages, of_journeys) = (paid(&packages).await?, paid(&journeys).await?);
    eprintln!("{} tickets of packages and {} of journeys are paid", of_packages.len(), of_journeys.len());
    subject.settle().await?;

    let course = |name, place, tickets: &[PaidTicket]| {
        let scans = Scans::new(place, operator.clone(), gates.clone(), tickets.to_vec());
        let per_round = scans.number().div_ceil(options.rounds as u64);
        (Course::new(name, Arc::new(scans), target.clone(), subject.pid(), options.quiet), per_round)
    };
    let (mut counters, per_round) = course("redemptions", Place::Counters, &of_packages);
    let (mut gates, _) = course(GATES, Place::Gates, &of_journeys);
    let plan = plan(options);
    let plan = Plan { warm_up: plan.warm_up.min(WARM_UP_MAX), until: Some(per_round), ..plan };
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        counters.turn(plan, None).await?;
        subject.settle().await?;
        if options.compares() {
            gates.turn(plan, None).await?;
            subject.settle().await?;
        }
    }

    let mut scenario = Scenario::of_turns("redemptions", std::mem::take(&mut counters.turns));
    scenario.turns.insert(GATES.to_owned(), std::mem::take(&mut gates.turns));
    eprintln!("auditing {} redemptions and {} scans", counters.acks.len(), gates.acks.len());
    let database = subject.database().await?;
    let audit = async |tickets, acks| audit::scans(target, database.as_ref(), &tokens, tickets, acks).await;
    scenario.conclude(Some(audit(&of_packages, &counters.acks).await?));
    scenario.audit_too("gates", audit(&of_journeys, &gates.acks).await?);
    scenario.end(subject.stop().err().map(|error| format!("{error:#}")));
    let rounds = [("redemptionsVsScans", by_round(&scenario.rates("redemptions"), &scenario.rates(GATES)))].into();
    Ok(Outcome { scenario, rounds })
}
