//! Records of the owners on their way into the journal.

use deeptravel_domain::announcement::AnnouncementRow;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::time::Timestamp;

use crate::journal::{Admission, AppendError, Journal, KEY_BYTES_MAX, KeyText, Position, Record, RecordHeader, Share};
use crate::kind::{CODEC, Kind};
use crate::outage::Outage;

/// What is asked for one decision before its rows are known. The opening of a departure with a thousand seats together with
/// the largest order that can be wished for at it is smaller (a story); whoever exceeds it is written all the same.
pub const DECISION_BYTES: usize = 64 * 1024;
/// And for each of its events: the image of a hold or a ticket with what belongs to it is smaller.
const EVENT_BYTES: usize = 512;
/// A record without its payload is smaller.
const ENVELOPE_BYTES: usize = 64 + KEY_BYTES_MAX;

/// What cannot be written now, for want of space, is tried again by its owner after this long.
pub const PUT_OFF_MS: i64 = 1_000;

/// One owner's way to write: its key and the version of its last record.
#[derive(Debug)]
pub struct KeyLog {
    journal: Journal,
    key: KeyText,
    version: u64,
    last: Position,
}

impl KeyLog {
    /// For an owner that wakes with rows up to `version`. 0: it has no record of its own yet; it may have been born in
    /// another owner's.
    pub fn wake(journal: Journal, key: KeyText, version: u64) -> Result<KeyLog, Outage> {
        let last = journal.appended();
        if version > 0 {
            journal.register(&key, version).map_err(|error| {
                tracing::error!(key = %key, %error, "Rows of {key} are older than the journal");
                Outage::Rebuilding
            })?;
        }
        Ok(KeyLog { journal, key, version, last })
    }

    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// The version of the last record; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version that the next record will have.
    pub fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// Everything this owner has answered rests on records up to here.
    pub fn last(&self) -> Position {
        self.last
    }

    /// For an owner that comes back as it was: what it answered rested on this position only.
    pub fn rested_on(&mut self, last: Position) {
        self.last = last;
    }

    /// What was learned from another owner rests on its position.
    pub fn rests_on(&mut self, position: Position) {
        self.last = self.last.max(position);
    }

    /// Room for a decision of so many events whose rows are not known yet. To be asked for before anything changes:
    /// without it nothing has happened (rule 8).
    pub fn admit(&self, events: usize) -> Result<Admission, Outage> {
        let bytes = DECISION_BYTES + events * EVENT_BYTES;
        Ok(self.journal.admit(Share::Whole, bytes.min(self.journal.record_bytes_max()))?)
    }

    /// Whether a decision that bears these rows is not larger than a record can be.
    pub fn fits(&self, born: &Rows) -> bool {
        ENVELOPE_BYTES + DECISION_BYTES + born.as_bytes().len() <= self.journal.record_bytes_max()
    }

    /// As [`KeyLog::admit`], for rows that are known.
    pub fn admit_rows(&self, rows: &Rows) -> Result<Admission, Outage> {
        Ok(self.journal.admit(Share::Whole, ENVELOPE_BYTES + rows.as_bytes().len())?)
    }

    /// Appends one decision that was admitted. After an error the owner is ahead of its log and must end.
    pub fn append(&mut self, admission: Admission, rows: Rows, at: Timestamp) -> Result<Position, AppendError> {
        let header = RecordHeader {
            kind: Kind::of_rows(rows.has(AnnouncementRow::TABLE)).number(),
            codec: CODEC,
            key: self.key.clone(),
            key_version: self.next_version(),
            at_ms: at.as_ms(),
        };
        let position = admission.append(&Record { header, payload: rows.into_bytes() })?;
        self.version += 1;
        self.last = self.last.max(position);
        Ok(position)
    }

    /// The owner goes to sleep, everything being projected, or it becomes dormant, its version being kept with its
    /// state. After a fault the key stays known instead, so that its successor must reach the same version (rule 20).
    pub fn retire(&self) {
        self.journal.forget(&self.key);
    }
}

/// Whether a new sale may begin: its holds and its order follow in the share of everybody.
pub fn admit_sale(journal: &Journal) -> Result<(), Outage> {
    Ok(journal.admit(Share::Sales, DECISION_BYTES.min(journal.record_bytes_max())).map(drop)?)
}

impl From<AppendError> for Outage {
    fn from(error: AppendError) -> Outage {
        match error {
            AppendError::QueueFull { .. } => Outage::Overloaded,
            AppendError::NoSpace | AppendError::Rationed => Outage::JournalFull,
            AppendError::Stopped => Outage::Journal,
            AppendError::WrongVersion { .. } | AppendError::TooLarge { .. } => {
                tracing::error!(%error, "A record cannot be written: {error}");
                Outage::Journal
            }
        }
    }
}
