//! The client and the simulator over HTTP, when nothing goes wrong.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{APPID, MCHID, World, merchant, order};
use deeptravel_wechat::{CallError, LoginError, PrepayId, TradeState, code};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn refusal(error: CallError) -> (u16, String) {
    match error {
        CallError::Refused { status, code, .. } => (status, code),
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn r_pay_01_asking_again_with_the_same_bytes_gives_the_same_transaction() {
    let world = World::start();
    let body = world.body("T2026-replay");

    let first = world.client.create_jsapi(&body).await.unwrap();
    let again = world.client.create_jsapi(&body).await.unwrap();

    assert_eq!(first, again);
    assert!(first.as_str().starts_with("wx"));
    assert_eq!(world.look("transactions").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn re_entry_compares_fields_and_not_bytes() {
    let world = World::start();
    let body = world.body("T2026-spaces");
    let value: Value = serde_json::from_slice(&body).unwrap();

    let first = world.client.create_jsapi(&body).await.unwrap();
    let again = world.client.create_jsapi(&serde_json::to_vec_pretty(&value).unwrap()).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn every_changed_field_of_a_repeated_create_is_refused() {
    let world = World::start();
    let first = order("T2026-changed");
    world.client.create_jsapi(&world.client.create_body(&first)).await.unwrap();

    let mut changes = [first.clone(), first.clone(), first.clone(), first.clone(), first.clone()];
    changes[0].total_minor += 1;
    changes[1].description.push('!');
    changes[2].openid = "bob".into();
    changes[3].time_expire += SignedDuration::from_secs(1);
    changes[4].attach = Some("more".into());
    for changed in changes {
        let error = world.client.create_jsapi(&world.client.create_body(&changed)).await.unwrap_err();
        assert_eq!(refusal(error), (403, code::OUT_TRADE_NO_USED.into()));
    }
}

#[tokio::test]
async fn the_create_body_is_the_same_bytes_for_the_same_request() {
    let world = World::start();
    let mut request = order("T2026-bytes");
    request.time_expire = "2026-10-01T02:34:56.5Z".parse().unwrap();
    request.attach = Some("order 7".into());

    let expected = format!(
        "{{\"appid\":\"{APPID}\",\"mchid\":\"{MCHID}\",\"description\":\"广州南 → 香港西九龙，2 张\",\
         \"out_trade_no\":\"T2026-bytes\",\"time_expire\":\"2026-10-01T10:34:56+08:00\",\"attach\":\"order 7\",\
         \"notify_url\":\"{}\",\"amount\":{{\"total\":12850,\"currency\":\"CNY\"}},\"payer\":{{\"openid\":\"alice\"}}}}",
        world.config.notify_url
    );
    assert_eq!(String::from_utf8(world.client.create_body(&request)).unwrap(), expected);
}

#[tokio::test]
async fn a_query_follows_the_transaction_from_nothing_to_paid() {
    let world = World::start();
    assert_eq!(world.client.query("T2026-query").await, Err(CallError::NotFound));

    world.created("T2026-query").await;
    let unpaid = world.client.query("T2026-query").await.unwrap();
    assert_eq!((unpaid.trade_state, unpaid.transaction_id), (TradeState::NotPay, None));

    let shown = world.pay("T2026-query").await;
    let paid = world.client.query("T2026-query").await.unwrap();
    assert_eq!(paid.trade_state, TradeState::Success);
    assert_eq!((paid.appid.as_str(), paid.mchid.as_str()), (APPID, MCHID));
    assert_eq!(paid.transaction_id.as_deref(), shown["transaction_id"].as_str());
    assert!(Timestamp::now().duration_since(paid.success_time.unwrap()) < SignedDuration::from_mins(1));
    let amount = paid.amount.unwrap();
    assert_eq!((amount.total, amount.currency.as_str()), (12_850, "CNY"));
    assert_eq!(paid.payer.unwrap().openid, "alice");
}

#[tokio::test]
async fn closing_twice_and_closing_what_never_was_both_succeed() {
    let world = World::start();
    world.created("T2026-close").await;

    world.client.close("T2026-close").await.unwrap();
    world.client.close("T2026-close").await.unwrap();
    world.client.close("T2026-never-created").await.unwrap();

    assert_eq!(world.state("T2026-close").await, TradeState::Closed);
    assert_eq!(world.client.query("T2026-never-created").await, Err(CallError::NotFound));
    let error = world.client.create_jsapi(&world.body("T2026-close")).await.unwrap_err();
    assert_eq!(refusal(error), (403, code::OUT_TRADE_NO_USED.into()));
}

#[tokio::test]
async fn r_pay_03_a_paid_transaction_cannot_be_closed() {
    let world = World::start();
    world.created("T2026-race").await;
    world.pay("T2026-race").await;

    assert_eq!(refusal(world.client.close("T2026-race").await.unwrap_err()), (400, code::ORDER_PAID.into()));
    assert_eq!(world.state("T2026-race").await, TradeState::Success);
}

#[tokio::test]
async fn an_order_number_cannot_change_which_address_is_called() {
    let world = World::start();
    world.created("T2026-address").await;

    for number in ["T2026-address/close", "../id/1", "T2026?x=", "T|123*45", "订单", "%2e%2e", "a b"] {
        assert_eq!(world.client.query(number).await, Err(CallError::NotFound), "{number}");
    }
    assert_eq!(world.state("T2026-address").await, TradeState::NotPay);
}

#[tokio::test]
async fn the_pay_parameters_are_signed_for_the_payers_client() {
    let world = World::start();
    let prepay_id = PrepayId::parse("wx201410272009395522657a690389285100").unwrap();

    let params = world.client.pay_params(&prepay_id, 1_800_000_000, "593BEC0C930BF1AFEB40B4A08C8FB242").unwrap();
    let again = world.client.pay_params(&prepay_id, 1_800_000_000, "593BEC0C930BF1AFEB40B4A08C8FB242").unwrap();

    assert_eq!(params, again);
    let signed = format!(
        "{APPID}\n1800000000\n593BEC0C930BF1AFEB40B4A08C8FB242\nprepay_id=wx201410272009395522657a690389285100\n"
    );
    assert_verifies(signed.as_bytes(), &params.pay_sign);
    let names: Vec<_> = serde_json::to_value(&params).unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["appId", "nonceStr", "package", "paySign", "signType", "timeStamp"]);
    assert_eq!(params.sign_type, "RSA");
}

fn assert_verifies(message: &[u8], signature: &str) {
    let pem = &merchant().public_key_pem;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, STANDARD.decode(body).unwrap());
    key.verify(message, &STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_login_code_becomes_an_openid() {
    let world = World::start();
    let login = async |code| world.client.code2session(code).await;

    assert_eq!(login("demo-alice").await.unwrap().openid, "alice");
    for code in ["alice", "", "demo-", "demo-a&b", "demo-\u{1F68C}"] {
        assert_eq!(login(code).await, Err(LoginError::InvalidCode), "{code}");
    }
    world.faults(json!({"login": {"errcode": -1, "times": 1}})).await;
    assert_eq!(login("demo-alice").await, Err(LoginError::Busy));
    world.faults(json!({"login": {"status_before": 502, "times": 1}})).await;
    assert!(matches!(login("demo-alice").await, Err(LoginError::Unavailable(_))));
    world.faults(json!({"login": {"drop_after": true, "times": 1}})).await;
    assert!(matches!(login("demo-alice").await, Err(LoginError::Unavailable(_))));
    assert_eq!(login("demo-alice").await.unwrap().openid, "alice");
}

#[tokio::test]
async fn a_wrong_app_secret_is_our_mistake_and_not_the_travellers() {
    let world = World::start();
    let mut config = world.config.clone();
    config.app_secret = "wrong".into();
    let client = deeptravel_wechat::Client::new(config).unwrap();

    let error = client.code2session("demo-alice").await.unwrap_err();
    assert!(matches!(error, LoginError::Refused { code: 40125, .. }), "{error}");
}
