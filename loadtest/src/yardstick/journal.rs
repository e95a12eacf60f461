//! Group commit as good as we can make it: one writer thread takes whatever has gathered, writes it at once, syncs once,
//! and wakes each worker once. While it syncs, the next group gathers; nothing waits by a clock.
//!
//! The file is written through before anything is measured, so that a sync carries data and no metadata: as ours does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use anyhow::Context;
use tokio::sync::Notify;

/// What an order takes in a journal, about.
pub const RECORD_BYTES: usize = 200;
/// Prepared at the start; the writer goes round in it. The pages of more would only fill memory.
pub const FILE_BYTES: u64 = 128 << 20;
/// Prepared in pieces of this.
const PIECE_BYTES: usize = 1 << 20;

/// The disk failed: nothing can be made durable any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// The journal; a lane per worker commits to it.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gathering: Mutex<Gathering>,
    arrived: Condvar,
    /// The number of the last record that is on the disk; records count from 1.
    durable: AtomicU64,
    failed: AtomicBool,
    lanes: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug, Default)]
struct Gathering {
    bytes: Vec<u8>,
    last: u64,
    /// Lanes with records in this group, a bit each.
    lanes: u64,
    is_writer_waiting: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Prepares the file and starts the writer, which lives as long as the process.
    pub fn create(path: &Path) -> anyhow::Result<Journal> {
        let file = prepare(path).with_context(|| format!("preparing {}", path.display()))?;
        let shared = Arc::new(Shared {
            gathering: Mutex::default(),
            arrived: Condvar::new(),
            durable: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            lanes: Mutex::default(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("writer".to_owned()).spawn(move || writer.write(&file))?;
        Ok(Journal(shared))
    }

    /// Called on the worker's thread, within its runtime.
    pub fn lane(&self) -> Lane {
        let wake = Arc::new(Notify::new());
        let mut lanes = lock(&self.0.lanes);
        let bit = 1 << (lanes.len() % u64::BITS as usize);
        lanes.push(Arc::clone(&wake));
        let waiting = Rc::new(RefCell::new(VecDeque::new()));
        actix_web::rt::spawn(release(Arc::clone(&self.0), wake, Rc::clone(&waiting)));
        Lane { shared: Arc::clone(&self.0), bit, waiting }
    }
}

fn prepare(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).truncate(true).write(true).open(path)?;
    let zeros = vec![0; PIECE_BYTES];
    for at in (0..FILE_BYTES).step_by(PIECE_BYTES) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    Ok(file)
}

impl Shared {
    fn write(&self, file: &File) {
        let mut group = Gathering::default();
        let mut offset = 0;
        loop {
            self.take(&mut group);
            let length = group.bytes.len() as u64;
            if offset + length > FILE_BYTES {
                offset = 0;
            }
            if file.write_all_at(&group.bytes, offset).and_then(|()| file.sync_data()).is_err() {
                self.failed.store(true, Ordering::Release);
                group.lanes = u64::MAX;
            }
            offset += length;
            self.durable.store(group.last, Ordering::Release);
            for (number, wake) in lock(&self.lanes).iter().enumerate() {
                if group.lanes & (1 << (number % u64::BITS as usize)) != 0 {
                    wake.notify_one();
                }
            }
        }
    }

    /// Waits for a record and takes all there are; the two buffers take turns.
    fn take(&self, group: &mut Gathering) {
        group.bytes.clear();
        let mut gathering = lock(&self.gathering);
        while gathering.bytes.is_empty() {
            gathering.is_writer_waiting = true;
            gathering = self.arrived.wait(gathering).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut group.bytes, &mut gathering.bytes);
        group.last = gathering.last;
        group.lanes = std::mem::take(&mut gathering.lanes);
        gathering.is_writer_waiting = false;
    }

    fn append(&self, bit: u64, content: u64) -> u64 {
        let mut record = [0_u8; RECORD_BYTES];
        let mut gathering = lock(&self.gathering);
        gathering.last += 1;
        let number = gathering.last;
        record[..8].copy_from_slice(&number.to_le_bytes());
        record[8..16].copy_from_slice(&content.to_le_bytes());
        gathering.bytes.extend_from_slice(&record);
        gathering.lanes |= bit;
        let wakes = std::mem::take(&mut gathering.is_writer_waiting);
        drop(gathering);
        if wakes {
            self.arrived.notify_one();
        }
        number
    }
}

type Waiting = Rc<RefCell<VecDeque<(u64, Waker)>>>;

/// A worker's way into the journal.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    bit: u64,
    /// In the order of their numbers: they are appended and queued on one thread.
    waiting: Waiting,
}

impl Lane {
    /// Returns when a record with this content is on the disk.
    pub async fn commit(&self, content: u64) -> Result<(), Failed> {
        let number = self.shared.append(self.bit, content);
        let mut is_queued = false;
        poll_fn(|context| {
            if self.shared.failed.load(Ordering::Acquire) {
                return Poll::Ready(Err(Failed));
            }
            if self.shared.durable.load(Ordering::Acquire) >= number {
                return Poll::Ready(Ok(()));
            }
            if !is_queued {
                self.waiting.borrow_mut().push_back((number, context.waker().clone()));
                is_queued = true;
            }
            Poll::Pending
        })
        .await
    }
}

/// Wakes, on the worker's own thread, everybody whose record is on the disk.
async fn release(shared: Arc<Shared>, wake: Arc<Notify>, waiting: Waiting) {
    loop {
        wake.notified().await;
        let failed = shared.failed.load(Ordering::Acquire);
        let durable = shared.durable.load(Ordering::Acquire);
        let mut waiting = waiting.borrow_mut();
        while waiting.front().is_some_and(|(number, _)| failed || *number <= durable) {
            if let Some((_, waker)) = waiting.pop_front() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> u64 {
        let bytes = std::fs::read(path).unwrap();
        let numbers =
            bytes.chunks_exact(RECORD_BYTES).map(|record| u64::from_le_bytes(record[..8].try_into().unwrap()));
        numbers.zip(1..).take_while(|(number, expected)| number == expected).count() as u64
    }

    #[actix_web::test]
    async fn whoever_is_answered_has_a_record_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::create(&path).unwrap();
        let lane = Rc::new(journal.lane());
        for expected in 1..=20 {
            lane.commit(7).await.unwrap();
            assert!(records(&path) >= expected);
        }
        let many = (0..1000).map(|n| {
            let lane = Rc::clone(&lane);
            actix_web::rt::spawn(async move { lane.commit(n).await })
        });
        for answer in futures_util::future::join_all(many).await {
            assert_eq!(answer.unwrap(), Ok(()));
        }
        assert_eq!(records(&path), 1020);
    }
}
