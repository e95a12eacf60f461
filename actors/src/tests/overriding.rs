//! Single departures administered (R-ADMIN-04): the departure and the catalogue agree, also after crashes.

use std::sync::Arc;
use std::time::Duration;

use deeptravel_domain::catalogue::{DepartureOverride, Marks, Names, OWNER, Vehicle};
use deeptravel_domain::departure::{Call, Channel, ClassCapacity, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::inventory::{Allotment, Status};
use deeptravel_domain::order::{Order, OrderStatus, RefundReason, SeatWish, TicketOutcome, Wish};
use deeptravel_domain::register::{AuditRow, Standing};
use deeptravel_domain::rejection::{Rejection, ScanRejection};
use deeptravel_domain::row::Row as _;
use futures_util::future::join_all;

use crate::outage::{Answer, Outage};
use crate::overriding::{DeparturePatch, SeatsWanted};
use crate::testing::{
    Running, World, coach, code, eventually, eventually_so, ferry, first_journey, put, traveller, wish, within,
};

fn stop(stopped: bool) -> DeparturePatch {
    DeparturePatch { seats: None, stopped: Some(stopped) }
}

fn run(vehicle: &str) -> DeparturePatch {
    DeparturePatch { seats: Some(SeatsWanted::Vehicle(code(vehicle))), stopped: None }
}

fn limit(capacity: u16) -> DeparturePatch {
    let capacities = vec![ClassCapacity { code: code("standard"), capacity }];
    DeparturePatch { seats: Some(SeatsWanted::Capacities(capacities)), stopped: None }
}

async fn alter(running: &Running, patch: DeparturePatch) -> Result<Standing, Rejection> {
    running.shown(running.engine.alter_departure(coach(), patch, "admin".into())).await.unwrap()
}

async fn cancel(running: &Running) -> Answer<Standing> {
    running.engine.cancel_departure(coach(), "ops".into()).await
}

/// So many hours later than now in force.
async fn retime(running: &Running, hours: i64) -> Result<Standing, Rejection> {
    let later = |call: &Call| Call {
        arrives_at: call.arrives_at.plus_seconds(3_600 * hours),
        departs_at: call.departs_at.plus_seconds(3_600 * hours),
    };
    let calls = running.services().catalogue.load().departure_spec(&coach()).unwrap().calls.iter().map(later).collect();
    running.shown(running.engine.retime_departure(coach(), calls, "ops".into())).await.unwrap()
}

/// A minibus of four seats: the coach's first, third, and two others.
async fn minibus(running: &Running) {
    let labels = ["001A", "001C", "009A", "009B"];
    let seats = labels.iter().zip(0_u16..);
    let seats = seats.map(|(label, row)| Seat { label: (*label).to_owned(), class: 0, row, column: 0 }).collect();
    let classes = vec![SeatClass { code: code("standard"), names: Names::same("Standard") }];
    let seat_map = Arc::new(SeatMap { classes, seats });
    let vehicle = Vehicle { code: code("minibus"), names: Names::same("Minibus"), seat_map, marks: Marks::new() };
    running.shown(running.engine.configure(put(vehicle))).await.unwrap().unwrap();
}

fn choose(number: u64, seats: &[&str]) -> Wish {
    let mut chosen = wish(traveller(number), "key", &coach(), seats.len() as u16);
    first_journey(&mut chosen).seats = SeatWish::Chosen(seats.iter().map(|seat| (*seat).into()).collect());
    chosen
}

fn standing(running: &Running) -> Option<Arc<DepartureOverride>> {
    running.services().catalogue.load().override_of(&coach()).cloned()
}

async fn status(running: &Running) -> Status {
    running.engine.look_at_departure(&coach(), |inventory, _| inventory.status()).await.unwrap().unwrap()
}

async fn refused_scan(running: &Running, order: &Order, request: &str) -> Option<ScanRejection> {
    let outcome = running.scan(order.id(), 1, request).await;
    match &outcome.tickets[0].1 {
        TicketOutcome::Refused { reason, .. } => Some(reason.clone()),
        TicketOutcome::Redeemed { .. } => None,
    }
}

#[actix::test]
async fn r_admin_04_a_vehicle_changed_under_sold_and_held_seats_is_refused_names_them_and_is_in_the_audit() {
    let (world, running) = World::with_seats(8).await;
    minibus(&running).await;
    running.buy_and_pay(&world, choose(1, &["001A"])).await;
    let held = running.buy(choose(2, &["002A"])).await;

    let why = alter(&running, DeparturePatch { stopped: Some(true), ..run("minibus") }).await.unwrap_err();

    assert_eq!(why, Rejection::BelowUse { uses: "seat 002A is held".to_owned() });
    assert_eq!((standing(&running), status(&running).await), (None, Status::OnSale), "nothing has changed");
    assert_eq!(running.free_seats(&coach()), 6);
    running.drained().await;
    let audit = world.store.rows(AuditRow::TABLE);
    let last: AuditRow<'_> = audit.of().last().unwrap().unwrap();
    assert_eq!((last.entity, last.entity_id, last.account), ("departure override", coach().as_str(), "admin"));
    assert_eq!((last.refusal_code, last.revision), (Some("BELOW_USE"), None));
    assert!(last.after.unwrap().contains(r#""vehicle":"minibus""#));

    running.shown(running.engine.cancel(held.id())).await.unwrap().unwrap();
    let told = alter(&running, run("minibus")).await.unwrap();
    assert_eq!((told.revision, told.changed, running.free_seats(&coach())), (1, true, 3));
    assert!(!alter(&running, run("minibus")).await.unwrap().changed);
    running.buy(choose(3, &["009B"])).await;
}

#[actix::test]
async fn r_hold_04_a_refitted_departure_wakes_as_it_was_and_sells_nothing_twice() {
    let (world, running) = World::with_seats(8).await;
    minibus(&running).await;
    let sold = running.buy_and_pay(&world, choose(1, &["001C"])).await;
    alter(&running, run("minibus")).await.unwrap();
    alter(&running, limit(2)).await.unwrap();
    assert_eq!(running.free_seats(&coach()), 1);
    running.kill().await;

    let running = world.start().await;

    assert_eq!(running.free_seats(&coach()), 1);
    let taken = running.shown(running.place(choose(2, &["001C"]))).await.unwrap().unwrap_err();
    assert_eq!(taken, Rejection::SeatTaken { seat: "001C".to_owned() });
    running.buy(choose(2, &["001A"])).await;
    assert_eq!(running.free_seats(&coach()), 0);
    alter(&running, limit(4)).await.unwrap();
    assert_eq!(running.free_seats(&coach()), 2);
    assert_eq!(refused_scan(&running, &sold, "press").await, None);
    let fitting = standing(&running).unwrap().fitting.clone().unwrap();
    assert_eq!((fitting.vehicle.as_str(), fitting.capacities[0].capacity), ("minibus", 4));
}

#[actix::test]
async fn r_admin_04_after_a_crash_between_departure_and_catalogue_the_same_write_goes_through() {
    let (_world, running) = World::with_seats(4).await;
    running.services().faults.plant_key(OWNER, 1);
    let lost = running.shown(running.engine.alter_departure(coach(), stop(true), "admin".into())).await;
    assert_eq!(lost, Err(Outage::Rebuilding));
    assert_eq!((standing(&running), status(&running).await), (None, Status::Stopped));
    let refused = running.shown(running.place(wish(traveller(1), "key", &coach(), 1))).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::BookingClosed, "the departure decides");

    let rebuilt = async {
        loop {
            let again = running.engine.alter_departure(coach(), stop(true), "admin".into()).await;
            match again {
                Err(Outage::Rebuilding) => tokio::time::sleep(Duration::from_millis(5)).await,
                told => break told,
            }
        }
    };
    let told = running.shown(within("the catalogue is there again", rebuilt)).await.unwrap().unwrap();

    assert_eq!((told.revision, told.changed), (1, true));
    assert!(standing(&running).unwrap().stopped);
    alter(&running, stop(false)).await.unwrap();
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;
}

#[actix::test]
async fn r_scan_05_a_cancelled_departure_is_not_sold_and_gates_refuse_its_tickets_at_once() {
    let (world, running) = World::with_seats(4).await;
    let paid = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    let pending = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    let other = running.buy_and_pay(&world, wish(traveller(3), "key", &ferry(), 1)).await;

    let told = running.shown(cancel(&running)).await.unwrap().unwrap();

    assert_eq!((told.revision, told.changed), (1, true));
    assert_eq!(refused_scan(&running, &paid, "press").await, Some(ScanRejection::DepartureCancelled));
    assert_eq!(refused_scan(&running, &other, "press").await, None);
    let refused = running.shown(running.place(wish(traveller(4), "key", &coach(), 1))).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::DepartureCancelled);
    let unpaid = running.shown(running.engine.open_payment(pending.id(), "openid".into())).await.unwrap();
    assert!(unpaid.is_err(), "{unpaid:?}");
    assert!(!running.shown(cancel(&running)).await.unwrap().unwrap().changed);
    assert_eq!(alter(&running, stop(false)).await.unwrap_err(), Rejection::DepartureCancelled);
    running.stop().await.unwrap();

    let running = world.start().await;
    assert_eq!(refused_scan(&running, &paid, "press again").await, Some(ScanRejection::DepartureCancelled));
}

#[actix::test]
async fn r_ticket_02_after_a_retiming_a_ticket_is_valid_until_2_hours_after_the_departure_in_force() {
    let (world, running) = World::with_seats(4).await;
    let [late, early] = [1, 2].map(|number| wish(traveller(number), "key", &coach(), 1));
    let late = running.buy_and_pay(&world, late).await;
    // 08:00 on Sunday, 44 hours from now; five hours later.
    assert!(retime(&running, 5).await.unwrap().changed);
    world.clock.pass(44 * 3_600);
    let early = running.buy_and_pay(&world, early).await;
    let leg = running.services().catalogue.load().trip(&coach(), Stretch::new(0, 4).unwrap()).unwrap().departs_at;
    let sold = early.items()[0].leg().unwrap();
    assert_eq!(sold.departs_at, leg, "R-SEARCH-02: it is sold and carries the times in force");
    world.clock.pass(7 * 3_600 - 60);
    assert_eq!(refused_scan(&running, &late, "press").await, None);

    // Earlier again: what was valid is over.
    let other = running.shown(running.engine.retime_departure(coach(), vec![], "ops".into())).await.unwrap();
    assert!(matches!(other, Err(Rejection::Field { .. })), "{other:?}");
    retime(&running, -1).await.unwrap();
    assert_eq!(refused_scan(&running, &early, "press").await, Some(ScanRejection::Expired));
}

#[actix::test]
async fn r_search_02_a_retimed_departure_has_seats_at_its_new_times_and_orders_carry_them() {
    let (world, running) = World::with_seats(4).await;
    let stretch = Stretch::new(0, 4).unwrap();
    let held = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let ride = |running: &Running| running.services().catalogue.load().trip(&coach(), stretch).unwrap().ride();
    let left = |running: &Running, ride| {
        let class = code("standard");
        running.services().board.seats_left(&coach(), stretch, ride, [(&class, 4)]).next().unwrap().now()
    };
    let old = ride(&running);

    retime(&running, 5).await.unwrap();

    let new = ride(&running);
    assert_eq!(new.departs_at, old.departs_at.plus_seconds(5 * 3_600));
    assert_eq!((left(&running, old), left(&running, new)), (0, 3), "nobody is offered what is not ridden");
    let number = running.open_payment(held.id()).await;
    let fact = world.gateway.pay(number).unwrap();
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
    let later = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    let leg = later.items()[0].leg().unwrap();
    assert_eq!((leg.departs_at, leg.arrives_at), (new.departs_at, new.arrives_at));
    running.stop().await.unwrap();

    let running = world.start().await;
    assert_eq!((ride(&running), left(&running, old), left(&running, new)), (new, 0, 2));
    running.buy(wish(traveller(3), "key", &coach(), 1)).await;
}

#[actix::test]
async fn r_pay_04_money_for_lapsed_seats_of_a_departure_that_was_retimed_goes_back() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
    let number = running.open_payment(order.id()).await;
    world.clock.pass(20 * 60);
    let status = || async { running.order(order.id()).await.status() };
    eventually_so("its lock ends", || async { status().await == OrderStatus::Cancelled }).await;
    assert_eq!(running.free_seats(&coach()), 4);
    retime(&running, 5).await.unwrap();

    let fact = world.gateway.pay_after_all(number).unwrap();
    running.shown(running.engine.learn(fact)).await.unwrap().unwrap();

    eventually("the money goes back", || world.gateway.refunds().len() == 1).await;
    let order = running.order(order.id()).await;
    assert_eq!((order.status(), order.refunds()[0].reason), (OrderStatus::Cancelled, RefundReason::Late));
    assert_eq!((order.tickets().len(), running.free_seats(&coach())), (0, 4), "it is not seated at other times");
    running.buy(wish(traveller(2), "key", &coach(), 4)).await;
}

#[actix::test]
async fn r_admin_04_writes_to_one_departure_at_once_are_all_in_what_stands() {
    let (_world, running) = World::with_seats(8).await;
    minibus(&running).await;
    let engine = &running.engine;
    let seats = |seats| Allotment { channel: Channel::Ota("trip".into()), class: code("standard"), seats };
    let patches =
        [stop(true), run("minibus"), limit(3)].map(|patch| engine.alter_departure(coach(), patch, "a".into()));
    let (patched, set_aside) =
        tokio::join!(join_all(patches), engine.set_allotments(coach(), vec![seats(2)], "b".into()),);
    for told in patched.into_iter().chain([set_aside]) {
        running.shown(async { told }).await.unwrap().unwrap();
    }

    let all = standing(&running).unwrap();
    assert!(all.stopped);
    assert_eq!(all.allotments, [seats(2)]);
    assert!(all.fitting.is_some());
    let pools = |inventory: &deeptravel_domain::inventory::Inventory, now| {
        inventory.pools(now).iter().map(|pool| (pool.channel.to_string(), pool.seats)).collect::<Vec<_>>()
    };
    let set_aside = |pools: Vec<(String, u16)>| pools.into_iter().find(|(channel, _)| channel == "ota:trip");
    let has = running.engine.look_at_departure(&coach(), pools).await.unwrap().unwrap();
    assert_eq!(set_aside(has), Some(("ota:trip".to_owned(), 2)));

    // What is not named is given back.
    let none = running.engine.set_allotments(coach(), vec![], "b".into());
    running.shown(none).await.unwrap().unwrap();
    let has = running.engine.look_at_departure(&coach(), pools).await.unwrap().unwrap();
    assert_eq!((set_aside(has), standing(&running).unwrap().allotments.len()), (None, 0));
}

#[actix::test]
async fn r_admin_06_a_key_of_another_write_is_refused_before_the_departure_is_told() {
    let (_world, running) = World::with_seats(4).await;
    let author = || deeptravel_domain::register::Author { key: Some("k1".into()), ..("admin".into()) };
    let told = |patch| running.engine.alter_departure(coach(), patch, author());
    running.shown(told(stop(true))).await.unwrap().unwrap();
    assert!(!running.shown(told(stop(true))).await.unwrap().unwrap().changed);
    let mismatch = running.shown(told(limit(2))).await.unwrap().unwrap_err();
    assert_eq!(mismatch, Rejection::IdempotencyMismatch);
    assert_eq!(running.free_seats(&coach()), 4);
}

#[actix::test]
async fn r_admin_04_a_departure_that_is_none_cannot_be_administered() {
    let (_world, running) = World::with_seats(4).await;
    let nothing = || code::<deeptravel_domain::ids::DepartureId>("coach-0800.20291122");
    let engine = &running.engine;
    let answers = [
        running.shown(engine.alter_departure(nothing(), stop(true), "a".into())).await.unwrap(),
        running.shown(engine.set_allotments(nothing(), vec![], "a".into())).await.unwrap(),
        running.shown(engine.cancel_departure(nothing(), "a".into())).await.unwrap(),
        running.shown(engine.retime_departure(nothing(), vec![], "a".into())).await.unwrap(),
    ];
    for answer in answers {
        assert_eq!(answer.unwrap_err(), Rejection::DepartureNotFound);
    }
    let unknown = running.shown(engine.alter_departure(coach(), run("zeppelin"), "a".into())).await.unwrap();
    assert_eq!(unknown.unwrap_err().to_string(), "vehicle: zeppelin is not known");
}
