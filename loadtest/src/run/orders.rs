//! `orders`: spread over 200 departures. Ours with the projector on against the baseline; ours with it paused against
//! `durable`; `bare` beside them.

use std::collections::BTreeMap;

use super::sales::{Sales, orders_of};
use super::yardsticks::{MANY_CLIENTS, Rival, baseline, best_of};
use super::{PAUSED, audit_orders, plan};
use crate::baseline::{Baseline, Job};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::by_round;
use crate::report::{Figures, Outcome, Scenario};
use crate::scenario::orders::Orders;
use crate::subject::Setup;
use crate::yardstick::Kind;

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let plan = plan(options);
    let orders = orders_of(&plan, options.rounds);
    let mut ours = Sales::usual("orders", options, orders).await?;
    let mut rivals = None;
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        ours.turn(plan).await?;
        if options.compares() {
            if rivals.is_none() {
                rivals = Some(Rivals::start(options, &ours, orders).await?);
            }
            if let Some(rivals) = &mut rivals {
                rivals.turn(plan).await?;
            }
        }
    }

    let mut scenario = Scenario::of_turns("orders", std::mem::take(&mut ours.course.turns));
    scenario.audit_too("ours", audit_orders(&ours).await?);
    scenario.end(ours.close());
    let mut rounds = BTreeMap::new();
    if let Some(rivals) = rivals {
        rivals.end(&mut scenario).await?;
        scenario.notes.push(super::SAME_SYNC.to_owned());
        let best = best_of(&scenario.rates(COUNTER), &scenario.rates(COUNTER_MANY));
        rounds.insert("ordersVsBaseline", by_round(&scenario.rates("orders"), &best));
        rounds.insert("ordersVsDurable", by_round(&scenario.rates(PAUSED), &scenario.rates("durable")));
    }
    // Last, so that what failed on the paused server counts.
    let audit = scenario.audit.take();
    scenario.conclude(audit);
    Ok(Outcome { scenario, rounds })
}

const COUNTER: &str = "baseline, counter";
const COUNTER_MANY: &str = "baseline, counter, 128 clients";

/// Everything that takes turns with ours.
struct Rivals {
    /// A second server, with its projector paused; only where servers are ours.
    paused: Option<Sales>,
    durable: Rival<Orders>,
    bare: Rival<Orders>,
    baseline: Option<Baseline>,
    /// Clients of the baseline with which it does most.
    clients: usize,
    /// Of the baseline.
    turns: [(&'static str, Vec<Figures>); 3],
}

impl Rivals {
    async fn start(options: &Options, ours: &Sales, orders: u64) -> anyhow::Result<Rivals> {
        let answer_bytes = ours.course.turns.first().map_or(0.0, |turn| turn.answer_bytes);
        let load = ours.course.load();
        let durable = Rival::start(Kind::Durable, options, load, answer_bytes)?;
        let bare = Rival::start(Kind::Bare, options, load, answer_bytes)?;
        let baseline = baseline(options, &ours.subject, 0).await?;
        let clients = match &baseline {
            Some(baseline) => baseline.best_clients(Job::Counter).await?,
            None => 0,
        };
        let paused = match options.target {
            None => Some(Sales::open(PAUSED, options, Setup::paused(orders), orders).await?),
            Some(_) => None,
        };
        let turns = [COUNTER, COUNTER_MANY, "baseline, seats"].map(|name| (name, Vec::new()));
        Ok(Rivals { paused, durable, bare, baseline, clients, turns })
    }

    async fn turn(&mut self, plan: Plan) -> anyhow::Result<()> {
        if let Some(paused) = &mut self.paused {
            paused.turn(plan).await?;
        }
        self.durable.turn(plan).await?;
        self.bare.turn(plan).await?;
        let Some(baseline) = &self.baseline else { return Ok(()) };
        let how = [(Job::Counter, self.clients), (Job::Counter, MANY_CLIENTS), (Job::Seats, self.clients)];
        for ((_, turns), (job, clients)) in self.turns.iter_mut().zip(how) {
            turns.push(baseline.turn(job, clients, plan.warm_up, plan.measured).await?);
        }
        Ok(())
    }

    /// Ends them all, the paused server after its backlog was projected and audited.
    async fn end(self, scenario: &mut Scenario) -> anyhow::Result<()> {
        let Rivals { paused, durable, bare, baseline, clients, turns } = self;
        drop(baseline);
        for (rival, kind) in [(durable, Kind::Durable), (bare, Kind::Bare)] {
            scenario.rival(kind.name(), rival.course.turns);
        }
        for (name, turns) in turns {
            scenario.rival(name, turns);
        }
        scenario.fact("baselineClients", clients as f64);
        let Some(mut paused) = paused else { return Ok(()) };
        scenario.turns.insert(PAUSED.to_owned(), std::mem::take(&mut paused.course.turns));
        let drained = paused.project_orders().await?;
        scenario.fact("drainOrdersPerSecond", drained);
        scenario.audit_too("the paused server", audit_orders(&paused).await?);
        scenario.end(paused.close());
        Ok(())
    }
}
