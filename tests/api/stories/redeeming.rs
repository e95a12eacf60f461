//! Who redeems where, and under which rules something is sold, as administrators configure it (R-SCAN-04, R-ADMIN-05,
//! R-AFTER-05).

use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::server::{another, day};
use crate::shop::{eventually, id, journey, template, text};

const PASSWORD: &str = "a long password";

fn named(more: &Value) -> Value {
    let mut body = json!({ "name": { "zh": "門", "en": "Gate" } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// An operator of the administrator's making.
async fn operator(client: &Client, admin: &Person, username: &str, redeems: &Value) -> Person {
    let account = format!("/admin/operators/{username}");
    admin.put(&account, redeems).await.ok();
    assert_eq!(admin.put(&format!("{account}/password"), &json!({ "password": PASSWORD })).await.status, 204);
    let login = json!({ "username": username, "password": PASSWORD });
    client.person(&client.post("/operators/login", &login).await.ok()["operatorToken"])
}

/// A package that an administrator puts on sale: a museum for each, a meal for all.
async fn package(admin: &Person, name: &str, more: &Value) -> String {
    let mut package = template(name);
    let fields = package.as_object_mut().unwrap();
    fields.remove("productId");
    fields.extend(more.as_object().unwrap().clone());
    text(&admin.post("/admin/packages/templates", &package).await.ok()["templateId"])
}

/// A ticket of a coach across the bridge, which boards at HZHK.
async fn ticket(client: &Client, mei: &Person) -> Value {
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    mei.pay(&order).await["tickets"][0].clone()
}

#[tokio::test]
async fn r_scan_04_what_an_operator_redeems_is_asked_of_the_configuration_at_each_scan() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-asked").await);
    let gate = operator(&client, &admin, "redeeming-asked", &json!({})).await;
    let gate = gate.gate(&json!({ "deviceId": "redeeming-asked", "locationId": "hzm-hk-gate" })).await;
    let scanned = async |ticket: &Value, request: &str| gate.scan(&mei.ticket_code(ticket).await, request).await;
    let put = async |redeems: &Value| admin.put("/admin/operators/redeeming-asked", redeems).await.ok();

    // The session goes on; only what it redeems changes.
    let first = ticket(&client, &mei).await;
    for (number, (redeems, reason)) in [
        (json!({ "locationIds": ["hzm-zh-gate"] }), "WRONG_LOCATION"),
        (json!({ "entitlementCodes": ["LUNCH"] }), "WRONG_ENTITLEMENT"),
    ]
    .iter()
    .enumerate()
    {
        put(redeems).await;
        let refused = scanned(&first, &format!("r{number}")).await;
        assert_eq!((&refused["result"], &refused["reason"]), (&json!("reject"), &json!(reason)), "{redeems}");
    }
    put(&json!({ "merchantId": "hzm", "locationIds": ["hzm-hk-gate"], "entitlementCodes": ["BOARDING"] })).await;
    let ended = gate.try_scan(&mei.ticket_code(&first).await, "r8").await;
    ended.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn r_scan_04_a_location_boards_the_journeys_of_the_port_that_it_is_at_now() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-port").await);
    let location = "/admin/merchants/hzm/locations/redeeming-gate";
    admin.put(location, &named(&json!({}))).await.ok();
    let gate = client.operator("gate").await;
    let gate = gate.gate(&json!({ "deviceId": "redeeming-port", "locationId": "redeeming-gate" })).await;
    let ticket = ticket(&client, &mei).await;
    let refused = gate.scan(&mei.ticket_code(&ticket).await, "r1").await;
    assert_eq!(refused["reason"], "WRONG_LOCATION", "no journey boards there");

    admin.put(location, &named(&json!({ "portCode": "HZHK" }))).await.ok();
    assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, "r2").await["result"], "success");
    let twice = gate.scan(&mei.ticket_code(&ticket).await, "r3").await;
    assert_eq!(twice["previous"]["location"], "redeeming-gate");
}

#[tokio::test]
async fn r_scan_04_a_session_is_at_an_own_location_on_an_own_device() {
    let client = Client::new();
    let admin = client.administrator().await;
    let of_museum = json!({ "merchantId": "museum", "locationIds": ["museum-hall", "HZHK"] });
    let curator = operator(&client, &admin, "redeeming-own", &of_museum).await;
    admin.put("/admin/devices/redeeming-hzm", &json!({ "merchantId": "hzm" })).await.ok();
    for (session, field) in [
        (json!({ "deviceId": "redeeming-own", "locationId": "hzm-hk-gate" }), "locationId"),
        (json!({ "deviceId": "redeeming-own", "locationId": "museum-shop" }), "locationId"),
        (json!({ "deviceId": "redeeming-own", "locationId": "nowhere" }), "locationId"),
        (json!({ "deviceId": "redeeming-own" }), "locationId"),
        (json!({ "deviceId": "redeeming-hzm", "locationId": "museum-hall" }), "deviceId"),
    ] {
        let refused = curator.post("/validators/sessions", &session).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field, "{session}");
    }
    curator.gate(&json!({ "deviceId": "redeeming-own", "locationId": "HZHK" })).await;
    curator.gate(&json!({ "deviceId": "museum-hall-1" })).await;
}

#[tokio::test]
async fn r_scan_04_a_device_that_is_disabled_or_moved_redeems_nothing_from_then_on() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-device").await);
    let device = "/admin/devices/redeeming-device";
    let at_the_gate = json!({ "merchantId": "hzm", "locationId": "hzm-zh-gate" });
    admin.put(device, &at_the_gate).await.ok();
    let operator = operator(&client, &admin, "redeeming-device", &json!({ "merchantId": "hzm" })).await;
    let gate = operator.gate(&json!({ "deviceId": "redeeming-device" })).await;
    let ticket = ticket(&client, &mei).await;
    let refused = gate.scan(&mei.ticket_code(&ticket).await, "r1").await;
    assert_eq!(refused["reason"], "WRONG_LOCATION", "it is where its device is: in Zhuhai");

    for body in [json!({ "merchantId": "hzm", "disabled": true }), json!({ "merchantId": "museum" })] {
        admin.put(device, &body).await.ok();
        gate.try_scan(&mei.ticket_code(&ticket).await, "r2").await.problem(401, "SESSION_ENDED");
        let again = operator.post("/validators/sessions", &json!({ "deviceId": "redeeming-device" })).await;
        assert_eq!(again.problem(422, "VALIDATION_ERROR").body["errors"][0]["field"], "deviceId");
    }
    admin.put(device, &json!({ "merchantId": "hzm" })).await.ok();
    let gate = operator.gate(&json!({ "deviceId": "redeeming-device" })).await;
    assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, "r3").await["result"], "success");
}

#[tokio::test]
async fn r_scan_04_nothing_is_redeemed_at_a_location_that_was_withdrawn() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-closed").await);
    let location = "/admin/merchants/hzm/locations/redeeming-closed";
    admin.put(location, &named(&json!({ "portCode": "HZHK" }))).await.ok();
    let operator = client.operator("gate").await;
    let session = json!({ "deviceId": "redeeming-closed", "locationId": "redeeming-closed" });
    let gate = operator.gate(&session).await;
    let ticket = ticket(&client, &mei).await;

    admin.delete(location).await.ok();
    gate.try_scan(&mei.ticket_code(&ticket).await, "r1").await.problem(401, "SESSION_ENDED");
    let again = operator.post("/validators/sessions", &session).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(again.body["errors"][0]["field"], "locationId");

    admin.put(location, &named(&json!({ "portCode": "HZHK" }))).await.ok();
    assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, "r2").await["result"], "success");
}

#[tokio::test]
async fn r_scan_04_a_merchant_that_was_withdrawn_redeems_nothing() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-gone").await);
    admin.put("/admin/merchants/redeeming-gone", &named(&json!({}))).await.ok();
    let operator = operator(&client, &admin, "redeeming-gone", &json!({ "merchantId": "redeeming-gone" })).await;
    let gate = operator.gate(&json!({ "deviceId": "redeeming-gone" })).await;
    let ticket = ticket(&client, &mei).await;
    assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, "r1").await["reason"], "NOT_YOUR_MERCHANT");
    admin.delete("/admin/merchants/redeeming-gone").await.ok();
    gate.try_scan(&mei.ticket_code(&ticket).await, "r2").await.problem(401, "SESSION_ENDED");
}

#[tokio::test]
async fn r_scan_07_what_a_gate_has_redeemed_is_in_its_operators_history_at_once() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-history").await);
    let operator = operator(&client, &admin, "redeeming-history", &json!({ "merchantId": "hzm" })).await;
    let gate = operator.gate(&json!({ "deviceId": "redeeming-history" })).await;
    for request in ["r1", "r2", "r3"] {
        let ticket = ticket(&client, &mei).await;
        assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, request).await["result"], "success");
        let history = operator.get("/merchant/redemptions?limit=100").await.ok();
        let all = history["redemptions"].as_array().unwrap();
        assert!(all.iter().any(|redemption| redemption["ticketId"] == ticket["ticketId"]), "{history}");
    }
}

#[tokio::test]
async fn r_scan_04_an_order_shows_an_operator_no_ticket_that_only_others_may_redeem() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-order").await);
    let package = package(&admin, "redeeming order", &json!({})).await;
    let order = mei.place(&[json!({ "kind": "package", "templateId": package })], 1).await.ok();
    mei.pay(&order).await;
    let shown = async |username: &str, entitlement: &str| {
        let redeems = json!({ "merchantId": "museum", "entitlementCodes": [entitlement] });
        let operator = operator(&client, &admin, username, &redeems).await;
        operator.get(&format!("/merchant/orders/{}", id(&order))).await
    };
    let meal = shown("redeeming-waiter", "MEAL").await.ok();
    let [whole_party] = &meal["passengers"].as_array().unwrap()[..] else { panic!("{meal}") };
    assert_eq!((&whole_party["passenger"], &whole_party["tickets"][0]["kind"]), (&Value::Null, &json!("shared")));
    shown("redeeming-parking", "PARKING").await.problem(404, "ORDER_NOT_FOUND");
}

#[tokio::test]
async fn r_admin_05_locations_are_their_merchants_and_what_is_referred_to_stays() {
    let client = Client::new();
    let admin = client.administrator().await;
    let (merchant, location) = ("/admin/merchants/redeeming", "/admin/merchants/redeeming/locations/redeeming-1");
    admin.put(location, &named(&json!({}))).await.problem(422, "VALIDATION_ERROR");
    admin.put(merchant, &named(&json!({ "contact": "Mei" }))).await.ok();
    admin.put(location, &named(&json!({ "portCode": "HKSW" }))).await.ok();
    assert_eq!(admin.get(location).await.ok()["merchantId"], "redeeming");
    let listed = admin.get("/admin/merchants/redeeming/locations").await.ok();
    let listed: Vec<_> = listed["locations"].as_array().unwrap().iter().map(|one| text(&one["locationId"])).collect();
    assert_eq!(listed, ["redeeming-1"]);
    admin.get("/admin/merchants/nobody/locations").await.problem(404, "NOT_CONFIGURED");
    for path in ["", "/history"] {
        admin.get(&format!("/admin/merchants/museum/locations/redeeming-1{path}")).await.problem(404, "NOT_CONFIGURED");
    }
    let anothers = admin.put("/admin/merchants/museum/locations/redeeming-1", &named(&json!({}))).await;
    assert_eq!(anothers.problem(422, "VALIDATION_ERROR").body["errors"][0]["field"], "locationId");

    admin.delete(merchant).await.problem(409, "IN_USE");
    admin.delete(location).await.ok();
    admin.delete(merchant).await.ok();
    admin.put(location, &named(&json!({}))).await.problem(422, "VALIDATION_ERROR");
}

#[tokio::test]
async fn d15_a_departure_whose_schedule_was_withdrawn_has_gates_as_before() {
    let client = Client::of(another(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-withdrawn").await);
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 1).await.ok();
    let ticket = mei.pay(&order).await["tickets"][0].clone();
    admin.put("/admin/routes/hzm-hk-zh/schedules", &json!([])).await.ok();
    client.get(&format!("/departures/{coach}")).await.problem(404, "DEPARTURE_NOT_FOUND");

    let session = json!({ "deviceId": "redeeming-withdrawn", "locationId": "HZHK", "departureId": coach });
    let gate = client.operator("gate").await.gate(&session).await;
    assert_eq!(gate.scan(&mei.ticket_code(&ticket).await, "r1").await["result"], "success");
    let nothing = json!({ "deviceId": "redeeming-withdrawn", "departureId": "nothing.20261224" });
    let nothing = client.operator("gate").await.post("/validators/sessions", &nothing).await;
    assert_eq!(nothing.problem(422, "VALIDATION_ERROR").body["errors"][0]["field"], "departureId");
}

/// What a route is put with, as it stands.
async fn route(admin: &Person) -> Value {
    let mut body = admin.get("/admin/routes/hzm-hk-zh").await.ok();
    let body_of = |name: &str| !["version", "since", "marks", "draft"].contains(&name);
    body.as_object_mut().unwrap().retain(|name, _| body_of(name));
    body
}

#[tokio::test]
async fn r_after_05_a_route_is_sold_under_a_rule_that_is_there_or_under_none() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let (path, mut body) = ("/admin/routes/hzm-hk-zh", route(&admin).await);
    assert_eq!(body["refundRules"], json!({ "direct": "hzm-wechat" }));
    for (rules, field) in [
        (json!({ "direct": "no" }), "refundRules.direct"),
        (json!({ "direct": "hzm-wechat", "ota": "no" }), "refundRules.ota"),
        (json!({ "direct": "hzm-wechat", "counter": "hzm-wechat" }), "refundRules.counter"),
    ] {
        body["refundRules"] = rules;
        let refused = admin.put(path, &body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
    body.as_object_mut().unwrap().remove("refundRules");
    admin.put(path, &body).await.ok();
    let found = client.search("HK", "ZH", day(4), "&mode=coach").await.ok();
    assert_eq!(found["routes"][0]["refundSummary"], "不可退改");
    assert_eq!(client.get("/cancellation-policies?routeCode=hzm-hk-zh").await.ok()["policies"], json!([]));
}

#[tokio::test]
async fn r_after_05_travellers_read_the_rule_under_which_a_package_is_sold() {
    let client = Client::new();
    let admin = client.administrator().await;
    let sold_under = json!({ "refundRules": { "direct": "ctg-hk" } });
    let package = package(&admin, "redeeming rule", &sold_under).await;
    let policies = client.get(&format!("/cancellation-policies?templateId={package}")).await.ok();
    let [policy] = &policies["policies"].as_array().unwrap()[..] else { panic!("{policies}") };
    assert_eq!((&policy["ruleId"], &policy["templateIds"]), (&json!("ctg-hk"), &json!([package])));
    assert_eq!(policy["routeCodes"], json!([]));
    let all = client.get("/cancellation-policies").await.ok();
    let ctg = all["policies"].as_array().unwrap().iter().find(|policy| policy["ruleId"] == "ctg-hk").unwrap();
    assert!(ctg["templateIds"].as_array().unwrap().contains(&json!(package)), "{ctg}");
}

fn rule(percent: u8) -> Value {
    named(&json!({ "windows": [{ "untilMinutesBefore": 60, "percent": percent }] }))
}

#[tokio::test]
async fn r_after_05_travellers_read_the_rule_in_force_and_an_order_keeps_the_one_it_was_sold_under() {
    let client = Client::of(another(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("redeeming-rule").await);
    let (path, coach) = ("/admin/refund-rules/hzm-wechat", client.coach().await);
    let said = async || {
        let found = client.search("HK", "ZH", day(4), "&mode=coach").await.ok();
        let shown = client.get(&format!("/departures/{coach}")).await.ok();
        assert_eq!(found["routes"][0]["refundSummary"], shown["refundSummary"]);
        text(&shown["refundSummary"])
    };
    assert_eq!(said().await, "购票后30分钟内退90%；发车前退50%；其后不退。不可改签。");
    let before = mei.place(&[journey(&coach)], 1).await.ok();
    let first = admin.get(path).await.ok()["version"].as_u64().unwrap();

    admin.put(path, &rule(80)).await.ok();
    assert_eq!(said().await, "发车1小时前退80%；其后不退。不可改签。");
    let after = mei.place(&[journey(&coach)], 1).await.ok();
    let policies = client.get("/cancellation-policies?routeCode=hzm-hk-zh").await.ok();
    let [policy] = &policies["policies"].as_array().unwrap()[..] else { panic!("{policies}") };
    assert_eq!((&policy["ruleId"], &policy["version"]), (&json!("hzm-wechat"), &json!(first + 1)));
    assert_eq!((&policy["summary"], &policy["windows"]), (&json!(said().await), &rule(80)["windows"]));
    assert_eq!(policy["routeCodes"], json!(["hzm-hk-zh"]));
    let all = client.get("/cancellation-policies").await.ok();
    let ids: Vec<_> = all["policies"].as_array().unwrap().iter().map(|policy| text(&policy["ruleId"])).collect();
    let sold_under = ["ctg-hk", "cwj-flex", "demo-open", "demo-visit", "hzm-wechat"];
    assert_eq!(ids, sold_under, "of routes and of packages; what partners sell under is theirs");
    for (query, field) in [("routeCode=no", "routeCode"), ("templateId=106", "templateId")] {
        let unknown = client.get(&format!("/cancellation-policies?{query}")).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(unknown.body["errors"][0]["field"], field);
    }
    admin.delete(path).await.problem(409, "IN_USE");

    let database = client.database().await;
    for (order, revision) in [(&before, first), (&after, first + 1)] {
        let kept = eventually("the order's row", async || {
            let sql = "SELECT refund_rule_id, refund_revision FROM order_items WHERE order_id = $1";
            let row = database.query_opt(sql, &[&id(order)]).await.unwrap()?;
            Some((row.get::<_, String>(0), row.get::<_, i32>(1)))
        })
        .await;
        assert_eq!(kept, ("hzm-wechat".to_owned(), i32::try_from(revision).unwrap()));
    }
}
