//! Reads durable records in order while the journal runs, from the segment files (that is, from the page cache). What
//! the projector and the followers read; they never see a record that a crash could take back. Whoever wants records of
//! certain kinds only passes over the others: their frames are verified, and nothing of them is copied.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Shared;
use super::error::{READER_OPENS, ReadError};
use super::frame::{Frame, FrameHeader, Link, Records};
use super::lanes::Wait;
use super::record::{Malformed, Position, Record};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, file_name};

/// Read ahead by this much: hundreds of small frames in one call.
const READ_BYTES: usize = 256 * 1024;

/// A place in the log that moves on. Several readers do not disturb each other.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    next: Position,
    segment: Option<OpenSegment>,
}

/// How much one call may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records returned.
    pub records: usize,
    /// Their encoded bytes; a single record may have more.
    pub bytes: usize,
    /// Encoded bytes gone through, those of passed records included; exceeded by less than a frame.
    pub passed_bytes: usize,
}

/// What one call went through.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The wanted records.
    pub records: Vec<(Position, Record)>,
    /// There are no others up to here.
    pub up_to: Position,
}

/// A passage that is being filled.
struct Filling<W> {
    records: Vec<(Position, Record)>,
    bytes: usize,
    passed_bytes: usize,
    limits: Limits,
    wanted: W,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Left,
    Full,
}

impl<W: Fn(u16) -> bool> Filling<W> {
    fn has_room(&self) -> bool {
        self.records.len() < self.limits.records && self.passed_bytes < self.limits.passed_bytes
    }

    /// Takes records from position `next` on; counts what it has gone through, also those before `next`.
    fn fill(&mut self, records: Records<'_>, next: &mut Position, consumed: &mut usize) -> Result<Room, Malformed> {
        for record in records {
            let (position, raw) = record?;
            if position >= *next {
                if (self.wanted)(raw.kind) {
                    let too_many = self.records.len() >= self.limits.records;
                    let too_large = self.bytes + raw.encoded_bytes > self.limits.bytes && !self.records.is_empty();
                    if too_many || too_large {
                        return Ok(Room::Full);
                    }
                    self.records.push((position, raw.to_record()?));
                    self.bytes += raw.encoded_bytes;
                }
                *next = position.next();
            }
            *consumed += raw.encoded_bytes;
            self.passed_bytes += raw.encoded_bytes;
        }
        Ok(Room::Left)
    }
}

#[derive(Debug)]
struct OpenSegment {
    file: File,
    path: PathBuf,
    first: Position,
    /// Offset of the frame that continues `link`.
    offset: u64,
    link: Link,
    /// Bytes of that frame's records that were read already; its checksum is known to hold then.
    consumed: usize,
    buffer: Vec<u8>,
    /// Offset of the buffer in the file.
    buffer_at: u64,
    /// Everything up to here was durable, hence final, when the buffer was read.
    buffer_durable: Position,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, after: Position) -> Result<Self, ReadError> {
        let last = shared.progress.durable();
        if after > last {
            return Err(ReadError::Beyond { after, last });
        }
        let reader = Self { shared, next: after.next(), segment: None };
        match reader.shared.segments.holding(reader.next) {
            Some(_) => Ok(reader),
            None => Err(reader.released()),
        }
    }

    /// The last position that was returned or passed.
    pub fn position(&self) -> Position {
        self.next.previous()
    }

    /// Resolves when there is something to read, or when the journal has ended.
    pub fn more(&self) -> Wait {
        Wait::new(Arc::clone(&self.shared.progress), self.next)
    }

    /// How many wait for an answer or for something to become durable, about: each of them holds what tells them, and twice
    /// once there is an answer.
    pub fn waiting(&self) -> usize {
        Arc::strong_count(&self.shared.progress)
    }

    /// The next durable records, at least one if there is any; empty when caught up. Stops after `records_max`
    /// records, and before the one that would bring their encoded size above `bytes_max`.
    ///
    /// After an error the reader stands where it stood after the last record it returned.
    pub fn next_batch(&mut self, records_max: usize, bytes_max: usize) -> Result<Vec<(Position, Record)>, ReadError> {
        let limits = Limits { records: records_max, bytes: bytes_max, passed_bytes: usize::MAX };
        Ok(self.next_wanted(limits, |_| true)?.records)
    }

    /// Goes on to the next durable records of wanted kinds and passes over the others. Gets on whenever there is
    /// something to read, if only over records that nobody wants.
    ///
    /// After an error the reader stands where it stood after the last record that it returned or passed.
    pub fn next_wanted(&mut self, limits: Limits, wanted: impl Fn(u16) -> bool) -> Result<Passage, ReadError> {
        let durable = self.shared.progress.durable();
        let from = self.next;
        let mut passage = Filling { records: Vec::new(), bytes: 0, passed_bytes: 0, limits, wanted };
        while self.next <= durable && passage.has_room() {
            match self.read_frame(durable, &mut passage) {
                Ok(Room::Left) => {}
                Ok(Room::Full) => break,
                // What was read before the error is good; the error comes again.
                Err(_) if self.next > from => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Passage { records: passage.records, up_to: self.position() })
    }

    /// Reads on in the frame at hand.
    fn read_frame(
        &mut self,
        durable: Position,
        passage: &mut Filling<impl Fn(u16) -> bool>,
    ) -> Result<Room, ReadError> {
        self.load(durable)?;
        let Some(segment) = &mut self.segment else { return Ok(Room::Full) };
        let (mut next, mut consumed) = (self.next, segment.consumed);
        let frame = segment.frame(&self.shared).map_err(|why| segment.damaged(why))?;
        let (frame_bytes, link) = (frame.header.bytes() as u64, frame.link());
        if link.next > next {
            let records = if consumed > 0 { frame.records_from(consumed, next) } else { frame.records() };
            let filled = passage.fill(records, &mut next, &mut consumed);
            self.next = next;
            match filled {
                Ok(Room::Left) => {}
                Ok(Room::Full) => {
                    segment.consumed = consumed;
                    return Ok(Room::Full);
                }
                Err(Malformed) => {
                    segment.consumed = 0;
                    return Err(segment.damaged("the checksum holds, but the records do not parse"));
                }
            }
        }
        segment.offset += frame_bytes;
        segment.link = link;
        segment.consumed = 0;
        Ok(Room::Left)
    }

    /// Makes the frame that continues the log stand whole in the buffer, in the next segment if this one is done.
    fn load(&mut self, durable: Position) -> Result<(), ReadError> {
        if self.segment.as_ref().is_some_and(OpenSegment::has_frame) {
            return Ok(());
        }
        let due = self.segment.as_ref().map_or(self.next, |segment| segment.link.next);
        let Some(holding) = self.shared.segments.holding(due) else { return Err(self.released()) };
        let segment = match &mut self.segment {
            Some(segment) if segment.first == holding.first => segment,
            _ => self.segment.insert(OpenSegment::open(&self.shared, holding.path, holding.first, self.next)?),
        };
        segment.fill(durable)
    }

    fn released(&self) -> ReadError {
        ReadError::Released { wanted: self.next, oldest: self.shared.segments.oldest() }
    }
}

impl OpenSegment {
    fn open(shared: &Shared, path: PathBuf, first: Position, wanted: Position) -> Result<Self, ReadError> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Released { wanted, oldest: shared.segments.oldest() });
            }
            Err(source) => return Err(ReadError::Io { doing: READER_OPENS, path, source }),
        };
        let mut segment = Self {
            file,
            path,
            first,
            offset: SEGMENT_HEADER_BYTES as u64,
            link: Link { next: first, previous: 0 },
            consumed: 0,
            buffer: Vec::new(),
            buffer_at: 0,
            buffer_durable: Position::NOTHING,
        };
        let header = segment.read(0, SEGMENT_HEADER_BYTES)?;
        match SegmentHeader::decode(&header, file_name(first)) {
            Ok(header) if header.journal == shared.journal && header.link.next == first => {
                segment.link = header.link;
                Ok(segment)
            }
            _ => Err(ReadError::Damaged { segment: file_name(first), offset: 0, why: "the header does not read" }),
        }
    }

    /// The bytes from the frame on, as far as they were final when they were read.
    fn bytes(&self) -> &[u8] {
        if self.buffer_durable < self.link.next {
            return &[];
        }
        let at = self.offset - self.buffer_at;
        self.buffer.get(at as usize..).unwrap_or_default()
    }

    fn has_frame(&self) -> bool {
        let bytes = self.bytes();
        FrameHeader::read(bytes).is_some_and(|header| header.bytes() > 0 && header.bytes() <= bytes.len())
    }

    fn frame(&self, shared: &Shared) -> Result<Frame<'_>, &'static str> {
        if self.consumed > 0 {
            return Frame::believed(self.bytes());
        }
        Frame::following(self.bytes(), shared.seed, self.link)
    }

    /// Reads ahead from the frame on; more than usual if the frame needs it.
    fn fill(&mut self, durable: Position) -> Result<(), ReadError> {
        for bytes in [READ_BYTES, 0] {
            let needed = FrameHeader::read(self.bytes()).map_or(0, |header| header.bytes());
            self.buffer = self.read(self.offset, bytes.max(needed))?;
            self.buffer_at = self.offset;
            self.buffer_durable = durable;
            if self.has_frame() {
                break;
            }
        }
        Ok(())
    }

    /// Up to `bytes` bytes at the offset; fewer only at the end of the file.
    fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, ReadError> {
        let io = |source| ReadError::Io { doing: "read", path: self.path.clone(), source };
        let left = self.file.metadata().map_err(io)?.len().saturating_sub(offset);
        let mut buffer = vec![0; bytes.min(left as usize)];
        self.file.read_exact_at(&mut buffer, offset).map_err(io)?;
        Ok(buffer)
    }

    fn damaged(&self, why: &'static str) -> ReadError {
        ReadError::Damaged { segment: file_name(self.first), offset: self.offset, why }
    }
}
