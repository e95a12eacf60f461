//! A client that knows only the HTTP contract.

use std::sync::Arc;

use anyhow::{Context, bail};
use deeptravel::testing::suite;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::server::PATIENCE;

/// An answer, or none: then nobody knows whether the request happened.
pub type Answered<T> = Result<T, Unanswered>;

/// Why there is none. The texts are for whoever reads a failed assertion.
#[derive(Debug)]
#[allow(dead_code)]
pub enum Unanswered {
    /// The server said 503 or 502.
    Refused(String),
    /// The connection broke: the server has gone, or has just closed an idle one.
    Broken(String),
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Unanswered {
        Unanswered::Broken(format!("{error:?}"))
    }
}

#[derive(Clone)]
pub struct Shop {
    client: Client,
    base: String,
    simulator: String,
}

/// A gate that scans.
#[derive(Clone)]
pub struct Gate {
    shop: Shop,
    token: Arc<str>,
    session: Arc<str>,
    secret: Arc<str>,
}

/// The day so many days after today, where the departures are: late in the evening of UTC it is tomorrow there.
pub fn day_in(days: i64) -> anyhow::Result<jiff::civil::Date> {
    let today = jiff::Timestamp::now().in_tz("Asia/Hong_Kong")?.date();
    Ok(today.checked_add(jiff::Span::new().days(days))?)
}

impl Shop {
    pub fn new(base: String, simulator: String) -> anyhow::Result<Shop> {
        let client = Client::builder().timeout(PATIENCE).build()?;
        Ok(Shop { client, base, simulator })
    }

    /// Sends, and reads the answer. A refusal is an answer; a 503 or 502 is none.
    async fn send(&self, request: reqwest::RequestBuilder) -> Answered<(StatusCode, Value)> {
        let request = request.build()?;
        suite::used_in_request(&request);
        let response = self.client.execute(request).await?;
        let status = response.status();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY) {
            let retry_after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds} "));
            let text = response.text().await.unwrap_or_else(|error| error.to_string());
            return Err(Unanswered::Refused(retry_after + &text));
        }
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "a 500 is a bug");
        let body = response.bytes().await?;
        let value =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("an answer is JSON") };
        suite::used_in(&value);
        Ok((status, value))
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(token).json(body)
    }

    fn get(&self, path: &str, token: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(token)
    }

    pub async fn login(&self, name: &str) -> anyhow::Result<String> {
        // No log says such an openid by chance.
        let body = json!({ "code": format!("demo-oT9_{name}") });
        let request = self.client.post(format!("{}/auth/wechat/login", self.base)).json(&body);
        let (status, answer) = self.send(request).await.ok().context("login")?;
        Ok(answer["token"].as_str().with_context(|| format!("login: {status} {answer}"))?.to_owned())
    }

    /// The token of the demo's administrator.
    pub async fn administrator(&self) -> anyhow::Result<String> {
        let body = json!({ "username": "admin", "password": "demo-admin" });
        let request = self.client.post(format!("{}/admin/login", self.base)).json(&body);
        let (status, answer) = self.send(request).await.ok().context("an administrator's login")?;
        Ok(answer["token"].as_str().with_context(|| format!("login: {status} {answer}"))?.to_owned())
    }

    /// An administrator puts something.
    pub async fn put(&self, token: &str, path: &str, body: &Value) -> Answered<(StatusCode, Value)> {
        self.send(self.client.put(format!("{}{path}", self.base)).bearer_auth(token).json(body)).await
    }

    /// An administrator tells something.
    pub async fn tell(&self, token: &str, path: &str, body: &Value) -> Answered<(StatusCode, Value)> {
        self.send(self.post(path, token, body)).await
    }

    /// Puts a template of a package.
    pub async fn put_template(&self, token: &str, template: &Value) -> Answered<(StatusCode, Value)> {
        self.send(self.post("/admin/packages/templates", token, template)).await
    }

    /// Ends a login.
    pub async fn logout(&self, token: &str) -> Answered<StatusCode> {
        Ok(self.send(self.post("/auth/logout", token, &Value::Null)).await?.0)
    }

    /// What the server says of itself when it is ready.
    pub async fn readiness(&self) -> Option<Value> {
        self.client.get(format!("{}/health/ready", self.base)).send().await.ok()?.json().await.ok()
    }

    /// Departures of a day that many people can board.
    pub async fn departures(&self, day: jiff::civil::Date) -> anyhow::Result<Vec<(String, String)>> {
        self.departures_between("HK", "MO", day).await
    }

    /// Ferries of a day, each with its first class.
    pub async fn departures_between(
        &self,
        origin: &str,
        destination: &str,
        day: jiff::civil::Date,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let query = format!("origin={origin}&destination={destination}&travelDate={day}&adults=1&mode=ferry");
        let url = format!("{}/travel/search?{query}", self.base);
        let (status, answer) = self.send(self.client.get(url)).await.ok().context("search")?;
        let routes = answer["routes"].as_array().with_context(|| format!("search: {status} {answer}"))?;
        let departure = |route: &Value| {
            let id = route["departureId"].as_str()?.to_owned();
            Some((id, route["seatClasses"][0]["code"].as_str()?.to_owned()))
        };
        routes.iter().map(|route| departure(route).context("a departure has an id and a class")).collect()
    }

    pub async fn order(&self, token: &str, key: &str, departure: &(String, String)) -> Answered<(StatusCode, Value)> {
        self.order_for(token, key, &[departure], 1).await
    }

    /// An order for so many adults along several departures.
    pub async fn order_for(
        &self,
        token: &str,
        key: &str,
        departures: &[&(String, String)],
        adults: usize,
    ) -> Answered<(StatusCode, Value)> {
        let item =
            |(id, class): &&(String, String)| json!({ "kind": "journey", "departureId": id, "seatClass": class });
        self.order_of_items(token, key, &departures.iter().map(item).collect::<Vec<_>>(), adults).await
    }

    /// An order for so many adults of whatever there is.
    pub async fn order_of_items(
        &self,
        token: &str,
        key: &str,
        items: &[Value],
        adults: usize,
    ) -> Answered<(StatusCode, Value)> {
        let body = json!({
            "items": items,
            "passengers": vec![json!({ "name": "Lam Mei 林美珠", "type": "adult" }); adults],
            "contact": { "name": "Lam Meizhu", "phone": "+85291234567" },
        });
        self.send(self.post("/orders", token, &body).header("Idempotency-Key", key)).await
    }

    /// The traveller gives the order up.
    pub async fn cancel(&self, token: &str, order: &str) -> Answered<StatusCode> {
        Ok(self.send(self.post(&format!("/orders/{order}/cancel"), token, &json!({}))).await?.0)
    }

    pub async fn order_of(&self, token: &str, id: &str) -> Answered<(StatusCode, Value)> {
        self.send(self.get(&format!("/orders/{id}"), token)).await
    }

    /// What somebody sees who is logged in; of a list the first page.
    pub async fn list(&self, token: &str, path: &str) -> Answered<(StatusCode, Value)> {
        self.send(self.get(path, token)).await
    }

    /// Whether the server says of itself that it is `live` or `ready`.
    pub async fn health(&self, what: &str) -> Option<StatusCode> {
        let response = self.client.get(format!("{}/health/{what}", self.base)).send().await;
        response.ok().map(|response| response.status())
    }

    /// A figure of `/metrics`.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let response = self.client.get(format!("{}/metrics", self.base)).send().await.ok()?;
        let text = response.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.parse().ok()
    }

    /// A figure of `/metrics` that counts something.
    pub async fn figure(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.metric(name).await.with_context(|| format!("no {name}"))? as u64)
    }

    /// The number under which the order can be paid.
    pub async fn open_payment(&self, token: &str, order: &str) -> Answered<Option<String>> {
        let (status, answer) =
            self.send(self.post("/payments/wechat/session", token, &json!({ "orderId": order }))).await?;
        Ok(answer["outTradeNo"].as_str().filter(|_| status.is_success()).map(str::to_owned))
    }

    /// The traveller's thumb.
    pub async fn pay(&self, number: &str) -> anyhow::Result<()> {
        let url = format!("{}/_sim/transactions/{number}/pay", self.simulator);
        let response = self.client.post(url).send().await?;
        if !response.status().is_success() {
            bail!("the simulator refuses to pay {number}: {}", response.text().await?);
        }
        Ok(())
    }

    /// A code that outlives the outage which the story makes.
    pub async fn code(&self, token: &str, ticket: &str) -> Answered<Option<String>> {
        let (status, answer) =
            self.send(self.get(&format!("/tickets/{ticket}/qr?format=json&use=print"), token)).await?;
        Ok(answer["code"].as_str().filter(|_| status.is_success()).map(str::to_owned))
    }

    pub async fn gate(&self, device: &str) -> anyhow::Result<Gate> {
        let body = json!({ "username": "gate", "password": "demo-gate" });
        let request = self.client.post(format!("{}/operators/login", self.base)).json(&body);
        let (_, login) = self.send(request).await.ok().context("operator's login")?;
        let token = login["operatorToken"].as_str().with_context(|| format!("{login}"))?;
        let opened = self.send(self.post("/validators/sessions", token, &json!({ "deviceId": device }))).await;
        let (_, opened) = opened.ok().context("validator session")?;
        let text = |field: &str| opened[field].as_str().map(Arc::from).with_context(|| format!("{opened}"));
        Ok(Gate { shop: self.clone(), token: token.into(), session: text("sessionId")?, secret: text("deviceSecret")? })
    }
}

/// A partner, who asks with a key.
#[derive(Clone)]
pub struct Agent {
    shop: Shop,
    pub id: &'static str,
    key: &'static str,
}

impl Agent {
    /// The demo's.
    pub fn both(shop: &Shop) -> [Agent; 2] {
        [("partner-a", "dt_demo_partner_a"), ("partner-b", "dt_demo_partner_b")].map(|(id, key)| Agent {
            shop: shop.clone(),
            id,
            key,
        })
    }

    pub async fn get(&self, path: &str) -> Answered<(StatusCode, Value)> {
        let url = format!("{}/api/ota/{path}", self.shop.base);
        self.shop.send(self.shop.client.get(url).header("X-API-Key", self.key)).await
    }

    /// `key`: of what may be told again.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answered<(StatusCode, Value)> {
        let url = format!("{}/api/ota/{path}", self.shop.base);
        let request = self.shop.client.post(url).header("X-API-Key", self.key).header("Idempotency-Key", key);
        self.shop.send(request.json(body)).await
    }

    /// Gives what is left of a reservation back.
    pub async fn release(&self, reservation: &str) -> Answered<(StatusCode, Value)> {
        let url = format!("{}/api/ota/reservations/{reservation}", self.shop.base);
        self.shop.send(self.shop.client.delete(url).header("X-API-Key", self.key)).await
    }

    /// Sells what is left of a reservation, as one order.
    pub async fn sell(&self, reservation: &str) -> Answered<(StatusCode, Value)> {
        let customer = json!({ "name": "Lam Mei 林美珠", "phone": "+85291234567" });
        let body = json!({ "customerDetails": customer, "paymentReference": format!("PAY-{reservation}") });
        self.post(&format!("reservations/{reservation}/activate"), reservation, &body).await
    }

    /// Tickets of a product, under the partner's id for them.
    pub async fn generate(&self, product: u32, batch: &str, quantity: usize) -> Answered<(StatusCode, Value)> {
        let body = json!({
            "productId": product, "quantity": quantity, "batchId": batch, "distributionMode": "direct_sale",
        });
        self.post("tickets/bulk-generate", batch, &body).await
    }

    pub async fn activate(&self, ticket: &str) -> Answered<(StatusCode, Value)> {
        let customer = json!({ "name": "Lam Mei 林美珠", "phone": "+85291234567" });
        let body = json!({ "customerDetails": customer, "paymentReference": format!("PAY-{ticket}") });
        self.post(&format!("tickets/{ticket}/activate"), ticket, &body).await
    }

    /// Gives a ticket back.
    pub async fn cancel(&self, ticket: &str) -> Answered<(StatusCode, Value)> {
        self.post(&format!("tickets/{ticket}/cancel"), ticket, &json!({})).await
    }
}

impl Gate {
    /// Ends the session; the status of the answer.
    pub async fn close(&self) -> Answered<StatusCode> {
        let url = format!("{}/validators/sessions/{}", self.shop.base, self.session);
        Ok(self.shop.send(self.shop.client.delete(url).bearer_auth(&*self.token)).await?.0)
    }

    /// Whether its session is open, as a scan of nonsense tells.
    pub async fn is_open(&self) -> Answered<bool> {
        let body = json!({ "code": "DT1", "sessionId": &*self.session, "requestId": "open?" });
        let request = self.shop.post("/tickets/scan", &self.token, &body).header("X-Device-Secret", &*self.secret);
        Ok(self.shop.send(request).await?.0 == StatusCode::OK)
    }

    pub async fn scan(&self, code: &str, request_id: &str) -> Answered<Value> {
        let body = json!({ "code": code, "sessionId": &*self.session, "requestId": request_id });
        let request = self.shop.post("/tickets/scan", &self.token, &body).header("X-Device-Secret", &*self.secret);
        let (status, answer) = self.shop.send(request).await?;
        assert_eq!(status, StatusCode::OK, "a scan is answered with 200, refused or not: {answer}");
        Ok(answer)
    }
}
