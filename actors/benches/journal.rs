//! What a record costs until it is durable, in batches of several sizes: `cargo bench -p deeptravel-actors --bench journal`.
//! The journal lies in the system's temporary directory, which should be on a disk.

#![allow(clippy::unwrap_used)]

use deeptravel_actors::journal::{Journal, JournalOptions, KeyText, Position, Record, RecordHeader, Retention};
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
            let header = RecordHeader { kind: 1, codec: 1, key: key.clone(), key_version: version, at_ms: 0 };
            last = journal.append(&Record { header, payload: vec![7; PAYLOAD_BYTES] }).unwrap();
        }
        runtime.block_on(journal.wait(last)).unwrap();
        journal.release(last, Retention::NONE).unwrap();
    });
}
