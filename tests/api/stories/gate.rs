//! Scans at the gate (R-SCAN-01 to R-SCAN-04).

use deeptravel_domain::code::{Code, CodeKey, CodeKeys, Scope, Subject, seal};
use deeptravel_domain::ids::{OrderId, Shard, TicketId};
use deeptravel_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::client::{Client, Gate, Person, passenger_name};

/// A traveller and a gate that redeems anywhere, both of one test.
async fn people(test: &str) -> (Client, Person, Gate) {
    let client = Client::new();
    let traveller = client.traveller(test).await;
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": test })).await;
    (client, traveller, gate)
}

fn refused(answer: &Value, reason: &str) {
    assert_eq!((answer["result"].as_str(), answer["reason"].as_str()), (Some("reject"), Some(reason)), "{answer}");
}

#[tokio::test]
async fn r_scan_03_a_ticket_is_redeemed_once_and_then_refused_with_when_and_where() {
    let (client, mei, _) = people("once").await;
    let departure = client.departure().await;
    let (ticket, code) = mei.ticket(&departure).await;
    let session = json!({ "deviceId": "once", "locationId": departure.origin, "departureId": departure.id });
    let gate = client.operator("gate").await.gate(&session).await;

    let first = gate.scan(&code, "r1").await;
    assert_eq!((&first["result"], &first["remaining"]), (&json!("success"), &json!(0)), "{first}");
    assert_eq!(first["ticket"]["ticketId"], ticket["ticketId"]);
    assert_eq!(first["ticket"]["status"], "used");
    assert_eq!(first["ticket"]["seatNumber"], ticket["seatNumber"]);
    assert_eq!(first["ticket"]["passenger"]["name"], passenger_name(1));
    assert_eq!(mei.ticket_status(&ticket).await, "used");

    let second = gate.scan(&code, "r2").await;
    refused(&second, "ALREADY_REDEEMED");
    assert_eq!(second["previous"]["at"], first["redeemedAt"]);
    assert_eq!(second["previous"]["location"], json!(departure.origin));
    assert_eq!(second.get("redeemedAt"), None);
}

#[tokio::test]
async fn r_scan_03_the_same_request_again_gets_the_same_answer() {
    let (client, mei, gate) = people("again").await;
    let (_, code) = mei.ticket(&client.departure().await).await;
    let first = gate.scan(&code, "r1").await;
    assert_eq!(first["result"], "success");
    assert_eq!(gate.scan(&code, "r1").await, first);
    // A fresh code of the same ticket does not make it another request.
    let fresh = mei.ticket_code(&first["ticket"]).await;
    assert_ne!(fresh, code);
    assert_eq!(gate.scan(&fresh, "r1").await, first);
}

#[tokio::test]
async fn r_scan_03_the_same_request_twice_at_once_is_one_redemption() {
    let (client, mei, gate) = people("twice").await;
    let (_, code) = mei.ticket(&client.departure().await).await;
    let (one, other) = tokio::join!(gate.scan(&code, "r1"), gate.scan(&code, "r1"));
    assert_eq!(one["result"], "success");
    assert_eq!(one, other);
}

#[tokio::test]
async fn r_scan_03_of_two_gates_at_once_one_wins() {
    let (client, mei, left) = people("left").await;
    let right = left.operator.gate(&json!({ "deviceId": "right" })).await;
    let order = mei.buy(&client.departure().await, 8).await;
    for ticket in order["tickets"].as_array().unwrap() {
        let code = mei.ticket_code(ticket).await;
        let (one, other) = tokio::join!(left.scan(&code, "r1"), right.scan(&code, "r1"));
        let (winner, loser) = if one["result"] == "success" { (one, other) } else { (other, one) };
        assert_eq!(winner["result"], "success");
        refused(&loser, "REPLAYED");
        assert_eq!(loser["previous"]["at"], winner["redeemedAt"]);
    }
    let id = order["orderId"].as_str().unwrap();
    assert_eq!(mei.get(&format!("/orders/{id}")).await.ok()["status"], "completed", "R-TICKET-07");
}

#[tokio::test]
async fn r_scan_01_an_order_code_redeems_every_ticket_and_says_which() {
    let (client, mei, gate) = people("family").await;
    let order = mei.buy(&client.departure().await, 3).await;
    let alone = gate.scan(&mei.ticket_code(&order["tickets"][1]).await, "r1").await;
    assert_eq!(alone["result"], "success");

    let code = mei.order_code(&order).await;
    let all = gate.scan(&code, "r2").await;
    assert_eq!((&all["result"], &all["reason"]), (&json!("partial"), &json!("ALREADY_REDEEMED")), "{all}");
    assert_eq!((&all["ticket"], &all["remaining"]), (&Value::Null, &json!(0)));
    let results: Vec<&str> =
        all["tickets"].as_array().unwrap().iter().map(|ticket| ticket["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["success", "reject", "success"]);
    assert_eq!(all["tickets"][1]["previous"]["at"], alone["redeemedAt"]);
    assert_eq!(gate.scan(&code, "r2").await, all, "the same request again");
    refused(&gate.scan(&code, "r3").await, "ALREADY_REDEEMED");
}

#[tokio::test]
async fn r_scan_05_an_altered_code_is_refused_and_redeems_nothing() {
    let (client, mei, gate) = people("altered").await;
    let (ticket, code) = mei.ticket(&client.departure().await).await;
    let last = code.len() - 1;
    for place in [0, 2, 3, 10, 50, 100, 150, 200, last] {
        let mut altered = code.clone().into_bytes();
        altered[place] = if altered[place] == b'0' { b'1' } else { b'0' };
        let altered = String::from_utf8(altered).unwrap();
        let answer = gate.scan(&altered, &format!("r{place}")).await;
        refused(&answer, "INVALID_CODE");
        assert_eq!(answer["ticket"], Value::Null);
    }
    for (number, other) in ["", "DT1", "https://example.org", &code[..last], &code.repeat(3)].into_iter().enumerate() {
        refused(&gate.scan(other, &format!("o{number}")).await, "INVALID_CODE");
    }
    assert_eq!(mei.ticket_status(&ticket).await, "usable");
    assert_eq!(gate.scan(&code, "r1000").await["result"], "success");
}

/// One-time codes of so many seconds ago that the demo's key seals, but that no traveller is shown.
fn sealed(client: &Client, subject: Subject, seconds_ago: i64) -> String {
    let secrets = std::fs::read_to_string(client.server.data_dir.join("demo-secrets.toml")).unwrap();
    let secrets: toml::Table = secrets.parse().unwrap();
    let mut key = [0; 32];
    hex::decode_to_slice(secrets["code_key"].as_str().unwrap(), &mut key).unwrap();
    let issued_at = Timestamp::from_jiff(jiff::Timestamp::now()).plus_seconds(-seconds_ago);
    let keys = CodeKeys::new([CodeKey::new(1, key)], issued_at).unwrap();
    seal(&keys, &Code::one_time(subject, issued_at, 60), issued_at, [7; 12]).text
}

fn of_ticket(id: TicketId) -> Subject {
    Subject::Ticket { id, scope: Scope::of(&"BOARDING".parse().unwrap(), None) }
}

#[tokio::test]
async fn r_ticket_04_an_expired_code_is_refused_as_such_and_a_fresh_one_is_not() {
    let (client, mei, gate) = people("expired").await;
    let (ticket, _) = mei.ticket(&client.departure().await).await;
    let subject = of_ticket(ticket["ticketId"].as_str().unwrap().parse().unwrap());
    refused(&gate.scan(&sealed(&client, subject, 61), "r1").await, "CODE_EXPIRED");
    assert_eq!(mei.ticket_status(&ticket).await, "usable");
    assert_eq!(gate.scan(&sealed(&client, subject, 1), "r2").await["result"], "success");
}

#[tokio::test]
async fn r_scan_05_a_genuine_code_without_a_ticket_behind_it_is_invalid() {
    let (client, mei, gate) = people("nothing").await;
    let (ticket, _) = mei.ticket(&client.departure().await).await;
    let id: TicketId = ticket["ticketId"].as_str().unwrap().parse().unwrap();
    let nobody = OrderId::compose(Timestamp::from_seconds(1_764_000_000), Shard::of(1), 1);
    let behind_nothing = [
        of_ticket(TicketId { number: 99, ..id }),
        Subject::Order(nobody),
        of_ticket(TicketId { order: nobody, number: 1 }),
    ];
    for (number, subject) in behind_nothing.into_iter().enumerate() {
        refused(&gate.scan(&sealed(&client, subject, 1), &format!("r{number}")).await, "INVALID_CODE");
    }
}

#[tokio::test]
async fn r_scan_04_a_session_is_of_no_use_without_its_devices_secret() {
    let (client, mei, gate) = people("stolen").await;
    let (ticket, code) = mei.ticket(&client.departure().await).await;
    let other = gate.operator.gate(&json!({ "deviceId": "stolen-by" })).await;
    let mixed = Gate { secret: other.secret.clone(), ..gate.clone() };
    mixed.try_scan(&code, "r1").await.problem(401, "DEVICE_MISMATCH");
    Gate { secret: "x".repeat(500), ..gate.clone() }.try_scan(&code, "r1").await.problem(401, "DEVICE_MISMATCH");
    let body = json!({ "code": code, "sessionId": gate.session, "requestId": "r1" });
    gate.operator.post("/tickets/scan", &body).await.problem(401, "DEVICE_MISMATCH");
    assert_eq!(mei.ticket_status(&ticket).await, "usable");
    assert_eq!(gate.scan(&code, "r1").await["result"], "success");
}

#[tokio::test]
async fn r_scan_04_another_operators_session_is_no_session() {
    let (client, mei, gate) = people("foreign").await;
    let (ticket, code) = mei.ticket(&client.departure().await).await;
    let museum = Gate { operator: client.operator("museum").await, ..gate.clone() };
    museum.try_scan(&code, "r1").await.problem(401, "SESSION_ENDED");
    let path = format!("/validators/sessions/{}", gate.session);
    museum.operator.delete(&path).await.problem(404, "SESSION_NOT_FOUND");
    assert_eq!(mei.ticket_status(&ticket).await, "usable");
}

#[tokio::test]
async fn r_scan_04_another_merchants_ticket_is_refused_and_not_shown() {
    let (client, mei, _) = people("tenant").await;
    let order = mei.buy(&client.departure().await, 2).await;
    let museum = client.operator("museum").await.gate(&json!({ "deviceId": "tenant-museum" })).await;
    for (number, code) in [mei.ticket_code(&order["tickets"][0]).await, mei.order_code(&order).await].iter().enumerate()
    {
        let answer = museum.scan(code, &format!("r{number}")).await;
        refused(&answer, "NOT_YOUR_MERCHANT");
        assert!(!answer.to_string().contains("Mei"), "{answer}");
    }
    assert_eq!(mei.ticket_status(&order["tickets"][0]).await, "usable");
}

#[tokio::test]
async fn r_scan_04_a_new_session_on_a_device_ends_the_one_before() {
    let (client, mei, gate) = people("replaced").await;
    let (_, code) = mei.ticket(&client.departure().await).await;
    let next = gate.operator.gate(&json!({ "deviceId": "replaced" })).await;
    gate.try_scan(&code, "r1").await.problem(401, "SESSION_ENDED");
    assert_eq!(next.scan(&code, "r1").await["result"], "success");

    let path = format!("/validators/sessions/{}", next.session);
    assert_eq!(next.operator.delete(&path).await.status, 204);
    next.try_scan(&code, "r1").await.problem(401, "SESSION_ENDED");
    next.operator.delete(&path).await.problem(404, "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn r_scan_04_a_gate_redeems_only_at_its_place_its_departure_and_its_entitlement() {
    let (client, mei, gate) = people("place").await;
    let departure = client.departure().await;
    let other = client.departure().await;
    let (ticket, code) = mei.ticket(&departure).await;
    let operator = &gate.operator;

    let elsewhere = operator.gate(&json!({ "deviceId": "place-1", "locationId": departure.destination })).await;
    refused(&elsewhere.scan(&code, "r1").await, "WRONG_LOCATION");
    let boards_other = operator.gate(&json!({ "deviceId": "place-2", "departureId": other.id })).await;
    refused(&boards_other.scan(&code, "r1").await, "WRONG_DEPARTURE");
    let scan = |entitlement: &str, request: &str| json!({ "code": code, "sessionId": gate.session, "requestId": request, "entitlementCode": entitlement });
    let museum = gate.send(&scan("MUSEUM", "r1")).await.ok();
    refused(&museum, "WRONG_ENTITLEMENT");
    assert_eq!(museum["ticket"]["status"], "usable", "its own ticket is shown");
    assert_eq!(museum["remaining"], 1);
    assert_eq!(mei.ticket_status(&ticket).await, "usable");
    assert_eq!(gate.send(&scan("BOARDING", "r2")).await.ok()["result"], "success");
}

#[tokio::test]
async fn r_scan_04_only_an_operator_with_a_token_opens_sessions_and_scans() {
    let (client, mei, gate) = people("roles").await;
    let session = json!({ "deviceId": "roles" });
    let scan = json!({ "code": "DT1", "sessionId": gate.session, "requestId": "r1" });
    let admin = client.administrator().await;
    for (path, body) in [("/validators/sessions", &session), ("/tickets/scan", &scan)] {
        client.post(path, body).await.problem(401, "UNAUTHENTICATED");
        mei.post(path, body).await.problem(403, "FORBIDDEN");
        admin.post(path, body).await.problem(403, "FORBIDDEN");
    }
    let path = format!("/validators/sessions/{}", gate.session);
    mei.delete(&path).await.problem(403, "FORBIDDEN");
    gate.operator.delete("/validators/sessions/none").await.problem(404, "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn what_is_wrong_in_a_request_of_a_gate_is_named() {
    let (_, _, gate) = people("wrong").await;
    let scan = |change: Value| {
        let mut body = json!({ "code": "DT1", "sessionId": gate.session, "requestId": "r1" });
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        body
    };
    for (field, change) in [
        ("requestId", json!({ "requestId": "" })),
        ("requestId", json!({ "requestId": "a b" })),
        ("requestId", json!({ "requestId": "r".repeat(65) })),
        ("requestId", json!({ "requestId": 7 })),
        ("code", json!({ "code": null })),
        ("sessionId", json!({ "sessionId": "mine" })),
        ("entitlementCode", json!({ "entitlementCode": "a b" })),
        ("quantity", json!({ "quantity": 0 })),
        ("uses", json!({ "uses": 1 })),
    ] {
        gate.send(&scan(change)).await.names(field);
    }
    gate.send(&json!({ "code": "DT1", "sessionId": gate.session })).await.names("requestId");
    gate.send(&scan(json!({ "code": "0".repeat(70_000) }))).await.problem(413, "PAYLOAD_TOO_LARGE");

    for (field, body) in [
        ("deviceId", json!({})),
        ("deviceId", json!({ "deviceId": "" })),
        ("deviceId", json!({ "deviceId": "d".repeat(65) })),
        ("deviceId", json!({ "deviceId": "a\u{0}b" })),
        ("locationId", json!({ "deviceId": "wrong", "locationId": "NOWHERE" })),
        ("locationId", json!({ "deviceId": "wrong", "locationId": "" })),
        ("departureId", json!({ "deviceId": "wrong", "departureId": "NEVER.20261224" })),
        ("secret", json!({ "deviceId": "wrong", "secret": "x" })),
    ] {
        gate.operator.post("/validators/sessions", &body).await.names(field);
    }
    // None of this has ended the session.
    refused(&gate.scan("DT1", "r1").await, "INVALID_CODE");
}
