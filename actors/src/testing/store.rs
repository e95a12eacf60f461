//! Postgres in memory: keeps to the contract of [`Store`], and is away, slow or at odds when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use deeptravel_domain::batch::rows::{BatchRow, BatchTicketsRow, OtaTicketRow};
use deeptravel_domain::batch::{BatchId, BatchState};
use deeptravel_domain::identity::rows::{AccountRow, SessionRow, ValidatorSessionRow};
use deeptravel_domain::ids::{DepartureId, OrderId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::{LedgerRow, OrderRow, PaymentRow, RefundRow, ScanRow, TicketRow};
use deeptravel_domain::partner::rows::PartnerReservationRow;
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::register::AuditRow;
use deeptravel_domain::reservation::ReservationRow;
use deeptravel_domain::row::{Kind, Message, Raw, Row, Rows, Table, Uuid};
use deeptravel_domain::stock::rows::StockRow;
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::webhook::rows::WebhookEventRow;

use super::{Images, StockAnswers};
use crate::desk::{DeskEntryRow, DeskReservationRow};
use crate::journal::Position;
use crate::lists::OrderIdRow;
use crate::partner::PartnerIdRow;
use crate::payment::TransactionRow;
use crate::ports::{Haste, KeyVersionRow, Load, Parameter, Statement, Store, StoreError, Warm};
use crate::stock::StockIdRow;

/// What Postgres does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Postgres {
    #[default]
    Up,
    /// Nothing can be reached.
    Away,
    /// Reads are served, projection does not get on.
    Behind,
    /// The next batch is committed, but the answer gets lost; then it is up.
    LosesAnswer,
    /// More than [`SLOW_RECORDS`] records at once take too long.
    Slow,
    /// Batches are refused for what is in them.
    Refusing,
    /// Whoever reads an order panics.
    Broken,
}

/// What a slow Postgres manages in the time that it is given.
const SLOW_RECORDS: u64 = 50;

#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    postgres: Postgres,
    position: Position,
    batches: usize,
    attempts: usize,
    /// A batch was committed and its answer got lost.
    in_doubt: bool,
    tables: Images,
}

/// An order's tables, as its owner reads them.
const ORDER: [&Table; 6] =
    [OrderRow::TABLE, PaymentRow::TABLE, RefundRow::TABLE, TicketRow::TABLE, ScanRow::TABLE, LedgerRow::TABLE];
const DEPARTURE: [&Table; 2] = [DepartureRow::TABLE, HoldRow::TABLE];

/// What the statements' files say, for the few that do more than to compare one column.
fn answer(tables: &Images, statement: &Statement, parameters: &[Parameter]) -> Rows {
    match (statement.name, statement.by, parameters) {
        (_, Some(column), [Parameter::Text(Some(key))]) => equal(tables, statement.table, column, key),
        (_, Some(column), [Parameter::Orders(orders)]) => {
            let mut rows = Rows::default();
            for order in orders {
                rows.extend(&of_order(tables, statement.table, column, *order));
            }
            rows
        }
        ("load/departures_after", None, [Parameter::Instant(Some(after))]) => {
            some(tables, |row: &DepartureRow<'_>| row.departs_at > *after)
        }
        ("load/holds_after" | "load/template_entitlements" | "load/template_pricing_tiers", None, _) => {
            all(tables, statement.table)
        }
        ("load/sessions_open", None, [Parameter::Instant(Some(now))]) => {
            some(tables, |row: &SessionRow<'_>| row.ended_at.is_none() && row.expires_at > *now)
        }
        ("load/validator_sessions_open", None, [Parameter::Instant(Some(now))]) => {
            some(tables, |row: &ValidatorSessionRow<'_>| row.ended_at.is_none() && row.expires_at > *now)
        }
        ("load/identity_version", None, _) => {
            newest(tables, &[AccountRow::TABLE, SessionRow::TABLE, ValidatorSessionRow::TABLE])
        }
        ("load/quarantine_version", None, _) => newest(tables, &[Notice::TABLE]),
        ("load/audit_version", None, [Parameter::Text(Some(owner))]) => {
            let versions = rows_of::<AuditRow<'_>>(tables).filter(|row| row.owner == owner).map(|row| row.version);
            let mut rows = Rows::default();
            rows.put(&KeyVersionRow { version: versions.max().unwrap_or(0) });
            rows
        }
        (
            "load/audited_revision",
            None,
            [Parameter::Text(Some(entity)), Parameter::Text(Some(id)), Parameter::Number(n)],
        ) => {
            let is_wanted = |row: &AuditRow<'_>| {
                let revision = row.revision.map(i64::from);
                row.entity == entity && row.entity_id == id && revision.is_some_and(|is| *n == 0 || is == *n)
            };
            let newest = rows_of(tables).filter(is_wanted).max_by_key(|row| row.number);
            let mut rows = Rows::default();
            if let Some(row) = newest {
                rows.put(&row);
            }
            rows
        }
        ("load/quarantine", None, [Parameter::Number(limit)]) => {
            let mut notices: Vec<Notice> = rows_of(tables).collect();
            notices.sort_by_key(|row| (row.resolved_at.is_some(), std::cmp::Reverse(row.received_at)));
            let mut rows = Rows::default();
            notices.iter().take(usize::try_from(*limit).unwrap()).for_each(|row| rows.put(row));
            rows
        }
        ("load/desk_entries", None, [Parameter::Text(Some(lowest))]) => {
            let mut rows = Rows::default();
            for row in rows_of::<OrderRow<'_>>(tables) {
                let OrderRow { order_id, traveller_id, idempotency_key, body_hash, status, .. } = row;
                if let (Some(traveller_id), Some(body_hash)) = (traveller_id, body_hash)
                    && (order_id.0.to_string() >= *lowest || status == OrderStatus::Pending)
                {
                    rows.put(&DeskEntryRow { order_id, traveller_id, idempotency_key, body_hash, status });
                }
            }
            rows
        }
        ("load/desk_reservations", None, [Parameter::Text(Some(lowest))]) => {
            let mut rows = Rows::default();
            for row in rows_of::<ReservationRow<'_>>(tables).filter(|row| row.reservation_id.0.to_string() >= *lowest) {
                let hold = rows_of::<HoldRow<'_>>(tables).find(|hold| hold.order_id == row.reservation_id);
                let HoldRow { class_code, seat_numbers, board_stop, alight_stop, state, expires_at, .. } =
                    hold.unwrap();
                let ReservationRow { reservation_id, departure_id, traveller_id, idempotency_key, body_hash, .. } = row;
                rows.put(&DeskReservationRow {
                    reservation_id,
                    departure_id,
                    traveller_id,
                    idempotency_key,
                    body_hash,
                    class_code,
                    seat_numbers,
                    board_stop,
                    alight_stop,
                    state,
                    expires_at,
                });
            }
            rows
        }
        ("load/transactions", None, [Parameter::Text(Some(lowest)), Parameter::Number(_)]) => {
            let mut rows = Rows::default();
            for PaymentRow { out_trade_no, transaction_id, .. } in rows_of(tables) {
                if let Some(transaction_id) = transaction_id
                    && out_trade_no.to_string() >= *lowest
                {
                    rows.put(&TransactionRow { out_trade_no, transaction_id });
                }
            }
            rows
        }
        ("load/webhook_event", None, [Parameter::Text(Some(partner)), Parameter::Number(number)]) => {
            some(tables, |row: &WebhookEventRow<'_>| {
                row.partner_id.as_str() == partner && i64::try_from(row.sequence) == Ok(*number)
            })
        }
        ("load/order_ids_warm", None, _) => warm_ids(tables, parameters),
        ("load/batches", None, []) => some(tables, |row: &BatchRow| row.status != BatchState::GivenUp),
        ("load/tickets_of_batches", None, []) => tickets_of_batches(tables, |_| true),
        ("load/batch_rows", None, [Parameter::Orders(ids), ..]) => {
            some(tables, |row: &BatchRow| ids.contains(&row.batch_id.0.holder()))
        }
        ("load/tickets_of_batch", None, [Parameter::Orders(ids), ..]) => {
            tickets_of_batches(tables, |batch| ids.contains(&batch.holder()))
        }
        ("load/stock_ids", None, []) => {
            let mut rows = Rows::default();
            rows_of(tables).for_each(|row: StockRow<'_>| rows.put(&StockIdRow { stock_id: row.stock_id }));
            rows
        }
        ("load/partner_ids", None, []) => {
            let partners: BTreeSet<_> = rows_of(tables).map(|row: PartnerReservationRow<'_>| row.partner_id).collect();
            let mut rows = Rows::default();
            for partner_id in partners {
                rows.put(&PartnerIdRow { partner_id });
            }
            rows
        }
        (name, None, [Parameter::Text(Some(stock)), Parameter::Instant(Some(until))]) => {
            let answers = StockAnswers { images: tables, stock: &stock.parse().unwrap(), until: *until };
            match name {
                "load/stock" => answers.stock(),
                "load/holds_of_stock" => answers.holds(),
                "load/sold_of_stock" => answers.sold(),
                "load/holders_of_stock" => answers.holders(),
                _ => panic!("{name} is not known here"),
            }
        }
        (name, ..) => panic!("{name} with {parameters:?} is not known here"),
    }
}

fn all(tables: &Images, table: &Table) -> Rows {
    let mut rows = Rows::default();
    tables.of(table).for_each(|image| rows.put_image(table.slot, image));
    rows
}

fn rows_of<'a, R: Row<'a>>(tables: &'a Images) -> impl Iterator<Item = R> {
    tables.of(R::TABLE).map(|image| R::read(image).unwrap())
}

fn some<'a, R: Row<'a>>(tables: &'a Images, is_wanted: impl Fn(&R) -> bool) -> Rows {
    let mut rows = Rows::default();
    rows_of::<R>(tables).filter(is_wanted).for_each(|row| rows.put(&row));
    rows
}

fn equal(tables: &Images, table: &Table, column: &str, value: &str) -> Rows {
    select(tables, &[table], column, Raw::Text(value.as_bytes()))
}

/// The rows of an order, whose id is bytes in some tables and a text in others.
fn of_order(tables: &Images, table: &Table, column: &str, order: OrderId) -> Rows {
    match table.column(column).unwrap().kind {
        Kind::Uuid => select(tables, &[table], column, Raw::Text(&order.bits().to_be_bytes())),
        _ => equal(tables, table, column, &order.to_string()),
    }
}

/// The rows of these tables whose column has this value.
fn select(tables: &Images, of: &[&Table], column: &str, value: Raw<'_>) -> Rows {
    let mut rows = Rows::default();
    for table in of {
        let tag = table.column(column).unwrap().tag;
        for image in tables.of(table) {
            if Message::new(image).take(tag).unwrap() == Some(value) {
                rows.put_image(table.slot, image);
            }
        }
    }
    rows
}

fn tickets_of_batches(tables: &Images, is_wanted: impl Fn(BatchId) -> bool) -> Rows {
    let mut batches: BTreeMap<BatchId, (u64, String)> = BTreeMap::new();
    // By their ids, which are by number.
    for ticket in rows_of::<OtaTicketRow<'_>>(tables).filter(|ticket| is_wanted(ticket.batch_id.0)) {
        let (version, states) = batches.entry(ticket.batch_id.0).or_default();
        *version = ticket.version.max(*version);
        states.extend(ticket.status.code().chars().next());
    }
    let mut rows = Rows::default();
    for (batch, (version, states)) in &batches {
        rows.put(&BatchTicketsRow { batch_id: Uuid(*batch), version: *version, states });
    }
    rows
}

fn newest(tables: &Images, of: &[&Table]) -> Rows {
    let versions = of.iter().flat_map(|table| tables.of(table).map(|image| table.version(image).unwrap()));
    let mut rows = Rows::default();
    rows.put(&KeyVersionRow { version: versions.max().unwrap_or(0) });
    rows
}

fn warm_ids(tables: &Images, parameters: &[Parameter]) -> Rows {
    let [Parameter::Instant(Some(now)), Parameter::Instant(Some(before)), Parameter::Number(bytes), ..] = parameters
    else {
        panic!("{parameters:?}")
    };
    let is_pending = |row: &OrderRow<'_>| row.status == OrderStatus::Pending || row.outstanding;
    let soon = |ticket: &TicketRow<'_>| {
        let begins = ticket.departs_at.unwrap_or(ticket.valid_from);
        ticket.status == TicketStatus::Usable && begins < *before && ticket.valid_until > *now
    };
    let is_usable = |row: &OrderRow<'_>| {
        rows_of::<TicketRow<'_>>(tables).any(|ticket| ticket.order_id == row.order_id && soon(&ticket))
    };
    // Every order here has one ticket or two, so that their number does for their bytes.
    let limit = (u64::try_from(*bytes).unwrap() / (Warm::ORDER_BYTES + Warm::TICKET_BYTES)) as usize;
    let (pending, others): (Vec<_>, Vec<_>) = rows_of(tables).partition(is_pending);
    let usable = others.into_iter().filter(is_usable).take(limit);
    let mut rows = Rows::default();
    pending.into_iter().chain(usable).for_each(|row| rows.put(&OrderIdRow { order_id: row.order_id }));
    rows
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn readable(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match state.postgres {
            Postgres::Away => Err(StoreError::Unavailable("it is away".to_owned())),
            Postgres::Up
            | Postgres::Behind
            | Postgres::LosesAnswer
            | Postgres::Slow
            | Postgres::Refusing
            | Postgres::Broken => Ok(state),
        }
    }

    pub fn set(&self, postgres: Postgres) {
        self.state().postgres = postgres;
    }

    pub fn position(&self) -> Position {
        self.state().position
    }

    /// As if somebody had restored a backup or another server had written.
    pub fn set_position(&self, position: Position) {
        self.state().position = position;
    }

    /// Transactions that were committed, and all that were tried.
    pub fn batches(&self) -> (usize, usize) {
        let state = self.state();
        (state.batches, state.attempts)
    }

    /// `None`: it has none.
    pub fn rows_of_order(&self, id: OrderId) -> Option<Rows> {
        let state = self.state();
        let mut rows = Rows::default();
        for table in ORDER {
            rows.extend(&of_order(&state.tables, table, "order_id", id));
        }
        (!rows.is_empty()).then_some(rows)
    }

    pub fn rows_of_departure(&self, id: &DepartureId) -> Option<Rows> {
        let rows = select(&self.state().tables, &DEPARTURE, "departure_id", Raw::Text(id.as_str().as_bytes()));
        (!rows.is_empty()).then_some(rows)
    }

    /// Every row of a table.
    pub fn rows(&self, table: &Table) -> Rows {
        all(&self.state().tables, table)
    }

    pub fn orders(&self) -> Vec<(OrderId, OrderStatus)> {
        let rows = self.rows(OrderRow::TABLE);
        rows.of::<OrderRow<'_>>().map(|row| row.unwrap()).map(|row| (row.order_id.0, row.status)).collect()
    }

    pub fn quarantined(&self) -> Vec<Notice> {
        let rows = self.rows(Notice::TABLE);
        rows.all().unwrap()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, load: Load, parameters: Vec<Parameter>, _: Haste) -> Result<Rows, StoreError> {
        let state = self.readable()?;
        let is_of_order = load.keys.is_none() && load.rows.iter().any(|statement| statement.table == OrderRow::TABLE);
        let postgres = state.postgres;
        let parameters = match load.keys {
            None => parameters,
            Some((statement, column)) => {
                let found = answer(&state.tables, &statement, &parameters);
                let column = statement.table.column(column).unwrap();
                let value = |image: &[u8]| {
                    let bytes = Message::new(image).bytes(column.tag).unwrap().unwrap().try_into().unwrap();
                    OrderId::from_bits(u128::from_be_bytes(bytes))
                };
                vec![found.images_of(statement.table).map(value).collect::<Vec<_>>().into()]
            }
        };
        let mut rows = Rows::default();
        for statement in load.rows {
            rows.extend(&answer(&state.tables, statement, &parameters));
        }
        load.whole.iter().for_each(|table| rows.extend(&all(&state.tables, table)));
        drop(state);
        assert!(!(is_of_order && postgres == Postgres::Broken), "planted");
        Ok(rows)
    }

    async fn project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), StoreError> {
        let mut state = self.state();
        state.attempts += 1;
        match state.postgres {
            Postgres::Away | Postgres::Behind => return Err(StoreError::Unavailable("it is away".to_owned())),
            Postgres::Refusing => return Err(StoreError::Data("a text has a NUL".to_owned())),
            Postgres::Slow if to.0 - from.0 > SLOW_RECORDS => {
                return Err(StoreError::Unavailable("no answer in time".to_owned()));
            }
            Postgres::Up | Postgres::LosesAnswer | Postgres::Broken | Postgres::Slow => {}
        }
        if state.position == to || (state.in_doubt && state.position > to) {
            return Ok(());
        }
        if state.position != from && !state.in_doubt {
            return Err(StoreError::Fenced(format!("it is at {}, not at {from}", state.position)));
        }

        state.tables.keep(rows).unwrap();
        state.position = to;
        state.batches += 1;
        state.in_doubt = false;
        if state.postgres == Postgres::LosesAnswer {
            state.postgres = Postgres::Up;
            state.in_doubt = true;
            return Err(StoreError::Unavailable("the connection broke at commit".to_owned()));
        }
        Ok(())
    }
}
