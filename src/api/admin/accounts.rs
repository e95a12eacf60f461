//! Accounts of those who sit at a desk, with their roles, and one's own password (R-ADMIN-07).

use actix_web::HttpRequest;
use actix_web::web::Path;
use deeptravel_domain::identity::{Account, AccountChange, Duties};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::configuration::History;
use super::staff::{self, AccountWritten, NewPassword, Whose};
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Problem, Routes, SeeConfiguration, UseDesk,
    check_own_password, new_password, no_content, ok,
};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_accounts, list_accounts)
        .mount(__path_put_account, put_account)
        .mount(__path_show_account, show_account)
        .mount(__path_show_account_history, show_account_history)
        .mount(__path_reset_account_password, reset_account_password)
        .mount(__path_end_account_sessions, end_account_sessions)
        .mount(__path_change_own_password, change_own_password);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// As in the path.
    username: Option<Box<str>>,
    #[schema(min_items = 1, max_items = 4, example = json!(["ops", "finance"]))]
    roles: Vec<String>,
    /// Ends all sessions of the account.
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AccountView<'a> {
    username: &'a str,
    #[schema(example = json!(["ops", "finance"]))]
    roles: Vec<&'static str>,
    disabled: bool,
    /// Without one nobody can log in.
    has_password: bool,
    version: u32,
}

impl<'a> From<&'a Account> for AccountView<'a> {
    fn from(account: &'a Account) -> AccountView<'a> {
        AccountView {
            username: &account.username,
            roles: staff::roles(account),
            disabled: account.disabled,
            has_password: !account.password_hash.is_empty(),
            version: account.revision,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AccountList<'a> {
    /// By user name.
    accounts: Vec<AccountView<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One's own password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OwnPassword {
    #[schema(min_length = 1, max_length = 256)]
    old_password: String,
    /// At least 12 characters, at most 256 bytes.
    #[schema(min_length = 12, max_length = 256)]
    new_password: String,
}

/// All accounts of desks.
#[utoipa::path(get, path = "/admin/accounts", params(Paging), responses((status = 200, body = AccountList)))]
async fn list_accounts(_: Allowed<SeeConfiguration>, api: Api, page: Page<String>) -> Answered {
    let (accounts, next_cursor) = page.of_memory(Whose::Desks.all(&api), |account| account.username.to_string());
    let accounts = accounts.iter().map(|account| AccountView::from(&**account)).collect();
    Ok(ok(&AccountList { accounts, next_cursor }))
}

/// Makes an account, or changes its roles, in force at the next request. A new one has no password yet.
#[utoipa::path(
    put, path = "/admin/accounts/{username}", params(("username" = String, Path), OptionalKey),
    request_body = AccountBody,
    responses(
        (status = 200, body = AccountWritten),
        (status = 409, description = "`LAST_ADMINISTRATOR`, `ACCOUNT_OF_OTHER_KIND`"),
        (status = 422, description = "`VALIDATION_ERROR`; nothing changed"),
    )
)]
async fn put_account(Allowed(by): Allowed<Configure>, path: Path<String>, _: OptionalKey, body: Body) -> Answered {
    let body: AccountBody = body.json()?;
    Problem::unless(
        body.username.is_none_or(|username| *username == **path),
        "username",
        "is another one than in the path",
    )?;
    let roles = staff::parse_roles(&body.roles)?;
    staff::put(&by, &path, Duties::Desk(roles), body.disabled).await
}

/// Shows an account.
#[utoipa::path(
    get, path = "/admin/accounts/{username}",
    responses((status = 200, body = AccountView), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_account(_: Allowed<SeeConfiguration>, api: Api, path: Path<String>) -> Answered {
    Ok(ok(&AccountView::from(&*Whose::Desks.known(&api, &path)?)))
}

/// What was put for an account.
#[utoipa::path(
    get, path = "/admin/accounts/{username}/history", params(("username" = String, Path), Paging),
    responses(
        (status = 200, body = History),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn show_account_history(Allowed(by): Allowed<SeeConfiguration>, path: Path<String>, page: Page<u64>) -> Answered {
    staff::history(&by, &*Whose::Desks.known(&by.api, &path)?, &page).await
}

/// Gives somebody else's account another password, which ends its sessions.
#[utoipa::path(
    put, path = "/admin/accounts/{username}/password", request_body = NewPassword,
    responses(
        (status = 204),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 422, description = "A password that is too short, or one's own account"),
    )
)]
async fn reset_account_password(Allowed(by): Allowed<Configure>, path: Path<String>, body: Body) -> Answered {
    let new = body.json()?;
    staff::reset_password(&by, &*Whose::Desks.known(&by.api, &path)?, new).await
}

/// Ends all sessions of an account.
#[utoipa::path(
    delete, path = "/admin/accounts/{username}/sessions",
    responses((status = 204), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn end_account_sessions(Allowed(by): Allowed<Configure>, path: Path<String>) -> Answered {
    staff::end_sessions(&by, &*Whose::Desks.known(&by.api, &path)?).await
}

/// Changes one's own password. All other sessions of the account end.
#[utoipa::path(
    put, path = "/admin/me/password", request_body = OwnPassword,
    responses(
        (status = 204),
        (status = 422, description = "The old password is wrong, or the new one is too short"),
        (status = 429, description = "`RATE_LIMITED`: repeated failures"),
    )
)]
async fn change_own_password(Allowed(by): Allowed<UseDesk>, request: HttpRequest, body: Body) -> Answered {
    let OwnPassword { old_password, new_password: new } = body.json()?;
    check_own_password(&by, &request, "oldPassword", old_password).await?;
    let hash = new_password(&by.api, &by.who.username, "newPassword", new).await?;
    let change = AccountChange::Password { hash, stays: Some(*by.token()) };
    staff::write(&by, &by.who.username, change, None).await?;
    Ok(no_content())
}
