//! The running journal: order, versions, waiting, rolling over, reading, releasing, closing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod journal_support;

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deeptravel_actors::journal::{
    AppendError, Journal, JournalFailed, JournalOptions, KeyText, Limits, OpenError, Position, ReadError, Record,
    RegisterError, Retention,
};
use journal_support::{Shortcuts as _, all_at, append_frame, block_on, read_all, record, segments, small, wait};
use tempfile::tempdir;

#[test]
fn what_was_acknowledged_is_there_after_opening_again() {
    let dir = tempdir().unwrap();
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!((opened.last, opened.last_at_ms, opened.epoch), (Position::NOTHING, None, 0));

    let written: Vec<_> = (1..=100).map(|version| record("order/1", version, &[version as u8; 90])).collect();
    for (record, position) in written.iter().zip(1..) {
        assert_eq!(journal.append(record), Ok(Position(position)));
    }
    wait(&journal, Position(100));
    assert_eq!((journal.appended(), journal.durable()), (Position(100), Position(100)));
    assert_eq!(journal.close().unwrap(), Position(100));

    let (journal, again) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!((again.journal_id, again.last, again.last_at_ms), (opened.journal_id, Position(100), Some(1_100)));
    assert!(again.repaired.is_none());
    assert!(segments(dir.path()).len() > 2, "the log has rolled over");
    let read: Vec<_> = read_all(&journal, Position::NOTHING);
    assert!(read.iter().map(|(position, _)| position.0).eq(1..=100));
    assert!(read.iter().map(|(_, record)| record).eq(&written));
}

#[test]
fn rule_07_append_refuses_a_version_that_is_not_the_next_one_of_its_key() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let append = |key, version| journal.append(&record(key, version, b""));
    assert_eq!(append("a", 2), Err(AppendError::WrongVersion { expected: 1, got: 2 }));
    assert_eq!(append("a", 1), Ok(Position(1)));
    assert_eq!(append("a", 1), Err(AppendError::WrongVersion { expected: 2, got: 1 }));
    assert_eq!(append("a", 3), Err(AppendError::WrongVersion { expected: 2, got: 3 }));
    assert_eq!(append("b", 1), Ok(Position(2)));
    assert_eq!(append("a", 2), Ok(Position(3)));

    // An owner that wakes says where it stands; one that woke from older rows is refused.
    let a = KeyText::new("a").unwrap();
    assert_eq!(journal.register(&a, 1), Err(RegisterError { known: 2, got: 1 }));
    assert_eq!(journal.register(&a, 2), Ok(()));
    journal.forget("a");
    assert_eq!(journal.next_version("a"), 1, "it is not known");
    assert_eq!(journal.register(&a, 2), Ok(()));
    assert_eq!(append("a", 3), Ok(Position(4)));
    assert_eq!(journal.next_version("a"), 4);
}

#[test]
fn a_second_journal_in_the_same_directory_is_refused_until_the_first_is_closed() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let other_clone = journal.clone();
    let refused = Journal::open(dir.path(), small()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }));
    assert!(refused.to_string().contains("in use"), "{refused}");

    journal.close().unwrap();
    let (again, _) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!(other_clone.append(&record("a", 1, b"")), Err(AppendError::Stopped));
    drop(again);
    Journal::open(dir.path(), small()).unwrap();
}

#[test]
fn closing_writes_what_was_taken_and_ends_who_waits_for_more() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for version in 1..=50 {
        journal.append(&record("a", version, b"payload")).unwrap();
    }
    let (taken, never, failed) = (journal.wait(Position(50)), journal.wait(Position(51)), journal.failed());
    assert_eq!(journal.close().unwrap(), Position(50));
    assert!(block_on(taken).is_ok());
    assert!(matches!(block_on(never), Err(JournalFailed::Closed)));
    assert!(matches!(block_on(failed), JournalFailed::Closed));
}

#[test]
fn dropping_the_last_clone_closes() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    journal.append(&record("a", 1, b"payload")).unwrap();
    drop(journal);
    let (_, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!(opened.last, Position(1));
}

#[test]
fn records_above_the_limits_are_refused_and_cost_no_position() {
    let dir = tempdir().unwrap();
    let options = JournalOptions { record_bytes_max: 1_000, max_bytes: 3 * 4096, ..small() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    assert!(matches!(
        journal.append(&record("a", 1, &[1; 1_000])),
        Err(AppendError::TooLarge { bytes: 1_026, max: 1_000 })
    ));
    let mut version = 0;
    let refused = loop {
        match journal.append(&record("a", version + 1, &[1; 900])) {
            Ok(position) => wait(&journal, position),
            Err(refused) => break refused,
        }
        version += 1;
    };
    assert_eq!(refused, AppendError::NoSpace);
    assert!(journal.space().is_rationed());
    assert_eq!(journal.durable(), Position(version));

    // What was projected makes room again.
    journal.release(all_at(Position(version)), Retention::NONE).unwrap();
    assert!(!journal.space().is_rationed());
    append_frame(&journal, &record("a", version + 1, &[1; 900]));
}

#[test]
fn large_and_small_records_mix_and_a_record_as_large_as_a_segment_fits() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let largest = 4096 - 64 - 24 - 26;
    let mut version = 0;
    for payload in [0, largest, 10, 2_000, largest, largest, 1, 3_000] {
        version += 1;
        journal.append(&record("a", version, &vec![7; payload])).unwrap();
    }
    assert!(matches!(
        journal.append(&record("a", version + 1, &vec![7; largest + 1])),
        Err(AppendError::TooLarge { .. })
    ));
    wait(&journal, Position(version));
    let sizes: Vec<_> = read_all(&journal, Position::NOTHING).iter().map(|(_, r)| r.payload.len()).collect();
    assert_eq!(sizes, [0, largest, 10, 2_000, largest, largest, 1, 3_000]);
}

#[test]
fn without_preallocation_the_log_is_the_same() {
    let dir = tempdir().unwrap();
    let options = JournalOptions { preallocate: false, ..small() };
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    for version in 1..=60 {
        append_frame(&journal, &record("a", version, &[3; 200]));
    }
    drop(journal);
    let (journal, opened) = Journal::open(dir.path(), options).unwrap();
    assert_eq!(opened.last, Position(60));
    assert_eq!(read_all(&journal, Position(30)).len(), 30);
}

/// Appends `records` records for a key of its own and waits for each; notes what was acknowledged.
async fn produce(journal: Journal, key: String, records: u64, acknowledged: Arc<Mutex<HashMap<String, u64>>>) {
    for version in 1..=records {
        let position = journal.append(&record(&key, version, key.as_bytes())).unwrap();
        journal.wait(position).await.unwrap();
        assert!(journal.durable() >= position);
        acknowledged.lock().unwrap().insert(key.clone(), version);
    }
}

/// After opening again every key has its acknowledged records, in order of their versions.
fn check_acknowledged(dir: &std::path::Path, acknowledged: &HashMap<String, u64>) {
    let (journal, _) = Journal::open(dir, medium()).unwrap();
    let mut versions = HashMap::<String, u64>::new();
    for (position, (expected, record)) in read_all(&journal, Position::NOTHING).iter().zip(1..).map(|(r, n)| (n, r)) {
        assert_eq!(expected.0, position);
        let version = versions.entry(record.header.key.to_string()).or_default();
        assert_eq!(record.header.key_version, *version + 1);
        *version += 1;
    }
    for (key, version) in acknowledged {
        assert!(versions.get(key) >= Some(version), "{key} {version}");
    }
}

fn medium() -> JournalOptions {
    JournalOptions { segment_bytes: 64 * 1024, max_bytes: 64 * 1024 * 1024, ..JournalOptions::default() }
}

#[test]
fn many_threads_append_and_wait_each_on_its_own_runtime() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), medium()).unwrap();
    let acknowledged = Arc::default();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (journal, acknowledged) = (journal.clone(), Arc::clone(&acknowledged));
            scope.spawn(move || {
                let local = tokio::task::LocalSet::new();
                for task in 0..25 {
                    let key = format!("order/{thread}/{task}");
                    local.spawn_local(produce(journal.clone(), key, 20, Arc::clone(&acknowledged)));
                }
                block_on(local);
            });
        }
    });
    assert_eq!(journal.close().unwrap(), Position(8 * 25 * 20));
    let acknowledged = acknowledged.lock().unwrap();
    assert_eq!(acknowledged.len(), 200);
    check_acknowledged(dir.path(), &acknowledged);
}

#[test]
fn waiting_works_on_a_runtime_that_moves_tasks_between_threads() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), medium()).unwrap();
    let acknowledged = Arc::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..200 {
            tasks.spawn(produce(journal.clone(), format!("order/{task}"), 20, Arc::clone(&acknowledged)));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    drop(journal);
    check_acknowledged(dir.path(), &acknowledged.lock().unwrap());
}

#[test]
fn waiting_works_on_actix_arbiters_also_when_waiters_give_up() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), medium()).unwrap();
    let acknowledged: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let (done, results) = std::sync::mpsc::channel();
    let system = actix_rt::System::new();
    let arbiters = [actix_rt::Arbiter::new(), actix_rt::Arbiter::new()];
    for task in 0..100 {
        let (journal, acknowledged, done) = (journal.clone(), Arc::clone(&acknowledged), done.clone());
        arbiters[task % 2].spawn(async move {
            // A wait that is given up at once, beside one that counts.
            let impatient = journal.wait(Position(u64::MAX));
            let _ = tokio::time::timeout(Duration::from_millis(1), impatient).await;
            produce(journal, format!("order/{task}"), 20, acknowledged).await;
            done.send(()).unwrap();
        });
    }
    drop(done);
    assert_eq!(results.iter().count(), 100);
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().unwrap();
    }
    drop((system, journal));
    check_acknowledged(dir.path(), &acknowledged.lock().unwrap());
}

#[test]
fn a_waiter_that_is_not_polled_does_not_hold_up_the_others_of_its_thread() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    block_on(async {
        let local = tokio::task::LocalSet::new();
        let (appended, next) = tokio::sync::oneshot::channel::<()>();
        let waiting = journal.clone();
        // Polled once, so that it stands first in its lane, then left alone while its task does something else.
        let sluggish = local.spawn_local(async move {
            let mut wait = Box::pin(waiting.wait(Position(1)));
            assert!(futures_util::poll!(&mut wait).is_pending());
            next.await.unwrap();
            wait.await.unwrap();
        });
        let other = journal.clone();
        local.spawn_local(async move {
            tokio::task::yield_now().await;
            let position = other.append(&record("a", 1, b"")).unwrap();
            other.wait(position).await.unwrap();
            appended.send(()).unwrap();
        });
        local.run_until(sluggish).await.unwrap();
    });
}

#[test]
fn a_reader_follows_the_running_journal_over_segments_that_are_released_behind_it() {
    const RECORDS: u64 = 5_000;
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), JournalOptions { segment_bytes: 16 * 1024, ..small() }).unwrap();
    let mut reader = journal.reader(Position::NOTHING).unwrap();
    assert!(reader.next_batch(10, 1_000).unwrap().is_empty());
    let read = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1..=RECORDS {
                loop {
                    match journal.append(&record("order/1", version, &version.to_le_bytes())) {
                        Ok(_) => break,
                        Err(AppendError::NoSpace) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        block_on(async {
            while read.load(Ordering::Relaxed) < RECORDS {
                reader.more().await.unwrap();
                let batch = reader.next_batch(37, 3_000).unwrap();
                assert!(!batch.is_empty() && batch.len() <= 37);
                for (position, record) in batch {
                    let expected = read.fetch_add(1, Ordering::Relaxed) + 1;
                    assert_eq!((position.0, record.header.key_version), (expected, expected));
                    assert_eq!(record.payload, expected.to_le_bytes());
                    assert!(position <= journal.durable());
                }
                journal.release(all_at(reader.position()), Retention::NONE).unwrap();
            }
        });
    });
    assert_eq!(segments(dir.path()).len(), 1, "only the active segment is left");
    assert!(matches!(journal.reader(Position::NOTHING), Err(ReadError::Released { .. })));
    assert!(matches!(journal.reader(Position(RECORDS + 1)), Err(ReadError::Beyond { .. })));
    assert_eq!(journal.reader(Position(RECORDS)).unwrap().position(), Position(RECORDS));
}

#[test]
fn a_reader_can_start_after_any_position() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for version in 1..=120 {
        journal.append(&record("a", version, &[5; 100])).unwrap();
    }
    wait(&journal, Position(120));
    for after in 0..=120 {
        let positions: Vec<_> = read_all(&journal, Position(after)).iter().map(|(position, _)| position.0).collect();
        assert!(positions.iter().copied().eq(after + 1..=120), "after {after}");
    }
}

/// A record of a kind.
fn of_kind(kind: u16, version: u64) -> Record {
    let mut record = record("a", version, &[5; 100]);
    record.header.kind = kind;
    record
}

const FEW: Limits = Limits { records: 7, bytes: 1_000, passed_bytes: 4_000 };

#[test]
fn a_reader_passes_over_records_of_kinds_that_nobody_wants_and_says_how_far_it_has_got() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let kind = |version: u64| if version.is_multiple_of(10) { 2 } else { 1 };
    // Some are frames of their own, others share one.
    for version in 1..=200 {
        let position = journal.append(&of_kind(kind(version), version)).unwrap();
        if version % 17 < 5 {
            wait(&journal, position);
        }
    }
    wait(&journal, Position(200));
    for after in [0, 9, 10, 11, 195, 200] {
        let mut reader = journal.reader(Position(after)).unwrap();
        let mut found = Vec::new();
        while reader.position() < Position(200) {
            let before = reader.position();
            let passage = reader.next_wanted(FEW, |kind| kind == 2).unwrap();
            assert!(passage.up_to > before, "it gets on");
            assert_eq!(passage.up_to, reader.position());
            assert!(passage.records.iter().all(|(at, record)| *at <= passage.up_to && record.header.kind == 2));
            found.extend(passage.records.into_iter().map(|(position, _)| position.0));
        }
        let expected: Vec<_> = (after + 1..=200).filter(|version| version.is_multiple_of(10)).collect();
        assert_eq!(found, expected, "after {after}");
    }
}

#[test]
fn one_call_returns_so_many_wanted_records_and_passes_so_many_bytes_at_most() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), JournalOptions { batch_bytes_max: 500, ..small() }).unwrap();
    for version in 1..=100 {
        append_frame(&journal, &of_kind(1 + (version % 2) as u16, version));
    }
    let bytes = of_kind(1, 1).encoded_bytes();
    let passage = |limits| journal.reader(Position::NOTHING).unwrap().next_wanted(limits, |kind| kind == 2).unwrap();
    let by_records = passage(Limits { records: 3, ..FEW });
    assert_eq!((by_records.records.len(), by_records.up_to), (3, Position(5)));
    let by_bytes = passage(Limits { bytes: 4 * bytes, ..FEW });
    // It has passed what comes before the next one that is wanted.
    assert_eq!((by_bytes.records.len(), by_bytes.up_to), (4, Position(8)));
    let by_passed = passage(Limits { passed_bytes: 4 * bytes, ..FEW });
    assert_eq!((by_passed.records.len(), by_passed.up_to), (2, Position(4)));
    let by_one = passage(Limits { bytes: 1, ..FEW });
    assert_eq!(by_one.records.len(), 1, "a single one is never too large");
}

#[test]
fn records_that_are_passed_over_are_verified_like_all_others() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for version in 1..=20 {
        append_frame(&journal, &of_kind(1, version));
    }
    // One byte in the payload of the last record.
    let segment = segments(dir.path()).remove(0);
    let bytes = std::fs::read(&segment).unwrap();
    let at = bytes.iter().rposition(|byte| *byte == 5).unwrap() as u64;
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().write_all_at(&[6], at).unwrap();

    let mut reader = journal.reader(Position::NOTHING).unwrap();
    let passed = reader.next_wanted(Limits { passed_bytes: usize::MAX, ..FEW }, |_| false).unwrap();
    assert_eq!((passed.records.len(), passed.up_to), (0, Position(19)));
    let damaged = reader.next_wanted(FEW, |_| false).unwrap_err();
    assert!(matches!(damaged, ReadError::Damaged { .. }), "{damaged}");
    assert_eq!(reader.position(), Position(19));
}

#[test]
fn rule_11_release_keeps_what_is_not_projected_and_what_the_retention_wants() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for version in 1..=100 {
        append_frame(&journal, &record("a", version, &[5; 300]));
    }
    let before = segments(dir.path()).len();
    let first_of =
        |index: usize| -> u64 { segments(dir.path())[index].file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    let all = |since_ms| Retention { bytes_max: u64::MAX, since_ms };

    // Records of the second segment are not all projected: only the first may go.
    let up_to = Position(first_of(2) - 2);
    assert_eq!(journal.release(all_at(up_to), Retention::NONE).unwrap().segments, 1);
    assert_eq!(journal.release(all_at(up_to), Retention::NONE).unwrap().segments, 0);
    // Everything is projected, but young (engine time is 1,000 ms + version).
    assert_eq!(journal.release(all_at(Position(100)), all(0)).unwrap().segments, 0);
    assert_eq!(journal.release(all_at(Position(100)), all(1_000 + first_of(1) as i64)).unwrap().segments, 1);
    // Two segments' worth of bytes may stay.
    let two = Retention { bytes_max: 2 * 4096, since_ms: 0 };
    assert_eq!(journal.release(all_at(Position(100)), two).unwrap().segments, before - 2 - 3);
    assert_eq!(segments(dir.path()).len(), 3);
    assert_eq!(journal.release(all_at(Position(100)), Retention::NONE).unwrap().segments, 2);
    assert_eq!(segments(dir.path()).len(), 1);

    // A journal whose beginning was released opens again, and says so to a database that is too old.
    drop(journal);
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!(opened.last, Position(100));
    assert_eq!(opened.last_at_ms, Some(1_100));
    assert!(opened.oldest > Position(80));
    assert!(matches!(journal.check_seen(Position(5)), Err(OpenError::Released { .. })));
    journal.check_seen(opened.oldest.previous()).unwrap();
}

#[test]
fn rule_14_the_epoch_only_rises_and_is_kept() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    journal.set_epoch(4).unwrap();
    assert!(journal.set_epoch(4).is_err());
    assert!(journal.set_epoch(3).is_err());
    drop(journal);
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!((opened.epoch, journal.epoch()), (4, 4));
}
