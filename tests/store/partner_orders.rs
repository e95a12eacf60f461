//! Orders that a partner has sold, through Postgres and back (R-OTA-06, R-OTA-07).

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::names::Names;
use deeptravel_domain::order::{Command, Contact, LineKind, Order, PartnerSale, Passenger, Price, PriceLine, partner};
use deeptravel_domain::package::{EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::tables::newest_version;

use crate::support::*;

const PRICE: i64 = 29_900;

pub fn sale(id: OrderId) -> PartnerSale {
    let entitlement = |of: &str, shared| EntitlementTerms {
        code: code(of),
        names: Names::new("权益", of),
        quantity: 1,
        merchant: None,
        locations: vec![],
        channel: RedemptionChannel::Any,
        requires_identity: false,
        shared,
        weight: 0,
        validity: Validity::Relative { days: 30, starts: StartsAt::Payment, until: None },
    };
    let unit = PackageTerms {
        template: code("pkg-premium"),
        version: 1,
        product: Some(106),
        names: Names::new("尊享", "Premium"),
        zone: code("Asia/Hong_Kong"),
        service_date: None,
        quantity: 1,
        entitlements: vec![entitlement("MUSEUM", false), entitlement("LOCKER", true)],
    };
    let line = |item| PriceLine {
        item,
        kind: LineKind::Package { passenger: PassengerType::Adult },
        count: 1,
        unit_minor: PRICE,
        discount_minor: 0,
        total_minor: PRICE,
        explanation: "adult".into(),
    };
    PartnerSale {
        id,
        partner: code("trip"),
        locale: "zh-HK".into(),
        contact: Contact { name: "Reseller".into(), phone: "+85290000000".into(), email: None },
        passenger: Passenger { name: "Reseller".into(), kind: PassengerType::Adult, document: None },
        items: vec![unit.clone(), unit],
        price: Price { total: Money::new(2 * PRICE, Currency::Cny), lines: vec![line(0), line(1)] },
        payment_reference: "TRIP-2026-77".into(),
        message: None,
        paid_at: NOW.plus_seconds(-60),
    }
}

#[test]
fn r_ota_06_07_a_partners_order_comes_back_as_it_was_and_people_read_who_has_the_money() {
    let stand = Stand::new();
    let id = order_id(1);
    let (mut order, rows) = Order::born_paid(sale(id), NOW);
    let back = |order: &Order, version| {
        let rows = stand.order(id).unwrap().unwrap();
        assert_eq!(newest_version(&rows).unwrap(), version);
        assert_eq!(Order::from_rows(&rows, NOW).unwrap(), *order);
    };
    stand.project(&rows).unwrap();
    back(&order, 0);

    let cancel = Command::from(partner::Command::Cancel { partner: code("trip"), item: 1 });
    let events = order.decide(&cancel, NOW.plus_seconds(60)).unwrap();
    stand.project(&order.apply(&events, 1)).unwrap();
    back(&order, 1);

    let shown = |sql: &str| stand.ask::<String>(sql);
    let sold = "SELECT concat_ws(' ', channel, traveller_id, idempotency_key, payment_reference, status) FROM orders";
    assert_eq!(shown(sold), "ota:trip TRIP-2026-77 paid");
    let ledger = "SELECT string_agg(concat_ws(' ', kind, out_trade_no, amount_minor), ', ' ORDER BY number)
        FROM ledger_entries";
    assert_eq!(shown(ledger), "partner_paid 59800, partner_refunded 29900");
    let tickets = "SELECT string_agg(concat_ws(' ', item, traveller_id, status), ', ' ORDER BY ticket_id) FROM tickets";
    assert_eq!(shown(tickets), "0 usable, 0 usable, 1 refunded, 1 refunded");
}

#[test]
fn r_ota_06_no_desk_and_no_travellers_list_has_a_partners_order() {
    let stand = Stand::new();
    let (order, rows) = Order::born_paid(sale(order_id(1)), NOW);
    stand.project(&rows).unwrap();
    let (_, rows) = Buyer::place(draft(order_id(2), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&rows).unwrap();
    let known: Vec<_> =
        stand.desk_entries(order.id().made_at()).unwrap().into_iter().map(|entry| entry.order).collect();
    assert_eq!(known, [order_id(2)], "desks");
    let owned = "SELECT string_agg(order_id, ', ') FROM orders WHERE traveller_id IS NOT NULL";
    assert_eq!(stand.ask::<String>(owned), order_id(2).to_string());
}
