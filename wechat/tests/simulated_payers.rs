//! Payers who pay at the worst moment: during a close, after it, before the create is answered.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::World;
use common::raw::signed;
use deeptravel_wechat::{CallError, TradeState};
use serde_json::json;

#[tokio::test]
async fn r_pay_03_a_payer_who_is_quicker_than_the_close() {
    let world = World::start();
    world.created("T-during").await;
    world.faults(json!({"close": {"pay_during": true, "times": 1}})).await;

    let error = world.client.close("T-during").await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { code, .. } if code == "ORDERPAID"), "{error}");
    assert_eq!(world.state("T-during").await, TradeState::Success);
    world.receiver.next().await;
}

#[tokio::test]
async fn r_pay_04_money_comes_a_day_after_a_close_that_was_answered() {
    let world = World::start();
    world.created("T-day-late").await;
    world.faults(json!({"close": {"paid_later_seconds": 86_400, "times": 1}})).await;

    world.client.close("T-day-late").await.unwrap();
    assert_eq!(world.state("T-day-late").await, TradeState::Closed);
    world.control("clock/advance", json!({"seconds": 86_399})).await;
    assert_eq!(world.state("T-day-late").await, TradeState::Closed);
    world.control("clock/advance", json!({"seconds": 2})).await;
    assert_eq!(world.state("T-day-late").await, TradeState::Success);
    world.receiver.next().await;
}

#[tokio::test]
async fn a_close_can_be_answered_without_being_done() {
    let world = World::start();
    world.created("T-void").await;
    world.faults(json!({"close": {"no_effect": true, "times": 1}})).await;

    world.client.close("T-void").await.unwrap();
    assert_eq!(world.state("T-void").await, TradeState::NotPay);
    world.client.close("T-void").await.unwrap();
    assert_eq!(world.state("T-void").await, TradeState::Closed);
}

#[tokio::test]
async fn the_notification_can_arrive_before_the_create_is_answered() {
    let world = World::start();
    world.faults(json!({"create": {"pay_first": true, "times": 1}})).await;

    world.created("T-first").await;
    assert_eq!(world.look("deliveries?out_trade_no=T-first").await[0]["accepted"], json!(true));
}

#[tokio::test]
async fn a_query_can_lag_behind_the_payment() {
    let world = World::start();
    world.created("T-lagging").await;
    world.pay("T-lagging").await;
    world.faults(json!({"query": {"lag_seconds": 30}})).await;

    assert_eq!(world.state("T-lagging").await, TradeState::NotPay);
    world.control("clock/advance", json!({"seconds": 31})).await;
    assert_eq!(world.state("T-lagging").await, TradeState::Success);
}

#[tokio::test]
async fn a_query_can_say_something_else_validly_signed() {
    let world = World::start();
    world.created("T-other").await;
    world.pay("T-other").await;
    world.faults(json!({"query": {"tamper": {"total": 1}, "times": 1}})).await;

    assert_eq!(world.client.query("T-other").await.unwrap().amount.unwrap().total, 1);
    assert_eq!(world.client.query("T-other").await.unwrap().amount.unwrap().total, 12_850);
}

#[tokio::test]
async fn a_notification_can_come_a_day_late_or_too_slowly() {
    let world = World::start();
    world.faults(json!({"notify": {"notify_later_seconds": 86_400, "times": 1}})).await;
    world.created("T-late-word").await;
    world.pay("T-late-word").await;
    world.created("T-slow-word").await;
    world.faults(json!({"notify": {"slow_body_ms": 60_000, "times": 1, "number": "T-slow-word"}})).await;
    world.pay("T-slow-word").await;

    let slow = world.deliveries("T-slow-word", 2).await;
    assert_eq!((&slow[0]["error"], &slow[1]["accepted"]), (&json!("timeout"), &json!(true)));
    assert_eq!(world.look("deliveries?out_trade_no=T-late-word").await, json!([]));
    world.control("clock/advance", json!({"seconds": 86_401})).await;
    assert_eq!(world.deliveries("T-late-word", 1).await[0]["accepted"], json!(true));
}

#[tokio::test]
async fn what_the_pages_leave_open_can_be_set() {
    let world = World::start();
    world.created("T-open").await;
    world.pay("T-open").await;
    let settings = json!({"close_unknown_is_done": false, "close_paid_code": "INVALID_REQUEST",
        "reentry_code": "INVALID_REQUEST"});
    assert_eq!(world.control("settings", settings).await.0, 200);

    assert_eq!(world.client.close("T-unknown").await.unwrap_err(), CallError::NotFound);
    let error = world.client.close("T-open").await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { code, status: 400, .. } if code == "INVALIDREQUEST"), "{error}");
    let body = String::from_utf8(world.body("T-open")).unwrap();
    let again = signed(&world, "POST", "/v3/pay/transactions/jsapi", &body).await;
    assert_eq!((again.status, again.code().as_str()), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn a_notification_can_come_as_the_unsigned_xml_of_another_api() {
    let world = World::start();
    world.faults(json!({"notify": {"v2_xml": true, "times": 1}})).await;
    world.created("T-as-xml").await;
    world.pay("T-as-xml").await;

    let callback = world.receiver.next().await;
    assert!(callback.body.starts_with(b"<xml>") && callback.signature.is_none());
}
