//! The look that a server takes every second: whether database and journal still are what it has written. Whoever empties a
//! table or deletes a segment under it is noticed then, and not by the next customer.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use deeptravel_actors::journal::{Journal, Position};

use crate::postgres::{Database, Lane, StoreError, TableLook, look_at_tables, tables_with_rows};

/// Tables of which the first cannot have rows when none of the others has any: rows are never deleted. An order has seats,
/// or units of a package, or both; a partner's of units alone is paid without a payment.
const NEEDS: [(&str, &[&str]); 10] = [
    ("hold_rows", &["departures"]),
    ("reservation_rows", &["hold_rows"]),
    ("order_rows", &["departures", "stocks"]),
    ("order_rows", &["hold_rows", "stocks"]),
    ("payments", &["order_rows"]),
    ("ticket_rows", &["order_rows"]),
    ("ledger_entries", &["payments", "stocks"]),
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
    /// It is not there, or has another file into which nobody has copied its rows: what it has now came afterwards.
    is_anew: bool,
    /// Rows that were deleted one by one.
    deleted: i64,
}

impl Tables {
    /// Compares the tables with what they were at the last look; at the first, with what this server started from, because they
    /// may have been emptied while it read them. What cannot be read is looked at the next time. `seen`: what the database had
    /// at the start.
    ///
    /// # Errors
    /// Names the tables that were emptied.
    pub async fn look(&mut self, database: &Database, seen: Position) -> anyhow::Result<()> {
        let looks = database.run(Lane::Wakes, |session| async move { look_at_tables(&*session).await }).await;
        let Ok(looks) = looks else { return Ok(()) };
        let suspects = self.suspects(&looks);
        refuse_emptied(suspects.iter().filter(|suspect| suspect.is_anew))?;
        if !suspects.is_empty() || self.seen.is_empty() {
            let Ok(with_rows) = with_rows(database, Lane::Wakes).await else { return Ok(()) };
            if self.seen.is_empty() {
                refuse_emptied_before(seen, &with_rows)?;
            }
            refuse_emptied(suspects.iter().filter(|suspect| !with_rows.contains(&suspect.name)))?;
            report_deleted(&suspects);
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
            let has_moved = now.file != before.file;
            let suspect = Suspect { name: now.name.clone(), is_anew: has_moved && !now.is_counted, deleted };
            ((has_moved || deleted > 0) && self.with_rows.contains(&now.name)).then_some(suspect)
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

/// A table that was only rewritten has its rows, and somebody has counted them.
fn refuse_emptied<'a>(emptied: impl Iterator<Item = &'a Suspect>) -> anyhow::Result<()> {
    let emptied: Vec<&str> = emptied.map(|suspect| &*suspect.name).collect();
    if emptied.is_empty() {
        return Ok(());
    }
    let tables = emptied.join(", ");
    bail!(
        "tables of the database were emptied under this server: {tables}; restore a backup, and its next start brings it up \
         to date"
    )
}

/// Of a table that has lost some rows an administrator has to know: the engine goes on with what it has in memory.
fn report_deleted(suspects: &[Suspect]) {
    for Suspect { name, deleted, .. } in suspects.iter().filter(|suspect| suspect.deleted > 0) {
        tracing::error!(table = %name, deleted, "Somebody else has deleted {deleted} rows of {name}");
    }
}

/// At a start: a database that has followed the journal up to `seen` has the rows.
pub async fn check_filled(database: &Database, seen: Position) -> Result<anyhow::Result<()>, StoreError> {
    Ok(refuse_emptied_before(seen, &with_rows(database, Lane::Projection).await?))
}

fn refuse_emptied_before(seen: Position, with_rows: &BTreeSet<String>) -> anyhow::Result<()> {
    match emptied_before(with_rows).filter(|_| seen != Position::NOTHING) {
        None => Ok(()),
        Some(tables) => bail!(
            "the database says that it has everything up to position {seen}, and {tables}: it was emptied; restore a backup, \
             and the start brings it up to date"
        ),
    }
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
    use crate::testing::fresh_database;

    fn look(name: &str, file: u32, live: i64, deleted: i64) -> TableLook {
        TableLook { name: name.to_owned(), file, is_counted: true, live, deleted }
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
        let suspect = |name: &str, deleted| Suspect { name: name.to_owned(), is_anew: false, deleted };
        assert_eq!(tables.suspects(&[look("order_rows", 7, 0, 0)]), [suspect("order_rows", 0)]);
        assert_eq!(tables.suspects(&[look("payments", 3, 0, 13)]), [suspect("payments", 9)]);
        assert_eq!(tables.suspects(&[look("refunds", 8, 0, 0)]), [], "it never had any");
        assert_eq!(tables.suspects(&[look("payments", 3, 0, 0)]), [], "the counters were set to nothing");
    }

    #[test]
    fn fault_22_a_table_that_has_rows_again_since_it_was_emptied_is_not_taken_for_a_rewritten_one() {
        let mut tables = Tables::default();
        tables.note(vec![look("order_rows", 1, 5, 0)]);
        let rewritten = tables.suspects(&[look("order_rows", 2, 5, 0)]);
        assert!(!rewritten[0].is_anew);
        for (what, file) in [("emptied", 2), ("dropped", 0)] {
            let now = TableLook { is_counted: false, ..look("order_rows", file, 5, 0) };
            let suspects = tables.suspects(&[now]);
            assert!(suspects[0].is_anew, "{what}");
            let error = refuse_emptied(suspects.iter()).unwrap_err().to_string();
            assert!(error.contains("emptied under this server: order_rows;"), "{error}");
        }
        tables.note(vec![TableLook { is_counted: false, ..look("order_rows", 1, 5, 0) }]);
        assert_eq!(tables.suspects(&[look("order_rows", 1, 9, 0)]), [], "somebody has counted it for the first time");
    }

    #[test]
    fn fault_22_tables_that_are_emptied_while_a_server_starts_are_noticed_at_its_first_look() {
        let test_database = fresh_database().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let database = Database::new(runtime.handle().clone(), &test_database.access());
        let looks = |seen| runtime.block_on(async { Tables::default().look(&database, seen).await });
        let error = looks(Position(7)).unwrap_err().to_string();
        assert!(error.contains("up to position 7, and its tables are empty"), "{error}");
        looks(Position::NOTHING).unwrap();
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
