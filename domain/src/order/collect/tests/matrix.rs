//! Local payment state × incoming fact (wechat.md section 7): every cell.

use crate::order::tests::*;

/// What a cell leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// The order is paid and its tickets are issued.
    Paid,
    /// The order is cancelled and the seats are free.
    Released,
    /// Cancelled before, and paid now: its seats were found again.
    Revived,
    /// Nothing changes.
    Stays,
    /// Nothing changes, and the close is made, or made again.
    Closes,
    /// The fact is refused: somebody has to look.
    Alarm,
}

const NOT_PAID: FactState = FactState::NotPaid;
const CLOSED: FactState = FactState::Closed;

/// A refunded transaction is told as a paid one: trade state REFUND means that it was paid (R8).
fn success() -> FactState {
    FactState::Paid(capture(1))
}

fn creating() -> Story {
    let mut story = Story::placed();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.ok(collect::Command::CreateCalled);
    assert_eq!(*story.order.collecting.stage(), collect::Stage::Creating);
    story
}

fn pending() -> Story {
    let mut story = Story::payable();
    story.wake_at(5);
    assert_eq!(story.effect(), Effect::QueryPayment { number: number(1) });
    story
}

fn closing() -> Story {
    let mut story = Story::payable();
    story.wake_at(600);
    story.ok(fact(1, NOT_PAID));
    story.ok(close_answered(1));
    story
}

fn paid_order() -> Story {
    Story::paid_with(1, 1)
}

fn refunding() -> Story {
    let mut story = Story::refund_called();
    story.ok(refund_fact(1, RefundStatus::Processing));
    story
}

fn refunded() -> Story {
    let mut story = Story::refund_called();
    story.ok(refund_fact(1, RefundStatus::Success));
    story
}

fn check(name: &str, mut story: Story, state: FactState, then: Then) {
    let cell = format!("{name} × {state:?}");
    let before = story.order.clone();
    let told = story.tell(fact(1, state));
    if told.is_err() {
        assert_eq!(then, Then::Alarm, "{cell}: {told:?}");
        assert_eq!(story.order, before, "{cell}");
        return;
    }
    let after_fact = story.order.clone();
    story.holds_agree();
    match then {
        Then::Paid | Then::Revived => {
            assert_eq!(before.status(), if then == Then::Paid { OrderStatus::Pending } else { OrderStatus::Cancelled });
            assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Paid, 1), "{cell}");
            assert_eq!(story.order.balance().kept(), FARE, "{cell}");
        }
        Then::Released => {
            assert_eq!(story.order.status(), OrderStatus::Cancelled, "{cell}");
            assert_eq!(story.ledger(), [], "{cell}");
        }
        Then::Stays => {
            assert_eq!(random::without_volatile(story.order), random::without_volatile(before), "{cell}");
        }
        Then::Closes => {
            assert_eq!(random::without_volatile(after_fact), random::without_volatile(before), "{cell}");
            story.wake_when_due();
            assert_eq!(story.effect(), Effect::ClosePayment { number: number(1) }, "{cell}");
        }
        Then::Alarm => panic!("{cell} was accepted"),
    }
}

#[test]
fn r5_every_payment_state_meets_every_fact() {
    type Make = fn() -> Story;
    type Row = [(FactState, Then); 3];
    let table: [(&str, Make, Row); 7] = [
        ("creating", creating, [(success(), Then::Paid), (CLOSED, Then::Released), (NOT_PAID, Then::Stays)]),
        ("pending", pending, [(success(), Then::Paid), (CLOSED, Then::Released), (NOT_PAID, Then::Stays)]),
        ("closing", closing, [(success(), Then::Paid), (CLOSED, Then::Released), (NOT_PAID, Then::Closes)]),
        (
            "closed",
            || Story::cancelled_with(1, 1),
            [(success(), Then::Revived), (CLOSED, Then::Stays), (NOT_PAID, Then::Stays)],
        ),
        // NOTPAY after the money is an answer that was under way when it came: old news. CLOSED cannot be.
        ("paid", paid_order, [(success(), Then::Stays), (CLOSED, Then::Alarm), (NOT_PAID, Then::Stays)]),
        ("refunding", refunding, [(success(), Then::Stays), (CLOSED, Then::Alarm), (NOT_PAID, Then::Stays)]),
        ("refunded", refunded, [(success(), Then::Stays), (CLOSED, Then::Alarm), (NOT_PAID, Then::Stays)]),
    ];
    for (name, make, row) in table {
        for (state, then) in row {
            check(name, make(), state, then);
        }
    }
}

#[test]
fn r10_a_refund_fact_without_a_refund_of_ours_is_refused_in_every_state() {
    for mut story in [creating(), pending(), closing(), Story::cancelled_with(1, 1), paid_order()] {
        let before = story.order.clone();
        let told = story.tell(refund_fact(1, RefundStatus::Success));
        assert!(matches!(told, Err(Rejection::PaymentMismatch(_))), "somebody refunded it at WeChat: {told:?}");
        assert_eq!(story.order, before);
    }
}
