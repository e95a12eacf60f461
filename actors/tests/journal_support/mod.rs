//! What the journal's tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io;
use std::path::{Path, PathBuf};

use deeptravel_actors::journal::{
    AppendError, Disk, DiskDirectory, DiskFile, Journal, JournalOptions, KeyText, LocalDisk, OpenError, Opened,
    Position, Reached, Record, RecordHeader, Share,
};

/// Segments so small that a few records fill one.
pub fn small() -> JournalOptions {
    JournalOptions { segment_bytes: 4096, max_bytes: 1024 * 1024, ..JournalOptions::default() }
}

pub fn record(key: &str, version: u64, payload: &[u8]) -> Record {
    let key = KeyText::new(key).expect("a key");
    let header = RecordHeader { kind: 1, codec: 1, key, key_version: version, at_ms: 1_000 + version as i64 };
    Record { header, payload: payload.to_vec() }
}

/// What nobody but tests asks of a journal.
pub trait Shortcuts {
    /// Room for one record, and the record.
    fn append(&self, record: &Record) -> Result<Position, AppendError>;

    /// The version that the key's next record has to have: 1 if the key is not known.
    fn next_version(&self, key: &str) -> u64;
}

impl Shortcuts for Journal {
    fn append(&self, record: &Record) -> Result<Position, AppendError> {
        self.admit(Share::Whole, record.encoded_bytes())?.append(record)
    }

    fn next_version(&self, key: &str) -> u64 {
        match self.append(&record(key, 0, b"")) {
            Err(AppendError::WrongVersion { expected, .. }) => expected,
            other => panic!("no record has version 0: {other:?}"),
        }
    }
}

/// Waits on this thread.
pub fn wait(journal: &Journal, position: Position) {
    block_on(journal.wait(position)).expect("the journal works");
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Appends and waits, so that each record is a frame of its own.
pub fn append_frame(journal: &Journal, record: &Record) -> Position {
    let position = journal.append(record).expect("a record that is due");
    wait(journal, position);
    position
}

/// Postgres and everybody who follows have everything up to here.
pub fn all_at(position: Position) -> Reached {
    Reached { projected: position, followed: position }
}

/// Every record of the journal.
pub fn read_all(journal: &Journal, after: Position) -> Vec<(Position, Record)> {
    let mut reader = journal.reader(after).expect("a reader");
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(100, 10_000).expect("sound files");
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// Segment files, oldest first.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    files.sort();
    files
}

/// Opens, and closes again at once.
pub fn open_briefly(dir: &Path, options: &JournalOptions) -> Result<Opened, OpenError> {
    let (journal, opened) = Journal::open(dir, options.clone())?;
    journal.close().expect("nothing to write");
    Ok(opened)
}

/// Copies a journal's directory, lock file included.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// The local disk without syncing, for tests that open thousands of times and crash nothing.
#[derive(Debug)]
pub struct UnsyncedDisk;

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for UnsyncedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(LocalDisk.create(path)?)))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(LocalDisk.open(path)?)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
    fn open_directory(&self, _: &Path) -> io::Result<Box<dyn DiskDirectory>> {
        Ok(Box::new(UnsyncedDirectory))
    }
}

#[derive(Debug)]
struct UnsyncedDirectory;

impl DiskDirectory for UnsyncedDirectory {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for UnsyncedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
