//! Rows that say that they are new are added without a look, and whether they are right or wrong, what is stored is the same
//! (rule 12).

use deeptravel_actors::journal::Position;
use deeptravel_actors::ports::{Store as _, StoreError};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::ScanTarget;
use deeptravel_domain::order::rows::{LedgerRow, OrderRow, PaymentRow, TicketRow};
use deeptravel_domain::row::{Row, Rows};

use crate::support::*;

/// An order's rows and its hold's, as their first records carry them.
fn placed(number: u64) -> (Buyer, Rows) {
    let (buyer, mut rows) = Buyer::place(draft(order_id(number), traveller(1), "HKMO-0800.20261127"), NOW);
    rows.extend(&Coach::new("HKMO-0800.20261127", 3).tell(&place(number, NOW), NOW));
    (buyer, rows)
}

/// Of each row of a type, whether it is marked as a first image.
fn marks<'a, R: Row<'a>>(rows: &Rows) -> Vec<bool> {
    rows.images_of(R::TABLE).map(|image| R::TABLE.is_first(image).unwrap()).collect()
}

/// Everything that was written, but for ids that the database gives itself.
fn contents(stand: &Stand) -> String {
    stand.ask(
        "SELECT concat_ws(E'\\n',
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM departures t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM holds t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM orders t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM order_items t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM order_passengers t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM payments t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM tickets t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM redemptions t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM scan_attempts t),
            (SELECT string_agg((to_jsonb(t) - 'id')::text, ';' ORDER BY (to_jsonb(t) - 'id')::text)
                FROM ticket_status_audit t),
            (SELECT string_agg(t::text, ';' ORDER BY t::text) FROM ledger_entries t))",
    )
}

#[test]
fn the_first_record_of_a_row_says_so_and_later_ones_do_not() {
    let (mut buyer, placed) = placed(1);
    assert!(marks::<OrderRow<'_>>(&placed)[0]);
    assert!(marks::<DepartureRow<'_>>(&placed)[0] && marks::<HoldRow<'_>>(&placed)[0]);

    let paid = buyer.pay(NOW.plus_seconds(30));
    assert!(!marks::<OrderRow<'_>>(&paid).contains(&true));
    let payments = marks::<PaymentRow<'_>>(&paid);
    assert_eq!(payments.iter().filter(|is_first| **is_first).count(), 1, "begun, created, paid");
    assert_eq!((marks::<TicketRow<'_>>(&paid), marks::<LedgerRow>(&paid)), (vec![true; 3], vec![true]));

    let ticket = ScanTarget::Ticket(buyer.order.tickets()[0].id);
    assert!(!marks::<TicketRow<'_>>(&buyer.scan("r1", ticket, NOW.plus_seconds(60)))[0]);
}

#[test]
fn with_or_without_marks_in_one_batch_or_many_the_same_is_stored() {
    let (mut buyer, first) = placed(1);
    let paid = buyer.pay(NOW.plus_seconds(30));
    let ticket = ScanTarget::Ticket(buyer.order.tickets()[0].id);
    let records = [first, paid, buyer.scan("r1", ticket, NOW.plus_seconds(60))];

    let one_by_one = Stand::new();
    for rows in &records {
        one_by_one.project(rows).unwrap();
    }
    // As an older release has written them.
    let unmarked = Stand::new();
    for rows in &records {
        unmarked.project(&without_marks(rows)).unwrap();
    }
    // A first image and later ones of the same row, in the order of the journal.
    let together = Stand::new();
    let mut all = Rows::default();
    for rows in &records {
        all.extend(rows);
    }
    together.project(&all).unwrap();

    let expected = contents(&one_by_one);
    assert!(expected.contains("used") && expected.contains("paid"), "{expected}");
    assert_eq!(contents(&unmarked), expected);
    assert_eq!(contents(&together), expected);
}

#[test]
fn rows_that_are_there_although_they_were_said_to_be_new_are_looked_for() {
    let stand = Stand::new();
    let (mut buyer, known) = placed(1);
    stand.project(&known).unwrap();

    // An older and a newer image that claim to be the first, beside an order that is new.
    let mut batch = known.clone();
    batch.extend(&placed(2).1);
    for (slot, image) in buyer.pay(NOW.plus_seconds(30)).images() {
        if slot == OrderRow::TABLE.slot {
            batch.put_first(&OrderRow::read(image).unwrap());
        } else {
            batch.put_image(slot, image);
        }
    }
    stand.project(&batch).unwrap();

    assert_eq!(stand.ask::<String>("SELECT string_agg(status, ' ' ORDER BY order_id) FROM orders"), "paid pending");
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM order_passengers"), 6);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM holds"), 2);
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 2);

    // Two first images of one row that nobody knew.
    let third = placed(3).1;
    let mut twice = third.clone();
    twice.extend(&third);
    stand.project(&twice).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM orders"), 3);
    stand.project(&known).unwrap();
    assert_eq!(stand.ask::<String>("SELECT min(status) FROM orders"), "paid", "an older one changes nothing");
}

#[test]
fn whoever_finds_a_newer_servers_rows_is_told_that_it_came_too_late() {
    let stand = Stand::new();
    let (_, rows) = placed(1);
    let successor = stand.runtime.block_on(open(&stand.database, stand.journal_id));
    stand.runtime.block_on(successor.project(&rows, Position(0), Position(1))).unwrap();
    let before = contents(&stand);

    let late = stand.project(&rows);

    assert!(matches!(late, Err(StoreError::Fenced(_))), "{late:?}");
    assert_eq!(contents(&stand), before);
}

/// As a restored backup does: tables of the same names, whose row types are others.
async fn replace_orders(session: deeptravel::postgres::Session) -> Result<(), deeptravel::postgres::StoreError> {
    let steps = "ALTER TABLE order_rows RENAME TO older; CREATE TABLE order_rows (LIKE older INCLUDING ALL);
        INSERT INTO order_rows SELECT * FROM older; DROP TABLE older CASCADE";
    Ok(session.batch_execute(steps).await?)
}

#[test]
fn tables_that_were_replaced_meanwhile_are_written_again_after_a_failure_at_most() {
    let stand = Stand::new();
    let (mut buyer, first) = placed(1);
    stand.project(&first).unwrap();
    stand.project(&buyer.pay(NOW.plus_seconds(30))).unwrap();

    stand.runtime.block_on(stand.database.run(deeptravel::postgres::Lane::Lists, replace_orders)).unwrap();
    let scans = buyer.scan("r1", ScanTarget::Order, NOW.plus_seconds(60));
    let missed = stand.project(&scans);
    assert!(matches!(missed, Ok(()) | Err(StoreError::Unavailable(_))), "{missed:?}");
    if missed.is_err() {
        stand.project(&scans).unwrap();
    }
    assert_eq!(stand.ask::<String>("SELECT status FROM order_rows"), "completed");
}
