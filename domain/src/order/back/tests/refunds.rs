//! Money on its way back (wechat.md R9, section 4; R-PAY-09).

use crate::order::tests::*;
use crate::row::tests::altered;

const SUCCESS: RefundStatus = RefundStatus::Success;
const PROCESSING: RefundStatus = RefundStatus::Processing;

fn call_failed(number: u16) -> Command {
    back::Command::RefundCallFailed { number: refund_number(number), why: CallFailure::NoAnswer }.into()
}

fn ask(number: u16) -> Effect {
    Effect::QueryRefund { number: refund_number(number) }
}

fn call(number: u16) -> Effect {
    Effect::CallRefund { number: refund_number(number), body: refund_body(number) }
}

fn not_found(number: u16) -> Command {
    refund_says(number, RefundFactState::NotFound)
}

impl Story {
    /// Two payments that could not be foreseen any more have come beside the third, which the order keeps.
    fn two_refunds_due() -> Story {
        let mut story = Story::payable_after_refusals(2);
        for attempt in [3, 1, 2] {
            story.ok(paid(attempt));
            story.holds_agree();
        }
        assert_eq!(story.order.refunds().iter().map(|refund| refund.payment.attempt).collect::<Vec<_>>(), [1, 2]);
        story
    }
}

#[test]
fn r9_a_refunds_exact_body_is_recorded_before_the_call() {
    let mut story = Story::refund_due();
    assert!(!story.order.is_settled());
    story.wake_when_due();
    let terms = story.order.refund_terms(refund_number(1)).unwrap();
    assert_eq!((terms.payment, &*terms.transaction_id), (number(1), "420001"));
    assert_eq!((terms.amount, terms.total, terms.reason), (cny(FARE), cny(FARE), RefundReason::Late));
    story.ok(back::Command::BeginRefund { number: refund_number(1), body: refund_body(1) });
    let rows = story.stored.rows();
    let row = rows.all::<RefundRow<'_>>().unwrap().remove(0);
    assert_eq!((row.state, row.request_body), ("begun", &*refund_body(1)));
    assert_eq!(story.effect(), call(1));
}

#[test]
fn an_accepted_refund_is_asked_about_on_schedule_until_it_has_succeeded() {
    let mut story = Story::refund_called();
    let begun = story.now;
    story.ok(refund_fact(1, PROCESSING));
    assert_eq!(story.refund_state(1), &RefundState::Processing { refund_id: "500001".into() });
    let mut asked = Vec::new();
    for _ in 0..6 {
        story.wake_when_due();
        asked.push(story.now.ms_since(begun) / 1_000);
        assert_eq!(story.effect(), ask(1));
        story.ok(refund_fact(1, PROCESSING));
    }
    assert_eq!(asked, [60, 120, 180, 240, 300, 600]);
    story.wake_when_due();
    story.ok(refund_fact(1, SUCCESS));
    assert!(story.order.is_settled());
    assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: 0, refunded: FARE });
    let entries: Vec<_> =
        story.order.ledger().iter().skip(2).map(|entry| (entry.kind, entry.moved_by.refund())).collect();
    let by = Some(refund_number(1));
    assert_eq!(entries, [(LedgerKind::RefundDue, by), (LedgerKind::Refunded, by)]);
    story.ignores(refund_fact(1, SUCCESS));
    story.ignores(refund_fact(1, PROCESSING));
}

#[test]
fn r9_a_call_without_an_answer_is_asked_about_before_it_is_repeated_with_the_same_bytes() {
    let mut story = Story::refund_called();
    story.ok(call_failed(1));
    story.wake_when_due();
    assert_eq!(story.effect(), ask(1));
    story.ok(not_found(1));
    assert_eq!(story.effect(), call(1), "it never arrived");
    story.ok(call_failed(1));
    story.wake_when_due();
    story.ok(call_failed(1));
    story.wake_when_due();
    assert_eq!(story.effect(), ask(1), "asking is repeated as well");
    story.ok(refund_fact(1, SUCCESS));
    assert_eq!(story.order.balance().refunded, FARE);
}

#[test]
fn rule_16_a_crash_at_any_step_repeats_no_number_and_no_other_body() {
    let due = Story::refund_due();
    let called = Story::refund_called();
    let mut processing = called.clone();
    processing.ok(refund_fact(1, PROCESSING));
    for (mut story, next) in
        [(due, Effect::BeginRefund { number: refund_number(1) }), (called, ask(1)), (processing, ask(1))]
    {
        story.restart();
        assert!(!story.order.is_settled());
        story.wake_when_due();
        assert_eq!(story.effect(), next);
        if next == ask(1) && story.refund_state(1) == &RefundState::Begun {
            story.ok(not_found(1));
            assert_eq!(story.effect(), call(1));
        }
    }
}

#[test]
fn r9_a_refund_that_wechat_closed_goes_on_under_a_new_number() {
    let mut story = Story::refund_called();
    story.ok(refund_fact(1, RefundStatus::Closed));
    assert_eq!(story.refund_state(1), &RefundState::Closed { refund_id: "500001".into() });
    assert_eq!(story.refund_state(2), &RefundState::Due);
    assert_eq!(story.order.balance().refund_due, FARE, "due once");
    let due = story.order.next_deadline().unwrap();
    assert_eq!(due.ms_since(story.now), 60_000, "refunds of a transaction are a minute apart");
    story.wake_when_due();
    story.ok(back::Command::BeginRefund { number: refund_number(2), body: refund_body(2) });
    story.ok(refund_fact(2, SUCCESS));
    assert!(story.order.is_settled());
    assert_eq!(story.order.balance(), Balance { captured: FARE, refund_due: 0, refunded: FARE });
}

/// The paid order's money goes back in so many equal parts: what a refund of single tickets will decide.
fn in_parts(parts: u16) -> Story {
    let mut story = Story::paid_with(1, 1);
    let part = cny(FARE / i64::from(parts));
    let refund = |after| story.order.refund_of(number(1), part, RefundReason::Late, story.now, usize::from(after));
    let due: Vec<Event> = (0..parts).map(|after| back::Event::RefundDue { refund: refund(after) }.into()).collect();
    story.happens(&due);
    story
}

impl Story {
    /// Its call is made, and WeChat says this.
    fn part_is(&mut self, refund: u16, status: RefundStatus) {
        let amount = self.order.refund(refund_number(refund)).unwrap().amount;
        self.wake_when_due();
        self.ok(back::Command::BeginRefund { number: refund_number(refund), body: refund_body(refund) });
        self.ok(refund_says(refund, RefundFactState::Known(KnownRefund { amount, ..known_refund(refund, status) })));
    }

    fn shown_numbers(&self) -> Vec<u16> {
        self.order.shown_refunds().map(|refund| refund.number.number).collect()
    }
}

#[test]
fn d2_a_part_that_wechat_closed_is_replaced_by_its_own_successor_and_not_by_another_part() {
    let mut story = in_parts(2);
    story.part_is(1, RefundStatus::Closed);
    let replaces = |story: &Story| story.order.refunds().iter().map(|refund| refund.replaces).collect::<Vec<_>>();
    assert_eq!(replaces(&story), [None, None, Some(refund_number(1))]);
    assert_eq!(story.shown_numbers(), [2, 3]);
    story.restart();
    assert_eq!(replaces(&story), [None, None, Some(refund_number(1))]);
    assert_eq!(story.shown_numbers(), [2, 3]);
}

#[test]
fn d2_a_part_that_wechat_closed_when_there_had_been_too_many_refunds_is_not_lost_behind_later_parts() {
    let parts = REFUNDS_MAX as u16;
    let mut story = in_parts(parts);
    story.part_is(1, RefundStatus::Closed);
    for restarted in [false, true] {
        if restarted {
            story.restart();
        }
        assert_eq!(story.order.refunds().len(), REFUNDS_MAX);
        assert_eq!(story.shown_numbers(), (1..=parts).collect::<Vec<_>>(), "no other part is its money");
    }
    story.ok(back::Command::RetryRefund { number: refund_number(1) });
    assert_eq!(story.shown_numbers(), (2..=parts + 1).collect::<Vec<_>>());
    assert_eq!(story.tell(back::Command::RetryRefund { number: refund_number(1) }), Err(Rejection::RefundNotStuck));
}

#[test]
fn rule_23_a_refund_whose_row_says_no_more_than_its_payment_replaced_the_one_before_it() {
    let mut story = Story::refund_called();
    story.ok(refund_fact(1, RefundStatus::Closed));
    story.part_is(2, RefundStatus::Closed);
    let mut before = Rows::default();
    for (slot, image) in story.stored.rows().images() {
        if slot == RefundRow::TABLE.slot {
            before.put_image(slot, &altered(RefundRow::TABLE, image, "replaces", None));
        } else {
            before.put_image(slot, image);
        }
    }
    let woken = Order::from_rows(&before, story.now).unwrap();
    assert_eq!(woken.shown_refunds().map(|refund| refund.number.number).collect::<Vec<_>>(), [3]);
    assert_eq!(random::without_volatile(woken), random::without_volatile(story.order));
}

#[test]
fn a_traveller_sees_one_refund_of_a_payment_whatever_wechat_closes() {
    let mut story = Story::refund_called();
    let shown = |story: &Story| {
        let shown = story.order.shown_refunds();
        shown.map(|refund| (refund.number.number, refund.state.progress().code())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&story), [(1, "due")], "the call is our business");
    story.ok(back::Command::RefundRefused { number: refund_number(1), code: "NOT_ENOUGH".into() });
    assert_eq!(shown(&story), [(1, "delayed")]);
    story.ok(refund_fact(1, PROCESSING));
    assert_eq!(shown(&story), [(1, "processing")]);
    story.ok(refund_fact(1, RefundStatus::Closed));
    assert_eq!(shown(&story), [(2, "due")]);
    story.wake_when_due();
    story.ok(back::Command::BeginRefund { number: refund_number(2), body: refund_body(2) });
    story.ok(refund_fact(2, SUCCESS));
    assert_eq!(shown(&story), [(2, "succeeded")]);
}

#[test]
fn refunds_are_bounded_and_what_is_left_stays_due() {
    let mut story = Story::refund_called();
    for refund in 1..=REFUNDS_MAX as u16 {
        if refund > 1 {
            story.wake_when_due();
            story.ok(back::Command::BeginRefund { number: refund_number(refund), body: refund_body(refund) });
        }
        story.ok(refund_fact(refund, RefundStatus::Closed));
    }
    assert_eq!(story.order.refunds().len(), REFUNDS_MAX);
    let shown: Vec<_> = story.order.shown_refunds().map(|refund| refund.state.progress()).collect();
    assert_eq!(shown, [RefundProgress::Failed]);
    assert_eq!(story.order.balance().refund_due, FARE);

    let replaced = back::Command::RetryRefund { number: refund_number(1) };
    assert_eq!(story.tell(replaced), Err(Rejection::RefundNotStuck));
    let last = REFUNDS_MAX as u16;
    story.ok(back::Command::RetryRefund { number: refund_number(last) });
    assert_eq!(story.refund_state(last + 1), &RefundState::Due, "a person may still try");
    assert_eq!(story.order.balance().refund_due, FARE, "due once");
}

#[test]
fn a_refused_refund_waits_for_a_person_and_is_tried_again_with_the_same_number() {
    let mut story = Story::refund_called();
    story.ok(back::Command::RefundRefused { number: refund_number(1), code: "NOT_ENOUGH".into() });
    assert!(story.order.refunds()[0].state.is_stuck());
    assert_eq!(story.order.effect(), None);
    story.wake_when_due();
    story.ok(not_found(1));
    assert_eq!(story.effect(), call(1));
    story.ok(back::Command::RefundRefused { number: refund_number(1), code: "NOT_ENOUGH".into() });
    assert_eq!(story.order.next_deadline().unwrap().ms_since(story.now), 30 * 60_000, "now and then");
    story.restart();
    story.ok(back::Command::RetryRefund { number: refund_number(1) });
    assert!(story.order.next_deadline().unwrap() <= story.now, "now");
    story.wake_when_due();
    assert_eq!(story.effect(), ask(1));
    story.ok(not_found(1));
    story.ok(refund_fact(1, SUCCESS));
    assert!(story.order.is_settled());
    assert_eq!(story.tell(back::Command::RetryRefund { number: refund_number(1) }), Err(Rejection::RefundNotStuck));
    assert_eq!(story.tell(back::Command::RetryRefund { number: refund_number(9) }), Err(Rejection::RefundNotFound));
}

#[test]
fn two_refunds_go_one_after_the_other_and_a_minute_apart() {
    let mut story = Story::two_refunds_due();
    story.wake_when_due();
    story.ok(back::Command::BeginRefund { number: refund_number(1), body: refund_body(1) });
    let first = story.now;
    assert_eq!(story.effect(), call(1), "one at a time");
    story.ok(refund_fact(1, SUCCESS));
    story.wake_when_due();
    assert_eq!(story.now.ms_since(first), 60_000);
    assert_eq!(story.effect(), Effect::BeginRefund { number: refund_number(2) });
}

#[test]
fn a_retry_that_is_asked_for_while_another_refund_is_called_gets_its_turn_after_it() {
    let mut story = Story::two_refunds_due();
    story.wake_when_due();
    story.ok(back::Command::BeginRefund { number: refund_number(1), body: refund_body(1) });
    story.ok(back::Command::RefundRefused { number: refund_number(1), code: "NOT_ENOUGH".into() });
    story.wake_when_due();
    story.ok(back::Command::BeginRefund { number: refund_number(2), body: refund_body(2) });
    story.ok(back::Command::RetryRefund { number: refund_number(1) });
    assert_eq!(story.effect(), call(2), "one at a time");
    let asked = story.now;
    let second = KnownRefund { payment: number(2), ..known_refund(2, SUCCESS) };
    story.ok(refund_says(2, RefundFactState::Known(second)));
    story.wake_when_due();
    assert_eq!((story.now, story.effect()), (asked, ask(1)));
}

#[test]
fn r10_a_notice_may_come_before_the_answer_of_the_call_or_while_the_order_does_something_else() {
    let mut story = Story::refund_called();
    story.ok(refund_fact(1, SUCCESS));
    story.ignores(call_failed(1));
    story.ignores(refund_fact(1, PROCESSING));
    assert!(story.order.is_settled());

    let mut story = Story::refund_called();
    story.ok(call_failed(1));
    story.ok(refund_fact(1, SUCCESS));
    assert!(story.order.is_settled());
    assert_eq!(story.order.next_deadline(), None);
}

#[test]
fn r6_what_does_not_match_the_refund_is_refused() {
    let mut story = Story::refund_called();
    let known = known_refund(1, SUCCESS);
    let wrong = [
        refund_says(1, RefundFactState::Known(KnownRefund { amount: cny(FARE + 1), ..known.clone() })),
        refund_says(1, RefundFactState::Known(KnownRefund { payment: number(2), ..known })),
        refund_says(1, RefundFactState::Foreign("another merchant")),
        refund_fact(7, SUCCESS),
    ];
    let before = story.order.clone();
    for command in wrong {
        assert!(matches!(story.tell(command.clone()), Err(Rejection::PaymentMismatch(_))), "{command:?}");
    }
    assert_eq!(story.order, before);
}

/// Every state of a refund, with a story that stands in it.
fn in_every_state() -> Vec<(&'static str, Story)> {
    let after = |command: Command| {
        let mut story = Story::refund_called();
        story.ok(command);
        story
    };
    vec![
        ("due", Story::refund_due()),
        ("begun", Story::refund_called()),
        ("refused", after(back::Command::RefundRefused { number: refund_number(1), code: "NOT_ENOUGH".into() }.into())),
        ("processing", after(refund_fact(1, PROCESSING))),
        ("abnormal", after(refund_fact(1, RefundStatus::Abnormal))),
        ("succeeded", after(refund_fact(1, SUCCESS))),
        ("closed", after(refund_fact(1, RefundStatus::Closed))),
    ]
}

#[test]
fn r9_every_state_meets_every_fact_and_only_moves_forward() {
    use RefundStatus::{Abnormal, Closed, Processing, Success};
    // What the state is afterwards; `!` is refused, for a person to look at.
    let table = [
        ("due", [(Processing, "processing"), (Success, "succeeded"), (Closed, "closed"), (Abnormal, "abnormal")]),
        ("begun", [(Processing, "processing"), (Success, "succeeded"), (Closed, "closed"), (Abnormal, "abnormal")]),
        ("refused", [(Processing, "processing"), (Success, "succeeded"), (Closed, "closed"), (Abnormal, "abnormal")]),
        (
            "processing",
            [(Processing, "processing"), (Success, "succeeded"), (Closed, "closed"), (Abnormal, "abnormal")],
        ),
        ("abnormal", [(Processing, "abnormal"), (Success, "succeeded"), (Closed, "closed"), (Abnormal, "abnormal")]),
        ("succeeded", [(Processing, "succeeded"), (Success, "succeeded"), (Closed, "!"), (Abnormal, "!")]),
        ("closed", [(Processing, "closed"), (Success, "!"), (Closed, "closed"), (Abnormal, "closed")]),
    ];
    let stories = in_every_state();
    for (from, row) in table {
        let story = &stories.iter().find(|(name, _)| *name == from).unwrap().1;
        assert_eq!(story.refund_state(1).code(), from);
        for (status, to) in row {
            let mut story = story.clone();
            let told = story.tell(refund_fact(1, status));
            let after = if told.is_err() { "!" } else { story.refund_state(1).code() };
            assert_eq!(after, to, "{from} × {status:?}");
            let balance = story.order.balance();
            assert_eq!((balance.captured, balance.kept()), (FARE, 0), "{from} × {status:?}");
            let rebuilt = Order::from_rows(&story.stored.rows(), story.now).unwrap();
            assert_eq!(random::without_volatile(rebuilt), random::without_volatile(story.order));
        }
    }
}
