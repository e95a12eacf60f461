//! Open sessions, for readers on any thread: written by the identity actor, read by every request that carries a
//! token. A revoked session is gone from here at once.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use deeptravel_domain::identity::{Account, Event, Identities, SecretHash, Session, Validator};
use deeptravel_domain::ids::{IdHash, SessionId};
use deeptravel_domain::time::Timestamp;

use crate::journal::Position;

/// An open login, and how far it was shown things: its lists wait until Postgres has followed that far (rule 13).
#[derive(Debug)]
pub struct OpenSession {
    session: Arc<Session>,
    /// The newest position answered to it.
    shown: AtomicU64,
}

impl Deref for OpenSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl OpenSession {
    fn new(session: &Arc<Session>) -> Arc<OpenSession> {
        Arc::new(OpenSession { session: Arc::clone(session), shown: AtomicU64::new(Position::NOTHING.0) })
    }

    /// It was answered something of this position.
    pub fn note_shown(&self, position: Position) {
        self.shown.fetch_max(position.0, Ordering::Relaxed);
    }

    /// What its lists have to contain.
    pub fn shown(&self) -> Position {
        Position(self.shown.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
pub struct Directory {
    accounts: DashMap<Box<str>, Arc<Account>>,
    sessions: DashMap<SecretHash, Arc<OpenSession>, IdHash>,
    validators: DashMap<SessionId, Arc<Validator>, IdHash>,
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
        let shown = |token: u8| directory.session(&[token; 32], OPENED_AT).map(|session| session.shown());
        for position in [7, 5] {
            directory.session(&[1; 32], OPENED_AT).unwrap().note_shown(Position(position));
        }
        assert_eq!([shown(1), shown(2)], [Some(Position(7)), Some(Position::NOTHING)]);
        directory.load(&identities);
        assert_eq!([shown(1), shown(2)], [Some(Position(7)), Some(Position::NOTHING)]);

        directory.apply(&Event::SessionEnded { session: session(1), at: OPENED_AT });
        directory.apply(&Event::SessionOpened(session(1)));
        assert_eq!(shown(1), Some(Position::NOTHING), "another one");
    }
}
