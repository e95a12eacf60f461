//! Open sessions and keys of partners, for readers on any thread: written by the identity actor, read by every request that
//! carries a token or a key. A revoked one is good for nothing here at once.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use deeptravel_domain::identity::{
    Account, Event, Identities, PartnerKey, SecretHash, Session, USE_NOTED_EVERY_SECONDS, Validator,
};
use deeptravel_domain::ids::{IdHash, PartnerCode, SessionId};
use deeptravel_domain::time::Timestamp;

use crate::journal::Position;

/// How far somebody was shown things: his lists wait until Postgres has followed that far (rule 13).
#[derive(Debug)]
pub struct Shown(AtomicU64);

impl Default for Shown {
    fn default() -> Shown {
        Shown(AtomicU64::new(Position::NOTHING.0))
    }
}

impl Shown {
    /// He was answered something of this position.
    pub fn note(&self, position: Position) {
        self.0.fetch_max(position.0, Ordering::Relaxed);
    }

    /// What his lists have to contain.
    pub fn newest(&self) -> Position {
        Position(self.0.load(Ordering::Relaxed))
    }
}

/// An open login.
#[derive(Debug)]
pub struct OpenSession {
    session: Arc<Session>,
    pub shown: Shown,
}

impl Deref for OpenSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl OpenSession {
    fn new(session: &Arc<Session>) -> Arc<OpenSession> {
        Arc::new(OpenSession { session: Arc::clone(session), shown: Shown::default() })
    }
}

/// A key of a partner, and its calls.
#[derive(Debug)]
pub struct KnownKey {
    key: ArcSwap<PartnerKey>,
    pub shown: Shown,
    /// When a call came with it last, and when the last one came that was written; since the epoch, in milliseconds.
    used_ms: AtomicI64,
    noted_ms: AtomicI64,
}

/// What stands for never.
const NEVER: Timestamp = Timestamp::from_ms(0);

impl KnownKey {
    fn new(key: &Arc<PartnerKey>) -> Arc<KnownKey> {
        let used_ms = key.last_used_at.unwrap_or(NEVER).as_ms();
        Arc::new(KnownKey {
            key: ArcSwap::new(Arc::clone(key)),
            shown: Shown::default(),
            used_ms: AtomicI64::new(used_ms),
            noted_ms: AtomicI64::new(used_ms),
        })
    }

    pub fn key(&self) -> Arc<PartnerKey> {
        self.key.load_full()
    }

    pub fn last_used_at(&self) -> Option<Timestamp> {
        Some(Timestamp::from_ms(self.used_ms.load(Ordering::Relaxed))).filter(|at| *at != NEVER)
    }

    /// A call came with it. Whether that is to be written down: of all calls within an hour one is.
    pub fn note_use(&self, now: Timestamp) -> bool {
        self.used_ms.fetch_max(now.as_ms(), Ordering::Relaxed);
        let noted = self.noted_ms.load(Ordering::Relaxed);
        let is_due = Timestamp::from_ms(noted).plus_seconds(USE_NOTED_EVERY_SECONDS) <= now;
        is_due && self.noted_ms.compare_exchange(noted, now.as_ms(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[derive(Debug, Default)]
pub struct Directory {
    accounts: DashMap<Box<str>, Arc<Account>>,
    sessions: DashMap<SecretHash, Arc<OpenSession>, IdHash>,
    validators: DashMap<SessionId, Arc<Validator>, IdHash>,
    /// Of partners, by what is kept of them; revoked ones too.
    partner_keys: DashMap<SecretHash, Arc<KnownKey>, IdHash>,
}

impl Directory {
    pub fn account(&self, username: &str) -> Option<Arc<Account>> {
        self.accounts.get(username).map(|entry| Arc::clone(&entry))
    }

    /// In no order.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.iter().map(|entry| Arc::clone(&entry)).collect()
    }

    /// The open login with this token, if its account may still be used.
    pub fn session(&self, token_hash: &SecretHash, now: Timestamp) -> Option<Arc<OpenSession>> {
        self.sessions.get(token_hash).map(|entry| Arc::clone(&entry)).filter(|session| session.is_open(now))
    }

    pub fn validator(&self, id: SessionId, now: Timestamp) -> Option<Arc<Validator>> {
        self.validators.get(&id).map(|entry| Arc::clone(&entry)).filter(|validator| validator.is_open(now))
    }

    /// The key of a partner of which this is the hash, if it was not revoked.
    pub fn partner_key(&self, secret_hash: &SecretHash) -> Option<Arc<KnownKey>> {
        self.partner_keys.get(secret_hash).map(|entry| Arc::clone(&entry)).filter(|known| known.key.load().is_good())
    }

    /// All keys of a partner, revoked ones too, in no order.
    pub fn keys_of(&self, partner: &PartnerCode) -> Vec<Arc<KnownKey>> {
        let all = self.partner_keys.iter().map(|entry| Arc::clone(&entry));
        all.filter(|known| known.key.load().partner == *partner).collect()
    }

    fn put_key(&self, key: &Arc<PartnerKey>) {
        let known = self.partner_keys.entry(key.secret_hash).or_insert_with(|| KnownKey::new(key));
        known.key.store(Arc::clone(key));
    }

    /// Called with everything at the start of the engine and of the identity actor, which then adds each of its events.
    pub(crate) fn load(&self, identities: &Identities) {
        for account in identities.accounts() {
            self.accounts.insert(account.username.clone(), Arc::clone(account));
        }
        for session in identities.sessions() {
            // One that is there already was shown things.
            self.sessions.entry(session.token_hash).or_insert_with(|| OpenSession::new(session));
        }
        for validator in identities.validators() {
            self.validators.insert(validator.id, Arc::clone(validator));
        }
        identities.partner_keys().for_each(|key| self.put_key(key));
    }

    pub(crate) fn apply(&self, event: &Event) {
        match event {
            Event::AccountPut(account) => {
                self.accounts.insert(account.username.clone(), Arc::clone(account));
            }
            Event::SessionOpened(session) => {
                self.sessions.insert(session.token_hash, OpenSession::new(session));
            }
            Event::SessionEnded { session, .. } => {
                self.sessions.remove(&session.token_hash);
            }
            Event::ValidatorOpened(validator) => {
                self.validators.insert(validator.id, Arc::clone(validator));
            }
            Event::ValidatorEnded { validator, .. } => {
                self.validators.remove(&validator.id);
            }
            Event::Attempted { .. } | Event::Audited { .. } => {}
            Event::PartnerKeyPut(key) => self.put_key(key),
            Event::PartnerKeyForgotten(key) => {
                self.partner_keys.remove(&key.secret_hash);
            }
            Event::Forgotten { before } => {
                self.sessions.retain(|_, session| session.is_open(*before));
                self.validators.retain(|_, validator| validator.is_open(*before));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::identity::Principal;
    use deeptravel_domain::machine::Machine as _;

    use super::*;

    const OPENED_AT: Timestamp = Timestamp::from_ms(1_795_147_200_000);

    fn session(token: u8) -> Arc<Session> {
        let (principal, expires_at) = (Principal::Staff { username: "ann".into() }, OPENED_AT.plus_seconds(60));
        Arc::new(Session { token_hash: [token; 32], principal, opened_at: OPENED_AT, expires_at })
    }

    #[test]
    fn a_login_and_a_gates_session_are_over_with_their_time_though_nobody_has_ended_them() {
        let (directory, open) = (Directory::default(), session(1));
        let validator = Arc::new(Validator {
            id: SessionId::from_bits(1),
            username: "ann".into(),
            device: "device".into(),
            location: None,
            departure: None,
            secret_hash: [0; 32],
            opened_at: OPENED_AT,
            expires_at: OPENED_AT.plus_seconds(30),
        });
        directory.apply(&Event::SessionOpened(open));
        directory.apply(&Event::ValidatorOpened(Arc::clone(&validator)));
        let at = |ms| {
            let now = OPENED_AT.plus_ms(ms);
            (directory.session(&[1; 32], now).is_some(), directory.validator(validator.id, now).is_some())
        };
        assert_eq!(
            [at(29_999), at(30_000), at(59_999), at(60_000)],
            [(true, true), (true, false), (true, false), (false, false)]
        );
    }

    #[test]
    fn a_session_was_shown_the_newest_that_it_was_answered_also_after_its_owner_was_rebuilt() {
        let (directory, mut identities) = (Directory::default(), Identities::default());
        for token in [1, 2] {
            let opened = Event::SessionOpened(session(token));
            identities.apply(std::slice::from_ref(&opened), 1);
            directory.apply(&opened);
        }
        let shown = |token: u8| directory.session(&[token; 32], OPENED_AT).map(|session| session.shown.newest());
        for position in [7, 5] {
            directory.session(&[1; 32], OPENED_AT).unwrap().shown.note(Position(position));
        }
        assert_eq!([shown(1), shown(2)], [Some(Position(7)), Some(Position::NOTHING)]);
        directory.load(&identities);
        assert_eq!([shown(1), shown(2)], [Some(Position(7)), Some(Position::NOTHING)]);

        directory.apply(&Event::SessionEnded { session: session(1), at: OPENED_AT });
        directory.apply(&Event::SessionOpened(session(1)));
        assert_eq!(shown(1), Some(Position::NOTHING), "another one");
    }

    #[test]
    fn r_ota_01_a_keys_calls_are_written_once_an_hour_and_a_revoked_one_is_gone_at_once() {
        let (directory, hash) = (Directory::default(), [7; 32]);
        let key = Arc::new(PartnerKey {
            id: "first".parse().unwrap(),
            partner: "klook".parse().unwrap(),
            secret_hash: hash,
            created_at: OPENED_AT,
            last_used_at: None,
            revoked_at: None,
        });
        directory.apply(&Event::PartnerKeyPut(Arc::clone(&key)));
        let known = directory.partner_key(&hash).unwrap();
        assert_eq!(known.last_used_at(), None);
        let written = [0, 1, 3_599, 3_600, 3_601].map(|seconds| known.note_use(OPENED_AT.plus_seconds(seconds)));
        assert_eq!(written, [true, false, false, true, false]);
        known.shown.note(Position(7));

        let revoked_at = Some(OPENED_AT.plus_seconds(4_000));
        directory.apply(&Event::PartnerKeyPut(Arc::new(PartnerKey { revoked_at, ..PartnerKey::clone(&key) })));
        assert!(directory.partner_key(&hash).is_none());
        let [known] = &directory.keys_of(&key.partner)[..] else { panic!("one") };
        assert_eq!(known.last_used_at(), Some(OPENED_AT.plus_seconds(3_601)), "also of a revoked one");
        assert_eq!((known.shown.newest(), known.key().revoked_at), (Position(7), revoked_at));
        directory.apply(&Event::PartnerKeyForgotten(key));
        assert!(directory.keys_of(&"klook".parse().unwrap()).is_empty());
    }
}
