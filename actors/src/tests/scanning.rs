//! Tickets are used once.

use deeptravel_domain::order::rows::ScanRow;
use deeptravel_domain::order::{OrderStatus, ScanTarget, TicketOutcome};
use deeptravel_domain::rejection::{Rejection, ScanRejection};
use deeptravel_domain::row::Row as _;
use deeptravel_domain::ticket::TicketStatus;
use futures_util::future::join_all;

use crate::testing::{World, coach, redeemed, scan, traveller, wish};

#[actix::test]
async fn r_scan_03_of_two_gates_at_the_same_instant_one_wins() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 3)).await;

    let outcomes = join_all((1..=10).map(|gate| running.scan(order.id(), gate, "press"))).await;

    let winners: Vec<_> = outcomes.iter().filter(|outcome| redeemed(outcome) > 0).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(redeemed(winners[0]), 3);
    assert_eq!(running.order(order.id()).await.status(), OrderStatus::Completed);
}

#[actix::test]
async fn r_scan_04_the_same_request_again_has_the_same_answer_and_another_one_is_refused() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;

    let first = running.scan(order.id(), 1, "press").await;
    let again = running.scan(order.id(), 1, "press").await;
    let other = running.scan(order.id(), 1, "another press").await;

    let TicketOutcome::Redeemed { at, .. } = first.tickets[0].1 else { panic!("{first:?}") };
    assert!(matches!(again.tickets[0].1, TicketOutcome::Redeemed { at: before, repeated: true, .. } if before == at));
    let TicketOutcome::Refused { reason: ScanRejection::AlreadyRedeemed, previous } = &other.tickets[0].1 else {
        panic!("{other:?}")
    };
    assert_eq!(previous.as_ref().map(|previous| previous.at), Some(at));
}

#[actix::test]
async fn r_scan_05_every_attempt_is_logged_once() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    running.scan(order.id(), 1, "press").await;
    running.scan(order.id(), 1, "press").await;
    running.scan(order.id(), 2, "press").await;

    running.drained().await;

    let scans = world.store.rows(ScanRow::TABLE);
    let scans: Vec<ScanRow<'_>> = scans.all().unwrap();
    assert_eq!(scans.iter().map(|scan| scan.reason).collect::<Vec<_>>(), [None, Some("ALREADY_REDEEMED")]);
}

#[actix::test]
async fn one_ticket_of_an_order_is_redeemed_and_the_others_stay_usable() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 2)).await;
    let ticket = order.tickets()[1].id;
    let press = deeptravel_domain::order::Scan { target: ScanTarget::Ticket(ticket), ..scan(1, "press") };

    let (outcome, order) = running.redeem(order.id(), press).await.unwrap().unwrap();

    assert_eq!(outcome.tickets.len(), 1);
    let states: Vec<_> = order.tickets().iter().map(|ticket| ticket.status).collect();
    assert_eq!(states, [TicketStatus::Usable, TicketStatus::Used]);
}

#[actix::test]
async fn an_order_that_does_not_exist_is_not_found() {
    let (_world, running) = World::with_seats(4).await;
    let id = deeptravel_domain::ids::OrderId::from_bits(7);

    let redeemed = running.redeem(id, scan(1, "press")).await.unwrap();
    let cancelled = running.shown(running.engine.cancel(id)).await.unwrap();

    assert_eq!(redeemed.unwrap_err(), Rejection::OrderNotFound);
    assert_eq!(cancelled.unwrap_err(), Rejection::OrderNotFound);
}
