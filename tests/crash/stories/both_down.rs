//! Server and Postgres go down and come up under load, in every order.

use std::time::{Duration, Instant};

use crate::server::{PATIENCE, Server, run_seconds};
use crate::stand::{Load, Stand};

/// A server that has been started while Postgres is away: it lives, and is not ready until Postgres is back.
async fn waits_for_postgres(stand: &Stand) -> anyhow::Result<Server> {
    let mut server = stand.world.launch().spawn()?;
    let since = Instant::now();
    while stand.shop.health("live").await.is_none_or(|status| status != 200) {
        assert!(since.elapsed() < PATIENCE, "it listens at once");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stand.shop.health("ready").await.map(|status| status.as_u16()), Some(503), "live, not ready");
    server.log.says("The start waits for the database").await?;
    assert!(server.ended(Duration::ZERO).await?.is_none());
    Ok(server)
}

/// Load for a while, in the middle of which something happens.
async fn under_load(stand: &Stand, round: usize, pause: u64) -> Load {
    let load = stand.load(round);
    tokio::time::sleep(Duration::from_millis(run_seconds(1) * 1000 + pause)).await;
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_22_both_processes_may_go_down_and_up_in_any_order() -> anyhow::Result<()> {
    let (stand, mut server) = Stand::new(|launch| launch).await?;
    // Twice in a row where there is time for it.
    let rounds = if run_seconds(1) > 1 { 2 } else { 1 };
    for (round, pause) in [(0, 0), (4, 371)].into_iter().take(rounds) {
        // The server dies and comes back.
        let load = under_load(&stand, round, pause).await;
        server.kill()?;
        load.end().await?;
        server = stand.world.start().await?;

        // Postgres dies, the server sells on; Postgres comes back.
        let load = under_load(&stand, round + 1, pause).await;
        stand.postgres.kill().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stand.postgres.start_again().await?;
        load.end().await?;
        stand.drained().await?;

        // Postgres dies, then the server; the server comes up first and waits.
        let load = under_load(&stand, round + 2, pause).await;
        stand.postgres.kill().await?;
        tokio::time::sleep(Duration::from_millis(500 + pause)).await;
        server.kill()?;
        load.end().await?;
        server = waits_for_postgres(&stand).await?;
        stand.postgres.start_again().await?;
        server.until_ready().await?;

        // The server dies, then Postgres; Postgres comes up first.
        let load = under_load(&stand, round + 3, pause).await;
        server.kill()?;
        stand.postgres.kill().await?;
        load.end().await?;
        stand.postgres.start_again().await?;
        server = stand.world.start().await?;
        stand.check_history().await;
    }
    assert_exact(&stand, server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_crash_while_the_tail_is_projected_is_nothing_special() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_millis(500)).await?;
    stand.drained().await?;
    stand.postgres.stop().await?;
    let load = under_load(&stand, 1, 1000).await;
    server.kill()?;
    load.end().await?;

    // Somebody holds the position's row, so that the first batch of the tail waits; the server dies over it.
    stand.postgres.start_again().await?;
    let blocking = stand.postgres.connect().await?;
    let position = "SELECT position FROM journal_position";
    let before: i64 = blocking.query_one(position, &[]).await?.get(0);
    blocking.batch_execute("BEGIN; LOCK TABLE tickets IN SHARE MODE").await?;
    let dying = stand.world.launch().spawn()?;
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'ticket_rows'::regclass";
    let since = Instant::now();
    while blocking.query_one(waiting, &[]).await?.get::<_, i64>(0) == 0 {
        assert!(since.elapsed() < PATIENCE, "the tail is projected");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dying.kill()?;
    blocking.batch_execute("ROLLBACK").await?;
    drop(blocking);

    // And by Postgres dying instead, over a server that lives.
    let blocking = stand.postgres.connect().await?;
    blocking.batch_execute("BEGIN; LOCK TABLE tickets IN SHARE MODE").await?;
    let mut server = stand.world.launch().spawn()?;
    let since = Instant::now();
    while blocking.query_one(waiting, &[]).await?.get::<_, i64>(0) == 0 {
        assert!(since.elapsed() < PATIENCE, "the tail is projected");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stand.postgres.kill().await?;
    stand.postgres.start_again().await?;
    server.until_ready().await?;
    stand.drained().await?;
    let after: i64 = stand.postgres.connect().await?.query_one(position, &[]).await?.get(0);
    assert!(after > before, "there was a tail: {before} to {after}");
    stand.check_history().await;
    assert_exact(&stand, server).await
}

/// Postgres has what the journal says: filled again from the journal alone it has the same rows.
async fn assert_exact(stand: &Stand, server: Server) -> anyhow::Result<()> {
    stand.drained().await?;
    server.stop().await?;
    let tables = stand.tables().await?;
    let client = stand.postgres.connect().await?;
    client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await?;
    drop(client);
    stand.world.start().await?.stop().await?;
    assert_eq!(stand.tables().await?, tables);
    println!("{} orders, {} tickets", tables["order_rows"].0, tables["ticket_rows"].0);
    Ok(())
}
