//! A yardstick as a child process of ours: the same program, told to be one.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use super::Kind;
use crate::http::Target;

/// How to start it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// This program.
    pub program: PathBuf,
    pub kind: Kind,
    /// Of the answers' bodies, as measured of ours.
    pub answer_bytes: usize,
    /// Where `durable` writes.
    pub file: PathBuf,
}

/// Dropping it ends the process.
#[derive(Debug)]
pub struct Yardstick {
    child: Child,
    file: PathBuf,
    pub target: Target,
}

impl Yardstick {
    /// Returns when it listens.
    pub fn start(launch: &Launch) -> anyhow::Result<Yardstick> {
        let mut child = Command::new(&launch.program)
            .args(["yardstick", launch.kind.name(), "--with-parent"])
            .args(["--answer-bytes", &launch.answer_bytes.to_string()])
            .arg("--file")
            .arg(&launch.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {} as a yardstick", launch.program.display()))?;
        let mut line = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let file = launch.file.clone();
        let mut yardstick = Yardstick { child, file, target: Target::parse("http://127.0.0.1:1")? };
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            bail!("the {} yardstick did not start: {read:?}", launch.kind.name());
        };
        yardstick.target = Target::parse(url)?;
        Ok(yardstick)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}
