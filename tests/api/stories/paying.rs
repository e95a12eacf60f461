//! Payment sessions and money that comes (R-PAY-01, R-PAY-02, R-PAY-05), and the tickets for it (R-TICKET-03).

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::another;
use crate::shop::{eventually, id, journey, text};

fn ticket_ids(order: &Value) -> Vec<String> {
    order["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["ticketId"])).collect()
}

#[tokio::test]
async fn r_pay_01_asking_for_the_payment_again_gives_the_same_parameters() {
    let client = Client::new();
    let mei = client.traveller("session").await;
    let order = mei.place(&[journey(&client.coach().await)], 2).await.ok();
    let sessions = join_all((0..6).map(|_| mei.try_session(&order))).await;
    let first = sessions[0].clone().ok();
    for field in ["outTradeNo", "prepayId", "appId", "timeStamp", "nonceStr", "package", "signType", "paySign"] {
        assert!(!text(&first[field]).is_empty(), "{field}");
    }
    assert_eq!(first["package"], format!("prepay_id={}", text(&first["prepayId"])));
    assert!(sessions.iter().all(|session| session.body == first));
    assert_eq!(mei.try_session(&order).await.ok(), first);

    let transactions = client.ask_simulator("/transactions").await;
    let number = text(&first["outTradeNo"]);
    let mine: Vec<&Value> = transactions
        .as_array()
        .unwrap()
        .iter()
        .filter(|other| text(&other["out_trade_no"]).starts_with(&id(&order)))
        .collect();
    assert_eq!(mine.len(), 1, "one live transaction per order");
    assert_eq!((&mine[0]["out_trade_no"], &mine[0]["amount"]["total"]), (&json!(number), &order["amount"]["amount"]));

    let status = mei.get(&format!("/payments/{}/status", id(&order))).await.ok();
    assert_eq!(status["status"], "pending");
    mei.pay(&order).await;
    mei.try_session(&order).await.problem(409, "ORDER_NOT_PAYABLE");
    let status = mei.get(&format!("/payments/{}/status", id(&order))).await.ok();
    assert_eq!(status["status"], "paid");
}

#[tokio::test]
async fn r_pay_01_a_provider_that_fails_is_asked_again_and_there_is_still_one_transaction() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    // The first call takes effect, and its answer is lost.
    client.tell_simulator("/faults", &json!({ "create": { "drop_after": true, "times": 1 } })).await;
    mei.try_session(&order).await.problem(502, "PAYMENT_PROVIDER");
    assert_eq!(mei.status(&order).await, "pending");
    let session =
        eventually("the session", async || Some(mei.try_session(&order).await).filter(|answer| answer.status == 200))
            .await;
    let transactions = client.ask_simulator("/transactions").await;
    assert_eq!(transactions.as_array().unwrap().len(), 1, "{transactions}");
    assert_eq!(transactions[0]["out_trade_no"], session.body["outTradeNo"]);
    mei.pay(&order).await;
}

#[tokio::test]
async fn r_pay_02_r_ticket_03_however_often_the_callback_comes_tickets_are_issued_once() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let order = mei.place(&[journey(&client.coach().await)], 3).await.ok();
    let number = mei.begin_payment(&order).await;
    client.tell_simulator("/faults", &json!({ "notify": { "duplicate_notify": 7, "times": 1 } })).await;
    mei.press(&number, &json!({})).await;
    let paid = mei.becomes(&order, "paid").await;
    assert_eq!(ticket_ids(&paid).len(), 3);
    for _ in 0..3 {
        client.send(client.http.post(format!("{}/transactions/{number}/notify", client.server.simulator))).await.ok();
    }
    let deliveries = eventually("eleven callbacks", async || {
        Some(client.deliveries(&number).await).filter(|deliveries| deliveries.len() >= 11)
    })
    .await;
    assert!(deliveries.iter().all(|delivery| delivery["status"] == 204), "{deliveries:?}");
    assert_eq!(mei.shown(&order).await, paid);

    let listed = mei.get("/my/tickets").await.ok();
    assert_eq!(listed["tickets"].as_array().unwrap().len(), 3, "the list has waited for the projector");
    let database = client.database().await;
    let count = async |query: &str| -> i64 { database.query_one(query, &[]).await.unwrap().get(0) };
    assert_eq!(count("SELECT count(*) FROM tickets").await, 3);
    assert_eq!(count("SELECT count(*) FROM ticket_status_audit").await, 3);
    assert_eq!(count("SELECT count(*) FROM ledger_entries").await, 1);
    let total = order["amount"]["amount"].as_i64().unwrap();
    assert_eq!(count("SELECT amount_minor FROM ledger_entries WHERE kind = 'captured'").await, total);
}

#[tokio::test]
async fn r_pay_05_a_callback_that_never_comes_is_found_by_query() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let order = mei.place(&[journey(&client.coach().await)], 2).await.ok();
    client.tell_simulator("/faults", &json!({ "notify": { "lose_notify": true } })).await;
    let number = mei.begin_payment(&order).await;
    mei.press(&number, &json!({})).await;
    let paid = mei.becomes(&order, "paid").await;
    assert_eq!(ticket_ids(&paid).len(), 2);
    let deliveries = client.deliveries(&number).await;
    assert!(deliveries.iter().all(|delivery| delivery["error"] == "lost"), "{deliveries:?}");

    client.clear_faults().await;
    client.send(client.http.post(format!("{}/transactions/{number}/notify", client.server.simulator))).await.ok();
    eventually("a late callback is accepted", async || {
        client.deliveries(&number).await.iter().any(|delivery| delivery["status"] == 204).then_some(())
    })
    .await;
    assert_eq!(mei.shown(&order).await, paid, "and changes nothing");
}
