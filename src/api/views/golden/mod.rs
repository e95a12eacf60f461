//! Orders byte for byte as they are answered: clients parse these bytes, however they are written.

use deeptravel_domain::catalogue::{
    Catalogue, Event, Marks, Mode, Names, Operator, Port, Route, RouteStatus, SALES_WINDOW_DAYS_DEFAULT,
    SEAT_LOCK_MINUTES_DEFAULT, Stop, Zone,
};
use deeptravel_domain::ids::PortCode;
use deeptravel_domain::money::Currency;
use deeptravel_domain::order::Order;
use deeptravel_domain::order::rows::{
    OrderItemRow, OrderRow, OrderRows, PassengerRow, PriceLineRow, RedemptionRow, RefundRow, TicketRow,
};
use deeptravel_domain::time::Timestamp;

use super::order;
use crate::api::frame::Language;

const ORDER: &str = "01K2QJ7E6V70ABT0000000001W";
/// When the orders are looked at; nothing in an answer depends on it.
const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);
const PLACED_MS: i64 = 1_764_000_000_123;
const DEPARTS_MS: i64 = 1_798_158_600_000;

/// The ports of the coach have names, the coach is in another zone than we are; whatever else an order names is forgotten.
pub fn catalogue() -> Catalogue {
    let port = |code: &str, zh: &str, en: &str| {
        Event::PortPut(Port { code: code.parse().unwrap(), names: Names::new(zh, en) }.into())
    };
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
        seat_lock_minutes: SEAT_LOCK_MINUTES_DEFAULT,
        booking_closes_minutes: 30,
        sales_window_days: SALES_WINDOW_DAYS_DEFAULT,
        blackout: std::collections::BTreeSet::default(),
        status: RouteStatus::OnSale,
        marks: Marks::new(),
    };
    let mut catalogue = Catalogue::new(Currency::Cny);
    let events = [
        port("GZ", "廣州東站", "Guangzhou East"),
        port("BER", "柏林", "Berlin"),
        Event::OperatorPut(operator.into()),
        Event::RoutePut(route.into()),
    ];
    for event in events {
        catalogue.evolve(&event);
    }
    catalogue
}

fn order_row(status: &str) -> OrderRow {
    let line = |item, kind: &str, count: u32, discount_minor| PriceLineRow {
        item,
        passenger_type: kind.to_owned(),
        seat_class: "standard".to_owned(),
        count,
        unit_minor: 11_000,
        discount_minor,
        total_minor: 11_000 * i64::from(count) - discount_minor,
        explanation: "fare 0 of revision 1, 5 % off from 3 passengers".to_owned(),
    };
    OrderRow {
        order_id: ORDER.to_owned(),
        version: 1,
        traveller_id: "01K2QJ7E6V70ABT0000000002W".to_owned(),
        idempotency_key: "secret-key".to_owned(),
        body_hash: vec![0; 32],
        status: status.to_owned(),
        locale: "en".to_owned(),
        contact_name: "陈大文 \"Tai\" \\ O’Neill".to_owned(),
        contact_phone: "+852 5555 0123".to_owned(),
        contact_email: Some("tai@example.com".to_owned()),
        currency: "CNY".to_owned(),
        total_minor: 43_450,
        price_lines: vec![line(0, "adult", 1, 0), line(0, "child", 1, 550), line(1, "adult", 1, 0)],
        created_at: PLACED_MS,
        first_lock_expires_at: PLACED_MS + 600_000,
        lock_expires_at: PLACED_MS + 600_000,
        ..OrderRow::default()
    }
}

fn item_row(item: u32, route: &str, operator: &str, ports: [&str; 2]) -> OrderItemRow {
    OrderItemRow {
        order_id: ORDER.to_owned(),
        item,
        version: 1,
        departure_id: format!("{route}-0830.2026122{}", 4 + item),
        route_code: route.to_owned(),
        operator: operator.to_owned(),
        seat_class: "standard".to_owned(),
        board: 0,
        alight: 1 + item,
        board_port: ports[0].to_owned(),
        alight_port: ports[1].to_owned(),
        // Half a year apart: the clocks of the coach have changed.
        departs_at: DEPARTS_MS + i64::from(item) * 180 * 86_400_000,
        arrives_at: DEPARTS_MS + i64::from(item) * 180 * 86_400_000 + 9_000_000,
        seats: vec![format!("0{item}A"), format!("0{item}B")],
        chosen: false,
        ..OrderItemRow::default()
    }
}

fn passenger_row(passenger: u32, name: &str, kind: &str, document: Option<&str>) -> PassengerRow {
    PassengerRow {
        order_id: ORDER.to_owned(),
        passenger,
        version: 1,
        name: name.to_owned(),
        passenger_type: kind.to_owned(),
        document_kind: document.map(|_| "passport".to_owned()),
        document_key_version: document.map(|_| 1),
        document_sealed: document.map(|_| b"sealed".to_vec()),
        document_mask: document.map(str::to_owned),
        ..PassengerRow::default()
    }
}

fn rows(order: OrderRow) -> OrderRows {
    OrderRows {
        orders: vec![order],
        items: vec![
            item_row(0, "GZ-BER", "CTBUS", ["GZ", "BER"]),
            item_row(1, "GZ-BER", "CTBUS", ["BER", "GZ"]),
            item_row(2, "GONE", "LOST", ["X", "Y"]),
        ],
        passengers: vec![
            passenger_row(0, "陈大文", "adult", Some("****4567")),
            passenger_row(1, "Mei\u{301} \u{1F600}", "child", None),
        ],
        ..OrderRows::default()
    }
}

fn ticket_row(number: u32, item: &OrderItemRow, status: &str, remaining: u32) -> TicketRow {
    TicketRow {
        ticket_id: format!("{ORDER}-{number}"),
        order_id: ORDER.to_owned(),
        version: 2,
        traveller_id: "01K2QJ7E6V70ABT0000000002W".to_owned(),
        status: status.to_owned(),
        passenger: number - 1,
        departure_id: item.departure_id.clone(),
        board: item.board,
        alight: item.alight,
        seat: item.seats[0].clone(),
        board_port: item.board_port.clone(),
        departs_at: item.departs_at,
        merchant: item.operator.clone(),
        entitlement: "BOARDING".to_owned(),
        total: 1,
        remaining,
        valid_from: item.departs_at - 7_200_000,
        valid_until: item.departs_at + 1_800_001,
        ..TicketRow::default()
    }
}

fn refund_row(number: u32, attempt: u32, state: &str) -> RefundRow {
    RefundRow {
        out_refund_no: format!("{ORDER}R{number}"),
        order_id: ORDER.to_owned(),
        version: 3,
        out_trade_no: format!("{ORDER}P{attempt}"),
        state: state.to_owned(),
        amount_minor: 43_450,
        currency: "CNY".to_owned(),
        reason: "late".to_owned(),
        due_at: PLACED_MS + 700_010,
        refund_id: Some("50000000382019052709732678859".to_owned()),
        succeeded_at: Some(PLACED_MS + 900_900),
        ..RefundRow::default()
    }
}

fn order(rows: OrderRows) -> Order {
    Order::from_rows(rows, NOW).unwrap()
}

pub fn pending() -> Order {
    order(rows(order_row("pending")))
}

/// One ticket has been used, another is of a journey that the order does not have any more.
pub fn paid() -> Order {
    let mut rows = rows(OrderRow { paid_at: Some(PLACED_MS + 1_000), ..order_row("paid") });
    let [there, back, gone] = &rows.items[..] else { panic!("three items") };
    let elsewhere = OrderItemRow { departure_id: "OTHER.20261224".to_owned(), ..there.clone() };
    rows.tickets = vec![
        ticket_row(1, there, "used", 0),
        ticket_row(2, back, "usable", 1),
        ticket_row(3, gone, "changing", 1),
        ticket_row(4, &elsewhere, "usable", 1),
    ];
    rows.redemptions = vec![RedemptionRow {
        ticket_id: format!("{ORDER}-1"),
        number: 1,
        order_id: ORDER.to_owned(),
        version: 3,
        session_id: "01K2QJ7E6V70ABT0000000003W".to_owned(),
        request_id: "r1".to_owned(),
        quantity: 1,
        redeemed_at: DEPARTS_MS - 60_000,
        location: Some("GZ".to_owned()),
        ..RedemptionRow::default()
    }];
    order(rows)
}

fn refunded() -> Order {
    let mut rows = rows(OrderRow {
        cancelled_at: Some(PLACED_MS + 600_500),
        cancel_reason: Some("expired".to_owned()),
        contact_email: None,
        ..order_row("cancelled")
    });
    rows.refunds = vec![
        refund_row(1, 1, "closed"),
        refund_row(2, 1, "succeeded"),
        RefundRow { reason: "duplicate".to_owned(), ..refund_row(3, 2, "processing") },
    ];
    order(rows)
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
