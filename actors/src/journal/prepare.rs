//! Prepares the next segment's space on a thread of its own, so that rolling over does not stall the writer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disk::DiskFile;
use super::segment::{SPARE_FILE, create_space};
use super::{Shared, lock};

/// After a failure (a full disk) the space is tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// How long the writer waits for space that cannot be prepared, before this counts as a failed write. By then
/// `append` has been refusing for the length of a segment's reserve.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Preparer {
    orders: Option<Sender<()>>,
    ready: Receiver<Box<dyn DiskFile>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    signals: Arc<Signals>,
}

#[derive(Debug, Default)]
struct Signals {
    closing: AtomicBool,
    last_error: Mutex<Option<io::Error>>,
}

impl Preparer {
    /// Starts the thread and orders the first space.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (orders, ordered) = channel();
        let (deliver, ready) = channel();
        let signals = Arc::<Signals>::default();
        let thread = std::thread::Builder::new().name("journal-prepare".into()).spawn({
            let (shared, signals) = (Arc::clone(shared), Arc::clone(&signals));
            move || prepare(&shared, &ordered, &deliver, &signals)
        })?;
        let preparer = Self { orders: Some(orders), ready, thread: Some(thread), shared: Arc::clone(shared), signals };
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
    pub(super) fn take(&self) -> io::Result<Box<dyn DiskFile>> {
        let since = Instant::now();
        loop {
            match self.ready.recv_timeout(RETRY) {
                Ok(space) => return Ok(space),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that prepares segments has ended"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let failing = self.shared.space.exhausted.load(Ordering::Relaxed);
            if failing && since.elapsed() >= PATIENCE {
                let error = lock(&self.signals.last_error).take();
                return Err(error.unwrap_or_else(|| io::ErrorKind::StorageFull.into()));
            }
        }
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.orders = None;
        self.signals.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Not needed until the next start, which would make a new one anyway.
        let _ = self.shared.disk.remove(&self.shared.dir.join(SPARE_FILE));
    }
}

fn prepare(shared: &Shared, ordered: &Receiver<()>, deliver: &Sender<Box<dyn DiskFile>>, signals: &Signals) {
    let path = shared.dir.join(SPARE_FILE);
    let bytes = if shared.options.preallocate { shared.options.segment_bytes } else { 0 };
    while ordered.recv().is_ok() {
        let space = loop {
            match create_space(&*shared.disk, &path, bytes, &signals.closing) {
                Ok(space) => break space,
                Err(_) if signals.closing.load(Ordering::Relaxed) => return,
                Err(error) => {
                    let first = !shared.space.exhausted.swap(true, Ordering::Relaxed);
                    if first {
                        tracing::error!(%error, "Cannot prepare the journal's next segment; new records are refused when this one is full");
                    }
                    *lock(&signals.last_error) = Some(error);
                    // What was written of it would keep the disk full. If it cannot be removed, the retry truncates it.
                    let _ = shared.disk.remove(&path);
                }
            }
            if ordered.recv_timeout(RETRY) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        };
        if shared.space.exhausted.swap(false, Ordering::Relaxed) {
            tracing::info!("The journal's next segment is prepared again");
        }
        if deliver.send(space).is_err() {
            return;
        }
    }
}
