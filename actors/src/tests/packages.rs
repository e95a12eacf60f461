//! Packages with owners: all of an order is held or nothing, units come back, and everything is there after a crash
//! (R-HOLD-02, R-HOLD-03, R-TICKET-01).

use deeptravel_domain::catalogue::{Names, Template};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::TemplateId;
use deeptravel_domain::order::{
    CancelReason, IncludedWish, ItemWish, OrderStatus, PackageWish, Scan, ScanTarget, SeatWish, Wish,
};
use deeptravel_domain::rejection::{Rejection, Sold};
use deeptravel_domain::stock::StockId;
use deeptravel_domain::ticket::TicketStatus;
use futures_util::future::join_all;
use serde_json::json;

use super::space::assert_nobody_died;
use crate::testing::{
    Running, SUNDAY, World, coach, eventually, eventually_so, ferry, put, redeemed, scan, traveller, wish,
};

/// A museum for everybody, lockers for all together, and the coach; so many units a day.
fn template(units: u32) -> Template {
    let said = json!({
        "name": { "zh": "套票", "en": "Day out" },
        "status": "active",
        "journeys": [{ "routeCode": "coach", "seatClass": "standard", "dayOffset": 0 }],
        "entitlements": [
            {
                "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1,
                "redemptionChannel": "any", "requiresIdentity": false, "shared": false,
                "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
            },
            {
                "code": "LOCKER", "name": { "zh": "寄存", "en": "Locker" }, "quantity": 3,
                "redemptionChannel": "any", "requiresIdentity": false, "shared": true,
                "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
            },
        ],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } }],
        "stock": { "perDate": units },
    });
    serde_json::from_value(said).unwrap()
}

fn id() -> TemplateId {
    Template::id_of(&Names::new("套票", "Day out"))
}

fn stock() -> StockId {
    StockId::Package(id())
}

/// The package for so many on Sunday, and the ferry.
fn day_out(number: u64, party: u16) -> Wish {
    let mut wish = wish(traveller(number), "key", &ferry(), party);
    let journeys = vec![IncludedWish { departure: coach(), class: None, seats: SeatWish::Any }];
    wish.items.push(ItemWish::Package(PackageWish {
        template: id(),
        service_date: Some(SUNDAY),
        quantity: 1,
        journeys,
    }));
    wish
}

async fn shop(seats: u16) -> (World, Running) {
    shop_of(seats, 6).await
}

async fn shop_of(seats: u16, units: u32) -> (World, Running) {
    let (world, running) = World::with_seats(seats).await;
    running.shown(running.engine.configure(put(template(units)))).await.unwrap().unwrap();
    (world, running)
}

impl Running {
    /// Units of Sunday that are free.
    fn units(&self) -> u32 {
        self.services().stock_board.left(&stock(), Some(SUNDAY), &Channel::Direct).unwrap()
    }

    fn free(&self) -> (u16, u16, u32) {
        (self.free_seats(&coach()), self.free_seats(&ferry()), self.units())
    }
}

#[actix::test]
async fn r_hold_02_an_order_with_a_package_and_journeys_holds_all_of_them_or_none() {
    let (_world, running) = shop(8).await;
    let order = running.buy(day_out(1, 3)).await;
    assert_eq!((order.items().len(), order.status()), (3, OrderStatus::Pending));
    assert_eq!(running.free(), (5, 5, 3));

    let refused = running.shown(running.place(day_out(2, 4))).await.unwrap().unwrap_err();
    assert_eq!(refused, Rejection::SoldOut { of: Sold::Package(id()), wanted: 4, available: 3 });
    eventually("seats are given back", || running.free() == (5, 5, 3)).await;

    let refused = running.shown(running.place(day_out(3, 6))).await.unwrap().unwrap_err();
    assert_eq!(refused, Rejection::SoldOut { of: Sold::Seats, wanted: 6, available: 5 });
    assert_eq!(running.free(), (5, 5, 3));
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_hold_02_four_items_of_ten_on_a_bus_of_35_are_refused_whole_and_nothing_is_kept() {
    let (_world, running) = shop_of(35, 100).await;
    let mut ten = day_out(1, 10);
    let journey = wish(traveller(1), "key", &coach(), 10).items.remove(0);
    ten.items.splice(..1, vec![journey; 3]);

    let refused = running.shown(running.place(ten.clone())).await.unwrap().unwrap_err();

    assert_eq!(refused, Rejection::SoldOut { of: Sold::Seats, wanted: 10, available: 5 });
    eventually("seats are given back", || running.free() == (35, 35, 100)).await;
    ten.items.remove(0);
    let order = running.buy(ten).await;
    assert_eq!((order.items().len(), running.free()), (4, (5, 35, 90)), "three times ten do fit");
    for number in 1..5 {
        running.buy(wish(traveller(1), &number.to_string(), &ferry(), 1)).await;
    }
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_hold_02_what_is_wrong_with_one_of_several_items_is_named_as_the_request_has_it() {
    let (_world, running) = shop(8).await;
    let unknown = || SeatWish::Chosen(vec!["001A".into(), "999Z".into()]);
    // Asked for in another order than that of the request: the coach, then the ferry, then units of the package.
    let mut included = day_out(1, 2);
    let Some(ItemWish::Package(package)) = included.items.last_mut() else { panic!("a package") };
    package.journeys[0].seats = unknown();
    let mut last = wish(traveller(1), "key", &ferry(), 2);
    last.items.extend(wish(traveller(1), "key", &coach(), 2).items);
    last.items[1].journey_mut().unwrap().seats = unknown();

    for (wish, field) in [(included, "items[1].journeys[0].seatNumbers"), (last, "items[1].seatNumbers")] {
        let refused = running.shown(running.place(wish)).await.unwrap().unwrap_err();
        assert_eq!(refused, Rejection::field(field, "names a seat that this departure lacks"));
        assert_eq!(running.free(), (8, 8, 6));
    }
}

#[actix::test]
async fn r_hold_03_units_come_back_when_the_order_is_cancelled_or_its_lock_ends() {
    let (world, running) = shop(8).await;
    let cancelled = running.buy(day_out(1, 2)).await;
    running.shown(running.engine.cancel(cancelled.id())).await.unwrap().unwrap();
    assert_eq!(running.free(), (8, 8, 6));

    let expired = running.buy(day_out(2, 2)).await;
    assert_eq!(running.free(), (6, 6, 4));
    world.clock.pass(601);
    eventually("everything is free", || running.free() == (8, 8, 6)).await;
    // What it held is free at that instant, whether the order has noticed yet or not.
    eventually_so("it is cancelled", || async {
        running.order(expired.id()).await.cancelled().is_some_and(|(_, why)| why == CancelReason::Expired)
    })
    .await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ticket_01_a_paid_package_has_its_tickets_and_its_units_also_after_a_crash() {
    let (world, running) = shop(8).await;
    let order = running.buy_and_pay(&world, day_out(1, 3)).await;
    assert_eq!(order.tickets().len(), 3 + 3 + 3 + 1, "two journeys, the museum for each, lockers for all");
    assert_eq!(order.tickets().iter().map(|ticket| ticket.price_minor).sum::<i64>(), order.total().minor);
    running.kill().await;

    let running = world.start().await;
    assert_eq!(running.free(), (5, 5, 3));
    let again = running.order(order.id()).await;
    assert_eq!((again.items(), again.tickets()), (order.items(), order.tickets()));
    let refused = running.shown(running.place(day_out(2, 4))).await.unwrap().unwrap_err();
    assert!(matches!(refused, Rejection::SoldOut { .. }), "{refused:?}");
}

#[actix::test]
async fn r_scan_03_a_shared_ticket_at_two_gates_at_once_never_exceeds_its_total() {
    let (world, running) = shop(8).await;
    let order = running.buy_and_pay(&world, day_out(1, 2)).await;
    let lockers = order.tickets().last().unwrap().id;
    let press = |gate: u64, request: String| Scan { target: ScanTarget::Ticket(lockers), ..scan(gate, &request) };
    let presses = (0..8_u64).map(|number| running.redeem(order.id(), press(number % 2, format!("r{number}"))));
    let outcomes = join_all(presses).await;
    let taken = outcomes.into_iter().filter(|outcome| {
        let (outcome, _) = outcome.as_ref().unwrap().as_ref().unwrap();
        redeemed(outcome) == 1
    });
    assert_eq!(taken.count(), 3);
    let order = running.order(order.id()).await;
    assert_eq!(order.ticket(lockers).unwrap().status, TicketStatus::Used);
    assert_nobody_died(&running);
}
