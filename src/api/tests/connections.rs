//! What a connection is held to, over a real socket and in real time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Listen, Starting};

/// Longer than every limit of the door but the one for idle connections.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// A client that knows bytes only.
pub(super) struct Raw(pub(super) TcpStream);

impl Raw {
    pub(super) async fn to(server: &Starting) -> Raw {
        Raw(TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap())
    }

    pub(super) async fn say(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Everything until the server ends the connection.
    pub(super) async fn hear_all(&mut self) -> String {
        let mut all = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut all)).await.expect("the server ends it").unwrap();
        String::from_utf8(all).unwrap()
    }

    /// One answer with a short body.
    async fn hear_one(&mut self) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(b"}") {
            let more = timeout(PATIENCE, self.0.read_buf(&mut heard)).await.expect("the server answers").unwrap();
            assert!(more > 0, "the server has ended: {}", String::from_utf8_lossy(&heard));
        }
        String::from_utf8(heard).unwrap()
    }

    /// Sends a byte every tenth of a second until the server ends the connection; what it has said.
    pub(super) async fn drip(&mut self, bytes: &str) -> String {
        let (mut heard, mut bytes) = (Vec::new(), bytes.bytes().cycle());
        let dripping = async {
            loop {
                match timeout(Duration::from_millis(100), self.0.read_buf(&mut heard)).await {
                    Ok(Ok(0) | Err(_)) => return,
                    Ok(Ok(_)) => {}
                    // When the server has ended, nobody takes it.
                    Err(_) => drop(self.0.write_all(&[bytes.next().unwrap()]).await),
                }
            }
        };
        timeout(PATIENCE, dripping).await.expect("the server ends it");
        String::from_utf8(heard).unwrap()
    }
}

#[actix_web::test]
async fn fault_1_clients_that_drip_heads_are_ended_at_the_first_request_and_at_later_ones() {
    let server = Starting::new();
    let first = async { Raw::to(&server).await.drip("G").await };
    let later = async {
        let mut raw = Raw::to(&server).await;
        raw.say(LIVE).await;
        assert!(raw.hear_one().await.starts_with("HTTP/1.1 200 "));
        raw.drip("G").await
    };
    let silent = async { Raw::to(&server).await.hear_all().await };
    for heard in <[String; 3]>::from(tokio::join!(first, later, silent)) {
        assert!(heard.starts_with("HTTP/1.1 408 ") && heard.contains("\"REQUEST_TIMEOUT\""), "{heard}");
    }
    assert!(Raw::to(&server).await.0.peer_addr().is_ok(), "others are served");
}

#[actix_web::test]
async fn fault_1_a_body_that_drips_after_its_answer_ends_with_the_connection() {
    let server = Starting::new();
    let head = "POST /nowhere HTTP/1.1\r\nHost: x\r\n";
    let chunked = async {
        let mut raw = Raw::to(&server).await;
        raw.say(&format!("{head}Transfer-Encoding: chunked\r\n\r\nffff\r\n")).await;
        raw.drip("a").await
    };
    let counted = async {
        let mut raw = Raw::to(&server).await;
        raw.say(&format!("{head}Content-Length: 1000\r\n\r\n")).await;
        raw.drip("a").await
    };
    for heard in <[String; 2]>::from(tokio::join!(chunked, counted)) {
        assert!(heard.starts_with("HTTP/1.1 404 ") && heard.matches("HTTP/1.1 ").count() == 1, "{heard}");
    }
}

#[actix_web::test]
async fn fault_1_when_all_places_are_taken_others_hear_503_and_a_place_that_is_free_again_is_given() {
    let server = Starting::with(Listen { connections_max: 2, ..Starting::listen() });
    let mut inside = [Raw::to(&server).await, Raw::to(&server).await];
    for raw in &mut inside {
        raw.say(LIVE).await;
        assert!(raw.hear_one().await.starts_with("HTTP/1.1 200 "));
    }
    let mut outside = Raw::to(&server).await;
    outside.say(LIVE).await;
    let heard = outside.hear_all().await;
    for part in ["HTTP/1.1 503 ", "\"OVERLOADED\"", "retry-after: 1\r\n", "connection: close\r\n", "x-request-id: "] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    inside[0].say(LIVE).await;
    assert!(inside[0].hear_one().await.starts_with("HTTP/1.1 200 "), "whoever is inside stays");

    drop(inside);
    let again = async {
        loop {
            let mut raw = Raw::to(&server).await;
            raw.say(&LIVE.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
            if raw.hear_all().await.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("the places are free again");
}

/// A request whose body is one: of the two that follow a chunked body, some read the first and some the second.
fn nested() -> String {
    format!("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{LIVE}", LIVE.len())
}

#[actix_web::test]
async fn fault_10_nothing_is_answered_after_a_request_with_a_transfer_encoding() {
    let server = Starting::new();
    let head = "POST /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["0\r\n\n", "0\r\nX: y\r\n\n", "1\r\na\r\n0\r\n\n", "0\r\n\r\n", "1\r\naa\r\n0\r\n\r\n", "x\r\n"] {
        for together in [true, false] {
            let mut raw = Raw::to(&server).await;
            if together {
                raw.say(&format!("{head}{body}{}", nested())).await;
            } else {
                raw.say(&format!("{head}{body}")).await;
                // It may have ended already.
                let _ = raw.0.write_all(nested().as_bytes()).await;
            }
            let heard = raw.hear_all().await;
            assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{body:?}: {heard}");
            assert!(heard.starts_with("HTTP/1.1 405 ") && heard.contains("connection: close\r\n"), "{body:?}: {heard}");
        }
    }
}

/// Why the rule above is there: the first of the two is taken for trailers of the body, which has ended for everybody else.
/// When this fails, actix-http reads chunked bodies as others do: then `Watch::is_the_last`, and all that follows from it,
/// can go, with both tests and the decision.
#[actix_web::test]
async fn fault_10_actix_http_still_reads_past_the_end_of_a_body() {
    use tokio_util::codec::Decoder as _;
    for end in ["0\r\n\n", "0\r\nX: y\r\n\n"] {
        let head = "POST /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut bytes = actix_web::web::BytesMut::from(format!("{head}{end}{}", nested()).as_bytes());
        let mut codec = actix_http::h1::Codec::default();
        let mut read = Vec::new();
        while let Ok(Some(message)) = codec.decode(&mut bytes) {
            if let actix_http::h1::Message::Item(request) = message {
                read.push(format!("{} {}", request.method(), request.path()));
            }
        }
        assert_eq!(read, ["POST /health/live", "GET /health/live"], "{end:?}");
    }
}
