//! Operators: who works at which gates, and what they redeem there (R-SCAN-04, R-ADMIN-05).

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web::Path;
use deeptravel_domain::identity::{Account, Duties};
use deeptravel_domain::ids::{EntitlementCode, LocationCode, MerchantCode};
use deeptravel_domain::redeems::Redeems;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::configuration::History;
use super::staff::{self, AccountWritten, NewPassword, Whose};
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Problem, Routes, SeeConfiguration, ok,
};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_operators, list_operators)
        .mount(__path_put_operator, put_operator)
        .mount(__path_show_operator, show_operator)
        .mount(__path_show_operator_history, show_operator_history)
        .mount(__path_reset_operator_password, reset_operator_password)
        .mount(__path_end_operator_sessions, end_operator_sessions);
}

/// What an operator redeems. What is left out limits nothing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OperatorBody {
    /// As in the path.
    username: Option<Box<str>>,
    /// The only merchant whose tickets.
    #[schema(value_type = Option<String>)]
    merchant_id: Option<MerchantCode>,
    /// The only locations, ports among them.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 200)]
    location_ids: Option<Vec<LocationCode>>,
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 200)]
    entitlement_codes: Option<Vec<EntitlementCode>>,
    /// Ends all sessions of the operator.
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperatorView<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_ids: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlement_codes: Option<Vec<&'a str>>,
    disabled: bool,
    /// Without one nobody can log in.
    has_password: bool,
    version: u32,
}

impl<'a> From<&'a Account> for OperatorView<'a> {
    fn from(account: &'a Account) -> OperatorView<'a> {
        let Redeems { merchant, locations, entitlements } = &*account.redeems;
        let location_ids: Vec<_> = locations.iter().map(LocationCode::as_str).collect();
        let entitlement_codes: Vec<_> = entitlements.iter().map(EntitlementCode::as_str).collect();
        OperatorView {
            username: &account.username,
            merchant_id: merchant.as_ref().map(MerchantCode::as_str),
            location_ids: Some(location_ids).filter(|ids| !ids.is_empty()),
            entitlement_codes: Some(entitlement_codes).filter(|codes| !codes.is_empty()),
            disabled: account.disabled,
            has_password: !account.password_hash.is_empty(),
            version: account.revision,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperatorList<'a> {
    /// By user name.
    operators: Vec<OperatorView<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// All operators.
#[utoipa::path(get, path = "/admin/operators", params(Paging), responses((status = 200, body = OperatorList)))]
async fn list_operators(_: Allowed<SeeConfiguration>, api: Api, page: Page<String>) -> Answered {
    let (accounts, next_cursor) = page.of_memory(Whose::Gates.all(&api), |account| account.username.to_string());
    let operators = accounts.iter().map(|account| OperatorView::from(&**account)).collect();
    Ok(ok(&OperatorList { operators, next_cursor }))
}

/// Makes an operator, or changes what one redeems, in force at the next scan. A new one has no password yet. Another merchant
/// ends the operator's sessions.
#[utoipa::path(
    put, path = "/admin/operators/{username}", params(("username" = String, Path), OptionalKey),
    request_body = OperatorBody,
    responses(
        (status = 200, body = AccountWritten),
        (status = 409, description = "`ACCOUNT_OF_OTHER_KIND`"),
        (status = 422, description = "`VALIDATION_ERROR`: also an unknown merchant or location; nothing changed"),
    )
)]
async fn put_operator(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey, body: Body) -> Answered {
    let body: OperatorBody = body.json()?;
    Problem::unless(
        body.username.is_none_or(|username| *username == **path),
        "username",
        "is another one than in the path",
    )?;
    let redeems = Redeems {
        merchant: body.merchant_id,
        locations: only("locationIds", body.location_ids)?,
        entitlements: only("entitlementCodes", body.entitlement_codes)?,
    };
    staff::put(&by, &path, Duties::Operator(Arc::new(redeems)), body.disabled).await
}

/// An empty list would let nothing through: most likely it is a mistake.
fn only<T: Ord>(field: &'static str, list: Option<Vec<T>>) -> Result<BTreeSet<T>, Problem> {
    list.map_or(Ok(BTreeSet::new()), |list| staff::each_once(field, list))
}

/// Shows an operator.
#[utoipa::path(
    get, path = "/admin/operators/{username}",
    responses((status = 200, body = OperatorView), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_operator(_: Allowed<SeeConfiguration>, api: Api, path: Path<String>) -> Answered {
    Ok(ok(&OperatorView::from(&*Whose::Gates.known(&api, &path)?)))
}

/// What was put for an operator.
#[utoipa::path(
    get, path = "/admin/operators/{username}/history", params(("username" = String, Path), Paging),
    responses(
        (status = 200, body = History),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn show_operator_history(
    Allowed(by): Allowed<SeeConfiguration>,
    path: Path<String>,
    page: Page<u64>,
) -> Answered {
    staff::history(&by, &*Whose::Gates.known(&by.api, &path)?, &page).await
}

/// Gives an operator another password, which ends the operator's sessions.
#[utoipa::path(
    put, path = "/admin/operators/{username}/password", request_body = NewPassword,
    responses(
        (status = 204),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 422, description = "A password that is too short"),
    )
)]
async fn reset_operator_password(Allowed(by): Allowed<Configure>, path: Path<String>, body: Body) -> Answered {
    let new = body.json()?;
    staff::reset_password(&by, &*Whose::Gates.known(&by.api, &path)?, new).await
}

/// Ends all sessions of an operator, also those of gates.
#[utoipa::path(
    delete, path = "/admin/operators/{username}/sessions",
    responses((status = 204), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn end_operator_sessions(Allowed(by): Allowed<Configure>, path: Path<String>) -> Answered {
    staff::end_sessions(&by, &*Whose::Gates.known(&by.api, &path)?).await
}
