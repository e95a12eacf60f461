//! How often passwords were wrong, and who is sent away for that. Strangers cannot keep those out who come from where they
//! have logged in before: their failures are counted apart.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// So many wrong passwords of one name from one place are allowed within [`WINDOW`].
pub(super) const OF_ORIGIN_MAX: u32 = 5;
/// So many from one place, of all names that it is not known for: a port's staff behind one address mistypes less.
const OF_PLACE_MAX: u32 = 20;
/// So many of one name, from all places that are not known for it: 28,800 guesses a day of 12 characters.
const OF_NAME_MAX: u32 = 20;
/// Counted from the first failure: a member of staff who mistypes waits a minute.
const WINDOW: Duration = Duration::from_mins(1);
/// Counts that are remembered of each kind: more than the checks can fail within the window.
const COUNTS_MAX: usize = 16_384;
/// Places that a name is known from; the one that was used longest ago is forgotten. More than gates share an account at.
const KNOWN_MAX: usize = 64;

/// Where somebody is: an IPv4 address, or the 64 bits of an IPv6 address that one customer has for himself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place(IpAddr);

impl From<IpAddr> for Place {
    fn from(address: IpAddr) -> Place {
        match address.to_canonical() {
            IpAddr::V6(address) => Place(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => Place(address),
        }
    }
}

/// Whose password it is said to be, and where from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    pub username: Box<str>,
    pub place: Place,
}

/// Who has failed how often within the window, and who has logged in where. Forgotten with the process: then everybody is a
/// stranger until he has logged in.
#[derive(Debug)]
pub(super) struct Guesses {
    of_origins: Counts<Origin>,
    of_places: Counts<Place>,
    of_names: Counts<Box<str>>,
    /// Names of accounts that have logged in, and from where; the newest last. As many as there are accounts.
    known: HashMap<Box<str>, VecDeque<Place>>,
}

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses {
            of_origins: Counts::up_to(OF_ORIGIN_MAX),
            of_places: Counts::up_to(OF_PLACE_MAX),
            of_names: Counts::up_to(OF_NAME_MAX),
            known: HashMap::new(),
        }
    }
}

impl Guesses {
    /// Whether this name has logged in from there before.
    pub(super) fn knows(&self, origin: &Origin) -> bool {
        self.known.get(&origin.username).is_some_and(|places| places.contains(&origin.place))
    }

    /// For how long the origin has to wait.
    pub(super) fn blocked(&self, origin: &Origin, now: Instant) -> Option<Duration> {
        let own = self.of_origins.blocked(origin, now);
        if self.knows(origin) {
            return own;
        }
        let of_all = [self.of_places.blocked(&origin.place, now), self.of_names.blocked(&origin.username, now)];
        of_all.into_iter().chain([own]).flatten().max()
    }

    pub(super) fn failed(&mut self, origin: Origin, now: Instant) {
        if !self.knows(&origin) {
            self.of_places.note(origin.place, now);
            self.of_names.note(origin.username.clone(), now);
        }
        self.of_origins.note(origin, now);
    }

    pub(super) fn succeeded(&mut self, origin: Origin) {
        self.of_origins.0.remove(&origin);
        let places = self.known.entry(origin.username).or_default();
        places.retain(|known| *known != origin.place);
        if places.len() == KNOWN_MAX {
            places.pop_front();
        }
        places.push_back(origin.place);
    }
}

/// Failures of each within the window, and how many are allowed.
#[derive(Debug)]
struct Counts<K>(HashMap<K, Count>, u32);

#[derive(Debug)]
struct Count {
    failures: u32,
    until: Instant,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    fn up_to(max: u32) -> Counts<K> {
        Counts(HashMap::new(), max)
    }

    fn blocked(&self, key: &K, now: Instant) -> Option<Duration> {
        let count = self.0.get(key)?;
        let left = count.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        (count.failures >= self.1).then_some(left)
    }

    fn note(&mut self, key: K, now: Instant) {
        self.make_room(now);
        let fresh = || Count { failures: 0, until: now + WINDOW };
        let count = self.0.entry(key).or_insert_with(fresh);
        if count.until <= now {
            *count = fresh();
        }
        count.failures += 1;
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < COUNTS_MAX {
            return;
        }
        self.0.retain(|_, count| count.until > now);
        if self.0.len() >= COUNTS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, count)| count.until).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(username: &str, address: &str) -> Origin {
        Origin { username: username.into(), place: address.parse::<IpAddr>().unwrap().into() }
    }

    /// Fails as often as it is let, and says how often that was.
    fn exhaust(guesses: &mut Guesses, origins: impl Iterator<Item = Origin>, now: Instant) -> u32 {
        let mut failures = 0;
        for origin in origins {
            if guesses.blocked(&origin, now).is_none() {
                guesses.failed(origin, now);
                failures += 1;
            }
        }
        failures
    }

    #[test]
    fn a_blocked_name_may_try_again_after_the_window_and_a_success_clears_it() {
        let (mut guesses, begun, gate) = (Guesses::default(), Instant::now(), origin("gate", "192.0.2.1"));
        for _ in 0..OF_ORIGIN_MAX {
            assert_eq!(guesses.blocked(&gate, begun), None);
            guesses.failed(gate.clone(), begun);
        }
        assert_eq!(guesses.blocked(&gate, begun), Some(WINDOW));
        assert_eq!(guesses.blocked(&origin("gate", "192.0.2.2"), begun), None, "another place");
        assert_eq!(guesses.blocked(&origin("museum", "192.0.2.1"), begun), None, "another name");
        let later = begun + WINDOW;
        assert_eq!(guesses.blocked(&gate, later), None);
        guesses.failed(gate.clone(), later);
        assert_eq!(guesses.blocked(&gate, later), None, "the count starts anew");
        guesses.succeeded(gate.clone());
        assert_eq!(exhaust(&mut guesses, std::iter::repeat_n(gate, 9), later), OF_ORIGIN_MAX);
    }

    #[test]
    fn fault_5_thirty_names_from_one_address_are_limited() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let names = |address| (0..30).map(move |number| origin(&format!("n{number}"), address));
        assert_eq!(exhaust(&mut guesses, names("192.0.2.1"), now), OF_PLACE_MAX);
        assert_eq!(guesses.blocked(&origin("gate", "192.0.2.2"), now), None, "another place");
        // Whoever has IPv6 has more addresses than anybody could count.
        let sprayed = (0..30).map(|number| origin(&format!("m{number}"), &format!("2001:db8::{number}")));
        assert_eq!(exhaust(&mut guesses, sprayed, now), OF_PLACE_MAX);
    }

    #[test]
    fn fault_5_guesses_of_one_name_from_many_addresses_are_limited() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let many = (1..=99).map(|last| origin("gate", &format!("192.0.2.{last}")));
        assert_eq!(exhaust(&mut guesses, many, now), OF_NAME_MAX);
        assert_eq!(guesses.blocked(&origin("museum", "192.0.2.100"), now), None, "another name");
    }

    #[test]
    fn fault_5_strangers_cannot_lock_out_who_comes_from_where_he_has_logged_in() {
        let (mut guesses, now, gate) = (Guesses::default(), Instant::now(), origin("gate", "192.0.2.1"));
        guesses.succeeded(gate.clone());
        exhaust(&mut guesses, (2..=99).map(|last| origin("gate", &format!("192.0.2.{last}"))), now);
        exhaust(&mut guesses, (0..99).map(|number| origin(&format!("n{number}"), "192.0.2.1")), now);
        assert_eq!(guesses.blocked(&gate, now), None);
        assert!(guesses.blocked(&origin("gate", "198.51.100.1"), now).is_some(), "a stranger to the name");
        assert!(guesses.blocked(&origin("museum", "192.0.2.1"), now).is_some(), "a name that is a stranger there");
        assert_eq!(exhaust(&mut guesses, std::iter::repeat_n(gate, 9), now), OF_ORIGIN_MAX, "his own guesses count");
    }

    #[test]
    fn the_memory_of_failures_and_of_places_is_bounded() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..COUNTS_MAX + 100 {
            let [.., high, low] = number.to_be_bytes();
            guesses.failed(origin(&number.to_string(), &format!("192.0.{high}.{low}")), now);
            guesses.succeeded(origin("gate", &format!("198.51.{high}.{low}")));
        }
        let counts = [guesses.of_origins.0.len(), guesses.of_places.0.len(), guesses.of_names.0.len()];
        assert_eq!(counts, [COUNTS_MAX; 3]);
        assert_eq!(guesses.known["gate"].len(), KNOWN_MAX);
    }
}
