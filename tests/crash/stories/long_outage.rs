use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::history::Purchase;
use crate::postgres::Postgres;
use crate::server::run_seconds;
use crate::trial::Trial;

/// How long the rate is measured, and memory given time to settle, at most.
const MEASURED_SECONDS_MAX: u64 = 20;
/// Purchases under way at once. The mix waits for nobody: a slow one delays no other.
const WORKERS: usize = 32;
/// Staff and travellers who come and go, per second.
const LOGINS_EVERY: Duration = Duration::from_secs(1);
/// Readings of the memory in use, over three seconds.
const READINGS: u32 = 30;
const READ_EVERY: Duration = Duration::from_millis(100);
/// A run this long has figures that mean something; a shorter one shows that the instrument works.
const LONG_SECONDS: u64 = 300;
/// What an order made during the outage may cost in memory, in bytes.
const GROWTH_PER_ORDER_MAX: u64 = 2_000;
/// How much faster than it was made everything has to be projected afterwards.
const DRAIN_FACTOR_MIN: f64 = 2.0;

/// Orders, payments, scans, logins and revocations at half the rate that this machine gives, with Postgres away:
///
/// `DEEPTRAVEL_CRASH_SECONDS=600 DEEPTRAVEL_BINARY=target/release/deeptravel cargo test --test crash long_outage --
/// --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_at_half_the_rate_while_postgres_is_away_for_long() -> anyhow::Result<()> {
    let seconds = run_seconds(5);
    let postgres = Postgres::start().await?;
    let trial = Arc::new(Trial::begin(Some(postgres.url()), "").await?);

    let measured = Duration::from_secs((seconds / 2).clamp(2, MEASURED_SECONDS_MAX));
    let rate = mix(&trial, 0, measured, None).await?;
    trial.caught_up().await;
    // The same as will come, so that what a running server needs anyway is there already.
    mix(&trial, 1, measured, Some(rate / 2.0)).await?;
    trial.caught_up().await;

    let before = Figures::of(&trial).await?;
    postgres.stop().await?;
    let made_at = mix(&trial, 2, Duration::from_secs(seconds), Some(rate / 2.0)).await?;
    trial.assert_away().await?;
    let after = Figures::of(&trial).await?;
    let (orders, records) = (after.orders - before.orders, after.durable - before.projected);
    let growth = after.resident.saturating_sub(before.resident) / orders.max(1) as u64;
    trial.assert_sales_went_on(before.orders);

    let since = Instant::now();
    postgres.start_again().await?;
    let started = since.elapsed();
    let drained_in = trial.assert_rows_are_exact(&postgres).await?;
    let factor = (seconds as f64) / drained_in.as_secs_f64();
    println!(
        "alone {rate:.0} purchases/s; {seconds} s without Postgres at {made_at:.0}/s: {orders} orders, {records} \
         records, {growth} B of memory per order ({} -> {} MiB); Postgres started in {started:?}, drained in \
         {drained_in:?}: {:.0} records/s, {factor:.1} times as fast as they were made",
        before.resident >> 20,
        after.resident >> 20,
        records as f64 / drained_in.as_secs_f64(),
    );
    if seconds >= LONG_SECONDS {
        assert!(growth <= GROWTH_PER_ORDER_MAX, "{growth} B per order");
        assert!(factor >= DRAIN_FACTOR_MIN, "{factor:.1} times");
    }
    Ok(())
}

struct Figures {
    orders: usize,
    resident: u64,
    durable: u64,
    projected: u64,
}

impl Figures {
    /// What is in memory is the least of many readings without load: a login's password hash takes a lot for a moment.
    async fn of(trial: &Trial) -> anyhow::Result<Figures> {
        let mut resident = u64::MAX;
        for _ in 0..READINGS {
            tokio::time::sleep(READ_EVERY).await;
            resident = resident.min(trial.server.resident_bytes()?);
        }
        Ok(Figures {
            orders: trial.orders(),
            resident,
            durable: trial.shop.figure("journal_durable_position").await?,
            projected: trial.shop.figure("projected_position").await?,
        })
    }
}

/// Purchases from the order to the gate, each whole, as many per second as given or as possible; beside them staff and
/// travellers who log in and out. How many purchases there were per second.
async fn mix(trial: &Arc<Trial>, round: usize, during: Duration, rate: Option<f64>) -> anyhow::Result<f64> {
    let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let before = trial.orders();
    let worker = |_| {
        let (trial, next) = (Arc::clone(trial), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = begun + rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(number as f64 / rate));
                if due.max(Instant::now()) >= begun + during {
                    return;
                }
                tokio::time::sleep_until(due.into()).await;
                let token = &trial.tokens[number % trial.tokens.len()];
                let departure = trial.departures[number % trial.departures.len()].clone();
                let key = format!("mix{round}-{number}");
                let mut purchase = Purchase { key, departure, ..Purchase::default() };
                purchase.run_carefully(&trial.shop, token, &trial.gate).await;
                trial.history.add(purchase);
            }
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let mut logins = tokio::time::interval(LOGINS_EVERY);
    while begun.elapsed() + LOGINS_EVERY < during {
        logins.tick().await;
        trial.staff_come_and_go(&format!("mix{round}-{}", begun.elapsed().as_millis())).await?;
    }
    for worker in workers {
        worker.await?;
    }
    Ok((trial.orders() - before) as f64 / begun.elapsed().as_secs_f64())
}
