//! Space is rationed before it runs out, and comes back (rule 11).

#![allow(clippy::unwrap_used)]

mod journal_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use deeptravel_actors::journal::{AppendError, Journal, JournalOptions, Position, Reached, Retention, Share};
use journal_support::{Shortcuts as _, all_at, append_frame, read_all, record, segments, small, wait};
use tempfile::{TempDir, tempdir};

/// Keeps everything that it may keep.
const KEEP_ALL: Retention = Retention { bytes_max: u64::MAX, since_ms: 0 };

/// Ten segments; new sales stop after eight.
fn ten_segments() -> JournalOptions {
    JournalOptions { max_bytes: 10 * 4096, ..small() }
}

/// Appends until new sales are refused; the last position.
fn fill_share_of_sales(journal: &Journal) -> Position {
    let mut version = 0;
    loop {
        match journal.admit(Share::Sales, 400) {
            Ok(admission) => {
                version += 1;
                let position = admission.append(&record("a", version, &[1; 300])).unwrap();
                wait(journal, position);
            }
            Err(refused) => {
                assert_eq!(refused, AppendError::Rationed);
                return journal.durable();
            }
        }
    }
}

#[test]
fn rule_11_new_sales_stop_at_four_fifths_and_the_rest_goes_on() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), ten_segments()).unwrap();
    let last = fill_share_of_sales(&journal);
    assert!((32_768..36_000).contains(&journal.space().used), "{:?}", journal.space());

    append_frame(&journal, &record("a", last.0 + 1, &[1; 300]));
    assert_eq!(journal.admit(Share::Sales, 1).err(), Some(AppendError::Rationed));

    // A sale hears the same when the rest is used up, too.
    let all: Vec<_> = std::iter::from_fn(|| journal.admit(Share::Whole, 1).ok()).collect();
    assert!(all.len() > 1_000, "{}", all.len());
    assert_eq!(journal.admit(Share::Whole, 1).err(), Some(AppendError::NoSpace));
    assert_eq!(journal.admit(Share::Sales, 1).err(), Some(AppendError::Rationed));
}

#[test]
fn rule_08_room_that_was_given_to_one_is_not_given_to_another_until_it_is_given_back() {
    let dir = tempdir().unwrap();
    let options = JournalOptions { max_bytes: 2 * 4096, ..small() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let mut given: Vec<_> = std::iter::from_fn(|| journal.admit(Share::Whole, 1_000).ok()).collect();
    assert_eq!(given.len(), 8);
    assert_eq!(journal.append(&record("a", 1, &[1; 900])), Err(AppendError::NoSpace));

    // A record that was admitted is taken although there is no room for others, also if it is a little larger.
    wait(&journal, given.pop().unwrap().append(&record("a", 1, &[1; 1_000])).unwrap());
    given.clear();
    append_frame(&journal, &record("a", 2, &[1; 900]));
}

#[test]
fn rule_08_an_admitted_record_of_a_wrong_version_is_refused_and_its_room_is_free_again() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for _ in 0..10_000 {
        let admission = journal.admit(Share::Whole, 4_000).unwrap();
        assert!(matches!(admission.append(&record("a", 7, b"")), Err(AppendError::WrongVersion { .. })));
    }
    append_frame(&journal, &record("a", 1, b""));
}

#[test]
fn rule_11_retention_gives_way_when_sales_would_stop() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), ten_segments()).unwrap();
    let last = fill_share_of_sales(&journal);

    // Nothing is projected: nothing can go, and sales stay closed.
    assert_eq!(journal.release(all_at(Position::NOTHING), KEEP_ALL).unwrap().segments, 0);
    assert!(journal.space().is_rationed());

    // As little goes as leaves sales the room of a whole segment.
    assert_eq!(journal.release(all_at(last), KEEP_ALL).unwrap().segments, 2);
    assert!(!journal.space().is_rationed());
    assert_eq!(journal.release(all_at(last), KEEP_ALL).unwrap().segments, 0);
    append_frame(&journal, &record("a", last.0 + 1, &[1; 300]));
    assert_eq!(read_all(&journal, last).len(), 1);
}

#[test]
fn rule_11_what_a_follower_has_not_read_stays_until_sales_would_stop() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), ten_segments()).unwrap();
    for version in 1..=50 {
        append_frame(&journal, &record("a", version, &[1; 300]));
    }
    let (all, middle) = (Position(50), Position(25));
    let before = segments(dir.path()).len();

    // However old and large it is; and nothing that only the follower has.
    assert_eq!(
        journal.release(Reached { projected: all, followed: Position::NOTHING }, Retention::NONE).unwrap().segments,
        0
    );
    assert_eq!(
        journal.release(Reached { projected: Position::NOTHING, followed: all }, Retention::NONE).unwrap().segments,
        0
    );
    assert_eq!(journal.unread(Position::NOTHING, all).segments, before - 1);
    assert_eq!(journal.unread(all, all).segments, 0);
    assert_eq!(journal.unread(Position::NOTHING, Position::NOTHING).segments, 0);
    let released = journal.release(Reached { projected: all, followed: middle }, Retention::NONE).unwrap();
    assert!(released.segments > 0);
    assert!(released.oldest <= middle.next() && released.oldest > Position(1), "{released:?}");
    assert_eq!(journal.unread(middle, all).segments, segments(dir.path()).len() - 1);
    assert_eq!(journal.segment_of(Position(1)), None);
    assert_eq!(journal.segment_of(middle.next()), Some(released.oldest));

    let mut last = all;
    while journal.admit(Share::Sales, 400).is_ok() {
        last = append_frame(&journal, &record("a", last.0 + 1, &[1; 300]));
    }
    let released = journal.release(Reached { projected: last, followed: middle }, Retention::NONE).unwrap();
    assert!(released.segments > 0 && released.oldest > middle.next(), "{released:?}");
    assert!(!journal.space().is_rationed());
    // As little as sales need.
    assert_eq!(journal.release(Reached { projected: last, followed: middle }, Retention::NONE).unwrap().segments, 0);
}

/// A file system of its own that holds so many bytes. `None` where this process may not make one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Option<SmallDisk> {
        let dir = tempdir().unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: this account cannot mount a small file system");
        }
        mounted.then_some(SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Something else that needs space: takes all but so many KiB.
    fn crowd(&self, left_kib: u64, of_kib: u64) -> PathBuf {
        let taken = used_kib(self.path());
        let path = self.path().join("something else");
        std::fs::write(&path, vec![1; ((of_kib - taken - left_kib) * 1024) as usize]).unwrap();
        path
    }
}

/// Waits for what another thread does.
fn until(happens: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happens() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not happen");
        std::thread::yield_now();
    }
}

fn used_kib(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    entries.filter(std::fs::Metadata::is_file).map(|found| found.len().div_ceil(4096) * 4).sum()
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

#[test]
fn rule_10_a_disk_without_space_for_the_next_segment_rations_and_kills_nothing() {
    const KIB: u64 = 1024;
    let Some(disk) = SmallDisk::new(KIB as u32) else { return };
    let options = JournalOptions {
        segment_bytes: 128 * 1024,
        max_bytes: 64 << 20,
        batch_bytes_max: 4_096,
        ..JournalOptions::default()
    };
    let (journal, _) = Journal::open(disk.path(), options).unwrap();
    // The first segment, and the next that was prepared before the disk filled.
    until(|| used_kib(disk.path()) >= 2 * 128);
    let other = disk.crowd(8, KIB);
    let mut version = 0;
    let mut append = || {
        version += 1;
        journal.append(&record("a", version, &[1; 1_000])).map(|position| wait(&journal, position))
    };
    // The second segment is begun, and the preparing thread finds no space for a third.
    while segments(disk.path()).len() < 2 {
        append().unwrap();
    }
    until(|| journal.space().exhausted);
    while append().is_ok() {}
    let space = journal.space();
    assert!(space.exhausted && space.is_rationed(), "{space:?}");
    assert!(journal.durable().0 > 200, "both segments were used: {}", journal.durable());
    assert_eq!(journal.admit(Share::Sales, 1).err(), Some(AppendError::Rationed));
    assert!(journal.failure().is_none(), "the process lives");

    // A projected segment goes although the retention would keep it, and its space becomes the next one.
    let before = segments(disk.path()).len();
    assert_eq!(journal.release(all_at(journal.durable()), KEEP_ALL).unwrap().segments, 1);
    until(|| !journal.space().exhausted);
    let last = journal.durable();
    for version in last.0 + 1..last.0 + 100 {
        append_frame(&journal, &record("a", version, &[1; 1_000]));
    }
    assert_eq!(segments(disk.path()).len(), before);
    std::fs::remove_file(other).unwrap();
    journal.close().unwrap();
}

#[test]
fn fault_22_a_segment_that_somebody_deletes_is_missed_and_one_that_is_released_is_not() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), ten_segments()).unwrap();
    let last = fill_share_of_sales(&journal);
    assert_eq!(journal.missing(), None);

    let reached = Reached { projected: Position(last.0 / 2), followed: Position(last.0 / 2) };
    assert!(journal.release(reached, Retention::NONE).unwrap().segments > 1);
    assert_eq!(journal.missing(), None);

    let newest = segments(dir.path()).pop().unwrap();
    std::fs::remove_file(&newest).unwrap();
    assert_eq!(journal.missing(), Some(newest), "also the one that is being written");
}
