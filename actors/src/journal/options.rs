//! Sizes of a journal.

use std::time::Duration;

use serde::Deserialize;

use super::OpenError;
use super::frame::FRAME_HEADER_BYTES;
use super::lanes::LEADER_GRACE;
use super::segment::SEGMENT_HEADER_BYTES;
use super::space::RATIONED_PERCENT;

/// Default size of a segment file: large enough that rolling is rare, small enough to zero in a second.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Default space of a journal: days of records at a busy operator, and little on a server's disk.
const JOURNAL_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Default age of what is kept for a database that is restored from a backup.
const RETAIN_HOURS: u32 = 48;
/// A batch is closed at this size: larger writes no longer raise throughput, and a sync should stay short.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Largest record: one decision with thousands of rows (a batch of 5,000 tickets) fits.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records that wait for the writer: about a second of a slow disk. Above it `append` refuses instead of hoarding.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A turn of so many records is not waited for: a write and a sync are cheap beside it.
const TURN_RECORDS_MAX: u32 = 64;
/// Nor one of so long: it is long against a turn of a healthy event loop, and short for a client.
const TURN_MAX: Duration = LEADER_GRACE;
/// Start verifies at most the newest 2 GiB frame by frame (under two seconds); of older segments only the headers,
/// a reader that comes to them verifies their frames.
const VERIFY_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Sizes of a journal, all in bytes, and whose it is. What can be chosen is section `journal` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalOptions {
    /// Of what could go, the last hours are kept by whoever lets it go, up to a size: the lesser of both.
    pub retain_hours: u32,
    pub retain_bytes: u64,
    /// Space that all segments together may take. `append` refuses beyond it.
    pub max_bytes: u64,
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// The node that writes; a journal of another node is refused.
    #[serde(skip)]
    pub node: u64,
    /// A batch takes no further record beyond this size.
    #[serde(skip)]
    pub batch_bytes_max: usize,
    /// A batch that waits for the end of a turn no longer does with so many records, or after so long.
    #[serde(skip)]
    pub turn_records_max: u32,
    #[serde(skip)]
    pub turn_max: Duration,
    /// Largest encoded record; never more than a segment holds.
    #[serde(skip)]
    pub record_bytes_max: usize,
    /// Largest backlog before the writer.
    #[serde(skip)]
    pub queue_bytes_max: usize,
    /// How much of the newest segments is verified frame by frame at start.
    #[serde(skip)]
    pub verify_bytes: u64,
    /// Whether segments are written with zeros beforehand. Without it each sync also has to store a new length.
    #[serde(skip)]
    pub preallocate: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            retain_hours: RETAIN_HOURS,
            retain_bytes: JOURNAL_BYTES_MAX / 4,
            max_bytes: JOURNAL_BYTES_MAX,
            segment_bytes: SEGMENT_BYTES,
            node: 1,
            batch_bytes_max: BATCH_BYTES_MAX,
            turn_records_max: TURN_RECORDS_MAX,
            turn_max: TURN_MAX,
            record_bytes_max: RECORD_BYTES_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
            verify_bytes: VERIFY_BYTES,
            preallocate: true,
        }
    }
}

/// The smallest segment that makes sense, in bytes.
const SEGMENT_BYTES_MIN: u64 = 512;
/// A frame's length is 32 bits.
const SEGMENT_BYTES_LIMIT: u64 = 1024 * 1024 * 1024;

impl JournalOptions {
    /// What is kept must not use up the space that sales need.
    pub fn check(&self) -> Result<(), String> {
        let for_sales = self.max_bytes / 100 * RATIONED_PERCENT;
        let kept = self.retain_bytes.saturating_add(self.segment_bytes.saturating_mul(2));
        if kept < for_sales {
            return Ok(());
        }
        let kept = "journal.retain_bytes and two segments of journal.segment_bytes";
        Err(format!("{kept} must fit into {RATIONED_PERCENT} % of journal.max_bytes, where new sales stop"))
    }

    /// Checks the sizes and fits records and batches into a segment.
    pub(super) fn checked(mut self) -> Result<Self, OpenError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_LIMIT).contains(&self.segment_bytes) {
            return Err(OpenError::Options("a segment has 512 bytes to 1 GiB"));
        }
        if self.max_bytes < 2 * self.segment_bytes {
            return Err(OpenError::Options("a journal needs room for two segments"));
        }
        let frame_bytes_max = self.segment_bytes as usize - SEGMENT_HEADER_BYTES;
        self.batch_bytes_max = self.batch_bytes_max.clamp(FRAME_HEADER_BYTES, frame_bytes_max);
        self.record_bytes_max = self.record_bytes_max.min(frame_bytes_max - FRAME_HEADER_BYTES);
        Ok(self)
    }
}
