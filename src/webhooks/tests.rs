//! Messages over real connections, to receivers that misbehave, and what a foreign implementation says of their signatures.

use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::sealing::{SealedSecret, seal_secret};
use deeptravel_domain::webhook::signature::{self, Headers, SECRET_LEN};

use super::*;

const SCRIPT: &str = "docs/verify-webhook.py";
/// Short enough for a test to wait for, and long enough for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(2);

fn partner() -> PartnerCode {
    PartnerCode::constant("partner-a")
}

fn keys() -> Arc<DocumentKeys> {
    Arc::new(DocumentKeys::new([(1, [7; 32])]).unwrap())
}

fn secret(byte: u8) -> (Secret, SealedSecret) {
    let secret = Secret::from_chance([byte; SECRET_LEN]);
    let sealed = seal_secret(&keys(), partner().as_str(), secret.as_bytes(), [byte; 12]);
    (secret, sealed)
}

fn message(url: &str, secrets: &[u8]) -> WebhookMessage {
    WebhookMessage {
        partner: partner(),
        url: url.into(),
        secrets: secrets.iter().map(|byte| secret(*byte).1).collect(),
        id: "evt_partner-a_17".to_owned(),
        body: r#"{"type":"ticket.activated","sequence":17,"data":{"ticketCode":"票"}}"#.to_owned(),
    }
}

fn post(private_targets: bool) -> HttpPost {
    HttpPost::within(PATIENCE, keys(), WebhookSettings { private_targets }).unwrap()
}

/// A request as it came.
struct Came {
    head: String,
    body: Vec<u8>,
}

impl Came {
    fn read(stream: &mut TcpStream) -> Came {
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length: usize = header(head, "content-length").unwrap().parse().unwrap();
                if body.len() >= length {
                    return Came { head: head.to_owned(), body: body.as_bytes().to_vec() };
                }
            }
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "the request ends early");
            bytes.extend_from_slice(&part[..count]);
        }
    }

    fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }

    fn headers(&self) -> Headers<'_> {
        Headers {
            id: header(&self.head, ID),
            timestamp: header(&self.head, TIMESTAMP),
            signature: header(&self.head, SIGNATURE),
        }
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

/// Takes one call after the other: notes it, and does with its connection what the test says.
fn receiver(answer: impl Fn(TcpStream) + Send + 'static) -> (SocketAddr, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, calls) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if came.send(Came::read(&mut stream)).is_err() {
                return;
            }
            answer(stream);
        }
    });
    (address, calls)
}

fn answering(text: &'static str) -> (SocketAddr, Receiver<Came>) {
    receiver(move |mut stream| drop(stream.write_all(text.as_bytes())))
}

/// What the script of the partners' guide says.
fn script_believes(secret: &Secret, came: &Came, body: &[u8]) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let mut child = Command::new("python3")
        .arg(script)
        .args([ID, TIMESTAMP, SIGNATURE].map(|name| came.header(name)))
        .env("WEBHOOK_SECRET", secret.text())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || said.contains("not from DeepTravel"), "{said}");
    output.status.success()
}

#[tokio::test]
async fn r_ota_09_what_is_sent_is_believed_by_the_guides_script_and_by_us_and_by_nobody_once_altered() {
    let (address, calls) = answering("HTTP/1.1 204 No Content\r\n\r\n");
    let message = message(&format!("http://{address}/hook?of=partner"), &[2, 1]);
    assert_eq!(post(true).post(&message).await, Outcome::Answered(204));

    let came = calls.recv().unwrap();
    assert!(came.head.starts_with("POST /hook?of=partner HTTP/1.1"), "{}", came.head);
    assert_eq!((came.header(ID), came.header("content-type")), (&*message.id, "application/json"));
    assert_eq!(came.body, message.body.as_bytes());
    let now = jiff::Timestamp::now().as_second();
    let altered = message.body.replace("17", "18").into_bytes();
    for byte in [1, 2] {
        let known = secret(byte).0;
        assert_eq!(signature::verify([&known], came.headers(), &came.body, now), Ok(()));
        assert!(script_believes(&known, &came, &came.body), "both secrets sign while one rotates");
        assert!(!script_believes(&known, &came, &altered));
    }
    assert!(!script_believes(&secret(3).0, &came, &came.body), "another secret");
    let old = came.head.replace(came.header(TIMESTAMP), &(now - 301).to_string());
    assert!(!script_believes(&secret(1).0, &Came { head: old, body: Vec::new() }, &came.body), "an old one");
}

#[tokio::test]
async fn r_ota_09_only_the_status_of_an_answer_counts_and_redirects_are_not_followed() {
    let endless = receiver(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let (elsewhere, untouched) = answering("HTTP/1.1 204 No Content\r\n\r\n");
    let redirecting = receiver(move |mut stream| {
        let _ = write!(stream, "HTTP/1.1 307 Away\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    });
    let gone = answering("HTTP/1.1 410 Gone\r\ncontent-length: 2\r\n\r\nno");
    let failing = answering("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    for ((address, _calls), status) in [(endless, 200), (redirecting, 307), (gone, 410), (failing, 500)] {
        let outcome = post(true).post(&message(&format!("http://{address}/"), &[1])).await;
        assert_eq!(outcome, Outcome::Answered(status));
    }
    assert!(untouched.try_recv().is_err(), "nobody was sent on");
}

#[tokio::test]
async fn r_ota_09_a_call_without_an_answer_ends_in_time_and_says_why() {
    let held = RefCell::new(Vec::new());
    let (silent, _calls) = receiver(move |stream| held.borrow_mut().push(stream));
    let (rude, _calls) = receiver(drop);
    let (babbling, _calls) = answering("SSH-2.0-OpenSSH_9.9\r\n\r\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, error) in [
        (silent, CallError::Timeout),
        (rude, CallError::Broken),
        (babbling, CallError::Broken),
        (closed, CallError::Connection),
    ] {
        let outcome = post(true).post(&message(&format!("http://{address}/"), &[1])).await;
        assert_eq!(outcome, Outcome::Failed(error), "{address}");
    }
    let unsealed = WebhookMessage { partner: PartnerCode::constant("b"), ..message(&format!("http://{rude}/"), &[1]) };
    assert_eq!(post(true).post(&unsealed).await, Outcome::Failed(CallError::Unsendable), "it is another's secret");
}

#[tokio::test]
async fn r_ota_09_no_private_address_is_called_whatever_the_url_calls_it() {
    let (address, calls) = answering("HTTP/1.1 204 No Content\r\n\r\n");
    let port = address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://localhost.:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://name.invalid/".to_owned(),
    ] {
        assert_eq!(post(false).post(&message(&url, &[1])).await, Outcome::Failed(CallError::Address), "{url}");
    }
    assert!(calls.try_recv().is_err(), "nobody was called");
}

/// The guide shows the script as it is.
#[test]
fn r_ota_09_the_guide_has_the_script_that_is_tested() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (guide, script) = (read("docs/partners.md"), read(SCRIPT));
    assert!(guide.contains(&script), "docs/partners.md shows {SCRIPT} as it is");
    assert!(script.lines().filter(|line| !line.is_empty()).count() <= 10, "ten lines");
}
