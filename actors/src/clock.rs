//! Engine time: starts at the later of the wall clock and the last journaled instant, and never runs backwards
//! (rule 15).

use std::time::Instant;

use deeptravel_domain::time::Timestamp;

/// The clock that every owner reads. Cheap to clone; monotonic.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
}

impl Clock {
    /// `journaled`: the instant of the last record, if there is one.
    pub fn start(journaled: Option<Timestamp>) -> Clock {
        let wall = Timestamp::from_jiff(jiff::Timestamp::now());
        Clock { start: journaled.map_or(wall, |last| last.max(wall)), started: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().as_millis();
        self.start.plus_ms(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}
