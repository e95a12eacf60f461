//! The client and the simulator against a third implementation, the PyPI package `wechatpayv3`: as client of the
//! simulator, as verifier of what our client signs, as reader of what the simulator sends. What was altered is refused
//! by it and by us alike. `independent/check.py` is the other side; `./test` installs the package.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::raw::send;
use common::{API_V3_KEY, APPID, Callback, MCHID, World, merchant, raw};
use deeptravel_wechat::{Notification, PrepayId, RefundRequest, Resource};
use jiff::Timestamp;
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/check.py");

/// Where `./test` keeps the package; `scripts/need` has the same rule.
fn python() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map_or_else(home, PathBuf::from);
    let python = cache.join("deeptravel-python/bin/python");
    assert!(python.exists(), "The Python package wechatpayv3 is not installed: run ./test, which installs it.");
    python
}

/// Lets the other side do something with what it must know of the world; its result.
async fn ask(world: &World, command: &str, more: Value) -> Value {
    let simulator = &world.simulator;
    let mut input = json!({
        "base_url": simulator.base_url(),
        "mchid": MCHID,
        "appid": APPID,
        "serial": merchant().serial,
        "private_key_pem": merchant().private_key_pem,
        "merchant_public_key_pem": merchant().public_key_pem,
        "api_v3_key": API_V3_KEY,
        "notify_url": world.receiver.url,
        "public_key_id": simulator.public_key_id,
        "public_key_pem": simulator.public_key_pem,
        "certificate_serial": simulator.certificate_serial,
    });
    if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
        input.extend(more);
    }
    let (python, command) = (python(), command.to_owned());
    tokio::task::spawn_blocking(move || run(&python, &command, &input)).await.unwrap()
}

fn run(python: &Path, command: &str, input: &Value) -> Value {
    let mut child = Command::new(python)
        .args([SCRIPT, command])
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn r_pay_08_a_foreign_client_trades_with_the_simulator_by_public_key_and_by_certificate() {
    let world = World::start();
    assert_eq!(ask(&world, "act-as-client", json!({})).await, "traded");

    let money = world.look("money").await;
    assert_eq!(money["paid_count"], 3);
    assert_eq!((&money["refund_count"], &money["refunded"]), (&json!(6), &json!(6 * 2_850)));
    let requests = world.look("requests").await;
    assert!(requests.as_array().unwrap().iter().all(|request| request["verified"] == json!(true)));
}

/// Requests that our client has sent: creates, queries, a refund with its query, a close.
async fn requests(world: &World) -> Vec<Value> {
    for number in ["T-proof-1", "T-proof_2"] {
        world.created(number).await;
        world.client.query(number).await.unwrap();
    }
    let transaction_id = world.pay("T-proof-1").await["transaction_id"].as_str().unwrap().to_owned();
    let refund = RefundRequest {
        transaction_id,
        out_trade_no: None,
        out_refund_no: "R-proof-1".into(),
        reason: Some("座位已售".into()),
        refund_minor: 850,
        total_minor: 12_850,
    };
    world.client.refund(&world.client.refund_body(&refund)).await.unwrap();
    world.client.query_refund("R-proof-1").await.unwrap();
    world.client.close("T-proof_2").await.unwrap();
    world.client.query("T-proof_2").await.unwrap();
    world.look("requests").await.as_array().unwrap().clone()
}

#[tokio::test]
async fn every_request_of_ours_is_signed_as_a_foreign_library_signs_it() {
    let world = World::start();
    let requests = requests(&world).await;
    assert_eq!(requests.len(), 8);

    let verdicts = ask(&world, "verify-requests", json!({ "requests": requests })).await;
    assert_eq!(verdicts, json!(vec![json!({"verified": true, "same": true}); 8]));
}

#[tokio::test]
async fn an_altered_request_is_refused_by_a_foreign_library_and_by_the_simulator() {
    let world = World::start();
    world.created("T-altered").await;
    let good = world.look("requests").await[0].clone();
    let mut altered = Vec::new();
    for (field, old, new) in
        [("body", "alice", "alicf"), ("body", "{", "{ "), ("method", "POST", "PUT"), ("target", "jsapi", "jsapj")]
    {
        let mut bad = good.clone();
        let text = bad[field].as_str().unwrap();
        assert!(text.contains(old), "{text}");
        bad[field] = json!(text.replacen(old, new, 1));
        altered.push(bad);
    }
    for field in ["signature", "nonce", "timestamp"] {
        for index in [0, 5, 9] {
            let mut bad = good.clone();
            bad[field] = json!(other_character(bad[field].as_str().unwrap(), index));
            altered.push(bad);
        }
    }

    let verdicts = ask(&world, "verify-requests", json!({ "requests": altered })).await;
    for (bad, verdict) in altered.iter().zip(verdicts.as_array().unwrap()) {
        assert_eq!(verdict, &json!({"verified": false, "same": false}), "{bad}");
        // Another method or path has no endpoint to ask.
        if bad["method"] == good["method"] && bad["target"] == good["target"] {
            assert_eq!(replay(&world, bad, &merchant().serial).await, 401, "{bad}");
        }
    }
    assert_eq!(replay(&world, &good, &"4A".repeat(20)).await, 401);
    assert_eq!(replay(&world, &good, &merchant().serial).await, 200);
}

/// Sends a request on record once more; the status.
async fn replay(world: &World, request: &Value, serial: &str) -> u16 {
    let text = |field: &str| request[field].as_str().unwrap();
    let authorization = format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{MCHID}\",nonce_str=\"{}\",signature=\"{}\",timestamp=\"{}\",serial_no=\"{serial}\"",
        text("nonce"),
        text("signature"),
        text("timestamp"),
    );
    let headers = [("Authorization", authorization.as_str()), ("Accept", "application/json"), ("User-Agent", "test")];
    let raw::Raw { status, .. } = send(world, text("method"), text("target"), &headers, text("body")).await;
    status
}

/// The text with one character replaced by another of the same kind.
fn other_character(text: &str, index: usize) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters[index] = if characters[index] == '7' { '3' } else { '7' };
    characters.into_iter().collect()
}

#[tokio::test]
async fn our_pay_parameters_are_byte_for_byte_those_of_a_foreign_library() {
    let world = World::start();
    let prepay_id = PrepayId::parse("wx201410272009395522657a690389285100").unwrap();
    let params = world.client.pay_params(&prepay_id, 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242").unwrap();
    let given = serde_json::to_value(&params).unwrap();

    let signature = ask(&world, "sign-pay-parameters", json!({ "pay_params": given })).await;
    assert_eq!(signature, json!(params.pay_sign));
    let mut other = given.clone();
    other["timeStamp"] = json!("1554208461");
    assert_ne!(ask(&world, "sign-pay-parameters", json!({ "pay_params": other })).await, json!(params.pay_sign));
}

/// Callbacks of a payment and of a refund, signed with the public key or with the certificate.
async fn callbacks(world: &World, by_certificate: bool) -> [Callback; 2] {
    let share = u8::from(by_certificate);
    world.control("settings", json!({"notifications_by_certificate": share, "refund_seconds": 0})).await;
    let number = format!("T-decoded-{share}");
    world.created(&number).await;
    world.pay(&number).await;
    let payment = world.receiver.next().await;
    let refund = json!({
        "out_trade_no": number,
        "out_refund_no": format!("R-decoded-{share}"),
        "notify_url": world.receiver.url,
        "amount": { "refund": 850, "total": 12_850, "currency": "CNY" },
    });
    let answer = raw::signed(world, "POST", "/v3/refund/domestic/refunds", &refund.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    [payment, world.receiver.next().await]
}

async fn decode(world: &World, callbacks: &[Callback]) -> Vec<Value> {
    let callbacks: Vec<Value> = callbacks.iter().map(as_sent).collect();
    let decoded = ask(world, "decode-callbacks", json!({ "callbacks": callbacks })).await;
    decoded.as_array().unwrap().clone()
}

fn as_sent(callback: &Callback) -> Value {
    json!({
        "headers": {
            "Wechatpay-Timestamp": callback.timestamp,
            "Wechatpay-Nonce": callback.nonce,
            "Wechatpay-Signature": callback.signature,
            "Wechatpay-Serial": callback.serial,
            "Wechatpay-Signature-Type": callback.signature_type,
        },
        "body": String::from_utf8(callback.body.clone()).unwrap(),
    })
}

fn verify(world: &World, callback: &Callback) -> Option<Notification> {
    world.client.verify_notification(&callback.headers(), &callback.body, Timestamp::now()).ok()
}

#[tokio::test]
async fn the_simulators_callbacks_are_decoded_by_a_foreign_library_as_by_us() {
    let world = World::start();
    world.client.load_certificates().await.unwrap();
    for by_certificate in [false, true] {
        let sent = callbacks(&world, by_certificate).await;
        let serial = if by_certificate { &world.simulator.certificate_serial } else { &world.simulator.public_key_id };
        assert!(sent.iter().all(|callback| callback.serial.as_ref() == Some(serial)));

        let decoded = decode(&world, &sent).await;
        let (payment, refund) = (&decoded[0], &decoded[1]);
        assert_eq!(
            (&payment["event_type"], &refund["event_type"]),
            (&json!("TRANSACTION.SUCCESS"), &json!("REFUND.SUCCESS"))
        );
        assert_eq!(payment["resource"]["trade_state"], "SUCCESS");
        assert_eq!(payment["resource"]["amount"]["total"], 12_850);
        assert_eq!(refund["resource"]["refund_status"], "SUCCESS");
        assert_eq!(refund["resource"]["amount"]["refund"], 850);
        assert_eq!(refund["resource"]["transaction_id"], payment["resource"]["transaction_id"]);

        let Resource::Transaction(ours) = verify(&world, &sent[0]).unwrap().resource else { panic!("a payment") };
        assert_eq!(json!(ours.transaction_id), payment["resource"]["transaction_id"]);
        assert!(verify(&world, &sent[1]).is_some());
    }
}

#[tokio::test]
async fn r_pay_06_an_altered_callback_is_refused_by_a_foreign_library_and_by_us() {
    let world = World::start();
    world.client.load_certificates().await.unwrap();
    for by_certificate in [false, true] {
        let sent = callbacks(&world, by_certificate).await;
        assert!(sent.iter().all(|good| verify(&world, good).is_some()));
        let mut altered = Vec::new();
        for good in &sent {
            for index in [0, good.body.len() / 3, good.body.len() / 2, good.body.len() - 1] {
                let mut bad = good.clone();
                // Another digit or letter where there is one, so that it stays text.
                bad.body[index] = if bad.body[index] == b'7' { b'3' } else { b'7' };
                altered.push(bad);
            }
            for index in [0, 4, 9] {
                let change = |text: &Option<String>| text.as_ref().map(|text| other_character(text, index));
                altered.push(Callback { signature: change(&good.signature), ..good.clone() });
                altered.push(Callback { nonce: change(&good.nonce), ..good.clone() });
                altered.push(Callback { timestamp: change(&good.timestamp), ..good.clone() });
                altered.push(Callback { serial: change(&good.serial), ..good.clone() });
            }
            // A key that exists, and did not sign this.
            let other =
                if by_certificate { &world.simulator.public_key_id } else { &world.simulator.certificate_serial };
            altered.push(Callback { serial: Some(other.clone()), ..good.clone() });
        }

        for (bad, decoded) in altered.iter().zip(decode(&world, &altered).await) {
            assert_eq!(decoded, Value::Null, "{bad:?}");
            assert!(verify(&world, bad).is_none(), "{bad:?}");
        }
    }
}

#[tokio::test]
async fn probes_and_another_key_are_refused_by_both() {
    let world = World::start();
    let faults = [
        json!({"signtest": "decodable"}),
        json!({"signtest": "undecodable"}),
        json!({"wrong_serial": true}),
        json!({"alter_body": true}),
        json!({"truncate_body": true}),
        json!({"reserialise_body": true}),
        json!({"wrong_api_key": true}),
    ];
    let mut sent = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        let mut fault = fault.clone();
        fault["times"] = json!(1);
        world.faults(json!({ "notify": fault })).await;
        world.receiver.answer(&[500]);
        let number = format!("T-probe-{index}");
        world.created(&number).await;
        world.pay(&number).await;
        sent.extend([world.receiver.next().await, world.receiver.next().await]);
    }

    let decoded = decode(&world, &sent).await;
    for (index, (sent, decoded)) in sent.chunks(2).zip(decoded.chunks(2)).enumerate() {
        let fault = &faults[index];
        assert_eq!(decoded[0], Value::Null, "{fault}");
        assert!(verify(&world, &sent[0]).is_none(), "{fault}");
        assert_eq!(decoded[1]["resource"]["out_trade_no"], format!("T-probe-{index}"));
        assert!(verify(&world, &sent[1]).is_some(), "{fault}");
    }
}
