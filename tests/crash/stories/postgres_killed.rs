use std::time::{Duration, Instant};

use crate::postgres::Postgres;
use crate::server::run_seconds;
use crate::trial::Trial;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_killed_postgres_stops_no_sale() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    trial.buy(0, Duration::from_millis(500)).await?;

    let before = trial.orders();
    postgres.kill().await?;
    trial.buy(1, Duration::from_secs(run_seconds(2))).await?;
    trial.assert_sales_went_on(before);
    trial.assert_away().await?;
    trial.staff_come_and_go("killed").await?;

    postgres.start_again().await?;
    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders, {before} before the kill; it caught up in {took:?}", trial.orders());
    Ok(())
}

/// Postgres then ends every connection and recovers by itself, in the middle of batches and lists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_12_connections_that_are_killed_again_and_again_halt_nothing() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    let killing = async {
        let (since, mut kills) = (Instant::now(), 0);
        while since.elapsed() < Duration::from_secs(run_seconds(3)) {
            // While it recovers it takes no connection.
            kills += usize::from(postgres.kill_backends().await.is_ok());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        kills
    };
    let (bought, kills) = tokio::join!(trial.buy(0, Duration::from_secs(run_seconds(3))), killing);
    bought?;
    assert!(kills > 2, "{kills}");
    trial.assert_sales_went_on(0);
    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders over {kills} kills; it caught up in {took:?}", trial.orders());
    Ok(())
}

/// The server's own Postgres is started again by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_postgres_that_was_killed_is_started_again() -> anyhow::Result<()> {
    let trial = Trial::begin(None, "").await?;
    trial.buy(0, Duration::from_millis(500)).await?;
    let pid_file = trial.world.data_dir().join("postgres/cluster/postmaster.pid");
    let first_line = |text: String| text.lines().next().and_then(|line| line.trim().parse().ok());
    let pid = first_line(std::fs::read_to_string(&pid_file)?).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::KILL)?;

    let before = trial.orders();
    trial.buy(1, Duration::from_secs(run_seconds(2))).await?;
    trial.assert_sales_went_on(before);
    let took = trial.caught_up().await;
    let now = std::fs::read_to_string(&pid_file).ok().and_then(first_line).and_then(rustix::process::Pid::from_raw);
    assert_ne!(now, pid, "another one");
    println!("{} orders; it caught up in {took:?}", trial.orders());
    Ok(())
}
