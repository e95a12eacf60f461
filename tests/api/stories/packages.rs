//! Packages from the catalogue to the counter: bought with a journey, redeemed item by item, and reported (R-HOLD-02,
//! R-TICKET-01, R-SCAN-01, R-SCAN-06, R-SCAN-07).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Gate, Person, passenger_name};
use crate::server::day;
use crate::shop::{eventually, id, journey, new_key, text};

/// A package of this test alone: two entitlements for each, one shared by all; sold in so many units.
fn template(name: &str, total: u32) -> Value {
    let entitlement = |code: &str, channel: &str, quantity: u32, shared: bool| {
        json!({
            "code": code, "name": { "zh": "权益", "en": code }, "quantity": quantity,
            "redemptionChannel": channel, "requiresIdentity": false, "shared": shared,
            "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
        })
    };
    let tier = |passenger: &str, amount: u32| json!({ "passengerType": passenger, "minParty": 1, "price": { "amount": amount, "currency": "CNY" } });
    json!({
        "name": { "zh": name, "en": name },
        "status": "active",
        "entitlements": [
            entitlement("ENTRY", "any", 1, false),
            entitlement("MEAL", "counter", 1, false),
            entitlement("LOCKER", "any", 3, true),
        ],
        "tiers": [tier("adult", 20_001), tier("child", 10_000)],
        "stock": { "total": total },
    })
}

async fn on_sale(client: &Client, name: &str, total: u32) -> String {
    let made = client.administrator().await.post("/admin/packages/templates", &template(name, total)).await;
    text(&made.ok()["templateId"])
}

/// Three people want it, with these items beside it.
async fn try_order(person: &Person, template: &str, quantity: u16, beside: &[Value]) -> Answer {
    let package = json!({ "kind": "package", "templateId": template, "quantity": quantity });
    let items: Vec<Value> = [&[package], beside].concat();
    let passengers = [(1, "adult"), (2, "adult"), (3, "child")];
    let passengers = passengers.map(|(number, kind)| json!({ "name": passenger_name(number), "type": kind }));
    let body = json!({
        "items": items,
        "passengers": passengers,
        "contact": { "name": "Lam Meizhu", "phone": "+85291234567" },
    });
    person.place_with(&new_key(), &body).await
}

impl Gate {
    async fn ask(&self, path: &str, body: &Value) -> Answer {
        let request = self.operator.client.request(Method::POST, path).bearer_auth(&self.operator.token);
        self.operator.client.send(request.header("X-Device-Secret", &self.secret).json(body)).await
    }

    pub async fn look(&self, code: &str) -> Value {
        self.ask("/merchant/tickets/scan", &json!({ "code": code, "sessionId": self.session })).await.ok()
    }

    /// Redeems, with a code or after a look; `items` are tickets and quantities.
    pub async fn take(&self, request: &str, code: Option<&str>, items: &[(&Value, u32)]) -> Answer {
        let items =
            items.iter().map(|(ticket, quantity)| json!({ "ticketId": ticket["ticketId"], "quantity": quantity }));
        let mut body = json!({ "sessionId": self.session, "requestId": request, "items": items.collect::<Vec<_>>() });
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        self.ask("/merchant/redemptions", &body).await
    }
}

/// Tickets of an order with this entitlement.
fn with<'a>(order: &'a Value, code: &str) -> Vec<&'a Value> {
    let tickets = order["tickets"].as_array().unwrap().iter();
    tickets.filter(|ticket| ticket["entitlements"][0]["code"] == code).collect()
}

async fn counter(client: &Client, device: &str) -> Gate {
    client.operator("gate").await.gate(&json!({ "deviceId": device })).await
}

#[actix_rt::test]
async fn r_ticket_01_a_package_with_a_ferry_is_ordered_paid_and_has_all_its_tickets() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 one", 100).await;
    let mei = client.traveller("package-tickets").await;
    let ferry = client.departure().await;
    let journey = json!({ "kind": "journey", "departureId": ferry.id, "seatClass": ferry.class });
    let order = try_order(&mei, &template, 2, &[journey]).await.ok();
    let kinds: Vec<&Value> = order["items"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, ["journey", "package"], "{order}");
    assert_eq!((&order["items"][1]["templateId"], &order["items"][1]["quantity"]), (&json!(template), &json!(2)));
    let of_package: i64 = order["priceLines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["item"] == 1)
        .map(|line| line["total"]["amount"].as_i64().unwrap())
        .sum();
    assert_eq!(of_package, 2 * (2 * 20_001 + 10_000));
    let promised: Vec<Value> = order["entitlements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|promise| json!([promise["code"], promise["quantity"], promise["shared"]]))
        .collect();
    assert_eq!(
        promised,
        [
            json!(["BOARDING", 3, false]),
            json!(["ENTRY", 6, false]),
            json!(["MEAL", 6, false]),
            json!(["LOCKER", 6, true]),
        ]
    );

    let paid = mei.pay(&order).await;
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 3 + 7);
    let kinds = |code| with(&paid, code).iter().map(|ticket| text(&ticket["kind"])).collect::<Vec<_>>();
    assert_eq!((kinds("ENTRY"), kinds("LOCKER")), (vec!["entitlement".to_owned(); 3], vec!["shared".to_owned()]));
    let locker = with(&paid, "LOCKER")[0];
    assert_eq!((&locker["passenger"], &locker["entitlements"][0]["total"]), (&Value::Null, &json!(6)));
    assert_eq!(locker["entitlements"][0]["validUntil"], locker["validUntil"]);
}

#[actix_rt::test]
async fn r_ticket_01_three_with_a_coach_a_ferry_and_a_package_have_seats_prices_shares_and_their_tickets() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 six", 100).await;
    let mei = client.traveller("package-whole").await;
    let ferry = client.departure().await;
    let by_ferry = json!({ "kind": "journey", "departureId": ferry.id, "seatClass": ferry.class });
    let order = try_order(&mei, &template, 1, &[journey(&client.coach().await), by_ferry]).await.ok();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let kinds: Vec<String> = list(&order["items"]).iter().map(|item| text(&item["kind"])).collect();
    assert_eq!(kinds, ["journey", "journey", "package"], "{order}");
    for journey in &list(&order["items"])[..2] {
        let seats: BTreeSet<String> = list(&journey["seatNumbers"]).iter().map(text).collect();
        assert_eq!(seats.len(), 3, "a seat each: {journey}");
    }
    let total = |line: &Value| line["total"]["amount"].as_i64().unwrap();
    let lines = list(&order["priceLines"]);
    let of = |item: u16| lines.iter().filter(|line| line["item"] == item).collect::<Vec<_>>();
    for item in 0..3 {
        let people: Vec<_> = of(item).iter().map(|line| json!([line["passengerType"], line["count"]])).collect();
        assert_eq!(people, [json!(["adult", 2]), json!(["child", 1])], "{lines:?}");
    }
    assert_eq!(of(2).into_iter().map(total).sum::<i64>(), 2 * 20_001 + 10_000);
    assert_eq!(lines.iter().map(total).sum::<i64>(), order["amount"]["amount"].as_i64().unwrap());

    let paid = mei.pay(&order).await;
    let kinds = |kind: &str| list(&paid["tickets"]).iter().filter(|ticket| ticket["kind"] == kind).count();
    assert_eq!((kinds("journey"), kinds("entitlement"), kinds("shared")), (6, 6, 1), "3 × 2 journeys; 3 × 2 + 1");
    let database = client.database().await;
    let shares = eventually("the tickets' rows", async || {
        let sql = "SELECT item, sum(price_minor)::bigint FROM tickets WHERE order_id = $1 GROUP BY item ORDER BY item";
        let rows = database.query(sql, &[&id(&order)]).await.unwrap();
        (!rows.is_empty()).then(|| rows.iter().map(|row| row.get(1)).collect::<Vec<i64>>())
    })
    .await;
    let prices: Vec<i64> = (0..3).map(|item| of(item).into_iter().map(total).sum()).collect();
    assert_eq!(shares, prices, "the shares of its tickets are an item's price to the cent");
}

#[actix_rt::test]
async fn r_scan_03_a_shared_ticket_at_two_gates_at_once_is_used_as_often_as_was_promised() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 seven", 100).await;
    let mei = client.traveller("package-shared").await;
    let order = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let locker = with(&order, "LOCKER")[0];
    // Every use takes a fresh code.
    let codes = join_all((0..8).map(|_| mei.ticket_code(locker))).await;
    let gates = [counter(&client, "shared-1").await, counter(&client, "shared-2").await];

    let presses = codes.iter().enumerate().map(|(number, code)| {
        let gate = &gates[number % 2];
        async move { gate.scan(code, &format!("r{number}")).await }
    });
    let scans = join_all(presses).await;

    let mut left: Vec<_> =
        scans.iter().filter(|scan| scan["result"] == "success").map(|scan| &scan["remaining"]).collect();
    left.sort_by_key(|left| left.as_u64());
    assert_eq!(left, [0, 1, 2], "{scans:?}");
    let refused = scans.iter().filter(|scan| scan["result"] == "reject");
    assert!(
        refused.clone().count() == 5 && refused.clone().all(|scan| scan["reason"] == "ALREADY_REDEEMED"),
        "{scans:?}"
    );
    let locker = mei.get(&format!("/tickets/{}", text(&locker["ticketId"]))).await.ok();
    assert_eq!((&locker["status"], &locker["entitlements"][0]["remaining"]), (&json!("used"), &json!(0)));
}

#[actix_rt::test]
async fn r_search_02_a_package_without_units_is_sold_out_and_no_other_with_the_same_entitlements() {
    let client = Client::new();
    let (scarce, plenty) = (on_sale(&client, "套餐 eight", 3).await, on_sale(&client, "套餐 nine", 100).await);
    let (mei, bo) = (client.traveller("package-last").await, client.traveller("package-none").await);
    let offered = async || {
        let found = client.search("HK", "ZH", day(4), "&adults=2&children=1").await.ok();
        let packages = found["packages"].as_array().unwrap().clone();
        [&scarce, &plenty].map(|id| packages.iter().any(|package| package["templateId"] == id.as_str()))
    };
    let left = async |id: &str| client.get(&format!("/catalog/{id}")).await.ok()["available"].clone();
    assert_eq!(offered().await, [true, true]);

    let order = mei.pay(&try_order(&mei, &scarce, 1, &[]).await.ok()).await;

    assert_eq!((left(&scarce).await, left(&plenty).await), (json!(0), json!(100)));
    assert_eq!(offered().await, [false, true]);
    let refused = try_order(&bo, &scarce, 1, &[]).await.problem(409, "SOLD_OUT");
    let said = format!("not enough units of package {scarce} are left: 0 of 3");
    assert_eq!((&refused.body["detail"], &refused.body["available"]), (&json!(said), &json!(0)));

    // What somebody has used up of one package is there in the other.
    let desk = counter(&client, "counter-units").await;
    let code = mei.order_code(&order).await;
    let entries = with(&order, "ENTRY");
    let taken = desk.take("r1", Some(&code), &entries.iter().map(|entry| (*entry, 1)).collect::<Vec<_>>()).await.ok();
    assert_eq!(taken["result"], "success", "{taken}");
    assert_eq!((offered().await, left(&plenty).await), ([false, true], json!(100)));
    try_order(&bo, &plenty, 1, &[]).await.ok();
}

#[actix_rt::test]
async fn r_hold_02_what_is_short_of_units_is_sold_out_and_keeps_no_seat() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 two", 5).await;
    let mei = client.traveller("package-short").await;
    let ferry = client.departure().await;
    let journey = json!({ "kind": "journey", "departureId": ferry.id, "seatClass": ferry.class });
    let first = try_order(&mei, &template, 1, &[]).await.ok();
    try_order(&mei, &template, 1, &[journey]).await.problem(409, "SOLD_OUT");
    mei.cancel(&first).await.ok();
    try_order(&mei, &template, 1, &[]).await.ok();
    try_order(&mei, "pkg-none", 1, &[]).await.problem(404, "TEMPLATE_NOT_FOUND");
    try_order(&mei, &template, 11, &[]).await.names("items[0].quantity");
}

#[actix_rt::test]
async fn r_scan_01_half_of_a_package_is_redeemed_at_a_counter_item_by_item() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 three", 100).await;
    let mei = client.traveller("package-counter").await;
    let order = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let desk = counter(&client, "counter-1").await;
    let (entry, meal, locker) = (with(&order, "ENTRY"), with(&order, "MEAL"), with(&order, "LOCKER"));

    desk.take("early", None, &[(entry[0], 1)]).await.problem(409, "LOOK_REQUIRED");
    let code = mei.order_code(&order).await;
    let looked = desk.look(&code).await;
    assert_eq!((&looked["result"], looked["tickets"].as_array().unwrap().len()), (&json!("success"), 7), "{looked}");
    assert!(looked["tickets"].as_array().unwrap().iter().all(|ticket| ticket["redeemable"] == true));

    let taken = desk.take("r1", None, &[(entry[0], 1), (meal[1], 1), (locker[0], 2), (meal[0], 2)]).await.ok();
    let results = |taken: &Value| {
        let item = |item: &Value| {
            (text(&item["result"]), item["reason"].as_str().map(str::to_owned), item["remaining"].as_u64())
        };
        taken["items"].as_array().unwrap().iter().map(item).collect::<Vec<_>>()
    };
    let success = |remaining| ("success".to_owned(), None, Some(remaining));
    let short = ("reject".to_owned(), Some("NO_REMAINING".to_owned()), Some(1));
    assert_eq!(
        (&taken["result"], results(&taken)),
        (&json!("partial"), vec![success(0), short, success(0), success(1)])
    );
    assert_eq!(
        desk.take("r1", None, &[(entry[0], 1), (meal[1], 1), (locker[0], 2), (meal[0], 2)]).await.ok(),
        taken,
        "R-SCAN-03"
    );
    let next = desk.take("r2", None, &[(locker[0], 1)]).await.ok();
    assert_eq!(results(&next), [success(0)], "the session goes on after its look");

    let other = counter(&client, "counter-2").await;
    let replayed = other.take("r1", Some(&code), &[(entry[1], 1)]).await.ok();
    assert_eq!((&replayed["result"], &replayed["reason"]), (&json!("reject"), &json!("REPLAYED")), "{replayed}");
    desk.take("twice", None, &[(entry[1], 1), (entry[1], 1)]).await.names("items[1].ticketId");

    // What is redeemed is what was shown.
    let of_one = mei.ticket_code(entry[2]).await;
    desk.take("beside", Some(&of_one), &[(entry[2], 1), (entry[1], 1)]).await.names("items[1].ticketId");
    let elsewhere = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let of_order = mei.order_code(&order).await;
    desk.take("of-another", Some(&of_order), &[(with(&elsewhere, "ENTRY")[0], 1)]).await.names("items[0].ticketId");
    for kept in [entry[1], entry[2], with(&elsewhere, "ENTRY")[0]] {
        assert_eq!(mei.ticket_status(kept).await, "usable");
    }
}

#[actix_rt::test]
async fn r_scan_01_a_ticket_that_the_order_does_not_have_is_refused_by_itself() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 unknown", 100).await;
    let mei = client.traveller("package-unknown").await;
    let order = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let desk = counter(&client, "counter-unknown").await;
    let nothing = json!({ "ticketId": format!("{}-99", id(&order)) });
    let items = [(with(&order, "ENTRY")[0], 1), (&nothing, 1)];
    let taken = desk.take("r1", Some(&mei.order_code(&order).await), &items).await.ok();
    assert_eq!((&taken["result"], &taken["reason"]), (&json!("partial"), &json!("INVALID_CODE")), "{taken}");
    let results: Vec<_> = taken["items"].as_array().unwrap().iter().map(|item| text(&item["result"])).collect();
    assert_eq!(results, ["success", "reject"]);
    assert_eq!(
        (&taken["items"][1]["ticketId"], &taken["items"][1]["reason"]),
        (&nothing["ticketId"], &json!("INVALID_CODE"))
    );
}

#[actix_rt::test]
async fn r_scan_04_a_gate_does_not_take_what_is_redeemed_at_counters() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 four", 100).await;
    let mei = client.traveller("package-gate").await;
    let order = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let gate = counter(&client, "gate-of-packages").await;
    let scanned = gate.scan(&mei.ticket_code(with(&order, "MEAL")[0]).await, "r1").await;
    assert_eq!((&scanned["result"], &scanned["reason"]), (&json!("reject"), &json!("WRONG_ENTITLEMENT")));
    let body = json!({
        "code": mei.ticket_code(with(&order, "LOCKER")[0]).await, "sessionId": gate.session, "requestId": "r2",
        "quantity": 2,
    });
    let scanned = gate.send(&body).await.ok();
    assert_eq!((&scanned["result"], &scanned["remaining"]), (&json!("success"), &json!(1)), "{scanned}");
    gate.send(&json!({ "code": "x", "sessionId": gate.session, "requestId": "r3", "quantity": 0 }))
        .await
        .names("quantity");
}

#[actix_rt::test]
async fn r_scan_06_r_scan_07_what_was_redeemed_is_in_the_history_the_report_and_its_totals() {
    let client = Client::new();
    let template = on_sale(&client, "套餐 five", 100).await;
    let mei = client.traveller("package-report").await;
    let order = mei.pay(&try_order(&mei, &template, 1, &[]).await.ok()).await;
    let desk = counter(&client, "counter-report").await;
    let code = mei.order_code(&order).await;
    let items = [(with(&order, "ENTRY")[0], 1), (with(&order, "LOCKER")[0], 2)];
    desk.take("r1", Some(&code), &items).await.ok();

    let order_id = id(&order);
    let own = |list: &Value, field: &str| {
        let all = list[field].as_array().unwrap().iter();
        all.filter(|entry| entry["orderId"] == order_id.as_str()).cloned().collect::<Vec<Value>>()
    };
    let history = desk.operator.get("/merchant/redemptions?limit=100").await.ok();
    let mut seen: Vec<_> = own(&history, "redemptions")
        .iter()
        .map(|entry| (text(&entry["entitlementCode"]), entry["quantity"].as_u64()))
        .collect();
    seen.sort();
    assert_eq!(seen, [("ENTRY".to_owned(), Some(1)), ("LOCKER".to_owned(), Some(2))]);

    let (yesterday, tomorrow) = (day(-1), day(1));
    let report = format!("/reports/redemptions?from={yesterday}&to={tomorrow}");
    let admin = client.administrator().await;
    // Another session's report is a fraction of a second behind.
    let of_lockers = eventually("it is reported", async || {
        let report = admin.get(&format!("{report}&entitlementCode=LOCKER&limit=100")).await.ok();
        (own(&report, "events").len() == 1).then_some(report)
    })
    .await;
    assert!(of_lockers["totals"].as_array().unwrap().iter().all(|total| total["entitlementCode"] == "LOCKER"));
    let uses: u64 = of_lockers["totals"].as_array().unwrap().iter().map(|total| total["uses"].as_u64().unwrap()).sum();
    assert!(uses >= 2);
    let csv = admin.get(&format!("{report}&format=csv")).await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = csv.text.lines().filter(|line| line.contains(&order_id)).collect();
    assert_eq!(lines.len(), 2, "{}", csv.text);
    assert!(lines.iter().any(|line| line.contains(&passenger_name(1))));
    admin.get("/reports/redemptions?from=2026-12-02&to=2026-12-01").await.names("to");
    admin.get("/reports/redemptions?to=2026-12-01").await.names("from");

    let shown = desk.operator.get(&format!("/merchant/orders/{order_id}")).await.ok();
    let groups: Vec<usize> = shown["passengers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["tickets"].as_array().unwrap().len())
        .collect();
    assert_eq!(groups, [2, 2, 2, 1], "by passenger, and what is shared last");
}
