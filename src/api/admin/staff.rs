//! What is the same for operators' and for desks' accounts (R-ADMIN-07): writes, passwords, sessions, the history.

use std::collections::BTreeSet;
use std::sync::Arc;

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::identity::{Account, AccountChange, AccountStanding, AccountWrite, Duties, ENTITY, Role};
use deeptravel_domain::rejection::Rejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::configuration;
use crate::api::frame::{Answered, Api, Page, Problem, Staff, new_password, no_content, ok};

const USERNAME: &str = "username";
/// Longest user name, in bytes.
const USERNAME_LEN_MAX: usize = 64;

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// At least 12 characters, at most 256 bytes.
    #[schema(min_length = 12, max_length = 256)]
    pub password: String,
}

/// The account as it stands after a write.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountWritten<'a> {
    username: &'a str,
    version: u32,
    /// It was so already, and no version was made.
    idempotent: bool,
}

/// Which accounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Gates,
    Desks,
}

impl Whose {
    pub fn has(self, account: &Account) -> bool {
        account.is_operator() == (self == Whose::Gates)
    }

    /// By user name.
    pub fn all(self, api: &Api) -> Vec<Arc<Account>> {
        let mut accounts = api.engine.services().directory.accounts();
        accounts.retain(|account| self.has(account));
        accounts.sort_unstable_by(|a, b| a.username.cmp(&b.username));
        accounts
    }

    pub fn known(self, api: &Api, username: &str) -> Result<Arc<Account>, Problem> {
        let known = api.engine.services().directory.account(username).filter(|account| self.has(account));
        let unknown = || Rejection::NotConfigured { entity: ENTITY, id: username.to_owned() };
        known.ok_or_else(|| Problem::from(unknown()).naming(USERNAME, "is no such account"))
    }
}

/// Puts an account. What it refers to is looked at here, and a refusal of that is written down too.
pub async fn put(by: &Staff, username: &str, duties: Duties, disabled: bool) -> Answered {
    let is_known = by.api.engine.services().directory.account(username).is_some();
    Problem::unless(is_known || is_name(username), USERNAME, "is not 1 to 64 of A-Z a-z 0-9 - _ . @")?;
    let unfit = fit(&duties, &by.api.engine.services().catalogue.load()).err();
    let change = AccountChange::Put { duties, disabled, password_hash: None };
    let AccountStanding { revision, changed } = write(by, username, change, unfit).await?;
    Ok(ok(&AccountWritten { username, version: revision, idempotent: !changed }))
}

/// Of a new account: it stands in paths and logs. Accounts made elsewhere may have other names.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    (1..=USERNAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_plain)
}

fn fit(duties: &Duties, catalogue: &Catalogue) -> Result<(), Rejection> {
    match duties {
        Duties::Operator(redeems) => redeems.check(catalogue),
        Duties::Desk(_) => Ok(()),
    }
}

/// Gives an account another password, which ends its sessions.
pub async fn reset_password(by: &Staff, account: &Account, new: NewPassword) -> Answered {
    let is_own = account.username == by.who.username;
    Problem::unless(!is_own, USERNAME, "is your own: PUT /admin/me/password asks for the old one")?;
    let hash = new_password(&by.api, &account.username, "password", new.password).await?;
    write(by, &account.username, AccountChange::Password { hash, stays: None }, None).await?;
    Ok(no_content())
}

/// Ends all sessions of an account, those of its gates among them.
pub async fn end_sessions(by: &Staff, account: &Account) -> Answered {
    write(by, &account.username, AccountChange::EndSessions, None).await?;
    Ok(no_content())
}

pub async fn write(
    by: &Staff,
    username: &str,
    change: AccountChange,
    unfit: Option<Rejection>,
) -> Result<AccountStanding, Problem> {
    let write = AccountWrite { unfit, ..AccountWrite::new(username, change, &by.who.username) };
    by.shown(by.api.engine.write_account(write).await)
}

/// What was put, the newest first. Passwords and ended sessions are in the audit alone.
pub async fn history(by: &Staff, account: &Account, page: &Page<u64>) -> Answered {
    configuration::history_of(by, ENTITY, account.username.to_string(), page).await
}

pub fn roles(account: &Account) -> Vec<&'static str> {
    account.roles.iter().map(|role| role.code()).collect()
}

/// Roles of a desk by their codes.
pub fn parse_roles(roles: &[String]) -> Result<BTreeSet<Role>, Problem> {
    let role = |(index, code): (usize, &String)| {
        let known = code.parse().ok().filter(|role| *role != Role::Operator);
        known.ok_or_else(|| Problem::field(format!("roles[{index}]"), "is not admin, ops, finance or auditor"))
    };
    each_once("roles", roles.iter().enumerate().map(role).collect::<Result<_, _>>()?)
}

/// A list that may be left out, but that has something, and each thing once, where it is there.
pub fn each_once<T: Ord>(field: &'static str, list: Vec<T>) -> Result<BTreeSet<T>, Problem> {
    Problem::unless(!list.is_empty(), field, "is empty")?;
    let count = list.len();
    let each: BTreeSet<T> = list.into_iter().collect();
    Problem::unless(each.len() == count, field, "names one twice").map(|()| each)
}
