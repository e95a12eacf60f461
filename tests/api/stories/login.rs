//! Logins of staff (R-ADMIN-07).

use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn r_admin_07_an_operator_learns_who_he_is() {
    let client = Client::new();
    let login = |name: &str| json!({ "username": name, "password": format!("demo-{name}") });
    let gate = client.post("/operators/login", &login("gate")).await;
    assert_eq!(gate.headers["cache-control"], "no-store");
    let gate = gate.ok();
    assert_eq!((&gate["roles"], &gate["merchantId"]), (&json!(["operator"]), &Value::Null));
    assert!(gate["expiresAt"].as_str().unwrap().ends_with("+08:00"));
    let museum = client.post("/operators/login", &login("museum")).await.ok();
    assert_eq!(museum["merchantId"], "museum");
    assert_ne!(gate["operatorToken"], museum["operatorToken"]);

    let admin = client.post("/admin/login", &login("admin")).await.ok();
    assert_eq!(admin["roles"], json!(["admin"]));
    client.post("/operators/login", &login("admin")).await.problem(403, "FORBIDDEN");
    client.post("/admin/login", &login("gate")).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn r_admin_07_a_wrong_name_and_a_wrong_password_look_alike() {
    let client = Client::new();
    for path in ["/operators/login", "/admin/login"] {
        let said = |name: &'static str, password: &'static str| {
            let client = client.clone();
            async move {
                let body = json!({ "username": name, "password": password });
                let mut answer = client.post(path, &body).await.problem(401, "UNAUTHENTICATED").body;
                answer["requestId"] = Value::Null;
                answer
            }
        };
        assert_eq!(said("museum", "wrong").await, said("nobody", "wrong").await);
    }
}

#[tokio::test]
async fn r_admin_07_repeated_failures_are_sent_away_for_a_while() {
    let client = Client::new();
    let guess = json!({ "username": "guessed", "password": "wrong" });
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(client.post("/operators/login", &guess).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let refused = client.post("/admin/login", &guess).await.problem(429, "RATE_LIMITED");
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    client.operator("gate").await;
}

#[tokio::test]
async fn what_is_wrong_in_a_login_is_named() {
    let client = Client::new();
    for (field, body) in [
        ("password", json!({ "username": "gate" })),
        ("username", json!({ "username": "", "password": "x" })),
        ("username", json!({ "username": "u".repeat(65), "password": "x" })),
        ("password", json!({ "username": "gate", "password": "p".repeat(257) })),
        ("password", json!({ "username": "gate", "password": 1 })),
        ("role", json!({ "username": "gate", "password": "x", "role": "admin" })),
    ] {
        client.post("/operators/login", &body).await.names(field);
        client.post("/admin/login", &body).await.names(field);
    }
}

#[tokio::test]
async fn r_admin_07_after_logging_out_a_token_is_worth_nothing() {
    let client = Client::new();
    let gate = client.operator("gate").await;
    let other = client.operator("gate").await;
    assert_eq!(gate.post("/auth/logout", &json!({})).await.status, 204);
    gate.post("/auth/logout", &json!({})).await.problem(401, "UNAUTHENTICATED");
    gate.post("/validators/sessions", &json!({ "deviceId": "out" })).await.problem(401, "UNAUTHENTICATED");
    other.gate(&json!({ "deviceId": "out" })).await;
}
