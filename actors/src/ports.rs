//! What the owners need from the world outside, as the composition root plugs it in: Postgres and the payment
//! provider. No SQL and no HTTP in here.

use std::fmt::{self, Debug};
use std::str::FromStr;

use async_trait::async_trait;
use deeptravel_domain::catalogue::rows::Row as CatalogueRow;
use deeptravel_domain::identity::rows::IdentityRows;
use deeptravel_domain::ids::{DepartureId, OrderId, OutRefundNo, OutTradeNo, TicketId, TravellerId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::rows::{OrderRows, RefundRow};
use deeptravel_domain::order::{FactState, OrderStatus, PaymentTerms, RefundFactState, RefundTerms};
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;

use crate::journal::Position;
use crate::rows::{QuarantineRow, Rows};

/// The database did not answer, or answered with something that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Cannot be reached, or not in time: it may be tried again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// It refused what we wrote, or returned rows that cannot be read. Trying again does not help (rule 12).
    #[error("the database and we disagree: {0}")]
    Data(String),
    /// Somebody else has written: this process must not go on (rule 14).
    #[error("another server writes to this database: {0}")]
    Fenced(String),
}

/// A departure's rows.
#[derive(Debug, Clone)]
pub struct StoredDeparture {
    pub departure: DepartureRow,
    pub holds: Vec<HoldRow>,
}

/// What a desk remembers of an order.
#[derive(Debug, Clone)]
pub struct DeskEntry {
    pub order: OrderId,
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub body_hash: [u8; 32],
    pub status: OrderStatus,
}

/// What a start loads although nothing is under way (rule 14), so that scans go on if Postgres goes away soon after.
#[derive(Debug, Clone, Copy)]
pub struct Warm {
    pub now: Timestamp,
    /// Orders with usable tickets for departures before this.
    pub departs_before: Timestamp,
    /// As many of them as take so much memory, the earliest departures first. See [`Warm::bytes_of`].
    pub bytes_max: u64,
}

impl Warm {
    /// What an order with one passenger takes as an actor, without its tickets.
    pub const ORDER_BYTES: u64 = 4_000;
    /// What each ticket adds, with its passenger.
    pub const TICKET_BYTES: u64 = 500;

    /// The estimate by which orders are counted, whatever they really take.
    pub const fn bytes_of(tickets: u64) -> u64 {
        Warm::ORDER_BYTES + Warm::TICKET_BYTES * tickets
    }
}

/// Postgres, as the owners see it: rows of a key when it wakes, and batches of new rows. Every method may be called
/// from any thread.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    async fn departure(&self, id: &DepartureId) -> Result<Option<StoredDeparture>, StoreError>;
    async fn order(&self, id: OrderId) -> Result<Option<OrderRows>, StoreError>;

    /// Every born departure that leaves its first stop after `after`.
    async fn departures_after(&self, after: Timestamp) -> Result<Vec<StoredDeparture>, StoreError>;
    /// Every order that is pending or has something outstanding, and of those with tickets that will soon be shown at a
    /// gate as many as there is room for.
    async fn warm_orders(&self, warm: Warm) -> Result<Vec<OrderRows>, StoreError>;
    /// Every order made since, and every pending one.
    async fn desk_entries(&self, since: Timestamp) -> Result<Vec<DeskEntry>, StoreError>;
    /// Every row of the catalogue's tables.
    async fn catalogue(&self) -> Result<Vec<CatalogueRow>, StoreError>;
    /// All accounts, and the sessions that are open at `now`. The highest version of any identity row comes with it.
    async fn identities(&self, now: Timestamp) -> Result<(IdentityRows, u64), StoreError>;
    /// At most `limit` notices in quarantine: open ones first, of these and of the others the newest. The highest version
    /// of any comes with it.
    async fn quarantine(&self, limit: u32) -> Result<(Vec<QuarantineRow>, u64), StoreError>;
    /// One notice in quarantine.
    async fn quarantined_notice(&self, id: String) -> Result<Option<QuarantineRow>, StoreError>;

    /// Upserts the newest images and moves the position from `from` to `to`, in one transaction (rule 12).
    /// A position that is beyond `from` is a success after an attempt whose outcome nobody knows: it was committed, and
    /// its answer was lost; the next batch from there may be a shorter or a longer one. Any other position than `from`
    /// is [`StoreError::Fenced`].
    async fn project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), StoreError>;
}

/// A page of a traveller's tickets, and the orders that they belong to.
#[derive(Debug, Clone, Default)]
pub struct TicketPage {
    /// Newest first.
    pub tickets: Vec<TicketId>,
    pub orders: Vec<OrderRows>,
}

/// The last entry of a page of a list that shows the newest first: when it was made, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCursor {
    pub at_ms: i64,
    pub id: String,
}

/// Longest id in a cursor, in bytes: of a notice, 128 characters.
const CURSOR_ID_MAX: usize = 512;

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at_ms, self.id)
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCursor;

impl FromStr for ListCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<ListCursor, InvalidCursor> {
        let (at, id) = text.split_once('.').ok_or(InvalidCursor)?;
        let fits = (1..=CURSOR_ID_MAX).contains(&id.len()) && !id.contains('\0');
        let at_ms = at.parse().map_err(|_| InvalidCursor)?;
        // Postgres has no instants of long before.
        if fits && at_ms >= 0 { Ok(ListCursor { at_ms, id: id.to_owned() }) } else { Err(InvalidCursor) }
    }
}

/// Lists for people, read from Postgres. The caller has waited until what it has shown before is projected (rule 13).
#[async_trait]
pub trait Lists: Send + Sync + Debug {
    /// Whether the database answered when it was last asked. Asks nothing itself.
    fn is_available(&self) -> bool;

    /// A traveller's orders, newest first, of those made before `before`.
    async fn orders_of(
        &self,
        traveller: TravellerId,
        status: Option<OrderStatus>,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderRows>, StoreError>;

    /// A traveller's tickets, newest order first, of those after `before` in that order.
    async fn tickets_of(
        &self,
        traveller: TravellerId,
        status: Option<TicketStatus>,
        before: Option<TicketId>,
        limit: u32,
    ) -> Result<TicketPage, StoreError>;

    /// What comes back to a traveller, the newest first, without what another refund has replaced.
    async fn refunds_of(
        &self,
        traveller: TravellerId,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError>;

    /// Everybody's refunds in these states, the newest first.
    async fn refunds(
        &self,
        states: Option<Vec<&'static str>>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<RefundRow>, StoreError>;

    /// Notices in quarantine, the newest first.
    async fn quarantine(
        &self,
        resolved: Option<bool>,
        before: Option<ListCursor>,
        limit: u32,
    ) -> Result<Vec<QuarantineRow>, StoreError>;
}

/// A call to the payment provider that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A definite no.
    #[error("the payment provider refused: {code}")]
    Refused {
        code: String,
        /// The refusal suggests that the number is known there: only a query can tell.
        may_exist: bool,
    },
    /// Nobody knows whether it happened (wechat.md R11).
    #[error("the outcome at the payment provider is unknown: {0}")]
    Unknown(String),
}

/// WeChat Pay, as the orders see it.
#[async_trait]
pub trait PaymentGateway: Send + Sync + Debug {
    /// The exact body of the create call; it is recorded before the call is made.
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Vec<u8>;
    /// The prepay id.
    async fn create(&self, body: &[u8]) -> Result<String, GatewayError>;
    async fn query(&self, number: OutTradeNo) -> Result<FactState, GatewayError>;
    async fn close(&self, number: OutTradeNo) -> Result<(), GatewayError>;

    /// The exact body of the call of a refund; it is recorded before the call is made.
    fn refund_body(&self, terms: &RefundTerms) -> Vec<u8>;
    /// What became of the refund. Never [`RefundFactState::NotFound`].
    async fn refund(&self, body: &[u8]) -> Result<RefundFactState, GatewayError>;
    async fn query_refund(&self, number: OutRefundNo) -> Result<RefundFactState, GatewayError>;
}
