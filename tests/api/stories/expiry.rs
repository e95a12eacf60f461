//! Locks that end (R-HOLD-03, R-HOLD-09, R-PAY-03). Each story has a server of its own with a lock of a few seconds.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::client::Client;
use crate::server::another;
use crate::shop::{at, chosen, eventually};

fn quick() -> Client {
    Client::of(another(&[
        ("DEEPTRAVEL__ORDER__LOCK_SECONDS", "3"),
        ("DEEPTRAVEL__ORDER__PAYMENT_MIN_SECONDS", "1"),
        ("DEEPTRAVEL__ORDER__PAYMENT_GRACE_SECONDS", "1"),
    ]))
}

#[tokio::test]
async fn r_hold_03_an_unpaid_order_frees_its_seats_at_lock_expire_at_for_the_next_buyer() {
    let client = quick();
    let (mei, bo) = (client.traveller("mei").await, client.traveller("bo").await);
    let coach = client.coach().await;
    let order = mei.place(&[chosen(&coach, &["01A", "01B"])], 2).await.ok();
    let expiry = at(&order["lockExpireAt"]);

    let bought = eventually("the seats are free", async || {
        let asked = Timestamp::now();
        let answer = bo.place(&[chosen(&coach, &["01B", "01A"])], 2).await;
        if answer.status == 201 {
            assert!(Timestamp::now() >= expiry, "not before the lock ends");
            return Some(answer.body);
        }
        answer.problem(409, "SEAT_TAKEN");
        assert!(asked < expiry, "at lockExpireAt the seats are free, whatever the timers do");
        None
    })
    .await;
    let cancelled = mei.becomes(&order, "cancelled").await;
    assert_eq!(cancelled["cancelReason"], "expired");
    mei.try_session(&order).await.problem(409, "ORDER_NOT_PAYABLE");
    assert_eq!(bo.status(&bought).await, "pending");
}

#[tokio::test]
async fn r_pay_03_with_a_begun_payment_seats_are_free_only_after_the_close_is_confirmed() {
    let client = quick();
    let (mei, bo) = (client.traveller("mei").await, client.traveller("bo").await);
    let coach = client.coach().await;
    client.tell_simulator("/faults", &json!({ "close": { "status_before": 500 } })).await;
    let order = mei.place(&[chosen(&coach, &["01A"])], 1).await.ok();
    mei.begin_payment(&order).await;
    // The lock, the grace, and some more: far beyond what a blind release would wait for.
    let long_past = at(&mei.shown(&order).await["lockExpireAt"]) + SignedDuration::from_millis(1500);
    eventually("the time is over", async || {
        bo.place(&[chosen(&coach, &["01A"])], 1).await.problem(409, "SEAT_TAKEN");
        assert_eq!(mei.status(&order).await, "pending");
        (Timestamp::now() > long_past).then_some(())
    })
    .await;

    client.clear_faults().await;
    let bought = eventually("the close is confirmed", async || {
        Some(bo.place(&[chosen(&coach, &["01A"])], 1).await).filter(|answer| answer.status == 201)
    })
    .await;
    assert_eq!(bought.body["items"][0]["seatNumbers"], json!(["01A"]));
    assert_eq!(mei.becomes(&order, "cancelled").await["cancelReason"], "expired");
    let transactions = client.ask_simulator("/transactions").await;
    assert_eq!(transactions[0]["trade_state"], "CLOSED", "{transactions}");
}

#[tokio::test]
async fn r_pay_03_money_at_the_last_moment_while_the_payment_is_being_closed_pays_the_order() {
    let client = quick();
    let mei = client.traveller("mei").await;
    let coach = client.coach().await;
    // The close takes effect late and no callback arrives: only the query after the close can tell.
    let faults = json!({ "close": { "delay_before_ms": 1500 }, "notify": { "lose_notify": true } });
    client.tell_simulator("/faults", &faults).await;
    let order = mei.place(&[chosen(&coach, &["01A"])], 1).await.ok();
    let number = mei.begin_payment(&order).await;
    let expiry = at(&mei.shown(&order).await["lockExpireAt"]);
    eventually("the lock ends", async || (Timestamp::now() > expiry).then_some(())).await;
    assert_eq!(mei.status(&order).await, "pending");

    mei.press(&number, &json!({ "force": true })).await;
    let paid = mei.becomes(&order, "paid").await;
    assert_eq!(paid["tickets"][0]["seatNumber"], "01A");
    assert_eq!(client.available(&coach, "").await, 34);
}
