use std::time::Duration;

use crate::postgres::Postgres;
use crate::server::run_seconds;
use crate::trial::Trial;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_postgres_that_accepts_and_says_nothing_stops_no_sale() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), "").await?;
    trial.buy(0, Duration::from_millis(500)).await?;

    let before = trial.orders();
    postgres.freeze()?;
    trial.buy(1, Duration::from_secs(run_seconds(3))).await?;
    trial.assert_sales_went_on(before);
    trial.assert_away().await?;
    trial.staff_come_and_go("hung").await?;

    postgres.thaw()?;
    let took = trial.assert_rows_are_exact(&postgres).await?;
    println!("{} orders, {before} before Postgres hung; it caught up in {took:?}", trial.orders());
    Ok(())
}
