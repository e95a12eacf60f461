//! Tickets that partners generate in advance, activate, cancel and list (R-OTA-04, R-OTA-06 to R-OTA-08), to the gate.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Partner};
use crate::shop::{GENERATE, eventually, monday, product, saturday, text};

impl Partner {
    async fn tickets(&self, query: &str) -> Value {
        self.get(&format!("/api/ota/tickets?{query}")).await.ok()
    }

    async fn ticket(&self, code: &str) -> Value {
        self.get(&format!("/api/ota/tickets/{code}")).await.ok()
    }

    async fn cancel(&self, code: &str) -> Answer {
        self.send(Method::POST, &format!("/api/ota/tickets/{code}/cancel")).await
    }
}

/// Of a batch, in their order.
fn codes(batch: &Value) -> Vec<String> {
    batch["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["ticketCode"])).collect()
}

#[tokio::test]
async fn acceptance_b_a_reseller_gets_100_tickets_with_their_metadata_and_the_prices_of_that_moment() {
    let client = Client::new();
    let partner = client.seller("sells-through-lok", 92_001, 150).await;
    let mut body = json!({
        "productId": 92_001, "quantity": 120, "batchId": "MAY/1", "distributionMode": "reseller_batch",
    });
    partner.post(GENERATE, &body).await.names("resellerMetadata.intendedReseller");
    let reseller = json!({ "intendedReseller": "Lok 旅行社", "batchPurpose": "May" });
    body["resellerMetadata"] = reseller.clone();
    let made = partner.post(GENERATE, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let batch = made.ok();
    let said = [&batch["batchId"], &batch["totalGenerated"], &batch["status"], &batch["resellerMetadata"]];
    assert_eq!(said, [&json!("MAY/1"), &json!(120), &json!("active"), &reseller]);
    let price = |kind: &str, day: &str, amount: u32| json!({ "customerType": kind, "dayType": day, "price": { "amount": amount, "currency": "CNY" } });
    let table = json!([
        price("adult", "weekday", 20_000),
        price("adult", "weekend_or_holiday", 26_000),
        price("child", "any", 10_000),
    ]);
    assert_eq!(batch["pricingSnapshot"]["pricing"], table);
    let ticket = &batch["tickets"][7];
    assert_eq!(ticket["status"], "PRE_GENERATED");
    let entry = &ticket["entitlements"][0];
    assert_eq!(
        (&entry["code"], &entry["remaining"], &entry["validity"]["days"]),
        (&json!("ENTRY"), &json!(1), &json!(30))
    );
    let codes: BTreeSet<String> = codes(&batch).into_iter().collect();
    let sealed: BTreeSet<String> =
        batch["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["qrCode"])).collect();
    assert_eq!((codes.len(), sealed.len()), (120, 120));
    assert_eq!(partner.units_left(92_001).await, 30);

    let shown = partner.get("/api/ota/batches/MAY%2F1").await.ok();
    assert_eq!((&shown["pricingSnapshot"], shown.get("tickets")), (&batch["pricingSnapshot"], None));
    let listed = partner.get("/api/ota/batches?status=active").await.ok();
    assert_eq!((&listed["totalCount"], &listed["batches"][0]["batchId"]), (&json!(1), &json!("MAY/1")));
    assert_eq!(partner.get("/api/ota/batches?status=expired").await.ok()["totalCount"], 0);
}

#[tokio::test]
async fn r_ota_04_a_repeated_batch_id_is_the_same_batch_and_another_request_with_it_is_refused() {
    let client = Client::new();
    let partner = client.seller("repeats-itself", 92_002, 20).await;
    let first = partner.generate(92_002, 12, "B-1").await.ok();
    let again = partner.generate(92_002, 12, "B-1").await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(codes(&again.ok()), codes(&first));
    partner.generate(92_002, 8, "B-1").await.problem(409, "BATCH_EXISTS");
    let refused = partner.generate(92_002, 9, "B-2").await.problem(409, "INSUFFICIENT_ALLOTMENT");
    assert_eq!(refused.body["available"], 8);
    assert_eq!(partner.units_left(92_002).await, 8, "all or nothing");
    partner.get("/api/ota/batches/B-2").await.problem(404, "BATCH_NOT_FOUND");
    let unknown = partner.generate(999_999, 1, "B-3").await.problem(404, "TEMPLATE_NOT_FOUND");
    assert_eq!(unknown.body["errors"][0]["field"], "productId");
    for (quantity, batch, field) in [(0, "B-3", "quantity"), (5_001, "B-3", "quantity"), (1, "B 3", "batchId")] {
        partner.generate(92_002, quantity, batch).await.names(field);
    }
}

#[tokio::test]
async fn r_ota_04_what_has_journeys_or_stock_for_each_date_is_not_generated_in_advance() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("in-advance").await);
    let journey = json!([{ "routeCode": "hzm-hk-zh", "seatClass": "standard", "dayOffset": 0 }]);
    for (number, field, value) in
        [(92_003, "stock", json!({ "total": 100, "perDate": 10 })), (92_004, "journeys", journey)]
    {
        let mut package = product(number, 100);
        package[field] = value;
        admin.post("/admin/packages/templates", &package).await.ok();
        partner.generate(number, 1, "B-1").await.names("productId");
    }
}

#[tokio::test]
async fn acceptance_d_a_ticket_is_activated_for_a_customer_who_has_paid_and_is_an_order_from_then_on() {
    let client = Client::new();
    let partner = client.seller("activates", 92_005, 10).await;
    let batch = partner.generate(92_005, 3, "B-1").await.ok();
    let tickets = codes(&batch);
    let path = format!("/api/ota/tickets/{}/activate", tickets[0]);
    let mut body =
        json!({ "customerDetails": { "name": "陈大文", "phone": "+85291234567" }, "paymentReference": "P-1" });
    partner.post(&path, &body).await.names("visitDate");
    body["visitDate"] = saturday().into();
    body["customerDetails"]["phone"] = "none".into();
    partner.post(&path, &body).await.names("customerDetails.phone");
    assert_eq!(partner.ticket(&tickets[0]).await["status"], "PRE_GENERATED");

    body["customerDetails"]["phone"] = "+852 9123 4567".into();
    let active = partner.post(&path, &body).await;
    assert_eq!(active.status, 200, "{}", active.text);
    let active = active.ok();
    let said = ["ticketCode", "orderId", "status", "customerName"].map(|field| text(&active[field]));
    assert_eq!(said, [&tickets[0], &tickets[0], "ACTIVE", "陈大文"]);
    assert_eq!(active["ticketPrice"], json!({ "amount": 26_000, "currency": "CNY" }), "of a weekend");
    assert!(active["activatedAt"].is_string());
    let twice = partner.post(&path, &body).await.problem(409, "TICKET_ALREADY_ACTIVATED");
    assert_eq!(twice.body["orderId"], active["orderId"]);
    let weekday = partner.activate(&tickets[1], monday()).await.ok();
    assert_eq!(weekday["ticketPrice"]["amount"], 20_000);

    partner.activate("none", monday()).await.problem(404, "TICKET_NOT_FOUND");
    partner.activate(&format!("{}.2", tickets[2]), monday()).await.problem(404, "TICKET_NOT_FOUND");
    let shown = partner.ticket(&tickets[0]).await;
    assert_eq!((&shown["status"], &shown["customerName"]), (&json!("ACTIVE"), &json!("陈大文")));
    let figures = partner.get("/api/ota/batches/B-1/analytics").await.ok();
    let expected = json!({
        "batchId": "B-1", "status": "active", "generated": 3, "preGenerated": 1, "activated": 2, "redeemed": 0,
        "refunded": 0, "cancelled": 0, "expired": 0,
    });
    assert_eq!(figures, expected);
}

#[tokio::test]
async fn r_ota_04_a_product_changed_in_the_middle_of_the_sale_leaves_generated_tickets_as_they_were_made() {
    let client = Client::new();
    let admin = client.administrator().await;
    let partner = client.seller("sells-the-old-one", 92_006, 20).await;
    let before = partner.generate(92_006, 3, "B-1").await.ok();
    let tickets = codes(&before);
    partner.activate(&tickets[0], monday()).await.ok();

    let mut changed = product(92_006, 20);
    changed["entitlements"] = json!([changed["entitlements"][0]]);
    changed["entitlements"][0]["quantity"] = 5.into();
    for tier in changed["tiers"].as_array_mut().unwrap() {
        tier["price"]["amount"] = 99_900.into();
    }
    admin.post("/admin/packages/templates", &changed).await.ok();
    let active = partner.activate(&tickets[1], monday()).await.ok();
    assert_eq!(active["ticketPrice"]["amount"], 20_000);
    let gives = |ticket: &Value| {
        let gives = ticket["entitlements"].as_array().unwrap().iter();
        gives.map(|one| (text(&one["code"]), one["total"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let old = [("ENTRY".to_owned(), 1), ("LOCKER".to_owned(), 2)];
    assert_eq!((gives(&active), gives(&partner.ticket(&tickets[2]).await)), (old.to_vec(), old.to_vec()));
    let again = partner.generate(92_006, 3, "B-1").await.ok();
    assert_eq!(again["pricingSnapshot"], before["pricingSnapshot"]);

    let after = partner.generate(92_006, 1, "B-2").await.ok();
    assert_eq!(gives(&after["tickets"][0]), [("ENTRY".to_owned(), 5)]);
    let active = partner.activate(&codes(&after)[0], monday()).await.ok();
    assert_eq!(active["ticketPrice"]["amount"], 99_900);
}

#[tokio::test]
async fn r_ota_07_a_ticket_is_cancelled_before_or_after_its_activation_while_it_is_unused() {
    let client = Client::new();
    let partner = client.seller("cancels", 92_007, 10).await;
    let tickets = codes(&partner.generate(92_007, 10, "B-1").await.ok());
    partner.activate(&tickets[1], monday()).await.ok();
    let used = partner.activate(&tickets[2], monday()).await.ok();
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "cancels" })).await;
    let printed = text(&partner.generate(92_007, 10, "B-1").await.ok()["tickets"][2]["qrCode"]);
    assert_eq!(gate.scan(&printed, "r1").await["result"], "success", "{used}");

    for (ticket, status) in [(&tickets[0], "CANCELLED"), (&tickets[1], "REFUNDED")] {
        for _ in 0..2 {
            let cancelled = partner.cancel(ticket).await.ok();
            assert_eq!(cancelled, json!({ "ticketCode": ticket, "status": status }));
        }
        assert_eq!(partner.ticket(ticket).await["status"], status);
    }
    partner.cancel(&tickets[2]).await.problem(409, "TICKET_USED");
    partner.cancel("none").await.problem(404, "TICKET_NOT_FOUND");
    partner.cancel(&format!("{}.2", tickets[3])).await.problem(404, "TICKET_NOT_FOUND");
    partner.activate(&tickets[0], monday()).await.problem(409, "TICKET_CANCELLED");
    partner.activate(&tickets[1], monday()).await.problem(409, "TICKET_ALREADY_ACTIVATED");
    eventually("their units are back", async || (partner.units_left(92_007).await == 2).then_some(())).await;
    let figures = partner.get("/api/ota/batches/B-1/analytics").await.ok();
    let counts = ["preGenerated", "activated", "refunded", "cancelled"].map(|field| figures[field].as_u64().unwrap());
    assert_eq!(counts, [7, 2, 1, 1], "{figures}");
}

#[tokio::test]
async fn acceptance_g_a_partner_lists_its_tickets_by_status_batch_and_date_in_pages() {
    let client = Client::new();
    let (partner, other) = (client.seller("lists", 92_008, 30).await, client.seller("lists-too", 92_009, 5).await);
    let first = codes(&partner.generate(92_008, 12, "B-1").await.ok());
    let second = codes(&partner.generate(92_008, 8, "B-2").await.ok());
    other.generate(92_009, 5, "B-1").await.ok();
    partner.activate(&first[4], monday()).await.ok();
    partner.cancel(&second[0]).await.ok();

    let all = partner.tickets("limit=1000").await;
    assert_eq!((&all["totalCount"], &all["page"], &all["pageSize"]), (&json!(20), &json!(1), &json!(1_000)));
    assert_eq!(codes(&all), [&first[..], &second[..]].concat(), "the oldest first, and nobody else's");
    let page = partner.tickets("page=3&limit=8").await;
    assert_eq!((codes(&page), &page["totalCount"]), (second[4..].to_vec(), &json!(20)));
    assert_eq!(partner.tickets("page=4&limit=8").await["tickets"], json!([]));
    let active = partner.tickets("status=ACTIVE&batchId=B-1").await;
    assert_eq!((codes(&active), &active["tickets"][0]["orderId"]), (vec![first[4].clone()], &json!(first[4])));
    assert_eq!(active["tickets"][0]["batchId"], "B-1");
    for (query, total) in [
        ("batchId=B-2", 8),
        ("batchId=B-2&status=PRE_GENERATED", 7),
        ("status=CANCELLED", 1),
        ("batchId=B-9", 0),
        ("createdBefore=2026-01-01", 0),
        ("createdAfter=2026-01-01", 20),
        ("createdAfter=2026-01-01T00:00:00+08:00&createdBefore=2099-01-01T00:00:00Z", 20),
        ("createdAfter=2099-01-01", 0),
    ] {
        assert_eq!(partner.tickets(query).await["totalCount"], total, "{query}");
    }
    for (query, field) in [("status=active", "status"), ("page=0", "page"), ("limit=1001", "limit")] {
        let refused = partner.get(&format!("/api/ota/tickets?{query}")).await.problem(422, "INVALID_PARAMETER");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
    partner.get("/api/ota/tickets?createdAfter=yesterday").await.names("createdAfter");
}

#[tokio::test]
async fn acceptance_h_a_ticket_is_used_when_the_last_of_its_entitlements_is_redeemed() {
    let client = Client::new();
    let partner = client.seller("used-up", 92_010, 5).await;
    let batch = partner.generate(92_010, 2, "B-1").await.ok();
    let (ticket, printed) = (text(&batch["tickets"][0]["ticketCode"]), text(&batch["tickets"][0]["qrCode"]));
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "used-up" })).await;
    assert_eq!(gate.scan(&printed, "r0").await["reason"], "NOT_ACTIVATED");
    partner.activate(&ticket, monday()).await.ok();

    let remaining = async || {
        let shown = partner.ticket(&ticket).await;
        let left = shown["entitlements"].as_array().unwrap().iter().map(|one| one["remaining"].as_u64().unwrap());
        (left.sum::<u64>(), text(&shown["status"]))
    };
    let redeem = async |request: &str, code: &str, quantity: u32| {
        let counter = json!({
            "code": printed, "sessionId": gate.session, "requestId": request, "items": [{ "ticketId": code, "quantity": quantity }],
        });
        let request = gate.operator.client.request(Method::POST, "/merchant/redemptions");
        let request = request.bearer_auth(&gate.operator.token).header("X-Device-Secret", &gate.secret);
        let redeemed = gate.operator.client.send(request.json(&counter)).await.ok();
        assert_eq!(redeemed["result"], "success", "{redeemed}");
    };
    assert_eq!(remaining().await, (3, "ACTIVE".to_owned()));
    redeem("r1", &format!("{ticket}-1"), 1).await;
    assert_eq!(remaining().await, (2, "ACTIVE".to_owned()));
    redeem("r2", &format!("{ticket}-2"), 2).await;
    assert_eq!(remaining().await, (0, "USED".to_owned()));
    eventually("its batch has heard", async || {
        let figures = partner.get("/api/ota/batches/B-1/analytics").await.ok();
        (figures["redeemed"] == 1).then_some(())
    })
    .await;
    eventually("it is listed so", async || (partner.tickets("status=USED").await["totalCount"] == 1).then_some(()))
        .await;
    partner.cancel(&ticket).await.problem(409, "TICKET_USED");
}
