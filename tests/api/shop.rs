//! What travellers do in these stories, and the two places besides HTTP where a story may look: the simulator's control
//! plane and, as an auditor, the database.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;

use crate::client::{Answer, Client, PATIENCE, Partner, Person, passenger_name};
use crate::server::day;

/// Seats of a coach across the bridge.
pub const COACH_SEATS: u64 = 35;

/// What the ledger of an order adds up to, in fen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    pub captured: i64,
    pub due: i64,
    pub refunded: i64,
}

/// Asks until there is an answer; fails with what was waited for.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

pub fn id(order: &Value) -> String {
    text(&order["orderId"])
}

pub fn at(value: &Value) -> Timestamp {
    text(value).parse().unwrap()
}

/// Seats of the first item.
pub fn seats(order: &Value) -> Vec<String> {
    order["items"][0]["seatNumbers"].as_array().unwrap().iter().map(text).collect()
}

/// A journey along all stops.
pub fn journey(departure: &str) -> Value {
    json!({ "kind": "journey", "departureId": departure, "seatClass": "standard" })
}

/// A journey on chosen seats.
pub fn chosen(departure: &str, seats: &[&str]) -> Value {
    json!({ "kind": "journey", "departureId": departure, "seatClass": "standard", "seatNumbers": seats })
}

/// The journey that is reserved.
pub fn reserved(reservation: &Value) -> Value {
    json!({ "kind": "journey", "reservationId": reservation["reservationId"] })
}

/// The body of a reservation of so many seats along all stops.
pub fn reservation(departure: &str, seats: usize) -> Value {
    json!({ "departureId": departure, "seatClass": "standard", "seats": seats })
}

/// The body of an order for so many adults.
pub fn wish(items: &[Value], adults: usize) -> Value {
    let passengers: Vec<Value> =
        (1..=adults).map(|number| json!({ "name": passenger_name(number), "type": "adult" })).collect();
    json!({ "items": items, "passengers": passengers, "contact": { "name": "Lam Meizhu", "phone": "+85291234567" } })
}

/// What an administrator puts for a package of a museum for each passenger and a meal that they share.
pub fn template(name: &str) -> Value {
    let tier = |who: &str, min_party: u16, amount: i64| json!({ "passengerType": who, "minParty": min_party, "price": { "amount": amount, "currency": "CNY" } });
    json!({
        "name": { "zh": format!("套票 {name}"), "en": name },
        "status": "active",
        "productId": 90_106,
        "entitlements": [
            {
                "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1,
                "redemptionChannel": "gate", "requiresIdentity": true, "shared": false,
                "validity": { "kind": "relative", "days": 90, "startsAt": "payment" },
            },
            {
                "code": "MEAL", "name": { "zh": "套餐", "en": "Meal" }, "quantity": 4,
                "redemptionChannel": "counter", "requiresIdentity": false, "shared": true,
                "validity": { "kind": "absolute", "from": "2026-01-01", "until": "2099-12-31" },
            },
        ],
        "tiers": [tier("adult", 1, 20_000), tier("adult", 3, 18_000), tier("child", 1, 10_000)],
    })
}

pub fn new_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Client {
    pub async fn search(&self, origin: &str, destination: &str, date: Date, more: &str) -> Answer {
        let query = format!("origin={origin}&destination={destination}&travelDate={date}{more}");
        self.get(&format!("/travel/search?{query}")).await
    }

    /// A coach of 35 seats across the bridge, another one at every call: of the fourth day, then of the following ones.
    pub async fn coach(&self) -> String {
        /// The next day, and those that nobody has taken of the days before.
        static LEFT: Mutex<(i64, Vec<String>)> = Mutex::const_new((4, Vec::new()));
        let mut left = LEFT.lock().await;
        if left.1.is_empty() {
            let found = self.search("HK", "ZH", day(left.0), "&mode=coach").await.ok();
            let ids = found["routes"].as_array().unwrap().iter().map(|route| text(&route["departureId"]));
            *left = (left.0 + 1, ids.rev().collect());
        }
        left.1.pop().unwrap()
    }

    /// A coach with five stops and 49 seats, another one at every call.
    pub async fn five_stops(&self) -> String {
        static DAYS: AtomicI64 = AtomicI64::new(10);
        let found = self.search("HK", "GZ", day(DAYS.fetch_add(1, Ordering::Relaxed)), "").await.ok();
        text(&found["routes"][0]["departureId"])
    }

    /// Seats of the first class that are free along all stops, or along `query`, now.
    pub async fn available(&self, departure: &str, query: &str) -> u64 {
        let shown = self.get(&format!("/departures/{departure}{query}")).await.ok();
        shown["seatClasses"][0]["available"].as_u64().unwrap()
    }

    /// Tells the simulator something; the answer of a 2xx.
    pub async fn tell_simulator(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.server.simulator);
        self.send(self.http.post(url).json(body)).await.ok()
    }

    pub async fn ask_simulator(&self, path: &str) -> Value {
        self.send(self.http.get(format!("{}{path}", self.server.simulator))).await.ok()
    }

    pub async fn clear_faults(&self) {
        self.send(self.http.delete(format!("{}/faults", self.server.simulator))).await.ok();
    }

    /// Callbacks about a payment that were attempted so far.
    pub async fn deliveries(&self, number: &str) -> Vec<Value> {
        self.ask_simulator(&format!("/deliveries?out_trade_no={number}")).await.as_array().unwrap().clone()
    }

    /// What the provider has given back of a payment.
    pub async fn refunds(&self, number: &str) -> Vec<Value> {
        let money = self.ask_simulator("/money").await;
        let all = money["transactions"].as_array().unwrap();
        let paid = all.iter().find(|transaction| transaction["out_trade_no"] == number);
        paid.map(|paid| paid["refunds"].as_array().unwrap().clone()).unwrap_or_default()
    }

    /// Waits until the ledger of an order adds up to this.
    pub async fn money_becomes(&self, order: &Value, money: Money) {
        let database = self.database().await;
        let sql = "SELECT kind, sum(amount_minor)::bigint FROM ledger_entries WHERE order_id = $1 GROUP BY kind";
        eventually(&format!("{money:?}"), async || {
            let mut sums = Money::default();
            for row in database.query(sql, &[&id(order)]).await.unwrap() {
                match row.get(0) {
                    "captured" => sums.captured = row.get(1),
                    "refund_due" => sums.due = row.get(1),
                    "refunded" => sums.refunded = row.get(1),
                    other => panic!("an entry of kind {other}"),
                }
            }
            (sums == money).then_some(())
        })
        .await;
    }

    /// The database, for what HTTP does not show.
    pub async fn database(&self) -> tokio_postgres::Client {
        let socket = self.server.data_dir.join("postgres/socket");
        let config = format!("host={} user=deeptravel dbname=deeptravel", socket.display());
        let (database, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        database
    }
}

impl Person {
    pub async fn place_with(&self, key: &str, body: &Value) -> Answer {
        let request = self.client.request(Method::POST, "/orders").header("Idempotency-Key", key);
        self.client.send(request.bearer_auth(&self.token).json(body)).await
    }

    pub async fn place(&self, items: &[Value], adults: usize) -> Answer {
        self.place_with(&new_key(), &wish(items, adults)).await
    }

    pub async fn reserve_with(&self, key: &str, body: &Value) -> Answer {
        let request = self.client.request(Method::POST, "/reservations").header("Idempotency-Key", key);
        self.client.send(request.bearer_auth(&self.token).json(body)).await
    }

    pub async fn reserve(&self, body: &Value) -> Answer {
        self.reserve_with(&new_key(), body).await
    }

    pub async fn release(&self, reservation: &Value) -> Answer {
        self.delete(&format!("/reservations/{}", text(&reservation["reservationId"]))).await
    }

    pub async fn shown(&self, order: &Value) -> Value {
        self.get(&format!("/orders/{}", id(order))).await.ok()
    }

    pub async fn status(&self, order: &Value) -> String {
        text(&self.shown(order).await["status"])
    }

    pub async fn cancel(&self, order: &Value) -> Answer {
        self.post(&format!("/orders/{}/cancel", id(order)), &json!({})).await
    }

    pub async fn try_session(&self, order: &Value) -> Answer {
        self.post("/payments/wechat/session", &json!({ "orderId": id(order) })).await
    }

    /// Begins a payment; resolves to its number.
    pub async fn begin_payment(&self, order: &Value) -> String {
        text(&self.try_session(order).await.ok()["outTradeNo"])
    }

    /// The thumb on the telephone; `how` as the simulator takes it.
    pub async fn press(&self, number: &str, how: &Value) {
        self.client.tell_simulator(&format!("/transactions/{number}/pay"), how).await;
    }

    /// Waits until the order has this status.
    pub async fn becomes(&self, order: &Value, status: &str) -> Value {
        eventually(&format!("{} becomes {status}", id(order)), async || {
            let shown = self.shown(order).await;
            (shown["status"] == status).then_some(shown)
        })
        .await
    }
}

/// The day on which a departure leaves, as its id says.
pub fn date_of(departure: &str) -> Date {
    Date::strptime("%Y%m%d", departure.rsplit('.').next().unwrap()).unwrap()
}

/// A Monday that is no holiday, for which everything is sold, and which no other story makes a holiday.
pub fn monday() -> &'static str {
    static MONDAY: LazyLock<String> = LazyLock::new(|| visit(Weekday::Monday));
    &MONDAY
}

/// As [`monday`].
pub fn saturday() -> &'static str {
    static SATURDAY: LazyLock<String> = LazyLock::new(|| visit(Weekday::Saturday));
    &SATURDAY
}

fn visit(weekday: Weekday) -> String {
    const HOLIDAYS: &str = include_str!("../../config/demo/holidays.csv");
    let mut days = (200..).map(day).filter(|day| day.weekday() == weekday).map(|day| day.to_string());
    days.find(|day| !HOLIDAYS.contains(day.as_str())).unwrap()
}

/// A product of one test alone, with which nobody has to show who he is: an entry and two lockers, of which so many are sold.
pub fn product(number: u32, total: u32) -> Value {
    let entitlement = |code: &str, quantity: u32| {
        json!({
            "code": code, "name": { "zh": "权益", "en": code }, "quantity": quantity,
            "redemptionChannel": "any", "requiresIdentity": false, "shared": false,
            "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
        })
    };
    let tier = |who: &str, day: &str, amount: u32| {
        let price = json!({ "amount": amount, "currency": "CNY" });
        json!({ "passengerType": who, "minParty": 1, "dayType": day, "price": price })
    };
    json!({
        "name": { "zh": format!("产品 {number}"), "en": format!("Product {number}") },
        "status": "active",
        "productId": number,
        "entitlements": [entitlement("ENTRY", 1), entitlement("LOCKER", 2)],
        "tiers": [
            tier("adult", "weekday", 20_000), tier("adult", "weekend_or_holiday", 26_000), tier("child", "any", 10_000),
        ],
        "stock": { "total": total },
    })
}

impl Client {
    /// A partner for whom so many units of a product of its own are set aside.
    pub async fn seller(&self, id: &str, number: u32, units: u32) -> Partner {
        let (admin, partner) = (self.administrator().await, self.partner(id).await);
        admin.post("/admin/packages/templates", &product(number, units)).await.ok();
        let allotments = json!([{ "productId": number, "quantity": units }]);
        admin.put(&format!("/admin/ota/partners/{}/allotments", partner.id), &allotments).await.ok();
        partner
    }
}

pub const GENERATE: &str = "/api/ota/tickets/bulk-generate";

/// What is said to generate tickets.
pub fn generation(product: u32, quantity: u32, batch: &str) -> Value {
    json!({ "productId": product, "quantity": quantity, "batchId": batch, "distributionMode": "direct_sale" })
}

impl Partner {
    pub async fn generate(&self, product: u32, quantity: u32, batch: &str) -> Answer {
        self.post(GENERATE, &generation(product, quantity, batch)).await
    }

    /// Its customer has paid, for a visit on this day.
    pub async fn activate(&self, ticket: &str, visit_date: &str) -> Answer {
        let body = json!({
            "customerDetails": { "name": "Lam Mei", "phone": "+85291234567" },
            "visitDate": visit_date,
            "paymentReference": format!("paid-{ticket}"),
        });
        self.post(&format!("/api/ota/tickets/{ticket}/activate"), &body).await
    }

    /// What is left for it to sell.
    pub async fn units_left(&self, product: u32) -> u64 {
        let inventory = self.get(&format!("/api/ota/inventory?productIds={product}")).await.ok();
        inventory["availableQuantities"][product.to_string()].as_u64().unwrap()
    }
}
