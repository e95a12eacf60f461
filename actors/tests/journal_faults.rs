//! When the disk fails (rule 10), fills up, or loses power.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "journal_support/faulty.rs"]
mod faulty;
mod journal_support;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use deeptravel_actors::journal::{
    AppendError, Journal, JournalFailed, JournalOptions, OpenError, Position, Record, Retention,
};
use faulty::{Fault, FaultyDisk, MortalDisk};
use journal_support::{Shortcuts as _, all_at, append_frame, block_on, read_all, record, segments, small, wait};
use proptest::prelude::*;
use tempfile::tempdir;

/// A segment that none of these tests fills: its file was opened, so its writes are the log's.
fn roomy() -> JournalOptions {
    JournalOptions { segment_bytes: 64 * 1024, ..small() }
}

fn open(disk: &FaultyDisk, dir: &Path) -> Journal {
    Journal::open_on(Arc::new(disk.clone()), dir, roomy()).unwrap().0
}

#[test]
fn rule_10_the_first_failed_write_or_sync_is_fatal() {
    for fault in [Fault::Write, Fault::Sync, Fault::Panic] {
        let dir = tempdir().unwrap();
        let disk = FaultyDisk::default();
        let journal = open(&disk, dir.path());
        append_frame(&journal, &record("a", 1, b"kept"));

        disk.set(fault);
        let far = journal.wait(Position(9));
        let position = journal.append(&record("a", 2, b"lost")).unwrap();
        let failure = block_on(journal.wait(position)).unwrap_err();
        match fault {
            Fault::Panic => assert!(matches!(failure, JournalFailed::WriterPanicked)),
            _ => assert!(failure.source().unwrap().to_string().contains("the disk is broken")),
        }
        // Also when the disk works again: nothing later is acknowledged.
        disk.set(Fault::None);
        assert!(block_on(far).is_err());
        assert_eq!(journal.append(&record("a", 3, b"late")), Err(AppendError::Stopped));
        assert!(block_on(journal.wait(position)).is_err());
        assert!(block_on(journal.wait(Position(1))).is_ok(), "what was durable stays so");
        assert_eq!(block_on(journal.failed()).to_string(), failure.to_string());
        assert_eq!(journal.durable(), Position(1));
        assert_eq!(read_all(&journal, Position::NOTHING).len(), 1, "the reader sees durable records only");
        assert!(journal.close().is_err());

        let (journal, opened) = Journal::open(dir.path(), roomy()).unwrap();
        match fault {
            // Half of the frame arrived.
            Fault::Write => assert_eq!((opened.last, opened.repaired.unwrap().after), (Position(1), Position(1))),
            // It was written and may stay: once or never.
            Fault::Sync => assert_eq!(opened.last, Position(2)),
            _ => assert_eq!((opened.last, opened.repaired), (Position(1), None)),
        }
        journal.check_seen(Position(1)).unwrap();
    }
}

#[test]
fn after_a_failed_sync_the_last_frame_is_written_again_before_it_is_believed() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let journal = open(&disk, dir.path());
    disk.set(Fault::Sync);
    let position = journal.append(&record("a", 1, b"in the page cache")).unwrap();
    assert!(block_on(journal.wait(position)).is_err());
    drop(journal);
    let written = disk.writes.lock().unwrap().clone();

    assert!(matches!(
        Journal::open_on(Arc::new(disk.clone()), dir.path(), roomy()),
        Err(OpenError::Io { doing: "sync", .. })
    ));
    disk.set(Fault::None);
    disk.writes.lock().unwrap().clear();
    assert_eq!(open(&disk, dir.path()).durable(), Position(1));
    assert_eq!(*disk.writes.lock().unwrap(), written);
}

#[test]
fn appending_does_not_wait_for_the_disk_and_refuses_when_too_much_waits() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = JournalOptions { queue_bytes_max: 10_000, ..roomy() };
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), dir.path(), options).unwrap();
    disk.set(Fault::Stall);
    let refused = (1..).find_map(|version| journal.append(&record("a", version, &[1; 174])).err()).unwrap();
    assert_eq!(refused, AppendError::QueueFull { queued: 10_000 });
    assert_eq!((journal.appended(), journal.durable()), (Position(50), Position::NOTHING));

    // The refused version is still the next one.
    disk.set(Fault::None);
    wait(&journal, Position(50));
    append_frame(&journal, &record("a", 51, b""));
}

#[test]
fn a_full_disk_refuses_new_records_before_the_segment_is_full_and_recovers() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = JournalOptions { batch_bytes_max: 1_000, ..small() };
    drop(Journal::open(dir.path(), options.clone()).unwrap());
    disk.set(Fault::Full);
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), dir.path(), options).unwrap();
    // Until the preparing thread has noticed, an append would be taken and wait.
    while !journal.space().exhausted {
        std::thread::yield_now();
    }
    assert!(journal.space().is_rationed());
    let mut version = 1;
    while let Ok(position) = journal.append(&record("a", version, &[1; 100])) {
        wait(&journal, position);
        version += 1;
    }
    assert!(version > 10, "the segment at hand is used");
    assert_eq!(journal.append(&record("a", version, &[1; 100])), Err(AppendError::NoSpace));
    assert!(journal.failure().is_none());

    disk.set(Fault::None);
    while journal.space().exhausted {
        std::thread::yield_now();
    }
    for version in version..version + 50 {
        append_frame(&journal, &record("a", version, &[1; 100]));
    }
    journal.release(all_at(journal.durable()), Retention::NONE).unwrap();
}

#[test]
fn fault_1_without_descriptors_the_prepared_segment_is_begun_and_the_next_is_tried_again() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = JournalOptions { batch_bytes_max: 1_000, ..small() };
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), dir.path(), options).unwrap();
    // Prepared, the last of it being written before it is handed over.
    let spare = dir.path().join("spare.tmp");
    while !spare.metadata().is_ok_and(|found| found.len() == 4096) {
        std::thread::yield_now();
    }
    disk.set(Fault::Descriptors);
    let mut version = 0;
    let mut append = || {
        version += 1;
        let position = journal.append(&record("a", version, &[1; 100]));
        if let Ok(position) = position {
            wait(&journal, position);
        }
        position
    };
    // Into the segment that was prepared, and through it until nothing more fits surely.
    while segments(dir.path()).len() < 2 {
        append().unwrap();
    }
    while !journal.space().exhausted {
        std::thread::yield_now();
    }
    while append().is_ok() {}
    assert_eq!(segments(dir.path()).len(), 2, "the second one was used");
    assert!(journal.failure().is_none(), "nobody dies for want of a descriptor");
    // Old segments go without one, too.
    assert_eq!(journal.release(all_at(journal.durable()), Retention::NONE).unwrap().segments, 1);

    disk.set(Fault::None);
    while journal.space().exhausted {
        std::thread::yield_now();
    }
    let begun = journal.durable().0 + 1;
    for version in begun..begun + 50 {
        append_frame(&journal, &record("a", version, &[1; 100]));
    }
    journal.close().unwrap();
}

#[test]
fn a_segment_that_cannot_begin_is_fatal() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), dir.path(), small()).unwrap();
    append_frame(&journal, &record("a", 1, b"kept"));
    disk.set(Fault::Rename);
    let failed = (2..100).find_map(|version| {
        let position = journal.append(&record("a", version, &[1; 500])).unwrap();
        block_on(journal.wait(position)).err()
    });
    assert!(matches!(failed, Some(JournalFailed::Disk { doing: "begin a segment", .. })), "{failed:?}");
    let durable = journal.durable();
    assert!(journal.close().is_err());

    disk.set(Fault::None);
    let (_, opened) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!((opened.last, opened.repaired), (durable, None));
}

/// One life of the process: what it appends, and after how many writes the power fails.
#[derive(Clone, Debug)]
struct Life {
    payloads: Vec<usize>,
    /// Wait after this many appends.
    wait_every: usize,
    writes: u32,
    lost: Vec<bool>,
}

fn life() -> impl Strategy<Value = Life> {
    let payloads = prop::collection::vec(prop_oneof![0..60_usize, 400..1_500_usize], 0..40);
    (payloads, 1..6_usize, 1..60_u32, prop::collection::vec(any::<bool>(), 1..12))
        .prop_map(|(payloads, wait_every, writes, lost)| Life { payloads, wait_every, writes, lost })
}

fn payload(version: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|at| (version * 31 + at * 7) as u8).collect()
}

/// Lives one life on the directory. `known` is what the log is known to hold, acknowledged or read after a start.
fn live(dir: &Path, life: &Life, known: &mut Vec<Record>) -> Result<(), TestCaseError> {
    let disk = MortalDisk::new(life.writes);
    let opened = Journal::open_on(Arc::new(disk.clone()), dir, small());
    if let Ok((journal, opened)) = opened {
        let found: Vec<_> = read_all(&journal, Position::NOTHING).into_iter().map(|(_, record)| record).collect();
        prop_assert_eq!(found.len() as u64, opened.last.0);
        prop_assert!(found.starts_with(known), "acknowledged records are there, in order and unchanged");
        match journal.check_seen(Position(known.len() as u64)) {
            // The power failed while the confirmed cut was being forgotten.
            Ok(()) | Err(OpenError::Io { .. }) => {}
            Err(refused) => return Err(TestCaseError::fail(refused.to_string())),
        }
        *known = found;

        let key = deeptravel_actors::journal::KeyText::new("a").unwrap();
        journal.register(&key, known.len() as u64).unwrap();
        let mut taken = known.clone();
        for (at, bytes) in life.payloads.iter().enumerate() {
            let version = taken.len() as u64 + 1;
            let record = record("a", version, &payload(version, *bytes));
            let Ok(position) = journal.append(&record) else { break };
            taken.push(record);
            if at % life.wait_every == 0 && block_on(journal.wait(position)).is_err() {
                break;
            }
        }
        taken.truncate(journal.durable().0 as usize);
        *known = taken;
    }
    let mut lost = life.lost.iter().cycle().copied();
    disk.power_off(|| lost.next().unwrap_or_default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whenever_the_power_fails_acknowledged_records_survive(lives in prop::collection::vec(life(), 1..8)) {
        let dir = tempdir().unwrap();
        // Created in peace: a crash while creating has a test of its own.
        drop(Journal::open(dir.path(), small()).unwrap());
        let mut known = Vec::new();
        for life in &lives {
            live(dir.path(), life, &mut known)?;
        }
        let (journal, _) = Journal::open(dir.path(), small()).unwrap();
        let found: Vec<_> = read_all(&journal, Position::NOTHING).into_iter().map(|(_, record)| record).collect();
        prop_assert!(found.starts_with(&known));
    }
}

#[test]
fn a_creation_that_was_interrupted_anywhere_starts_again() {
    for writes in 0..6 {
        for lost in [false, true] {
            let dir = tempdir().unwrap();
            let disk = MortalDisk::new(writes);
            let opened = Journal::open_on(Arc::new(disk.clone()), dir.path(), small()).map(drop);
            disk.power_off(|| lost);
            let (journal, again) = Journal::open(dir.path(), small())
                .unwrap_or_else(|error| panic!("after {writes} writes ({opened:?}): {error}"));
            assert_eq!((again.last, again.repaired), (Position::NOTHING, None));
            append_frame(&journal, &record("a", 1, b""));
        }
    }
}
