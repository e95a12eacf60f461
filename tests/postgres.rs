//! Postgres behind the process: the schema, the position of the projection, and outages.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "postgres/tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::postgres::{
    Access, Database, JournalPosition, Lane, Outage, PositionError, Session, StoreError, adopt_position,
    advance_position, claim_epoch, locks_beyond, migrate, read_clock, read_position,
};
use deeptravel::testing::{fresh_database, suite};
use deeptravel_domain::time::Timestamp;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;
use uuid::Uuid;

fn io_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn select_1(store: &Database, lane: Lane) -> Result<(), StoreError> {
    let job = |client: Session| async move {
        client.batch_execute("SELECT 1").await?;
        Ok(())
    };
    store.run(lane, job).await
}

async fn until_back(store: &Database) {
    let since = Instant::now();
    while !store.is_available() {
        assert!(since.elapsed() < Duration::from_secs(10), "Postgres is not found again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn processes_that_migrate_at_once_wait_for_each_other() {
    let database = fresh_database().unwrap();
    io_runtime().block_on(async {
        let (client, connection) = database.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();

        let access = database.access();
        let reports = join_all((0..4).map(|_| migrate(&access))).await;
        let applied: Vec<_> = reports.into_iter().flat_map(|applied| applied.unwrap()).collect();

        let once: std::collections::BTreeSet<_> = applied.iter().cloned().collect();
        assert_eq!(applied.len(), once.len(), "each migration once, not {applied:?}");
        assert!(once.contains("V1__journal_position"), "{once:?}");
    });
}

#[test]
fn an_epoch_is_above_every_earlier_one_and_shuts_the_older_process_out() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let journal_id = Uuid::now_v7();
    let story = store.run(Lane::Projection, move |client| async move {
        assert_eq!(read_position(&*client).await.unwrap(), None);

        // The first process: the journal's epoch is the higher one. It projects up to 10.
        let first = JournalPosition { journal_id, position: 0, epoch: 7 };
        claim_epoch(&*client, first).await.unwrap();
        advance_position(&*client, first, 10).await.unwrap();
        let first = JournalPosition { position: 10, ..first };
        assert_eq!(read_position(&*client).await.unwrap(), Some(first));

        // It repeats a batch: refused, because the position has moved.
        let repeated = advance_position(&*client, JournalPosition { position: 0, ..first }, 10).await;
        assert!(matches!(repeated, Err(PositionError::Moved { expected: 0, found: 10 })), "{repeated:?}");

        // The second process has looked, and the first goes on before it comes: it has to look again. Nor does it get
        // an epoch that somebody has.
        let second = JournalPosition { epoch: 8, ..first };
        let early = claim_epoch(&*client, JournalPosition { position: 9, ..second }).await;
        assert!(matches!(early, Err(PositionError::Moved { expected: 9, found: 10 })), "{early:?}");
        let same = claim_epoch(&*client, first).await;
        assert!(matches!(same, Err(PositionError::EpochTaken { ours: 7, found: 7 })), "{same:?}");
        assert_eq!(read_position(&*client).await.unwrap(), Some(first), "nothing has changed");

        // It gets a higher one; the first is out.
        claim_epoch(&*client, second).await.unwrap();
        let late = advance_position(&*client, first, 11).await;
        assert!(matches!(late, Err(PositionError::EpochTaken { ours: 7, found: 8 })), "{late:?}");

        // Another journal gets nothing.
        let ours = Uuid::now_v7();
        let foreign = claim_epoch(&*client, JournalPosition { journal_id: ours, epoch: 100, ..first }).await;
        assert!(
            matches!(foreign, Err(PositionError::OtherJournal { found, .. }) if found == journal_id),
            "{foreign:?}"
        );
        assert_eq!(read_position(&*client).await.unwrap(), Some(JournalPosition { epoch: 8, ..first }));

        // Unless somebody has agreed that it takes that one's place: then from where it was, and only from there.
        let found = JournalPosition { epoch: 8, ..first };
        let adopting = JournalPosition { journal_id: ours, epoch: 9, ..first };
        let moved = adopt_position(&*client, JournalPosition { position: 9, ..found }, adopting).await;
        assert!(matches!(moved, Err(PositionError::Moved { expected: 9, found: 10 })), "{moved:?}");
        let taken = adopt_position(&*client, found, JournalPosition { epoch: 8, ..adopting }).await;
        assert!(matches!(taken, Err(PositionError::EpochTaken { ours: 8, found: 8 })), "{taken:?}");
        adopt_position(&*client, found, adopting).await.unwrap();
        assert_eq!(read_position(&*client).await.unwrap(), Some(adopting));
        let again = adopt_position(&*client, found, JournalPosition { epoch: 10, ..adopting }).await;
        assert!(matches!(again, Err(PositionError::OtherJournal { .. })), "{again:?}");
        Ok(())
    });
    runtime.block_on(story).unwrap();
}

#[test]
fn callers_on_another_runtime_get_their_rows_and_their_data_errors() {
    let database = fresh_database().unwrap();
    let io = io_runtime();
    let store = Database::new(io.handle().clone(), &database.access());
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
    let store = Database::new(runtime.handle().clone(), &database.access());
    let busy = |result: &Result<(), StoreError>| {
        matches!(result, Err(StoreError::Unavailable(Outage::Busy { connections: 8 })))
    };
    let gate = Arc::new(Semaphore::new(0));
    runtime.block_on(async {
        // Eight keep their connections until the ninth has been refused.
        let list = || async {
            let gate_of_job = Arc::clone(&gate);
            let result = store.run(Lane::Lists, move |client| async move {
                drop(gate_of_job.acquire().await);
                drop(client);
                Ok(())
            });
            let result = result.await;
            if busy(&result) {
                gate.add_permits(8);
            }
            result
        };
        let (lists, wake) = tokio::join!(join_all((0..9).map(|_| list())), select_1(&store, Lane::Wakes));
        wake.unwrap();
        assert_eq!(lists.iter().filter(|result| busy(result)).count(), 1, "{lists:?}");
        assert_eq!(lists.iter().filter(|result| result.is_ok()).count(), 8, "{lists:?}");
        assert!(store.is_available(), "load is no outage");
    });
}

#[test]
fn a_statement_that_takes_too_long_is_given_up_and_the_connection_stays() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let slow = runtime.block_on(store.run(Lane::Lists, |client| async move {
        client.batch_execute("SELECT pg_sleep(60)").await?;
        Ok(())
    }));
    assert!(matches!(slow, Err(StoreError::Unavailable(Outage::GaveUp(_)))), "{slow:?}");
    assert!(store.is_available(), "a slow statement is no outage");
}

/// What becomes of a statement that Postgres refuses with this state: `broken`, `later` or `data`.
fn outcome_of(runtime: &Runtime, store: &Database, state: &str) -> &'static str {
    let statement = format!("DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END $$");
    let refused = runtime.block_on(store.run(Lane::Lists, move |client| async move {
        client.batch_execute(&statement).await?;
        Ok(())
    }));
    match refused {
        Err(StoreError::Unavailable(Outage::Broken(_))) => "broken",
        Err(StoreError::Unavailable(Outage::GaveUp(_))) => "later",
        Err(StoreError::Data(_)) => "data",
        other => panic!("{state}: {other:?}"),
    }
}

#[test]
fn rule_12_only_what_speaks_of_our_data_halts_projection() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let expected = [
        ("broken", "08000 08003 08006 08P01 57P01 57P02 57P03 57P04 57P05 25P03 25P04 28000 28P01 3D000 26000"),
        ("later", "53000 53100 53200 53400 58000 58030 58P01 57014 55P03 40001 40P01 40003 25006 XX000 XX001 XX002"),
        ("data", "22001 22003 22021 22P05 23502 23505 23514 42501 42703 42P01 42804 54000 40002 P0001"),
    ];
    for (outcome, states) in expected {
        for state in states.split(' ') {
            assert_eq!(outcome_of(&runtime, &store, state), outcome, "{state}");
            runtime.block_on(until_back(&store));
        }
    }
}

#[test]
fn a_connection_that_postgres_ends_is_replaced() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let ended = runtime.block_on(store.run(Lane::Projection, |client| async move {
        client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await?;
        Ok(())
    }));
    assert!(matches!(ended, Err(StoreError::Unavailable(Outage::Broken(_)))), "{ended:?}");
    runtime.block_on(until_back(&store));
    runtime.block_on(select_1(&store, Lane::Projection)).unwrap();
}

#[test]
fn a_panic_in_a_job_continues_in_its_caller_and_rolls_back() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let mishap = store.run(Lane::Projection, |mut client| async move {
        let transaction = client.transaction().await?;
        transaction.batch_execute("CREATE TABLE half_done (n int)").await?;
        let rows = transaction.query("SELECT 1", &[]).await?;
        assert!(rows.is_empty(), "planted");
        Ok(())
    });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(mishap)));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"planted"));

    let left = store.run(Lane::Projection, |client| async move {
        let row = client.query_one("SELECT to_regclass('half_done') IS NULL", &[]).await?;
        Ok(row.try_get::<_, bool>(0)?)
    });
    assert!(runtime.block_on(left).unwrap(), "nothing of the transaction is left");
}

#[test]
fn jobs_after_the_end_of_the_io_runtime_are_refused() {
    let database = fresh_database().unwrap();
    let io = io_runtime();
    let store = Database::new(io.handle().clone(), &database.access());
    io.block_on(select_1(&store, Lane::Lists)).unwrap();
    io.shutdown_timeout(Duration::from_secs(5));
    let late = io_runtime().block_on(select_1(&store, Lane::Lists));
    assert!(matches!(late, Err(StoreError::Unavailable(Outage::ShuttingDown))), "{late:?}");
}

#[test]
fn a_stopped_postgres_answers_unavailable_and_is_found_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = suite::cluster("postgres", &options).unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &Access::by_socket(cluster.connection(DATABASE)));
    let ask = || runtime.block_on(select_1(&store, Lane::Lists));
    ask().unwrap();

    cluster.stop().unwrap();
    let migrated = runtime.block_on(migrate(&Access::by_socket(cluster.connection(DATABASE))));
    assert!(migrated.is_err_and(|error| error.is_outage()));
    let asked = Instant::now();
    let first = ask();
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let asked = Instant::now();
    let second = ask();
    assert!(matches!(second, Err(StoreError::Unavailable(Outage::Away))), "{second:?}");
    assert!(asked.elapsed() < Duration::from_millis(500), "refused at once, not after {:?}", asked.elapsed());

    cluster.start_again().unwrap();
    runtime.block_on(until_back(&store));
    ask().unwrap();
}

#[test]
fn a_silent_postgres_answers_unavailable_within_the_time_limit_and_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = suite::cluster("postgres", &options).unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &Access::by_socket(cluster.connection(DATABASE)));
    let ask = || runtime.block_on(select_1(&store, Lane::Lists));
    ask().unwrap();

    // Every process of the server sleeps, as on a machine that hangs.
    let sleeping = signal_all(&cluster, rustix::process::Signal::STOP);
    let asked = Instant::now();
    let first = ask();
    assert!(matches!(first, Err(StoreError::Unavailable(Outage::Silent { .. }))), "{first:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(matches!(ask(), Err(StoreError::Unavailable(Outage::Away))));

    for pid in sleeping {
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }
    runtime.block_on(until_back(&store));
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

#[test]
fn fault_2_the_clock_of_a_server_that_is_reached_by_a_socket_is_ours() {
    let database = fresh_database().unwrap();
    let runtime = io_runtime();
    let store = Database::new(runtime.handle().clone(), &database.access());
    let asked = store.run(Lane::Wakes, |client| async move {
        assert_eq!(locks_beyond(&*client, Timestamp::from_seconds(0)).await?, 0);
        read_clock(&*client).await
    });
    let clock = runtime.block_on(asked).unwrap();
    assert!(clock.is_here, "{clock:?}");
    let apart_ms = Timestamp::from_jiff(jiff::Timestamp::now()).ms_since(clock.now);
    assert!((0..60_000).contains(&apart_ms), "{apart_ms} ms");
}
