//! Records that were written with a clock that was ahead do not say where engine time goes on, once somebody has said so.

#![allow(clippy::unwrap_used, reason = "tests")]

mod journal_support;

use std::path::Path;

use deeptravel_actors::journal::adopt::{Directory, Verdict};
use deeptravel_actors::journal::{Journal, LocalDisk, Position, Record, Seen, inspect};
use journal_support::{append_frame, open_briefly, read_all, record, segments, small};
use tempfile::tempdir;

const NOON_MS: i64 = 1_795_262_400_000;
const DAY_MS: i64 = 86_400_000;

fn written_at(version: u64, at_ms: i64) -> Record {
    let mut record = record("order/1", version, &[1; 300]);
    record.header.at_ms = at_ms;
    record
}

/// A journal of some segments whose newest records are so far ahead; closed. How many records it has.
fn poisoned(dir: &Path, ahead_ms: i64) -> u64 {
    let (journal, _) = Journal::open(dir, small()).unwrap();
    for version in 1..=40 {
        append_frame(&journal, &written_at(version, if version > 10 { NOON_MS + ahead_ms } else { NOON_MS - 1_000 }));
    }
    journal.close().unwrap();
    assert!(segments(dir).len() > 3);
    40
}

fn newest(dir: &Path) -> Option<i64> {
    open_briefly(dir, &small()).unwrap().last_at_ms
}

#[test]
fn fault_2_a_journal_that_lies_in_the_future_is_brought_back_and_only_its_time_changes() {
    for ahead_ms in [DAY_MS / 12, 400 * DAY_MS] {
        let dir = tempdir().unwrap();
        let count = poisoned(dir.path(), ahead_ms);
        assert_eq!(newest(dir.path()), Some(NOON_MS + ahead_ms));
        let (journal, before) = Journal::open(dir.path(), small()).unwrap();
        let records = read_all(&journal, Position::NOTHING);
        journal.reset_time(NOON_MS).unwrap();
        journal.close().unwrap();

        let (journal, after) = Journal::open(dir.path(), small()).unwrap();
        assert_eq!(after.last_at_ms, Some(NOON_MS));
        assert_eq!((after.journal_id, after.last, after.epoch), (before.journal_id, before.last, before.epoch));
        assert_eq!(read_all(&journal, Position::NOTHING), records, "no record is touched");
        journal.close().unwrap();

        // What comes now is believed again, through the ends of segments too.
        let (journal, _) = Journal::open(dir.path(), small()).unwrap();
        let key = records[0].1.header.key.clone();
        journal.register(&key, count).unwrap();
        for n in 1..=40 {
            append_frame(&journal, &written_at(count + n, NOON_MS + n as i64));
            if n % 13 == 0 {
                assert_eq!(inspect::summary(dir.path()).unwrap().last_at_ms, Some(NOON_MS + n as i64));
            }
        }
        journal.close().unwrap();
        assert_eq!(newest(dir.path()), Some(NOON_MS + 40));
    }
}

#[test]
fn fault_2_a_journal_that_was_brought_back_stays_so_when_it_is_adopted() {
    let dir = tempdir().unwrap();
    let count = poisoned(dir.path(), 400 * DAY_MS);
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    journal.reset_time(NOON_MS).unwrap();
    journal.close().unwrap();
    let mut bytes = std::fs::read(&segments(dir.path())[0]).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segments(dir.path())[0], bytes).unwrap();

    let seen = Seen { journal: opened.journal_id, position: Position(count - 20), epoch: 0 };
    let directory = Directory::lock(dir.path()).unwrap();
    let judged = directory.judge(&LocalDisk, &small(), Some(seen), seen.position).unwrap();
    let Verdict::Adoptable(plan) = judged else { panic!("{judged:?}") };
    plan.carry_out(&LocalDisk).unwrap();
    assert_eq!(newest(dir.path()), Some(NOON_MS));
}
