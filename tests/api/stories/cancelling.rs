//! Orders that travellers give up (R-HOLD-03, R-PAY-03).

use serde_json::json;

use crate::client::Client;
use crate::server::another;
use crate::shop::journey;

async fn trade_state(client: &Client, number: &str) -> String {
    let transactions = client.ask_simulator("/transactions").await;
    let all = transactions.as_array().unwrap();
    let transaction = all.iter().find(|transaction| transaction["out_trade_no"] == number).unwrap();
    crate::shop::text(&transaction["trade_state"])
}

#[tokio::test]
async fn r_hold_03_an_order_without_a_payment_is_cancelled_at_once_and_stays_so() {
    let client = Client::new();
    let mei = client.traveller("gives-up").await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 3).await.ok();
    for _ in 0..2 {
        let cancelled = mei.cancel(&order).await.ok();
        assert_eq!((&cancelled["status"], &cancelled["cancelReason"]), (&json!("cancelled"), &json!("traveller")));
        assert_eq!(client.available(&coach, "").await, 35);
    }
    mei.try_session(&order).await.problem(409, "ORDER_NOT_PAYABLE");
    assert_eq!(mei.get("/my/tickets").await.ok()["tickets"], json!([]));
}

#[tokio::test]
async fn r_pay_03_a_begun_payment_is_closed_at_the_provider_before_the_answer() {
    let client = Client::new();
    let mei = client.traveller("closes").await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 3).await.ok();
    let number = mei.begin_payment(&order).await;
    assert_eq!(trade_state(&client, &number).await, "NOTPAY");
    assert_eq!(mei.cancel(&order).await.ok()["status"], "cancelled");
    assert_eq!(trade_state(&client, &number).await, "CLOSED");
    assert_eq!(client.available(&coach, "").await, 35);
}

#[tokio::test]
async fn r_pay_03_while_the_provider_does_not_answer_the_order_stays_pending_and_keeps_its_seats() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 3).await.ok();
    let number = mei.begin_payment(&order).await;
    let down = json!({ "status_before": 500 });
    client.tell_simulator("/faults", &json!({ "close": down, "query": down })).await;
    mei.cancel(&order).await.problem(502, "PAYMENT_PROVIDER");
    assert_eq!(mei.status(&order).await, "pending");
    assert_eq!(client.available(&coach, "").await, 32);
    assert_eq!(trade_state(&client, &number).await, "NOTPAY");

    client.clear_faults().await;
    assert_eq!(mei.becomes(&order, "cancelled").await["cancelReason"], "traveller");
    assert_eq!(trade_state(&client, &number).await, "CLOSED");
    assert_eq!(client.available(&coach, "").await, 35);
    assert_eq!(mei.cancel(&order).await.ok()["status"], "cancelled");
}

#[tokio::test]
async fn a_paid_order_cannot_be_given_up() {
    let client = Client::new();
    let mei = client.traveller("paid-already").await;
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    mei.pay(&order).await;
    mei.cancel(&order).await.problem(409, "ORDER_PAID");
    assert_eq!(mei.status(&order).await, "paid");
}
