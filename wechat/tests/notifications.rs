//! Notifications from the simulator, verified by the client: the good ones, and everything that may be wrong with them.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use common::{APPID, Callback, MCHID, World};
use deeptravel_wechat::{Notification, NotificationError, Resource, TradeState, Transaction};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn verify(world: &World, callback: &Callback) -> Result<Notification, NotificationError> {
    world.client.verify_notification(&callback.headers(), &callback.body, Timestamp::now())
}

fn transaction(notification: Notification) -> Transaction {
    match notification.resource {
        Resource::Transaction(transaction) => transaction,
        other => panic!("not about a payment: {other:?}"),
    }
}

async fn paid(world: &World, number: &str) -> Callback {
    world.created(number).await;
    world.pay(number).await;
    world.receiver.next().await
}

#[tokio::test]
async fn r_pay_02_a_payment_is_notified_with_what_a_query_says() {
    let world = World::start();
    let callback = paid(&world, "T-notified").await;

    let notification = verify(&world, &callback).unwrap();
    assert_eq!(notification.event_type, "TRANSACTION.SUCCESS");
    let fact = transaction(notification);
    assert_eq!(fact, world.client.query("T-notified").await.unwrap());
    assert_eq!((fact.appid.as_str(), fact.mchid.as_str()), (APPID, MCHID));
    assert_eq!((fact.trade_state, fact.amount.unwrap().total), (TradeState::Success, 12_850));
    assert_eq!(fact.payer.unwrap().openid, "alice");
    let deliveries = world.deliveries("T-notified", 1).await;
    assert_eq!(deliveries[0]["accepted"], json!(true));
    assert_eq!(deliveries[0]["status"], json!(204));
}

#[tokio::test]
async fn it_is_repeated_freshly_signed_under_the_same_id_until_accepted() {
    let world = World::start();
    world.receiver.answer(&[500, 401, 302, 201, 200]);
    let first = paid(&world, "T-repeated").await;
    let id = verify(&world, &first).unwrap().id;
    let mut signatures = vec![first.signature.unwrap()];
    for _ in 0..4 {
        let again = world.receiver.next().await;
        assert_eq!(verify(&world, &again).unwrap().id, id);
        signatures.push(again.signature.unwrap());
    }
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), 5);

    let deliveries = world.deliveries("T-repeated", 5).await;
    let told: Vec<_> = deliveries.iter().map(|d| (d["attempt"].as_u64(), d["accepted"].as_bool())).collect();
    let expected: Vec<_> = (1..=5).map(|n| (Some(n), Some(n == 5))).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn after_the_whole_schedule_there_is_silence() {
    let world = World::start_with(0.000_001);
    world.receiver.answer(&[500; 16]);
    world.created("T-given-up").await;
    world.pay("T-given-up").await;

    let deliveries = world.deliveries("T-given-up", 16).await;
    assert!(deliveries.iter().all(|delivery| delivery["accepted"] == json!(false)));
    // One more, asked for by hand, is the next thing that comes: nothing was left in line.
    for _ in 0..16 {
        world.receiver.next().await;
    }
    world.control("transactions/T-given-up/notify", Value::Null).await;
    let deliveries = world.deliveries("T-given-up", 17).await;
    assert_eq!(deliveries[16]["attempt"], json!(1));
    assert_eq!(deliveries[16]["id"], deliveries[0]["id"]);
}

#[tokio::test]
async fn r_pay_06_any_byte_of_the_body_altered_is_refused() {
    let world = World::start();
    let callback = paid(&world, "T-flipped").await;

    for index in 0..callback.body.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut altered = callback.clone();
            altered.body[index] ^= mask;
            assert_eq!(verify(&world, &altered), Err(NotificationError::Signature), "byte {index} mask {mask}");
        }
    }
    let mut longer = callback.clone();
    longer.body.push(b'\n');
    assert_eq!(verify(&world, &longer), Err(NotificationError::Signature));
    let mut shorter = callback.clone();
    shorter.body.pop();
    assert_eq!(verify(&world, &shorter), Err(NotificationError::Signature));
    let value: Value = serde_json::from_slice(&callback.body).unwrap();
    let again = Callback { body: serde_json::to_vec_pretty(&value).unwrap(), ..callback.clone() };
    assert_eq!(verify(&world, &again), Err(NotificationError::Signature));
    assert!(verify(&world, &callback).is_ok());
}

#[tokio::test]
async fn r_pay_06_any_character_of_a_header_altered_is_refused() {
    type Field = fn(&mut Callback) -> &mut Option<String>;
    let world = World::start();
    let callback = paid(&world, "T-headers").await;
    let fields: [(&str, Field, &[NotificationError]); 5] = [
        ("timestamp", |c| &mut c.timestamp, &[NotificationError::Signature, NotificationError::Age]),
        ("nonce", |c| &mut c.nonce, &[NotificationError::Signature]),
        ("signature", |c| &mut c.signature, &[NotificationError::Signature]),
        ("serial", |c| &mut c.serial, &[NotificationError::UnknownSerial]),
        ("signature type", |c| &mut c.signature_type, &[NotificationError::SignatureType]),
    ];
    for (name, field, expected) in fields {
        let text = field(&mut callback.clone()).clone().unwrap();
        for index in 0..text.len() {
            for replacement in ['0', '7', 'A', 'q', '/', '='] {
                let mut characters: Vec<char> = text.chars().collect();
                if std::mem::replace(&mut characters[index], replacement) == replacement {
                    continue;
                }
                let mut altered = callback.clone();
                *field(&mut altered) = Some(characters.into_iter().collect());
                let error = verify(&world, &altered).unwrap_err();
                assert!(expected.contains(&error), "{name} character {index} as {replacement}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn r_pay_06_a_header_that_is_missing_or_empty_is_named() {
    type Field = fn(&mut Callback) -> &mut Option<String>;
    let world = World::start();
    let callback = paid(&world, "T-missing").await;
    let fields: [(&str, Field); 4] = [
        ("Wechatpay-Timestamp", |c| &mut c.timestamp),
        ("Wechatpay-Nonce", |c| &mut c.nonce),
        ("Wechatpay-Signature", |c| &mut c.signature),
        ("Wechatpay-Serial", |c| &mut c.serial),
    ];
    for (name, field) in fields {
        for value in [None, Some(String::new())] {
            let mut altered = callback.clone();
            *field(&mut altered) = value;
            assert_eq!(verify(&world, &altered), Err(NotificationError::MissingHeader(name)));
        }
    }
    let without_type = Callback { signature_type: None, ..callback.clone() };
    assert!(verify(&world, &without_type).is_ok());
    let empty_type = Callback { signature_type: Some(String::new()), ..callback };
    assert_eq!(verify(&world, &empty_type), Err(NotificationError::SignatureType));
}

#[tokio::test]
async fn r_pay_06_an_old_callback_cannot_be_replayed() {
    let world = World::start();
    let callback = paid(&world, "T-replayed").await;
    let sent = Timestamp::from_second(callback.timestamp.as_deref().unwrap().parse().unwrap()).unwrap();

    for (seconds, expected) in [(299, true), (300, false), (301, false), (-299, true), (-300, false)] {
        let now = sent + SignedDuration::from_secs(seconds);
        let result = world.client.verify_notification(&callback.headers(), &callback.body, now);
        match result {
            Ok(_) => assert!(expected, "{seconds}"),
            Err(error) => assert_eq!((error, expected), (NotificationError::Age, false), "{seconds}"),
        }
    }
}

#[tokio::test]
async fn r_pay_06_spoilt_attempts_are_refused_and_the_good_one_follows() {
    let world = World::start();
    world.receiver.answer(&[401; 6]);
    for fault in [
        json!({"signtest": "decodable", "times": 1}),
        json!({"signtest": "undecodable", "times": 1}),
        json!({"wrong_serial": true, "times": 1}),
        json!({"stale_seconds": 305, "times": 1}),
        json!({"alter_body": true, "times": 1}),
        json!({"missing_header": "Wechatpay-Nonce", "times": 1}),
    ] {
        world.faults(json!({ "notify": fault })).await;
    }
    let mut errors = vec![verify(&world, &paid(&world, "T-spoilt").await).unwrap_err()];
    for _ in 0..5 {
        errors.push(verify(&world, &world.receiver.next().await).unwrap_err());
    }
    let expected = [
        NotificationError::SignTest,
        NotificationError::SignTest,
        NotificationError::UnknownSerial,
        NotificationError::Age,
        NotificationError::Signature,
        NotificationError::MissingHeader("Wechatpay-Nonce"),
    ];
    assert_eq!(errors, expected);
    assert!(verify(&world, &world.receiver.next().await).is_ok());

    let counters = world.client.counters();
    assert_eq!(counters.notifications_signtest.load(Relaxed), 2);
    assert_eq!(counters.notifications_unverified.load(Relaxed), 4);
    assert_eq!(counters.notifications_accepted.load(Relaxed), 1);
}

#[tokio::test]
async fn r_pay_06_validly_signed_lies_verify_and_show_what_they_say() {
    let world = World::start();
    world.receiver.answer(&[500]);
    let lie = json!({
        "total": 1, "currency": "HKD", "appid": "wx-other", "mchid": "1900000002", "openid": "mallory",
        "out_trade_no": "T-unknown", "transaction_id": "42000", "trade_state": "REVOKED"
    });
    world.faults(json!({"notify": {"tamper_notify": lie, "times": 1}})).await;

    let fact = transaction(verify(&world, &paid(&world, "T-lying").await).unwrap());
    let amount = fact.amount.unwrap();
    assert_eq!((amount.total, amount.currency.as_str()), (1, "HKD"));
    assert_eq!((fact.appid.as_str(), fact.mchid.as_str()), ("wx-other", "1900000002"));
    assert_eq!((fact.out_trade_no.as_str(), fact.transaction_id.as_deref()), ("T-unknown", Some("42000")));
    assert_eq!(fact.payer.unwrap().openid, "mallory");
    assert_eq!(fact.trade_state, TradeState::Unknown("REVOKED".into()));
    let truth = transaction(verify(&world, &world.receiver.next().await).unwrap());
    assert_eq!(truth.out_trade_no, "T-lying");
}

#[tokio::test]
async fn a_payment_of_another_amount_is_notified_and_queried_alike() {
    let world = World::start();
    world.created("T-other-amount").await;
    let (status, _) = world.control("transactions/T-other-amount/pay", json!({"total": 1, "openid": "bob"})).await;
    assert_eq!(status, 200);

    let fact = transaction(verify(&world, &world.receiver.next().await).unwrap());
    assert_eq!(fact.amount.as_ref().unwrap().total, 1);
    assert_eq!(fact, world.client.query("T-other-amount").await.unwrap());
}

#[tokio::test]
async fn duplicates_come_together_each_signed_for_itself() {
    let world = World::start();
    world.faults(json!({"notify": {"duplicate_notify": 3, "times": 1}})).await;
    let first = paid(&world, "T-double").await;
    let mut nonces = vec![first.nonce.clone().unwrap()];
    let id = verify(&world, &first).unwrap().id;
    for _ in 0..3 {
        let copy = world.receiver.next().await;
        assert_eq!(verify(&world, &copy).unwrap().id, id);
        nonces.push(copy.nonce.unwrap());
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
    assert_eq!(world.deliveries("T-double", 4).await.len(), 4);
}

#[tokio::test]
async fn r_pay_05_lost_notifications_leave_only_the_query() {
    let world = World::start();
    world.faults(json!({"notify": {"lose_notify": true, "times": 2}})).await;
    world.created("T-lost").await;
    world.pay("T-lost").await;

    let deliveries = world.deliveries("T-lost", 2).await;
    assert!(deliveries[..2].iter().all(|delivery| delivery["error"] == json!("lost")));
    assert_eq!(world.state("T-lost").await, TradeState::Success);
    assert!(verify(&world, &world.receiver.next().await).is_ok());
}

#[tokio::test]
async fn a_notification_overtaken_by_a_later_one_still_verifies() {
    let world = World::start_with(1.0);
    world.faults(json!({"notify": {"lose_notify": true, "times": 1}})).await;
    world.created("T-overtaken").await;
    world.pay("T-overtaken").await;
    world.deliveries("T-overtaken", 1).await;

    let second = paid(&world, "T-overtaking").await;
    assert_eq!(transaction(verify(&world, &second).unwrap()).out_trade_no, "T-overtaking");
    world.control("clock/advance", json!({"seconds": 16})).await;
    let first = world.receiver.next().await;
    assert_eq!(transaction(verify(&world, &first).unwrap()).out_trade_no, "T-overtaken");
}

#[tokio::test]
async fn an_answer_that_does_not_come_within_five_seconds_is_none() {
    let world = World::start_with(1.0);
    // Connections are taken by the kernel and never answered.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = world.config.clone();
    config.notify_url = format!("http://{}/notify", silent.local_addr().unwrap());
    let client = deeptravel_wechat::Client::new(config).unwrap();
    client.create_jsapi(&client.create_body(&common::order("T-silent"))).await.unwrap();
    world.pay("T-silent").await;

    let delivery = &world.deliveries("T-silent", 1).await[0];
    assert_eq!((&delivery["error"], &delivery["accepted"]), (&json!("timeout"), &json!(false)));
    assert!(delivery["latency_ms"].as_u64().unwrap() >= 5_000);
}

#[tokio::test]
async fn a_notification_can_be_late() {
    let world = World::start();
    world.faults(json!({"notify": {"delay_before_ms": 50, "times": 1}})).await;
    assert!(verify(&world, &paid(&world, "T-late").await).is_ok());
}

#[tokio::test]
async fn the_clock_brings_forward_what_is_waiting() {
    let world = World::start_with(1.0);
    world.receiver.answer(&[500, 500]);
    paid(&world, "T-clock").await;
    world.deliveries("T-clock", 1).await;

    // The gaps are 15 s each; nothing here waits for them.
    for attempt in 2..=3 {
        loop {
            world.control("clock/advance", json!({"seconds": 15})).await;
            if world.look("deliveries?out_trade_no=T-clock").await.as_array().unwrap().len() >= attempt {
                break;
            }
        }
        assert!(verify(&world, &world.receiver.next().await).is_ok());
    }
}

#[tokio::test]
async fn another_api_v3_key_makes_a_genuine_notification_unreadable() {
    let world = World::start();
    let callback = paid(&world, "T-api-key").await;
    let mut config = world.config.clone();
    config.api_v3_key = "another-key-another-key-another!".into();
    let client = deeptravel_wechat::Client::new(config).unwrap();

    let error = client.verify_notification(&callback.headers(), &callback.body, Timestamp::now()).unwrap_err();
    assert!(matches!(error, NotificationError::Malformed(_)), "{error}");
    assert_eq!(client.counters().notifications_malformed.load(Relaxed), 1);
}
