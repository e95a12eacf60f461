//! An order's rows. States are the codes of the domain's types, so that a person can read them in SQL.

mod read;
mod saved;
mod size;
mod touched;
mod write;

pub use saved::Saved;
pub use touched::Touched;

use std::sync::Arc;

use crate::code::CodeToken;
use crate::ids::{
    DepartureId, EntitlementCode, LocationCode, MerchantCode, OperatorCode, OrderId, OutRefundNo, OutTradeNo, PortCode,
    RouteCode, SeatClassCode, SessionId, TicketId, TravellerId,
};
use crate::money::Currency;
use crate::order::{CancelReason, LedgerKind, OrderStatus, PriceLine, RefundReason};
use crate::party::PassengerType;
use crate::row;
use crate::row::{Element, First, Kind, List, Raw, Unreadable, part};
use crate::ticket::TicketStatus;
use crate::time::Timestamp;

row! {
    pub struct OrderRow<'a>: 3 "orders", First::Marked(23);
    1 order_id [Key]: OrderId,
    2 version: u64,
    3 traveller_id: TravellerId,
    4 idempotency_key: &'a str,
    /// SHA-256 of the request.
    5 body_hash: [u8; 32],
    6 status: OrderStatus,
    7 locale: &'a str,
    8 contact_name [Hidden]: &'a str,
    9 contact_phone [Hidden]: &'a str,
    10 contact_email [Hidden]: Option<&'a str>,
    11 currency: Currency,
    12 total_minor: i64,
    13 price_lines: List<'a, PriceLine>,
    14 created_at: Timestamp,
    15 first_lock_expires_at: Timestamp,
    16 lock_expires_at: Timestamp,
    17 paid_at: Option<Timestamp>,
    18 completed_at: Option<Timestamp>,
    19 cancelled_at: Option<Timestamp>,
    20 cancel_reason: Option<CancelReason>,
    /// Of the order's holds. Absent: they are the first.
    21 seat_epoch: Option<u32>,
    /// Not pending, and something is left to be done all the same: money is on its way, or may still come.
    22 outstanding: bool,
}

part!(PriceLine {
    1 item: u16,
    2 kind as "passenger_type": PassengerType,
    3 class as "seat_class": SeatClassCode,
    4 count: u16,
    5 unit_minor: i64,
    6 discount_minor: i64,
    7 total_minor: i64,
    8 explanation: Arc<str>,
} => Some(PriceLine { item, kind, class, count, unit_minor, discount_minor, total_minor, explanation }));

row! {
    pub struct OrderItemRow<'a>: 4 "order_items", First::Marked(16);
    1 order_id [Key]: OrderId,
    2 item [Key]: u32,
    3 version: u64,
    4 departure_id: DepartureId,
    5 route_code: RouteCode,
    6 operator_code: OperatorCode,
    7 class_code: SeatClassCode,
    8 board_stop: u8,
    9 alight_stop: u8,
    10 board_port: PortCode,
    11 alight_port: PortCode,
    12 departs_at: Timestamp,
    13 arrives_at: Timestamp,
    14 seat_numbers: List<'a, Box<str>>,
    /// Whether the traveller chose the seats.
    15 seats_chosen: bool,
}

row! {
    pub struct PassengerRow<'a>: 5 "order_passengers", First::Marked(10);
    1 order_id [Key]: OrderId,
    2 passenger [Key]: u32,
    3 version: u64,
    4 name [Hidden]: &'a str,
    5 passenger_type: PassengerType,
    6 document_kind: Option<&'a str>,
    7 document_key_version: Option<u32>,
    8 document_sealed [Hidden]: Option<&'a [u8]>,
    9 document_mask: Option<&'a str>,
}

row! {
    pub struct PaymentRow<'a>: 6 "payments", First::Marked(18);
    1 out_trade_no [Key]: OutTradeNo,
    2 order_id: OrderId,
    3 version: u64,
    /// `begun`, `created`, `refused`, `closed`, `paid`, `paid_late`.
    4 state: &'a str,
    5 total_minor: i64,
    6 currency: Currency,
    /// The exact bytes of the create call, while it may have to be repeated.
    7 request_body [Hidden]: &'a [u8],
    8 time_expire: Timestamp,
    9 hold_expires_at: Timestamp,
    10 begun_at: Timestamp,
    11 prepay_id: Option<&'a str>,
    12 nonce: Option<&'a str>,
    13 signed_at_seconds: Option<i64>,
    14 refusal: Option<&'a str>,
    15 transaction_id: Option<&'a str>,
    /// When the traveller paid, by WeChat's clock; of late money.
    16 paid_at: Option<Timestamp>,
    /// When nobody could pay it any more.
    17 ended_at: Option<Timestamp>,
}

row! {
    /// Money on its way back.
    pub struct RefundRow<'a>: 24 "refunds", First::Unknown;
    1 out_refund_no [Key]: OutRefundNo,
    2 order_id: OrderId,
    3 version: u64,
    4 out_trade_no: OutTradeNo,
    /// `due`, `begun`, `refused`, `processing`, `abnormal`, `succeeded`, `closed`.
    5 state: &'a str,
    6 amount_minor: i64,
    7 currency: Currency,
    8 reason: RefundReason,
    9 due_at: Timestamp,
    10 begun_at: Option<Timestamp>,
    /// The exact bytes of the call, while it may have to be repeated.
    11 request_body [Hidden]: &'a [u8],
    /// WeChat's.
    12 refund_id: Option<&'a str>,
    /// WeChat's code.
    13 refusal: Option<&'a str>,
    14 succeeded_at: Option<Timestamp>,
    /// The closed refund whose place it takes. Rows that were written before there was this column never say so.
    15 replaces: Option<OutRefundNo>,
}

row! {
    pub struct TicketRow<'a>: 7 "tickets", First::Marked(19);
    1 ticket_id [Key]: TicketId,
    2 order_id: OrderId,
    3 version: u64,
    4 traveller_id: TravellerId,
    5 status: TicketStatus,
    6 passenger: u16,
    7 departure_id: DepartureId,
    8 board_stop: u8,
    9 alight_stop: u8,
    10 seat_number: &'a str,
    11 board_port: PortCode,
    12 departs_at: Timestamp,
    13 merchant_code: MerchantCode,
    14 entitlement_code: EntitlementCode,
    15 total_uses: u16,
    16 remaining_uses: u16,
    17 valid_from: Timestamp,
    18 valid_until: Timestamp,
    /// Absent: it was issued when it became valid.
    20 issued_at: Option<Timestamp>,
}

row! {
    pub struct RedemptionRow<'a>: 8 "redemptions", First::Always;
    1 ticket_id [Key]: TicketId,
    /// Counts the redemptions of a ticket from 1.
    2 number [Key]: u32,
    3 order_id: OrderId,
    4 version: u64,
    5 session_id: SessionId,
    6 request_id: &'a str,
    7 operator_username: &'a str,
    8 device_id: &'a str,
    9 location_code: Option<&'a str>,
    10 merchant_code: MerchantCode,
    11 entitlement_code: EntitlementCode,
    12 quantity: u16,
    13 redeemed_at: Timestamp,
    /// Of the one-time code that was shown.
    14 code_token: Option<CodeToken>,
}

/// As the bits of a signed number, which is all that a database has.
impl Element<'_> for CodeToken {
    const ONE: Kind = Kind::Signed;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        self.0.cast_signed().put_one(tag, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        i64::get_one(raw).map(|bits| CodeToken(bits.cast_unsigned()))
    }
}

row! {
    /// One attempt at one ticket, accepted or refused (R-SCAN-05).
    pub struct ScanAttemptRow<'a>: 9 "scan_attempts", First::Always;
    1 session_id [Key]: SessionId,
    2 request_id [Key]: &'a str,
    /// Empty: the code named no ticket.
    3 ticket_id [Key]: &'a str,
    4 attempted_at [Key]: Timestamp,
    5 version: u64,
    6 operator_username: &'a str,
    7 device_id: &'a str,
    8 location_code: Option<LocationCode>,
    9 entitlement_code: Option<EntitlementCode>,
    /// `success` or `reject`.
    10 result: &'a str,
    11 reason: Option<&'a str>,
}

row! {
    /// Every change of a ticket's state, in order (R-TICKET-06).
    pub struct TicketAuditRow<'a>: 10 "ticket_status_audit", First::Always;
    1 ticket_id [Key]: TicketId,
    2 new_status [Key]: TicketStatus,
    3 event_id [Key]: &'a str,
    4 version: u64,
    5 prev_status: Option<TicketStatus>,
    6 event: &'a str,
    7 created_at: Timestamp,
}

row! {
    pub struct LedgerRow: 11 "ledger_entries", First::Marked(10);
    1 order_id [Key]: OrderId,
    /// Counts the order's entries from 1.
    2 number [Key]: u32,
    3 version: u64,
    4 kind: LedgerKind,
    5 out_trade_no: OutTradeNo,
    6 amount_minor: i64,
    7 currency: Currency,
    8 booked_at: Timestamp,
    9 out_refund_no: Option<OutRefundNo>,
}
