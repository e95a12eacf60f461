//! What orders announce is counted once, through any number of crashes (rule 16).

use std::time::Duration;

use crate::server::{Server, run_seconds};
use crate::shop::Shop;
use crate::stand::Stand;

const ROUNDS: usize = 3;
const KINDS: [&str; 5] = ["paid", "cancelled", "revived", "redeemed", "completed"];

/// How often each kind was announced.
type Totals = [u64; KINDS.len()];

/// As `/metrics` shows it.
async fn shown(shop: &Shop) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    for (total, kind) in totals.iter_mut().zip(KINDS) {
        *total = shop.figure(&format!("announcements_total{{kind=\"{kind}\"}}")).await?;
    }
    Ok(totals)
}

/// As it follows from the orders. One that sought seats a second time was cancelled once.
async fn said(stand: &Stand) -> anyhow::Result<Totals> {
    let sql =
        "SELECT count(*) FILTER (WHERE sold AND NOT again), count(*) FILTER (WHERE again OR status = 'cancelled'),
                      count(*) FILTER (WHERE sold AND again), (SELECT count(*) FROM redemptions),
                      count(*) FILTER (WHERE status = 'completed')
               FROM (SELECT status, status IN ('paid', 'completed') AS sold, coalesce(seat_epoch, 1) > 1 AS again
                     FROM orders) AS o";
    let row = stand.postgres.connect().await?.query_one(sql, &[]).await?;
    Ok(std::array::from_fn(|column| row.get::<_, i64>(column) as u64))
}

/// Both, at a moment at which nothing is under way.
async fn at_rest(stand: &Stand) -> anyhow::Result<(Totals, Totals)> {
    loop {
        let before = stand.shop.figure("journal_durable_position").await?;
        stand.drained().await?;
        let both = (shown(&stand.shop).await?, said(stand).await?);
        if stand.shop.figure("journal_durable_position").await? == before {
            return Ok(both);
        }
    }
}

/// One order that nobody wants any more.
async fn give_up(stand: &Stand, round: usize) -> anyhow::Result<()> {
    let (token, departure) = (&stand.tokens[0], stand.departures.last().expect("departures"));
    let (status, order) = stand.shop.order(token, &format!("given-up-{round}"), departure).await.expect("an answer");
    let Some(id) = order["orderId"].as_str() else { panic!("{status} {order}") };
    assert!(stand.shop.cancel(token, id).await.expect("an answer").is_success());
    Ok(())
}

async fn crashed(stand: &Stand, server: Server) -> anyhow::Result<Server> {
    server.kill()?;
    stand.world.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_16_what_orders_announce_is_counted_once_through_kill_9() -> anyhow::Result<()> {
    let (stand, mut server) = Stand::new(|launch| launch).await?;
    for round in 0..ROUNDS {
        give_up(&stand, round).await?;
        let load = stand.load(round);
        tokio::time::sleep(Duration::from_millis(run_seconds(1) * 1000 + 137 * round as u64)).await;
        let before = shown(&stand.shop).await?;
        server = crashed(&stand, server).await?;
        load.end().await?;
        let after = shown(&stand.shop).await?;
        assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} became {after:?}");

        let (counted, orders) = at_rest(&stand).await?;
        assert_eq!(counted, orders, "by kind: {KINDS:?}");

        // Right after a crash at rest nothing has to be counted first.
        server = crashed(&stand, server).await?;
        assert_eq!(shown(&stand.shop).await?, counted);
        println!("round {round}: {counted:?}, shown before and after the crash: {before:?}, {after:?}");
    }
    let (counted, orders) = at_rest(&stand).await?;
    assert_eq!(counted, orders, "by kind: {KINDS:?}");
    assert!([0, 1, 3, 4].iter().all(|kind| counted[*kind] >= ROUNDS as u64), "the run did something: {counted:?}");
    stand.check_history().await;
    Ok(())
}
