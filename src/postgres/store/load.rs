//! From Postgres to rows.

use std::collections::HashMap;

use deadpool_postgres::{GenericClient, Transaction};
use deeptravel_actors::ports::{StoredDeparture, Warm};
use deeptravel_actors::rows::QuarantineRow;
use deeptravel_domain::catalogue::rows::{
    HolidayRow, OperatorRow, PlaceRow, PortRow, RouteFaresRow, RouteRow, Row as CatalogueRow, ScheduleRow, VehicleRow,
};
use deeptravel_domain::identity::rows::IdentityRows;
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::rows::{
    LedgerRow, OrderItemRow, OrderRow, OrderRows, PassengerRow, PaymentRow, RedemptionRow, RefundRow, TicketRow,
};
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::ToSql;

use super::codec::{BigInt, Codec};
use super::table::{Table, positions, sql};
use crate::postgres::{Session, StoreError};

/// Orders that are loaded with one statement per table: a few MiB of rows at a time.
const ORDERS_AT_ONCE: usize = 5_000;

/// A transaction in which all statements see the database as it is at one instant.
pub(in crate::postgres) async fn snapshot(session: &mut Session) -> Result<Transaction<'_>, StoreError> {
    let transaction = session.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    Ok(transaction.start().await?)
}

/// The rows that a statement answers.
pub(super) async fn rows<T: Table>(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<T>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let positions = positions::<T>(statement.columns());
    let answer = client.query_raw(&statement, parameters.iter().copied()).await?;
    pin_mut!(answer);
    let mut rows = Vec::new();
    while let Some(row) = answer.try_next().await? {
        rows.push(T::get(&row, &positions)?);
    }
    Ok(rows)
}

/// The first column of the rows that a statement answers, such as ids.
pub(in crate::postgres) async fn texts(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<String>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let answer = client.query(&statement, parameters).await?;
    Ok(answer.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

pub(super) async fn departure(client: &impl GenericClient, id: &str) -> Result<Option<StoredDeparture>, StoreError> {
    let departures: Vec<DepartureRow> = rows(client, sql!("load/departure.sql"), &[&id]).await?;
    let Some(departure) = departures.into_iter().next() else { return Ok(None) };
    let holds = rows(client, sql!("load/holds_of_departure.sql"), &[&id]).await?;
    Ok(Some(StoredDeparture { departure, holds }))
}

pub(super) async fn departures_after(
    client: &impl GenericClient,
    after: jiff::Timestamp,
) -> Result<Vec<StoredDeparture>, StoreError> {
    let departures: Vec<DepartureRow> = rows(client, sql!("load/departures_after.sql"), &[&after]).await?;
    let holds: Vec<HoldRow> = rows(client, sql!("load/holds_after.sql"), &[&after]).await?;

    let mut of_departure: HashMap<String, Vec<HoldRow>> = HashMap::with_capacity(departures.len());
    for hold in holds {
        match of_departure.get_mut(&hold.departure_id) {
            Some(known) => known.push(hold),
            None => drop(of_departure.insert(hold.departure_id.clone(), vec![hold])),
        }
    }
    let stored = |departure: DepartureRow| {
        let holds = of_departure.remove(&departure.departure_id).unwrap_or_default();
        StoredDeparture { departure, holds }
    };
    Ok(departures.into_iter().map(stored).collect())
}

/// The orders among `ids` that exist, oldest first. Without attempts and audit, which no order reads back.
pub(super) async fn orders(client: &impl GenericClient, ids: &[String]) -> Result<Vec<OrderRows>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(ORDERS_AT_ONCE) {
        let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
        let (mut orders, payments, redemptions, ledger) = tokio::try_join!(
            Orders::load(client, ids),
            rows(client, sql!("load/payments.sql"), &parameters),
            rows(client, sql!("load/redemptions.sql"), &parameters),
            rows(client, sql!("load/ledger_entries.sql"), &parameters),
        )?;
        orders.add(payments, |row: &PaymentRow| &row.order_id, |order| &mut order.payments);
        orders.add(redemptions, |row: &RedemptionRow| &row.order_id, |order| &mut order.redemptions);
        orders.add(ledger, |row: &LedgerRow| &row.order_id, |order| &mut order.ledger);
        found.append(&mut orders.found);
    }
    Ok(found)
}

/// What a list shows of the orders among `ids` that exist: orders, items, passengers, tickets and refunds.
pub(in crate::postgres) async fn order_summaries(
    client: &impl GenericClient,
    ids: &[String],
) -> Result<Vec<OrderRows>, StoreError> {
    Ok(Orders::load(client, ids).await?.found)
}

/// The refunds that a list's statement answers.
pub(in crate::postgres) async fn refunds(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<RefundRow>, StoreError> {
    rows(client, sql, parameters).await
}

/// The notices that a list's statement answers.
pub(in crate::postgres) async fn notices(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<QuarantineRow>, StoreError> {
    rows(client, sql, parameters).await
}

/// Orders to which the rows of further tables are added.
struct Orders {
    found: Vec<OrderRows>,
    places: HashMap<String, usize>,
}

impl Orders {
    async fn load(client: &impl GenericClient, ids: &[String]) -> Result<Orders, StoreError> {
        let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
        // All at once: the driver sends them one after the other and waits for none.
        let (mut orders, items, passengers, tickets, refunds) = tokio::try_join!(
            rows::<OrderRow>(client, sql!("load/orders.sql"), &parameters),
            rows(client, sql!("load/order_items.sql"), &parameters),
            rows(client, sql!("load/order_passengers.sql"), &parameters),
            rows(client, sql!("load/tickets.sql"), &parameters),
            rows(client, sql!("load/refunds.sql"), &parameters),
        )?;
        orders.sort_unstable_by(|a, b| a.order_id.cmp(&b.order_id));
        let places = orders.iter().enumerate().map(|(place, order)| (order.order_id.clone(), place)).collect();
        let found = orders.into_iter().map(|order| OrderRows { orders: vec![order], ..OrderRows::default() }).collect();

        let mut orders = Orders { found, places };
        orders.add(items, |row: &OrderItemRow| &row.order_id, |order| &mut order.items);
        orders.add(passengers, |row: &PassengerRow| &row.order_id, |order| &mut order.passengers);
        orders.add(tickets, |row: &TicketRow| &row.order_id, |order| &mut order.tickets);
        orders.add(refunds, |row: &RefundRow| &row.order_id, |order| &mut order.refunds);
        Ok(orders)
    }

    fn add<T>(
        &mut self,
        rows: Vec<T>,
        order_of: impl Fn(&T) -> &String,
        table: impl Fn(&mut OrderRows) -> &mut Vec<T>,
    ) {
        for row in rows {
            let order = self.places.get(order_of(&row)).and_then(|place| self.found.get_mut(*place));
            if let Some(order) = order {
                table(order).push(row);
            }
        }
    }
}

pub(super) async fn warm_orders(client: &impl GenericClient, warm: Warm) -> Result<Vec<OrderRows>, StoreError> {
    let (now, before) = (warm.now.to_jiff(), warm.departs_before.to_jiff());
    let bytes = [warm.bytes_max, Warm::ORDER_BYTES, Warm::TICKET_BYTES];
    let [most, order, ticket] = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let ids = texts(client, sql!("load/order_ids_warm.sql"), &[&now, &before, &most, &order, &ticket]).await?;
    orders(client, &ids).await
}

/// A row of the orders as the desks need it.
pub(super) struct DeskRow {
    pub(super) order_id: String,
    pub(super) traveller_id: String,
    pub(super) idempotency_key: String,
    pub(super) body_hash: Vec<u8>,
    pub(super) status: String,
}

pub(super) async fn desk_entries(client: &impl GenericClient, lowest_id: &str) -> Result<Vec<DeskRow>, StoreError> {
    let statement = client.prepare_cached(sql!("load/desk_entries.sql")).await?;
    let answer = client.query_raw(&statement, [&lowest_id]).await?;
    pin_mut!(answer);
    let mut entries = Vec::new();
    while let Some(row) = answer.try_next().await? {
        entries.push(DeskRow {
            order_id: row.try_get("order_id")?,
            traveller_id: row.try_get("traveller_id")?,
            idempotency_key: row.try_get("idempotency_key")?,
            body_hash: row.try_get("body_hash")?,
            status: row.try_get("status")?,
        });
    }
    Ok(entries)
}

pub(super) async fn catalogue(client: &impl GenericClient) -> Result<Vec<CatalogueRow>, StoreError> {
    let mut all = Vec::new();
    let operators: Vec<OperatorRow> = rows(client, sql!("load/operators.sql"), &[]).await?;
    all.extend(operators.into_iter().map(CatalogueRow::Operator));
    let ports: Vec<PortRow> = rows(client, sql!("load/ports.sql"), &[]).await?;
    all.extend(ports.into_iter().map(CatalogueRow::Port));
    let places: Vec<PlaceRow> = rows(client, sql!("load/places.sql"), &[]).await?;
    all.extend(places.into_iter().map(CatalogueRow::Place));
    let vehicles: Vec<VehicleRow> = rows(client, sql!("load/vehicles.sql"), &[]).await?;
    all.extend(vehicles.into_iter().map(CatalogueRow::Vehicle));
    let holidays: Vec<HolidayRow> = rows(client, sql!("load/holidays.sql"), &[]).await?;
    all.extend(holidays.into_iter().map(CatalogueRow::Holiday));
    let routes: Vec<RouteRow> = rows(client, sql!("load/routes.sql"), &[]).await?;
    all.extend(routes.into_iter().map(CatalogueRow::Route));
    let schedules: Vec<ScheduleRow> = rows(client, sql!("load/schedules.sql"), &[]).await?;
    all.extend(schedules.into_iter().map(CatalogueRow::Schedule));
    let fares: Vec<RouteFaresRow> = rows(client, sql!("load/route_fares.sql"), &[]).await?;
    all.extend(fares.into_iter().map(CatalogueRow::RouteFares));
    Ok(all)
}

/// With the newest version of any identity, also of the sessions that are not loaded.
pub(super) async fn identities(
    client: &impl GenericClient,
    now: jiff::Timestamp,
) -> Result<(IdentityRows, u64), StoreError> {
    let accounts = rows(client, sql!("load/accounts.sql"), &[]).await?;
    let sessions = rows(client, sql!("load/sessions_open.sql"), &[&now]).await?;
    let validators = rows(client, sql!("load/validator_sessions_open.sql"), &[&now]).await?;
    let newest = version(client, sql!("load/identity_version.sql")).await?;
    Ok((IdentityRows { accounts, sessions, validators }, newest))
}

/// With the newest version of any notice, also of those that are not loaded.
pub(super) async fn quarantine(
    client: &impl GenericClient,
    limit: i64,
) -> Result<(Vec<QuarantineRow>, u64), StoreError> {
    let notices = rows(client, sql!("load/quarantine.sql"), &[&limit]).await?;
    Ok((notices, quarantine_version(client).await?))
}

pub(super) async fn quarantined_notice(
    client: &impl GenericClient,
    id: &str,
) -> Result<Option<QuarantineRow>, StoreError> {
    let notices: Vec<QuarantineRow> = rows(client, sql!("load/quarantined_notice.sql"), &[&id]).await?;
    Ok(notices.into_iter().next())
}

async fn quarantine_version(client: &impl GenericClient) -> Result<u64, StoreError> {
    version(client, sql!("load/quarantine_version.sql")).await
}

async fn version(client: &impl GenericClient, sql: &str) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[]).await?;
    Ok(<BigInt as Codec<u64>>::get(&row, 0)?)
}
