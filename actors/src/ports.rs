//! What the owners need from the world outside, as the composition root plugs it in: Postgres and the payment
//! provider. No SQL and no HTTP in here.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use deeptravel_domain::ids::{OrderId, OutRefundNo, OutTradeNo, PartnerCode};
use deeptravel_domain::order::{FactState, PaymentTerms, RefundFactState, RefundTerms};
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Rows, Table};
use deeptravel_domain::sealing::SealedSecret;
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::Outcome;

use crate::journal::Position;

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

/// Rows that cannot be read, or do not fit together.
impl From<Damage> for StoreError {
    fn from(damage: Damage) -> StoreError {
        StoreError::Data(damage.to_string())
    }
}

/// A statement that reads rows: a file under `sql/queries`.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// The file without its ending, such as `load/refunds`.
    pub name: &'static str,
    /// What it answers.
    pub table: &'static Table,
    /// The column that is compared with the first parameter, if that is all that the statement does.
    pub by: Option<&'static str>,
}

impl Statement {
    /// Of which only the file tells what it does.
    pub const fn new(name: &'static str, table: &'static Table) -> Statement {
        Statement { name, table, by: None }
    }

    /// The rows whose column has one of the values in the first parameter.
    pub const fn by(name: &'static str, table: &'static Table, column: &'static str) -> Statement {
        Statement { name, table, by: Some(column) }
    }
}

/// What is read at once: everything as it is at one instant. Every statement gets the same parameters.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Finds the orders first whose rows are wanted: the values of this column of its answer are the only parameter of the
    /// others.
    pub keys: Option<(Statement, &'static str)>,
    pub rows: &'static [Statement],
    /// Tables that are read whole, each by the statement of its name: `load/<table>`.
    pub whole: &'static [&'static Table],
}

impl Load {
    pub const fn of(rows: &'static [Statement]) -> Load {
        Load { keys: None, rows, whole: &[] }
    }

    /// The rows of the orders that the statement answers in this column.
    pub const fn of_found(keys: Statement, column: &'static str, rows: &'static [Statement]) -> Load {
        Load { keys: Some((keys, column)), ..Load::of(rows) }
    }

    /// All rows of these tables, and what the statements answer.
    pub const fn of_whole(whole: &'static [&'static Table], rows: &'static [Statement]) -> Load {
        Load { whole, ..Load::of(rows) }
    }
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    Text(Option<String>),
    Texts(Option<Vec<String>>),
    /// Each as bytes or as a text, whichever a statement takes.
    Orders(Vec<OrderId>),
    Instant(Option<Timestamp>),
    Number(i64),
    Flag(Option<bool>),
}

impl From<String> for Parameter {
    fn from(text: String) -> Parameter {
        Parameter::Text(Some(text))
    }
}

impl From<Vec<OrderId>> for Parameter {
    fn from(orders: Vec<OrderId>) -> Parameter {
        Parameter::Orders(orders)
    }
}

impl From<Timestamp> for Parameter {
    fn from(at: Timestamp) -> Parameter {
        Parameter::Instant(Some(at))
    }
}

/// The lowest id that an order made since then can have; no payment of it has a lower number.
pub fn lowest_id(since: Timestamp) -> Parameter {
    // Ids begin with 48 bits of milliseconds.
    OrderId::from_bits(u128::from(since.as_ms().max(0).unsigned_abs()) << 80).to_string().into()
}

/// What a start loads although nothing is under way (rule 14), so that scans go on if Postgres goes away soon after.
#[derive(Debug, Clone, Copy)]
pub struct Warm {
    pub now: Timestamp,
    /// Orders with usable tickets for departures before this.
    pub departs_before: Timestamp,
    /// As many of them as take so much memory, the earliest departures first. It is estimated, whatever they really take.
    pub bytes_max: u64,
}

impl Warm {
    /// What an order with one passenger takes as an actor, without its tickets.
    pub const ORDER_BYTES: u64 = 4_000;
    /// What each ticket adds, with its passenger.
    pub const TICKET_BYTES: u64 = 500;

    /// As its statement takes them.
    pub fn parameters(self) -> Vec<Parameter> {
        let bytes = [self.bytes_max, Warm::ORDER_BYTES, Warm::TICKET_BYTES];
        let bytes = bytes.map(|bytes| Parameter::Number(i64::try_from(bytes).unwrap_or(i64::MAX)));
        [self.now.into(), self.departs_before.into()].into_iter().chain(bytes).collect()
    }
}

row! {
    /// The newest version of a key, where its rows that are loaded do not tell.
    pub struct KeyVersionRow: 1_000 "key_versions", First::Unknown;
    1 version: u64,
}

/// The version of a key's last record: the newest of its rows, or as it was answered beside them.
pub fn newest_version(rows: &Rows) -> Result<u64, Damage> {
    let mut newest = tables::newest_version(rows)?;
    for row in rows.of::<KeyVersionRow>() {
        newest = newest.max(row?.version);
    }
    Ok(newest)
}

/// Who waits for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Somebody who asks a key that sleeps.
    Wake,
    /// A start, or an owner of many keys' rows that is made anew: it may take longer.
    Start,
}

/// Postgres, as the owners see it: rows out, batches of new rows in. Every method may be called from any thread.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// The rows that the statements answer, one statement's after the other's.
    async fn load(&self, load: Load, parameters: Vec<Parameter>, haste: Haste) -> Result<Rows, StoreError>;

    /// Upserts the newest images and moves the position from `from` to `to`, in one transaction (rule 12).
    /// A position that is beyond `from` is a success after an attempt whose outcome nobody knows: it was committed, and
    /// its answer was lost; the next batch from there may be a shorter or a longer one. Any other position than `from`
    /// is [`StoreError::Fenced`].
    async fn project(&self, rows: &Rows, from: Position, to: Position) -> Result<(), StoreError>;
}

/// Lists for people, read from Postgres. The caller has waited until what it has shown before is projected (rule 13).
#[async_trait]
pub trait Lists: Send + Sync + Debug {
    /// Whether the database answered when it was last asked. Asks nothing itself.
    fn is_available(&self) -> bool;

    /// As [`Store::load`].
    async fn load(&self, load: Load, parameters: Vec<Parameter>) -> Result<Rows, StoreError>;
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

impl ListCursor {
    /// As the two parameters of a list's statement; nulls for the first page.
    pub fn parameters(before: Option<ListCursor>) -> [Parameter; 2] {
        let (at, id) = before.map(|cursor| (Timestamp::from_ms(cursor.at_ms), cursor.id)).unzip();
        [Parameter::Instant(at), Parameter::Text(id)]
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
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Result<Vec<u8>, GatewayError>;
    /// The prepay id.
    async fn create(&self, body: &[u8]) -> Result<String, GatewayError>;
    async fn query(&self, number: OutTradeNo) -> Result<FactState, GatewayError>;
    async fn close(&self, number: OutTradeNo) -> Result<(), GatewayError>;

    /// The exact body of the call of a refund; it is recorded before the call is made.
    fn refund_body(&self, terms: &RefundTerms) -> Result<Vec<u8>, GatewayError>;
    /// What became of the refund. Never [`RefundFactState::NotFound`].
    async fn refund(&self, body: &[u8]) -> Result<RefundFactState, GatewayError>;
    async fn query_refund(&self, number: OutRefundNo) -> Result<RefundFactState, GatewayError>;
}

/// What a partner is told, before it is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    pub partner: PartnerCode,
    pub url: Arc<str>,
    /// Each signs, the newest first.
    pub secrets: Vec<SealedSecret>,
    /// The same however often it is sent, as the body.
    pub id: String,
    /// JSON.
    pub body: String,
}

/// Without what is the partner's: the URL may have a secret of theirs in it.
impl Debug for WebhookMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The way to partners.
#[async_trait]
pub trait WebhookPost: Send + Sync + Debug {
    /// Signs the message, sends it and waits for the answer, for a bounded time.
    async fn post(&self, message: &WebhookMessage) -> Outcome;
}
