//! A backup of Postgres, taken under load and restored later over the same journal (rule 14).

use std::time::{Duration, Instant};

use crate::server::{PATIENCE, run_seconds};
use crate::stand::Stand;

/// How soon a running server notices: it looks every second.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// How long sales go on between backup and restore; half an hour is `DEEPTRAVEL_RESTORE_SECONDS=1800`.
fn seconds_until_restore() -> u64 {
    std::env::var("DEEPTRAVEL_RESTORE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(run_seconds(2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_backup_that_is_restored_later_catches_up_with_the_journal() -> anyhow::Result<()> {
    let (stand, server) = Stand::new(|launch| launch).await?;
    let load = stand.load(0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let backup = stand.back_up().await?;
    tokio::time::sleep(Duration::from_secs(seconds_until_restore())).await;
    load.end().await?;
    stand.drained().await?;
    let before = stand.tables().await?;
    server.stop().await?;

    stand.postgres.restore(&backup).await?;
    let restored = stand.tables().await?;
    assert!(
        0 < restored["order_rows"].0 && restored["order_rows"].0 < before["order_rows"].0,
        "the backup is an older state"
    );
    let server = stand.world.start().await?;
    assert_eq!(stand.tables().await?, before, "every row is as it was");
    println!(
        "{} orders in the backup, {} at its restore; ready after {:?}",
        restored["order_rows"].0, before["order_rows"].0, server.ready_after
    );
    stand.sell(1, Duration::from_secs(1)).await?;
    stand.check_history().await;

    // Killed instead of stopped: Postgres had not followed to the end, and the restore comes before the next start.
    let load = stand.load(2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.kill()?;
    load.end().await?;
    stand.postgres.restore(&backup).await?;
    let _server = stand.world.start().await?;
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_server_under_which_an_older_database_is_restored_exits_and_its_next_start_catches_up()
-> anyhow::Result<()> {
    let (stand, mut server) = Stand::new(|launch| launch).await?;
    stand.sell(0, Duration::from_secs(1)).await?;
    let backup = stand.back_up().await?;
    stand.sell(1, Duration::from_secs(1)).await?;
    stand.drained().await?;
    let before = stand.tables().await?;

    // Idle: no batch finds out.
    stand.postgres.restore(&backup).await?;
    let since = Instant::now();
    server.refuses(NOTICED_WITHIN, "an older state of the database was restored under this server").await?;
    println!("noticed within {:?}", since.elapsed());
    let mut server = stand.world.start().await?;
    assert_eq!(stand.tables().await?, before, "every row is as it was");

    // Under load: the next batch may find out first. The restore and a batch may block each other, then it is repeated.
    let load = stand.load(2);
    while let Err(error) = stand.postgres.restore(&backup).await {
        assert!(error.to_string().contains("deadlock detected"), "{error}");
    }
    let ended = server.ended(NOTICED_WITHIN).await?;
    assert_eq!(ended.map(|status| status.success()), Some(false), "it does not go on over an older state");
    load.end().await?;
    let _server = stand.world.start().await?;
    stand.check_history().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_backup_older_than_the_journal_is_refused() -> anyhow::Result<()> {
    let small = |launch: crate::server::Launch| {
        launch.with("DEEPTRAVEL__JOURNAL__SEGMENT_BYTES", "262144").with("DEEPTRAVEL__JOURNAL__RETAIN_BYTES", "0")
    };
    let (stand, server) = Stand::new(small).await?;
    let backup = stand.back_up().await?;
    let journal = stand.world.data_dir().join("journal");
    let segments = || {
        let names = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".seg")).collect();
        names.sort();
        names
    };
    let needed = segments().pop().expect("a segment that is written");
    let since = Instant::now();
    for round in 0.. {
        stand.sell(round, Duration::from_millis(500)).await?;
        if segments().iter().filter(|segment| **segment > needed).count() > 1 {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "the journal grows");
    }
    stand.drained().await?;
    server.stop().await?;

    // What Postgres has followed is let go at the next start.
    let server = small(stand.world.launch()).start().await?;
    while segments().contains(&needed) {
        assert!(since.elapsed() < Duration::from_mins(2), "retention lets the segment go");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let newer = stand.back_up().await?;
    server.stop().await?;
    stand.postgres.restore(&backup).await?;
    let mut refusing = small(stand.world.launch()).spawn()?;
    refusing.refuses(PATIENCE, "restore a newer backup").await?;

    // Nothing was spoilt by trying.
    stand.postgres.restore(&newer).await?;
    let _server = small(stand.world.launch()).start().await?;
    stand.check_history().await;
    Ok(())
}
