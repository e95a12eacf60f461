//! Who may do what: accounts of staff, sessions, validator sessions of gates, and keys of partners (R-SCAN-04, R-ADMIN-07,
//! R-OTA-01).
//!
//! The caller is the identity actor. Passwords are checked and tokens are made outside; here only their hashes arrive.
//! A traveller needs no account: the id is derived from the WeChat openid, so a login looks nothing up.

mod account;
#[cfg(test)]
mod account_tests;
mod command;
mod keys;
mod machine;
mod partner_key;
pub mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ids::{
    DepartureId, EntitlementCode, LocationCode, MerchantCode, PartnerKeyId, SessionId, TravellerId, codes,
};
use crate::rejection::ScanRejection;
use crate::time::Timestamp;

pub use account::{Account, AccountChange, AccountStanding, AccountWrite, Duties, ENTITY};
pub use command::{Command, Event};
pub use partner_key::{KEY_ENTITY, KEYS_MAX, KeyChange, KeyWrite, PartnerKey, REVOKED_MAX, USE_NOTED_EVERY_SECONDS};

/// The key of the identities' owner, and its name in the audit.
pub const OWNER: &str = "identity";

/// SHA-256 of a bearer token or device secret; the secret itself is never kept.
pub type SecretHash = [u8; 32];

/// What a member of staff may do (R-ADMIN-07).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Redeems tickets.
    Operator,
    /// Everything, and alone the configuration.
    Admin,
    Ops,
    Finance,
    Auditor,
}

codes!(Role, "role": Operator = "operator", Admin = "admin", Ops = "ops", Finance = "finance", Auditor = "auditor");

/// Whose bearer token it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principal {
    Traveller { id: TravellerId, openid: Box<str> },
    Staff { username: Box<str> },
}

/// A login that nobody has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub token_hash: SecretHash,
    pub principal: Principal,
    pub opened_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Session {
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// A gate at work, until somebody ends that: an operator on a device, at a place, perhaps for one departure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validator {
    pub id: SessionId,
    pub username: Box<str>,
    pub device: Box<str>,
    pub location: Option<LocationCode>,
    pub departure: Option<DepartureId>,
    pub secret_hash: SecretHash,
    pub opened_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Validator {
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// An attempt to redeem that named no ticket, and why it was refused (R-SCAN-05).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    pub session: SessionId,
    pub request_id: Box<str>,
    pub at: Timestamp,
    pub username: Box<str>,
    pub device: Box<str>,
    pub location: Option<LocationCode>,
    pub entitlement: Option<EntitlementCode>,
    pub reason: ScanRejection,
}

/// All accounts and keys of partners, and the sessions that are open. Ended and expired ones live on as rows only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identities {
    accounts: BTreeMap<Box<str>, Arc<Account>>,
    sessions: HashMap<SecretHash, Arc<Session>>,
    validators: HashMap<SessionId, Arc<Validator>>,
    by_device: HashMap<Device, SessionId>,
    partner_keys: BTreeMap<PartnerKeyId, Arc<PartnerKey>>,
    /// When each open session ends by itself.
    deadlines: BTreeSet<(Timestamp, Deadline)>,
}

/// A device by the name that it has among those of its operator's merchant. Operators of every merchant have a space of
/// their own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Device {
    merchant: Option<MerchantCode>,
    name: Box<str>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Deadline {
    Session(SecretHash),
    Validator(SessionId),
}

impl Identities {
    pub fn account(&self, username: &str) -> Option<&Arc<Account>> {
        self.accounts.get(username)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    pub fn session(&self, token_hash: &SecretHash) -> Option<&Arc<Session>> {
        self.sessions.get(token_hash)
    }

    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    pub fn validator(&self, id: SessionId) -> Option<&Arc<Validator>> {
        self.validators.get(&id)
    }

    pub fn validators(&self) -> impl Iterator<Item = &Arc<Validator>> {
        self.validators.values()
    }
}
