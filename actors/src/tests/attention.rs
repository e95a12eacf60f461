//! What waits for a person is known without asking anybody, and somebody who has seen to it is believed.

use std::sync::Arc;

use deeptravel_domain::ids::OutRefundNo;
use deeptravel_domain::order::{OrderStatus, RefundStatus};
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;

use crate::attention::{RefundsWaiting, Waiting};
use crate::outage::Answer;
use crate::testing::{Line, NOON, Postgres, Running, World, coach, eventually, eventually_so, traveller, wish};

fn notice(id: &str) -> Notice {
    Notice { notice_id: id.to_owned(), reason: "no such order".to_owned(), ..Default::default() }
}

async fn keep(running: &Running, notice: Notice) {
    running.shown(running.engine.quarantine(notice)).await.unwrap().unwrap();
}

fn resolving(running: &Running, id: &str, note: &str) -> impl Future<Output = Answer<Arc<Notice>>> {
    running.engine.resolve_notice(id.to_owned(), "finance".to_owned(), note.to_owned())
}

/// `None`: there is no such notice.
async fn resolve(running: &Running, id: &str, note: &str) -> Option<Arc<Notice>> {
    match running.shown(resolving(running, id, note)).await.unwrap() {
        Ok(notice) => Some(notice),
        Err(rejection) => {
            assert_eq!(rejection, Rejection::NoticeNotFound);
            None
        }
    }
}

/// How many wait, and since which minute after noon: the clock also runs by itself.
fn minutes(waiting: Waiting) -> (u64, Option<i64>) {
    (waiting.count, waiting.oldest.map(|at| at.ms_since(NOON) / 60_000))
}

fn open(running: &Running) -> (u64, Option<i64>) {
    minutes(running.services().attention.quarantine())
}

#[actix::test]
async fn r_pay_06_a_notice_waits_until_somebody_has_seen_to_it_and_the_first_to_say_so_is_kept() {
    let (world, running) = World::with_seats(4).await;
    keep(&running, notice("EV-1")).await;
    world.clock.pass(60);
    keep(&running, notice("EV-2")).await;
    assert_eq!(open(&running), (2, Some(0)));

    let resolved = resolve(&running, "EV-1", "given back").await.unwrap();
    assert!(resolved.resolved_at.is_some());
    assert_eq!((resolved.resolved_by.as_deref(), resolved.note.as_deref()), (Some("finance"), Some("given back")));
    assert_eq!(open(&running), (1, Some(1)));
    assert_eq!(resolve(&running, "EV-1", "something else").await, Some(resolved.clone()));
    keep(&running, notice("EV-1")).await;
    assert_eq!(open(&running).0, 1, "WeChat repeats itself: nothing new");

    running.drained().await;
    assert_eq!(world.store.quarantined().len(), 2);
    running.kill().await;
    let running = world.start().await;
    eventually("it counts again", || open(&running).0 == 1).await;
    assert_eq!(resolve(&running, "EV-1", "something else").await, Some(resolved), "also after a restart");

    assert_eq!(resolve(&running, "EV-3", "what?").await, None);
    let otherwise = Notice { reason: "another amount".to_owned(), ..notice("EV-1") };
    keep(&running, otherwise).await;
    assert_eq!(open(&running).0, 2, "under a known id, and another matter");
}

#[actix::test]
async fn a_notice_is_seen_to_while_postgres_is_away() {
    let (world, running) = World::with_seats(4).await;
    keep(&running, notice("EV-1")).await;
    world.store.set(Postgres::Away);
    assert!(resolve(&running, "EV-1", "given back").await.is_some());
    let unknown = running.shown(resolving(&running, "EV-2", "what?")).await;
    assert_eq!(unknown, Err(crate::outage::Outage::Storage), "perhaps Postgres knows it");
}

#[actix::test]
async fn refunds_count_from_when_they_are_due_until_the_money_is_back() {
    let (world, running) = World::with_seats(2).await;
    // Outstanding ones, and stuck ones.
    let waiting = |running: &Running| {
        let RefundsWaiting { outstanding, stuck } = running.services().attention.refunds();
        (minutes(outstanding), minutes(stuck))
    };
    let (nothing, one) = ((0, None), (1, Some(0)));
    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await.id();
    let number = running.open_payment(order).await;
    running.shown(running.engine.cancel(order)).await.unwrap().unwrap();
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    assert_eq!(waiting(&running), (nothing, nothing));

    world.gateway.set(Line::Refusing);
    let fact = world.gateway.pay_after_all(number).unwrap();
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    eventually("it is refused", || waiting(&running) == (one, one)).await;
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    eventually("it counts again", || waiting(&running) == (one, one)).await;
    world.gateway.set(Line::Good);
    eventually("it is accepted", || {
        world.clock.pass(31);
        waiting(&running) == (one, nothing)
    })
    .await;
    let refund = OutRefundNo { order, number: 1 };
    let fact = world.gateway.refund_moves(refund, RefundStatus::Success).unwrap();
    running.shown(running.engine.learn_refund(fact)).await.unwrap().unwrap();
    assert_eq!(waiting(&running), (nothing, nothing));
}

#[actix::test]
async fn rule_17_a_paying_hold_past_its_end_is_an_alarm_until_its_close_is_confirmed() {
    let (world, running) = World::with_seats(2).await;
    let overdue = |running: &Running| running.services().attention.overdue_holds(world.clock.now()).count;
    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await.id();
    running.open_payment(order).await;
    assert_eq!(overdue(&running), 0);

    world.gateway.set(Line::Dead);
    world.clock.pass(60 * 60);
    assert_eq!(overdue(&running), 1, "no timer is needed for it");
    running.drained().await;
    running.kill().await;
    let running = world.start().await;
    eventually("it counts again", || overdue(&running) == 1).await;

    world.gateway.set(Line::Good);
    eventually_so("the close is confirmed", || {
        world.clock.pass(31);
        async { running.order(order).await.status() == OrderStatus::Cancelled }
    })
    .await;
    assert_eq!(overdue(&running), 0);
}
