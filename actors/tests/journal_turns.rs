//! A batch ends with the owners' turn, and no record hangs on a kick that does not come.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "journal_support/faulty.rs"]
mod faulty;
mod journal_support;

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use actix_rt::{Arbiter, System};
use deeptravel_actors::journal::{Journal, JournalOptions, Position};
use faulty::FaultyDisk;
use journal_support::{Shortcuts as _, block_on, record, small};
use tempfile::tempdir;
use tokio::task::{LocalSet, yield_now};

/// No test waits so long.
const NEVER: Duration = Duration::from_hours(1);

/// Nothing is written that nobody kicked.
fn patient() -> JournalOptions {
    JournalOptions { turn_records_max: u32::MAX, turn_max: NEVER, ..small() }
}

fn open(dir: &Path, options: JournalOptions) -> Journal {
    Journal::open(dir, options).unwrap().0
}

fn arbiter_of(journal: &Journal) -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn(journal.kicker());
    arbiter
}

/// An owner's turn in which it appends one record.
fn append_at(arbiter: &Arbiter, journal: &Journal, key: &'static str, version: u64) {
    let owner = journal.clone();
    arbiter.spawn_fn(move || assert!(owner.append(&record(key, version, b"")).is_ok()));
}

/// Becomes durable without anybody's doing.
fn becomes_durable(journal: &Journal, position: u64) {
    let wait = journal.wait(Position(position));
    let waited = block_on(async { tokio::time::timeout(Duration::from_secs(20), wait).await });
    waited.unwrap_or_else(|_| panic!("position {position} waits for ever")).unwrap();
}

/// Appends when it is dropped.
struct LastWill(Journal, &'static str);

impl Drop for LastWill {
    fn drop(&mut self) {
        self.0.append(&record(self.1, 1, b"")).unwrap();
    }
}

thread_local!(static LAST_WILL: RefCell<Option<LastWill>> = const { RefCell::new(None) });

#[test]
fn what_is_appended_in_one_turn_is_written_together() {
    let dir = tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = JournalOptions { segment_bytes: 64 * 1024, ..patient() };
    let (journal, _) = Journal::open_on(Arc::new(disk.clone()), dir.path(), options).unwrap();
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    for turn in 1..=3 {
        let owner = journal.clone();
        arbiter.spawn(async move {
            let (ask, asked) = tokio::sync::oneshot::channel();
            let other = owner.clone();
            actix_rt::spawn(async move {
                other.append(&record("departure/1", turn, b"")).unwrap();
                ask.send(()).unwrap();
            });
            // Ready only after the other has appended.
            actix_rt::spawn(async move {
                asked.await.unwrap();
                owner.append(&record("order/1", turn, b"")).unwrap();
            });
        });
        becomes_durable(&journal, 2 * turn);
        assert_eq!(disk.writes.lock().unwrap().len() as u64, turn);
    }
}

#[test]
fn a_plain_thread_and_the_io_runtime_kick_at_once() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    journal.append(&record("a", 1, b"")).unwrap();
    becomes_durable(&journal, 1);

    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for version in 2..=20 {
        let appending = journal.clone();
        let task = io.spawn(async move { appending.append(&record("a", version, b"")).unwrap() });
        assert_eq!(block_on(task).unwrap(), Position(version));
        becomes_durable(&journal, version);
    }
}

#[test]
fn an_owner_that_panics_after_its_append_is_kicked_for_like_all_others() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    let owner = journal.clone();
    arbiter.spawn(async move {
        let _will = LastWill(owner.clone(), "order/2");
        owner.append(&record("order/1", 1, b"")).unwrap();
        panic!("planted");
    });
    becomes_durable(&journal, 2);

    append_at(&arbiter, &journal, "order/1", 2);
    becomes_durable(&journal, 3);
}

#[test]
fn an_arbiter_that_stops_leaves_nothing_unkicked() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    let _system = System::new();
    let arbiter = Arbiter::new();
    let will = |key| {
        let will = LastWill(journal.clone(), key);
        async move {
            std::future::pending::<()>().await;
            drop(will);
        }
    };
    // Whichever of them is dropped first.
    arbiter.spawn(will("order/1"));
    arbiter.spawn(journal.kicker());
    arbiter.spawn(will("order/2"));
    let owner = journal.clone();
    arbiter.spawn(async move {
        owner.append(&record("order/3", 1, b"")).unwrap();
        Arbiter::current().stop();
    });
    becomes_durable(&journal, 3);
    arbiter.join().unwrap();
}

#[test]
fn a_task_set_that_is_dropped_before_the_kick_kicks() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    let local = LocalSet::new();
    local.spawn_local(journal.kicker());
    block_on(local.run_until(async {
        while journal.appended() == Position::NOTHING {
            yield_now().await;
            journal.append(&record("a", 1, b"")).unwrap();
        }
    }));
    drop(local);
    becomes_durable(&journal, 1);

    // From now on this thread has none.
    journal.append(&record("a", 2, b"")).unwrap();
    becomes_durable(&journal, 2);
}

#[test]
fn what_a_thread_appends_while_it_ends_is_written() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    let will = |key| {
        let will = LastWill(journal.clone(), key);
        move || LAST_WILL.set(Some(will))
    };
    std::thread::spawn(will("a")).join().unwrap();
    becomes_durable(&journal, 1);

    let _system = System::new();
    // What a thread keeps of its kicker goes before the will, or after it.
    for (key, position) in [("b", 2), ("c", 3)] {
        let arbiter = Arbiter::new();
        if key == "b" {
            arbiter.spawn_fn(will(key));
            arbiter.spawn(journal.kicker());
        } else {
            arbiter.spawn(journal.kicker());
            arbiter.spawn_fn(will(key));
        }
        assert!(arbiter.stop());
        arbiter.join().unwrap();
        becomes_durable(&journal, position);
    }
}

#[test]
fn a_thread_with_the_kicker_of_another_journal_kicks_at_once() {
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let (journal, other) = (open(dir.path(), patient()), open(other_dir.path(), patient()));
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    let (first, second) = (journal.clone(), other.clone());
    arbiter.spawn(async move {
        first.append(&record("a", 1, b"")).unwrap();
        second.append(&record("a", 1, b"")).unwrap();
        // Also when the new one takes the place of one that still has to kick.
        actix_rt::spawn(second.kicker());
    });
    becomes_durable(&other, 1);
    becomes_durable(&journal, 1);
    append_at(&arbiter, &journal, "a", 2);
    becomes_durable(&journal, 2);
}

/// Appends so many records on an arbiter; the turn goes on until the sender is dropped.
fn long_turn(arbiter: &Arbiter, journal: &Journal, versions: std::ops::RangeInclusive<u64>) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel();
    let owner = journal.clone();
    arbiter.spawn(async move {
        for version in versions {
            owner.append(&record("a", version, b"")).unwrap();
        }
        let _ = ended.recv();
    });
    end
}

#[test]
fn a_turn_of_many_records_is_not_waited_for() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), JournalOptions { turn_records_max: 10, ..patient() });
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    let turn = long_turn(&arbiter, &journal, 1..=10);
    becomes_durable(&journal, 10);
    drop(turn);
}

#[test]
fn a_batch_that_is_full_does_not_wait_for_the_turn() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), JournalOptions { batch_bytes_max: 200, ..patient() });
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    let turn = long_turn(&arbiter, &journal, 1..=40);
    // The last one is not full.
    becomes_durable(&journal, 30);
    assert!(journal.durable() < Position(40));
    drop(turn);
    becomes_durable(&journal, 40);
}

#[test]
fn a_turn_that_lasts_long_is_not_waited_for() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), JournalOptions { turn_max: Duration::from_millis(1), ..patient() });
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    // The writer sleeps at first; then it watches.
    for version in 1..=3 {
        let turn = long_turn(&arbiter, &journal, version..=version);
        becomes_durable(&journal, version);
        drop(turn);
    }
}

#[test]
fn closing_writes_what_is_unkicked() {
    let dir = tempdir().unwrap();
    let journal = open(dir.path(), patient());
    let _system = System::new();
    let arbiter = arbiter_of(&journal);
    let turn = long_turn(&arbiter, &journal, 1..=3);
    while journal.appended() < Position(3) {
        std::thread::yield_now();
    }
    assert_eq!(journal.durable(), Position::NOTHING);
    assert_eq!(journal.close().unwrap(), Position(3));
    drop(turn);
    assert_eq!(open(dir.path(), patient()).durable(), Position(3));
}
