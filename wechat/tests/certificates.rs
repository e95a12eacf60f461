//! Platform certificates beside the public key and instead of it: downloaded, rotated, asked for when one is missing.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod scripted;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deeptravel_wechat::{
    CallError, Certificates, CertificatesError, CertificatesLoaded, Client, Config, NotificationError,
    NotificationHeaders, Pace, UnknownReason, VerifyError,
};
use jiff::Timestamp;
use scripted::{API_V3_KEY, KEY, PUBLIC_KEY_ID, Provider, Reply, Request, error, sign, signature, signed_by};
use serde_json::{Value, json};

const CERTIFICATES: &str = "/v3/certificates";
const CREATED: &str = "wx201410272009395522657a690389285100";
const DEADLINE: Duration = Duration::from_secs(20);

/// A platform certificate and the key that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Platform {
    serial: &'static str,
    certificate: &'static str,
    key: &'static str,
}

const FIRST: Platform = Platform {
    serial: "5DEA10EF55877E3CF6C33255C2E7DEFFF7E42701",
    certificate: include_str!("vectors/platform-1.crt"),
    key: include_str!("vectors/platform-1.pem"),
};
const SECOND: Platform = Platform {
    serial: "0B12C3D4E5F60718293A4B5C6D7E8F9001122302",
    certificate: include_str!("vectors/platform-2.crt"),
    key: include_str!("vectors/platform-2.pem"),
};

fn seal(api_v3_key: &str, nonce: &str, plaintext: &str) -> String {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, api_v3_key.as_bytes()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
    let mut data = plaintext.as_bytes().to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(b"certificate"), &mut data).unwrap();
    STANDARD.encode(data)
}

/// The body of a list.
fn list(api_v3_key: &str, platforms: &[Platform]) -> Value {
    let entries = platforms.iter().map(|platform| {
        json!({
            "serial_no": platform.serial, "effective_time": "2026-01-01T08:00:00+08:00",
            "expire_time": "2031-01-01T08:00:00+08:00",
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM", "nonce": "abcdef012345", "associated_data": "certificate",
                "ciphertext": seal(api_v3_key, "abcdef012345", platform.certificate),
            },
        })
    });
    json!({ "data": entries.collect::<Vec<_>>() })
}

/// WeChat, as far as its keys go.
struct World {
    provider: Provider,
    state: Arc<Mutex<State>>,
}

struct State {
    /// What `/v3/certificates` lists.
    listed: Vec<Platform>,
    /// Instead of a list.
    reply: Option<Reply>,
    /// The serial and the key that answers are signed with.
    signer: (&'static str, &'static str),
}

impl World {
    async fn start(signer: Platform, listed: &[Platform]) -> Self {
        let state = State { listed: listed.to_vec(), reply: None, signer: (signer.serial, signer.key) };
        let state = Arc::new(Mutex::new(state));
        let script = Arc::clone(&state);
        let provider = Provider::start(move |request: &Request| {
            let state = script.lock().unwrap();
            let (serial, key) = state.signer;
            match request.target.as_str() {
                CERTIFICATES => {
                    state.reply.clone().unwrap_or_else(|| signed_by(serial, key, &list(API_V3_KEY, &state.listed)))
                }
                _ => signed_by(serial, key, &json!({ "prepay_id": CREATED })),
            }
        })
        .await;
        Self { provider, state }
    }

    fn sign_with(&self, serial: &'static str, key: &'static str) {
        self.state.lock().unwrap().signer = (serial, key);
    }

    fn list(&self, listed: &[Platform]) {
        self.state.lock().unwrap().listed = listed.to_vec();
    }

    fn list_is(&self, reply: Reply) {
        self.state.lock().unwrap().reply = Some(reply);
    }

    /// A merchant that has no public key.
    fn old_merchant(&self) -> Client {
        let config = Config { public_key_id: String::new(), public_key_pem: String::new(), ..self.provider.config() };
        Client::new(config).unwrap()
    }

    fn downloads(&self) -> usize {
        self.provider.seen().iter().filter(|request| request.target == CERTIFICATES).count()
    }
}

fn unverified(result: Result<impl std::fmt::Debug, CallError>) -> VerifyError {
    match result.unwrap_err() {
        CallError::Unknown { reason: UnknownReason::Unverified(error) } => error,
        other => panic!("not unverified: {other}"),
    }
}

/// Verifies a callback without content, signed by `platform`. Only what concerns the signature is looked at.
fn callback(client: &Client, platform: Platform) -> Result<(), NotificationError> {
    let timestamp = Timestamp::now().as_second().to_string();
    let signature = sign(platform.key, format!("{timestamp}\nn\n{{}}\n").as_bytes());
    let headers = NotificationHeaders {
        timestamp: Some(&timestamp),
        nonce: Some("n"),
        signature: Some(&signature),
        serial: Some(platform.serial),
        signature_type: None,
    };
    match client.verify_notification(&headers, b"{}", Timestamp::now()) {
        Err(NotificationError::Malformed(_)) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("an empty object is no notification"),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}

#[tokio::test]
async fn a_merchant_without_a_public_key_downloads_before_the_first_answer_is_believed() {
    let world = World::start(FIRST, &[FIRST]).await;
    let client = world.old_merchant();

    assert_eq!(client.create_jsapi(b"{}").await.unwrap().as_str(), CREATED);
    assert_eq!(client.create_jsapi(b"{}").await.unwrap().as_str(), CREATED);
    assert_eq!((world.downloads(), client.certificates_in_use()), (1, 1));
    assert_eq!(callback(&client, FIRST), Ok(()));

    // Without a key there is none to ask for; afterwards WeChat is told the certificate that we have.
    let asked: Vec<_> =
        world.provider.seen().iter().map(|seen| seen.header("wechatpay-serial").map(str::to_owned)).collect();
    assert_eq!(asked, [None, None, Some(FIRST.serial.to_owned())]);
    assert_eq!(client.counters().certificates_loaded.load(Relaxed), 1);
    assert_eq!(client.counters().answers_unverified.load(Relaxed), 0);
}

#[tokio::test]
async fn during_the_switch_answers_of_the_key_and_of_a_certificate_verify_side_by_side() {
    let world = World::start(FIRST, &[FIRST]).await;
    let client = world.provider.client();
    client.create_jsapi(b"{}").await.unwrap();

    world.sign_with(PUBLIC_KEY_ID, KEY);
    client.create_jsapi(b"{}").await.unwrap();
    assert_eq!(callback(&client, FIRST), Ok(()));
    let with_key = Platform { serial: PUBLIC_KEY_ID, key: KEY, ..FIRST };
    assert_eq!(callback(&client, with_key), Ok(()));

    // A key that signs in another's name does not.
    assert_eq!(callback(&client, Platform { key: FIRST.key, ..with_key }), Err(NotificationError::Signature));
    assert_eq!(callback(&client, Platform { key: KEY, ..FIRST }), Err(NotificationError::Signature));
    assert_eq!(world.downloads(), 1);
}

#[tokio::test]
async fn a_rotation_passes_without_a_lost_answer() {
    let world = World::start(FIRST, &[FIRST]).await;
    let client = world.old_merchant();
    client.create_jsapi(b"{}").await.unwrap();

    world.list(&[FIRST, SECOND]);
    assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::InUse(2)));
    for platform in [FIRST, SECOND, FIRST] {
        world.sign_with(platform.serial, platform.key);
        client.create_jsapi(b"{}").await.unwrap();
        assert_eq!(callback(&client, platform), Ok(()));
    }

    world.list(&[SECOND]);
    world.sign_with(SECOND.serial, SECOND.key);
    assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::InUse(1)));
    assert_eq!(callback(&client, FIRST), Err(NotificationError::UnknownSerial));
    assert_eq!(callback(&client, SECOND), Ok(()));
}

#[tokio::test]
async fn unknown_serials_cost_one_download_however_many_arrive() {
    let world = World::start(SECOND, &[FIRST]).await;
    let client = world.provider.client();

    // The list cannot be verified either: it is signed by a certificate that nobody has vouched for.
    let calls = (0..5).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { unverified(client.create_jsapi(b"{}").await) })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), VerifyError::UnknownSerial);
    }
    assert_eq!((world.downloads(), client.certificates_in_use()), (1, 0));
    assert_eq!(client.counters().certificates_failed.load(Relaxed), 1);

    // A public key that we do not have is not to be found among certificates.
    let other = World::start(Platform { serial: "PUB_KEY_ID_9", ..FIRST }, &[FIRST]).await;
    assert_eq!(unverified(other.provider.client().create_jsapi(b"{}").await), VerifyError::UnknownSerial);
    assert_eq!(other.downloads(), 0);
}

#[tokio::test]
async fn a_callback_with_an_unknown_certificate_is_refused_and_its_repeat_accepted() {
    let world = World::start(FIRST, &[FIRST]).await;
    let gap = Duration::from_millis(50);
    let pace = Pace { certificates_gap: gap, ..Pace::default() };
    let client = Client::with_pace(world.provider.config(), pace).unwrap();
    let task = tokio::spawn(client.clone().look_after_certificates());
    until("the first download", || client.certificates_in_use() == 1).await;

    world.list(&[FIRST, SECOND]);
    assert_eq!(callback(&client, SECOND), Err(NotificationError::UnknownSerial));
    until("the download", || client.certificates_in_use() == 2).await;
    assert_eq!(callback(&client, SECOND), Ok(()));
    assert_eq!(world.downloads(), 2);
    task.abort();
}

#[tokio::test]
async fn certificates_are_downloaded_again_and_again_and_survive_a_list_that_fails() {
    let world = World::start(FIRST, &[FIRST]).await;
    let pace = Pace {
        certificates_gap: Duration::from_millis(1),
        certificates_every: Duration::from_millis(20),
        ..Pace::default()
    };
    let client = Client::with_pace(world.provider.config(), pace).unwrap();
    let task = tokio::spawn(client.clone().look_after_certificates());
    until("three downloads", || client.counters().certificates_loaded.load(Relaxed) >= 3).await;

    world.list_is(error(403, "NO_AUTH"));
    until("two failures", || client.counters().certificates_failed.load(Relaxed) >= 2).await;
    assert_eq!(callback(&client, FIRST), Ok(()));
    assert!(client.counters().configuration_faults.load(Relaxed) >= 1);
    task.abort();
}

#[tokio::test]
async fn a_merchant_with_a_public_key_needs_no_certificates() {
    for reply in [error(404, "RESOURCE_NOT_EXISTS"), error(500, "SYSTEM_ERROR")] {
        let world = World::start(FIRST, &[]).await;
        world.list_is(reply);
        let client = world.provider.client();
        assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::NotOffered));
        assert_eq!(client.counters().certificates_failed.load(Relaxed), 0);

        let old = world.old_merchant();
        assert!(matches!(old.load_certificates().await, Err(CertificatesError::Call(_))));
        assert_eq!(old.counters().certificates_failed.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn certificates_that_are_off_are_never_asked_for() {
    let world = World::start(FIRST, &[FIRST]).await;
    let client = Client::new(Config { certificates: Certificates::Off, ..world.provider.config() }).unwrap();

    assert_eq!(unverified(client.create_jsapi(b"{}").await), VerifyError::UnknownSerial);
    assert_eq!(callback(&client, FIRST), Err(NotificationError::UnknownSerial));
    assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::Off));
    client.look_after_certificates().await;
    assert_eq!(world.downloads(), 0);
}

/// What somebody without the API v3 key can put in the way of the first download.
#[tokio::test]
async fn a_list_is_believed_only_under_the_seal_and_a_signature() {
    let good = list(API_V3_KEY, &[FIRST]).to_string();
    let sealed_by_another = list("another-key-another-key-another!", &[FIRST]).to_string();
    let answer = |body: &str, headers| Reply::Answer { status: 200, headers, body: body.to_owned() };
    let probe = |mut headers: Vec<(&'static str, String)>| {
        headers[2].1 = format!("WECHATPAY/SIGNTEST/{}", "A".repeat(325));
        headers
    };
    let cases = [
        answer(&good, vec![]),
        answer(&sealed_by_another, signature(FIRST.serial, FIRST.key, &sealed_by_another)),
        answer(&good, signature(FIRST.serial, SECOND.key, &good)),
        answer(&good, signature(SECOND.serial, SECOND.key, &good)),
        answer(&good, signature(FIRST.serial, FIRST.key, "{}")),
        answer(&good, probe(signature(FIRST.serial, FIRST.key, &good))),
        answer("{}", signature(FIRST.serial, FIRST.key, "{}")),
        answer(r#"{"data":[]}"#, signature(PUBLIC_KEY_ID, KEY, r#"{"data":[]}"#)),
    ];
    for reply in cases {
        let world = World::start(FIRST, &[]).await;
        world.list_is(reply.clone());
        for client in [world.old_merchant(), world.provider.client()] {
            client.load_certificates().await.unwrap_err();
            assert_eq!(client.certificates_in_use(), 0, "{reply:?}");
            assert_eq!(unverified(client.create_jsapi(b"{}").await), VerifyError::UnknownSerial);
        }
    }
}

#[tokio::test]
async fn a_probe_on_the_list_is_followed_by_the_real_one() {
    let body = list(API_V3_KEY, &[FIRST]).to_string();
    for probe in [format!("WECHATPAY/SIGNTEST/{}", "A".repeat(325)), "WECHATPAY/SIGNTEST/?!".to_owned()] {
        let probes = Arc::new(Mutex::new(Some(probe)));
        let (script, body) = (Arc::clone(&probes), body.clone());
        let provider = Provider::start(move |_: &Request| {
            let mut headers = signature(FIRST.serial, FIRST.key, &body);
            if let Some(probe) = script.lock().unwrap().take() {
                headers[2].1 = probe;
            }
            Reply::Answer { status: 200, headers, body: body.clone() }
        })
        .await;
        let client = provider.client();
        assert_eq!(client.load_certificates().await, Ok(CertificatesLoaded::InUse(1)));
        assert_eq!(client.counters().answers_signtest.load(Relaxed), 1);
        assert_eq!(client.counters().answers_unverified.load(Relaxed), 0);
    }
}
