//! The Idempotency-Keys of a desk's made orders, as small as they can be: there is one for every order of 48 hours, also
//! of those that have long left memory.
//!
//! A key is remembered by 64 bits of its digest and its request by 128. Travellers never meet, and one who found two
//! keys of the same digest would be told of an own order. How old an entry is, its order's id says.
//!
//! Entries lie in many small tables: one that grows is moved as a whole, and nobody should wait for that.

use std::hash::{BuildHasher as _, RandomState};

use deeptravel_domain::ids::{IdMap, OrderId, Shard, TravellerId};
use deeptravel_domain::time::Timestamp;

use super::KEYS_KEPT_SECONDS;
use crate::services::{DESKS, traveller_shard};

/// One for each shard of travellers that the desk has: some thousand entries each when there are millions of orders.
const TABLES: usize = Shard::COUNT as usize / DESKS;
/// For each order that is made so many entries are looked at, so that old ones go sooner than new ones come.
const SWEPT_EACH: usize = 4;

/// A traveller's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    pub traveller: TravellerId,
    digest: u64,
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
#[derive(Debug)]
pub struct MadeKeys {
    /// Clients choose their keys: nobody may know which digest one has.
    digests: RandomState,
    /// By the traveller's shard.
    tables: Box<[IdMap<Mark, Entry>]>,
    /// The table to be swept next.
    next: usize,
    /// So many entries may be looked at.
    allowed: usize,
    /// Of the round that is under way: when the oldest entry was made that it has left.
    oldest_left: Option<Timestamp>,
    /// Nothing is too old before.
    sweeps_from: Option<Timestamp>,
}

impl Default for MadeKeys {
    fn default() -> MadeKeys {
        MadeKeys {
            digests: RandomState::new(),
            tables: (0..TABLES).map(|_| IdMap::default()).collect(),
            next: 0,
            allowed: 0,
            oldest_left: None,
            sweeps_from: None,
        }
    }
}

impl MadeKeys {
    pub fn mark(&self, traveller: TravellerId, key: &str) -> Mark {
        Mark { traveller, digest: self.digests.hash_one(key) }
    }

    pub fn get(&self, mark: Mark, body_hash: &[u8; 32], now: Timestamp) -> Option<Known> {
        let entry = self.tables.get(table_of(mark.traveller))?.get(&mark)?;
        let made = Known { order: entry.order, same_request: entry.request == request(body_hash) };
        (!is_old(entry.order, now)).then_some(made)
    }

    /// A newer order of the same key takes the older one's place.
    pub fn insert(&mut self, mark: Mark, body_hash: &[u8; 32], order: OrderId) {
        if let Some(table) = self.tables.get_mut(table_of(mark.traveller)) {
            table.insert(mark, Entry { order, request: request(body_hash) });
        }
    }

    /// Forgets the key if it is this order's. Whether it was.
    pub fn remove(&mut self, mark: Mark, order: OrderId) -> bool {
        let Some(table) = self.tables.get_mut(table_of(mark.traveller)) else { return false };
        let is_its = table.get(&mark).is_some_and(|entry| entry.order == order);
        is_its && table.remove(&mark).is_some()
    }

    /// A traveller's orders, newest first.
    pub fn recent(&self, traveller: TravellerId, now: Timestamp) -> Vec<OrderId> {
        let shard = self.tables.get(table_of(traveller)).into_iter().flatten();
        let own = shard.filter(|(mark, _)| mark.traveller == traveller).map(|(_, entry)| entry.order);
        let mut orders: Vec<OrderId> = own.filter(|order| !is_old(*order, now)).collect();
        orders.sort_unstable_by(|a, b| b.cmp(a));
        orders
    }

    /// Drops entries that are too old from the tables whose turn has come, if there can be any. Called for each order
    /// that is made.
    pub fn sweep(&mut self, now: Timestamp) {
        self.allowed += SWEPT_EACH;
        while self.sweeps_from.is_none_or(|from| from <= now) {
            // An empty table is looked at, too.
            let Some(left) = self.tables.get(self.next).and_then(|table| self.allowed.checked_sub(table.len() + 1))
            else {
                return;
            };
            self.allowed = left;
            self.sweep_next(now);
        }
        self.allowed = 0;
    }

    fn sweep_next(&mut self, now: Timestamp) {
        let Some(table) = self.tables.get_mut(self.next) else { return };
        // What comes meanwhile is younger, or older by no more than its making took: then it goes a round later.
        let mut oldest = self.oldest_left.unwrap_or(now);
        table.retain(|_, entry| {
            let stays = !is_old(entry.order, now);
            if stays {
                oldest = oldest.min(entry.order.made_at());
            }
            stays
        });
        if table.len() < table.capacity() / 4 {
            table.shrink_to(table.capacity() / 2);
        }
        self.next = (self.next + 1) % TABLES;
        self.oldest_left = (self.next > 0).then_some(oldest);
        if self.next == 0 {
            self.sweeps_from = Some(oldest.plus_seconds(KEYS_KEPT_SECONDS));
        }
    }
}

fn table_of(traveller: TravellerId) -> usize {
    usize::from(traveller_shard(traveller).number()) / DESKS
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
    use super::*;

    const START: Timestamp = Timestamp::from_ms(1_795_147_200_000);
    const HASH: [u8; 32] = [5; 32];

    fn order(seconds: i64, chance: u64) -> OrderId {
        OrderId::compose(START.plus_seconds(seconds), Shard::of(1), chance << 2)
    }

    fn traveller(number: u64) -> TravellerId {
        TravellerId::from_bits(u128::from(number) << 64 | u128::from(number))
    }

    impl MadeKeys {
        fn len(&self) -> usize {
            self.tables.iter().map(IdMap::len).sum()
        }
    }

    #[test]
    fn r_hold_05_a_key_is_known_for_48_hours_with_its_request_and_to_its_traveller_alone() {
        let mut keys = MadeKeys::default();
        keys.insert(keys.mark(traveller(1), "key"), &HASH, order(0, 1));

        let get = |traveller, key, hash: &[u8; 32], seconds| {
            keys.get(keys.mark(traveller, key), hash, START.plus_seconds(seconds))
        };
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
        keys.insert(keys.mark(traveller(1), "key"), &HASH, order(0, 1));
        let mark = keys.mark(traveller(1), "key");
        assert!(!keys.remove(mark, order(0, 2)));
        assert!(keys.remove(mark, order(0, 1)));
        assert_eq!(keys.get(mark, &HASH, START), None);
    }

    #[test]
    fn a_travellers_orders_come_newest_first_and_nobody_elses() {
        let mut keys = MadeKeys::default();
        for (number, seconds) in [(1, 0), (2, 9), (3, 4)] {
            // The third has the shard of the first.
            for (at, traveller) in
                [traveller(1), traveller(2), traveller(1 + u64::from(Shard::COUNT))].iter().enumerate()
            {
                let mark = keys.mark(*traveller, &number.to_string());
                keys.insert(mark, &HASH, order(seconds, number + 10 * at as u64));
            }
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
                keys.insert(keys.mark(traveller(number), "key"), &HASH, order(seconds, number));
                keys.sweep(START.plus_seconds(seconds));
            }
            sold += count;
        };
        sell(&mut keys, 0, 1_000);
        sell(&mut keys, 60, 1_000);
        assert_eq!(keys.sweeps_from, Some(START.plus_seconds(KEYS_KEPT_SECONDS)));
        assert_eq!((keys.len(), keys.next), (2_000, 0), "no look began");
        sell(&mut keys, KEYS_KEPT_SECONDS + 30, 1_000);
        assert_eq!(keys.len(), 2_000, "the first thousand has gone");
        sell(&mut keys, KEYS_KEPT_SECONDS + 90, 1_000);
        assert_eq!(keys.len(), 2_000, "and the second");
    }

    #[test]
    fn old_keys_go_sooner_than_new_ones_come() {
        let mut keys = MadeKeys::default();
        for number in 0..1_000 {
            keys.insert(keys.mark(traveller(number), "key"), &HASH, order(0, number));
        }
        for number in 0..500 {
            keys.insert(keys.mark(traveller(number), "new"), &HASH, order(KEYS_KEPT_SECONDS, number + 5_000));
            keys.sweep(START.plus_seconds(KEYS_KEPT_SECONDS + 1));
        }
        assert_eq!(keys.len(), 500);
    }
}
