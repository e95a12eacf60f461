//! One contestant of a run: a server (ours or a yardstick), the load it is given, and what came of its turns.
//! Contestants take turns, so that a busy neighbour or a warm machine hits all of them alike.

use std::sync::Arc;

use crate::api::{Api, metric};
use crate::database::Database;
use crate::drive::{Load, Plan, drive};
use crate::http::Target;
use crate::report::{Allocations, Figures};
use crate::watch::Watch;

/// See the module's documentation.
#[derive(Debug)]
pub struct Course<L: Load> {
    load: Arc<L>,
    pub target: Target,
    /// The process whose use of processor and memory is counted.
    pid: Option<u32>,
    /// Progress lines begin with it.
    name: &'static str,
    /// Only a server that is audited; a yardstick's answers mean nothing.
    keeps_acks: bool,
    is_quiet: bool,
    next: u64,
    pub acks: Vec<L::Ack>,
    pub turns: Vec<Figures>,
}

impl<L: Load> Course<L> {
    /// Of a server whose acknowledgements are kept.
    pub fn new(name: &'static str, load: Arc<L>, target: Target, pid: Option<u32>, is_quiet: bool) -> Course<L> {
        let (acks, turns) = (Vec::new(), Vec::new());
        Course { load, target, pid, name, keeps_acks: true, is_quiet, next: 0, acks, turns }
    }

    /// Of a yardstick, which gets the same load from its beginning, again in every turn.
    #[must_use]
    pub fn of_yardstick(self) -> Course<L> {
        Course { keeps_acks: false, ..self }
    }

    /// A turn that counts.
    pub async fn turn(&mut self, plan: Plan, lag_of: Option<Database>) -> anyhow::Result<&Figures> {
        let figures = self.run(plan, lag_of).await?;
        self.turns.push(figures);
        // It was pushed just now.
        self.turns.last().ok_or_else(|| unreachable!("a turn"))
    }

    /// Load that is audited and not counted.
    pub async fn run(&mut self, plan: Plan, lag_of: Option<Database>) -> anyhow::Result<Figures> {
        if !self.is_quiet {
            eprintln!("{}:", self.name);
        }
        let mut watch = Watch::new(self.pid, lag_of, self.is_quiet);
        let first = if self.keeps_acks { self.next } else { 0 };
        let plan = Plan { first, until: plan.until.map(|requests| first + requests), ..plan };
        let before = self.allocations().await?;
        let mut driven = drive(&self.load, &self.target, plan, &mut watch).await?;
        let requests = driven.next - first;
        let counted = before.zip(self.allocations().await?);
        self.next = driven.next;
        if self.keeps_acks {
            self.acks.append(&mut driven.acks);
        }
        let allocations = counted.map(|(before, after)| after.each(&before, requests));
        Ok(Figures { allocations, ..Figures::new(&plan, &driven, &watch) })
    }

    /// What the server has allocated since its start, if it counts that.
    async fn allocations(&self) -> anyhow::Result<Option<Allocations>> {
        if self.pid.is_none() || !self.keeps_acks {
            return Ok(None);
        }
        let mut api = Api::new(self.target.clone());
        let times = metric(&mut api, "allocations").await?;
        let bytes = metric(&mut api, "allocated_bytes").await?;
        Ok(times.zip(bytes).map(|(times, bytes)| Allocations { times, bytes }))
    }

    pub fn load(&self) -> &Arc<L> {
        &self.load
    }
}
