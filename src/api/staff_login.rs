//! Logins of staff: operators at the gate, administrators and their kind at a desk (R-SCAN-04, R-ADMIN-07).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, post};
use deeptravel_domain::identity::{Account, Command, Principal, Role, Session};
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth::new_secret;
use super::extract::Body;
use super::passwords::Origin;
use super::view::{self, Time};
use super::{Api, Problem};

/// Longest user name, in bytes: accounts have no longer ones.
const USERNAME_LEN_MAX: usize = 64;
/// Longest password that is hashed, in bytes: hashing takes longer with every byte.
const PASSWORD_LEN_MAX: usize = 256;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(operator_login).service(admin_login);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StaffLogin {
    #[schema(example = "gate", min_length = 1, max_length = 64)]
    username: String,
    #[schema(example = "demo-gate", min_length = 1, max_length = 256)]
    password: String,
}

/// An operator who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperatorLoggedIn {
    /// For `Authorization: Bearer …`.
    operator_token: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    #[schema(example = json!(["operator"]))]
    roles: Vec<&'static str>,
    /// The only merchant whose tickets the operator redeems; null: every merchant's.
    merchant_id: Option<String>,
}

/// A member of staff who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StaffLoggedIn {
    /// For `Authorization: Bearer …`.
    token: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    #[schema(example = json!(["admin"]))]
    roles: Vec<&'static str>,
}

/// A fresh token and whose it is.
struct LoggedIn {
    token: String,
    expires_at: Timestamp,
    account: Arc<Account>,
}

impl LoggedIn {
    fn roles(&self) -> Vec<&'static str> {
        self.account.roles.iter().map(|role| role.code()).collect()
    }
}

/// Logs an operator in, to open validator sessions and scan.
#[utoipa::path(
    tag = "gate",
    request_body = StaffLogin,
    responses(
        (status = 200, body = OperatorLoggedIn),
        (status = 401, description = "The user name or the password is wrong"),
        (status = 403, description = "The account is no operator's"),
        (status = 429, description = "`RATE_LIMITED`: repeated failures of this name from this address"),
    )
)]
#[post("/operators/login")]
async fn operator_login(
    api: Api,
    request: HttpRequest,
    Body(login): Body<StaffLogin>,
) -> Result<HttpResponse, Problem> {
    let done = log_in(&api, &request, login, &[Role::Operator]).await?;
    Ok(never_cached(&OperatorLoggedIn {
        roles: done.roles(),
        merchant_id: done.account.merchant.as_ref().map(ToString::to_string),
        operator_token: done.token,
        expires_at: view::time(done.expires_at),
    }))
}

/// Logs a member of staff in for administration, operations, finance or audit.
#[utoipa::path(
    tag = "administration",
    request_body = StaffLogin,
    responses(
        (status = 200, body = StaffLoggedIn),
        (status = 401, description = "The user name or the password is wrong"),
        (status = 403, description = "The account has no such role"),
        (status = 429, description = "`RATE_LIMITED`: repeated failures of this name from this address"),
    )
)]
#[post("/admin/login")]
async fn admin_login(api: Api, request: HttpRequest, Body(login): Body<StaffLogin>) -> Result<HttpResponse, Problem> {
    let done = log_in(&api, &request, login, &[Role::Admin, Role::Ops, Role::Finance, Role::Auditor]).await?;
    Ok(never_cached(&StaffLoggedIn { roles: done.roles(), token: done.token, expires_at: view::time(done.expires_at) }))
}

async fn log_in(api: &Api, request: &HttpRequest, login: StaffLogin, any_of: &[Role]) -> Result<LoggedIn, Problem> {
    check_text("username", &login.username, USERNAME_LEN_MAX)?;
    check_text("password", &login.password, PASSWORD_LEN_MAX)?;
    let address = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let account = api.engine.services().directory.account(&login.username);
    let origin = Origin { username: login.username.into(), address };
    let account = api.passwords().check(origin, account, login.password, &api.io).await?;
    // Only now: whether a name has a role is nobody's business before.
    if !any_of.iter().any(|role| account.roles.contains(role)) {
        return Err(Problem::forbidden("the account has no role for this login"));
    }

    let (token, token_hash) = new_secret();
    let opened_at = api.engine.now();
    let expires_at = opened_at.plus_seconds(i64::from(api.settings.staff_session_seconds));
    let principal = Principal::Staff { username: account.username.clone() };
    let session = Session { token_hash, principal, opened_at, expires_at, ended_at: None };
    api.engine.identify(Command::OpenSession(session)).await?.outcome?;
    Ok(LoggedIn { token, expires_at, account })
}

/// No account has a name or password with control characters: nobody's hash is computed for them.
fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), Problem> {
    if (1..=max).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::field(field, format!("is not 1 to {max} bytes without control characters")))
}

/// An answer with a secret in it.
pub fn never_cached(answer: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(answer)
}
