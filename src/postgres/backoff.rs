//! Growing pauses between attempts to reach Postgres.

use std::time::Duration;

/// Quick at first, because most outages are restarts.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Long enough not to be a burden, short enough that nobody waits for us once Postgres is back.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pauses of one worker: 50 ms, then twice as long each time, up to a second.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_MIN }
    }
}

impl Backoff {
    /// Sleeps, and doubles the pause that comes after this one. Needs a runtime with time enabled.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.take()).await;
    }

    fn take(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(PAUSE_MAX);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn pauses_double_up_to_a_second() {
        let mut backoff = Backoff::default();
        let taken: Vec<_> = (0..7).map(|_| backoff.take().as_millis()).collect();
        assert_eq!(taken, [50, 100, 200, 400, 800, 1_000, 1_000]);
    }
}
