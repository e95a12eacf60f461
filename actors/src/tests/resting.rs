//! An order that nobody asks for has no actor, and is as it was when somebody does (rule 6). Nothing of that waits for
//! Postgres. In tests orders rest after a few milliseconds.

use std::time::Duration;

use deeptravel_domain::order::rows::{OrderRow, ScanRow};
use deeptravel_domain::order::{CancelReason, OrderStatus};
use futures_util::future::join_all;

use crate::testing::{Postgres, Running, World, coach, eventually, eventually_so, redeemed, traveller, wish};

/// Longer than an idle order is kept.
const LONG: i64 = 11 * 60;

async fn all_rest(running: &Running) {
    let orders = &running.services().orders;
    eventually("no order has an actor", || orders.in_memory() > 0 && orders.live() == 0).await;
}

#[actix::test]
async fn rule_6_without_postgres_orders_rest_and_are_paid_and_scanned_as_if_they_had_not() {
    let (world, running) = World::with_seats(8).await;
    running.drained().await;
    world.store.set(Postgres::Away);

    let placed = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
    all_rest(&running).await;
    assert_eq!(running.services().orders.dormant().keys(), 1);
    assert_eq!(running.order(placed.id()).await, placed);

    all_rest(&running).await;
    let number = running.open_payment(placed.id()).await;
    all_rest(&running).await;
    assert_eq!(running.open_payment(placed.id()).await, number, "the same payment");
    let fact = world.gateway.pay(number).unwrap();
    all_rest(&running).await;
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    all_rest(&running).await;
    assert_eq!(redeemed(&running.scan(placed.id(), 1, "press").await), 2);
    all_rest(&running).await;
    assert_eq!(redeemed(&running.scan(placed.id(), 2, "another").await), 0);

    world.store.set(Postgres::Up);
    running.drained().await;
    let rows = world.store.rows_of_order(placed.id()).unwrap();
    let order: OrderRow<'_> = rows.of().next().unwrap().unwrap();
    let scans: Vec<ScanRow<'_>> = rows.all().unwrap();
    assert_eq!((order.status, scans.iter().filter(|scan| scan.number.is_some()).count()), (OrderStatus::Completed, 2));
    assert_eq!(running.services().orders.restarts(), 0);
}

#[actix::test]
async fn r_hold_03_an_order_that_rests_ends_with_its_lock_and_its_traveller_may_order_again() {
    let (mut world, running) = World::with_seats(4).await;
    running.stop().await.unwrap();
    world.sales.live_holds_max = 1;
    let running = world.start().await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;
    all_rest(&running).await;
    running.shown(running.place(wish(traveller(1), "other", &coach(), 1))).await.unwrap().unwrap_err();

    world.clock.pass(601);

    eventually_so("it ends by itself", || async {
        running.shown(running.place(wish(traveller(1), "other", &coach(), 1))).await.unwrap().is_ok()
    })
    .await;
    assert_eq!(running.order(order.id()).await.cancelled().unwrap().1, CancelReason::Expired);
}

#[actix::test]
async fn r7_a_payment_whose_notice_is_lost_is_found_while_its_order_rests() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    all_rest(&running).await;
    world.gateway.pay(number).unwrap();

    world.clock.pass(61);

    running.drained().await;
    let is_paid = || world.store.orders().iter().any(|(_, status)| *status == OrderStatus::Paid);
    eventually("the poll has brought it", is_paid).await;
}

#[actix::test]
async fn whoever_asks_while_an_order_goes_to_rest_gets_its_answer() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    let ask = async |pause_us: u64| {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_micros(pause_us)).await;
            assert_eq!(running.order(order.id()).await, order);
        }
    };
    // Some ask all the time, others just when it rests, or when it has begun to.
    join_all((0..8).map(|at| ask(4_800 + at * 100))).await;
    join_all((0..4).map(|at| ask(at * 3_000))).await;
    assert_eq!(running.services().orders.restarts(), 0);
}

#[actix::test]
async fn beyond_their_share_of_memory_idle_orders_leave_it_although_they_have_tickets_for_today() {
    let (mut world, running) = World::with_seats(4).await;
    running.stop().await.unwrap();
    world.sales.warm_bytes_max = 0;
    let running = world.start().await;
    world.clock.pass(24 * 60 * 60);
    let soon = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    running.drained().await;
    all_rest(&running).await;
    let unpaid = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    // Behind: what cannot be read from Postgres as it is stays, whatever the limit.
    world.store.set(Postgres::Behind);
    let behind = running.buy_and_pay(&world, wish(traveller(3), "key", &coach(), 1)).await;
    all_rest(&running).await;

    world.clock.pass(LONG);

    let orders = &running.services().orders;
    eventually("the first one sleeps", || !orders.is_in_memory(&soon.id())).await;
    assert!(orders.is_in_memory(&unpaid.id()) && orders.is_in_memory(&behind.id()));
    assert_eq!(running.order(soon.id()).await.tickets(), soon.tickets());
}
