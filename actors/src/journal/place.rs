//! The files of a journal that takes another one's place: its segments stand beside the old ones until the identity makes
//! them the journal, and are put into their places then, or by whoever opens the directory next.

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::OpenError;
use super::disk::Disk;
use super::identity::{Adopted, Identity};
use super::recover::read_header;
use super::segment::{SegmentFile, list};

/// What a segment of the new journal is called after its position until it is one.
pub(super) const UNPLACED: &str = "adopting";

/// The old files of the journal that this one takes the place of.
pub(super) fn set_aside(dir: &Path, journal: Uuid) -> PathBuf {
    dir.join(format!("set-aside-for-{journal}"))
}

/// Ends an adoption that was interrupted, either way. Answers the identity as it is then.
pub(super) fn settle(disk: &dyn Disk, dir: &Path, found: Option<Identity>) -> Result<Option<Identity>, OpenError> {
    match found {
        Some(identity) if identity.adopted.is_some_and(|adopted| !adopted.placed) => {
            place(disk, dir, identity).map(Some)
        }
        // Nobody has begun, or what was begun is not to be.
        Some(_) | None => {
            for path in unplaced(dir).map_err(OpenError::io("list", dir))? {
                disk.remove(&path).map_err(OpenError::io("remove", &path))?;
            }
            Ok(found)
        }
    }
}

/// Puts the new segments into their places, and the old ones aside. Ended in between, it goes on where it was.
pub(super) fn place(disk: &dyn Disk, dir: &Path, identity: Identity) -> Result<Identity, OpenError> {
    let aside = set_aside(dir, identity.journal);
    let rename = |from: &Path, to: &Path| disk.rename(from, to).map_err(OpenError::io("rename", from));
    let is_new = |segment: &SegmentFile| read_header(segment).is_ok_and(|header| header.journal == identity.journal);
    for segment in list(dir).map_err(OpenError::io("list", dir))?.iter().filter(|segment| !is_new(segment)) {
        rename(&segment.path, &aside.join(segment.name()))?;
    }
    disk.sync_directory(&aside).map_err(OpenError::io("sync", &aside))?;
    for path in unplaced(dir).map_err(OpenError::io("list", dir))? {
        rename(&path, &path.with_extension("seg"))?;
    }
    disk.sync_directory(dir).map_err(OpenError::io("sync", dir))?;
    let adopted = identity.adopted.map(|adopted| Adopted { placed: true, ..adopted });
    let placed = Identity { adopted, ..identity };
    placed.write(disk, dir)?;
    Ok(placed)
}

fn unplaced(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == UNPLACED)).collect())
}
