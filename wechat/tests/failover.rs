//! The second host: asked when the first cannot be reached, and only then.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod scripted;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use deeptravel_wechat::{CallError, Client, UnknownReason};
use scripted::{Provider, Reply, Request, error, signed};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

const CREATED: &str = "wx201410272009395522657a690389285100";

fn created() -> Value {
    json!({ "prepay_id": CREATED })
}

async fn answering() -> Provider {
    Provider::start(|_: &Request| signed(&created())).await
}

/// A client that asks `first`, then `second`.
fn client(first: &str, second: &Provider, timeout: Duration) -> Client {
    let mut config = scripted::config(first);
    config.failover_base_url = Some(second.url());
    Client::with_timeout(config, timeout).unwrap()
}

const TIMEOUT: Duration = Duration::from_secs(10);

fn unknown(error: CallError) -> UnknownReason {
    match error {
        CallError::Unknown { reason } => reason,
        other => panic!("the outcome is not unknown: {other}"),
    }
}

/// An address where nobody listens, nor anybody else can while this is there.
struct Nobody(TcpSocket);

impl Nobody {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}

#[tokio::test]
async fn a_host_that_refuses_connections_is_replaced_by_the_other_one_for_a_while() {
    let (nobody, second) = (Nobody::new(), answering().await);
    let client = client(&nobody.url(), &second, TIMEOUT);

    for calls in 1..=3 {
        assert_eq!(client.create_jsapi(b"{}").await.unwrap().as_str(), CREATED);
        assert_eq!(second.seen().len(), calls);
    }
    // The later calls asked it first.
    assert_eq!(client.counters().failovers.load(Relaxed), 1);
    assert_eq!(client.counters().calls_succeeded.load(Relaxed), 3);
}

#[tokio::test]
async fn both_hosts_get_the_same_signed_bytes() {
    let first = Provider::start(|_: &Request| Reply::Hangup).await;
    let second = answering().await;
    let client = client(&first.url(), &second, TIMEOUT);
    client.create_jsapi(br#"{"out_trade_no":"T-1"}"#).await.unwrap();

    let (mut lost, mut answered) = (first.seen().remove(0), second.seen().remove(0));
    for request in [&mut lost, &mut answered] {
        request.headers.retain(|(name, _)| name != "host");
    }
    assert_eq!(lost, answered);
    assert_eq!(lost.body, r#"{"out_trade_no":"T-1"}"#);
}

#[tokio::test]
async fn when_the_preferred_host_fails_the_first_is_asked_again() {
    let first = Provider::start({
        let calls = std::sync::atomic::AtomicU32::new(0);
        move |_: &Request| if calls.fetch_add(1, Relaxed) == 0 { Reply::Hangup } else { signed(&created()) }
    })
    .await;
    let mut second = answering().await;
    let client = client(&first.url(), &second, TIMEOUT);
    client.create_jsapi(b"{}").await.unwrap();
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));

    second.stop().await;
    client.create_jsapi(b"{}").await.unwrap();
    client.create_jsapi(b"{}").await.unwrap();
    assert_eq!(first.seen().len(), 3);
    assert_eq!(client.counters().failovers.load(Relaxed), 2);
}

#[tokio::test]
async fn an_answer_whatever_it_says_is_no_reason_to_ask_the_other_host() {
    let unsigned = Reply::Answer { status: 200, headers: vec![], body: created().to_string() };
    for reply in [error(503, "SERVICE_UNAVAILABLE"), error(400, "PARAM_ERROR"), unsigned, Reply::Half] {
        let script = reply.clone();
        let first = Provider::start(move |_: &Request| script.clone()).await;
        let second = answering().await;
        client(&first.url(), &second, TIMEOUT).create_jsapi(b"{}").await.unwrap_err();
        assert_eq!(second.seen(), [], "{reply:?}");
    }
}

#[tokio::test]
async fn a_call_ends_within_its_time_however_many_hosts_are_silent() {
    let silent = || Provider::start(|_: &Request| Reply::Silence);
    let (first, second) = (silent().await, silent().await);
    let started = Instant::now();
    let limit = Duration::from_secs(1);
    let lost = client(&first.url(), &second, limit).create_jsapi(b"{}").await.unwrap_err();
    assert_eq!(unknown(lost), UnknownReason::Timeout);
    assert_eq!(second.seen(), []);

    // The retry gets what is left of the time and no more.
    let nobody = Nobody::new();
    let lost = client(&nobody.url(), &second, limit).create_jsapi(b"{}").await.unwrap_err();
    assert_eq!(unknown(lost), UnknownReason::Timeout);
    assert_eq!(second.seen().len(), 1);
    assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn two_hosts_that_are_away_are_asked_once_each() {
    let (nobody, mut second) = (Nobody::new(), answering().await);
    let client = client(&nobody.url(), &second, TIMEOUT);
    second.stop().await;

    assert_eq!(unknown(client.create_jsapi(b"{}").await.unwrap_err()), UnknownReason::Connect);
    assert_eq!(client.counters().failovers.load(Relaxed), 1);
    assert_eq!(client.counters().calls_unknown.load(Relaxed), 1);
}

/// Waits for whoever connects to a provider that never answers; how many came within `within`.
async fn connecting(calls: impl Fn(Client) + Send + 'static) -> usize {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut config = scripted::config(&url);
    config.api_base_url = url;
    calls(Client::with_timeout(config, Duration::from_secs(2)).unwrap());
    let mut open = Vec::new();
    while let Ok(connection) = tokio::time::timeout(Duration::from_secs(1), silent.accept()).await {
        open.push(connection.unwrap());
    }
    open.len()
}

#[tokio::test]
async fn fault_1_calls_to_a_provider_that_hangs_have_only_so_many_connections() {
    let calls = connecting(|client| {
        for number in 0..300 {
            let client = client.clone();
            tokio::spawn(async move { client.query(&format!("T-{number}")).await });
        }
    });
    let logins = connecting(|client| {
        for number in 0..300 {
            let client = client.clone();
            tokio::spawn(async move { client.code2session(&format!("code-{number}")).await });
        }
    });
    let (calls, logins) = tokio::join!(calls, logins);
    assert_eq!((calls, logins), (96, 32));
}
