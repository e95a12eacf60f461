//! Refunds at the simulator, and what the payer and the provider can do around them, seen by a client that does
//! everything by hand.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::raw::{Raw, signed};
use common::{API_V3_KEY, Callback, MCHID, World};
use deeptravel_wechat::TradeState;
use serde_json::{Value, json};

const REFUNDS: &str = "/v3/refund/domestic/refunds";

fn body(world: &World, order: &str, number: &str, fen: i64) -> Value {
    json!({
        "out_trade_no": order,
        "out_refund_no": number,
        "notify_url": world.receiver.url,
        "amount": { "refund": fen, "total": 12_850, "currency": "CNY" },
    })
}

async fn refund(world: &World, order: &str, number: &str, fen: i64) -> Raw {
    signed(world, "POST", REFUNDS, &body(world, order, number, fen).to_string()).await
}

async fn query(world: &World, number: &str) -> Raw {
    signed(world, "GET", &format!("{REFUNDS}/{number}"), "").await
}

async fn paid(world: &World, number: &str) {
    world.created(number).await;
    world.pay(number).await;
    assert_eq!(content(&world.receiver.next().await).0, "TRANSACTION.SUCCESS");
}

/// Two minutes pass, so that the next refund is far enough from the last.
async fn later(world: &World) {
    let (status, _) = world.control("clock/advance", json!({"seconds": 120})).await;
    assert_eq!(status, 200);
}

/// Event type and decrypted content.
fn content(callback: &Callback) -> (String, Value) {
    let envelope: Value = serde_json::from_slice(&callback.body).unwrap();
    let text = |field: &str| envelope["resource"][field].as_str().unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(text("nonce").as_bytes()).unwrap();
    let mut data = STANDARD.decode(text("ciphertext")).unwrap();
    let plain = key.open_in_place(nonce, Aad::from(text("associated_data").as_bytes()), &mut data).unwrap();
    (envelope["event_type"].as_str().unwrap().to_owned(), serde_json::from_slice(plain).unwrap())
}

fn code(answer: &Raw) -> (u16, String) {
    (answer.status, answer.code())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_refund_is_accepted_then_done_then_told() {
    let world = World::start();
    world.control("settings", json!({"refund_seconds": 5})).await;
    paid(&world, "T-refund").await;

    let accepted = refund(&world, "T-refund", "R-refund", 2_850).await;
    assert_eq!((accepted.status, &accepted.json()["status"]), (200, &json!("PROCESSING")));
    assert!(accepted.headers.contains_key("Wechatpay-Signature"));
    let id = accepted.json()["refund_id"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), &id[..2]), (28, "50"));
    assert_eq!(world.state("T-refund").await, TradeState::Refund);

    later(&world).await;
    let done = query(&world, "R-refund").await.json();
    assert_eq!((&done["status"], &done["amount"]["refund"]), (&json!("SUCCESS"), &json!(2_850)));
    assert!(done["success_time"].as_str().unwrap().ends_with("+08:00"));
    let (event, told) = content(&world.receiver.next().await);
    assert_eq!(event, "REFUND.SUCCESS");
    assert_eq!((&told["refund_status"], &told["mchid"]), (&json!("SUCCESS"), &json!(MCHID)));
    assert_eq!((&told["refund_id"], &told["amount"]["refund"]), (&json!(id), &json!(2_850)));
    assert_eq!((&told["status"], &told["appid"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_same_refund_asked_twice_is_one_and_another_under_its_number_is_refused() {
    let world = World::start();
    paid(&world, "T-twice").await;

    let first = refund(&world, "T-twice", "R-twice", 100).await.json();
    assert_eq!(refund(&world, "T-twice", "R-twice", 100).await.json()["refund_id"], first["refund_id"]);
    assert_eq!(code(&refund(&world, "T-twice", "R-twice", 200).await), refused(400, "INVALID_REQUEST"));
    let money = world.look("money").await;
    assert_eq!((&money["refund_count"], &money["paid"]), (&json!(1), &json!(12_850)));
}

#[tokio::test]
async fn only_what_was_paid_can_be_refunded_and_never_more() {
    let world = World::start();
    world.created("T-unpaid").await;
    paid(&world, "T-sums").await;

    for order in ["T-unpaid", "T-nobody"] {
        assert_eq!(code(&refund(&world, order, "R-none", 100).await), refused(404, "RESOURCE_NOT_EXISTS"));
    }
    assert_eq!(code(&query(&world, "R-none").await), refused(404, "RESOURCE_NOT_EXISTS"));

    assert_eq!(refund(&world, "T-sums", "R-sums-1", 10_000).await.status, 200);
    later(&world).await;
    assert_eq!(code(&refund(&world, "T-sums", "R-sums-2", 2_851).await), refused(400, "INVALID_REQUEST"));
    assert_eq!(refund(&world, "T-sums", "R-sums-3", 2_850).await.status, 200);
    assert_eq!(world.look("money").await["transactions"][0]["refunds"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn two_refunds_of_one_transaction_need_a_minute_between_them() {
    let world = World::start();
    paid(&world, "T-spacing").await;

    assert_eq!(refund(&world, "T-spacing", "R-spacing-1", 100).await.status, 200);
    assert_eq!(code(&refund(&world, "T-spacing", "R-spacing-2", 100).await), refused(429, "FREQUENCY_LIMITED"));
    assert_eq!(code(&query(&world, "R-spacing-2").await), refused(404, "RESOURCE_NOT_EXISTS"));
    later(&world).await;
    assert_eq!(refund(&world, "T-spacing", "R-spacing-2", 100).await.status, 200);
}

#[tokio::test]
async fn fifty_refunds_are_the_most() {
    let world = World::start();
    world.control("settings", json!({"refund_spacing_seconds": 0})).await;
    paid(&world, "T-fifty").await;

    for index in 0..50 {
        assert_eq!(refund(&world, "T-fifty", &format!("R-fifty-{index}"), 1).await.status, 200);
    }
    assert_eq!(code(&refund(&world, "T-fifty", "R-fifty-50", 1).await), refused(400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn each_field_of_a_refund_is_checked_and_named() {
    let world = World::start();
    paid(&world, "T-fields").await;
    let good = body(&world, "T-fields", "R-fields", 100);
    for (pointer, value) in [
        ("/out_refund_no", json!("R fields")),
        ("/out_refund_no", json!("R".repeat(65))),
        ("/notify_url", json!("https://shop.example/notify?a=1")),
        ("/amount/refund", json!(0)),
        ("/amount/refund", json!("100")),
        ("/amount/refund", json!(12_851)),
        ("/amount/total", json!(null)),
        ("/amount/currency", json!("HKD")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let answer = signed(&world, "POST", REFUNDS, &bad.to_string()).await;
        assert_eq!(code(&answer), refused(400, "PARAM_ERROR"), "{pointer}");
        assert_eq!(answer.json()["detail"]["field"], format!("/body{pointer}"));
    }
    let mut other_total = good.clone();
    other_total["amount"]["total"] = json!(12_000);
    let answer = signed(&world, "POST", REFUNDS, &other_total.to_string()).await;
    assert_eq!(code(&answer), refused(400, "INVALID_REQUEST"));
    let no_currency = json!({"out_trade_no": "T-fields", "out_refund_no": "R-fields",
        "amount": {"refund": 1, "total": 12_850}});
    assert_eq!(signed(&world, "POST", REFUNDS, &no_currency.to_string()).await.status, 400);
}

#[tokio::test]
async fn a_refund_may_name_the_transaction_by_wechats_number() {
    let world = World::start();
    world.created("T-by-id").await;
    let id = world.pay("T-by-id").await["transaction_id"].clone();
    let body = json!({"transaction_id": id, "out_trade_no": "ignored", "out_refund_no": "R-by-id",
        "amount": {"refund": 12_850, "total": 12_850, "currency": "CNY"}});

    let answer = signed(&world, "POST", REFUNDS, &body.to_string()).await;
    assert_eq!((answer.status, answer.json()["out_trade_no"].as_str().unwrap()), (200, "T-by-id"));
}

#[tokio::test]
async fn a_refund_may_be_stuck_abnormal_or_closed_and_go_on_from_there() {
    let world = World::start();
    for (order, becomes) in [("T-stuck", "PROCESSING"), ("T-abnormal", "ABNORMAL"), ("T-closed", "CLOSED")] {
        world.faults(json!({"refund": {"refund_becomes": becomes, "number": order, "times": 1}})).await;
        paid(&world, order).await;
        assert_eq!(refund(&world, order, &order.replace('T', "R"), 12_850).await.status, 200);
    }
    later(&world).await;
    let mut told = [content(&world.receiver.next().await).0, content(&world.receiver.next().await).0];
    told.sort();
    assert_eq!(told, ["REFUND.ABNORMAL", "REFUND.CLOSED"]);

    // No money has moved, so the whole can be refunded under another number.
    assert_eq!(query(&world, "R-closed").await.json()["status"], "CLOSED");
    assert_eq!(refund(&world, "T-closed", "R-closed-again", 12_850).await.status, 200);

    let abnormal = query(&world, "R-abnormal").await.json();
    let target = format!("{REFUNDS}/{}/apply-abnormal-refund", abnormal["refund_id"].as_str().unwrap());
    let card = json!({"out_refund_no": "R-abnormal", "type": "MERCHANT_BANK_CARD"}).to_string();
    assert_eq!(signed(&world, "POST", &target, &card).await.json()["status"], "PROCESSING");
    later(&world).await;
    assert_eq!(query(&world, "R-abnormal").await.json()["status"], "SUCCESS");
    assert_eq!(signed(&world, "POST", &target, &card).await.code(), "INVALID_REQUEST");

    assert_eq!(query(&world, "R-stuck").await.json()["status"], "PROCESSING");
    let (status, _) = world.control("refunds/R-stuck/settle", json!({"status": "SUCCESS"})).await;
    assert_eq!((status, query(&world, "R-stuck").await.json()["status"].clone()), (200, json!("SUCCESS")));
    let (status, _) = world.control("refunds/R-stuck/settle", json!({"status": "CLOSED"})).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_refund_can_take_effect_though_its_answer_is_lost() {
    let world = World::start();
    paid(&world, "T-effect").await;
    world.faults(json!({"refund": {"status_after": 500, "times": 1}})).await;

    assert_eq!(code(&refund(&world, "T-effect", "R-effect", 100).await), refused(500, "SYSTEM_ERROR"));
    assert_eq!(query(&world, "R-effect").await.status, 200);
    world.faults(json!({"refund": {"status_before": 403, "error_code": "NOT_ENOUGH", "times": 1}})).await;
    later(&world).await;
    assert_eq!(code(&refund(&world, "T-effect", "R-broke", 100).await), refused(403, "NOT_ENOUGH"));
    assert_eq!(query(&world, "R-broke").await.status, 404);
}

#[tokio::test]
async fn a_refund_can_be_told_before_its_payment() {
    let world = World::start();
    world.faults(json!({"notify": {"after_refund": true}})).await;
    world.created("T-reversed").await;
    world.pay("T-reversed").await;
    assert_eq!(refund(&world, "T-reversed", "R-reversed", 12_850).await.status, 200);

    assert_eq!(content(&world.receiver.next().await).0, "REFUND.SUCCESS");
    let (event, told) = content(&world.receiver.next().await);
    assert_eq!((event.as_str(), &told["trade_state"]), ("TRANSACTION.SUCCESS", &json!("SUCCESS")));
}

#[tokio::test]
async fn a_refunds_notification_is_repeated_until_accepted_and_can_be_tampered_with() {
    let world = World::start();
    paid(&world, "T-told").await;
    world.receiver.answer(&[500]);
    world.faults(json!({"refund_notify": {"tamper": {"refund": 1}, "times": 1}})).await;
    refund(&world, "T-told", "R-told", 500).await;

    assert_eq!(content(&world.receiver.next().await).1["amount"]["refund"], 1);
    assert_eq!(content(&world.receiver.next().await).1["amount"]["refund"], 500);
    let deliveries = world.deliveries("T-told", 3).await;
    assert_eq!(deliveries[1]["id"], deliveries[2]["id"]);
    assert_eq!(deliveries[2]["out_refund_no"], "R-told");
}
