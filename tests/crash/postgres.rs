//! A Postgres that is nobody's child but ours, and everything that can happen to one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::testing::{suite, url};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::server::{PATIENCE, SUITE};

pub struct Postgres {
    cluster: Arc<Cluster>,
    /// Removed with it.
    #[allow(dead_code, reason = "kept for its end")]
    dir: Option<TempDir>,
}

impl Postgres {
    pub async fn start() -> anyhow::Result<Postgres> {
        let dir = tempfile::Builder::new().prefix("deeptravel-postgres-").tempdir_in("/tmp")?;
        let mut postgres = Postgres::start_in(dir.path().join("postgres")).await?;
        postgres.dir = Some(dir);
        Ok(postgres)
    }

    /// In a directory that somebody else looks after.
    pub async fn start_in(path: PathBuf) -> anyhow::Result<Postgres> {
        let options = Options { fsync: false, ..Options::new(path) };
        let cluster = tokio::task::spawn_blocking(move || suite::cluster(SUITE, &options)).await??;
        Ok(Postgres { cluster: Arc::new(cluster), dir: None })
    }

    pub fn url(&self) -> String {
        url(&self.cluster, DATABASE)
    }

    pub async fn stop(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        Ok(tokio::task::spawn_blocking(move || cluster.stop()).await??)
    }

    pub async fn start_again(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        Ok(tokio::task::spawn_blocking(move || cluster.start_again()).await??)
    }

    /// Its processes stop where they are; connections stay open, and nothing answers.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal_all(Signal::STOP)
    }

    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal_all(Signal::CONT)
    }

    /// `kill -9` of the postmaster; its other processes go with it.
    pub async fn kill(&self) -> anyhow::Result<()> {
        kill_process(self.postmaster()?, Signal::KILL)?;
        let since = Instant::now();
        while self.cluster.pid().is_some() {
            if since.elapsed() > PATIENCE {
                bail!("Postgres survives");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// As an administrator backs it up, while the server runs.
    pub async fn back_up(&self, file: &Path) -> anyhow::Result<()> {
        self.tool("pg_dump", &["--format=custom", "--file", &file.to_string_lossy()]).await
    }

    pub async fn restore(&self, backup: &Path) -> anyhow::Result<()> {
        let arguments = ["--clean", "--if-exists", "--single-transaction", &backup.to_string_lossy()];
        self.tool("pg_restore", &arguments).await
    }

    async fn tool(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        // The one that belongs to the server's version.
        let found = self.connect().await?.query_one("SELECT setting FROM pg_config WHERE name = 'BINDIR'", &[]).await?;
        let mut command = Command::new(Path::new(found.get::<_, &str>(0)).join(name));
        command.args(["--dbname", &self.url()]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// `kill -9` of the processes that serve connections: Postgres then ends all others, too, and recovers.
    pub async fn kill_backends(&self) -> anyhow::Result<()> {
        let client = self.connect().await?;
        let found = client.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'deeptravel'", &[]).await?;
        for row in found {
            if let Some(pid) = Pid::from_raw(row.get(0)) {
                kill_process(pid, Signal::KILL)?;
            }
        }
        Ok(())
    }

    pub async fn connect(&self) -> anyhow::Result<Client> {
        let (client, connection) = self.cluster.connection(DATABASE).connect(NoTls).await?;
        // Ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }

    fn postmaster(&self) -> anyhow::Result<Pid> {
        let pid = self.cluster.pid().context("Postgres does not run")?;
        Pid::from_raw(pid as i32).context("a process id")
    }

    fn signal_all(&self, signal: Signal) -> anyhow::Result<()> {
        let postmaster = self.postmaster()?;
        // First the one that makes others.
        kill_process(postmaster, signal)?;
        for child in children(postmaster)? {
            // It may have ended by itself.
            let _ = kill_process(child, signal);
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A frozen server does not stop; one that has ended needs nothing.
        let _ = self.thaw();
    }
}

fn children(parent: Pid) -> anyhow::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // `pid (name) state parent …`, and the name may contain anything.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1).and_then(|text| text.parse().ok()).and_then(Pid::from_raw)
            == Some(parent)
        {
            found.push(pid);
        }
    }
    Ok(found)
}
