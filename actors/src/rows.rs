//! The payload of a record: the rows that one decision changed, as they now are. Also what the projector gathers many
//! records into: merging two of them concatenates every table.
//!
//! Tags are never reused (rule 23).

use deeptravel_domain::catalogue::rows as catalogue;
use deeptravel_domain::identity::rows::{AccountRow, IdentityRows, SessionRow, ValidatorSessionRow};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow, InventoryRow};
use deeptravel_domain::order::rows::{
    LedgerRow, OrderItemRow, OrderRow, OrderRows, PassengerRow, PaymentRow, RedemptionRow, RefundRow, ScanAttemptRow,
    TicketAuditRow, TicketRow,
};
use prost::Message;
use serde::Serialize;

/// Record kind: images of rows.
pub const KIND_ROWS: u16 = 1;
/// Version of the encoding of [`Rows`].
pub const CODEC: u16 = 1;

/// A payment notice that was signed by the provider but does not fit any order: it may be real money (R-PAY-06).
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct QuarantineRow {
    /// The provider's id of the notice.
    #[prost(string, tag = "1")]
    pub notice_id: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub out_trade_no: String,
    #[prost(string, optional, tag = "4")]
    pub transaction_id: Option<String>,
    #[prost(string, tag = "5")]
    pub reason: String,
    /// What the provider said, decrypted, as JSON. It may name the payer, so `journal dump` leaves it out.
    #[prost(string, tag = "6")]
    #[serde(skip)]
    pub notice: String,
    #[prost(int64, tag = "7")]
    pub received_at: i64,
    /// When somebody had seen to it.
    #[prost(int64, optional, tag = "8")]
    pub resolved_at: Option<i64>,
    /// The account that did.
    #[prost(string, optional, tag = "9")]
    pub resolved_by: Option<String>,
    /// What was done, in a person's words: `journal dump` leaves it out.
    #[prost(string, optional, tag = "10")]
    #[serde(skip)]
    pub note: Option<String>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub struct Rows {
    #[prost(message, repeated, tag = "1")]
    pub departures: Vec<DepartureRow>,
    #[prost(message, repeated, tag = "2")]
    pub holds: Vec<HoldRow>,
    #[prost(message, repeated, tag = "3")]
    pub orders: Vec<OrderRow>,
    #[prost(message, repeated, tag = "4")]
    pub order_items: Vec<OrderItemRow>,
    #[prost(message, repeated, tag = "5")]
    pub passengers: Vec<PassengerRow>,
    #[prost(message, repeated, tag = "6")]
    pub payments: Vec<PaymentRow>,
    #[prost(message, repeated, tag = "7")]
    pub tickets: Vec<TicketRow>,
    #[prost(message, repeated, tag = "8")]
    pub redemptions: Vec<RedemptionRow>,
    #[prost(message, repeated, tag = "9")]
    pub scan_attempts: Vec<ScanAttemptRow>,
    #[prost(message, repeated, tag = "10")]
    pub ticket_audit: Vec<TicketAuditRow>,
    #[prost(message, repeated, tag = "11")]
    pub ledger: Vec<LedgerRow>,
    #[prost(message, repeated, tag = "12")]
    pub accounts: Vec<AccountRow>,
    #[prost(message, repeated, tag = "13")]
    pub sessions: Vec<SessionRow>,
    #[prost(message, repeated, tag = "14")]
    pub validator_sessions: Vec<ValidatorSessionRow>,
    #[prost(message, repeated, tag = "15")]
    pub quarantine: Vec<QuarantineRow>,
    #[prost(message, repeated, tag = "16")]
    pub operators: Vec<catalogue::OperatorRow>,
    #[prost(message, repeated, tag = "17")]
    pub ports: Vec<catalogue::PortRow>,
    #[prost(message, repeated, tag = "18")]
    pub places: Vec<catalogue::PlaceRow>,
    #[prost(message, repeated, tag = "19")]
    pub vehicles: Vec<catalogue::VehicleRow>,
    #[prost(message, repeated, tag = "20")]
    pub holidays: Vec<catalogue::HolidayRow>,
    #[prost(message, repeated, tag = "21")]
    pub routes: Vec<catalogue::RouteRow>,
    #[prost(message, repeated, tag = "22")]
    pub schedules: Vec<catalogue::ScheduleRow>,
    #[prost(message, repeated, tag = "23")]
    pub route_fares: Vec<catalogue::RouteFaresRow>,
    #[prost(message, repeated, tag = "24")]
    pub refunds: Vec<RefundRow>,
}

impl From<OrderRows> for Rows {
    fn from(rows: OrderRows) -> Rows {
        let OrderRows { orders, items, passengers, payments, refunds, tickets, redemptions, attempts, audit, ledger } =
            rows;
        Rows {
            orders,
            order_items: items,
            passengers,
            payments,
            refunds,
            tickets,
            redemptions,
            scan_attempts: attempts,
            ticket_audit: audit,
            ledger,
            ..Rows::default()
        }
    }
}

impl From<IdentityRows> for Rows {
    fn from(rows: IdentityRows) -> Rows {
        let IdentityRows { accounts, sessions, validators } = rows;
        Rows { accounts, sessions, validator_sessions: validators, ..Rows::default() }
    }
}

impl FromIterator<InventoryRow> for Rows {
    fn from_iter<I: IntoIterator<Item = InventoryRow>>(images: I) -> Rows {
        let mut rows = Rows::default();
        for image in images {
            match image {
                InventoryRow::Departure(row) => rows.departures.push(row),
                InventoryRow::Hold(row) => rows.holds.push(row),
            }
        }
        rows
    }
}

impl FromIterator<catalogue::Row> for Rows {
    fn from_iter<I: IntoIterator<Item = catalogue::Row>>(images: I) -> Rows {
        let mut rows = Rows::default();
        for image in images {
            match image {
                catalogue::Row::Operator(row) => rows.operators.push(row),
                catalogue::Row::Port(row) => rows.ports.push(row),
                catalogue::Row::Place(row) => rows.places.push(row),
                catalogue::Row::Vehicle(row) => rows.vehicles.push(row),
                catalogue::Row::Holiday(row) => rows.holidays.push(row),
                catalogue::Row::Route(row) => rows.routes.push(row),
                catalogue::Row::Schedule(row) => rows.schedules.push(row),
                catalogue::Row::RouteFares(row) => rows.route_fares.push(row),
            }
        }
        rows
    }
}
