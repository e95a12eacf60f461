//! Who wrote what, and which revision stands: the two tables that all registers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Asked, Entity};
use crate::ids::codes;
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, Row as _, Rows};
use crate::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Put,
    Restore,
    Withdraw,
    /// Of an account: another password.
    Password,
    /// Of an account.
    EndSessions,
    /// Of a webhook: another secret.
    Secret,
    /// Of a webhook: its events are delivered again from a number on.
    Replay,
}

codes!(Action, "action": Put = "put", Restore = "restore", Withdraw = "withdraw", Password = "password",
    EndSessions = "end_sessions", Secret = "secret", Replay = "replay");

/// What the audit says of one write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audit {
    pub at: Timestamp,
    pub account: Arc<str>,
    pub entity: &'static str,
    pub id: String,
    /// That it made; none was made of what was refused.
    pub revision: Option<u32>,
    pub action: Action,
    /// What the entity held, also if it had been withdrawn.
    pub before: Option<Arc<str>>,
    /// What it was to hold.
    pub after: Option<Arc<str>>,
}

row! {
    /// A write to configuration, also one that was refused. History and restore read these.
    pub struct AuditRow<'a>: 30 "admin_audit_logs", First::Always;
    1 owner [Key]: &'a str,
    /// The version of the owner's record: it holds one write.
    2 number [Key]: u64,
    3 version: u64,
    4 at: Timestamp,
    /// An account, or a part of us with a name of its own.
    5 account: &'a str,
    6 entity: &'a str,
    7 entity_id: &'a str,
    /// That the write made.
    8 revision: Option<u32>,
    9 action: Action,
    10 before: Option<&'a str>,
    11 after: Option<&'a str>,
    12 refusal_code: Option<&'a str>,
    13 refusal: Option<&'a str>,
}

row! {
    /// Which revision of an entity is in force. Its content is in the rows of its kind.
    pub struct RevisionRow<'a>: 31 "config_revisions", First::Unknown;
    1 entity [Key]: &'a str,
    2 entity_id [Key]: &'a str,
    3 version: u64,
    4 owner: &'a str,
    5 revision: u32,
    6 since: Timestamp,
    7 withdrawn: bool,
    /// What the client calls the write that made it.
    8 asked_action: Option<Action>,
    9 asked_account: Option<&'a str>,
    10 asked_key: Option<&'a str>,
    11 asked_revision: Option<u32>,
}

impl RevisionRow<'_> {
    pub(super) fn asked(&self) -> Option<Asked> {
        let (account, key) = (self.asked_account?.into(), self.asked_key?.into());
        Some(Asked { action: self.asked_action?, account, key, wanted: self.asked_revision })
    }
}

impl Audit {
    pub(crate) fn put_row(&self, owner: &str, refusal: Option<&Rejection>, version: u64, rows: &mut Rows) {
        let text = refusal.map(ToString::to_string);
        rows.put_first(&AuditRow {
            owner,
            number: version,
            version,
            at: self.at,
            account: &self.account,
            entity: self.entity,
            entity_id: &self.id,
            revision: self.revision,
            action: self.action,
            before: self.before.as_deref(),
            after: self.after.as_deref(),
            refusal_code: refusal.map(Rejection::code),
            refusal: text.as_deref(),
        });
    }
}

/// The revision rows of all kinds, by kind.
#[derive(Debug)]
pub struct Revisions<'a>(BTreeMap<&'a str, Vec<RevisionRow<'a>>>);

impl<'a> Revisions<'a> {
    pub(crate) fn read(rows: &'a Rows) -> Result<Revisions<'a>, Damage> {
        let mut revisions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in rows.of::<RevisionRow<'_>>() {
            let row = row?;
            revisions.entry(row.entity).or_default().push(row);
        }
        Ok(Revisions(revisions))
    }

    /// Of one kind, by id.
    pub(super) fn of<E: Entity>(&self) -> Result<BTreeMap<E::Id, &RevisionRow<'a>>, Damage> {
        let rows = self.0.get(E::NAME).into_iter().flatten();
        rows.map(|row| Ok((row.entity_id.parse().map_err(|_| row.damage("entity_id cannot be read"))?, row))).collect()
    }
}
