//! Every table, and the writes that a batch of rows becomes.

mod catalogue;
mod identity;
mod inventory;
mod orders;

use deeptravel_actors::ports::StoreError;
use deeptravel_actors::rows::Rows;

use super::table::{Table, newest};
use super::wire::{Copy, Upsert};

/// What one batch writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) copies: Vec<Copy>,
    pub(super) upserts: Vec<Upsert>,
}

/// Whether rows that are marked as the first images of theirs are taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    Believed,
    Ignored,
}

/// At most one copy and one upsert per table that has rows in the batch.
pub(super) fn writes(rows: &Rows, marks: Marks) -> Result<Writes, StoreError> {
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
    let mut writes = Writes::default();
    writes.add(departures, marks)?;
    writes.add(holds, marks)?;
    writes.add(orders, marks)?;
    writes.add(order_items, marks)?;
    writes.add(passengers, marks)?;
    writes.add(payments, marks)?;
    writes.add(refunds, marks)?;
    writes.add(tickets, marks)?;
    writes.add(redemptions, marks)?;
    writes.add(scan_attempts, marks)?;
    writes.add(ticket_audit, marks)?;
    writes.add(ledger, marks)?;
    writes.add(accounts, marks)?;
    writes.add(sessions, marks)?;
    writes.add(validator_sessions, marks)?;
    writes.add(quarantine, marks)?;
    writes.add(operators, marks)?;
    writes.add(ports, marks)?;
    writes.add(places, marks)?;
    writes.add(vehicles, marks)?;
    writes.add(holidays, marks)?;
    writes.add(routes, marks)?;
    writes.add(schedules, marks)?;
    writes.add(route_fares, marks)?;
    Ok(writes)
}

impl Writes {
    fn add<T: Table>(&mut self, rows: &[T], marks: Marks) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let data = |error| StoreError::Data(format!("a row for {}: {error}", T::UPSERT.0));
        if marks == Marks::Believed && rows.iter().all(T::is_first) {
            // The usual case under load. Were there two first images of a row, the table would refuse them.
            self.copies.push(Copy::of(rows.iter()).map_err(data)?);
            return Ok(());
        }
        let (first, others): (Vec<_>, Vec<_>) =
            newest(rows).into_iter().partition(|image| marks == Marks::Believed && image.first);
        if !first.is_empty() {
            self.copies.push(Copy::of(first.into_iter().map(|image| image.row)).map_err(data)?);
        }
        if !others.is_empty() {
            self.upserts.push(Upsert::of(others.into_iter().map(|image| image.row)).map_err(data)?);
        }
        Ok(())
    }
}
