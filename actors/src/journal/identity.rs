//! The file `identity`: whose journal this is, its epoch, whether its tail was cut since Postgres was last asked,
//! whose place it has taken, and whether its time was reset. Plain text, one field a line and a checksum, so that an operator
//! can read it; replaced as a whole. A field that a journal does not need has no line, so that an older release reads the
//! file.

use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::OpenError;
use super::disk::Disk;
use super::frame::Frame;
use super::record::{Malformed, Position};
use super::segment::{NO_TIME_MS, SegmentHeader};

pub(super) const FILE: &str = "identity";
pub(super) const TEMPORARY_FILE: &str = "identity.tmp";
const TITLE: &str = "deeptravel journal 1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub journal: Uuid,
    pub node: u64,
    /// Raised at every start above the database's.
    pub epoch: u64,
    /// The last position that survived a cut which has not been compared with Postgres yet.
    pub cut: Option<Position>,
    pub adopted: Option<Adopted>,
    pub time: TimeBase,
}

/// From where the records are believed about engine time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeBase {
    /// What was written up to here was written with a wrong clock, and says nothing.
    pub up_to: Position,
    /// Engine time then, in ms, as somebody has said.
    pub ms: i64,
}

impl TimeBase {
    /// All are believed.
    pub(super) const ALL: Self = Self { up_to: Position::NOTHING, ms: NO_TIME_MS };

    /// The newest engine time, in ms, that a frame knows of.
    pub(super) fn of_frame(self, frame: &Frame<'_>) -> Result<i64, Malformed> {
        if frame.header.first <= self.up_to {
            return frame.records().try_fold(self.ms, |ms, record| record.map(|_| ms));
        }
        frame.records().try_fold(self.ms, |newest, record| Ok(newest.max(record?.1.at_ms)))
    }

    /// The newest engine time, in ms, that a segment's header knows of.
    pub(super) fn of_header(self, header: &SegmentHeader) -> i64 {
        // One that begins just behind may have been begun before.
        if header.link.next > self.up_to.next() { self.ms.max(header.before_ms) } else { self.ms }
    }

    fn to_line(self) -> String {
        if self == Self::ALL { String::new() } else { format!("time {} {}\n", self.up_to, self.ms) }
    }

    fn parse(fields: &str) -> Option<Self> {
        let (up_to, ms) = fields.split_once(' ')?;
        Some(Self { up_to: Position(up_to.parse().ok()?), ms: ms.parse().ok()? })
    }
}

/// How far a database has followed which journal, and the epoch of the server that last held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub journal: Uuid,
    pub position: Position,
    pub epoch: u64,
}

/// This journal has taken the place of one that was lost or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// What the database said then: from there this journal goes on.
    pub seen: Seen,
    /// The first position of this journal: whatever stood before it was given up, for followers too.
    pub first: Position,
    /// Its segments stand in their places. Until then the next start goes on placing them.
    pub(super) placed: bool,
}

impl Adopted {
    fn to_line(self) -> String {
        let Seen { journal, position, epoch } = self.seen;
        let state = if self.placed { "placed" } else { "placing" };
        format!("adopted {journal} {position} {epoch} {} {state}\n", self.first)
    }

    fn parse(fields: &str) -> Option<Self> {
        let mut fields = fields.split(' ');
        let journal = fields.next()?.parse().ok()?;
        let mut number = || fields.next()?.parse().ok();
        let seen = Seen { journal, position: Position(number()?), epoch: number()? };
        let first = Position(number()?);
        Some(Self { seen, first, placed: fields.next()? == "placed" })
    }
}

impl Identity {
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let identity = Self::parse(&text);
                identity.map(Some).ok_or(OpenError::Identity { dir: dir.to_owned(), why: "the file does not read" })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(OpenError::Identity { dir: dir.to_owned(), why: "the file is no text" })
            }
            Err(error) => Err(OpenError::io("read", &path)(error)),
        }
    }

    /// Whether the database that has seen this is this journal's. Positions of two journals with the same id can be
    /// compared only while one of them has written. The database's epoch is above the journal's when it was last filled
    /// from a copy of this directory.
    pub(super) fn is_of(&self, seen: Seen) -> Result<(), OpenError> {
        if seen.journal != self.journal {
            return match self.adopted {
                // It has what that one had after this position.
                Some(Adopted { seen: then, .. })
                    if seen.journal == then.journal && seen.position <= then.position && seen.epoch <= then.epoch =>
                {
                    Ok(())
                }
                Some(_) | None => Err(OpenError::OtherJournal { ours: self.journal, followed: seen.journal }),
            };
        }
        if seen.epoch > self.epoch {
            return Err(OpenError::HeldByCopy { epoch: seen.epoch, ours: self.epoch });
        }
        match self.cut {
            Some(cut) if seen.position > cut => Err(OpenError::CutBefore { cut, seen: seen.position }),
            Some(_) | None => Ok(()),
        }
    }

    /// Replaces the file; durable when this returns.
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
        let (temporary, path) = (dir.join(TEMPORARY_FILE), dir.join(FILE));
        let write = || {
            let file = disk.create(&temporary)?;
            file.write_all_at(self.to_text().as_bytes(), 0)?;
            file.sync()?;
            disk.rename(&temporary, &path)?;
            disk.sync_directory(dir)
        };
        write().map_err(OpenError::io("write", &path))
    }

    fn to_text(self) -> String {
        let cut = self.cut.map_or_else(|| "none".to_owned(), |cut| cut.to_string());
        let adopted = self.adopted.map_or_else(String::new, Adopted::to_line);
        let (Self { journal, node, epoch, .. }, time) = (self, self.time.to_line());
        let fields = format!("{TITLE}\nid {journal}\nnode {node}\nepoch {epoch}\ncut {cut}\n{adopted}{time}");
        let crc = crc32c::crc32c(fields.as_bytes());
        format!("{fields}crc {crc:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().peekable();
        // A line of another name is left for the next field.
        let mut field = |name: &str| {
            let value = lines.peek()?.strip_prefix(name)?.strip_prefix(' ')?;
            lines.next();
            Some(value)
        };
        field("deeptravel").filter(|rest| *rest == "journal 1")?;
        let identity = Self {
            journal: field("id")?.parse().ok()?,
            node: field("node")?.parse().ok()?,
            epoch: field("epoch")?.parse().ok()?,
            cut: match field("cut")? {
                "none" => None,
                cut => Some(Position(cut.parse().ok()?)),
            },
            adopted: field("adopted").and_then(Adopted::parse),
            time: field("time").and_then(TimeBase::parse).unwrap_or(TimeBase::ALL),
        };
        // Written again it must be the same text, checksum included.
        (identity.to_text() == text).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_14_only_the_journal_that_filled_a_database_last_goes_on_with_it() {
        let ours =
            Identity { journal: Uuid::from_u128(1), node: 1, epoch: 5, cut: None, adopted: None, time: TimeBase::ALL };
        let seen = Seen { journal: ours.journal, position: Position(20), epoch: 5 };
        let says = |seen| ours.is_of(seen).map_err(|error| error.to_string());
        assert_eq!(says(seen), Ok(()));
        assert_eq!(says(Seen { epoch: 4, ..seen }), Ok(()), "an older backup, or a claim cut off");
        assert!(says(Seen { epoch: 6, ..seen }).unwrap_err().contains("a copy of it"));
        let other = Seen { journal: Uuid::nil(), ..seen };
        assert!(says(other).unwrap_err().contains("follows journal"));

        let adopted = Identity { adopted: Some(Adopted { seen: other, first: Position(9), placed: true }), ..ours };
        for (found, fits) in [
            (other, true),
            (Seen { position: Position(8), epoch: 3, ..other }, true),
            (Seen { position: Position(21), ..other }, false),
            (Seen { epoch: 6, ..other }, false),
            (seen, true),
        ] {
            assert_eq!(adopted.is_of(found).is_ok(), fits, "{found:?}");
        }
    }

    #[test]
    fn an_identity_reads_back_and_every_flipped_bit_is_noticed() {
        let seen = Seen { journal: Uuid::from_u128(4), position: Position(11), epoch: 8 };
        let adopted = |placed| Some(Adopted { seen, first: Position(12), placed });
        let reset = TimeBase { up_to: Position(40), ms: -3 };
        for (cut, adopted, time) in [
            (None, None, TimeBase::ALL),
            (Some(Position(17)), None, TimeBase::ALL),
            (None, adopted(false), TimeBase::ALL),
            (None, None, reset),
            (Some(Position(17)), adopted(true), reset),
        ] {
            let identity = Identity { journal: Uuid::from_u128(5), node: 2, epoch: 9, cut, adopted, time };
            let text = identity.to_text();
            assert_eq!(Identity::parse(&text), Some(identity));
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(flipped) = String::from_utf8(flipped) {
                    assert_eq!(Identity::parse(&flipped), None, "bit {bit}");
                }
            }
        }
    }
}
