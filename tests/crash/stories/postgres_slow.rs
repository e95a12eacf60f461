use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use crate::postgres::Postgres;
use crate::server::run_seconds;
use crate::trial::Trial;

/// Of each of these the processes of Postgres run a tenth.
const CYCLE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_12_a_postgres_at_a_tenth_of_its_speed_is_followed_by_and_by() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    let during = Duration::from_secs(run_seconds(4));
    let slowing = async {
        let since = Instant::now();
        while since.elapsed() < during {
            postgres.freeze()?;
            tokio::time::sleep(CYCLE * 9 / 10).await;
            postgres.thaw()?;
            tokio::time::sleep(CYCLE / 10).await;
        }
        anyhow::Ok(())
    };
    let (bought, slowed) = tokio::join!(trial.buy(0, during), slowing);
    bought?;
    slowed?;
    trial.assert_sales_went_on(0);
    trial.staff_come_and_go("slow").await?;
    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders; at full speed again it caught up in {took:?}", trial.orders());
    Ok(())
}

/// Somebody locks the tables, another takes all connections: both are conditions that pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_12_locked_tables_and_too_many_connections_pass() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    trial.buy(0, Duration::from_millis(500)).await?;
    let other = postgres.connect().await?;
    // The projector may have begun with one of them and want the other: then Postgres turns one of the two away.
    while let Err(error) = other.batch_execute("BEGIN; LOCK TABLE orders, tickets IN ACCESS EXCLUSIVE MODE").await {
        anyhow::ensure!(error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED), "{error}");
        other.batch_execute("ROLLBACK").await?;
    }
    let mut crowd = Vec::new();
    while let Ok(client) = postgres.connect().await {
        crowd.push(client);
    }
    let before = trial.orders();
    trial.buy(1, Duration::from_secs(run_seconds(3))).await?;
    trial.assert_sales_went_on(before);
    trial.staff_come_and_go("crowded").await?;
    drop(crowd);
    other.batch_execute("ROLLBACK").await?;

    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders; it caught up in {took:?}", trial.orders());
    Ok(())
}
