//! A server with travellers who order: what nearly every scenario is made of.

use std::sync::Arc;
use std::time::Duration;

use crate::course::Course;
use crate::database::Database;
use crate::drive::Plan;
use crate::options::Options;
use crate::report::Figures;
use crate::scenario::orders::Orders;
use crate::scenario::setup::{self, Departure};
use crate::subject::{Drained, Setup, Subject};
use crate::timetable::DEPARTURES_PER_DAY;

/// Orders a second that a run provides seats for in the closed loop: no server here makes more.
pub const ORDERS_PER_SECOND_MAX: f64 = 40_000.0;

/// See the module's documentation.
#[derive(Debug)]
pub struct Sales {
    pub subject: Subject,
    pub tokens: Vec<String>,
    pub course: Course<Orders>,
    /// What can be bought, day by day.
    pub days: Vec<Vec<Departure>>,
    watches_lag: bool,
    is_quiet: bool,
}

/// Orders that so many runs of a plan can make.
pub fn orders_of(plan: &Plan, runs: usize) -> u64 {
    let seconds = (plan.measured + plan.warm_up).as_secs_f64();
    let whole = plan.rate.unwrap_or(ORDERS_PER_SECOND_MAX) * seconds * runs as f64;
    whole.ceil() as u64
}

impl Sales {
    /// Logs travellers in and finds departures with so many seats.
    pub async fn open(name: &'static str, options: &Options, setup: Setup, orders: u64) -> anyhow::Result<Sales> {
        let per_day = setup.departures_per_day;
        let watches_lag = !setup.is_projector_paused;
        let subject = Subject::prepare(options, setup).await?;
        let tokens = setup::travellers(&subject.target, options.travellers).await?;
        let days = setup::departures(&subject.target, orders, per_day).await?;
        let load = Arc::new(Orders::new(tokens.clone(), &days));
        let course = Course::new(name, load, subject.target.clone(), subject.pid(), options.quiet);
        Ok(Sales { subject, tokens, course, days, watches_lag, is_quiet: options.quiet })
    }

    /// With the usual departures.
    pub async fn usual(name: &'static str, options: &Options, orders: u64) -> anyhow::Result<Sales> {
        Sales::open(name, options, Setup { departures_per_day: DEPARTURES_PER_DAY, ..Setup::default() }, orders).await
    }

    /// Finds the departures of all days on sale.
    pub async fn find_all(&mut self) -> anyhow::Result<()> {
        self.days = setup::departures(&self.subject.target, u64::MAX, usize::MAX).await?;
        Ok(())
    }

    /// Orders from the first days only, which have so many seats; the departures of the other days are for others. Where
    /// there is only one day, both have that.
    pub fn keep(&mut self, orders: u64) -> Vec<Departure> {
        let mut seats = 0;
        let enough = self.days.iter().position(|day| {
            seats += day.iter().map(|departure| departure.available).sum::<u64>();
            seats >= orders
        });
        let kept = enough.map_or(self.days.len(), |last| last + 1);
        let mut others = self.days.split_off(kept);
        if others.is_empty() {
            others.clone_from(&self.days);
        }
        let load = Arc::new(Orders::new(self.tokens.clone(), &self.days));
        let (target, pid) = (self.subject.target.clone(), self.subject.pid());
        self.course = Course::new("orders, spread", load, target, pid, self.is_quiet);
        others.into_iter().flatten().collect()
    }

    async fn lag_of(&self) -> anyhow::Result<Option<Database>> {
        if self.watches_lag { self.subject.database().await } else { Ok(None) }
    }

    /// A turn that counts; afterwards the server is idle.
    pub async fn turn(&mut self, plan: Plan) -> anyhow::Result<()> {
        let lag_of = self.lag_of().await?;
        self.course.turn(plan, lag_of).await?;
        self.subject.settle().await
    }

    /// Orders that are audited and not counted; afterwards the server is idle.
    pub async fn run(&mut self, plan: Plan) -> anyhow::Result<Figures> {
        let lag_of = self.lag_of().await?;
        let figures = self.course.run(plan, lag_of).await?;
        self.subject.settle().await?;
        Ok(figures)
    }

    /// Stops the server and starts it again: from there to being ready.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        let ready_after = self.subject.restart().await?;
        self.course.target = self.subject.target.clone();
        Ok(ready_after)
    }

    /// How a paused server's backlog was projected, after a restart.
    pub async fn project(&mut self) -> anyhow::Result<Drained> {
        let drained = self.subject.project().await?;
        self.course.target = self.subject.target.clone();
        let Drained { records, records_per_second, .. } = drained;
        let orders = self.course.acks.len();
        eprintln!("projected {records} records of {orders} orders at {records_per_second:.0} records a second");
        Ok(drained)
    }

    /// The same in orders a second.
    pub async fn project_orders(&mut self) -> anyhow::Result<f64> {
        let Drained { records, records_per_second, .. } = self.project().await?;
        Ok(records_per_second * self.course.acks.len() as f64 / (records as f64).max(1.0))
    }

    /// Stops the server; what was wrong with its end, if anything.
    pub fn close(self) -> Option<String> {
        self.subject.stop().err().map(|error| format!("{error:#}"))
    }
}
