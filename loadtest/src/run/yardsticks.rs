//! Starting yardsticks and the baseline beside a server.

use std::sync::Arc;

use anyhow::Context;

use crate::baseline::Baseline;
use crate::course::Course;
use crate::drive::{Load, Plan};
use crate::options::Options;
use crate::subject::Subject;
use crate::yardstick::Kind;
use crate::yardstick::child::{Launch, Yardstick};

/// What a web server's pools come to in practice, far above what Postgres does best with.
pub const MANY_CLIENTS: usize = 128;

/// The baseline, with so many tickets to redeem; none where ours is not compared, or has no Postgres of its own.
pub async fn baseline(options: &Options, subject: &Subject, tickets: u64) -> anyhow::Result<Option<Baseline>> {
    match subject.pid() {
        Some(pid) if options.compares() => {
            Baseline::start(pid, &options.scratch, tickets, options.quiet).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The trial of the numbers of clients was short: what turns out better in a round counts.
pub fn best_of(some: &[f64], others: &[f64]) -> Vec<f64> {
    some.iter().zip(others).map(|(one, other)| one.max(*other)).collect()
}

/// A yardstick and the load of ours that it is given.
pub struct Rival<L: Load> {
    pub course: Course<L>,
    /// Ends with us.
    _process: Yardstick,
}

impl<L: Load> Rival<L> {
    /// With answers of the size that ours have.
    pub fn start(kind: Kind, options: &Options, load: &Arc<L>, answer_bytes: f64) -> anyhow::Result<Rival<L>> {
        let program = options.own_program.clone().map_or_else(std::env::current_exe, Ok);
        let launch = Launch {
            program: program.context("finding the own executable")?,
            kind,
            answer_bytes: answer_bytes.round() as usize,
            file: options.scratch.join(format!("deeptravel-yardstick-{}-{}", kind.name(), std::process::id())),
        };
        let process = Yardstick::start(&launch)?;
        let (target, pid) = (process.target.clone(), Some(process.pid()));
        let course = Course::new(kind.name(), Arc::clone(load), target, pid, options.quiet).of_yardstick();
        Ok(Rival { course, _process: process })
    }

    pub async fn turn(&mut self, plan: Plan) -> anyhow::Result<()> {
        self.course.turn(plan, None).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_number_of_clients_counts_round_by_round() {
        assert_eq!(best_of(&[3.0, 1.0], &[2.0, 4.0]), [3.0, 4.0]);
        // One that failed has no rates: then there is nothing to compare with.
        assert_eq!(best_of(&[3.0, 1.0], &[]), Vec::<f64>::new());
    }
}
