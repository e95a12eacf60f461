//! Partners sell what is their own, through `kill -9` (R-OTA-02 to R-OTA-09). Each story ends with the auditor of what partners
//! sell.

mod away;
mod generating;
mod selling;
mod telling;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history::patiently;
use crate::partners::{Sold, audit};
use crate::postgres::Postgres;
use crate::server::{Launch, PATIENCE, Server, World};
use crate::shop::{Agent, Shop};

/// Of the product of these stories.
const PRODUCT: u32 = 93_001;
/// For whoever lives longer than these stories.
const LOCK_SECONDS: &str = "3600";

/// A museum, without a date: tickets for it can be generated in advance.
fn museum(units: u64) -> Value {
    json!({
        "name": { "zh": "博物馆通票", "en": "Museums" },
        "productId": PRODUCT,
        "status": "active",
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 30 },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } }],
        "stock": { "total": units },
    })
}

/// A world with two partners, who have something set aside of one product.
struct Market {
    postgres: Postgres,
    world: World,
    shop: Shop,
    admin: String,
    agents: [Agent; 2],
    template: String,
}

impl Market {
    async fn open(units: u64, set_aside: [u64; 2]) -> anyhow::Result<(Market, Server)> {
        let postgres = Postgres::start().await?;
        let world = World::new(Some(postgres.url()))?;
        let server = start(&world).await?;
        let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
        let admin = shop.administrator().await?;
        let museum = museum(units);
        let (_, put) = patiently(|| shop.put_template(&admin, &museum)).await;
        let template = put["templateId"].as_str().unwrap_or_else(|| panic!("{put}")).to_owned();
        let agents = Agent::both(&shop);
        for (agent, quantity) in agents.iter().zip(set_aside) {
            let path = format!("/admin/ota/partners/{}/allotments", agent.id);
            let allotments = json!([{ "productId": PRODUCT, "quantity": quantity }]);
            let (status, answer) = patiently(|| shop.put(&admin, &path, &allotments)).await;
            assert!(status.is_success(), "{answer}");
        }
        Ok((Market { postgres, world, shop, admin, agents, template }, server))
    }

    async fn killed(&self, server: Server) -> anyhow::Result<Server> {
        server.kill()?;
        start(&self.world).await
    }

    /// What the auditor says once everything is followed and Postgres has it.
    async fn audited(&self) -> anyhow::Result<Sold> {
        let since = Instant::now();
        loop {
            let before = self.shop.figure("journal_durable_position").await?;
            for follower in ["totals", "batches", "webhooks"] {
                let name = format!("follower_position{{follower=\"{follower}\"}}");
                while self.shop.metric(&name).await.is_none_or(|followed| followed < before as f64) {
                    assert!(since.elapsed() < PATIENCE, "{follower} does not catch up");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            while self.shop.metric("projection_lag_records").await != Some(0.0) {
                assert!(since.elapsed() < PATIENCE, "Postgres does not catch up");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Units go back a moment after what they were for.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.shop.figure("journal_durable_position").await? == before {
                return audit(&self.postgres.connect().await?).await;
            }
        }
    }
}

async fn start(world: &World) -> anyhow::Result<Server> {
    // Nobody is held back for asking often, nothing lapses, and receivers are here.
    let launch = |launch: Launch| {
        launch
            .with("DEEPTRAVEL__OTA__RATE_LIMIT_PER_MINUTE", "100000")
            .with("DEEPTRAVEL__ORDER__LOCK_SECONDS", LOCK_SECONDS)
            .with("DEEPTRAVEL__WEBHOOKS__PRIVATE_TARGETS", "true")
    };
    launch(world.launch()).start().await
}

/// The codes of the tickets of an answer.
fn codes(answer: &Value) -> Vec<String> {
    let tickets = answer["tickets"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tickets.iter().map(|ticket| ticket["ticketCode"].as_str().expect("a code").to_owned()).collect()
}
