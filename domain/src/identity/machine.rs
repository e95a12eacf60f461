//! Checks first, then the change.

use std::sync::Arc;

use super::account::{Outcome, Sessions};
use super::{
    Account, AccountStanding, AccountWrite, Command, Deadline, Device, Event, Identities, Principal, SecretHash,
    Session, Validator,
};
use crate::ids::SessionId;
use crate::machine::{Machine, Room};
use crate::rejection::{Rejection, ensure};
use crate::row::Rows;
use crate::text;
use crate::time::Timestamp;

/// Longest user name and device id, in bytes.
const NAME_LEN_MAX: usize = 64;

impl Machine for Identities {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::WriteAccount(write) => {
                check_name("username", &write.username)?;
                Ok(self.write_account(write, now))
            }
            Command::OpenSession(session) => Ok(vec![Event::SessionOpened(Arc::new(session.clone()))]),
            Command::EndSession(token_hash) => {
                let open = self.sessions.get(token_hash).cloned();
                Ok(open.map(|session| Event::SessionEnded { session, at: now }).into_iter().collect())
            }
            Command::OpenValidator(validator) => {
                check_name("deviceId", &validator.device)?;
                let earlier = self.by_device.get(&self.device_of(validator)).and_then(|id| self.validator(*id));
                let ended = earlier.map(|earlier| Event::ValidatorEnded { validator: Arc::clone(earlier), at: now });
                Ok(ended.into_iter().chain([Event::ValidatorOpened(Arc::new(validator.clone()))]).collect())
            }
            Command::EndValidator { id, username } => {
                let own = self.validator(*id).filter(|validator| validator.username == *username);
                let ended = own.map(|validator| Event::ValidatorEnded { validator: Arc::clone(validator), at: now });
                Ok(ended.into_iter().collect())
            }
            Command::LogAttempt(attempt) => {
                let validator = Arc::clone(self.validator(attempt.session).ok_or(Rejection::SessionEnded)?);
                Ok(vec![Event::Attempted { validator, attempt: attempt.clone() }])
            }
            Command::WriteKey(write) => Ok(self.write_key(write, now)),
            Command::NoteKeyUse { id, at } => Ok(self.note_key_use(id, *at)),
            Command::Sweep => {
                let due = self.next_deadline().is_some_and(|at| at <= now);
                Ok(if due { vec![Event::Forgotten { before: now }] } else { vec![] })
            }
        }
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        for event in events {
            self.evolve(event);
        }
        super::rows::changed(events, version)
    }

    fn wants_room(&self, events: &[Event]) -> bool {
        events.iter().any(|event| !matches!(event, Event::Forgotten { .. }))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn when_due() -> Option<Command> {
        Some(Command::Sweep)
    }
}

impl Identities {
    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::AccountPut(account) => {
                self.accounts.insert(account.username.clone(), Arc::clone(account));
            }
            Event::SessionOpened(session) => {
                self.deadlines.insert((session.expires_at, Deadline::Session(session.token_hash)));
                self.sessions.insert(session.token_hash, Arc::clone(session));
            }
            Event::SessionEnded { session, .. } => self.forget_session(&session.token_hash),
            Event::ValidatorOpened(validator) => {
                self.deadlines.insert((validator.expires_at, Deadline::Validator(validator.id)));
                self.by_device.insert(self.device_of(validator), validator.id);
                self.validators.insert(validator.id, Arc::clone(validator));
            }
            Event::ValidatorEnded { validator, .. } => self.forget_validator(validator.id),
            Event::Attempted { .. } | Event::Audited { .. } => {}
            Event::PartnerKeyPut(key) => {
                self.partner_keys.insert(key.id.clone(), Arc::clone(key));
            }
            Event::PartnerKeyForgotten(key) => {
                self.partner_keys.remove(&key.id);
            }
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

    /// A refusal is an event too: it leaves an audit entry.
    fn write_account(&self, write: &AccountWrite, now: Timestamp) -> Vec<Event> {
        let audited = |made: Option<&Account>, refusal| {
            let audit = Box::new(write.audit(self, made, now));
            Event::Audited { audit, refusal }
        };
        let Outcome { account, sessions } = match write.outcome(self) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return vec![],
            Err(refusal) => return vec![audited(None, Some(refusal))],
        };
        let mut events = match sessions {
            Sessions::Stay => vec![],
            Sessions::End { but } => self.end_all(&write.username, but, now),
        };
        let written = audited(Some(&account), None);
        if self.account(&write.username).is_none_or(|known| **known != account) {
            events.push(Event::AccountPut(Arc::new(account)));
        }
        events.push(written);
        events
    }

    /// What whoever wrote to an account learns.
    pub fn standing(&self, command: &Command, events: &[Event]) -> Result<AccountStanding, Rejection> {
        let refusal = |event: &Event| if let Event::Audited { refusal, .. } = event { refusal.clone() } else { None };
        if let Some(refused) = events.iter().find_map(refusal) {
            return Err(refused);
        }
        let username = if let Command::WriteAccount(write) = command { &*write.username } else { "" };
        let revision = self.account(username).map_or(0, |account| account.revision);
        Ok(AccountStanding { revision, changed: !events.is_empty() })
    }

    /// Ends all sessions of an account but one.
    fn end_all(&self, username: &str, stays: Option<SecretHash>, now: Timestamp) -> Vec<Event> {
        let is_its = |session: &Session| matches!(&session.principal, Principal::Staff { username: owner } if **owner == *username);
        let of_account = |session: &&Arc<Session>| is_its(session) && Some(session.token_hash) != stays;
        let mut sessions: Vec<_> = self.sessions().filter(of_account).collect();
        sessions.sort_unstable_by_key(|session| session.token_hash);
        let mut validators: Vec<_> = self.validators().filter(|validator| *validator.username == *username).collect();
        validators.sort_unstable_by_key(|validator| validator.id);

        let ended = sessions.into_iter().map(|session| Event::SessionEnded { session: Arc::clone(session), at: now });
        let closed =
            validators.into_iter().map(|validator| Event::ValidatorEnded { validator: Arc::clone(validator), at: now });
        ended.chain(closed).collect()
    }

    fn forget_session(&mut self, token_hash: &SecretHash) {
        if let Some(session) = self.sessions.remove(token_hash) {
            self.deadlines.remove(&(session.expires_at, Deadline::Session(*token_hash)));
        }
    }

    fn forget_validator(&mut self, id: SessionId) {
        let Some(validator) = self.validators.remove(&id) else { return };
        self.deadlines.remove(&(validator.expires_at, Deadline::Validator(id)));
        let device = self.device_of(&validator);
        if self.by_device.get(&device) == Some(&id) {
            self.by_device.remove(&device);
        }
    }

    /// Its space is that of its operator's account, which stays as it is while the session is open.
    fn device_of(&self, validator: &Validator) -> Device {
        let merchant = self.account(&validator.username).and_then(|account| account.redeems.merchant.clone());
        Device { merchant, name: validator.device.clone() }
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Rejection> {
    let fits = !text::is_blank(name) && name.len() <= NAME_LEN_MAX && !text::has_controls(name);
    ensure(fits, field, "1 to 64 bytes without control characters")
}
