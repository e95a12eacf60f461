//! Engine time: starts at the later of the wall clock and the last journaled instant, then runs on the monotonic clock
//! (rule 15).
//!
//! Once a second the wall clock is looked at. A small difference is slewed away; a large one is a fault of this machine
//! and not followed: an alarm says so, and whatever deletes by age waits until [`Clock::is_steady`]. How far the wall clock
//! may be from the last journaled instant at a start is for whoever starts to decide ([`ClockOptions::judge`]).

mod line;
mod start;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use deeptravel_domain::time::Timestamp;

use line::{FOLLOWED_MS_MAX, Line, PackedLine, Slope, judge};
pub use start::{ClockOptions, Standing};

/// How often the wall clock is looked at. An alarm is at most this late.
const LOOK: Duration = Duration::from_secs(1);

/// So long the clocks have to agree before anything is deleted for its age, in µs: after a start at which the wall clock
/// was ahead of the journal, and after every alarm. Somebody who has set a clock wrong notices within this.
const STEADY_US: i64 = 3_600_000_000;

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
    /// Microseconds since the start from which on the clocks are steady, if they go on to agree.
    steady_from_us: AtomicI64,
    #[cfg(test)]
    moved_ms: AtomicI64,
}

impl Clock {
    /// `journaled`: the instant of the last record, if there is one.
    pub fn start(journaled: Option<Timestamp>) -> Clock {
        Clock::starting(wall_clock(), journaled)
    }

    fn starting(wall: Timestamp, journaled: Option<Timestamp>) -> Clock {
        let has_jumped = journaled.is_some_and(|last| wall.ms_since(last) > FOLLOWED_MS_MAX);
        let clock = Clock(Arc::new(Course {
            start: journaled.map_or(wall, |last| last.max(wall)),
            started: Instant::now(),
            line: PackedLine::new(Line::EVEN),
            offset_ms: AtomicI64::new(0),
            trusted: AtomicBool::new(true),
            steady_from_us: AtomicI64::new(if has_jumped { STEADY_US } else { 0 }),
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

    /// Whether the wall clock agrees with engine time. While it does not, nobody knows which of them is right.
    pub fn is_trusted(&self) -> bool {
        self.0.trusted.load(Ordering::Relaxed)
    }

    /// Whether they have agreed for so long that what is old may be believed to be: before, nothing irreversible may be
    /// done for its age.
    pub fn is_steady(&self) -> bool {
        self.is_steady_at(self.elapsed_us())
    }

    fn is_steady_at(&self, elapsed_us: i64) -> bool {
        self.is_trusted() && elapsed_us >= self.0.steady_from_us.load(Ordering::Relaxed)
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
        if !trusted {
            course.steady_from_us.store(elapsed_us.saturating_add(STEADY_US), Ordering::Relaxed);
        }
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

/// What the machine says that it is.
pub fn wall_clock() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now())
}

/// Once when an episode begins, once when it ends.
fn report(trusted: bool, offset_ms: i64) {
    if trusted {
        tracing::info!(offset_ms, "The wall clock agrees with engine time again");
    } else {
        let (ms, side) = (offset_ms.unsigned_abs(), if offset_ms < 0 { "behind" } else { "ahead of" });
        tracing::error!(
            offset_ms,
            "The wall clock is {ms} ms {side} engine time, more than is followed: set whichever is wrong right \
             (docs/wrong-clock.md). Sales and scans go on in engine time; nothing is deleted for its age"
        );
    }
}
