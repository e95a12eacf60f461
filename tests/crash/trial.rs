//! A server at work while something happens to its database: what must go on does, and afterwards all is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deeptravel_domain::ids::{OrderId, Shard};
use deeptravel_domain::time::Timestamp;

use crate::history::{History, assert_no_seat_twice};
use crate::postgres::Postgres;
use crate::rows::assert_exact;
use crate::server::{Server, World, run_seconds};
use crate::shop::{Gate, Shop, Unanswered, day_in};
use crate::stories::kill::buyers;

const BUYERS: usize = 8;
/// Within this the server knows that its database is away: it looks every second, for two seconds at most.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// What is known to be away is refused from memory, and not after the two seconds that a statement may take. Generous,
/// because the machine does other things, too.
const REFUSED_WITHIN: Duration = Duration::from_millis(1_500);
/// At least; a long run has more to catch up with, and has to be made up for in less than it took.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);
/// A journal of a few hundred orders fills within this.
const FULL_WITHIN: Duration = Duration::from_mins(2);

pub struct Trial {
    /// Ends before its directory is removed.
    pub server: Server,
    pub world: World,
    pub shop: Shop,
    pub departures: Arc<Vec<(String, String)>>,
    pub tokens: Vec<String>,
    pub gate: Gate,
    pub history: History,
}

impl Trial {
    pub async fn begin(database_url: Option<String>, settings: &str) -> anyhow::Result<Trial> {
        let world = World::with_settings(database_url, settings)?;
        let server = world.start().await?;
        let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
        let mut departures = Vec::new();
        for days in 2..12 {
            departures.extend(shop.departures(day_in(days)?).await?);
        }
        let mut tokens = Vec::new();
        for number in 0..BUYERS {
            tokens.push(shop.login(&format!("buyer{number}")).await?);
        }
        let gate = shop.gate("trial-gate").await?;
        let history = History::default();
        Ok(Trial { world, server, shop, departures: Arc::new(departures), tokens, gate, history })
    }

    /// Buyers buy for a while. The round tells their keys apart from those of other rounds.
    pub async fn buy(&self, round: usize, during: Duration) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let running = buyers(&self.shop, &self.gate, &self.tokens, &self.departures, &self.history, round, &stop);
        tokio::time::sleep(during).await;
        stop.store(true, Ordering::Relaxed);
        for buyer in running {
            buyer.await?;
        }
        Ok(())
    }

    /// Every purchase so far went through to the gate, and there were some since `before`.
    pub fn assert_sales_went_on(&self, before: usize) {
        let mut purchases = self.history.purchases();
        purchases.retain(|purchase| !purchase.sold_out);
        assert!(purchases.len() >= before + BUYERS, "sales went on: {} after {before}", purchases.len());
        for purchase in &purchases {
            assert!(purchase.scanned.is_some(), "every purchase went through to the gate: {purchase:?}");
        }
        assert_no_seat_twice(&purchases);
    }

    /// Staff log in and open sessions; what is revoked is so at once.
    pub async fn staff_come_and_go(&self, name: &str) -> anyhow::Result<()> {
        let gate = self.shop.gate(name).await?;
        assert_eq!(gate.is_open().await.ok(), Some(true));
        assert_eq!(gate.close().await.ok().map(|status| status.as_u16()), Some(204));
        assert_eq!(gate.is_open().await.ok(), Some(false), "an ended session scans nothing");
        let token = self.shop.login(name).await?;
        assert_eq!(self.shop.logout(&token).await.ok().map(|status| status.as_u16()), Some(204));
        let after = self.shop.list(&token, "/orders").await;
        assert_eq!(after.ok().map(|(status, _)| status.as_u16()), Some(401), "a revoked login is nobody's");
        Ok(())
    }

    /// The server knows that its database is away, goes on, and refuses at once what it cannot know.
    pub async fn assert_away(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.shop.readiness().await.is_none_or(|ready| ready["database"] != "away") {
            assert!(since.elapsed() < NOTICED_WITHIN, "it has noticed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (path, field) in [("/orders", "orders"), ("/my/tickets", "tickets")] {
            let (status, list) = self.shop.list(&self.tokens[0], path).await.expect("an answer without Postgres");
            assert_eq!((status.as_u16(), &list["complete"]), (200, &serde_json::Value::Bool(false)), "{list}");
            assert!(list[field].as_array().is_some_and(|entries| !entries.is_empty()), "{list}");
        }
        let asleep = OrderId::compose(Timestamp::from_jiff(jiff::Timestamp::now()), Shard::of(1), 1);
        let asked = Instant::now();
        let answer = self.shop.order_of(&self.tokens[0], &asleep.to_string()).await;
        let Err(Unanswered::Refused(text)) = answer else { panic!("nobody knows that order now: {answer:?}") };
        assert!(text.contains("STORAGE_UNAVAILABLE"), "{text}");
        assert!(asked.elapsed() < REFUSED_WITHIN, "at once: {:?}", asked.elapsed());
        Ok(())
    }

    /// Waits until Postgres has everything; how long that took.
    pub async fn caught_up(&self) -> Duration {
        let since = Instant::now();
        let within = CAUGHT_UP_WITHIN.max(Duration::from_secs(run_seconds(0)));
        loop {
            let ready = self.shop.readiness().await;
            if ready.as_ref().is_some_and(|ready| ready["database"] == "available" && ready["projectionLag"] == 0) {
                return since.elapsed();
            }
            assert!(since.elapsed() < within, "it catches up: {ready:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until new orders are taken again.
    pub async fn sales_open(&self) {
        let since = Instant::now();
        while self.shop.readiness().await.is_none_or(|ready| ready["sales"] != "open") {
            assert!(since.elapsed() < CAUGHT_UP_WITHIN, "sales open again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sells until the journal has no space for new orders; how many rounds that took.
    pub async fn sell_out_of_space(&self) -> anyhow::Result<usize> {
        let since = Instant::now();
        for round in 0.. {
            if self.shop.readiness().await.is_some_and(|ready| ready["sales"] != "open") {
                return Ok(round);
            }
            assert!(since.elapsed() < FULL_WITHIN, "the journal fills");
            self.buy(round, Duration::from_millis(500)).await?;
        }
        unreachable!("the rounds do not end")
    }

    /// Postgres has followed, and its rows are those that were answered.
    pub async fn assert_rows_are_exact(&self, postgres: &Postgres) -> anyhow::Result<Duration> {
        let took = self.caught_up().await;
        assert_exact(&postgres.connect().await?, &self.history.purchases()).await?;
        Ok(took)
    }

    pub fn orders(&self) -> usize {
        self.history.count(|purchase| purchase.order.is_some())
    }
}
