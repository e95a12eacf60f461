//! Staff log in at a desk.

use actix_web::HttpRequest;
use deeptravel_domain::identity::Command;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Api, Body, Login, Public, Routes, StaffLogin, UseDesk, log_in, never_cached, no_content,
};
use crate::api::views::{self, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_admin_login, admin_login).mount(__path_admin_logout, admin_logout);
}

/// A member of staff who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StaffLoggedIn {
    /// For `Authorization: Bearer …`.
    token: String,
    expires_at: Zoned,
    #[schema(example = json!(["admin"]))]
    roles: Vec<&'static str>,
}

/// Logs a member of staff in for administration, operations, finance or audit.
#[utoipa::path(
    post, path = "/admin/login", request_body = StaffLogin,
    responses(
        (status = 200, body = StaffLoggedIn),
        (status = 401, description = "The user name or the password is wrong"),
        (status = 403, description = "The account has no such role"),
        (status = 429, description = "`RATE_LIMITED`: repeated failures of this name, or from this address"),
    )
)]
async fn admin_login(_: Allowed<Public>, api: Api, request: HttpRequest, body: Body) -> Answered {
    let Login { token, expires_at, roles, .. } = log_in::<UseDesk>(&api, &request, body.json()?).await?;
    Ok(never_cached(&StaffLoggedIn { token, expires_at: views::time(expires_at), roles }))
}

/// Ends the session of the token.
#[utoipa::path(post, path = "/admin/logout", responses((status = 204)))]
async fn admin_logout(Allowed(by): Allowed<UseDesk>) -> Answered {
    by.api.engine.identify(Command::EndSession(*by.token())).await?.outcome?;
    Ok(no_content())
}
