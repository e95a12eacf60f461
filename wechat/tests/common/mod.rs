//! One merchant, one simulator, one client and a receiver of notifications, on free ports.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod raw;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use deeptravel_wechat::keys::{MerchantKeys, generate_merchant};
use deeptravel_wechat::simulator::{self, Merchant, Running, SimulatorConfig};
use deeptravel_wechat::{Certificates, Client, Config, CreateRequest, NotificationHeaders, TradeState};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub const MCHID: &str = "1900000001";
pub const APPID: &str = "wx0123456789abcdef";
pub const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
/// Nothing on loopback takes this long unless it never comes.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Making a key takes a while, so the tests of one file share the merchant.
pub fn merchant() -> &'static MerchantKeys {
    static KEYS: OnceLock<MerchantKeys> = OnceLock::new();
    KEYS.get_or_init(|| generate_merchant().unwrap())
}

pub struct World {
    pub simulator: Running,
    pub client: Client,
    pub config: Config,
    pub receiver: Receiver,
    http: reqwest::Client,
}

impl World {
    /// Repeats of notifications come a thousand times faster than WeChat's.
    pub fn start() -> Self {
        Self::start_with(0.001)
    }

    pub fn start_with(time_factor: f64) -> Self {
        let keys = merchant();
        let simulator = simulator::start(SimulatorConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            merchant: Merchant {
                mchid: MCHID.into(),
                appid: APPID.into(),
                app_secret: "app-secret".into(),
                serial: keys.serial.clone(),
                public_key_pem: keys.public_key_pem.clone(),
            },
            api_v3_key: API_V3_KEY.into(),
            time_factor,
            min_time_expire_seconds: 60,
        })
        .unwrap();
        let receiver = Receiver::start();
        let config = Config {
            base_url: simulator.base_url(),
            failover_base_url: None,
            api_base_url: simulator.base_url(),
            appid: APPID.into(),
            app_secret: "app-secret".into(),
            mchid: MCHID.into(),
            merchant_serial: keys.serial.clone(),
            merchant_private_key_pem: keys.private_key_pem.clone(),
            api_v3_key: API_V3_KEY.into(),
            public_key_id: simulator.public_key_id.clone(),
            public_key_pem: simulator.public_key_pem.clone(),
            certificates: Certificates::Auto,
            notify_url: receiver.url.clone(),
            refund_notify_url: receiver.url.clone(),
        };
        let client = Client::new(config.clone()).unwrap();
        Self { simulator, client, config, receiver, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub fn body(&self, out_trade_no: &str) -> Vec<u8> {
        self.client.create_body(&order(out_trade_no))
    }

    /// A created and unpaid transaction.
    pub async fn created(&self, out_trade_no: &str) {
        self.client.create_jsapi(&self.body(out_trade_no)).await.unwrap();
    }

    pub async fn control(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/_sim/{path}", self.simulator.base_url());
        let response = self.http.post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn look(&self, path: &str) -> Value {
        let url = format!("{}/_sim/{path}", self.simulator.base_url());
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub async fn clear_faults(&self) {
        let url = format!("{}/_sim/faults", self.simulator.base_url());
        assert_eq!(self.http.delete(url).send().await.unwrap().status(), 204);
    }

    pub async fn faults(&self, faults: Value) {
        let (status, answer) = self.control("faults", faults).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub async fn pay(&self, out_trade_no: &str) -> Value {
        let (status, paid) = self.control(&format!("transactions/{out_trade_no}/pay"), json!({})).await;
        assert_eq!(status, 200, "{paid}");
        paid
    }

    pub async fn state(&self, out_trade_no: &str) -> TradeState {
        self.client.query(out_trade_no).await.unwrap().trade_state
    }

    /// Polls the deliveries of a transaction until there are `count`.
    pub async fn deliveries(&self, out_trade_no: &str, count: usize) -> Vec<Value> {
        let poll = async {
            loop {
                let all = self.look(&format!("deliveries?out_trade_no={out_trade_no}")).await;
                let all = all.as_array().unwrap().clone();
                if all.len() >= count {
                    return all;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, poll).await.expect("the deliveries did not come")
    }
}

/// An order of 128.50 that can be paid for a quarter of an hour from the first call on: the same number gives the same
/// bytes again, also when a second has passed between.
pub fn order(out_trade_no: &str) -> CreateRequest {
    static FIRST: OnceLock<Timestamp> = OnceLock::new();
    CreateRequest {
        out_trade_no: out_trade_no.into(),
        description: "广州南 → 香港西九龙，2 张".into(),
        total_minor: 12_850,
        openid: "alice".into(),
        time_expire: *FIRST.get_or_init(Timestamp::now) + SignedDuration::from_mins(15),
        attach: None,
    }
}

/// A callback as it came in.
#[derive(Clone, Debug)]
pub struct Callback {
    pub timestamp: Option<String>,
    pub nonce: Option<String>,
    pub signature: Option<String>,
    pub serial: Option<String>,
    pub signature_type: Option<String>,
    pub body: Vec<u8>,
}

impl Callback {
    pub fn headers(&self) -> NotificationHeaders<'_> {
        NotificationHeaders {
            timestamp: self.timestamp.as_deref(),
            nonce: self.nonce.as_deref(),
            signature: self.signature.as_deref(),
            serial: self.serial.as_deref(),
            signature_type: self.signature_type.as_deref(),
        }
    }
}

/// Our side of the notify url: keeps what comes and answers what it is told to, 204 by default.
pub struct Receiver {
    pub url: String,
    arrived: tokio::sync::Mutex<mpsc::UnboundedReceiver<Callback>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    handle: actix_web::dev::ServerHandle,
}

struct Inbox {
    arrive: mpsc::UnboundedSender<Callback>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/payments/wechat/notify", listener.local_addr().unwrap());
        let (arrive, arrived) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let inbox = Data::new(Inbox { arrive, answers: Arc::clone(&answers) });
        let (started, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let route = move || {
                    App::new().app_data(inbox.clone()).route("/payments/wechat/notify", web::post().to(receive))
                };
                let server = HttpServer::new(route).workers(1).disable_signals().listen(listener).unwrap().run();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { url, arrived: tokio::sync::Mutex::new(arrived), answers, handle: ready.recv().unwrap() }
    }

    /// The statuses of the next answers.
    pub fn answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub async fn next(&self) -> Callback {
        let mut arrived = self.arrived.lock().await;
        tokio::time::timeout(DEADLINE, arrived.recv()).await.expect("no notification came").unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn receive(request: HttpRequest, body: Bytes, inbox: Data<Inbox>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let callback = Callback {
        timestamp: header("Wechatpay-Timestamp"),
        nonce: header("Wechatpay-Nonce"),
        signature: header("Wechatpay-Signature"),
        serial: header("Wechatpay-Serial"),
        signature_type: header("Wechatpay-Signature-Type"),
        body: body.to_vec(),
    };
    let status = inbox.answers.lock().unwrap().pop_front().unwrap_or(204);
    let _ = inbox.arrive.send(callback);
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}
