//! An idle order leaves memory only when it is projected, and comes back as it was (rules 6 and 13).

use deeptravel_domain::inventory::rows::HoldRow;
use deeptravel_domain::inventory::{Command, HoldAt};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::rejection::Rejection;
use futures_util::future::join_all;

use crate::outage::Outage;
use crate::testing::{Postgres, Running, World, coach, eventually, eventually_so, redeemed, traveller, wish};

/// Longer than a settled order stays in memory for nothing.
const LONG: i64 = 11 * 60;

async fn cancelled_order(running: &Running) -> deeptravel_domain::ids::OrderId {
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
    order.id()
}

#[actix::test]
async fn an_idle_order_sleeps_once_it_is_projected_and_wakes_with_the_right_version() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 2)).await;
    running.drained().await;
    world.clock.pass(LONG);
    eventually("it sleeps", || running.services().orders.in_memory() == 0).await;

    // Its next record has the next version, or the journal would refuse it.
    assert_eq!(redeemed(&running.scan(order.id(), 1, "press").await), 2);
    running.drained().await;
    world.clock.pass(LONG);
    eventually("it sleeps again", || running.services().orders.in_memory() == 0).await;

    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Completed);
}

#[actix::test]
async fn an_order_that_is_not_projected_stays_in_memory() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    let id = cancelled_order(&running).await;
    let other = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    for _ in 0..3 {
        world.clock.pass(LONG);
        // Everything has looked at the clock once the other order has expired.
        eventually("time has passed", || running.free_seats(&coach()) == 4).await;
    }
    assert_eq!(running.services().orders.in_memory(), 2);
    assert_eq!(running.order(id).await.status(), OrderStatus::Cancelled);
    // The departure frees the seats by itself; the order may follow a moment later.
    eventually_so("the other one has expired", || async {
        running.order(other.id()).await.status() == OrderStatus::Cancelled
    })
    .await;

    world.store.set(Postgres::Up);
    running.drained().await;
    world.clock.pass(LONG);
    eventually("both sleep", || running.services().orders.in_memory() == 0).await;
}

#[actix::test]
async fn an_order_with_tickets_for_today_stays_in_memory() {
    let (world, running) = World::with_seats(4).await;
    // The coach leaves in 44 hours; now in 20.
    world.clock.pass(24 * 60 * 60);
    let soon = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    let cancelled = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    running.shown(running.engine.cancel(cancelled.id())).await.unwrap().unwrap();
    running.drained().await;

    world.clock.pass(LONG);
    eventually("the other one sleeps", || running.services().orders.in_memory() == 1).await;

    world.store.set(Postgres::Away);
    assert_eq!(redeemed(&running.scan(soon.id(), 1, "press").await), 1);
}

#[actix::test]
async fn whoever_asks_while_an_order_goes_to_sleep_gets_its_answer() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    running.drained().await;

    // Each round the order wants to sleep while it is being asked.
    for _ in 0..50 {
        world.clock.pass(LONG);
        let asked = join_all((0..20).map(|_| async {
            tokio::task::yield_now().await;
            running.shown(running.engine.order(order.id())).await
        }));
        for answer in asked.await {
            assert_eq!(answer.unwrap().unwrap().id(), order.id());
        }
        eventually("it sleeps or is awake", || running.services().orders.in_memory() <= 1).await;
    }
    assert_eq!(running.services().orders.restarts(), 0);
}

#[actix::test]
async fn rule_13_without_postgres_what_is_in_memory_goes_on_and_what_sleeps_is_an_outage() {
    let (world, running) = World::with_seats(40).await;
    let asleep = cancelled_order(&running).await;
    running.drained().await;
    world.clock.pass(LONG);
    eventually("it sleeps", || running.services().orders.in_memory() == 0).await;
    world.store.set(Postgres::Away);

    let sold = running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    assert_eq!(redeemed(&running.scan(sold.id(), 1, "press").await), 2);
    let sleeping = running.shown(running.engine.order(asleep)).await;
    assert_eq!(sleeping.unwrap_err(), Outage::Storage, "never: not found");

    world.store.set(Postgres::Up);
    running.drained().await;
    assert_eq!(running.order(asleep).await.status(), OrderStatus::Cancelled);
    assert!(world.store.rows_of_order(sold.id()).is_some());
    let unknown = running.shown(running.engine.order(deeptravel_domain::ids::OrderId::from_bits(7))).await.unwrap();
    assert_eq!(unknown.unwrap_err(), Rejection::OrderNotFound);
}

#[actix::test]
async fn a_departure_sleeps_long_after_its_arrival_once_it_is_projected_and_wakes_from_its_rows() {
    let (world, running) = World::with_seats(4).await;
    running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    let unpaid = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    world.clock.pass(3 * 24 * 60 * 60);
    eventually_so("the other one is over", || async {
        running.order(unpaid.id()).await.status() == OrderStatus::Cancelled
    })
    .await;
    assert!(running.services().departures.is_live(&coach()));

    world.store.set(Postgres::Up);
    running.drained().await;
    world.clock.pass(61);
    eventually("it sleeps", || running.services().departures.in_memory() == 0).await;
    assert!(running.services().board.get(&coach()).is_none());

    let stored = world.store.rows_of_departure(&coach()).unwrap();
    let holds: Vec<HoldRow<'_>> = stored.all().unwrap();
    let confirmed = holds.iter().find(|hold| hold.state == "confirmed").unwrap();
    let hold = deeptravel_domain::ids::HoldId { order: confirmed.order_id.0, item: confirmed.item };
    let confirm = Command::ConfirmHold(HoldAt { hold, epoch: 1 });
    let seats = running.services().departures.consult(&coach(), confirm).await.unwrap();
    assert_eq!(seats.outcome.unwrap().len(), 1);
}
