//! The look that a server takes every second: whether database and journal still are what it has written. Whoever empties a
//! table or deletes a segment under it is noticed then, and not by the next customer.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use deeptravel_actors::journal::{Journal, Position};

use crate::postgres::{Database, Lane, StoreError, TableLook, look_at_tables, tables_with_rows};

/// Tables of which the first cannot have rows when none of the others has any: rows are never deleted. An order has seats,
/// or units of a package, or both.
const NEEDS: [(&str, &[&str]); 10] = [
    ("hold_rows", &["departures"]),
    ("reservation_rows", &["hold_rows"]),
    ("order_rows", &["departures", "stocks"]),
    ("order_rows", &["hold_rows", "stocks"]),
    ("payments", &["order_rows"]),
    ("ticket_rows", &["order_rows"]),
    ("ledger_entries", &["payments"]),
    ("refunds", &["payments"]),
    ("ticket_scans", &["ticket_rows"]),
    ("stock_holds", &["stocks"]),
];

/// What was seen of the projected tables.
#[derive(Debug, Default)]
pub struct Tables {
    with_rows: BTreeSet<String>,
    seen: BTreeMap<String, TableLook>,
}

/// A table of which something is missing.
#[derive(Debug, PartialEq, Eq)]
struct Suspect {
    name: String,
    /// Rows that were deleted one by one.
    deleted: i64,
}

impl Tables {
    /// Compares the tables with what they were at the last look. What cannot be read is looked at the next time.
    ///
    /// # Errors
    /// Names the tables that were emptied.
    pub async fn look(&mut self, database: &Database) -> anyhow::Result<()> {
        let looks = database.run(Lane::Wakes, |session| async move { look_at_tables(&*session).await }).await;
        let Ok(looks) = looks else { return Ok(()) };
        let suspects = self.suspects(&looks);
        if !suspects.is_empty() || self.seen.is_empty() {
            let Ok(with_rows) = with_rows(database, Lane::Wakes).await else { return Ok(()) };
            check_emptied(&suspects, &with_rows)?;
            self.with_rows = with_rows;
        }
        self.note(looks);
        Ok(())
    }

    /// Those that had rows, and have lost some or were written anew.
    fn suspects(&self, looks: &[TableLook]) -> Vec<Suspect> {
        let suspect = |now: &TableLook| {
            let before = self.seen.get(&now.name)?;
            let deleted = now.deleted - before.deleted;
            let lost = now.file != before.file || deleted > 0;
            (lost && self.with_rows.contains(&now.name)).then(|| Suspect { name: now.name.clone(), deleted })
        };
        looks.iter().filter_map(suspect).collect()
    }

    fn note(&mut self, looks: Vec<TableLook>) {
        let counted = looks.iter().filter(|look| look.live > 0).map(|look| look.name.clone());
        self.with_rows.extend(counted);
        self.seen = looks.into_iter().map(|look| (look.name.clone(), look)).collect();
    }
}

async fn with_rows(database: &Database, lane: Lane) -> Result<BTreeSet<String>, StoreError> {
    database.run(lane, |session| async move { tables_with_rows(&*session).await }).await
}

/// A table that was only rewritten has rows. Of one that has lost some an administrator has to know: the engine goes on with
/// what it has in memory.
fn check_emptied(suspects: &[Suspect], with_rows: &BTreeSet<String>) -> anyhow::Result<()> {
    let emptied: Vec<&str> =
        suspects.iter().map(|suspect| &*suspect.name).filter(|name| !with_rows.contains(*name)).collect();
    if !emptied.is_empty() {
        let tables = emptied.join(", ");
        bail!(
            "tables of the database were emptied under this server: {tables}; restore a backup, and its next start brings it \
             up to date"
        );
    }
    for Suspect { name, deleted } in suspects.iter().filter(|suspect| suspect.deleted > 0) {
        tracing::error!(table = %name, deleted, "Somebody else has deleted {deleted} rows of {name}");
    }
    Ok(())
}

/// At a start: a database that has followed the journal up to `seen` has the rows.
pub async fn check_filled(database: &Database, seen: Position) -> Result<anyhow::Result<()>, StoreError> {
    if seen == Position::NOTHING {
        return Ok(Ok(()));
    }
    let with_rows = with_rows(database, Lane::Projection).await?;
    Ok(emptied_before(&with_rows).map_or(Ok(()), |tables| {
        bail!(
            "the database says that it has everything up to position {seen}, and {tables}: it was emptied; restore a backup, \
             and the start brings it up to date"
        )
    }))
}

fn emptied_before(with_rows: &BTreeSet<String>) -> Option<String> {
    if with_rows.is_empty() {
        return Some("its tables are empty".to_owned());
    }
    let has_one = |needs: &[&str]| needs.iter().any(|name| with_rows.contains(*name));
    let gone = NEEDS.iter().find(|(has, needs)| with_rows.contains(*has) && !has_one(needs));
    gone.map(|(has, needs)| format!("{} is empty while {has} is not", needs.join(" and ")))
}

/// Whether all segments are there.
///
/// # Errors
/// Names one that is not.
pub async fn look_at_segments(journal: &Journal) -> anyhow::Result<()> {
    let journal = journal.clone();
    let missing = tokio::task::spawn_blocking(move || journal.missing()).await;
    match missing {
        Ok(Some(segment)) => bail!(
            "segment {} of the journal was deleted under this server: what it holds and the database has not yet is only in \
             memory",
            segment.display()
        ),
        Ok(None) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(name: &str, file: u32, live: i64, deleted: i64) -> TableLook {
        TableLook { name: name.to_owned(), file, live, deleted }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fault_22_a_table_that_had_rows_and_has_another_file_or_lost_some_is_looked_into() {
        let mut tables = Tables::default();
        assert_eq!(tables.suspects(&[look("order_rows", 1, 5, 0)]), [], "nothing is known yet");
        tables.note(vec![look("order_rows", 1, 5, 0), look("refunds", 2, 0, 0), look("payments", 3, 9, 4)]);
        assert_eq!(tables.suspects(&[look("order_rows", 1, 6, 0), look("payments", 3, 8, 4)]), []);
        let suspect = |name: &str, deleted| Suspect { name: name.to_owned(), deleted };
        assert_eq!(tables.suspects(&[look("order_rows", 7, 0, 0)]), [suspect("order_rows", 0)]);
        assert_eq!(tables.suspects(&[look("order_rows", 0, 0, 0)]), [suspect("order_rows", 0)], "dropped");
        assert_eq!(tables.suspects(&[look("payments", 3, 0, 13)]), [suspect("payments", 9)]);
        assert_eq!(tables.suspects(&[look("refunds", 8, 0, 0)]), [], "it never had any");
        assert_eq!(tables.suspects(&[look("payments", 3, 0, 0)]), [], "the counters were set to nothing");

        let suspects = [suspect("order_rows", 0), suspect("payments", 9)];
        assert!(check_emptied(&suspects, &set(&["order_rows", "payments"])).is_ok(), "rewritten, and some deleted");
        let error = check_emptied(&suspects, &set(&["payments"])).unwrap_err().to_string();
        assert!(error.contains("emptied under this server: order_rows;"), "{error}");
    }

    #[test]
    fn fault_22_a_start_refuses_tables_that_cannot_be_empty() {
        let sold = ["departures", "hold_rows", "order_rows", "payments", "ticket_rows", "ledger_entries"];
        assert_eq!(emptied_before(&set(&sold)), None);
        assert_eq!(emptied_before(&set(&["accounts", "ports"])), None, "nothing was sold yet");
        assert_eq!(emptied_before(&set(&["departures", "hold_rows", "order_rows"])), None, "nothing was paid yet");
        for gone in ["departures", "hold_rows", "order_rows", "payments"] {
            let left: Vec<&str> = sold.into_iter().filter(|name| *name != gone).collect();
            let says = emptied_before(&set(&left)).unwrap();
            assert!(says.starts_with(gone), "{says}");
        }
        assert_eq!(emptied_before(&set(&["stocks", "order_rows"])), None, "an order of packages alone");
        assert!(emptied_before(&set(&[])).is_some());
    }
}
