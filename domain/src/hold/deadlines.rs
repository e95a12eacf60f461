//! When holds end, the earliest first. They are noted nearly in that order, because holds last equally long, so that
//! noting one is no more than adding to a queue. One that ends before its time is not looked for: it stays noted, and
//! whoever reads passes over it.

use std::collections::VecDeque;

use crate::ids::HoldId;
use crate::time::Timestamp;

/// See the module's documentation. Each end is noted once.
#[derive(Clone, Default, Debug)]
pub(super) struct Deadlines(VecDeque<(Timestamp, HoldId)>);

impl Deadlines {
    pub(super) fn note(&mut self, at: Timestamp, id: HoldId) {
        let noted = (at, id);
        if self.0.back().is_none_or(|last| *last < noted) {
            self.0.push_back(noted);
        } else if let Err(place) = self.0.binary_search(&noted) {
            self.0.insert(place, noted);
        }
    }

    pub(super) fn first(&self) -> Option<(Timestamp, HoldId)> {
        self.0.front().copied()
    }

    /// Those that have come at `now`.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, HoldId)> {
        self.0.iter().copied().take_while(move |(at, _)| *at <= now)
    }

    /// Drops the first ones that are over.
    pub(super) fn drop_first_while(&mut self, is_over: impl Fn(Timestamp, HoldId) -> bool) {
        while self.first().is_some_and(|(at, id)| is_over(at, id)) {
            self.0.pop_front();
        }
        // After a rush its room goes, too.
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.capacity() / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrderId;

    fn hold(number: u128) -> HoldId {
        HoldId { order: OrderId::from_bits(number), item: 0 }
    }

    #[test]
    fn they_come_in_the_order_of_time_each_once_however_they_were_noted() {
        let mut deadlines = Deadlines::default();
        for (ms, number) in [(20, 1), (30, 2), (10, 3), (30, 2), (10, 3), (30, 1)] {
            deadlines.note(Timestamp::from_ms(ms), hold(number));
        }
        let due = |deadlines: &Deadlines, ms| -> Vec<_> {
            deadlines.due(Timestamp::from_ms(ms)).map(|(at, id)| (at.as_ms(), id)).collect()
        };
        assert_eq!(due(&deadlines, 29), [(10, hold(3)), (20, hold(1))]);
        deadlines.drop_first_while(|at, _| at.as_ms() < 30);
        assert_eq!(due(&deadlines, 30), [(30, hold(1)), (30, hold(2))]);
    }
}
