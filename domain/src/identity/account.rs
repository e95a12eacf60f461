//! Accounts of staff, and writes to them (R-ADMIN-07). Every write leaves an audit entry in its record, also one that is
//! refused; no hash ever stands in one.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::{Identities, Role, SecretHash};
use crate::ids::{EntitlementCode, LocationCode, MerchantCode};
use crate::redeems::Redeems;
use crate::register::{Action, Audit};
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

/// What the audit calls an account.
pub const ENTITY: &str = "account";

/// A member of staff.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub username: Box<str>,
    /// A PHC string of argon2; opaque here. Empty: it has no password yet, and nobody can log in.
    pub password_hash: Box<str>,
    pub roles: BTreeSet<Role>,
    /// Of an operator.
    pub redeems: Arc<Redeems>,
    pub disabled: bool,
    /// Counts what was put, from 1. 0: it was put before that was counted.
    pub revision: u32,
}

impl Account {
    pub fn is_operator(&self) -> bool {
        self.roles.contains(&Role::Operator)
    }

    /// Somebody who can undo what any other administrator does.
    fn is_working_administrator(&self) -> bool {
        self.roles.contains(&Role::Admin) && !self.disabled && !self.password_hash.is_empty()
    }
}

/// What an account is for. It stays one or the other: a gate's password never opens a desk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Duties {
    Operator(Arc<Redeems>),
    /// At least one role, and not the operator's.
    Desk(BTreeSet<Role>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountChange {
    /// Makes an account, or changes all of it but the password, which it keeps where none is given.
    Put {
        duties: Duties,
        disabled: bool,
        password_hash: Option<Box<str>>,
    },
    /// Another password ends the account's sessions, but for the one that `stays`.
    Password {
        hash: Box<str>,
        stays: Option<SecretHash>,
    },
    EndSessions,
}

/// A write to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountWrite {
    pub username: Box<str>,
    pub change: AccountChange,
    /// An account, or a part of us with a name of its own.
    pub by: Arc<str>,
    /// That it does not fit what is configured, which is not known here.
    pub unfit: Option<Rejection>,
}

/// What whoever wrote learns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccountStanding {
    pub revision: u32,
    /// Whether this write made a difference; else it was already so.
    pub changed: bool,
}

/// What becomes of an account.
pub(super) struct Outcome {
    /// As it is from now on.
    pub account: Account,
    pub sessions: Sessions,
}

/// What becomes of an account's sessions.
#[derive(Clone, Copy)]
pub(super) enum Sessions {
    Stay,
    End { but: Option<SecretHash> },
}

impl AccountWrite {
    pub fn new(username: &str, change: AccountChange, by: &str) -> AccountWrite {
        AccountWrite { username: username.into(), change, by: by.into(), unfit: None }
    }

    fn action(&self) -> Action {
        match self.change {
            AccountChange::Put { .. } => Action::Put,
            AccountChange::Password { .. } => Action::Password,
            AccountChange::EndSessions => Action::EndSessions,
        }
    }

    /// What it makes of the account; `None`: it is already so.
    pub(super) fn outcome(&self, identities: &Identities) -> Result<Option<Outcome>, Rejection> {
        if let Some(unfit) = &self.unfit {
            return Err(unfit.clone());
        }
        let known = identities.account(&self.username);
        let named = || Rejection::NotConfigured { entity: ENTITY, id: self.username.to_string() };
        match &self.change {
            AccountChange::Put { duties, disabled, password_hash } => {
                let account = self.put(known.map(|known| &**known), duties, *disabled, password_hash.as_deref())?;
                let Some(known) = known else { return Ok(Some(Outcome { account, sessions: Sessions::Stay })) };
                if **known == account {
                    return Ok(None);
                }
                if known.is_working_administrator() && !account.is_working_administrator() {
                    let is_other = |other: &&Arc<Account>| other.username != self.username;
                    let mut others = identities.accounts().filter(is_other);
                    ensure_another(others.any(|other| other.is_working_administrator()))?;
                }
                // Its gates are devices of the merchant that it was of; whoever knows the earlier password may be anybody.
                let is_moved = known.redeems.merchant != account.redeems.merchant;
                let ends = account.disabled || is_moved || known.password_hash != account.password_hash;
                let account = Account { revision: known.revision.saturating_add(1), ..account };
                let sessions = if ends { Sessions::End { but: None } } else { Sessions::Stay };
                Ok(Some(Outcome { account, sessions }))
            }
            AccountChange::Password { hash, stays } => {
                let known = known.ok_or_else(named)?;
                let account = Account { password_hash: hash.clone(), ..Account::clone(known) };
                Ok(Some(Outcome { account, sessions: Sessions::End { but: *stays } }))
            }
            AccountChange::EndSessions => {
                let known = known.ok_or_else(named)?;
                Ok(Some(Outcome { account: Account::clone(known), sessions: Sessions::End { but: None } }))
            }
        }
    }

    /// The account that is put, with the revision of the one that is known.
    fn put(
        &self,
        known: Option<&Account>,
        duties: &Duties,
        disabled: bool,
        password_hash: Option<&str>,
    ) -> Result<Account, Rejection> {
        let (roles, redeems) = match duties {
            Duties::Operator(redeems) => (BTreeSet::from([Role::Operator]), Arc::clone(redeems)),
            Duties::Desk(roles) => (roles.clone(), Arc::default()),
        };
        let is_desk = !roles.is_empty() && !roles.contains(&Role::Operator);
        ensure(is_desk || matches!(duties, Duties::Operator(_)), "roles", "are none of a desk's")?;
        let is_other = |known: &Account| known.is_operator() != matches!(duties, Duties::Operator(_));
        if known.is_some_and(is_other) {
            return Err(Rejection::AccountOfOtherKind { username: self.username.to_string() });
        }
        let kept = known.map_or("", |known| &known.password_hash);
        Ok(Account {
            username: self.username.clone(),
            password_hash: password_hash.unwrap_or(kept).into(),
            roles,
            redeems,
            disabled,
            revision: known.map_or(1, |known| known.revision),
        })
    }

    /// What the audit says of it: never a hash.
    pub(super) fn audit(&self, identities: &Identities, made: Option<&Account>, now: Timestamp) -> Audit {
        let is_put = matches!(self.change, AccountChange::Put { .. });
        let before = identities.account(&self.username).filter(|_| is_put).map(|account| shown(account));
        let after = match &self.change {
            AccountChange::Put { duties, disabled, .. } => Some(asked(&self.username, duties, *disabled)),
            AccountChange::Password { .. } | AccountChange::EndSessions => None,
        };
        Audit {
            at: now,
            account: Arc::clone(&self.by),
            entity: ENTITY,
            id: self.username.to_string(),
            revision: made.filter(|_| is_put).map(|account| account.revision),
            action: self.action(),
            before,
            after,
        }
    }
}

fn ensure_another(is_there: bool) -> Result<(), Rejection> {
    if is_there { Ok(()) } else { Err(Rejection::LastAdministrator) }
}

/// An account in the words of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_id: Option<&'a MerchantCode>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    location_ids: &'a BTreeSet<LocationCode>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    entitlement_codes: &'a BTreeSet<EntitlementCode>,
    disabled: bool,
}

fn shown(account: &Account) -> Arc<str> {
    json(&account.username, account.roles.iter().map(|role| role.code()).collect(), &account.redeems, account.disabled)
}

fn asked(username: &str, duties: &Duties, disabled: bool) -> Arc<str> {
    match duties {
        Duties::Operator(redeems) => json(username, vec![Role::Operator.code()], redeems, disabled),
        Duties::Desk(roles) => {
            json(username, roles.iter().map(|role| role.code()).collect(), &Redeems::default(), disabled)
        }
    }
}

fn json(username: &str, roles: Vec<&'static str>, redeems: &Redeems, disabled: bool) -> Arc<str> {
    let Redeems { merchant, locations: location_ids, entitlements: entitlement_codes } = redeems;
    let merchant_id = merchant.as_ref();
    let shown = Shown { username, roles, merchant_id, location_ids, entitlement_codes, disabled };
    let text = serde_json::to_string(&shown);
    text.unwrap_or_else(|error| unreachable!("an account has texts only: {error}")).into()
}
