//! A private Postgres for `demo` and for tests: found on the machine, initialised in a directory of ours, reachable only
//! through a Unix socket, and gone when this process is gone, also after `kill -9`.
//!
//! Everything lives in one directory (`Options::data_dir`):
//!
//! | entry | it is |
//! |---|---|
//! | `cluster/` | what `initdb` made |
//! | `socket/` | the socket, unless the path is too long for one |
//! | `lock` | held by the process that owns the directory |
//! | `postgres.log` | what the server wrote |
//!
//! Postgres refuses to run as root, so root lends it an unprivileged account. Login is by peer: the account of the server
//! and the account of this process may log in as [`SUPERUSER`], nobody else, and there is no password and no TCP port.
//!
//! Deliberately absent: downloads, upgrades between major versions, and any setting an operator would want to tune. For
//! those, run Postgres yourself and give a `DATABASE_URL`.

mod account;
mod binaries;
mod directory;
mod error;
mod server;
mod settings;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use account::Account;
pub use error::EmbeddedError;
use error::Result;
use server::{Launch, Server};

/// The database role that owns everything in the private cluster.
pub const SUPERUSER: &str = "deeptravel";

/// The database that exists from the first start on.
pub const DATABASE: &str = "deeptravel";

/// What the caller decides about the private cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory that holds everything; made when missing, otherwise empty or made by an earlier start.
    pub data_dir: PathBuf,
    /// Whether commits reach the disk. Only tests, whose data nobody misses, turn this off.
    pub fsync: bool,
    /// The directory of `initdb` and `postgres`. `None` searches the usual places.
    pub program_dir: Option<PathBuf>,
}

impl Options {
    /// A durable cluster in `data_dir` with the programs of this machine, or those of `DEEPTRAVEL_PG_BINDIR`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let program_dir = std::env::var_os("DEEPTRAVEL_PG_BINDIR").map(PathBuf::from);
        Self { data_dir: data_dir.into(), fsync: true, program_dir }
    }
}

/// A running private Postgres. Dropping it stops the server.
#[derive(Debug)]
pub struct Cluster {
    launch: Launch,
    server: Mutex<Option<Server>>,
    _lock: File,
}

impl Cluster {
    /// Starts Postgres in `options.data_dir` and returns when it accepts connections. Blocks: about a second when the
    /// cluster has to be made first, a few tenths otherwise; up to ten seconds more while a server that an earlier,
    /// killed process left behind shuts down.
    ///
    /// The kernel ends the server when the *thread* that forked it ends, so the fork happens on a thread of our own
    /// that lives as long as the `Cluster`; callers may use any thread. Call it outside asynchronous code, or through
    /// `spawn_blocking`.
    ///
    /// # Errors
    /// Every [`EmbeddedError`] is one sentence that says what to do; those of a failed start carry the last lines of the
    /// server's log.
    pub fn start(options: &Options) -> Result<Self> {
        let account = Account::choose(&options.data_dir.join(directory::CLUSTER))?;
        let data_dir = directory::prepare(&options.data_dir, &account)?;
        let lock = directory::lock(&data_dir)?;

        let cluster_dir = data_dir.join(directory::CLUSTER);
        let programs = binaries::find(options.program_dir.as_deref(), directory::made_by(&cluster_dir)?.as_ref())?;
        directory::evict_orphans(&cluster_dir)?;
        if !cluster_dir.exists() {
            directory::initialise(&cluster_dir, &programs, &account, options.fsync)?;
        }
        directory::write_access_rules(&cluster_dir, &account)?;

        let socket_dir = directory::socket_dir(&data_dir, &account)?;
        let arguments = settings::arguments(&socket_dir, options.fsync);
        let log = data_dir.join(directory::LOG);
        let launch = Launch { programs, account, cluster_dir, socket_dir, log, arguments };
        let server = launch.start()?;
        Ok(Self { launch, server: Mutex::new(Some(server)), _lock: lock })
    }

    /// How this process reaches `dbname` in the cluster.
    pub fn connection(&self, dbname: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.launch.socket_dir).port(settings::PORT).user(SUPERUSER).dbname(dbname);
        config.options(settings::OF_OUR_SESSIONS);
        config
    }

    /// The line that tells people and scripts how to connect; what follows `postgres: ` can be pasted into a shell.
    pub fn describe(&self) -> String {
        let host = shell_quote(&self.launch.socket_dir.to_string_lossy());
        format!("postgres: psql -h {host} -p {} -U {SUPERUSER} -d {DATABASE}", settings::PORT)
    }

    /// The process id of the server, `None` while it is stopped or after it died.
    pub fn pid(&self) -> Option<u32> {
        self.server().as_mut().and_then(Server::running_pid)
    }

    /// Ends all connections, writes everything out and waits until the server has gone. Already stopped is success.
    pub fn stop(&self) -> Result<()> {
        let mut slot = self.server();
        slot.take().map_or(Ok(()), |server| server.stop(&self.launch.cluster_dir))
    }

    /// Starts the server again after [`Cluster::stop`] or after it died, on the same socket. Already running is success.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = self.server();
        if slot.as_mut().and_then(Server::running_pid).is_some() {
            return Ok(());
        }
        *slot = None;
        directory::evict_orphans(&self.launch.cluster_dir)?;
        *slot = Some(self.launch.start()?);
        Ok(())
    }

    /// The guard protects an `Option` that is whole at every moment, so a panic elsewhere does not spoil it.
    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(error = %error, "The private Postgres did not stop cleanly");
        }
        directory::remove_socket_dir(&self.launch.socket_dir);
    }
}

/// Where the process keeps its state when no directory is given: `/var/lib/deeptravel` for root, otherwise
/// `~/.local/state/deeptravel`. Never inside a checkout, which the account of the server often cannot reach.
pub fn default_state_dir() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/deeptravel"));
    }
    match std::env::var_os("HOME") {
        Some(home) if !home.is_empty() => Ok(Path::new(&home).join(".local/state/deeptravel")),
        _ => Err(EmbeddedError::NoHome),
    }
}

fn shell_quote(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._".contains(&byte)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_quote;

    #[test]
    fn a_socket_directory_survives_the_shell() {
        assert_eq!(shell_quote("/tmp/plain-1.2_x"), "/tmp/plain-1.2_x");
        assert_eq!(shell_quote("/tmp/it's"), r"'/tmp/it'\''s'");
    }
}
