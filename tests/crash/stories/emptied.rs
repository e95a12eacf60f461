//! Somebody empties a table or deletes a segment under a running server: it notices by itself, and its next start does not take
//! what is left for all that there was (rules 10, 12 and 14).

use std::time::{Duration, Instant};

use crate::server::PATIENCE;
use crate::stand::Stand;

/// It looks every second.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_a_server_whose_tables_are_emptied_exits_and_starts_again_only_on_a_backup() -> anyhow::Result<()> {
    for emptying in ["TRUNCATE order_rows", "DELETE FROM order_rows"] {
        let (stand, mut server) = Stand::new(|launch| launch).await?;
        stand.sell(0, Duration::from_secs(1)).await?;
        let backup = stand.back_up().await?;
        stand.sell(1, Duration::from_secs(1)).await?;
        stand.drained().await?;
        let before = stand.tables().await?;
        // A rewritten table is the same table.
        stand.postgres.connect().await?.batch_execute("VACUUM FULL order_rows").await?;
        assert!(server.ended(Duration::from_secs(3)).await?.is_none(), "it goes on");

        // Nobody orders anything.
        stand.postgres.connect().await?.batch_execute(emptying).await?;
        server.refuses(NOTICED_WITHIN, "tables of the database were emptied under this server: order_rows").await?;
        let mut refusing = stand.world.launch().spawn()?;
        refusing.refuses(PATIENCE, "order_rows is empty while payments is not").await?;

        stand.postgres.restore(&backup).await?;
        let _server = stand.world.start().await?;
        assert_eq!(stand.tables().await?, before, "every row is as it was");
        stand.check_history().await;
    }
    Ok(())
}

/// As under load: what is ordered in the second until the next look is projected into the empty table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_a_server_whose_tables_are_emptied_exits_although_they_have_rows_again() -> anyhow::Result<()> {
    let (stand, mut server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let emptied = "BEGIN; CREATE TEMPORARY TABLE newest ON COMMIT DROP AS SELECT * FROM order_rows LIMIT 1; \
        TRUNCATE order_rows; INSERT INTO order_rows SELECT * FROM newest; COMMIT";
    let since = Instant::now();
    // A table that had no rows yet when the server last looked was not emptied. Postgres counts them some seconds later.
    while server.ended(Duration::from_secs(3)).await?.is_none() {
        assert!(since.elapsed() < PATIENCE, "it goes on");
        stand.postgres.connect().await?.batch_execute(emptied).await?;
    }
    server.refuses(NOTICED_WITHIN, "tables of the database were emptied under this server: order_rows").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_a_server_whose_journal_loses_a_segment_exits() -> anyhow::Result<()> {
    let (stand, mut server) = Stand::new(|launch| launch).await?;
    let journal = stand.world.data_dir().join("journal");
    let segment = std::fs::read_dir(&journal)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "seg"));
    std::fs::remove_file(segment.expect("a segment that is written"))?;
    server.refuses(NOTICED_WITHIN, "of the journal was deleted under this server").await
}
