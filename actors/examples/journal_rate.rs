//! How many records a second the journal makes durable, and how long one waits.
//!
//! ```text
//! cargo run --release -p deeptravel-actors --example journal_rate -- <directory> [producers] [seconds] [payload bytes]
//! ```
//!
//! Producers are tasks on two actix arbiters, as the actors are. Each appends a record for its own key, waits until it
//! is durable, and goes on; so the number of producers is the number of answers that wait at any time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use deeptravel_actors::journal::{
    Journal, JournalOptions, KeyText, Position, Reached, Record, RecordHeader, Retention, Share,
};

const ARBITERS: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(dir) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: journal_rate <directory> [producers] [seconds] [payload bytes]");
        return;
    };
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (producers, seconds, payload_bytes) = (number(1_000), number(5), number(300));

    let (journal, _) = Journal::open(&dir, JournalOptions::default()).expect("a directory that can be written");
    let system = actix_rt::System::new();
    let arbiters: Vec<_> = (0..ARBITERS).map(|_| actix_rt::Arbiter::new()).collect();
    for arbiter in &arbiters {
        arbiter.spawn(journal.kicker());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (report, reports) = mpsc::channel();
    // Keys are new in each run, so that their versions start at 1.
    let run = journal.durable().0;
    let begun = Instant::now();
    for producer in 0..producers {
        let key = KeyText::new(format!("order/{run}/{producer}")).expect("a short key");
        let (journal, stop, report) = (journal.clone(), Arc::clone(&stop), report.clone());
        arbiters[producer % ARBITERS].spawn(async move {
            let waits = produce(&journal, key, payload_bytes, &stop).await;
            // The receiver lives until every producer has reported.
            let _ = report.send(waits);
        });
    }
    drop(report);
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let last = journal.durable();
        journal
            .release(Reached { projected: last, followed: last }, Retention::NONE)
            .expect("segments that can be removed");
    }
    stop.store(true, Ordering::Relaxed);
    let mut waits: Vec<_> = reports.iter().flatten().collect();
    let elapsed = begun.elapsed();
    for arbiter in arbiters {
        arbiter.stop();
        let _ = arbiter.join();
    }
    drop(system);

    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    let rate = waits.len() as u128 * 1_000 / elapsed.as_millis().max(1);
    println!("{rate} records/s of {payload_bytes} bytes from {producers} producers on {ARBITERS} arbiters");
    println!(
        "waiting: median {:?}, 99 % {:?}, longest {:?}",
        at(50),
        at(99),
        waits.last().copied().unwrap_or_default()
    );
}

/// Appends until told to stop; returns how long each record waited.
async fn produce(journal: &Journal, key: KeyText, payload_bytes: usize, stop: &AtomicBool) -> Vec<Duration> {
    let mut waits = Vec::new();
    let header = RecordHeader { kind: 1, codec: 1, key, key_version: 0, at_ms: 0 };
    let mut record = Record { header, payload: vec![1; payload_bytes] };
    while !stop.load(Ordering::Relaxed) {
        record.header.key_version += 1;
        let begun = Instant::now();
        let room = journal.admit(Share::Whole, record.encoded_bytes());
        let position: Position = room.and_then(|room| room.append(&record)).expect("a record that is due");
        journal.wait(position).await.expect("a disk that works");
        waits.push(begun.elapsed());
    }
    waits
}
