//! A database in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use deeptravel_domain::row::{Home, Rows, Table, Unreadable};
use deeptravel_domain::tables::by_slot;

/// The newest image of every row, by table and key: what a database holds that follows records.
#[derive(Clone, Debug, Default)]
pub struct Images {
    newest: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
}

impl Images {
    /// Takes rows over, unless they are not newer than what is there, or of the journal only.
    pub fn keep(&mut self, rows: &Rows) -> Result<(), Unreadable> {
        for (slot, image) in rows.images() {
            let table = by_slot(slot).ok_or(Unreadable)?;
            if table.home == Home::Journal {
                continue;
            }
            let (key, version) = (table.key(image)?, table.version(image)?);
            match self.newest.entry((slot, key)) {
                Entry::Occupied(mut known) => {
                    if table.version(known.get())? < version {
                        let image = table.filled(image, known.get())?.into_owned();
                        known.insert(table.unmarked(&image)?);
                    }
                }
                Entry::Vacant(place) => drop(place.insert(table.unmarked(image)?)),
            }
        }
        Ok(())
    }

    /// All rows of a table, by key.
    pub fn of(&self, table: &Table) -> impl DoubleEndedIterator<Item = &[u8]> {
        let (from, to) = ((table.slot, Vec::new()), (table.slot + 1, Vec::new()));
        self.newest.range(from..to).map(|(_, image)| image.as_slice())
    }

    /// Everything.
    pub fn all(&self) -> Rows {
        let mut rows = Rows::default();
        for ((slot, _), image) in &self.newest {
            rows.put_image(*slot, image);
        }
        rows
    }
}
