//! Units that partners reserve, give back and sell, and the orders that they become (R-OTA-03, R-OTA-06 to R-OTA-08, R-OTA-10),
//! to the gate.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Partner};
use crate::shop::{eventually, monday, product, saturday, text};

const RESERVE: &str = "/api/ota/reserve";

impl Partner {
    pub async fn reserve(&self, key: &str, product: u32, quantity: u32) -> Answer {
        self.keyed(RESERVE, key, &json!({ "productId": product, "quantity": quantity })).await
    }

    /// A customer has paid for units of a reservation.
    pub async fn sell(&self, reservation: &Value, key: &str, sale: &Value) -> Answer {
        self.keyed(&format!("{}/activate", path(reservation)), key, sale).await
    }

    async fn cancel_reservation(&self, reservation: &Value) -> Answer {
        self.send(Method::DELETE, &path(reservation)).await
    }

    async fn reservation(&self, reservation: &Value) -> Value {
        self.get(&path(reservation)).await.ok()
    }

    /// What a list has in all, and its entries' ids.
    async fn listed(&self, what: &str, query: &str) -> (u64, Vec<String>) {
        let listed = self.get(&format!("/api/ota/{what}?{query}")).await.ok();
        let id = if what == "orders" { "orderId" } else { "reservationId" };
        let ids = listed[what].as_array().unwrap().iter().map(|entry| text(&entry[id]));
        (listed["totalCount"].as_u64().unwrap(), ids.collect())
    }
}

fn path(reservation: &Value) -> String {
    format!("/api/ota/reservations/{}", text(&reservation["reservationId"]))
}

fn sale(quantity: Option<u32>, visit_date: &str) -> Value {
    let mut sale = json!({
        "customerDetails": { "name": "陈大文", "phone": "+852 9123 4567", "email": "tai@example.com" },
        "visitDate": visit_date,
        "paymentReference": "P-1",
    });
    if let Some(quantity) = quantity {
        sale["quantity"] = quantity.into();
    }
    sale
}

fn made(answer: Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.ok()
}

#[tokio::test]
async fn acceptance_a_a_partner_reserves_units_of_its_own_and_nobody_else_gets_them() {
    let client = Client::new();
    let partner = client.seller("reserves", 94_001, 100).await;
    let other = client.partner("reserves-too").await;
    let answer = partner.reserve("one", 94_001, 60).await;
    let reservation = made(answer);
    let said = ["productId", "quantity", "remaining", "status"].map(|field| &reservation[field]);
    assert_eq!(said, [&json!(94_001), &json!(60), &json!(60), &json!("active")]);
    let hours = |field: &str| {
        let at = text(&reservation[field]).parse::<jiff::Timestamp>().unwrap();
        at.as_second() / 3_600
    };
    assert_eq!(hours("reservedUntil") - hours("createdAt"), 24);
    let adult = &reservation["pricingSnapshot"]["pricing"][0];
    assert_eq!((&adult["customerType"], &adult["price"]["amount"]), (&json!("adult"), &json!(20_000)));
    assert_eq!(partner.units_left(94_001).await, 40);

    let again = partner.reserve("one", 94_001, 60).await;
    assert_eq!((again.status, again.ok()["reservationId"].clone()), (200, reservation["reservationId"].clone()));
    partner.reserve("one", 94_001, 61).await.problem(422, "IDEMPOTENCY_MISMATCH");
    let too_many = partner.reserve("two", 94_001, 41).await.problem(409, "INSUFFICIENT_ALLOTMENT");
    assert_eq!(too_many.body["available"], 40);
    other.reserve("one", 94_001, 1).await.problem(409, "INSUFFICIENT_ALLOTMENT");
    partner.reserve("two", 94_001, 0).await.names("quantity");
    partner.reserve("two", 94_001, 5_001).await.names("quantity");
    let unknown = partner.reserve("two", 999_999, 1).await.problem(404, "TEMPLATE_NOT_FOUND");
    assert_eq!(unknown.body["errors"][0]["field"], "productId");
    let body = json!({ "productId": 94_001, "quantity": 1 });
    partner.post(RESERVE, &body).await.problem(400, "IDEMPOTENCY_KEY_REQUIRED");
    assert_eq!(partner.reservation(&reservation).await, reservation);

    for _ in 0..2 {
        assert_eq!(partner.cancel_reservation(&reservation).await.status, 204);
    }
    let cancelled = partner.reservation(&reservation).await;
    assert_eq!((&cancelled["status"], cancelled.get("pricingSnapshot")), (&json!("cancelled"), None));
    eventually("its units are back", async || (partner.units_left(94_001).await == 100).then_some(())).await;
    partner.sell(&reservation, "late", &sale(Some(1), monday())).await.problem(409, "RESERVATION_ENDED");
}

#[tokio::test]
async fn acceptance_d_units_of_a_reservation_become_an_order_of_a_customer_who_has_paid() {
    let client = Client::new();
    let partner = client.seller("sells-units", 94_002, 200).await;
    let reservation = made(partner.reserve("one", 94_002, 150).await);
    let activate = format!("{}/activate", path(&reservation));
    partner.post(&activate, &sale(Some(1), monday())).await.problem(400, "IDEMPOTENCY_KEY_REQUIRED");
    partner.sell(&reservation, "sale", &sale(None, monday())).await.names("quantity");
    partner.sell(&reservation, "sale", &sale(Some(101), monday())).await.names("quantity");
    partner.sell(&reservation, "sale", &sale(Some(0), monday())).await.names("quantity");
    let mut wrong = sale(Some(3), monday());
    wrong.as_object_mut().unwrap().remove("visitDate");
    partner.sell(&reservation, "sale", &wrong).await.names("visitDate");
    wrong = sale(Some(3), monday());
    wrong["customerDetails"]["phone"] = "none".into();
    partner.sell(&reservation, "sale", &wrong).await.names("customerDetails.phone");

    let order = made(partner.sell(&reservation, "sale", &sale(Some(3), monday())).await);
    assert_eq!(order["confirmationCode"], order["orderId"]);
    assert_eq!(order["totalAmount"], json!({ "amount": 60_000, "currency": "CNY" }));
    let said = ["status", "quantity", "customerType", "visitDate", "paymentReference", "productId"];
    let expected = [json!("paid"), json!(3), json!("adult"), json!(monday()), json!("P-1"), json!(94_002)];
    assert_eq!(said.map(|field| order[field].clone()), expected);
    assert_eq!(order["customerDetails"]["name"], "陈大文");
    let tickets = order["tickets"].as_array().unwrap();
    let id = text(&order["orderId"]);
    let codes: Vec<String> = tickets.iter().map(|ticket| text(&ticket["ticketCode"])).collect();
    assert_eq!(codes, [id.clone(), format!("{id}.2"), format!("{id}.3")]);
    assert!(tickets.iter().all(|ticket| ticket["status"] == "ACTIVE" && ticket["ticketPrice"]["amount"] == 20_000));

    let again = partner.sell(&reservation, "sale", &sale(Some(3), monday())).await;
    assert_eq!((again.status, text(&again.ok()["orderId"])), (200, id.clone()));
    partner.sell(&reservation, "sale", &sale(Some(4), monday())).await.problem(422, "IDEMPOTENCY_MISMATCH");
    let weekend = made(partner.sell(&reservation, "weekend", &sale(Some(100), saturday())).await);
    assert_eq!(
        (&weekend["totalAmount"]["amount"], weekend["tickets"].as_array().unwrap().len()),
        (&json!(2_600_000), 100)
    );
    let rest = made(partner.sell(&reservation, "rest", &sale(None, monday())).await);
    assert_eq!(rest["quantity"], 47, "all that remained");
    let over = partner.reservation(&reservation).await;
    assert_eq!((&over["status"], &over["remaining"]), (&json!("activated"), &json!(0)));
    partner.cancel_reservation(&reservation).await.problem(409, "RESERVATION_ACTIVATED");
    partner.sell(&reservation, "more", &sale(Some(1), monday())).await.problem(409, "RESERVATION_ACTIVATED");
    assert_eq!(partner.units_left(94_002).await, 50);

    let shown = partner.get(&format!("/api/ota/orders/{id}")).await.ok();
    assert_eq!((&shown["tickets"][1]["ticketCode"], &shown["totalAmount"]), (&json!(codes[1]), &order["totalAmount"]));
    let of_it = partner.get(&format!("/api/ota/orders/{id}/tickets")).await.ok();
    assert_eq!((&of_it["totalCount"], &of_it["orderId"]), (&json!(3), &json!(id)));
}

#[tokio::test]
async fn r_ota_06_each_units_code_opens_the_gate_for_its_unit_alone() {
    let client = Client::new();
    let partner = client.seller("units-at-gates", 94_003, 10).await;
    let reservation = made(partner.reserve("one", 94_003, 10).await);
    let order = made(partner.sell(&reservation, "sale", &sale(Some(3), monday())).await);
    let printed: Vec<String> =
        order["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["qrCode"])).collect();
    assert_eq!(printed.iter().collect::<BTreeSet<_>>().len(), 3);
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "units-at-gates" })).await;

    let scanned = gate.scan(&printed[1], "r1").await;
    assert_eq!((&scanned["result"], scanned["tickets"].as_array().unwrap().len()), (&json!("success"), 2), "{scanned}");
    let id = text(&order["orderId"]);
    let remaining = async || {
        let shown = partner.get(&format!("/api/ota/orders/{id}/tickets")).await.ok();
        let left = |ticket: &Value| {
            ticket["entitlements"].as_array().unwrap().iter().map(|one| one["remaining"].as_u64().unwrap()).sum::<u64>()
        };
        shown["tickets"].as_array().unwrap().iter().map(left).collect::<Vec<_>>()
    };
    assert_eq!(remaining().await, [3, 1, 3]);

    let items = |numbers: &[u32]| {
        numbers.iter().map(|number| json!({ "ticketId": format!("{id}-{number}"), "quantity": 1 })).collect::<Vec<_>>()
    };
    let counter = json!({
        "code": printed[2], "sessionId": gate.session, "requestId": "r2", "items": items(&[1, 5]),
    });
    let request = gate.operator.client.request(Method::POST, "/merchant/redemptions");
    let request = request.bearer_auth(&gate.operator.token).header("X-Device-Secret", &gate.secret);
    let redeemed = gate.operator.client.send(request.json(&counter)).await.ok();
    let results: Vec<_> = redeemed["items"].as_array().unwrap().iter().map(|item| text(&item["result"])).collect();
    assert_eq!((&redeemed["result"], results.len()), (&json!("partial"), 2), "{redeemed}");
    assert_eq!(remaining().await, [3, 1, 2], "of the first unit nothing is behind the third one's code");
}

#[tokio::test]
async fn r_ota_07_a_unit_that_is_cancelled_unused_is_the_partners_again() {
    let client = Client::new();
    let partner = client.seller("cancels-units", 94_004, 10).await;
    let reservation = made(partner.reserve("one", 94_004, 6).await);
    let order = made(partner.sell(&reservation, "sale", &sale(Some(3), monday())).await);
    let second = text(&order["tickets"][1]["ticketCode"]);
    for _ in 0..2 {
        let cancelled = partner.send(Method::POST, &format!("/api/ota/tickets/{second}/cancel")).await.ok();
        assert_eq!(cancelled["status"], "REFUNDED");
    }
    eventually("its unit is back", async || (partner.units_left(94_004).await == 5).then_some(())).await;
    let shown = partner.get(&format!("/api/ota/orders/{}", text(&order["orderId"]))).await.ok();
    let statuses: Vec<_> = shown["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["status"])).collect();
    assert_eq!(statuses, ["ACTIVE", "REFUNDED", "ACTIVE"]);
    assert_eq!(partner.reservation(&reservation).await["remaining"], 3, "it goes on sale, not to the reservation");
}

#[tokio::test]
async fn r_ota_10_a_product_changed_after_the_reservation_leaves_it_its_prices() {
    let client = Client::new();
    let admin = client.administrator().await;
    let partner = client.seller("keeps-prices", 94_005, 20).await;
    let reservation = made(partner.reserve("one", 94_005, 5).await);
    let mut changed = product(94_005, 20);
    for tier in changed["tiers"].as_array_mut().unwrap() {
        tier["price"]["amount"] = 99_900.into();
    }
    admin.post("/admin/packages/templates", &changed).await.ok();
    let order = made(partner.sell(&reservation, "sale", &sale(Some(2), monday())).await);
    assert_eq!(order["totalAmount"]["amount"], 40_000);
    let shown = partner.reservation(&reservation).await;
    assert_eq!(shown["pricingSnapshot"], reservation["pricingSnapshot"]);
    let later = made(partner.reserve("two", 94_005, 5).await);
    let order = made(partner.sell(&later, "sale", &sale(Some(2), monday())).await);
    assert_eq!(order["totalAmount"]["amount"], 2 * 99_900);
}

#[tokio::test]
async fn r_ota_03_what_has_journeys_or_stock_for_each_date_cannot_be_reserved() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("reserves-dates").await);
    let journey = json!([{ "routeCode": "hzm-hk-zh", "seatClass": "standard", "dayOffset": 0 }]);
    for (number, field, value) in
        [(94_006, "stock", json!({ "total": 100, "perDate": 10 })), (94_007, "journeys", journey)]
    {
        let mut package = product(number, 100);
        package[field] = value;
        admin.post("/admin/packages/templates", &package).await.ok();
        partner.reserve("one", number, 1).await.names("productId");
    }
}

#[tokio::test]
async fn r_ota_08_a_partner_lists_its_reservations_and_orders_in_pages_and_nobody_elses() {
    let client = Client::new();
    let partner = client.seller("lists-sales", 94_008, 50).await;
    let other = client.seller("lists-sales-too", 94_009, 50).await;
    let mut reservations = Vec::new();
    for key in ["a", "b", "c"] {
        reservations.push(made(partner.reserve(key, 94_008, 5).await));
    }
    let foreign = made(other.reserve("a", 94_009, 5).await);
    let ids: Vec<String> = reservations.iter().map(|one| text(&one["reservationId"])).collect();
    partner.cancel_reservation(&reservations[1]).await;
    let first = made(partner.sell(&reservations[0], "sale", &sale(None, monday())).await);
    let batch = partner.generate(94_008, 2, "B-1").await.ok();
    let ticket = text(&batch["tickets"][1]["ticketCode"]);
    partner.activate(&ticket, monday()).await.ok();
    made(other.sell(&foreign, "sale", &sale(Some(1), monday())).await);

    assert_eq!(partner.listed("reservations", "limit=1000").await, (3, ids.clone()));
    assert_eq!(partner.listed("reservations", "page=2&limit=2").await, (3, ids[2..].to_vec()));
    for (status, id) in [("activated", &ids[0]), ("cancelled", &ids[1]), ("active", &ids[2])] {
        assert_eq!(partner.listed("reservations", &format!("status={status}")).await, (1, vec![id.clone()]));
    }
    let orders = vec![text(&first["orderId"]), ticket.clone()];
    assert_eq!(partner.listed("orders", "").await, (2, orders.clone()));
    assert_eq!(partner.listed("orders", "page=2&limit=1").await, (2, orders[1..].to_vec()));
    assert_eq!(partner.listed("orders", "batchId=B-1").await, (1, orders[1..].to_vec()));
    for (query, total) in [
        ("status=paid", 2),
        ("status=completed", 0),
        ("batchId=B-9", 0),
        ("createdBefore=2026-01-01", 0),
        ("createdAfter=2026-01-01&createdBefore=2099-01-01T00:00:00Z", 2),
    ] {
        assert_eq!(partner.listed("orders", query).await.0, total, "{query}");
    }
    let entry = partner.get("/api/ota/orders?limit=1").await.ok()["orders"][0].clone();
    assert_eq!((&entry["quantity"], &entry["totalAmount"]), (&json!(5), &first["totalAmount"]));
    for (query, field) in [("status=ACTIVE", "status"), ("page=0", "page"), ("limit=1001", "limit")] {
        for what in ["orders", "reservations"] {
            let refused = partner.get(&format!("/api/ota/{what}?{query}")).await.problem(422, "INVALID_PARAMETER");
            assert_eq!(refused.body["errors"][0]["field"], field);
        }
    }

    let said = |answer: Answer, code: &str| {
        let mut body = answer.problem(404, code).body;
        body.as_object_mut().unwrap().remove("requestId");
        body
    };
    let missing_order =
        said(other.get(&format!("/api/ota/orders/{}", text(&foreign["reservationId"]))).await, "ORDER_NOT_FOUND");
    for below in ["", "/tickets"] {
        let refused = other.get(&format!("/api/ota/orders/{}{below}", orders[0])).await;
        let refused = said(refused, "ORDER_NOT_FOUND");
        assert_eq!((&refused["detail"], &refused["errors"]), (&missing_order["detail"], &missing_order["errors"]));
    }
    other.get(&path(&reservations[0])).await.problem(404, "RESERVATION_NOT_FOUND");
    other.cancel_reservation(&reservations[2]).await.problem(404, "RESERVATION_NOT_FOUND");
    other.sell(&reservations[2], "sale", &sale(Some(1), monday())).await.problem(404, "RESERVATION_NOT_FOUND");
}

#[tokio::test]
async fn acceptance_f_partners_and_direct_sale_at_once_each_sell_what_is_theirs() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("sells-beside-partners").await);
    let (one, two) = (client.seller("beside-one", 94_010, 30).await, client.partner("beside-two").await);
    let template = admin.post("/admin/packages/templates", &product(94_010, 60)).await.ok();
    let set_aside = json!([{ "productId": 94_010, "quantity": 10 }]);
    admin.put(&format!("/admin/ota/partners/{}/allotments", two.id), &set_aside).await.ok();
    let of_partner = async |partner: &Partner, units: u32| {
        let keys: Vec<String> = (0..units + 5).map(|number| format!("key-{number}")).collect();
        let asked = join_all(keys.iter().map(|key| partner.reserve(key, 94_010, 1))).await;
        asked.iter().filter(|answer| answer.status == 201).count() as u32
    };
    // Direct sale sells a year ahead.
    let visit_date = jiff::Zoned::now().date().checked_add(jiff::Span::new().days(30)).unwrap().to_string();
    let direct = async {
        let order = json!({
            "items": [{
                "kind": "package", "templateId": template["templateId"], "serviceDate": visit_date, "quantity": 1,
            }],
            "passengers": [{ "name": "Mei", "type": "adult" }],
            "contact": { "name": "Mei", "phone": "+85291234567" },
        });
        let mut sold = 0;
        for number in 0..5 {
            let request = mei.client.request(Method::POST, "/orders").bearer_auth(&mei.token);
            let request = request.header("Idempotency-Key", format!("beside-{number}")).json(&order);
            sold += u32::from(mei.client.send(request).await.status == 201);
        }
        sold
    };
    let sold = tokio::join!(of_partner(&one, 30), of_partner(&two, 10), direct);
    assert_eq!((sold.0, sold.1), (30, 10));
    assert!(sold.2 > 0, "direct sale has 20 of its own");
    assert_eq!((one.units_left(94_010).await, two.units_left(94_010).await), (0, 0));
}
