//! A record that announces something.

use deeptravel_domain::announcement::AnnouncementRow;
use deeptravel_domain::row::Rows;

use super::Failure;
use crate::journal::{KeyText, Position, Record};

/// See the module's documentation. What it announces is read once, for all who follow.
#[derive(Debug)]
pub struct Announcing {
    pub position: Position,
    /// Of whoever announces it.
    pub key: KeyText,
    announced: Result<Vec<AnnouncementRow>, String>,
}

impl Announcing {
    pub(super) fn new(position: Position, record: Record) -> Announcing {
        Announcing { position, key: record.header.key, announced: announced(record.payload) }
    }

    /// What it announces, in order. A fault if that cannot be read: each who follows comes to it by himself.
    pub fn rows(&self) -> Result<&[AnnouncementRow], Failure> {
        self.announced.as_deref().map_err(|why| Failure::Fault(format!("record {}: {why}", self.position)))
    }
}

fn announced(payload: Vec<u8>) -> Result<Vec<AnnouncementRow>, String> {
    let rows = Rows::from_bytes(payload).map_err(|_| "its payload is not rows".to_owned())?;
    rows.all().map_err(|damage| damage.to_string())
}
