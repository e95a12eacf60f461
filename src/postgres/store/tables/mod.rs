//! Every table, and the batch of upserts that a batch of rows becomes.

mod catalogue;
mod identity;
mod inventory;
mod orders;

use deeptravel_actors::ports::StoreError;
use deeptravel_actors::rows::Rows;

use super::codec::Values;
use super::table::{Table, newest};

/// The newest rows of one table, ready to be sent.
#[derive(Debug)]
pub(super) struct Upsert {
    pub(super) sql: &'static str,
    /// One array per column.
    pub(super) columns: Vec<Values>,
}

/// One upsert per table that has rows in the batch.
pub(super) fn upserts(rows: &Rows) -> Result<Vec<Upsert>, StoreError> {
    // Named one by one, so that a new table cannot be forgotten here.
    let Rows {
        departures,
        holds,
        orders,
        order_items,
        passengers,
        payments,
        refunds,
        tickets,
        redemptions,
        scan_attempts,
        ticket_audit,
        ledger,
        accounts,
        sessions,
        validator_sessions,
        quarantine,
        operators,
        ports,
        places,
        vehicles,
        holidays,
        routes,
        schedules,
        route_fares,
    } = rows;
    let tables = [
        upsert(departures)?,
        upsert(holds)?,
        upsert(orders)?,
        upsert(order_items)?,
        upsert(passengers)?,
        upsert(payments)?,
        upsert(refunds)?,
        upsert(tickets)?,
        upsert(redemptions)?,
        upsert(scan_attempts)?,
        upsert(ticket_audit)?,
        upsert(ledger)?,
        upsert(accounts)?,
        upsert(sessions)?,
        upsert(validator_sessions)?,
        upsert(quarantine)?,
        upsert(operators)?,
        upsert(ports)?,
        upsert(places)?,
        upsert(vehicles)?,
        upsert(holidays)?,
        upsert(routes)?,
        upsert(schedules)?,
        upsert(route_fares)?,
    ];
    Ok(tables.into_iter().flatten().collect())
}

fn upsert<T: Table>(rows: &[T]) -> Result<Option<Upsert>, StoreError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let (path, sql) = T::UPSERT;
    let mut columns = T::empty();
    for row in newest(rows) {
        row.put(&mut columns).map_err(|error| StoreError::Data(format!("a row for {path}: {error}")))?;
    }
    Ok(Some(Upsert { sql, columns }))
}
