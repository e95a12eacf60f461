//! What can go wrong, each with the sentence an operator needs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::record::Position;

/// Why a journal does not open. Nothing here repairs itself: except `Io` and `Locked` each needs a decision. A segment
/// is named by its file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// Another process (or another journal in this one) writes here.
    #[error("the journal in {} is in use: another process holds its lock", dir.display())]
    Locked { dir: PathBuf },
    /// The sizes make no sense.
    #[error("the journal's options do not fit: {0}")]
    Options(&'static str),
    /// The identity file is missing beside records, or does not read.
    #[error("the journal's identity in {} cannot be used: {why}", dir.display())]
    Identity { dir: PathBuf, why: &'static str },
    /// The directory, or a segment in it, belongs to another node.
    #[error("the journal belongs to node {found}, this is node {expected}")]
    OtherNode { expected: u64, found: u64 },
    /// A segment of another journal lies in the directory, whose identity file says which is expected.
    #[error("segment {segment} belongs to journal {found}, not to {expected}")]
    Foreign { segment: String, expected: Uuid, found: Uuid },
    /// Written by a later release in a way this one cannot read.
    #[error("segment {segment} needs a reader of format {minimum_reader} or later, this is {ours}", ours = super::FORMAT)]
    NewerFormat { segment: String, minimum_reader: u16 },
    /// Bytes before the end of the log do not read: the first frame that does not starts at `offset`. Restore the segment
    /// from a copy, or [adopt](super::adopt); do not cut it.
    #[error("segment {segment} is damaged at byte {offset}: {why}")]
    Damaged { segment: String, offset: u64, why: &'static str },
    /// Records between two segments are missing.
    #[error("segment {segment} starts at position {found}, but position {expected} is due: records are missing")]
    Gap { segment: String, expected: Position, found: Position },
    /// The database follows another journal.
    #[error(
        "the database follows journal {followed}, but the one in this data directory is {ours}: start on the data \
         directory that belongs to this database, or on an empty database"
    )]
    OtherJournal { ours: Uuid, followed: Uuid },
    /// The database was last filled from a copy of the journal.
    #[error(
        "the database was last held under epoch {epoch}, of which the journal in this data directory knows nothing \
         (epoch {ours}): another server has sold from a copy of it, go on with that one's data directory"
    )]
    HeldByCopy { epoch: u64, ours: u64 },
    /// The journal is older than the database.
    #[error(
        "the journal ends at position {last}, but Postgres has already seen {seen}: acknowledged records are missing"
    )]
    EndsBefore { last: Position, seen: Position },
    /// The tail was cut before what the database has seen, and positions were given anew since.
    #[error(
        "the journal was cut after position {cut}, but Postgres has already seen {seen}: acknowledged records are missing"
    )]
    CutBefore { cut: Position, seen: Position },
    /// The database is older than the oldest segment: what lies between was released.
    #[error("the journal's oldest record is {oldest}, but Postgres has seen only {seen}: restore a newer backup")]
    Released { oldest: Position, seen: Position },
}

impl OpenError {
    /// Whether records are missing or cannot be read, so that [adopting](super::adopt) is a way on when they cannot be got
    /// back. Not where something else has them: another directory, or a newer backup.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Identity { .. }
            | Self::Foreign { .. }
            | Self::Damaged { .. }
            | Self::Gap { .. }
            | Self::OtherJournal { .. }
            | Self::EndsBefore { .. }
            | Self::CutBefore { .. } => true,
            Self::Io { .. }
            | Self::Locked { .. }
            | Self::Options(_)
            | Self::OtherNode { .. }
            | Self::NewerFormat { .. }
            | Self::HeldByCopy { .. }
            | Self::Released { .. } => false,
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// Why a record was not taken. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The key's owner is not the only one, or skipped a version: the actor is to be discarded (rule 7).
    #[error("the key's next version is {expected}, not {got}")]
    WrongVersion { expected: u64, got: u64 },
    /// Larger than a record may be.
    #[error("a record of {bytes} bytes is above the limit of {max}")]
    TooLarge { bytes: usize, max: usize },
    /// The disk is behind: too many bytes wait for the writer.
    #[error("the disk is behind: {queued} bytes wait for it")]
    QueueFull { queued: usize },
    /// The journal's space or the disk is full.
    #[error("the journal has no space left")]
    NoSpace,
    /// What space is left is not for new sales (rule 11).
    #[error("the journal has no space left for new sales")]
    Rationed,
    /// The journal failed or was closed.
    #[error("the journal has stopped")]
    Stopped,
}

/// A key was registered with another version than the journal has handed out: its rows were read too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is at version {known} in the journal, its owner woke with {got}")]
pub struct RegisterError {
    pub known: u64,
    pub got: u64,
}

/// Why nothing more becomes durable. A record whose `wait` ends so may or may not be in the log after a restart.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalFailed {
    /// A write or sync failed: the process must exit and start again (rule 10).
    #[error("the journal could not {doing}")]
    Disk { doing: &'static str, source: Arc<io::Error> },
    /// The writer panicked.
    #[error("the journal's writer panicked")]
    WriterPanicked,
    /// Closed in good order before this position was reached.
    #[error("the journal was closed")]
    Closed,
}

impl JournalFailed {
    pub(super) fn disk(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, source: Arc::new(source) }
    }
}

/// Why a reader stops. It never skips. A segment is named by its file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records asked for were released.
    #[error("position {wanted} was released, the oldest is {oldest}")]
    Released { wanted: Position, oldest: Position },
    /// Asked to start after a position that does not exist yet.
    #[error("position {after} is not in the journal, it ends at {last}")]
    Beyond { after: Position, last: Position },
    /// Durable bytes do not read any more, from the frame that starts at `offset`.
    #[error("segment {segment} is damaged at byte {offset}: {why}")]
    Damaged { segment: String, offset: u64, why: &'static str },
    /// The disk refused.
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl ReadError {
    /// A file could not be opened: the records are there, and there may be a descriptor for them soon.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Io { doing, .. } => *doing == READER_OPENS,
            Self::Released { .. } | Self::Beyond { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// What a reader does when it comes to a segment.
pub(super) const READER_OPENS: &str = "open";
