//! libfaketime, which gives one process another wall clock.

use std::path::PathBuf;

use anyhow::Context as _;

/// The library that the process has to load first.
pub fn library() -> anyhow::Result<PathBuf> {
    let by_architecture = std::fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let dirs = by_architecture.map(|entry| entry.path()).chain([PathBuf::from("/usr/lib"), "/usr/local/lib".into()]);
    let found = dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.context("libfaketime is missing: install it, on Debian with 'apt-get install libfaketime' as root")
}
