//! What start does with the files: verify, refuse damage, cut a torn tail.
//!
//! A batch is written only after the one before is synced. So only the last frame can be torn by a crash: a bad frame
//! with a whole one of this journal after it is damage, and so is a bad frame in any segment but the last.

use std::fs;
use std::path::Path;

use super::OpenError;
use super::disk::{Disk, DiskFile};
use super::frame::{Frame, Link, Seed, find_later_frame};
use super::identity::Identity;
use super::record::{Malformed, Position};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentFile, SegmentHeader};

/// What stands behind the last frame that continues the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros or nothing.
    Clean,
    /// Bytes that are no whole frame: a batch whose write was interrupted.
    Torn { why: &'static str },
    /// The log went on after bytes that do not read.
    Damaged { why: &'static str },
}

/// A segment's frames, verified one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    /// Where the next segment or frame continues.
    pub link: Link,
    /// Offset behind the last whole frame.
    pub end: usize,
    /// Offset of the last whole frame.
    pub last_frame_at: Option<usize>,
    pub frames: u64,
    pub tail: Tail,
}

/// Walks the frames behind the header of a segment.
pub(super) fn walk(segment: &[u8], seed: Seed, start: Link) -> Walked {
    walk_showing(segment, seed, start, |_, _| Ok(()))
}

/// As [`walk`]; `show` gets every frame with its offset.
pub(super) fn walk_showing(
    segment: &[u8],
    seed: Seed,
    start: Link,
    mut show: impl FnMut(usize, Frame<'_>) -> Result<(), Malformed>,
) -> Walked {
    let mut walked =
        Walked { link: start, end: SEGMENT_HEADER_BYTES, last_frame_at: None, frames: 0, tail: Tail::Clean };
    loop {
        let rest = segment.get(walked.end..).unwrap_or_default();
        let frame = match Frame::following(rest, seed, walked.link) {
            Ok(frame) => frame,
            Err(why) => {
                walked.tail = judge_tail(rest, seed, walked.link.next, why);
                return walked;
            }
        };
        if frame.records().try_for_each(|record| record.map(drop)).and_then(|()| show(walked.end, frame)).is_err() {
            walked.tail = Tail::Damaged { why: "the checksum holds, but the records do not parse" };
            return walked;
        }
        walked.link = frame.link();
        walked.last_frame_at = Some(walked.end);
        walked.end += frame.header.bytes();
        walked.frames += 1;
    }
}

fn judge_tail(rest: &[u8], seed: Seed, next: Position, why: &'static str) -> Tail {
    if is_zero(rest) {
        Tail::Clean
    } else if find_later_frame(rest, seed, next).is_some() {
        Tail::Damaged { why }
    } else {
        Tail::Torn { why }
    }
}

/// Compares in pages: most of a segment is zeros, and start has to be quick also without optimisation.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const PAGE: [u8; 4096] = [0; 4096];
    bytes.chunks(PAGE.len()).all(|chunk| chunk == &PAGE[..chunk.len()])
}

/// A torn tail that was cut at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// File name of the segment.
    pub segment: String,
    /// Where the first frame started that was not whole.
    pub offset: u64,
    /// Bytes from there to the last one that was not zero.
    pub bytes: u64,
    /// The last position that survived.
    pub after: Position,
    /// Why the frame was not whole.
    pub why: &'static str,
}

/// The verified log.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Where the log goes on.
    pub link: Link,
    /// Engine time of the newest record, in ms.
    pub last_at_ms: i64,
    /// The segment that is written next.
    pub active: SegmentFile,
    /// Engine time before each segment's first record, in ms, in the order of the segments.
    pub before_ms: Vec<i64>,
    /// Offset in the active segment where the next frame goes.
    pub end: u64,
    pub repair: Option<Repair>,
    pub file: Box<dyn DiskFile>,
}

/// Verifies the segments and makes the tail fit to be continued. Before a tail is cut, the identity remembers it.
pub(super) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    identity: &mut Identity,
    segments: &[SegmentFile],
    verify_bytes: u64,
) -> Result<Recovered, OpenError> {
    let Some((active, sealed)) = segments.split_last() else {
        return Err(OpenError::Identity { dir: dir.to_owned(), why: "it names a journal, but there is no segment" });
    };
    let seed = Seed::of(identity.journal);
    let headers = check_headers(identity, segments)?;
    let verify_from = first_to_verify(segments, verify_bytes);

    let mut link = None;
    for (segment, header) in sealed.iter().zip(&headers).skip(verify_from) {
        check_link(segment, header, link)?;
        let bytes = read(segment)?;
        let walked = walk(&bytes, seed, header.link);
        match walked.tail {
            Tail::Clean => link = Some(walked.link),
            Tail::Torn { why } | Tail::Damaged { why } => return Err(damaged(segment, walked.end, why)),
        }
    }
    let Some(header) = headers.last() else { return Err(damaged(active, 0, "this is no journal segment")) };
    check_link(active, header, link)?;
    let bytes = read(active)?;
    let mut last_at_ms = identity.time.of_header(header);
    let walked = walk_showing(&bytes, seed, header.link, |_, frame| {
        last_at_ms = last_at_ms.max(identity.time.of_frame(&frame)?);
        Ok(())
    });
    let file = disk.open(&active.path).map_err(OpenError::io("open", &active.path))?;
    let found = Active { segment: active, file: &*file, bytes: &bytes, walked: &walked };
    let repair = match walked.tail {
        Tail::Clean => None,
        Tail::Damaged { why } => return Err(damaged(active, walked.end, why)),
        Tail::Torn { why } => {
            let after = walked.link.next.previous();
            identity.cut = Some(identity.cut.map_or(after, |cut| cut.min(after)));
            identity.write(disk, dir)?;
            Some(found.cut(why)?)
        }
    };
    found.believe_last_frame()?;
    Ok(Recovered {
        link: walked.link,
        last_at_ms,
        active: active.clone(),
        before_ms: headers.iter().map(|header| header.before_ms).collect(),
        end: walked.end as u64,
        repair,
        file,
    })
}

pub(super) fn read(segment: &SegmentFile) -> Result<Vec<u8>, OpenError> {
    fs::read(&segment.path).map_err(OpenError::io("read", &segment.path))
}

pub(super) fn damaged(segment: &SegmentFile, offset: usize, why: &'static str) -> OpenError {
    OpenError::Damaged { segment: segment.name(), offset: offset as u64, why }
}

/// Headers are cheap: all are checked, however old.
fn check_headers(identity: &Identity, segments: &[SegmentFile]) -> Result<Vec<SegmentHeader>, OpenError> {
    let mut headers = Vec::with_capacity(segments.len());
    for segment in segments {
        let header = read_header(segment)?;
        if header.journal != identity.journal {
            let (expected, found) = (identity.journal, header.journal);
            return Err(OpenError::Foreign { segment: segment.name(), expected, found });
        }
        if header.node != identity.node {
            return Err(OpenError::OtherNode { expected: identity.node, found: header.node });
        }
        if header.link.next != segment.first {
            return Err(damaged(segment, 0, "the file's name and its header disagree about the first position"));
        }
        headers.push(header);
    }
    Ok(headers)
}

pub(super) fn read_header(segment: &SegmentFile) -> Result<SegmentHeader, OpenError> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    let file = fs::File::open(&segment.path).map_err(OpenError::io("open", &segment.path))?;
    let mut start = file.take(SEGMENT_HEADER_BYTES as u64);
    start.read_to_end(&mut bytes).map_err(OpenError::io("read", &segment.path))?;
    SegmentHeader::decode(&bytes, segment.name())
}

/// Index of the oldest of the newest segments that together have at most `verify_bytes`; the last is always verified.
fn first_to_verify(segments: &[SegmentFile], verify_bytes: u64) -> usize {
    let mut bytes = 0_u64;
    let newest = segments.iter().rev().take_while(|segment| {
        bytes = bytes.saturating_add(segment.bytes);
        bytes <= verify_bytes
    });
    segments.len() - newest.count()
}

/// `link` is where the segment before ended, if that was verified.
pub(super) fn check_link(segment: &SegmentFile, header: &SegmentHeader, link: Option<Link>) -> Result<(), OpenError> {
    let Some(link) = link else { return Ok(()) };
    if header.link.next != link.next {
        let (expected, found) = (link.next, header.link.next);
        return Err(OpenError::Gap { segment: segment.name(), expected, found });
    }
    if header.link.previous != link.previous {
        return Err(damaged(segment, 0, "it does not follow the segment before it"));
    }
    Ok(())
}

/// The segment that is written next, as it was found.
struct Active<'a> {
    segment: &'a SegmentFile,
    file: &'a dyn DiskFile,
    bytes: &'a [u8],
    walked: &'a Walked,
}

impl Active<'_> {
    /// Writes zeros over everything behind the last whole frame, so that no byte of it can ever be read as a record.
    fn cut(&self, why: &'static str) -> Result<Repair, OpenError> {
        let Self { segment, walked, .. } = self;
        let torn = self.bytes.get(walked.end..).unwrap_or_default();
        let torn_bytes = torn.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.write("cut the tail of", &vec![0; torn_bytes], walked.end)?;
        let (offset, bytes) = (walked.end as u64, torn_bytes as u64);
        Ok(Repair { segment: segment.name(), offset, bytes, after: walked.link.next.previous(), why })
    }

    /// Writes and syncs the last frame once more. If the process before ended because a sync had failed, the page cache
    /// may show a frame that never reached the disk, and a later sync would not write it either.
    fn believe_last_frame(&self) -> Result<(), OpenError> {
        let Some(at) = self.walked.last_frame_at else { return Ok(()) };
        self.write("write", self.bytes.get(at..self.walked.end).unwrap_or_default(), at)
    }

    fn write(&self, doing: &'static str, bytes: &[u8], at: usize) -> Result<(), OpenError> {
        self.file.write_all_at(bytes, at as u64).map_err(OpenError::io(doing, &self.segment.path))?;
        self.file.sync().map_err(OpenError::io("sync", &self.segment.path))
    }
}
