//! The segments of a running journal, oldest first; the last one is being written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Mutex;

use super::disk::{Disk, DiskDirectory};
use super::lock;
use super::record::Position;
use super::segment::SegmentFile;
use super::space::Space;

/// Which segments are kept although nobody needs them any more (rule 11): those within both limits, as long as there is space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Keep at most this many bytes of segments that could go.
    pub bytes_max: u64,
    /// Keep none whose newest record is older than this engine time, in ms.
    pub since_ms: i64,
}

impl Retention {
    /// Keep nothing.
    pub const NONE: Self = Self { bytes_max: 0, since_ms: i64::MAX };
}

/// What selling needs before retention may have anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub space: Space,
    pub segment_bytes: u64,
}

impl Needs {
    /// What retention may keep of `releasable` bytes: so much that a whole segment fits below the share of new sales.
    /// On a full disk one segment less than there is: the next one can then be prepared.
    fn left_for_retention(&self, releasable: u64) -> u64 {
        let Space { used, exhausted, .. } = self.space;
        let needed = used.saturating_sub(releasable) + self.segment_bytes;
        let left = self.space.for_sales().saturating_sub(needed);
        if exhausted { left.min(releasable.saturating_sub(1)) } else { left }
    }
}

/// What [`super::Journal::release`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Number of segment files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest position that is left.
    pub oldest: Position,
}

/// Segments that somebody has yet to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Number of segment files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// How far those are who need the log.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// Postgres has everything up to here.
    pub projected: Position,
    /// Every follower has.
    pub followed: Position,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub file: SegmentFile,
    /// Engine time of the newest record before this segment, in ms.
    pub before_ms: i64,
}

#[derive(Debug)]
pub(super) struct Segments(Mutex<VecDeque<Entry>>);

impl Segments {
    pub(super) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self(Mutex::new(entries.into_iter().collect()))
    }

    /// A new active segment; `sealed_bytes` is the final length of the one before.
    pub(super) fn push(&self, entry: Entry, sealed_bytes: u64) {
        let mut entries = lock(&self.0);
        if let Some(sealed) = entries.back_mut() {
            sealed.file.bytes = sealed_bytes;
        }
        entries.push_back(entry);
    }

    pub(super) fn oldest(&self) -> Position {
        lock(&self.0).front().map_or(Position::NOTHING, |entry| entry.file.first)
    }

    /// The segment that a position belongs to; `None` if it was released.
    pub(super) fn holding(&self, position: Position) -> Option<SegmentFile> {
        lock(&self.0).iter().map(|entry| &entry.file).rev().find(|file| file.first <= position).cloned()
    }

    /// A file that is not there although nobody has released it.
    pub(super) fn missing(&self) -> Option<PathBuf> {
        let paths: Vec<PathBuf> = lock(&self.0).iter().map(|entry| entry.file.path.clone()).collect();
        let is_gone = |path: &PathBuf| path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let gone: Vec<PathBuf> = paths.into_iter().filter(is_gone).collect();
        // It may have been released meanwhile.
        let entries = lock(&self.0);
        gone.into_iter().find(|path| entries.iter().any(|entry| entry.file.path == *path))
    }

    /// Segments before the active one that are projected and have something after a position.
    pub(super) fn unread(&self, after: Position, projected: Position) -> Unread {
        let entries = lock(&self.0);
        let sealed = entries.iter().zip(entries.iter().skip(1));
        let unread = sealed.filter(|(_, next)| next.file.first > after.next() && next.file.first <= projected.next());
        unread.fold(Unread::default(), |Unread { segments, bytes }, (entry, _)| Unread {
            segments: segments + 1,
            bytes: bytes + entry.file.bytes,
        })
    }

    /// Deletes from the oldest on, so that a crash in between leaves no gap. Never the active one, and none that is not
    /// projected. What a follower has not read stays as long as there is space, whatever the retention says.
    pub(super) fn release(
        &self,
        disk: &dyn Disk,
        dir: &dyn DiskDirectory,
        Reached { projected, followed }: Reached,
        retention: Retention,
        needs: Needs,
    ) -> io::Result<Released> {
        let mut entries = lock(&self.0);
        let starts = || entries.iter().zip(entries.iter().skip(1));
        let is_projected = |next: &Entry| next.file.first <= projected.next();
        let mut kept: u64 = starts().filter(|(_, next)| is_projected(next)).map(|(entry, _)| entry.file.bytes).sum();
        let bytes_max = needs.left_for_retention(kept);
        let mut released = Released::default();
        for (entry, next) in starts().take_while(|(_, next)| is_projected(next)) {
            let is_unread = next.file.first > followed.next();
            let is_retained = kept <= retention.bytes_max && next.before_ms >= retention.since_ms;
            if kept <= bytes_max && (is_unread || is_retained) {
                break;
            }
            kept -= entry.file.bytes;
            released.segments += 1;
        }
        for done in 0..released.segments {
            let Some(entry) = entries.front() else { break };
            if let Err(error) = disk.remove(&entry.file.path) {
                if done > 0 {
                    dir.sync()?;
                }
                return Err(error);
            }
            released.bytes += entries.pop_front().map_or(0, |entry| entry.file.bytes);
        }
        if released.segments > 0 {
            dir.sync()?;
        }
        released.oldest = entries.front().map_or(Position::NOTHING, |entry| entry.file.first);
        Ok(released)
    }
}
