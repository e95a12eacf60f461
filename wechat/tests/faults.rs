//! The client when the provider misbehaves: an outcome that is not known is never taken for a failure (R1, R11).

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::World;
use deeptravel_wechat::{Advice, CallError, Client, TradeState, UnknownReason, VerifyError};
use serde_json::{Value, json};

fn unknown(error: CallError) -> UnknownReason {
    match error {
        CallError::Unknown { reason } => reason,
        other => panic!("the outcome is not unknown: {other}"),
    }
}

/// Creates under a fault and says what the client made of it.
async fn create_under(world: &World, number: &str, mut fault: Value) -> UnknownReason {
    fault["times"] = json!(1);
    world.faults(json!({ "create": fault })).await;
    unknown(world.client.create_jsapi(&world.body(number)).await.unwrap_err())
}

async fn exists(world: &World, number: &str) -> bool {
    world.client.query(number).await != Err(CallError::NotFound)
}

#[tokio::test]
async fn an_error_of_the_gateway_may_hide_a_created_transaction_or_none() {
    let world = World::start();
    for (number, fault, created) in [
        ("T-before-500", json!({"status_before": 500}), false),
        ("T-before-429", json!({"status_before": 429}), false),
        ("T-after-500", json!({"status_after": 500}), true),
        ("T-after-502", json!({"status_after": 502}), true),
    ] {
        let reason = create_under(&world, number, fault).await;
        assert!(matches!(reason, UnknownReason::Status(429 | 500 | 502)), "{reason}");
        assert_eq!(exists(&world, number).await, created, "{number}");
        world.created(number).await;
    }
}

#[tokio::test]
async fn r1_a_broken_connection_is_answered_by_replaying_the_same_bytes() {
    let world = World::start();
    let body = world.body("T-drop-after");
    for (fault, created) in [(json!({"drop_before": true}), false), (json!({"drop_after": true}), true)] {
        let mut fault = fault;
        fault["times"] = json!(1);
        world.faults(json!({ "create": fault })).await;
        let reason = unknown(world.client.create_jsapi(&body).await.unwrap_err());
        assert_eq!(reason, UnknownReason::Transport);
        assert_eq!(exists(&world, "T-drop-after").await, created);
    }

    world.client.create_jsapi(&body).await.unwrap();
    assert_eq!(world.look("transactions").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_timeout_is_unknown_and_its_effect_may_still_come() {
    let world = World::start();
    let impatient = Client::with_timeout(world.config.clone(), Duration::from_secs(1)).unwrap();
    let body = world.body("T-slow");
    for fault in [json!({"delay_after_ms": 5_000, "times": 1}), json!({"status_before": 500, "delay_before_ms": 5_000})]
    {
        world.faults(json!({ "create": fault })).await;
        assert_eq!(unknown(impatient.create_jsapi(&body).await.unwrap_err()), UnknownReason::Timeout);
    }

    let comes_into_being = async {
        while !exists(&world, "T-slow").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(common::DEADLINE, comes_into_being).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unknown_too() {
    let World { simulator, client, .. } = World::start();
    let body = client.create_body(&common::order("T-nobody"));
    simulator.stop();

    assert_eq!(unknown(client.create_jsapi(&body).await.unwrap_err()), UnknownReason::Connect);
    assert_eq!(unknown(client.query("T-nobody").await.unwrap_err()), UnknownReason::Connect);
}

#[tokio::test]
async fn r11_a_2xx_that_does_not_verify_is_unknown_and_the_effect_stands() {
    let world = World::start();
    let cases = [
        (json!({"wrong_serial": true}), VerifyError::UnknownSerial),
        (json!({"stale_seconds": 301}), VerifyError::Age),
        (json!({"stale_seconds": -310}), VerifyError::Age),
        (json!({"alter_body": true}), VerifyError::Signature),
        (json!({"missing_header": "Wechatpay-Timestamp"}), VerifyError::MissingHeader("Wechatpay-Timestamp")),
        (json!({"missing_header": "Wechatpay-Nonce"}), VerifyError::MissingHeader("Wechatpay-Nonce")),
        (json!({"missing_header": "Wechatpay-Signature"}), VerifyError::MissingHeader("Wechatpay-Signature")),
        (json!({"missing_header": "Wechatpay-Serial"}), VerifyError::MissingHeader("Wechatpay-Serial")),
    ];
    for (index, (fault, expected)) in cases.into_iter().enumerate() {
        let number = format!("T-forged-{index}");
        let reason = create_under(&world, &number, fault).await;
        assert_eq!(reason, UnknownReason::Unverified(expected));
        assert!(exists(&world, &number).await);
    }
    assert_eq!(world.client.counters().answers_unverified.load(Relaxed), 8);
    assert_eq!(world.client.counters().answers_signtest.load(Relaxed), 0);
}

#[tokio::test]
async fn an_answer_without_signature_type_is_taken_as_rsa() {
    let world = World::start();
    world.faults(json!({"create": {"missing_header": "Wechatpay-Signature-Type"}})).await;
    world.created("T-typeless").await;
}

#[tokio::test]
async fn signtest_probes_are_unknown_outcomes_and_counted_apart() {
    let world = World::start();
    for form in ["decodable", "undecodable"] {
        let reason = create_under(&world, "T-probe", json!({ "signtest": form })).await;
        assert_eq!(reason, UnknownReason::Unverified(VerifyError::SignTest), "{form}");
    }
    world.created("T-probe").await;

    let counters = world.client.counters();
    assert_eq!(counters.answers_signtest.load(Relaxed), 2);
    assert_eq!(counters.answers_unverified.load(Relaxed), 0);
    assert_eq!(counters.calls_unknown.load(Relaxed), 2);
    assert_eq!(counters.calls_succeeded.load(Relaxed), 1);
}

#[tokio::test]
async fn a_204_must_verify_like_any_answer() {
    let world = World::start();
    world.created("T-close-204").await;

    for fault in [json!({"signtest": "decodable"}), json!({"wrong_serial": true}), json!({"stale_seconds": 400})] {
        let mut fault = fault;
        fault["times"] = json!(1);
        world.faults(json!({ "close": fault })).await;
        let reason = unknown(world.client.close("T-close-204").await.unwrap_err());
        assert!(matches!(reason, UnknownReason::Unverified(_)), "{reason}");
    }
    world.client.close("T-close-204").await.unwrap();
}

#[tokio::test]
async fn r_pay_03_an_unknown_close_is_settled_by_a_query() {
    let world = World::start();
    world.created("T-close-lost").await;
    world.faults(json!({"close": {"drop_after": true, "times": 1}})).await;

    assert_eq!(unknown(world.client.close("T-close-lost").await.unwrap_err()), UnknownReason::Transport);
    assert_eq!(world.state("T-close-lost").await, TradeState::Closed);
}

#[tokio::test]
async fn a_failing_query_says_nothing_about_the_transaction() {
    let world = World::start();
    world.created("T-query-down").await;
    for (fault, expected) in [
        (json!({"status_before": 503, "times": 1}), UnknownReason::Status(503)),
        (json!({"drop_before": true, "times": 1}), UnknownReason::Transport),
        (json!({"signtest": "decodable", "times": 1}), UnknownReason::Unverified(VerifyError::SignTest)),
    ] {
        world.faults(json!({ "query": fault })).await;
        assert_eq!(unknown(world.client.query("T-query-down").await.unwrap_err()), expected);
    }
    assert_eq!(world.state("T-query-down").await, TradeState::NotPay);
}

#[tokio::test]
async fn a_key_we_do_not_know_verifies_nothing_until_it_joins() {
    let world = World::start();
    let mut config = world.config.clone();
    config.public_key_id = "PUB_KEY_ID_OTHER".into();
    config.public_key_pem.clone_from(&common::merchant().public_key_pem);
    let client = Client::new(config).unwrap();

    let body = world.body("T-new-key");
    let reason = unknown(client.create_jsapi(&body).await.unwrap_err());
    assert_eq!(reason, UnknownReason::Unverified(VerifyError::UnknownSerial));

    client.add_verification_key(&world.simulator.public_key_id, &world.simulator.public_key_pem).unwrap();
    client.create_jsapi(&body).await.unwrap();
}

#[tokio::test]
async fn our_own_wrong_key_or_serial_says_nothing_about_the_transaction_and_raises_an_alarm() {
    let world = World::start();
    let other = deeptravel_wechat::keys::generate_merchant().unwrap();
    let mut wrong_key = world.config.clone();
    wrong_key.merchant_private_key_pem = other.private_key_pem;
    let mut wrong_serial = world.config.clone();
    wrong_serial.merchant_serial = other.serial;

    for config in [wrong_key, wrong_serial] {
        let client = Client::new(config).unwrap();
        let error = client.create_jsapi(&world.body("T-our-fault")).await.unwrap_err();
        assert_eq!(error.advice(), Advice::Configuration);
        assert!(matches!(unknown(error), UnknownReason::NotAccepted(_)));
        assert_eq!(client.counters().configuration_faults.load(Relaxed), 1);
    }
}
