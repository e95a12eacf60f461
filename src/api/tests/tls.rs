//! TLS that ends here, over a real socket.

#[path = "../../../tests/support/certificates.rs"]
mod certificates;

use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate as Trusted, Client};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use certificates::{Authority, Certified};

use super::connections::{LIVE, PATIENCE, Raw};
use super::{Listen, Starting};
use crate::api::Certificate;
use crate::api::frame::TlsFiles;

impl Certified {
    pub fn files(&self, dir: &Path) -> TlsFiles {
        let files = TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
        std::fs::write(&files.certificate, &self.certificate).unwrap();
        std::fs::write(&files.key, &self.key).unwrap();
        files
    }
}

impl Authority {
    /// A client that believes it, and offers to speak HTTP/2.
    pub fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config).into()
    }
}

/// A server with a certificate for `localhost`, and who has signed it.
struct Secure {
    authority: Authority,
    certificate: Arc<Certificate>,
    server: Starting,
    dir: tempfile::TempDir,
}

impl Secure {
    fn new() -> Secure {
        Secure::for_at_most(Starting::listen().connections_max)
    }

    fn for_at_most(connections_max: usize) -> Secure {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::fresh());
        let certificate = Certificate::of(authority.sign("localhost").files(dir.path())).unwrap();
        let shown = Some(Arc::clone(&certificate));
        let server = Starting::with(Listen { connections_max, certificate: shown, ..Starting::listen() });
        Secure { authority, certificate, server, dir }
    }

    fn url(&self, path: &str) -> String {
        let port = self.server.base.rsplit(':').next().unwrap();
        format!("https://localhost:{port}{path}")
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let Raw(socket) = Raw::to(&self.server).await;
        self.authority.connector().connect(ServerName::try_from("localhost").unwrap(), socket).await
    }

    /// The certificate that a new client is shown.
    async fn shown(&self) -> Vec<u8> {
        let stream = self.connect().await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// One answer with a short body.
async fn hear_one(stream: &mut TlsStream<TcpStream>) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"}") {
        let more = timeout(PATIENCE, stream.read_buf(&mut heard)).await.expect("the server answers").unwrap();
        assert!(more > 0, "the server has ended: {}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8(heard).unwrap()
}

#[actix_web::test]
async fn fault_11_whoever_believes_the_authority_is_served_and_told_to_come_by_tls_only() {
    let secure = Secure::new();
    let trusted = Trusted::from_pem(secure.authority.pem().as_bytes()).unwrap();
    let believing = Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let answer = believing.get(secure.url("/health/live")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    // Larger than what TLS keeps back, and compressed by nobody.
    let document = believing.get(secure.url("/openapi.json")).send().await.unwrap().bytes().await.unwrap();
    assert!(document.len() > 64 * 1024 && document.ends_with(b"}"), "{} bytes", document.len());

    let stranger = Client::builder().no_proxy().build().unwrap();
    let error = stranger.get(secure.url("/health/live")).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");

    let mut stream = secure.connect().await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..2 {
        stream.write_all(LIVE.as_bytes()).await.unwrap();
        assert!(hear_one(&mut stream).await.starts_with("HTTP/1.1 200 "), "a connection goes on");
    }
}

#[actix_web::test]
async fn fault_11_whoever_does_not_shake_hands_hears_nothing_and_is_ended() {
    let secure = Secure::new();
    // The head of a long record, and then whatever.
    let dripping = async { Raw::to(&secure.server).await.drip("\x16\x03\x01\x3f\x7f").await };
    let silent = async { Raw::to(&secure.server).await.hear_all().await };
    let late = async {
        let (mut stream, mut heard) = (secure.connect().await.unwrap(), Vec::new());
        stream.write_all(b"GET /health").await.unwrap();
        // Without a goodbye this would be an error.
        timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the server ends it").unwrap();
        String::from_utf8(heard).unwrap()
    };
    let (dripped, silent, late) = tokio::join!(dripping, silent, late);
    assert_eq!((dripped.as_str(), silent.as_str()), ("", ""));
    assert!(late.starts_with("HTTP/1.1 408 "), "whoever shakes hands is told: {late}");

    let mut plain = Raw::to(&secure.server).await;
    plain.say(LIVE).await;
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, plain.0.read_to_end(&mut heard)).await.expect("the server ends it");
    assert!(!heard.starts_with(b"HTTP/"), "{heard:?}");
    assert!(secure.connect().await.is_ok(), "others are served");
}

#[actix_web::test]
async fn fault_11_limits_of_connections_hold_behind_tls_and_are_said_there() {
    let secure = Secure::for_at_most(1);
    let mut inside = secure.connect().await.unwrap();
    // One who is turned away has a second for all of it; on a busy machine that may be too short.
    let turned_away = async {
        loop {
            // Whoever is inside stays as long as something is asked.
            inside.write_all(LIVE.as_bytes()).await.unwrap();
            hear_one(&mut inside).await;
            let Ok(mut outside) = secure.connect().await else { continue };
            let mut heard = Vec::new();
            let _ = outside.read_to_end(&mut heard).await;
            if !heard.is_empty() {
                return String::from_utf8(heard).unwrap();
            }
        }
    };
    let heard = timeout(PATIENCE, turned_away).await.expect("somebody is told");
    assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("\"OVERLOADED\""), "{heard}");
    assert!(heard.contains("strict-transport-security"), "{heard}");
}

#[actix_web::test]
async fn fault_11_a_renewed_certificate_is_shown_to_whoever_comes_and_ends_nobody() {
    let secure = Secure::new();
    let mut inside = secure.connect().await.unwrap();
    inside.write_all(LIVE.as_bytes()).await.unwrap();
    hear_one(&mut inside).await;
    let before = secure.shown().await;
    secure.authority.sign("localhost").files(secure.dir.path());
    assert_eq!(secure.shown().await, before, "nobody has said that it is there");
    secure.certificate.read_again().unwrap();
    assert_ne!(secure.shown().await, before);
    inside.write_all(LIVE.as_bytes()).await.unwrap();
    assert!(hear_one(&mut inside).await.starts_with("HTTP/1.1 200 "));
}
