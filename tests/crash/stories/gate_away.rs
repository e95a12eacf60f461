use std::sync::Arc;
use std::time::{Duration, Instant};

use deeptravel::embedded::{DATABASE, Options};
use deeptravel::testing::{suite, url};
use deeptravel_domain::code::{Code, CodeKey, CodeKeys, Subject, seal};
use deeptravel_domain::ids::{OrderId, Shard};
use deeptravel_domain::time::Timestamp;

use crate::server::{PATIENCE, SUITE, World};
use crate::shop::Shop;

/// A genuine code, shown by nobody, of an order that is not in memory and nowhere else.
fn code_of_nothing(world: &World) -> anyhow::Result<String> {
    let secrets: toml::Table = std::fs::read_to_string(world.data_dir().join("demo-secrets.toml"))?.parse()?;
    let mut key = [0; 32];
    hex::decode_to_slice(secrets["code_key"].as_str().unwrap_or_default(), &mut key)?;
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    let subject = Subject::Order(OrderId::compose(now, Shard::of(1), 1));
    let code = Code::one_time(subject, now, 600);
    Ok(seal(&CodeKeys::new([CodeKey::new(1, key)], now)?, &code, now, [7; 12]).text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_cannot_be_looked_up_while_postgres_is_away_is_not_called_invalid() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("deeptravel-gate-").tempdir_in("/tmp")?;
    let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
    let cluster = Arc::new(tokio::task::spawn_blocking(move || suite::cluster(SUITE, &options)).await??);
    let world = World::new(Some(url(&cluster, DATABASE)))?;
    let _server = world.start().await?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    let gate = shop.gate("away").await?;
    let code = code_of_nothing(&world)?;

    let stopping = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || stopping.stop()).await??;
    assert!(gate.scan(&code, "r1").await.is_err(), "503: nobody knows whether there is such an order");
    let invalid = gate.scan("DT1", "r2").await.ok();
    assert_eq!(invalid.unwrap()["reason"], "INVALID_CODE", "this needs no look-up");
    let ready = reqwest::get(format!("{}/health/ready", world.base_url())).await?;
    assert_eq!(ready.status(), 200, "sales and scans go on");
    assert_eq!(ready.json::<serde_json::Value>().await?["database"], "away");

    let starting = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || starting.start_again()).await??;
    let since = Instant::now();
    loop {
        if let Ok(answer) = gate.scan(&code, "r1").await {
            assert_eq!((&answer["result"], &answer["reason"]), (&"reject".into(), &"INVALID_CODE".into()));
            return Ok(());
        }
        assert!(since.elapsed() < PATIENCE, "Postgres is back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
