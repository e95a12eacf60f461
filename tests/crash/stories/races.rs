//! Money, seats and time race, with everything going wrong at once that the provider can do wrong, and the server killed
//! twice on the way. Afterwards an auditor compares what really happened to money with what the server made of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::audit::{audit, under_way, unknown_money};
use crate::postgres::Postgres;
use crate::provider::{Money, Provider};
use crate::server::{Launch, Server, World, demo_timetable};
use crate::shop::{Answered, Shop, day_in};

/// How many orders race.
const ORDERS: &str = "DEEPTRAVEL_RACE_ORDERS";
const ORDERS_SHORT: usize = 200;
/// What chance of the provider depends on.
const SEED: &str = "DEEPTRAVEL_RACE_SEED";

/// At once; more of them in a long run.
const BUYERS: usize = 24;
const BUYERS_LONG: usize = 48;
const TRAVELLERS: usize = 16;
/// Orders that compete for the sixteen seats of a ferry in this world.
const ORDERS_PER_FERRY: usize = 14;

/// So that everything ends within seconds.
const LOCK_SECONDS: u64 = 2;
const PAYMENT_MIN_SECONDS: u64 = 1;
const GRACE_SECONDS: u64 = 1;
/// Late money comes within so many seconds after the end of payment.
const LATE_SECONDS: u64 = 2;
/// The last order's payment and late money are over after this.
const ALL_OVER: Duration = Duration::from_secs(LOCK_SECONDS + PAYMENT_MIN_SECONDS + LATE_SECONDS);

/// Until all is settled. A refund that the provider has closed is followed by another one after a minute, and what a
/// call may have done is unknown for another.
const SETTLED_WITHIN: Duration = Duration::from_mins(5);
/// A buyer gives up; the server is never away for so long.
const BUYERS_PATIENCE: Duration = Duration::from_mins(2);
/// A traveller waits for an answer about money.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

struct Race {
    shop: Shop,
    tokens: Vec<String>,
    departures: Vec<(String, String)>,
    orders: usize,
    next: AtomicUsize,
    /// Each with the token of its traveller.
    placed: Mutex<Vec<(String, String)>>,
    refused: AtomicUsize,
}

impl Race {
    /// The departures that the nth order wants, at this attempt: neighbours want the same ones.
    fn wanted(&self, nth: usize, attempt: usize) -> Vec<&(String, String)> {
        let needed = self.orders / ORDERS_PER_FERRY + 1;
        let index = nth * needed / self.orders + attempt / 2;
        let departure = |index: usize| &self.departures[index % self.departures.len()];
        // Some go on with the next ferry: both find seats, or none is kept.
        if nth % 8 == 5 { vec![departure(index), departure(index + 1)] } else { vec![departure(index)] }
    }

    async fn buy(&self, nth: usize) {
        let token = &self.tokens[nth % self.tokens.len()];
        let order = self.place(nth, token).await;
        self.placed.lock().unwrap().push((order.clone(), token.clone()));
        if nth % 12 != 7 {
            patiently(|| self.shop.open_payment(token, &order)).await;
        }
        if nth % 4 == 1 {
            // The thumb and the finger on "cancel", in any order.
            tokio::time::sleep(Duration::from_millis((nth % 23) as u64 * 50)).await;
            patiently(|| self.shop.cancel(token, &order)).await;
        }
    }

    /// Goes on until there is an order: on other departures when these are sold out for good.
    async fn place(&self, nth: usize, token: &str) -> String {
        let since = Instant::now();
        let mut attempt = 0;
        let adults = if nth % 10 < 4 { 2 } else { 1 };
        while since.elapsed() < BUYERS_PATIENCE {
            let wanted = self.wanted(nth, attempt);
            match self.shop.order_for(token, &format!("race-{nth}-{attempt}"), &wanted, adults).await {
                Ok((status, order)) if status.is_success() => return order["orderId"].as_str().unwrap().to_owned(),
                Ok((StatusCode::CONFLICT, _)) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Ok((status, answer)) => panic!("{status}: {answer}"),
                // The server is down.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("nothing to be bought in {BUYERS_PATIENCE:?}");
    }

    fn placed(&self) -> usize {
        self.placed.lock().unwrap().len()
    }
}

/// Asks until there is an answer; nobody waits for long, whatever the provider is doing.
async fn patiently<T, F: Future<Output = Answered<T>>>(ask: impl Fn() -> F) {
    let asking = async {
        while ask().await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    // Whoever goes away leaves an order that ends by itself.
    let _ = tokio::time::timeout(PATIENCE, asking).await;
}

/// Ferries with few seats, so that the next buyer wants those that somebody has given up.
fn small_ferries(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(directory)?;
    for file in std::fs::read_dir(demo_timetable())? {
        let file = file?;
        std::fs::copy(file.path(), directory.join(file.file_name()))?;
    }
    let vehicles = directory.join("vehicles.csv");
    let text = std::fs::read_to_string(&vehicles)?;
    let small = text.replace("economy,Economy,1,25,ABC_DEFGHJ_KLM", "economy,Economy,1,4,AB_CD");
    assert_ne!(text, small, "the timetable has such ferries");
    Ok(std::fs::write(vehicles, small)?)
}

/// So many of the small ferries.
async fn small_departures(shop: &Shop, wanted: usize) -> anyhow::Result<Vec<(String, String)>> {
    let mut departures = Vec::new();
    for days in 2..29 {
        let day = day_in(days)?;
        for (origin, destination) in [("HK", "MO"), ("MO", "HK")] {
            departures.extend(shop.departures_between(origin, destination, day).await?);
        }
        departures.retain(|(_, class)| class == "economy");
        if departures.len() >= wanted {
            return Ok(departures);
        }
    }
    bail!("{} departures, and not {wanted}", departures.len());
}

/// A payer for every temper: at once, at the last moment, at the very end, too late, never.
fn settings(seed: usize) -> serde_json::Value {
    json!({
        "seed": seed,
        "time_factor": 0.01,
        "refund_seconds": 0.5,
        "notifications_by_certificate": 0.3,
        "answers_signed_with": "mixed",
        "payer": {
            "probability": 0.5, "min_seconds": 0.0, "max_seconds": 1.5,
            "before_expiry": 0.1, "at_expiry": 0.1, "after_expiry": 0.15, "around_seconds": LATE_SECONDS,
        },
    })
}

/// A figure that must be asked for before the process is killed.
async fn resold(shop: &Shop, server: &Server) -> anyhow::Result<u64> {
    assert!(!server.log.text().contains("were sold again although"), "the log tells of a seat sold twice");
    shop.figure("seats_resold_while_payable").await
}

/// Waits until nothing is under way any more; what the provider says then. Money that the server has not heard of is
/// told again after a while: its notice was quarantined for what it said, or waits for a refund's, or for hours to pass.
/// (That is what a person would ask for, and what the daily bill will do.)
async fn settled(
    shop: &Shop,
    database: &Client,
    provider: &Provider,
    told: &mut BTreeSet<String>,
    finally: bool,
) -> anyhow::Result<Money> {
    let since = Instant::now();
    loop {
        let money = provider.money().await?;
        while shop.metric("projection_lag_records").await != Some(0.0) {
            assert!(since.elapsed() < SETTLED_WITHIN, "Postgres does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = under_way(database, &money, finally).await?;
        if left.is_empty() && provider.money().await? == money {
            return Ok(money);
        }
        assert!(since.elapsed() < SETTLED_WITHIN, "{} things do not come to an end: {left:#?}", left.len());
        for number in unknown_money(database, &money).await? {
            if told.insert(number.clone()) {
                provider.tell_again(&number).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Where the race is held.
struct Track {
    postgres: Postgres,
    world: World,
    launch: Launch,
    provider: Provider,
    /// Removed at the end.
    #[allow(dead_code, reason = "kept for its end")]
    directory: TempDir,
}

impl Track {
    async fn lay() -> anyhow::Result<Track> {
        // A socket's path is short.
        let directory = tempfile::Builder::new().prefix("deeptravel-races-").tempdir_in("/tmp")?;
        let postgres = Postgres::start_in(directory.path().join("postgres")).await?;
        let world = World::new(Some(postgres.url()))?;
        let timetable = directory.path().join("timetable");
        small_ferries(&timetable)?;
        let launch = Launch { timetable, ..world.launch() }
            .with("DEEPTRAVEL__ORDER__LOCK_SECONDS", LOCK_SECONDS.to_string())
            .with("DEEPTRAVEL__ORDER__PAYMENT_MIN_SECONDS", PAYMENT_MIN_SECONDS.to_string())
            .with("DEEPTRAVEL__ORDER__PAYMENT_GRACE_SECONDS", GRACE_SECONDS.to_string())
            .with("DEEPTRAVEL__LOG__FILTER", "error");
        let provider = Provider::new(&world.simulator.base_url());
        Ok(Track { postgres, world, launch, provider, directory })
    }

    async fn race(&self, orders: usize) -> anyhow::Result<Race> {
        let shop = Shop::new(self.world.base_url(), self.world.simulator.base_url())?;
        let mut tokens = Vec::new();
        for number in 0..TRAVELLERS {
            tokens.push(shop.login(&format!("racer{number}")).await?);
        }
        let departures = small_departures(&shop, orders / ORDERS_PER_FERRY + 8).await?;
        let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Race { shop, tokens, departures, orders, next, placed: Mutex::default(), refused })
    }

    /// Buyers buy, and the server is killed whenever a third of the orders is there. Answers the server that is left, and
    /// how often a seat was sold twice as far as the others knew.
    async fn run(&self, race: &Arc<Race>, mut server: Server) -> anyhow::Result<(Server, u64)> {
        let since = Instant::now();
        let buyer = |_| {
            let race = Arc::clone(race);
            tokio::spawn(async move {
                loop {
                    let nth = race.next.fetch_add(1, Ordering::Relaxed);
                    if nth >= race.orders {
                        return;
                    }
                    race.buy(nth).await;
                }
            })
        };
        let buyers: Vec<_> = (0..if race.orders > ORDERS_SHORT { BUYERS_LONG } else { BUYERS }).map(buyer).collect();
        let mut sold_twice = 0;
        for kill in 1..=2 {
            while race.placed() < race.orders * kill / 3 {
                assert!(since.elapsed() < BUYERS_PATIENCE * (1 + race.orders as u32 / 1_000), "sales go on");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sold_twice += resold(&race.shop, &server).await?;
            server.kill()?;
            server = self.launch.start().await?;
        }
        for buyer in buyers {
            buyer.await?;
        }
        Ok((server, sold_twice))
    }

    /// Waits until everything has come to an end, and what the provider says then. Somebody mends every second refund
    /// that could not arrive; the others stay due.
    async fn settle(&self, shop: &Shop, client: &Client, finally: bool) -> anyhow::Result<Money> {
        let mut told = BTreeSet::new();
        let money = settled(shop, client, &self.provider, &mut told, finally).await?;
        let stuck = |status: &str| matches!(status, "ABNORMAL" | "PROCESSING");
        let refunds = money.transactions.iter().flat_map(|transaction| &transaction.refunds);
        for refund in refunds.filter(|refund| stuck(&refund.status)).step_by(2) {
            self.provider.mend(&refund.out_refund_no).await?;
        }
        let money = settled(shop, client, &self.provider, &mut told, finally).await?;
        println!("told again of {} payments", told.len());
        Ok(money)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_pay_04_r_pay_09_whatever_races_money_is_kept_or_goes_back_once_to_the_fen() -> anyhow::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let orders: usize = number(ORDERS).unwrap_or(ORDERS_SHORT);
    let long = orders > ORDERS_SHORT;
    let seed = number(SEED).unwrap_or(7);
    let begun = Instant::now();

    let track = Track::lay().await?;
    let server = track.launch.start().await?;
    let race = Arc::new(track.race(orders).await?);
    let shop = &race.shop;
    track.provider.set(&settings(seed)).await?;
    track.provider.misbehave().await?;
    let (server, mut sold_twice) = track.run(&race, server).await?;
    let sold_in = begun.elapsed();
    // Payers have their plans: the last one is through with them by then.
    tokio::time::sleep(ALL_OVER).await;

    // After a start everything outstanding is asked about at once, so nobody has to wait for the pauses between questions.
    track.provider.behave().await?;
    sold_twice += resold(shop, &server).await?;
    server.stop().await?;
    let server = track.launch.start().await?;
    let client = track.postgres.connect().await?;
    let money = track.settle(shop, &client, long).await?;
    let placed = race.placed.lock().unwrap().clone();
    let findings = audit(&client, &money, shop, &placed).await?;
    sold_twice += resold(shop, &server).await?;

    let (transactions, paid) = (track.provider.transactions().await?, money.transactions.len());
    let (sold_out, took) = (race.refused.load(Ordering::Relaxed), begun.elapsed());
    println!(
        "{findings:#?}\n{transactions} transactions, {paid} paid; {sold_out} times sold out; 2 kills; seed {seed}; \
         sold after {sold_in:?}, all over after {took:?}"
    );
    assert_eq!(sold_twice, 0, "seats_resold_while_payable");
    assert_eq!(findings.orders, placed.len(), "as many orders as were answered");
    assert!(!long || findings.waiting_orders == 0);
    assert!(findings.revived + findings.late_refunds > 0, "money came late");
    assert!(findings.resold_seats > 0 && findings.quarantined > 0, "the run did something");
    // What is too rare to be sure of in a short run.
    let rare = [findings.revived, findings.late_refunds, findings.duplicates, findings.closed_refunds];
    assert!(!long || rare.iter().all(|count| *count > 0), "{rare:?}");
    Ok(())
}
