//! What became of every ticket and when, for people who ask (R-TICKET-06, R-LIFE-08).

use deeptravel_domain::order::ScanTarget;
use deeptravel_domain::order::rows::{OrderRow, TicketAuditRow, TicketRow};

use crate::support::*;

#[test]
fn r_life_08_the_audit_has_its_columns_its_key_and_its_indexes() {
    let stand = Stand::new();
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_name = 'ticket_status_audit' AND column_name <> 'version'";
    assert_eq!(
        stand.ask::<String>(columns),
        "id bigint, ticket_id text, prev_status text, new_status text, event text, event_id text, meta jsonb, \
         created_at timestamp with time zone"
    );
    let columns = "SELECT string_agg(column_name, ' ' ORDER BY column_name) FROM information_schema.columns \
                   WHERE table_name = 'orders' AND column_name IN ('completed_at', 'cancelled_at')";
    assert_eq!(stand.ask::<String>(columns), "cancelled_at completed_at");
    let indexes = |table: &str| {
        let found = "SELECT string_agg(pg_get_indexdef(indexrelid), '; ' ORDER BY indexrelid) FROM pg_index \
                     WHERE indrelid = '";
        stand.ask::<String>(format!("{found}{table}'::regclass"))
    };
    let audit = indexes("ticket_status_audit");
    assert!(audit.contains("UNIQUE") && audit.contains("(ticket_id, new_status, event_id)"), "{audit}");
    assert!(audit.contains("(ticket_id, created_at)"), "{audit}");
    assert!(indexes("ticket_rows").contains("(order_id, status)"));
}

#[test]
fn r_ticket_06_r_life_08_every_change_of_a_tickets_status_is_one_row_however_often_it_is_told() {
    let stand = Stand::new();
    let (mut buyer, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&placed).unwrap();
    let issued = buyer.pay(NOW.plus_seconds(30));
    stand.project(&issued).unwrap();
    let ticket = ScanTarget::Ticket(buyer.order.tickets()[0].id);
    let redeemed = buyer.scan("r1", ticket.clone(), NOW.plus_seconds(60));
    stand.project(&redeemed).unwrap();
    let refused = buyer.scan("r2", ticket, NOW.plus_seconds(90));
    assert_eq!(count::<TicketAuditRow<'_>>(&refused), 0, "nothing has changed");
    stand.project(&refused).unwrap();

    let audit = || {
        stand.ask::<String>(
            "SELECT string_agg(concat_ws(' ', right(ticket_id, 2), prev_status, new_status, event, \
             extract(epoch FROM created_at)::bigint - 1795147200), ', ' ORDER BY created_at, ticket_id) \
             FROM ticket_status_audit",
        )
    };
    let told = "-1 usable issued 30, -2 usable issued 30, -3 usable issued 30, -1 usable used redeemed 60";
    assert_eq!(audit(), told);
    let by_the_scan = "SELECT event_id LIKE '%/r1' FROM ticket_status_audit WHERE event = 'redeemed'";
    assert!(stand.ask::<bool>(by_the_scan), "the event says which scan it was");

    // As after a crash, or a backup: the same records once more.
    for rows in [&issued, &redeemed] {
        stand.project(&without_marks(rows)).unwrap();
    }
    assert_eq!(audit(), told);
    assert_eq!(stand.ask::<i64>("SELECT count(DISTINCT id) FROM ticket_status_audit"), 4);
    assert_eq!(count::<TicketRow<'_>>(&issued), 3);
}

#[test]
fn r_life_08_an_order_says_when_it_was_completed_or_cancelled() {
    let stand = Stand::new();
    let times = |number: u64| {
        let rows = stand.order(order_id(number)).unwrap().unwrap();
        let order: OrderRow<'_> = rows.only().unwrap();
        (order.completed_at, order.cancelled_at)
    };
    let (mut buyer, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&placed).unwrap();
    stand.project(&buyer.pay(NOW.plus_seconds(30))).unwrap();
    assert_eq!(times(1), (None, None));
    let used = NOW.plus_seconds(60);
    stand.project(&buyer.scan("r1", ScanTarget::Order, used)).unwrap();
    assert_eq!(times(1), (Some(used), None), "all tickets are used");

    let (mut buyer, placed) = Buyer::place(draft(order_id(2), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&placed).unwrap();
    stand.project(&buyer.cancel(NOW.plus_seconds(5))).unwrap();
    assert_eq!(times(2), (None, Some(NOW.plus_seconds(5))));
}
