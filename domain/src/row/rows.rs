//! Many rows in one piece: what one decision changed, what a key wakes from, what a batch of the projector writes. The
//! same bytes all the way: a machine appends its rows here, the journal carries them as a record's payload, and several
//! payloads one after the other are rows again.

use std::fmt;

use super::message::{Message, Unreadable, write};
use super::{Damage, First, Row, TRUE, Table};

/// See the module's documentation. Each row is a field under its table's slot.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Rows {
    bytes: Vec<u8>,
}

/// Bytes of most decisions: a new order of one journey takes about so many.
const DECISION_BYTES: usize = 1024;

impl Rows {
    /// What was written as rows. The rows themselves are looked at when they are read.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Rows, Unreadable> {
        let mut rest: &[u8] = &bytes;
        while let Some(image) = next_image(&mut rest) {
            image?;
        }
        Ok(Rows { bytes })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends a row of which there may be earlier images.
    pub fn put<'a, R: Row<'a>>(&mut self, row: &R) {
        self.append(R::TABLE.slot, |out| row.put(out));
    }

    /// Appends the first image of a row.
    pub fn put_first<'a, R: Row<'a>>(&mut self, row: &R) {
        self.append(R::TABLE.slot, |out| {
            let start = out.len();
            row.put(out);
            match (R::TABLE.first, R::TABLE.columns.last()) {
                (First::Marked(tag), Some(last)) if last.tag > tag => mark_within(tag, start, out),
                (First::Marked(tag), _) => write::number(tag, TRUE, out),
                (First::Always | First::Unknown, _) => {}
            }
        });
    }

    /// Appends a row that may be the first image of its.
    pub fn put_as<'a, R: Row<'a>>(&mut self, is_first: bool, row: &R) {
        if is_first { self.put_first(row) } else { self.put(row) }
    }

    /// Appends an image that is there already.
    pub fn put_image(&mut self, slot: u32, image: &[u8]) {
        write::bytes(slot, image, &mut self.bytes);
    }

    fn append(&mut self, slot: u32, put: impl FnOnce(&mut Vec<u8>)) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(DECISION_BYTES);
        }
        write::within(slot, &mut self.bytes, put);
    }

    /// Keeps the room, for other rows.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends other rows.
    pub fn extend(&mut self, others: &Rows) {
        self.bytes.extend_from_slice(&others.bytes);
    }

    /// Every image with its table's slot, in the order in which they were appended.
    pub fn images(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        // It was looked at when it came, so nothing ends it early.
        std::iter::from_fn(move || next_image(&mut rest)?.ok())
    }

    /// The images of one table.
    pub fn images_of(&self, table: &Table) -> impl Iterator<Item = &[u8]> {
        self.images().filter(|(slot, _)| *slot == table.slot).map(|(_, image)| image)
    }

    /// Whether there are rows of a table. Looks at the beginning of each image only.
    pub fn has(&self, table: &Table) -> bool {
        self.images_of(table).next().is_some()
    }

    /// The rows of one table.
    pub fn of<'a, R: Row<'a>>(&'a self) -> impl Iterator<Item = Result<R, Damage>> {
        self.images_of(R::TABLE).map(R::read)
    }

    /// As [`Rows::of`], all of them.
    pub fn all<'a, R: Row<'a>>(&'a self) -> Result<Vec<R>, Damage> {
        self.of().collect()
    }

    /// As [`Rows::of`], of a table that has to have one row here.
    pub fn only<'a, R: Row<'a>>(&'a self) -> Result<R, Damage> {
        let rows: Vec<R> = self.all()?;
        let count = rows.len();
        let key = self.images_of(R::TABLE).next().map(|image| R::TABLE.key_text(image)).unwrap_or_default();
        let damage = || Damage { table: R::TABLE.name, key, what: format!("there are {count} of them") };
        rows.into_iter().next().filter(|_| count == 1).ok_or_else(damage)
    }
}

/// Marks the row that begins at `start`, of a table that has got columns since it has marks: theirs stand behind it.
fn mark_within(tag: u32, start: usize, out: &mut Vec<u8>) {
    let mut row = Message::new(out.get(start..).unwrap_or_default());
    let behind = row.take_all(tag).map_or(0, |_| row.rest().len());
    let mut mark = Vec::new();
    write::number(tag, TRUE, &mut mark);
    let place = out.len() - behind;
    out.splice(place..place, mark);
}

/// Slots do not rise from row to row, so each is read as a message of its own.
fn next_image<'a>(rest: &mut &'a [u8]) -> Option<Result<(u32, &'a [u8]), Unreadable>> {
    let mut message = Message::new(rest);
    let field = message.next_field().transpose()?;
    *rest = message.rest();
    Some(field.and_then(|(slot, raw)| Ok((slot, raw.bytes()?))))
}

/// How many of which: what is in them may be personal.
impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<u32> = self.images().map(|(slot, _)| slot).collect();
        f.debug_struct("Rows").field("slots", &slots).finish()
    }
}
