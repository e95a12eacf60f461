//! What people would build instead: a Postgres transaction per order and per scan, statements prepared, durable by
//! default, from clients in this process over the Unix socket. An order is made once per key, as ours is. It has no HTTP,
//! no JSON, no looking up of a repeated key and no prices, all in its favour.

pub mod cluster;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::drive::{Driven, Plan};
use crate::report::Figures;
use crate::tally::{Outcome, Tally, Times};
use crate::watch::Watch;
use cluster::Cluster;

/// Departures of [`Job::Counter`] and [`Job::Seats`], as many as ours has.
const DEPARTURES: u64 = 200;
/// Seats of a departure, as many as ours has.
const SEATS: u64 = 4_000;
/// Numbers of clients that are tried to find the best.
const CLIENTS: [usize; 5] = [4, 8, 16, 32, 64];
/// Each for so long.
const TRIAL: Duration = Duration::from_secs(1);
/// Load before what counts.
const TRIAL_WARM_UP: Duration = Duration::from_millis(300);

/// What a transaction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// An order that takes one of the counter of a departure, spread over 200.
    Counter,
    /// The same, all of one departure.
    HotCounter,
    /// An order that takes a free seat of a departure, spread over 200.
    Seats,
    /// A scan.
    Redeem,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Baseline {
    cluster: Cluster,
    is_quiet: bool,
    /// The number of the next transaction, so that no ticket is shown twice.
    next: Cell<u64>,
}

/// A client with its statements.
struct Session {
    client: Client,
    job: Job,
    statements: Vec<Statement>,
}

impl Job {
    /// In the order in which a transaction runs them.
    fn statements(self) -> &'static [&'static str] {
        match self {
            Job::Counter | Job::HotCounter => {
                &["UPDATE departures SET available = available - 1 WHERE id = $1 AND available > 0", ORDER, PASSENGER]
            }
            Job::Seats => &[
                "SELECT seat FROM seats WHERE departure_id = $1 AND order_id IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED",
                ORDER,
                PASSENGER,
                "UPDATE seats SET order_id = $3 WHERE departure_id = $1 AND seat = $2",
            ],
            Job::Redeem => &[
                "SELECT status, remaining FROM tickets WHERE id = $1 FOR UPDATE",
                "UPDATE tickets SET status = 'used', remaining = remaining - 1 WHERE id = $1",
                "INSERT INTO redemptions (ticket_id, session_id, request_id) VALUES ($1, $2, $3)",
            ],
        }
    }

    fn departure(self, n: u64) -> i32 {
        if self == Job::HotCounter { 0 } else { (n % DEPARTURES) as i32 }
    }
}

const ORDER: &str = "
    INSERT INTO orders (departure_id, traveller_id, idempotency_key, status, amount, contact_name, contact_phone)
    VALUES ($1, $2, $3, 'pending', 22000, 'Load Tester', '+85251234567') RETURNING id";
const PASSENGER: &str = "INSERT INTO passengers (order_id, number, name, type) VALUES ($1, 0, 'Load Tester', 'adult')";

impl Baseline {
    /// A Postgres like that of the server with this process id, its tables filled for `job`.
    pub async fn start(server: u32, scratch: &Path, tickets: u64, is_quiet: bool) -> anyhow::Result<Baseline> {
        eprintln!("starting the baseline's Postgres");
        let cluster = Cluster::like_that_of(server, scratch).await?;
        let client = connect(&cluster.config).await?;
        client.batch_execute("CREATE DATABASE loadtest_baseline").await.context("making the baseline's database")?;
        let mut cluster = cluster;
        cluster.config.dbname("loadtest_baseline");
        let client = connect(&cluster.config).await?;
        client.batch_execute(include_str!("schema.sql")).await.context("the baseline's schema")?;
        let fill = if tickets > 0 {
            format!("INSERT INTO tickets SELECT id, id / 10, 'usable', 1 FROM generate_series(0, {tickets}) AS id")
        } else {
            format!(
                "INSERT INTO seats SELECT departure, seat FROM generate_series(0, {}) AS departure, \
                 generate_series(1, {SEATS}) AS seat",
                DEPARTURES - 1
            )
        };
        client.batch_execute(&fill).await.context("filling the baseline's tables")?;
        client.batch_execute("VACUUM ANALYZE").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(Baseline { cluster, is_quiet, next: Cell::new(0) })
    }

    /// The number of clients with which it does most, of those that are tried briefly.
    pub async fn best_clients(&self, job: Job) -> anyhow::Result<usize> {
        let mut best = (0.0, 0);
        for clients in CLIENTS {
            let figures = self.turn(job, clients, TRIAL_WARM_UP, TRIAL).await?;
            eprintln!("  {job:?} with {clients} clients: {:.0} /s", figures.achieved);
            if figures.achieved > best.0 {
                best = (figures.achieved, clients);
            }
        }
        Ok(best.1)
    }

    /// So many clients, each beginning its next transaction when the last one has ended.
    pub async fn turn(
        &self,
        job: Job,
        clients: usize,
        warm_up: Duration,
        measured: Duration,
    ) -> anyhow::Result<Figures> {
        if !self.is_quiet {
            eprintln!("baseline, {job:?}, {clients} clients:");
        }
        let sessions = try_join_all((0..clients).map(|_| Session::open(&self.cluster.config, job))).await?;
        let mut watch = Watch::new(Some(self.cluster.pid()), None, self.is_quiet);
        let measured_from = Instant::now() + warm_up;
        let end = measured_from + measured;
        let tally = RefCell::new(Tally::default());
        let client = async |mut session: Session| -> anyhow::Result<Session> {
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return Ok(session);
                }
                let n = self.next.replace(self.next.get() + 1);
                let is_done = session.transact(n).await?;
                let outcome = if is_done { Outcome::Accepted } else { Outcome::Refused("none left".into()) };
                if sent >= measured_from {
                    tally.borrow_mut().record(Times { due: sent, sent, done: Instant::now(), bytes: 0 }, outcome);
                }
            }
        };
        let measuring = async {
            tokio::time::sleep_until(measured_from.into()).await;
            watch.begins();
            anyhow::Ok(())
        };
        // The sessions end after the watch: what a backend has used would count for its parent.
        let (sessions, ()) = tokio::try_join!(try_join_all(sessions.into_iter().map(client)), measuring)?;
        watch.ends();
        drop(sessions);
        let plan = Plan { connections: clients, threads: 1, rate: None, warm_up, measured, first: 0, until: None };
        let tally = tally.into_inner();
        let elapsed = tally.last_done.unwrap_or(end).max(end).saturating_duration_since(measured_from);
        let driven: Driven<()> = Driven { tally, acks: Vec::new(), elapsed, unsent: 0, used_up: false, next: 0 };
        let figures = Figures::new(&plan, &driven, &watch);
        if !self.is_quiet {
            eprintln!("         {:>9.0} /s  p95 {:.2} ms", figures.achieved, figures.percentiles.p95);
        }
        Ok(figures)
    }
}

async fn connect(config: &Config) -> anyhow::Result<Client> {
    let (client, connection) = config.connect(NoTls).await.context("connecting to the baseline's Postgres")?;
    // When the connection breaks, the next query says so.
    tokio::spawn(connection);
    Ok(client)
}

impl Session {
    async fn open(config: &Config, job: Job) -> anyhow::Result<Session> {
        let client = connect(config).await?;
        let mut statements = Vec::new();
        for sql in job.statements() {
            statements.push(client.prepare(sql).await.context("preparing a statement of the baseline")?);
        }
        Ok(Session { client, job, statements })
    }

    /// Whether there was something left.
    async fn transact(&mut self, n: u64) -> Result<bool, tokio_postgres::Error> {
        let transaction = self.client.transaction().await?;
        let (departure, traveller) = (self.job.departure(n), (n % 1000) as i32);
        let key = format!("18c5a7d2b3e4f-{n:x}");
        match (self.job, &self.statements[..]) {
            (Job::Counter | Job::HotCounter, [take, order, passenger]) => {
                if transaction.execute(take, &[&departure]).await? == 0 {
                    return Ok(false);
                }
                let row = transaction.query_one(order, &[&departure, &traveller, &key]).await?;
                transaction.execute(passenger, &[&row.get::<_, i64>(0)]).await?;
            }
            (Job::Seats, [find, order, passenger, take]) => {
                let Some(seat) = transaction.query_opt(find, &[&departure]).await? else { return Ok(false) };
                let row = transaction.query_one(order, &[&departure, &traveller, &key]).await?;
                let id: i64 = row.get(0);
                transaction.execute(passenger, &[&id]).await?;
                transaction.execute(take, &[&departure, &seat.get::<_, i32>(0), &id]).await?;
            }
            (Job::Redeem, [find, take, write]) => {
                let ticket = n as i32;
                let Some(row) = transaction.query_opt(find, &[&ticket]).await? else { return Ok(false) };
                if row.get::<_, &str>(0) != "usable" || row.get::<_, i32>(1) < 1 {
                    return Ok(false);
                }
                transaction.execute(take, &[&ticket]).await?;
                let (session, request) = (format!("session-{}", n % 16), format!("load-{n}"));
                transaction.execute(write, &[&ticket, &session, &request]).await?;
            }
            _ => return Ok(false),
        }
        transaction.commit().await?;
        Ok(true)
    }
}
