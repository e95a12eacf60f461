//! Rows of accounts and sessions. Tags are never reused; a new field is optional (rule 23). Serialised they are shown to
//! people (`journal dump`): hashes and openids are left out.

use std::sync::Arc;

use prost::Message;
use serde::Serialize;

use super::{Account, Event, Identities, Principal, Session, Validator};
use crate::ids::SessionId;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct AccountRow {
    #[prost(string, tag = "1")]
    pub username: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    #[serde(skip)]
    pub password_hash: String,
    #[prost(string, repeated, tag = "4")]
    pub roles: Vec<String>,
    #[prost(string, optional, tag = "5")]
    pub merchant: Option<String>,
    #[prost(bool, tag = "6")]
    pub disabled: bool,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct SessionRow {
    /// SHA-256 of the token.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(skip)]
    pub token_hash: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, optional, tag = "3")]
    pub traveller_id: Option<String>,
    #[prost(string, optional, tag = "4")]
    #[serde(skip)]
    pub openid: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub username: Option<String>,
    #[prost(int64, tag = "6")]
    pub opened_at: i64,
    #[prost(int64, tag = "7")]
    pub expires_at: i64,
    #[prost(int64, optional, tag = "8")]
    pub ended_at: Option<i64>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "9")]
    pub first: bool,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct ValidatorSessionRow {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub username: String,
    #[prost(string, tag = "4")]
    pub device: String,
    #[prost(string, optional, tag = "5")]
    pub location: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub departure_id: Option<String>,
    /// SHA-256 of the device secret.
    #[prost(bytes = "vec", tag = "7")]
    #[serde(skip)]
    pub secret_hash: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub opened_at: i64,
    #[prost(int64, tag = "9")]
    pub expires_at: i64,
    #[prost(int64, optional, tag = "10")]
    pub ended_at: Option<i64>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "11")]
    pub first: bool,
}

/// All rows, or the changed ones of one decision.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct IdentityRows {
    pub accounts: Vec<AccountRow>,
    pub sessions: Vec<SessionRow>,
    pub validators: Vec<ValidatorSessionRow>,
}

impl IdentityRows {
    pub fn is_empty(&self) -> bool {
        *self == IdentityRows::default()
    }
}

/// Stored rows that cannot be read. They are damage, not input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("identity rows cannot be read: {0}")]
pub struct RowsError(pub String);

impl Identities {
    /// Images of the rows that `events` will change. Call it before `evolve`, which forgets what has ended.
    pub fn changed_rows(&self, events: &[Event], version: u64) -> IdentityRows {
        let mut rows = IdentityRows::default();
        for event in events {
            match event {
                Event::AccountPut(account) => rows.accounts.push(account_row(account, version)),
                Event::SessionOpened(session) => {
                    rows.sessions.push(SessionRow { first: true, ..session_row(session, version, None) });
                }
                Event::SessionEnded { token_hash, at } => {
                    rows.sessions
                        .extend(self.session(token_hash).map(|session| session_row(session, version, Some(*at))));
                }
                Event::ValidatorOpened(validator) => {
                    let row = validator_row(validator, version, None);
                    rows.validators.push(ValidatorSessionRow { first: true, ..row });
                }
                Event::ValidatorEnded { id, at } => {
                    rows.validators
                        .extend(self.validator(*id).map(|validator| validator_row(validator, version, Some(*at))));
                }
                Event::Forgotten { .. } => {}
            }
        }
        rows
    }

    /// The image of an open validator session.
    pub fn validator_row(&self, id: SessionId, version: u64) -> Option<ValidatorSessionRow> {
        self.validator(id).map(|validator| validator_row(validator, version, None))
    }

    /// Everything that is still open at `now`.
    pub fn from_rows(rows: IdentityRows, now: Timestamp) -> Result<Identities, RowsError> {
        let mut identities = Identities::default();
        for row in rows.accounts {
            identities.evolve(&Event::AccountPut(Arc::new(account_of(row)?)));
        }
        for row in rows.sessions {
            let session = session_of(row)?;
            if session.is_open(now) {
                identities.evolve(&Event::SessionOpened(Arc::new(session)));
            }
        }
        let mut validators = rows.validators.into_iter().map(validator_of).collect::<Result<Vec<_>, _>>()?;
        validators.retain(|validator| validator.is_open(now));
        validators.sort_by_key(|validator| validator.opened_at);
        for validator in validators {
            identities.evolve(&Event::ValidatorOpened(Arc::new(validator)));
        }
        Ok(identities)
    }
}

fn account_row(account: &Account, version: u64) -> AccountRow {
    AccountRow {
        username: account.username.to_string(),
        version,
        password_hash: account.password_hash.to_string(),
        roles: account.roles.iter().map(|role| role.code().to_owned()).collect(),
        merchant: account.merchant.as_ref().map(ToString::to_string),
        disabled: account.disabled,
    }
}

fn session_row(session: &Session, version: u64, ended_at: Option<Timestamp>) -> SessionRow {
    let (traveller_id, openid, username) = match &session.principal {
        Principal::Traveller { id, openid } => (Some(id.to_string()), Some(openid.to_string()), None),
        Principal::Staff { username } => (None, None, Some(username.to_string())),
    };
    SessionRow {
        token_hash: session.token_hash.to_vec(),
        version,
        traveller_id,
        openid,
        username,
        opened_at: session.opened_at.as_ms(),
        expires_at: session.expires_at.as_ms(),
        ended_at: ended_at.map(Timestamp::as_ms),
        first: false,
    }
}

fn validator_row(validator: &Validator, version: u64, ended_at: Option<Timestamp>) -> ValidatorSessionRow {
    ValidatorSessionRow {
        session_id: validator.id.to_string(),
        version,
        username: validator.username.to_string(),
        device: validator.device.to_string(),
        location: validator.location.as_ref().map(ToString::to_string),
        departure_id: validator.departure.as_ref().map(ToString::to_string),
        secret_hash: validator.secret_hash.to_vec(),
        opened_at: validator.opened_at.as_ms(),
        expires_at: validator.expires_at.as_ms(),
        ended_at: ended_at.map(Timestamp::as_ms),
        first: false,
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, RowsError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| RowsError(format!("{text:?}: {error}")))
}

fn hash_of(bytes: &[u8]) -> Result<[u8; 32], RowsError> {
    bytes.try_into().map_err(|_| RowsError(format!("a hash of {} bytes", bytes.len())))
}

fn account_of(row: AccountRow) -> Result<Account, RowsError> {
    Ok(Account {
        username: row.username.into(),
        password_hash: row.password_hash.into(),
        roles: row.roles.iter().map(|role| parse(role)).collect::<Result<_, _>>()?,
        merchant: row.merchant.as_deref().map(parse).transpose()?,
        disabled: row.disabled,
    })
}

fn session_of(row: SessionRow) -> Result<Session, RowsError> {
    let principal = match (row.traveller_id, row.openid, row.username) {
        (Some(id), Some(openid), None) => Principal::Traveller { id: parse(&id)?, openid: openid.into() },
        (None, None, Some(username)) => Principal::Staff { username: username.into() },
        _ => return Err(RowsError("a session of nobody or of two".to_owned())),
    };
    Ok(Session {
        token_hash: hash_of(&row.token_hash)?,
        principal,
        opened_at: Timestamp::from_ms(row.opened_at),
        expires_at: Timestamp::from_ms(row.expires_at),
        ended_at: row.ended_at.map(Timestamp::from_ms),
    })
}

fn validator_of(row: ValidatorSessionRow) -> Result<Validator, RowsError> {
    Ok(Validator {
        id: parse(&row.session_id)?,
        username: row.username.into(),
        device: row.device.into(),
        location: row.location.as_deref().map(parse).transpose()?,
        departure: row.departure_id.as_deref().map(parse).transpose()?,
        secret_hash: hash_of(&row.secret_hash)?,
        opened_at: Timestamp::from_ms(row.opened_at),
        expires_at: Timestamp::from_ms(row.expires_at),
        ended_at: row.ended_at.map(Timestamp::from_ms),
    })
}
