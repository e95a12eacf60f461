//! Who else may look into the directories that hold what people trust us with.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context, bail};

/// Reading and writing by anybody but the owner. Passing through stays as it is: the account of the private Postgres may
/// have to.
const OTHERS: u32 = 0o066;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Takes from others what they could read or write in a directory of ours: `mine` is the name of something in it that only
/// we put there. A directory that is not ours is left as it is and refused.
pub(super) fn tighten(dir: &Path, mine: &str) -> anyhow::Result<()> {
    let found = fs::metadata(dir).with_context(|| format!("looking at {}", dir.display()))?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if !is_ours(dir, &found, mine)? {
        bail!(
            "others can read or write in {} (mode {mode:o}): name a directory of its own, or `chmod go-rw` it",
            dir.display()
        );
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(mode & !OTHERS))
        .with_context(|| format!("others can read or write in {}, and it cannot be changed", dir.display()))?;
    tracing::warn!(mode = format!("{mode:o}"), "Others could read or write in {}; now they cannot", dir.display());
    Ok(())
}

/// Its owner is who we are, nobody shares it, and it is new or was ours before.
fn is_ours(dir: &Path, found: &Metadata, mine: &str) -> anyhow::Result<bool> {
    let mode = found.permissions().mode();
    let is_shared = mode & OTHERS_WRITE == OTHERS_WRITE || mode & STICKY != 0;
    let is_owned = found.uid() == rustix::process::geteuid().as_raw();
    let mut inside = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    Ok(is_owned && !is_shared && (dir.join(mine).exists() || inside.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mode(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    fn mode(dir: &tempfile::TempDir) -> u32 {
        fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn fault_24_a_directory_of_ours_that_others_can_read_is_tightened() {
        for (before, after) in [(0o755, 0o711), (0o750, 0o710), (0o700, 0o700), (0o711, 0o711), (0o775, 0o711)] {
            let dir = with_mode(before);
            tighten(dir.path(), "journal").unwrap();
            assert_eq!(mode(&dir), after, "new, {before:o}");

            let dir = with_mode(before);
            fs::create_dir(dir.path().join("journal")).unwrap();
            tighten(dir.path(), "journal").unwrap();
            assert_eq!(mode(&dir), after, "ours, {before:o}");
        }
    }

    #[test]
    fn fault_24_a_directory_that_others_have_a_share_in_is_refused_and_left() {
        for (before, name) in [(0o1777, "journal"), (0o777, "journal"), (0o755, "somebody's")] {
            let dir = with_mode(before);
            fs::create_dir(dir.path().join(name)).unwrap();
            let refused = tighten(dir.path(), "journal").unwrap_err().to_string();
            assert!(refused.contains("chmod"), "{refused}");
            assert_eq!(mode(&dir), before);
        }
    }
}
