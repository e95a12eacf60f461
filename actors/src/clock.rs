//! Engine time: starts at the later of the wall clock and the last journaled instant, and never runs backwards
//! (rule 15).

use std::time::Instant;

use deeptravel_domain::time::Timestamp;

/// The clock that every owner reads. Cheap to clone; monotonic.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
    #[cfg(test)]
    moved: &'static std::sync::atomic::AtomicI64,
}

impl Clock {
    /// `journaled`: the instant of the last record, if there is one.
    pub fn start(journaled: Option<Timestamp>) -> Clock {
        let wall = Timestamp::from_jiff(jiff::Timestamp::now());
        Clock::running_from(journaled.map_or(wall, |last| last.max(wall)))
    }

    fn running_from(start: Timestamp) -> Clock {
        Clock {
            start,
            started: Instant::now(),
            #[cfg(test)]
            moved: Box::leak(Box::default()),
        }
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().as_millis();
        let now = self.start.plus_ms(i64::try_from(elapsed).unwrap_or(i64::MAX));
        #[cfg(test)]
        let now = now.plus_ms(self.moved.load(std::sync::atomic::Ordering::SeqCst));
        now
    }
}

/// The clock of tests: runs from a fixed instant, and is moved on by hand. Timers look at it often (see `timer`).
#[cfg(test)]
impl Clock {
    pub fn by_hand(start: Timestamp) -> Clock {
        Clock::running_from(start)
    }

    /// Every copy of this clock moves on.
    pub fn pass(&self, seconds: i64) {
        self.moved.fetch_add(seconds * 1000, std::sync::atomic::Ordering::SeqCst);
    }
}
