//! Prepares the next segment's space on a thread of its own, so that rolling over does not stall the writer.
//!
//! A full disk is tried again, and so is a file that cannot be opened, be it for want of descriptors: nothing was written
//! yet. Meanwhile `append` takes only what fits into the segment at hand. Any other error is a failed write like every
//! other: fatal when the space is needed (rule 10).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Shared;
use super::disk::DiskFile;
use super::segment::{SPARE_FILE, fill_space};

/// What could not be prepared is tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// How long the writer waits for what could not be prepared, before this counts as a failed write. It comes to that only
/// if a batch was taken before that was found.
const PATIENCE: Duration = Duration::from_secs(5);

type Space = io::Result<Box<dyn DiskFile>>;

#[derive(Debug)]
pub(super) struct Preparer {
    orders: Option<Sender<()>>,
    ready: Receiver<Space>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    closing: Arc<AtomicBool>,
}

impl Preparer {
    /// Starts the thread and orders the first space.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (orders, ordered) = channel();
        let (deliver, ready) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("journal-prepare".into()).spawn({
            let (shared, closing) = (Arc::clone(shared), Arc::clone(&closing));
            move || prepare(&shared, &ordered, &deliver, &closing)
        })?;
        let preparer = Self { orders: Some(orders), ready, thread: Some(thread), shared: Arc::clone(shared), closing };
        preparer.order();
        Ok(preparer)
    }

    /// Asks for one more space, once the last one has its final name.
    pub(super) fn order(&self) {
        if let Some(orders) = &self.orders {
            // A thread that has ended is noticed when the space is taken.
            let _ = orders.send(());
        }
    }

    /// The prepared space, waiting while it is being made.
    pub(super) fn take(&self) -> Space {
        let since = Instant::now();
        loop {
            match self.ready.recv_timeout(RETRY) {
                Ok(space) => return space,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that prepares segments has ended"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.shared.space.exhausted.load(Ordering::Relaxed) && since.elapsed() >= PATIENCE {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.orders = None;
        self.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Not needed until the next start, which would make a new one anyway.
        let _ = self.shared.disk.remove(&self.shared.dir.join(SPARE_FILE));
    }
}

fn prepare(shared: &Shared, ordered: &Receiver<()>, deliver: &Sender<Space>, closing: &AtomicBool) {
    let path = shared.dir.join(SPARE_FILE);
    let bytes = if shared.options.preallocate { shared.options.segment_bytes } else { 0 };
    while ordered.recv().is_ok() {
        let space = loop {
            let (error, why) = match shared.disk.create(&path) {
                Ok(file) => match fill_space(&*file, bytes, closing) {
                    Err(error) if is_full(&error) => (error, "No space for the journal's next segment"),
                    filled => break filled.map(|()| file),
                },
                Err(error) => (error, "The journal's next segment cannot be created"),
            };
            if !shared.space.exhausted.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "{why}; records are refused when this one is full");
            }
            // What was written of it would keep the disk full. If it cannot be removed, the retry empties it.
            let _ = shared.disk.remove(&path);
            if ordered.recv_timeout(RETRY) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        };
        if shared.space.exhausted.swap(false, Ordering::Relaxed) {
            tracing::info!("The journal's next segment is prepared");
        }
        if deliver.send(space).is_err() {
            return;
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
