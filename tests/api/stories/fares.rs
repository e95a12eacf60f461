//! Fares as an administrator puts them (R-ADMIN-03, R-ADMIN-06), and what orders pay meanwhile (R-PRICE-01).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::server::{another, day};
use crate::shop::{at, journey, text};

const FARES: &str = "/admin/routes/fares/hzm-hk-zh";

/// A whole revision: everybody pays so many fen.
fn all_pay(fen: i64) -> Value {
    let fare = |who| json!({ "passengerType": who, "price": { "amount": fen, "currency": "CNY" } });
    let fares = ["adult", "child", "senior"].map(fare);
    json!({ "fares": fares })
}

/// What the next search says that an adult pays.
async fn price(client: &Client) -> i64 {
    let found = client.search("HK", "ZH", day(4), "&mode=coach").await.ok();
    found["routes"][0]["seatClasses"][0]["price"]["amount"].as_i64().unwrap()
}

async fn revisions(by: &Person) -> Vec<Value> {
    by.get(&format!("{FARES}/history")).await.ok()["revisions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn r_admin_03_card_9_fares_are_put_seen_looked_back_at_and_brought_back() {
    let client = Client::of(another(&[]));
    let (admin, auditor) = (client.administrator().await, client.staff("auditor").await);
    let mei = client.traveller("mei").await;
    let before = admin.get(FARES).await.ok();
    let locked = mei.place(&[journey(&client.coach().await)], 1).await.ok();

    let put = admin.put(FARES, &all_pay(12_300)).await.ok();
    let first = before["revision"].as_u64().unwrap() + 1;
    assert_eq!((&put["routeCode"], &put["revision"]), (&json!("hzm-hk-zh"), &json!(first)));
    assert_eq!(put["idempotent"], false);
    assert_eq!(price(&client).await, 12_300, "the next search has it");
    let again = admin.put(FARES, &all_pay(12_300)).await.ok();
    assert_eq!((&again["revision"], &again["idempotent"]), (&put["revision"], &json!(true)));
    assert_eq!(mei.shown(&locked).await["amount"], locked["amount"], "what is locked keeps its price");

    let shown = auditor.get(FARES).await.ok();
    assert_eq!((&shown["seatLockMinutes"], &shown["blackoutDates"]), (&json!(10), &json!([])), "the defaults");
    assert_eq!((&shown["draft"], &shown["effectiveFrom"]), (&json!(false), &put["effectiveFrom"]));
    let mut twelve = all_pay(12_400);
    twelve["seatLockMinutes"] = 12.into();
    twelve["blackoutDates"] = json!([day(9).to_string()]);
    admin.put(FARES, &twelve).await.ok();
    assert_eq!(client.search("HK", "ZH", day(9), "&mode=coach").await.ok()["availability"], "blackout");

    let history = revisions(&admin).await;
    let of = |field: &str| history[..2].iter().map(|revision| revision[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("version"), [json!(first + 1), json!(first)]);
    assert_eq!(of("account"), [json!("admin"), json!("admin")]);
    assert_eq!(history[1]["content"]["fares"][0]["price"]["amount"], 12_300);

    let restore = format!("{FARES}/restore");
    let back = admin.post(&restore, &json!({})).await.ok();
    assert_eq!((&back["revision"], price(&client).await), (&json!(first + 2), 12_300));
    assert_eq!(client.search("HK", "ZH", day(9), "&mode=coach").await.ok()["availability"], "available");
    admin.post(&restore, &json!({ "version": first + 1 })).await.ok();
    assert_eq!(price(&client).await, 12_400);
    assert_eq!(revisions(&admin).await[0]["action"], "restore");
    admin.post(&restore, &json!({ "version": 4_000 })).await.problem(409, "NO_EARLIER_REVISION");
}

#[tokio::test]
async fn r_admin_06_card_8_after_fares_were_put_the_next_search_has_the_new_price() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let before = price(&client).await;
    assert_eq!(admin.put(FARES, &all_pay(before + 100)).await.status, 200);
    assert_eq!(price(&client).await, before + 100);
}

#[tokio::test]
async fn r_admin_03_card_8_after_a_write_that_failed_fares_are_restored_and_the_audit_says_so() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    admin.put(FARES, &all_pay(6_100)).await.ok();
    admin.put(FARES, &all_pay(6_200)).await.ok();
    let mut wrong = all_pay(6_300);
    wrong["fares"][0]["seatClass"] = "throne".into();
    admin.put(FARES, &wrong).await.names("fares[0].seatClass");
    assert_eq!(price(&client).await, 6_200, "the last valid revision is in force");

    let back = admin.post(&format!("{FARES}/restore"), &json!({})).await;
    assert_eq!((back.status, price(&client).await), (200, 6_100));
    let log = admin.get("/admin/audit-logs?entity=fares&account=admin&limit=4").await.ok();
    let said = |entry: &Value| json!([entry["action"], entry["version"], entry["refusal"]["code"]]);
    let said: Vec<Value> = log["entries"].as_array().unwrap().iter().map(said).collect();
    let last = &back.body["revision"];
    assert_eq!(said[..2], [json!(["restore", last, null]), json!(["put", null, "VALIDATION_ERROR"])], "{log}");
}

#[tokio::test]
async fn r_admin_03_card_9_fares_without_a_route_code_are_put_nowhere() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    admin.put("/admin/routes/fares/", &all_pay(100)).await.problem(404, "NOT_FOUND");
    admin.put("/admin/routes/fares", &all_pay(100)).await.problem(422, "VALIDATION_ERROR");
    let mut anothers = all_pay(100);
    anothers["routeCode"] = "hzm-hk-mo".into();
    admin.put(FARES, &anothers).await.names("routeCode");
    assert_ne!(price(&client).await, 100);
}

#[tokio::test]
async fn r_admin_03_card_9_seats_are_locked_for_ten_minutes_unless_fares_say_otherwise() {
    let client = Client::of(another(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("card-lock").await);
    let locked = async |minutes: Option<u16>| {
        let mut fares = all_pay(5_000);
        if let Some(minutes) = minutes {
            fares["seatLockMinutes"] = minutes.into();
        }
        admin.put(FARES, &fares).await.ok();
        let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
        at(&order["lockExpireAt"]).duration_since(at(&order["createdAt"])).as_secs()
    };
    assert_eq!([locked(None).await, locked(Some(25)).await, locked(None).await], [600, 1_500, 600]);
    assert_eq!(admin.get(FARES).await.ok()["seatLockMinutes"], 10);
}

#[tokio::test]
async fn r_admin_03_card_9_fares_without_an_earlier_revision_cannot_be_restored() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let path = "/admin/routes/fares/card-first";
    admin.put(path, &all_pay(5_000)).await.ok();
    assert_eq!(admin.get(&format!("{path}/history")).await.ok()["revisions"].as_array().unwrap().len(), 1);
    admin.post(&format!("{path}/restore"), &json!({})).await.problem(409, "NO_EARLIER_REVISION");
}

#[tokio::test]
async fn r_admin_06_what_was_put_is_there_after_a_restart_and_so_is_its_history() {
    let server = another(&[]);
    let client = Client::of(server);
    client.administrator().await.put(FARES, &all_pay(7_700)).await.ok();
    let server = server.restart(&[]);
    let client = Client::of(server);
    let admin = client.administrator().await;
    assert_eq!(price(&client).await, 7_700, "a start of the demo adds what is missing, and changes nothing");
    assert_eq!(revisions(&admin).await[0]["content"]["fares"][0]["price"]["amount"], 7_700);
    admin.post(&format!("{FARES}/restore"), &json!({})).await.ok();
    assert_ne!(price(&client).await, 7_700);
}

#[tokio::test]
async fn r_admin_06_a_write_whose_answer_was_lost_is_told_again_under_its_key() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    admin.put(FARES, &all_pay(8_100)).await.ok();
    admin.put(FARES, &all_pay(8_200)).await.ok();
    let (restore, put) = (format!("{FARES}/restore"), client.request(Method::PUT, FARES));
    let keyed = async |request: RequestBuilder, key: &str, body: &Value| {
        client.send(request.bearer_auth(&admin.token).header("Idempotency-Key", key).json(body)).await
    };
    let back = async || keyed(client.request(Method::POST, &restore), "back", &json!({})).await.ok();

    // The way back without a number goes forth again, unless it is known to be the same.
    let (once, twice) = (back().await, back().await);
    assert_eq!((&once["idempotent"], &twice["idempotent"]), (&json!(false), &json!(true)));
    assert_eq!((&once["revision"], price(&client).await), (&twice["revision"], 8_100));
    keyed(put, "mine", &all_pay(8_300)).await.ok();
    keyed(client.request(Method::PUT, FARES), "mine", &all_pay(8_400)).await.problem(422, "IDEMPOTENCY_MISMATCH");
    keyed(client.request(Method::PUT, FARES), "a b", &all_pay(8_400)).await.problem(400, "IDEMPOTENCY_KEY_REQUIRED");
    assert_eq!(price(&client).await, 8_300);
}

#[tokio::test]
async fn r_admin_03_card_9_a_refused_write_leaves_the_fares_in_force_and_names_the_field() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let before = admin.get(FARES).await.ok();
    let spoilt = |spoil: fn(&mut Value)| {
        let mut body = all_pay(100);
        spoil(&mut body);
        body
    };
    for (body, field) in [
        (spoilt(|body| drop(body.as_object_mut().unwrap().remove("fares"))), "fares"),
        (spoilt(|body| body["fares"][1]["seatClass"] = "throne".into()), "fares[1].seatClass"),
        (spoilt(|body| body["fares"][0]["price"]["currency"] = "HKD".into()), "fares[0].price"),
        (spoilt(|body| body["fares"][0]["dateFrom"] = "2026-12-01".into()), "fares[0]"),
        (spoilt(|body| body["fares"][0]["timeFrom"] = "25:61".into()), "fares[0].timeFrom"),
        (spoilt(|body| body["fares"][0]["season"] = 1.into()), "fares[0].season"),
        (spoilt(|body| body["seatLockMinutes"] = 0.into()), "seatLockMinutes"),
        (spoilt(|body| body["blackoutDates"] = json!(["tomorrow"])), "blackoutDates[0]"),
        (
            spoilt(|body| body["partyTiers"] = json!([{ "minParty": 3, "discountPercent": 101 }])),
            "partyTiers[0].discountPercent",
        ),
    ] {
        let refused = admin.put(FARES, &body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.text);
    }
    assert_eq!(admin.get(FARES).await.ok(), before);
    client.operator("gate").await.put(FARES, &all_pay(1)).await.problem(403, "FORBIDDEN");
    client.staff("finance").await.put(FARES, &all_pay(1)).await.problem(403, "FORBIDDEN");
    admin.get("/admin/routes/fares/nowhere").await.problem(404, "NOT_CONFIGURED");
    admin.get("/admin/routes/fares/nowhere/history").await.problem(404, "NOT_CONFIGURED");
    admin.post("/admin/routes/fares/nowhere/restore", &json!({})).await.problem(404, "NOT_CONFIGURED");
}

#[tokio::test]
async fn r_admin_03_fares_of_a_code_without_a_route_are_a_draft_and_the_list_has_every_code_once() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    admin.put("/admin/routes/fares/to-be-opened", &all_pay(5_000)).await.ok();
    assert_eq!(admin.get("/admin/routes/fares/to-be-opened").await.ok()["draft"], true);
    admin.post("/admin/routes/fares/to-be-opened/restore", &json!({})).await.problem(409, "NO_EARLIER_REVISION");
    let (mut codes, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/admin/routes/fares?limit=2{cursor}")).await.ok();
        codes.extend(page["routes"].as_array().unwrap().iter().map(|route| text(&route["routeCode"])));
        match page.get("nextCursor") {
            Some(next) => cursor = format!("&cursor={}", text(next)),
            None => break,
        }
    }
    let all = admin.get("/admin/routes/fares?limit=100").await.ok();
    assert_eq!(codes.len(), all["routes"].as_array().unwrap().len());
    assert!(codes.is_sorted_by(|a, b| a < b) && codes.contains(&"to-be-opened".to_owned()), "{codes:?}");
}

#[tokio::test]
async fn r_admin_06_a_write_is_in_the_search_that_begins_after_its_answer_a_thousand_times_under_load() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    let ended = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (client, ended) = (client.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let mei = client.traveller(&format!("load-{number}")).await;
                let coach = client.coach().await;
                while !ended.load(Ordering::Relaxed) {
                    client.search("HK", "ZH", day(4), "").await.ok();
                    let order = mei.place(&[journey(&coach)], 1).await.ok();
                    mei.cancel(&order).await.ok();
                }
            })
        })
        .collect();
    for fen in 10_001..=11_000 {
        admin.put(FARES, &all_pay(fen)).await.ok();
        assert_eq!(price(&client).await, fen);
    }
    ended.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
}

/// Units of all price lines of an order. Of one revision they are all the same.
fn units(order: &Value) -> BTreeSet<i64> {
    order["priceLines"].as_array().unwrap().iter().map(|line| line["unit"]["amount"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn r_price_01_fares_that_change_every_100_ms_are_in_the_next_order_and_no_order_mixes_two_revisions() {
    const CHANGES: i64 = 50;
    const FIRST: i64 = 20_001;
    let client = Client::of(another(&[("DEEPTRAVEL__ORDER__MAX_LIVE_HOLDS_PER_TRAVELLER", "100000")]));
    let admin = client.administrator().await;
    let found = client.search("HK", "ZH", day(4), "&mode=coach").await.ok();
    let coaches: Vec<String> =
        found["routes"].as_array().unwrap().iter().map(|route| text(&route["departureId"])).collect();
    let in_force = Arc::new(AtomicI64::new(FIRST));
    admin.put(FARES, &all_pay(FIRST)).await.ok();

    let (ended, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(FIRST)));
    let mut buyers = Vec::new();
    for number in 0..4 {
        let (client, coaches, ended) = (client.clone(), coaches.clone(), Arc::clone(&ended));
        let (in_force, told) = (Arc::clone(&in_force), Arc::clone(&told));
        buyers.push(tokio::spawn(async move {
            let mei = client.traveller(&format!("revisions-{number}")).await;
            let mut orders = 0;
            while !ended.load(Ordering::Relaxed) {
                // Three departures of the route, one of them twice.
                let items = [0, 1, 2, 0].map(|next| journey(&coaches[(number + next) % coaches.len()]));
                let earliest = in_force.load(Ordering::SeqCst);
                let order = mei.place(&items, 2).await.ok();
                let latest = told.load(Ordering::SeqCst);
                let units: Vec<i64> = units(&order).into_iter().collect();
                let &[unit] = &units[..] else { panic!("of two revisions: {order}") };
                assert!((earliest..=latest).contains(&unit), "{unit} is not of {earliest} to {latest}");
                mei.cancel(&order).await.ok();
                orders += 1;
            }
            orders
        }));
    }
    let bo = client.traveller("revisions-next").await;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for fen in FIRST + 1..=FIRST + CHANGES {
        beat.tick().await;
        told.store(fen, Ordering::SeqCst);
        admin.put(FARES, &all_pay(fen)).await.ok();
        in_force.store(fen, Ordering::SeqCst);
        assert_eq!(price(&client).await, fen, "the next search");
        let order = bo.place(&[journey(&coaches[5])], 1).await.ok();
        assert_eq!(units(&order), BTreeSet::from([fen]), "the next order");
        bo.cancel(&order).await.ok();
    }
    ended.store(true, Ordering::Relaxed);
    for buyer in buyers {
        assert!(buyer.await.unwrap() > 0, "orders run");
    }
}
