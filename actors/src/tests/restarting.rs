//! Everything answered survives, whatever ended and in which order it comes back (rules 14, 17, 22).

use deeptravel_domain::order::{OrderStatus, TicketOutcome};
use deeptravel_domain::rejection::Rejection;

use crate::testing::{Call, Postgres, World, account, coach, eventually, eventually_so, redeemed, traveller, wish};

#[actix::test]
async fn every_answered_order_payment_and_redemption_is_there_after_a_restart() {
    for killed_with_postgres_behind in [false, true] {
        let (world, running) = World::with_seats(40).await;
        if killed_with_postgres_behind {
            running.drained().await;
            world.store.set(Postgres::Behind);
        }
        let unpaid = running.buy(wish(traveller(1), "unpaid", &coach(), 2)).await;
        let paid = running.buy_and_pay(&world, wish(traveller(1), "paid", &coach(), 3)).await;
        let used = running.buy_and_pay(&world, wish(traveller(2), "used", &coach(), 1)).await;
        assert_eq!(redeemed(&running.scan(used.id(), 1, "press").await), 1);
        // The last record of this order is of a refused attempt.
        assert_eq!(redeemed(&running.scan(used.id(), 2, "press").await), 0);
        let used = running.order(used.id()).await;
        if killed_with_postgres_behind {
            running.kill().await;
            assert_eq!(world.store.rows_of_order(unpaid.id()), None);
            world.store.set(Postgres::Up);
        } else {
            running.stop().await.unwrap();
        }

        let running = world.start().await;

        assert_eq!(running.order(unpaid.id()).await.lock_expires_at(), unpaid.lock_expires_at());
        assert_eq!(running.order(paid.id()).await.tickets(), paid.tickets());
        assert_eq!(running.order(used.id()).await.tickets(), used.tickets());
        let again = running.scan(used.id(), 1, "press").await;
        assert!(matches!(again.tickets[0].1, TicketOutcome::Redeemed { repeated: true, .. }));
        assert_eq!(redeemed(&running.scan(used.id(), 3, "press").await), 0);
        assert_eq!(redeemed(&running.scan(paid.id(), 3, "press").await), 3);
        assert_eq!(running.free_seats(&coach()), 34);
    }
}

#[actix::test]
async fn who_has_a_login_and_which_seats_are_free_is_known_before_the_first_request() {
    let (world, mut running) = World::with_seats(40).await;
    running.buy(wish(traveller(1), "key", &coach(), 3)).await;
    running.shown(running.engine.identify(account("gate"))).await.unwrap().unwrap();
    for _ in 0..5 {
        running.stop().await.unwrap();
        running = world.start().await;
        assert!(running.services().directory.account("gate").is_some());
        assert_eq!(running.free_seats(&coach()), 37);
    }
}

#[actix::test]
async fn r_hold_05_08_the_desks_know_keys_and_unpaid_orders_after_a_restart() {
    let (world, running) = World::with_seats(40).await;
    let order = running.buy(wish(traveller(1), "key-1", &coach(), 1)).await;
    for number in 2..=5 {
        running.buy(wish(traveller(1), &format!("key-{number}"), &coach(), 1)).await;
    }
    running.stop().await.unwrap();
    let running = world.start().await;

    let same_key = running.shown(running.place(wish(traveller(1), "key-1", &coach(), 1))).await.unwrap();
    let other_body = running.shown(running.place(wish(traveller(1), "key-1", &coach(), 2))).await.unwrap();
    let one_more = running.shown(running.place(wish(traveller(1), "key-6", &coach(), 1))).await.unwrap();

    let (found, new) = same_key.unwrap();
    assert_eq!((found.id(), new), (order.id(), false));
    assert_eq!(other_body.unwrap_err(), Rejection::IdempotencyMismatch);
    assert_eq!(one_more.unwrap_err(), Rejection::LockLimit { limit: 5 });
}

#[actix::test]
async fn a_pending_payment_is_queried_at_once_after_a_restart() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    running.stop().await.unwrap();
    world.gateway.pay(number).unwrap();
    let asked = world.gateway.calls(Call::Query);

    let running = world.start().await;

    eventually("it asks", || world.gateway.calls(Call::Query) > asked).await;
    eventually_so("it is paid", || async { running.order(order.id()).await.status() == OrderStatus::Paid }).await;
}

#[actix::test]
async fn a_lock_that_ended_while_nobody_was_there_ends_at_the_start() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;
    running.stop().await.unwrap();
    world.clock.pass(700);

    let running = world.start().await;

    eventually_so("it is cancelled", || async { running.order(order.id()).await.status() == OrderStatus::Cancelled })
        .await;
    running.buy(wish(traveller(2), "key", &coach(), 4)).await;
}
