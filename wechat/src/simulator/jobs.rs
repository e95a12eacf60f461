//! What happens by itself at a time: an ordered queue, for notifications and for changes of state.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// How long the worker sleeps when nothing is due; it is woken when something becomes due earlier.
pub(super) const IDLE: Duration = Duration::from_hours(1);

/// Things by due time (business time), then in order of arrival.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: BTreeMap<(Timestamp, u64), T>,
    arrivals: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), arrivals: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, due: Timestamp, item: T) {
        self.arrivals += 1;
        self.waiting.insert((due, self.arrivals), item);
    }

    /// The first item, with the time it was due, if that has come.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let first = self.waiting.first_entry()?;
        let (due, _) = *first.key();
        (due <= now).then(|| (due, first.remove()))
    }

    /// How long until the next.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        self.waiting.keys().next().map_or(IDLE, |(due, _)| {
            let wait = due.duration_since(now);
            Duration::try_from(wait).unwrap_or_default().min(IDLE)
        })
    }
}

/// A change of state that comes by itself.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// The payer pays; `force` pays what is closed or expired.
    Pay { out_trade_no: String, force: bool },
    /// A refund ends as it was decided when it was made.
    SettleRefund { out_refund_no: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_due_comes_in_order_and_the_rest_says_when() {
        let mut queue = Queue::default();
        queue.push(at(30), "later");
        queue.push(at(10), "first");
        queue.push(at(10), "second");

        assert_eq!(queue.pop_due(at(9)), None);
        assert_eq!(queue.pop_due(at(12)), Some((at(10), "first")));
        assert_eq!(queue.pop_due(at(12)), Some((at(10), "second")));
        assert_eq!(queue.pop_due(at(29)), None);
        assert_eq!(queue.wait(at(10)), Duration::from_secs(20));
        assert_eq!(queue.wait(at(31)), Duration::ZERO);
        assert_eq!(queue.pop_due(at(31)), Some((at(30), "later")));
        assert_eq!(queue.wait(at(31)), IDLE);
    }
}
