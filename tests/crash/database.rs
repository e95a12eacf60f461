//! A Postgres of its own for a story: stopped, killed, backed up, restored, and looked into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use deeptravel::embedded::{Cluster, DATABASE, Options};
use tempfile::TempDir;

/// Columns in which two projections of the same records may differ: who projects, and the order in which audit rows of
/// one batch came.
const NOT_COMPARED: [(&str, &str); 2] = [("journal_position", "epoch"), ("ticket_status_audit", "id")];

/// Rows of a table, and a digest of all of them.
pub type Tables = BTreeMap<String, (i64, String)>;

pub struct Database {
    pub dir: TempDir,
    cluster: Arc<Cluster>,
    backups: AtomicU32,
}

impl Database {
    pub async fn start() -> anyhow::Result<Database> {
        let dir = tempfile::Builder::new().prefix("deeptravel-pg-").tempdir_in("/tmp")?;
        let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
        Ok(Database { dir, cluster: Arc::new(cluster), backups: AtomicU32::new(0) })
    }

    pub fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    pub async fn stop(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        Ok(tokio::task::spawn_blocking(move || cluster.stop()).await??)
    }

    pub async fn start_again(&self) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        Ok(tokio::task::spawn_blocking(move || cluster.start_again()).await??)
    }

    /// `kill -9` of the postmaster; its backends go with it.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let pid = self.cluster.pid().and_then(|pid| i32::try_from(pid).ok()).context("Postgres runs")?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        while self.cluster.pid().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// As an administrator makes one, while the server runs.
    pub async fn back_up(&self) -> anyhow::Result<PathBuf> {
        let file = self.dir.path().join(format!("backup-{}.dump", self.backups.fetch_add(1, Ordering::Relaxed)));
        self.tool("pg_dump", &["--format=custom", "--file", &file.to_string_lossy()]).await?;
        Ok(file)
    }

    pub async fn restore(&self, backup: &Path) -> anyhow::Result<()> {
        let arguments = ["--clean", "--if-exists", "--single-transaction", &backup.to_string_lossy()];
        self.tool("pg_restore", &arguments).await
    }

    async fn tool(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.cluster.client_program(name));
        command.args(["--dbname", &self.url()]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    pub async fn connect(&self) -> anyhow::Result<tokio_postgres::Client> {
        let (client, connection) = self.cluster.connection(DATABASE).connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What every table holds.
    pub async fn tables(&self) -> anyhow::Result<Tables> {
        let client = self.connect().await?;
        let sql = "SELECT tablename::text FROM pg_tables
                   WHERE schemaname = 'public' AND tablename <> 'refinery_schema_history'";
        let names = client.query(sql, &[]).await?;
        let mut tables = Tables::new();
        for name in names {
            let name: String = name.get(0);
            let without = NOT_COMPARED.iter().find(|(table, _)| *table == name).map_or("", |(_, column)| column);
            let sql = format!(
                "SELECT count(*), coalesce(md5(string_agg(line, E'\\n' ORDER BY line)), '')
                 FROM (SELECT (to_jsonb(t) - $1)::text AS line FROM {name} AS t) AS lines"
            );
            let row = client.query_one(&sql, &[&without]).await?;
            tables.insert(name, (row.get(0), row.get(1)));
        }
        Ok(tables)
    }
}
