//! Templates of packages as an administrator puts them, and as travellers find them at the next request (R-ADMIN-01,
//! R-ADMIN-02, R-ADMIN-06). The numbers are those of the card's acceptances and scenarios.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Person};
use crate::server::{another, day};
use crate::shop::{eventually, template, text};

const TEMPLATES: &str = "/admin/packages/templates";

fn with(mut template: Value, field: &str, value: impl Into<Value>) -> Value {
    template[field] = value.into();
    template
}

/// The version that a put has made, or found; and whether it has made it.
fn version(answer: Answer) -> (u64, bool) {
    let status = answer.status;
    let body = answer.ok();
    assert_eq!((status == 201, status == 200), (body["idempotent"] == false, body["idempotent"] == true));
    (body["version"].as_u64().unwrap(), status == 201)
}

async fn versions(by: &Person, id: &str) -> Vec<Value> {
    by.get(&format!("{TEMPLATES}/{id}/versions")).await.ok()["versions"].as_array().unwrap().clone()
}

/// The packages that a search from Hong Kong to Zhuhai finds.
async fn found(client: &Client, more: &str) -> Vec<Value> {
    client.search("HK", "ZH", day(4), more).await.ok()["packages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn r_admin_01_card_8_a_new_template_is_created_and_its_version_is_on_record() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let put = admin.post(TEMPLATES, &template("Premium")).await;
    assert_eq!(put.status, 201, "{}", put.text);
    let id = text(&put.body["templateId"]);
    assert!(id.len() <= 32, "{id}");
    assert_eq!((&put.body["version"], &put.body["idempotent"]), (&json!(1), &json!(false)));

    let on_record = versions(&admin, &id).await;
    assert_eq!(on_record.len(), 1);
    let first = &on_record[0];
    assert_eq!(
        (&first["version"], &first["account"], &first["status"]),
        (&json!(1), &json!("admin"), &json!("active"))
    );
    assert_eq!(first["versionToken"], put.body["versionToken"]);
    assert_eq!(first["content"]["entitlements"][0]["code"], "MUSEUM");
    let shown = client.staff("auditor").await.get(&format!("{TEMPLATES}/{id}")).await.ok();
    assert_eq!((&shown["name"]["en"], &shown["version"]), (&json!("Premium"), &json!(1)));
    let listed = admin.get(TEMPLATES).await.ok();
    assert!(listed["templates"].as_array().unwrap().iter().any(|listed| listed["templateId"] == id.as_str()));

    assert!(found(&client, "").await.iter().any(|package| package["templateId"] == id.as_str()), "at the next search");
    let metrics = admin.get("/metrics").await.text;
    assert!(metrics.contains("admin_templates_created_total 1"), "counted once");

    // Of one record, and in three tables.
    let database = client.database().await;
    let count = async |table: &str| {
        let sql = format!("SELECT count(*) FROM {table} WHERE template_id = $1 AND template_version = 1");
        database.query_one(&sql, &[&id]).await.unwrap().get::<_, i64>(0)
    };
    eventually("the rows", async || (count("package_templates").await == 1).then_some(())).await;
    assert_eq!((count("template_entitlements").await, count("template_pricing_tiers").await), (2, 3));
}

#[tokio::test]
async fn r_admin_01_card_8_the_same_name_with_another_version_token_is_a_new_version_and_the_old_one_stays() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let first = with(template("Family"), "versionToken", "2026");
    let cheaper = with(first.clone(), "tiers", json!([first["tiers"][0]]));
    let second = with(cheaper, "versionToken", "2027");
    let put = admin.post(TEMPLATES, &first).await;
    let id = text(&put.body["templateId"]);
    assert_eq!(version(put), (1, true));
    let before = versions(&admin, &id).await;
    assert_eq!(version(admin.post(TEMPLATES, &second).await), (2, true));
    let on_record = versions(&admin, &id).await;
    let of = |field: &str| on_record.iter().map(|version| version[field].clone()).collect::<Vec<_>>();
    assert_eq!((of("version"), of("versionToken")), (vec![json!(2), json!(1)], vec![json!("2027"), json!("2026")]));
    assert_eq!(on_record[1], before[0], "as it was");
    let kept = &before[0]["content"];
    // A tier that names no kind of day is kept with the one that it means.
    let meant = |tier: &Value| with(tier.clone(), "dayType", "any");
    assert_eq!(kept["tiers"], first["tiers"].as_array().unwrap().iter().map(meant).collect::<Value>());
    for (field, put) in first.as_object().unwrap().iter().filter(|(field, _)| *field != "tiers") {
        assert_eq!(kept[field], *put, "{field}");
    }
    let sold = client.get(&format!("/catalog/{id}")).await.ok();
    assert_eq!((&sold["version"], sold["tiers"].as_array().unwrap().len()), (&json!(2), 1));
}

#[tokio::test]
async fn r_admin_01_card_9_a_template_is_created_updated_and_found_again_also_after_a_restart() {
    let server = another(&[]);
    let client = Client::of(server);
    let admin = client.administrator().await;
    let created = template("Premium");
    let updated = with(created.clone(), "productId", 90_107);
    let named = with(with(created.clone(), "clientToken", "c-1"), "productId", 90_108);
    assert_eq!(version(admin.post(TEMPLATES, &created).await), (1, true));
    assert_eq!(version(admin.post(TEMPLATES, &created).await), (1, false));
    assert_eq!(version(admin.post(TEMPLATES, &updated).await), (2, true));
    assert_eq!(version(admin.post(TEMPLATES, &named).await), (3, true));
    assert_eq!(version(admin.post(TEMPLATES, &with(updated.clone(), "versionToken", "again")).await), (4, true));
    assert_eq!(version(admin.post(TEMPLATES, &named).await), (3, false), "its client's token names it");

    let client = Client::of(server.restart(&[]));
    let admin = client.administrator().await;
    assert_eq!(version(admin.post(TEMPLATES, &named).await), (3, false));
    assert_eq!(version(admin.post(TEMPLATES, &updated).await), (4, false), "it holds what the newest holds");
    let id = text(&admin.post(TEMPLATES, &named).await.ok()["templateId"]);
    assert_eq!(versions(&admin, &id).await.len(), 4);
    assert_eq!(client.get(&format!("/catalog/{id}")).await.ok()["productId"], 90_107);
}

#[tokio::test]
async fn r_admin_01_card_9_a_token_that_stands_for_something_else_is_a_conflict_with_its_reason_in_the_audit() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let first = with(with(template("Premium"), "versionToken", "v1"), "clientToken", "c1");
    let id = text(&admin.post(TEMPLATES, &first).await.ok()["templateId"]);
    let other_content = with(with(first.clone(), "status", "draft"), "clientToken", "c2");
    admin.post(TEMPLATES, &other_content).await.problem(409, "VERSION_CONFLICT");
    let other_name = with(first.clone(), "name", json!({ "zh": "别的", "en": "Other" }));
    admin.post(TEMPLATES, &other_name).await.problem(409, "VERSION_CONFLICT");
    assert_eq!(version(admin.post(TEMPLATES, &first).await), (1, false));
    assert_eq!(versions(&admin, &id).await.len(), 1);

    // The Idempotency-Key of any write.
    let keyed = async |body: &Value| {
        let request = client.request(Method::POST, TEMPLATES).header("Idempotency-Key", "k1");
        client.send(request.bearer_auth(&admin.token).json(body)).await
    };
    let second = with(with(first.clone(), "versionToken", "v2"), "clientToken", Value::Null);
    assert_eq!(version(keyed(&second).await), (2, true));
    assert_eq!(version(keyed(&second).await), (2, false));
    keyed(&with(second, "status", "draft")).await.problem(422, "IDEMPOTENCY_MISMATCH");

    let database = client.database().await;
    let sql =
        "SELECT refusal_code FROM admin_audit_logs WHERE entity = 'template' AND revision IS NULL ORDER BY number";
    let codes = eventually("the refusals", async || {
        let codes: Vec<String> = database.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        (codes.len() == 3).then_some(codes)
    })
    .await;
    assert_eq!(codes, ["VERSION_CONFLICT", "VERSION_CONFLICT", "IDEMPOTENCY_MISMATCH"]);
}

#[tokio::test]
async fn r_admin_01_a_template_that_leaves_less_than_is_sold_is_a_conflict_and_goes_through_with_its_token_later() {
    let client = Client::of(another(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("templates-stock").await);
    let of = |units: u32, token: &str| {
        with(with(template("Limited"), "stock", json!({ "total": units })), "versionToken", token)
    };
    let id = text(&admin.post(TEMPLATES, &of(5, "v1")).await.ok()["templateId"]);
    let order = mei.place(&[json!({ "kind": "package", "templateId": id, "quantity": 1 })], 3).await.ok();
    let shown = async || {
        let stock = admin.get(&format!("{TEMPLATES}/{id}/stock")).await.ok();
        let sold = client.get(&format!("/catalog/{id}")).await.ok();
        (stock, sold, versions(&admin, &id).await)
    };
    let before = shown().await;

    let refused = admin.post(TEMPLATES, &of(2, "v2")).await.problem(409, "BELOW_USE");

    assert!(text(&refused.body["detail"]).contains("3 are held and 0 are sold"), "{}", refused.text);
    assert_eq!(shown().await, before, "nothing has changed");
    assert_eq!((&before.0["inUse"], &before.1["available"]), (&json!(3), &json!(2)));
    mei.cancel(&order).await.ok();
    assert_eq!(version(admin.post(TEMPLATES, &of(2, "v2")).await), (2, true), "its token was not used up");
    assert_eq!(version(admin.post(TEMPLATES, &of(2, "v2")).await), (2, false));
    assert_eq!(client.get(&format!("/catalog/{id}")).await.ok()["available"], 2);
}

#[tokio::test]
async fn r_admin_02_card_9_a_template_that_is_wrong_is_refused_by_its_field_and_nothing_changes() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let good = template("Premium");
    let id = text(&admin.post(TEMPLATES, &good).await.ok()["templateId"]);
    let spoilt = |spoil: fn(&mut Value)| {
        let mut body = good.clone();
        spoil(&mut body);
        body
    };
    for (body, field) in [
        (spoilt(|body| drop(body.as_object_mut().unwrap().remove("name"))), "name"),
        (spoilt(|body| drop(body.as_object_mut().unwrap().remove("tiers"))), "tiers"),
        (spoilt(|body| body["entitlements"] = json!([])), "entitlements"),
        (spoilt(|body| body["entitlements"][0]["quantity"] = 0.into()), "entitlements[0].quantity"),
        (spoilt(|body| body["entitlements"][0]["quantity"] = json!(1.5)), "entitlements[0].quantity"),
        (
            spoilt(|body| body["entitlements"][0]["redemptionChannel"] = "post".into()),
            "entitlements[0].redemptionChannel",
        ),
        (
            spoilt(|body| body["entitlements"][1]["validity"]["kind"] = "eternal".into()),
            "entitlements[1].validity.kind",
        ),
        (spoilt(|body| body["entitlements"][0]["validity"]["days"] = 0.into()), "entitlements[0].validity.days"),
        (
            spoilt(|body| drop(body["entitlements"][0].as_object_mut().unwrap().remove("requiresIdentity"))),
            "entitlements[0].requiresIdentity",
        ),
        (spoilt(|body| body["entitlements"][0]["merchantId"] = "nobody".into()), "entitlements[0].merchantId"),
        (spoilt(|body| body["entitlements"][0]["colour"] = "red".into()), "entitlements[0].colour"),
        (spoilt(|body| body["tiers"] = json!([body["tiers"][2]])), "tiers"),
        (spoilt(|body| body["tiers"][0]["price"]["amount"] = (-1).into()), "tiers[0].price.amount"),
        (spoilt(|body| body["tiers"][0]["price"]["currency"] = "HKD".into()), "tiers[0].price.currency"),
        (spoilt(|body| body["status"] = "sold".into()), "status"),
        (spoilt(|body| body["places"] = json!(["ATLANTIS"])), "places[0]"),
        (spoilt(|body| body["blackoutDates"] = json!(["2026-12-25", "2026-12-25"])), "blackoutDates"),
        (spoilt(|body| body["timeZone"] = "Mars/Base".into()), "timeZone"),
    ] {
        admin.post(TEMPLATES, &body).await.names(field);
    }
    assert_eq!(versions(&admin, &id).await.len(), 1, "the last valid version is in force");
    for who in [client.staff("finance").await, client.staff("ops").await, client.operator("gate").await] {
        who.post(TEMPLATES, &good).await.problem(403, "FORBIDDEN");
    }
    client.post(TEMPLATES, &good).await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn r_admin_01_card_9_versions_of_a_template_that_is_there_and_of_one_that_is_not() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let mut id = String::new();
    for version in 1..=5 {
        id = text(
            &admin.post(TEMPLATES, &with(template("Premium"), "productId", 90_000 + version)).await.ok()["templateId"],
        );
    }
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{TEMPLATES}/{id}/versions?limit=2{cursor}")).await.ok();
        numbers.extend(page["versions"].as_array().unwrap().iter().map(|version| version["version"].as_u64().unwrap()));
        match page.get("nextCursor") {
            Some(next) => cursor = format!("&cursor={}", text(next)),
            None => break,
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    for path in ["", "/versions", "/stock"] {
        admin.get(&format!("{TEMPLATES}/pkg-nowhere{path}")).await.problem(404, "NOT_CONFIGURED");
    }
}

#[tokio::test]
async fn r_search_01_what_is_put_is_in_the_next_search_and_in_the_catalogue() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let (last, black) = (day(20).to_string(), day(21).to_string());
    let with_coach = json!([{ "routeCode": "hzm-hk-zh", "seatClass": "standard", "dayOffset": 0 }]);
    let trip = with(with(template("Day trip"), "journeys", with_coach), "places", json!(["ZH"]));
    let trip = with(with(trip, "stock", json!({ "perDate": 12 })), "blackoutDates", json!([black]));
    let id = text(&admin.post(TEMPLATES, &trip).await.ok()["templateId"]);

    let offers = found(&client, "&adults=2&children=1").await;
    let offer = offers.iter().find(|offer| offer["templateId"] == id.as_str()).unwrap();
    assert_eq!(offer["price"], json!({ "amount": 2 * 18_000 + 10_000, "currency": "CNY" }), "a party of three");
    assert_eq!((&offer["available"], &offer["needsServiceDate"]), (&json!(12), &json!(true)));
    let elsewhere = client.search("HK", "MO", day(4), "").await.ok();
    assert!(elsewhere["packages"].as_array().unwrap().iter().all(|offer| offer["templateId"] != id.as_str()));

    let shown = client.get(&format!("/catalog/{id}?serviceDate={last}")).await.ok();
    assert_eq!((&shown["available"], &shown["blackoutDates"]), (&json!(12), &json!([black])));
    let departures = shown["journeys"][0]["departures"].as_array().unwrap();
    assert!(departures.iter().all(|departure| text(&departure["departsAt"]).starts_with(&last)), "{departures:?}");
    assert!(departures.len() > 10 && departures[0]["available"] == 35, "{departures:?}");
    assert_eq!(client.get(&format!("/catalog/{id}?serviceDate={black}")).await.ok()["available"], 0);
    assert_eq!(client.get(&format!("/catalog/{id}")).await.ok()["journeys"][0].get("departures"), None);
    client.get(&format!("/catalog/{id}?serviceDate={}", day(-1))).await.names("serviceDate");
    client.get(&format!("/catalog/{id}?serviceDate={}", day(367))).await.names("serviceDate");
    client.get("/catalog/pkg-nowhere").await.problem(404, "TEMPLATE_NOT_FOUND");
    let stock = admin.get(&format!("{TEMPLATES}/{id}/stock")).await.ok();
    assert_eq!((&stock["limits"], &stock["inUse"]), (&json!({ "perDate": 12 }), &json!(0)));

    let listed = client.get("/catalog").await.ok();
    assert!(listed["packages"].as_array().unwrap().iter().any(|package| package["templateId"] == id.as_str()));
    admin.post(TEMPLATES, &with(trip, "status", "withdrawn")).await.ok();
    assert_eq!(found(&client, "").await.iter().find(|offer| offer["templateId"] == id.as_str()), None);
    client.get(&format!("/catalog/{id}")).await.problem(404, "TEMPLATE_NOT_FOUND");
}

#[tokio::test]
async fn r_search_01_a_month_says_which_days_have_seats_and_from_what_price() {
    let client = Client::new();
    let date = day(4);
    let month = date.strftime("%Y-%m").to_string();
    let ask = async |month: &str, party: &str| {
        client.get(&format!("/travel/calendar?origin=HK&destination=ZH&month={month}{party}")).await
    };
    let shown = ask(&month, "&adults=2").await.ok();
    let days = shown["days"].as_array().unwrap();
    assert_eq!(days.len(), usize::try_from(date.days_in_month()).unwrap());
    let of_date = days.iter().find(|day| day["date"] == date.to_string()).unwrap();
    let search = client.search("HK", "ZH", date, "&adults=2").await.ok();
    let prices = search["routes"].as_array().unwrap().iter().flat_map(|route| route["seatClasses"].as_array().unwrap());
    let lowest = prices.map(|class| class["price"]["amount"].as_i64().unwrap()).min().unwrap();
    assert_eq!((&of_date["availability"], &of_date["fromPrice"]["amount"]), (&json!("available"), &json!(lowest)));
    ask("2020-01", "").await.names("month");
    ask(&month, "&adults=11").await.names("adults");
}
