//! Which payment each of the provider's transactions has paid: one, and no other (R-PAY-06). The last 48 hours are known here;
//! what is older the bill finds, and whoever verifies.
//!
//! There is an entry for every payment of these hours, so each is small: 64 bits of the hash of either name. That two names
//! have one hash happens once in thousands of millions of millions; then money waits for a person who need not have seen it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash};

use crate::ids::{IdHash, OutTradeNo};
use crate::time::Timestamp;

/// So long a transaction is known, and up to a span longer.
pub const KNOWN_SECONDS: i64 = 48 * 60 * 60;
/// Entries go with their span, so that nobody has to look for old ones.
const SPAN_SECONDS: i64 = 12 * 60 * 60;
/// A span with so many entries ends early.
const SPAN_ENTRIES_MAX: usize = 1 << 17;
/// At most so many spans, the oldest going first: a million entries of 17 to 34 bytes.
const SPANS_MAX: usize = 8;
/// Most entries in all.
pub const ENTRIES_MAX: usize = SPANS_MAX * SPAN_ENTRIES_MAX;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Transactions {
    /// The newest is the last.
    spans: VecDeque<Span>,
}

#[derive(Debug)]
struct Span {
    begun_at: Timestamp,
    /// The payment that each transaction has paid.
    paid: HashMap<u64, u64, IdHash>,
}

impl Transactions {
    /// Whether the transaction is this payment's: from now on it is, if it has paid nothing else.
    pub fn claim(&mut self, transaction: &str, payment: OutTradeNo, now: Timestamp) -> bool {
        let (transaction, payment) = (hash(transaction), hash(payment));
        self.forget(now);
        if let Some(paid) = self.spans.iter().find_map(|span| span.paid.get(&transaction)) {
            return *paid == payment;
        }
        self.note(transaction, payment, now);
        true
    }

    /// Those whose last entry is too old.
    fn forget(&mut self, now: Timestamp) {
        let is_old = |span: &Span| now >= span.begun_at.plus_seconds(SPAN_SECONDS + KNOWN_SECONDS);
        while self.spans.len() > SPANS_MAX || self.spans.front().is_some_and(is_old) {
            self.spans.pop_front();
        }
    }

    /// Notes it in the span that takes new entries.
    fn note(&mut self, transaction: u64, payment: u64, now: Timestamp) {
        let is_open =
            |span: &&mut Span| now < span.begun_at.plus_seconds(SPAN_SECONDS) && span.paid.len() < SPAN_ENTRIES_MAX;
        if let Some(open) = self.spans.back_mut().filter(is_open) {
            open.paid.insert(transaction, payment);
        } else {
            self.spans.push_back(Span { begun_at: now, paid: [(transaction, payment)].into_iter().collect() });
            self.forget(now);
        }
    }
}

fn hash(name: impl Hash) -> u64 {
    foldhash::quality::FixedState::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrderId, Shard};

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    fn payment(order: u64, attempt: u16) -> OutTradeNo {
        OutTradeNo { order: OrderId::compose(NOW, Shard::of(3), order << 2), attempt }
    }

    #[test]
    fn fault_21_a_transaction_pays_one_payment_however_often_it_is_told() {
        let mut transactions = Transactions::default();
        assert!(transactions.claim("4200001", payment(1, 1), NOW));
        assert!(transactions.claim("4200001", payment(1, 1), NOW), "the same notice again");
        assert!(!transactions.claim("4200001", payment(2, 1), NOW), "another order");
        assert!(!transactions.claim("4200001", payment(1, 2), NOW), "another attempt");
        assert!(transactions.claim("4200002", payment(2, 1), NOW), "its own");
        assert!(transactions.claim("4200001", payment(1, 1), NOW), "and it is still the first one's");
    }

    #[test]
    fn fault_21_a_transaction_is_known_for_48_hours() {
        let mut transactions = Transactions::default();
        for hour in 0..200 {
            let now = NOW.plus_seconds(hour * 3_600);
            assert!(transactions.claim(&format!("42{hour}"), payment(hour as u64, 1), now));
            for ago in 0..=hour.min(48) {
                let earlier = format!("42{}", hour - ago);
                assert!(!transactions.claim(&earlier, payment(9_999, 1), now), "{earlier} {ago} hours ago");
            }
        }
        assert!(transactions.spans.len() <= 6);
        let later = NOW.plus_seconds(199 * 3_600 + KNOWN_SECONDS + SPAN_SECONDS);
        assert!(transactions.claim("42199", payment(9_999, 1), later));
        assert_eq!(transactions.spans.len(), 1);
    }

    #[test]
    fn there_are_never_more_than_a_million_and_the_oldest_go_first() {
        let mut transactions = Transactions::default();
        let newest = ENTRIES_MAX as u64;
        (0..=newest).for_each(|number| transactions.note(number, number, NOW));
        let entries: usize = transactions.spans.iter().map(|span| span.paid.len()).sum();
        assert!(entries <= ENTRIES_MAX, "{entries}");
        let knows = |number| transactions.spans.iter().any(|span| span.paid.contains_key(&number));
        assert!(!knows(0) && knows(newest - 1) && knows(newest));
    }
}
