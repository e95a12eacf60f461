//! Reads a directory's segments past damage: what of the log still reads, and what stands between. Changes nothing.
//!
//! Start ends at the first fault, because what comes after it must not be believed by itself. Here somebody is to decide
//! what becomes of it, so everything that reads is found.

use uuid::Uuid;

use super::OpenError;
use super::frame::{Frame, FrameHeader, Link, Seed, find_later_frame};
use super::identity::TimeBase;
use super::record::Position;
use super::recover::{check_link, damaged, is_zero, read, read_header};
use super::segment::{NO_TIME_MS, SEGMENT_HEADER_BYTES, SegmentFile};

/// Frames that follow each other, over the ends of segments too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub first: Position,
    pub last: Position,
}

/// What a directory has of a journal.
#[derive(Debug)]
pub(super) struct Survey {
    /// In the order of the log; between two of them something does not read.
    pub runs: Vec<Run>,
    /// What a start would refuse, in the order of the log.
    pub faults: Vec<OpenError>,
    /// The log is known to have come up to here.
    pub end: Position,
    /// The last segment reads up to a clean or a torn end.
    pub ends_well: bool,
    /// Engine time of the newest record that reads or that a header names, in ms.
    pub newest_ms: i64,
}

/// A frame that reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    /// Index of its run.
    pub run: usize,
    pub frame: Frame<'a>,
    pub segment: &'a SegmentFile,
    /// Offset of the frame in the segment.
    pub at: usize,
    /// Engine time of the newest record before it, in ms.
    pub before_ms: i64,
}

/// Shows every frame of the journal that reads. Errors only if a segment cannot be read at all, or is a later release's.
pub(super) fn survey(
    segments: &[SegmentFile],
    journal: Uuid,
    time: TimeBase,
    show: impl FnMut(Visit<'_>) -> Result<(), OpenError>,
) -> Result<Survey, OpenError> {
    let found =
        Survey { runs: Vec::new(), faults: Vec::new(), end: Position::NOTHING, ends_well: true, newest_ms: NO_TIME_MS };
    let mut walk = Walk { journal, seed: Seed::of(journal), time, found, due: None, show };
    for (index, segment) in segments.iter().enumerate() {
        walk.segment(segment, index + 1 == segments.len())?;
    }
    Ok(walk.found)
}

struct Walk<F> {
    journal: Uuid,
    seed: Seed,
    time: TimeBase,
    found: Survey,
    /// Where the last run goes on; none behind what does not read.
    due: Option<Link>,
    show: F,
}

impl<F: FnMut(Visit<'_>) -> Result<(), OpenError>> Walk<F> {
    fn segment(&mut self, segment: &SegmentFile, is_last: bool) -> Result<(), OpenError> {
        let begins = self.begin(segment)?;
        let bytes = read(segment)?;
        let begins = begins.map(|link| (SEGMENT_HEADER_BYTES, link));
        let mut place = begins.or_else(|| resume(&bytes, SEGMENT_HEADER_BYTES, self.seed, segment.first));
        self.found.ends_well = place.is_some();
        while let Some((at, link)) = place {
            let rest = bytes.get(at..).unwrap_or_default();
            let why = match Frame::following(rest, self.seed, link) {
                Ok(frame) => {
                    self.frame(segment, at, link, frame)?;
                    place = Some((at + frame.header.bytes(), frame.link()));
                    continue;
                }
                Err(_) if is_zero(rest) => return Ok(()),
                Err(why) => why,
            };
            place = resume(&bytes, at, self.seed, link.next);
            // A bad frame with nothing behind it in the last segment is a torn tail.
            if place.is_some() || !is_last {
                self.fault(damaged(segment, at, why));
            }
        }
        Ok(())
    }

    /// Where a segment's first frame goes on, if its header can be believed.
    fn begin(&mut self, segment: &SegmentFile) -> Result<Option<Link>, OpenError> {
        let header = match read_header(segment) {
            Ok(header) => header,
            // Its frames may go on where the last segment ended.
            Err(damage @ OpenError::Damaged { .. }) => {
                self.found.faults.push(damage);
                self.came_to(segment);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if header.journal != self.journal {
            let (expected, found) = (self.journal, header.journal);
            self.fault(OpenError::Foreign { segment: segment.name(), expected, found });
            return Ok(None);
        }
        if header.link.next != segment.first {
            self.fault(damaged(segment, 0, "the file's name and its header disagree about the first position"));
            return Ok(None);
        }
        if let Err(fault) = check_link(segment, &header, self.due) {
            self.fault(fault);
        }
        self.came_to(segment);
        self.found.newest_ms = self.found.newest_ms.max(self.time.of_header(&header));
        Ok(Some(header.link))
    }

    /// Whatever reads of a segment of ours: the log has come to where it begins.
    fn came_to(&mut self, segment: &SegmentFile) {
        self.found.end = self.found.end.max(segment.first.previous());
    }

    fn frame(&mut self, segment: &SegmentFile, at: usize, link: Link, frame: Frame<'_>) -> Result<(), OpenError> {
        let before_ms = self.found.newest_ms;
        let Ok(newest_ms) = self.time.of_frame(&frame) else {
            self.fault(damaged(segment, at, "the checksum holds, but the records do not parse"));
            return Ok(());
        };
        let (first, last) = (link.next, frame.last());
        match self.found.runs.last_mut() {
            Some(run) if self.due == Some(link) => run.last = last,
            _ => self.found.runs.push(Run { first, last }),
        }
        self.due = Some(frame.link());
        self.found.newest_ms = before_ms.max(newest_ms);
        self.found.end = self.found.end.max(last);
        (self.show)(Visit { run: self.found.runs.len() - 1, frame, segment, at, before_ms })
    }

    fn fault(&mut self, fault: OpenError) {
        self.due = None;
        self.found.faults.push(fault);
    }
}

/// The next whole frame at or after an offset whose first position can be `next` or later, and the link that it continues.
fn resume(bytes: &[u8], from: usize, seed: Seed, next: Position) -> Option<(usize, Link)> {
    let rest = bytes.get(from..)?;
    let at = find_later_frame(rest, seed, next)?;
    let header = FrameHeader::read(rest.get(at..)?)?;
    Some((from + at, Link { next: header.first, previous: header.previous }))
}
