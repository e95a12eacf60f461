//! A world with a Postgres of its own, buyers, and the history of what they were answered.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::history::{History, assert_no_seat_twice};
use crate::postgres::Postgres;
use crate::rows::{Tables, tables};
use crate::server::{Launch, Server, World};
use crate::shop::{Gate, Shop, day_in};
use crate::stories::kill::buyers;

const BUYERS: usize = 8;
/// The only follower there is.
const FOLLOWED: &str = "follower_position{follower=\"totals\"}";
const DRAINED_WITHIN: Duration = Duration::from_mins(1);

pub struct Stand {
    /// For backups and copies; removed with it.
    pub dir: TempDir,
    pub postgres: Postgres,
    pub world: World,
    pub shop: Shop,
    pub gate: Gate,
    pub tokens: Vec<String>,
    pub departures: Arc<Vec<(String, String)>>,
    pub history: History,
}

/// Buyers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Load {
    /// The buyers finish what they have begun, as far as they are answered.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for buyer in self.running {
            buyer.await?;
        }
        Ok(())
    }
}

impl Stand {
    /// With a server that runs as `configure` says.
    pub async fn new(configure: impl FnOnce(Launch) -> Launch) -> anyhow::Result<(Stand, Server)> {
        let dir = tempfile::Builder::new().prefix("deeptravel-stand-").tempdir_in("/tmp")?;
        let postgres = Postgres::start().await?;
        let world = World::new(Some(postgres.url()))?;
        let server = configure(world.launch()).start().await?;
        let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
        let departures = Arc::new(shop.departures(day_in(2)?).await?);
        let mut tokens = Vec::new();
        for number in 0..BUYERS {
            tokens.push(shop.login(&format!("buyer{number}")).await?);
        }
        let gate = shop.gate("gate").await?;
        Ok((Stand { dir, postgres, world, shop, gate, tokens, departures, history: History::default() }, server))
    }

    /// Buyers begin. Every round has keys of its own.
    pub fn load(&self, round: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let running = buyers(&self.shop, &self.gate, &self.tokens, &self.departures, &self.history, round, &stop);
        Load { stop, running }
    }

    /// Buyers for a while.
    pub async fn sell(&self, round: usize, time: Duration) -> anyhow::Result<()> {
        let load = self.load(round);
        tokio::time::sleep(time).await;
        load.end().await
    }

    /// Waits until everything that was announced is followed, and Postgres has everything.
    pub async fn drained(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        let durable = self.shop.metric("journal_durable_position").await.unwrap_or_default();
        while self.shop.metric(FOLLOWED).await.is_none_or(|followed| followed < durable) {
            assert!(since.elapsed() < DRAINED_WITHIN, "the follower does not catch up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while self.shop.metric("projection_lag_records").await != Some(0.0) {
            assert!(since.elapsed() < DRAINED_WITHIN, "Postgres does not catch up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// A new backup of Postgres.
    pub async fn back_up(&self) -> anyhow::Result<PathBuf> {
        let number = std::fs::read_dir(self.dir.path())?.count();
        let file = self.dir.path().join(format!("backup-{number}"));
        self.postgres.back_up(&file).await?;
        Ok(file)
    }

    /// What Postgres has now.
    pub async fn tables(&self) -> anyhow::Result<Tables> {
        tables(&self.postgres.connect().await?).await
    }

    /// Everything that was answered is still true.
    pub async fn check_history(&self) {
        let mut checked = Vec::new();
        for mut purchase in self.history.purchases() {
            let number = purchase.key.split("-b").nth(1).and_then(|rest| rest.split('-').next()).unwrap();
            let token = &self.tokens[number.parse::<usize>().unwrap()];
            purchase.check(&self.shop, token, &self.gate).await;
            checked.push(purchase);
        }
        assert_no_seat_twice(&checked);
        assert!(self.history.count(|purchase| purchase.scanned.is_some()) > BUYERS, "the run did something");
    }
}
