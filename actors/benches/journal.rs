//! What a record costs until it is durable, in batches of several sizes, and what one costs who reads it or passes over it:
//! `cargo bench -p deeptravel-actors --bench journal`.
//! The journal lies in the system's temporary directory, which should be on a disk.

#![allow(clippy::unwrap_used)]

use deeptravel_actors::journal::{
    Journal, JournalOptions, KeyText, Limits, Position, Reached, Record, RecordHeader, Retention, Share,
};
use divan::Bencher;
use divan::counter::ItemsCount;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// About the first record of an order.
const PAYLOAD_BYTES: usize = 600;

/// So many records are appended, and the last one waited for: they share one write and one sync, or a few.
#[divan::bench(args = [1, 16, 256, 4_096])]
fn append_and_sync(bencher: Bencher, records: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), JournalOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let key = KeyText::new("order/01JAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let mut version = 0;
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let mut last = Position::NOTHING;
        for _ in 0..records {
            version += 1;
            last = append(&journal, &record(&key, version));
        }
        runtime.block_on(journal.wait(last)).unwrap();
        journal.release(Reached { projected: last, followed: last }, Retention::NONE).unwrap();
    });
}

fn append(journal: &Journal, record: &Record) -> Position {
    journal.admit(Share::Whole, record.encoded_bytes()).unwrap().append(record).unwrap()
}

fn record(key: &KeyText, key_version: u64) -> Record {
    let header = RecordHeader { kind: 1, codec: 1, key: key.clone(), key_version, at_ms: 0 };
    Record { header, payload: vec![7; PAYLOAD_BYTES] }
}

/// Records that a journal has, in frames of a hundred or so.
const READ_RECORDS: u64 = 20_000;

/// All of them are wanted, as by the projector, or none, as by a follower when nothing is announced.
#[divan::bench(args = [true, false])]
fn read(bencher: Bencher, wanted: bool) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), JournalOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let key = KeyText::new("order/01JAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    for version in 1..=READ_RECORDS {
        let position = append(&journal, &record(&key, version));
        if version % 100 == 0 {
            runtime.block_on(journal.wait(position)).unwrap();
        }
    }
    let limits = Limits { records: 4_096, bytes: 4 << 20, passed_bytes: 4 << 20 };
    bencher.counter(ItemsCount::new(READ_RECORDS)).bench_local(|| {
        let mut reader = journal.reader(Position::NOTHING).unwrap();
        while reader.position() < Position(READ_RECORDS) {
            divan::black_box(reader.next_wanted(limits, |_| wanted).unwrap());
        }
    });
}
