//! Orders byte for byte as they are answered: clients parse these bytes, however they are written.

use std::sync::LazyLock;

use deeptravel_domain::catalogue::{
    Catalogue, Change, Command, Marks, Mode, Names, Operator, Port, Route, RouteStatus, RulesByChannel,
    SALES_WINDOW_DAYS_DEFAULT, Stop, Vehicle, Zone,
};
use deeptravel_domain::departure::{Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{OutRefundNo, OutTradeNo, PortCode};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::Currency;
use deeptravel_domain::order::rows::{OrderRow, RefundRow, ScanRow, TicketRow};
use deeptravel_domain::order::{
    CancelReason, Item, Leg, LineKind, Order, OrderStatus, Passenger, PriceLine, RefundReason, SealedDocument, SeatWish,
};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::row::{List, Rows, Uuid};
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;

use super::order;
use crate::api::frame::Language;

const ORDER: &str = "01K2QJ7E6V70ABT0000000001W";
const TRAVELLER: &str = "01K2QJ7E6V70ABT0000000002W";
/// When the orders are looked at; nothing in an answer depends on it.
const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);
const PLACED: Timestamp = Timestamp::from_ms(1_764_000_000_123);
const DEPARTS: Timestamp = Timestamp::from_ms(1_798_158_600_000);

/// The ports of the coach have names, the coach is in another zone than we are; whatever else an order names is forgotten.
pub fn catalogue() -> Catalogue {
    let port =
        |code: &str, zh: &str, en: &str| Change::from(Port { code: code.parse().unwrap(), names: Names::new(zh, en) });
    let stop = |code: &str, minutes| Stop {
        port: code.parse::<PortCode>().unwrap(),
        arrives_minutes: minutes,
        departs_minutes: minutes,
    };
    let operator =
        Operator { code: "CTBUS".parse().unwrap(), names: Names::new("中旅「巴士」", "China \"Travel\" Bus") };
    let route = Route {
        code: "GZ-BER".parse().unwrap(),
        operator: operator.code.clone(),
        mode: Mode::Coach,
        names: Names::new("線", "Route"),
        time_zone: Zone::named("Europe/Berlin").unwrap(),
        stops: vec![stop("GZ", 0), stop("BER", 150)],
        vehicle: "bus".parse().unwrap(),
        booking_closes_minutes: 30,
        sales_window_days: SALES_WINDOW_DAYS_DEFAULT,
        boarding_opens_minutes: None,
        refund_rules: RulesByChannel::default(),
        status: RouteStatus::OnSale,
        marks: Marks::new(),
    };
    let mut catalogue = Catalogue::new(Currency::Cny);
    let seat_map = SeatMap {
        classes: vec![SeatClass { code: "standard".parse().unwrap(), names: Names::same("Standard") }],
        seats: vec![Seat { label: "01A".to_owned(), class: 0, row: 1, column: 0 }],
    };
    let vehicle = Vehicle {
        code: route.vehicle.clone(),
        names: Names::same("Bus"),
        seat_map: seat_map.into(),
        marks: Marks::new(),
    };
    let contents = [
        port("GZ", "廣州東站", "Guangzhou East"),
        port("BER", "柏林", "Berlin"),
        operator.into(),
        vehicle.into(),
        route.into(),
    ];
    for content in contents {
        let events = catalogue.decide(&Command::new(content, "admin"), NOW).unwrap();
        assert!(events.iter().all(|event| event.outcome.is_ok()), "{events:?}");
        catalogue.apply(&events, 1);
    }
    catalogue
}

static PRICE_LINES: LazyLock<[PriceLine; 3]> = LazyLock::new(|| {
    let line = |item, passenger, count: u16, discount_minor| PriceLine {
        item,
        kind: LineKind::Journey { passenger, class: "standard".parse().unwrap() },
        count,
        unit_minor: 11_000,
        discount_minor,
        total_minor: 11_000 * i64::from(count) - discount_minor,
        explanation: "fare 0 of revision 1, 5 % off from 3 passengers".into(),
    };
    [line(0, PassengerType::Adult, 1, 0), line(0, PassengerType::Child, 1, 550), line(1, PassengerType::Adult, 1, 0)]
});

fn order_row(status: OrderStatus) -> OrderRow<'static> {
    OrderRow {
        order_id: Uuid(ORDER.parse().unwrap()),
        version: 1,
        traveller_id: Some(Uuid(TRAVELLER.parse().unwrap())),
        idempotency_key: "secret-key",
        body_hash: Some([0; 32]),
        status,
        locale: "en",
        contact_name: "陈大文 \"Tai\" \\ O’Neill",
        contact_phone: "+852 5555 0123",
        contact_email: Some("tai@example.com"),
        currency: Currency::Cny,
        total_minor: 43_450,
        created_at: PLACED,
        first_lock_expires_at: PLACED.plus_ms(600_000),
        lock_expires_at: PLACED.plus_ms(600_000),
        paid_at: None,
        completed_at: None,
        cancelled_at: None,
        cancel_reason: None,
        seat_epoch: None,
        outstanding: false,
        channel: None,
        items: List::Of(&*ITEMS),
        passengers: List::Of(&*PASSENGERS),
        price_lines: List::Of(&*PRICE_LINES),
        promotions: List::Of(&[]),
    }
}

fn leg(number: u8, route: &str, operator: &str, ports: [&str; 2]) -> Leg {
    // Half a year apart: the clocks of the coach have changed.
    let departs_at = DEPARTS.plus_ms(i64::from(number) * 180 * 86_400_000);
    Leg {
        departure: format!("{route}-0830.2026122{}", 4 + number).parse().unwrap(),
        route: route.parse().unwrap(),
        operator: operator.parse().unwrap(),
        class: "standard".parse().unwrap(),
        stretch: Stretch::new(0, 1 + number).unwrap(),
        board_port: ports[0].parse().unwrap(),
        alight_port: ports[1].parse().unwrap(),
        departs_at,
        arrives_at: departs_at.plus_ms(9_000_000),
        boards_from: None,
        wish: SeatWish::Any,
        seats: [format!("0{number}A").into(), format!("0{number}B").into()].into(),
    }
}

static LEGS: LazyLock<[Leg; 3]> = LazyLock::new(|| {
    [
        leg(0, "GZ-BER", "CTBUS", ["GZ", "BER"]),
        leg(1, "GZ-BER", "CTBUS", ["BER", "GZ"]),
        leg(2, "GONE", "LOST", ["X", "Y"]),
    ]
});

static ITEMS: LazyLock<[Item; 3]> = LazyLock::new(|| LEGS.clone().map(Item::journey));

static PASSENGERS: LazyLock<[Passenger; 2]> = LazyLock::new(|| {
    let document = SealedDocument {
        kind: "passport".into(),
        key_version: 1,
        ciphertext: b"sealed".as_slice().into(),
        mask: "****4567".into(),
    };
    [
        Passenger { name: "陈大文".into(), kind: PassengerType::Adult, document: Some(document) },
        Passenger { name: "Mei\u{301} \u{1F600}".into(), kind: PassengerType::Child, document: None },
    ]
});

fn rows(order: &OrderRow<'_>) -> Rows {
    let mut rows = Rows::default();
    rows.put(order);
    rows
}

fn put_ticket(rows: &mut Rows, number: u16, leg: &Leg, status: TicketStatus, remaining_uses: u16) {
    rows.put(&TicketRow {
        order_id: Uuid(ORDER.parse().unwrap()),
        number,
        version: 2,
        traveller_id: Some(Uuid(TRAVELLER.parse().unwrap())),
        status,
        passenger: number - 1,
        departure_id: Some(leg.departure.as_str()),
        board_stop: leg.stretch.board,
        alight_stop: leg.stretch.alight,
        seat_number: Some(&leg.seats[0]),
        board_port: Some(leg.board_port.as_str()),
        departs_at: Some(leg.departs_at),
        merchant_code: Some(leg.operator.as_str()),
        entitlement_code: "BOARDING",
        total_uses: 1,
        remaining_uses,
        valid_from: leg.departs_at.plus_ms(-7_200_000),
        valid_until: leg.departs_at.plus_ms(1_800_001),
        issued_at: None,
        price_minor: None,
        item: None,
        shared: false,
    });
}

fn refund_row(number: u16, attempt: u16, state: &str) -> RefundRow<'_> {
    let order = ORDER.parse().unwrap();
    RefundRow {
        out_refund_no: OutRefundNo { order, number },
        order_id: order,
        version: 3,
        out_trade_no: OutTradeNo { order, attempt },
        state,
        amount_minor: 43_450,
        currency: Currency::Cny,
        reason: RefundReason::Late,
        due_at: PLACED.plus_ms(700_010),
        begun_at: None,
        request_body: &[],
        refund_id: Some("50000000382019052709732678859"),
        refusal: None,
        succeeded_at: Some(PLACED.plus_ms(900_900)),
        replaces: None,
    }
}

fn order(rows: &Rows) -> Order {
    Order::from_rows(rows, NOW).unwrap()
}

pub fn pending() -> Order {
    order(&rows(&order_row(OrderStatus::Pending)))
}

/// One ticket has been used, another is of a journey that the order does not have any more.
pub fn paid() -> Order {
    let mut all = rows(&OrderRow { paid_at: Some(PLACED.plus_ms(1_000)), ..order_row(OrderStatus::Paid) });
    let mut tickets = Rows::default();
    let [there, back, gone] = &*LEGS;
    put_ticket(&mut tickets, 1, there, TicketStatus::Used, 0);
    put_ticket(&mut tickets, 2, back, TicketStatus::Usable, 1);
    put_ticket(&mut tickets, 3, gone, TicketStatus::Changing, 1);
    tickets.put(&ScanRow {
        order_id: Uuid(ORDER.parse().unwrap()),
        ticket: 1,
        version: 3,
        session_id: Uuid("01K2QJ7E6V70ABT0000000003W".parse().unwrap()),
        request_id: "r1",
        scanned_at: DEPARTS.plus_ms(-60_000),
        operator_username: "gate",
        device_id: "device-1",
        location_code: Some("GZ"),
        entitlement_code: None,
        reason: None,
        number: Some(1),
        merchant_code: Some("CTBUS"),
        redeemed_code: Some("BOARDING"),
        quantity: Some(1),
        code_token: None,
    });
    all.extend(&tickets);
    order(&all)
}

fn refunded() -> Order {
    let mut rows = rows(&OrderRow {
        cancelled_at: Some(PLACED.plus_ms(600_500)),
        cancel_reason: Some(CancelReason::Expired),
        contact_email: None,
        ..order_row(OrderStatus::Cancelled)
    });
    rows.put(&refund_row(1, 1, "closed"));
    let closed = OutRefundNo { order: ORDER.parse().unwrap(), number: 1 };
    rows.put(&RefundRow { replaces: Some(closed), ..refund_row(2, 1, "succeeded") });
    rows.put(&RefundRow { reason: RefundReason::Duplicate, ..refund_row(3, 2, "processing") });
    order(&rows)
}

#[track_caller]
fn assert_is_written(order: &Order, language: Language, expected: &str) {
    let written = serde_json::to_string(&order::view(&catalogue(), language, order)).unwrap();
    assert_eq!(written, expected.trim_end());
}

#[test]
fn a_pending_order_is_written_as_ever() {
    assert_is_written(&pending(), Language::Chinese, include_str!("pending.zh.json"));
    assert_is_written(&pending(), Language::English, include_str!("pending.en.json"));
}

#[test]
fn a_paid_order_is_written_with_its_tickets_as_ever() {
    assert_is_written(&paid(), Language::Chinese, include_str!("paid.zh.json"));
    assert_is_written(&paid(), Language::English, include_str!("paid.en.json"));
}

#[test]
fn a_cancelled_order_is_written_with_its_refunds_as_ever() {
    assert_is_written(&refunded(), Language::Chinese, include_str!("refunded.zh.json"));
    assert_is_written(&refunded(), Language::English, include_str!("refunded.en.json"));
}
