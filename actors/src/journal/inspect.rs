//! Reading a journal's directory without opening it: for `journal inspect` and `journal dump`. Takes no lock and
//! changes nothing; beside a running writer the last frame may look torn.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::frame::{Link, Seed};
use super::identity::{Identity, TimeBase};
use super::record::Malformed;
use super::recover::{Tail, check_link, damaged, read, read_header, walk_showing};
use super::segment::{NO_TIME_MS, SegmentFile, list};
use super::survey::survey;
use super::{OpenError, Position, Record};

/// What a directory holds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The journal's id.
    pub journal: String,
    /// The node that writes it.
    pub node: u64,
    /// The epoch last set.
    pub epoch: u64,
    /// The last position that survived a cut which was not yet compared with Postgres.
    pub cut: Option<Position>,
    /// Oldest position.
    pub oldest: Position,
    /// Last position of the last segment that reads.
    pub last: Position,
    /// Engine time of the newest record, or at which it was reset since, in ms.
    pub last_at_ms: Option<i64>,
    /// Bytes of all segment files.
    pub bytes: u64,
    /// Whether a start would accept it: no damage and no gap; a torn tail is allowed.
    pub sound: bool,
    /// All segments, oldest first.
    pub segments: Vec<SegmentSummary>,
}

/// What one segment file holds.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentSummary {
    /// File name.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// Bytes of header and whole frames.
    pub used_bytes: u64,
    /// First position.
    pub first: Position,
    /// Last position; below `first` if it has no records.
    pub last: Position,
    /// Number of whole frames.
    pub frames: u64,
    /// What comes after them.
    pub state: SegmentState,
}

/// Whether a segment reads to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SegmentState {
    /// Everything reads.
    Whole,
    /// The last write of the log was interrupted where the first frame starts that is not whole; start cuts it.
    Torn { offset: u64, why: String },
    /// Start refuses, for the first frame that does not read.
    Damaged { offset: u64, why: String },
}

/// Verifies every segment and says what it holds. Errors only if the directory itself cannot be read.
pub fn summary(dir: &Path) -> Result<Summary, OpenError> {
    let identity = identity(dir)?;
    let files = list(dir).map_err(OpenError::io("list", dir))?;
    let mut due = None;
    let mut last_at_ms = NO_TIME_MS;
    let mut segments = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        let (segment, link, at_ms) = segment_summary(file, &identity, due, is_last);
        due = link;
        last_at_ms = last_at_ms.max(at_ms);
        segments.push(segment);
    }
    Ok(Summary {
        journal: identity.journal.to_string(),
        node: identity.node,
        epoch: identity.epoch,
        cut: identity.cut,
        oldest: segments.first().map_or(Position::NOTHING, |segment| segment.first),
        last: segments.last().map_or(Position::NOTHING, |segment| segment.last),
        last_at_ms: Some(last_at_ms).filter(|at| *at != NO_TIME_MS),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        sound: !segments.is_empty() && !segments.iter().any(|s| matches!(s.state, SegmentState::Damaged { .. })),
        segments,
    })
}

fn identity(dir: &Path) -> Result<Identity, OpenError> {
    Identity::read(dir)?.ok_or(OpenError::Identity { dir: dir.to_owned(), why: "there is none" })
}

fn segment_summary(
    file: &SegmentFile,
    identity: &Identity,
    due: Option<Link>,
    is_last: bool,
) -> (SegmentSummary, Option<Link>, i64) {
    let mut summary = SegmentSummary {
        file: file.name(),
        bytes: file.bytes,
        used_bytes: 0,
        first: file.first,
        last: file.first.previous(),
        frames: 0,
        state: SegmentState::Whole,
    };
    let read = read_header(file).map_err(|error| error.to_string()).and_then(|header| {
        let bytes = fs::read(&file.path).map_err(|error| error.to_string())?;
        Ok((header, bytes))
    });
    let (header, bytes) = match read {
        Ok(read) => read,
        Err(why) => {
            summary.state = SegmentState::Damaged { offset: 0, why };
            return (summary, None, NO_TIME_MS);
        }
    };
    let mut at_ms = identity.time.of_header(&header);
    let walked = walk_showing(&bytes, Seed::of(identity.journal), header.link, |_, frame| {
        at_ms = at_ms.max(identity.time.of_frame(&frame)?);
        Ok(())
    });
    summary.used_bytes = walked.end as u64;
    summary.last = walked.link.next.previous();
    summary.frames = walked.frames;
    let offset = walked.end as u64;
    let damaged_at_start = |why: &str| SegmentState::Damaged { offset: 0, why: why.to_owned() };
    summary.state = match walked.tail {
        _ if header.journal != identity.journal => damaged_at_start("it belongs to another journal"),
        _ if header.link.next != file.first => damaged_at_start("its name and its header disagree"),
        _ if due.is_some_and(|due| due != header.link) => damaged_at_start("it does not follow the segment before it"),
        Tail::Clean => SegmentState::Whole,
        Tail::Torn { why } if is_last => SegmentState::Torn { offset, why: why.to_owned() },
        Tail::Torn { why } | Tail::Damaged { why } => SegmentState::Damaged { offset, why: why.to_owned() },
    };
    (summary, Some(walked.link), at_ms)
}

/// A record with the place it was found at.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its position.
    pub position: Position,
    /// File name of its segment.
    pub segment: String,
    /// Where its frame starts in the segment.
    pub frame_at: u64,
    /// The record.
    pub record: Record,
}

impl Found {
    /// One line of `journal dump`: place and header, and the payload as its owner's codec shows it.
    pub fn to_json(&self, payload: &serde_json::Value) -> serde_json::Value {
        let header = &self.record.header;
        serde_json::json!({
            "position": self.position,
            "segment": self.segment,
            "frame_at": self.frame_at,
            "kind": header.kind,
            "codec": header.codec,
            "key": header.key,
            "key_version": header.key_version,
            "at_ms": header.at_ms,
            "payload_bytes": self.record.payload.len(),
            "payload": payload,
        })
    }
}

/// Shows every record after a position that reads, past damage too, and says what does not read. Nobody has decided that
/// what comes after damage is to be believed.
pub fn readable<E: From<OpenError>>(
    dir: &Path,
    after: Position,
    mut show: impl FnMut(Found) -> Result<(), E>,
) -> Result<Vec<OpenError>, E> {
    let files = list(dir).map_err(OpenError::io("list", dir))?;
    let journal = identity(dir)?.journal;
    // The first error of whoever is shown; the walk has errors of its own.
    let mut shown = Ok(());
    let survey = survey(&files, journal, TimeBase::ALL, |visit| {
        for record in visit.frame.records() {
            let (segment, frame_at) = (visit.segment, visit.at);
            let unparsed = || damaged(segment, frame_at, "the checksum holds, but the records do not parse");
            let (position, record) = record.map_err(|Malformed| unparsed())?;
            if position > after && shown.is_ok() {
                let record = record.to_record().map_err(|Malformed| unparsed())?;
                shown = show(Found { position, segment: segment.name(), frame_at: frame_at as u64, record });
            }
        }
        Ok(())
    })?;
    shown.map(|()| survey.faults)
}

/// Walks the records after a position, as far as they read.
pub fn records(dir: &Path, after: Position) -> Result<Records, OpenError> {
    let seed = Seed::of(identity(dir)?.journal);
    let mut files = VecDeque::from(list(dir).map_err(OpenError::io("list", dir))?);
    while files.get(1).is_some_and(|second| second.first <= after.next()) {
        files.pop_front();
    }
    Ok(Records { seed, after, files, found: VecDeque::new(), due: None })
}

/// Iterator over a directory's records. Ends at a torn tail; damage is its last item.
#[derive(Debug)]
pub struct Records {
    seed: Seed,
    after: Position,
    files: VecDeque<SegmentFile>,
    /// Of the segment at hand.
    found: VecDeque<Result<Found, OpenError>>,
    /// Where the segment before ended.
    due: Option<Link>,
}

impl Iterator for Records {
    type Item = Result<Found, OpenError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            let file = self.files.pop_front()?;
            if let Err(error) = self.read_segment(&file) {
                self.files.clear();
                self.found.push_back(Err(error));
            }
        }
    }
}

impl Records {
    /// Finds the records of a segment, as far as it reads.
    fn read_segment(&mut self, file: &SegmentFile) -> Result<(), OpenError> {
        let header = read_header(file)?;
        check_link(file, &header, self.due)?;
        let bytes = read(file)?;
        let (after, found) = (self.after, &mut self.found);
        let walked = walk_showing(&bytes, self.seed, header.link, |at, frame| {
            let frame_at = at as u64;
            let records = frame.records().collect::<Result<Vec<_>, Malformed>>()?;
            let wanted = records.into_iter().filter(|(position, _)| *position > after);
            let wanted = wanted.map(|(position, record)| {
                Ok(Ok(Found { position, segment: file.name(), frame_at, record: record.to_record()? }))
            });
            found.extend(wanted.collect::<Result<Vec<_>, Malformed>>()?);
            Ok(())
        });
        self.due = Some(walked.link);
        match walked.tail {
            Tail::Clean => Ok(()),
            Tail::Torn { .. } if self.files.is_empty() => Ok(()),
            Tail::Torn { why } | Tail::Damaged { why } => Err(damaged(file, walked.end, why)),
        }
    }
}
