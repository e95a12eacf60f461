//! Passwords of staff. A check is slow on purpose (argon2), so few run at once, few more may wait, and whoever keeps
//! failing is sent away for a while. Whether a name exists cannot be told from the answer or from how long it takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use deeptravel_domain::identity::Account;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::guesses::{Guesses, Origin, Place};
use super::problem::Problem;
use super::refusals;

/// Checks at once: each takes a core for tens of milliseconds and 19 MiB, and selling must go on meanwhile.
const CHECKS_MAX: usize = 2;
/// Of these for strangers: one is left for those who come from where they have logged in before.
const CHECKS_OF_STRANGERS_MAX: usize = 1;
/// Logins under way from known places, the waiting ones included: what the checks get done in a few seconds.
const LOGINS_MAX: usize = 64;
/// The same for strangers.
const STRANGERS_MAX: usize = 64;
/// Of these from one place, so that one stranger leaves room for others.
const STRANGERS_OF_PLACE_MAX: usize = 24;

/// What a password for an unknown name is compared with: a hash of the same cost that no password has.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ$bm9ib2R5J3MgcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXM";

/// Checks passwords. One for the process.
#[derive(Debug)]
pub struct Passwords {
    checks: Arc<Semaphore>,
    checks_of_strangers: Arc<Semaphore>,
    logins: Semaphore,
    strangers: Semaphore,
    /// Strangers under way by place.
    by_place: Mutex<HashMap<Place, usize>>,
    guesses: Arc<Mutex<Guesses>>,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            checks_of_strangers: Arc::new(Semaphore::new(CHECKS_OF_STRANGERS_MAX)),
            logins: Semaphore::new(LOGINS_MAX),
            strangers: Semaphore::new(STRANGERS_MAX),
            by_place: Mutex::default(),
            guesses: Arc::default(),
        }
    }
}

impl Passwords {
    /// The account, if there is one, it may be used, and the password is right. 401 otherwise, 429 after repeated
    /// failures, 503 when too many log in at once.
    pub async fn check(
        &self,
        origin: Origin,
        account: Option<Arc<Account>>,
        password: String,
        blocking: &Handle,
    ) -> Result<Arc<Account>, Problem> {
        self.refuse_if_blocked(&origin)?;
        let is_known = lock(&self.guesses).knows(&origin);
        let turn = if is_known { self.turn_of_known() } else { self.turn_of_stranger(origin.place) };
        let _turn =
            turn.ok_or_else(|| refusals::OVERLOADED.saying("too many are logging in at once").retry_after(2))?;
        let apart = if is_known { None } else { Some(Arc::clone(&self.checks_of_strangers).acquire_owned().await) };
        let check = Arc::clone(&self.checks).acquire_owned().await;
        // Others with the same name may have failed while this one waited.
        self.refuse_if_blocked(&origin)?;

        let guesses = Arc::clone(&self.guesses);
        let checking = blocking.spawn_blocking(move || {
            let hash = account.as_deref().map(|account| &*account.password_hash);
            // An account that has no password yet is like none.
            let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or(NOBODYS_HASH);
            let right = is_password(hash, &password);
            let accepted = account.filter(|account| right && !account.disabled);
            // Here, although the client may have left: a failure counts before the next one is tried.
            match &accepted {
                Some(_) => lock(&guesses).succeeded(origin),
                None => lock(&guesses).failed(origin, Instant::now()),
            }
            drop((check, apart));
            accepted
        });
        let accepted = checking.await.map_err(|error| Problem::fault("A password could not be checked", &error))?;
        accepted.ok_or_else(|| refusals::UNAUTHENTICATED.saying("the user name or the password is wrong"))
    }

    /// The hash of a new password. As many are made at once as are checked.
    pub async fn hash(&self, password: String, blocking: &Handle) -> Result<Box<str>, Problem> {
        let turn = Arc::clone(&self.checks).acquire_owned().await;
        let hashing = blocking.spawn_blocking(move || {
            let hash = hash_password(&password);
            drop(turn);
            hash
        });
        let hash = hashing.await.map_err(|error| Problem::fault("A password could not be hashed", &error))?;
        hash.map_err(|error| Problem::fault("A password could not be hashed", &error))
    }

    fn refuse_if_blocked(&self, origin: &Origin) -> Result<(), Problem> {
        let Some(left) = lock(&self.guesses).blocked(origin, Instant::now()) else { return Ok(()) };
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Problem::from(refusals::RATE_LIMITED).retry_after(seconds))
    }

    fn turn_of_known(&self) -> Option<Turn<'_>> {
        Some(Turn { _room: self.logins.try_acquire().ok()?, of_place: None })
    }

    fn turn_of_stranger(&self, place: Place) -> Option<Turn<'_>> {
        let room = self.strangers.try_acquire().ok()?;
        let mut by_place = lock(&self.by_place);
        let under_way = by_place.entry(place).or_default();
        if *under_way == STRANGERS_OF_PLACE_MAX {
            return None;
        }
        *under_way += 1;
        Some(Turn { _room: room, of_place: Some((&self.by_place, place)) })
    }
}

/// Room for a login under way, given back when it ends or the client leaves.
struct Turn<'a> {
    _room: SemaphorePermit<'a>,
    of_place: Option<(&'a Mutex<HashMap<Place, usize>>, Place)>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some((by_place, place)) = self.of_place else { return };
        let mut by_place = lock(by_place);
        if let Some(under_way) = by_place.get_mut(&place) {
            *under_way -= 1;
            if *under_way == 0 {
                by_place.remove(&place);
            }
        }
    }
}

/// Held for a look-up only, and never left half-changed.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A PHC string. It takes long on purpose.
pub fn hash_password(password: &str) -> Result<Box<str>, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string().into())
}

fn is_password(hash: &str, password: &str) -> bool {
    match PasswordHash::new(hash) {
        Ok(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Err(error) => {
            tracing::error!(%error, "The password hash of an account cannot be read: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use deeptravel_domain::identity::Role;

    use super::super::guesses::OF_ORIGIN_MAX;
    use super::*;

    fn origin(username: &str, last: u8) -> Origin {
        Origin { username: username.into(), place: Place::from(IpAddr::from([192, 0, 2, last])) }
    }

    fn account(disabled: bool) -> Arc<Account> {
        let password_hash = Argon2::default().hash_password(b"right").unwrap().to_string();
        Arc::new(Account {
            username: "gate".into(),
            password_hash: password_hash.into(),
            roles: [Role::Operator].into(),
            redeems: Arc::default(),
            disabled,
            revision: 1,
        })
    }

    async fn status(passwords: &Passwords, origin: Origin, account: Option<Arc<Account>>, password: &str) -> u16 {
        match passwords.check(origin, account, password.to_owned(), &Handle::current()).await {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        }
    }

    #[test]
    fn nobodys_hash_costs_what_ours_cost_and_fits_no_password() {
        let ours = Argon2::default().hash_password(b"any").unwrap().to_string();
        let cost = |phc: &str| phc.rsplitn(3, '$').nth(2).map(str::to_owned);
        assert_eq!(cost(NOBODYS_HASH), cost(&ours));
        assert_eq!(NOBODYS_HASH.len(), ours.len());
        assert!(PasswordHash::new(NOBODYS_HASH).is_ok());
        assert!(!is_password(NOBODYS_HASH, ""));
    }

    #[tokio::test]
    async fn r_admin_07_only_the_right_password_of_an_account_in_use_is_accepted() {
        let passwords = Passwords::default();
        assert_eq!(status(&passwords, origin("gate", 1), Some(account(false)), "right").await, 200);
        assert_eq!(status(&passwords, origin("gate", 1), Some(account(false)), "wrong").await, 401);
        assert_eq!(status(&passwords, origin("gate", 1), Some(account(true)), "right").await, 401, "disabled");
        assert_eq!(status(&passwords, origin("who", 1), None, "right").await, 401);
    }

    #[tokio::test]
    async fn repeated_failures_block_that_name_from_that_address_even_with_the_right_password() {
        let passwords = Passwords::default();
        for _ in 0..OF_ORIGIN_MAX {
            assert_eq!(status(&passwords, origin("gate", 1), Some(account(false)), "wrong").await, 401);
        }
        assert_eq!(status(&passwords, origin("gate", 1), Some(account(false)), "right").await, 429);
        assert_eq!(status(&passwords, origin("gate", 2), Some(account(false)), "right").await, 200, "another address");
        assert_eq!(status(&passwords, origin("museum", 1), Some(account(false)), "right").await, 200, "another name");
    }

    #[tokio::test]
    async fn guesses_at_once_are_not_more_than_guesses_one_by_one() {
        let passwords = Passwords::default();
        let guesses = (0..20).map(|_| status(&passwords, origin("gate", 1), Some(account(false)), "wrong"));
        let answers = futures_util::future::join_all(guesses).await;
        let tried = answers.iter().filter(|status| **status == 401).count();
        assert!(tried < OF_ORIGIN_MAX as usize + CHECKS_MAX, "{tried} were tried");
        assert!(answers.iter().all(|status| matches!(status, 401 | 429)));
    }

    #[tokio::test]
    async fn fault_5_a_flood_of_strangers_leaves_room_for_who_has_logged_in_there_before() {
        let passwords = Passwords::default();
        assert_eq!(status(&passwords, origin("gate", 1), Some(account(false)), "right").await, 200);

        let flood = (0..150).map(|number| status(&passwords, origin(&format!("n{number}"), number), None, "wrong"));
        let mut flood = Box::pin(futures_util::future::join_all(flood));
        assert!(futures_util::poll!(&mut flood).is_pending(), "all have asked");
        let of_his_place = passwords.turn_of_stranger(origin("gate", 1).place);
        assert!(of_his_place.is_none(), "the room of strangers is full");
        let known = status(&passwords, origin("gate", 1), Some(account(false)), "right");
        let (known, flood) = tokio::join!(known, flood);
        assert_eq!(known, 200);
        let refused = flood.iter().filter(|status| **status == 503).count();
        assert_eq!(refused, 150 - STRANGERS_MAX);
    }

    #[tokio::test]
    async fn fault_5_one_stranger_does_not_take_the_room_of_others() {
        let passwords = Passwords::default();
        let place = origin("gate", 1).place;
        let turns: Vec<_> = (0..30).map(|_| passwords.turn_of_stranger(place)).collect();
        assert_eq!(turns.iter().flatten().count(), STRANGERS_OF_PLACE_MAX);
        assert!(passwords.turn_of_stranger(origin("gate", 2).place).is_some());
        drop(turns);
        assert!(lock(&passwords.by_place).is_empty());
    }
}
