//! Orders that a partner has sold, with owners: born in another's record, scanned and cancelled like any other order is
//! asked, and there after a restart and a crash (R-OTA-06, R-OTA-07).

use std::sync::Arc;

use deeptravel_domain::announcement::{AnnouncementKind, AnnouncementRow};
use deeptravel_domain::catalogue::{Names, Zone};
use deeptravel_domain::ids::{OrderId, PartnerCode, Shard};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::rows::{LedgerRow, OrderRow, TicketRow};
use deeptravel_domain::order::{
    Contact, LedgerKind, LineKind, Order, OrderStatus, PartnerSale, Passenger, Price, PriceLine,
};
use deeptravel_domain::package::{EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::ticket::TicketStatus;

use super::space::assert_nobody_died;
use crate::journal::{KeyText, Position, Record, RecordHeader};
use crate::kind::{CODEC, Kind};
use crate::order::newborn;
use crate::outage::Outage;
use crate::testing::{Break, Postgres, Running, World, coach, code, eventually, redeemed, traveller, wish};

/// Longer than an idle order is kept, and longer than the stretch before a validity in which one is kept ready.
const LONG: i64 = 11 * 60;
const PRICE: i64 = 29_900;

fn trip() -> PartnerCode {
    code("trip")
}

/// A museum and two uses of a locker.
fn unit() -> PackageTerms {
    let entitlement = |of: &str, quantity, shared| EntitlementTerms {
        code: code(of),
        names: Names::new("权益", of),
        quantity,
        merchant: None,
        locations: vec![],
        channel: RedemptionChannel::Any,
        requires_identity: false,
        shared,
        weight: 0,
        validity: Validity::Relative { days: 30, starts: StartsAt::Payment, until: None },
    };
    PackageTerms {
        template: code("pkg-premium"),
        version: 1,
        product: Some(106),
        names: Names::new("尊享", "Premium"),
        zone: "Asia/Hong_Kong".parse::<Zone>().unwrap(),
        service_date: None,
        quantity: 1,
        entitlements: vec![entitlement("MUSEUM", 1, false), entitlement("LOCKER", 2, true)],
    }
}

fn sale(running: &Running, number: u64, units: u16) -> PartnerSale {
    let now = running.engine.now();
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
        id: OrderId::compose(now, Shard::of(number), number << 2),
        partner: trip(),
        locale: "en".into(),
        contact: Contact { name: "Chan".into(), phone: "+85290000000".into(), email: None },
        passenger: Passenger { name: "Chan".into(), kind: PassengerType::Adult, document: None },
        items: vec![unit(); usize::from(units)],
        price: Price {
            total: Money::new(PRICE * i64::from(units), Currency::Cny),
            lines: (0..units).map(line).collect(),
        },
        payment_reference: format!("TRIP-{number}").into(),
        message: None,
        paid_at: now,
    }
}

/// Its holder writes the order, as a batch does, and lays it into its slot.
fn bear(running: &Running, sale: PartnerSale) -> Arc<Order> {
    let now = running.engine.now();
    let birth = running.services().orders.expect_birth(&sale.id).unwrap();
    let key = KeyText::new(format!("batch/{}", sale.id)).unwrap();
    let (order, rows) = Order::born_paid(sale, now);
    let kind = Kind::of_rows(rows.has(AnnouncementRow::TABLE)).number();
    let header = RecordHeader { kind, codec: CODEC, key, key_version: 1, at_ms: now.as_ms() };
    let position = running.append(&Record { header, payload: rows.into_bytes() }).unwrap();
    let order = Arc::new(order);
    birth.born(newborn(Arc::clone(&order), position, now));
    order
}

fn number_of_announced(running: &Running, kind: AnnouncementKind) -> usize {
    let mut reader = running.journal.reader(Position::NOTHING).unwrap();
    let records = reader.next_batch(10_000, 1 << 30).unwrap();
    let announced = |record: Record| Rows::from_bytes(record.payload).unwrap().all::<AnnouncementRow>().unwrap();
    let rows = records.into_iter().flat_map(|(_, record)| announced(record));
    rows.filter(|row| row.kind == kind && row.partner == Some(trip())).count()
}

async fn cancel(running: &Running, order: &Order, item: u16) -> Result<Result<Arc<Order>, Rejection>, Outage> {
    running.shown(running.engine.cancel_partner_ticket(trip(), order.id(), item)).await
}

async fn all_rest(running: &Running) {
    let orders = &running.services().orders;
    eventually("no order has an actor", || orders.in_memory() > 0 && orders.live() == 0).await;
}

fn statuses(order: &Order) -> Vec<TicketStatus> {
    order.tickets().iter().map(|ticket| ticket.status).collect()
}

const USABLE: TicketStatus = TicketStatus::Usable;
const REFUNDED: TicketStatus = TicketStatus::Refunded;

#[actix::test]
async fn r_ota_06_an_activated_order_rests_from_its_birth_and_is_scanned_and_cancelled_without_postgres() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set(Postgres::Away);

    let born = bear(&running, sale(&running, 1, 2));
    assert_eq!((running.services().orders.live(), running.services().orders.dormant().keys()), (0, 1));
    assert_eq!(running.order(born.id()).await, born);
    all_rest(&running).await;
    assert_eq!(redeemed(&running.scan(born.id(), 1, "press").await), 4, "one of each of both units");
    all_rest(&running).await;
    assert_eq!(cancel(&running, &born, 0).await.unwrap().unwrap_err(), Rejection::TicketUsed);

    let other = bear(&running, sale(&running, 2, 2));
    all_rest(&running).await;
    let after = cancel(&running, &other, 1).await.unwrap().unwrap();
    assert_eq!(statuses(&after), [USABLE, USABLE, REFUNDED, REFUNDED]);
    all_rest(&running).await;
    assert_eq!(cancel(&running, &other, 1).await.unwrap().unwrap(), after, "it is so already");
    assert_eq!(number_of_announced(&running, AnnouncementKind::Refunded), 1);
    assert_eq!(cancel(&running, &other, 2).await.unwrap().unwrap_err(), Rejection::TicketNotFound);

    world.store.set(Postgres::Up);
    running.drained().await;
    let rows = world.store.rows_of_order(other.id()).unwrap();
    let order: OrderRow<'_> = rows.of().next().unwrap().unwrap();
    let ledger: Vec<LedgerRow> = rows.all().unwrap();
    assert_eq!((order.traveller_id, order.idempotency_key), (None, "TRIP-2"));
    assert_eq!(rows.all::<TicketRow<'_>>().unwrap().iter().filter(|row| row.traveller_id.is_none()).count(), 4);
    let kinds: Vec<_> = ledger.iter().map(|row| (row.kind, row.out_trade_no, row.amount_minor)).collect();
    let expected = [(LedgerKind::PartnerPaid, None, 2 * PRICE), (LedgerKind::PartnerRefunded, None, PRICE)];
    assert_eq!(kinds, expected);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_07_it_sleeps_once_it_is_projected_and_wakes_to_be_cancelled() {
    let (world, running) = World::with_seats(4).await;
    let born = bear(&running, sale(&running, 1, 1));
    // Nothing of it can be used before tomorrow: nobody keeps it ready.
    cancel(&running, &born, 0).await.unwrap().unwrap();
    running.drained().await;
    world.clock.pass(LONG);
    eventually("it sleeps", || running.services().orders.in_memory() == 0).await;

    let woken = running.order(born.id()).await;
    assert_eq!((woken.status(), statuses(&woken)), (OrderStatus::Completed, vec![REFUNDED; 2]));
    assert_eq!(redeemed(&running.scan(born.id(), 1, "press").await), 0);
    assert_eq!(cancel(&running, &born, 0).await.unwrap().unwrap(), running.order(born.id()).await);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_06_partners_orders_are_there_after_a_restart_and_after_a_crash() {
    for crashed in [false, true] {
        let (world, running) = World::with_seats(4).await;
        running.drained().await;
        if crashed {
            world.store.set(Postgres::Behind);
        }
        let unused = bear(&running, sale(&running, 1, 1));
        let used = bear(&running, sale(&running, 2, 1));
        let cancelled = bear(&running, sale(&running, 3, 100));
        assert_eq!(redeemed(&running.scan(used.id(), 1, "first").await), 2);
        let used = running.order(used.id()).await;
        let cancelled = cancel(&running, &cancelled, 99).await.unwrap().unwrap();
        if crashed {
            running.kill().await;
            assert_eq!(world.store.rows_of_order(unused.id()), None);
            world.store.set(Postgres::Up);
        } else {
            running.stop().await.unwrap();
        }

        let running = world.start().await;

        assert_eq!(running.order(unused.id()).await, unused);
        assert_eq!(running.order(used.id()).await, used);
        assert_eq!(running.order(cancelled.id()).await, cancelled);
        assert_eq!(cancel(&running, &used, 0).await.unwrap().unwrap_err(), Rejection::TicketUsed);
        assert_eq!(redeemed(&running.scan(used.id(), 1, "second").await), 1, "a locker is left");
        assert_eq!(running.order(used.id()).await.status(), OrderStatus::Completed);
        assert_eq!(number_of_announced(&running, AnnouncementKind::Used), 1);
        cancel(&running, &unused, 0).await.unwrap().unwrap();
        assert_nobody_died(&running);
    }
}

#[actix::test]
async fn rule_20_an_owner_that_panics_has_its_partners_order_back_as_its_rows_say() {
    let (_world, running) = World::with_seats(4).await;
    let born = bear(&running, sale(&running, 1, 1));
    running.drained().await;
    running.services().orders.ask(&born.id(), Break).await.unwrap_err();
    crate::testing::eventually_so("it is back", || async { running.engine.order(born.id()).await.is_ok() }).await;
    assert_eq!(running.order(born.id()).await, born);
    assert_eq!(statuses(&cancel(&running, &born, 0).await.unwrap().unwrap()), [REFUNDED; 2]);
    assert_eq!(running.services().orders.restarts(), 1);
}

#[actix::test]
async fn r_ota_08_no_traveller_and_no_other_partner_has_part_in_a_partners_order() {
    let (world, running) = World::with_seats(4).await;
    let born = bear(&running, sale(&running, 1, 1));
    let elsewhere = running.engine.cancel_partner_ticket(code("klook"), born.id(), 0);
    assert_eq!(running.shown(elsewhere).await.unwrap().unwrap_err(), Rejection::TicketNotFound);
    let travellers = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    assert_eq!(cancel(&running, &travellers, 0).await.unwrap().unwrap_err(), Rejection::TicketNotFound);
    let nobodys = OrderId::compose(running.engine.now(), Shard::of(5), 99);
    let nothing = running.engine.cancel_partner_ticket(trip(), nobodys, 0);
    assert_eq!(running.shown(nothing).await.unwrap().unwrap_err(), Rejection::TicketNotFound);
    let paying = running.engine.open_payment(born.id(), "openid".into());
    assert_eq!(running.shown(paying).await.unwrap().unwrap_err(), Rejection::OrderPaid);
    assert_eq!(running.shown(running.engine.cancel(born.id())).await.unwrap().unwrap_err(), Rejection::OrderPaid);

    // Desks read of all that were made lately when they are rebuilt, and count none of a partner's.
    running.stop().await.unwrap();
    let running = world.start().await;
    let known = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    assert_eq!(known.traveller(), Some(traveller(2)));
    let untouched = running.order(born.id()).await;
    assert_eq!(statuses(&untouched), [USABLE; 2]);
    assert_nobody_died(&running);
}
