//! Open sessions, for readers on any thread: written by the identity actor, read by every request that carries a
//! token. A revoked session is gone from here at once.

use std::sync::Arc;

use dashmap::DashMap;
use deeptravel_domain::identity::{Account, Event, Identities, SecretHash, Session, Validator};
use deeptravel_domain::ids::SessionId;
use deeptravel_domain::time::Timestamp;

#[derive(Debug, Default)]
pub struct Directory {
    accounts: DashMap<Box<str>, Arc<Account>>,
    sessions: DashMap<SecretHash, Arc<Session>>,
    validators: DashMap<SessionId, Arc<Validator>>,
}

impl Directory {
    pub fn account(&self, username: &str) -> Option<Arc<Account>> {
        self.accounts.get(username).map(|entry| Arc::clone(&entry))
    }

    /// The open login with this token, if its account may still be used.
    pub fn session(&self, token_hash: &SecretHash, now: Timestamp) -> Option<Arc<Session>> {
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
            self.sessions.insert(session.token_hash, Arc::clone(session));
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
                self.sessions.insert(session.token_hash, Arc::clone(session));
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
            Event::Attempted { .. } => {}
            Event::Forgotten { before } => {
                self.sessions.retain(|_, session| session.is_open(*before));
                self.validators.retain(|_, validator| validator.is_open(*before));
            }
        }
    }
}
