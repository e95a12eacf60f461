//! Rows as earlier releases wrote them, and how they are written now (rule 23). Records keep what was written into them:
//! whoever takes rows from a record asks [`renewed`] first, and nobody else knows of these types.
//!
//! Until then what an order bought and for whom had a row each, a redemption was another row than its scan, and ids were
//! texts.

use crate::departure::{Channel, Stretch};
use crate::ids::{
    CodeToken, DepartureId, EntitlementCode, HoldId, LocationCode, MerchantCode, OperatorCode, OrderId, PortCode,
    RouteCode, SeatClassCode, SessionId, TicketId, TravellerId,
};
use crate::inventory::rows as inventory;
use crate::money::Currency;
use crate::order::rows as order;
use crate::order::{CancelReason, Item, Leg, OrderStatus, Passenger, PriceLine, SealedDocument, SeatWish};
use crate::party::PassengerType;
use crate::row;
use crate::row::{Damage, First, Home, List, Numbers, Row, Rows, Uuid};
use crate::ticket::TicketStatus;
use crate::time::Timestamp;

row! {
    pub struct OrderRow<'a>: 3 "orders", First::Marked(23), Home::Earlier;
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

row! {
    pub struct OrderItemRow<'a>: 4 "order_items", First::Marked(16), Home::Earlier;
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
    pub struct PassengerRow<'a>: 5 "order_passengers", First::Marked(10), Home::Earlier;
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
    pub struct TicketRow<'a>: 7 "tickets", First::Marked(19), Home::Earlier;
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
    pub struct RedemptionRow<'a>: 8 "redemptions", First::Always, Home::Earlier;
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

row! {
    /// One attempt at one ticket, accepted or refused (R-SCAN-05).
    pub struct ScanAttemptRow<'a>: 9 "scan_attempts", First::Always, Home::Earlier;
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
    /// A hold of one epoch, live or ended. Placed again it gets another row, and its earlier ones say what it had before.
    pub struct HoldRow<'a>: 2 "holds", First::Marked(16), Home::Earlier;
    1 hold_id [Key]: HoldId,
    2 departure_id: DepartureId,
    3 version: u64,
    4 epoch [Key]: u32,
    5 class_code: &'a str,
    /// All seats of the hold, also those freed since, as places in the seat map.
    6 seats: Numbers,
    /// The labels of `seats`.
    7 seat_numbers: List<'a, &'a str>,
    /// Those of `seats` that after-sales has put back on sale.
    8 freed_seats: Numbers,
    9 board_stop: u8,
    10 alight_stop: u8,
    11 channel: Channel,
    /// `held`, `paying`, `confirmed`, `released` or `expired`.
    12 state: &'a str,
    13 placed_at: Timestamp,
    14 expires_at: Timestamp,
    /// When it was released or expired.
    15 ended_at: Option<Timestamp>,
}

/// The rows of a record as they are written now.
pub fn renewed(rows: Rows) -> Result<Rows, Damage> {
    if !rows.images().any(|(slot, _)| SLOTS.contains(&slot)) {
        return Ok(rows);
    }
    // In one record with the order's row, and with the scan's: always.
    let documents = Documents { items: rows.all()?, passengers: rows.all()? };
    let redemptions: Vec<RedemptionRow<'_>> = rows.all()?;
    let mut renewed = Rows::default();
    for (slot, image) in rows.images() {
        match slot {
            ORDER => documents.put_order(image, &mut renewed)?,
            HOLD => put_hold(image, &mut renewed)?,
            TICKET => put_ticket(image, &mut renewed)?,
            ATTEMPT => put_attempt(&ScanAttemptRow::read(image)?, &redemptions, &mut renewed)?,
            ITEM | PASSENGER | REDEMPTION => {}
            _ => renewed.put_image(slot, image),
        }
    }
    Ok(renewed)
}

/// Of all of them.
pub(crate) const SLOTS: [u32; 7] = [HOLD, ORDER, ITEM, PASSENGER, TICKET, REDEMPTION, ATTEMPT];
const HOLD: u32 = HoldRow::TABLE.slot;
const ORDER: u32 = OrderRow::TABLE.slot;
const ITEM: u32 = OrderItemRow::TABLE.slot;
const PASSENGER: u32 = PassengerRow::TABLE.slot;
const TICKET: u32 = TicketRow::TABLE.slot;
const REDEMPTION: u32 = RedemptionRow::TABLE.slot;
const ATTEMPT: u32 = ScanAttemptRow::TABLE.slot;

/// Whether an image is the first of its row.
fn is_first<'a, R: Row<'a>>(image: &[u8]) -> bool {
    R::TABLE.is_first(image) == Ok(true)
}

/// What the orders of a record have bought, and for whom.
struct Documents<'a> {
    items: Vec<OrderItemRow<'a>>,
    passengers: Vec<PassengerRow<'a>>,
}

impl Documents<'_> {
    fn put_order(&self, image: &[u8], rows: &mut Rows) -> Result<(), Damage> {
        let row = OrderRow::read(image)?;
        let mut items: Vec<_> = self.items.iter().filter(|item| item.order_id == row.order_id).collect();
        items.sort_by_key(|item| item.item);
        let items = items.into_iter().map(item_of).collect::<Result<Vec<_>, _>>()?;
        let mut passengers: Vec<_> = self.passengers.iter().filter(|one| one.order_id == row.order_id).collect();
        passengers.sort_by_key(|passenger| passenger.passenger);
        let passengers = passengers.into_iter().map(passenger_of).collect::<Result<Vec<_>, _>>()?;
        let renewed = order::OrderRow {
            order_id: Uuid(row.order_id),
            version: row.version,
            traveller_id: Some(Uuid(row.traveller_id)),
            idempotency_key: row.idempotency_key,
            body_hash: Some(row.body_hash),
            status: row.status,
            locale: row.locale,
            contact_name: row.contact_name,
            contact_phone: row.contact_phone,
            contact_email: row.contact_email,
            currency: row.currency,
            total_minor: row.total_minor,
            created_at: row.created_at,
            first_lock_expires_at: row.first_lock_expires_at,
            lock_expires_at: row.lock_expires_at,
            paid_at: row.paid_at,
            completed_at: row.completed_at,
            cancelled_at: row.cancelled_at,
            cancel_reason: row.cancel_reason,
            seat_epoch: row.seat_epoch,
            outstanding: row.outstanding,
            channel: None,
            items: List::Of(&items),
            passengers: List::Of(&passengers),
            price_lines: row.price_lines,
            promotions: List::Of(&[]),
        };
        rows.put_as(is_first::<OrderRow<'_>>(image), &renewed);
        Ok(())
    }
}

fn item_of(row: &OrderItemRow<'_>) -> Result<Item, Damage> {
    let stretch =
        Stretch::new(row.board_stop, row.alight_stop).ok_or_else(|| row.damage("its stops are no stretch"))?;
    let seats = row.seat_numbers.to_vec();
    let leg = Leg {
        departure: row.departure_id.clone(),
        route: row.route_code.clone(),
        operator: row.operator_code.clone(),
        class: row.class_code.clone(),
        stretch,
        board_port: row.board_port.clone(),
        alight_port: row.alight_port.clone(),
        departs_at: row.departs_at,
        arrives_at: row.arrives_at,
        boards_from: None,
        wish: if row.seats_chosen { SeatWish::Chosen(seats.clone()) } else { SeatWish::Any },
        seats,
    };
    Ok(Item::journey(leg))
}

fn passenger_of(row: &PassengerRow<'_>) -> Result<Passenger, Damage> {
    let document = match (row.document_kind, row.document_key_version, row.document_sealed, row.document_mask) {
        (None, None, None, None) => None,
        (Some(kind), Some(key_version), Some(sealed), Some(mask)) => {
            Some(SealedDocument { kind: kind.into(), key_version, ciphertext: sealed.into(), mask: mask.into() })
        }
        (_, _, _, _) => return Err(row.damage("half a document")),
    };
    Ok(Passenger { name: row.name.into(), kind: row.passenger_type, document })
}

fn put_hold(image: &[u8], rows: &mut Rows) -> Result<(), Damage> {
    let row = HoldRow::read(image)?;
    let HoldId { order, item } = row.hold_id;
    let renewed = inventory::HoldRow {
        order_id: Uuid(order),
        item,
        epoch: row.epoch,
        version: row.version,
        departure_id: row.departure_id.as_str(),
        class_code: row.class_code,
        seats: row.seats,
        seat_numbers: row.seat_numbers,
        freed_seats: row.freed_seats,
        board_stop: row.board_stop,
        alight_stop: row.alight_stop,
        channel: row.channel,
        state: row.state,
        placed_at: row.placed_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
    };
    rows.put_as(is_first::<HoldRow<'_>>(image), &renewed);
    Ok(())
}

fn put_ticket(image: &[u8], rows: &mut Rows) -> Result<(), Damage> {
    let row = TicketRow::read(image)?;
    let renewed = order::TicketRow {
        order_id: Uuid(row.ticket_id.order),
        number: row.ticket_id.number,
        version: row.version,
        traveller_id: Some(Uuid(row.traveller_id)),
        status: row.status,
        passenger: row.passenger,
        departure_id: Some(row.departure_id.as_str()),
        board_stop: row.board_stop,
        alight_stop: row.alight_stop,
        seat_number: Some(row.seat_number),
        board_port: Some(row.board_port.as_str()),
        departs_at: Some(row.departs_at),
        merchant_code: Some(row.merchant_code.as_str()),
        entitlement_code: row.entitlement_code.as_str(),
        total_uses: row.total_uses,
        remaining_uses: row.remaining_uses,
        valid_from: row.valid_from,
        valid_until: row.valid_until,
        issued_at: row.issued_at,
        price_minor: None,
        item: None,
        shared: false,
    };
    rows.put_as(is_first::<TicketRow<'_>>(image), &renewed);
    Ok(())
}

fn put_attempt(row: &ScanAttemptRow<'_>, redemptions: &[RedemptionRow<'_>], rows: &mut Rows) -> Result<(), Damage> {
    if row.ticket_id.is_empty() {
        rows.put(&order::AttemptRow {
            session_id: Uuid(row.session_id),
            request_id: row.request_id,
            attempted_at: row.attempted_at,
            version: row.version,
            operator_username: row.operator_username,
            device_id: row.device_id,
            location_code: row.location_code.as_ref().map(LocationCode::as_str),
            entitlement_code: row.entitlement_code.as_ref().map(EntitlementCode::as_str),
            reason: row.reason.unwrap_or_default(),
        });
        return Ok(());
    }
    let ticket: TicketId = row.ticket_id.parse().map_err(|_| row.damage("ticket_id cannot be read"))?;
    let redemption = redemptions.iter().find(|redemption| redemption.ticket_id == ticket);
    let redemption = redemption.filter(|_| row.reason.is_none());
    rows.put(&order::ScanRow {
        order_id: Uuid(ticket.order),
        ticket: ticket.number,
        version: row.version,
        session_id: Uuid(row.session_id),
        request_id: row.request_id,
        scanned_at: row.attempted_at,
        operator_username: row.operator_username,
        device_id: row.device_id,
        location_code: row.location_code.as_ref().map(LocationCode::as_str),
        entitlement_code: row.entitlement_code.as_ref().map(EntitlementCode::as_str),
        reason: row.reason,
        number: redemption.map(|redemption| redemption.number),
        merchant_code: redemption.map(|redemption| redemption.merchant_code.as_str()),
        redeemed_code: redemption.map(|redemption| redemption.entitlement_code.as_str()),
        quantity: redemption.map(|redemption| redemption.quantity),
        code_token: redemption.and_then(|redemption| redemption.code_token),
    });
    Ok(())
}
