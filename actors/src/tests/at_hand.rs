//! Orders that are scanned without an actor (rule 6): those with tickets for today lie ready for the next scan.

use std::sync::Arc;

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::rows::{OrderRow, ScanRow};
use deeptravel_domain::order::{Order, OrderStatus, Scan, ScanTarget, TicketOutcome};
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables::newest_version;
use futures_util::future::join_all;

use crate::journal::{KeyText, Record, RecordHeader};
use crate::kind::{CODEC, Kind};
use crate::outage::Outage;
use crate::testing::{
    Fault, Postgres, Running, World, coach, eventually, eventually_so, ferry, redeemed, scan, traveller, wish, within,
};

const DAY: i64 = 24 * 60 * 60;
/// Longer than an order that nobody scans is left unlooked at.
const LONG: i64 = 11 * 60;

/// On the day before coach and ferry leave.
async fn with_seats(seats: u16) -> (World, Running) {
    let (world, running) = World::with_seats(seats).await;
    world.clock.pass(DAY);
    (world, running)
}

/// A paid order that rests.
async fn bought(world: &World, running: &Running, number: u64, seats: u16) -> Arc<Order> {
    let order = running.buy_and_pay(world, wish(traveller(number), "key", &coach(), seats)).await;
    rests(running).await;
    order
}

async fn rests(running: &Running) {
    eventually("no order has an actor", || running.services().orders.live() == 0).await;
}

/// One ticket of an order at a gate.
fn one(order: &Order, ticket: usize, gate: u64) -> Scan {
    let target = ScanTarget::Ticket(order.tickets()[ticket].id);
    Scan { target, ..scan(gate, &format!("press {ticket}")) }
}

/// Whether it is redeemed now, and not by this request before.
async fn redeems(running: &Running, order: &Order, ticket: usize) -> bool {
    let (outcome, shown) = running.redeem(order.id(), one(order, ticket, 1)).await.unwrap().unwrap();
    assert_eq!(shown.tickets()[ticket].entitlement().remaining, 0);
    redeemed(&outcome) == 1
}

fn at_hand(running: &Running) -> usize {
    running.services().orders.at_hand().keys()
}

fn dormant(running: &Running) -> usize {
    running.services().orders.dormant().keys()
}

#[actix::test]
async fn rule_6_an_order_for_today_stays_at_hand_from_its_first_scan_to_its_last() {
    let (world, running) = with_seats(8).await;
    world.store.set(Postgres::Away);
    let order = bought(&world, &running, 1, 3).await;
    assert_eq!((at_hand(&running), dormant(&running)), (0, 1));

    for ticket in 0..2 {
        assert!(redeems(&running, &order, ticket).await);
        assert_eq!((at_hand(&running), dormant(&running)), (1, 0));
        assert!(!redeems(&running, &order, ticket).await, "the same request again");
        assert!(running.services().orders.is_in_memory(&order.id()));
    }
    assert!(redeems(&running, &order, 2).await);

    assert_eq!((at_hand(&running), dormant(&running)), (0, 1), "it has nothing more for today");
    assert_eq!(running.services().orders.at_hand().bytes(), 0);
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Completed);
    world.store.set(Postgres::Up);
    running.drained().await;
    let rows = world.store.rows_of_order(order.id()).unwrap();
    assert_eq!(rows.all::<ScanRow<'_>>().unwrap().len(), 3);
}

#[actix::test]
async fn an_order_for_another_day_is_scanned_without_an_actor_and_packed_again() {
    let (world, running) = World::with_seats(8).await;
    let order = bought(&world, &running, 1, 2).await;
    let unpaid = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    rests(&running).await;

    assert!(redeems(&running, &order, 0).await);
    let nothing = running.redeem(unpaid.id(), scan(1, "press")).await.unwrap().unwrap().0;

    assert!(nothing.tickets.is_empty());
    assert_eq!((at_hand(&running), dormant(&running)), (0, 2));
    assert!(redeems(&running, &order, 1).await);
    world.clock.pass(601);
    eventually_so("the other one ends with its lock", || async {
        running.order(unpaid.id()).await.status() == OrderStatus::Cancelled
    })
    .await;
}

#[actix::test]
async fn rule_20_an_order_that_breaks_at_hand_is_rebuilt_and_others_are_not() {
    for fault in [Fault::BeforeScan, Fault::AfterScan] {
        let (world, running) = with_seats(8).await;
        let order = bought(&world, &running, 1, 2).await;
        let other = bought(&world, &running, 2, 2).await;
        assert!(redeems(&running, &other, 0).await);
        assert!(redeems(&running, &order, 0).await);
        world.store.set(Postgres::Behind);

        running.services().faults.plant(&coach(), fault);
        let broken = running.redeem(order.id(), one(&order, 1, 1)).await;
        assert_eq!(broken.unwrap_err(), Outage::Rebuilding);

        let meanwhile = running.redeem(order.id(), one(&order, 1, 1)).await;
        assert_eq!(meanwhile.unwrap_err(), Outage::Rebuilding, "its rows are behind");
        assert!(redeems(&running, &other, 1).await);
        world.store.set(Postgres::Up);
        let orders = &running.services().orders;
        eventually_so("it is back", || async { running.shown(running.engine.order(order.id())).await.is_ok() }).await;
        assert_eq!((orders.restarts(), at_hand(&running)), (1, 0));
        assert_eq!(redeems(&running, &order, 1).await, fault == Fault::BeforeScan, "{fault:?}");
        assert_eq!(running.order(order.id()).await.status(), OrderStatus::Completed);
    }
}

#[actix::test]
async fn rule_20_a_scan_that_breaks_an_order_twice_is_set_aside_and_other_scans_are_not() {
    let (world, running) = with_seats(8).await;
    let order = bought(&world, &running, 1, 2).await;
    for _ in 0..2 {
        rests(&running).await;
        running.services().faults.plant(&coach(), Fault::BeforeScan);
        let broken = running.redeem(order.id(), one(&order, 0, 1)).await;
        assert_eq!(broken.unwrap_err(), Outage::Rebuilding);
        eventually_so("it is back", || async { running.shown(running.engine.order(order.id())).await.is_ok() }).await;
    }

    assert_eq!(running.redeem(order.id(), one(&order, 0, 1)).await.unwrap_err(), Outage::SetAside);
    assert!(redeems(&running, &order, 1).await);
}

/// A record of the order's key by another hand: its next append is refused.
async fn steal_a_version(world: &World, running: &Running, order: OrderId) {
    running.drained().await;
    let stored = world.store.rows_of_order(order).unwrap();
    let key_version = newest_version(&stored).unwrap() + 1;
    let mut row: OrderRow<'_> = stored.of().next().unwrap().unwrap();
    row.version = key_version;
    let mut rows = Rows::default();
    rows.put(&row);
    let key = KeyText::new(format!("order/{order}")).unwrap();
    let header =
        RecordHeader { kind: Kind::Rows.number(), codec: CODEC, key, key_version, at_ms: running.engine.now().as_ms() };
    running.append(&Record { header, payload: rows.into_bytes() }).unwrap();
}

#[actix::test]
async fn rule_7_an_order_at_hand_whose_record_is_refused_is_rebuilt_and_its_scan_never_set_aside() {
    let (world, running) = with_seats(8).await;
    let order = bought(&world, &running, 1, 3).await;
    assert!(redeems(&running, &order, 0).await);
    for round in 1..=3 {
        steal_a_version(&world, &running, order.id()).await;
        assert_eq!(running.redeem(order.id(), one(&order, 1, 1)).await.unwrap_err(), Outage::Journal);
        eventually_so("it is back", || async { running.shown(running.engine.order(order.id())).await.is_ok() }).await;
        assert_eq!(running.services().orders.restarts(), round);
        rests(&running).await;
        // At hand again.
        assert!(!redeems(&running, &order, 0).await);
        assert_eq!(at_hand(&running), 1);
    }
    assert!(redeems(&running, &order, 1).await);
}

#[actix::test]
async fn r_scan_03_scans_of_many_threads_race_with_whoever_looks_at_the_order_or_cancels_it() {
    let (world, running) = with_seats(40).await;
    let order = bought(&world, &running, 1, 10).await;
    let io = running.services().io.clone();
    let shots = (0..10).flat_map(|ticket| [1, 2, 3, 4].map(|gate| (ticket, gate)));
    let scans: Vec<_> = shots
        .map(|(ticket, gate)| {
            let (engine, id, scan) = (running.engine.clone(), order.id(), one(&order, ticket, gate));
            io.spawn(async move {
                tokio::task::yield_now().await;
                engine.redeem(id, scan, |outcome, _| redeemed(outcome)).await.unwrap().outcome.unwrap()
            })
        })
        .collect();
    let others: Vec<_> = (0..20)
        .map(|number| {
            let (engine, id) = (running.engine.clone(), order.id());
            io.spawn(async move {
                if number % 2 == 0 {
                    engine.order(id).await.unwrap().outcome.unwrap();
                } else {
                    engine.cancel(id).await.unwrap().outcome.unwrap_err();
                }
            })
        })
        .collect();

    let redeemed: usize = within("scanned", join_all(scans)).await.into_iter().map(Result::unwrap).sum();
    within("asked", join_all(others)).await.into_iter().for_each(|asked| asked.unwrap());

    assert_eq!(redeemed, 10);
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Completed);
    rests(&running).await;
    let orders = &running.services().orders;
    assert_eq!((at_hand(&running), dormant(&running), orders.restarts()), (0, 1, 0));
    assert_eq!(orders.at_hand().bytes(), 0);
}

#[actix::test]
async fn beyond_their_share_of_memory_orders_are_packed_that_were_scanned_longest_ago_and_still_redeem() {
    let (mut world, running) = with_seats(40).await;
    let first = bought(&world, &running, 1, 4).await;
    assert!(redeems(&running, &first, 0).await);
    let share = running.services().orders.at_hand().bytes();
    running.stop().await.unwrap();
    world.sales.at_hand_bytes_max = 3 * share + share / 2;
    let running = world.start().await;
    let mut orders = vec![first];
    for number in 2..=5 {
        orders.push(bought(&world, &running, number, 4).await);
    }
    rests(&running).await;

    // The first one again and again: it stays, the second is packed for the fourth and the third for the fifth.
    for order in &orders {
        redeems(&running, order, 0).await;
        redeems(&running, &orders[0], 1).await;
    }
    let hands = running.services().orders.at_hand();
    assert_eq!((hands.keys(), dormant(&running)), (3, 2));
    assert!(hands.bytes() <= world.sales.at_hand_bytes_max);
    let are_at_hand: Vec<bool> = orders.iter().map(|order| running.services().orders.is_at_hand(&order.id())).collect();
    assert_eq!(are_at_hand, [true, false, false, true, true]);

    for order in &orders {
        assert!(redeems(&running, order, 2).await && redeems(&running, order, 3).await);
    }
    assert!(hands.bytes() <= world.sales.at_hand_bytes_max);
}

#[actix::test]
async fn without_a_share_of_memory_nothing_stays_at_hand() {
    let (mut world, running) = with_seats(8).await;
    running.stop().await.unwrap();
    world.sales.at_hand_bytes_max = 0;
    let running = world.start().await;
    let order = bought(&world, &running, 1, 2).await;

    for ticket in 0..2 {
        assert!(redeems(&running, &order, ticket).await);
        assert_eq!((at_hand(&running), dormant(&running)), (0, 1));
    }
}

#[actix::test]
async fn r_scan_04_what_was_redeemed_at_hand_is_so_after_a_restart() {
    let (world, running) = with_seats(8).await;
    let order = bought(&world, &running, 1, 3).await;
    let (first, _) = running.redeem(order.id(), one(&order, 0, 1)).await.unwrap().unwrap();
    running.kill().await;

    let running = world.start().await;
    let (again, _) = running.redeem(order.id(), one(&order, 0, 1)).await.unwrap().unwrap();
    let time_of = |outcome: &TicketOutcome| match outcome {
        TicketOutcome::Redeemed { at, .. } => *at,
        TicketOutcome::Refused { .. } => panic!("{outcome:?}"),
    };
    assert_eq!(time_of(&again.tickets[0].1), time_of(&first.tickets[0].1));
    assert_eq!(redeemed(&running.scan(order.id(), 2, "another").await), 2);
}

#[actix::test]
async fn an_order_at_hand_whose_departure_has_left_is_packed_and_leaves_memory() {
    let (world, running) = with_seats(8).await;
    let order = bought(&world, &running, 1, 2).await;
    let other = running.buy_and_pay(&world, wish(traveller(2), "key", &ferry(), 1)).await;
    assert!(redeems(&running, &order, 0).await);
    running.drained().await;
    world.clock.pass(LONG);
    eventually("they rest", || running.services().orders.live() == 0).await;
    assert!(!redeems(&running, &order, 0).await, "the same request again");
    assert_eq!(at_hand(&running), 1, "it stays as long as its tickets are for today");

    world.clock.pass(DAY);
    world.clock.pass(LONG);

    eventually("both sleep", || running.services().orders.in_memory() == 0).await;
    assert_eq!(at_hand(&running), 0);
    assert_eq!(running.order(order.id()).await.tickets()[0].entitlement().remaining, 0);
    assert_eq!(running.order(other.id()).await.status(), OrderStatus::Paid);
}
