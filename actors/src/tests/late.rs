//! Late money and refunds, through departures, provider and crashes (R-PAY-04; wechat.md R4, R9).

use deeptravel_domain::ids::{OrderId, OutRefundNo, OutTradeNo};
use deeptravel_domain::order::{OrderStatus, RefundState, RefundStatus};

use crate::testing::{
    Balance, Call, FARE, Line, Running, World, coach, eventually, eventually_so, held, redeemed, traveller, wish,
};

/// The coach leaves in 44 hours.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// An order for so many seats that was cancelled with a payment, which the provider says is closed.
async fn cancelled(running: &Running, party: u16) -> (OrderId, OutTradeNo) {
    let order = running.buy(wish(traveller(1), "key", &coach(), party)).await;
    let number = running.open_payment(order.id()).await;
    running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
    (order.id(), number)
}

/// The traveller pays all the same, and the notice is acknowledged.
async fn pay_after_all(world: &World, running: &Running, number: OutTradeNo) {
    let fact = world.gateway.pay_after_all(number).unwrap();
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
}

async fn balance(running: &Running, order: OrderId) -> Balance {
    Balance::of(running.order(order).await.ledger())
}

#[actix::test]
async fn r_pay_04_late_money_finds_its_free_seats_and_its_tickets_are_redeemed() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 4).await;

    pay_after_all(&world, &running, number).await;

    eventually_so("it is paid", || async { running.order(order).await.status() == OrderStatus::Paid }).await;
    assert_eq!(running.free_seats(&coach()), 0);
    assert_eq!(balance(&running, order).await, Balance { captured: 4 * FARE, refund_due: 0, refunded: 0 });
    assert_eq!(redeemed(&running.scan(order, 1, "r1").await), 4);
    assert_eq!(world.gateway.calls(Call::Refund), 0);
}

#[actix::test]
async fn r_pay_04_late_money_takes_equal_seats_when_its_own_are_sold() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 2).await;
    let next = running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;

    pay_after_all(&world, &running, number).await;

    eventually_so("it is paid", || async { running.order(order).await.status() == OrderStatus::Paid }).await;
    let (ours, theirs) = (running.order(order).await, running.order(next.id()).await);
    assert_ne!(held(&ours), held(&theirs));
    assert_eq!(held(&next), held(&theirs), "the next buyer's seats are untouched");
}

#[actix::test]
async fn r_pay_04_money_a_day_late_finds_its_free_seats_once() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 4).await;
    running.drained().await;
    world.clock.pass(DAY_SECONDS);
    eventually("the order sleeps", || running.services().orders.in_memory() == 0).await;

    for _ in 0..3 {
        pay_after_all(&world, &running, number).await;
        eventually_so("it is paid", || async { running.order(order).await.status() == OrderStatus::Paid }).await;
    }

    assert_eq!(balance(&running, order).await, Balance { captured: 4 * FARE, refund_due: 0, refunded: 0 });
    assert_eq!(running.order(order).await.tickets().len(), 4);
    assert_eq!(redeemed(&running.scan(order, 1, "r1").await), 4);
}

#[actix::test]
async fn r_pay_04_money_a_day_late_goes_back_once_and_the_next_buyer_boards() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 4).await;
    let next = running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 4)).await;
    running.drained().await;
    world.clock.pass(DAY_SECONDS);

    for _ in 0..3 {
        pay_after_all(&world, &running, number).await;
        eventually("the refund is accepted", || world.gateway.refunds().len() == 1).await;
    }
    let (refund, known) = world.gateway.refunds().remove(0);
    assert_eq!((known.payment, known.amount.minor), (number, 4 * FARE));
    let fact = world.gateway.refund_moves(refund, RefundStatus::Success).unwrap();
    running.shown(running.engine.learn_refund(fact)).await.unwrap().unwrap();

    assert_eq!(balance(&running, order).await, Balance { captured: 4 * FARE, refund_due: 0, refunded: 4 * FARE });
    assert_eq!(world.gateway.calls(Call::Refund), 1);
    assert_eq!(redeemed(&running.scan(next.id(), 1, "r1").await), 4);
}

#[actix::test]
async fn r_pay_04_money_that_comes_when_the_coach_has_left_goes_back_though_its_seats_are_free() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 2).await;
    world.clock.pass(2 * DAY_SECONDS);
    pay_after_all(&world, &running, number).await;
    eventually("the refund is accepted", || world.gateway.refunds().len() == 1).await;
    assert_eq!(balance(&running, order).await, Balance { captured: 2 * FARE, refund_due: 2 * FARE, refunded: 0 });
    assert_eq!(running.order(order).await.status(), OrderStatus::Cancelled);
}

#[actix::test]
async fn r_pay_04_late_money_without_seats_goes_back_once() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 2).await;
    let next = running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 3)).await;

    pay_after_all(&world, &running, number).await;

    eventually("the refund is accepted", || world.gateway.refunds().len() == 1).await;
    let (refund, known) = world.gateway.refunds().remove(0);
    assert_eq!((refund, known.payment, known.amount.minor), (OutRefundNo { order, number: 1 }, number, 2 * FARE));
    let fact = world.gateway.refund_moves(refund, RefundStatus::Success).unwrap();
    for _ in 0..3 {
        running.shown(running.engine.learn_refund(fact.clone())).await.unwrap().unwrap();
    }
    assert_eq!(balance(&running, order).await, Balance { captured: 2 * FARE, refund_due: 0, refunded: 2 * FARE });
    assert_eq!(running.order(next.id()).await.tickets().len(), 3);
    assert_eq!(running.free_seats(&coach()), 1, "what was found in between is given back");
    assert_eq!(world.gateway.calls(Call::Refund), 1);
}

#[actix::test]
async fn r9_a_refund_whose_answers_are_lost_is_one_refund() {
    let (world, running) = World::with_seats(2).await;
    let (order, number) = cancelled(&running, 2).await;
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    world.gateway.set(Line::OneWay);

    pay_after_all(&world, &running, number).await;
    eventually("it has been asked about", || world.gateway.calls(Call::QueryRefund) > 0).await;
    world.gateway.set(Line::Good);
    let processing =
        || async { matches!(running.order(order).await.refunds()[0].state, RefundState::Processing { .. }) };
    eventually_so("it is known to be accepted", || {
        world.clock.pass(31);
        processing()
    })
    .await;

    assert_eq!(world.gateway.refunds().len(), 1);
    assert_eq!(world.gateway.calls(Call::Refund), 1, "asked about, not called again");
    let refund = world.gateway.refunds()[0].0;
    world.gateway.refund_moves(refund, RefundStatus::Success).unwrap();
    let refunded = || async { balance(&running, order).await.refunded == 2 * FARE };
    eventually_so("it is found to have succeeded", || {
        world.clock.pass(60);
        refunded()
    })
    .await;
}

#[actix::test]
async fn r9_a_refund_that_never_arrived_is_called_again() {
    let (world, running) = World::with_seats(2).await;
    let (_, number) = cancelled(&running, 2).await;
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    world.gateway.set(Line::Dead);
    pay_after_all(&world, &running, number).await;
    eventually("it has been called", || world.gateway.calls(Call::Refund) > 0).await;
    world.gateway.set(Line::Good);
    eventually("it is accepted", || {
        world.clock.pass(31);
        world.gateway.refunds().len() == 1
    })
    .await;
    assert!(world.gateway.calls(Call::QueryRefund) > 0, "it was asked about first");
}

/// As when a command that imports a timetable wakes an order: it has no client of WeChat's.
#[actix::test]
async fn r9_a_refund_that_falls_due_where_nobody_is_called_is_made_by_whoever_can() {
    let (world, running) = World::with_seats(4).await;
    let (order, number) = cancelled(&running, 2).await;
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 3)).await;
    world.gateway.set(Line::Missing);
    pay_after_all(&world, &running, number).await;
    eventually_so("it is due", || async { running.order(order).await.refunds().len() == 1 }).await;
    world.clock.pass(60);
    assert_eq!(
        running.order(order).await.refunds()[0].state,
        RefundState::Due,
        "nothing is recorded that cannot be sent"
    );

    world.gateway.set(Line::Good);
    eventually("the refund is accepted", || {
        world.clock.pass(30);
        world.gateway.refunds().len() == 1
    })
    .await;
    assert_eq!(world.gateway.calls(Call::Refund), 1);
}

#[actix::test]
async fn rule_16_late_money_and_refunds_go_on_after_the_process_was_killed() {
    let (world, running) = World::with_seats(2).await;
    let (order, number) = cancelled(&running, 2).await;
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    world.gateway.set(Line::Dead);
    pay_after_all(&world, &running, number).await;
    running.drained().await;
    running.kill().await;
    world.gateway.set(Line::Good);

    let running = world.start().await;

    eventually("the refund is accepted", || {
        world.clock.pass(31);
        world.gateway.refunds().len() == 1
    })
    .await;
    let refund = world.gateway.refunds()[0].0;
    running.drained().await;
    running.kill().await;
    world.gateway.refund_moves(refund, RefundStatus::Success).unwrap();
    let running = world.start().await;
    let refunded = || async { balance(&running, order).await.refunded == 2 * FARE };
    eventually_so("its success is found", || {
        world.clock.pass(31);
        refunded()
    })
    .await;
    assert_eq!(balance(&running, order).await.refund_due, 0);
}

#[actix::test]
async fn a_refund_that_the_provider_refuses_waits_for_a_person() {
    let (world, running) = World::with_seats(2).await;
    let (order, number) = cancelled(&running, 2).await;
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    world.gateway.set(Line::Refusing);
    pay_after_all(&world, &running, number).await;
    let refused =
        || async { running.order(order).await.refunds().first().is_some_and(|refund| refund.state.is_stuck()) };
    eventually_so("it is refused", refused).await;
    assert_eq!(balance(&running, order).await.refund_due, 2 * FARE, "never lost");

    world.gateway.set(Line::Good);
    let refund = OutRefundNo { order, number: 1 };
    running.shown(running.engine.retry_refund(refund)).await.unwrap().unwrap();

    eventually("it is accepted", || world.gateway.refunds().len() == 1).await;
    assert_eq!(world.gateway.refunds()[0].0, refund, "under its number");
}
