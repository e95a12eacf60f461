//! Opening a directory: lock, identity, recovery, threads.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::disk::Disk;
use super::frame::{Link, Seed};
use super::identity::{self, Identity, TimeBase};
use super::lanes::Progress;
use super::place::settle;
use super::prepare::Preparer;
use super::queue::Queue;
use super::recover::{Recovered, Tail, read, read_header, recover, walk};
use super::segment::{
    NO_TIME_MS, Place, SEGMENT_HEADER_BYTES, SPARE_FILE, SegmentFile, SegmentHeader, begin, create_space, list,
};
use super::segments::{Entry, Segments};
use super::space::SpaceGauge;
use super::writer::Writer;
use super::{Handle, Journal, JournalOptions, OpenError, Position, Repair, Running, Shared};

const LOCK_FILE: &str = "lock";

/// What start found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The journal's id.
    pub journal_id: Uuid,
    /// The oldest position that can be read.
    pub oldest: Position,
    /// The last position of the log.
    pub last: Position,
    /// Engine time of the newest record, in ms; none if there never was one.
    pub last_at_ms: Option<i64>,
    /// A torn tail that was cut.
    pub repaired: Option<Repair>,
    /// The epoch last set; 0 in a new journal.
    pub epoch: u64,
}

pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path, options: JournalOptions) -> Result<(Journal, Opened), OpenError> {
    let options = options.checked()?;
    fs::create_dir_all(dir).map_err(OpenError::io("create", dir))?;
    let locked = lock_directory(dir)?;
    remove_leftovers(&*disk, dir)?;
    let mut identity = match settle(&*disk, dir, Identity::read(dir)?)? {
        Some(identity) => identity,
        None => create(&*disk, dir, &options)?,
    };
    if identity.node != options.node {
        return Err(OpenError::OtherNode { expected: options.node, found: identity.node });
    }
    let segments = list(dir).map_err(OpenError::io("list", dir))?;
    let recovered = recover(&*disk, dir, &mut identity, &segments, options.verify_bytes)?;

    let opened = Opened {
        journal_id: identity.journal,
        oldest: segments.first().map_or(Position::NOTHING, |segment| segment.first),
        last: recovered.link.next.previous(),
        last_at_ms: Some(recovered.last_at_ms).filter(|at| *at != NO_TIME_MS),
        repaired: recovered.repair.clone(),
        epoch: identity.epoch,
    };
    let shared = Arc::new(shared(disk, dir, options, identity, &segments, &recovered)?);
    let handle = start(shared, recovered, locked).map_err(OpenError::io("start the threads of", dir))?;
    Ok((Journal { handle: Arc::new(handle) }, opened))
}

pub(super) fn lock_directory(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &path)(error)),
    }
}

/// Half-made files of a run that ended; nothing refers to them.
fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    for name in [SPARE_FILE, identity::TEMPORARY_FILE] {
        let path = dir.join(name);
        if path.exists() {
            disk.remove(&path).map_err(OpenError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes a new journal: first its segment, then the identity, whose appearance makes it one.
fn create(disk: &dyn Disk, dir: &Path, options: &JournalOptions) -> Result<Identity, OpenError> {
    let found = list(dir).map_err(OpenError::io("list", dir))?;
    if let [only] = found.as_slice()
        && is_unused(only)?
    {
        disk.remove(&only.path).map_err(OpenError::io("remove", &only.path))?;
    } else if !found.is_empty() {
        return Err(OpenError::Identity { dir: dir.to_owned(), why: "it is missing beside segments with records" });
    }
    let identity = Identity {
        journal: Uuid::new_v4(),
        node: options.node,
        epoch: 0,
        cut: None,
        adopted: None,
        time: TimeBase::ALL,
    };
    let link = Link { next: Position(1), previous: Seed::of(identity.journal).0 };
    let header = SegmentHeader { journal: identity.journal, node: options.node, link, before_ms: NO_TIME_MS };
    let spare = dir.join(SPARE_FILE);
    let bytes = if options.preallocate { options.segment_bytes } else { 0 };
    let create = || {
        let file = create_space(disk, &spare, bytes)?;
        begin(disk, Place { dir, open: &*disk.open_directory(dir)? }, &*file, &header)
    };
    create().map_err(OpenError::io("create a segment in", dir))?;
    identity.write(disk, dir)?;
    sync_parent(disk, dir)?;
    Ok(identity)
}

/// A first segment without a record: a creation that was interrupted.
fn is_unused(segment: &SegmentFile) -> Result<bool, OpenError> {
    if segment.first != Position(1) {
        return Ok(false);
    }
    let header = read_header(segment)?;
    let bytes = read(segment)?;
    let walked = walk(&bytes, Seed::of(header.journal), header.link);
    Ok(walked.end == SEGMENT_HEADER_BYTES && walked.tail == Tail::Clean)
}

fn sync_parent(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_directory(parent).map_err(OpenError::io("sync", parent))
}

fn shared(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: JournalOptions,
    identity: Identity,
    segments: &[SegmentFile],
    recovered: &Recovered,
) -> Result<Shared, OpenError> {
    let last = recovered.link.next.previous();
    let before_ms = recovered.before_ms.iter();
    let entries = segments.iter().zip(before_ms).map(|(file, &before_ms)| Entry { file: file.clone(), before_ms });
    let sealed = segments.iter().rev().skip(1).map(|segment| segment.bytes).sum();
    let space = SpaceGauge {
        max: options.max_bytes,
        batch_bytes_max: options.batch_bytes_max as u64,
        sealed: AtomicU64::new(sealed),
        ..SpaceGauge::default()
    };
    Ok(Shared {
        dir: dir.to_owned(),
        directory: disk.open_directory(dir).map_err(OpenError::io("open", dir))?,
        queue: Queue::new(&options, last),
        options,
        disk,
        journal: identity.journal,
        seed: Seed::of(identity.journal),
        identity: Mutex::new(identity),
        progress: Arc::new(Progress::new(last)),
        segments: Segments::new(entries),
        space,
    })
}

fn start(shared: Arc<Shared>, recovered: Recovered, lock: File) -> std::io::Result<Handle> {
    let writer = Writer {
        spare: Preparer::start(&shared)?,
        offset: recovered.end,
        capacity: recovered.active.bytes.max(shared.options.segment_bytes),
        link: recovered.link,
        last_at_ms: recovered.last_at_ms,
        file: recovered.file,
        shared: Arc::clone(&shared),
    };
    writer.publish_space();
    let writer = std::thread::Builder::new().name("journal-write".into()).spawn(move || writer.run())?;
    Ok(Handle { shared, running: Mutex::new(Some(Running { writer, lock })) })
}
