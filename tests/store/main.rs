//! The projected tables: what goes in comes out, once, and only forward.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

mod audit;
mod batches;
mod earlier;
mod logins;
mod new_rows;
mod outage;
mod partner_orders;
mod partner_sales;
mod quiet;
mod rates;
mod reservations;
mod start;
mod stocks;
mod support;
mod upgrade;
mod webhooks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deeptravel_actors::journal::Position;
use deeptravel_actors::loads::KEPT;
use deeptravel_actors::ports::{Store as _, StoreError, Warm};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{OrderId, OutRefundNo, TicketId};
use deeptravel_domain::inventory::rows::HoldRow;
use deeptravel_domain::inventory::{self, Inventory};
use deeptravel_domain::order::rows::{LedgerRow, OrderRow, PaymentRow, RefundRow, ScanRow, TicketRow};
use deeptravel_domain::order::{Command, Draft, Order, OrderStatus, Promoted, RefundStatus, ScanTarget, back};
use deeptravel_domain::row::{List, Rows};
use deeptravel_domain::tables::{TABLES, newest_version};
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;
use support::*;
use tokio_postgres::NoTls;

#[test]
fn every_statement_file_fits_the_migrated_schema_and_is_used() {
    let stand = Stand::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = files(&root.join("src"), "rs");
    sources.append(&mut files(&root.join("actors/src"), "rs"));
    sources.retain(|path, _| !path.starts_with(root.join("actors/src/testing")));
    let sources: String = sources.values().map(String::as_str).collect();
    let config = stand.test_database.as_ref().unwrap().config.clone();
    stand.runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        for (path, sql) in files(&root.join("sql/queries"), "sql") {
            if let Err(error) = client.prepare(&sql).await {
                panic!("{}: {error:?}", path.display());
            }
            let name = path.strip_prefix(root.join("sql/queries")).unwrap().to_str().unwrap();
            // Statements by their names, those of tables by their tables, also where one is read whole, and the position's by their files.
            let stem = name.strip_suffix(".sql").unwrap();
            let of_table = stem.strip_prefix("project/").map(|table| TABLES.iter().any(|known| known.name == table));
            let mut whole = KEPT.iter().flat_map(|load| load.whole);
            let used = of_table.unwrap_or_else(|| sources.contains(&format!("\"{stem}\"")))
                || whole.any(|table| stem.strip_prefix("load/") == Some(table.name))
                || sources.contains(&format!("/{name}\""));
            assert!(used, "{name} is not used");
        }
    });
}

/// The texts of all files below `directory` that end so.
fn files(directory: &Path, extension: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.insert(path.clone(), std::fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn an_order_comes_back_as_it_was_at_every_step_of_its_life() {
    let stand = Stand::new();
    let id = order_id(1);
    let (mut buyer, rows) = Buyer::place(draft(id, traveller(1), "HKMO-0800.20261127"), NOW);
    let back = |buyer: &Buyer, tables: [usize; 6]| {
        let rows = stand.order(id).unwrap().unwrap();
        let order: OrderRow<'_> = rows.only().unwrap();
        let found = [
            order.items.to_vec().len(),
            order.passengers.to_vec().len(),
            count::<PaymentRow<'_>>(&rows),
            count::<TicketRow<'_>>(&rows),
            count::<ScanRow<'_>>(&rows),
            count::<LedgerRow>(&rows),
        ];
        assert_eq!(found, tables);
        assert_eq!(newest_version(&rows).unwrap(), buyer.version, "the key's version is found in the rows");
        let machine = Order::from_rows(&rows, NOW).unwrap();
        assert_eq!(machine.status(), buyer.order.status());
        let (found, expected) = (machine.details(), buyer.order.details());
        assert_eq!((&found.passengers, &found.price), (&expected.passengers, &expected.price));
        assert_eq!((&found.contact, &found.locale), (&expected.contact, &expected.locale));
        assert_eq!((&found.buyer, &found.channel), (&expected.buyer, &expected.channel));
        assert_eq!(found.lock_seconds, expected.lock_seconds);
        assert_eq!(machine.items(), buyer.order.items());
        assert_eq!(machine.payments(), buyer.order.payments());
        assert_eq!(machine.tickets(), buyer.order.tickets());
        assert_eq!(machine.ledger(), buyer.order.ledger());
        assert_eq!(machine.lock_expires_at(), buyer.order.lock_expires_at());
    };
    assert!(stand.order(id).unwrap().is_none());

    stand.project(&rows).unwrap();
    back(&buyer, [1, 3, 0, 0, 0, 0]);

    stand.project(&buyer.pay(NOW.plus_seconds(30))).unwrap();
    back(&buyer, [1, 3, 1, 3, 0, 1]);

    let ticket = ScanTarget::Ticket(buyer.order.tickets()[0].id);
    stand.project(&buyer.scan("r1", ticket.clone(), NOW.plus_seconds(60))).unwrap();
    stand.project(&buyer.scan("r2", ticket, NOW.plus_seconds(90))).unwrap();
    back(&buyer, [1, 3, 1, 3, 1, 1]);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM scan_attempts"), 2, "accepted and refused (R-SCAN-05)");
    let audit = "SELECT string_agg(concat_ws(' ', prev_status, new_status, event), ', ' ORDER BY created_at, id) \
                 FROM ticket_status_audit WHERE ticket_id LIKE '%-1'";
    assert_eq!(stand.ask::<String>(audit), "usable issued, usable used redeemed", "R-TICKET-06");

    stand.project(&buyer.scan("r3", ScanTarget::Order, NOW.plus_seconds(95))).unwrap();
    back(&buyer, [1, 3, 1, 3, 3, 1]);
}

#[test]
fn r_admin_04_people_read_who_sold_an_order_and_so_does_the_order_itself() {
    let stand = Stand::new();
    let sold_by = [Channel::Direct, Channel::Ota("trip".into())];
    for (number, channel) in (1..).zip(&sold_by) {
        let wish = draft(order_id(number), traveller(1), "HKMO-0800.20261127");
        let (_, rows) = Buyer::place(Draft { channel: channel.clone(), ..wish }, NOW);
        stand.project(&rows).unwrap();
    }
    let read = "SELECT string_agg(channel, ', ' ORDER BY order_id) FROM orders";
    assert_eq!(stand.ask::<String>(read), "direct, ota:trip");
    let woken = [1, 2].map(|number| Order::from_rows(&stand.order(order_id(number)).unwrap().unwrap(), NOW).unwrap());
    assert_eq!(woken.map(|order| order.details().channel.clone()), sold_by);
}

#[test]
fn r_price_03_an_orders_promotions_come_back_and_people_read_them() {
    let stand = Stand::new();
    let promoted = |code: &str, revision, discount_minor, is_limited| Promoted {
        code: code.parse().unwrap(),
        revision,
        discount_minor,
        is_limited,
    };
    let promotions = vec![promoted("AUTO", 3, 4_000, false), promoted("SPRING", 1, 1_000, true)];
    let departure = "HKMO-0800.20261127";
    let wish = Draft { promotions: promotions.clone(), ..draft(order_id(1), traveller(1), departure) };
    stand.project(&Buyer::place(wish, NOW).1).unwrap();
    let (mut plain, rows) = Buyer::place(draft(order_id(2), traveller(1), departure), NOW);
    stand.project(&rows).unwrap();
    stand.project(&plain.cancel(NOW)).unwrap();

    let woken = [1, 2].map(|number| Order::from_rows(&stand.order(order_id(number)).unwrap().unwrap(), NOW).unwrap());
    assert_eq!(woken.map(|order| order.details().promotions.clone()), [promotions, vec![]]);
    let read = "SELECT string_agg(concat_ws(' ', number, promotion_code, revision, discount_minor, limited), ', ' \
                ORDER BY order_id, number) FROM order_promotions";
    assert_eq!(stand.ask::<String>(read), "1 AUTO 3 4000 f, 2 SPRING 1 1000 t");
}

#[test]
fn r_pay_09_money_on_its_way_back_comes_back_as_it_was() {
    let stand = Stand::new();
    let id = order_id(1);
    let (mut buyer, rows) = Buyer::place(draft(id, traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&rows).unwrap();
    let nothing_but_outstanding = Warm { now: NOW, departs_before: NOW, bytes_max: 0 };
    let warm = || stand.warm_orders(nothing_but_outstanding).unwrap().len();
    let back = |buyer: &Buyer| {
        let machine = Order::from_rows(&stand.order(id).unwrap().unwrap(), NOW).unwrap();
        assert_eq!(machine.payments(), buyer.order.payments());
        assert_eq!(machine.ledger(), buyer.order.ledger());
        let refunds = machine.refunds().iter().zip(buyer.order.refunds());
        for (found, expected) in refunds {
            assert_eq!((&found.state, &found.body), (&expected.state, &expected.body));
            assert_eq!((found.due_at, found.begun_at), (expected.due_at, expected.begun_at));
            assert_eq!(found.replaces, expected.replaces);
        }
        (machine.refunds().len(), machine.status())
    };

    stand.project(&buyer.pay_too_late(NOW.plus_seconds(30))).unwrap();
    assert_eq!(back(&buyer), (1, OrderStatus::Cancelled));
    assert_eq!(warm(), 1, "money is on its way: whoever starts an engine has to load it");

    let now = DEPARTS_AT.plus_seconds(60);
    buyer.tell(Command::Wake, now);
    let number = buyer.order.refunds()[0].number;
    stand.project(&buyer.tell(back::Command::BeginRefund { number, body: b"{}".as_slice().into() }, now)).unwrap();
    back(&buyer);
    let refused = back::Command::RefundRefused { number, code: "NOT_ENOUGH".into() };
    stand.project(&buyer.tell(refused, now)).unwrap();
    back(&buyer);
    stand.project(&buyer.refund_is(RefundStatus::Closed, now)).unwrap();
    assert_eq!(back(&buyer).0, 2, "it goes on under another number");
    let total = "SELECT string_agg(concat_ws(' ', out_refund_no LIKE '%R1', state, amount_minor), ', ' \
                 ORDER BY out_refund_no) FROM refunds";
    assert_eq!(stand.ask::<String>(total), "t closed 55000, f due 55000");
}

#[test]
fn d2_a_closed_refund_is_listed_until_another_one_says_that_it_replaces_it() {
    let stand = Stand::new();
    let (mut buyer, rows) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&rows).unwrap();
    let due = buyer.pay_too_late(NOW.plus_seconds(30));
    stand.project(&due).unwrap();
    let listed = || {
        let refunds = stand.runtime.block_on(stand.lists.refunds_of(traveller(1), None, 9)).unwrap();
        refunds.iter().map(|refund| refund.number.number).collect::<Vec<_>>()
    };
    assert_eq!(listed(), [1]);

    let whole: RefundRow<'_> = due.of().next().unwrap().unwrap();
    let number = |number| OutRefundNo { order: order_id(1), number };
    let written = |version, closed_minor, others: &[(u16, i64, Option<u16>)]| {
        let mut rows = Rows::default();
        let amount_minor = closed_minor;
        rows.put(&RefundRow { version, state: "closed", refund_id: Some("50000"), amount_minor, ..whole.clone() });
        for (other, amount_minor, replaced) in others.iter().copied() {
            let (out_refund_no, replaces) = (number(other), replaced.map(number));
            rows.put(&RefundRow { out_refund_no, version, amount_minor, replaces, ..whole.clone() });
        }
        stand.project(&rows).unwrap();
    };
    written(101, 55_000, &[(2, 55_000, None)]);
    assert_eq!(listed(), [2], "as rows were before they said so: the whole payment under another number");
    written(102, 15_000, &[(2, 40_000, None)]);
    assert_eq!(listed(), [2, 1], "another part of the payment is other money");
    written(103, 15_000, &[(2, 40_000, None), (3, 15_000, Some(1))]);
    assert_eq!(listed(), [3, 2]);
}

#[test]
fn a_departure_comes_back_with_its_live_holds_and_the_newest_version_of_its_key() {
    let stand = Stand::new();
    let id = "HKMO-0800.20261127";
    let mut coach = Coach::new(id, 3);
    let load = || {
        let one = stand.departure(id).unwrap().unwrap();
        let all = stand.departures_after(NOW).unwrap();
        let later = stand.departures_after(DEPARTS_AT.plus_seconds(60)).unwrap();
        assert_eq!((all.len(), later.len()), (1, 0));
        (one, all.into_iter().next().unwrap())
    };
    assert!(stand.departure(id).unwrap().is_none(), "unborn");

    let mut rows = Rows::default();
    for number in 0..5 {
        rows.extend(&coach.tell(&place(number, NOW), NOW));
    }
    stand.project(&rows).unwrap();
    rows.extend(&coach.tell(&confirm(0), NOW));
    rows.extend(&coach.tell(&allot("klook", 2), NOW));
    rows.extend(&coach.tell(&release(1), NOW));
    rows.extend(&coach.tell(&inventory::Command::Expire, NOW.plus_seconds(601)));
    stand.project(&rows).unwrap();

    let (one, bulk) = load();
    for stored in [&one, &bulk] {
        assert_eq!(newest_version(stored).unwrap(), coach.version);
        let at = NOW.plus_seconds(601);
        let machine = Inventory::from_rows(stored, at).unwrap();
        assert_eq!(machine.spec(), coach.machine.spec());
        assert_eq!(machine.hold(hold(0)), coach.machine.hold(hold(0)));
        assert_eq!(machine.holds().count(), 1);
        for seat in 0..machine.spec().seat_map.seats.len() as u16 {
            assert_eq!(machine.channel_of(seat), coach.machine.channel_of(seat));
        }
    }
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM holds WHERE state = 'expired'"), 3);
    // A hold given back before its time would be placed again by a late message, had it been forgotten.
    let holds: Vec<HoldRow<'_>> = bulk.all().unwrap();
    assert!(holds.iter().any(|row| row.order_id.0 == hold(1).order && row.state == "released"));
    assert!(!holds.iter().any(|row| row.state == "expired"));
}

#[test]
fn d16_every_epoch_of_a_hold_is_a_row_and_the_last_one_counts() {
    let stand = Stand::new();
    let id = "HKMO-0800.20261127";
    let mut coach = Coach::new(id, 3);
    stand.project(&coach.tell(&place(1, NOW), NOW)).unwrap();
    // Its money comes a quarter of an hour later, when the hold's time is over and no timer has run.
    let late = NOW.plus_seconds(900);
    stand.project(&coach.tell(&place_as(1, 2, late), late)).unwrap();

    let said = "SELECT string_agg(concat_ws(' ', epoch, state), ', ' ORDER BY epoch) FROM holds";
    assert_eq!(stand.ask::<String>(said), "1 expired, 2 held");
    for stored in [stand.departure(id).unwrap().unwrap(), stand.departures_after(NOW).unwrap().remove(0)] {
        let woken = Inventory::from_rows(&stored, late).unwrap();
        assert_eq!(woken.holds().collect::<Vec<_>>(), coach.machine.holds().collect::<Vec<_>>());
    }

    let over = late.plus_seconds(600);
    stand.project(&coach.tell(&inventory::Command::Expire, over)).unwrap();
    assert_eq!(stand.ask::<String>(said), "1 expired, 2 expired");
    let stored = stand.departure(id).unwrap().unwrap();
    assert_eq!(Inventory::from_rows(&stored, over).unwrap().holds().count(), 0);
    assert_eq!(newest_version(&stored).unwrap(), coach.version);
}

#[test]
fn a_batch_is_projected_once_and_an_older_image_changes_nothing() {
    let stand = Stand::new();
    let (mut buyer, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    let paid = buyer.pay(NOW.plus_seconds(30));
    stand.project(&placed).unwrap();

    // The same batch again: its position is past, and the newer rows it carries are not written.
    let project =
        |rows: &Rows, from, to| stand.runtime.block_on(stand.store.project(rows, Position(from), Position(to)));
    let again = project(&paid, 0, 1);
    assert!(matches!(again, Err(StoreError::Fenced(_))), "{again:?}");
    assert_eq!(stand.ask::<String>("SELECT status FROM orders"), "pending");

    // Both images in one batch, the newer one first: one row, the newer one.
    let mut both = paid.clone();
    both.extend(&placed);
    assert_eq!(count::<OrderRow<'_>>(&both), 3, "payment begun, paid, and placed last");
    project(&both, 1, 9).unwrap();
    assert_eq!(stand.ask::<String>("SELECT status FROM orders"), "paid");

    // The older one in a later batch.
    project(&placed, 9, 10).unwrap();
    assert_eq!(stand.ask::<String>("SELECT status FROM orders"), "paid");
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 10);
}

#[test]
fn a_server_whose_epoch_was_taken_writes_nothing_any_more() {
    let stand = Stand::new();
    let (mut buyer, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    stand.project(&placed).unwrap();

    let successor = stand.runtime.block_on(open(&stand.database, stand.journal_id));
    let paid = buyer.pay(NOW.plus_seconds(30));
    let late = stand.project(&paid);
    assert!(matches!(late, Err(StoreError::Fenced(_))), "{late:?}");
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM tickets"), 0);

    stand.runtime.block_on(successor.project(&paid, Position(1), Position(2))).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM tickets"), 3);
}

/// What is wrong, and how to make it so.
type Spoilt = (&'static str, fn(&Rows) -> Rows);

#[test]
fn what_postgres_cannot_store_stops_the_projection_and_leaves_the_position() {
    let stand = Stand::new();
    let (_, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    let spoilt: [Spoilt; 5] = [
        ("NUL in a text", |rows| each(rows, |row| OrderRow { contact_name: "a\0b", ..row })),
        ("NUL in JSON", |rows| {
            let mut lines = rows.of::<OrderRow<'_>>().next().unwrap().unwrap().price_lines.to_vec();
            lines[0].explanation = "a\0b".into();
            each(rows, |row| OrderRow { price_lines: List::Of(&lines), ..row })
        }),
        ("version", |rows| each(rows, |row| OrderRow { version: u64::MAX, ..row })),
        ("number", |rows| each(rows, |row| OrderRow { seat_epoch: Some(u32::MAX), ..row })),
        ("instant", |rows| each(rows, |row| OrderRow { created_at: Timestamp::from_ms(i64::MAX), ..row })),
    ];
    for (what, spoil) in spoilt {
        let refused = stand.project(&spoil(&placed));
        assert!(matches!(refused, Err(StoreError::Data(_))), "{what}: {refused:?}");
        assert!(!format!("{refused:?}").contains("+8529"), "no phone number in an error");
    }
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 0);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM orders"), 0);
    stand.project(&placed).unwrap();
}

#[test]
fn lists_show_a_travellers_own_newest_first_page_by_page() {
    let stand = Stand::new();
    let mut rows = Rows::default();
    for number in 1..=5 {
        let (mut buyer, placed) = Buyer::place(draft(order_id(number), traveller(1), "HKMO-0800.20261127"), NOW);
        rows.extend(&placed);
        if number % 2 == 1 {
            rows.extend(&buyer.pay(NOW.plus_seconds(30)));
        }
    }
    rows.extend(&Buyer::place(draft(order_id(6), traveller(2), "HKMO-0800.20261127"), NOW).1);
    stand.project(&rows).unwrap();

    let orders = |status, before: Option<u64>, limit| {
        let list = stand.lists.orders_of(traveller(1), status, before.map(order_id), limit);
        let orders = stand.runtime.block_on(list).unwrap();
        let id = |rows: &Rows| rows.of::<OrderRow<'_>>().next().unwrap().unwrap().order_id.0;
        orders.iter().map(id).collect::<Vec<OrderId>>()
    };
    assert_eq!(orders(None, None, 2), [order_id(5), order_id(4)]);
    assert_eq!(orders(None, Some(4), 2), [order_id(3), order_id(2)]);
    assert_eq!(orders(None, Some(2), 2), [order_id(1)]);
    assert_eq!(orders(Some(OrderStatus::Pending), None, 9), [order_id(4), order_id(2)]);

    let first = stand.runtime.block_on(stand.lists.orders_of(traveller(1), None, None, 1)).unwrap();
    let shown = Order::from_rows(&first[0], NOW).expect("enough for a view of the order");
    assert_eq!((shown.items().len(), shown.details().passengers.len(), shown.tickets().len()), (1, 3, 3));

    let page = |of, status, before, limit| {
        stand.runtime.block_on(stand.lists.tickets_of(traveller(of), status, before, limit)).unwrap()
    };
    let ticket = |order, number| TicketId { order: order_id(order), number };
    let first = page(1, None, None, 4);
    assert_eq!(first.tickets, [ticket(5, 1), ticket(5, 2), ticket(5, 3), ticket(3, 1)]);
    assert_eq!(first.orders.iter().map(count::<TicketRow<'_>>).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(page(1, None, Some(ticket(3, 1)), 3).tickets, [ticket(3, 2), ticket(3, 3), ticket(1, 1)]);
    let beyond = page(1, None, Some(ticket(1, 3)), 3);
    assert_eq!((beyond.tickets.len(), beyond.orders.len()), (0, 0));
    assert_eq!(page(1, Some(TicketStatus::Used), None, 3).tickets, []);
    assert_eq!(page(2, None, None, 3).tickets, [], "R-TICKET-08: nobody else's");
}
