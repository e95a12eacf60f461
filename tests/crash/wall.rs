//! A wall clock that a test sets under a running server: libfaketime, for that one process. Its monotonic clock, Postgres
//! and the test keep the right time.

use std::path::{Path, PathBuf};

use crate::faketime;
use crate::server::Launch;

/// The wall clock of one server.
pub struct Wall {
    /// libfaketime reads the difference here.
    file: PathBuf,
}

impl Wall {
    /// Right, until it is set.
    pub fn new(dir: &Path) -> anyhow::Result<Wall> {
        let wall = Wall { file: dir.join("wall") };
        wall.set_wrong_by(0)?;
        Ok(wall)
    }

    /// From now on the server's wall clock is this many seconds ahead.
    pub fn set_wrong_by(&self, seconds: i32) -> anyhow::Result<()> {
        let unfinished = self.file.with_extension("new");
        std::fs::write(&unfinished, format!("{seconds:+}\n"))?;
        std::fs::rename(&unfinished, &self.file)?;
        Ok(())
    }

    /// The server that is started reads this clock.
    pub fn rule(&self, launch: Launch) -> anyhow::Result<Launch> {
        Ok(launch
            .with("LD_PRELOAD", faketime::library()?)
            .with("FAKETIME_TIMESTAMP_FILE", &self.file)
            .with("FAKETIME_NO_CACHE", "1")
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .with("NO_FAKE_STAT", "1"))
    }
}
