//! Records of the owners on their way into the journal.

use deeptravel_domain::time::Timestamp;
use prost::Message;

use crate::journal::{AppendError, Journal, KeyText, Position, Record, RecordHeader};
use crate::outage::Outage;
use crate::rows::{CODEC, KIND_ROWS, Rows};

/// One owner's way to write: its key and the version of its last record.
#[derive(Debug)]
pub struct KeyLog {
    journal: Journal,
    key: KeyText,
    version: u64,
    last: Position,
}

impl KeyLog {
    /// For an owner that wakes with rows up to `version` (0: it has none yet).
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

    /// Appends one decision. After an error the owner is ahead of its log and must end.
    pub fn append(&mut self, rows: &Rows, at: Timestamp) -> Result<Position, AppendError> {
        let header = RecordHeader {
            kind: KIND_ROWS,
            codec: CODEC,
            key: self.key.clone(),
            key_version: self.next_version(),
            at_ms: at.as_ms(),
        };
        let position = self.journal.append(&Record { header, payload: rows.encode_to_vec() })?;
        self.version += 1;
        self.last = self.last.max(position);
        Ok(position)
    }
}

impl KeyLog {
    /// The owner goes to sleep, everything being projected, or it becomes dormant, its version being kept with its state.
    /// After a fault the key stays known instead, so that its
    /// successor must reach the same version (rule 20).
    pub fn retire(&self) {
        self.journal.forget(&self.key);
    }
}
