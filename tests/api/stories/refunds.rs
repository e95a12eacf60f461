//! Money that goes back, as its traveller sees it (R-PAY-04).

use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::shop::{COACH_SEATS, eventually, id, journey, text};

/// Most passengers of an order.
const PARTY_MAX: u64 = 10;

/// Buys every seat that is left.
async fn fill(buyer: &Person, coach: &str) {
    loop {
        let left = buyer.client.available(coach, "").await;
        if left == 0 {
            return;
        }
        let order = buyer.place(&[journey(coach)], left.min(PARTY_MAX) as usize).await.ok();
        buyer.pay(&order).await;
    }
}

/// An order that was given up after its payment had begun, and the payment's number.
async fn given_up(traveller: &Person, coach: &str) -> (Value, String) {
    let order = traveller.place(&[journey(coach)], 1).await.ok();
    let number = traveller.begin_payment(&order).await;
    assert_eq!(traveller.cancel(&order).await.ok()["status"], "cancelled");
    (order, number)
}

async fn refund_of(traveller: &Person, order: &Value) -> Value {
    eventually("the order shows its refund", async || {
        let shown = traveller.shown(order).await;
        shown["refunds"].as_array().map(|refunds| {
            assert_eq!(refunds.len(), 1, "{shown}");
            refunds[0].clone()
        })
    })
    .await
}

#[tokio::test]
async fn r_pay_04_a_traveller_sees_late_money_on_its_way_until_it_is_back() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("refunds-mei").await, client.traveller("refunds-bo").await);
    let coach = client.coach().await;
    assert_eq!(client.available(&coach, "").await, COACH_SEATS);
    let (first, first_number) = given_up(&mei, &coach).await;
    let (second, second_number) = given_up(&mei, &coach).await;
    fill(&bo, &coach).await;
    assert!(mei.shown(&first).await.get("refunds").is_none(), "nothing goes back yet");

    mei.press(&first_number, &json!({ "force": true })).await;
    let refund = refund_of(&mei, &first).await;
    assert_eq!((&refund["reason"], &refund["amount"]), (&json!("late"), &first["amount"]));
    assert_eq!(refund["orderId"], first["orderId"]);
    mei.press(&second_number, &json!({ "force": true })).await;
    refund_of(&mei, &second).await;

    for order in [&first, &second] {
        let number = text(&refund_of(&mei, order).await["refundId"]);
        let back = eventually("the money is back", async || {
            let url = format!("{}/refunds/{number}/settle", client.server.simulator);
            // Until the call has come there is nothing to be settled.
            client.send(client.http.post(url).json(&json!({ "status": "SUCCESS" }))).await;
            Some(refund_of(&mei, order).await).filter(|refund| refund["status"] == "succeeded")
        })
        .await;
        assert!(back["completedAt"].is_string() && back["createdAt"].is_string(), "{back}");
        assert_eq!(mei.status(order).await, "cancelled");
    }

    let list = mei.get("/my/refunds").await.ok();
    let orders: Vec<&Value> = list["refunds"].as_array().unwrap().iter().map(|refund| &refund["orderId"]).collect();
    assert_eq!(orders, [&second["orderId"], &first["orderId"]], "the newest first");
    assert_eq!(list["complete"], true);
    let page = mei.get("/my/refunds?limit=1").await.ok();
    assert_eq!(page["refunds"], json!([list["refunds"][0]]));
    let page = mei.get(&format!("/my/refunds?limit=1&cursor={}", text(&page["nextCursor"]))).await.ok();
    assert_eq!((&page["refunds"], page.get("nextCursor")), (&json!([list["refunds"][1]]), None));
    let orders = mei.get("/orders").await.ok();
    assert_eq!(orders["orders"][0]["refunds"], json!([list["refunds"][0]]), "lists of orders show them, too");
    assert_eq!(bo.get("/my/refunds").await.ok()["refunds"], json!([]), "everybody sees one's own");
}

#[tokio::test]
async fn r_pay_04_an_order_that_late_money_revived_shows_as_paid_and_nothing_goes_back() {
    let client = Client::new();
    let mei = client.traveller("revived").await;
    let (order, number) = given_up(&mei, &client.coach().await).await;
    mei.press(&number, &json!({ "force": true })).await;
    let paid = mei.becomes(&order, "paid").await;
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 1);
    for absent in ["cancelledAt", "cancelReason", "refunds"] {
        assert!(paid.get(absent).is_none(), "{absent}: {paid}");
    }
    let listed = mei.get("/orders").await.ok();
    assert_eq!((&listed["orders"][0]["orderId"], &listed["orders"][0]["status"]), (&json!(id(&order)), &json!("paid")));
    assert_eq!(mei.get("/my/refunds").await.ok()["refunds"], json!([]));
}
