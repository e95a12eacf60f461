//! The server under test as the scenarios use it: one of our own on a fresh data directory, or one that runs already.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::api::{Api, metric};
use crate::database::Database;
use crate::http::Target;
use crate::options::Options;
use crate::server::{Launch, Server, binary_beside_us};
use crate::timetable::DEPARTURES_PER_DAY;

/// Between two looks how far the projection is.
const POLL: Duration = Duration::from_millis(50);
/// After the last record Postgres still writes its own log and statistics; then it is idle.
const IDLE_PAUSE: Duration = Duration::from_millis(300);
/// A projection that has not moved for so long has stopped.
const STILL_TIME_MAX: Duration = Duration::from_mins(1);
/// A journal record of an order with its hold, generously.
const JOURNAL_BYTES_PER_ORDER: u64 = 4_096;
/// `journal.max_bytes` is never set below its default.
const JOURNAL_BYTES_MIN: u64 = 32 << 30;

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub is_projector_paused: bool,
    pub departures_per_day: usize,
    /// Orders that its journal has to hold.
    pub orders: u64,
    /// Further keys of its configuration.
    pub settings: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Setup {
        let settings = Vec::new();
        Setup { is_projector_paused: false, departures_per_day: DEPARTURES_PER_DAY, orders: 0, settings }
    }
}

impl Setup {
    pub fn paused(orders: u64) -> Setup {
        Setup { is_projector_paused: true, orders, ..Setup::default() }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let journal = (self.orders * JOURNAL_BYTES_PER_ORDER).max(JOURNAL_BYTES_MIN);
        let mut settings = self.settings.clone();
        settings.push(("DEEPTRAVEL__JOURNAL__MAX_BYTES".to_owned(), journal.to_string()));
        if self.is_projector_paused {
            settings.push(("DEEPTRAVEL__PROJECTOR__PAUSED".to_owned(), "true".to_owned()));
        }
        settings
    }
}

/// How a backlog was made up for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drained {
    /// Journal records from the start of the projection to its end.
    pub records: u64,
    pub records_per_second: f64,
    /// From the start of the server, which makes up for it first.
    pub ready_after: Duration,
}

/// The server under test.
#[derive(Debug)]
pub struct Subject {
    pub target: Target,
    pub simulator: Target,
    /// How to connect to its database, if we know.
    pub postgres: Option<String>,
    pub description: String,
    setup: Setup,
    /// When it is ours.
    server: Option<Server>,
}

impl Subject {
    pub async fn prepare(options: &Options, setup: Setup) -> anyhow::Result<Subject> {
        if let Some(url) = &options.target {
            let target = Target::parse(url)?;
            let simulator = match &options.simulator {
                Some(url) => Target::parse(url)?,
                None => target.port_above(1)?,
            };
            let (description, postgres) = (target.url(), options.postgres.clone());
            return Ok(Subject { target, simulator, postgres, description, setup, server: None });
        }
        let binary = options.binary.clone().map_or_else(binary_beside_us, Ok)?;
        let description = binary.display().to_string();
        let how = if setup.is_projector_paused { ", its projector paused" } else { "" };
        eprintln!("starting {description}{how}");
        let launch = Launch {
            binary,
            scratch: options.scratch.clone(),
            keep: options.keep,
            settings: setup.environment(),
            departures_per_day: setup.departures_per_day,
        };
        let server = Server::start(&launch).await?;
        let (target, postgres) = (server.target.clone(), server.postgres.clone());
        Ok(Subject { simulator: target.port_above(1)?, target, postgres, description, setup, server: Some(server) })
    }

    pub fn directory(&self) -> Option<&Path> {
        self.server.as_ref().map(Server::directory)
    }

    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    pub fn stop(self) -> anyhow::Result<()> {
        self.server.map_or(Ok(()), Server::stop)
    }

    pub async fn database(&self) -> anyhow::Result<Option<Database>> {
        match &self.postgres {
            Some(how) => Database::connect(how).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns when Postgres has what the journal has, and nothing is being done any more: whoever is next in turn has
    /// the machine for itself. A server that does not say how far it is, or whose projector is paused, is not waited
    /// for.
    pub async fn settle(&self) -> anyhow::Result<()> {
        if self.setup.is_projector_paused {
            return Ok(());
        }
        let mut api = Api::new(self.target.clone());
        let mut least = (f64::INFINITY, Instant::now());
        loop {
            let Some(lag) = metric(&mut api, "projection_lag_records").await? else { return Ok(()) };
            if lag < 1.0 {
                break;
            }
            if lag < least.0 {
                least = (lag, Instant::now());
            }
            if least.1.elapsed() > STILL_TIME_MAX {
                bail!("the projection stands still {lag} records behind");
            }
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(IDLE_PAUSE).await;
        Ok(())
    }

    /// Stops the server, and starts it again on its data: from there to being ready. Its address is a new one.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        let server = self.server.as_mut().context("only a server of our own can be restarted")?;
        server.restart(self.setup.environment())?;
        let restarted_at = Instant::now();
        server.ready_again().await?;
        let ready_after = restarted_at.elapsed();
        self.target = server.target.clone();
        self.simulator = self.target.port_above(1)?;
        Ok(ready_after)
    }

    /// Restarts a server whose projector was paused with its projector on, and measures how fast it makes up for what
    /// was left. It does so before it is ready, with both cores for itself and Postgres. Its address is a new one.
    pub async fn project(&mut self) -> anyhow::Result<Drained> {
        let mut api = Api::new(self.target.clone());
        let last = metric(&mut api, "journal_durable_position").await?.context("no journal_durable_position")? as i64;
        let how = self.postgres.clone().context("a server without a database")?;
        let before = Database::connect(&how).await?.position().await?;
        self.setup.is_projector_paused = false;
        let server = self.server.as_mut().context("only a server of our own can be restarted")?;
        server.restart(self.setup.environment())?;
        let restarted_at = Instant::now();

        let mut first: Option<(i64, Instant)> = None;
        let mut moved = (before, Instant::now());
        // Its Postgres was stopped with it and comes back before it is ready.
        let mut database = None;
        let (end, ended_at) = loop {
            if let Some(status) = server.ended() {
                bail!("the server ended with {status}; its log ends:\n{}", server.log_end());
            }
            if database.is_none() {
                database = Database::connect(&how).await.ok();
            }
            let position = match &database {
                Some(database) => database.position().await.unwrap_or(before),
                None => before,
            };
            if position > moved.0 {
                moved = (position, Instant::now());
                first.get_or_insert(moved);
            }
            if position >= last {
                break moved;
            }
            if moved.1.elapsed() > STILL_TIME_MAX {
                bail!("the projection stands still at {position} of {last}");
            }
            tokio::time::sleep(POLL).await;
        };
        server.ready_again().await?;
        let ready_after = restarted_at.elapsed();
        self.target = server.target.clone();
        self.simulator = self.target.port_above(1)?;
        let (from, since) = first.unwrap_or((before, ended_at));
        let seconds = ended_at.duration_since(since).as_secs_f64();
        let rate = if seconds > 0.0 { (end - from) as f64 / seconds } else { 0.0 };
        Ok(Drained { records: (end - before).unsigned_abs(), records_per_second: rate, ready_after })
    }
}
