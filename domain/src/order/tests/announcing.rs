//! What an order announces, and what it does not (rule 16).

use super::*;
use crate::announcement::AnnouncementKind::{Cancelled, Completed, Paid, Redeemed, Revived};
use crate::announcement::{AnnouncementKind, AnnouncementRow};

/// Kind, ticket and number of everything announced so far, in order.
fn announced(story: &Story) -> Vec<(AnnouncementKind, Option<u16>, Option<u32>)> {
    let rows: Vec<AnnouncementRow> = story.stored.log.all().unwrap();
    rows.iter().map(|row| (row.kind, row.ticket, row.number)).collect()
}

fn kinds(story: &Story) -> Vec<AnnouncementKind> {
    announced(story).into_iter().map(|(kind, ..)| kind).collect()
}

fn scanned(story: &mut Story, request: &str, target: ScanTarget) {
    story.ok(ticket::Command::Scan(scan(1, request, target)));
}

#[test]
fn rule_16_a_placed_order_announces_nothing_and_is_paid_once() {
    let mut story = Story::payable_with(2, 2);
    assert_eq!(kinds(&story), []);
    story.now = at(77);
    story.ok(paid(1));
    assert_eq!(kinds(&story), [], "departures still confirm the seats");
    story.holds_agree();
    story.ignores(paid(1));
    story.restart();
    story.ignores(paid(1));

    let rows: Vec<AnnouncementRow> = story.stored.log.all().unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.order_id, row.version, row.kind, row.at), (order_id(), story.version, Paid, at(77)));
    assert_eq!((row.ticket, row.number), (None, None));
}

#[test]
fn rule_16_an_order_that_costs_nothing_is_announced_as_paid_too() {
    let mut story = Story::drafted(1, 1, 0);
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!(kinds(&story), [Paid]);
}

#[test]
fn rule_16_an_order_that_was_never_placed_announces_no_end() {
    let mut story = Story::drafted(2, 1, FARE);
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_refuses(Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 });
    story.holds_agree();
    assert!(story.order.refusal().is_some());
    assert_eq!(kinds(&story), []);
}

#[test]
fn rule_16_whatever_ends_a_placed_order_is_announced_once() {
    let mut unpaid = Story::placed();
    unpaid.wake_at(i64::from(LOCK_SECONDS));
    unpaid.holds_agree();
    unpaid.ignores(sale::Command::Cancel);
    assert_eq!(kinds(&unpaid), [Cancelled]);

    let given_up = Story::cancelled_with(2, 1);
    assert_eq!(kinds(&given_up), [Cancelled]);
}

#[test]
fn rule_16_late_money_that_brings_an_order_back_is_no_second_payment() {
    let mut story = Story::cancelled_with(1, 1);
    story.now = at(700);
    story.ok(paid(1));
    assert_eq!(kinds(&story), [Cancelled], "it seeks seats");
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!(kinds(&story), [Cancelled, Revived]);
}

#[test]
fn rule_16_every_redemption_is_announced_by_ticket_and_a_repetition_is_not() {
    let mut story = Story::paid_with(2, 2);
    story.now = at(100);
    scanned(&mut story, "r1", ScanTarget::Ticket(ticket_id(2)));
    scanned(&mut story, "r1", ScanTarget::Ticket(ticket_id(2)));
    scanned(&mut story, "r2", ScanTarget::Ticket(ticket_id(2)));
    assert_eq!(announced(&story), [(Paid, None, None), (Redeemed, Some(2), Some(1))], "one is repeated, one refused");

    // Of the whole order this gate redeems one more ticket: the others are another port's.
    scanned(&mut story, "r3", ScanTarget::Order);
    assert_eq!(announced(&story)[2..], [(Redeemed, Some(1), Some(1))], "a partial success");
    let other_port = gate_at(2, "PORT-1");
    let last = ticket::Command::Scan(Scan { gate: other_port, ..scan(2, "r4", ScanTarget::Order) });
    story.ok(last.clone());
    story.ok(last);
    let end = [(Redeemed, Some(3), Some(1)), (Redeemed, Some(4), Some(1)), (Completed, None, None)];
    assert_eq!(announced(&story)[3..], end);
}

#[test]
fn rule_16_an_announcement_is_small_and_no_database_stores_it() {
    let size = |story: &Story, place: usize| {
        let image = story.stored.log.images_of(AnnouncementRow::TABLE).nth(place).unwrap();
        let mut rows = Rows::default();
        rows.put_image(AnnouncementRow::TABLE.slot, image);
        rows.as_bytes().len()
    };
    let mut story = Story::paid_with(1, 1);
    scanned(&mut story, "r1", ScanTarget::Order);
    assert_eq!(kinds(&story), [Paid, Redeemed, Completed]);
    let sizes = [0, 1, 2].map(|place| size(&story, place));
    assert!(sizes.iter().all(|bytes| (30..=56).contains(bytes)), "{sizes:?}");
    assert_eq!(story.stored.images.of(AnnouncementRow::TABLE).count(), 0);
}
