//! `steady` and `sustained`: the projector beside a load. `steady` is an open loop at half of our own maximum, which is
//! measured just before; how fast the projector could go is measured after a run with it paused. `sustained` is a closed
//! loop at our maximum for a minute.

use std::time::Duration;

use super::sales::{Sales, orders_of};
use super::{PAUSED, audit_orders, plan};
use crate::drive::Plan;
use crate::options::Options;
use crate::report::ratios::median;
use crate::report::{Figures, Outcome, Scenario};
use crate::subject::Setup;

pub async fn steady(options: &Options) -> anyhow::Result<Outcome> {
    let closed = Plan { rate: None, ..plan(options) };
    let orders = orders_of(&closed, 2 * options.rounds);
    let mut ours = Sales::usual("orders, closed loop", options, orders).await?;
    let (mut at_most, mut steady) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        at_most.push(ours.run(closed).await?);
        let so_far: Vec<f64> = at_most.iter().map(|figures| figures.achieved).collect();
        steady.push(ours.run(Plan { rate: Some(median(&so_far) / 2.0), ..closed }).await?);
    }
    let not_accepted: u64 = steady.iter().map(Figures::not_accepted).sum();
    let rate = median(&steady.iter().map(|figures| figures.offered).collect::<Vec<_>>());
    let mut scenario = Scenario::of_turns_by("steady", steady, |figures| figures.percentiles.p99);
    scenario.turns.insert("orders, closed loop".to_owned(), at_most);
    scenario.fact("notAccepted", not_accepted as f64);
    // Saying no is quick: it must not be what makes the latency good.
    if not_accepted > 0 {
        scenario.problems.push(format!("{not_accepted} orders of the open loop were refused or failed"));
    }
    scenario.audit_too("ours", audit_orders(&ours).await?);
    scenario.end(ours.close());
    scenario.fact("ordersPerSecond", rate);

    if options.target.is_none() {
        let orders = orders_of(&closed, 1);
        let mut paused = Sales::open(PAUSED, options, Setup::paused(orders), orders).await?;
        scenario.turns.insert(PAUSED.to_owned(), vec![paused.run(closed).await?]);
        let drained = paused.project_orders().await?;
        scenario.audit_too("the paused server", audit_orders(&paused).await?);
        scenario.end(paused.close());
        scenario.fact("drainOrdersPerSecond", drained);
        scenario.fact("drainVsOrders", drained / rate);
        scenario.notes.push(
            "the drain rate is that of a restarted server which makes up for a run with its projector paused, before it \
             serves anybody"
                .to_owned(),
        );
    }
    // Last, so that what failed on the paused server counts.
    let audit = scenario.audit.take();
    scenario.conclude(audit);
    Ok(Outcome { scenario, ..Outcome::default() })
}

pub async fn sustained(options: &Options) -> anyhow::Result<Outcome> {
    let measured = Duration::from_secs_f64(options.sustained_seconds);
    let plan = Plan { rate: None, measured, ..plan(options) };
    let mut ours = Sales::usual("sustained", options, orders_of(&plan, 1)).await?;
    ours.turn(plan).await?;
    let mut scenario = Scenario::of_turns("sustained", std::mem::take(&mut ours.course.turns));
    scenario.conclude(Some(audit_orders(&ours).await?));
    scenario.end(ours.close());

    let lags = &scenario.figures.lag.samples;
    let third = lags.len() / 3;
    if third > 0 {
        let of = |from: usize| median(lags.get(from..from + third).unwrap_or_default());
        let (first, second, last) = (of(0), of(third), of(2 * third));
        scenario.fact("lagFirstThirdSeconds", first);
        scenario.fact("lagSecondThirdSeconds", second);
        scenario.fact("lagLastThirdSeconds", last);
        // Below zero it was catching up.
        scenario.fact("lagGrowthSeconds", last - second);
    }
    Ok(Outcome { scenario, ..Outcome::default() })
}
