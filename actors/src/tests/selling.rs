//! Seats are sold once, and a key makes one order.

use std::collections::HashSet;

use deeptravel_domain::catalogue::Route;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::inventory::{Allotment, Command};
use deeptravel_domain::order::{CancelReason, ItemWish, JourneyWish, OrderStatus, SeatWish, Wish};
use deeptravel_domain::rejection::{Rejection, Sold};
use futures_util::future::join_all;

use crate::testing::{
    World, coach, code, eventually, eventually_so, fare_table, ferry, first_journey, held, network, put, traveller,
    wish,
};

#[actix::test]
async fn r_hold_02_04_three_hundred_buyers_never_share_a_seat_and_no_party_is_split() {
    const SEATS: u16 = 100;
    let (_world, running) = World::with_seats(SEATS).await;
    let buyers = (1..=300_u64).map(|number| wish(traveller(number), "key", &coach(), 1 + (number % 3) as u16));

    let answers = join_all(buyers.map(|wish| {
        let running = &running;
        async move {
            let party = wish.passengers.len() as u16;
            (party, running.shown(running.place(wish)).await.unwrap())
        }
    }))
    .await;

    let mut sold = HashSet::new();
    let mut smallest_refused = u16::MAX;
    for (party, answer) in answers {
        match answer {
            Ok((order, _)) => {
                let seats = held(&order);
                assert_eq!(seats.len(), usize::from(party), "a party was split");
                assert!(seats.iter().all(|seat| sold.insert(seat.clone())), "a seat was sold twice");
            }
            Err(Rejection::SoldOut { .. }) => smallest_refused = smallest_refused.min(party),
            Err(other) => panic!("{other}"),
        }
    }
    let left = running.free_seats(&coach());
    assert_eq!(sold.len(), usize::from(SEATS - left));
    assert!(left < smallest_refused, "{left} seats are left, but a party of {smallest_refused} was refused");
}

#[actix::test]
async fn a_seat_sold_from_a_to_c_is_sold_again_from_c_to_e_and_never_from_b_to_d() {
    let (_world, running) = World::with_seats(1).await;
    let leg = |number, board, alight| {
        let mut wish = wish(traveller(number), "key", &coach(), 1);
        let journey = first_journey(&mut wish);
        (journey.board, journey.alight) = (Some(board), Some(alight));
        wish
    };

    let first = running.buy(leg(1, 0, 2)).await;
    let across = running.shown(running.place(leg(2, 1, 3))).await.unwrap();
    let second = running.buy(leg(3, 2, 4)).await;

    assert!(matches!(across, Err(Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 })), "{across:?}");
    assert_eq!(held(&first), held(&second));
}

#[actix::test]
async fn r_hold_05_a_key_that_is_repeated_at_once_and_later_makes_one_order() {
    let (_world, running) = World::with_seats(40).await;
    let wish = wish(traveller(1), "key", &coach(), 2);

    let at_once = join_all((0..20).map(|_| running.shown(running.place(wish.clone())))).await;
    let at_once: Vec<_> = at_once.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    let later = running.shown(running.place(wish.clone())).await.unwrap().unwrap();

    let made = at_once.iter().filter(|(_, new)| *new).count();
    assert_eq!(made, 1);
    assert!(at_once.iter().all(|(order, _)| order.id() == later.0.id()));
    assert!(!later.1);
    assert_eq!(running.free_seats(&coach()), 38);
}

#[actix::test]
async fn r_hold_05_the_same_key_with_another_body_is_refused() {
    let (_world, running) = World::with_seats(40).await;
    running.buy(wish(traveller(1), "key", &coach(), 2)).await;

    let other = running.shown(running.place(wish(traveller(1), "key", &coach(), 3))).await.unwrap();
    let of_another_traveller = running.shown(running.place(wish(traveller(2), "key", &coach(), 3))).await;

    assert_eq!(other.unwrap_err(), Rejection::IdempotencyMismatch);
    assert!(of_another_traveller.unwrap().is_ok());
}

#[actix::test]
async fn r_hold_05_a_refusal_is_not_remembered() {
    let (_world, running) = World::with_seats(2).await;
    let first = running.buy(wish(traveller(1), "first", &coach(), 2)).await;
    let wanted = wish(traveller(2), "second", &coach(), 1);
    let refused = running.shown(running.place(wanted.clone())).await.unwrap();
    assert!(matches!(refused, Err(Rejection::SoldOut { .. })), "{refused:?}");

    running.shown(running.engine.cancel(first.id())).await.unwrap().unwrap();

    running.buy(wanted).await;
}

#[actix::test]
async fn r_hold_08_a_traveller_holds_so_many_unpaid_orders_and_no_more() {
    let (_world, running) = World::with_seats(40).await;
    let nth = |number: u32| wish(traveller(1), &format!("key-{number}"), &coach(), 1);
    let mut orders = Vec::new();
    for number in 1..=5 {
        orders.push(running.buy(nth(number)).await);
    }

    let refused = running.shown(running.place(nth(6))).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::LockLimit { limit: 5 });
    running.buy(wish(traveller(2), "key", &coach(), 1)).await;

    // The desk learns of the cancellation a moment later.
    running.shown(running.engine.cancel(orders[0].id())).await.unwrap().unwrap();
    eventually_so("the limit is free again", || async { running.shown(running.place(nth(6))).await.unwrap().is_ok() })
        .await;
}

#[actix::test]
async fn r_hold_03_an_unpaid_order_ends_with_its_lock_and_its_seats_are_free() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 4)).await;
    assert_eq!(running.free_seats(&coach()), 0);

    world.clock.pass(601);

    eventually_so("it is cancelled", || async {
        running.order(order.id()).await.cancelled().is_some_and(|(_, why)| why == CancelReason::Expired)
    })
    .await;
    running.buy(wish(traveller(2), "key", &coach(), 4)).await;
}

#[actix::test]
async fn an_order_of_two_journeys_takes_both_or_none() {
    let both = |number: u64, party: u16| -> Wish {
        let mut wish = wish(traveller(number), "key", &coach(), party);
        let class = code("standard");
        let seats = SeatWish::Any;
        let journey = JourneyWish { departure: ferry(), class, board: None, alight: None, seats };
        wish.items.push(ItemWish::Journey(journey));
        wish
    };
    // An order gets an actor before it asks a departure that sleeps, else when it has seats for the first journey.
    for is_awake in [false, true] {
        let (_world, running) = World::with_seats(6).await;
        if is_awake {
            running.buy(wish(traveller(3), "key", &coach(), 1)).await;
        }
        running.buy(wish(traveller(1), "key", &ferry(), 5)).await;
        let free = running.free_seats(&coach());

        let refused = running.shown(running.place(both(2, 2))).await.unwrap();

        assert!(matches!(refused, Err(Rejection::SoldOut { .. })), "{refused:?}");
        assert_eq!(running.free_seats(&coach()), free, "the coach's seats were not given back");
        assert_eq!(running.free_seats(&ferry()), 1);

        let order = running.buy(both(2, 1)).await;
        assert!(order.items().iter().all(|item| item.leg().unwrap().seats.len() == 1), "{order:?}");
        assert_eq!((running.free_seats(&coach()), running.free_seats(&ferry())), (free - 1, 0));
    }
}

#[actix::test]
async fn r_hold_06_chosen_seats_are_those_or_a_refusal() {
    let (_world, running) = World::with_seats(4).await;
    let choose = |number, seat: &str| {
        let mut wish = wish(traveller(number), "key", &coach(), 1);
        first_journey(&mut wish).seats = SeatWish::Chosen(vec![seat.into()]);
        wish
    };

    let order = running.buy(choose(1, "001B")).await;
    let refused = running.shown(running.place(choose(2, "001B"))).await.unwrap();

    assert_eq!(*held(&order), ["001B".into()]);
    assert_eq!(order.status(), OrderStatus::Pending);
    assert!(matches!(refused, Err(Rejection::SeatTaken { .. })), "{refused:?}");
}

#[actix::test]
async fn r_admin_04_an_order_of_a_partner_takes_seats_that_are_set_aside_for_it() {
    let (_world, running) = World::with_seats(4).await;
    let channel = Channel::Ota("trip".into());
    let set_aside = Allotment { channel: channel.clone(), class: code("standard"), seats: 1 };
    running.services().departures.consult(&coach(), Command::SetAllotments(vec![set_aside])).await.unwrap();
    let of_partner = |number| Wish { channel: channel.clone(), ..wish(traveller(number), "key", &coach(), 1) };

    let order = running.buy(of_partner(1)).await;
    let more = running.shown(running.place(of_partner(2))).await.unwrap();
    let ours = running.buy(wish(traveller(3), "key", &coach(), 3)).await;

    assert_eq!((held(&order).len(), held(&ours).len()), (1, 3));
    assert_eq!(running.order(order.id()).await.details().channel, channel, "also after it was at rest");
    assert!(matches!(more, Err(Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 })), "{more:?}");
}

#[actix::test]
async fn many_changes_at_once_leave_the_newest_catalogue_for_everybody() {
    let (_world, running) = World::with_seats(4).await;
    for round in 0..20 {
        let sizes = (1..=8).map(|seats| 10 * (round + 1) + seats);
        let vehicles = sizes.clone().flat_map(|seats| network(seats).into_iter().filter(is_vehicle));
        let answers = join_all(vehicles.map(|command| running.engine.configure(command))).await;
        let last = answers.into_iter().map(|answer| answer.unwrap().position).max().unwrap();
        running.journal.wait(last).await.unwrap();

        let newest = usize::from(10 * (round + 1) + 8);
        let seats = || running.services().catalogue.load().departure_spec(&coach()).unwrap().seat_map.seats.len();
        eventually("the newest is published", || seats() == newest).await;
        // Nothing older comes after it.
        running.shown(running.engine.configure(network(4).remove(0))).await.unwrap().unwrap();
        assert_eq!(seats(), newest);
    }
}

fn is_vehicle(command: &deeptravel_domain::catalogue::Command) -> bool {
    matches!(command.change, deeptravel_domain::catalogue::Change::Vehicle(_))
}

#[actix::test]
async fn a_departure_follows_the_catalogue_until_it_is_born() {
    let (_world, running) = World::with_seats(2).await;
    let refused = running.shown(running.place(wish(traveller(1), "key", &coach(), 3))).await.unwrap();
    assert!(matches!(refused, Err(Rejection::SoldOut { .. })), "{refused:?}");
    let larger = network(5).into_iter().find(is_vehicle).unwrap();
    running.shown(running.engine.configure(larger)).await.unwrap().unwrap();
    let seats = || running.services().catalogue.load().departure_spec(&coach()).unwrap().seat_map.seats.len();
    eventually("it is published", || seats() == 5).await;

    let order = running.buy(wish(traveller(1), "key", &coach(), 3)).await;

    assert_eq!(held(&order).len(), 3);
    assert_eq!(running.free_seats(&coach()), 2);
}

#[actix::test]
async fn fault_19_what_cannot_be_paid_before_the_party_boards_is_not_sold() {
    let (world, running) = World::with_seats(4).await;
    let ferry_route = Route::clone(running.services().catalogue.load().route("ferry").unwrap());
    let until_it_leaves = Route { booking_closes_minutes: 0, ..ferry_route };
    running.engine.configure(put(until_it_leaves)).await.unwrap().outcome.unwrap();
    // It leaves in 45 hours; now in a minute and a half.
    world.clock.pass(45 * 60 * 60 - 90);
    let order = running.buy(wish(traveller(1), "key", &ferry(), 1)).await;
    running.open_payment(order.id()).await;

    world.clock.pass(40);
    let refused = running.shown(running.place(wish(traveller(2), "key", &ferry(), 1))).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::BookingClosed);
    running.engine.configure(put(fare_table("ferry", 0))).await.unwrap().outcome.unwrap();
    running.buy(wish(traveller(3), "key", &ferry(), 1)).await;
}
