//! From the wish to held seats, and unpaid orders (R-HOLD).

use crate::order::draft::At;
use crate::order::tests::*;

#[test]
fn r_hold_01_an_order_is_placed_once_its_departure_holds_the_seats() {
    let mut story = Story::drafted(1, 2, FARE);
    let (hold, expires_at) = (story.order.hold(0), at(600));
    assert_eq!(
        story.effect(),
        Effect::PlaceHold { claim: 0, hold, epoch: FIRST_EPOCH, wish: SeatWish::Any, expires_at }
    );
    assert!(!story.order.is_placed());

    let events = story.hold_answers(Ok(seats(0, 2)));
    assert_eq!(events, [sale::Event::HoldPlaced { claim: 0, seats: seats(0, 2) }.into(), sale::Event::Placed.into()]);
    assert!(story.order.is_placed());
    assert_eq!(story.order.status(), OrderStatus::Pending);
    assert_eq!(story.order.items()[0].leg().unwrap().seats, seats(0, 2));
    assert_eq!((story.order.effect(), story.order.next_deadline()), (None, Some(at(600))));

    let (rows, row) = (story.stored.rows(), story.stored.rows());
    let row: OrderRow<'_> = row.only().unwrap();
    assert_eq!((rows.images().count(), row.items.to_vec().len(), row.passengers.to_vec().len()), (1, 1, 2));
}

#[test]
fn r_hold_02_two_items_are_held_one_after_the_other_and_nothing_is_recorded_before_both_are() {
    let mut story = Story::drafted(2, 1, FARE);
    story.hold_answers(Ok(seats(0, 1)));
    assert_eq!(story.version, 0);
    assert!(matches!(story.effect(), Effect::PlaceHold { claim: 1, .. }));
    story.hold_answers(Ok(seats(1, 1)));
    assert_eq!(story.version, 1);
    assert!(story.order.is_placed());
}

#[test]
fn r_hold_02_when_the_second_departure_refuses_the_first_ones_seats_are_given_back() {
    let mut story = Story::drafted(2, 1, FARE);
    story.hold_answers(Ok(seats(0, 1)));
    let sold_out = Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 };
    story.hold_refuses(sold_out.clone());
    assert_eq!(story.order.refusal(), None, "not before the seats are back");
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));

    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.refusal(), Some(&StepFailure::Refused(sold_out)));
    assert_eq!((story.order.effect(), story.order.next_deadline()), (None, None));
    assert_eq!(story.version, 0, "the order never existed");
    assert_eq!(story.tell(sale::Command::Cancel), Err(Rejection::OrderNotFound));
}

/// The second of two journeys is reserved until an instant.
fn adopting(until: Timestamp) -> (Story, SeatWish) {
    let reservation = HoldId { order: OrderId::compose(START, Shard::of(3), 99), item: 0 };
    let wish = SeatWish::Reserved { reservation, until };
    let mut draft = draft(2, 2, FARE);
    draft.items[1] = item(Leg { wish: wish.clone(), ..leg(1) });
    assert_eq!(draft.adopts().collect::<Vec<_>>(), [reservation]);
    let mut story = Story::drafted(2, 2, FARE);
    story.order = Order::draft(draft, START);
    (story, wish)
}

#[test]
fn r_hold_07_an_order_has_the_time_that_is_left_of_the_reservation_it_adopts() {
    let (mut story, wish) = adopting(at(250).plus_ms(50));
    let expires_at = at(250).plus_ms(50);
    assert_eq!(story.order.lock_expires_at(), expires_at, "the earliest of its claims' ends");
    assert!(matches!(story.effect(), Effect::PlaceHold { claim: 0, expires_at: end, .. } if end == expires_at));
    story.hold_answers(Ok(seats(0, 2)));
    let Effect::PlaceHold { claim: 1, wish: asked, expires_at: end, .. } = story.effect() else { panic!("adopts") };
    assert_eq!((asked, end), (wish, expires_at));

    story.hold_answers(Ok(seats(1, 2)));

    assert_eq!((story.order.is_placed(), story.order.next_deadline()), (true, Some(expires_at)));
    assert_eq!(
        story.order.items()[1].leg().unwrap().wish,
        SeatWish::Chosen(seats(1, 2)),
        "these are the seats it wants"
    );
    let before = story.order.clone();
    story.restart();
    assert_eq!(story.order.lock_expires_at(), before.lock_expires_at());
    assert_eq!(story.order.items(), before.items());

    let (later, _) = adopting(at(i64::from(LOCK_SECONDS) + 1));
    assert_eq!(later.order.lock_expires_at(), at(i64::from(LOCK_SECONDS)), "the order's own lock ends before");
}

#[test]
fn r_hold_07_an_order_of_a_reservation_that_has_ended_gives_back_what_it_held() {
    for refused in [Rejection::HoldExpired, Rejection::ReservationEnded] {
        let (mut story, _) = adopting(at(250));
        story.hold_answers(Ok(seats(0, 2)));
        story.hold_refuses(refused.clone());
        assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));
        story.hold_answers(Ok(vec![]));
        assert_eq!(story.order.refusal(), Some(&StepFailure::Refused(refused)));
    }
}

#[test]
fn r_hold_10_what_one_departure_says_again_is_not_taken_for_the_answer_of_the_next() {
    let again = |effect: &Effect| Command::HoldAnswered(effect.hold_answer(Ok(seats(0, 1))).unwrap());
    let mut story = Story::drafted(2, 1, FARE);
    let first = story.effect();
    story.hold_answers(Ok(seats(0, 1)));
    story.ignores(again(&first));
    assert!(!story.order.is_placed(), "the second one holds nothing");
    story.holds_agree();

    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    story.ok(paid(1));
    let first = story.effect();
    assert!(matches!(first, Effect::ConfirmHold { claim: 0, .. }), "{first:?}");
    story.hold_answers(Ok(vec![]));
    story.ignores(again(&first));
    assert_eq!(story.order.status(), OrderStatus::Pending, "the second one has confirmed nothing");
    story.holds_agree();
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Paid, 2));
}

#[test]
fn r_hold_02_what_a_departure_finds_wrong_is_named_with_the_item_of_the_request() {
    let (there, back) = (At::Included { item: 2, journey: 1 }, At::Item(0));
    for (asked, named) in [
        (vec![], "items[1].seatNumbers"),
        (vec![there, back], "items[0].seatNumbers"),
        (vec![back, there], "items[2].journeys[1].seatNumbers"),
    ] {
        let mut story = Story::drafted(2, 1, FARE);
        story.order = Order::draft(Draft { asked, ..draft(2, 1, FARE) }, START);
        story.hold_answers(Ok(seats(0, 1)));
        story.hold_refuses(Rejection::field("seatNumbers", "names a seat that this departure lacks"));
        story.hold_answers(Ok(vec![]));
        let named = Rejection::field(named, "names a seat that this departure lacks");
        assert_eq!(story.order.refusal(), Some(&StepFailure::Refused(named)));
    }
}

#[test]
fn r_hold_02_a_departure_that_gave_no_answer_may_hold_seats_and_is_told_to_give_them_back_too() {
    let mut story = Story::drafted(2, 1, FARE);
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_unavailable();
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 1, .. }));
    story.hold_unavailable();
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));
    story.hold_refuses(Rejection::HoldNotFound);
    assert_eq!(story.order.refusal(), Some(&StepFailure::Unavailable));
}

#[test]
fn r_hold_02_a_late_yes_to_a_hold_that_is_being_given_back_is_not_taken_for_the_answer() {
    let mut story = Story::drafted(1, 1, FARE);
    let asked = story.effect();
    story.hold_unavailable();
    story.ignores(Command::HoldAnswered(asked.hold_answer(Ok(seats(0, 1))).unwrap()));
    assert_eq!(story.order.refusal(), None);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.refusal(), Some(&StepFailure::Unavailable));
}

#[test]
fn r_price_01_an_order_that_costs_nothing_is_paid_at_once() {
    let mut story = Story::drafted(1, 2, 0);
    story.hold_answers(Ok(seats(0, 2)));
    assert!(matches!(story.effect(), Effect::ConfirmHold { claim: 0, .. }));
    assert_eq!(story.order.payment_terms(&POLICY, story.now), Err(Rejection::OrderNotPayable));
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!(story.order.tickets().len(), 2);
    assert_eq!((story.ledger(), story.order.payments().len()), (vec![], 0));
}

#[test]
fn r_price_01_an_order_that_costs_nothing_is_cancelled_when_its_seats_are_lost_before_they_are_confirmed() {
    let mut story = Story::drafted(1, 1, 0);
    story.hold_answers(Ok(seats(0, 1)));
    story.now = at(601);
    story.hold_refuses(Rejection::HoldExpired);
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::SeatsLost);
    assert_eq!(story.ledger(), vec![]);
}

#[test]
fn r_hold_03_an_unpaid_order_ends_with_its_lock_and_not_before() {
    let mut story = Story::placed();
    assert_eq!(story.wake_at(599), vec![]);
    let events = story.wake_at(600);
    assert_eq!(events, [sale::Event::Cancelled { at: at(600), why: CancelReason::Expired }.into()]);
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
    assert_eq!(story.order.effect(), None, "the departure freed the seats at the same instant by itself");
    assert_eq!(story.order.next_deadline(), None);
    story.ignores(Command::Wake);
    story.ignores(sale::Command::Cancel);
}

#[test]
fn r_hold_03_an_expired_order_cannot_be_paid_even_if_the_timer_is_late() {
    let mut story = Story::placed();
    let terms = story.order.payment_terms(&POLICY, at(599)).unwrap();
    story.now = at(600);
    assert_eq!(story.begin_payment(), Err(Rejection::OrderNotPayable));
    let begin = collect::Command::Begin { terms, body: body(1) };
    assert_eq!(story.tell(begin), Err(Rejection::OrderNotPayable));
}

#[test]
fn r_hold_03_a_cancelled_order_gives_every_seat_back_before_it_says_so() {
    let mut story = Story::placed_with(2, 1);
    story.now = at(30);
    story.ok(sale::Command::Cancel);
    assert_eq!(story.order.status(), OrderStatus::Pending);
    story.ignores(sale::Command::Cancel);
    story.hold_answers(Ok(vec![]));
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 1, .. }));
    story.hold_refuses(Rejection::HoldExpired);
    assert_eq!(story.cancelled_why(), CancelReason::Traveller);
    assert_eq!(story.stored.rows().all::<OrderRow<'_>>().unwrap()[0].cancel_reason, Some(CancelReason::Traveller));
}

#[test]
fn a_departure_that_cannot_be_reached_is_asked_again_with_growing_pauses() {
    let mut story = Story::placed();
    story.ok(sale::Command::Cancel);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = story.now;
        story.hold_unavailable();
        assert_eq!(story.order.effect(), None, "not at once");
        story.wake_when_due();
        pauses.push(story.now.ms_since(before));
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.cancelled_why(), CancelReason::Traveller);
}

#[test]
fn r_price_01_the_shares_of_the_tickets_are_the_price_to_the_cent() {
    let line = |item, passenger, count, total_minor| {
        let priced = draft(1, 1, total_minor).price.lines.remove(0);
        let kind = LineKind::Journey { passenger, class: "STD".parse().unwrap() };
        PriceLine { item, kind, count, total_minor, ..priced }
    };
    // An adult and three children: the children's part of a reduced price does not split evenly.
    let mut wish = draft(2, 4, 10_000);
    wish.price.lines = vec![
        line(0, PassengerType::Adult, 1, 3_334),
        line(0, PassengerType::Child, 3, 2_666),
        line(1, PassengerType::Adult, 1, 2_000),
        line(1, PassengerType::Child, 3, 2_000),
    ];
    let mut story = Story::drafted(2, 4, 10_000);
    story.order = Order::draft(wish, START);
    story.holds_agree();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    story.ok(paid_amount(1, cny(10_000)));
    story.holds_agree();
    for restarted in [false, true] {
        if restarted {
            story.restart();
        }
        let shares: Vec<i64> = story.order.tickets().iter().map(|ticket| ticket.price_minor).collect();
        assert_eq!(shares, [3_334, 889, 889, 888, 2_000, 667, 667, 666]);
        assert_eq!(shares.iter().sum::<i64>(), 10_000);
    }
}
