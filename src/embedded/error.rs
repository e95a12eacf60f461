//! What can keep the private Postgres from running, each as one sentence that says what to do.

use std::io;
use std::path::PathBuf;

pub(super) type Result<T> = std::result::Result<T, EmbeddedError>;

/// Why the private Postgres did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL {oldest} or newer was found on this machine: install it (Debian: apt-get install postgresql), set \
         DEEPTRAVEL_PG_BINDIR to the directory of its initdb and postgres, or give a DATABASE_URL"
    )]
    ProgramsMissing { oldest: u32 },
    #[error("{} has no initdb and postgres of version {oldest} or newer", directory.display())]
    NotPrograms { directory: PathBuf, oldest: u32 },
    #[error(
        "{} was made by PostgreSQL {made_by}, which is not installed any more: install that version again, or move the \
         directory away to start from nothing", directory.display()
    )]
    MajorMissing { directory: PathBuf, made_by: u32 },
    #[error("setpriv was not found: install util-linux, or give a DATABASE_URL")]
    SetprivMissing,
    #[error(
        "Postgres cannot run as root and none of the accounts deeptravel, postgres and nobody exists: create one \
         (adduser --system deeptravel), or give a DATABASE_URL"
    )]
    NoAccount,
    #[error("this user (uid {uid}) has no name, which Postgres needs: add it to /etc/passwd, or give a DATABASE_URL")]
    NamelessUser { uid: u32 },
    #[error("HOME is not set, so there is no place for state: give a data directory")]
    NoHome,
    #[error(
        "Postgres runs as {account}, which cannot pass through {}: give a data directory elsewhere, for example below \
         /var/lib, or allow it with chmod o+x", directory.display()
    )]
    Unreachable { directory: PathBuf, account: String },
    #[error("{} holds files that are not ours: give an empty or new directory for Postgres", directory.display())]
    NotOurs { directory: PathBuf },
    #[error("another process uses {}: stop it first, or give another data directory", directory.display())]
    InUse { directory: PathBuf },
    #[error(
        "the Postgres processes {pids:?} of an earlier run still use {} after {waited_s} s: end them first",
        directory.display()
    )]
    StillHeld { directory: PathBuf, pids: Vec<i32>, waited_s: u64 },
    #[error("{program} could not make a new cluster: {output}")]
    Initialise { program: &'static str, output: String },
    #[error("Postgres ended while starting; the last lines of its log: {log}")]
    EndedWhileStarting { log: String },
    #[error("Postgres was not ready after {waited_s} s; the last lines of its log: {log}")]
    NotReady { waited_s: u64, log: String },
    #[error("could not {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl EmbeddedError {
    /// Adapter for `map_err`: `could not {doing} {path}`, with the system's error as the source.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// What a program printed, as part of a sentence.
pub(super) fn one_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" | ")
}
