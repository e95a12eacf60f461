//! The data directory, who holds it, and who else may look into it: nothing in it is written before its lock is held.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The journal's directory within it.
pub const JOURNAL: &str = "journal";

/// Empty; only its lock means something.
const LOCK: &str = "lock";
/// What a journal's directory has since it was first opened.
const JOURNAL_LOCK: &str = "lock";

/// Reading and writing by anybody but the owner. Passing through stays as it is: the account of the private Postgres may
/// have to.
const OTHERS: u32 = 0o066;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// A data directory that this process holds until this is dropped. The kernel frees it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct DataDir {
    pub path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes it if it is missing, sees to it that nobody else reads or writes in it, and takes it for this process.
    pub fn hold(path: &Path) -> anyhow::Result<DataDir> {
        make_ours(path, JOURNAL)?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let file = file.with_context(|| format!("data_dir: {}", lock.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(DataDir { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "data_dir: {} is in use: another process holds its lock; stop that first, or give another directory",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("data_dir: {}", lock.display())),
        }
    }

    /// The journal's directory, made if it is missing, for nobody else either.
    pub fn journal(&self) -> anyhow::Result<PathBuf> {
        let path = self.path.join(JOURNAL);
        make_ours(&path, JOURNAL_LOCK)?;
        Ok(path)
    }
}

/// Makes a directory that only we can read and write in, or takes that from others in one that is ours already. `mine` is
/// the name of something in it that only we put there.
fn make_ours(dir: &Path, mine: &str) -> anyhow::Result<()> {
    create_private(dir)?;
    tighten(dir, mine)
}

/// Those above it that are missing are as others are: the account of the private Postgres has to pass through them.
fn create_private(dir: &Path) -> anyhow::Result<()> {
    let creating = || format!("creating {}", dir.display());
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above).with_context(creating)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(creating)
}

/// A directory that is not ours is left as it is and refused.
fn tighten(dir: &Path, mine: &str) -> anyhow::Result<()> {
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

    fn mode(dir: &Path) -> u32 {
        fs::metadata(dir).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(dir: &Path, mode: u32) {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn with_mode(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), mode);
        dir
    }

    #[test]
    fn a_private_directory_is_made_below_ordinary_ones() {
        let place = tempfile::tempdir().unwrap();
        let (dir, ordinary) = (place.path().join("state/data"), place.path().join("ordinary"));
        fs::create_dir(&ordinary).unwrap();
        drop(DataDir::hold(&dir).unwrap());
        let held = DataDir::hold(&dir).unwrap();
        assert_eq!((mode(&dir), mode(&held.journal().unwrap())), (0o700, 0o700));
        assert_eq!(mode(dir.parent().unwrap()), mode(&ordinary), "others can pass through");
    }

    #[test]
    fn fault_8_a_directory_has_one_holder_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("data");
        let held = DataDir::hold(&dir).unwrap();
        let refused = DataDir::hold(&dir).unwrap_err().to_string();
        assert!(refused.contains("is in use: another process holds its lock"), "{refused}");
        drop(held);
        DataDir::hold(&dir).unwrap();
    }

    #[test]
    fn fault_24_a_directory_of_ours_that_others_can_read_is_tightened() {
        for (before, after) in [(0o755, 0o711), (0o750, 0o710), (0o700, 0o700), (0o711, 0o711), (0o775, 0o711)] {
            let dir = with_mode(before);
            drop(DataDir::hold(dir.path()).unwrap());
            assert_eq!(mode(dir.path()), after, "new, {before:o}");

            let dir = with_mode(0o700);
            let journal = DataDir::hold(dir.path()).unwrap().journal().unwrap();
            fs::write(journal.join(JOURNAL_LOCK), "").unwrap();
            set_mode(&journal, before);
            set_mode(dir.path(), before);
            DataDir::hold(dir.path()).unwrap().journal().unwrap();
            assert_eq!((mode(dir.path()), mode(&journal)), (after, after), "ours, {before:o}");
        }
    }

    #[test]
    fn fault_24_a_directory_that_others_have_a_share_in_is_refused_and_left() {
        for (before, name) in [(0o1777, JOURNAL), (0o777, JOURNAL), (0o755, "somebody's")] {
            let dir = with_mode(before);
            fs::create_dir(dir.path().join(name)).unwrap();
            let refused = DataDir::hold(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("chmod"), "{refused}");
            assert_eq!(mode(dir.path()), before);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written");
        }
    }
}
