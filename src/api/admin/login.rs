//! Staff log in at a desk.

use actix_web::{HttpRequest, HttpResponse, post};
use deeptravel_domain::identity::Role;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::api::frame::answer::never_cached;
use crate::api::frame::extract::Body;
use crate::api::frame::staff_login::{StaffLogin, log_in};
use crate::api::frame::{Api, Problem};
use crate::api::views::{self, Time};

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(admin_login);
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
    Ok(never_cached(&StaffLoggedIn {
        roles: done.roles(),
        token: done.token,
        expires_at: views::time(done.expires_at),
    }))
}
