//! The right to pay ends before the party boards, whatever the lock and WeChat's minimum are (R-PAY, R-HOLD-09).

use crate::order::tests::*;

/// When its only coach leaves.
const LEAVES: i64 = 300;

fn placed() -> Story {
    let mut story = Story::leaving_after(1, 0, LEAVES);
    story.holds_agree();
    assert!(story.order.is_open());
    story
}

fn payable() -> Story {
    let mut story = placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    story
}

/// WeChat says that it was paid then.
fn paid_at(seconds: i64) -> Command {
    fact(1, FactState::Paid(Capture { paid_at: Some(at(seconds)), ..capture(1) }))
}

/// The seats are given back, and then the money.
fn goes_back(story: &mut Story) {
    assert!(story.order.has_unrecorded_money(), "the notice is acknowledged when it is written down");
    assert!(matches!(story.effect(), Effect::ReleaseHold { claim: 0, .. }), "{:?}", story.effect());
    story.hold_answers(Ok(vec![]));
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Cancelled, 0));
    assert!(!story.order.is_seeking() && !story.order.has_unrecorded_money());
    assert_eq!(story.refund_state(1), &RefundState::Due);
    assert_eq!(story.ledger(), [(LedgerKind::Captured, 1, FARE), (LedgerKind::RefundDue, 1, FARE)]);
}

#[test]
fn fault_19_an_unpaid_lock_ends_before_the_party_boards() {
    let story = placed();
    assert_eq!((story.order.lock_expires_at(), story.order.next_deadline()), (at(299), Some(at(299))));
    let far = Story::leaving_after(1, 0, 3_600).order;
    assert_eq!(far.lock_expires_at(), at(i64::from(LOCK_SECONDS)));
    // Of several journeys the first.
    let mut both = Story::leaving_after(2, 0, LEAVES);
    let Effect::PlaceHold { expires_at, .. } = both.effect() else { panic!("{:?}", both.effect()) };
    assert_eq!(expires_at, at(299));
    both.holds_agree();
    both.wake_at(299);
    assert_eq!(both.cancelled_why(), CancelReason::Expired);
}

#[test]
fn fault_19_a_payment_ends_before_the_party_boards_or_does_not_begin() {
    let mut story = placed();
    story.now = at(239);
    let terms = story.order.payment_terms(&POLICY, story.now).unwrap();
    assert_eq!((terms.time_expire, terms.hold_expires_at), (at(299), at(389)), "the seats are kept for the grace");
    let late = PaymentTerms { time_expire: at(300), ..terms };
    let begin = |terms| collect::Command::Begin { terms, body: body(1) };
    assert_eq!(story.tell(begin(late)), Err(Rejection::OrderNotPayable), "whoever computed them");
    assert_eq!(story.order.payment_terms(&POLICY, at(240)), Err(Rejection::OrderNotPayable), "WeChat's minimum");
    assert!(story.tell(begin(terms)).is_ok());
}

#[test]
fn fault_19_a_lock_that_was_given_longer_does_not_let_anybody_pay_longer() {
    // As an earlier release recorded it.
    let mut story = placed();
    let mut rows = Rows::default();
    let stored = story.stored.rows();
    for (slot, image) in stored.images() {
        match slot {
            _ if slot == OrderRow::TABLE.slot => {
                let row: OrderRow<'_> = stored.only().unwrap();
                rows.put(&OrderRow { lock_expires_at: at(600), ..row });
            }
            _ => rows.put_image(slot, image),
        }
    }
    story.order = Order::from_rows(&rows, story.now).unwrap();
    assert_eq!(story.order.lock_expires_at(), at(600));
    assert_eq!(story.order.payment_terms(&POLICY, at(100)).unwrap().time_expire, at(299));
    assert_eq!(story.order.payment_terms(&POLICY, at(250)), Err(Rejection::OrderNotPayable));
}

#[test]
fn fault_19_rule_17_kept_seats_stay_until_wechat_has_said_closed_although_the_coach_has_left() {
    let mut story = payable();
    story.wake_at(299);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.now = at(LEAVES + 100);
    story.ok(fact(1, FactState::NotPaid));
    story.ok(close_answered(1));
    story.ok(fact(1, FactState::NotPaid));
    assert_eq!((story.order.effect(), story.order.status()), (None, OrderStatus::Pending), "the close is repeated");
    story.wake_when_due();
    story.ok(close_answered(1));
    story.ok(fact(1, FactState::Closed));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
}

#[test]
fn fault_19_money_that_is_paid_once_the_party_should_have_boarded_goes_back_at_any_step() {
    for step in 0..=4 {
        let mut story = payable();
        let way = [Command::Wake, fact(1, FactState::NotPaid), close_answered(1), fact(1, FactState::NotPaid)];
        story.now = at(299);
        for command in way.into_iter().take(step) {
            story.ok(command);
        }
        story.now = at(LEAVES + 10);
        if step == 2 {
            story.restart();
        }
        story.ok(paid_at(LEAVES));
        story.ignores(paid_at(LEAVES));
        goes_back(&mut story);
        story.ignores(paid_at(LEAVES));
    }
    // Without a time from WeChat it is as late as it is heard of.
    let mut story = payable();
    story.now = at(LEAVES);
    story.ok(paid(1));
    goes_back(&mut story);
}

#[test]
fn fault_19_money_that_was_paid_in_time_pays_the_order_however_late_it_is_heard_of() {
    let mut story = payable();
    story.wake_at(LEAVES + 1_000);
    story.ok(paid_at(299));
    story.holds_agree();
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Paid, 1));
}

#[test]
fn fault_19_late_money_that_is_on_its_way_when_the_process_ends_goes_back_after_the_next_start() {
    let mut story = payable();
    story.now = at(LEAVES + 10);
    story.ok(paid_at(LEAVES + 5));
    story.restart();
    assert!(!story.order.has_unrecorded_money(), "it is told again");
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(paid_at(LEAVES + 5));
    goes_back(&mut story);
}
