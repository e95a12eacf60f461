//! A record that announces something.

use std::sync::OnceLock;

use deeptravel_domain::announcement::AnnouncementRow;
use deeptravel_domain::row::Rows;

use super::Failure;
use crate::journal::{KeyText, Position, Record};

/// See the module's documentation. What it announces is read once, whoever follows.
#[derive(Debug)]
pub struct Announcing {
    pub position: Position,
    record: Record,
    announced: OnceLock<Result<Vec<AnnouncementRow>, String>>,
}

impl Announcing {
    pub(super) fn new(position: Position, record: Record) -> Announcing {
        Announcing { position, record, announced: OnceLock::new() }
    }

    /// Of whoever announces it.
    pub fn key(&self) -> &KeyText {
        &self.record.header.key
    }

    /// As it was written.
    pub fn payload(&self) -> &[u8] {
        &self.record.payload
    }

    /// What it announces, in order. A fault if that cannot be read.
    pub fn rows(&self) -> Result<&[AnnouncementRow], Failure> {
        let announced = self.announced.get_or_init(|| read(&self.record));
        announced.as_deref().map_err(|why| Failure::Fault(format!("record {}: {why}", self.position)))
    }
}

fn read(record: &Record) -> Result<Vec<AnnouncementRow>, String> {
    let rows = Rows::from_bytes(record.payload.clone()).map_err(|_| "its payload is not rows".to_owned())?;
    rows.all().map_err(|damage| damage.to_string())
}
