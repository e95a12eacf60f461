//! The simulator seen by a client that does everything by hand: it must refuse what WeChat refuses.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use common::raw::{authorization, send, signed};
use common::{API_V3_KEY, APPID, MCHID, World, merchant, order};
use deeptravel_wechat::TradeState;
use deeptravel_wechat::simulator::{self, Merchant, SimulatorConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CREATE: &str = "/v3/pay/transactions/jsapi";

fn text(world: &World, number: &str) -> String {
    String::from_utf8(world.body(number)).unwrap()
}

#[tokio::test]
async fn a_good_answer_has_all_the_headers_and_an_error_none() {
    let world = World::start();
    let good = signed(&world, "POST", CREATE, &text(&world, "T-headers")).await;
    assert_eq!(good.status, 200);
    for name in ["Timestamp", "Nonce", "Signature", "Serial", "Signature-Type"] {
        assert!(good.headers.contains_key(format!("Wechatpay-{name}")), "{name}");
    }
    assert!(good.headers.contains_key("Request-ID"));
    assert_eq!(good.headers["Content-Type"], "application/json; charset=utf-8");

    let target = format!("/v3/pay/transactions/out-trade-no/T-nothing?mchid={MCHID}");
    let bad = signed(&world, "GET", &target, "").await;
    assert_eq!((bad.status, bad.code().as_str()), (404, "ORDER_NOT_EXIST"));
    assert!(bad.headers.keys().all(|name| !name.as_str().starts_with("wechatpay")));
}

#[tokio::test]
async fn unknown_addresses_and_methods_answer_empty() {
    let world = World::start();
    for (method, target, status) in [("GET", CREATE, 405), ("GET", "/v3/unknown", 404), ("PUT", "/", 404)] {
        let answer = signed(&world, method, target, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{method} {target}");
    }
}

#[tokio::test]
async fn agent_and_accept_are_asked_for_before_the_signature() {
    let world = World::start();
    // By hand, because HTTP clients add what is left out.
    for headers in ["Accept: application/json", "User-Agent: test", "User-Agent:\r\nAccept: application/json"] {
        let mut stream = TcpStream::connect(world.simulator.addr).await.unwrap();
        let request = format!("POST {CREATE} HTTP/1.1\r\nHost: pay\r\nConnection: close\r\n{headers}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
        assert!(answer.contains("INVALID_REQUEST"), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn a_bad_authorization_is_a_sign_error() {
    let world = World::start();
    let body = text(&world, "T-authorization");
    let now = Timestamp::now().as_second();
    let good = authorization("POST", CREATE, now, &body);
    for bad in [
        String::new(),
        "Bearer x".to_owned(),
        good.replace("SHA256", "SM3"),
        good.replace(MCHID, "1900000002"),
        good.replace(&merchant().serial, "4A"),
        good.replace("nonce_str=\"nonce\"", "nonce_str=\"other\""),
        authorization("GET", CREATE, now, &body),
        authorization("POST", "/v3/pay/transactions/app", now, &body),
        authorization("POST", CREATE, now, &format!("{body} ")),
        authorization("POST", CREATE, now - 302, &body),
        authorization("POST", CREATE, now + 310, &body),
        authorization("POST", CREATE, now * 1000, &body),
    ] {
        let headers = [("Authorization", bad.as_str()), ("Accept", "application/json"), ("User-Agent", "test")];
        let answer = send(&world, "POST", CREATE, &headers, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "SIGN_ERROR"), "{bad}");
    }
    assert_eq!(world.look("transactions").await, json!([]));
    assert_eq!(signed(&world, "POST", CREATE, &body).await.status, 200);
}

#[tokio::test]
async fn a_wrong_signature_says_what_was_signed() {
    let world = World::start();
    let wrong = authorization("POST", CREATE, Timestamp::now().as_second(), "other");
    let headers = [("Authorization", wrong.as_str()), ("Accept", "application/json"), ("User-Agent", "test")];
    let detail = send(&world, "POST", CREATE, &headers, "{\"a\":1}").await.json()["detail"].clone();

    assert_eq!(detail["detail"]["issue"], "sign not match");
    assert_eq!(detail["sign_information"]["url"], CREATE);
    assert!(detail["sign_information"]["truncated_sign_message"].as_str().unwrap().starts_with("POST\n/v3/pay"));
}

#[tokio::test]
async fn the_signature_covers_the_target_as_it_is_on_the_wire() {
    let world = World::start();
    world.created("T-on-the-wire").await;
    for target in [
        format!("/v3/pay/transactions/out-trade-no/T-on-the-wire?mchid={MCHID}&x=%7c%7C"),
        format!("/v3/pay/transactions/out-trade-no/T%2don-the-wire?mchid={MCHID}"),
    ] {
        let answer = signed(&world, "GET", &target, "").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    }
    let paid = world.pay("T-on-the-wire").await;
    let id = paid["transaction_id"].as_str().unwrap();
    let answer = signed(&world, "GET", &format!("/v3/pay/transactions/id/{id}?mchid={MCHID}"), "").await;
    assert_eq!(answer.json()["out_trade_no"], "T-on-the-wire");
}

#[tokio::test]
async fn each_field_of_a_create_is_checked_and_named() {
    let world = World::start();
    let good: Value = serde_json::from_str(&text(&world, "T-fields")).unwrap();
    let cases = [
        ("/mchid", json!("1900000002"), "PARAM_ERROR"),
        ("/appid", json!("wx-other"), "APPID_MCHID_NOT_MATCH"),
        ("/description", json!(""), "PARAM_ERROR"),
        ("/description", json!("港".repeat(128)), "PARAM_ERROR"),
        ("/description", json!("\u{1F68C}"), "PARAM_ERROR"),
        ("/out_trade_no", json!("short"), "PARAM_ERROR"),
        ("/out_trade_no", json!("T".repeat(33)), "PARAM_ERROR"),
        ("/out_trade_no", json!("T fields"), "PARAM_ERROR"),
        ("/out_trade_no", json!(1_234_567), "PARAM_ERROR"),
        ("/notify_url", json!("http://shop.example/notify"), "PARAM_ERROR"),
        ("/notify_url", json!("https://shop.example/notify?a=1"), "PARAM_ERROR"),
        ("/notify_url", json!("notify"), "PARAM_ERROR"),
        ("/amount/total", json!(0), "PARAM_ERROR"),
        ("/amount/total", json!(1.5), "PARAM_ERROR"),
        ("/amount/total", json!("100"), "PARAM_ERROR"),
        ("/amount/currency", json!("HKD"), "PARAM_ERROR"),
        ("/payer/openid", json!(""), "PARAM_ERROR"),
        ("/time_expire", json!("2026-10-01 10:00:00"), "PARAM_ERROR"),
    ];
    for (pointer, value, code) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        let answer = signed(&world, "POST", CREATE, &bad.to_string()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{pointer} {value}");
        if code == "PARAM_ERROR" {
            assert_eq!(answer.json()["detail"]["field"], format!("/body{pointer}"));
        }
    }
    for field in ["description", "out_trade_no", "notify_url", "amount", "payer", "appid", "mchid"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(field);
        assert_eq!(signed(&world, "POST", CREATE, &bad.to_string()).await.status, 400, "{field}");
    }
    for body in ["", "[]", "{", "null"] {
        assert_eq!(signed(&world, "POST", CREATE, body).await.code(), "PARAM_ERROR", "{body}");
    }
    // A server under development has no name: on this machine, or elsewhere in the house.
    for (index, host) in ["127.0.0.1:9", "[::1]:9", "localhost:9", "192.0.2.1:9"].into_iter().enumerate() {
        let mut other = good.clone();
        other["out_trade_no"] = json!(format!("T-fields-{index}"));
        other["notify_url"] = json!(format!("http://{host}/notify"));
        assert_eq!(signed(&world, "POST", CREATE, &other.to_string()).await.status, 200, "{host}");
    }
    assert_eq!(signed(&world, "POST", CREATE, &good.to_string()).await.status, 200);
}

#[tokio::test]
async fn query_and_close_want_the_merchant_where_wechat_wants_it() {
    let world = World::start();
    world.created("T-merchant").await;
    for target in ["T-merchant", "T-merchant?mchid=", "T-merchant?mchid=1900000002"] {
        let target = format!("/v3/pay/transactions/out-trade-no/{target}");
        assert_eq!(signed(&world, "GET", &target, "").await.code(), "PARAM_ERROR");
    }
    let target = "/v3/pay/transactions/out-trade-no/T-merchant/close";
    for body in ["", "{}", r#"{"mchid":"1900000002"}"#] {
        assert_eq!(signed(&world, "POST", target, body).await.code(), "PARAM_ERROR");
    }
    let closed = signed(&world, "POST", target, &format!("{{\"mchid\":\"{MCHID}\"}}")).await;
    assert_eq!((closed.status, closed.body.as_str()), (204, ""));
    assert!(closed.headers.contains_key("Wechatpay-Signature"));
}

#[tokio::test]
async fn time_expire_is_raised_to_the_minimum_and_the_minimum_can_be_changed() {
    let world = World::start();
    let create = async |number: &str| {
        let mut request = order(number);
        request.time_expire = Timestamp::now() + SignedDuration::from_secs(1);
        world.client.create_jsapi(&world.client.create_body(&request)).await.unwrap();
    };
    let pay = async |number: &str| world.control(&format!("transactions/{number}/pay"), json!({})).await.0;

    create("T-raised").await;
    world.control("clock/advance", json!({"seconds": 30})).await;
    assert_eq!(pay("T-raised").await, 200);

    let (_, settings) = world.control("settings", json!({"min_time_expire_seconds": 0})).await;
    assert_eq!(settings["min_time_expire_seconds"], 0);
    create("T-not-raised").await;
    world.control("clock/advance", json!({"seconds": 30})).await;
    assert_eq!(pay("T-not-raised").await, 409);
    assert_eq!(world.state("T-not-raised").await, TradeState::NotPay);
}

#[tokio::test]
async fn the_payer_cannot_pay_what_is_unknown_closed_expired_or_paid() {
    let world = World::start();
    for number in ["T-is-closed", "T-is-paid", "T-is-expired"] {
        world.created(number).await;
    }
    world.client.close("T-is-closed").await.unwrap();
    world.pay("T-is-paid").await;
    world.control("clock/advance", json!({"seconds": 901})).await;

    for (number, expected) in [
        ("T-is-unknown", (404, "UNKNOWN")),
        ("T-is-closed", (409, "CLOSED")),
        ("T-is-paid", (409, "PAID")),
        ("T-is-expired", (409, "EXPIRED")),
    ] {
        let (status, answer) = world.control(&format!("transactions/{number}/pay"), json!({})).await;
        assert_eq!((status, answer["code"].as_str().unwrap()), expected);
    }
    assert_eq!(world.control("transactions/T-is-expired/notify", json!({})).await.0, 404);
}

#[tokio::test]
async fn r_pay_04_money_can_come_after_the_close() {
    let world = World::start();
    world.created("T-late-money").await;
    world.client.close("T-late-money").await.unwrap();

    let (status, _) = world.control("transactions/T-late-money/pay", json!({"force": true})).await;
    assert_eq!(status, 200);
    assert_eq!(world.state("T-late-money").await, TradeState::Success);
    world.receiver.next().await;
    let (status, _) = world.control("transactions/T-late-money/pay", json!({"force": true})).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_jump_of_the_clock_does_not_make_signatures_stale() {
    let world = World::start();
    world.control("clock/advance", json!({"seconds": 86_400})).await;
    world.created("T-tomorrow").await;
    world.control("clock/advance", json!({"seconds": 8 * 86_400})).await;
    assert_eq!(world.state("T-tomorrow").await, TradeState::Closed);
}

#[tokio::test]
async fn the_control_plane_refuses_what_it_does_not_understand() {
    let world = World::start();
    world.created("T-control").await;
    for (path, body) in [
        ("faults", json!({"creat": {}})),
        ("faults", json!({"create": {"delay": 5}})),
        ("faults", json!({"create": {"status_before": 200}})),
        ("faults", json!([])),
        ("clock/advance", json!({"seconds": -1})),
        ("clock/advance", json!({"seconds": i64::MAX})),
        ("clock/advance", json!({})),
        ("settings", json!({"time_factor": 0})),
        ("settings", json!({"min_time_expire_seconds": -1})),
        ("transactions/T-control/pay", json!({"totl": 5})),
        ("transactions/T-control/pay", json!({"total": "5"})),
    ] {
        let (status, answer) = world.control(path, body.clone()).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("BAD_REQUEST")), "{path} {body}");
    }
}

#[tokio::test]
async fn faults_are_listed_and_cleared() {
    let world = World::start();
    world.faults(json!({"query": {"status_before": 500}})).await;
    assert_eq!(world.look("faults").await["query"][0]["status_before"], 500);
    world.clear_faults().await;
    assert_eq!(world.look("faults").await["query"], json!([]));
    world.created("T-cleared").await;
    assert_eq!(world.state("T-cleared").await, TradeState::NotPay);
}

#[tokio::test]
async fn the_list_of_transactions_shows_their_deadlines() {
    let world = World::start();
    world.created("T-list-1").await;
    world.created("T-list-2").await;
    let all = world.look("transactions").await;
    assert_eq!(all[0]["out_trade_no"], "T-list-1");
    assert_eq!(all[1]["trade_state"], "NOTPAY");
    assert!(all[1]["time_expire"].as_str().unwrap().ends_with("+08:00"));
    assert_eq!(world.look("key").await["public_key_id"], world.simulator.public_key_id);
}

fn config(listen: &str) -> SimulatorConfig {
    SimulatorConfig {
        listen: listen.parse().unwrap(),
        merchant: Merchant {
            mchid: MCHID.into(),
            appid: APPID.into(),
            app_secret: "app-secret".into(),
            serial: merchant().serial.clone(),
            public_key_pem: merchant().public_key_pem.clone(),
        },
        api_v3_key: API_V3_KEY.into(),
        time_factor: 1.0,
        min_time_expire_seconds: 60,
    }
}

#[test]
fn it_starts_only_on_loopback_and_with_usable_settings() {
    for spoil in [
        (|c| c.listen = "0.0.0.0:0".parse().unwrap()) as fn(&mut SimulatorConfig),
        |c| c.api_v3_key = "short".into(),
        |c| c.merchant.public_key_pem = "PEM".into(),
        |c| c.time_factor = 0.0,
        |c| c.time_factor = f64::NAN,
        |c| c.min_time_expire_seconds = -1,
    ] {
        let mut bad = config("127.0.0.1:0");
        spoil(&mut bad);
        assert_eq!(simulator::start(bad).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn it_starts_inside_another_actix_system_and_stops_at_once() {
    actix_web::rt::System::new().block_on(async {
        let running = simulator::start(config("127.0.0.1:0")).unwrap();
        let addr = running.addr;
        let key = reqwest::get(format!("http://{addr}/_sim/key")).await.unwrap().text().await.unwrap();
        assert!(key.contains(&running.public_key_id));

        let taken = simulator::start(config(&addr.to_string())).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        running.stop();
        simulator::start(config(&addr.to_string())).unwrap().stop();
    });
}
