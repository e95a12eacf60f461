//! Money that comes after the end (R-PAY-04): the same seats, equal seats on the same departure, or the money back.

use crate::order::tests::*;

fn seat_taken() -> Rejection {
    Rejection::SeatTaken { seat: "0A".to_owned() }
}

fn sold_out() -> Rejection {
    Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 }
}

fn paid_then(attempt: u16, seconds: i64) -> Command {
    fact(attempt, FactState::Paid(Capture { paid_at: Some(at(seconds)), ..capture(attempt) }))
}

/// WeChat has refused the first attempt.
fn refused_once() -> Story {
    let mut story = Story::placed();
    story.create_is_refused(1);
    story
}

#[test]
fn r_pay_04_seats_that_are_still_free_revive_the_order() {
    let mut story = Story::cancelled_with(2, 2);
    story.now = at(700);
    story.ok(paid(1));
    assert!(!story.order.has_unrecorded_money(), "the notice can be acknowledged");
    assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: FARE, refunded: 0 });

    let wish = SeatWish::Chosen(seats(0, 2));
    let (hold, expires_at) = (story.order.hold(0), at(700 + 3_600));
    assert_eq!(story.effect(), Effect::PlaceHold { claim: 0, hold, epoch: 2, wish, expires_at });
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!((story.order.tickets().len(), story.order.cancelled()), (4, None));
    assert_eq!(story.payment_state(1), &PaymentState::Paid { transaction_id: "420001".into() });
    assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: 0, refunded: 0 });
    assert!(story.order.is_settled());
    story.ignores(paid(1));
}

#[test]
fn r_pay_04_equal_seats_are_as_good_when_the_same_ones_are_gone() {
    let mut story = Story::cancelled_with(2, 1);
    story.now = at(700);
    story.ok(paid(1));
    story.hold_refuses(seat_taken());
    assert!(matches!(story.effect(), Effect::PlaceHold { claim: 0, wish: SeatWish::Any, epoch: 2, .. }));
    story.hold_answers(Ok(vec!["9F".into()]));
    let Effect::PlaceHold { claim: 1, wish, .. } = story.effect() else { panic!("{:?}", story.effect()) };
    assert_eq!(wish, SeatWish::Chosen(seats(1, 1)), "the other journey's own seats are tried first again");
    story.holds_agree();
    let Right::Journey(journey) = &story.order.tickets()[0].right else { panic!("a journey's ticket") };
    assert_eq!((&*journey.seat, &*story.order.items()[0].leg().unwrap().seats), ("9F", &["9F".into()][..]));
    let rows = story.stored.rows();
    assert_eq!(rows.only::<OrderRow<'_>>().unwrap().items.to_vec(), story.order.items());
}

#[test]
fn r_pay_04_without_seats_everything_found_is_given_back_and_one_refund_is_due() {
    let mut story = Story::cancelled_with(2, 1);
    story.now = at(700);
    story.ok(paid(1));
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_refuses(seat_taken());
    story.hold_refuses(sold_out());
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, epoch: 2, .. }));
    assert_eq!(story.order.refunds(), []);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.refunds().len(), 1);
    let refund = &story.order.refunds()[0];
    assert_eq!((refund.number, refund.payment, refund.amount), (refund_number(1), number(1), cny(FARE)));
    assert_eq!((refund.reason, &refund.state), (RefundReason::Late, &RefundState::Due));
    assert_eq!(story.order.status(), OrderStatus::Cancelled);
    assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: FARE, refunded: 0 });
    story.ignores(paid(1));
}

#[test]
fn r_pay_04_seats_that_cannot_be_confirmed_are_given_back_sold_or_not() {
    let mut story = Story::cancelled_with(3, 1);
    story.now = at(700);
    story.ok(paid(1));
    for item in 0..3 {
        story.hold_answers(Ok(seats(item, 1)));
    }
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(Rejection::HoldExpired);
    let mut given = Vec::new();
    while let Some(effect) = story.order.effect() {
        given.push(match effect {
            Effect::Free { claim: item, seats, epoch: 2, .. } => (item, seats),
            Effect::ReleaseHold { claim: item, epoch: 2, .. } => (item, vec![]),
            other => panic!("{other:?}"),
        });
        story.hold_answers(Ok(vec![]));
    }
    assert_eq!(given, [(2, vec![]), (1, vec![]), (0, seats(0, 1))]);
    assert_eq!(story.refund_state(1), &RefundState::Due);
}

#[test]
fn r_pay_04_after_the_departure_there_is_nothing_to_seek() {
    let mut story = Story::cancelled_with(2, 1);
    story.now = at(DEPARTS);
    story.ok(paid(1));
    assert_eq!(story.order.effect(), None);
    assert_eq!(story.refund_state(1), &RefundState::Due, "in the same record");
}

#[test]
fn d5_an_order_whose_departure_was_cancelled_is_not_brought_back_by_late_money() {
    let mut story = refused_once();
    story.begin_payment().unwrap();
    story.hold_refuses(Rejection::DepartureCancelled);
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::DepartureCancelled);

    for restarted in [false, true] {
        let mut story = story.clone();
        if restarted {
            story.restart();
        }
        story.now = at(700);
        story.ok(paid(1));
        assert_eq!((story.order.status(), story.order.effect()), (OrderStatus::Cancelled, None), "nothing is sought");
        assert_eq!(story.refund_state(1), &RefundState::Due, "in the same record");
        assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: FARE, refunded: 0 });
    }
}

#[test]
fn d5_money_that_comes_just_when_the_departure_is_cancelled_goes_back_without_asking_for_other_seats() {
    let mut story = Story::payable_with(2, 1);
    story.ok(paid(1));
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(Rejection::DepartureCancelled);
    assert!(matches!(story.effect(), Effect::Free { claim: 0, .. }));
    story.holds_agree();
    assert_eq!(story.order.cancelled().map(|(_, why)| why), Some(CancelReason::DepartureCancelled));
    assert_eq!(story.order.effect(), None);
    assert_eq!(story.refund_state(1), &RefundState::Due);
}

#[test]
fn d5_an_order_whose_late_money_went_back_is_not_brought_back_by_more_of_it() {
    let mut story = Story::payable_after_refusals(1);
    story.ok(sale::Command::Cancel);
    story.ok(fact(2, FactState::Closed));
    story.holds_agree();
    story.now = at(700);
    story.ok(paid(1));
    story.hold_refuses(seat_taken());
    story.hold_refuses(sold_out());
    assert_eq!(story.refund_state(1), &RefundState::Due, "the traveller is told so");

    // Meanwhile somebody has given seats back.
    story.now = at(800);
    story.ok(paid(2));
    assert_eq!((story.order.status(), story.order.effect()), (OrderStatus::Cancelled, None));
    assert_eq!(story.refund_state(2), &RefundState::Due);
    assert_eq!(story.order.balance(), Balance { captured: 2 * FARE, refund_due: 2 * FARE, refunded: 0 });
}

#[test]
fn r_pay_04_a_departure_that_left_while_nobody_could_go_on_is_not_sold() {
    let mut story = Story::cancelled_with(2, 1);
    story.now = at(700);
    story.ok(paid(1));
    for item in 0..2 {
        story.hold_answers(Ok(seats(item, 1)));
    }
    story.hold_answers(Ok(vec![]));
    story.now = at(DEPARTS);
    story.holds_agree();
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Cancelled, 0));
    assert_eq!(story.refund_state(1), &RefundState::Due);
}

#[test]
fn r_pay_04_seats_confirmed_before_a_crash_are_given_back_too() {
    let mut story = Story::cancelled_with(2, 1);
    story.now = at(700);
    story.ok(paid(1));
    for item in 0..2 {
        story.hold_answers(Ok(seats(item, 1)));
    }
    story.hold_answers(Ok(vec![]));
    story.restart();

    // Meanwhile the second item's hold has lapsed, and its seats are sold.
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_refuses(seat_taken());
    story.hold_refuses(sold_out());
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, epoch: 2, .. }));
    story.hold_refuses(Rejection::HoldAlreadyConfirmed);
    let Effect::Free { claim: 0, seats: freed, epoch: 2, .. } = story.effect() else { panic!("{:?}", story.effect()) };
    assert_eq!(freed, seats(0, 1));
    assert_eq!(story.order.refunds(), []);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.refund_state(1), &RefundState::Due);
}

#[test]
fn r_pay_04_giving_back_goes_on_after_a_crash() {
    let mut story = Story::cancelled_with(3, 1);
    story.now = at(700);
    story.ok(paid(1));
    for item in 0..2 {
        story.hold_answers(Ok(seats(item, 1)));
    }
    story.hold_refuses(seat_taken());
    story.hold_refuses(sold_out());
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 1, .. }), "the last one first");
    story.hold_answers(Ok(vec![]));
    story.restart();

    story.hold_answers(Ok(seats(0, 1)));
    for _ in 0..2 {
        story.hold_refuses(Rejection::HoldAlreadyReleased);
    }
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }), "nothing that was found is kept");
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.refund_state(1), &RefundState::Due);
}

#[test]
fn r_pay_04_seats_confirmed_before_a_crash_are_released_with_an_order_that_lost_others() {
    let mut story = Story::payable_with(3, 1);
    story.ok(paid(1));
    for _ in 0..2 {
        story.hold_answers(Ok(vec![]));
    }
    story.hold_refuses(Rejection::HoldNotFound);
    assert!(matches!(story.effect(), Effect::Free { claim: 0, .. }));
    story.hold_answers(Ok(vec![]));
    story.restart();

    story.ok(paid(1));
    story.hold_refuses(Rejection::HoldAlreadyReleased);
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));
    story.hold_answers(Ok(vec![]));
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 1, .. }));
    story.hold_refuses(Rejection::HoldAlreadyConfirmed);
    assert!(matches!(story.effect(), Effect::Free { claim: 1, .. }));
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(Rejection::HoldNotFound);
    assert_eq!(story.order.status(), OrderStatus::Cancelled);
}

#[test]
fn a_departure_that_cannot_be_asked_is_asked_again() {
    let mut story = Story::cancelled_with(1, 1);
    story.now = at(700);
    story.ok(paid(1));
    for _ in 0..3 {
        story.hold_unavailable();
        assert_eq!(story.order.effect(), None);
        story.wake_when_due();
    }
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_unavailable();
    story.wake_when_due();
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}

#[test]
fn rule_16_seeking_goes_on_after_a_crash_at_any_step() {
    for steps in 0..5 {
        let mut story = Story::cancelled_with(2, 1);
        story.now = at(700);
        story.ok(paid(1));
        for _ in 0..steps {
            let seats = match story.effect() {
                Effect::PlaceHold { claim: item, .. } => seats(item, 1),
                _ => vec![],
            };
            story.hold_answers(Ok(seats));
        }
        story.restart();
        if steps < 4 {
            assert!(matches!(story.effect(), Effect::PlaceHold { claim: 0, epoch: 2, .. }), "step {steps}");
        }
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid, "step {steps}");
        assert_eq!(story.order.tickets().len(), 2);
    }
}

#[test]
fn r8_the_second_payment_of_a_paid_order_goes_back() {
    let mut story = Story::payable_after_refusals(1);
    story.ok(paid(2));
    story.holds_agree();
    story.ok(paid(1));
    assert_eq!(story.order.status(), OrderStatus::Paid);
    let refund = &story.order.refunds()[0];
    assert_eq!((refund.payment, refund.reason), (number(1), RefundReason::Duplicate));
    assert_eq!(story.order.balance(), Balance { captured: 2 * FARE, refund_due: FARE, refunded: 0 });
    assert_eq!(story.order.balance().kept(), FARE);
}

#[test]
fn r8_a_payment_that_can_still_be_made_of_a_paid_order_is_ended_at_wechat() {
    for ending in [fact(2, FactState::Closed), paid(2)] {
        let mut story = Story::payable_after_refusals(1);
        story.ok(paid(1));
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid);
        assert!(!story.order.is_settled(), "attempt 2 can still be paid");
        story.restart();
        assert_eq!(story.effect(), Effect::QueryPayment { number: number(2) });
        story.ok(fact(2, FactState::NotPaid));
        assert_eq!(story.effect(), Effect::ClosePayment { number: number(2) });
        story.ok(close_answered(2));
        story.ok(ending);
        assert_eq!(story.order.live_payment(), None);
        assert_eq!(story.order.effect(), None);
        assert_eq!(story.order.balance().kept(), FARE);
        let before = random::without_volatile(story.order.clone());
        story.restart();
        assert_eq!(random::without_volatile(story.order), before);
    }
}

#[test]
fn two_late_payments_find_seats_once_and_the_other_goes_back() {
    let mut story = Story::payable_after_refusals(1);
    story.ok(sale::Command::Cancel);
    story.ok(fact(2, FactState::Closed));
    story.holds_agree();
    story.now = at(700);
    story.ok(paid(1));
    story.ok(paid(2));
    story.restart();
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert_eq!(story.order.refunds().len(), 1);
    assert_eq!(story.order.refunds()[0].payment, number(2));
    assert_eq!(story.order.balance(), Balance { captured: 2 * FARE, refund_due: FARE, refunded: 0 });
}

#[test]
fn r_pay_04_seats_resold_while_payable_are_told_from_seats_resold_after_the_close() {
    // The seats were given back at 600, when WeChat said closed.
    for (paid_at, resold) in [(598, true), (600, false), (601, false)] {
        let mut story = Story::cancelled_with(1, 1);
        story.now = at(700);
        story.ok(paid_then(1, paid_at));
        let events = story.hold_refuses(seat_taken());
        assert_eq!(events, [sale::Event::EqualSought { resold }.into()], "paid at {paid_at}");
    }
    let mut story = Story::cancelled_with(1, 1);
    story.now = at(700);
    story.ok(paid_then(1, 598));
    story.restart();
    assert_eq!(
        story.hold_refuses(Rejection::BookingClosed),
        [sale::Event::EqualSought { resold: false }.into()],
        "to nobody"
    );
}

#[test]
fn r_pay_04_what_was_paid_while_the_answer_closed_was_under_way_was_not_payable_any_more() {
    // Asked at 600, and answered two seconds later; WeChat tells the second in which it was paid.
    for (paid_at, resold) in [(598, true), (600, false), (601, false)] {
        let mut story = Story::payable();
        story.ok(sale::Command::Cancel);
        story.ok(fact(1, FactState::NotPaid));
        story.ok(close_answered(1));
        story.now = at(600);
        story.ok(collect::Command::QueryCalled);
        story.now = at(602);
        story.ok(fact(1, FactState::Closed));
        story.holds_agree();
        story.now = at(700);
        story.ok(paid_then(1, paid_at));
        let events = story.hold_refuses(seat_taken());
        assert_eq!(events, [sale::Event::EqualSought { resold }.into()], "paid at {paid_at}");
    }
}

#[test]
fn r_pay_04_a_payment_that_wechat_had_refused_was_not_payable_as_far_as_anybody_knew() {
    for restarted in [false, true] {
        let mut story = refused_once();
        story.ok(sale::Command::Cancel);
        story.holds_agree();
        story.now = at(700);
        story.ok(paid_then(1, 650));
        if restarted {
            story.restart();
        }
        assert_eq!(story.hold_refuses(seat_taken()), [sale::Event::EqualSought { resold: false }.into()]);
    }
}

#[test]
fn r_pay_04_seats_lost_while_the_payment_was_being_settled_were_resold_while_payable() {
    for restarted in [false, true] {
        let mut story = Story::payable();
        story.ok(paid_then(1, 0));
        story.hold_refuses(Rejection::HoldNotFound);
        story.hold_answers(Ok(vec![]));
        assert_eq!(story.order.status(), OrderStatus::Cancelled);
        if restarted {
            story.restart();
        }
        assert_eq!(story.hold_refuses(seat_taken()), [sale::Event::EqualSought { resold: true }.into()]);
    }
}

#[test]
fn the_revived_orders_seats_are_of_its_new_epoch_also_after_a_restart() {
    let mut story = Story::cancelled_with(1, 1);
    story.now = at(700);
    story.ok(paid(1));
    story.holds_agree();
    assert_eq!(story.order.seat_epoch(), 2);
    story.restart();
    assert_eq!(story.order.seat_epoch(), 2);
}

#[test]
fn r6_money_of_somebody_else_is_refused_whatever_the_amount() {
    let mut story = Story::payable();
    let stranger = TravellerId::compose(START, Shard::of(4), 8);
    let theirs = fact(1, FactState::Paid(Capture { payer: Some(stranger), ..capture(1) }));
    assert_eq!(story.tell(theirs), Err(Rejection::PaymentMismatch("another payer")));
    let ours = fact(1, FactState::Paid(Capture { payer: story.order.traveller(), ..capture(1) }));
    story.ok(ours);
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}
