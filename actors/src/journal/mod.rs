//! The journal: one ordered log of records in checksummed, chained segment files (rules 7 to 11, 14, 23).
//!
//! Actors are [admitted](Journal::admit) before they change anything, [append](Admission::append) a record, which gives
//! it its position at once, and release their answer when [`wait`](Journal::wait) for that position resolves. One thread
//! writes what has gathered, syncs once and publishes how far the log is durable. What a thread with a
//! [kicker](Journal::kicker) appends gathers until its turn ends. The projector and the followers read the log with a
//! [`Reader`]. Start repairs a torn tail and refuses anything worse.
//!
//! What the files rest on: a sector that was synced survives a torn write of the same bytes next to it; everything
//! else is checked. What is deliberately absent: the meaning of kinds and payloads (the owner's codecs), retention
//! times (the caller of [`Journal::release`]), ending the process (the caller of [`Journal::failed`]).
//!
//! A directory holds `identity`, `lock`, `<first position>.seg` and, for the next segment, `spare.tmp`; after an
//! [adoption](adopt) also what was set aside.

pub mod adopt;
mod disk;
mod error;
mod frame;
mod identity;
pub mod inspect;
mod kicker;
mod lanes;
mod open;
mod options;
mod parked;
mod place;
mod prepare;
mod queue;
mod reader;
mod record;
mod recover;
mod segment;
mod segments;
mod space;
mod survey;
mod writer;

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use uuid::Uuid;

pub use disk::{Disk, DiskDirectory, DiskFile, LocalDisk};
pub use error::{AppendError, JournalFailed, OpenError, ReadError, RegisterError};
pub use identity::{Adopted, Seen};
pub use lanes::Wait;
pub use open::Opened;
pub use options::JournalOptions;
pub use parked::{Parked, Parker, Unanswered};
pub use reader::{Limits, Passage, Reader};
pub use record::{KEY_BYTES_MAX, KeyText, KeyTextError, Position, Record, RecordHeader};
pub use recover::Repair;
pub use segments::{Reached, Released, Retention, Unread};
pub use space::{RATIONED_PERCENT, Share, Space};

use frame::Seed;
use identity::{Identity, TimeBase};
use lanes::Progress;
use queue::Queue;
use segments::{Needs, Segments};
use space::SpaceGauge;

/// Format of the files that this release writes.
const FORMAT: u16 = 1;

/// A running journal. Clones are the same journal; it is closed by [`Journal::close`] or with its last clone.
#[derive(Clone, Debug)]
pub struct Journal {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    writer: JoinHandle<()>,
    /// Unlocked when it is closed.
    lock: File,
}

/// Room for one record in the queue and in the journal's space. Dropped unused, it is given back.
#[derive(Debug)]
#[must_use = "room is kept until this is dropped"]
pub struct Admission {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Admission {
    /// Takes a record: checks that its version is the next one of its key, gives it the next position and hands it
    /// to the writer. Never waits for the disk. Records of one thread keep their order; an unregistered key starts
    /// with version 1. The record is durable when [`Journal::wait`] for its position resolves.
    ///
    /// Refused only if the version is wrong, if the journal has ended, or if the record is larger than any may be: a
    /// record somewhat larger than what was asked for is taken.
    pub fn append(mut self, record: &Record) -> Result<Position, AppendError> {
        kicker::append(&self.shared, record, std::mem::take(&mut self.bytes))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.queue.dismiss(self.bytes);
        }
    }
}

/// What the handle, the writer and the readers share.
struct Shared {
    dir: PathBuf,
    options: JournalOptions,
    disk: Arc<dyn Disk>,
    /// Kept open: a process that is out of file descriptors still goes on to the segment that was prepared.
    directory: Box<dyn DiskDirectory>,
    journal: Uuid,
    seed: Seed,
    identity: Mutex<Identity>,
    queue: Queue,
    progress: Arc<Progress>,
    segments: Segments,
    space: SpaceGauge,
}

impl Journal {
    /// Opens or creates the journal of a directory: locks it, checks whose it is, verifies the log, cuts a torn tail.
    /// Then ask [`Journal::check_seen`] before anything is answered.
    pub fn open(dir: &Path, options: JournalOptions) -> Result<(Self, Opened), OpenError> {
        Self::open_on(Arc::new(LocalDisk), dir, options)
    }

    /// As [`Journal::open`], writing through the given disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: JournalOptions) -> Result<(Self, Opened), OpenError> {
        open::open(disk, dir, options)
    }

    /// Whether the database that has seen this is this journal's, which has what comes after it.
    pub fn check_database(&self, seen: Seen) -> Result<(), OpenError> {
        lock(&self.handle.shared.identity).is_of(seen)?;
        self.check_seen(seen.position)
    }

    /// Compares the journal with the last position that Postgres has (rule 10): refuses a journal that ends before
    /// it, was cut before it (also in an earlier run), or no longer has what comes after it.
    pub fn check_seen(&self, seen: Position) -> Result<(), OpenError> {
        let shared = &self.handle.shared;
        let last = self.durable();
        let mut identity = lock(&shared.identity);
        if let Some(cut) = identity.cut
            && seen > cut
        {
            return Err(OpenError::CutBefore { cut, seen });
        }
        if seen > last {
            return Err(OpenError::EndsBefore { last, seen });
        }
        let oldest = shared.segments.oldest();
        if seen.next() < oldest {
            return Err(OpenError::Released { oldest, seen });
        }
        if identity.cut.is_some() {
            let confirmed = Identity { cut: None, ..*identity };
            confirmed.write(&*shared.disk, &shared.dir)?;
            *identity = confirmed;
        }
        Ok(())
    }

    /// Keeps room for one record of at most so many bytes, before its owner changes anything (rule 8). Never waits.
    pub fn admit(&self, share: Share, bytes: usize) -> Result<Admission, AppendError> {
        let shared = &self.handle.shared;
        shared.queue.admit(share, bytes, &shared.space)?;
        Ok(Admission { shared: Arc::clone(shared), bytes })
    }

    /// The largest record that is taken, in bytes.
    pub fn record_bytes_max(&self) -> usize {
        self.handle.shared.options.record_bytes_max
    }

    /// Tells the journal a key's version when its owner wakes. Refused if the journal has handed out another one: the
    /// rows that the owner woke from are older than the log.
    pub fn register(&self, key: &KeyText, version: u64) -> Result<(), RegisterError> {
        self.handle.shared.queue.register(key, version)
    }

    /// Forgets a key whose owner sleeps; its last record has been projected (rule 6).
    pub fn forget(&self, key: &str) {
        self.handle.shared.queue.forget(key);
    }

    /// A task for a thread's local task set, as long as that runs: what is appended in one turn of the thread is then
    /// written together. Without it the thread has each record written at once.
    pub fn kicker(&self) -> impl Future<Output = ()> + Send + use<> {
        kicker::run(Arc::clone(&self.handle.shared))
    }

    /// Position of the last record taken.
    pub fn appended(&self) -> Position {
        self.handle.shared.queue.appended()
    }

    /// Position up to which everything is durable.
    pub fn durable(&self) -> Position {
        self.handle.shared.progress.durable()
    }

    /// Resolves when the position is durable, or with the reason why it never will be. Works on any thread and
    /// runtime; wakes once per batch and thread.
    pub fn wait(&self, position: Position) -> Wait {
        Wait::new(Arc::clone(&self.handle.shared.progress), position)
    }

    /// A place for an answer that is to be seen once its position is durable.
    pub fn parked<T>(&self) -> (Parker<T>, Parked<T>) {
        parked::parked(&self.handle.shared.progress)
    }

    /// Resolves when the journal has failed or was closed. After a failure the process must exit (rule 10).
    pub fn failed(&self) -> impl Future<Output = JournalFailed> + Send + use<> {
        let mut ended = self.handle.shared.progress.ended_watch.subscribe();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or(JournalFailed::Closed),
                Err(_) => JournalFailed::Closed,
            }
        }
    }

    /// Why the journal has ended, if it has.
    pub fn failure(&self) -> Option<JournalFailed> {
        self.handle.shared.progress.ended().cloned()
    }

    /// Reads durable records that come after a position.
    pub fn reader(&self, after: Position) -> Result<Reader, ReadError> {
        Reader::new(Arc::clone(&self.handle.shared), after)
    }

    /// The oldest position that can be read.
    pub fn oldest(&self) -> Position {
        self.handle.shared.segments.oldest()
    }

    /// First position of the segment that holds this one, or will; `None` if it was released.
    pub fn segment_of(&self, position: Position) -> Option<Position> {
        Some(self.handle.shared.segments.holding(position)?.first)
    }

    /// A segment that somebody has deleted: none but [`Journal::release`] may. Looks at every file's entry, and reads none.
    pub fn missing(&self) -> Option<PathBuf> {
        self.handle.shared.segments.missing()
    }

    /// The segments that only somebody who has read up to `after` still needs, Postgres having them.
    pub fn unread(&self, after: Position, projected: Position) -> Unread {
        self.handle.shared.segments.unread(after, projected)
    }

    /// Deletes whole segments that everybody has and that the retention does not keep; never the active one. Retention
    /// gives way where sales would stop for want of space (rule 11). What followers have not read is kept however old and
    /// large, but gives way like retention: who needs it then reads [`ReadError::Released`]. Blocks on the disk.
    pub fn release(&self, reached: Reached, retention: Retention) -> std::io::Result<Released> {
        let shared = &self.handle.shared;
        let needs = Needs { space: self.space(), segment_bytes: shared.options.segment_bytes };
        let released = shared.segments.release(&*shared.disk, &*shared.directory, reached, retention, needs)?;
        shared.space.sealed.fetch_sub(released.bytes, std::sync::atomic::Ordering::Relaxed);
        Ok(released)
    }

    /// How much of the space is used.
    pub fn space(&self) -> Space {
        self.handle.shared.space.read()
    }

    /// Bytes that wait for the writer.
    pub fn queued_bytes(&self) -> usize {
        self.handle.shared.queue.queued_bytes()
    }

    /// The journal's id, given when it was created.
    pub fn id(&self) -> Uuid {
        self.handle.shared.journal
    }

    /// Whose place this journal has taken, if it has.
    pub fn adopted(&self) -> Option<Adopted> {
        lock(&self.handle.shared.identity).adopted
    }

    /// The epoch last set.
    pub fn epoch(&self) -> u64 {
        lock(&self.handle.shared.identity).epoch
    }

    /// Raises the epoch, durably (rule 14). One that is not above the present one is refused.
    pub fn set_epoch(&self, epoch: u64) -> Result<(), OpenError> {
        let shared = &self.handle.shared;
        let mut identity = lock(&shared.identity);
        if epoch <= identity.epoch {
            return Err(OpenError::Options("an epoch only rises"));
        }
        let raised = Identity { epoch, ..*identity };
        raised.write(&*shared.disk, &shared.dir)?;
        *identity = raised;
        Ok(())
    }

    /// Lets engine time start again at `ms`, durably, for a journal whose newest records were written with a clock that was
    /// ahead. Only that: records, positions and versions stay. For a journal to which nothing was appended since it was
    /// opened.
    pub fn reset_time(&self, ms: i64) -> Result<(), OpenError> {
        let shared = &self.handle.shared;
        let mut identity = lock(&shared.identity);
        let reset = Identity { time: TimeBase { up_to: self.durable(), ms }, ..*identity };
        reset.write(&*shared.disk, &shared.dir)?;
        *identity = reset;
        Ok(())
    }

    /// Writes everything taken, stops the threads and unlocks the directory; other clones then find it stopped.
    /// Blocks on the disk. Says how far the log is durable, or why not everything is.
    pub fn close(self) -> Result<Position, JournalFailed> {
        self.handle.close();
        match self.failure() {
            Some(JournalFailed::Closed) | None => Ok(self.durable()),
            Some(failed) => Err(failed),
        }
    }
}

/// Short, because it is printed with every actor that holds a journal.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Handle {
    fn close(&self) {
        self.shared.queue.stop();
        // Held until the writer has ended, so that whoever else closes waits for it too.
        let mut running = lock(&self.running);
        let Some(Running { writer, lock: locked }) = running.take() else { return };
        // The last clone may be dropped by a task that the writer has just woken and that ends in the waker.
        if writer.thread().id() != std::thread::current().id() {
            // A panic there has been reported to everybody who waits.
            let _ = writer.join();
        }
        drop(locked);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Locks a mutex whose data is never left half-changed: nothing inside our critical sections panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
