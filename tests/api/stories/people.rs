//! Accounts of staff, as an administrator makes and ends them (R-ADMIN-07).

use serde_json::json;

use crate::client::{Answer, Client, Person};
use crate::server::another;
use crate::shop::eventually;

const FIRST: &str = "a first password";
const SECOND: &str = "a second password";

async fn log_in(client: &Client, path: &str, username: &str, password: &str) -> Answer {
    client.post(path, &json!({ "username": username, "password": password })).await
}

async fn at_a_desk(client: &Client, username: &str, password: &str) -> Person {
    client.person(&log_in(client, "/admin/login", username, password).await.ok()["token"])
}

/// An account of a desk, with its first password.
async fn make_desk(admin: &Person, username: &str, roles: &[&str]) {
    admin.put(&format!("/admin/accounts/{username}"), &json!({ "roles": roles })).await.ok();
    let password = admin.put(&format!("/admin/accounts/{username}/password"), &json!({ "password": FIRST })).await;
    assert_eq!(password.status, 204, "{}", password.text);
}

#[tokio::test]
async fn r_admin_07_an_operator_logs_in_with_the_first_password_and_until_the_account_is_disabled() {
    let client = Client::new();
    let admin = client.administrator().await;
    let (account, login) = ("/admin/operators/people-gate", "/operators/login");
    let made = admin.put(account, &json!({ "locationIds": ["HZHK"] })).await.ok();
    assert_eq!((&made["version"], &made["idempotent"]), (&json!(1), &json!(false)));
    assert_eq!(admin.get(account).await.ok()["hasPassword"], false);
    log_in(&client, login, "people-gate", "").await.problem(422, "VALIDATION_ERROR");
    log_in(&client, login, "people-gate", FIRST).await.problem(401, "UNAUTHENTICATED");

    assert_eq!(admin.put(&format!("{account}/password"), &json!({ "password": FIRST })).await.status, 204);
    let operator = client.person(&log_in(&client, login, "people-gate", FIRST).await.ok()["operatorToken"]);
    operator.gate(&json!({ "deviceId": "people", "locationId": "HZHK" })).await;
    log_in(&client, "/admin/login", "people-gate", FIRST).await.problem(403, "FORBIDDEN");
    let again = admin.put(account, &json!({ "locationIds": ["HZHK"] })).await.ok();
    assert_eq!((&again["version"], &again["idempotent"]), (&json!(1), &json!(true)));

    // Somebody ends the sessions, then the account.
    assert_eq!(admin.delete(&format!("{account}/sessions")).await.status, 204);
    operator.post("/validators/sessions", &json!({ "deviceId": "people" })).await.problem(401, "UNAUTHENTICATED");
    let operator = client.person(&log_in(&client, login, "people-gate", FIRST).await.ok()["operatorToken"]);
    assert_eq!(admin.put(account, &json!({ "disabled": true })).await.ok()["version"], 2);
    operator.post("/validators/sessions", &json!({ "deviceId": "people" })).await.problem(401, "UNAUTHENTICATED");
    log_in(&client, login, "people-gate", FIRST).await.problem(401, "UNAUTHENTICATED");

    let history = admin.get(&format!("{account}/history")).await.ok();
    let disabled: Vec<_> =
        history["revisions"].as_array().unwrap().iter().map(|put| &put["content"]["disabled"]).collect();
    assert_eq!(disabled, [true, false]);
    assert!(!history.to_string().contains("argon2"));
}

#[tokio::test]
async fn r_admin_07_a_role_is_in_force_at_the_next_request() {
    let client = Client::new();
    let admin = client.administrator().await;
    make_desk(&admin, "people-roles", &["auditor"]).await;
    let (account, desk) = ("/admin/accounts/people-roles", at_a_desk(&client, "people-roles", FIRST).await);
    let port = ("/admin/ports/PEOPLE", json!({ "name": { "zh": "口岸", "en": "Port" } }));
    let write = async || desk.put(port.0, &port.1).await;

    assert_eq!(desk.get("/admin/ports").await.status, 200);
    write().await.problem(403, "FORBIDDEN");
    admin.put(account, &json!({ "roles": ["auditor", "admin"] })).await.ok();
    write().await.ok();
    admin.put(account, &json!({ "roles": ["finance"] })).await.ok();
    write().await.problem(403, "FORBIDDEN");
    let listed = admin.get("/admin/accounts?limit=100").await.ok();
    let listed = listed["accounts"].as_array().unwrap().iter().find(|account| account["username"] == "people-roles");
    assert_eq!(listed.unwrap()["roles"], json!(["finance"]));
    admin.put(account, &json!({ "roles": ["finance"], "disabled": true })).await.ok();
    write().await.problem(401, "UNAUTHENTICATED");
    for (roles, field) in
        [(json!([]), "roles"), (json!(["operator"]), "roles[0]"), (json!(["ops", "king"]), "roles[1]")]
    {
        let refused = admin.put(account, &json!({ "roles": roles })).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn r_admin_07_ones_own_password_is_changed_with_the_old_one_and_ends_the_other_sessions() {
    let client = Client::new();
    let admin = client.administrator().await;
    make_desk(&admin, "people-own", &["ops"]).await;
    let (here, elsewhere) =
        (at_a_desk(&client, "people-own", FIRST).await, at_a_desk(&client, "people-own", FIRST).await);
    let change = async |old: &str, new: &str| {
        here.put("/admin/me/password", &json!({ "oldPassword": old, "newPassword": new })).await
    };
    let wrong = change("not this one", SECOND).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(wrong.body["errors"][0]["field"], "oldPassword");
    let short = change(FIRST, "too short").await.problem(422, "VALIDATION_ERROR");
    assert_eq!(short.body["errors"][0]["field"], "newPassword");
    assert_eq!(elsewhere.get("/admin/ports").await.status, 200, "nothing has changed");

    assert_eq!(change(FIRST, SECOND).await.status, 204);
    elsewhere.get("/admin/ports").await.problem(401, "UNAUTHENTICATED");
    assert_eq!(here.get("/admin/ports").await.status, 200);
    log_in(&client, "/admin/login", "people-own", FIRST).await.problem(401, "UNAUTHENTICATED");
    let again = at_a_desk(&client, "people-own", SECOND).await;
    assert_eq!(here.post("/admin/logout", &json!({})).await.status, 204);
    here.get("/admin/ports").await.problem(401, "UNAUTHENTICATED");
    assert_eq!(again.get("/admin/ports").await.status, 200, "the other session goes on");
    let own = admin.put("/admin/accounts/admin/password", &json!({ "password": SECOND })).await;
    own.problem(422, "VALIDATION_ERROR");
}

#[tokio::test]
async fn r_admin_07_the_last_administrator_stays_and_an_account_stays_of_its_kind() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    for body in [json!({ "roles": ["admin"], "disabled": true }), json!({ "roles": ["ops"] })] {
        admin.put("/admin/accounts/admin", &body).await.problem(409, "LAST_ADMINISTRATOR");
    }
    admin.put("/admin/accounts/gate", &json!({ "roles": ["admin"] })).await.problem(409, "ACCOUNT_OF_OTHER_KIND");
    admin.put("/admin/operators/admin", &json!({})).await.problem(409, "ACCOUNT_OF_OTHER_KIND");
    admin.get("/admin/operators/admin").await.problem(404, "NOT_CONFIGURED");
    admin.get("/admin/accounts/gate").await.problem(404, "NOT_CONFIGURED");
    make_desk(&admin, "second", &["admin"]).await;
    let second = at_a_desk(&client, "second", FIRST).await;
    second.put("/admin/accounts/admin", &json!({ "roles": ["admin"], "disabled": true })).await.ok();
    admin.get("/admin/accounts").await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn r_admin_06_every_write_to_an_account_is_in_the_audit_and_no_password_is() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let account = "/admin/operators/audited";
    for (body, field) in [
        (json!({ "merchantId": "nobody" }), "merchantId"),
        (json!({ "locationIds": ["HZHK", "nowhere"] }), "locationIds[1]"),
    ] {
        let refused = admin.put(account, &body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
    admin.get(account).await.problem(404, "NOT_CONFIGURED");
    admin.put(account, &json!({ "merchantId": "hzm", "entitlementCodes": ["BOARDING"] })).await.ok();
    assert_eq!(admin.put(&format!("{account}/password"), &json!({ "password": FIRST })).await.status, 204);
    admin.put(account, &json!({})).await.ok();

    let sql = "SELECT action, revision, refusal_code, concat(before, after, refusal) FROM admin_audit_logs
        WHERE owner = 'identity' AND account = 'admin' AND entity = 'account' AND entity_id = 'audited' ORDER BY number";
    let database = client.database().await;
    let rows = eventually("five rows of the audit", async || {
        let rows = database.query(sql, &[]).await.unwrap();
        (rows.len() == 5).then_some(rows)
    })
    .await;
    let said: Vec<(String, Option<i32>, Option<String>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let refused = || Some("VALIDATION_ERROR".to_owned());
    let put = |revision, refusal| ("put".to_owned(), revision, refusal);
    let password = ("password".to_owned(), None, None);
    assert_eq!(said, [put(None, refused()), put(None, refused()), put(Some(1), None), password, put(Some(2), None)]);
    let texts: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
    assert!(texts.iter().all(|text| !text.contains("argon2") && !text.contains(FIRST)), "{texts:?}");
    assert!(texts[4].contains(r#""merchantId":"hzm""#), "what it held before: {}", texts[4]);
}
