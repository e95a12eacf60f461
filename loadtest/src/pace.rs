//! The open-loop schedule: request `n` is due at `n / rate` after the begin, whatever happened to the ones before. A
//! latency counts from there, so that a server that stalls is charged for everybody who would have waited.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Shortest sleep of the pacer: a wake-up per request would cost as much as the request.
const SLEEP_MIN: Duration = Duration::from_micros(300);

/// When each request is due.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    pub begin: Instant,
    /// Requests per second, above zero.
    pub rate: f64,
    /// Of how many generator threads.
    pub lanes: u64,
    /// Which of them this is, from 0: it has the requests `lane`, `lane + lanes`, and so on.
    pub lane: u64,
}

impl Schedule {
    /// The number of a lane's `slot`-th request.
    pub fn number(&self, slot: u64) -> u64 {
        slot * self.lanes + self.lane
    }

    /// When a lane's `slot`-th request is due.
    pub fn due(&self, slot: u64) -> Instant {
        self.begin + Duration::from_secs_f64(self.number(slot) as f64 / self.rate)
    }

    /// How many of the lane's requests are due before `now`.
    pub fn due_before(&self, now: Instant) -> u64 {
        let numbers = now.saturating_duration_since(self.begin).as_secs_f64() * self.rate;
        // Requests with a number below `numbers`: the ceiling, then those of this lane.
        (numbers.ceil() as u64).saturating_sub(self.lane).div_ceil(self.lanes)
    }
}

/// Hands out slots as they fall due, from a thread of its own: the timers of the runtime have only milliseconds.
/// At `end` the semaphore closes; what was due and not taken by then remains the difference to `due_before(end)`.
pub fn start(schedule: Schedule, end: Instant) -> Arc<Semaphore> {
    let slots = Arc::new(Semaphore::new(0));
    let given = Arc::clone(&slots);
    thread::spawn(move || {
        let mut issued = 0;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let due = schedule.due_before(now);
            given.add_permits((due - issued) as usize);
            issued = due;
            let wait = schedule.due(due).saturating_duration_since(now).max(SLEEP_MIN);
            thread::sleep(wait.min(end.saturating_duration_since(now)));
        }
        given.close();
    });
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_one_even_schedule() {
        let begin = Instant::now();
        let lanes: Vec<Schedule> = (0..2).map(|lane| Schedule { begin, rate: 1000.0, lanes: 2, lane }).collect();
        let due: Vec<Duration> = (0..2).flat_map(|slot| lanes.iter().map(move |lane| lane.due(slot) - begin)).collect();
        assert_eq!(due, (0..4).map(Duration::from_millis).collect::<Vec<_>>());
        // After 2.5 ms the requests 0, 1 and 2 are due: two of the first lane, one of the second.
        let now = begin + Duration::from_micros(2500);
        assert_eq!([lanes[0].due_before(now), lanes[1].due_before(now)], [2, 1]);
        assert_eq!(lanes[0].due_before(begin), 0);
    }

    #[test]
    fn everything_due_is_handed_out_and_then_the_schedule_closes() {
        let begin = Instant::now();
        let schedule = Schedule { begin, rate: 10_000.0, lanes: 1, lane: 0 };
        let end = begin + Duration::from_millis(20);
        let slots = start(schedule, end);
        while !slots.is_closed() {
            thread::yield_now();
        }
        assert!(Instant::now() >= end);
        let handed_out = slots.available_permits() as u64;
        assert!(handed_out <= schedule.due_before(end), "{handed_out} slots in 20 ms");
    }
}
