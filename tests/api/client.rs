//! A client that knows only the HTTP contract (and the simulator's, to pay).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deeptravel::testing::suite;
use deeptravel_domain::webhook::signature::{ID, SIGNATURE, Secret, Signed, TIMESTAMP, sign};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Server, day, server};

/// Longer than anything here takes, also where a sync waits for gigabytes of others: 54 s were seen.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// What the passengers of an order are called, counted from 1.
pub fn passenger_name(number: usize) -> String {
    format!("Lam Mei 林美珠 {number}")
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null when it is empty or no JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The body of a 2xx.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.body
    }

    /// Checks that it is a problem document with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["x-request-id"].to_str().ok(), self.body["requestId"].as_str());
        self
    }

    /// Checks that it is a 422 that names this field.
    #[track_caller]
    pub fn names(self, field: &str) {
        let answer = self.problem(422, "VALIDATION_ERROR");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    }
}

/// Asks a server; the shared one, mostly.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub server: &'static Server,
}

impl Client {
    /// One per test: connections belong to the test's runtime.
    pub fn new() -> Client {
        Client::of(server())
    }

    /// Asks another server than the shared one.
    pub fn of(server: &'static Server) -> Client {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Client { http, server }
    }

    /// A request to be completed and given to [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server.base))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        suite::used_in_request(&request);
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        assert_ne!(status, 500, "a 500 is a bug: {text}");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        suite::used_in(&body);
        Answer { status, headers, body, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Posts as a proxy does for a client at this address.
    pub async fn post_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("X-Forwarded-For", address).json(body)).await
    }

    /// Logs a traveller in. Names are unique to their test, and openids to these tests: no log says one by chance.
    pub async fn traveller(&self, name: &str) -> Person {
        let body = json!({ "code": format!("demo-oT9_{name}") });
        let login = self.post("/auth/wechat/login", &body).await.ok();
        self.person(&login["token"])
    }

    pub async fn operator(&self, username: &str) -> Person {
        let body = json!({ "username": username, "password": format!("demo-{username}") });
        let login = self.post("/operators/login", &body).await.ok();
        self.person(&login["operatorToken"])
    }

    pub async fn administrator(&self) -> Person {
        self.staff("admin").await
    }

    /// Somebody at a desk.
    pub async fn staff(&self, username: &str) -> Person {
        let body = json!({ "username": username, "password": format!("demo-{username}") });
        let login = self.post("/admin/login", &body).await.ok();
        self.person(&login["token"])
    }

    /// A partner of this name with a key, and nothing set aside for it.
    pub async fn partner(&self, id: &str) -> Partner {
        let id = id.replace(' ', "-");
        let admin = self.administrator().await;
        let body = json!({ "name": { "zh": "夥伴", "en": id }, "contact": "Lok" });
        admin.put(&format!("/admin/ota/partners/{id}"), &body).await.ok();
        let key = admin.send(Method::POST, &format!("/admin/ota/partners/{id}/keys")).await.ok();
        let text = |field: &str| key[field].as_str().unwrap().to_owned();
        Partner { client: self.clone(), id, key_id: text("keyId"), key: text("key") }
    }

    /// Somebody with this token.
    pub fn person(&self, token: &Value) -> Person {
        Person { client: self.clone(), token: token.as_str().unwrap().to_owned() }
    }

    /// A ferry in some days with seats for many, another one at every call.
    pub async fn departure(&self) -> Departure {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let day = day(3);
        let query = format!("origin=HK&destination=MO&travelDate={day}&adults=1&children=0&seniors=0&mode=ferry");
        let found = self.get(&format!("/travel/search?{query}")).await.ok();
        let routes = found["routes"].as_array().unwrap();
        let route = &routes[TAKEN.fetch_add(1, Ordering::Relaxed) % routes.len()];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Departure {
            id: text(&route["departureId"]),
            class: text(&route["seatClasses"][0]["code"]),
            origin: text(&route["origin"]["code"]),
            destination: text(&route["destination"]["code"]),
        }
    }
}

/// What the search found.
#[derive(Debug, Clone)]
pub struct Departure {
    pub id: String,
    pub class: String,
    /// Code of the port where one boards.
    pub origin: String,
    pub destination: String,
}

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Person {
    pub client: Client,
    pub token: String,
}

/// A partner, with one of its keys.
#[derive(Clone)]
pub struct Partner {
    pub client: Client,
    pub id: String,
    pub key_id: String,
    pub key: String,
}

impl Partner {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, path).header("X-API-Key", &self.key)
    }

    /// Without a body.
    pub async fn send(&self, method: Method, path: &str) -> Answer {
        self.client.send(self.request(method, path)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.send(self.request(Method::POST, path).json(body)).await
    }

    /// With an Idempotency-Key.
    pub async fn keyed(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.client.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    /// The secret of a webhook that is told nothing.
    pub async fn secret(&self) -> Secret {
        let admin = self.client.administrator().await;
        let body = json!({ "url": "https://partner.example/", "enabled": false });
        let put = admin.put(&format!("/admin/ota/partners/{}/webhooks", self.id), &body).await.ok();
        put["secret"].as_str().unwrap().parse().unwrap()
    }
}

/// Signs a message as a partner's system does, now.
pub fn signed(request: RequestBuilder, secret: &Secret, id: &str, body: &Value) -> RequestBuilder {
    signed_at(request, secret, id, jiff::Timestamp::now().as_second(), body)
}

pub fn signed_at(request: RequestBuilder, secret: &Secret, id: &str, timestamp: i64, body: &Value) -> RequestBuilder {
    let body = body.to_string();
    let signature = sign([secret], Signed { id, timestamp, body: body.as_bytes() });
    let request = request.header("Content-Type", "application/json").body(body);
    request.header(ID, id).header(TIMESTAMP, timestamp).header(SIGNATURE, signature)
}

impl Person {
    /// Without a body.
    pub async fn send(&self, method: Method, path: &str) -> Answer {
        self.client.send(self.client.request(method, path).bearer_auth(&self.token)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.client.send(self.client.request(Method::GET, path).bearer_auth(&self.token)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.send(self.client.request(Method::POST, path).bearer_auth(&self.token).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.client.send(self.client.request(Method::PUT, path).bearer_auth(&self.token).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.client.send(self.client.request(Method::DELETE, path).bearer_auth(&self.token)).await
    }

    /// An unpaid order of so many adults.
    pub async fn order(&self, departure: &Departure, adults: usize) -> Value {
        let passengers: Vec<Value> =
            (1..=adults).map(|number| json!({ "name": passenger_name(number), "type": "adult" })).collect();
        let body = json!({
            "items": [{ "kind": "journey", "departureId": departure.id, "seatClass": departure.class }],
            "passengers": passengers,
            "contact": { "name": "Lam Meizhu", "phone": "+85291234567" },
        });
        let key = uuid::Uuid::new_v4().to_string();
        let request = self.client.request(Method::POST, "/orders").header("Idempotency-Key", key);
        self.client.send(request.bearer_auth(&self.token).json(&body)).await.ok()
    }

    /// Pays an order; resolves to it with its tickets.
    pub async fn pay(&self, order: &Value) -> Value {
        let id = order["orderId"].as_str().unwrap();
        let session = self.post("/payments/wechat/session", &json!({ "orderId": id })).await.ok();
        let number = session["outTradeNo"].as_str().unwrap();
        let thumb = format!("{}/transactions/{number}/pay", self.client.server.simulator);
        let paid = self.client.http.post(thumb).send().await.unwrap();
        assert!(paid.status().is_success(), "the simulator pays: {}", paid.text().await.unwrap());
        let since = Instant::now();
        loop {
            let order = self.get(&format!("/orders/{id}")).await.ok();
            if order["status"] != "pending" {
                assert_eq!(order["status"], "paid");
                return order;
            }
            assert!(since.elapsed() < PATIENCE, "the callback comes: {order}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An order that is bought and paid.
    pub async fn buy(&self, departure: &Departure, adults: usize) -> Value {
        let order = self.order(departure, adults).await;
        self.pay(&order).await
    }

    /// The code of a ticket.
    pub async fn ticket_code(&self, ticket: &Value) -> String {
        self.code(&format!("/tickets/{}/qr?format=json", ticket["ticketId"].as_str().unwrap())).await
    }

    /// The code of an order.
    pub async fn order_code(&self, order: &Value) -> String {
        self.code(&format!("/orders/{}/qr?format=json", order["orderId"].as_str().unwrap())).await
    }

    /// The code of a ticket on paper.
    pub async fn printed_code(&self, ticket: &Value) -> String {
        self.code(&format!("/tickets/{}/qr?use=print", ticket["ticketId"].as_str().unwrap())).await
    }

    async fn code(&self, path: &str) -> String {
        self.get(path).await.ok()["code"].as_str().unwrap().to_owned()
    }

    /// One ticket, bought just now, and its code.
    pub async fn ticket(&self, departure: &Departure) -> (Value, String) {
        let order = self.buy(departure, 1).await;
        let ticket = order["tickets"][0].clone();
        let code = self.ticket_code(&ticket).await;
        (ticket, code)
    }

    pub async fn ticket_status(&self, ticket: &Value) -> String {
        let id = ticket["ticketId"].as_str().unwrap();
        self.get(&format!("/tickets/{id}")).await.ok()["status"].as_str().unwrap().to_owned()
    }

    /// Opens a validator session, as an operator.
    pub async fn gate(&self, session: &Value) -> Gate {
        let opened = self.post("/validators/sessions", session).await.ok();
        let text = |field: &str| opened[field].as_str().unwrap().to_owned();
        Gate { operator: self.clone(), session: text("sessionId"), secret: text("deviceSecret") }
    }
}

/// A device at work.
#[derive(Clone)]
pub struct Gate {
    pub operator: Person,
    pub session: String,
    pub secret: String,
}

impl Gate {
    /// Scans; the answer may be a problem.
    pub async fn try_scan(&self, code: &str, request_id: &str) -> Answer {
        self.send(&json!({ "code": code, "sessionId": self.session, "requestId": request_id })).await
    }

    /// Scans and gets an answer for the gate's lamp.
    pub async fn scan(&self, code: &str, request_id: &str) -> Value {
        let answer = self.try_scan(code, request_id).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }

    pub async fn send(&self, body: &Value) -> Answer {
        let request = self.operator.client.request(Method::POST, "/tickets/scan").bearer_auth(&self.operator.token);
        self.operator.client.send(request.header("X-Device-Secret", &self.secret).json(body)).await
    }
}
