//! Postgres in memory: keeps to the contract of [`Store`], and is away, slow or at odds when a test says so.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use deeptravel_domain::catalogue::rows::Row as CatalogueRow;
use deeptravel_domain::identity::rows::{AccountRow, IdentityRows, SessionRow, ValidatorSessionRow};
use deeptravel_domain::ids::{DepartureId, OrderId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::{
    LedgerRow, OrderItemRow, OrderRow, OrderRows, PassengerRow, PaymentRow, RedemptionRow, RefundRow, ScanAttemptRow,
    TicketAuditRow, TicketRow,
};
use deeptravel_domain::time::Timestamp;

use crate::journal::Position;
use crate::ports::{DeskEntry, Store, StoreError, StoredDeparture, Warm};
use crate::rows::{QuarantineRow, Rows};

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
    tables: Tables,
}

type Table<R> = BTreeMap<String, R>;

#[derive(Debug, Default)]
struct Tables {
    departures: Table<DepartureRow>,
    holds: Table<HoldRow>,
    orders: Table<OrderRow>,
    items: Table<OrderItemRow>,
    passengers: Table<PassengerRow>,
    payments: Table<PaymentRow>,
    refunds: Table<RefundRow>,
    tickets: Table<TicketRow>,
    redemptions: Table<RedemptionRow>,
    scan_attempts: Table<ScanAttemptRow>,
    audit: Table<TicketAuditRow>,
    ledger: Table<LedgerRow>,
    accounts: Table<AccountRow>,
    sessions: Table<SessionRow>,
    validators: Table<ValidatorSessionRow>,
    quarantine: Table<QuarantineRow>,
    catalogue: Table<CatalogueRow>,
}

/// Newest version per primary key wins.
macro_rules! upsert {
    ($table:expr, $rows:expr, $row:ident => $key:expr) => {
        for $row in $rows.iter().cloned() {
            let key = $key;
            let newer = $table.get(&key).is_none_or(|known| known.version < $row.version);
            if newer {
                $table.insert(key, $row);
            }
        }
    };
}

impl Tables {
    fn apply(&mut self, rows: &Rows) {
        upsert!(self.departures, rows.departures, row => row.departure_id.clone());
        upsert!(self.holds, rows.holds, row => row.hold_id.clone());
        upsert!(self.orders, rows.orders, row => row.order_id.clone());
        upsert!(self.items, rows.order_items, row => format!("{}.{}", row.order_id, row.item));
        upsert!(self.passengers, rows.passengers, row => format!("{}.{}", row.order_id, row.passenger));
        upsert!(self.payments, rows.payments, row => row.out_trade_no.clone());
        upsert!(self.refunds, rows.refunds, row => row.out_refund_no.clone());
        upsert!(self.tickets, rows.tickets, row => row.ticket_id.clone());
        upsert!(self.redemptions, rows.redemptions, row => format!("{}.{}", row.ticket_id, row.number));
        upsert!(self.scan_attempts, rows.scan_attempts, row =>
            format!("{}.{}.{}.{}", row.session_id, row.request_id, row.ticket_id, row.attempted_at));
        upsert!(self.audit, rows.ticket_audit, row =>
            format!("{}.{}.{}", row.ticket_id, row.new_status, row.event_id));
        upsert!(self.ledger, rows.ledger, row => format!("{}.{}", row.order_id, row.number));
        upsert!(self.accounts, rows.accounts, row => row.username.clone());
        upsert!(self.sessions, rows.sessions, row => format!("{:?}", row.token_hash));
        upsert!(self.validators, rows.validator_sessions, row => row.session_id.clone());
        upsert!(self.quarantine, rows.quarantine, row => row.notice_id.clone());
        self.apply_catalogue(rows);
    }

    fn apply_catalogue(&mut self, rows: &Rows) {
        let operators = rows.operators.iter().cloned().map(CatalogueRow::Operator);
        let ports = rows.ports.iter().cloned().map(CatalogueRow::Port);
        let places = rows.places.iter().cloned().map(CatalogueRow::Place);
        let vehicles = rows.vehicles.iter().cloned().map(CatalogueRow::Vehicle);
        let holidays = rows.holidays.iter().cloned().map(CatalogueRow::Holiday);
        let routes = rows.routes.iter().cloned().map(CatalogueRow::Route);
        let schedules = rows.schedules.iter().cloned().map(CatalogueRow::Schedule);
        let fares = rows.route_fares.iter().cloned().map(CatalogueRow::RouteFares);
        let all = operators.chain(ports).chain(places).chain(vehicles).chain(holidays).chain(routes).chain(schedules);
        for row in all.chain(fares) {
            let key = format!("{}.{}", row.table(), row.key());
            if self.catalogue.get(&key).is_none_or(|known| known.version() < row.version()) {
                self.catalogue.insert(key, row);
            }
        }
    }

    fn order(&self, id: &str) -> Option<OrderRows> {
        fn of<R: Clone>(table: &Table<R>, is: impl Fn(&R) -> bool) -> Vec<R> {
            table.values().filter(|row| is(row)).cloned().collect()
        }
        let order = self.orders.get(id)?;
        Some(OrderRows {
            orders: vec![order.clone()],
            items: of(&self.items, |row| row.order_id == id),
            passengers: of(&self.passengers, |row| row.order_id == id),
            payments: of(&self.payments, |row| row.order_id == id),
            refunds: of(&self.refunds, |row| row.order_id == id),
            tickets: of(&self.tickets, |row| row.order_id == id),
            redemptions: of(&self.redemptions, |row| row.order_id == id),
            // Log rows are not kept in memory (rule 4).
            attempts: Vec::new(),
            audit: Vec::new(),
            ledger: of(&self.ledger, |row| row.order_id == id),
        })
    }

    fn departure(&self, id: &str) -> Option<StoredDeparture> {
        let departure = self.departures.get(id)?.clone();
        let holds = self.holds.values().filter(|row| row.departure_id == id).cloned().collect();
        Some(StoredDeparture { departure, holds })
    }
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

    pub fn rows_of_order(&self, id: OrderId) -> Option<OrderRows> {
        self.state().tables.order(&id.to_string())
    }

    pub fn rows_of_departure(&self, id: &DepartureId) -> Option<StoredDeparture> {
        self.state().tables.departure(&id.to_string())
    }

    pub fn orders(&self) -> Vec<OrderRow> {
        self.state().tables.orders.values().cloned().collect()
    }

    pub fn scan_attempts(&self) -> Vec<ScanAttemptRow> {
        self.state().tables.scan_attempts.values().cloned().collect()
    }

    pub fn quarantined(&self) -> Vec<QuarantineRow> {
        self.state().tables.quarantine.values().cloned().collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn departure(&self, id: &DepartureId) -> Result<Option<StoredDeparture>, StoreError> {
        Ok(self.readable()?.tables.departure(&id.to_string()))
    }

    async fn order(&self, id: OrderId) -> Result<Option<OrderRows>, StoreError> {
        let (found, postgres) = {
            let state = self.readable()?;
            (state.tables.order(&id.to_string()), state.postgres)
        };
        assert_ne!(postgres, Postgres::Broken, "planted");
        Ok(found)
    }

    async fn departures_after(&self, after: Timestamp) -> Result<Vec<StoredDeparture>, StoreError> {
        let state = self.readable()?;
        let later = state.tables.departures.values().filter(|row| row.departs_at > after.as_ms());
        Ok(later.filter_map(|row| state.tables.departure(&row.departure_id)).collect())
    }

    async fn warm_orders(&self, warm: Warm) -> Result<Vec<OrderRows>, StoreError> {
        let state = self.readable()?;
        let tables = &state.tables;
        let pending = |row: &&OrderRow| row.status == OrderStatus::Pending.code() || row.outstanding;
        let usable = |row: &&OrderRow| {
            let soon = |ticket: &TicketRow| {
                ticket.status == "usable"
                    && ticket.departs_at < warm.departs_before.as_ms()
                    && ticket.valid_until > warm.now.as_ms()
            };
            tables.tickets.values().any(|ticket| ticket.order_id == row.order_id && soon(ticket))
        };
        // Every order here has one ticket or two, so that their number does for their bytes.
        let limit = (warm.bytes_max / Warm::bytes_of(1)) as usize;
        let pending_ids = tables.orders.values().filter(pending);
        let usable_ids = tables.orders.values().filter(|row| !pending(row)).filter(usable).take(limit);
        Ok(pending_ids.chain(usable_ids).filter_map(|row| tables.order(&row.order_id)).collect())
    }

    async fn desk_entries(&self, since: Timestamp) -> Result<Vec<DeskEntry>, StoreError> {
        let state = self.readable()?;
        let entries = state.tables.orders.values().map(|row| DeskEntry {
            order: row.order_id.parse().unwrap(),
            traveller: row.traveller_id.parse().unwrap(),
            idempotency_key: row.idempotency_key.as_str().into(),
            body_hash: row.body_hash.as_slice().try_into().unwrap(),
            status: row.status.parse().unwrap(),
        });
        Ok(entries.filter(|entry| entry.order.made_at() >= since || entry.status == OrderStatus::Pending).collect())
    }

    async fn catalogue(&self) -> Result<Vec<CatalogueRow>, StoreError> {
        Ok(self.readable()?.tables.catalogue.values().cloned().collect())
    }

    async fn identities(&self, now: Timestamp) -> Result<(IdentityRows, u64), StoreError> {
        let state = self.readable()?;
        let tables = &state.tables;
        let open = |expires_at: i64, ended_at: Option<i64>| ended_at.is_none() && expires_at > now.as_ms();
        let rows = IdentityRows {
            accounts: tables.accounts.values().cloned().collect(),
            sessions: tables.sessions.values().filter(|row| open(row.expires_at, row.ended_at)).cloned().collect(),
            validators: tables.validators.values().filter(|row| open(row.expires_at, row.ended_at)).cloned().collect(),
        };
        let accounts = tables.accounts.values().map(|row| row.version);
        let sessions = tables.sessions.values().map(|row| row.version);
        let validators = tables.validators.values().map(|row| row.version);
        Ok((rows, accounts.chain(sessions).chain(validators).max().unwrap_or(0)))
    }

    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantineRow>, u64), StoreError> {
        let state = self.readable()?;
        let mut notices: Vec<QuarantineRow> = state.tables.quarantine.values().cloned().collect();
        notices.sort_by_key(|row| (row.resolved_at.is_some(), std::cmp::Reverse(row.received_at)));
        let version = notices.iter().map(|row| row.version).max().unwrap_or(0);
        notices.truncate(limit as usize);
        Ok((notices, version))
    }

    async fn quarantined_notice(&self, id: String) -> Result<Option<QuarantineRow>, StoreError> {
        Ok(self.readable()?.tables.quarantine.get(&id).cloned())
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

        state.tables.apply(rows);
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
