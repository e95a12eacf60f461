//! Logins of staff: operators at the gate, administrators and their kind at a desk (R-SCAN-04, R-ADMIN-07).

use std::sync::Arc;

use actix_web::HttpRequest;
use deeptravel_domain::identity::{Account, Principal};
use deeptravel_domain::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::address::client_address;
use super::auth::Staff;
use super::guesses::{Origin, Place};
use super::permission::Permit;
use super::problem::Problem;
use super::refusals;
use super::refused::note_login;
use super::state::Api;

/// Longest user name, in bytes: accounts have no longer ones.
const USERNAME_LEN_MAX: usize = 64;
/// Longest password that is hashed, in bytes: hashing takes longer with every byte.
const PASSWORD_LEN_MAX: usize = 256;
/// Shortest password of an account of staff that is not a demo's.
pub const PASSWORD_CHARS_MIN: usize = 12;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaffLogin {
    #[schema(example = "gate", min_length = 1, max_length = 64)]
    username: String,
    #[schema(example = "demo-gate", min_length = 1, max_length = 256)]
    password: String,
}

/// A fresh token and whose it is.
pub struct Login {
    pub token: String,
    pub expires_at: Timestamp,
    pub roles: Vec<&'static str>,
    pub account: Arc<Account>,
}

/// Opens a session for an account with a permission.
pub async fn log_in<P: Permit>(api: &Api, request: &HttpRequest, login: StaffLogin) -> Result<Login, Problem> {
    check_login(&login.username, &login.password)?;
    let place = Place::from(client_address(request, &api.server.trusted_proxies));
    let account = api.engine.services().directory.account(&login.username);
    note_login(request, account.as_ref().map(|account| &*account.username));
    let origin = Origin { username: login.username.into(), place };
    let account = api.passwords.check(origin, account, login.password, &api.io).await?;
    // Only now: whether a name has a role is nobody's business before.
    if !P::PERMISSION.is_of_account(&account) {
        return Err(refusals::FORBIDDEN.saying("the account has no role for this login"));
    }

    let principal = Principal::Staff { username: account.username.clone() };
    let (token, expires_at) = api.open_session(principal, api.sessions.staff_hours).await?;
    let roles = account.roles.iter().map(|role| role.code()).collect();
    Ok(Login { token, expires_at, roles, account })
}

/// That it is the password of whoever asks: a wrong one is counted like that of a login. 422 names the field.
pub async fn check_own_password(
    by: &Staff,
    request: &HttpRequest,
    field: &'static str,
    password: String,
) -> Result<(), Problem> {
    check_text(field, &password, PASSWORD_LEN_MAX)?;
    let place = Place::from(client_address(request, &by.api.server.trusted_proxies));
    let origin = Origin { username: by.who.username.clone(), place };
    let checked = by.api.passwords.check(origin, Some(Arc::clone(&by.who)), password, &by.api.io).await;
    let is_wrong = |problem: &Problem| problem.code() == refusals::UNAUTHENTICATED.code;
    checked.map(drop).map_err(|problem| if is_wrong(&problem) { Problem::field(field, "is wrong") } else { problem })
}

/// The hash of a password that an account may have.
pub async fn new_password(
    api: &Api,
    username: &str,
    field: &'static str,
    password: String,
) -> Result<Box<str>, Problem> {
    check_text("username", username, USERNAME_LEN_MAX)?;
    check_text(field, &password, PASSWORD_LEN_MAX)?;
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Problem::field(field, format!("has fewer than {PASSWORD_CHARS_MIN} characters")));
    }
    api.passwords.hash(password, &api.io).await
}

/// Refuses what no account may have, before anything is looked up.
pub fn check_login(username: &str, password: &str) -> Result<(), Problem> {
    check_text("username", username, USERNAME_LEN_MAX)?;
    check_text("password", password, PASSWORD_LEN_MAX)
}

/// No account has a name or password with control characters: nobody's hash is computed for them.
fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), Problem> {
    if (1..=max).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::field(field, format!("is not 1 to {max} bytes without control characters")))
}
