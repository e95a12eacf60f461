//! Postgres behind the process: the schema, the position of the projection, and outages.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

use std::time::{Duration, Instant};

use deeptravel::embedded::{Cluster, Options};
use deeptravel::postgres::{
    Database, JournalPosition, Lane, Outage, PositionError, StoreError, advance_position, claim_epoch, migrate,
    read_position,
};
use deeptravel::testing::fresh_database;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn io_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn every_query_file_fits_the_migrated_schema() {
    let database = fresh_database().unwrap();
    io_runtime().block_on(async {
        let (client, connection) = database.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries")).unwrap();
        for file in files {
            let path = file.unwrap().path();
            let sql = std::fs::read_to_string(&path).unwrap();
            if let Err(error) = client.prepare(&sql).await {
                panic!("{}: {error:?}", path.display());
            }
        }
    });
}

#[test]
fn processes_that_migrate_at_once_wait_for_each_other() {
    let database = fresh_database().unwrap();
    io_runtime().block_on(async {
        let (client, connection) = database.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();

        let reports = futures_util::future::join_all((0..4).map(|_| migrate(&database.config))).await;
        let applied: Vec<_> = reports.into_iter().flat_map(|report| report.unwrap().applied).collect();

        let once: std::collections::BTreeSet<_> = applied.iter().cloned().collect();
        assert_eq!(applied.len(), once.len(), "each migration once, not {applied:?}");
        assert!(once.contains("V1__journal_position"), "{once:?}");
    });
}

#[test]
fn an_epoch_is_above_every_earlier_one_and_shuts_the_older_process_out() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.config);
    let journal_id = Uuid::now_v7();
    let story = store.run(Lane::Projection, move |client| async move {
        assert_eq!(read_position(&*client).await.unwrap(), None);

        // The first process: the journal's epoch is the higher one. It projects up to 10.
        assert_eq!(claim_epoch(&*client, journal_id, 7).await.unwrap(), 7);
        let first = JournalPosition { journal_id, position: 0, epoch: 7 };
        advance_position(&*client, first, 10).await.unwrap();
        let first = JournalPosition { position: 10, ..first };
        assert_eq!(read_position(&*client).await.unwrap(), Some(first));

        // It repeats a batch: refused, because the position has moved.
        let repeated = advance_position(&*client, JournalPosition { position: 0, ..first }, 10).await;
        assert!(matches!(repeated, Err(PositionError::Moved { expected: 0, found: 10 })), "{repeated:?}");

        // The second process comes with a lower one from its journal and still gets a higher one; the first is out.
        assert_eq!(claim_epoch(&*client, journal_id, 3).await.unwrap(), 8);
        let late = advance_position(&*client, first, 11).await;
        assert!(matches!(late, Err(PositionError::EpochTaken { ours: 7, found: 8 })), "{late:?}");

        // Another journal gets nothing.
        let ours = Uuid::now_v7();
        let foreign = claim_epoch(&*client, ours, 100).await;
        assert!(
            matches!(foreign, Err(PositionError::OtherJournal { found, .. }) if found == journal_id),
            "{foreign:?}"
        );
        assert_eq!(read_position(&*client).await.unwrap(), Some(JournalPosition { epoch: 8, ..first }));
        Ok(())
    });
    runtime.block_on(story).unwrap();
}

#[test]
fn callers_on_another_runtime_get_their_rows_and_their_data_errors() {
    let database = fresh_database().unwrap();
    let io = io_runtime();
    let store = Database::new(io.handle().clone(), &database.config);
    let caller = tokio::runtime::Builder::new_current_thread().build().unwrap();

    let thread = caller.block_on(store.run(Lane::Lists, |client| async move {
        let statement = client.prepare_cached("SELECT 40 + 2").await?;
        let row = client.query_one(&statement, &[]).await?;
        assert_eq!(row.try_get::<_, i32>(0)?, 42);
        Ok(std::thread::current().id())
    }));
    assert_ne!(thread.unwrap(), std::thread::current().id());

    let refused = caller.block_on(store.run(Lane::Lists, |client| async move {
        client.batch_execute("SELECT no_such_column FROM journal_position").await?;
        Ok(())
    }));
    assert!(matches!(refused, Err(StoreError::Data(_))), "{refused:?}");
    assert!(store.is_available(), "a data error is no outage");
}

#[test]
fn one_lane_that_is_full_is_busy_and_the_other_is_not() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.config);
    runtime.block_on(async {
        let slow = || {
            store.run(Lane::Lists, |client| async move {
                client.batch_execute("SELECT pg_sleep(1.3)").await?;
                Ok(())
            })
        };
        let quick = || {
            store.run(Lane::Wakes, |client| async move {
                client.batch_execute("SELECT 1").await?;
                Ok(())
            })
        };
        let (lists, wake) = tokio::join!(futures_util::future::join_all((0..9).map(|_| slow())), quick());
        wake.unwrap();
        let busy = |result: &Result<(), StoreError>| {
            matches!(result, Err(StoreError::Unavailable(Outage::Busy { connections: 8 })))
        };
        assert_eq!(lists.iter().filter(|result| busy(result)).count(), 1, "{lists:?}");
        assert_eq!(lists.iter().filter(|result| result.is_ok()).count(), 8, "{lists:?}");
        assert!(store.is_available(), "load is no outage");
    });
}

#[test]
fn a_stopped_postgres_answers_unavailable_and_is_found_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = Cluster::start(&options).unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &cluster.connection(deeptravel::embedded::DATABASE));
    let ask = || {
        runtime.block_on(store.run(Lane::Lists, |client| async move {
            client.batch_execute("SELECT 1").await?;
            Ok(())
        }))
    };
    ask().unwrap();

    cluster.stop().unwrap();
    let asked = Instant::now();
    let first = ask();
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    let asked = Instant::now();
    let second = ask();
    assert!(matches!(second, Err(StoreError::Unavailable(Outage::Away))), "{second:?}");
    assert!(asked.elapsed() < Duration::from_millis(50), "refused at once, not after {:?}", asked.elapsed());

    cluster.start_again().unwrap();
    let back = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), store.until_available()).await });
    back.unwrap();
    ask().unwrap();
}

#[test]
fn a_silent_postgres_answers_unavailable_within_the_time_limit_and_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = Cluster::start(&options).unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &cluster.connection(deeptravel::embedded::DATABASE));
    let ask = || {
        runtime.block_on(store.run(Lane::Lists, |client| async move {
            client.batch_execute("SELECT 1").await?;
            Ok(())
        }))
    };
    ask().unwrap();

    // Every process of the server sleeps, as on a machine that hangs.
    let sleeping = signal_all(&cluster, rustix::process::Signal::STOP);
    let asked = Instant::now();
    let first = ask();
    assert!(matches!(first, Err(StoreError::Unavailable(Outage::Silent { .. }))), "{first:?}");
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    assert!(matches!(ask(), Err(StoreError::Unavailable(Outage::Away))));

    for pid in sleeping {
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }
    let back = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), store.until_available()).await });
    back.unwrap();
    ask().unwrap();
}

/// Signals the server of `cluster` and all its children, and says which they were.
fn signal_all(cluster: &Cluster, signal: rustix::process::Signal) -> Vec<rustix::process::Pid> {
    let server = cluster.pid().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
    let pids = std::iter::once(server).chain(children.split_whitespace().map(|pid| pid.parse().unwrap()));
    let pids: Vec<_> =
        pids.map(|pid: u32| rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()).collect();
    for pid in &pids {
        rustix::process::kill_process(*pid, signal).unwrap();
    }
    pids
}
