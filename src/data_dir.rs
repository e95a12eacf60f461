//! The data directory, and who holds it: nothing in it is written before its lock is held.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Empty; only its lock means something.
const LOCK: &str = "lock";

/// A data directory that this process holds until this is dropped. The kernel frees it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct DataDir {
    pub path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes it if it is missing, and takes it for this process.
    pub fn hold(path: &Path) -> anyhow::Result<DataDir> {
        create_private(path)?;
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
}

/// A directory that only we can read. Those above it that are missing are as others are: the account of the private
/// Postgres has to pass through them.
pub fn create_private(dir: &Path) -> anyhow::Result<()> {
    let creating = || format!("creating {}", dir.display());
    if let Some(above) = dir.parent() {
        std::fs::create_dir_all(above).with_context(creating)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(creating)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_directory_is_made_below_ordinary_ones() {
        let place = tempfile::tempdir().unwrap();
        let (dir, ordinary) = (place.path().join("state/data"), place.path().join("ordinary"));
        std::fs::create_dir(&ordinary).unwrap();
        create_private(&dir).unwrap();
        create_private(&dir).unwrap();
        let mode = |dir: &Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
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
}
