//! Whether the projected tables still are what was written: nobody but the projector writes them, and it deletes nothing
//! (architecture rule 12).

use std::collections::BTreeSet;

use deadpool_postgres::GenericClient;
use deeptravel_domain::tables;

use super::error::StoreError;

const LOOK: &str = include_str!("../../sql/queries/tables_look.sql");
const WITH_ROWS: &str = include_str!("../../sql/queries/tables_with_rows.sql");

/// What can be seen of a table without touching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLook {
    pub name: String,
    /// Another one after the table was emptied at once, or rewritten; 0: it is not there.
    pub file: u32,
    /// Somebody has read it to its end since it has this file.
    pub is_counted: bool,
    /// About how many rows there are. 0 also when nobody has counted.
    pub live: i64,
    /// Rows that were deleted since the counters began.
    pub deleted: i64,
}

/// Cheap enough for every second: it waits for no lock.
pub async fn look_at_tables(client: &impl GenericClient) -> Result<Vec<TableLook>, StoreError> {
    let statement = client.prepare_cached(LOOK).await?;
    let names: Vec<&str> = tables::stored().map(|table| table.name).collect();
    let rows = client.query(&statement, &[&names]).await?;
    let look = |row: &tokio_postgres::Row| -> Result<TableLook, StoreError> {
        Ok(TableLook {
            name: row.try_get("name")?,
            file: row.try_get("file")?,
            is_counted: row.try_get("is_counted")?,
            live: row.try_get("live")?,
            deleted: row.try_get("deleted")?,
        })
    };
    rows.iter().map(look).collect()
}

/// The projected tables that have rows.
pub async fn tables_with_rows(client: &impl GenericClient) -> Result<BTreeSet<String>, StoreError> {
    let statement = client.prepare_cached(WITH_ROWS).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get("name")).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::postgres::{Database, Lane, Session};
    use crate::testing::fresh_database;

    /// Generous for a busy machine.
    const COUNTED_WITHIN: Duration = Duration::from_secs(20);

    #[test]
    fn every_projected_table_is_looked_at() {
        for table in tables::stored() {
            assert!(WITH_ROWS.contains(&format!("(SELECT FROM {})", table.name)), "{} is left out", table.name);
        }
    }

    /// What the look says of a table, and whether it has rows.
    async fn now(session: &Session, table: &str) -> (TableLook, bool) {
        let looks = look_at_tables(&**session).await.unwrap();
        let look = looks.into_iter().find(|look| look.name == table).unwrap();
        (look, tables_with_rows(&**session).await.is_ok_and(|tables| tables.contains(table)))
    }

    #[test]
    fn fault_22_whatever_empties_a_table_is_seen_in_its_file_or_its_counters() {
        const FILL: &str = "INSERT INTO ports (port_code) SELECT n::text FROM generate_series(1, 50) AS n";
        let test_database = fresh_database().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let database = Database::new(runtime.handle().clone(), &test_database.access());
        let looking = database.run(Lane::Projection, |session| async move {
            let (empty, has_rows) = now(&session, "ports").await;
            assert!(empty.file > 0 && !has_rows);
            session.batch_execute(FILL).await?;
            let (filled, has_rows) = now(&session, "ports").await;
            assert!(filled.file == empty.file && has_rows);
            session.batch_execute("TRUNCATE ports").await?;
            let (truncated, has_rows) = now(&session, "ports").await;
            assert!(truncated.file != filled.file && !truncated.is_counted && !has_rows);

            session.batch_execute(FILL).await?;
            let (filled, has_rows) = now(&session, "ports").await;
            assert!(
                filled.file == truncated.file && !filled.is_counted && has_rows,
                "it shows although it has rows again"
            );
            session.batch_execute("VACUUM FULL ports").await?;
            let (rewritten, _) = now(&session, "ports").await;
            assert!(rewritten.file != filled.file && rewritten.is_counted);
            session.batch_execute("DELETE FROM ports").await?;
            // Counters are written some time after the session has become idle.
            let since = Instant::now();
            while now(&session, "ports").await.0.deleted < 50 {
                assert!(since.elapsed() < COUNTED_WITHIN, "{:?}", now(&session, "ports").await);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(!now(&session, "ports").await.1);
            session.batch_execute("DROP TABLE ports").await?;
            assert_eq!(now(&session, "ports").await.0.file, 0);
            Ok(())
        });
        runtime.block_on(looking).unwrap();
    }
}
