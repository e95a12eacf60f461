//! A new journal in the place of one that was lost or damaged: what is known to be lost, and, once somebody has agreed to
//! lose it, the new one. For `journal adopt`; a start only ends what was begun here (`place.rs`).
//!
//! The new journal goes on behind what the database has. It takes over whatever reads without a gap from there, so that
//! what comes after a fault is never believed without what came before it: a hold and the order that it was placed for may
//! stand on both sides. The old segments are set aside as they are, for whoever settles by hand what they hold.
//!
//! The identity's appearance makes it so; until then nothing has changed, and afterwards every start goes on with it.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::disk::{Disk, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, Frame, Link, Seed, seal};
use super::identity::{Adopted, FILE, Identity, Seen, TimeBase};
use super::open::lock_directory;
use super::place::{UNPLACED, place, set_aside, settle};
use super::recover::read_header;
use super::segment::{SEGMENT_HEADER_BYTES, SegmentFile, SegmentHeader, create_space, file_name, list};
use super::survey::{Survey, survey};
use super::{JournalOptions, OpenError, Position};

/// A directory that nobody else writes in.
#[derive(Debug)]
pub struct Directory {
    dir: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

/// What a directory is for a database.
#[derive(Debug)]
pub enum Verdict {
    /// A start goes on with it.
    Fits,
    /// The database is empty, and of the journal's beginning nothing is left to fill it from.
    Hopeless,
    Adoptable(Box<Plan>),
}

/// What is lost with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Nothing,
    /// So many are known to have been answered; `and_more`: perhaps more came after them.
    Stretch {
        from: Position,
        to: Position,
        and_more: bool,
    },
    /// Nobody knows how much was answered after this position.
    Unknown {
        after: Position,
    },
}

/// How somebody agrees to it: one word, which names it.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Nothing => f.write_str("nothing"),
            Lost::Stretch { from, to, and_more: false } => write!(f, "{from}-to-{to}"),
            Lost::Stretch { from, to, and_more: true } => write!(f, "{from}-to-{to}-and-perhaps-more"),
            Lost::Unknown { after } => write!(f, "whatever-came-after-{after}"),
        }
    }
}

/// What adopting would do.
#[derive(Debug)]
pub struct Plan {
    directory: Directory,
    options: JournalOptions,
    /// Why a start refuses.
    pub faults: Vec<String>,
    pub lost: Lost,
    /// The new journal begins here; whatever is before it is in the database or lost.
    pub first: Position,
    /// The newest position that is left.
    pub last: Position,
    seen: Seen,
    epoch: u64,
    time: TimeBase,
    kept: Kept,
}

/// What the new journal takes over.
#[derive(Debug)]
struct Kept {
    segments: Vec<SegmentFile>,
    /// Whose they are.
    journal: Uuid,
    /// Index of the run; none: nothing.
    run: Option<usize>,
    /// Engine time of the newest record before it, in ms.
    before_ms: i64,
}

impl Directory {
    /// Waits for nobody: a directory in use is refused.
    pub fn lock(dir: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(dir).map_err(OpenError::io("create", dir))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock_directory(dir)? })
    }

    /// Reads everything that the directory has, and compares it with what the database has seen; none: it is empty.
    /// `followed`: all followers have what comes up to here. Changes nothing, but for an adoption that was interrupted.
    pub fn judge(
        self,
        disk: &dyn Disk,
        options: &JournalOptions,
        seen: Option<Seen>,
        followed: Position,
    ) -> Result<Verdict, OpenError> {
        let options = options.clone().checked()?;
        let Files { identity, segments, mut faults, is_ours } = self.files(disk, options.node, seen)?;
        let of_segments = || segments.iter().rev().find_map(|segment| Some(read_header(segment).ok()?.journal));
        let named = identity.map(|identity| identity.journal).or(seen.map(|seen| seen.journal));
        let Some(journal) = named.or_else(of_segments) else {
            // Nothing was ever sold, or nothing is left that says by whom.
            return Ok(if segments.is_empty() { Verdict::Fits } else { Verdict::Hopeless });
        };

        let time = identity.map_or(TimeBase::ALL, |identity| identity.time);
        let position = seen.map_or(Position::NOTHING, |seen| seen.position);
        let mut begins = Vec::new();
        let wanted = position.min(followed).next();
        let found = survey(&segments, journal, time, |visit| {
            if begins.len() <= visit.run {
                begins.resize(visit.run + 1, None);
            }
            if visit.frame.last() >= wanted {
                begins[visit.run].get_or_insert((visit.frame.header.first, visit.before_ms));
            }
            Ok(())
        })?;
        let log = Log { found: &found, oldest: segments.first().map_or(Position::NOTHING, |segment| segment.first) };
        if let Err(refused) = log.check(position, is_ours) {
            faults.push(refused);
        }
        if faults.is_empty() && found.faults.is_empty() {
            return Ok(Verdict::Fits);
        }

        let run = found.runs.iter().position(|run| run.first <= position.next() && run.last >= position);
        let run = run.filter(|_| is_ours);
        if seen.is_none() && run.is_none() {
            return Ok(Verdict::Hopeless);
        }
        let lost = log.lost(run, position, is_ours);
        let begin = run.and_then(|run| *begins.get(run)?);
        let (first, before_ms) = begin.unwrap_or((position.next(), found.newest_ms));
        let last = run.and_then(|run| found.runs.get(run)).map_or(position, |run| run.last);
        let nothing = Seen { journal, position: Position::NOTHING, epoch: 0 };
        let epoch = identity.map_or(0, |identity| identity.epoch).max(seen.map_or(0, |seen| seen.epoch)) + 1;
        Ok(Verdict::Adoptable(Box::new(Plan {
            directory: self,
            options,
            faults: faults.into_iter().chain(found.faults).map(|fault| fault.to_string()).collect(),
            lost,
            first,
            last,
            seen: seen.unwrap_or(nothing),
            epoch,
            time,
            kept: Kept { segments, journal, run: begin.and(run), before_ms },
        })))
    }

    /// What the files are, without what is in them. A later release's, or another node's, are an error.
    fn files(&self, disk: &dyn Disk, node: u64, seen: Option<Seen>) -> Result<Files, OpenError> {
        let mut faults = Vec::new();
        let identity = match Identity::read(&self.dir) {
            Ok(identity) => settle(disk, &self.dir, identity)?,
            Err(unread @ OpenError::Identity { .. }) => {
                faults.push(unread);
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(found) = identity.map(|identity| identity.node).filter(|found| *found != node) {
            return Err(OpenError::OtherNode { expected: node, found });
        }
        let segments = list(&self.dir).map_err(OpenError::io("list", &self.dir))?;
        let missing = match (identity, segments.is_empty()) {
            (None, true) if seen.is_some() => Some("there is no journal"),
            (None, false) if faults.is_empty() => Some("it is missing beside segments"),
            (Some(_), true) => Some("it names a journal, but there is no segment"),
            (None, true | false) | (Some(_), false) => None,
        };
        faults.extend(missing.map(|why| OpenError::Identity { dir: self.dir.clone(), why }));
        let foreign = identity.zip(seen).and_then(|(identity, seen)| identity.is_of(seen).err());
        let is_ours = foreign.is_none();
        faults.extend(foreign);
        Ok(Files { identity, segments, faults, is_ours })
    }
}

/// A directory's files.
struct Files {
    identity: Option<Identity>,
    segments: Vec<SegmentFile>,
    /// What is wrong with them, whatever is in them.
    faults: Vec<OpenError>,
    /// The database is not known to be another journal's.
    is_ours: bool,
}

/// What reads of a log, beside what the database has seen.
struct Log<'a> {
    found: &'a Survey,
    oldest: Position,
}

impl Log<'_> {
    /// As [`super::Journal::check_seen`].
    fn check(&self, seen: Position, is_ours: bool) -> Result<(), OpenError> {
        let Survey { end: last, .. } = *self.found;
        match self.oldest {
            // That it is empty, or another's, is said already.
            Position::NOTHING => Ok(()),
            _ if !is_ours => Ok(()),
            _ if seen > last => Err(OpenError::EndsBefore { last, seen }),
            oldest if seen.next() < oldest => Err(OpenError::Released { oldest, seen }),
            _ => Ok(()),
        }
    }

    fn lost(&self, run: Option<usize>, seen: Position, is_ours: bool) -> Lost {
        let Survey { ref runs, end, ends_well, .. } = *self.found;
        let left = run.and_then(|run| runs.get(run)).map(|run| run.last);
        let after = left.unwrap_or(seen);
        match left {
            _ if is_ours && end > after => Lost::Stretch { from: after.next(), to: end, and_more: !ends_well },
            Some(_) if ends_well => Lost::Nothing,
            _ => Lost::Unknown { after },
        }
    }
}

impl Plan {
    /// The journal that is given up, as the database names it.
    pub fn old(&self) -> Uuid {
        self.seen.journal
    }

    /// Makes the new journal. Somebody has agreed to what is lost. Durable when this returns; the directory is unlocked.
    /// Answers where the old files are now.
    pub fn carry_out(self, disk: &dyn Disk) -> Result<PathBuf, OpenError> {
        let dir = &*self.directory.dir;
        let journal = Uuid::new_v4();
        let aside = set_aside(dir, journal);
        keep_identity(disk, dir, &aside)?;
        let copying = OpenError::io("write a segment in", dir);
        let mut copy = Copy::begin(disk, dir, &self, journal).map_err(copying)?;
        survey(&self.kept.segments, self.kept.journal, self.time, |visit| {
            if Some(visit.run) == self.kept.run && visit.frame.header.first >= self.first {
                copy.put(visit.frame, visit.before_ms).map_err(OpenError::io("write a segment in", dir))?;
            }
            Ok(())
        })?;
        copy.file.sync().map_err(OpenError::io("sync a segment in", dir))?;
        disk.sync_directory(dir).map_err(OpenError::io("sync", dir))?;

        let adopted = Some(Adopted { seen: self.seen, first: self.first, placed: false });
        let identity =
            Identity { journal, node: self.options.node, epoch: self.epoch, cut: None, adopted, time: self.time };
        identity.write(disk, dir)?;
        place(disk, dir, identity)?;
        Ok(aside)
    }
}

/// What `journal inspect` and `journal dump` need to read the old segments.
fn keep_identity(disk: &dyn Disk, dir: &Path, aside: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(aside).map_err(OpenError::io("create", aside))?;
    if let Ok(identity) = fs::read(dir.join(FILE)) {
        let path = aside.join(FILE);
        let write = || {
            let file = disk.create(&path)?;
            file.write_all_at(&identity, 0)?;
            file.sync()
        };
        write().map_err(OpenError::io("write", &path))?;
    }
    disk.sync_directory(aside).map_err(OpenError::io("sync", aside))
}

/// Segments of the new journal that are being written.
struct Copy<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    options: &'a JournalOptions,
    journal: Uuid,
    link: Link,
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl<'a> Copy<'a> {
    fn begin(disk: &'a dyn Disk, dir: &'a Path, plan: &'a Plan, journal: Uuid) -> std::io::Result<Self> {
        let options = &plan.options;
        let link = Link { next: plan.first, previous: Seed::of(journal).0 };
        let header = SegmentHeader { journal, node: options.node, link, before_ms: plan.kept.before_ms };
        let file = begin_unplaced(disk, dir, options, &header)?;
        Ok(Self { disk, dir, options, journal, link, file, offset: SEGMENT_HEADER_BYTES as u64 })
    }

    fn put(&mut self, frame: Frame<'_>, before_ms: i64) -> std::io::Result<()> {
        let bytes = frame.header.bytes() as u64;
        // A frame of larger segments than today's has one of its own.
        if self.offset + bytes > self.options.segment_bytes && self.offset > SEGMENT_HEADER_BYTES as u64 {
            self.file.sync()?;
            let header = SegmentHeader { journal: self.journal, node: self.options.node, link: self.link, before_ms };
            self.file = begin_unplaced(self.disk, self.dir, self.options, &header)?;
            self.offset = SEGMENT_HEADER_BYTES as u64;
        }
        let mut copied = vec![0; FRAME_HEADER_BYTES];
        copied.extend_from_slice(frame.encoded_records());
        self.link = seal(&mut copied, Seed::of(self.journal), self.link, frame.header.count);
        self.file.write_all_at(&copied, self.offset)?;
        self.offset += bytes;
        Ok(())
    }
}

fn begin_unplaced(
    disk: &dyn Disk,
    dir: &Path,
    options: &JournalOptions,
    header: &SegmentHeader,
) -> std::io::Result<Box<dyn DiskFile>> {
    let path = dir.join(file_name(header.link.next)).with_extension(UNPLACED);
    let bytes = if options.preallocate { options.segment_bytes } else { 0 };
    let file = create_space(disk, &path, bytes)?;
    file.write_all_at(&header.encode(), 0)?;
    Ok(file)
}
