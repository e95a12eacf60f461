//! A fault ends one owner and nothing else; it comes back from its rows, never ahead of its log (rule 20).

use deeptravel_domain::ids::{HoldId, OrderId, Shard};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, HoldAt};
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables::newest_version;
use futures_util::future::join_all;

use crate::journal::{KeyText, Record, RecordHeader};
use crate::kind::{CODEC, Kind};
use crate::outage::Outage;
use crate::testing::{
    Break, Fault, Line, Postgres, Running, World, coach, eventually, eventually_so, ferry, held, release_of_nothing,
    traveller, wish, within,
};

async fn is_back(running: &Running) {
    eventually_so("the coach is back", || async {
        running.services().departures.consult(&coach(), release_of_nothing()).await.is_ok()
    })
    .await;
}

fn hold(number: u64) -> HoldId {
    HoldId { order: OrderId::compose(crate::testing::NOON, Shard::of(number), number), item: 0 }
}

#[actix::test]
async fn a_departure_that_panics_is_rebuilt_and_right_and_others_are_unaffected() {
    for fault in [Fault::AtMessage, Fault::AfterAppend] {
        let (world, running) = World::with_seats(10).await;
        let unpaid = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
        let paid = running.buy_and_pay(&world, wish(traveller(2), "key", &coach(), 3)).await;
        running.drained().await;
        world.store.set(Postgres::Behind);

        running.services().faults.plant(&coach(), fault);
        let broken = running.shown(running.place(wish(traveller(3), "key", &coach(), 1))).await;
        assert_eq!(broken.unwrap_err(), Outage::Rebuilding);

        // Until everything it had appended is projected it stays away.
        if fault == Fault::AfterAppend {
            let meanwhile = running.shown(running.place(wish(traveller(4), "key", &coach(), 1))).await;
            assert_eq!(meanwhile.unwrap_err(), Outage::Rebuilding);
        }
        running.buy(wish(traveller(5), "key", &ferry(), 1)).await;
        world.store.set(Postgres::Up);
        is_back(&running).await;

        assert_eq!(running.services().departures.restarts(), 1);
        let next = running.buy(wish(traveller(6), "key", &coach(), 1)).await;
        let seats: Vec<_> = [&unpaid, &paid, &next].iter().flat_map(|order| held(order).to_vec()).collect();
        assert_eq!(
            seats.iter().collect::<std::collections::BTreeSet<_>>().len(),
            6,
            "a seat was sold twice: {seats:?}"
        );
        // What was appended before the fault is there, whoever was told otherwise.
        let found = u16::from(fault == Fault::AfterAppend);
        assert_eq!(running.free_seats(&coach()), 4 - found);
        if fault == Fault::AfterAppend {
            let again = || running.shown(running.place(wish(traveller(3), "key", &coach(), 1)));
            eventually_so("the key has an order", || async { again().await.is_ok() }).await;
            let (order, is_new) = again().await.unwrap().unwrap();
            assert_eq!((order.status(), is_new), (OrderStatus::Pending, false));
            assert_eq!(running.order(order.id()).await.items(), order.items());
        }
        world.clock.pass(601);
        eventually("only what is paid is held", || running.free_seats(&coach()) == 7).await;
        running.drained().await;
        let stored = world.store.rows_of_departure(&coach()).unwrap();
        let versions: Vec<_> = stored.all::<HoldRow<'_>>().unwrap().iter().map(|hold| hold.version).collect();
        assert!(versions.iter().max().is_some_and(|newest| *newest >= 5), "{versions:?}");
    }
}

#[actix::test]
async fn a_departure_that_panics_before_it_is_born_starts_anew() {
    let (_world, running) = World::with_seats(10).await;
    running.services().faults.plant(&coach(), Fault::AtMessage);
    let broken = running.shown(running.place(wish(traveller(1), "key", &coach(), 1))).await;
    assert_eq!(broken.unwrap_err(), Outage::Rebuilding);

    is_back(&running).await;

    running.buy(wish(traveller(1), "other key", &coach(), 10)).await;
}

#[actix::test]
async fn a_key_whose_order_broke_off_makes_a_new_one() {
    let (_world, running) = World::with_seats(10).await;
    running.services().faults.plant(&coach(), Fault::AtMessage);
    let wanted = wish(traveller(1), "key", &coach(), 1);
    running.shown(running.place(wanted.clone())).await.unwrap_err();

    eventually_so("the same key makes an order", || async {
        matches!(running.shown(running.place(wanted.clone())).await, Ok(Ok(_)))
    })
    .await;

    assert_eq!(running.free_seats(&coach()), 9);
}

#[actix::test]
async fn a_command_that_kills_twice_is_set_aside_and_others_are_not() {
    let (_world, running) = World::with_seats(10).await;
    let departures = &running.services().departures;
    let poison = || Command::ConfirmHold(HoldAt { hold: hold(1), epoch: 1 });

    for _ in 0..2 {
        running.services().faults.plant(&coach(), Fault::AtMessage);
        let died = within("answered", departures.consult(&coach(), poison())).await;
        assert_eq!(died.unwrap_err(), Outage::Rebuilding);
        is_back(&running).await;
    }

    assert_eq!(departures.consult(&coach(), poison()).await.unwrap_err(), Outage::SetAside);
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;
}

/// A record of the departure's key by another hand: its owner's next append is refused.
async fn steal_a_version(world: &World, running: &Running) {
    running.drained().await;
    let stored = world.store.rows_of_departure(&coach()).unwrap();
    let mut departure: DepartureRow<'_> = stored.of().next().unwrap().unwrap();
    let key = KeyText::new(format!("departure/{}", coach())).unwrap();
    let key_version = newest_version(&stored).unwrap() + 1;
    departure.version = key_version;
    let mut rows = Rows::default();
    rows.put(&departure);
    let header =
        RecordHeader { kind: Kind::Rows.number(), codec: CODEC, key, key_version, at_ms: running.engine.now().as_ms() };
    running.append(&Record { header, payload: rows.into_bytes() }).unwrap();
}

#[actix::test]
async fn an_owner_whose_record_is_refused_ends_and_is_rebuilt_and_never_set_aside() {
    let (world, running) = World::with_seats(4).await;
    let first = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    // The same command of the order again and again: it never counts as a deadly one.
    for _ in 0..3 {
        steal_a_version(&world, &running).await;
        let refused = running.shown(running.engine.cancel(first.id())).await;
        assert!(refused.is_err(), "{refused:?}");
        is_back(&running).await;
    }

    // What the departure could not write did not happen; the order went on and asked again.
    world.clock.pass(60);
    eventually_so("it is cancelled", || async { running.order(first.id()).await.status() == OrderStatus::Cancelled })
        .await;
    running.buy(wish(traveller(9), "key", &coach(), 4)).await;
}

#[actix::test]
async fn a_desk_that_breaks_still_knows_the_orders_that_were_being_made() {
    // The departure of an order that has no actor is awake already.
    for has_actor in [true, false] {
        break_the_desk_of_an_order(has_actor).await;
    }
}

fn in_flight(running: &Running) -> OrderId {
    *running.services().in_flight.iter().next().unwrap().key()
}

async fn break_the_desk_of_an_order(has_actor: bool) {
    let (_world, running) = World::with_seats(10).await;
    let services = running.services();
    if !has_actor {
        running.buy(wish(traveller(100), "key", &coach(), 1)).await;
    }
    running.drained().await;
    let free = running.free_seats(&coach());
    // The departure hangs, and with it its thread: a traveller whose desk is on another one.
    let apart =
        |number: &u64| !services.desks.is_beside(&services.desk_of(traveller(*number)), &services.departures, &coach());
    let number = (1..100).find(apart).unwrap();
    let wanted = wish(traveller(number), "key", &coach(), 1);
    let release = services.faults.stall(&coach());
    let first = running.place_elsewhere(wanted.clone());

    let breaking = async {
        eventually("the order is being made", || services.in_flight.len() == 1).await;
        eventually("the departure has been asked", || !services.faults.is_planted(&coach())).await;
        assert_eq!(services.orders.is_live(&in_flight(&running)), has_actor);
        let desk = services.desk_of(traveller(number));
        within("answered", services.desks.ask(&desk, Break)).await.unwrap_err();
        eventually("the desk is back", || services.desks.restarts() == 1 && services.desks.is_live(&desk)).await;
        let again = join_all((0..3).map(|_| running.shown(running.place(wanted.clone()))));
        let unblocking = async {
            tokio::task::yield_now().await;
            drop(release);
        };
        tokio::join!(again, unblocking).0
    };
    let (first, again) = tokio::join!(first, breaking);

    let order = first.unwrap().unwrap().0.id();
    let orders: Vec<_> = again.into_iter().map(|answer| answer.unwrap().unwrap().0.id()).collect();
    assert!(orders.iter().all(|id| *id == order), "{orders:?}");
    assert_eq!(running.free_seats(&coach()), free - 1, "the key made two orders");
    eventually("nothing is in flight", || services.in_flight.is_empty()).await;
}

#[actix::test]
async fn an_order_that_breaks_before_it_has_an_actor_is_rebuilt_and_its_desk_goes_on() {
    for fault in [Fault::BeforeOrder, Fault::AfterOrder] {
        let (_world, running) = World::with_seats(10).await;
        let services = running.services();
        running.buy(wish(traveller(100), "key", &coach(), 1)).await;
        let wanted = wish(traveller(1), "key", &coach(), 1);

        services.faults.plant(&coach(), fault);
        let broken = running.shown(running.place(wanted.clone())).await;
        assert_eq!(broken.unwrap_err(), Outage::Rebuilding);

        running.buy(wish(traveller(1), "another key", &ferry(), 1)).await;
        assert_eq!((services.desks.restarts(), services.departures.restarts(), services.orders.restarts()), (0, 0, 1));
        eventually_so("the key has an order", || async {
            running.shown(running.place(wanted.clone())).await.is_ok_and(|order| order.is_ok())
        })
        .await;
        let (order, is_new) = running.shown(running.place(wanted.clone())).await.unwrap().unwrap();
        assert_eq!((order.status(), is_new), (OrderStatus::Pending, false));
        // The seats of an order that was never written end with their lock.
        let lost = u16::from(fault == Fault::BeforeOrder);
        assert_eq!(running.free_seats(&coach()), 8 - lost);
        eventually("nothing is in flight", || services.in_flight.is_empty()).await;
    }
}

#[actix::test]
async fn rule_19_a_desk_promises_so_many_orders_at_once_and_goes_on_when_they_are_made() {
    let (_world, running) = World::with_seats(100).await;
    let services = running.services();
    // Travellers of one desk, which is not on the thread that hangs.
    let desk_of = |number: u64| services.desk_of(traveller(number));
    let apart = |number: &u64| !services.desks.is_beside(&desk_of(*number), &services.departures, &coach());
    let desk = desk_of((1..100).find(apart).unwrap());
    let mut numbers = (1..).filter(|number| desk_of(*number) == desk);
    let place = |number| running.place_elsewhere(wish(traveller(number), "key", &coach(), 1));
    let first: Vec<u64> = numbers.by_ref().take(64).collect();
    let next = numbers.next().unwrap();

    let release = services.faults.stall(&coach());
    // By message, so that it is the departure's thread that hangs and not the desk's.
    let departure = coach();
    let hanging = services.departures.consult(&departure, release_of_nothing());
    let promised = async {
        eventually("the departure hangs", || !services.faults.is_planted(&departure)).await;
        join_all(first.into_iter().map(place)).await
    };
    let beyond = async {
        eventually("all are promised", || services.in_flight.len() == 64).await;
        let refused = within("refused", place(next)).await;
        drop(release);
        refused
    };
    let (released, made, refused) = tokio::join!(hanging, promised, beyond);

    released.unwrap().outcome.unwrap();
    assert_eq!(refused.unwrap_err(), Outage::Overloaded);
    assert!(made.iter().all(|order| matches!(order, Ok(Ok(_)))));
    place(next).await.unwrap().unwrap();
}

#[actix::test]
async fn a_desk_that_breaks_learns_of_every_order_that_ended_meanwhile() {
    let (_world, running) = World::with_seats(10).await;
    let services = running.services();
    let desk = services.desk_of(traveller(1));
    let mut orders = Vec::new();
    for number in 0..5 {
        orders.push(running.buy(wish(traveller(1), &format!("key-{number}"), &coach(), 1)).await);
    }

    services.desks.ask(&desk, Break).await.unwrap_err();
    for order in &orders {
        running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
    }

    eventually_so("none counts any more", || async {
        let next = running.place(wish(traveller(1), "next", &coach(), 1));
        match running.shown(next).await {
            Ok(Ok(_)) => true,
            Ok(Err(Rejection::LockLimit { .. })) | Err(Outage::Rebuilding) => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[actix::test]
async fn whoever_waits_for_an_order_that_breaks_is_told_and_the_order_goes_on() {
    let (world, running) = World::with_seats(10).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    world.gateway.set(Line::Slow);

    let opening = running.engine.open_payment(order.id(), "openid".into());
    let breaking = async {
        eventually("the call is made", || world.gateway.calls(crate::testing::Call::Create) == 1).await;
        running.services().orders.ask(&order.id(), Break).await.unwrap_err();
    };
    let (told, ()) = tokio::join!(within("told", opening), breaking);
    assert_eq!(told.unwrap_err(), Outage::Rebuilding);

    world.gateway.set(Line::Good);
    let orders = &running.services().orders;
    eventually("it is back", || orders.restarts() == 1 && orders.is_live(&order.id())).await;
    let number = running.open_payment(order.id()).await;
    assert_eq!(number.attempt, 1);
}

#[actix::test]
async fn whoever_waits_for_rows_that_cannot_even_be_read_is_told() {
    let (world, running) = World::with_seats(10).await;
    world.store.set(Postgres::Broken);
    let id = OrderId::from_bits(7);

    let asked = join_all((0..3).map(|_| running.engine.order(id))).await;
    assert!(asked.into_iter().all(|answer| answer.unwrap_err() == Outage::Rebuilding));

    world.store.set(Postgres::Up);
    assert_eq!(running.shown(running.engine.order(id)).await.unwrap().unwrap_err(), Rejection::OrderNotFound);
}
