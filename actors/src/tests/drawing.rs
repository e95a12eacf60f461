//! Batches whose units were reserved before (R-OTA-03, R-OTA-04): drawn once, all tickets or none through crashes, and given
//! back through the partner's book.

use deeptravel_domain::batch::rows::OtaTicketRow;
use deeptravel_domain::batch::{BatchState, BatchWish, TicketState};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::partner::{PartnerReservationId, ReservationStatus};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Row as _;

use super::batches::{a, b, shop, wish};
use super::space::assert_nobody_died;
use crate::outage::Outage;
use crate::testing::{Fault, Running, World, eventually, eventually_so};

const A: &str = "partner-a";
const HOUR: i64 = 60 * 60;

fn from(reservation: PartnerReservationId, own_id: &str, quantity: u32) -> BatchWish {
    BatchWish { reservation: Some(reservation.number()), ..wish(a(), own_id, quantity) }
}

impl Running {
    async fn refused_batch(&self, wish: BatchWish) -> Rejection {
        self.generate(wish).await.unwrap().unwrap_err()
    }
}

#[actix::test]
async fn r_ota_04_a_batch_draws_its_units_from_a_reservation_and_takes_no_more() {
    let (world, running) = shop().await;
    let reservation = running.reserved(A, "one", 60).await;
    assert_eq!(running.allotted_left(&a()), 40);
    let batch = running.generated(from(reservation, "B-1", 25)).await;
    assert_eq!((batch.state(), batch.counts().of(TicketState::PreGenerated)), (BatchState::Active, 25));
    assert_eq!(running.allotted_left(&a()), 40, "they were taken before");
    assert_eq!(running.reservation(A, reservation).await, Ok((ReservationStatus::Active, 35)));
    let (again, is_first) = running.generate(from(reservation, "B-1", 25)).await.unwrap().unwrap();
    assert_eq!((again.id(), is_first), (batch.id(), false));
    assert_eq!(running.reservation(A, reservation).await, Ok((ReservationStatus::Active, 35)));

    let short = Rejection::InsufficientAllotment { wanted: 36, available: 35 };
    assert_eq!(running.refused_batch(from(reservation, "B-2", 36)).await, short);
    running.generated(from(reservation, "B-2", 35)).await;
    assert_eq!(running.reservation(A, reservation).await, Ok((ReservationStatus::Activated, 0)));
    assert_eq!(running.refused_batch(from(reservation, "B-3", 1)).await, Rejection::ReservationActivated);
    running.drained().await;
    assert_eq!(world.store.rows(OtaTicketRow::TABLE).images().count(), 60);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_04_what_is_no_good_reservation_of_the_partner_makes_no_batch() {
    let (world, running) = shop().await;
    let reservation = running.reserved(A, "one", 10).await;
    let of_b = BatchWish { partner: b(), ..from(reservation, "B-1", 5) };
    assert_eq!(running.refused_batch(of_b).await, Rejection::ReservationNotFound, "it is another's");
    let of_nothing = BatchWish { reservation: Some(OrderId::from_bits(7)), ..wish(a(), "B-1", 5) };
    assert_eq!(running.refused_batch(of_nothing).await, Rejection::ReservationNotFound);
    let cancelled = running.reserved(A, "two", 10).await;
    running.shown(running.engine.cancel_partner_reservation(&a(), cancelled)).await.unwrap().unwrap();
    assert_eq!(running.refused_batch(from(cancelled, "B-1", 5)).await, Rejection::ReservationEnded);

    world.clock.pass(24 * HOUR);
    assert_eq!(running.refused_batch(from(reservation, "B-1", 5)).await, Rejection::ReservationExpired);
    assert_eq!(running.services().batch_board.tickets(), 0);
    eventually("units are back", || running.allotted_left(&a()) == 100).await;
}

#[actix::test]
async fn r_ota_03_a_batch_outlives_its_reservation_and_what_it_does_not_need_can_be_sold_again() {
    let (world, running) = shop().await;
    let reservation = running.reserved(A, "one", 60).await;
    let batch = running.generated(from(reservation, "B-1", 20)).await;
    running.cancel_ticket(&a(), batch.id(), 1).await.unwrap();
    eventually("its unit is back", || running.allotted_left(&a()) == 41).await;
    world.clock.pass(24 * HOUR);
    eventually("what was not drawn is back", || running.allotted_left(&a()) == 81).await;
    running.cancel_ticket(&a(), batch.id(), 2).await.unwrap();
    running.kill().await;

    let running = world.start().await;
    eventually("its unit is back", || running.allotted_left(&a()) == 82).await;
    running.cancel_ticket(&a(), batch.id(), 3).await.unwrap();
    eventually("its unit is back", || running.allotted_left(&a()) == 83).await;
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_ota_04_a_crash_after_any_record_of_a_draw_leaves_all_tickets_or_none_and_the_same_request_tells() {
    let (_world, running) = shop().await;
    let reservation = running.reserved(A, "one", 60).await;
    let before = running.records().len();
    let first = running.generated(from(reservation, "B-1", 25)).await;
    let records = running.records();
    running.kill().await;
    // Drawn with the batch's first row, tickets there.
    assert_eq!(records.len(), before + 2);
    for durable in before..=records.len() {
        let world = World::of_records(&records[..durable]).await;
        let running = world.start().await;
        let (batch, is_first) = running.generate(from(reservation, "B-1", 25)).await.unwrap().unwrap();
        assert_eq!(is_first, durable == before, "once it is drawn it is finished");
        assert_eq!(is_first, batch.id() != first.id());
        assert_eq!((batch.state(), batch.counts().of(TicketState::PreGenerated)), (BatchState::Active, 25));
        assert_eq!(running.reservation(A, reservation).await, Ok((ReservationStatus::Active, 35)), "drawn once");
        running.drained().await;
        assert_eq!(world.store.rows(OtaTicketRow::TABLE).images().count(), 25, "{durable}");
        assert_eq!(running.allotted_left(&a()), 40);
        assert_nobody_died(&running);
        running.kill().await;
    }
}

#[actix::test]
async fn rule_20_a_book_that_breaks_over_a_draw_leaves_a_batch_that_the_same_request_finds() {
    let (_world, running) = shop().await;
    let reservation = running.reserved(A, "one", 60).await;
    running.drained().await;
    running.services().faults.plant(&a(), Fault::AfterAppend);
    let broken = running.generate(from(reservation, "B-1", 25)).await;
    assert!(matches!(broken, Err(Outage::Rebuilding)), "{broken:?}");

    eventually_so("the book is back", || async { running.generate(from(reservation, "B-1", 25)).await.is_ok() }).await;
    let (batch, is_first) = running.generate(from(reservation, "B-1", 25)).await.unwrap().unwrap();
    assert_eq!((is_first, batch.counts().of(TicketState::PreGenerated)), (false, 25));
    assert_eq!(running.reservation(A, reservation).await, Ok((ReservationStatus::Active, 35)), "drawn once");
    assert_eq!(running.refused_batch(from(reservation, "B-1", 24)).await, Rejection::BatchExists);
}
