//! Engine time: starts at the later of the wall clock and the last journaled instant, then runs on the monotonic clock
//! (rule 15).
//!
//! Once a second the wall clock is looked at. A small difference is slewed away; a large one is a fault of this machine
//! and not followed: an alarm says so, and whatever deletes by age waits until [`Clock::is_trusted`]. The way back from
//! a wall clock that was wrong at the start is a restart once it is right again and past the last journaled instant.

mod line;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use deeptravel_domain::time::Timestamp;

use line::{Line, PackedLine, Slope, judge};

/// How often the wall clock is looked at. An alarm is at most this late.
const LOOK: Duration = Duration::from_secs(1);

/// The clock that every owner reads. Cheap to clone; clones are the same clock. It never runs backwards.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Course>);

#[derive(Debug)]
struct Course {
    start: Timestamp,
    started: Instant,
    line: PackedLine,
    /// The wall clock minus engine time, in ms, as of the last look.
    offset_ms: AtomicI64,
    trusted: AtomicBool,
    #[cfg(test)]
    moved_ms: AtomicI64,
}

impl Clock {
    /// `journaled`: the instant of the last record, if there is one.
    pub fn start(journaled: Option<Timestamp>) -> Clock {
        Clock::starting(wall_clock(), journaled)
    }

    fn starting(wall: Timestamp, journaled: Option<Timestamp>) -> Clock {
        let clock = Clock(Arc::new(Course {
            start: journaled.map_or(wall, |last| last.max(wall)),
            started: Instant::now(),
            line: PackedLine::new(Line::EVEN),
            offset_ms: AtomicI64::new(0),
            trusted: AtomicBool::new(true),
            #[cfg(test)]
            moved_ms: AtomicI64::new(0),
        }));
        clock.look(wall, 0);
        clock
    }

    /// Costs a reading of the monotonic clock and one load.
    pub fn now(&self) -> Timestamp {
        self.at(self.elapsed_us())
    }

    /// Whether the wall clock agrees with engine time. While it does not, nobody knows which of them is right: nothing
    /// irreversible may be done for its age.
    pub fn is_trusted(&self) -> bool {
        self.0.trusted.load(Ordering::Relaxed)
    }

    /// Milliseconds by which the wall clock is ahead of engine time, as of the last look.
    pub fn offset_ms(&self) -> i64 {
        self.0.offset_ms.load(Ordering::Relaxed)
    }

    /// Looks at the wall clock for ever. One task of the process runs this.
    pub async fn follow_wall_clock(self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look(wall_clock(), self.elapsed_us());
        }
    }

    /// Compares with the wall clock, and slews or raises the alarm.
    fn look(&self, wall: Timestamp, elapsed_us: i64) {
        let course = &*self.0;
        let offset_ms = wall.ms_since(self.at(elapsed_us));
        course.offset_ms.store(offset_ms, Ordering::Relaxed);
        let slope = judge(offset_ms);
        course.line.bend(slope.unwrap_or(Slope::Even), elapsed_us);
        let trusted = slope.is_some();
        if course.trusted.swap(trusted, Ordering::Relaxed) != trusted {
            report(trusted, offset_ms);
        }
    }

    fn at(&self, elapsed_us: i64) -> Timestamp {
        self.0.start.plus_ms(self.0.line.at(elapsed_us).div_euclid(1000))
    }

    fn elapsed_us(&self) -> i64 {
        let elapsed = i64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        #[cfg(test)]
        let elapsed = elapsed + 1000 * self.0.moved_ms.load(Ordering::SeqCst);
        elapsed
    }
}

fn wall_clock() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now())
}

/// Once when an episode begins, once when it ends.
fn report(trusted: bool, offset_ms: i64) {
    if trusted {
        tracing::info!(offset_ms, "The wall clock agrees with engine time again");
    } else {
        tracing::error!(
            offset_ms,
            "The wall clock is {offset_ms} ms ahead of engine time, more than is followed: set it right. Sales and \
             scans go on in engine time; nothing is deleted for its age"
        );
    }
}
