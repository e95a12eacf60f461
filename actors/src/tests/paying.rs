//! Payment: begun, paid, cancelled, and a provider that does not answer.

use deeptravel_domain::inventory::{Command as Seat, HoldAt};
use deeptravel_domain::money::Money;
use deeptravel_domain::order::{CancelReason, Capture, FIRST_EPOCH, FactState, OrderStatus, PaymentFact};
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Row as _;
use deeptravel_domain::tables::newest_version;
use futures_util::future::join_all;

use crate::outage::Outage;
use crate::testing::{Balance, Call, FARE, Line, Running, World, coach, eventually, eventually_so, traveller, wish};

#[actix::test]
async fn a_paid_order_has_its_tickets_once_however_often_the_notice_comes() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 3)).await;
    let number = running.open_payment(order.id()).await;
    let fact = world.gateway.pay(number).unwrap();

    let at_once = join_all((0..5).map(|_| running.shown(running.engine.learn(fact.clone())))).await;
    let later = running.shown(running.engine.learn(fact)).await;

    assert!(at_once.into_iter().chain([later]).all(|answer| answer == Ok(Ok(()))));
    let order = running.order(order.id()).await;
    assert_eq!(order.status(), OrderStatus::Paid);
    assert_eq!(order.tickets().len(), 3);
    assert_eq!(order.ledger().iter().map(|entry| entry.amount.minor).sum::<i64>(), 3 * FARE);
}

#[actix::test]
async fn opening_a_payment_again_gives_the_same_payment() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;

    let numbers = join_all((0..5).map(|_| running.open_payment(order.id()))).await;

    assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
    assert_eq!(world.gateway.calls(Call::Create), 1);
}

#[actix::test]
async fn a_notice_with_another_amount_changes_nothing() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    let mut fact = world.gateway.pay(number).unwrap();
    if let FactState::Paid(capture) = &mut fact.state {
        capture.amount = Money::new(1, capture.amount.currency);
    }

    let answer = running.shown(running.engine.learn(fact)).await.unwrap();

    assert!(matches!(answer, Err(Rejection::PaymentMismatch(_))), "{answer:?}");
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Pending);
}

#[actix::test]
async fn r_pay_06_a_notice_that_fits_no_order_is_kept() {
    let (world, running) = World::with_seats(4).await;
    let notice = Notice { notice_id: "EV-1".to_owned(), reason: "no such order".to_owned(), ..Notice::default() };

    running.shown(running.engine.quarantine(notice)).await.unwrap().unwrap();

    running.drained().await;
    let kept = world.store.quarantined();
    let versions = world.store.rows(Notice::TABLE);
    assert_eq!((kept.len(), newest_version(&versions)), (1, Ok(1)));
    assert!(kept[0].received_at.as_ms() > 0);
}

#[actix::test]
async fn a_lost_notice_is_made_up_for_by_a_query() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    world.gateway.pay(number).unwrap();

    world.clock.pass(6);

    eventually_so("it is paid", || async { running.order(order.id()).await.status() == OrderStatus::Paid }).await;
}

#[actix::test]
async fn cancelling_without_a_payment_frees_the_seats_at_once() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;

    let cancelled = running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
    let again = running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();

    assert_eq!(cancelled.status(), OrderStatus::Cancelled);
    assert_eq!(again.cancelled(), cancelled.cancelled());
    assert_eq!(running.free_seats(&coach()), 4);
    assert_eq!(world.gateway.calls(Call::Close), 0);
}

#[actix::test]
async fn cancelling_with_a_payment_closes_it_first() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;
    let number = running.open_payment(order.id()).await;

    let cancelled = running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();

    assert_eq!(cancelled.status(), OrderStatus::Cancelled);
    assert_eq!(world.gateway.payment(number), FactState::Closed);
    assert_eq!(running.free_seats(&coach()), 4);
}

#[actix::test]
async fn a_paid_order_is_not_cancelled() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;

    let answer = running.shown(running.engine.cancel(order.id())).await.unwrap();

    assert_eq!(answer.unwrap_err(), Rejection::OrderPaid);
}

#[actix::test]
async fn money_that_beats_the_cancellation_wins() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    world.gateway.pay(number).unwrap();

    let answer = running.shown(running.engine.cancel(order.id())).await.unwrap();

    assert_eq!(answer.unwrap_err(), Rejection::OrderPaid);
    assert_eq!(running.order(order.id()).await.tickets().len(), 1);
}

#[actix::test]
async fn money_without_seats_is_in_the_ledger_before_its_notice_is_acknowledged() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    let fact = world.gateway.pay(number).unwrap();
    // Cannot happen while the rules hold: the seats are given back behind the order's back.
    let release = Seat::ReleaseHold(HoldAt { hold: order.hold(0), epoch: FIRST_EPOCH });
    running.services().departures.consult(&coach(), release).await.unwrap().outcome.unwrap();

    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();

    let balance = Balance::of(running.order(order.id()).await.ledger());
    assert_eq!(balance.captured, FARE, "the acknowledgement waits for the ledger");
    let paid = || async { running.order(order.id()).await.status() == OrderStatus::Paid };
    eventually_so("it has found its seats again", paid).await;
}

#[actix::test]
async fn an_order_that_is_being_given_up_is_not_payable() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    running.open_payment(order.id()).await;
    world.gateway.set(Line::Dead);
    let cancelled = running.engine.cancel(order.id()).await;
    assert_eq!(cancelled.map(drop), Err(Outage::Provider), "nobody knows whether it can still be paid");

    let answer = running.shown(running.engine.open_payment(order.id(), "openid".into())).await.unwrap();

    assert_eq!(answer.unwrap_err(), Rejection::OrderNotPayable);
}

#[actix::test]
async fn r_hold_09_seats_with_a_payment_are_free_only_once_its_close_is_confirmed() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;
    let number = running.open_payment(order.id()).await;

    world.gateway.set(Line::Dead);
    world.clock.pass(60 * 60);
    eventually("it asks in vain", || world.gateway.calls(Call::Query) >= 2).await;
    assert_eq!(running.free_seats(&coach()), 0);
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Pending);

    world.gateway.set(Line::Good);
    world.clock.pass(60);
    eventually_so("it is cancelled", || async {
        running.order(order.id()).await.cancelled().is_some_and(|(_, why)| why == CancelReason::Expired)
    })
    .await;
    assert_eq!(world.gateway.payment(number), FactState::Closed);
    assert_eq!(running.free_seats(&coach()), 4);
}

#[actix::test]
async fn a_provider_that_does_not_answer_is_an_outage_and_the_order_goes_on_by_itself() {
    for line in [Line::Dead, Line::OneWay] {
        let (world, running) = World::with_seats(4).await;
        let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
        world.gateway.set(line);

        let answer = running.shown(running.engine.open_payment(order.id(), "openid".into())).await;
        assert_eq!(answer.unwrap_err(), Outage::Provider);

        world.gateway.set(Line::Good);
        world.clock.pass(1);
        let number = running.open_payment(order.id()).await;
        assert_eq!(number.attempt, 1, "one number, the same body again");
        assert!(world.gateway.pay(number).is_some());
    }
}

#[actix::test]
async fn a_refused_payment_is_an_outage_and_the_next_attempt_has_its_own_number() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    world.gateway.set(Line::Refusing);
    let answer = running.shown(running.engine.open_payment(order.id(), "openid".into())).await;
    assert_eq!(answer.unwrap_err(), Outage::Provider);

    world.gateway.set(Line::Good);
    let number = running.open_payment(order.id()).await;

    assert_eq!(number.attempt, 2);
}

#[actix::test]
async fn a_query_that_does_not_fit_the_order_is_made_again() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let number = running.open_payment(order.id()).await;
    world.gateway.pay(number).unwrap();
    world.gateway.set(Line::Misreporting);
    world.clock.pass(6);
    eventually("it has asked", || world.gateway.calls(Call::Query) >= 1).await;
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Pending);

    world.gateway.set(Line::Good);
    world.clock.pass(600);

    eventually_so("it is paid", || async { running.order(order.id()).await.status() == OrderStatus::Paid }).await;
}

#[actix::test]
async fn an_order_whose_money_is_there_is_not_payable_again() {
    let (world, running) = World::with_seats(40).await;
    // The departure will hang, and with it its thread: an order on another one.
    let mut order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    for number in 2.. {
        let services = running.services();
        if !services.orders.is_beside(&order.id(), &services.departures, &coach()) {
            break;
        }
        order = running.buy(wish(traveller(number), "key", &coach(), 1)).await;
    }
    let number = running.open_payment(order.id()).await;
    let fact = world.gateway.pay(number).unwrap();
    let release = running.services().faults.stall(&coach());

    let learning = running.engine.learn(fact);
    let opening = async {
        eventually_so("the seats are being confirmed", || async {
            running.services().orders.ask(&order.id(), crate::order::View).await.unwrap().unwrap();
            !running.services().faults.is_planted(&coach())
        })
        .await;
        let opening = running.engine.open_payment(order.id(), "openid".into());
        tokio::join!(opening, async { drop(release) }).0
    };
    let (learned, opened) = tokio::join!(learning, opening);

    learned.unwrap().outcome.unwrap();
    assert_eq!(opened.unwrap().outcome.unwrap_err(), Rejection::OrderPaid);
}

/// What WeChat says of a payment, but for the transaction, which is another payment's.
fn with_transaction_of(fact: &PaymentFact, other: &PaymentFact) -> PaymentFact {
    let (FactState::Paid(capture), FactState::Paid(other)) = (&fact.state, &other.state) else {
        panic!("both are paid")
    };
    let transaction_id = other.transaction_id.clone();
    PaymentFact { number: fact.number, state: FactState::Paid(Capture { transaction_id, ..capture.clone() }) }
}

#[actix::test]
async fn fault_21_a_transaction_pays_one_order_also_after_a_restart_and_told_by_a_query() {
    let (world, running) = World::with_seats(8).await;
    let buy = async |running: &Running, number: u64| {
        let order = running.buy(wish(traveller(number), "key", &coach(), 1)).await;
        let payment = running.open_payment(order.id()).await;
        (order.id(), world.gateway.pay(payment).unwrap())
    };
    let (first, its) = buy(&running, 1).await;
    let (second, own) = buy(&running, 2).await;
    let same = with_transaction_of(&own, &its);
    let learn =
        async |running: &Running, fact: &PaymentFact| running.shown(running.engine.learn(fact.clone())).await.unwrap();

    // What does not fit its order claims nothing.
    let mut short = same.clone();
    if let FactState::Paid(capture) = &mut short.state {
        capture.amount = Money::new(1, capture.amount.currency);
    }
    assert!(learn(&running, &short).await.is_err());

    assert_eq!(learn(&running, &its).await, Ok(()));
    assert_eq!(learn(&running, &its).await, Ok(()), "the same notice again");
    let refused = learn(&running, &same).await;
    assert_eq!(refused, Err(Rejection::PaymentMismatch("its transaction has paid another")));
    assert_eq!(running.order(first).await.status(), OrderStatus::Paid);
    assert_eq!(running.order(second).await.status(), OrderStatus::Pending);

    running.stop().await.unwrap();
    let running = world.start().await;
    assert_eq!(learn(&running, &same).await, refused);
    assert_eq!(learn(&running, &its).await, Ok(()));
    // A query finds what it really was, and the order is paid.
    eventually_so("it is paid", || async { running.order(second).await.status() == OrderStatus::Paid }).await;

    // One that a query brings is kept for a person.
    let (third, fact) = buy(&running, 3).await;
    world.gateway.says(fact.number, with_transaction_of(&fact, &its).state);
    world.clock.pass(6);
    eventually("it is in quarantine", || !world.store.quarantined().is_empty()).await;
    assert_eq!(running.order(third).await.status(), OrderStatus::Pending);
    assert_eq!(world.store.quarantined()[0].out_trade_no, fact.number.to_string());
}
