//! A provider that answers exactly what a test tells it to, byte by byte. It shares no code with the crate, so that a
//! mistake in how messages are put together cannot cancel out.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deeptravel_wechat::{Certificates, Client, Config};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub const MCHID: &str = "1900000001";
pub const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
pub const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0119000000012026110100000000";
/// Plays the merchant's key and WeChat's public key.
pub const KEY: &str = include_str!("../vectors/test-key.pem");
pub const PUBLIC_KEY: &str = include_str!("../vectors/test-key-public.pem");

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With `Content-Length` and `Connection: close` added.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is closed and nothing is sent.
    Hangup,
    /// The head of an answer, half of its body, and the end.
    Half,
    /// Nothing, for ever.
    Silence,
}

/// An error of WeChat's: never signed.
pub fn error(status: u16, code: &str) -> Reply {
    let body = serde_json::json!({ "code": code, "message": "scripted" }).to_string();
    Reply::Answer { status, headers: vec![], body }
}

/// An answer signed now with the public key.
pub fn signed(body: &Value) -> Reply {
    signed_by(PUBLIC_KEY_ID, KEY, body)
}

pub fn signed_by(serial: &str, private_key_pem: &str, body: &Value) -> Reply {
    let body = body.to_string();
    Reply::Answer { status: 200, headers: signature(serial, private_key_pem, &body), body }
}

/// The five headers.
pub fn signature(serial: &str, private_key_pem: &str, body: &str) -> Vec<(&'static str, String)> {
    let timestamp = Timestamp::now().as_second().to_string();
    let signature = sign(private_key_pem, format!("{timestamp}\nthe-nonce\n{body}\n").as_bytes());
    vec![
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", "the-nonce".to_owned()),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Serial", serial.to_owned()),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048".to_owned()),
    ]
}

pub fn sign(private_key_pem: &str, message: &[u8]) -> String {
    let der: String = private_key_pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    STANDARD.encode(signature)
}

pub struct Provider {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Provider {
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, &*script, &log).await });
            }
        });
        Self { address, seen, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Whoever connects from now on is refused.
    pub async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub fn config(&self) -> Config {
        config(&self.url())
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn config(base_url: &str) -> Config {
    Config {
        base_url: base_url.to_owned(),
        failover_base_url: None,
        api_base_url: base_url.to_owned(),
        appid: "wx0123456789abcdef".into(),
        app_secret: "app-secret".into(),
        mchid: MCHID.into(),
        merchant_serial: "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C".into(),
        merchant_private_key_pem: KEY.into(),
        api_v3_key: API_V3_KEY.into(),
        public_key_id: PUBLIC_KEY_ID.into(),
        public_key_pem: PUBLIC_KEY.into(),
        certificates: Certificates::Auto,
        notify_url: "http://127.0.0.1:8080/payments/wechat/notify".into(),
        refund_notify_url: "http://127.0.0.1:8080/payments/wechat/refund-notify".into(),
    }
}

async fn serve(mut stream: TcpStream, script: &(dyn Fn(&Request) -> Reply + Send + Sync), log: &Mutex<Vec<Request>>) {
    let Some(request) = read(&mut stream).await else { return };
    log.lock().unwrap().push(request.clone());
    // The client may have gone meanwhile; that is its business.
    match script(&request) {
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
            if status != 204 {
                let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            }
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Reply::Hangup => {}
        Reply::Half => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{\"half\"").await;
        }
        Reply::Silence => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect();
    let mut request = Request { method, target, headers, body: String::new() };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    request.body = String::from_utf8(bytes.split_off(head_end + 4)).unwrap();
    Some(request)
}
