//! A disk that fails when told to, and one that forgets at a power failure what was not synced.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use deeptravel_actors::journal::{Disk, DiskDirectory, DiskFile, LocalDisk};

/// What the disk does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Half of a write arrives, then it fails.
    Write,
    /// A write arrives, its sync fails.
    Sync,
    /// The thread that writes panics.
    Panic,
    /// Nothing can be written to a new file.
    Full,
    /// No file can be renamed.
    Rename,
    /// No file can be opened: the process has no descriptor left.
    Descriptors,
    /// A sync does not return until there is another fault or none.
    Stall,
}

#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    fault: Arc<(Mutex<Fault>, Condvar)>,
    /// Writes to files that were opened, not created, in order: offset and length.
    pub writes: Arc<Mutex<Vec<(u64, usize)>>>,
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    /// The space of the next segment, not the log itself.
    is_new: bool,
    file: Box<dyn DiskFile>,
}

impl FaultyDisk {
    pub fn set(&self, fault: Fault) {
        *self.fault.0.lock().unwrap() = fault;
        self.fault.1.notify_all();
    }

    fn fault(&self) -> Fault {
        *self.fault.0.lock().unwrap()
    }

    fn open_more(&self) -> io::Result<()> {
        const EMFILE: i32 = 24;
        if self.fault() == Fault::Descriptors { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) }
    }

    fn stall(&self) {
        let fault = self.fault.0.lock().unwrap();
        drop(self.fault.1.wait_while(fault, |fault| *fault == Fault::Stall).unwrap());
    }

    fn wrap(&self, file: Box<dyn DiskFile>, is_new: bool) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { disk: self.clone(), is_new, file })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_more()?;
        Ok(self.wrap(LocalDisk.create(path)?, true))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_more()?;
        Ok(self.wrap(LocalDisk.open(path)?, false))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.fault() == Fault::Rename {
            return Err(io::Error::other("the disk is broken"));
        }
        LocalDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
    fn open_directory(&self, dir: &Path) -> io::Result<Box<dyn DiskDirectory>> {
        self.open_more()?;
        LocalDisk.open_directory(dir)
    }
}

impl DiskFile for FaultyFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.disk.fault() {
            Fault::Full if self.is_new => return Err(io::ErrorKind::StorageFull.into()),
            Fault::Write if !self.is_new => {
                self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
                return Err(io::Error::other("the disk is broken"));
            }
            Fault::Panic if !self.is_new => panic!("planted"),
            _ => {}
        }
        if !self.is_new {
            self.disk.writes.lock().unwrap().push((offset, bytes.len()));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if !self.is_new {
            self.disk.stall();
        }
        if self.disk.fault() == Fault::Sync && !self.is_new {
            return Err(io::Error::other("the disk is broken"));
        }
        self.file.sync()
    }
}

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// A disk that loses power after a number of writes: of what was not synced, any sectors may be missing.
#[derive(Clone, Debug)]
pub struct MortalDisk {
    state: Arc<Mutex<Mortal>>,
}

#[derive(Debug)]
struct Mortal {
    writes_left: u32,
    dead: bool,
    /// What stood in each sector of a file before it was written without a sync since.
    unsynced: BTreeMap<(PathBuf, u64), Vec<u8>>,
    names: BTreeMap<PathBuf, Arc<Mutex<PathBuf>>>,
}

#[derive(Debug)]
struct MortalFile {
    disk: MortalDisk,
    file: File,
    /// Follows renames.
    path: Arc<Mutex<PathBuf>>,
}

fn dead() -> io::Error {
    io::Error::other("the power is off")
}

impl MortalDisk {
    pub fn new(writes_left: u32) -> Self {
        let state = Mortal { writes_left, dead: false, unsynced: BTreeMap::new(), names: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Takes back the unsynced sectors for which `lost` says so. To be called when nothing writes any more.
    pub fn power_off(&self, mut lost: impl FnMut() -> bool) {
        let mut state = self.state.lock().unwrap();
        state.dead = true;
        for ((path, offset), before) in std::mem::take(&mut state.unsynced) {
            if lost() && path.exists() {
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all_at(&before, offset).unwrap();
            }
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.state.lock().unwrap().dead { Err(dead()) } else { Ok(()) }
    }

    fn file(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        self.alive()?;
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(create).open(path)?;
        let name = Arc::new(Mutex::new(path.to_owned()));
        self.state.lock().unwrap().names.insert(path.to_owned(), Arc::clone(&name));
        Ok(Box::new(MortalFile { disk: self.clone(), file, path: name }))
    }
}

impl Disk for MortalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(path, true)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(path, false)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?;
        let mut state = self.state.lock().unwrap();
        if let Some(name) = state.names.remove(from) {
            to.clone_into(&mut name.lock().unwrap());
            state.names.insert(to.to_owned(), name);
        }
        LocalDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        LocalDisk.remove(path)
    }
    fn open_directory(&self, _: &Path) -> io::Result<Box<dyn DiskDirectory>> {
        self.alive()?;
        Ok(Box::new(self.clone()))
    }
}

impl DiskDirectory for MortalDisk {
    fn sync(&self) -> io::Result<()> {
        self.alive()
    }
}

impl DiskFile for MortalFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        let mut state = self.disk.state.lock().unwrap();
        if state.dead {
            return Err(dead());
        }
        let end = offset + bytes.len() as u64;
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let at = sector * SECTOR_BYTES;
            let mut before = vec![0; SECTOR_BYTES as usize];
            let read = self.file.read_at(&mut before, at)?;
            before.truncate(read);
            state.unsynced.entry((path.clone(), at)).or_insert(before);
        }
        FileExt::write_all_at(&self.file, bytes, offset)?;
        // The power fails after the write and before its sync.
        state.dead = state.writes_left == 0;
        state.writes_left = state.writes_left.saturating_sub(1);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        let mut state = self.disk.state.lock().unwrap();
        if state.dead {
            return Err(dead());
        }
        state.unsynced.retain(|(unsynced, _), _| *unsynced != path);
        Ok(())
    }
}
