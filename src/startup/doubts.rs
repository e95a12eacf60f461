//! Whether the wall clock can be believed, before anything is written with it: what is written in the future cannot be
//! taken back. It is held against the journal's newest record, and against the database's clock if that is on another
//! machine.

use std::fmt;

use anyhow::{Context as _, bail};
use deeptravel_actors::clock::{Standing, wall_clock};
use deeptravel_actors::journal::Opened;
use deeptravel_domain::time::Timestamp;

use super::takeover::patiently;
use crate::config::Config;
use crate::postgres::{self, Database, DatabaseClock, Lane, StoreError};

/// The database's clock may be so far from ours, in ms: two machines that are kept on time are far closer.
const APART_MS_MAX: i64 = 60_000;

/// What comes of a clock that is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubts {
    /// The start is refused.
    Refused,
    /// It is said, and the start goes on: a demo, or somebody has said that the clock is right.
    Said,
}

impl Doubts {
    fn raise(self, doubt: &str) -> anyhow::Result<()> {
        match self {
            Doubts::Refused => bail!("{doubt} (docs/wrong-clock.md)"),
            Doubts::Said => {
                tracing::error!("{doubt}. It goes on as if the clock were right");
                Ok(())
            }
        }
    }

    /// Holds the wall clock against the newest record.
    pub fn of_journal(self, config: &Config, opened: &Opened) -> anyhow::Result<()> {
        let newest = opened.last_at_ms.map(Timestamp::from_ms);
        let wall = wall_clock();
        let Some(at) = newest else { return Ok(()) };
        let (wall_says, newest_says) = (Shown(wall), Shown(at));
        match config.clock.judge(wall, newest) {
            Standing::Agrees => Ok(()),
            Standing::Ahead { ms, is_far: false } => {
                let ahead = Span(ms);
                tracing::warn!(
                    "The wall clock says {wall_says}, {ahead} after the newest record: if this server has not stood still for \
                     so long, the clock is wrong: stop, and set it right. For an hour nothing is deleted for its age"
                );
                Ok(())
            }
            Standing::Ahead { ms, is_far: true } => self.raise(&format!(
                "the wall clock says {wall_says}, {} after the newest record of {newest_says}. If it is wrong, everything \
                 that is written now lies in the future: set it right. If the server has stood still for so long, start it \
                 with --accept-clock, once",
                Span(ms)
            )),
            Standing::Behind { ms, is_far: false } => {
                let behind = Span(ms);
                tracing::error!(
                    "The newest record is of {newest_says}, {behind} in the future of the wall clock: engine time goes on \
                     from there. If the clock is slow, set it right; if it was fast when that was written, stop, and \
                     `deeptravel journal reset-time` leads back"
                );
                Ok(())
            }
            Standing::Behind { ms, is_far: true } => self.raise(&format!(
                "the newest record is of {newest_says}, {} in the future of the wall clock, and engine time would go on from \
                 there. If the clock is slow, set it right; if it was fast when that was written, `deeptravel journal \
                 reset-time` leads back; to go on in that future, start with --accept-clock",
                Span(ms)
            )),
        }
    }

    /// Holds the wall clock against the database's.
    pub async fn of_database(self, database: &Database) -> anyhow::Result<()> {
        let before = wall_clock();
        let ask = || database.run(Lane::Wakes, |session| async move { postgres::read_clock(&*session).await });
        let asked = patiently(StoreError::is_outage, ask).await.context("the database's clock")?;
        match apart_ms(asked, before, wall_clock()) {
            Some(ms) if ms > APART_MS_MAX => self.raise(&format!(
                "the wall clock says {}, and the database's {}: one of them is wrong by {}. Set it right; if it is the \
                 database's, --accept-clock starts in the meantime",
                Shown(before),
                Shown(asked.now),
                Span(ms)
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// How far a database's clock is surely away from ours, in ms, when the answer came between the two; `None`: it is ours.
fn apart_ms(DatabaseClock { now, is_here }: DatabaseClock, before: Timestamp, after: Timestamp) -> Option<i64> {
    let apart = before.ms_since(now).max(now.ms_since(after));
    (!is_here).then_some(apart.max(0))
}

/// A time for people: to the second, in UTC.
pub struct Shown(pub Timestamp);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp::from_seconds(self.0.as_seconds()).to_jiff().fmt(f)
    }
}

/// A stretch of time in ms for people: in the unit of which there are at least two.
pub struct Span(pub i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1000 {
            seconds @ ..=119 => write!(f, "{seconds} seconds"),
            seconds @ ..=7_199 => write!(f, "{} minutes", seconds / 60),
            seconds @ ..=172_799 => write!(f, "{} hours", seconds / 3_600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_795_262_400);

    #[test]
    fn fault_2_the_clock_of_a_database_on_another_machine_counts_and_the_time_of_the_answer_does_not() {
        let elsewhere = |seconds| DatabaseClock { now: NOON.plus_seconds(seconds), is_here: false };
        let apart = |clock| apart_ms(clock, NOON, NOON.plus_seconds(2));
        assert_eq!(apart(elsewhere(1)), Some(0));
        assert_eq!(apart(elsewhere(-59)), Some(59_000));
        assert_eq!(apart(elsewhere(3_602)), Some(3_600_000));
        assert_eq!(apart(DatabaseClock { is_here: true, ..elsewhere(3_600) }), None, "one machine has one clock");
    }

    #[test]
    fn stretches_are_spelled_in_the_unit_that_tells_most() {
        let spelled = [0, 119_999, 120_000, 7_200_000, 7 * 86_400_000].map(|ms| Span(ms).to_string());
        assert_eq!(spelled, ["0 seconds", "119 seconds", "2 minutes", "2 hours", "7 days"]);
    }
}
