//! What the demo has from its first minute: packages, who redeems them, and promotions.

use serde_json::{Value, json};

use crate::client::{Answer, Client, Gate, Person, passenger_name};
use crate::server::{another, day};
use crate::shop::{eventually, id, new_key, text};

/// Numbers of the demo's packages, and the tickets that two adults and a child have of each.
const PACKAGES: [(u64, usize); 5] = [(106, 7), (107, 5), (108, 8), (109, 7), (110, 6)];

/// A package on sale by its number.
async fn product(client: &Client, number: u64) -> Option<Value> {
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/catalog?limit=100{cursor}")).await.ok();
        let found = page["packages"].as_array().unwrap().iter().find(|package| package["productId"] == number);
        match (found, page.get("nextCursor")) {
            (Some(package), _) => return Some(package.clone()),
            (None, Some(next)) => cursor = format!("&cursor={}", text(next)),
            (None, None) => return None,
        }
    }
}

/// Two adults and a child order a package: the first departures that are left, where it includes journeys.
async fn order(mei: &Person, package: &Value) -> Answer {
    let (template, date) = (text(&package["templateId"]), day(5).to_string());
    let mut item = json!({ "kind": "package", "templateId": template });
    if package["needsServiceDate"] == true {
        item["serviceDate"] = json!(date);
    }
    let shown = mei.client.get(&format!("/catalog/{template}?serviceDate={date}")).await.ok();
    let journeys = shown["journeys"].as_array().unwrap().iter().map(
        |journey| json!({ "departureId": journey["departures"][0]["departureId"], "seatClass": journey["seatClass"] }),
    );
    let journeys: Vec<Value> = journeys.collect();
    if !journeys.is_empty() {
        item["journeys"] = json!(journeys);
    }
    let passengers = [(1, "adult"), (2, "adult"), (3, "child")];
    let passengers = passengers.map(|(number, kind)| json!({ "name": passenger_name(number), "type": kind }));
    let contact = json!({ "name": "Lam Meizhu", "phone": "+85291234567" });
    mei.place_with(&new_key(), &json!({ "items": [item], "passengers": passengers, "contact": contact })).await
}

/// What a session may redeem of an order here and now: codes of entitlements, each once.
async fn redeemable(gate: &Gate, code: &str) -> Vec<String> {
    let request = gate.operator.client.request(reqwest::Method::POST, "/merchant/tickets/scan");
    let request = request.bearer_auth(&gate.operator.token).header("X-Device-Secret", &gate.secret);
    let looked =
        gate.operator.client.send(request.json(&json!({ "code": code, "sessionId": gate.session }))).await.ok();
    let tickets = looked["tickets"].as_array().unwrap().iter().filter(|ticket| ticket["redeemable"] == true);
    let mut codes: Vec<String> = tickets.map(|ticket| text(&ticket["entitlements"][0]["code"])).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[tokio::test]
async fn r_search_01_the_demos_packages_are_in_the_catalogue_in_searches_and_sold_at_once() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("demo-packages").await;
    for (number, tickets) in PACKAGES {
        let package = product(&client, number).await.unwrap_or_else(|| panic!("{number} is on sale"));
        let placed = order(&mei, &package).await.ok();
        let price = placed["amount"]["amount"].as_i64().unwrap();
        assert!(price > 0, "{placed}");
        let paid = mei.pay(&placed).await;
        assert_eq!(paid["tickets"].as_array().unwrap().len(), tickets, "of {number}: {paid}");
    }
    for (destination, at_home) in [("MO", 109), ("ZH", 110)] {
        let found = client.search("HK", destination, day(5), "&adults=2&children=1").await.ok();
        let offers: Vec<&Value> = found["packages"].as_array().unwrap().iter().collect();
        let mut numbers: Vec<u64> = offers.iter().map(|offer| offer["productId"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [106, 107, 108, at_home]);
        assert!(
            offers.iter().all(|offer| offer["available"].as_u64() > Some(0) && offer["price"]["currency"] == "CNY")
        );
    }
}

#[tokio::test]
async fn r_scan_04_each_of_the_demos_merchants_redeems_its_own_part_of_a_package() {
    let client = Client::new();
    let mei = client.traveller("demo-merchants").await;
    let package = product(&client, 108).await.unwrap();
    let paid = mei.pay(&order(&mei, &package).await.ok()).await;
    let museum = client.operator("museum").await;
    let pets = client.operator("pets").await;
    for (operator, device, location, parts) in [
        (&museum, "demo-hall", "museum-hall", &["LOCKER", "MUSEUM"][..]),
        (&museum, "demo-shop", "museum-shop", &["TEA"]),
        (&pets, "demo-desk", "pets-desk", &["PETROOM"]),
        (&pets, "demo-salon", "pets-salon", &[]),
    ] {
        let gate = operator.gate(&json!({ "deviceId": device, "locationId": location })).await;
        assert_eq!(redeemable(&gate, &mei.order_code(&paid).await).await, parts, "at {location} for {}", id(&paid));
    }
}

#[tokio::test]
async fn r_price_03_the_demos_promotions_are_shown_with_what_they_take_off() {
    let client = Client::new();
    let welcome = client.get("/promotions/WELCOME").await.ok();
    assert_eq!((&welcome["percent"], &welcome["exhausted"]), (&json!(10), &json!(false)), "{welcome}");
    let party = client.get("/promotions/PETPARTY").await.ok();
    assert_eq!((&party["minParty"], &party["automatic"]), (&json!(4), &json!(true)), "{party}");
    let pets = product(&client, 107).await.unwrap();
    assert_eq!(party["templateIds"], json!([pets["templateId"]]));
}

#[tokio::test]
async fn r_admin_06_a_start_of_the_demo_leaves_a_package_as_an_administrator_has_it() {
    let server = another(&[]);
    let client = Client::of(server);
    let admin = client.administrator().await;
    let template = text(&product(&client, 106).await.unwrap()["templateId"]);
    let path = format!("/admin/packages/templates/{template}");
    let mut shown = admin.get(&path).await.ok();
    shown.as_object_mut().unwrap().retain(|name, _| !["templateId", "version", "since"].contains(&name.as_str()));
    shown["status"] = json!("withdrawn");
    shown["versionToken"] = json!("ours");
    admin.post("/admin/packages/templates", &shown).await.ok();
    assert_eq!(product(&client, 106).await, None);

    let client = Client::of(server.restart(&[]));
    assert_eq!(product(&client, 106).await, None, "a start puts what is missing, and changes nothing");
    let admin = client.administrator().await;
    let versions = eventually("both versions", async || {
        let versions = admin.get(&format!("{path}/versions")).await.ok()["versions"].as_array().unwrap().clone();
        (versions.len() == 2).then_some(versions)
    })
    .await;
    assert_eq!((&versions[0]["account"], &versions[1]["account"]), (&json!("admin"), &json!("import")));
}
