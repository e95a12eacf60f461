//! Packages with owners: all of an order is held or nothing, units come back, and everything is there after a crash
//! (R-HOLD-02, R-HOLD-03, R-TICKET-01).

use deeptravel_domain::catalogue::{Names, Template};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::TemplateId;
use deeptravel_domain::order::{
    CancelReason, IncludedWish, ItemWish, OrderStatus, PackageWish, Scan, ScanTarget, SeatWish, Wish,
};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::{Limits, StockId};
use deeptravel_domain::ticket::TicketStatus;
use futures_util::future::join_all;
use serde_json::json;

use super::space::assert_nobody_died;
use crate::testing::{Running, SUNDAY, World, coach, eventually, ferry, put, redeemed, scan, traveller, wish};

/// A museum for everybody, lockers for all together, and the coach.
fn template() -> Template {
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
        "stock": { "perDate": 6 },
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
    let (world, running) = World::with_seats(seats).await;
    running.shown(running.engine.configure(put(template()))).await.unwrap().unwrap();
    let limits = Limits { per_date: Some(6), ..Limits::default() };
    running.shown(running.engine.set_stock_limits(&stock(), limits)).await.unwrap().unwrap();
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
    assert!(matches!(refused, Rejection::SoldOut { .. }), "{refused:?}: units are short");
    eventually("seats are given back", || running.free() == (5, 5, 3)).await;

    let refused = running.shown(running.place(day_out(3, 6))).await.unwrap().unwrap_err();
    assert!(matches!(refused, Rejection::SoldOut { .. }), "{refused:?}: seats are short");
    assert_eq!(running.free(), (5, 5, 3));
    assert_nobody_died(&running);
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
    let expired = running.order(expired.id()).await;
    assert_eq!(expired.cancelled().map(|(_, why)| why), Some(CancelReason::Expired));
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
