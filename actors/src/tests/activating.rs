//! Partners' tickets become orders: once, at their frozen price, through the gates of everybody, and back again
//! (R-OTA-06, R-OTA-07).

use std::sync::Arc;

use deeptravel_domain::batch::rows::OtaTicketRow;
use deeptravel_domain::batch::{Activation, Batch, BatchState, BatchWish, TicketState};
use deeptravel_domain::code::{CodeToken, Opened};
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::order::{Contact, Order, OrderStatus, Scan};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::rejection::{Rejection, ScanRejection};
use deeptravel_domain::row::Rows;
use futures_util::future::join_all;

use super::batches::{a, b, product, shop, shop_with, stock, wish};
use super::space::assert_nobody_died;
use crate::follow::Following;
use crate::journal::Record;
use crate::outage::Outage;
use crate::testing::{Fault, Postgres, Running, World, eventually, eventually_so, put, redeemed, scan};

pub(super) fn activation(reference: &str) -> Activation {
    Activation {
        customer: Contact { name: "Mei".into(), phone: "+852 5555 0000".into(), email: None },
        visitor: PassengerType::Adult,
        visit_date: None,
        payment_reference: reference.into(),
        message: None,
        paid_at: None,
        locale: "en".into(),
    }
}

impl Running {
    async fn try_activate(
        &self,
        partner: &PartnerCode,
        batch: &Batch,
        number: u16,
    ) -> Result<Result<Arc<Order>, Rejection>, Outage> {
        let ticket = batch.id().ticket(number);
        self.shown(self.engine.activate_ticket(partner, ticket, activation("PAY-1"))).await
    }

    /// As a message of this id tells it.
    async fn told(&self, batch: &Batch, number: u16, message: u8) -> Result<Arc<Order>, Rejection> {
        let by_message = Activation { message: Some([message; 32]), ..activation("PAY-1") };
        self.shown(self.engine.activate_ticket(&a(), batch.id().ticket(number), by_message)).await.unwrap()
    }

    async fn activate(&self, batch: &Batch, number: u16) -> Arc<Order> {
        self.try_activate(&a(), batch, number).await.unwrap().unwrap()
    }

    async fn state(&self, batch: &Batch, number: u16) -> Option<TicketState> {
        self.batch(&a(), batch.id()).await.unwrap().ticket(number)
    }

    pub(super) async fn all_have_heard(&self, following: &Following) {
        let to = self.journal.appended();
        eventually("it is followed", || following.statuses().iter().all(|status| status.seen >= to)).await;
    }
}

#[actix::test]
async fn r_ota_06_a_ticket_is_activated_once_and_is_an_order_from_then_on() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 10)).await;

    let order = running.activate(&batch, 7).await;

    assert_eq!((order.id(), order.status(), order.total().minor), (batch.id().ticket(7), OrderStatus::Paid, 20_000));
    assert_eq!(order.tickets().len(), 1, "its product gives one thing");
    let again = running.try_activate(&a(), &batch, 7).await.unwrap();
    assert_eq!(again.unwrap_err(), Rejection::TicketAlreadyActivated { order: order.id() });
    assert_eq!(running.order(order.id()).await.tickets(), order.tickets());
    assert_eq!(running.allotted_left(&a()), 90, "its unit is the batch's");
    assert_eq!(running.reason(batch.id(), 7), None, "its order is to be asked");
    assert_eq!(running.reason(batch.id(), 8), Some(ScanRejection::NotActivated));
    running.kill().await;

    let running = world.start().await;
    let again = running.try_activate(&a(), &batch, 7).await.unwrap();
    assert_eq!(again.unwrap_err(), Rejection::TicketAlreadyActivated { order: order.id() });
    assert_eq!(running.order(order.id()).await.tickets(), order.tickets());
    assert_eq!(redeemed(&running.scan(order.id(), 1, "press").await), 1);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_06_of_many_at_once_one_activates_a_ticket() {
    let (_world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 10)).await;
    let partner = a();
    let asked = join_all((0..8).map(|_| running.try_activate(&partner, &batch, 1))).await;
    let made = asked.into_iter().filter(|asked| matches!(asked, Ok(Ok(_)))).count();
    assert_eq!(made, 1);
    assert_eq!(running.batch(&a(), batch.id()).await.unwrap().counts().activated(), 1);
}

#[actix::test]
async fn r_ota_06_another_partners_ticket_and_one_that_there_is_not_are_not_found() {
    let (_world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 2)).await;
    for (partner, number) in [(b(), 1), (a(), 3)] {
        let refused = running.try_activate(&partner, &batch, number).await.unwrap();
        assert_eq!(refused.unwrap_err(), Rejection::TicketNotFound);
    }
    running.activate(&batch, 1).await;
    let refused = running.try_activate(&b(), &batch, 1).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::TicketNotFound, "not even that it was activated");
}

#[actix::test]
async fn r_ota_06_a_ticket_is_activated_before_midnight_and_not_after_it_by_engine_time() {
    let (world, running) = shop().await;
    let midnight = running.engine.now().plus_seconds(12 * 60 * 60);
    let batch = running.generated(BatchWish { expires_at: Some(midnight), ..wish(a(), "B-1", 2) }).await;
    world.clock.pass(12 * 60 * 60 - 1);
    let order = running.activate(&batch, 1).await;
    world.clock.pass(2);
    let refused = running.try_activate(&a(), &batch, 2).await.unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::TicketExpired);
    eventually("it ends", || running.allotted_left(&a()) == 99).await;
    let ended = running.batch(&a(), batch.id()).await.unwrap();
    assert_eq!((ended.state(), ended.ticket(1)), (BatchState::Ended, Some(TicketState::Active)));
    assert_eq!(redeemed(&running.scan(order.id(), 1, "press").await), 1, "what was activated is good for longer");
}

#[actix::test]
async fn r_ota_04_a_new_version_of_the_product_leaves_a_batch_its_price_and_entitlements() {
    let (_world, running) = shop().await;
    let before = running.generated(wish(a(), "B-1", 2)).await;
    running.shown(running.engine.configure(put(product(99_000)))).await.unwrap().unwrap();
    let after = running.generated(wish(a(), "B-2", 2)).await;

    let (old, new) = (running.activate(&before, 1).await, running.activate(&after, 1).await);

    assert_eq!((old.total().minor, new.total().minor), (20_000, 99_000));
    let terms = |order: &Order| order.items()[0].package().unwrap().clone();
    assert_eq!((terms(&old).version, terms(&new).version), (1, 2));
    assert_eq!(terms(&old).entitlements, terms(&new).entitlements);
}

#[actix::test]
async fn r_ota_06_what_was_printed_before_the_activation_is_good_after_it_and_not_before() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 1)).await;
    let (ticket, code) = (batch.id().ticket(1), batch.plan().code(1));
    let printed = || Scan { code: Some(Opened { code, token: CodeToken(1) }), ..scan(1, "press") };
    assert_eq!(running.reason(batch.id(), 1), Some(ScanRejection::NotActivated));
    world.clock.pass(7 * 24 * 60 * 60);
    running.activate(&batch, 1).await;
    let (outcome, _) = running.redeem(ticket, printed()).await.unwrap().unwrap();
    assert_eq!(redeemed(&outcome), 1);
}

#[actix::test]
async fn r_ota_07_an_activated_ticket_is_refunded_while_unused_and_its_unit_goes_back_once() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 100)).await;
    let (refunded, used) = (running.activate(&batch, 1).await, running.activate(&batch, 2).await);
    running.scan(used.id(), 1, "press").await;

    for _ in 0..2 {
        assert_eq!(running.cancel_ticket(&a(), batch.id(), 1).await, Ok(TicketState::Refunded));
    }
    assert_eq!(running.cancel_ticket(&a(), batch.id(), 2).await, Err(Rejection::TicketUsed));
    eventually("its unit is back", || running.allotted_left(&a()) == 1).await;
    running.kill().await;

    let running = world.start().await;
    assert_eq!(running.state(&batch, 1).await, Some(TicketState::Refunded));
    let scanned = running.scan(refunded.id(), 1, "again").await;
    assert_eq!(redeemed(&scanned), 0);
    let again = running.try_activate(&a(), &batch, 1).await.unwrap();
    assert_eq!(again.unwrap_err(), Rejection::TicketAlreadyActivated { order: refunded.id() });
    assert_eq!(running.allotted_left(&a()), 1);
}

/// What tickets of batches are after a record.
fn states_of(record: &Record) -> Vec<TicketState> {
    let rows = Rows::from_bytes(record.payload.clone()).unwrap();
    rows.of::<OtaTicketRow<'_>>().map(|row| row.unwrap().status).collect()
}

#[actix::test]
async fn r_ota_07_a_batch_hears_of_its_orders_also_after_a_crash() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 100)).await;
    let (refunded, used) = (running.activate(&batch, 1).await, running.activate(&batch, 2).await);
    running.scan(used.id(), 1, "press").await;
    // Its batch is not told.
    let cancelled = running.engine.cancel_partner_ticket(a(), refunded.id(), 0);
    running.shown(cancelled).await.unwrap().unwrap();
    assert_eq!(running.state(&batch, 1).await, Some(TicketState::Active));
    running.kill().await;

    let running = world.start().await;
    let before = running.records().len();
    let following = world.follow(&running);
    running.all_have_heard(&following).await;
    assert_eq!(running.state(&batch, 1).await, Some(TicketState::Refunded));
    assert_eq!(running.state(&batch, 2).await, Some(TicketState::Used));
    let records = running.records();
    let changed = records[before..].iter().map(|(_, record)| states_of(record)).filter(|states| !states.is_empty());
    let both = vec![TicketState::Refunded, TicketState::Used];
    assert_eq!(changed.collect::<Vec<_>>(), [both], "one record has both");
    eventually("its unit is back", || running.allotted_left(&a()) == 1).await;
    running.kill().await;

    let running = world.start().await;
    let following = world.follow(&running);
    running.all_have_heard(&following).await;
    assert_eq!(running.allotted_left(&a()), 1);
    assert_eq!(running.services().stock_board.get(&stock()).unwrap().in_use(), 99);
}

#[actix::test]
async fn rule_20_a_batch_that_breaks_over_an_activation_leaves_it_to_its_rows() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 2)).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    running.services().faults.plant(&batch.id(), Fault::AfterAppend);

    assert_eq!(running.try_activate(&a(), &batch, 1).await.unwrap_err(), Outage::Rebuilding);
    let order = batch.id().ticket(1);
    assert_eq!(running.shown(running.engine.order(order)).await.unwrap_err(), Outage::Rebuilding);
    world.store.set(Postgres::Up);

    eventually_so("they are back", || async {
        let asked = running.try_activate(&a(), &batch, 1).await;
        asked.is_ok_and(|asked| asked.is_err_and(|refused| refused == Rejection::TicketAlreadyActivated { order }))
    })
    .await;
    eventually_so("it is there", || async { running.shown(running.engine.order(order)).await.is_ok() }).await;
    assert_eq!(running.order(order).await.status(), OrderStatus::Paid);
    running.activate(&batch, 2).await;
}

#[actix::test]
async fn r_ota_06_a_crash_around_an_activation_leaves_both_or_none() {
    let (_world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 2)).await;
    let before = running.records().len();
    running.activate(&batch, 1).await;
    let records = running.records();
    assert_eq!(records.len(), before + 1, "one record has both");
    running.kill().await;
    for durable in [before, before + 1] {
        let world = World::of_records(&records[..durable]).await;
        let running = world.start().await;
        let asked = running.try_activate(&a(), &batch, 1).await.unwrap();
        assert_eq!(asked.is_ok(), durable == before);
        assert_eq!(running.order(batch.id().ticket(1)).await.status(), OrderStatus::Paid);
        running.kill().await;
    }
}

/// Measures: `cargo test --release -p deeptravel-actors --lib million_idle_tickets -- --ignored --nocapture`.
#[actix::test]
#[ignore = "measures; run alone"]
async fn r_ota_04_a_million_idle_tickets_take_a_few_bytes_each() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
    };
    let (world, running) = shop_with(1_000_000).await;
    let began = std::time::Instant::now();
    for number in 0..200 {
        running.generated(wish(a(), &format!("B-{number}"), 5_000)).await;
    }
    println!("generated in {} ms", began.elapsed().as_millis());
    // So that the rows in memory, which Postgres has elsewhere, are there before.
    running.drained().await;
    running.kill().await;
    let before = resident();
    let began = std::time::Instant::now();
    let running = world.start().await;
    println!("started in {} ms", began.elapsed().as_millis());
    let tickets = running.services().batch_board.tickets() as u64;
    let after = resident();
    println!("{tickets} tickets take {} bytes", after.saturating_sub(before));
    assert_eq!(tickets, 1_000_000);
}

#[actix::test]
async fn r_ota_06_a_message_that_is_told_again_finds_its_order_and_another_one_that_there_is_one() {
    let (world, running) = shop().await;
    let batch = running.generated(wish(a(), "B-1", 2)).await;
    let told = join_all((0..8).map(|_| running.told(&batch, 1, 1))).await;
    let orders: Vec<_> = told.iter().map(|told| told.as_ref().unwrap().id()).collect();
    assert_eq!(orders, [batch.id().ticket(1); 8], "one order, however often it is told");
    running.kill().await;

    let running = world.start().await;
    assert_eq!(running.told(&batch, 1, 1).await.unwrap().id(), batch.id().ticket(1), "also after a crash");
    let there_is_one = Err(Rejection::TicketAlreadyActivated { order: batch.id().ticket(1) });
    assert_eq!(running.told(&batch, 1, 2).await.map(|order| order.id()), there_is_one);
    assert_eq!(running.try_activate(&a(), &batch, 1).await.unwrap().map(|order| order.id()), there_is_one);

    let by_call = running.activate(&batch, 2).await;
    let there_is_one = Err(Rejection::TicketAlreadyActivated { order: by_call.id() });
    assert_eq!(running.told(&batch, 2, 1).await.map(|order| order.id()), there_is_one, "a call was before it");
    assert_nobody_died(&running);
}
