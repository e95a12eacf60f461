//! The simulator's own keys and certificates, its record of what it was asked, the payer who pays by himself, and the
//! mini-program server API.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::raw::{Raw, authorization, send, signed};
use common::{API_V3_KEY, APPID, World, order};
use deeptravel_wechat::{CallError, UnknownReason, VerifyError, keys};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const CERTIFICATES: &str = "/v3/certificates";

fn decrypt(sealed: &Value) -> String {
    let text = |field: &str| sealed[field].as_str().unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(text("nonce").as_bytes()).unwrap();
    let mut data = STANDARD.decode(text("ciphertext")).unwrap();
    let plain = key.open_in_place(nonce, Aad::from(text("associated_data").as_bytes()), &mut data).unwrap();
    String::from_utf8(plain.to_vec()).unwrap()
}

fn serial(answer: &Raw) -> String {
    answer.headers["Wechatpay-Serial"].to_str().unwrap().to_owned()
}

/// Asks for the certificates and for an answer signed with this key.
async fn ask(world: &World, serial: &str) -> Raw {
    let authorization = authorization("GET", CERTIFICATES, Timestamp::now().as_second(), "");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Accept", "application/json"),
        ("User-Agent", "test"),
        ("Wechatpay-Serial", serial),
    ];
    send(world, "GET", CERTIFICATES, &headers, "").await
}

#[tokio::test]
async fn certificates_are_listed_encrypted_and_one_can_follow_another() {
    let world = World::start();
    let first = signed(&world, "GET", CERTIFICATES, "").await;
    let listed = first.json()["data"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["serial_no"], json!(world.simulator.certificate_serial));
    assert_eq!(decrypt(&listed[0]["encrypt_certificate"]), world.simulator.certificate_pem);
    assert_eq!(world.simulator.certificate_serial.len(), 40);
    assert_eq!(serial(&first), world.simulator.certificate_serial);

    let (status, new) = world.control("certificates", json!({})).await;
    assert_eq!(status, 200);
    let second = signed(&world, "GET", CERTIFICATES, "").await;
    assert_eq!(second.json()["data"][1]["serial_no"], new["serial_no"]);
    assert_eq!(json!(serial(&second)), new["serial_no"]);

    let old = &world.simulator.certificate_serial;
    assert_eq!(world.control(&format!("certificates/{old}/sign"), json!({})).await.0, 204);
    assert_eq!(serial(&signed(&world, "GET", CERTIFICATES, "").await), *old);
    assert_eq!(world.look("key").await["certificates"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn answers_are_signed_with_the_key_that_the_request_names_or_with_what_is_set() {
    let world = World::start();
    let (public, certificate) = (&world.simulator.public_key_id, &world.simulator.certificate_serial);
    assert_eq!(serial(&ask(&world, public).await), *public);
    assert_eq!(serial(&ask(&world, certificate).await), *certificate);

    for (setting, expected) in [("certificate", certificate), ("public_key", public)] {
        world.control("settings", json!({"answers_signed_with": setting})).await;
        assert_eq!(serial(&ask(&world, public).await), *expected);
        assert_eq!(serial(&ask(&world, certificate).await), *expected);
    }
    world.control("settings", json!({"answers_signed_with": "mixed", "seed": 4})).await;
    let mut seen = Vec::new();
    for _ in 0..32 {
        seen.push(serial(&ask(&world, public).await));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_merchant_in_public_key_mode_may_have_no_certificates() {
    let world = World::start();
    world.control("settings", json!({"certificates": false})).await;
    let answer = signed(&world, "GET", CERTIFICATES, "").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "RESOURCE_NOT_EXISTS"));
}

#[tokio::test]
async fn notifications_come_with_both_kinds_of_keys() {
    let world = World::start();
    for (share, expected) in [(0.0, &world.simulator.public_key_id), (1.0, &world.simulator.certificate_serial)] {
        world.control("settings", json!({"notifications_by_certificate": share})).await;
        let number = format!("T-mixed-{share}").replace('.', "");
        world.created(&number).await;
        world.pay(&number).await;
        assert_eq!(world.receiver.next().await.serial.unwrap(), *expected);
    }
}

#[tokio::test]
async fn every_signed_request_is_on_record_as_it_came() {
    let world = World::start();
    let body = String::from_utf8(world.body("T-record")).unwrap();
    world.created("T-record").await;
    world.client.query("T-record").await.unwrap();

    let requests = world.look("requests").await;
    assert_eq!((&requests[0]["method"], &requests[0]["body"]), (&json!("POST"), &json!(body)));
    assert_eq!(requests[1]["target"], "/v3/pay/transactions/out-trade-no/T-record?mchid=1900000001");
    assert_eq!((&requests[1]["body"], &requests[1]["verified"]), (&json!(""), &json!(true)));
}

#[tokio::test]
async fn a_merchant_can_change_its_key() {
    let world = World::start();
    let new = keys::generate_merchant().unwrap();
    let body = json!({"serial": new.serial, "public_key_pem": new.public_key_pem});
    assert_eq!(world.control("merchant-keys", body).await.0, 204);

    let mut config = world.config.clone();
    config.merchant_serial = new.serial;
    config.merchant_private_key_pem = new.private_key_pem;
    let client = deeptravel_wechat::Client::new(config).unwrap();
    client.create_jsapi(&world.body("T-new-merchant-key")).await.unwrap();
    world.created("T-old-merchant-key").await;
}

#[tokio::test]
async fn a_body_cut_or_written_anew_does_not_verify() {
    let world = World::start();
    for fault in [json!({"truncate_body": true}), json!({"reserialise_body": true})] {
        let mut fault = fault;
        fault["times"] = json!(1);
        world.faults(json!({ "create": fault })).await;
        let error = world.client.create_jsapi(&world.body("T-spoilt")).await.unwrap_err();
        let expected = CallError::Unknown { reason: UnknownReason::Unverified(VerifyError::Signature) };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn the_payer_pays_by_himself_also_too_late() {
    let world = World::start();
    let payer = json!({"probability": 1.0, "min_seconds": 0.0, "max_seconds": 0.05});
    assert_eq!(world.control("settings", json!({ "payer": payer })).await.0, 200);
    for index in 0..20 {
        world.created(&format!("T-by-himself-{index}")).await;
    }
    for _ in 0..20 {
        world.receiver.next().await;
    }
    assert_eq!(world.look("money").await["paid"], json!(20 * 12_850));

    let late = json!({"after_expiry": 1.0, "around_seconds": 5.0});
    world.control("settings", json!({ "payer": late })).await;
    let mut request = order("T-too-late");
    request.time_expire = Timestamp::now() + SignedDuration::from_mins(15);
    world.client.create_jsapi(&world.client.create_body(&request)).await.unwrap();
    world.client.close("T-too-late").await.unwrap();
    world.control("clock/advance", json!({"seconds": 906})).await;
    assert_eq!(world.look("money").await["paid"], json!(21 * 12_850));

    let (status, _) = world.control("settings", json!({"payer": {"probability": 2}})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn messages_go_out_with_a_token_that_is_still_good() {
    let world = World::start();
    let post = async |path: String, body: Value| -> Value {
        let answer = send(&world, "POST", &path, &[], &body.to_string()).await;
        assert_eq!(answer.status, 200);
        answer.json()
    };
    let ask = json!({"grant_type": "client_credential", "appid": APPID, "secret": "app-secret"});
    let token = post("/cgi-bin/stable_token".into(), ask.clone()).await;
    assert_eq!(post("/cgi-bin/stable_token".into(), ask).await["access_token"], token["access_token"]);
    let send_path = format!("/cgi-bin/message/subscribe/send?access_token={}", token["access_token"].as_str().unwrap());
    let message = json!({"touser": "alice", "template_id": "t1", "data": {"thing1": {"value": "G8001"}}});

    assert_eq!(post(send_path.clone(), message.clone()).await["errcode"], 0);
    assert_eq!(world.look("messages").await[0]["touser"], "alice");
    let empty = json!({"touser": "alice", "template_id": "t1", "data": {"thing1": {"value": ""}}});
    assert_eq!(post(send_path.clone(), empty).await["errcode"], 47003);
    world.faults(json!({"message": {"errcode": 43101, "times": 1}})).await;
    assert_eq!(post(send_path.clone(), message.clone()).await["errcode"], 43101);
    world.control("tokens/invalidate", json!({})).await;
    assert_eq!(post(send_path, message).await["errcode"], 40001);
}
