//! A frame is one batch of the group commit. Layout, little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length of the whole frame |
//! | 4 | crc32c of the journal's id, the length and everything after this field |
//! | 8 | position of the first record |
//! | 4 | number of records |
//! | 4 | crc of the frame before |
//! | … | the records |
//!
//! The journal's id goes into every checksum, so that a frame of another journal never parses; the position and the
//! crc of the frame before tie a frame to its place, so that stale bytes never do.

use super::record::{Malformed, Position, RECORD_BYTES_MIN, RawRecord};
use uuid::Uuid;

pub(super) const FRAME_HEADER_BYTES: usize = 24;
/// Where the bytes start that follow the checksum field.
const CHECKED_FROM: usize = 8;

/// Where every checksum of a journal starts, and what the first frame of a log has as "frame before".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(pub u32);

impl Seed {
    pub(super) fn of(journal: Uuid) -> Self {
        Self(crc32c::crc32c(journal.as_bytes()))
    }
}

/// The place a frame must have to continue the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Position of the next record.
    pub next: Position,
    /// Crc of the last frame.
    pub previous: u32,
}

/// Fills in the header of a frame whose records are already behind [`FRAME_HEADER_BYTES`] reserved bytes, and returns
/// the link that the next frame continues.
pub(super) fn seal(frame: &mut [u8], seed: Seed, link: Link, count: u32) -> Link {
    let length = (frame.len() as u32).to_le_bytes();
    if let Some((header, _)) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>() {
        header[0..4].copy_from_slice(&length);
        header[8..16].copy_from_slice(&link.next.0.to_le_bytes());
        header[16..20].copy_from_slice(&count.to_le_bytes());
        header[20..24].copy_from_slice(&link.previous.to_le_bytes());
    }
    let crc = checksum(seed, length, &frame[CHECKED_FROM..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    Link { next: Position(link.next.0 + u64::from(count)), previous: crc }
}

fn checksum(seed: Seed, length: [u8; 4], checked: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed.0, &length), checked)
}

/// The fields of a frame's header, not yet believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    length: [u8; 4],
    crc: u32,
    pub first: Position,
    pub count: u32,
    pub previous: u32,
}

impl FrameHeader {
    /// `None` if fewer bytes than a header are left.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let [l0, l1, l2, l3, c0, c1, c2, c3, place @ ..] = *header;
        let [p0, p1, p2, p3, p4, p5, p6, p7, n0, n1, n2, n3, b0, b1, b2, b3] = place;
        Some(Self {
            length: [l0, l1, l2, l3],
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
            first: Position(u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7])),
            count: u32::from_le_bytes([n0, n1, n2, n3]),
            previous: u32::from_le_bytes([b0, b1, b2, b3]),
        })
    }

    /// Length of the whole frame in bytes.
    pub(super) fn bytes(&self) -> usize {
        u32::from_le_bytes(self.length) as usize
    }

    fn is_plausible(&self) -> bool {
        let records = self.bytes().saturating_sub(FRAME_HEADER_BYTES) / RECORD_BYTES_MIN;
        self.count > 0 && self.count as usize <= records
    }
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub header: FrameHeader,
    records: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The whole frame at the start of `bytes`, wherever in a log it belongs.
    pub(super) fn whole(bytes: &'a [u8], seed: Seed) -> Result<Self, &'static str> {
        let header = FrameHeader::read(bytes).ok_or("no room for a frame's header")?;
        if !header.is_plausible() {
            return Err("length and number of records do not fit each other");
        }
        let frame = bytes.get(..header.bytes()).ok_or("the frame is longer than what is left of the segment")?;
        if checksum(seed, header.length, &frame[CHECKED_FROM..]) != header.crc {
            return Err("the checksum does not hold");
        }
        Ok(Self { header, records: &frame[FRAME_HEADER_BYTES..] })
    }

    /// The whole frame at the start of `bytes` that continues `link`.
    pub(super) fn following(bytes: &'a [u8], seed: Seed, link: Link) -> Result<Self, &'static str> {
        let frame = Self::whole(bytes, seed)?;
        if frame.header.first != link.next {
            return Err("the frame has another position than the one that is due");
        }
        if frame.header.previous != link.previous {
            return Err("the frame does not follow the frame before it");
        }
        Ok(frame)
    }

    /// The frame at the start of `bytes`, whose checksum was found to hold before.
    pub(super) fn believed(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let header = FrameHeader::read(bytes).ok_or("no room for a frame's header")?;
        let records = bytes.get(FRAME_HEADER_BYTES..header.bytes()).ok_or("the frame is cut short")?;
        Ok(Self { header, records })
    }

    /// The link that the next frame continues.
    pub(super) fn link(&self) -> Link {
        Link { next: Position(self.header.first.0 + u64::from(self.header.count)), previous: self.header.crc }
    }

    pub(super) fn last(&self) -> Position {
        self.link().next.previous()
    }

    /// The records as they stand in the frame.
    pub(super) fn encoded_records(&self) -> &'a [u8] {
        self.records
    }

    /// The records with their positions; ends after an error.
    pub(super) fn records(&self) -> Records<'a> {
        Records { rest: self.records, next: self.header.first, left: self.header.count }
    }

    /// The records from position `next` on, which starts `consumed` bytes into them.
    pub(super) fn records_from(&self, consumed: usize, next: Position) -> Records<'a> {
        let left = self.last().next().0.saturating_sub(next.0) as u32;
        Records { rest: self.records.get(consumed..).unwrap_or_default(), next, left }
    }
}

/// Iterator over a frame's records.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    rest: &'a [u8],
    next: Position,
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(Position, RawRecord<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // The last record must end where the frame ends.
            return (!std::mem::take(&mut self.rest).is_empty()).then_some(Err(Malformed));
        }
        let record = RawRecord::parse(self.rest);
        let Ok(record) = record else {
            (self.left, self.rest) = (0, &[]);
            return Some(Err(Malformed));
        };
        let position = self.next;
        self.rest = self.rest.get(record.encoded_bytes..).unwrap_or_default();
        self.next = position.next();
        self.left -= 1;
        Some(Ok((position, record)))
    }
}

/// Looks for a whole frame of this journal in what stands behind the end of the log, with a position that would come
/// at or after `next`. One is proof that the log went on: what stands before it is damage and no torn tail.
pub(super) fn find_later_frame(rest: &[u8], seed: Seed, next: Position) -> Option<usize> {
    // A frame this far on can be at most so many records ahead.
    let possible = next.0..=next.0.saturating_add((rest.len() / RECORD_BYTES_MIN) as u64);
    (0..rest.len().saturating_sub(FRAME_HEADER_BYTES)).find(|&at| {
        let candidate = &rest[at..];
        FrameHeader::read(candidate).is_some_and(|header| possible.contains(&header.first.0))
            && Frame::whole(candidate, seed).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::{KeyText, Record, RecordHeader};
    use super::*;

    const SEED: Seed = Seed(77);
    const LINK: Link = Link { next: Position(10), previous: 5 };

    fn frame(link: Link, payloads: &[&str]) -> (Vec<u8>, Link) {
        let mut bytes = vec![0; FRAME_HEADER_BYTES];
        for payload in payloads {
            let key = KeyText::new("k").unwrap();
            let header = RecordHeader { kind: 1, codec: 1, key, key_version: 1, at_ms: 0 };
            Record { header, payload: payload.as_bytes().to_vec() }.encode(&mut bytes);
        }
        let next = seal(&mut bytes, SEED, link, payloads.len() as u32);
        (bytes, next)
    }

    #[test]
    fn a_frame_reads_back_in_its_place() {
        let (bytes, next) = frame(LINK, &["a", "bb"]);
        let read = Frame::following(&bytes, SEED, LINK).unwrap();
        let records: Vec<_> = read.records().map(|r| r.map(|(p, r)| (p.0, r.payload)).unwrap()).collect();
        assert_eq!(records, [(10, b"a".as_slice()), (11, b"bb".as_slice())]);
        assert_eq!(read.link(), next);
        assert_eq!(read.last(), Position(11));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (bytes, _) = frame(LINK, &["a", "bb"]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::following(&flipped, SEED, LINK).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_place_or_journal_does_not_follow() {
        let (bytes, _) = frame(LINK, &["a"]);
        assert!(Frame::following(&bytes, Seed(78), LINK).is_err());
        assert!(Frame::following(&bytes, SEED, Link { next: Position(9), ..LINK }).is_err());
        assert!(Frame::following(&bytes, SEED, Link { previous: 6, ..LINK }).is_err());
    }

    #[test]
    fn a_later_frame_is_found_and_an_older_one_is_not_evidence() {
        let (older, _) = frame(Link { next: Position(3), previous: 0 }, &["old"]);
        let (later, _) = frame(Link { next: Position(12), previous: 0 }, &["new"]);
        let mut rest = vec![9; 100];
        rest.extend_from_slice(&older);
        assert_eq!(find_later_frame(&rest, SEED, Position(10)), None);
        let at = rest.len();
        rest.extend_from_slice(&later);
        rest.extend_from_slice(&[0; 50]);
        assert_eq!(find_later_frame(&rest, SEED, Position(10)), Some(at));
    }
}
