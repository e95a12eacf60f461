//! Checks first, then the change.

use std::sync::Arc;

use super::{Account, Deadline, Identities, SecretHash, Session, Validator};
use crate::ids::SessionId;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Longest user name and device id, in bytes.
const NAME_LEN_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Makes or changes an account. A disabled account's sessions end.
    PutAccount(Account),
    /// A login whose credentials were checked.
    OpenSession(Session),
    EndSession(SecretHash),
    /// A gate starts to work; the device's earlier session ends.
    OpenValidator(Validator),
    EndValidator {
        id: SessionId,
        username: Box<str>,
    },
    /// Forgets sessions that have ended by themselves.
    Sweep,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    AccountPut(Arc<Account>),
    SessionOpened(Arc<Session>),
    /// `at` is when it was ended by somebody.
    SessionEnded {
        token_hash: SecretHash,
        at: Timestamp,
    },
    ValidatorOpened(Arc<Validator>),
    ValidatorEnded {
        id: SessionId,
        at: Timestamp,
    },
    /// Memory: these ended by themselves.
    Forgotten {
        before: Timestamp,
    },
}

impl Identities {
    pub fn decide(&self, command: Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::PutAccount(account) => {
                check_name("username", &account.username)?;
                if self.account(&account.username).is_some_and(|known| **known == account) {
                    return Ok(vec![]);
                }
                let mut events = if account.disabled { self.end_all(&account.username, now) } else { vec![] };
                events.push(Event::AccountPut(Arc::new(account)));
                Ok(events)
            }
            Command::OpenSession(session) => Ok(vec![Event::SessionOpened(Arc::new(session))]),
            Command::EndSession(token_hash) => {
                let open = self.sessions.contains_key(&token_hash);
                Ok(if open { vec![Event::SessionEnded { token_hash, at: now }] } else { vec![] })
            }
            Command::OpenValidator(validator) => {
                check_name("deviceId", &validator.device)?;
                let mut events: Vec<Event> = self
                    .by_device
                    .get(&validator.device)
                    .map(|earlier| Event::ValidatorEnded { id: *earlier, at: now })
                    .into_iter()
                    .collect();
                events.push(Event::ValidatorOpened(Arc::new(validator)));
                Ok(events)
            }
            Command::EndValidator { id, username } => {
                let own = self.validators.get(&id).is_some_and(|validator| validator.username == username);
                Ok(if own { vec![Event::ValidatorEnded { id, at: now }] } else { vec![] })
            }
            Command::Sweep => {
                let due = self.next_deadline().is_some_and(|at| at <= now);
                Ok(if due { vec![Event::Forgotten { before: now }] } else { vec![] })
            }
        }
    }

    fn end_all(&self, username: &str, now: Timestamp) -> Vec<Event> {
        let of_account = |session: &&Arc<Session>| matches!(&session.principal, super::Principal::Staff { username: owner } if **owner == *username);
        let mut sessions: Vec<_> = self.sessions().filter(of_account).map(|session| session.token_hash).collect();
        sessions.sort_unstable();
        let mut validators: Vec<_> =
            self.validators().filter(|validator| *validator.username == *username).map(|v| v.id).collect();
        validators.sort_unstable();

        let ended = sessions.into_iter().map(|token_hash| Event::SessionEnded { token_hash, at: now });
        let closed = validators.into_iter().map(|id| Event::ValidatorEnded { id, at: now });
        ended.chain(closed).collect()
    }

    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::AccountPut(account) => {
                self.accounts.insert(account.username.clone(), Arc::clone(account));
            }
            Event::SessionOpened(session) => {
                self.deadlines.insert((session.expires_at, Deadline::Session(session.token_hash)));
                self.sessions.insert(session.token_hash, Arc::clone(session));
            }
            Event::SessionEnded { token_hash, .. } => self.forget_session(token_hash),
            Event::ValidatorOpened(validator) => {
                self.deadlines.insert((validator.expires_at, Deadline::Validator(validator.id)));
                self.by_device.insert(validator.device.clone(), validator.id);
                self.validators.insert(validator.id, Arc::clone(validator));
            }
            Event::ValidatorEnded { id, .. } => self.forget_validator(*id),
            Event::Forgotten { before } => {
                while let Some((at, deadline)) = self.deadlines.first().cloned() {
                    if at > *before {
                        break;
                    }
                    match deadline {
                        Deadline::Session(token_hash) => self.forget_session(&token_hash),
                        Deadline::Validator(id) => self.forget_validator(id),
                    }
                }
            }
        }
    }

    fn forget_session(&mut self, token_hash: &SecretHash) {
        if let Some(session) = self.sessions.remove(token_hash) {
            self.deadlines.remove(&(session.expires_at, Deadline::Session(*token_hash)));
        }
    }

    fn forget_validator(&mut self, id: SessionId) {
        let Some(validator) = self.validators.remove(&id) else { return };
        self.deadlines.remove(&(validator.expires_at, Deadline::Validator(id)));
        if self.by_device.get(&validator.device) == Some(&id) {
            self.by_device.remove(&validator.device);
        }
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Rejection> {
    let fits = !name.is_empty() && name.len() <= NAME_LEN_MAX && name.chars().all(|c| !c.is_control());
    if fits { Ok(()) } else { Err(Rejection::field(field, "1 to 64 bytes without control characters")) }
}
