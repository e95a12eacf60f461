//! Who may ask what: every endpoint behind a login, without a token and with every wrong kind of token.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::shop::{id, journey, new_key, text, wish};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Role {
    Traveller,
    Operator,
    /// Who may look at money in trouble.
    Reader,
    /// Who may act on it.
    Cashier,
}

#[tokio::test]
async fn every_endpoint_behind_a_login_refuses_everybody_else() {
    let client = Client::new();
    let mei = client.traveller("has-access").await;
    let operator = client.operator("gate").await;
    let (admin, auditor) = (client.administrator().await, client.staff("auditor").await);
    let gate = operator.gate(&json!({ "deviceId": "access" })).await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 1).await.ok();
    let paid = mei.pay(&order).await;
    let pending = mei.place(&[journey(&coach)], 1).await.ok();
    let (order, pending, ticket) = (id(&order), id(&pending), text(&paid["tickets"][0]["ticketId"]));
    let code = mei.ticket_code(&paid["tickets"][0]).await;

    let none = Value::Null;
    let scan = json!({ "code": code, "sessionId": gate.session, "requestId": "r1" });
    let session = json!({ "deviceId": "access too" });
    let endpoints: Vec<(Role, Method, String, Value)> = vec![
        (Role::Traveller, Method::POST, "/orders".into(), wish(&[journey(&coach)], 1)),
        (Role::Traveller, Method::GET, "/orders".into(), none.clone()),
        (Role::Traveller, Method::GET, format!("/orders/{order}"), none.clone()),
        (Role::Traveller, Method::GET, format!("/orders/{order}/qr"), none.clone()),
        (Role::Traveller, Method::GET, format!("/orders/{order}/qr?use=print"), none.clone()),
        (Role::Traveller, Method::POST, format!("/orders/{pending}/cancel"), none.clone()),
        (Role::Traveller, Method::POST, "/payments/wechat/session".into(), json!({ "orderId": pending })),
        (Role::Traveller, Method::GET, format!("/payments/{order}/status"), none.clone()),
        (Role::Traveller, Method::GET, "/my/tickets".into(), none.clone()),
        (Role::Traveller, Method::GET, "/my/refunds".into(), none.clone()),
        (Role::Traveller, Method::GET, format!("/tickets/{ticket}"), none.clone()),
        (Role::Traveller, Method::GET, format!("/tickets/{ticket}/qr"), none.clone()),
        (Role::Traveller, Method::GET, format!("/tickets/{ticket}/qr?use=print"), none.clone()),
        (Role::Operator, Method::POST, "/validators/sessions".into(), session),
        (Role::Operator, Method::DELETE, format!("/validators/sessions/{}", gate.session), none.clone()),
        (Role::Operator, Method::POST, "/tickets/scan".into(), scan),
        (Role::Reader, Method::GET, "/admin/quarantine".into(), none.clone()),
        (Role::Cashier, Method::POST, "/admin/quarantine/EV-1/resolve".into(), json!({ "note": "seen to" })),
        (Role::Reader, Method::GET, "/admin/refunds".into(), none.clone()),
        (Role::Cashier, Method::POST, format!("/admin/refunds/{order}R1/retry"), none.clone()),
    ];
    let left = client.available(&coach, "").await;
    for (role, method, path, body) in &endpoints {
        let asked = |token: Option<&str>| {
            let request = client.request(method.clone(), path).header("Idempotency-Key", new_key());
            let request = request.header("X-Device-Secret", &gate.secret);
            let request = if body.is_null() { request } else { request.json(body) };
            client.send(match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            })
        };
        asked(None).await.problem(401, "UNAUTHENTICATED");
        asked(Some("nonsense")).await.problem(401, "UNAUTHENTICATED");
        let wrong = match role {
            Role::Traveller => [&operator.token, &admin.token],
            Role::Operator => [&mei.token, &admin.token],
            Role::Reader => [&mei.token, &operator.token],
            Role::Cashier => [&operator.token, &auditor.token],
        };
        for token in wrong {
            let answer = asked(Some(token)).await;
            assert!(matches!(answer.status, 401 | 403), "{method} {path}: {} {}", answer.status, answer.text);
        }
    }
    for staff in [&admin, &auditor, &client.staff("finance").await] {
        assert_eq!(staff.get("/admin/quarantine").await.status, 200);
        assert_eq!(staff.get("/admin/refunds").await.status, 200);
    }
    client.post("/auth/logout", &json!({})).await.problem(401, "UNAUTHENTICATED");

    assert_eq!(client.available(&coach, "").await, left, "nothing was sold or freed");
    assert_eq!(mei.status(&json!({ "orderId": pending })).await, "pending");
    assert_eq!(gate.scan(&code, "r2").await["result"], "success", "neither redeemed nor closed");
}

#[tokio::test]
async fn what_is_public_needs_no_token() {
    let client = Client::new();
    let coach = client.coach().await;
    for path in [
        "/travel/hot-cities",
        "/travel/blackout-dates?year=2026",
        &format!("/departures/{coach}"),
        "/health/live",
        "/health/ready",
        "/openapi.json",
    ] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.get("/departures/nothing.20261224").await.problem(404, "DEPARTURE_NOT_FOUND");
    client.get("/nowhere").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn after_logging_out_a_travellers_token_is_worth_nothing() {
    let client = Client::new();
    let (mei, again) = (client.traveller("leaves").await, client.traveller("leaves").await);
    assert_eq!(mei.post("/auth/logout", &json!({})).await.status, 204);
    mei.get("/orders").await.problem(401, "UNAUTHENTICATED");
    assert_eq!(again.get("/orders").await.status, 200, "the other session goes on");
}
