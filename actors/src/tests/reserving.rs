//! Reservations before there is an order (R-HOLD-07), and what they count (R-HOLD-08).

use deeptravel_domain::ids::TravellerId;
use deeptravel_domain::order::{ItemWish, OrderStatus};
use deeptravel_domain::rejection::{Rejection, Sold};
use deeptravel_domain::reservation::{Reservation, ReservationId};
use futures_util::future::{join, join_all};

use crate::outage::Outage;
use crate::services::chance;
use crate::testing::{
    Break, Fault, Postgres, Running, World, adopting, coach, eventually, eventually_so, ferry, held, reservation,
    traveller, wish,
};

/// Which seats a reservation has.
async fn seats(running: &Running, wished: Reservation) -> Vec<Box<str>> {
    let again = deeptravel_domain::reservation::ReservationWish {
        traveller: wished.traveller,
        idempotency_key: wished.idempotency_key,
        body_hash: wished.body_hash,
        departure: wished.id.departure().clone(),
        class: wished.class,
        board: None,
        alight: None,
        wanted: wished.wanted,
    };
    running.shown(running.engine.reserve(again)).await.unwrap().unwrap().seats.to_vec()
}

async fn release(running: &Running, traveller: TravellerId, id: &ReservationId) -> Result<(), Rejection> {
    running.shown(running.engine.release(traveller, id)).await.unwrap()
}

/// How many more locks the traveller may have: tried out, and given back.
async fn locks_left(running: &Running, traveller: TravellerId) -> usize {
    let mut tried = Vec::new();
    loop {
        let wish = reservation(traveller, &format!("try-{}", chance()), &ferry(), 1);
        match running.shown(running.engine.reserve(wish)).await.unwrap() {
            Ok(reserved) => tried.push(reserved.reservation.id.clone()),
            Err(Rejection::LockLimit { limit: 5 }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    for id in &tried {
        release(running, traveller, id).await.unwrap();
    }
    tried.len()
}

#[actix::test]
async fn r_hold_07_a_reservation_is_adopted_with_its_seats_and_its_time_and_paid() {
    let (world, running) = World::with_seats(8).await;
    let reserved = running.reserve(reservation(traveller(1), "reserve", &coach(), 2)).await;
    let labels = seats(&running, (*reserved).clone()).await;
    assert_eq!((labels.len(), running.free_seats(&coach())), (2, 6));
    running.buy(wish(traveller(2), "key", &coach(), 4)).await;
    world.clock.pass(60);

    let order = running.buy(adopting(traveller(1), "key", &reserved.id, 2)).await;

    assert_eq!((held(&order), order.lock_expires_at()), (&labels[..], reserved.expires_at));
    assert_eq!((running.free_seats(&coach()), order.id().shard()), (2, reserved.id.hold().order.shard()));
    let number = running.open_payment(order.id()).await;
    running.shown(running.engine.learn(world.gateway.pay(number).unwrap())).await.unwrap().unwrap();
    let paid = running.order(order.id()).await;
    assert_eq!((paid.status(), paid.tickets().len()), (OrderStatus::Paid, 2));
    world.clock.pass(3_600);
    eventually("only what is paid is held", || running.free_seats(&coach()) == 6).await;
}

#[actix::test]
async fn r_hold_05_07_a_key_names_its_reservation_also_at_once_and_is_no_orders_key() {
    let (_world, running) = World::with_seats(8).await;
    let wished = || reservation(traveller(1), "key", &coach(), 2);

    let at_once = join_all((0..10).map(|_| running.shown(running.engine.reserve(wished())))).await;
    let at_once: Vec<_> = at_once.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert_eq!(at_once.iter().filter(|reserved| reserved.is_first).count(), 1);
    let id = at_once[0].reservation.id.clone();
    assert!(at_once.iter().all(|reserved| reserved.reservation.id == id));
    assert_eq!(running.free_seats(&coach()), 6);

    let other = running.shown(running.engine.reserve(reservation(traveller(1), "key", &coach(), 1))).await.unwrap();
    assert_eq!(other.unwrap_err(), Rejection::IdempotencyMismatch);
    running.reserve(reservation(traveller(2), "key", &coach(), 1)).await;
    let order = running.buy(adopting(traveller(1), "key", &id, 2)).await;
    assert_eq!(held(&order).len(), 2);
    let again = running.shown(running.engine.reserve(wished())).await.unwrap();
    assert_eq!(again.unwrap_err(), Rejection::ReservationEnded, "no second one as long as its time is not over");
}

#[actix::test]
async fn r_hold_07_a_reservation_in_its_last_50_ms_is_adopted_or_over_as_the_clock_says() {
    for left_ms in [50, 0] {
        let (world, running) = World::with_seats(8).await;
        let reserved = running.reserve(reservation(traveller(1), "reserve", &coach(), 2)).await;
        let now = || running.engine.now();
        world.clock.pass_ms(reserved.expires_at.ms_since(now()) - left_ms);

        let before = now();
        let adopted = running.shown(running.place(adopting(traveller(1), "key", &reserved.id, 2))).await.unwrap();
        let after = now();

        match &adopted {
            Ok((order, _)) => {
                assert!(before < reserved.expires_at, "its time was over");
                assert_eq!(order.lock_expires_at(), reserved.expires_at);
            }
            Err(refused) => {
                assert!(after >= reserved.expires_at, "its time was not over");
                assert_eq!(*refused, Rejection::HoldExpired);
            }
        }
        world.clock.pass_ms(left_ms);
        if let Ok((order, _)) = &adopted {
            eventually_so("it ends", || async { running.order(order.id()).await.cancelled().is_some() }).await;
        }
        running.buy(wish(traveller(2), "key", &coach(), 8)).await;
        eventually_so("nothing is counted", || async { locks_left(&running, traveller(1)).await == 4 + 1 }).await;
    }
}

#[actix::test]
async fn r_hold_07_of_two_orders_at_once_one_adopts_a_reservation() {
    let (_world, running) = World::with_seats(40).await;
    for number in 1..=10 {
        let reserved = running.reserve(reservation(traveller(number), "reserve", &coach(), 1)).await;
        // Each on a thread of its own.
        let adopt = |key| running.place_elsewhere(adopting(traveller(number), key, &reserved.id, 1));

        let answers: Vec<_> = join_all(["one", "two", "three"].map(adopt)).await;

        let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(
            answers.iter().filter_map(|answer| answer.as_ref().err()).all(|why| *why == Rejection::ReservationEnded)
        );
        assert_eq!(running.free_seats(&coach()), 40 - number as u16);
        assert_eq!(locks_left(&running, traveller(number)).await, 4);
    }
}

#[actix::test]
async fn r_hold_07_of_release_and_adoption_at_once_one_wins_and_the_count_is_right() {
    let (_world, running) = World::with_seats(40).await;
    let mut adopted = 0;
    for number in 1..=20 {
        let who = traveller(number);
        let reserved = running.reserve(reservation(who, "reserve", &coach(), 1)).await;
        let adopt = running.place_elsewhere(adopting(who, "key", &reserved.id, 1));
        let released = release(&running, who, &reserved.id);

        // Now one begins, and now the other.
        let (order, released) = if number % 2 == 0 {
            join(adopt, released).await
        } else {
            let (released, order) = join(released, adopt).await;
            (order, released)
        };

        match (order.unwrap(), released) {
            (Ok((order, _)), Err(Rejection::ReservationNotFound)) => {
                adopted += 1;
                assert_eq!(held(&order).len(), 1);
                assert_eq!(locks_left(&running, who).await, 4);
            }
            (Err(Rejection::ReservationEnded), Ok(())) => assert_eq!(locks_left(&running, who).await, 5),
            both => panic!("{both:?}"),
        }
        assert_eq!(running.free_seats(&coach()), 40 - adopted, "no seat twice, none lost");
    }
}

#[actix::test]
async fn r_hold_07_another_travellers_reservation_does_not_exist() {
    let (_world, running) = World::with_seats(4).await;
    let reserved = running.reserve(reservation(traveller(1), "key", &coach(), 1)).await;

    let refused = running.shown(running.place(adopting(traveller(2), "key", &reserved.id, 1))).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::ReservationNotFound);
    assert_eq!(release(&running, traveller(2), &reserved.id).await, Err(Rejection::ReservationNotFound));

    assert_eq!(running.free_seats(&coach()), 3);
    assert_eq!(release(&running, traveller(1), &reserved.id).await, Ok(()));
    assert_eq!(release(&running, traveller(1), &reserved.id).await, Err(Rejection::ReservationNotFound));
    assert_eq!(running.free_seats(&coach()), 4);
}

#[actix::test]
async fn r_hold_07_a_reservation_that_nobody_adopts_expires_and_counts_no_longer() {
    let (world, running) = World::with_seats(8).await;
    let reserved = running.reserve(reservation(traveller(1), "reserve", &coach(), 8)).await;
    assert_eq!(locks_left(&running, traveller(1)).await, 4);
    let taken = running.shown(running.place(wish(traveller(2), "key", &coach(), 1))).await.unwrap();
    assert!(matches!(taken, Err(Rejection::SoldOut { available: 0, .. })), "{taken:?}");

    world.clock.pass(600);

    running.buy(wish(traveller(2), "key", &coach(), 8)).await;
    assert_eq!(locks_left(&running, traveller(1)).await, 5);
    let late = running.shown(running.place(adopting(traveller(1), "key", &reserved.id, 8))).await.unwrap();
    assert_eq!(late.unwrap_err(), Rejection::HoldExpired);
    assert_eq!(release(&running, traveller(1), &reserved.id).await, Err(Rejection::ReservationNotFound));
    // The key is free again.
    let again = running.shown(running.engine.reserve(reservation(traveller(1), "reserve", &ferry(), 8))).await.unwrap();
    assert!(again.unwrap().is_first);
}

#[actix::test]
async fn r_hold_08_orders_and_reservations_are_counted_together() {
    let (_world, running) = World::with_seats(40).await;
    let who = traveller(1);
    let order = |key: &str| wish(who, key, &coach(), 1);
    running.buy(order("first")).await;
    let first = running.reserve(reservation(who, "first", &coach(), 1)).await;
    running.buy(order("second")).await;
    let second = running.reserve(reservation(who, "second", &coach(), 1)).await;
    running.buy(order("third")).await;
    let limit = Rejection::LockLimit { limit: 5 };

    let placed = running.shown(running.place(order("fourth"))).await.unwrap();
    let reserved = running.shown(running.engine.reserve(reservation(who, "third", &coach(), 1))).await.unwrap();
    assert_eq!((placed.unwrap_err(), reserved.unwrap_err()), (limit.clone(), limit.clone()));

    // An order that adopts holds no more than before, and the count moves.
    running.buy(adopting(who, "adopts", &first.id, 1)).await;
    let placed = running.shown(running.place(order("fourth"))).await.unwrap();
    assert_eq!(placed.unwrap_err(), limit);
    release(&running, who, &second.id).await.unwrap();
    running.buy(order("fourth")).await;
    assert_eq!(running.free_seats(&coach()), 35);
}

#[actix::test]
async fn r_hold_07_an_order_that_does_not_fit_its_reservation_names_the_item() {
    let (_world, running) = World::with_seats(8).await;
    let who = traveller(1);
    let reserved = running.reserve(reservation(who, "key", &coach(), 2)).await;
    let field = |message| Rejection::field("items[1].reservationId", message);
    let mut both = wish(who, "key", &ferry(), 3);
    both.items.push(ItemWish::Reservation(reserved.id.clone()));

    let refused = running.shown(running.place(both.clone())).await.unwrap();
    assert_eq!(refused.unwrap_err(), field("holds 2 seats, one for every passenger"));
    both.passengers.truncate(2);
    both.items[0] = both.items[1].clone();
    let refused = running.shown(running.place(both.clone())).await.unwrap();
    assert_eq!(refused.unwrap_err(), field("is named twice"));
    assert_eq!(running.free_seats(&coach()), 6);
    both.items.remove(0);
    running.buy(both).await;
}

#[actix::test]
async fn r_hold_02_07_an_order_that_is_refused_leaves_its_reservation_as_it_was() {
    let (_world, running) = World::with_seats(4).await;
    let who = traveller(1);
    let reserved = running.reserve(reservation(who, "reserve", &coach(), 2)).await;
    running.buy(wish(traveller(2), "key", &ferry(), 3)).await;
    let mut both = wish(who, "key", &ferry(), 2);
    both.items.insert(0, ItemWish::Reservation(reserved.id.clone()));

    let refused = running.shown(running.place(both.clone())).await.unwrap();
    assert!(matches!(refused, Err(Rejection::SoldOut { of: Sold::Seats, wanted: 2, available: 1 })), "{refused:?}");

    assert_eq!((running.free_seats(&coach()), running.free_seats(&ferry())), (2, 1));
    let again = reservation(who, "reserve", &coach(), 2);
    assert!(!running.shown(running.engine.reserve(again)).await.unwrap().unwrap().is_first, "it is there");
    both.items.truncate(1);
    let order = running.buy(both).await;
    assert_eq!((order.lock_expires_at(), running.free_seats(&coach())), (reserved.expires_at, 2));
}

#[actix::test]
async fn r_hold_07_an_order_of_two_departures_adopts_what_is_reserved_of_both() {
    let (world, running) = World::with_seats(4).await;
    let who = traveller(1);
    let there = running.reserve(reservation(who, "there", &coach(), 2)).await;
    world.clock.pass(60);
    let on = running.reserve(reservation(who, "on", &ferry(), 2)).await;
    let mut both = adopting(who, "key", &on.id, 2);
    both.items.push(ItemWish::Reservation(there.id.clone()));

    let order = running.buy(both).await;

    assert_eq!(order.lock_expires_at(), there.expires_at, "the earliest of its claims' ends");
    assert_eq!((running.free_seats(&coach()), running.free_seats(&ferry())), (2, 2));
    world.clock.pass(600);
    eventually("both are free", || running.free_seats(&coach()) + running.free_seats(&ferry()) == 8).await;
}

/// Kills the engine when nothing of what it did lately has reached Postgres, and starts it again.
async fn crash(world: &World, running: Running) -> Running {
    running.kill().await;
    world.store.set(Postgres::Up);
    world.start().await
}

#[actix::test]
async fn r_hold_04_07_a_crash_forgets_no_reservation_and_sells_no_seat_twice() {
    let (world, running) = World::with_seats(6).await;
    let who = traveller(1);
    running.drained().await;
    world.store.set(Postgres::Behind);
    let wished = |key: &str, seats| reservation(who, key, &coach(), seats);
    let kept = running.reserve(wished("kept", 1)).await;
    let labels = seats(&running, (*kept).clone()).await;
    let released = running.reserve(wished("released", 1)).await;
    release(&running, who, &released.id).await.unwrap();
    let adopted = running.reserve(wished("adopted", 2)).await;
    let order = running.buy(adopting(who, "key", &adopted.id, 2)).await;

    let running = crash(&world, running).await;

    assert_eq!(running.free_seats(&coach()), 3);
    assert_eq!(locks_left(&running, who).await, 3, "one reservation, one order");
    let again = running.shown(running.engine.reserve(wished("kept", 1))).await.unwrap().unwrap();
    assert_eq!((again.is_first, &again.reservation.id, again.seats.to_vec()), (false, &kept.id, labels.clone()));
    assert_eq!(again.reservation.expires_at, kept.expires_at);
    let other = running.shown(running.engine.reserve(wished("kept", 2))).await.unwrap();
    assert_eq!(other.unwrap_err(), Rejection::IdempotencyMismatch);
    for (key, seats) in [("released", 1), ("adopted", 2)] {
        let ended = running.shown(running.engine.reserve(wished(key, seats))).await.unwrap();
        assert_eq!(ended.unwrap_err(), Rejection::ReservationEnded, "{key}");
    }
    let twice = running.shown(running.place(adopting(who, "again", &adopted.id, 2))).await.unwrap();
    assert_eq!(twice.unwrap_err(), Rejection::ReservationEnded);
    let number = running.open_payment(order.id()).await;
    running.shown(running.engine.learn(world.gateway.pay(number).unwrap())).await.unwrap().unwrap();
    let last = running.buy(adopting(who, "last", &kept.id, 1)).await;
    assert_eq!(held(&last), labels);
    assert_eq!((running.order(order.id()).await.tickets().len(), running.free_seats(&coach())), (2, 3));
}

#[actix::test]
async fn r_hold_04_07_a_crash_between_an_adoption_and_the_orders_record_keeps_the_seats_until_they_lapse() {
    let (world, running) = World::with_seats(8).await;
    let who = traveller(1);
    let reserved = running.reserve(reservation(who, "reserve", &ferry(), 2)).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    // An order of two departures has a record of its own, after theirs.
    let mut both = adopting(who, "key", &reserved.id, 2);
    both.items.extend(wish(who, "key", &coach(), 2).items);
    let stalled = running.services().faults.stall_at(&ferry(), Fault::AfterAppend);
    let adopted = async {
        eventually("it is adopted", || !running.services().faults.is_planted(&ferry())).await;
        running.journal.wait(running.journal.appended()).await.unwrap();
        drop(stalled);
    };
    let (placed, ()) = join(running.place_elsewhere(both), adopted).await;
    let (order, _) = placed.unwrap().unwrap();
    running.kill().await;
    world.tear_last_record();
    world.store.set(Postgres::Up);

    let running = world.start().await;

    let gone = running.shown(running.engine.order(order.id())).await.unwrap();
    assert_eq!(gone.unwrap_err(), Rejection::OrderNotFound);
    assert_eq!((running.free_seats(&coach()), running.free_seats(&ferry())), (6, 6), "nobody else has them");
    let again = running.shown(running.place(adopting(who, "again", &reserved.id, 2))).await.unwrap();
    assert_eq!(again.unwrap_err(), Rejection::ReservationEnded);
    world.clock.pass(600);
    eventually("they are free", || running.free_seats(&ferry()) == 8 && running.free_seats(&coach()) == 8).await;
    assert_eq!(locks_left(&running, who).await, 5);
}

#[actix::test]
async fn a_departure_that_breaks_over_a_reservation_leaves_it_to_its_key() {
    for fault in [Fault::AtMessage, Fault::AfterAppend] {
        let (_world, running) = World::with_seats(8).await;
        running.buy(wish(traveller(2), "key", &coach(), 1)).await;
        let wished = || reservation(traveller(1), "key", &coach(), 2);
        running.services().faults.plant(&coach(), fault);

        let broken = running.shown(running.engine.reserve(wished())).await;

        assert_eq!(broken.unwrap_err(), Outage::Rebuilding);
        // The desk asks again by itself: whoever repeats his request waits for that.
        eventually_so("it is there", || async { running.shown(running.engine.reserve(wished())).await.is_ok() }).await;
        let found = running.shown(running.engine.reserve(wished())).await.unwrap().unwrap();
        assert_eq!((found.is_first, found.seats.len(), running.free_seats(&coach())), (false, 2, 5));
        assert_eq!(locks_left(&running, traveller(1)).await, 4);
        running.buy(adopting(traveller(1), "order", &found.reservation.id, 2)).await;
    }
}

#[actix::test]
async fn a_departure_that_breaks_over_an_adoption_leaves_order_or_reservation() {
    for fault in [Fault::AtMessage, Fault::BeforeOrder, Fault::AfterAppend] {
        let (_world, running) = World::with_seats(8).await;
        let who = traveller(1);
        let reserved = running.reserve(reservation(who, "reserve", &coach(), 2)).await;
        running.services().faults.plant(&coach(), fault);

        let adopt = || running.shown(running.place(adopting(who, "key", &reserved.id, 2)));
        let broken = adopt().await;
        assert_eq!(broken.unwrap_err(), Outage::Rebuilding, "{fault:?}");

        // Whoever tries again, with the same key, gets what there is; seats are held once.
        eventually_so("it is known", || async { adopt().await.is_ok() }).await;
        let again = adopt().await.unwrap();
        match fault {
            Fault::AtMessage | Fault::AfterAppend => assert_eq!(held(&again.unwrap().0).len(), 2),
            // The departure has written what it decided; the order is not there, and the seats end with their lock.
            _ => assert_eq!(again.unwrap_err(), Rejection::ReservationEnded),
        }
        assert_eq!(running.free_seats(&coach()), 6, "{fault:?}");
        let left = if fault == Fault::BeforeOrder { 5 } else { 4 };
        eventually_so("it is counted", || async { locks_left(&running, who).await == left }).await;
    }
}

#[actix::test]
async fn a_desk_that_breaks_knows_its_reservations_again() {
    let (_world, running) = World::with_seats(8).await;
    let who = traveller(1);
    let kept = running.reserve(reservation(who, "kept", &coach(), 1)).await;
    let adopted = running.reserve(reservation(who, "adopted", &coach(), 1)).await;
    running.buy(adopting(who, "key", &adopted.id, 1)).await;
    let desk = running.services().desk_of(who);

    assert!(running.services().desks.ask(&desk, Break).await.is_err());

    let again = || running.shown(running.engine.reserve(reservation(who, "kept", &coach(), 1)));
    eventually_so("the desk is back", || async { again().await.is_ok() }).await;
    assert_eq!(again().await.unwrap().unwrap().reservation.id, kept.id);
    assert_eq!(locks_left(&running, who).await, 3);
    running.buy(adopting(who, "other", &kept.id, 1)).await;
    assert_eq!((locks_left(&running, who).await, running.free_seats(&coach())), (3, 6));
}
