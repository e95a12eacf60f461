//! Parts of an order run beside each other, and none waits for another's retry.

use super::*;

fn effects(story: &Story) -> Vec<Effect> {
    story.order.effects().collect()
}

#[test]
fn r8_another_attempt_is_ended_at_wechat_while_the_seats_of_the_paid_one_are_being_confirmed() {
    let mut story = Story::payable_after_refusals(2);
    story.ok(paid(1));
    let confirm = Effect::ConfirmHold { claim: 0, hold: story.order.hold(0), epoch: FIRST_EPOCH };
    let query = Effect::QueryPayment { number: number(3) };
    assert_eq!(effects(&story), [confirm.clone(), query]);

    story.ok(call_failed(3));
    assert_eq!(effects(&story), [confirm], "the departure is not kept waiting for WeChat");
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.status(), OrderStatus::Paid);
    assert!(!story.order.is_settled(), "attempt 3 can still be paid");
}

#[test]
fn r8_an_attempt_that_is_being_ended_is_ended_also_when_the_paid_one_found_no_seats() {
    let mut story = Story::payable_after_refusals(2);
    story.ok(paid(1));
    story.hold_refuses(Rejection::HoldNotFound);
    let query = Effect::QueryPayment { number: number(3) };
    assert!(effects(&story).contains(&query));
    while let Some(effect) = story.order.effects().find(|effect| effect.part() != PartName::Collecting) {
        match effect.hold_answer(Err(StepFailure::Refused(Rejection::HoldNotFound))) {
            Some(answer) => drop(story.ok(Command::HoldAnswered(answer))),
            None => break,
        }
    }
    assert_eq!(story.order.status(), OrderStatus::Cancelled);
    for restarted in [false, true] {
        let mut story = story.clone();
        if restarted {
            story.restart();
        }
        assert!(effects(&story).contains(&query), "{:?}", effects(&story));
        story.ok(fact(3, FactState::Closed));
        assert_eq!(story.payment_state(3), &PaymentState::Closed);
    }
}

#[test]
fn r9_a_refund_that_waits_for_wechat_holds_up_neither_a_scan_nor_the_end_of_another_payment() {
    let mut story = Story::payable_after_refusals(2);
    story.ok(paid(1));
    story.holds_agree();
    story.ok(paid(2));
    story.wake_at(100);
    story.ok(back::Command::BeginRefund { number: refund_number(1), body: refund_body(1) });
    let call = Effect::CallRefund { number: refund_number(1), body: refund_body(1) };
    assert_eq!(effects(&story), [Effect::QueryPayment { number: number(3) }, call]);
    story.ok(back::Command::RefundCallFailed { number: refund_number(1), why: CallFailure::NoAnswer });

    story.ok(ticket::Command::Scan(scan(1, "r1", ScanTarget::Order)));
    assert_eq!(story.order.status(), OrderStatus::Completed);
    story.ok(fact(3, FactState::NotPaid));
    story.ok(close_answered(3));
    story.ok(fact(3, FactState::Closed));
    assert_eq!(story.payment_state(3), &PaymentState::Closed);
    assert_eq!(effects(&story), [], "the refund waits, and only it");
    assert_eq!(story.refund_state(1), &RefundState::Begun);

    story.restart();
    story.wake_when_due();
    assert_eq!(effects(&story), [Effect::QueryRefund { number: refund_number(1) }]);
    story.ok(refund_says(
        1,
        RefundFactState::Known(KnownRefund { payment: number(2), ..known_refund(1, RefundStatus::Success) }),
    ));
    assert!(story.order.is_settled());
    assert_eq!(story.order.balance(), Balance { captured: 2 * FARE, refund_due: 0, refunded: FARE });
}

#[test]
fn what_one_part_failed_at_is_tried_again_by_itself() {
    let mut story = Story::payable_after_refusals(2);
    story.ok(paid(1));
    story.hold_unavailable();
    for _ in 0..3 {
        story.ok(call_failed(3));
        story.now = story.now.plus_seconds(40);
        story.ok(Command::Wake);
    }
    assert_eq!(story.order.next_deadline(), None, "nothing is put off any more");
    story.hold_unavailable();
    assert_eq!(
        story.order.next_deadline().unwrap().ms_since(story.now),
        1_000,
        "the departure failed twice, not five times"
    );
}
