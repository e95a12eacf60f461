//! Two servers on one directory, or on one database (rule 14).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::history::{Purchase, assert_no_seat_twice};
use crate::server::{Launch, PATIENCE, World, free_address};
use crate::shop::Shop;
use crate::stand::Stand;

/// The first server looks every second.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// A second server: another port, otherwise the same.
fn second(world: &World) -> anyhow::Result<Launch> {
    Ok(Launch { listen: free_address()?, ..world.launch() })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp").arg("-a").args([from, to]).status()?;
    if !status.success() {
        bail!("cp: {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_second_server_on_the_same_directory_is_refused_and_the_first_unharmed() -> anyhow::Result<()> {
    let (stand, mut first) = Stand::new(|launch| launch).await?;
    let load = stand.load(0);
    let mut refusing = second(&stand.world)?.spawn()?;
    refusing.refuses(PATIENCE, "is in use: another process holds its lock").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.end().await?;
    assert!(first.ended(Duration::from_secs(2)).await?.is_none(), "the first one goes on");
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_second_server_on_the_same_private_postgres_is_refused_too() -> anyhow::Result<()> {
    let world = World::new(None)?;
    let mut first = world.start().await?;
    let mut refusing = second(&world)?.spawn()?;
    refusing.refuses(PATIENCE, "is in use: another process holds its lock").await?;
    assert!(first.ended(Duration::from_secs(2)).await?.is_none(), "the first one goes on");
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    shop.login("somebody").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_8_of_two_demos_at_once_on_an_empty_directory_one_has_written_nothing() -> anyhow::Result<()> {
    let world = World::new(None)?;
    let (mut one, mut other) = (world.launch().spawn()?, second(&world)?.spawn()?);
    let one_lost = tokio::select! {
        _ = one.ended(PATIENCE) => true,
        _ = other.ended(PATIENCE) => false,
    };
    let (mut winner, mut loser) = if one_lost { (other, one) } else { (one, other) };
    loser.refuses(PATIENCE, "is in use: another process holds its lock").await?;
    winner.until_ready().await?;

    // What was written is the winner's: it goes on with it after a stop.
    let secrets = world.data_dir().join("demo-secrets.toml");
    let written = std::fs::read(&secrets)?;
    winner.stop().await?;
    let _again = world.start().await?;
    assert_eq!(std::fs::read(&secrets)?, written);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_another_directory_on_the_same_database_is_refused_and_the_first_unharmed() -> anyhow::Result<()> {
    let (stand, mut first) = Stand::new(|launch| launch).await?;
    let load = stand.load(0);
    let elsewhere = stand.dir.path().join("elsewhere");
    let mut refusing = Launch { data_dir: elsewhere, ..second(&stand.world)? }.spawn()?;
    refusing.refuses(PATIENCE, "the database follows journal").await?;
    load.end().await?;
    assert!(first.ended(Duration::from_secs(2)).await?.is_none(), "the first one goes on");

    // The same directory, whose journal has been lost: an empty one must not begin where others have sold.
    first.stop().await?;
    let journal = stand.world.data_dir().join("journal");
    let kept = stand.dir.path().join("journal");
    std::fs::rename(&journal, &kept)?;
    stand.world.launch().spawn()?.refuses(PATIENCE, "start on the data directory that belongs").await?;
    std::fs::remove_dir_all(&journal)?;
    std::fs::rename(&kept, &journal)?;
    let _first = stand.world.start().await?;
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_journal_that_is_older_than_the_database_is_refused() -> anyhow::Result<()> {
    let (stand, first) = Stand::new(|launch| launch).await?;
    let copied = stand.dir.path().join("copied");
    copy(&stand.world.data_dir(), &copied)?;
    stand.sell(0, Duration::from_secs(1)).await?;

    // While the first one sells: its database is always ahead of a copy.
    let load = stand.load(1);
    let behind = Launch { data_dir: copied, ..second(&stand.world)? };
    behind.spawn()?.refuses(PATIENCE, "acknowledged records are missing").await?;
    load.end().await?;
    stand.drained().await?;
    first.stop().await?;
    behind.spawn()?.refuses(PATIENCE, "acknowledged records are missing").await?;
    let _first = stand.world.start().await?;
    stand.check_history().await;
    Ok(())
}

/// A copy of an idle server's directory is as good as the original. Whoever starts on it takes the database over; the
/// first one ends within a second, or with its next batch. What that one answered meanwhile nobody else knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_server_on_a_copied_directory_takes_the_database_over_and_the_first_one_exits() -> anyhow::Result<()>
{
    let (stand, mut first) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let copied = stand.dir.path().join("copied");
    copy(&stand.world.data_dir(), &copied)?;
    let launch = Launch { data_dir: copied, ..second(&stand.world)? };
    let epoch = epoch(&stand).await?;
    let mut successor = launch.spawn()?;
    let since = Instant::now();
    while self::epoch(&stand).await? == epoch {
        assert!(since.elapsed() < PATIENCE, "the successor takes the database over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // From here on there are two. The first one is asked until it has gone.
    let since = Instant::now();
    let token = &stand.tokens[0];
    let mut orphans = Vec::new();
    for n in 0.. {
        let departure = stand.departures[n % stand.departures.len()].clone();
        let mut purchase = Purchase { key: format!("late-{n}"), departure, ..Purchase::default() };
        if purchase.place(&stand.shop, token).await.is_err() {
            break;
        }
        orphans.extend(purchase.order);
    }
    let ended = first.ended(ENDED_WITHIN).await?.context("the first one goes on")?;
    println!("gone after {:?}; {} orders that only it knows", since.elapsed(), orphans.len());
    assert!(!ended.success(), "{ended}");
    first.log.says("another server").await?;

    // What it answered meanwhile is not in the database, so no seat is sold by both and stays sold.
    successor.until_ready().await?;
    let shop = Shop::new(format!("http://{}", launch.listen), stand.world.simulator.base_url())?;
    for order in &orphans {
        let (status, answer) = shop.order_of(token, order).await.expect("an answer");
        assert_eq!(status, 404, "{answer}");
    }
    let mut sold: Vec<_> = stand.history.purchases();
    for (number, departure) in stand.departures.iter().enumerate() {
        let key = format!("successor-{number}");
        let mut purchase = Purchase { key, departure: departure.clone(), ..Purchase::default() };
        purchase.place(&shop, token).await.expect("the successor sells");
        sold.push(purchase);
    }
    assert_no_seat_twice(&sold);
    assert_eq!(seats_sold_twice(&stand).await?, 0);

    // Its own journal has another history now: it cannot come back, whether it is longer or shorter.
    successor.kill()?;
    stand.world.launch().spawn()?.refuses(PATIENCE, "go on with that one's data directory").await?;
    let successor = launch.start().await?;
    assert_eq!(shop.health("ready").await.map(|status| status.as_u16()), Some(200));
    drop(successor);
    Ok(())
}

async fn epoch(stand: &Stand) -> anyhow::Result<i64> {
    Ok(stand.postgres.connect().await?.query_one("SELECT epoch FROM journal_position", &[]).await?.get(0))
}

/// Seats with more than one live hold on overlapping stretches, as Postgres has them.
async fn seats_sold_twice(stand: &Stand) -> anyhow::Result<i64> {
    let client = stand.postgres.connect().await?;
    let sql =
        "WITH taken AS (SELECT departure_id, hold_id, board_stop, alight_stop, jsonb_array_elements_text(seats) AS seat
                              FROM holds WHERE state IN ('held', 'paying', 'confirmed'))
               SELECT count(*) FROM taken AS a JOIN taken AS b USING (departure_id, seat)
               WHERE a.hold_id < b.hold_id AND a.board_stop < b.alight_stop AND b.board_stop < a.alight_stop";
    Ok(client.query_one(sql, &[]).await?.get(0))
}
