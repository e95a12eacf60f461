//! The same operations by people whose login is over, and by the operator of another merchant.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Cast, EVERYBODY, LOGGED_IN, WHO_SIGNS, documented};
use crate::client::{Answer, Client, Gate};
use crate::faketime;
use crate::server::{another, day};
use crate::shop::{eventually, text};

/// Of a login, in hours.
const LIFE: [(&str, &str); 2] =
    [("DEEPTRAVEL__SESSION__TRAVELLER_HOURS", "1"), ("DEEPTRAVEL__SESSION__STAFF_HOURS", "1")];

#[tokio::test]
async fn every_operation_that_asks_for_a_login_refuses_one_that_has_expired() {
    let mut server = another(&LIFE);
    let client = Client::of(server);
    let cast = Cast::meet(&client, &client.traveller("has-access").await, "access").await;
    let table = cast.table();
    let known = documented(&client).await;
    let library = faketime::library().unwrap();
    let mut later = async |cast: Cast, offset: &str| {
        let wall = [("LD_PRELOAD", library.to_str().unwrap()), ("FAKETIME", offset)];
        let environment = [&LIFE[..], &wall, &[("FAKETIME_DONT_FAKE_MONOTONIC", "1")]].concat();
        server = server.restart(&environment);
        Cast { client: Client::of(server), ..cast }
    };

    let cast = later(cast, "+50m").await;
    let orders = table.iter().find(|row| row.operation == "GET /orders").unwrap();
    for who in LOGGED_IN {
        let answer = cast.ask(*who, orders).await;
        assert_ne!(answer.status, 401, "{who:?} is logged in for another ten minutes: {}", answer.text);
    }
    let cast = later(cast, "+70m").await;

    for row in &table {
        for who in LOGGED_IN {
            let answer = cast.send(row, cast.token(*who)).await;
            let what = format!("{} by {who:?}: {}", row.operation, answer.text);
            match known[&row.operation].as_str() {
                "public" if row.may == WHO_SIGNS => _ = answer.problem(401, "INVALID_SIGNATURE"),
                "public" => assert!(row.may == EVERYBODY && !matches!(answer.status, 401 | 403), "{what}"),
                "resell" => _ = answer.problem(401, "INVALID_API_KEY"),
                _ => assert_eq!((answer.status, &answer.body["code"]), (401, &json!("UNAUTHENTICATED")), "{what}"),
            }
        }
    }
}

impl Gate {
    async fn show(&self, path: &str, body: &Value) -> Answer {
        let request = self.operator.client.request(Method::POST, path).bearer_auth(&self.operator.token);
        self.operator.client.send(request.header("X-Device-Secret", &self.secret).json(body)).await
    }
}

#[tokio::test]
async fn r_scan_04_every_operation_of_a_gate_keeps_what_is_another_merchants() {
    let client = Client::new();
    let mei = client.traveller("of-the-bridge").await;
    let cast = Cast::meet(&client, &mei, "strangers-gate").await;
    let [order, _] = &cast.orders;
    // Somebody has boarded, so that there is something to see.
    let boarded = mei.buy(&client.departure().await, 1).await;
    let scanned = cast.gate.scan(&mei.ticket_code(&boarded["tickets"][0]).await, "r0").await;
    assert_eq!(scanned["result"], "success", "{scanned}");
    let museum =
        client.operator("museum").await.gate(&json!({ "deviceId": "strangers", "locationId": "museum-hall" })).await;
    let by = &museum.operator;
    let (order, boarded) = (order.as_str(), text(&boarded["orderId"]));
    let is_kept =
        |answer: &Answer| assert!(![order, &boarded].iter().any(|id| answer.text.contains(id)), "{}", answer.text);
    let refused = |answer: &Answer| {
        let said = (answer.status, &answer.body["result"], &answer.body["reason"]);
        assert_eq!(said, (200, &json!("reject"), &json!("NOT_YOUR_MERCHANT")), "{}", answer.text);
    };
    let own = json!({ "code": cast.code, "sessionId": museum.session });
    let (mut scan, mut redemption) = (own.clone(), own.clone());
    scan["requestId"] = "r1".into();
    redemption["requestId"] = "r2".into();
    redemption["items"] = json!([{ "ticketId": cast.ticket, "quantity": 1 }]);
    let report = format!("/reports/redemptions?from={}&to={}", day(-1), day(1));
    let admin = client.administrator().await;
    eventually("everybody's report has it", async || {
        admin.get(&format!("{report}&format=csv")).await.text.contains(&boarded).then_some(())
    })
    .await;

    for (operation, permission) in documented(&client).await {
        if !matches!(permission.as_str(), "redeem" | "see_redemptions") {
            continue;
        }
        match operation.as_str() {
            "POST /validators/sessions" => {
                let elsewhere = json!({ "deviceId": "strangers-2", "locationId": "hzm-hk-gate" });
                by.post("/validators/sessions", &elsewhere).await.names("locationId");
            }
            "DELETE /validators/sessions/{sessionId}" => {
                let others = format!("/validators/sessions/{}", cast.gate.session);
                by.delete(&others).await.problem(404, "SESSION_NOT_FOUND");
            }
            "POST /tickets/scan" => {
                let scanned = museum.show("/tickets/scan", &scan).await;
                is_kept(&scanned);
                assert!(!scanned.text.contains("Lam Mei"), "{}", scanned.text);
                refused(&scanned);
            }
            "POST /merchant/tickets/scan" => {
                let looked = museum.show("/merchant/tickets/scan", &own).await.ok();
                assert_eq!(
                    looked,
                    json!({ "result": "success", "orderId": order, "tickets": [] }),
                    "none of them is his"
                );
            }
            "POST /merchant/redemptions" => {
                let redeemed = museum.show("/merchant/redemptions", &redemption).await;
                refused(&redeemed);
                let nothing = json!({
                    "ticketId": cast.ticket, "entitlementCode": "", "result": "reject", "reason": "NOT_YOUR_MERCHANT",
                    "remaining": 0,
                });
                assert_eq!(redeemed.body["items"], json!([nothing]));
            }
            "GET /merchant/orders/{orderId}" => {
                for order in [order, &boarded] {
                    by.get(&format!("/merchant/orders/{order}")).await.problem(404, "ORDER_NOT_FOUND");
                }
            }
            "GET /merchant/redemptions" => is_kept(&by.get("/merchant/redemptions?limit=100").await),
            "GET /reports/redemptions" => {
                for format in ["json", "csv"] {
                    is_kept(&by.get(&format!("{report}&limit=100&format={format}")).await);
                }
                by.get(&format!("{report}&merchantId=hzm")).await.problem(403, "FORBIDDEN");
            }
            other => panic!("nothing is said of {other}"),
        }
    }
    assert_eq!(mei.ticket_status(&json!({ "ticketId": cast.ticket })).await, "usable");
    assert_eq!(cast.gate.scan(&cast.code, "r9").await["result"], "success", "its own gate takes it, and is open");
}
