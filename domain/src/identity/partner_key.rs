//! Keys of partners (R-OTA-01). A partner has several at once, so that one follows another without a gap: make the second,
//! use it, revoke the first. A revoked one is good for nothing from the event on.
//!
//! Of a key only the SHA-256 of its whole text is kept. It holds 256 bits of chance, which nobody guesses however fast he
//! hashes, so a slow hash would cost every call and protect nothing.

use std::sync::Arc;

use serde::Serialize;

use super::SecretHash;
use crate::ids::{PartnerCode, PartnerKeyId};
use crate::register::{Action, Audit};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What the audit calls a key.
pub const KEY_ENTITY: &str = "partner key";
/// Keys of one partner that are good at once: one for each of its systems, and their successors.
pub const KEYS_MAX: usize = 10;
/// Revoked keys of one partner that are shown; older ones are rows only. Years of rotation.
pub const REVOKED_MAX: usize = 100;
/// When a key was used last is written at most once in so long: calls write nothing.
pub const USE_NOTED_EVERY_SECONDS: i64 = 60 * 60;

/// A key of a partner, also a revoked one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartnerKey {
    pub id: PartnerKeyId,
    pub partner: PartnerCode,
    /// SHA-256 of the whole key.
    pub secret_hash: SecretHash,
    pub created_at: Timestamp,
    /// At least so late, see [`USE_NOTED_EVERY_SECONDS`].
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl PartnerKey {
    pub fn is_good(&self) -> bool {
        self.revoked_at.is_none()
    }
}

/// A write to a key of a partner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyWrite {
    pub partner: PartnerCode,
    pub id: PartnerKeyId,
    pub change: KeyChange,
    /// An account, or a part of us with a name of its own.
    pub by: Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyChange {
    /// The partner is configured. Refused with `KeyLimit`, and with a field for an id that another key has.
    Make { secret_hash: SecretHash },
    /// Refused with `NotConfigured` for what is no key of the partner.
    Revoke,
}

impl KeyWrite {
    pub(super) fn unknown(&self) -> Rejection {
        Rejection::NotConfigured { entity: KEY_ENTITY, id: self.id.to_string() }
    }

    /// What the audit says of it: never a hash.
    pub(super) fn audit(&self, now: Timestamp) -> Audit {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            key_id: &'a PartnerKeyId,
            partner_id: &'a PartnerCode,
        }
        let shown = serde_json::to_string(&Shown { key_id: &self.id, partner_id: &self.partner });
        let shown: Arc<str> = shown.unwrap_or_else(|error| unreachable!("a key has texts only: {error}")).into();
        let (action, before, after) = match self.change {
            KeyChange::Make { .. } => (Action::Put, None, Some(shown)),
            KeyChange::Revoke => (Action::Withdraw, Some(shown), None),
        };
        let (account, id) = (Arc::clone(&self.by), self.id.to_string());
        Audit { at: now, account, entity: KEY_ENTITY, id, revision: None, action, before, after }
    }
}
