use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::testing::{suite, url};

use super::kill::buyers;
use crate::history::{History, assert_no_seat_twice};
use crate::server::{PATIENCE, SUITE, World, run_seconds};
use crate::shop::{Shop, day_in};

const BUYERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_payments_and_scans_go_on_while_postgres_is_away() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("deeptravel-away-").tempdir_in("/tmp")?;
    let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
    let cluster = Arc::new(tokio::task::spawn_blocking(move || suite::cluster(SUITE, &options)).await??);
    let world = World::new(Some(url(&cluster, DATABASE)))?;
    let _server = world.start().await?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    let departures = Arc::new(shop.departures(day_in(2)?).await?);
    let mut tokens = Vec::new();
    for number in 0..BUYERS {
        tokens.push(shop.login(&format!("buyer{number}")).await?);
    }
    let gate = shop.gate("away-gate").await?;
    let history = History::default();

    let stopping = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || stopping.stop()).await??;
    let stop = Arc::new(AtomicBool::new(false));
    let running = buyers(&shop, &gate, &tokens, &departures, &history, 0, &stop);
    tokio::time::sleep(Duration::from_secs(run_seconds(3))).await;
    stop.store(true, Ordering::Relaxed);
    for buyer in running {
        buyer.await?;
    }
    let mut purchases = history.purchases();
    purchases.retain(|purchase| !purchase.sold_out);
    assert!(purchases.len() > BUYERS, "sales went on");
    for purchase in &purchases {
        assert!(purchase.scanned.is_some(), "every purchase went through to the gate: {purchase:?}");
    }
    assert_no_seat_twice(&purchases);

    // Lists show what is in memory, and say that it is not all (rule 13).
    for (path, field) in [("/orders", "orders"), ("/my/tickets", "tickets")] {
        let (status, list) = shop.list(&tokens[0], path).await.expect("an answer without Postgres");
        assert_eq!((status.as_u16(), &list["complete"]), (200, &serde_json::Value::Bool(false)), "{list}");
        assert!(list[field].as_array().is_some_and(|entries| !entries.is_empty()), "{list}");
    }

    let starting = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || starting.start_again()).await??;
    let since = Instant::now();
    let expected = purchases.len() as i64;
    loop {
        let counts = counts(&cluster).await?;
        if counts == (expected, expected, expected) {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{counts:?} of {expected} orders, tickets used, redemptions");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{expected} purchases while Postgres was away; it caught up in {:?}", since.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_postgres_is_live_not_ready_and_goes_on_when_it_comes() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("deeptravel-late-").tempdir_in("/tmp")?;
    let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
    let cluster = Arc::new(tokio::task::spawn_blocking(move || suite::cluster(SUITE, &options)).await??);
    let stopping = Arc::clone(&cluster);
    tokio::task::spawn_blocking(move || stopping.stop()).await??;

    let world = World::new(Some(url(&cluster, DATABASE)))?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    let waiting = async {
        let since = Instant::now();
        while shop.health("live").await.is_none_or(|status| status != 200) {
            assert!(since.elapsed() < PATIENCE, "it listens at once");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(shop.health("ready").await.map(|status| status.as_u16()), Some(503), "live, not ready");
        let starting = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || starting.start_again()).await?.map_err(anyhow::Error::from)
    };
    let (server, started) = tokio::join!(world.start(), waiting);
    started?;
    let _server = server?;
    assert_eq!(shop.health("ready").await.map(|status| status.as_u16()), Some(200));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_server_whose_database_another_has_taken_exits() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("deeptravel-fence-").tempdir_in("/tmp")?;
    let options = Options { fsync: false, ..Options::new(dir.path().join("postgres")) };
    let cluster = Arc::new(tokio::task::spawn_blocking(move || suite::cluster(SUITE, &options)).await??);
    let world = World::new(Some(url(&cluster, DATABASE)))?;
    let mut server = world.start().await?;

    let (client, connection) = cluster.connection(DATABASE).connect(tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    client.execute("UPDATE journal_position SET epoch = epoch + 1", &[]).await?;
    drop(client);
    driver.await??;
    let status = server.ended(PATIENCE).await?;
    assert_eq!(status.map(|status| status.success()), Some(false), "it does not go on beside the other");
    Ok(())
}

/// Completed orders, used tickets, redemptions.
async fn counts(cluster: &Cluster) -> anyhow::Result<(i64, i64, i64)> {
    let (client, connection) = cluster.connection(DATABASE).connect(tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM orders WHERE status = 'completed'),
                    (SELECT count(*) FROM tickets WHERE status = 'used'),
                    (SELECT count(*) FROM redemptions)",
            &[],
        )
        .await?;
    drop(client);
    driver.await??;
    Ok((row.get(0), row.get(1), row.get(2)))
}
