//! Money around the end of payment (R-PAY-04): a second before, at, during the close, after it. It pays the order, or
//! finds seats again, or goes back, once; and the next buyer's seats are nobody else's.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::server::{Server, another};
use crate::shop::{Money, at, chosen, eventually, journey, seats};

/// Seats on which the story turns.
const WANTED: [&str; 2] = ["01A", "01B"];

/// A server with locks of a few seconds, for the stories of this file. Its provider's faults are told by number.
fn quick() -> Client {
    static SERVER: OnceLock<&'static Server> = OnceLock::new();
    Client::of(SERVER.get_or_init(|| {
        another(&[
            ("DEEPTRAVEL__ORDER__LOCK_SECONDS", "4"),
            ("DEEPTRAVEL__ORDER__PAYMENT_MIN_SECONDS", "1"),
            ("DEEPTRAVEL__ORDER__PAYMENT_GRACE_SECONDS", "1"),
        ])
    }))
}

/// Two who want the same seats; the first one has them, and a payment is open.
struct Rivals {
    client: Client,
    mei: Person,
    bo: Person,
    coach: String,
    order: Value,
    number: String,
    expiry: Timestamp,
}

impl Rivals {
    async fn of(client: Client, story: &str) -> Rivals {
        let (mei, bo) =
            (client.traveller(&format!("mei-{story}")).await, client.traveller(&format!("bo-{story}")).await);
        let coach = client.coach().await;
        let order = mei.place(&[chosen(&coach, &WANTED)], 2).await.ok();
        let number = mei.begin_payment(&order).await;
        let expiry = at(&mei.shown(&order).await["lockExpireAt"]);
        Rivals { client, mei, bo, coach, order, number, expiry }
    }

    /// A fault that strikes this payment alone.
    async fn fault(&self, endpoint: &str, mut fault: Value) {
        fault["number"] = json!(self.number);
        self.client.tell_simulator("/faults", &json!({ endpoint: fault })).await;
    }

    /// Waits until so many seconds after the end of payment.
    async fn until(&self, seconds: i64) {
        let then = self.expiry + SignedDuration::from_secs(seconds);
        eventually("the time has come", async || (Timestamp::now() >= then).then_some(())).await;
    }

    /// Pays whatever the provider would say of it.
    async fn pay(&self) {
        self.mei.press(&self.number, &json!({ "force": true })).await;
    }

    /// The order is paid, on these seats.
    async fn paid(&self, wanted: &[&str]) -> Value {
        let paid = self.mei.becomes(&self.order, "paid").await;
        assert_eq!(seats(&paid), wanted);
        let tickets: Vec<&Value> = paid["tickets"].as_array().unwrap().iter().map(|one| &one["seatNumber"]).collect();
        assert_eq!(tickets, wanted);
        self.adds_up(Money { captured: self.total(), due: 0, refunded: 0 }).await;
        paid
    }

    fn total(&self) -> i64 {
        self.order["amount"]["amount"].as_i64().unwrap()
    }

    async fn adds_up(&self, money: Money) {
        self.client.money_becomes(&self.order, money).await;
    }

    /// Nobody else gets the seats of a paid order.
    async fn bo_is_refused(&self) {
        self.bo.place(&[chosen(&self.coach, &WANTED)], 2).await.problem(409, "SEAT_TAKEN");
    }

    /// The next buyer takes the seats as soon as they are free, and pays.
    async fn bo_buys(&self) -> Value {
        let order = eventually("the seats are free", async || {
            Some(self.bo.place(&[chosen(&self.coach, &WANTED)], 2).await).filter(|answer| answer.status == 201)
        })
        .await
        .body;
        self.bo.pay(&order).await
    }

    /// The next buyer's seats are what they were, and let people in.
    async fn bo_boards(&self, bought: &Value) {
        let now = self.bo.shown(bought).await;
        assert_eq!((&now["status"], seats(&now)), (&json!("paid"), seats(bought)));
        assert_eq!(now["tickets"], bought["tickets"]);
        let gate = self.client.operator("gate").await.gate(&json!({ "deviceId": "late-money" })).await;
        for ticket in bought["tickets"].as_array().unwrap() {
            let code = self.bo.ticket_code(ticket).await;
            let scanned = gate.scan(&code, ticket["ticketId"].as_str().unwrap()).await;
            assert_eq!(scanned["result"], "success", "{scanned}");
        }
    }
}

#[tokio::test]
async fn r_pay_04_money_a_second_before_the_end_pays_the_order() {
    let rivals = Rivals::of(quick(), "before").await;
    rivals.until(-1).await;
    rivals.bo_is_refused().await;
    rivals.pay().await;
    rivals.paid(&WANTED).await;
    rivals.until(1).await;
    rivals.bo_is_refused().await;
    rivals.paid(&WANTED).await;
}

#[tokio::test]
async fn r_pay_04_money_a_second_before_the_end_that_nobody_tells_of_is_found_by_the_close() {
    let rivals = Rivals::of(quick(), "before-untold").await;
    rivals.fault("notify", json!({ "lose_notify": true })).await;
    rivals.until(-1).await;
    rivals.pay().await;
    rivals.until(0).await;
    rivals.bo_is_refused().await;
    rivals.paid(&WANTED).await;
}

#[tokio::test]
async fn r_pay_04_money_at_the_end_pays_the_order_or_finds_its_free_seats() {
    let rivals = Rivals::of(quick(), "at").await;
    rivals.until(0).await;
    rivals.pay().await;
    rivals.paid(&WANTED).await;
    rivals.bo_is_refused().await;
}

#[tokio::test]
async fn r_pay_04_money_at_the_end_never_takes_what_the_next_buyer_got() {
    let rivals = Rivals::of(quick(), "at-resold").await;
    rivals.until(0).await;
    // Whoever of the two is first: one has these seats, the other one other seats or none of these.
    let wanted = [chosen(&rivals.coach, &WANTED)];
    let (bought, ()) = tokio::join!(rivals.bo.place(&wanted, 2), rivals.pay());
    let paid = rivals.mei.becomes(&rivals.order, "paid").await;
    rivals.adds_up(Money { captured: rivals.total(), due: 0, refunded: 0 }).await;
    if bought.status == 201 {
        let bought = rivals.bo.pay(&bought.body).await;
        assert!(!seats(&paid).iter().any(|seat| WANTED.contains(&seat.as_str())), "{paid}");
        rivals.bo_boards(&bought).await;
    } else {
        bought.problem(409, "SEAT_TAKEN");
        assert_eq!(seats(&paid), WANTED);
    }
}

#[tokio::test]
async fn r_pay_04_money_during_the_close_after_the_end_pays_the_order() {
    let rivals = Rivals::of(quick(), "during").await;
    rivals.fault("notify", json!({ "lose_notify": true })).await;
    rivals.fault("close", json!({ "delay_before_ms": 1500 })).await;
    rivals.until(1).await;
    rivals.bo_is_refused().await;
    rivals.pay().await;
    rivals.paid(&WANTED).await;
    rivals.bo_is_refused().await;
}

#[tokio::test]
async fn r_pay_04_who_pays_while_his_cancellation_closes_the_payment_has_bought() {
    let rivals = Rivals::of(Client::new(), "cancels").await;
    rivals.fault("close", json!({ "pay_during": true })).await;
    rivals.mei.cancel(&rivals.order).await;
    rivals.paid(&WANTED).await;
    rivals.bo_is_refused().await;
}

#[tokio::test]
async fn r_pay_04_money_after_the_close_finds_its_free_seats() {
    let rivals = Rivals::of(quick(), "after").await;
    assert_eq!(rivals.mei.becomes(&rivals.order, "cancelled").await["cancelReason"], "expired");
    rivals.pay().await;
    rivals.paid(&WANTED).await;
    rivals.bo_is_refused().await;
}

#[tokio::test]
async fn r_pay_04_money_after_the_close_takes_equal_seats_when_its_own_are_resold() {
    let rivals = Rivals::of(quick(), "after-resold").await;
    let bought = rivals.bo_buys().await;
    rivals.pay().await;
    let paid = rivals.mei.becomes(&rivals.order, "paid").await;
    assert_eq!((seats(&paid).len(), seats(&bought)), (2, WANTED.map(str::to_owned).to_vec()));
    assert!(!seats(&paid).iter().any(|seat| WANTED.contains(&seat.as_str())), "{paid}");
    rivals.adds_up(Money { captured: rivals.total(), due: 0, refunded: 0 }).await;
    rivals.bo_boards(&bought).await;
}

#[tokio::test]
async fn r_pay_04_money_that_comes_after_a_close_that_was_answered_goes_back_once_when_all_is_sold() {
    let rivals = Rivals::of(Client::new(), "sold-out").await;
    assert_eq!(rivals.mei.cancel(&rivals.order).await.ok()["status"], "cancelled");
    let bought = rivals.bo_buys().await;
    // 35 seats: one is left, and an order of two is not torn apart.
    for party in [10, 10, 10, 2] {
        rivals.bo.place(&[journey(&rivals.coach)], party).await.ok();
    }
    assert_eq!(rivals.client.available(&rivals.coach, "").await, 1);

    rivals.pay().await;
    rivals.adds_up(Money { captured: rivals.total(), due: 0, refunded: rivals.total() }).await;
    for _ in 0..3 {
        let again = format!("{}/transactions/{}/notify", rivals.client.server.simulator, rivals.number);
        rivals.client.send(rivals.client.http.post(again)).await.ok();
    }
    eventually("four notices are answered", async || {
        let deliveries = rivals.client.deliveries(&rivals.number).await;
        let about_payment = deliveries.iter().filter(|one| one["out_refund_no"].is_null() && one["status"] == 204);
        (about_payment.count() >= 4).then_some(())
    })
    .await;
    assert_eq!(rivals.mei.status(&rivals.order).await, "cancelled");
    rivals.adds_up(Money { captured: rivals.total(), due: 0, refunded: rivals.total() }).await;
    let really = rivals.client.refunds(&rivals.number).await;
    assert_eq!(really.len(), 1, "{really:?}");
    assert_eq!((&really[0]["status"], really[0]["amount"].as_i64()), (&json!("SUCCESS"), Some(rivals.total())));
    assert_eq!(rivals.client.available(&rivals.coach, "").await, 1, "what was found in between is given back");
    rivals.bo_boards(&bought).await;
    let metrics = rivals.client.get("/metrics").await.text;
    assert!(metrics.lines().any(|line| line == "seats_resold_while_payable 0"), "{metrics}");
}
