//! The running journal: order, versions, waiting, rolling over, reading, releasing, closing.

mod journal_support;

use deeptravel_actors::journal::{Journal, Position};
use journal_support::{read_all, record, segments, small, wait};
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
