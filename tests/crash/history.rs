//! What was answered, and whether it is still true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::shop::{Answered, Gate, Shop, Unanswered};

/// The longest pause of a buyer who waits for the payment to arrive.
const LOOKS_AGAIN_MAX: Duration = Duration::from_millis(200);

/// Money that was taken makes tickets within this time, on a machine that does other things, too.
const PAID_WITHIN: Duration = Duration::from_mins(1);

/// How often a purchase is tried when connections break.
const TRIES: usize = 3;

/// One traveller's purchase, as far as it was answered.
#[derive(Clone, Debug, Default)]
pub struct Purchase {
    pub key: String,
    pub departure: (String, String),
    /// The departure had no seat left: an answer, too.
    pub sold_out: bool,
    pub order: Option<String>,
    pub seats: Vec<String>,
    pub number: Option<String>,
    /// The provider took the money.
    pub paid: bool,
    /// An answer said that the order is paid.
    pub seen_paid: bool,
    pub tickets: Vec<String>,
    /// The scan that was answered with success.
    pub scanned: Option<String>,
    /// Why it went no further.
    pub unanswered: Option<Arc<Unanswered>>,
}

/// All purchases of a run.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Vec<Purchase>>>);

impl History {
    pub fn add(&self, purchase: Purchase) {
        self.0.lock().unwrap().push(purchase);
    }

    pub fn purchases(&self) -> Vec<Purchase> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, what: impl Fn(&Purchase) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|purchase| what(purchase)).count()
    }
}

impl Purchase {
    /// Buys as far as the server answers: order, payment, ticket, scan. What was answered is noted at once.
    pub async fn run(&mut self, shop: &Shop, token: &str, gate: &Gate) -> Answered<()> {
        self.buy(shop, token).await?;
        if !self.seen_paid {
            return Ok(());
        }
        let Some(code) = shop.code(token, &self.tickets[0]).await? else { panic!("a paid ticket has a code") };
        let request = format!("scan-{}", self.key);
        let scan = gate.scan(&code, &request).await?;
        assert_eq!(scan["result"], "success", "{scan}");
        self.scanned = Some(request);
        Ok(())
    }

    /// The same without the scan.
    pub async fn buy(&mut self, shop: &Shop, token: &str) -> Answered<()> {
        self.place(shop, token).await?;
        let Some(id) = self.order.clone() else { return Ok(()) };
        self.number = shop.open_payment(token, &id).await?;
        let Some(number) = self.number.clone() else { return Ok(()) };
        if shop.pay(&number).await.is_ok() {
            self.paid = true;
        }
        let (since, mut pause) = (Instant::now(), Duration::from_millis(5));
        while !self.seen_paid {
            assert!(!self.paid || since.elapsed() < PAID_WITHIN, "paid, and no ticket: {self:?}");
            let (_, order) = shop.order_of(token, &id).await?;
            self.note_paid(&order);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOKS_AGAIN_MAX);
        }
        Ok(())
    }

    /// Only the order.
    pub async fn place(&mut self, shop: &Shop, token: &str) -> Answered<()> {
        let (status, order) = shop.order(token, &self.key, &self.departure).await?;
        if status == StatusCode::CONFLICT {
            assert_eq!(order["code"], "SOLD_OUT", "{order}");
            self.sold_out = true;
            return Ok(());
        }
        assert!(status.is_success(), "{status} {order}");
        self.note_order(&order);
        Ok(())
    }

    fn note_order(&mut self, order: &Value) {
        self.order = order["orderId"].as_str().map(str::to_owned);
        self.seats = texts(&order["items"][0]["seatNumbers"]);
        assert!(!self.seats.is_empty(), "an order names its seats: {order}");
    }

    fn note_paid(&mut self, order: &Value) {
        if matches!(order["status"].as_str(), Some("paid" | "completed")) {
            self.seen_paid = true;
            let tickets = order["tickets"].as_array().into_iter().flatten();
            self.tickets = tickets.filter_map(|ticket| ticket["ticketId"].as_str().map(str::to_owned)).collect();
            assert_eq!(self.tickets.len(), self.seats.len(), "one ticket per seat: {order}");
        }
    }

    /// Buys as a careful client does: what a broken connection left open is repeated, with the same key.
    pub async fn run_carefully(&mut self, shop: &Shop, token: &str, gate: &Gate) {
        for _ in 0..TRIES {
            self.unanswered = self.run(shop, token, gate).await.err().map(Arc::new);
            if !matches!(self.unanswered.as_deref(), Some(Unanswered::Broken(_))) {
                return;
            }
        }
    }

    /// Everything that was answered is still true, and what was not answered can be finished.
    pub async fn check(&mut self, shop: &Shop, token: &str, gate: &Gate) {
        let before = self.clone();
        let (status, order) = patiently(|| shop.order(token, &self.key, &self.departure)).await;
        if let Some(id) = &before.order {
            assert_eq!(status, StatusCode::OK, "the key of an answered order gives it back: {order}");
            assert_eq!(order["orderId"].as_str(), Some(id.as_str()));
            assert_eq!(texts(&order["items"][0]["seatNumbers"]), before.seats, "it has its seats");
        } else if status == StatusCode::CONFLICT {
            return;
        }
        assert!(status.is_success(), "{status} {order}");
        self.note_order(&order);
        let id = self.order.clone().unwrap();
        if before.paid {
            let since = Instant::now();
            while !self.seen_paid {
                assert!(since.elapsed() < PAID_WITHIN, "paid, and no ticket: {self:?}");
                let (_, order) = patiently(|| shop.order_of(token, &id)).await;
                assert_ne!(order["status"], "cancelled", "money was taken");
                self.note_paid(&order);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if before.seen_paid {
            assert_eq!(self.tickets, before.tickets, "tickets are issued once");
        }
        if let Some(request) = &before.scanned {
            let code = patiently(|| shop.code(token, &before.tickets[0])).await.expect("a code");
            let request = format!("{request}-again");
            let again = patiently(|| gate.scan(&code, &request)).await;
            assert_eq!(again["result"], "reject", "{again}");
            assert_eq!(again["reason"], "ALREADY_REDEEMED", "{again}");
        }
    }
}

/// Repeats until there is an answer.
pub async fn patiently<T, F: Future<Output = Answered<T>>>(attempt: impl Fn() -> F) -> T {
    for _ in 0..500 {
        match attempt().await {
            Ok(answer) => return answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("no answer in ten seconds");
}

/// No seat of a departure was answered to two orders.
pub fn assert_no_seat_twice(purchases: &[Purchase]) {
    let mut owners: HashMap<(&str, &str), &str> = HashMap::new();
    for purchase in purchases {
        let Some(order) = &purchase.order else { continue };
        for seat in &purchase.seats {
            let earlier = owners.insert((&purchase.departure.0, seat), order);
            assert!(earlier.is_none_or(|earlier| earlier == order), "seat {seat} of {} twice", purchase.departure.0);
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
