//! What can be told, and what has changed.

use std::sync::Arc;

use super::{Account, AccountWrite, Attempt, KeyWrite, PartnerKey, SecretHash, Session, Validator};
use crate::ids::{PartnerKeyId, SessionId};
use crate::register::Audit;
use crate::rejection::Rejection;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Makes or changes an account. Its sessions end when it is disabled, has another password, or is another
    /// merchant's from now on.
    WriteAccount(AccountWrite),
    /// A login whose credentials were checked.
    OpenSession(Session),
    EndSession(SecretHash),
    /// A gate starts to work; the earlier session of the same merchant's device ends.
    OpenValidator(Validator),
    EndValidator {
        id: SessionId,
        username: Box<str>,
    },
    /// An attempt to redeem that named no ticket: it belongs to the validator session (rule 4).
    LogAttempt(Attempt),
    /// Makes or revokes a key of a partner.
    WriteKey(KeyWrite),
    /// A call came with a key. Told once in a while, see [`USE_NOTED_EVERY_SECONDS`](super::USE_NOTED_EVERY_SECONDS).
    NoteKeyUse {
        id: PartnerKeyId,
        at: Timestamp,
    },
    /// Forgets sessions that have ended by themselves.
    Sweep,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    AccountPut(Arc<Account>),
    /// A write to an account or a key is written down; with the refusal, if it was refused.
    Audited {
        audit: Box<Audit>,
        refusal: Option<Rejection>,
    },
    SessionOpened(Arc<Session>),
    /// `at` is when it was ended by somebody.
    SessionEnded {
        session: Arc<Session>,
        at: Timestamp,
    },
    ValidatorOpened(Arc<Validator>),
    ValidatorEnded {
        validator: Arc<Validator>,
        at: Timestamp,
    },
    /// An attempt without a ticket is written down with its validator session.
    Attempted {
        validator: Arc<Validator>,
        attempt: Attempt,
    },
    /// A key of a partner is there, was used, or was revoked.
    PartnerKeyPut(Arc<PartnerKey>),
    /// Memory: it was revoked longest ago.
    PartnerKeyForgotten(Arc<PartnerKey>),
    /// Memory: these ended by themselves.
    Forgotten {
        before: Timestamp,
    },
}
