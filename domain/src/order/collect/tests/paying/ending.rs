//! How a payment that was begun ends without money, and money that comes all the same (R-PAY-03, R-PAY-04; R3, R4).

use crate::order::tests::*;

#[test]
fn r3_at_its_end_a_payment_is_queried_closed_and_queried_again_before_a_seat_is_freed() {
    let mut story = Story::payable_with(2, 1);
    story.wake_at(600);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(fact(1, FactState::NotPaid));
    assert_eq!(story.effect(), Effect::ClosePayment { number: number(1) });
    story.ok(close_answered(1));
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(fact(1, FactState::Closed));
    for item in 0..2 {
        assert_eq!(story.order.status(), OrderStatus::Pending);
        assert!(matches!(story.effect(), Effect::ReleaseHold { claim: freed, .. } if freed == item));
        story.hold_answers(Ok(vec![]));
    }
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
    assert_eq!(story.payment_state(1), &PaymentState::Closed);
}

#[test]
fn r3_an_answer_to_the_close_is_no_proof_and_the_close_is_repeated_with_growing_pauses() {
    let mut story = Story::payable();
    story.wake_at(600);
    story.ok(fact(1, FactState::NotPaid));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        assert_eq!(story.effect(), Effect::ClosePayment { number: number(1) });
        story.ok(close_answered(1));
        assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
        let before = story.now;
        story.ok(fact(1, FactState::NotPaid));
        assert_eq!(story.order.effect(), None, "no seat is freed, nothing is asked at once");
        story.wake_when_due();
        pauses.push(story.now.ms_since(before));
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000]);
    story.wake_at(9_000);
    assert_eq!(story.order.status(), OrderStatus::Pending, "never a blind release (R-HOLD-09)");
}

#[test]
fn r4_success_seen_at_any_step_of_the_end_wins() {
    for step in 0..4 {
        let mut story = Story::payable();
        story.cancel_with_payment();
        let way = [fact(1, FactState::NotPaid), close_answered(1), fact(1, FactState::NotPaid)];
        for command in way.into_iter().take(step) {
            story.ok(command);
        }
        story.ok(paid(1));
        assert!(matches!(story.effect(), Effect::ConfirmHold { claim: 0, .. }), "step {step}");
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid);
    }
}

#[test]
fn r4_a_release_under_way_when_money_comes_is_not_taken_for_a_confirmation() {
    let mut story = Story::payable();
    story.cancel_with_payment();
    story.ok(fact(1, FactState::Closed));
    let release = story.effect();
    story.ok(paid(1));
    story.ignores(Command::HoldAnswered(release.hold_answer(Ok(vec![])).unwrap()));
    assert_eq!(story.order.tickets().len(), 0);
    story.hold_refuses(Rejection::HoldAlreadyReleased);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.cancelled().unwrap().1, CancelReason::SeatsLost);
    assert_eq!(story.ledger(), [(LedgerKind::Captured, 1, FARE), (LedgerKind::RefundDue, 1, FARE)]);
    assert!(matches!(story.effect(), Effect::PlaceHold { claim: 0, epoch: 2, .. }), "and the seats are sought again");
}

#[test]
fn r_hold_10_seats_being_kept_when_the_traveller_cancels_are_not_taken_for_released() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    let keep = story.effect();
    story.ok(sale::Command::Cancel);
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }), "WeChat has heard of nothing");
    story.ignores(Command::HoldAnswered(keep.hold_answer(Ok(vec![])).unwrap()));
    assert_eq!(story.order.status(), OrderStatus::Pending);
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.cancelled_why(), CancelReason::Traveller);
}

#[test]
fn r3_a_payment_that_wechat_does_not_know_is_given_up_only_when_no_create_can_arrive_any_more() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.now = at(10);
    story.ok(collect::Command::CreateCalled);
    story.cancel_with_payment();
    story.ignores(created(1));
    while story.now < at(70) {
        story.ok(fact(1, FactState::NotFound));
        assert_eq!(story.order.effect(), None, "{}", story.now);
        story.wake_when_due();
    }
    story.ok(fact(1, FactState::NotFound));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Traveller);
}

#[test]
fn r_pay_03_a_payment_that_wechat_closed_by_itself_ends_the_order() {
    let mut story = Story::payable();
    story.wake_at(30);
    story.ok(fact(1, FactState::Closed));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn a_call_that_fails_while_closing_is_repeated_later() {
    let mut story = Story::payable();
    story.wake_at(600);
    for answer in [fact(1, FactState::NotPaid), close_answered(1), fact(1, FactState::Closed)] {
        let asked = story.effect();
        story.ok(call_failed(1));
        assert_eq!(story.order.effect(), None);
        story.wake_when_due();
        assert_eq!(story.effect(), asked);
        story.ok(answer);
    }
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn r_hold_09_a_create_that_never_gets_an_answer_ends_with_the_payments_time() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    assert_eq!(story.order.next_deadline(), Some(at(600)), "even if the caller never hears of it again");
    story.wake_at(600);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
}

#[test]
fn seats_lost_before_the_create_end_the_order_without_asking_wechat() {
    let mut story = Story::placed_with(2, 1);
    story.begin_payment().unwrap();
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(Rejection::HoldExpired);
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::SeatsLost);
    assert_eq!(story.payment_state(1), &PaymentState::Closed);
}

#[test]
fn a_refused_attempt_leaves_kept_seats_that_are_released_when_the_lock_ends() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    story.wake_at(600);
    assert_eq!(story.order.status(), OrderStatus::Pending, "a paying hold does not lapse by itself");
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn r_pay_04_seats_that_a_departure_no_longer_confirms_are_all_given_back_and_the_money_is_due() {
    let mut story = Story::payable_with(3, 1);
    story.ok(paid(1));
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(Rejection::HoldNotFound);
    story.ignores(paid(1));
    story.ignores(sale::Command::Cancel);
    let mut freed = Vec::new();
    while story.order.status() == OrderStatus::Pending {
        assert_eq!(story.ledger(), [], "in the order's last record");
        freed.push(match story.effect() {
            Effect::Free { claim: item, seats, .. } => (item, seats.len()),
            Effect::ReleaseHold { claim: item, .. } => (item, 0),
            other => panic!("{other:?}"),
        });
        story.hold_answers(Ok(vec![]));
    }
    assert_eq!(freed, [(0, 1), (1, 0), (2, 0)], "no seat stays behind, kept or sold");
    assert_eq!(story.order.cancelled().unwrap().1, CancelReason::SeatsLost);
    assert_eq!(story.ledger(), [(LedgerKind::Captured, 1, FARE), (LedgerKind::RefundDue, 1, FARE)]);
    assert_eq!(story.order.tickets().len(), 0);
}

#[test]
fn answers_to_steps_no_longer_wanted_change_nothing() {
    let mut cancelled = Story::payable();
    cancelled.cancel_with_payment();
    cancelled.ok(fact(1, FactState::Closed));
    cancelled.holds_agree();
    for mut story in [Story::placed(), Story::paid_with(1, 1), cancelled] {
        let before = story.order.clone();
        for step in [HoldStep::Place, HoldStep::Release, HoldStep::BeginPaying, HoldStep::Confirm] {
            for result in [Ok(vec![]), Err(StepFailure::Unavailable), Err(StepFailure::Refused(Rejection::HoldExpired))]
            {
                story.ignores(Command::HoldAnswered(HoldAnswer { claim: 0, step, result }));
            }
        }
        for command in [
            created(1),
            create_refused(1, true),
            close_answered(1),
            call_failed(1),
            collect::Command::CreateCalled.into(),
        ] {
            story.ignores(command);
        }
        assert_eq!(story.order, before);
    }
}
