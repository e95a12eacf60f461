//! An order's rows. States are the codes of the domain's types, so that a person can read them in SQL.

mod read;
mod saved;
mod size;
mod touched;
mod write;

pub use saved::Saved;
pub use touched::Touched;
pub use write::Press;

use std::sync::Arc;

use crate::code::CodeToken;
use crate::departure::{Channel, Stretch};
use crate::ids::{
    DepartureId, OperatorCode, OrderId, OutRefundNo, OutTradeNo, PortCode, PromotionCode, RouteCode, SeatClassCode,
    SessionId, TicketId, TravellerId,
};
use crate::money::Currency;
use crate::order::{
    CancelReason, Item, ItemKind, ItemName, LedgerKind, Leg, LineKind, OrderStatus, Passenger, PriceLine, Promoted,
    RefundReason, SealedDocument, SeatWish,
};
use crate::package::PackageTerms;
use crate::party::PassengerType;
use crate::refund_rule::RuleRevision;
use crate::row;
use crate::row::{Element, First, Kind, List, Raw, Unreadable, Uuid, part};
use crate::ticket::TicketStatus;
use crate::time::Timestamp;

row! {
    /// An order with what was bought and for whom.
    pub struct OrderRow<'a>: 33 "order_rows", First::Marked(26);
    1 order_id [Key]: Uuid<OrderId>,
    2 version: u64,
    /// Absent: its channel's partner has bought it.
    3 traveller_id: Option<Uuid<TravellerId>>,
    /// By which its buyer knows it: of a partner's order the partner's reference of the payment.
    4 idempotency_key: &'a str,
    /// SHA-256 of a traveller's request.
    5 body_hash: Option<[u8; 32]>,
    6 status: OrderStatus,
    7 locale: &'a str,
    8 contact_name [Hidden]: &'a str,
    9 contact_phone [Hidden]: &'a str,
    10 contact_email [Hidden]: Option<&'a str>,
    11 currency: Currency,
    12 total_minor: i64,
    13 created_at: Timestamp,
    14 first_lock_expires_at: Timestamp,
    15 lock_expires_at: Timestamp,
    16 paid_at: Option<Timestamp>,
    17 completed_at: Option<Timestamp>,
    18 cancelled_at: Option<Timestamp>,
    19 cancel_reason: Option<CancelReason>,
    /// Of the order's holds. Absent: they are the first.
    20 seat_epoch: Option<u32>,
    /// Not pending, and something is left to be done all the same: money is on its way, or may still come.
    21 outstanding: bool,
    /// Who sold it. Absent: we did (`direct`).
    22 channel: Option<Channel>,
    23 items [Json, Kept]: List<'a, Item>,
    24 passengers [Json, Kept]: List<'a, Passenger>,
    25 price_lines [Json, Kept]: List<'a, PriceLine>,
    /// Absent: the price is no promotion's.
    27 promotions [Json, Kept]: List<'a, Promoted>,
}

part!(Item {
    1 kind (|item| item.kind.name()): ItemName,
    // Of a journey, as what follows, to `wish`.
    2 departure as "departure_id" (if Item { kind: ItemKind::Journey(leg), .. } => leg.departure): Option<DepartureId>,
    3 route as "route_code" (if Item { kind: ItemKind::Journey(leg), .. } => leg.route): Option<RouteCode>,
    4 operator as "operator_code" (if Item { kind: ItemKind::Journey(leg), .. } => leg.operator): Option<OperatorCode>,
    5 class as "class_code" (if Item { kind: ItemKind::Journey(leg), .. } => leg.class): Option<SeatClassCode>,
    6 stretch (if Item { kind: ItemKind::Journey(leg), .. } => leg.stretch): Option<Stretch>,
    7 board_port (if Item { kind: ItemKind::Journey(leg), .. } => leg.board_port): Option<PortCode>,
    8 alight_port (if Item { kind: ItemKind::Journey(leg), .. } => leg.alight_port): Option<PortCode>,
    9 departs_at (if Item { kind: ItemKind::Journey(leg), .. } => leg.departs_at): Option<Timestamp>,
    10 arrives_at (if Item { kind: ItemKind::Journey(leg), .. } => leg.arrives_at): Option<Timestamp>,
    11 seats as "seat_numbers" (if Item { kind: ItemKind::Journey(leg), .. } => leg.seats): Vec<Box<str>>,
    // Whether the traveller chose the seats.
    12 wish as "seats_chosen" (if Item { kind: ItemKind::Journey(leg), .. } => leg.wish != SeatWish::Any): bool,
    13 boards_from (if Item { kind: ItemKind::Journey(leg), .. } => leg.boards_from): Option<Timestamp>,
    14 refund_rule: Option<RuleRevision>,
    15 part_of: Option<u16>,
    16 package (if Item { kind: ItemKind::Package(terms), .. } => **terms): Option<PackageTerms>,
} => {
    let kind = match kind {
        ItemName::Journey => {
            let wish = if wish { SeatWish::Chosen(seats.clone()) } else { SeatWish::Any };
            let leg = |departure| Some(Leg {
                departure,
                route: route?,
                operator: operator?,
                class: class?,
                stretch: stretch?,
                board_port: board_port?,
                alight_port: alight_port?,
                departs_at: departs_at?,
                arrives_at: arrives_at?,
                boards_from,
                wish,
                seats,
            });
            departure.and_then(leg).map(ItemKind::Journey)
        }
        ItemName::Package => package.map(Box::new).map(ItemKind::Package),
    };
    kind.map(|kind| Item { kind, refund_rule, part_of })
});

part!(Passenger {
    1 name [Hidden]: Box<str>,
    2 kind as "passenger_type": PassengerType,
    3 document: Option<SealedDocument>,
} => Some(Passenger { name, kind, document }));

part!(SealedDocument {
    1 kind: Box<str>,
    2 key_version: u32,
    3 ciphertext as "sealed" [Hidden]: Box<[u8]>,
    4 mask: Box<str>,
} => Some(SealedDocument { kind, key_version, ciphertext, mask }));

part!(PriceLine {
    1 item: u16,
    2 passenger as "passenger_type" (|line| line.kind.passenger()): PassengerType,
    // Of a journey: what has none is for a package.
    3 class as "seat_class" (if PriceLine { kind: LineKind::Journey { class, .. }, .. } => *class): Option<SeatClassCode>,
    4 count: u16,
    5 unit_minor: i64,
    6 discount_minor: i64,
    7 total_minor: i64,
    8 explanation: Arc<str>,
} => {
    let kind = match class {
        Some(class) => LineKind::Journey { passenger, class },
        None => LineKind::Package { passenger },
    };
    Some(PriceLine { item, kind, count, unit_minor, discount_minor, total_minor, explanation })
});

part!(Promoted {
    1 code as "promotion_code": PromotionCode,
    2 revision: u32,
    3 discount_minor: i64,
    // The order claims a use of it.
    4 is_limited as "limited": bool,
} => Some(Promoted { code, revision, discount_minor, is_limited }));

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
    pub struct TicketRow<'a>: 35 "ticket_rows", First::Marked(21);
    1 order_id [Key]: Uuid<OrderId>,
    2 number [Key]: u16,
    3 version: u64,
    /// Absent: of a partner's order.
    4 traveller_id: Option<Uuid<TravellerId>>,
    5 status: TicketStatus,
    /// 0 also if it is the whole party's.
    6 passenger: u16,
    /// Of a journey, as what follows, to `departs_at`.
    7 departure_id: Option<&'a str>,
    8 board_stop: u8,
    9 alight_stop: u8,
    10 seat_number: Option<&'a str>,
    11 board_port: Option<&'a str>,
    12 departs_at: Option<Timestamp>,
    /// Absent: every merchant redeems it.
    13 merchant_code: Option<&'a str>,
    14 entitlement_code: &'a str,
    15 total_uses: u16,
    16 remaining_uses: u16,
    17 valid_from: Timestamp,
    18 valid_until: Timestamp,
    /// Absent: it was issued when it became valid.
    19 issued_at: Option<Timestamp>,
    /// Its share of the order's total. Absent: it was issued before tickets had one.
    20 price_minor: Option<i64>,
    /// Index of what was bought. Absent: tickets are numbered item by item, one for each passenger.
    22 item: Option<u16>,
    /// It is the whole party's.
    23 shared: bool,
}

row! {
    /// One attempt at one ticket (R-SCAN-05): a redemption, or a refusal.
    pub struct ScanRow<'a>: 36 "ticket_scans", First::Always;
    1 order_id [Key]: Uuid<OrderId>,
    2 ticket [Key]: u16,
    /// A record has one scan of a ticket at most.
    3 version [Key]: u64,
    4 session_id: Uuid<SessionId>,
    5 request_id: &'a str,
    6 scanned_at: Timestamp,
    7 operator_username: &'a str,
    8 device_id: &'a str,
    9 location_code: Option<&'a str>,
    /// That was asked for; absent: whatever the ticket gives.
    10 entitlement_code: Option<&'a str>,
    /// Why it was refused; `LOOK`: nothing was asked to be redeemed.
    11 reason: Option<&'a str>,
    /// Of a redemption, as all that follows: counts those of a ticket from 1.
    12 number: Option<u32>,
    13 merchant_code: Option<&'a str>,
    14 redeemed_code: Option<&'a str>,
    15 quantity: Option<u16>,
    /// Of the one-time code that was shown.
    16 code_token: Option<CodeToken>,
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
    /// A scan that named no ticket of ours: always refused.
    pub struct AttemptRow<'a>: 37 "ticketless_attempts", First::Always;
    1 session_id [Key]: Uuid<SessionId>,
    2 request_id [Key]: &'a str,
    3 attempted_at [Key]: Timestamp,
    4 version: u64,
    5 operator_username: &'a str,
    6 device_id: &'a str,
    7 location_code: Option<&'a str>,
    8 entitlement_code: Option<&'a str>,
    9 reason: &'a str,
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
    /// Absent: the money is a partner's, and no payment of ours has moved it.
    5 out_trade_no: Option<OutTradeNo>,
    6 amount_minor: i64,
    7 currency: Currency,
    8 booked_at: Timestamp,
    9 out_refund_no: Option<OutRefundNo>,
}
