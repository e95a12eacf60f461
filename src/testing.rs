//! Databases for tests: a fresh, migrated one for each test. For tests only; the process itself calls nothing here.
//!
//! All tests of one process share one private cluster without fsync. Its directory is kept between runs, because making
//! one costs more than most tests: each process takes the first directory that no other process uses, so test binaries may
//! run one after another or at once. When the process ends, however it ends, the kernel stops the server.
//!
//! Works as root and as an ordinary user, inside and outside of an asynchronous runtime.

pub mod pipe;
pub mod suite;

use std::future::Future;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, anyhow};
use tokio::runtime::Runtime;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use crate::embedded::{Cluster, EmbeddedError, Options, SUPERUSER};
use crate::postgres::{Access, migrate, migrations};

/// More test processes at once than this on one machine is a mistake.
const PROCESSES_MAX: u32 = 32;

/// Databases that tests make start with this; what an earlier, killed run left behind is removed by it.
const TEST_PREFIX: &str = "test_";

/// The database that tests copy is called this and the digest of the migrations.
const TEMPLATE_PREFIX: &str = "template_";

/// The number of the advisory lock around `CREATE DATABASE`, which fails when two copy one template at once.
const COPY_LOCK: i64 = 0x6465_6570_7472_7602;

/// The cluster that all tests of this process share, and what talks to it.
struct Shared {
    cluster: Cluster,
    template: String,
    runtime: Runtime,
    made: AtomicU32,
}

static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();

/// A migrated database of one test. Dropping it removes the database with all connections to it.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its name in the shared cluster.
    pub name: String,
    /// How this process reaches it.
    pub config: Config,
    /// How a process started by the test reaches it, as a `DATABASE_URL`.
    pub url: String,
}

impl TestDatabase {
    /// The same for the process's own connections.
    pub fn access(&self) -> Access {
        Access::by_socket(self.config.clone())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Ok(shared) = shared() else { return };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let config = shared.cluster.connection("postgres");
        // A database that stays behind is removed by the next run.
        let _ =
            shared.block_on(async move { connect(&config).await?.batch_execute(&statement).await.map_err(Into::into) });
    }
}

/// Makes a fresh, migrated, empty database. Blocks a tenth of a second or two; the first call of a process starts the cluster.
pub fn fresh_database() -> Result<TestDatabase> {
    let shared = shared()?;
    let number = shared.made.fetch_add(1, Ordering::Relaxed);
    let name = format!("{TEST_PREFIX}{}_{number}", std::process::id());
    let statement = format!("CREATE DATABASE {name} TEMPLATE {}", shared.template);
    let config = shared.cluster.connection("postgres");
    shared.block_on(async move { copy(&config, &statement).await })?;
    Ok(TestDatabase { config: shared.cluster.connection(&name), url: url(&shared.cluster, &name), name })
}

async fn copy(config: &Config, statement: &str) -> Result<()> {
    let client = connect(config).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&COPY_LOCK]).await?;
    client.batch_execute(statement).await.with_context(|| statement.to_owned())
}

fn shared() -> Result<&'static Shared> {
    let shared = SHARED.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    shared.as_ref().map_err(|error| anyhow!("the tests' Postgres did not start: {error}"))
}

fn start() -> Result<Shared> {
    let cluster = start_in_a_free_directory()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let template = format!("{TEMPLATE_PREFIX}{}", migrations_digest());
    let shared = Shared { cluster, template, runtime, made: AtomicU32::new(0) };

    let (admin, template) = (shared.cluster.connection("postgres"), shared.template.clone());
    let template_config = shared.cluster.connection(&template);
    shared.block_on(async move { prepare(&admin, &template, &template_config).await })?;
    Ok(shared)
}

/// Takes the first directory that no other process holds. One that does not start any more (without fsync, a crash of the
/// machine may spoil it) is made anew.
fn start_in_a_free_directory() -> Result<Cluster> {
    let parent = clusters_dir();
    for number in 0..PROCESSES_MAX {
        let data_dir = parent.join(number.to_string());
        let options = Options { fsync: false, ..Options::new(&data_dir) };
        match suite::cluster("shared", &options) {
            Err(EmbeddedError::InUse { .. }) => {}
            Err(EmbeddedError::EndedWhileStarting { .. } | EmbeddedError::MajorMissing { .. }) => {
                std::fs::remove_dir_all(&data_dir)?;
                return Ok(suite::cluster("shared", &options)?);
            }
            other => return Ok(other?),
        }
    }
    Err(anyhow!("all {PROCESSES_MAX} directories in {} are in use", parent.display()))
}

/// Removes what earlier runs left behind and sees to it that the template is there.
async fn prepare(admin: &Config, template: &str, template_config: &Config) -> Result<()> {
    let client = connect(admin).await?;
    let mut there = false;
    for row in client.query("SELECT datname FROM pg_database", &[]).await? {
        let name: String = row.try_get(0)?;
        there |= name == template;
        let stale = name.starts_with(TEMPLATE_PREFIX) && name != template;
        if stale || name.starts_with(TEST_PREFIX) {
            client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
    }
    if !there {
        // Renamed when whole, so that a killed run leaves no half-migrated template under the name.
        let half = format!("{TEST_PREFIX}template");
        client.batch_execute(&format!("CREATE DATABASE {half}")).await?;
        migrate(&Access::by_socket(template_config.clone().dbname(&half).clone())).await?;
        client.batch_execute(&format!("ALTER DATABASE {half} RENAME TO {template}")).await?;
    }
    Ok(())
}

/// A short name for the whole set of migrations in this program, which changes when any of them does.
fn migrations_digest() -> String {
    let digest = migrations()
        .get_migrations()
        .iter()
        .fold(0u64, |digest, migration| digest.rotate_left(7) ^ migration.checksum());
    format!("{digest:016x}")
}

async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    // Ends by itself when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}

impl Shared {
    /// Waits for `work` on a thread that may already be inside a runtime.
    fn block_on<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (answer, answered) = mpsc::channel();
        self.runtime.spawn(async move {
            // Nobody listens any more only when the test's thread has gone.
            let _ = answer.send(work.await);
        });
        answered.recv()?
    }
}

/// How a process started by a test reaches `dbname` in the cluster, as a `DATABASE_URL`.
pub fn url(cluster: &Cluster, dbname: &str) -> String {
    let host = percent_encode(&socket_dir(cluster).to_string_lossy());
    let port = cluster.connection(dbname).get_ports()[0];
    format!("postgres://{SUPERUSER}@{host}:{port}/{dbname}")
}

/// The directory of a cluster's socket, which `psql -h` wants.
pub fn socket_dir(cluster: &Cluster) -> PathBuf {
    match cluster.connection("postgres").get_hosts() {
        [Host::Unix(directory)] => directory.clone(),
        others => unreachable!("a private cluster listens on one socket, not on {others:?}"),
    }
}

fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// The directory that holds the clusters of tests, for a person who wants to look at a log.
pub fn clusters_dir() -> PathBuf {
    std::env::temp_dir().join(format!("deeptravel-tests-{}", rustix::process::geteuid().as_raw()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_socket_directory_survives_the_url() {
        assert_eq!(super::percent_encode("/tmp/a b"), "%2Ftmp%2Fa%20b");
    }
}
