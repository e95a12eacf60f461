//! What start makes of the files it finds: torn tails are cut, everything worse is refused with the reason.

#![allow(clippy::unwrap_used, reason = "tests")]

mod journal_support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deeptravel_actors::journal::{
    Journal, JournalOptions, OpenError, Opened, Position, ReadError, Record, Retention, inspect,
};
use journal_support::{UnsyncedDisk, all_at, append_frame, copy, open_briefly, read_all, record, segments, small};
use tempfile::{TempDir, tempdir};

/// A saved journal whose every record is a frame, with where each frame ends in the last segment.
struct Saved {
    dir: TempDir,
    options: JournalOptions,
    records: Vec<Record>,
    /// Offsets of the frames of the last segment and the end of the last one.
    bounds: Vec<usize>,
    /// Position of the first record of the last segment.
    first: u64,
}

const HEADER_BYTES: usize = 64;

fn saved(options: JournalOptions, records: u64, payload_bytes: usize) -> Saved {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    // No zero bytes in the payload, so that a frame that ends in zeros is a cut one.
    let records: Vec<_> = (1..=records).map(|version| record("order/1", version, &vec![0xa5; payload_bytes])).collect();
    for record in &records {
        append_frame(&journal, record);
    }
    journal.close().unwrap();
    let last = segments(dir.path()).pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    let mut bounds = vec![HEADER_BYTES];
    while let Some(length) = bytes.get(bounds[bounds.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        match u32::from_le_bytes(*length) {
            0 => break,
            length => bounds.push(bounds[bounds.len() - 1] + length as usize),
        }
    }
    let first = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    Saved { dir, options, records, bounds, first }
}

/// Without emptying the file first, which some file systems take as a wish to have it synced.
fn overwrite(file: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

impl Saved {
    fn last_segment(&self) -> PathBuf {
        segments(self.dir.path()).pop().unwrap()
    }

    fn end(&self) -> usize {
        self.bounds[self.bounds.len() - 1]
    }

    /// Opens without syncing and reads everything.
    fn open(&self) -> Result<(Opened, Vec<Record>, Journal), OpenError> {
        let (journal, opened) = Journal::open_on(Arc::new(UnsyncedDisk), self.dir.path(), self.options.clone())?;
        let records = read_all(&journal, opened.oldest.previous()).into_iter().map(|(_, record)| record).collect();
        Ok((opened, records, journal))
    }

    /// Changes a file, looks, and puts it back, with the identity, as it was.
    fn with<T>(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>), look: impl FnOnce(&Self) -> T) -> T {
        let identity = self.dir.path().join("identity");
        let (before, identity_before) = (fs::read(file).unwrap(), fs::read(&identity).unwrap());
        let mut changed = before.clone();
        change(&mut changed);
        overwrite(file, &changed);
        let seen = look(self);
        overwrite(&identity, &identity_before);
        overwrite(file, &before);
        seen
    }
}

#[test]
fn a_journal_cut_at_any_byte_of_its_last_frames_keeps_the_whole_ones() {
    let saved = saved(JournalOptions { segment_bytes: 1024, ..small() }, 20, 60);
    assert!(saved.bounds.len() > 3, "the last segment has several frames");
    let last = saved.last_segment();
    for cut in HEADER_BYTES..=saved.end() {
        let whole = saved.bounds.iter().skip(1).filter(|end| **end <= cut).count() as u64;
        let last_whole = Position(saved.first - 1 + whole);
        let is_torn = !saved.bounds.contains(&cut);
        let look = |saved: &Saved| {
            let (opened, records, journal) = saved.open().unwrap();
            assert_eq!(opened.last, last_whole, "cut at {cut}");
            assert!(records.iter().eq(&saved.records[..last_whole.0 as usize]));
            assert_eq!(opened.repaired.map(|repair| repair.after), is_torn.then_some(last_whole));
            // Postgres knows better: what it has seen is missing.
            if last_whole < Position(20) {
                assert!(journal.check_seen(Position(20)).is_err());
            }
            journal.check_seen(last_whole).unwrap();
            // The log goes on, and opens again.
            journal.register(&saved.records[0].header.key, last_whole.0).unwrap();
            append_frame(&journal, &record("order/1", last_whole.0 + 1, b"new"));
            drop(journal);
            let (opened, records, _) = saved.open().unwrap();
            assert_eq!((opened.last, opened.repaired), (last_whole.next(), None));
            assert_eq!(records[last_whole.0 as usize].payload, b"new");
        };
        // The appended record may have begun another segment.
        let files = segments(saved.dir.path()).len();
        let look = |saved: &Saved| {
            look(saved);
            segments(saved.dir.path()).into_iter().skip(files).for_each(|file| fs::remove_file(file).unwrap());
        };
        saved.with(&last, |bytes| bytes.truncate(cut), look);
        saved.with(&last, |bytes| bytes[cut..].fill(0), look);
    }
}

#[test]
fn a_flipped_bit_in_the_last_frame_cuts_it_and_anywhere_before_is_refused() {
    let saved = saved(JournalOptions { segment_bytes: 512, ..small() }, 10, 40);
    let files = segments(saved.dir.path());
    assert!(files.len() >= 3);
    let last_frame = saved.bounds[saved.bounds.len() - 2];
    for file in &files {
        let is_last = *file == saved.last_segment();
        for bit in 0..fs::metadata(file).unwrap().len() as usize * 8 {
            let at = bit / 8;
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (bit % 8);
            saved.with(file, flip, |saved| {
                let outcome = saved.open();
                let place = format!("{} byte {at} bit {}: {outcome:?}", file.display(), bit % 8);
                if !is_last || at < last_frame {
                    let refused = outcome.expect_err(&place);
                    assert!(
                        matches!(refused, OpenError::Damaged { .. } | OpenError::NewerFormat { .. }),
                        "{refused} at {place}"
                    );
                    return;
                }
                let (opened, records, journal) = outcome.expect(&place);
                let survivors = if at < saved.end() { 9 } else { 10 };
                assert_eq!(opened.last, Position(survivors), "{place}");
                assert!(records.iter().eq(&saved.records[..survivors as usize]));
                assert_eq!(opened.repaired.map(|repair| repair.after), Some(Position(survivors)));
                assert_eq!(journal.check_seen(Position(10)).is_ok(), survivors == 10);
            });
        }
    }
}

#[test]
fn a_flipped_bit_in_the_identity_is_refused() {
    let saved = saved(small(), 2, 10);
    let identity = saved.dir.path().join("identity");
    for bit in 0..fs::metadata(&identity).unwrap().len() as usize * 8 {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        saved.with(&identity, flip, |saved| {
            assert!(matches!(saved.open(), Err(OpenError::Identity { .. } | OpenError::OtherNode { .. })), "bit {bit}");
        });
    }
}

#[test]
fn rule_10_a_cut_before_what_postgres_has_seen_is_remembered_over_restarts() {
    let saved = saved(small(), 10, 40);
    let last = saved.last_segment();
    let mut bytes = fs::read(&last).unwrap();
    bytes[saved.bounds[7]..].fill(0);
    bytes[saved.bounds[7]] = 1;
    fs::write(&last, bytes).unwrap();

    // Seven frames survive. Nobody asks Postgres, and the log grows beyond what Postgres has seen.
    let (opened, _, journal) = saved.open().unwrap();
    assert_eq!(opened.repaired.unwrap().after, Position(7));
    for version in 1..=9 {
        append_frame(&journal, &record("order/2", version, b"other"));
    }
    drop(journal);
    let (opened, _, journal) = saved.open().unwrap();
    assert_eq!((opened.last, opened.repaired), (Position(16), None));
    assert!(matches!(
        journal.check_seen(Position(10)),
        Err(OpenError::CutBefore { cut: Position(7), seen: Position(10) })
    ));
    // Once a database agrees, the cut is forgotten.
    journal.check_seen(Position(7)).unwrap();
    journal.check_seen(Position(12)).unwrap();
    drop(journal);
    saved.open().unwrap().2.check_seen(Position(12)).unwrap();
}

#[test]
fn rule_10_a_journal_that_ends_before_what_postgres_has_seen_is_refused() {
    let saved = saved(small(), 3, 10);
    let (_, _, journal) = saved.open().unwrap();
    journal.check_seen(Position::NOTHING).unwrap();
    journal.check_seen(Position(3)).unwrap();
    let refused = journal.check_seen(Position(4)).unwrap_err();
    assert!(refused.to_string().contains("ends at position 3"), "{refused}");
}

#[test]
fn a_missing_segment_is_refused() {
    let middle = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    fs::remove_file(&segments(middle.dir.path())[1]).unwrap();
    assert!(matches!(middle.open(), Err(OpenError::Gap { .. })));

    let all = saved(small(), 2, 60);
    fs::remove_file(all.last_segment()).unwrap();
    assert!(matches!(all.open(), Err(OpenError::Identity { .. })));

    // Without the newest one the log ends earlier; only Postgres can know.
    let newest = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    fs::remove_file(newest.last_segment()).unwrap();
    let (opened, _, journal) = newest.open().unwrap();
    assert_eq!(opened.last, Position(newest.first - 1));
    assert!(matches!(journal.check_seen(Position(20)), Err(OpenError::EndsBefore { .. })));
}

#[test]
fn a_renamed_or_exchanged_segment_is_refused() {
    let saved = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    let files = segments(saved.dir.path());
    let (second, third) = (fs::read(&files[1]).unwrap(), fs::read(&files[2]).unwrap());
    fs::write(&files[1], &third).unwrap();
    fs::write(&files[2], &second).unwrap();
    assert!(matches!(saved.open(), Err(OpenError::Damaged { offset: 0, .. })));
}

#[test]
fn a_foreign_journal_node_or_format_is_refused() {
    let ours = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    let theirs = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    let copied = tempdir().unwrap();
    copy(ours.dir.path(), copied.path());
    let other_node = JournalOptions { node: 2, ..ours.options.clone() };
    assert!(matches!(open_briefly(copied.path(), &other_node), Err(OpenError::OtherNode { expected: 2, found: 1 })));

    fs::copy(&segments(theirs.dir.path())[1], &segments(ours.dir.path())[1]).unwrap();
    assert!(matches!(ours.open(), Err(OpenError::Foreign { .. })));

    let last = theirs.last_segment();
    let newer = theirs.with(&last, |bytes| bytes[10] = 2, Saved::open);
    assert!(matches!(newer, Err(OpenError::NewerFormat { minimum_reader: 2, .. })));

    fs::remove_file(theirs.dir.path().join("identity")).unwrap();
    let refused = theirs.open().unwrap_err();
    assert!(refused.to_string().contains("missing beside segments"), "{refused}");
}

/// The bytes of a journal's only segment, with where its frames end.
fn only_segment(saved: &Saved) -> (Vec<u8>, Vec<usize>) {
    (fs::read(saved.last_segment()).unwrap(), saved.bounds.clone())
}

#[test]
fn stale_bytes_behind_the_end_never_become_records() {
    let ours = saved(small(), 5, 40);
    let theirs = saved(small(), 9, 40);
    let (bytes, bounds) = only_segment(&ours);
    let (foreign, foreign_bounds) = only_segment(&theirs);
    let last = ours.last_segment();
    let end = ours.end();

    // Older frames of this journal, later ones of another: as a file that is used again might have them.
    let old = bytes[bounds[0]..bounds[2]].to_vec();
    let others = foreign[foreign_bounds[5]..foreign_bounds[9]].to_vec();
    for (stale, gap) in [(&old, 0), (&old, 7), (&others, 0), (&others, 7)] {
        let graft = |bytes: &mut Vec<u8>| bytes[end + gap..end + gap + stale.len()].copy_from_slice(stale);
        ours.with(&last, graft, |ours| {
            let (opened, records, journal) = ours.open().unwrap();
            assert_eq!((opened.last, records.len()), (Position(5), 5));
            assert!(opened.repaired.is_some());
            drop(journal);
            let repaired = fs::read(&last).unwrap();
            assert!(repaired[end..].iter().all(|byte| *byte == 0), "nothing stale is left");
        });
    }
}

#[test]
fn frames_of_another_history_of_this_journal_are_refused() {
    // Two copies of one journal go on differently, then the files are mixed.
    let ours = saved(small(), 3, 40);
    let copied = tempdir().unwrap();
    copy(ours.dir.path(), copied.path());
    let (journal, _) = Journal::open(copied.path(), ours.options.clone()).unwrap();
    for version in 1..=3 {
        append_frame(&journal, &record("order/2", version, &[0xa5; 40]));
    }
    drop(journal);
    let other = fs::read(&segments(copied.path())[0]).unwrap();
    let (_, _, journal) = ours.open().unwrap();
    append_frame(&journal, &record("order/3", 1, &[0xa5; 40]));
    drop(journal);
    let last = ours.last_segment();
    let own_end = ours.end() + (ours.bounds[1] - ours.bounds[0]);
    let graft = |bytes: &mut Vec<u8>| bytes[own_end..].copy_from_slice(&other[own_end..]);
    let refused = ours.with(&last, graft, |ours| ours.open().unwrap_err());
    assert!(matches!(refused, OpenError::Damaged { offset, .. } if offset == own_end as u64), "{refused}");
}

#[test]
fn old_segments_beyond_the_verified_bytes_are_left_to_their_reader() {
    let saved = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    let oldest = &segments(saved.dir.path())[0];
    let flip = |bytes: &mut Vec<u8>| bytes[200] ^= 1;
    saved.with(oldest, flip, |saved| {
        assert!(saved.open().is_err());
        let options = JournalOptions { verify_bytes: 1024, ..saved.options.clone() };
        let (journal, opened) = Journal::open(saved.dir.path(), options).unwrap();
        assert_eq!(opened.last, Position(20));
        let mut reader = journal.reader(Position::NOTHING).unwrap();
        let error = loop {
            match reader.next_batch(1, 1_000) {
                Ok(batch) => assert!(!batch.is_empty()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
        assert!(reader.position() < Position(3));
        assert!(matches!(reader.next_batch(1, 1_000), Err(ReadError::Damaged { .. })), "a reader never skips");
    });
}

#[test]
fn inspect_tells_what_a_directory_holds_without_touching_it() {
    let saved = saved(JournalOptions { segment_bytes: 512, ..small() }, 20, 60);
    let summary = inspect::summary(saved.dir.path()).unwrap();
    assert!(summary.sound);
    assert_eq!((summary.oldest, summary.last, summary.last_at_ms), (Position(1), Position(20), Some(1_020)));
    assert_eq!(summary.segments.iter().map(|segment| segment.frames).sum::<u64>(), 20);

    let found: Vec<_> = inspect::records(saved.dir.path(), Position(4)).unwrap().map(Result::unwrap).collect();
    assert!(found.iter().map(|found| &found.record).eq(&saved.records[4..]));
    let line = found[0].to_json(&serde_json::json!({ "as": "the owner shows it" }));
    assert_eq!((&line["position"], &line["key"], &line["key_version"]), (&5.into(), &"order/1".into(), &5.into()));

    let last = saved.last_segment();
    let end = saved.end();
    saved.with(
        &last,
        |bytes| bytes[end] = 9,
        |saved| {
            let before = fs::read(&last).unwrap();
            let summary = inspect::summary(saved.dir.path()).unwrap();
            assert!(summary.sound);
            let state = serde_json::to_value(&summary.segments.last().unwrap().state).unwrap();
            assert_eq!((&state["state"], &state["offset"]), (&"torn".into(), &end.into()));
            assert_eq!(inspect::records(saved.dir.path(), Position::NOTHING).unwrap().flatten().count(), 20);
            assert_eq!(fs::read(&last).unwrap(), before);
        },
    );
    let first = &segments(saved.dir.path())[0];
    saved.with(
        first,
        |bytes| bytes[HEADER_BYTES + 30] ^= 1,
        |saved| {
            assert!(!inspect::summary(saved.dir.path()).unwrap().sound);
            assert!(inspect::records(saved.dir.path(), Position::NOTHING).unwrap().last().unwrap().is_err());
        },
    );
}

#[test]
fn inspect_works_beside_a_running_journal() {
    let dir = tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    append_frame(&journal, &record("a", 1, b"x"));
    let summary = inspect::summary(dir.path()).unwrap();
    assert_eq!((summary.sound, summary.last), (true, Position(1)));
    journal.release(all_at(Position(1)), Retention::NONE).unwrap();
    append_frame(&journal, &record("a", 2, b"y"));
}

/// Format 1 as the first release wrote it. A later release that fails here has broken every journal in the field.
#[test]
fn rule_23_a_journal_of_format_1_still_reads() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal-format-1");
    let dir = tempdir().unwrap();
    copy(&golden, dir.path());
    let (journal, opened) = Journal::open(dir.path(), golden_options()).unwrap();
    assert_eq!((opened.last, opened.epoch, opened.repaired), (Position(6), 3, None));
    let found: Vec<_> = read_all(&journal, Position::NOTHING).into_iter().map(|(_, record)| record).collect();
    assert_eq!(found, golden_records());
}

fn golden_options() -> JournalOptions {
    JournalOptions { segment_bytes: 512, max_bytes: 4096, ..small() }
}

fn golden_records() -> Vec<Record> {
    (1..=6).map(|version| record("departure/線路-1", version, &[version as u8; 70])).collect()
}

#[test]
#[ignore = "writes the golden files of a new format; never again for an old one"]
fn write_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal-format-1");
    assert!(!golden.exists(), "golden files are not changed");
    let (journal, _) = Journal::open(&golden, golden_options()).unwrap();
    journal.set_epoch(3).unwrap();
    for record in golden_records() {
        append_frame(&journal, &record);
    }
    journal.close().unwrap();
    fs::remove_file(golden.join("lock")).unwrap();
}

/// Records name people.
#[test]
fn nobody_else_may_read_what_the_journal_writes() {
    let saved = saved(small(), 100, 100);
    let open_to_others = fs::read_dir(saved.dir.path()).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let shared = path.metadata().unwrap().permissions().mode() & 0o077 != 0;
        let says_nothing = path.metadata().unwrap().len() == 0;
        (shared && !says_nothing).then_some(path)
    });
    assert_eq!(open_to_others.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}
