//! Batches out of reservations, what is left meanwhile, and the same answers at gates for whoever sold the ticket (R-OTA-03 to
//! R-OTA-06).

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Partner};
use crate::shop::{GENERATE, eventually, generation, id, monday, new_key, product, text};

impl Partner {
    /// Of a reservation.
    async fn draw(&self, product: u32, quantity: u32, batch: &str, reservation: &str) -> Answer {
        let mut body = generation(product, quantity, batch);
        body["reservationId"] = reservation.into();
        self.post(GENERATE, &body).await
    }
}

#[tokio::test]
async fn r_ota_03_a_batch_is_drawn_from_a_reservation_and_what_it_gives_back_is_its_partners() {
    let client = Client::new();
    let partner = client.seller("draws", 96_001, 30).await;
    let other = client.seller("draws-too", 96_002, 30).await;
    let reserved = async |partner: &Partner, key: &str, product: u32| {
        text(&partner.reserve(key, product, 10).await.ok()["reservationId"])
    };
    let reservation = reserved(&partner, "one", 96_001).await;
    let remaining = async || {
        let shown = partner.get(&format!("/api/ota/reservations/{reservation}")).await.ok();
        (shown["remaining"].as_u64().unwrap(), text(&shown["status"]))
    };
    assert_eq!(partner.units_left(96_001).await, 20);

    let made = partner.draw(96_001, 6, "B-1", &reservation).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let tickets: Vec<String> =
        made.ok()["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["ticketCode"])).collect();
    assert_eq!((tickets.len(), remaining().await), (6, (4, "active".to_owned())));
    assert_eq!(partner.units_left(96_001).await, 20, "they were set aside for it already");
    assert_eq!(partner.draw(96_001, 6, "B-1", &reservation).await.status, 200, "the same again draws nothing");
    assert_eq!(remaining().await.0, 4);

    let short = partner.draw(96_001, 5, "B-2", &reservation).await.problem(409, "INSUFFICIENT_ALLOTMENT");
    assert_eq!(short.body["available"], 4);
    partner.generate(96_001, 6, "B-1").await.problem(409, "BATCH_EXISTS");
    let foreign = reserved(&other, "one", 96_002).await;
    for unknown in [foreign.as_str(), "none", "01K2QJ7E6V80ABT0000000001W"] {
        let refused = partner.draw(96_001, 1, "B-2", unknown).await.problem(404, "RESERVATION_NOT_FOUND");
        assert_eq!(refused.body["errors"][0]["field"], "reservationId", "{unknown}");
    }
    client.administrator().await.post("/admin/packages/templates", &product(96_003, 10)).await.ok();
    partner.draw(96_003, 1, "B-2", &reservation).await.names("reservationId");
    let given_up = reserved(&partner, "two", 96_001).await;
    partner.send(Method::DELETE, &format!("/api/ota/reservations/{given_up}")).await;
    partner.draw(96_001, 1, "B-2", &given_up).await.problem(409, "RESERVATION_ENDED");
    partner.get("/api/ota/batches/B-2").await.problem(404, "BATCH_NOT_FOUND");

    partner.activate(&tickets[0], monday()).await.ok();
    for ticket in &tickets[..2] {
        partner.send(Method::POST, &format!("/api/ota/tickets/{ticket}/cancel")).await.ok();
    }
    eventually("both are back", async || (partner.units_left(96_001).await == 22).then_some(())).await;
    assert_eq!(remaining().await.0, 4, "they go on sale, not to the reservation");
    assert_eq!(partner.draw(96_001, 4, "B-3", &reservation).await.status, 201);
    assert_eq!(remaining().await, (0, "activated".to_owned()));
    partner.draw(96_001, 1, "B-4", &reservation).await.problem(409, "RESERVATION_ACTIVATED");
}

#[tokio::test]
async fn acceptance_c_a_partner_who_asks_is_told_what_is_left_at_that_moment() {
    let client = Client::new();
    let partner = client.seller("asks-what-is-left", 96_004, 25).await;
    assert_eq!(partner.units_left(96_004).await, 25);
    let batch = partner.generate(96_004, 10, "B-1").await.ok();
    assert_eq!(partner.units_left(96_004).await, 15, "at once");
    let reservation = partner.reserve("one", 96_004, 5).await.ok();
    assert_eq!(partner.units_left(96_004).await, 10);
    let ticket = |at: usize| text(&batch["tickets"][at]["ticketCode"]);
    partner.activate(&ticket(0), monday()).await.ok();
    assert_eq!(partner.units_left(96_004).await, 10, "it was sold when it was generated");

    for at in 0..3 {
        partner.send(Method::POST, &format!("/api/ota/tickets/{}/cancel", ticket(at))).await.ok();
    }
    eventually("three are back", async || (partner.units_left(96_004).await == 13).then_some(())).await;
    let path = format!("/api/ota/reservations/{}", text(&reservation["reservationId"]));
    assert_eq!(partner.send(Method::DELETE, &path).await.status, 204);
    eventually("five as well", async || (partner.units_left(96_004).await == 18).then_some(())).await;
    partner.generate(96_004, 19, "B-2").await.problem(409, "INSUFFICIENT_ALLOTMENT");
    assert_eq!(partner.generate(96_004, 18, "B-2").await.status, 201, "what it says can be had");
    assert_eq!(partner.units_left(96_004).await, 0);
}

/// Where a document has fields: `tickets[].status`.
fn fields(document: &Value) -> BTreeSet<String> {
    let below = |name: String, value: &Value| fields(value).into_iter().map(move |field| format!("{name}{field}"));
    match document {
        Value::Object(object) => object.iter().flat_map(|(name, value)| below(format!(".{name}"), value)).collect(),
        Value::Array(array) => array.iter().flat_map(|value| below("[]".to_owned(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::from([String::new()]),
    }
}

#[tokio::test]
async fn acceptance_e_a_partners_ticket_is_scanned_at_gate_and_counter_as_a_direct_one_is() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("scanned-alike").await);
    let partner = client.seller("scanned-alike", 96_005, 5).await;
    let template = admin.post("/admin/packages/templates", &product(96_005, 20)).await.ok();
    let wish = json!({
        "items": [{
            "kind": "package", "templateId": template["templateId"], "serviceDate": monday(), "quantity": 1,
        }],
        "passengers": [{ "name": "Lam Mei", "type": "adult" }],
        "contact": { "name": "Lam Mei", "phone": "+85291234567" },
    });
    let direct = mei.pay(&mei.place_with(&new_key(), &wish).await.ok()).await;
    let batch = partner.generate(96_005, 1, "B-1").await.ok();
    let sold = partner.activate(&text(&batch["tickets"][0]["ticketCode"]), monday()).await.ok();

    let mut answers = Vec::new();
    let on_paper = mei.get(&format!("/orders/{}/qr?use=print", id(&direct))).await.ok();
    let direct = (id(&direct), text(&on_paper["code"]));
    let of_partner = (text(&sold["orderId"]), text(&batch["tickets"][0]["qrCode"]));
    for (device, (order, code)) in [("scanned-direct", direct), ("scanned-sold", of_partner)] {
        let gate = client.operator("gate").await.gate(&json!({ "deviceId": device })).await;
        let looked = gate.look(&code).await;
        let taken = gate.take("r1", None, &[(&json!({ "ticketId": format!("{order}-1") }), 1)]).await.ok();
        // The entry is used up, and a locker is left.
        let scanned = gate.scan(&code, "r2").await;
        let shown = gate.look(&code).await;
        answers.push([looked, taken, scanned, shown]);
    }
    let [direct, of_partner] = &answers[..] else { panic!("two of them") };
    for (one, other) in direct.iter().zip(of_partner) {
        assert_eq!(fields(one), fields(other), "{one}\n{other}");
        let said = |answer: &Value| {
            let results = |list: &str| {
                let list = answer[list].as_array().cloned().unwrap_or_default();
                let result = |one: Value| {
                    ["result", "reason", "status", "redeemable", "remaining"].map(|field| one[field].clone())
                };
                list.into_iter().map(result).collect::<Vec<_>>()
            };
            (answer["result"].clone(), answer["reason"].clone(), results("tickets"), results("items"))
        };
        assert_eq!(said(one), said(other));
    }
    let results = direct.each_ref().map(|answer| text(&answer["result"]));
    assert_eq!(results[..3], ["success", "success", "partial"], "{}", direct[2]);
}
