//! A traveller's login through WeChat, and everybody's logout.

use deeptravel_domain::identity::{Command, Principal};
use deeptravel_wechat::LoginError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::refusals::Refusal;
use crate::api::frame::{
    Allowed, Answered, Api, Body, EndSession, Problem, Public, Routes, is_visible_ascii, never_cached, no_content,
    refusals,
};
use crate::api::views::{self, Zoned};
use crate::gateway::traveller_of;

/// Longest login code; WeChat's have 32 characters.
const CODE_LEN_MAX: usize = 128;
/// Longest openid that is kept; WeChat's have 28 characters.
const OPENID_LEN_MAX: usize = 128;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_log_in, log_in).mount(__path_log_out, log_out);
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// What `wx.login` gave.
    #[schema(example = "demo-alice", min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    code: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    /// For `Authorization: Bearer …`.
    token: String,
    expires_at: Zoned,
    traveller: TravellerView,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Traveller)]
struct TravellerView {
    id: String,
}

/// Exchanges a WeChat login code for a token.
#[utoipa::path(
    post, path = "/auth/wechat/login", request_body = Login,
    responses(
        (status = 200, body = LoggedIn),
        (status = 401, description = "`INVALID_LOGIN_CODE`"),
        (status = 502, description = "`LOGIN_PROVIDER`: WeChat gives no answer"),
    )
)]
async fn log_in(_: Allowed<Public>, api: Api, body: Body) -> Answered {
    let Login { code } = body.json()?;
    Problem::unless(is_visible_ascii(&code, CODE_LEN_MAX), "code", "is not 1 to 128 visible ASCII characters")?;
    let wechat = api.wechat.clone();
    let answer = api.on_io(async move { wechat.code2session(&code).await }).await?;
    let openid = answer.map_err(|error| refused(&error))?.openid;
    if openid.len() > OPENID_LEN_MAX || openid.chars().any(char::is_control) {
        return Err(refusals::LOGIN_PROVIDER.into());
    }

    let traveller = traveller_of(&openid);
    let principal = Principal::Traveller { id: traveller, openid: openid.into() };
    let (token, expires_at) = api.open_session(principal, api.sessions.traveller_hours).await?;
    let traveller = TravellerView { id: traveller.to_string() };
    Ok(never_cached(&LoggedIn { token, expires_at: views::time(expires_at), traveller }))
}

/// Reported here, once: the texts carry no code and no secret.
fn refused(error: &LoginError) -> Refusal {
    match error {
        LoginError::InvalidCode => refusals::INVALID_LOGIN_CODE,
        LoginError::Blocked => refusals::LOGIN_BLOCKED,
        LoginError::Busy => refusals::LOGIN_BUSY,
        LoginError::Refused { .. } => {
            tracing::error!(%error, "WeChat refuses logins: {error}");
            refusals::LOGIN_PROVIDER
        }
        LoginError::Unavailable(_) => {
            tracing::warn!(%error, "WeChat does not answer a login: {error}");
            refusals::LOGIN_PROVIDER
        }
    }
}

/// Ends the session of the token.
#[utoipa::path(post, path = "/auth/logout", responses((status = 204)))]
async fn log_out(Allowed(by): Allowed<EndSession>) -> Answered {
    by.api.engine.identify(Command::EndSession(*by.token())).await?.outcome?;
    Ok(no_content())
}
