//! The Idempotency-Keys of a desk's made orders, as small as they can be: there is one for every order of 48 hours, also
//! of those that have long left memory.
//!
//! A key is remembered by 64 bits of its digest and its request by 128. Travellers never meet, and one who found two
//! keys of the same digest would be told of an own order. How old an entry is, its order's id says.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use deeptravel_domain::ids::{OrderId, TravellerId};
use deeptravel_domain::time::Timestamp;

use super::KEYS_KEPT_SECONDS;

/// Entries are looked at once in so many orders: finding the place to go on costs more than looking.
const SWEPT_EVERY: u32 = 32;
/// So many then: four for each order, so that old ones go sooner than new ones come.
const SWEPT: usize = 128;

/// Sorted by traveller, so that a traveller's keys are together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Mark {
    traveller: TravellerId,
    key: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    order: OrderId,
    /// Half of the SHA-256 of the request.
    request: [u8; 16],
}

/// An order that a key has made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub order: OrderId,
    /// Whether it was made by this very request.
    pub same_request: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct MadeKeys {
    entries: BTreeMap<Mark, Entry>,
    /// Where sweeping goes on; `None`: at the front.
    swept: Option<Mark>,
    /// Orders made since.
    unswept: u32,
    /// Of the round that is under way: when the oldest entry was made that it has left.
    oldest_left: Option<Timestamp>,
    /// Nothing is too old before.
    sweeps_from: Option<Timestamp>,
}

impl MadeKeys {
    pub fn get(&self, traveller: TravellerId, key: &str, body_hash: &[u8; 32], now: Timestamp) -> Option<Known> {
        let entry = self.entries.get(&mark(traveller, key))?;
        let order = entry.order;
        let made = Known { order, same_request: entry.request == request(body_hash) };
        (!is_old(order, now)).then_some(made)
    }

    /// A newer order of the same key takes the older one's place.
    pub fn insert(&mut self, traveller: TravellerId, key: &str, body_hash: &[u8; 32], order: OrderId) {
        let entry = Entry { order, request: request(body_hash) };
        self.entries.insert(mark(traveller, key), entry);
    }

    /// Forgets the key if it is this order's. Whether it was.
    pub fn remove(&mut self, traveller: TravellerId, key: &str, order: OrderId) -> bool {
        let mark = mark(traveller, key);
        let is_its = self.entries.get(&mark).is_some_and(|entry| entry.order == order);
        if is_its {
            self.entries.remove(&mark);
        }
        is_its
    }

    /// A traveller's orders, newest first.
    pub fn recent(&self, traveller: TravellerId, now: Timestamp) -> Vec<OrderId> {
        let own = self.entries.range(Mark { traveller, key: 0 }..=Mark { traveller, key: u64::MAX });
        let mut orders: Vec<OrderId> = own.map(|(_, entry)| entry.order).collect();
        orders.retain(|order| !is_old(*order, now));
        orders.sort_unstable_by(|a, b| b.cmp(a));
        orders
    }

    /// Drops a few of the entries that are too old, if there can be any. Called for each order that is made.
    pub fn sweep(&mut self, now: Timestamp) {
        self.unswept += 1;
        if self.unswept < SWEPT_EVERY {
            return;
        }
        self.unswept = 0;
        if self.sweeps_from.is_some_and(|from| now < from) {
            return;
        }
        // What comes meanwhile is younger, or older by no more than its making took: then it goes a round later.
        let mut oldest = self.oldest_left.filter(|_| self.swept.is_some()).unwrap_or(now);
        let start = self.swept.unwrap_or(Mark { traveller: TravellerId::from_bits(0), key: 0 });
        let mut looked_at = self.entries.range(start..).map(|(mark, entry)| (*mark, entry.order));
        let here: Vec<(Mark, OrderId)> = looked_at.by_ref().take(SWEPT).collect();
        self.swept = looked_at.next().map(|(next, _)| next);
        for (mark, order) in here {
            if is_old(order, now) {
                self.entries.remove(&mark);
            } else {
                oldest = oldest.min(order.made_at());
            }
        }
        self.oldest_left = Some(oldest);
        if self.swept.is_none() {
            self.sweeps_from = Some(oldest.plus_seconds(KEYS_KEPT_SECONDS));
        }
    }
}

fn mark(traveller: TravellerId, key: &str) -> Mark {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Mark { traveller, key: hasher.finish() }
}

fn request(body_hash: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(body_hash.split_at(16).0);
    half
}

fn is_old(order: OrderId, now: Timestamp) -> bool {
    order.made_at() < now.plus_seconds(-KEYS_KEPT_SECONDS)
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::ids::Shard;

    use super::*;

    const START: Timestamp = Timestamp::from_ms(1_795_147_200_000);
    const HASH: [u8; 32] = [5; 32];

    fn order(seconds: i64, chance: u64) -> OrderId {
        OrderId::compose(START.plus_seconds(seconds), Shard::of(1), chance << 2)
    }

    fn traveller(number: u64) -> TravellerId {
        TravellerId::from_bits(u128::from(number) << 64 | 7)
    }

    #[test]
    fn r_hold_05_a_key_is_known_for_48_hours_with_its_request_and_to_its_traveller_alone() {
        let mut keys = MadeKeys::default();
        keys.insert(traveller(1), "key", &HASH, order(0, 1));

        let get =
            |traveller, key, hash: &[u8; 32], seconds| keys.get(traveller, key, hash, START.plus_seconds(seconds));
        assert_eq!(get(traveller(1), "key", &HASH, 0), Some(Known { order: order(0, 1), same_request: true }));
        let mut other = HASH;
        other[15] = 6;
        assert_eq!(get(traveller(1), "key", &other, 0), Some(Known { order: order(0, 1), same_request: false }));
        assert_eq!(get(traveller(1), "another", &HASH, 0), None);
        assert_eq!(get(traveller(2), "key", &HASH, 0), None);
        assert!(get(traveller(1), "key", &HASH, KEYS_KEPT_SECONDS).is_some());
        assert_eq!(get(traveller(1), "key", &HASH, KEYS_KEPT_SECONDS + 1), None);
    }

    #[test]
    fn a_key_is_forgotten_only_for_the_order_that_it_made() {
        let mut keys = MadeKeys::default();
        keys.insert(traveller(1), "key", &HASH, order(0, 1));
        assert!(!keys.remove(traveller(1), "key", order(0, 2)));
        assert!(keys.remove(traveller(1), "key", order(0, 1)));
        assert_eq!(keys.get(traveller(1), "key", &HASH, START), None);
    }

    #[test]
    fn a_travellers_orders_come_newest_first_and_nobody_elses() {
        let mut keys = MadeKeys::default();
        for (number, seconds) in [(1, 0), (2, 9), (3, 4)] {
            keys.insert(traveller(1), &number.to_string(), &HASH, order(seconds, number));
            keys.insert(traveller(2), &number.to_string(), &HASH, order(seconds, number + 10));
        }
        assert_eq!(keys.recent(traveller(1), START.plus_seconds(9)), [order(9, 2), order(4, 3), order(0, 1)]);
        assert_eq!(keys.recent(traveller(1), START.plus_seconds(KEYS_KEPT_SECONDS + 1)), [order(9, 2), order(4, 3)]);
    }

    #[test]
    fn nothing_is_looked_at_until_something_can_be_old_and_then_it_goes() {
        let mut keys = MadeKeys::default();
        let mut sold = 0;
        let mut sell = |keys: &mut MadeKeys, seconds: i64, count: u64| {
            for number in sold..sold + count {
                keys.insert(traveller(number), "key", &HASH, order(seconds, number));
                keys.sweep(START.plus_seconds(seconds));
            }
            sold += count;
        };
        sell(&mut keys, 0, 1_000);
        sell(&mut keys, 60, 1_000);
        assert_eq!(keys.sweeps_from, Some(START.plus_seconds(KEYS_KEPT_SECONDS)));
        assert_eq!((keys.entries.len(), keys.swept), (2_000, None), "no look began");
        sell(&mut keys, KEYS_KEPT_SECONDS + 30, 1_000);
        assert_eq!(keys.entries.len(), 2_000, "the first thousand has gone");
        sell(&mut keys, KEYS_KEPT_SECONDS + 90, 1_000);
        assert_eq!(keys.entries.len(), 2_000, "and the second");
    }

    #[test]
    fn old_keys_go_sooner_than_new_ones_come() {
        let mut keys = MadeKeys::default();
        for number in 0..1_000 {
            keys.insert(traveller(number), "key", &HASH, order(0, number));
        }
        for number in 0..500 {
            keys.insert(traveller(number), "new", &HASH, order(KEYS_KEPT_SECONDS, number + 5_000));
            keys.sweep(START.plus_seconds(KEYS_KEPT_SECONDS + 1));
        }
        assert_eq!(keys.entries.len(), 500);
    }
}
