//! An order's rows: the images that go to the journal and to Postgres, and the way back.
//!
//! Tags are never reused; a new field is optional (rule 23). Instants are milliseconds since the epoch; states are the
//! codes of the domain's types, so that a person can read them in SQL.
//!
//! `first` is a hint for whoever stores the rows, not a part of them: a row that is new costs a database much less when it
//! knows so. It may be wrong, and old records lack it.
//!
//! Serialised they are shown to people (`journal dump`): names, contacts, documents and what identifies a traveller to
//! WeChat are left out.

mod read;
mod write;

use prost::Message;
use serde::Serialize;

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct OrderRow {
    #[prost(string, tag = "1")]
    pub order_id: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub traveller_id: String,
    #[prost(string, tag = "4")]
    pub idempotency_key: String,
    /// SHA-256 of the request.
    #[prost(bytes = "vec", tag = "5")]
    pub body_hash: Vec<u8>,
    #[prost(string, tag = "6")]
    pub status: String,
    #[prost(string, tag = "7")]
    pub locale: String,
    #[prost(string, tag = "8")]
    #[serde(skip)]
    pub contact_name: String,
    #[prost(string, tag = "9")]
    #[serde(skip)]
    pub contact_phone: String,
    #[prost(string, optional, tag = "10")]
    #[serde(skip)]
    pub contact_email: Option<String>,
    #[prost(string, tag = "11")]
    pub currency: String,
    #[prost(int64, tag = "12")]
    pub total_minor: i64,
    #[prost(message, repeated, tag = "13")]
    pub price_lines: Vec<PriceLineRow>,
    #[prost(int64, tag = "14")]
    pub created_at: i64,
    #[prost(int64, tag = "15")]
    pub first_lock_expires_at: i64,
    #[prost(int64, tag = "16")]
    pub lock_expires_at: i64,
    #[prost(int64, optional, tag = "17")]
    pub paid_at: Option<i64>,
    #[prost(int64, optional, tag = "18")]
    pub completed_at: Option<i64>,
    #[prost(int64, optional, tag = "19")]
    pub cancelled_at: Option<i64>,
    #[prost(string, optional, tag = "20")]
    pub cancel_reason: Option<String>,
    /// Of the order's holds. Absent: they are the first.
    #[prost(uint32, optional, tag = "21")]
    pub seat_epoch: Option<u32>,
    /// Not pending, and something is left to be done all the same: money is on its way, or may still come.
    #[prost(bool, tag = "22")]
    pub outstanding: bool,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "23")]
    pub first: bool,
}

/// Nested in [`OrderRow`].
#[derive(Clone, PartialEq, Message, Serialize, serde::Deserialize)]
pub struct PriceLineRow {
    #[prost(uint32, tag = "1")]
    pub item: u32,
    #[prost(string, tag = "2")]
    pub passenger_type: String,
    #[prost(string, tag = "3")]
    pub seat_class: String,
    #[prost(uint32, tag = "4")]
    pub count: u32,
    #[prost(int64, tag = "5")]
    pub unit_minor: i64,
    #[prost(int64, tag = "6")]
    pub discount_minor: i64,
    #[prost(int64, tag = "7")]
    pub total_minor: i64,
    #[prost(string, tag = "8")]
    pub explanation: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct OrderItemRow {
    #[prost(string, tag = "1")]
    pub order_id: String,
    #[prost(uint32, tag = "2")]
    pub item: u32,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(string, tag = "4")]
    pub departure_id: String,
    #[prost(string, tag = "5")]
    pub route_code: String,
    #[prost(string, tag = "6")]
    pub operator: String,
    #[prost(string, tag = "7")]
    pub seat_class: String,
    #[prost(uint32, tag = "8")]
    pub board: u32,
    #[prost(uint32, tag = "9")]
    pub alight: u32,
    #[prost(string, tag = "10")]
    pub board_port: String,
    #[prost(string, tag = "11")]
    pub alight_port: String,
    #[prost(int64, tag = "12")]
    pub departs_at: i64,
    #[prost(int64, tag = "13")]
    pub arrives_at: i64,
    #[prost(string, repeated, tag = "14")]
    pub seats: Vec<String>,
    /// Whether the traveller chose the seats.
    #[prost(bool, tag = "15")]
    pub chosen: bool,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "16")]
    pub first: bool,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct PassengerRow {
    #[prost(string, tag = "1")]
    pub order_id: String,
    #[prost(uint32, tag = "2")]
    pub passenger: u32,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(string, tag = "4")]
    #[serde(skip)]
    pub name: String,
    #[prost(string, tag = "5")]
    pub passenger_type: String,
    #[prost(string, optional, tag = "6")]
    pub document_kind: Option<String>,
    #[prost(uint32, optional, tag = "7")]
    pub document_key_version: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    #[serde(skip)]
    pub document_sealed: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    pub document_mask: Option<String>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "10")]
    pub first: bool,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct PaymentRow {
    #[prost(string, tag = "1")]
    pub out_trade_no: String,
    #[prost(string, tag = "2")]
    pub order_id: String,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    /// `begun`, `created`, `refused`, `closed`, `paid`, `paid_late`.
    #[prost(string, tag = "4")]
    pub state: String,
    #[prost(int64, tag = "5")]
    pub total_minor: i64,
    #[prost(string, tag = "6")]
    pub currency: String,
    /// The exact bytes of the create call, while it may have to be repeated.
    #[prost(bytes = "vec", tag = "7")]
    #[serde(skip)]
    pub body: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub time_expire: i64,
    #[prost(int64, tag = "9")]
    pub hold_expires_at: i64,
    #[prost(int64, tag = "10")]
    pub begun_at: i64,
    #[prost(string, optional, tag = "11")]
    pub prepay_id: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub nonce: Option<String>,
    #[prost(int64, optional, tag = "13")]
    pub signed_at_seconds: Option<i64>,
    #[prost(string, optional, tag = "14")]
    pub refusal: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub transaction_id: Option<String>,
    /// When the traveller paid, by WeChat's clock; of late money.
    #[prost(int64, optional, tag = "16")]
    pub paid_at: Option<i64>,
    /// When nobody could pay it any more.
    #[prost(int64, optional, tag = "17")]
    pub ended_at: Option<i64>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "18")]
    pub first: bool,
}

/// Money on its way back.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct RefundRow {
    #[prost(string, tag = "1")]
    pub out_refund_no: String,
    #[prost(string, tag = "2")]
    pub order_id: String,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(string, tag = "4")]
    pub out_trade_no: String,
    /// `due`, `begun`, `refused`, `processing`, `abnormal`, `succeeded`, `closed`.
    #[prost(string, tag = "5")]
    pub state: String,
    #[prost(int64, tag = "6")]
    pub amount_minor: i64,
    #[prost(string, tag = "7")]
    pub currency: String,
    /// `late`, `duplicate`.
    #[prost(string, tag = "8")]
    pub reason: String,
    #[prost(int64, tag = "9")]
    pub due_at: i64,
    #[prost(int64, optional, tag = "10")]
    pub begun_at: Option<i64>,
    /// The exact bytes of the call, while it may have to be repeated.
    #[prost(bytes = "vec", tag = "11")]
    #[serde(skip)]
    pub body: Vec<u8>,
    /// WeChat's.
    #[prost(string, optional, tag = "12")]
    pub refund_id: Option<String>,
    /// WeChat's code.
    #[prost(string, optional, tag = "13")]
    pub refusal: Option<String>,
    #[prost(int64, optional, tag = "14")]
    pub succeeded_at: Option<i64>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct TicketRow {
    #[prost(string, tag = "1")]
    pub ticket_id: String,
    #[prost(string, tag = "2")]
    pub order_id: String,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(string, tag = "4")]
    pub traveller_id: String,
    #[prost(string, tag = "5")]
    pub status: String,
    #[prost(uint32, tag = "6")]
    pub passenger: u32,
    #[prost(string, tag = "7")]
    pub departure_id: String,
    #[prost(uint32, tag = "8")]
    pub board: u32,
    #[prost(uint32, tag = "9")]
    pub alight: u32,
    #[prost(string, tag = "10")]
    pub seat: String,
    #[prost(string, tag = "11")]
    pub board_port: String,
    #[prost(int64, tag = "12")]
    pub departs_at: i64,
    #[prost(string, tag = "13")]
    pub merchant: String,
    #[prost(string, tag = "14")]
    pub entitlement: String,
    #[prost(uint32, tag = "15")]
    pub total: u32,
    #[prost(uint32, tag = "16")]
    pub remaining: u32,
    #[prost(int64, tag = "17")]
    pub valid_from: i64,
    #[prost(int64, tag = "18")]
    pub valid_until: i64,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "19")]
    pub first: bool,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct RedemptionRow {
    #[prost(string, tag = "1")]
    pub ticket_id: String,
    /// Counts the redemptions of a ticket from 1.
    #[prost(uint32, tag = "2")]
    pub number: u32,
    #[prost(string, tag = "3")]
    pub order_id: String,
    #[prost(uint64, tag = "4")]
    pub version: u64,
    #[prost(string, tag = "5")]
    pub session_id: String,
    #[prost(string, tag = "6")]
    pub request_id: String,
    #[prost(string, tag = "7")]
    pub operator: String,
    #[prost(string, tag = "8")]
    pub device: String,
    #[prost(string, optional, tag = "9")]
    pub location: Option<String>,
    #[prost(string, tag = "10")]
    pub merchant: String,
    #[prost(string, tag = "11")]
    pub entitlement: String,
    #[prost(uint32, tag = "12")]
    pub quantity: u32,
    #[prost(int64, tag = "13")]
    pub redeemed_at: i64,
    /// Of the one-time code that was shown, as the bits of a [`crate::code::CodeToken`].
    #[prost(int64, optional, tag = "14")]
    pub code_token: Option<i64>,
}

/// One attempt at one ticket, accepted or refused; attempts without a ticket have an empty ticket id (R-SCAN-05).
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct ScanAttemptRow {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(string, tag = "2")]
    pub request_id: String,
    #[prost(string, tag = "3")]
    pub ticket_id: String,
    #[prost(int64, tag = "4")]
    pub attempted_at: i64,
    #[prost(uint64, tag = "5")]
    pub version: u64,
    #[prost(string, tag = "6")]
    pub operator: String,
    #[prost(string, tag = "7")]
    pub device: String,
    #[prost(string, optional, tag = "8")]
    pub location: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub entitlement: Option<String>,
    /// `success` or `reject`.
    #[prost(string, tag = "10")]
    pub result: String,
    #[prost(string, optional, tag = "11")]
    pub reason: Option<String>,
}

/// Every change of a ticket's state, in order (R-TICKET-06).
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct TicketAuditRow {
    #[prost(string, tag = "1")]
    pub ticket_id: String,
    #[prost(string, tag = "2")]
    pub new_status: String,
    #[prost(string, tag = "3")]
    pub event_id: String,
    #[prost(uint64, tag = "4")]
    pub version: u64,
    #[prost(string, optional, tag = "5")]
    pub prev_status: Option<String>,
    #[prost(string, tag = "6")]
    pub event: String,
    #[prost(int64, tag = "7")]
    pub created_at: i64,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct LedgerRow {
    #[prost(string, tag = "1")]
    pub order_id: String,
    /// Counts the order's entries from 1.
    #[prost(uint32, tag = "2")]
    pub number: u32,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(string, tag = "4")]
    pub kind: String,
    #[prost(string, tag = "5")]
    pub out_trade_no: String,
    #[prost(int64, tag = "6")]
    pub amount_minor: i64,
    #[prost(string, tag = "7")]
    pub currency: String,
    #[prost(int64, tag = "8")]
    pub at: i64,
    #[prost(string, optional, tag = "9")]
    pub out_refund_no: Option<String>,
    /// No earlier image of this row has been written: it may be added without looking for one. Says nothing when unset.
    #[prost(bool, tag = "10")]
    pub first: bool,
}

/// All rows of one order, or the changed ones of one decision.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OrderRows {
    pub orders: Vec<OrderRow>,
    pub items: Vec<OrderItemRow>,
    pub passengers: Vec<PassengerRow>,
    pub payments: Vec<PaymentRow>,
    pub refunds: Vec<RefundRow>,
    pub tickets: Vec<TicketRow>,
    pub redemptions: Vec<RedemptionRow>,
    pub attempts: Vec<ScanAttemptRow>,
    pub audit: Vec<TicketAuditRow>,
    pub ledger: Vec<LedgerRow>,
}

impl OrderRows {
    /// Nothing durable happened: no record is needed.
    pub fn is_empty(&self) -> bool {
        *self == OrderRows::default()
    }

    /// The key's version as its state tells it: every record of an order leaves at least one row of these kinds.
    pub fn newest_version(&self) -> u64 {
        let orders = self.orders.iter().map(|row| row.version);
        let payments = self.payments.iter().map(|row| row.version);
        let refunds = self.refunds.iter().map(|row| row.version);
        let tickets = self.tickets.iter().map(|row| row.version);
        let ledger = self.ledger.iter().map(|row| row.version);
        orders.chain(payments).chain(refunds).chain(tickets).chain(ledger).max().unwrap_or(0)
    }
}

/// Stored rows that no order can have. They are damage, not input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order rows cannot be read: {0}")]
pub struct RowsError(pub String);
