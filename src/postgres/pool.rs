//! Connections to Postgres, driven by the I/O runtime and by nothing else.
//!
//! A connection is driven by the runtime that opened it. Actors and HTTP workers run on single-threaded runtimes that must
//! not stall for a socket, so every job here is spawned onto the I/O runtime and its caller only awaits the result; it may
//! live on any runtime.
//!
//! While Postgres is away, jobs are refused at once: the first failure closes the door, and one probe with backoff opens
//! it again. Nobody else knocks, so a server that comes back is not met by a crowd.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use deadpool_postgres::{Hook, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_postgres::config::Host;

use super::access::Access;
use super::backoff::Backoff;
use super::error::{Outage, StoreError, text};
use super::priority;

/// Lists and reports at once; more would only queue inside Postgres, which shares two cores with the engine.
const LIST_CONNECTIONS: usize = 8;

/// Keys that wake at once. Apart from lists, so that a slow report cannot keep a ticket from being scanned.
const WAKE_CONNECTIONS: usize = 8;

/// The projector alone, one batch after the other.
const PROJECTION_CONNECTIONS: usize = 1;

/// To a server on this machine or in this room, a connection takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a job waits for one of its lane's connections: beyond this, refusing is kinder than queueing.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// What Postgres allows one statement of a list or a waking key. Below [`JOB_TIMEOUT`], so that usually it is Postgres
/// that gives up and the connection stays good.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The longest a list or a waking key takes, from the request for a connection to its last row; then 503. A stopped
/// server answers nothing, not even its own time limit.
const JOB_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest a batch of the projector takes. Nobody waits for it, but a stopped server must be noticed.
const PROJECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// What Postgres allows one statement of the projector; see [`STATEMENT_TIMEOUT`].
const PROJECTION_STATEMENT_TIMEOUT: Duration = Duration::from_secs(25);

/// A TCP peer that acknowledges nothing for this long is gone, whatever it promised.
pub(super) const TCP_SILENCE_MAX: Duration = Duration::from_secs(10);

/// What a job is for; each lane has its own connections, so that none can starve another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Lists and reports.
    Lists,
    /// Waking of sleeping keys.
    Wakes,
    /// The projector: one connection, longer limits.
    Projection,
}

/// Postgres as the rest of the process sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runtime: Handle,
    access: Access,
    lists: LanePool,
    wakes: LanePool,
    projection: LanePool,
    available: AtomicBool,
}

#[derive(Debug)]
struct LanePool {
    pool: Pool,
    connections: usize,
    job_timeout: Duration,
}

impl Database {
    /// Prepares the pools; connects to nothing yet. `runtime` is the I/O runtime, multi-threaded and with time and I/O
    /// enabled; it must outlive every clone's last job.
    pub fn new(runtime: Handle, access: &Access) -> Self {
        let mut access = access.clone();
        access.config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(TCP_SILENCE_MAX);
        if access.config.get_application_name().is_none() {
            access.config.application_name("deeptravel");
        }
        let lane = |lane| LanePool::new(&access, lane);
        let (lists, wakes, projection) = (lane(Lane::Lists), lane(Lane::Wakes), lane(Lane::Projection));
        let available = AtomicBool::new(true);
        Self { inner: Arc::new(Inner { runtime, access, lists, wakes, projection, available }) }
    }

    /// Runs `job` with a connection of `lane` on the I/O runtime and answers its result, at the latest after the lane's
    /// time limit. The connection goes back to the lane when the job drops its [`Session`], also if it does so early. The
    /// job goes on when the caller stops waiting. A panic in the job continues in the caller.
    ///
    /// # Errors
    /// The job's own error, or [`StoreError::Unavailable`]: at once while Postgres is known to be away.
    pub async fn run<T, F, Fut>(&self, lane: Lane, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(Session) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if !self.is_available() {
            return Err(StoreError::Unavailable(Outage::Away));
        }
        let inner = Arc::clone(&self.inner);
        let running = self.inner.runtime.spawn(async move {
            let result = inner.lane(lane).run(job).await;
            if result.as_ref().is_err_and(StoreError::means_away) {
                inner.close_door();
            }
            result
        });
        running.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Unavailable(Outage::ShuttingDown)),
        })
    }

    /// Whether Postgres answered last time, as far as we know.
    pub fn is_available(&self) -> bool {
        self.inner.available.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn lane(&self, lane: Lane) -> &LanePool {
        match lane {
            Lane::Lists => &self.lists,
            Lane::Wakes => &self.wakes,
            Lane::Projection => &self.projection,
        }
    }

    /// Refuses further jobs and starts the one probe that ends this. Runs on the I/O runtime.
    fn close_door(self: &Arc<Self>) {
        if !self.available.swap(false, Ordering::Relaxed) {
            return;
        }
        tracing::warn!("Postgres is away: lists, reports and waking keys answer 503 until it is back");
        for lane in [&self.lists, &self.wakes, &self.projection] {
            // Idle connections are suspect too, and one that hangs would cost its next user the whole time limit.
            lane.pool.retain(|_, _| false);
        }
        self.runtime.spawn(probe_until_back(Arc::downgrade(self), self.access.clone()));
    }
}

/// Opens the door again when Postgres answers. Gives up when nobody holds the [`Database`] any more.
async fn probe_until_back(inner: Weak<Inner>, access: Access) {
    let away_since = Instant::now();
    let mut backoff = Backoff::default();
    while let Err(error) = probe(&access).await {
        if inner.strong_count() == 0 {
            return;
        }
        tracing::debug!(error = %text(error), "Postgres is still away");
        backoff.pause().await;
    }
    let Some(inner) = inner.upgrade() else { return };
    let away_ms = u64::try_from(away_since.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(away_ms, "Postgres is back after {away_ms} ms");
    inner.available.store(true, Ordering::Relaxed);
}

/// Connects and asks for an answer, on a connection of its own.
async fn probe(access: &Access) -> Result<(), StoreError> {
    let attempt = async {
        let (client, connection) = access.connect().await.map_err(StoreError::connect)?;
        let ask = async { client.simple_query("SELECT 1").await.map(drop).map_err(StoreError::from) };
        tokio::select! {
            answer = ask => answer,
            ended = connection => ended.map_err(StoreError::from).and(Err(StoreError::Unavailable(Outage::Away))),
        }
    };
    let silent = Err(StoreError::Unavailable(Outage::Silent { limit: CONNECT_TIMEOUT }));
    tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or(silent)
}

impl LanePool {
    fn new(access: &Access, lane: Lane) -> Self {
        let (connections, job_timeout, statement_timeout) = match lane {
            Lane::Lists => (LIST_CONNECTIONS, JOB_TIMEOUT, STATEMENT_TIMEOUT),
            Lane::Wakes => (WAKE_CONNECTIONS, JOB_TIMEOUT, STATEMENT_TIMEOUT),
            Lane::Projection => (PROJECTION_CONNECTIONS, PROJECTION_TIMEOUT, PROJECTION_STATEMENT_TIMEOUT),
        };
        let Access { mut config, tls } = access.clone();
        let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        config.options(format!("{given}-c statement_timeout={}", statement_timeout.as_millis()));
        let is_here = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let mut builder = Pool::builder(Manager::from_config(config, tls, recycle));
        if lane == Lane::Projection && is_here {
            builder = builder.post_create(Hook::async_fn(|client, _| Box::pin(priority::lower(client).map(Ok))));
        }
        let timeouts =
            Timeouts { wait: Some(ACQUIRE_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
        let pool = builder
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .build()
            .expect("a pool that was given its runtime");
        Self { pool, connections, job_timeout }
    }

    /// Runs on the I/O runtime: the pool spawns a new connection's driver on the runtime it is called from.
    async fn run<T, F, Fut>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(Session) -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let deadline = tokio::time::Instant::now() + self.job_timeout;
        let object = self.pool.get().await;
        let object = object.map_err(|error| StoreError::from_pool(error, self.connections, CONNECT_TIMEOUT))?;
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut work = Box::pin(job(Session { object: Some(object), abandoned: Arc::clone(&abandoned) }));
        if let Ok(result) = tokio::time::timeout_at(deadline, work.as_mut()).await {
            return result;
        }
        abandoned.store(true, Ordering::Relaxed);
        Err(StoreError::Unavailable(Outage::Silent { limit: self.job_timeout }))
    }
}

/// One job's connection: a client with a cache of prepared statements. It goes back to its lane when dropped, unless its
/// job ran out of time: then a statement may still be running on it and it is closed.
#[derive(Debug)]
pub struct Session {
    object: Option<Object>,
    abandoned: Arc<AtomicBool>,
}

impl Session {
    /// Present until `drop`, the only place that takes it.
    const PRESENT: &'static str = "a session keeps its connection until it is dropped";
}

impl Deref for Session {
    type Target = deadpool_postgres::Client;

    fn deref(&self) -> &Self::Target {
        self.object.as_ref().expect(Self::PRESENT)
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.object.as_mut().expect(Self::PRESENT)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            // Taken out of its pool and dropped, a client closes its connection.
            drop(self.object.take().map(Object::take));
        }
    }
}
