//! A server that keeps the contract in a few lines and in memory, and breaks it when told to.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// Every hundredth order gets the seat of the one before.
    SeatTwice,
    /// Orders cannot be read back.
    Forgets,
    /// Every scan succeeds.
    RedeemsTwice,
    /// Every tenth order is refused as sold out, every eleventh as overloaded.
    Refuses,
    /// Every answer takes so many milliseconds.
    Slow(u64),
}

pub struct Fake {
    pub addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    fault: Fault,
    orders: Mutex<Orders>,
    /// Ticket, and who redeemed it.
    redeemed: Mutex<HashMap<String, (String, String)>>,
    keys: Mutex<HashSet<String>>,
    logins: AtomicUsize,
    scans: AtomicUsize,
}

#[derive(Default)]
struct Orders {
    by_id: HashMap<String, Value>,
    made: usize,
}

impl Fake {
    pub async fn start(fault: Fault) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            fault,
            orders: Mutex::default(),
            redeemed: Mutex::default(),
            keys: Mutex::default(),
            logins: AtomicUsize::new(0),
            scans: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Fake { addr, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn orders(&self) -> usize {
        self.state.orders.lock().unwrap().made
    }

    pub fn logins(&self) -> usize {
        self.state.logins.load(Ordering::Relaxed)
    }

    pub fn scans(&self) -> usize {
        self.state.scans.load(Ordering::Relaxed)
    }
}

struct Request {
    line: String,
    headers: HashMap<String, String>,
    body: Value,
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut input = Vec::new();
    while let Some(request) = read(&mut stream, &mut input).await {
        if let Fault::Slow(ms) = state.fault {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let (status, body) = state.answer(&request);
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
        let length = format!("content-length: {}\r\n\r\n", body.len());
        if stream.write_all(format!("{head}{length}{body}").as_bytes()).await.is_err() {
            break;
        }
    }
}

async fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(input[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let line = lines.next().unwrap().to_owned();
            let headers: HashMap<String, String> = lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if input.len() >= end + 4 + length {
                let body = &input[end + 4..end + 4 + length];
                let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
                input.drain(..end + 4 + length);
                return Some(Request { line, headers, body });
            }
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "status": status, "code": code }))
}

impl State {
    fn answer(&self, request: &Request) -> (u16, Value) {
        let mut words = request.line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, &parts[..]) {
            ("POST", ["auth", "wechat", "login"]) => {
                self.logins.fetch_add(1, Ordering::Relaxed);
                (200, json!({ "token": format!("token of {}", request.body["code"].as_str().unwrap()) }))
            }
            ("GET", ["travel", "hot-cities"]) => (200, json!({ "cities": [{ "code": "A" }, { "code": "B" }] })),
            ("GET", ["travel", "search"]) => (200, search(query)),
            ("POST", ["orders"]) => self.place(request, token),
            ("GET", ["orders", id]) => match self.orders.lock().unwrap().by_id.get(*id) {
                Some(order) if self.fault != Fault::Forgets => (200, order.clone()),
                _ => problem(404, "ORDER_NOT_FOUND"),
            },
            ("GET", ["departures", id]) => (200, json!({ "departureId": id })),
            ("POST", ["orders", id, "cancel"]) => match self.orders.lock().unwrap().by_id.get_mut(*id) {
                Some(order) => {
                    order["status"] = json!("cancelled");
                    (200, order.clone())
                }
                None => problem(404, "ORDER_NOT_FOUND"),
            },
            ("POST", ["payments", "wechat", "session"]) => {
                (200, json!({ "outTradeNo": format!("{}P1", request.body["orderId"].as_str().unwrap()) }))
            }
            ("POST", ["_sim", "transactions", number, "pay"]) => {
                let mut orders = self.orders.lock().unwrap();
                let order = orders.by_id.get_mut(number.strip_suffix("P1").unwrap()).unwrap();
                let id = order["orderId"].as_str().unwrap().to_owned();
                let tickets = 0..order["passengers"].as_array().unwrap().len();
                order["tickets"] = tickets.map(|n| json!({ "ticketId": format!("{id}-{n}") })).collect();
                order["status"] = json!("paid");
                (200, json!({}))
            }
            ("GET", ["payments", id, "status"]) => {
                (200, json!({ "status": self.orders.lock().unwrap().by_id[*id]["status"] }))
            }
            ("GET", ["tickets", id, "qr"]) => (200, json!({ "code": format!("DT1{id}"), "expiresAt": "later" })),
            ("GET", ["tickets", id]) => {
                let is_used = self.redeemed.lock().unwrap().contains_key(*id);
                (200, json!({ "ticketId": id, "status": if is_used { "used" } else { "usable" } }))
            }
            ("POST", ["admin", "login"]) => (200, json!({ "token": "administrator" })),
            ("POST", ["admin", "packages", "templates"]) => {
                (201, json!({ "templateId": request.body["clientToken"], "version": 1, "idempotent": false }))
            }
            ("POST", ["operators", "login"]) => (200, json!({ "operatorToken": "operator" })),
            ("POST", ["validators", "sessions"]) => {
                let device = request.body["deviceId"].as_str().unwrap();
                (201, json!({ "sessionId": format!("s-{device}"), "deviceSecret": device }))
            }
            ("POST", ["tickets", "scan"]) => self.scan(request, token),
            ("POST", ["merchant", "redemptions"]) => {
                let (status, mut answer) = self.scan(request, token);
                answer["items"] = json!([{ "redeemedAt": answer["redeemedAt"].take() }]);
                (status, answer)
            }
            _ => problem(404, "NOT_FOUND"),
        }
    }

    fn place(&self, request: &Request, token: Option<&str>) -> (u16, Value) {
        let (Some(key), Some(_)) = (request.headers.get("idempotency-key"), token) else {
            return problem(400, "IDEMPOTENCY_KEY_REQUIRED");
        };
        if !self.keys.lock().unwrap().insert(key.clone()) {
            return problem(422, "IDEMPOTENCY_MISMATCH");
        }
        let mut orders = self.orders.lock().unwrap();
        orders.made += 1;
        let made = orders.made;
        if self.fault == Fault::Refuses && made.is_multiple_of(10) {
            return problem(409, "SOLD_OUT");
        }
        if self.fault == Fault::Refuses && made.is_multiple_of(11) {
            return problem(503, "OVERLOADED");
        }
        let id = format!("order{made}");
        let mut item = request.body["items"][0].clone();
        let first = if self.fault == Fault::SeatTwice && made.is_multiple_of(100) { made - 1 } else { made };
        let passengers = request.body["passengers"].as_array().unwrap();
        let seats: Vec<String> = (0..passengers.len()).map(|n| format!("{first}-{n}")).collect();
        if item["kind"] == "journey" {
            item["seatNumbers"] = json!(seats);
        }
        let order = json!({
            "orderId": id, "status": "pending", "passengers": passengers,
            "items": [item],
        });
        orders.by_id.insert(id, order.clone());
        (201, order)
    }

    fn scan(&self, request: &Request, token: Option<&str>) -> (u16, Value) {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let field = |name: &str| request.body[name].as_str().unwrap().to_owned();
        let secret = request.headers.get("x-device-secret").map(String::as_str);
        let (session, ticket) = (field("sessionId"), field("code").strip_prefix("DT1").unwrap().to_owned());
        if token != Some("operator") || session.strip_prefix("s-") != secret {
            return problem(401, "DEVICE_MISMATCH");
        }
        let asked = format!("{session}/{}", field("requestId"));
        let mut redeemed = self.redeemed.lock().unwrap();
        let at = format!("moment {}", redeemed.len());
        let (by, at) = redeemed.entry(ticket).or_insert_with(|| (asked.clone(), at)).clone();
        if by == asked || self.fault == Fault::RedeemsTwice {
            (200, json!({ "result": "success", "redeemedAt": at, "remaining": 0, "ticket": {} }))
        } else {
            (200, json!({ "result": "reject", "reason": "ALREADY_REDEEMED", "previous": { "at": at } }))
        }
    }
}

/// One departure a day, and only in one direction.
fn search(query: &str) -> Value {
    let date = query.split('&').find_map(|pair| pair.strip_prefix("travelDate=")).unwrap();
    let classes = json!([{ "code": "standard", "available": 1_000_000 }]);
    let departure = json!({ "departureId": format!("d.{date}"), "seatClasses": classes });
    let routes: Vec<Value> = query.contains("origin=A").then_some(departure).into_iter().collect();
    json!({ "availability": "available", "routes": routes, "packages": [] })
}
