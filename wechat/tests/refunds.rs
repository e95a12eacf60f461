//! The refund calls against a provider that answers what the story needs, and against the simulator.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;
mod scripted;

use common::World;
use deeptravel_wechat::{
    Advice, CallError, Refund, RefundAmount, RefundRequest, RefundStatus, Resource, UnknownReason, VerifyError,
};
use jiff::Timestamp;
use scripted::{Provider, Reply, Request, error, signed};
use serde_json::{Value, json};

const REFUNDS: &str = "/v3/refund/domestic/refunds";

fn request() -> RefundRequest {
    RefundRequest {
        transaction_id: "4200000001202611204567890123".into(),
        out_trade_no: Some("T-1".into()),
        out_refund_no: "R-1".into(),
        reason: Some("座位已售".into()),
        refund_minor: 500,
        total_minor: 12_850,
    }
}

fn answer(number: &str, status: &str) -> Value {
    json!({
        "refund_id": "50000000382019052709732678859", "out_refund_no": number,
        "transaction_id": "4200000001202611204567890123", "out_trade_no": "T-1", "channel": "ORIGINAL",
        "user_received_account": "招商银行信用卡0403", "create_time": "2026-11-20T10:00:00+08:00", "status": status,
        "success_time": "2026-11-20T10:01:00+08:00",
        "amount": {"total": 12_850, "refund": 500, "from": [], "payer_total": 12_000, "payer_refund": 467,
            "settlement_refund": 500, "settlement_total": 12_850, "discount_refund": 33, "currency": "CNY"},
    })
}

fn unknown(error: CallError) -> UnknownReason {
    match error {
        CallError::Unknown { reason } => reason,
        other => panic!("the outcome is not unknown: {other}"),
    }
}

#[tokio::test]
async fn r9_the_journaled_bytes_are_sent_unchanged_and_the_answer_says_how_far_it_is() {
    let provider = Provider::start(|_: &Request| signed(&answer("R-1", "PROCESSING"))).await;
    let client = provider.client();
    let body = client.refund_body(&request());
    assert_eq!(body, client.refund_body(&request()));

    let refund = client.refund(&body).await.unwrap();
    let expected = Refund {
        refund_id: "50000000382019052709732678859".into(),
        out_refund_no: "R-1".into(),
        transaction_id: "4200000001202611204567890123".into(),
        out_trade_no: "T-1".into(),
        status: RefundStatus::Processing,
        amount: RefundAmount { total: 12_850, refund: 500, currency: "CNY".into() },
        success_time: Some("2026-11-20T02:01:00Z".parse().unwrap()),
    };
    assert_eq!(refund, expected);
    assert_eq!(client.refund(&body).await.unwrap(), expected);

    let seen = provider.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", REFUNDS));
    assert_eq!(seen[0].body.as_bytes(), body);
    assert_eq!(seen[0].body, seen[1].body);
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent["notify_url"], "http://127.0.0.1:8080/payments/wechat/refund-notify");
}

#[tokio::test]
async fn a_query_asks_by_our_number_and_takes_no_other_refund_for_it() {
    let provider = Provider::start(|request: &Request| match request.target.as_str() {
        "/v3/refund/domestic/refunds/R-1" => signed(&answer("R-1", "SUCCESS")),
        "/v3/refund/domestic/refunds/R-2" => signed(&answer("R-1", "SUCCESS")),
        "/v3/refund/domestic/refunds/R-3" => signed(&json!({"out_refund_no": "R-3"})),
        REFUNDS => signed(&answer("R-9", "SUCCESS")),
        _ => error(404, "RESOURCE_NOT_EXISTS"),
    })
    .await;
    let client = provider.client();

    let refund = client.query_refund("R-1").await.unwrap();
    assert_eq!((refund.status, refund.amount.refund), (RefundStatus::Success, 500));
    assert_eq!(unknown(client.query_refund("R-2").await.unwrap_err()), UnknownReason::Malformed("another refund"));
    assert_eq!(unknown(client.query_refund("R-3").await.unwrap_err()), UnknownReason::Malformed("not a refund"));
    assert_eq!(client.query_refund("../R-1").await, Err(CallError::NotFound));
    let replied = client.refund(&client.refund_body(&request())).await;
    assert_eq!(unknown(replied.unwrap_err()), UnknownReason::Malformed("another refund"));
}

#[tokio::test]
async fn r9_refused_not_there_and_unknown_are_told_apart() {
    let replies = [
        (error(403, "NOT_ENOUGH"), Some(Advice::TopUp)),
        (error(403, "USER_ACCOUNT_ABNORMAL"), Some(Advice::Refused)),
        (error(404, "RESOURCE_NOT_EXISTS"), Some(Advice::Refused)),
        (error(403, "NO_AUTH"), Some(Advice::Configuration)),
        (error(400, "INVALID_REQUEST"), Some(Advice::Query)),
        (error(429, "FREQUENCY_LIMITED"), None),
        (error(500, "SYSTEM_ERROR"), None),
        (error(401, "SIGN_ERROR"), None),
        (Reply::Answer { status: 404, headers: vec![], body: String::new() }, None),
        (Reply::Hangup, None),
        (Reply::Half, None),
    ];
    for (reply, definite) in replies {
        let script = reply.clone();
        let provider = Provider::start(move |_: &Request| script.clone()).await;
        let client = provider.client();
        let refused = client.refund(&client.refund_body(&request())).await.unwrap_err();
        match (&refused, definite) {
            (CallError::Refused { advice, .. }, Some(expected)) => assert_eq!(*advice, expected, "{reply:?}"),
            (CallError::Unknown { .. }, None) => {}
            (other, _) => panic!("{reply:?}: {other}"),
        }
    }

    let provider = Provider::start(|_: &Request| error(404, "RESOURCE_NOT_EXISTS")).await;
    assert_eq!(provider.client().query_refund("R-1").await, Err(CallError::NotFound));
}

#[tokio::test]
async fn r11_an_unsigned_acceptance_of_a_refund_is_unknown_and_neither_done_nor_failed() {
    let unsigned = Reply::Answer { status: 200, headers: vec![], body: answer("R-1", "SUCCESS").to_string() };
    let provider = Provider::start(move |_: &Request| unsigned.clone()).await;
    let client = provider.client();

    let reason = unknown(client.refund(&client.refund_body(&request())).await.unwrap_err());
    assert_eq!(reason, UnknownReason::Unverified(VerifyError::MissingHeader("Wechatpay-Timestamp")));
    let reason = unknown(client.query_refund("R-1").await.unwrap_err());
    assert_eq!(reason, UnknownReason::Unverified(VerifyError::MissingHeader("Wechatpay-Timestamp")));
}

#[tokio::test]
async fn r9_a_lost_answer_is_replayed_and_moves_the_money_once() {
    let world = World::start();
    world.created("T-refunded").await;
    let paid = world.pay("T-refunded").await;
    world.receiver.next().await;
    let body = world.client.refund_body(&RefundRequest {
        transaction_id: paid["transaction_id"].as_str().unwrap().to_owned(),
        out_trade_no: Some("T-refunded".into()),
        out_refund_no: "R-refunded".into(),
        reason: None,
        refund_minor: 2_850,
        total_minor: 12_850,
    });
    assert_eq!(world.client.query_refund("R-refunded").await, Err(CallError::NotFound));

    world.faults(json!({"refund": {"drop_after": true, "times": 1}})).await;
    unknown(world.client.refund(&body).await.unwrap_err());
    let there = world.client.query_refund("R-refunded").await.unwrap();
    let again = world.client.refund(&body).await.unwrap();
    assert_eq!((again.refund_id, again.amount.refund), (there.refund_id.clone(), 2_850));
    assert_eq!(world.look("money").await["refund_count"], json!(1));

    world.control("clock/advance", json!({"seconds": 120})).await;
    let callback = world.receiver.next().await;
    let told = world.client.verify_notification(&callback.headers(), &callback.body, Timestamp::now()).unwrap();
    let Resource::Refund(notice) = told.resource else { panic!("not about a refund") };
    assert_eq!((told.event_type.as_str(), notice.mchid.as_str()), ("REFUND.SUCCESS", common::MCHID));
    assert_eq!(notice.refund, world.client.query_refund("R-refunded").await.unwrap());
    assert_eq!(notice.refund.status, RefundStatus::Success);
}
