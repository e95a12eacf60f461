//! A partner's receiver of webhooks, with everything that can be wrong with one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::server::{PATIENCE, free_address};

/// What partners are told to verify messages with.
const SCRIPT: &str = "docs/verify-webhook.py";
const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
const BYTES_MAX: usize = 64 * 1024;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Well,
    /// After this time.
    Slowly(Duration),
    With(u16),
}

/// A message as it came, and the status that was answered.
#[derive(Clone, Debug)]
pub struct Message {
    headers: [String; 3],
    body: Vec<u8>,
    status: u16,
}

impl Message {
    pub fn id(&self) -> &str {
        &self.headers[0]
    }

    pub fn content(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event is JSON")
    }

    pub fn sequence(&self) -> u64 {
        self.content()["sequence"].as_u64().expect("an event has a number")
    }

    /// Whether the partners' script believes it, now.
    fn is_believed(&self, secret: &str) -> anyhow::Result<bool> {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT))
            .args(&self.headers)
            .env("WEBHOOK_SECRET", secret)
            .stdin(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().context("its input")?, &self.body)?;
        Ok(child.wait()?.success())
    }
}

#[derive(Default)]
struct Heard {
    messages: Vec<Message>,
    /// So many of them were verified.
    verified: usize,
}

pub struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    mood: Arc<Mutex<Mood>>,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    pub async fn start() -> anyhow::Result<Receiver> {
        let (heard, mood) = (Arc::default(), Arc::new(Mutex::new(Mood::Well)));
        let mut receiver = Receiver { address: free_address()?, heard, mood, listening: None };
        receiver.come().await?;
        Ok(receiver)
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Nobody listens any more.
    pub async fn go(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // Its listener is closed then.
            let _ = listening.await;
        }
    }

    pub async fn come(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let (heard, mood) = (Arc::clone(&self.heard), Arc::clone(&self.mood));
        self.listening = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hear(stream, Arc::clone(&heard), Arc::clone(&mood)));
            }
        }));
        Ok(())
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Message> {
        self.heard.lock().unwrap().messages.clone()
    }

    /// What was answered with 2xx, in the order in which it came.
    pub fn heard(&self) -> Vec<Message> {
        self.calls().into_iter().filter(|message| (200..300).contains(&message.status)).collect()
    }

    /// The highest number that was heard.
    pub fn last(&self) -> u64 {
        self.heard().iter().map(Message::sequence).max().unwrap_or_default()
    }

    pub async fn until(&self, what: &str, is_so: impl Fn(&Receiver) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            assert!(since.elapsed() < PATIENCE, "{what}: {:?}", self.calls().last());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every call since the last time was signed with the secret, lately.
    pub fn verify(&self, secret: &str) -> anyhow::Result<()> {
        let mut heard = self.heard.lock().unwrap();
        for message in heard.messages.iter().skip(heard.verified) {
            assert!(message.is_believed(secret)?, "{message:?}");
        }
        heard.verified = heard.messages.len();
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

/// One call. A server that dies in the middle of it is nobody's fault.
async fn hear(mut stream: TcpStream, heard: Arc<Mutex<Heard>>, mood: Arc<Mutex<Mood>>) {
    let Some((headers, body)) = read(&mut stream).await else { return };
    let mood = *mood.lock().unwrap();
    let status = match mood {
        Mood::Well => 204,
        Mood::Slowly(time) => {
            tokio::time::sleep(time).await;
            204
        }
        Mood::With(status) => status,
    };
    heard.lock().unwrap().messages.push(Message { headers, body, status });
    let answer = format!("HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer[..].as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<([String; 3], Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let header = |wanted: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
            };
            let length: usize = header("content-length")?.parse().ok()?;
            if bytes.len() >= end + 4 + length {
                let headers = HEADERS.map(|name| header(name).unwrap_or_default());
                return Some((headers, bytes[end + 4..end + 4 + length].to_vec()));
            }
        }
        let count = stream.read_buf(&mut bytes).await.ok()?;
        if count == 0 || bytes.len() > BYTES_MAX {
            return None;
        }
    }
}
