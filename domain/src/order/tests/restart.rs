//! What was under way is derived from the rows and done again (architecture rules 3, 14, 16, 17).

use super::*;
use crate::departure::Channel;
use crate::refund_rule::RuleRevision;
use crate::row::Raw;
use crate::row::tests::altered;

#[test]
fn an_open_order_waits_on_and_expires() {
    let mut story = Story::placed_with(2, 2);
    story.restart();
    assert_eq!((story.order.effect(), story.order.next_deadline()), (None, Some(at(600))));
    story.wake_at(600);
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn r_price_01_an_order_that_costs_nothing_is_confirmed_after_all() {
    let mut story = Story::drafted(2, 1, 0);
    story.holds_agree();
    let paid = story.order.clone();
    let mut story = Story::drafted(2, 1, 0);
    for item in 0..2 {
        story.hold_answers(Ok(seats(item, 1)));
    }
    story.hold_answers(Ok(vec![]));
    story.restart();
    assert!(matches!(story.effect(), Effect::ConfirmHold { claim: 0, .. }), "a confirmed seat never leaks");
    story.holds_agree();
    assert_eq!(story.order, paid);
}

#[test]
fn r1_a_payment_begun_is_created_with_the_recorded_bytes() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.restart();
    assert!(matches!(story.effect(), Effect::BeginPaying { claim: 0, .. }));
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.effect(), Effect::CreatePayment { number: number(1), body: body(1) });
    story.create_succeeds();
}

#[test]
fn r1_a_create_refused_after_a_restart_may_have_been_made_before_it() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.restart();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
}

#[test]
fn r3_a_begun_payment_cancelled_after_a_restart_is_asked_about_until_its_create_window_is_over() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.now = at(20);
    story.restart();
    story.cancel_with_payment();
    story.now = at(79);
    story.ok(fact(1, FactState::NotFound));
    assert_eq!(story.order.effect(), None);
    story.wake_when_due();
    story.now = at(80);
    story.ok(fact(1, FactState::NotFound));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Traveller);
}

#[test]
fn r_pay_05_a_live_payment_is_queried_at_once_and_missed_look_ups_are_not_made_up_for() {
    let mut story = Story::payable();
    story.now = at(200);
    story.restart();
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(fact(1, FactState::NotPaid));
    assert_eq!((story.order.effect(), story.order.next_deadline()), (None, Some(at(300))));
}

#[test]
fn rule_17_a_payment_whose_time_passed_meanwhile_is_ended_not_created_again() {
    for created in [false, true] {
        let mut story = Story::placed();
        story.begin_payment().unwrap();
        story.holds_agree();
        if created {
            story.create_succeeds();
        }
        story.now = at(5_000);
        story.restart();
        assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
        story.ok(paid(1));
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid, "it was paid while we were away");
    }
}

#[test]
fn seats_lost_found_after_a_restart_still_ask_wechat_first() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.restart();
    story.hold_refuses(Rejection::HoldExpired);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
}

#[test]
fn an_end_that_was_under_way_is_gone_through_again() {
    let mut story = Story::payable_with(2, 1);
    story.wake_at(600);
    story.ok(fact(1, FactState::NotPaid));
    story.ok(close_answered(1));
    story.ok(fact(1, FactState::Closed));
    story.hold_answers(Ok(vec![]));
    story.restart();
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(fact(1, FactState::Closed));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn money_that_was_being_settled_is_found_by_the_query_and_settled() {
    let mut story = Story::payable_with(2, 1);
    story.ok(paid(1));
    story.hold_answers(Ok(vec![]));
    story.restart();
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(paid(1));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!(story.order.tickets().len(), 2);
}

#[test]
fn an_order_without_work_is_the_same_after_a_restart() {
    let mut refused = Story::placed();
    refused.begin_payment().unwrap();
    refused.holds_agree();
    refused.ok(collect::Command::CreateCalled);
    refused.ok(create_refused(1, false));
    let mut cancelled = Story::payable();
    cancelled.cancel_with_payment();
    cancelled.ok(fact(1, FactState::Closed));
    cancelled.holds_agree();
    cancelled.ok(paid(1));
    let mut scanned = Story::paid_with(2, 3);
    scanned.ok(ticket::Command::Scan(scan(1, "r1", ScanTarget::Order)));
    for mut story in [Story::placed_with(2, 3), refused, cancelled, Story::paid_with(3, 2), scanned] {
        let before = story.order.clone();
        story.restart();
        assert_eq!(random::without_volatile(story.order), random::without_volatile(before));
    }
}

#[test]
fn r_hold_06_chosen_seats_are_still_the_chosen_ones_after_a_restart() {
    let mut wish = draft(1, 2, FARE);
    wish.items[0] = item(Leg { wish: SeatWish::Chosen(seats(0, 2)), ..leg(0) });
    let mut story = Story::drafted(1, 2, FARE);
    story.order = Order::draft(wish, START);
    story.holds_agree();
    let before = story.order.clone();
    story.restart();
    assert_eq!(story.order, before);
}

#[test]
fn r_after_05_an_item_keeps_the_revision_of_the_rule_that_it_was_sold_under() {
    let mut wish = draft(2, 1, FARE);
    let sold_under = RuleRevision { rule: "standard".parse().unwrap(), revision: 3 };
    wish.items[1].refund_rule = Some(sold_under.clone());
    let mut story = Story::drafted(2, 1, FARE);
    story.order = Order::draft(wish, START);
    story.holds_agree();
    story.restart();
    let rules: Vec<_> = story.order.items().iter().map(|item| item.refund_rule.clone()).collect();
    assert_eq!(rules, [None, Some(sold_under)]);
}

/// Spoils one thing about stored rows.
type Spoiling = (&'static Table, &'static str, Option<Raw<'static>>);

#[test]
fn damaged_rows_are_named_never_guessed() {
    let mut story = Story::paid_with(1, 1);
    story.ok(ticket::Command::Scan(scan(1, "r1", ScanTarget::Order)));
    let stored = story.stored.rows();
    let text = |text: &'static str| Some(Raw::Text(text.as_bytes()));
    let spoilings: [Spoiling; 6] = [
        (OrderRow::TABLE, "status", text("lost")),
        (OrderRow::TABLE, "body_hash", Some(Raw::Text(&[5; 31]))),
        (OrderRow::TABLE, "items", text("lost")),
        (PaymentRow::TABLE, "transaction_id", None),
        (TicketRow::TABLE, "status", text("Usable")),
        (LedgerRow::TABLE, "currency", text("XYZ")),
    ];
    let unknown = (ScanRow::TABLE, "ticket", Some(Raw::Number(9)));
    for (table, column, value) in spoilings.into_iter().chain([unknown]) {
        let mut rows = Rows::default();
        for (slot, image) in stored.images() {
            if slot == table.slot {
                rows.put_image(slot, &altered(table, image, column, value));
            } else {
                rows.put_image(slot, image);
            }
        }
        let damage = Order::from_rows(&rows, START).unwrap_err();
        assert_eq!(damage.table, table.name, "{column}");
    }

    let (mut twice, mut none) = (stored.clone(), Rows::default());
    for (slot, image) in stored.images() {
        if slot == OrderRow::TABLE.slot {
            twice.put_image(slot, image);
        } else {
            none.put_image(slot, image);
        }
    }
    assert!(Order::from_rows(&twice, START).is_err() && Order::from_rows(&none, START).is_err());
}

#[test]
fn an_item_of_a_kind_that_is_not_known_is_damage() {
    let mut rows = Rows::default();
    for (slot, image) in Story::placed().stored.rows().images() {
        let known = ItemName::Journey.code().as_bytes();
        let place = image.windows(known.len()).position(|bytes| bytes == known).expect("an item says what it is");
        let mut image = image.to_vec();
        image[place..place + known.len()].copy_from_slice(b"voyages");
        rows.put_image(slot, &image);
    }
    let damage = Order::from_rows(&rows, START).unwrap_err();
    assert_eq!((damage.table, &*damage.what), (OrderRow::TABLE.name, "items cannot be read"));
}

#[test]
fn r_admin_04_an_order_keeps_the_channel_that_sold_it_and_no_channel_is_our_own() {
    for (channel, written) in [(Channel::Direct, None), (Channel::Ota("trip".into()), Some("ota:trip"))] {
        let mut story = Story::drafted(1, 1, FARE);
        story.order = Order::draft(Draft { channel: channel.clone(), ..draft(1, 1, FARE) }, START);
        story.holds_agree();
        let rows = story.stored.rows();
        let row: OrderRow<'_> = rows.only().unwrap();
        assert_eq!(row.channel.map(|channel| channel.to_string()).as_deref(), written);
        story.restart();
        assert_eq!(story.order.details().channel, channel);
    }
}

#[test]
fn r_price_01_tickets_of_two_classes_on_one_departure_keep_their_items_and_shares_also_when_no_row_says_them() {
    let mut wish = draft(2, 1, FARE);
    wish.items[1] = item(Leg { class: "DLX".parse().unwrap(), ..leg(0) });
    let line = wish.price.lines.remove(0);
    let priced = |item: u16, total_minor| PriceLine { item, total_minor, ..line.clone() };
    wish.price.lines = vec![priced(0, 9_000), priced(1, FARE - 9_000)];
    let mut story = Story::drafted(2, 1, FARE);
    story.order = Order::draft(wish, START);
    story.holds_agree();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    story.ok(paid(1));
    story.holds_agree();

    let mut rows = Rows::default();
    for (slot, image) in story.stored.rows().images() {
        if slot == TicketRow::TABLE.slot {
            rows.put_image(slot, &altered(TicketRow::TABLE, image, "price_minor", None));
        } else {
            rows.put_image(slot, image);
        }
    }
    let woken = Order::from_rows(&rows, story.now).unwrap();
    assert_eq!(woken.tickets(), story.order.tickets());
    let shares: Vec<_> = woken.tickets().iter().map(|ticket| (ticket.item, ticket.price_minor)).collect();
    assert_eq!(shares, [(0, 9_000), (1, FARE - 9_000)]);
}

#[test]
fn r_admin_11_people_are_not_told_that_nothing_was_bought_by_an_image_that_leaves_it_as_it_was() {
    let shown = |rows: &Rows| {
        let image = rows.images_of(OrderRow::TABLE).next().unwrap();
        OrderRow::TABLE.to_json(image).unwrap()
    };
    let story = Story::placed();
    assert!(shown(&story.stored.rows()).contains("\"items\":[{\"kind\":\"journey\""));
    let cancelled = sale::Event::Cancelled { at: START, why: CancelReason::Traveller };
    let rows = story.order.clone().apply(&[cancelled.into()], 2);
    assert!(!shown(&rows).contains("items"), "{}", shown(&rows));
}
