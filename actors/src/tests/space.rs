//! Space is short: what cannot be written changes nothing, ends nobody, and goes on by itself (rules 8 and 11).

use deeptravel_domain::batch::BatchWish;
use deeptravel_domain::order::{OrderStatus, RefundState};

use super::batches::{a, stock, wish as batch_wish};
use super::partner_reservations::{channel, partner, units};
use crate::journal::{Admission, Journal, JournalOptions, Reached, Retention, Share};
use crate::log::DECISION_BYTES;
use crate::outage::Outage;
use crate::testing::{
    Fault, Postgres, Running, World, account, coach, eventually, eventually_so, ferry, redeemed, scan, traveller, wish,
};

const KEEP_ALL: Retention = Retention { bytes_max: u64::MAX, since_ms: 0 };

/// A world whose journal holds a few hundred orders. Its largest record is the vehicle, which its audit entry spells out seat by
/// seat.
async fn cramped(postgres: Postgres) -> (World, Running) {
    cramped_with(900, postgres).await
}

async fn cramped_with(seats: u16, postgres: Postgres) -> (World, Running) {
    let small = JournalOptions {
        segment_bytes: 80 * 1024,
        max_bytes: 480 * 1024,
        preallocate: false,
        ..JournalOptions::default()
    };
    let mut world = World::default();
    world.journal_options = small;
    let running = world.open_sale(seats).await;
    running.drained().await;
    world.store.set(postgres);
    (world, running)
}

/// Buys until there is no space for new orders.
async fn sell_out_of_space(running: &Running) -> usize {
    for number in 0.. {
        let wanted = wish(traveller(1_000 + number), "key", &ferry(), 1);
        match running.shown(running.place(wanted)).await {
            Ok(Ok(_)) => {}
            refused => {
                assert_eq!(refused.unwrap_err(), Outage::JournalFull);
                return number as usize;
            }
        }
    }
    unreachable!("the journal is finite");
}

/// Takes what room there is, until dropped.
fn take_all_room(journal: &Journal) -> Vec<Admission> {
    let mut taken = Vec::new();
    for bytes in [8 * 1024, 256, 1] {
        taken.extend(std::iter::from_fn(|| journal.admit(Share::Whole, bytes).ok()));
    }
    taken
}

/// Postgres is back and has followed; what it has is released as the process does.
async fn recover(world: &World, running: &Running) {
    world.store.set(Postgres::Up);
    running.drained().await;
    let projected = *running.projected.borrow();
    running.journal.release(Reached { projected, followed: projected }, KEEP_ALL).unwrap();
}

pub(super) fn assert_nobody_died(running: &Running) {
    let services = running.services();
    let restarts = [
        services.orders.restarts(),
        services.departures.restarts(),
        services.desks.restarts(),
        services.identities.restarts(),
        services.catalogue_owner.restarts(),
        services.payments.restarts(),
    ];
    assert_eq!(restarts, [0; 6]);
}

#[actix::test]
async fn rule_11_new_orders_stop_first_and_what_follows_from_a_sale_goes_on() {
    let (world, running) = cramped(Postgres::Away).await;
    let used = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    let open = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    let given_up = running.buy(wish(traveller(3), "key", &coach(), 1)).await;
    let begun = running.buy(wish(traveller(4), "key", &coach(), 1)).await;
    let number = running.open_payment(begun.id()).await;
    assert!(sell_out_of_space(&running).await > 50);

    // The key of an order that was made still gives it back.
    let (again, new) = running.shown(running.place(wish(traveller(2), "key", &coach(), 1))).await.unwrap().unwrap();
    assert_eq!((again.id(), new), (open.id(), false));
    let fact = world.gateway.pay(number).unwrap();
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    assert_eq!(running.order(begun.id()).await.status(), OrderStatus::Paid);
    running.open_payment(open.id()).await;
    running.shown(running.engine.cancel(given_up.id())).await.unwrap().unwrap();
    assert_eq!(redeemed(&running.scan(used.id(), 1, "press").await), 1);
    let account = account("late");
    running.shown(running.engine.identify(account)).await.unwrap().unwrap();

    recover(&world, &running).await;
    running.buy(wish(traveller(5), "key", &coach(), 1)).await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn rule_11_partners_take_nothing_new_without_space_for_it_and_sell_and_give_back_what_they_have() {
    let (world, running) = cramped(Postgres::Up).await;
    running.allot().await;
    let kept = running.reserved("a", "kept", 10).await;
    let given_up = running.reserved("a", "given up", 5).await;
    running.drained().await;
    world.store.set(Postgres::Away);
    sell_out_of_space(&running).await;

    let batch = BatchWish { partner: partner("a"), ..batch_wish(a(), "B-1", 1) };
    assert_eq!(running.ask_units("a", units("more", 1)).await.unwrap_err(), Outage::JournalFull);
    assert_eq!(running.generate(batch.clone()).await.unwrap_err(), Outage::JournalFull);
    assert_eq!(running.left_for(&channel("a")), 25, "they hold nothing");
    // The key of a reservation that was made still gives it back.
    assert_eq!(running.reserved("a", "kept", 10).await, kept);
    assert_eq!(running.sold(kept, "sale", 2).await.0.items().len(), 2);
    running.cancelled("a", given_up).await.unwrap();
    running.has_left("a", 30).await;

    recover(&world, &running).await;
    running.reserved("a", "more", 1).await;
    running.generated(batch).await;
    running.has_left("a", 28).await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn rule_08_without_any_space_nothing_changes_and_afterwards_everything_goes_on() {
    let (world, running) = cramped(Postgres::Away).await;
    let used = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    let unpaid = running.buy(wish(traveller(2), "key", &coach(), 2)).await;
    let begun = running.buy(wish(traveller(3), "key", &coach(), 3)).await;
    let number = running.open_payment(begun.id()).await;
    let fact = world.gateway.pay(number).unwrap();
    let room = take_all_room(&running.journal);

    assert_eq!(running.shown(running.engine.learn(fact.clone())).await.unwrap_err(), Outage::JournalFull);
    assert_eq!(running.shown(running.engine.cancel(unpaid.id())).await.unwrap_err(), Outage::JournalFull);
    let payment = running.engine.open_payment(unpaid.id(), "openid".into());
    assert_eq!(running.shown(payment).await.unwrap_err(), Outage::JournalFull);
    let scanned = running.engine.redeem(used.id(), scan(1, "press"), |_, _| ());
    assert_eq!(running.shown(scanned).await.unwrap_err(), Outage::JournalFull);
    let login = account("late");
    assert_eq!(running.shown(running.engine.identify(login.clone())).await.unwrap_err(), Outage::JournalFull);
    let order = running.place(wish(traveller(4), "key", &coach(), 1));
    assert_eq!(running.shown(order).await.unwrap_err(), Outage::JournalFull);
    assert_eq!(running.free_seats(&coach()), 900 - 6);
    // What can be shown from memory is shown as it was.
    assert_eq!(running.order(unpaid.id()).await.status(), OrderStatus::Pending);
    assert_eq!(running.order(begun.id()).await.status(), OrderStatus::Pending);
    // A lock ends meanwhile, and nobody can write that down.
    world.clock.pass(601);
    assert_eq!(running.order(unpaid.id()).await.status(), OrderStatus::Pending);

    drop(room);
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    assert_eq!(running.order(begun.id()).await.status(), OrderStatus::Paid);
    eventually_so("the unpaid order ends by itself", || async {
        running.order(unpaid.id()).await.status() == OrderStatus::Cancelled
    })
    .await;
    eventually("its seats are free", || running.free_seats(&coach()) == 900 - 4).await;
    assert_eq!(redeemed(&running.scan(used.id(), 1, "press").await), 1);
    running.shown(running.engine.identify(login)).await.unwrap().unwrap();
    running.buy(wish(traveller(4), "key", &coach(), 1)).await;
    recover(&world, &running).await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn rule_08_the_first_order_of_a_large_departure_takes_less_room_than_it_asks_for() {
    let (_world, running) = World::with_seats(1_000).await;
    let after = running.journal.appended();

    running.buy(wish(traveller(1), "key", &coach(), 10)).await;

    let record = running.journal.reader(after).unwrap().next_batch(1, 1 << 20).unwrap().remove(0).1;
    assert_eq!(record.header.key.as_str(), format!("departure/{}", coach()));
    assert!(record.payload.len() < DECISION_BYTES, "{} bytes", record.payload.len());
}

#[actix::test]
async fn rule_08_an_order_whose_first_record_has_no_space_is_not_made_and_keeps_no_seats_for_long() {
    let (world, running) = cramped(Postgres::Up).await;
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    // Two departures hold its seats, in records of their own.
    let mut wanted = wish(traveller(2), "key", &coach(), 2);
    wanted.items.extend(wish(traveller(2), "key", &ferry(), 2).items);
    let release = running.services().faults.stall_at(&coach(), Fault::AfterAppend);
    let placing = running.place_elsewhere(wanted.clone());
    let filling = async {
        eventually("the departure has placed the hold", || !running.services().faults.is_planted(&coach())).await;
        let room = take_all_room(&running.journal);
        drop(release);
        room
    };
    let (placed, room) = tokio::join!(placing, filling);
    assert_eq!(placed.unwrap_err(), Outage::JournalFull);

    drop(room);
    world.clock.pass(601);
    eventually("the seats are free", || [coach(), ferry()].iter().all(|id| running.free_seats(id) == 900)).await;
    let (order, _) = running.shown(running.place(wanted)).await.unwrap().unwrap();
    assert!(order.items().iter().all(|item| item.leg().unwrap().seats.len() == 2));
    assert_nobody_died(&running);
}

/// Its units are held, but there is no space for the record of what they are for, until the stock is told of that.
async fn unwritten<T>(running: &Running, asking: impl Future<Output = T>) -> T {
    let faults = &running.services().faults;
    let placed = faults.stall_at(&stock(), Fault::AfterAppend);
    let filling = async {
        eventually("the stock holds the units", || !faults.is_planted(&stock())).await;
        let (told, room) = (faults.stall_at(&stock(), Fault::AtMessage), take_all_room(&running.journal));
        drop(placed);
        eventually("the stock is told", || !faults.is_planted(&stock())).await;
        drop(room);
        drop(told);
    };
    tokio::join!(asking, filling).0
}

#[actix::test]
async fn r_ota_03_a_reservation_whose_record_has_no_space_gives_its_units_back_at_once() {
    let (_world, running) = cramped(Postgres::Up).await;
    running.allot().await;
    let asked = unwritten(&running, running.ask_units("a", units("one", 40))).await;
    assert_eq!(asked.unwrap_err(), Outage::JournalFull);

    running.has_left("a", 40).await;
    running.reserved("a", "one", 40).await;
    assert_eq!(running.left_for(&channel("a")), 0);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_04_a_batch_whose_first_record_has_no_space_gives_its_units_back_at_once() {
    let (_world, running) = cramped(Postgres::Up).await;
    running.allot().await;
    let wanted = BatchWish { partner: partner("a"), ..batch_wish(a(), "B-1", 40) };
    let asked = unwritten(&running, running.generate(wanted.clone())).await;
    assert_eq!(asked.unwrap_err(), Outage::JournalFull);

    assert_eq!(running.left_for(&channel("a")), 40);
    running.generated(wanted).await;
    assert_eq!(running.left_for(&channel("a")), 0);
    assert_nobody_died(&running);
}

#[actix::test]
async fn rule_11_money_that_was_being_settled_when_the_space_ran_out_is_settled_afterwards() {
    let (world, running) = cramped(Postgres::Up).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
    let number = running.open_payment(order.id()).await;
    let fact = world.gateway.pay(number).unwrap();
    let release = running.services().faults.stall_at(&coach(), Fault::AfterAppend);
    let learning = running.shown(running.engine.learn(fact));
    let filling = async {
        eventually("the departure has confirmed", || !running.services().faults.is_planted(&coach())).await;
        let room = take_all_room(&running.journal);
        drop(release);
        room
    };
    let (learned, room) = tokio::join!(learning, filling);
    assert_eq!(learned.unwrap_err(), Outage::JournalFull, "the provider is asked to tell it again");
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Pending);

    drop(room);
    world.clock.pass(2);
    eventually_so("the money is in the ledger", || async {
        let order = running.order(order.id()).await;
        order.status() == OrderStatus::Paid && order.ledger().len() == 1
    })
    .await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn r9_a_refund_that_was_being_begun_when_the_space_ran_out_is_begun_afterwards() {
    let (world, running) = cramped_with(2, Postgres::Up).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
    let number = running.open_payment(order.id()).await;
    running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
    let fact = world.gateway.pay_after_all(number).unwrap();
    running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 2)).await;
    let (journal, (sender, taken)) = (running.journal.clone(), std::sync::mpsc::channel());
    world.gateway.at_refund_body(move || sender.send(take_all_room(&journal)).unwrap());

    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    let mut room = None;
    eventually("the refund was being begun", || {
        room = taken.try_recv().ok();
        room.is_some()
    })
    .await;
    assert_eq!(world.gateway.refunds(), []);
    assert_eq!(
        running.order(order.id()).await.refunds()[0].state,
        RefundState::Due,
        "it waits, and others are answered"
    );

    drop(room);
    eventually("the refund is accepted", || {
        world.clock.pass(1);
        world.gateway.refunds().len() == 1
    })
    .await;
    assert_nobody_died(&running);
}
