//! What works while Postgres is away and who is known: orders for the next 24 hours, logins, revocations (rules 4, 13
//! and 14).

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::history::{Purchase, patiently};
use crate::server::{Launch, PATIENCE};
use crate::shop::{Answered, Unanswered, day_in};
use crate::stand::Stand;

/// No order has this id, nor ever will.
const NO_ORDER: &str = "not-an-order";

/// A code is shown before a restart and scanned after it.
fn codes_that_last(launch: Launch) -> Launch {
    launch.with("DEEPTRAVEL__SESSION__CODE_SECONDS", "600")
}

/// A paid ticket for a departure that `wanted` accepts, and its code.
async fn bought(
    stand: &Stand,
    name: &str,
    days: &[i64],
    wanted: impl Fn(SignedDuration) -> bool,
) -> anyhow::Result<String> {
    let token = &stand.tokens[0];
    for day in days {
        for departure in stand.shop.departures(day_in(*day)?).await? {
            let key = format!("{name}-{}", departure.0);
            let mut purchase = Purchase { key, departure, ..Purchase::default() };
            purchase.place(&stand.shop, token).await.expect("an answer");
            let Some(id) = purchase.order.clone() else { continue };
            let (_, order) = stand.shop.order_of(token, &id).await.expect("an answer");
            let departs_at: Timestamp = order["items"][0]["departsAt"].as_str().unwrap_or_default().parse()?;
            if wanted(departs_at.duration_since(Timestamp::now())) {
                purchase.buy(&stand.shop, token).await.expect("paid");
                return Ok(stand.shop.code(token, &purchase.tickets[0]).await.expect("an answer").expect("a code"));
            }
        }
    }
    anyhow::bail!("no departure for {name}")
}

fn assert_storage_unavailable<T: std::fmt::Debug>(answer: Answered<T>) {
    match answer {
        Err(Unanswered::Refused(problem)) => assert!(problem.contains("STORAGE_UNAVAILABLE"), "{problem}"),
        other => panic!("503 was expected: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_after_a_start_tickets_of_the_next_24_hours_can_be_scanned_without_postgres() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(codes_that_last).await?;
    let soon = bought(&stand, "soon", &[0, 1], |away| away < SignedDuration::from_hours(23)).await?;
    let later = bought(&stand, "later", &[3], |away| away > SignedDuration::from_hours(25)).await?;
    server.stop().await?;

    let server = codes_that_last(stand.world.launch()).start().await?;
    stand.postgres.stop().await?;
    let scan = stand.gate.scan(&soon, "soon").await.expect("it is in memory");
    assert_eq!(scan["result"], "success", "{scan}");
    assert_storage_unavailable(stand.gate.scan(&later, "later").await);

    stand.postgres.start_again().await?;
    let scan = patiently(|| stand.gate.scan(&later, "later")).await;
    assert_eq!(scan["result"], "success", "{scan}");
    server.stop().await?;

    // Without room for them they sleep, too, and nothing is said of them while Postgres is away.
    let unused = bought_again(&stand).await?;
    let launch = codes_that_last(stand.world.launch()).with("DEEPTRAVEL__ORDER__WARM_LOAD_BYTES_MAX", "0");
    let _server = launch.start().await?;
    stand.postgres.stop().await?;
    assert_storage_unavailable(stand.gate.scan(&unused, "unused").await);
    Ok(())
}

/// Another ticket for soon, bought in a run of its own.
async fn bought_again(stand: &Stand) -> anyhow::Result<String> {
    let server = codes_that_last(stand.world.launch()).start().await?;
    let code = bought(stand, "again", &[0, 1], |away| away < SignedDuration::from_hours(23)).await?;
    server.stop().await?;
    Ok(code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_4_logins_and_revocations_need_no_postgres_and_survive_a_restart_without_it() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(codes_that_last).await?;
    let code = bought(&stand, "ticket", &[0, 1], |away| away < SignedDuration::from_hours(23)).await?;
    let leaving = stand.shop.login("leaving").await?;
    let old_gate = stand.shop.gate("device").await?;
    stand.drained().await?;
    stand.postgres.stop().await?;

    // Travellers and operators come and go.
    let coming = stand.shop.login("coming").await?;
    assert_eq!(stand.shop.logout(&leaving).await.expect("an answer"), 204);
    // A new session on a device ends its old one (R-SCAN-04).
    let new_gate = stand.shop.gate("device").await?;
    let closed_gate = stand.shop.gate("another-device").await?;
    assert_eq!(closed_gate.close().await.expect("an answer"), 204);
    let known = async || {
        let (status, _) = stand.shop.order_of(&coming, NO_ORDER).await.expect("an answer");
        assert_eq!(status, 404, "logged in");
        let (status, _) = stand.shop.order_of(&leaving, NO_ORDER).await.expect("an answer");
        assert_eq!(status, 401, "logged out");
        let scan = new_gate.scan(&code, "r1").await.expect("an answer");
        assert_eq!(scan["result"], "success", "{scan}");
        for ended in [&old_gate, &closed_gate] {
            assert!(!ended.is_open().await.expect("an answer"), "its session has ended");
        }
    };
    known().await;

    // The server dies before Postgres knows any of it, and comes up before Postgres does.
    server.kill()?;
    let mut server = codes_that_last(stand.world.launch()).spawn()?;
    let since = Instant::now();
    while stand.shop.health("live").await.is_none_or(|status| status != 200) {
        assert!(since.elapsed() < PATIENCE, "it listens at once");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stand.shop.health("ready").await.map(|status| status.as_u16()), Some(503));
    stand.postgres.start_again().await?;
    server.until_ready().await?;
    known().await;
    stand.postgres.stop().await?;
    known().await;
    Ok(())
}
