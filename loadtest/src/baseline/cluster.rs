//! A Postgres of the baseline's own: the same program under the same account, on the same file system and with the same
//! settings as the one that the server under test has started, as its command line says; only that it lets more clients
//! in. So nothing that the projector does or has left behind is charged to the baseline.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Config, NoTls};

use crate::usage;

/// Until it lets us in.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// From the signal until it has ended; then it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// More than any number of clients that is tried.
const CONNECTIONS: &str = "max_connections=200";
const USER: &str = "loadtest";

/// Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    _directory: TempDir,
    pub config: Config,
}

/// How the server runs its Postgres.
struct Model {
    program: PathBuf,
    arguments: Vec<String>,
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Returns when it lets clients in.
    pub async fn like_that_of(server: u32, scratch: &Path) -> anyhow::Result<Cluster> {
        let model = usage::descendants(server).into_iter().find_map(Model::read);
        let model = model.context("the server has no Postgres of its own whose settings could be taken")?;
        let directory = tempfile::Builder::new()
            .prefix("deeptravel-baseline-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(scratch)
            .with_context(|| format!("making a directory in {}", scratch.display()))?;
        let (data, socket) = (directory.path().join("data"), directory.path().join("socket"));
        for path in [&data, &socket] {
            fs::create_dir(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
            // Without the right to it we are that account already.
            let _ = chown(path, Some(model.uid), Some(model.gid));
        }
        model.make(&data, directory.path())?;
        let log = File::create(directory.path().join("postgres.log"))?;
        let child = model
            .command(&model.program)
            .arg("-D")
            .arg(&data)
            .args(model.settings(&socket))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting the baseline's Postgres")?;
        let mut config = Config::new();
        config.host_path(&socket).user(USER).dbname("postgres");
        let mut cluster = Cluster { child, _directory: directory, config };
        cluster.wait().await?;
        Ok(cluster)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_TIME_MAX;
        while self.config.connect(NoTls).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the baseline's Postgres ended with {status}");
            }
            ensure!(Instant::now() < deadline, "the baseline's Postgres was not ready within {READY_TIME_MAX:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A fast shutdown; it may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let deadline = Instant::now() + STOP_TIME_MAX;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Model {
    /// `None`: the process is no Postgres that was started with a data directory.
    fn read(pid: u32) -> Option<Model> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let line = fs::read_to_string(process.join("cmdline")).ok()?;
        let mut words = line.split('\0').filter(|word| !word.is_empty()).map(str::to_owned);
        let program = PathBuf::from(words.next()?);
        let arguments: Vec<String> = words.collect();
        let is_postgres = program.file_name().is_some_and(|name| name == "postgres");
        if !is_postgres || arguments.first().is_none_or(|first| first != "-D") {
            return None;
        }
        let status = fs::read_to_string(process.join("status")).ok()?;
        let id = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        Some(Model { program, arguments, uid: id("Uid:")?, gid: id("Gid:")? })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        if rustix::process::geteuid().as_raw() != self.uid {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    fn make(&self, data: &Path, directory: &Path) -> anyhow::Result<()> {
        let made = self
            .command(&self.program.with_file_name("initdb"))
            .arg("-D")
            .arg(data)
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"])
            .current_dir(directory)
            .output()
            .context("running initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Its settings, but for where it is and how many it lets in.
    fn settings(&self, socket: &Path) -> Vec<String> {
        let theirs = self.arguments.iter().skip(2).map(|argument| {
            if argument.starts_with("unix_socket_directories=") {
                format!("unix_socket_directories=\"{}\"", socket.display())
            } else if argument.starts_with("max_connections=") {
                CONNECTIONS.to_owned()
            } else {
                argument.clone()
            }
        });
        theirs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_the_servers_but_for_the_place_and_the_number_of_clients() {
        let words =
            ["-D", "/x/data", "-c", "unix_socket_directories=\"/x\"", "-c", "max_connections=50", "-c", "jit=off"];
        let arguments = words.map(str::to_owned).to_vec();
        let model = Model { program: "/usr/bin/postgres".into(), arguments, uid: 1, gid: 1 };
        let settings = model.settings(Path::new("/y"));
        assert_eq!(settings, ["-c", "unix_socket_directories=\"/y\"", "-c", CONNECTIONS, "-c", "jit=off"]);
    }

    #[test]
    fn another_program_is_no_model() {
        assert!(Model::read(std::process::id()).is_none());
    }
}
