//! Who knocks, for how long, and who listens to what the server says.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, PATIENCE};
use crate::server::{Log, another, another_logging_to};

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Makes one request, and then the head of another a byte at a time, until the server has had enough. How it ended.
async fn drips(address: SocketAddr) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    // Whoever is turned away may be so before he has said anything.
    let _ = stream.write_all(LIVE).await;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), stream.read_buf(&mut heard)).await {
            Ok(Ok(0) | Err(_)) => return heard,
            Ok(Ok(_)) => {}
            Err(_) => drop(stream.write_all(b"G").await),
        }
    }
}

#[tokio::test]
async fn fault_1_more_clients_that_drip_than_there_are_descriptors_end_nothing() {
    // 600 leave 88 connections; a segment is full after a few dozen orders.
    let segment = ("DEEPTRAVEL__JOURNAL__SEGMENT_BYTES", "65536");
    let client = Client::of(another(&[("DESCRIPTORS", "600"), segment]));
    let address: SocketAddr = client.server.base.strip_prefix("http://").unwrap().parse().unwrap();
    let (mei, departure) = (client.traveller("mei").await, client.departure().await);
    let crowd: Vec<_> = (0..600).map(|_| tokio::spawn(drips(address))).collect();
    // Mei has a connection, and keeps it as long as she uses it.
    let mut bought: Vec<Value> = Vec::new();
    while !crowd.iter().all(tokio::task::JoinHandle::is_finished) {
        bought.push(mei.order(&departure, 1).await);
        mei.post(&format!("/orders/{}/cancel", bought.last().unwrap()["orderId"].as_str().unwrap()), &Value::Null)
            .await;
    }
    let mut ends = [0; 2];
    for heard in crowd {
        let heard = String::from_utf8(heard.await.unwrap()).unwrap();
        ends[0] += u32::from(heard.contains("HTTP/1.1 408 "));
        ends[1] += u32::from(heard.contains("HTTP/1.1 503 "));
    }
    assert!(ends[0] >= 50 && ends[1] >= 50, "some are ended for dripping and some turned away: {ends:?}");
    assert!(!bought.is_empty());
    let stranger = Client::of(client.server);
    assert_eq!(stranger.get("/health/ready").await.ok()["status"], "ready");
}

#[tokio::test]
async fn fault_9_a_server_goes_on_whoever_reads_its_log() {
    for log in [Log::Nobody, Log::Sleeper] {
        let client = Client::of(another_logging_to(log, &[("DEEPTRAVEL__LOG__FILTER", "trace")]));
        let mei = client.traveller("mei").await;
        mei.order(&client.departure().await, 2).await;
        // A pipe takes 64 KiB before anybody has to read.
        let since = Instant::now();
        while !client.get("/metrics").await.text.contains("\noutput_dropped_total ") {
            assert!(since.elapsed() < PATIENCE, "lines are dropped");
        }
        mei.get("/orders").await.ok();
    }
}

#[tokio::test]
async fn fault_10_metrics_are_not_for_pages_that_call_this_machine_by_another_name() {
    let client = Client::new();
    let asked = |host: &'static str| client.request(Method::GET, "/metrics").header("Host", host);
    assert_eq!(client.send(asked("localhost")).await.status, 200);
    client.send(asked("shop.example")).await.problem(401, "UNAUTHENTICATED");
}

#[test]
fn fault_24_a_data_directory_that_others_could_read_is_tightened() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = another(&[]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o066;
    for name in ["", "journal"] {
        let dir = server.data_dir.join(name);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let server = server.restart(&[]);
    for name in ["", "journal"] {
        assert_eq!(mode(&server.data_dir.join(name)), 0, "{name}");
    }
    assert!(
        TcpStream::connect_timeout(&server.base.strip_prefix("http://").unwrap().parse().unwrap(), PATIENCE).is_ok()
    );
}
