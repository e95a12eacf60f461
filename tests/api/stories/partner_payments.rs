//! A partner's system tells what its customers have paid (R-OTA-06, R-OTA-09).

use deeptravel_domain::webhook::signature::Secret;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Answer, Client, Partner, signed, signed_at};
use crate::shop::{eventually, monday, text};

const PAYMENT: &str = "/api/ota/webhooks/payment";

/// A partner with a webhook and tickets of a product of its own.
struct Seller {
    partner: Partner,
    secret: Secret,
    tickets: Vec<String>,
}

impl Seller {
    async fn new(name: &str, product: u32, tickets: u32) -> Seller {
        let partner = Client::new().seller(name, product, 50).await;
        let batch = partner.generate(product, tickets, "B-1").await.ok();
        let tickets = batch["tickets"].as_array().unwrap().iter().map(|ticket| text(&ticket["ticketCode"])).collect();
        Seller { secret: partner.secret().await, partner, tickets }
    }

    fn paid(&self, ticket: usize, reference: &str) -> Value {
        json!({
            "ticketCode": self.tickets[ticket], "paymentReference": reference, "paidAt": "2026-12-01T10:00:00+08:00",
            "visitDate": monday(),
        })
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.partner.client.request(Method::POST, path).header("X-API-Key", &self.partner.key)
    }

    async fn tells(&self, id: &str, body: &Value) -> Answer {
        self.partner.client.send(signed(self.request(PAYMENT), &self.secret, id, body)).await
    }

    async fn calls(&self, ticket: usize, reference: &str) -> Answer {
        let customer = json!({ "name": "Lam Mei", "phone": "+85291234567" });
        let body = json!({ "customerDetails": customer, "paymentReference": reference, "visitDate": monday() });
        self.partner.post(&format!("/api/ota/tickets/{}/activate", self.tickets[ticket]), &body).await
    }

    /// The orders of the partner, as its list shows them.
    async fn orders(&self) -> u64 {
        self.partner.get("/api/ota/tickets?status=ACTIVE").await.ok()["totalCount"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn r_ota_06_a_signed_message_makes_an_order_once_however_often_it_comes() {
    let seller = Seller::new("tells-payments", 92_101, 3).await;
    let body = seller.paid(0, "PAY-1");
    let told = join_all((0..4).map(|_| seller.tells("msg_1", &body))).await;
    assert!(told.iter().all(|answer| answer.status == 204), "{told:?}");
    eventually("one order", async || (seller.orders().await == 1).then_some(())).await;

    let refused = seller.tells("msg_2", &body).await.problem(409, "TICKET_ALREADY_ACTIVATED");
    assert_eq!(refused.body["orderId"], json!(seller.tickets[0]), "which names the order");
    seller.calls(0, "PAY-1").await.problem(409, "TICKET_ALREADY_ACTIVATED");
    seller.calls(1, "PAY-2").await.ok();
    seller.tells("msg_1", &seller.paid(1, "PAY-2")).await.problem(409, "TICKET_ALREADY_ACTIVATED");

    // The call and the message at once: one of them, and there is one order.
    let body = seller.paid(2, "PAY-3");
    let (called, told) = tokio::join!(seller.calls(2, "PAY-3"), seller.tells("msg_3", &body));
    if called.status == 200 {
        told.problem(409, "TICKET_ALREADY_ACTIVATED");
    } else {
        called.problem(409, "TICKET_ALREADY_ACTIVATED");
        assert_eq!(told.status, 204);
    }
    eventually("three orders", async || (seller.orders().await == 3).then_some(())).await;
}

#[tokio::test]
async fn r_ota_09_a_message_of_somebody_else_or_of_another_time_is_refused_and_makes_nothing() {
    let seller = Seller::new("payments-refused", 92_102, 1).await;
    let (client, body) = (&seller.partner.client, seller.paid(0, "PAY-1"));
    let now = jiff::Timestamp::now().as_second();
    let send = async |request: RequestBuilder| client.send(request).await.problem(401, "INVALID_SIGNATURE");

    let unsigned = send(seller.request(PAYMENT).json(&body)).await;
    assert!(unsigned.text.contains("webhook-id"), "{}", unsigned.text);
    let without_time = signed(seller.request(PAYMENT), &seller.secret, "msg_1", &body).build().unwrap();
    let mut headers = without_time.headers().clone();
    headers.remove("webhook-timestamp");
    send(seller.request(PAYMENT).headers(headers).body(body.to_string())).await;
    for seconds in [-301, 301, -86_400] {
        send(signed_at(seller.request(PAYMENT), &seller.secret, "msg_1", now + seconds, &body)).await;
    }
    let other = Secret::from_chance([9; 32]);
    send(signed(seller.request(PAYMENT), &other, "msg_1", &body)).await;
    let altered = signed(seller.request(PAYMENT), &seller.secret, "msg_1", &body);
    send(altered.body(seller.paid(0, "PAY-2").to_string())).await;
    // Another partner's signature, also for its own key: it has no webhook yet.
    let stranger = client.partner("payments-stranger").await;
    let request = || client.request(Method::POST, PAYMENT).header("X-API-Key", &stranger.key);
    send(signed(request(), &seller.secret, "msg_1", &body)).await;
    let foreign = stranger.secret().await;
    client.send(signed(request(), &foreign, "msg_1", &body)).await.problem(404, "TICKET_NOT_FOUND");
    let request = client.request(Method::POST, PAYMENT);
    client.send(signed(request, &seller.secret, "msg_1", &body)).await.problem(401, "API_KEY_REQUIRED");

    assert_eq!(seller.orders().await, 0, "nothing came of any of them");
    assert_eq!(seller.tells("msg_1", &body).await.status, 204);
}

#[tokio::test]
async fn r_ota_09_a_message_is_believed_by_the_secret_before_the_newest_for_a_day() {
    let seller = Seller::new("payments-rotate", 92_103, 2).await;
    let admin = seller.partner.client.administrator().await;
    let renewed = admin.send(Method::POST, "/admin/ota/partners/payments-rotate/webhooks/secret").await.ok();
    assert_eq!(seller.tells("msg_1", &seller.paid(0, "PAY-1")).await.status, 204);
    let newest = Seller { secret: text(&renewed["secret"]).parse().unwrap(), ..seller };
    assert_eq!(newest.tells("msg_2", &newest.paid(1, "PAY-2")).await.status, 204);
}

#[tokio::test]
async fn r_ota_06_a_message_that_says_what_cannot_be_is_refused_by_its_field() {
    let seller = Seller::new("payments-wrong", 92_104, 1).await;
    let says = async |change: Value| {
        let mut body = seller.paid(0, "PAY-1");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        seller.tells("msg_1", &body).await
    };
    says(json!({ "paidAt": "yesterday" })).await.names("paidAt");
    for long_ago in ["-009999-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
        says(json!({ "paidAt": long_ago })).await.names("paidAt");
    }
    says(json!({ "paymentReference": " " })).await.names("paymentReference");
    says(json!({ "customerType": "dog" })).await.names("customerType");
    says(json!({ "visitDate": "tomorrow" })).await.names("visitDate");
    says(json!({ "customerDetails": { "name": "Lam Mei", "phone": "call me" } })).await.names("customerDetails.phone");
    for ticket in ["none", "01K2QJ7E6V80ABT0000000001W"] {
        says(json!({ "ticketCode": ticket })).await.problem(404, "TICKET_NOT_FOUND");
    }
    let child = json!({ "customerType": "child", "customerDetails": { "name": "Lam Mei", "phone": "+85291234567" } });
    assert_eq!(says(child).await.status, 204);
    eventually("one order", async || (seller.orders().await == 1).then_some(())).await;
}

#[tokio::test]
async fn r_ota_03_a_message_sells_units_of_a_reservation_once() {
    let seller = Seller::new("payments-units", 92_105, 1).await;
    let wish = json!({ "productId": 92_105, "quantity": 10 });
    let request = seller.request("/api/ota/reserve").header("Idempotency-Key", "R-1").json(&wish);
    let reservation = text(&seller.partner.client.send(request).await.ok()["reservationId"]);
    let path = format!("/api/ota/reservations/{reservation}");
    let shown = async || {
        let shown = seller.partner.get(&path).await.ok();
        (shown["remaining"].as_u64().unwrap(), text(&shown["status"]))
    };
    let paid = |quantity: Option<u32>| {
        json!({
            "reservationId": reservation, "quantity": quantity, "paymentReference": "PAY-1", "visitDate": monday(),
            "paidAt": "2026-12-01T10:00:00+08:00",
        })
    };
    let mut first = paid(Some(2));
    first["type"] = json!("payment.paid");
    first["customerDetails"] = json!({ "name": "Lam Mei", "phone": "+852 5555 0123", "tier": "gold" });
    let told = join_all((0..4).map(|_| async { seller.tells("msg_1", &first).await })).await;
    assert!(told.iter().all(|answer| answer.status == 204), "{told:?}");
    assert_eq!(shown().await, (8, "active".to_owned()), "two of them, once");

    assert_eq!(seller.tells("msg_1", &paid(Some(2))).await.status, 204, "a message is known by its id");
    seller.tells("msg_2", &paid(Some(9))).await.names("quantity");
    assert_eq!(seller.tells("msg_3", &paid(None)).await.status, 204);
    assert_eq!(shown().await, (0, "activated".to_owned()), "all that was left");
    seller.tells("msg_4", &paid(None)).await.problem(409, "RESERVATION_ACTIVATED");
    assert_eq!(seller.tells("msg_3", &paid(None)).await.status, 204, "the same again");

    let mut both = paid(None);
    both["ticketCode"] = json!(seller.tickets[0]);
    seller.tells("msg_5", &both).await.names("reservationId");
    let mut several = seller.paid(0, "PAY-1");
    several["quantity"] = 2.into();
    seller.tells("msg_5", &several).await.names("quantity");
    several.as_object_mut().unwrap().remove("ticketCode");
    seller.tells("msg_5", &several).await.names("ticketCode");
    let stranger = seller.partner.client.partner("payments-units-stranger").await;
    let secret = stranger.secret().await;
    let request = seller.partner.client.request(Method::POST, PAYMENT).header("X-API-Key", &stranger.key);
    seller
        .partner
        .client
        .send(signed(request, &secret, "msg_1", &paid(None)))
        .await
        .problem(404, "RESERVATION_NOT_FOUND");
}
