//! The file `identity`: whose journal this is, its epoch, and whether its tail was cut since Postgres was last asked.
//! Plain text, one field a line and a checksum, so that an operator can read it; replaced as a whole.

use std::fs;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::OpenError;
use super::disk::Disk;
use super::record::Position;

const FILE: &str = "identity";
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
        let fields = format!("{TITLE}\nid {}\nnode {}\nepoch {}\ncut {cut}\n", self.journal, self.node, self.epoch);
        let crc = crc32c::crc32c(fields.as_bytes());
        format!("{fields}crc {crc:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        field("deeptravel").filter(|rest| *rest == "journal 1")?;
        let identity = Self {
            journal: field("id")?.parse().ok()?,
            node: field("node")?.parse().ok()?,
            epoch: field("epoch")?.parse().ok()?,
            cut: match field("cut")? {
                "none" => None,
                cut => Some(Position(cut.parse().ok()?)),
            },
        };
        // Written again it must be the same text, checksum included.
        (identity.to_text() == text).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_and_every_flipped_bit_is_noticed() {
        for cut in [None, Some(Position(17))] {
            let identity = Identity { journal: Uuid::from_u128(5), node: 2, epoch: 9, cut };
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
