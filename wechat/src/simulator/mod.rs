//! WeChat as a local HTTP server (R-PAY-08): it verifies our signatures on the raw bytes, signs its answers with its own
//! key, sends encrypted notifications and repeats them, and misbehaves when told to.
//!
//! For development and tests, never under `serve`; it listens on loopback only. All state is in memory: to us it is the
//! outside world. One merchant; JSAPI payments (create, query, close), refunds, platform certificates; of the
//! mini-program server API code2Session, access tokens and subscribe messages. Bills come later.
//!
//! It shares the primitives of `crypto` with the client and nothing of the wire: what is signed, how it is written and
//! what is read is here a second time, and `tests/independent.rs` holds both against a third implementation.
//!
//! Two clocks: signatures and their five-minute windows live on the wall clock, business (deadlines of transactions,
//! when a notification is repeated) on the wall clock plus the offset that `/_sim/clock/advance` adds. So a test can
//! jump past a deadline without every signature becoming stale.

mod api_error;
mod chance;
mod compose;
mod control;
mod control_keys;
mod endpoints;
mod exchange;
mod faults;
mod jobs;
mod mini;
mod notice;
mod notify;
mod payer;
mod platform;
mod refund;
mod refund_endpoints;
mod refunds;
mod requests;
mod server;
mod settings;
mod signing;
mod state;
mod time;
mod transaction;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use jiff::{SignedDuration, Timestamp};

use crate::config;
use crate::crypto::{ApiV3Key, VerifyingKey};
use faults::{Endpoint, Fault, Faults};
use mini::Mini;
use platform::Platform;
use requests::Request;
use settings::Settings;
use state::State;

/// Least distance of `time_expire` from the order's time, in seconds, as WeChat has it.
pub const MIN_TIME_EXPIRE_SECONDS: i64 = 60;

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    pub merchant: Merchant,
    /// Exactly 32 ASCII characters.
    pub api_v3_key: String,
    /// Gaps between repeats of a notification are multiplied by this: 1.0 is WeChat's pace (15 s, 15 s, 30 s, 3 min …
    /// over a day), 0.01 a hundred times faster.
    pub time_factor: f64,
    /// A `time_expire` nearer than this is silently raised; WeChat's value is [`MIN_TIME_EXPIRE_SECONDS`].
    pub min_time_expire_seconds: i64,
}

/// The one merchant that the simulator serves.
#[derive(Clone)]
pub struct Merchant {
    pub mchid: String,
    pub appid: String,
    pub app_secret: String,
    /// Serial of the merchant's API certificate.
    pub serial: String,
    /// SubjectPublicKeyInfo PEM of the merchant's API key.
    pub public_key_pem: String,
}

impl fmt::Debug for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merchant").field("mchid", &self.mchid).field("appid", &self.appid).finish_non_exhaustive()
    }
}

/// A running simulator; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, the port filled in.
    pub addr: SocketAddr,
    /// The id of its key, for the client's configuration.
    pub public_key_id: String,
    /// Its public key, for the client's configuration.
    pub public_key_pem: String,
    /// Serial of the platform certificate that it starts with.
    pub certificate_serial: String,
    /// That certificate, X.509 PEM.
    pub certificate_pem: String,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// `http://ADDR`, for the client's `base_url` and `api_base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops at once and waits until the port is free. Blocks for some milliseconds.
    pub fn stop(mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("The WeChat simulator's thread had panicked");
        }
    }

    fn tell_to_stop(&self) {
        // The command is sent by the call itself; the future only waits for it.
        drop(self.handle.stop(false));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// Starts a simulator on a thread of its own with an actix system of its own, so it may be called from any thread.
/// Fails when the address is not loopback or not free, or when a key in the configuration is no key.
pub fn start(config: SimulatorConfig) -> io::Result<Running> {
    if !config.listen.ip().is_loopback() {
        return Err(invalid("the simulator listens on loopback only"));
    }
    let listener = TcpListener::bind(config.listen)?;
    let addr = listener.local_addr()?;
    let simulator = Arc::new(Simulator::new(config)?);
    let (public_key_id, public_key_pem) = (simulator.platform.key_id.clone(), simulator.platform.key_pem.clone());

    let (certificates, certificate_serial) = simulator.platform.certificates();
    let certificate_pem = certificates.first().map(|first| first.pem.clone()).unwrap_or_default();

    let (started, ready) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("wechat-simulator".into())
        .spawn(move || server::run(simulator, listener, &started))?;
    let handle = ready.recv().map_err(|_| io::Error::other("the simulator's thread ended at once"))??;
    Ok(Running {
        addr,
        public_key_id,
        public_key_pem,
        certificate_serial,
        certificate_pem,
        handle,
        thread: Some(thread),
    })
}

/// What all handlers share.
struct Simulator {
    merchant: Merchant,
    /// Verification keys of the merchant by certificate serial, in upper case.
    merchant_keys: RwLock<HashMap<String, VerifyingKey>>,
    platform: Platform,
    api_v3_key: ApiV3Key,
    /// Seconds by which business time is ahead of the wall clock.
    offset_seconds: AtomicI64,
    settings: Mutex<Settings>,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// The last signed requests.
    requests: Mutex<VecDeque<Request>>,
    mini: Mutex<Mini>,
    /// Wakes the notification worker when something became due or the clock moved.
    wake: tokio::sync::Notify,
    /// Tells that a notification was tried.
    attempted: tokio::sync::Notify,
}

impl Simulator {
    fn new(config: SimulatorConfig) -> io::Result<Self> {
        let settings = Settings::new(config.time_factor, config.min_time_expire_seconds).map_err(invalid)?;
        let merchant_key = VerifyingKey::from_pem(&config.merchant.public_key_pem)
            .map_err(|error| invalid(format!("merchant.public_key_pem: {error}")))?;
        let api_v3_key = config::api_v3_key("api_v3_key", &config.api_v3_key).map_err(invalid)?;
        let serial = config.merchant.serial.to_ascii_uppercase();
        Ok(Self {
            platform: Platform::generate(&config.merchant.mchid)?,
            merchant: config.merchant,
            merchant_keys: RwLock::new(HashMap::from([(serial, merchant_key)])),
            api_v3_key,
            offset_seconds: AtomicI64::new(0),
            settings: Mutex::new(settings),
            state: Mutex::new(State::default()),
            faults: Mutex::new(Faults::default()),
            requests: Mutex::default(),
            mini: Mutex::default(),
            wake: tokio::sync::Notify::new(),
            attempted: tokio::sync::Notify::new(),
        })
    }

    /// Business time.
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.offset_seconds.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(offset).unwrap_or(Timestamp::MAX)
    }

    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that applies to this call about `numbers`.
    fn fault(&self, endpoint: Endpoint, numbers: &[&str]) -> Fault {
        let seed = self.settings().seed;
        self.faults().take(endpoint, numbers, seed)
    }

    fn merchant_key(&self, serial: &str) -> Option<VerifyingKey> {
        let keys = self.merchant_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&serial.to_ascii_uppercase()).cloned()
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mini(&self) -> MutexGuard<'_, Mini> {
        self.mini.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
