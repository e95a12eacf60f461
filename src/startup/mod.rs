//! Puts the process together. The only place that knows everyone.
//!
//! A [`Core`] is everything but the listeners: private Postgres, journal, projection, engine. `serve` and `demo` put
//! HTTP in front of it; `import` and `admin` use it without.

mod accounts;
mod adopt;
mod check;
mod consent;
mod demo;
mod descriptors;
mod doubts;
mod look;
mod reset_time;
mod serve;
mod takeover;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use deeptravel_actors::clock::Clock;
use deeptravel_actors::engine::{Engine, Parts};
use deeptravel_actors::follow::Following;
use deeptravel_actors::journal::{Journal, JournalOptions, OpenError, Opened, Retention};
use deeptravel_actors::projector::{ProjectionHalted, Projector};
use deeptravel_domain::sealing::DocumentKeys;
use deeptravel_domain::time::Timestamp;
use deeptravel_wechat::Client;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

pub use accounts::{check_password, make_account, reset_password};
pub use adopt::adopt;
pub use check::complaints;
pub use demo::demo;
pub use doubts::Doubts;
pub use reset_time::reset_time;
pub use serve::serve;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::embedded::{self, Cluster};
use crate::gateway::WechatGateway;
use crate::postgres::{self, Access, Database, SchemaError, Store};
use crate::webhooks::HttpPost;
use takeover::{Held, fenced, patiently, take_over};

/// Threads for everything that waits for the network: Postgres, WeChat.
const IO_THREADS: usize = 2;
/// How long a stopping process waits for Postgres to have everything; the rest is projected at the next start.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How long tasks that still wait for the network are waited for at the end.
const IO_SHUTDOWN: Duration = Duration::from_secs(1);
/// How often the private Postgres is looked after.
const CLUSTER_CHECK: Duration = Duration::from_millis(500);
/// How often projected segments are considered for deletion: when space is short, sales wait for it.
const RETENTION_CHECK: Duration = Duration::from_secs(1);

/// What calls to the world outside are made with.
pub struct Outside {
    pub wechat: Client,
    /// They open the secrets of partners' webhooks.
    pub documents: Arc<DocumentKeys>,
}

/// A running engine with all it needs, and no listener.
pub struct Core {
    pub engine: Engine,
    pub database: Database,
    /// `None` while projection is paused.
    projection: Option<JoinHandle<Result<(), ProjectionHalted>>>,
    cluster: Option<Arc<Cluster>>,
    held: Held,
    io: Io,
    _dir: DataDir,
}

impl Core {
    /// Starts as rule 14 says. Without what it needs outside no call reaches WeChat, and no partner is told anything.
    /// Nothing is written before the clock is believed.
    pub async fn start(
        config: &Config,
        dir: DataDir,
        outside: Option<Outside>,
        doubts: Doubts,
    ) -> anyhow::Result<Core> {
        let (wechat, documents) = outside.map(|Outside { wechat, documents }| (wechat, documents)).unzip();
        let post = documents.map(|keys| HttpPost::new(keys, config.webhooks)).transpose()?;
        let runtime = io_threads()?;
        let io = runtime.handle();
        let (cluster, access) = start_database(config)?;
        let (journal, opened) = open_journal(config, &dir)?;
        doubts.of_journal(config, &opened)?;
        let clock = Clock::start(opened.last_at_ms.map(Timestamp::from_ms));
        io.spawn(clock.clone().follow_wall_clock());

        let database = Database::new(io.clone(), &access);
        io.spawn(migrate(access)).await??;
        doubts.of_database(&database).await?;
        let held = take_over(&database, &journal).await?;
        let store = Arc::new(Store::new(database.clone(), held.journal_id, held.epoch));
        let (mut projector, projected) = Projector::new(&journal, store.clone(), held.seen)?;
        let tail = io.spawn(async move {
            projector.catch_up().await?;
            Ok::<Projector, ProjectionHalted>(projector)
        });
        let projector = tail.await?.context("projecting what the journal has and the database has not")?;
        let projection = (!config.projector.paused).then(|| io.spawn(projector.run()));

        let engine = Engine::start(Parts {
            journal: journal.clone(),
            clock,
            store,
            gateway: Arc::new(WechatGateway(wechat)),
            projected,
            io: io.clone(),
            sales: config.order,
            arbiters: config.server.arbiters(),
        })
        .await?;
        let following = Following::start(&io, &journal, engine.followers());
        if let Some(post) = post {
            io.spawn(engine.send_webhooks(Arc::new(post)));
        }
        if let Some(cluster) = cluster.clone() {
            io.spawn(watch_cluster(cluster));
        }
        io.spawn(release_segments(engine.clone(), following, config.journal.clone()));
        Ok(Core { engine, database, projection, cluster, held, io: runtime, _dir: dir })
    }

    /// The `postgres: …` line: how to connect.
    pub fn describe_database(&self) -> String {
        self.cluster.as_ref().map_or_else(|| "postgres: as configured".to_owned(), |cluster| cluster.describe())
    }

    /// Resolves when the process must not go on: the journal cannot write, or the database is another server's.
    pub fn fatal(&mut self) -> impl Future<Output = anyhow::Error> + use<> {
        let (projection, database, held) = (self.projection.take(), self.database.clone(), self.held);
        let services = self.engine.services();
        let (journal, watched, projected) =
            (services.journal.failed(), services.journal.clone(), services.projected.clone());
        let projecting = async move {
            let Some(task) = projection else { return std::future::pending().await };
            match task.await {
                Ok(Err(halted @ ProjectionHalted::Fenced(_))) => anyhow::Error::new(halted),
                Ok(Err(halted)) => {
                    // Sales go on: everything is in the journal. Somebody has to look (rule 12).
                    tracing::error!(%halted, "Projection has halted: {halted}");
                    metrics::gauge!("projection_halted").set(1.0);
                    std::future::pending().await
                }
                // It ends with the journal, which says why.
                Ok(Ok(())) => std::future::pending().await,
                Err(panicked) => anyhow::Error::new(panicked).context("projection"),
            }
        };
        async move {
            tokio::select! {
                failed = journal => anyhow::Error::new(failed),
                error = fenced(&database, &watched, held, &projected) => error,
                error = projecting => error,
            }
        }
    }

    /// Flushes the journal, lets Postgres catch up within a deadline, stops everything.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.engine.stop();
        let journal = self.engine.services().journal.clone();
        let last = tokio::task::spawn_blocking(move || journal.close()).await?.context("closing the journal")?;
        let mut projected = self.engine.services().projected.clone();
        let drained = tokio::time::timeout(DRAIN_DEADLINE, projected.wait_for(|position| *position >= last)).await;
        if !matches!(drained, Ok(Ok(_))) {
            tracing::warn!("The database is behind; the next start brings it up to date");
        }
        let (io, cluster) = (self.io.runtime.take(), self.cluster);
        // Both block.
        tokio::task::spawn_blocking(move || {
            if let Some(runtime) = io {
                runtime.shutdown_timeout(IO_SHUTDOWN);
            }
            cluster.map_or(Ok(()), |cluster| cluster.stop())
        })
        .await??;
        Ok(())
    }

    /// Waits until Postgres has everything that was answered.
    pub async fn drained(&self) -> anyhow::Result<()> {
        let services = self.engine.services();
        let last = services.journal.appended();
        services.projected.clone().wait_for(|position| *position >= last).await.context("projection has ended")?;
        Ok(())
    }
}

/// The runtime for everything that waits for the network. A runtime must not be dropped where it would block a task.
struct Io {
    runtime: Option<Runtime>,
    handle: Handle,
}

fn io_threads() -> anyhow::Result<Io> {
    let building = Builder::new_multi_thread().worker_threads(IO_THREADS).thread_name("io").enable_all().build();
    let runtime = building.context("threads for input and output")?;
    Ok(Io { handle: runtime.handle().clone(), runtime: Some(runtime) })
}

impl Io {
    fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whatever is younger is kept. Nothing is old enough to be deleted until the clock has been steady for a while (rule 15).
fn kept_since(clock: &Clock, hours: u32) -> Timestamp {
    if clock.is_steady() { clock.now().plus_seconds(-3600 * i64::from(hours)) } else { Timestamp::from_ms(i64::MIN) }
}

/// Deletes segments that Postgres and the followers have and nobody wants any more; without space for sales also such as
/// would be kept for retention or a follower that does not get on.
async fn release_segments(engine: Engine, following: Following, options: JournalOptions) {
    let Parts { journal, projected, clock, .. } = &*engine.services().parts;
    let mut tick = tokio::time::interval(RETENTION_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while journal.failure().is_none() {
        tick.tick().await;
        let (following, up_to) = (following.clone(), *projected.borrow());
        let since_ms = kept_since(clock, options.retain_hours).as_ms();
        let retention = Retention { bytes_max: options.retain_bytes, since_ms };
        let was_rationed = journal.space().is_rationed();
        let releasing = tokio::task::spawn_blocking(move || following.release(up_to, retention)).await;
        match releasing {
            Ok(Ok(released)) if was_rationed && released.segments > 0 => tracing::warn!(
                segments = released.segments,
                "{} projected segments are deleted early: the journal has no space for new sales",
                released.segments
            ),
            Ok(Err(error)) => tracing::warn!(%error, "Old journal segments cannot be deleted: {error}"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

/// Starts the private Postgres again when it has ended by itself. Ends with its runtime, before Postgres is stopped.
async fn watch_cluster(cluster: Arc<Cluster>) {
    loop {
        tokio::time::sleep(CLUSTER_CHECK).await;
        if cluster.pid().is_none() {
            tracing::error!("The private Postgres has ended and is started again");
            let cluster = Arc::clone(&cluster);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || cluster.start_again()).await {
                tracing::error!(%error, "The private Postgres cannot be started: {error}");
            }
        }
    }
}

fn start_database(config: &Config) -> anyhow::Result<(Option<Arc<Cluster>>, Access)> {
    if let Some(access) = config.database.access()? {
        return Ok((None, access));
    }
    let cluster = Cluster::start(&embedded::Options::new(config.data_dir.join("postgres")))?;
    let access = Access::by_socket(cluster.connection(embedded::DATABASE));
    Ok((Some(Arc::new(cluster)), access))
}

fn open_journal(config: &Config, held: &DataDir) -> anyhow::Result<(Journal, Opened)> {
    let dir = held.journal()?;
    let opening = Journal::open(&dir, config.journal.clone()).map_err(with_way_on);
    let (journal, opened) = opening.with_context(|| format!("the journal in {}", dir.display()))?;
    if let Some(repair) = &opened.repaired {
        tracing::warn!(?repair, "The journal's torn tail was cut");
    }
    Ok((journal, opened))
}

/// Whoever reads that records are missing reads what to do, too.
fn with_way_on(error: OpenError) -> anyhow::Error {
    if !error.is_loss() {
        return error.into();
    }
    anyhow!("{error}; if it cannot be got back, `deeptravel journal adopt` goes on without it (docs/lost-journal.md)")
}

/// Brings the schema up to date.
async fn migrate(access: Access) -> anyhow::Result<()> {
    let applied = patiently(SchemaError::is_outage, || postgres::migrate(&access)).await.context("schema")?;
    if !applied.is_empty() {
        tracing::info!(migrations = ?applied, "Migrated the database");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_15_nothing_is_old_enough_while_the_clocks_disagree() {
        let clock = Clock::start(None);
        let hours = clock.now().ms_since(kept_since(&clock, 48)) / 3_600_000;
        assert!((48..=49).contains(&hours), "{hours} hours");

        for seconds in [3600, -3600] {
            let newest = clock.now().plus_seconds(seconds);
            assert_eq!(kept_since(&Clock::start(Some(newest)), 48), Timestamp::from_ms(i64::MIN), "{seconds}");
        }
    }
}
