//! Passwords of staff. A check is slow on purpose (argon2), so few run at once, few more may wait, and whoever keeps
//! failing is sent away for a while. Whether a name exists cannot be told from the answer or from how long it takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use deeptravel_domain::identity::Account;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::problem::Problem;
use super::refusals;

/// Checks at once: each takes a core for tens of milliseconds and 19 MiB, and selling must go on meanwhile.
const CHECKS_MAX: usize = 2;
/// Logins under way, the waiting ones included: what the checks get done in a few seconds.
const LOGINS_MAX: usize = 128;
/// So many wrong passwords of one name from one address are allowed within [`FAILURES_WINDOW`].
const FAILURES_MAX: u32 = 5;
/// Counted from the first failure. 7,200 guesses a day and address, while a member of staff who mistypes waits a minute.
const FAILURES_WINDOW: Duration = Duration::from_mins(1);
/// Names and addresses whose failures are remembered: more than the checks can fail within the window.
const ORIGINS_MAX: usize = 16_384;

/// What a password for an unknown name is compared with: a hash of the same cost that no password has.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ$bm9ib2R5J3MgcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXM";

/// Whose password it is said to be, and who says so. Behind a proxy the address is the proxy's.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    pub username: Box<str>,
    pub address: IpAddr,
}

/// Checks passwords. One for the process.
#[derive(Debug)]
pub struct Passwords {
    checks: Arc<Semaphore>,
    logins: Semaphore,
    failures: Arc<Mutex<Failures>>,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            logins: Semaphore::new(LOGINS_MAX),
            failures: Arc::default(),
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
        let too_many = |_| refusals::OVERLOADED.saying("too many are logging in at once").retry_after(2);
        let _login = self.logins.try_acquire().map_err(too_many)?;
        let place = Arc::clone(&self.checks).acquire_owned().await;
        // Others with the same name may have failed while this one waited.
        self.refuse_if_blocked(&origin)?;

        let failures = Arc::clone(&self.failures);
        let checking = blocking.spawn_blocking(move || {
            let hash = account.as_deref().map_or(NOBODYS_HASH, |account| &account.password_hash);
            let right = is_password(hash, &password);
            let accepted = account.filter(|account| right && !account.disabled);
            // Here, although the client may have left: a failure counts before the next one is tried.
            match &accepted {
                Some(_) => lock(&failures).forget(&origin),
                None => lock(&failures).note(origin, Instant::now()),
            }
            drop(place);
            accepted
        });
        let accepted = checking.await.map_err(|error| Problem::fault("A password could not be checked", &error))?;
        accepted.ok_or_else(|| refusals::UNAUTHENTICATED.saying("the user name or the password is wrong"))
    }

    fn refuse_if_blocked(&self, origin: &Origin) -> Result<(), Problem> {
        let Some(left) = lock(&self.failures).blocked(origin, Instant::now()) else { return Ok(()) };
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Problem::from(refusals::RATE_LIMITED).retry_after(seconds))
    }
}

/// Held for a look-up only, and never left half-changed.
fn lock(failures: &Mutex<Failures>) -> MutexGuard<'_, Failures> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Who has failed how often, within the window.
#[derive(Debug, Default)]
struct Failures(HashMap<Origin, Count>);

#[derive(Debug)]
struct Count {
    failures: u32,
    until: Instant,
}

impl Failures {
    /// For how long the origin has to wait.
    fn blocked(&self, origin: &Origin, now: Instant) -> Option<Duration> {
        let count = self.0.get(origin)?;
        let left = count.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        (count.failures >= FAILURES_MAX).then_some(left)
    }

    fn note(&mut self, origin: Origin, now: Instant) {
        self.make_room(now);
        let fresh = Count { failures: 0, until: now + FAILURES_WINDOW };
        let count = self.0.entry(origin).or_insert(fresh);
        if count.until <= now {
            *count = Count { failures: 0, until: now + FAILURES_WINDOW };
        }
        count.failures += 1;
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < ORIGINS_MAX {
            return;
        }
        self.0.retain(|_, count| count.until > now);
        if self.0.len() >= ORIGINS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, count)| count.until).map(|(origin, _)| origin.clone())
        {
            self.0.remove(&oldest);
        }
    }

    fn forget(&mut self, origin: &Origin) {
        self.0.remove(origin);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use argon2::password_hash::PasswordHasher;
    use deeptravel_domain::identity::Role;

    use super::*;

    fn origin(username: &str, last: u8) -> Origin {
        Origin { username: username.into(), address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)) }
    }

    fn account(disabled: bool) -> Arc<Account> {
        let password_hash = Argon2::default().hash_password(b"right").unwrap().to_string();
        Arc::new(Account {
            username: "gate".into(),
            password_hash: password_hash.into(),
            roles: [Role::Operator].into(),
            merchant: None,
            disabled,
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
        for _ in 0..FAILURES_MAX {
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
        assert!(tried < FAILURES_MAX as usize + CHECKS_MAX, "{tried} were tried");
        assert!(answers.iter().all(|status| matches!(status, 401 | 429)));
    }

    #[test]
    fn a_blocked_name_may_try_again_after_the_window_and_a_success_clears_it() {
        let mut failures = Failures::default();
        let begun = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.blocked(&origin("gate", 1), begun), None);
            failures.note(origin("gate", 1), begun);
        }
        assert_eq!(failures.blocked(&origin("gate", 1), begun), Some(FAILURES_WINDOW));
        let later = begun + FAILURES_WINDOW;
        assert_eq!(failures.blocked(&origin("gate", 1), later), None);
        failures.note(origin("gate", 1), later);
        assert_eq!(failures.blocked(&origin("gate", 1), later), None, "the count starts anew");
        failures.forget(&origin("gate", 1));
        assert!(failures.0.is_empty());
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let mut failures = Failures::default();
        let now = Instant::now();
        for number in 0..ORIGINS_MAX + 100 {
            failures.note(origin(&number.to_string(), 1), now);
        }
        assert_eq!(failures.0.len(), ORIGINS_MAX);
    }
}
