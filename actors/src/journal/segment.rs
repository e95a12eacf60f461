//! Segment files `<first position>.seg`: a header of 64 bytes, then frames, then zeros. Layout of the header,
//! little-endian: magic 8, format 2, minimum reader 2, reserved 4, node 8, journal id 16, first position 8, engine
//! time of the newest record before this segment 8, crc of the frame before 4, crc32c of the 60 bytes before 4.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::disk::{Disk, DiskDirectory, DiskFile};
use super::frame::Link;
use super::record::Position;
use super::{FORMAT, OpenError};

/// Oldest reader that understands what this release writes.
const MINIMUM_READER: u16 = 1;
const MAGIC: [u8; 8] = *b"DTRAVELJ";
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;

/// The space being prepared for the next segment.
pub(super) const SPARE_FILE: &str = "spare.tmp";

/// Engine time of "no record yet", in ms.
pub(super) const NO_TIME_MS: i64 = i64::MIN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub journal: Uuid,
    pub node: u64,
    /// Where this segment continues the log.
    pub link: Link,
    /// Engine time of the newest record before this segment, in ms.
    pub before_ms: i64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10..12].copy_from_slice(&MINIMUM_READER.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.node.to_le_bytes());
        bytes[24..40].copy_from_slice(self.journal.as_bytes());
        bytes[40..48].copy_from_slice(&self.link.next.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.before_ms.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.link.previous.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of the file called `segment`.
    pub(super) fn decode(bytes: &[u8], segment: String) -> Result<Self, OpenError> {
        let Some(header) = bytes.first_chunk::<SEGMENT_HEADER_BYTES>().filter(|header| header.starts_with(&MAGIC))
        else {
            return Err(OpenError::Damaged { segment, offset: 0, why: "this is no journal segment" });
        };
        // Before the checksum, because a later format may have another header.
        let minimum_reader = u16::from_le_bytes(field(header, 10));
        if minimum_reader > FORMAT {
            return Err(OpenError::NewerFormat { segment, minimum_reader });
        }
        if crc32c::crc32c(&header[..60]) != u32::from_le_bytes(field(header, 60)) {
            return Err(OpenError::Damaged { segment, offset: 0, why: "the checksum of the header does not hold" });
        }
        Ok(Self {
            journal: Uuid::from_bytes(field(header, 24)),
            node: u64::from_le_bytes(field(header, 16)),
            link: Link {
                next: Position(u64::from_le_bytes(field(header, 40))),
                previous: u32::from_le_bytes(field(header, 56)),
            },
            before_ms: i64::from_le_bytes(field(header, 48)),
        })
    }
}

fn field<const N: usize>(header: &[u8; SEGMENT_HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

/// A segment file as the directory lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentFile {
    /// From the file's name.
    pub first: Position,
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
}

impl SegmentFile {
    pub(super) fn name(&self) -> String {
        file_name(self.first)
    }
}

pub(super) fn file_name(first: Position) -> String {
    format!("{:020}.seg", first.0)
}

/// All segments of a directory, oldest first. Other files are not ours to judge.
pub(super) fn list(dir: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(first) = name.to_str().and_then(|name| name.strip_suffix(".seg")) else { continue };
        let Ok(first) = first.parse().map(Position) else { continue };
        segments.push(SegmentFile { first, path: entry.path(), bytes: entry.metadata()?.len() });
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Zeros are written in pieces that are synced one by one, so that the sync of a batch never queues behind a whole
/// segment of them.
const ZERO_BYTES: usize = 1024 * 1024;

/// Creates the space of a segment: `bytes` zeros, or an empty file.
pub(super) fn create_space(disk: &dyn Disk, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
    let file = disk.create(path)?;
    fill_space(&*file, bytes, &AtomicBool::new(false))?;
    Ok(file)
}

/// Writes zeros from a file's beginning on. Ends early when they are no longer wanted.
pub(super) fn fill_space(file: &dyn DiskFile, bytes: u64, unwanted: &AtomicBool) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES.min(bytes as usize)];
    let mut offset = 0;
    while offset < bytes {
        if unwanted.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let piece = &zeros[..zeros.len().min((bytes - offset) as usize)];
        file.write_all_at(piece, offset)?;
        file.sync()?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// A directory by its name, and open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub dir: &'a Path,
    pub open: &'a dyn DiskDirectory,
}

/// Gives the space its header and its name, durably. Opens nothing.
pub(super) fn begin(
    disk: &dyn Disk,
    Place { dir, open }: Place<'_>,
    file: &dyn DiskFile,
    header: &SegmentHeader,
) -> io::Result<PathBuf> {
    file.write_all_at(&header.encode(), 0)?;
    file.sync()?;
    let path = dir.join(file_name(header.link.next));
    disk.rename(&dir.join(SPARE_FILE), &path)?;
    open.sync()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let link = Link { next: Position(123), previous: 0xdead_beef };
        SegmentHeader { journal: Uuid::from_u128(99), node: 3, link, before_ms: 5 }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_noticed() {
        let bytes = header().encode();
        let decode = |bytes: &[u8]| SegmentHeader::decode(bytes, String::new());
        assert_eq!(decode(&bytes).unwrap(), header());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_minimum_reader_is_told_apart_from_damage() {
        let mut bytes = header().encode();
        bytes[10] = 2;
        let newer = SegmentHeader::decode(&bytes, String::new());
        assert!(matches!(newer, Err(OpenError::NewerFormat { minimum_reader: 2, .. })));
    }
}
