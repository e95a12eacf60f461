//! A lost or damaged journal is adopted: what is lost is said before anything changes, and the new one goes on behind what
//! the database has seen.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "journal_support/faulty.rs"]
mod faulty;
mod journal_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use deeptravel_actors::journal::adopt::{Directory, Lost, Plan, Verdict};
use deeptravel_actors::journal::{Journal, JournalOptions, KeyText, LocalDisk, OpenError, Position, Seen, inspect};
use faulty::MortalDisk;
use journal_support::{append_frame, copy, open_briefly, read_all, record, segments, small};
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

/// A journal of a key's versions 1 to 60, each a frame, in some segments; closed.
struct Saved {
    dir: TempDir,
    journal: Uuid,
    epoch: u64,
}

const RECORDS: u64 = 60;

fn saved() -> Saved {
    let dir = tempdir().unwrap();
    let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
    journal.set_epoch(3).unwrap();
    for version in 1..=RECORDS {
        append_frame(&journal, &record("order/1", version, &[0xa5; 300]));
    }
    journal.close().unwrap();
    assert!(segments(dir.path()).len() > 4);
    Saved { dir, journal: opened.journal_id, epoch: 3 }
}

impl Saved {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn seen(&self, position: u64) -> Seen {
        Seen { journal: self.journal, position: Position(position), epoch: self.epoch }
    }

    /// Everybody who follows has everything that the database has.
    fn judge(&self, position: u64) -> Verdict {
        judge(self.path(), self.seen(position), position).unwrap()
    }

    fn plan(&self, position: u64) -> Plan {
        plan(self.judge(position))
    }

    /// Flips one bit in the middle of a record's payload.
    fn damage(&self, position: u64) {
        let first = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
        let segment = segments(self.path()).into_iter().rev().find(|path| first(path) <= position).unwrap();
        let mut bytes = fs::read(&segment).unwrap();
        let mut at = 64;
        for _ in first(&segment)..position {
            at += u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
        }
        bytes[at + 100] ^= 1;
        fs::write(segment, bytes).unwrap();
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
    }
}

fn judge(dir: &Path, seen: impl Into<Option<Seen>>, followed: u64) -> Result<Verdict, OpenError> {
    Directory::lock(dir).unwrap().judge(&LocalDisk, &small(), seen.into(), Position(followed))
}

fn plan(verdict: Verdict) -> Plan {
    match verdict {
        Verdict::Adoptable(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

fn versions(journal: &Journal, after: Position) -> Vec<u64> {
    read_all(journal, after).into_iter().map(|(_, record)| record.header.key_version).collect()
}

/// The database is as it was: the adopted journal goes on behind it, with the next version of its key.
fn goes_on(saved: &Saved, seen: u64, last: u64) -> Journal {
    let (journal, opened) = Journal::open(saved.path(), small()).unwrap();
    assert_ne!(opened.journal_id, saved.journal, "positions that were given twice have two journals");
    assert!(opened.epoch > saved.epoch);
    assert_eq!(opened.last, Position(last));
    journal.check_database(saved.seen(seen)).unwrap();
    assert_eq!(versions(&journal, Position(seen)), (seen + 1..=last).collect::<Vec<_>>(), "what is to be projected");
    journal.register(&KeyText::new("order/1").unwrap(), last).unwrap();
    assert_eq!(append_frame(&journal, &record("order/1", last + 1, b"sold")), Position(last + 1));
    journal
}

#[test]
fn adopt_1_a_journal_that_fits_its_database_is_left_as_it_is() {
    let saved = saved();
    let before = saved.files();
    for position in [0, 17, RECORDS] {
        assert!(matches!(saved.judge(position), Verdict::Fits), "{position}");
    }
    assert!(matches!(judge(saved.path(), None, 0).unwrap(), Verdict::Fits), "an empty database is filled from it");
    assert_eq!(saved.files(), before);
    assert!(matches!(judge(tempdir().unwrap().path(), None, 0).unwrap(), Verdict::Fits), "nothing was ever sold");
}

#[test]
fn adopt_2_a_lost_journal_goes_on_behind_the_database_and_nobody_knows_what_is_lost() {
    let saved = saved();
    for file in segments(saved.path()).into_iter().chain([saved.path().join("identity")]) {
        fs::remove_file(file).unwrap();
    }
    let plan = saved.plan(50);
    assert_eq!(plan.lost, Lost::Unknown { after: Position(50) });
    assert_eq!(plan.lost.to_string(), "whatever-came-after-50");
    plan.carry_out(&LocalDisk).unwrap();

    goes_on(&saved, 50, 50).close().unwrap();
    assert!(matches!(saved.judge(50), Verdict::Fits), "done is done");
    let (journal, _) = Journal::open(saved.path(), small()).unwrap();
    assert!(journal.check_database(saved.seen(51)).is_err(), "a database that has what was lost is another's");
    assert!(journal.check_database(Seen { epoch: 9, ..saved.seen(50) }).is_err(), "so is one that was sold from since");
}

#[test]
fn adopt_3_damage_that_was_projected_long_ago_loses_nothing() {
    let saved = saved();
    saved.damage(5);
    assert!(matches!(open_briefly(saved.path(), &small()), Err(OpenError::Damaged { .. })), "a start refuses");

    let plan = saved.plan(RECORDS - 2);
    assert_eq!((plan.lost, plan.lost.to_string().as_str()), (Lost::Nothing, "nothing"));
    assert!(plan.faults[0].contains("00000000000000000001.seg is damaged at byte"), "{:?}", plan.faults);
    let aside = plan.carry_out(&LocalDisk).unwrap();

    goes_on(&saved, RECORDS - 2, RECORDS);
    let kept = inspect::summary(&aside).unwrap();
    assert!(kept.journal == saved.journal.to_string() && kept.segments.len() > 4, "the old one can be looked into");
}

#[test]
fn adopt_4_damage_in_the_only_segment_loses_nothing_that_was_projected_before_it() {
    let dir = tempdir().unwrap();
    let (journal, opened) = Journal::open(dir.path(), JournalOptions { segment_bytes: 64 * 1024, ..small() }).unwrap();
    for version in 1..=RECORDS {
        append_frame(&journal, &record("order/1", version, &[0xa5; 300]));
    }
    journal.close().unwrap();
    let saved = Saved { dir, journal: opened.journal_id, epoch: 0 };
    saved.damage(5);
    let plan = saved.plan(40);
    assert_eq!((plan.lost, plan.last), (Lost::Nothing, Position(RECORDS)));
    // Its frames fill several of today's segments.
    plan.carry_out(&LocalDisk).unwrap();
    assert!(segments(saved.path()).len() > 1);
    goes_on(&saved, 40, RECORDS);
}

#[test]
fn adopt_5_damage_before_the_database_has_it_loses_what_comes_after_and_says_from_where_to_where() {
    let saved = saved();
    saved.damage(25);
    let plan = saved.plan(20);
    let lost = Lost::Stretch { from: Position(25), to: Position(RECORDS), and_more: false };
    assert_eq!((plan.lost, plan.lost.to_string().as_str()), (lost, "25-to-60"));
    plan.carry_out(&LocalDisk).unwrap();
    // Nothing is believed that comes after the gap: the hold may be before it and its order behind.
    goes_on(&saved, 20, 24);
}

#[test]
fn adopt_6_every_kind_of_damage_is_told_from_the_others() {
    type Spoil = fn(&Saved);
    let cut_last: Spoil = |saved| {
        let last = segments(saved.path()).pop().unwrap();
        let bytes = fs::read(&last).unwrap();
        fs::write(last, &bytes[..100]).unwrap();
    };
    let cases: [(&str, Spoil, u64, &str); 8] = [
        ("a segment is gone", |saved| fs::remove_file(&segments(saved.path())[2]).unwrap(), 10, "-to-60"),
        ("it was projected", |saved| fs::remove_file(&segments(saved.path())[1]).unwrap(), 50, "nothing"),
        ("the last one is cut short", cut_last, RECORDS, "whatever-came-after-60"),
        (
            "all are gone",
            |saved| segments(saved.path()).iter().for_each(|path| fs::remove_file(path).unwrap()),
            50,
            "whatever-came-after-50",
        ),
        ("the identity is gone", |saved| fs::remove_file(saved.path().join("identity")).unwrap(), 50, "nothing"),
        ("the identity does not read", |saved| fs::write(saved.path().join("identity"), b"?").unwrap(), 50, "nothing"),
        (
            "a header does not read",
            |saved| {
                let segment = &segments(saved.path())[2];
                let mut bytes = fs::read(segment).unwrap();
                bytes[30] ^= 1;
                fs::write(segment, bytes).unwrap();
            },
            10,
            "nothing",
        ),
        (
            "an older state of the directory",
            |saved| {
                segments(saved.path()).iter().skip(2).for_each(|path| fs::remove_file(path).unwrap());
            },
            50,
            "whatever-came-after-50",
        ),
    ];
    for (name, spoil, position, lost) in cases {
        let saved = saved();
        spoil(&saved);
        let plan = saved.plan(position);
        assert!(plan.lost.to_string().ends_with(lost), "{name}: {} {:?}", plan.lost, plan.faults);
        assert!(!plan.faults.is_empty(), "{name}");
        let last = plan.last.0;
        plan.carry_out(&LocalDisk).unwrap();
        goes_on(&saved, position, last);
    }
}

#[test]
fn adopt_7_a_journal_that_is_not_the_databases_gives_it_nothing() {
    let (ours, theirs) = (saved(), saved());
    let copied = Seen { epoch: ours.epoch + 1, ..ours.seen(30) };
    for (seen, why) in
        [(theirs.seen(30), "the database follows journal"), (copied, "another server has sold from a copy")]
    {
        let plan = plan(judge(ours.path(), seen, 30).unwrap());
        assert_eq!((plan.lost, plan.last), (Lost::Unknown { after: Position(30) }, Position(30)));
        assert!(plan.faults[0].contains(why), "{:?}", plan.faults);
    }

    // Nor do segments that say so themselves, when the identity is gone.
    fs::remove_file(ours.path().join("identity")).unwrap();
    let plan = plan(judge(ours.path(), theirs.seen(30), 30).unwrap());
    assert_eq!((plan.lost, plan.last), (Lost::Unknown { after: Position(30) }, Position(30)));
    assert!(plan.faults.iter().any(|fault| fault.contains("belongs to journal")), "{:?}", plan.faults);
    drop(plan);

    // An empty database cannot take the place of what the journal has let go.
    fs::remove_file(&segments(ours.path())[0]).unwrap();
    assert!(matches!(judge(ours.path(), None, 0).unwrap(), Verdict::Hopeless));
}

#[test]
fn adopt_9_wherever_the_power_fails_the_directory_is_the_old_one_or_the_new_one() {
    let original = saved();
    original.damage(25);
    let mut ended = [0, 0];
    for writes in 0..40 {
        for lose in [false, true] {
            let dir = tempdir().unwrap();
            copy(original.path(), dir.path());
            let saved = Saved { dir, ..original };
            let disk = MortalDisk::new(writes);
            let done = saved.plan(20).carry_out(&disk);
            disk.power_off(|| lose);
            match saved.judge(20) {
                Verdict::Adoptable(plan) => {
                    assert!(done.is_err() && plan.lost.to_string() == "25-to-60", "as if nothing had been tried");
                    ended[0] += 1;
                }
                Verdict::Fits => {
                    goes_on(&saved, 20, 24);
                    ended[1] += 1;
                }
                Verdict::Hopeless => panic!("after {writes} writes"),
            }
        }
    }
    assert!(ended[0] > 4 && ended[1] > 4, "{ended:?}");
}
