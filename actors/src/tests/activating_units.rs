//! Units of a reservation become orders: once for each key, in the record of their draw, and back again when they are refunded
//! (R-OTA-03, R-OTA-07).

use std::sync::Arc;

use deeptravel_domain::batch::Activation;
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{Order, OrderStatus, Scan, ScanTarget, UnitId};
use deeptravel_domain::partner::{PartnerReservationId, ReservationStatus};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Row as _;
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::webhook::EventKind;
use deeptravel_domain::webhook::rows::WebhookEventRow;
use futures_util::future::join_all;

use super::activating::activation;
use super::batches::product;
use super::partner_reservations::{HOUR, PRICE, channel, partner, units};
use super::space::assert_nobody_died;
use crate::outage::Outage;
use crate::partner::ActivateUnits;
use crate::testing::{Fault, Postgres, Running, World, put, redeemed, scan};

type Sold = Result<Result<(Arc<Order>, bool), Rejection>, Outage>;

impl Running {
    async fn try_sell(&self, id: PartnerReservationId, key: &str, quantity: Option<u32>, paid: Activation) -> Sold {
        let asked =
            ActivateUnits { reservation: id, idempotency_key: key.into(), quantity, activation: Box::new(paid) };
        self.shown(self.engine.activate_units(&partner("a"), asked)).await
    }

    /// With whether it was sold now.
    pub(super) async fn sold(&self, id: PartnerReservationId, key: &str, quantity: u32) -> (Arc<Order>, bool) {
        self.try_sell(id, key, Some(quantity), activation("PAY-1")).await.unwrap().unwrap()
    }

    async fn refund(&self, order: OrderId, item: u16) -> Result<Arc<Order>, Rejection> {
        self.shown(self.engine.cancel_partner_ticket(partner("a"), order, item)).await.unwrap()
    }

    async fn order_of(&self, name: &str, order: OrderId) -> Result<Arc<Order>, Rejection> {
        self.shown(self.engine.partner_order(&partner(name), order)).await.unwrap()
    }
}

async fn shop() -> (World, Running) {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    (world, running)
}

#[actix::test]
async fn r_ota_03_units_become_one_order_and_the_same_key_finds_it_also_after_a_crash() {
    let (world, running) = shop().await;
    let id = running.reserved("a", "one", 30).await;
    let (order, is_first) = running.sold(id, "sale", 3).await;

    assert_eq!(
        (order.status(), order.items().len(), order.total().minor, is_first),
        (OrderStatus::Paid, 3, 3 * PRICE, true)
    );
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 27)));
    assert_eq!(running.left_for(&channel("a")), 10, "nothing was on sale in between");
    let (again, is_first) = running.sold(id, "sale", 3).await;
    assert_eq!((again.id(), is_first), (order.id(), false));
    for (quantity, paid) in [(Some(4), activation("PAY-1")), (Some(3), activation("PAY-2"))] {
        let other = running.try_sell(id, "sale", quantity, paid).await.unwrap();
        assert_eq!(other.unwrap_err(), Rejection::IdempotencyMismatch);
    }
    assert_ne!(running.sold(id, "elas", 3).await.0.id(), order.id());
    running.kill().await;

    let running = world.start().await;
    let (again, is_first) = running.sold(id, "sale", 3).await;
    assert_eq!((again.id(), again.tickets(), is_first), (order.id(), order.tickets(), false));
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 24)));
    assert_nobody_died(&running);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_a_crash_after_the_record_leaves_draw_and_order_and_one_before_it_neither() {
    for (fault, is_there) in [(Fault::AtMessage, false), (Fault::AfterAppend, true)] {
        let (world, running) = shop().await;
        let id = running.reserved("a", "one", 30).await;
        running.services().faults.plant(&partner("a"), fault);
        let broken = running.try_sell(id, "sale", Some(3), activation("PAY-1")).await;
        // Asked again by itself if it broke before the record; after it nobody knows.
        if is_there {
            assert_eq!(broken.map(|sold| sold.is_ok()), Err(Outage::Rebuilding));
        }
        running.drained().await;
        running.kill().await;

        let running = world.start().await;
        let (order, is_first) = running.sold(id, "sale", 3).await;
        assert!(!(is_there && is_first), "it was there");
        assert_eq!(running.order_of("a", order.id()).await.unwrap().tickets(), order.tickets());
        assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 27)), "drawn once");
        running.stop().await.unwrap();
    }
}

#[actix::test]
async fn r_ota_03_of_many_at_once_one_key_sells_once_and_many_keys_sell_what_there_is() {
    let (_world, running) = shop().await;
    let id = running.reserved("a", "one", 5).await;
    let sold = join_all((0..8).map(|_| running.try_sell(id, "same", Some(1), activation("PAY-1")))).await;
    let sold: Vec<_> = sold.into_iter().flatten().flatten().collect();
    assert_eq!(sold.iter().filter(|(_, is_first)| *is_first).count(), 1);
    assert!(sold.iter().all(|(order, _)| order.id() == sold[0].0.id()));

    let keys: Vec<_> = (0..8).map(|number| number.to_string()).collect();
    let asked = keys.iter().map(|key| running.try_sell(id, key, Some(1), activation("PAY-1")));
    let asked: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(asked.iter().filter(|sold| sold.is_ok()).count(), 4);
    assert!(asked.iter().filter_map(|sold| sold.as_ref().err()).all(|why| *why == Rejection::ReservationActivated));
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Activated, 0)));
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_what_was_drawn_before_the_end_stays_and_nothing_is_drawn_after_it() {
    let (world, running) = shop().await;
    let id = running.reserved("a", "one", 30).await;
    world.clock.pass(24 * HOUR - 1);
    let (order, _) = running.sold(id, "sale", 3).await;
    world.clock.pass(1);
    let late = running.try_sell(id, "late", Some(3), activation("PAY-1")).await.unwrap();
    assert_eq!(late.unwrap_err(), Rejection::ReservationExpired);
    running.has_left("a", 37).await;
    let (again, is_first) = running.sold(id, "sale", 3).await;
    assert_eq!((again.id(), is_first), (order.id(), false), "what was sold is found all the same");
    assert_eq!(redeemed(&running.scan(order.id(), 1, "press").await), 3);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_10_units_cost_what_they_did_when_they_were_reserved_whatever_becomes_of_the_product() {
    let (world, running) = shop().await;
    let before = running.reserved("a", "one", 10).await;
    running.shown(running.engine.configure(put(product(99_000)))).await.unwrap().unwrap();
    let after = running.reserved("a", "two", 10).await;
    running.kill().await;

    let running = world.start().await;
    let (old, new) = (running.sold(before, "old", 2).await.0, running.sold(after, "new", 2).await.0);
    assert_eq!((old.total().minor, new.total().minor), (2 * PRICE, 2 * 99_000));
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_06_a_units_code_redeems_its_own_tickets_alone() {
    let (_world, running) = shop().await;
    let id = running.reserved("a", "one", 10).await;
    let (order, _) = running.sold(id, "sale", 3).await;
    let press = Scan { target: ScanTarget::Item(1), ..scan(1, "press") };
    let redeeming = running.engine.redeem(order.id(), press, |outcome, _| redeemed(outcome));
    assert_eq!(running.shown(redeeming).await.unwrap(), Ok(1));
    let statuses = |order: &Order| order.tickets().iter().map(|ticket| ticket.status).collect::<Vec<_>>();
    let (used, usable) = (TicketStatus::Used, TicketStatus::Usable);
    assert_eq!(statuses(&running.order_of("a", order.id()).await.unwrap()), [usable, used, usable]);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_07_a_refunded_unit_is_its_partners_again_once_also_if_everything_ends_in_between() {
    let (world, running) = shop().await;
    let id = running.reserved("a", "one", 30).await;
    let (order, _) = running.sold(id, "sale", 3).await;
    running.refund(order.id(), 1).await.unwrap();
    assert_eq!(running.left_for(&channel("a")), 10, "nobody follows yet");
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    let following = world.follow(&running);
    running.has_left("a", 11).await;
    running.refund(order.id(), 1).await.unwrap();
    running.refund(order.id(), 0).await.unwrap();
    running.has_left("a", 12).await;
    running.all_have_heard(&following).await;
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 27)), "they go on sale");
    assert_eq!(running.left_for(&channel("a")), 12);
    drop(following);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_09_a_partner_is_told_once_of_a_reservation_that_expires_and_of_what_was_left() {
    let (world, running) = shop().await;
    let (expires, cancelled) = (running.reserved("a", "one", 30).await, running.reserved("a", "two", 5).await);
    let (order, _) = running.sold(expires, "sale", 3).await;
    running.cancelled("a", cancelled).await.unwrap();
    world.clock.pass(24 * HOUR);
    running.has_left("a", 37).await;
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    let following = world.follow(&running);
    running.all_have_heard(&following).await;
    running.drained().await;
    let rows = world.store.rows(WebhookEventRow::TABLE);
    let told = rows.of::<WebhookEventRow<'_>>().map(Result::unwrap);
    let told: Vec<_> = told.map(|event| (event.kind, event.subject.to_owned(), event.count)).collect();
    let unit = |item| (EventKind::TicketActivated, UnitId { order: order.id(), item }.to_string(), None);
    let expired = (EventKind::ReservationExpired, expires.to_string(), Some(27));
    assert_eq!(told, [unit(0), unit(1), unit(2), expired]);
    drop(following);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_08_another_partners_order_and_one_that_is_not_there_are_not_even_looked_for() {
    let (world, running) = shop().await;
    let id = running.reserved("a", "one", 30).await;
    let (order, _) = running.sold(id, "sale", 3).await;
    assert_eq!(running.order_of("a", order.id()).await.unwrap().id(), order.id());
    running.drained().await;
    world.store.set(Postgres::Away);
    let missing = OrderId::compose(running.engine.now(), order.id().shard(), 77);
    for asked in [order.id(), missing] {
        assert_eq!(running.order_of("b", asked).await.unwrap_err(), Rejection::OrderNotFound);
    }
    world.store.set(Postgres::Up);
    assert_eq!(running.order_of("a", missing).await.unwrap_err(), Rejection::OrderNotFound);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_what_is_not_on_sale_cannot_be_reserved_and_a_known_key_is_answered_all_the_same() {
    let (_world, running) = shop().await;
    let mut unknown = units("one", 1);
    unknown.product = 999;
    let refused = running.ask_units("a", unknown).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::TemplateNotFound);
    let made = running.ask_units("a", units("one", 1)).await.unwrap().unwrap();
    let again = running.ask_units("a", units("one", 1)).await.unwrap().unwrap();
    assert_eq!((made.is_first, again.is_first), (true, false));
    assert_eq!(made.reservation, again.reservation);
    running.stop().await.unwrap();
}
