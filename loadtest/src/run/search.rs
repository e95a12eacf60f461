//! `search`: departures and packages for a pair of places with a busy day, against `bare` with answers of the same size.
//! Nothing is changed, so there is nothing to audit; answers are read as a whole by sample.

use std::sync::Arc;

use super::plan;
use super::yardsticks::Rival;
use crate::course::Course;
use crate::http::Target;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Outcome, Scenario};
use crate::scenario::search::Search;
use crate::scenario::setup;
use crate::subject::{Setup, Subject};
use crate::timetable::SEARCH_PLACES;
use crate::yardstick::Kind;

/// Between the places that our timetable has for it; on another server between those with most on sale.
pub async fn of(options: &Options, target: &Target) -> anyhow::Result<Search> {
    if options.target.is_none() {
        return Ok(Search::between(SEARCH_PLACES.0, SEARCH_PLACES.1));
    }
    let (origin, destination) = setup::busiest_pair(target).await?;
    Ok(Search::between(&origin, &destination))
}

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let plan = plan(options);
    let subject = Subject::prepare(options, Setup::default()).await?;
    let load = Arc::new(of(options, &subject.target).await?);
    let mut ours = Course::new("search", Arc::clone(&load), subject.target.clone(), subject.pid(), options.quiet);
    subject.settle().await?;
    let mut bare: Option<Rival<_>> = None;
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        ours.turn(plan, None).await?;
        if options.compares() {
            if bare.is_none() {
                let answer_bytes = ours.turns.first().map_or(0.0, |turn| turn.answer_bytes);
                bare = Some(Rival::start(Kind::Bare, options, &load, answer_bytes)?);
            }
            if let Some(bare) = &mut bare {
                bare.turn(plan).await?;
            }
        }
    }
    let mut scenario = Scenario::of_turns("search", std::mem::take(&mut ours.turns));
    scenario.facts.insert("meanAnswerBytes".to_owned(), scenario.figures.answer_bytes);
    if let Some(bare) = bare {
        scenario.rival("bare", bare.course.turns);
    }
    scenario.conclude(None);
    scenario.end(subject.stop().err().map(|error| format!("{error:#}")));
    let rounds = [("searchVsBare", by_round(&scenario.rates("search"), &scenario.rates("bare")))].into();
    Ok(Outcome { scenario, rounds })
}
