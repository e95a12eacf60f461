//! What the journal asks of a disk, as a trait, so that tests can make it fail. Reading goes through `std::fs`: a
//! failed read harms nothing that was acknowledged.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Records name people: only the owner reads them, whatever the directory above allows.
const FILE_MODE: u32 = 0o600;

/// A directory's worth of files that can be written durably.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file for writing that nobody else may read; one of that name is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file; durable after [`Disk::sync_directory`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable after [`Disk::sync_directory`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Opens a directory, so that its entries can be made durable without opening it again.
    fn open_directory(&self, dir: &Path) -> io::Result<Box<dyn DiskDirectory>>;
    /// Makes the directory's entries durable.
    fn sync_directory(&self, dir: &Path) -> io::Result<()> {
        self.open_directory(dir)?.sync()
    }
}

/// An open directory.
pub trait DiskDirectory: Send + Sync + fmt::Debug {
    /// Makes its entries durable.
    fn sync(&self) -> io::Result<()>;
}

/// A file open for writing.
pub trait DiskFile: Send + fmt::Debug {
    /// Writes all bytes at the offset, extending the file if it is shorter.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written, and the length needed to read it, durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
}

/// The local file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(LocalFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn open_directory(&self, dir: &Path) -> io::Result<Box<dyn DiskDirectory>> {
        Ok(Box::new(LocalDirectory(File::open(dir)?)))
    }
}

#[derive(Debug)]
struct LocalDirectory(File);

impl DiskDirectory for LocalDirectory {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
