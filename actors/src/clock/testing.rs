//! The clock of tests: runs from a fixed instant, and is moved on by hand. Timers look at it often (see `timer`).

use std::sync::atomic::Ordering;

use deeptravel_domain::time::Timestamp;

use super::Clock;

impl Clock {
    pub fn by_hand(start: Timestamp) -> Clock {
        Clock::starting(start, None)
    }

    /// Every clone of this clock moves on.
    pub fn pass(&self, seconds: i64) {
        self.pass_ms(seconds * 1000);
    }

    pub fn pass_ms(&self, ms: i64) {
        self.0.moved_ms.fetch_add(ms, Ordering::SeqCst);
    }
}
