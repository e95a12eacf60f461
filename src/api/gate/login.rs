//! Operators log in.

use actix_web::HttpRequest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Api, Body, Login, Public, Redeem, Routes, StaffLogin, log_in, never_cached,
};
use crate::api::views::{self, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_operator_login, operator_login);
}

/// An operator who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperatorLoggedIn {
    /// For `Authorization: Bearer …`.
    operator_token: String,
    expires_at: Zoned,
    #[schema(example = json!(["operator"]))]
    roles: Vec<&'static str>,
    /// The only merchant whose tickets the operator redeems; null: every merchant's.
    merchant_id: Option<String>,
}

/// Logs an operator in, to open validator sessions and scan.
#[utoipa::path(
    post, path = "/operators/login", request_body = StaffLogin,
    responses(
        (status = 200, body = OperatorLoggedIn),
        (status = 401, description = "The user name or the password is wrong"),
        (status = 403, description = "The account is no operator's"),
        (status = 429, description = "`RATE_LIMITED`: repeated failures of this name, or from this address"),
    )
)]
async fn operator_login(_: Allowed<Public>, api: Api, request: HttpRequest, body: Body) -> Answered {
    let Login { token, expires_at, roles, account } = log_in::<Redeem>(&api, &request, body.json()?).await?;
    let merchant_id = account.redeems.merchant.as_ref().map(ToString::to_string);
    let expires_at = views::time(expires_at);
    Ok(never_cached(&OperatorLoggedIn { operator_token: token, expires_at, roles, merchant_id }))
}
