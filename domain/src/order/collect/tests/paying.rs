//! Payment: terms, creation, facts, and the end of what was begun (R-PAY; wechat.md R1–R8).

use crate::order::tests::*;

mod ending;

#[test]
fn r2_a_payment_ends_with_the_lock_and_the_seats_are_kept_for_the_grace_after_it() {
    let mut story = Story::placed();
    story.now = at(100);
    let terms = story.begin_payment().unwrap();
    assert_eq!((terms.number, terms.total), (number(1), cny(FARE)));
    assert_eq!((terms.time_expire, terms.hold_expires_at), (at(600), at(690)));
    assert_eq!(story.order.lock_expires_at(), at(600));
}

#[test]
fn r_hold_09_a_payment_begun_late_extends_the_lock_to_wechats_minimum() {
    let mut story = Story::placed();
    story.now = at(599);
    let terms = story.begin_payment().unwrap();
    assert_eq!((terms.time_expire, terms.hold_expires_at), (at(659), at(749)));
    assert_eq!(story.order.lock_expires_at(), at(659), "the traveller is told so");
}

#[test]
fn r_hold_09_the_cap_cuts_the_grace_but_never_the_travellers_minimum() {
    let story = Story::placed();
    let policy = PaymentPolicy { cap_extra_seconds: 60, ..POLICY };
    let terms = story.order.payment_terms(&policy, at(590)).unwrap();
    assert_eq!((terms.time_expire, terms.hold_expires_at), (at(650), at(660)));
    let policy = PaymentPolicy { cap_extra_seconds: 0, ..POLICY };
    let terms = story.order.payment_terms(&policy, at(540)).unwrap();
    assert_eq!((terms.time_expire, terms.hold_expires_at), (at(600), at(600)));
    assert_eq!(story.order.payment_terms(&policy, at(541)), Err(Rejection::OrderNotPayable));
}

#[test]
fn r_hold_09_a_lock_is_extended_once() {
    let mut story = Story::placed();
    story.now = at(590);
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    assert_eq!(story.order.lock_expires_at(), at(650));

    story.now = at(591);
    assert_eq!(story.begin_payment(), Err(Rejection::OrderNotPayable), "a minute does not fit any more");
    let mut terms =
        PaymentTerms { number: number(2), total: cny(FARE), time_expire: at(651), hold_expires_at: at(741) };
    let begin = |terms| collect::Command::Begin { terms, body: body(2) };
    assert_eq!(story.tell(begin(terms)), Err(Rejection::OrderNotPayable), "whoever computed them");
    terms.time_expire = at(650);
    assert!(story.tell(begin(terms)).is_ok());
}

#[test]
fn r1_a_refused_create_may_be_tried_again_within_the_lock() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    assert_eq!(story.payment_state(1), &PaymentState::Refused { code: "PARAM_ERROR".into() });
    assert_eq!(story.order.live_payment(), None);

    story.now = at(200);
    let terms = story.begin_payment().unwrap();
    assert_eq!((terms.number, terms.time_expire), (number(2), at(600)));
    story.holds_agree();
    story.create_succeeds();
    story.ok(paid(2));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}

#[test]
fn d12_whoever_tries_again_while_wechat_has_trouble_pays_as_soon_as_it_has_none() {
    let mut story = Story::placed();
    // Three minutes of it, and one try every quarter of a minute.
    for attempt in 1..=12 {
        story.now = at(15 * i64::from(attempt));
        story.begin_payment().unwrap();
        story.holds_agree();
        story.ok(collect::Command::CreateCalled);
        story.ok(create_refused(attempt, false));
    }
    story.now = at(195);
    assert_eq!(story.begin_payment().map(|terms| terms.number), Ok(number(13)), "the lock has not ended (R-PAY-03)");
    story.holds_agree();
    story.create_succeeds();
    story.restart();
    story.ok(paid(13));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}

#[test]
fn attempts_are_bounded() {
    let mut story = Story::placed();
    for attempt in 1..=PAYMENT_ATTEMPTS_MAX {
        story.begin_payment().unwrap();
        story.holds_agree();
        story.ok(collect::Command::CreateCalled);
        story.ok(create_refused(attempt, false));
    }
    assert_eq!(story.begin_payment(), Err(Rejection::OrderNotPayable));
}

#[test]
fn terms_that_are_not_ours_or_are_past_are_refused() {
    let mut story = Story::placed();
    let good = story.order.payment_terms(&POLICY, START).unwrap();
    story.now = at(300);
    for terms in [
        PaymentTerms { number: number(2), ..good },
        PaymentTerms { total: cny(1), ..good },
        PaymentTerms { time_expire: at(300), ..good },
        PaymentTerms { hold_expires_at: at(599), ..good },
    ] {
        let begin = collect::Command::Begin { terms, body: body(1) };
        assert_eq!(story.tell(begin), Err(Rejection::OrderNotPayable), "{terms:?}");
    }
}

#[test]
fn r_pay_01_a_payment_is_recorded_then_the_seats_are_kept_then_wechat_is_called() {
    let mut story = Story::placed_with(2, 1);
    let terms = story.begin_payment().unwrap();
    assert_eq!(story.stored.rows().all::<PaymentRow<'_>>().unwrap()[0].state, "begun", "before any call");
    for item in 0..2 {
        let (hold, expires_at) = (story.order.hold(item), terms.hold_expires_at);
        assert_eq!(story.effect(), Effect::BeginPaying { claim: item, hold, epoch: FIRST_EPOCH, expires_at });
        story.hold_answers(Ok(vec![]));
    }
    assert_eq!(story.effect(), Effect::CreatePayment { number: number(1), body: body(1) });
    story.create_succeeds();
    assert_eq!(story.order.live_payment().unwrap().number, number(1));
    assert_eq!(story.begin_payment(), Err(Rejection::OrderNotPayable), "one live payment");
    story.ignores(created(1));
    story.ignores(create_refused(1, false));
}

#[test]
fn r1_a_create_without_an_answer_is_repeated_with_the_same_bytes() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    let first = story.effect();
    story.ok(collect::Command::CreateCalled);
    story.ok(call_failed(1));
    assert_eq!(story.order.effect(), None);
    story.wake_when_due();
    assert_eq!(story.effect(), first);
    story.create_succeeds();
}

#[test]
fn r1_a_create_refused_after_one_without_an_answer_may_still_exist_and_is_ended_at_wechat() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(call_failed(1));
    story.wake_when_due();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) }, "no second attempt beside the first");
    story.ok(paid(1));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}

#[test]
fn r1_a_refusal_that_says_the_number_is_in_use_is_looked_into() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, true));
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
}

#[test]
fn r7_a_payment_without_a_callback_is_looked_up_on_schedule() {
    let mut story = Story::payable();
    for due in [5, 30, 60, 180, 300] {
        assert_eq!(story.order.next_deadline(), Some(at(due)));
        story.wake_at(due - 1);
        assert_eq!(story.order.effect(), None);
        story.wake_at(due);
        assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
        story.ok(fact(1, FactState::NotPaid));
    }
    assert_eq!(story.order.next_deadline(), Some(at(600)), "then the end is waited for");
}

#[test]
fn r7_a_look_up_that_fails_is_repeated_and_a_payment_found_counts() {
    let mut story = Story::payable();
    story.wake_at(5);
    story.ok(call_failed(1));
    assert_eq!(story.order.effect(), None);
    story.wake_when_due();
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story.ok(paid(1));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}

#[test]
fn r_pay_02_money_confirms_every_seat_and_issues_every_ticket_once() {
    let mut story = Story::payable_with(2, 3);
    story.now = at(120);
    story.ok(paid(1));
    assert_eq!(story.tell(sale::Command::Cancel), Err(Rejection::OrderPaid));
    story.hold_answers(Ok(vec![]));
    assert_eq!(story.order.status(), OrderStatus::Pending, "paid once every departure has confirmed");
    assert_eq!(story.order.tickets().len(), 0);
    story.hold_answers(Ok(vec![]));

    assert_eq!((story.order.status(), story.order.paid_at()), (OrderStatus::Paid, Some(at(120))));
    assert_eq!(story.payment_state(1), &PaymentState::Paid { transaction_id: "420001".into() });
    assert_eq!(story.ledger(), [(LedgerKind::Captured, 1, FARE)]);
    let tickets = story.order.tickets();
    assert_eq!(tickets.len(), 6, "2 journeys × 3 passengers (R-TICKET-01)");
    let fourth = &tickets[3];
    let Right::Journey(Journey { seat, boarding, .. }) = &fourth.right else { panic!("{fourth:?}") };
    assert_eq!((fourth.id, fourth.holder, &**seat), (ticket_id(4), Holder::Passenger(0), "1A"));
    assert_eq!((boarding.valid_from, boarding.valid_until), (at(120), at(DEPARTS + 3_600 + 7_200)), "R-TICKET-02");
    assert_eq!(
        (boarding.merchant.as_ref().unwrap().as_str(), boarding.code.as_str(), boarding.remaining),
        ("CKS", "BOARDING", 1)
    );
    assert_eq!(story.stored.audit().len(), 6, "R-TICKET-06");
    assert!(story.order.is_settled());
}

#[test]
fn r5_the_same_fact_again_changes_nothing_while_settling_and_after() {
    let mut story = Story::payable();
    story.ok(paid(1));
    story.ignores(paid(1));
    story.holds_agree();
    let before = story.order.clone();
    for fact in [paid(1), fact(1, FactState::NotPaid), fact(1, FactState::NotFound)] {
        story.ignores(fact);
    }
    assert_eq!(story.order, before);
    assert_eq!(story.tell(sale::Command::Cancel), Err(Rejection::OrderPaid));
    assert_eq!(story.begin_payment(), Err(Rejection::OrderPaid));
}

#[test]
fn r_hold_09_an_answer_that_is_not_trusted_puts_no_end_off() {
    let mut story = Story::payable();
    story.wake_at(30);
    story.ok(collect::Command::CallFailed { number: number(1), why: CallFailure::Distrusted });
    assert_eq!(story.order.next_deadline(), Some(at(600)));
    story.wake_at(600);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
}

#[test]
fn r6_money_of_another_amount_or_currency_or_payment_never_pays_an_order() {
    let mut story = Story::payable();
    let before = story.order.clone();
    for fact in [
        paid_amount(1, cny(FARE - 1)),
        paid_amount(1, Money::new(FARE, Currency::Hkd)),
        paid(2),
        fact(2, FactState::Closed),
        fact(1, FactState::Foreign("another merchant")),
    ] {
        assert!(matches!(story.tell(fact.clone()), Err(Rejection::PaymentMismatch(_))), "{fact:?}");
    }
    assert_eq!(story.order, before);
}

#[test]
fn r8_a_second_payment_is_due_to_go_back_also_while_the_first_is_settled() {
    for settled in [false, true] {
        let mut story = Story::placed();
        story.begin_payment().unwrap();
        story.holds_agree();
        story.ok(collect::Command::CreateCalled);
        story.ok(create_refused(1, false));
        story.begin_payment().unwrap();
        story.holds_agree();
        story.create_succeeds();

        story.ok(paid(2));
        if settled {
            story.holds_agree();
        }
        story.ok(paid(1));
        story.ignores(paid(1));
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid);
        assert_eq!(story.payment_state(1), &PaymentState::PaidLate { transaction_id: "420001".into(), paid_at: None });
        let mut ledger = story.ledger();
        ledger.sort_by_key(|(_, attempt, _)| *attempt);
        let expected =
            [(LedgerKind::Captured, 1, FARE), (LedgerKind::RefundDue, 1, FARE), (LedgerKind::Captured, 2, FARE)];
        assert_eq!(ledger, expected);
    }
}

#[test]
fn r4_money_for_an_attempt_that_wechat_had_refused_still_pays_the_order() {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    story.ok(create_refused(1, false));
    story.ok(paid(1));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
}
