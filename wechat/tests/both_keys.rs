//! The client while WeChat switches from certificates to the public key: answers and callbacks come signed by either.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use common::{World, order};
use deeptravel_wechat::{CertificatesLoaded, Client, Config, NotificationError};
use jiff::Timestamp;
use serde_json::json;

/// A merchant that has certificates only.
fn old_merchant(world: &World) -> Client {
    let config = Config { public_key_id: String::new(), public_key_pem: String::new(), ..world.config.clone() };
    Client::new(config).unwrap()
}

#[tokio::test]
async fn while_both_kinds_of_keys_sign_no_answer_and_no_callback_is_lost() {
    let world = World::start();
    world.control("settings", json!({"answers_signed_with": "mixed", "notifications_by_certificate": 0.5})).await;

    let client = &world.client;
    assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::InUse(1)));
    let mut serials = Vec::new();
    for number in 0..16 {
        let number = format!("T-both-{number}");
        client.create_jsapi(&client.create_body(&order(&number))).await.unwrap();
        world.pay(&number).await;
        let callback = world.receiver.next().await;
        client.verify_notification(&callback.headers(), &callback.body, Timestamp::now()).unwrap();
        client.query(&number).await.unwrap();
        serials.extend(callback.serial);
    }
    assert_eq!(client.counters().calls_succeeded.load(Relaxed), 32);
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 2);
}

#[tokio::test]
async fn certificates_alone_do_and_rotate() {
    let world = World::start();
    world.control("settings", json!({"notifications_by_certificate": 1.0})).await;
    let client = old_merchant(&world);
    client.create_jsapi(&client.create_body(&order("T-old-merchant"))).await.unwrap();
    assert_eq!(client.certificates_in_use(), 1);

    let (_, new) = world.control("certificates", json!({})).await;
    world.pay("T-old-merchant").await;
    let callback = world.receiver.next().await;
    assert_eq!(json!(callback.serial), new["serial_no"]);
    let verify = || client.verify_notification(&callback.headers(), &callback.body, Timestamp::now());
    assert_eq!(verify(), Err(NotificationError::UnknownSerial));
    assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::InUse(2)));
    verify().unwrap();
}
