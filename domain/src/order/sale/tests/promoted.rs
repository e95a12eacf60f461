//! Orders whose price promotions have lowered: each limited one has a use of it, beside the seats (R-PRICE-03).

use crate::order::tests::*;
use crate::rejection::Uses;

fn exhausted() -> Rejection {
    Rejection::PromotionExhausted { promotion: "PROMO-0".parse().unwrap(), of: Uses::All }
}

/// Unpaid at its end, closed at WeChat, and then paid: two journeys for two, and a use.
fn paid_late() -> Story {
    let mut story = Story::promoted(2, 2, 1);
    story.holds_agree();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    story.wake_at(600);
    story.ok(fact(1, FactState::NotPaid));
    story.ok(close_answered(1));
    story.ok(fact(1, FactState::Closed));
    story.holds_agree();
    assert_eq!(story.cancelled_why(), CancelReason::Expired);
    story.now = at(700);
    story.ok(paid(1));
    story
}

/// What is asked of owners until the order wants nothing more of them, all saying yes: claims, and the items of their holds.
fn asked(story: &mut Story, is_asked: fn(ClaimStep<'_>) -> bool) -> Vec<(usize, u16)> {
    let mut asked = Vec::new();
    while let Some(effect) = story.order.effect() {
        let Some((claim, at, step)) = effect.claim_step() else { break };
        assert!(is_asked(step), "{effect:?}");
        asked.push((claim, at.hold.item));
        let seats = if is_placing(step) { story.seats_of(claim) } else { vec![] };
        story.hold_answers(Ok(seats));
    }
    asked
}

fn is_placing(step: ClaimStep<'_>) -> bool {
    matches!(step, ClaimStep::Place { .. })
}

#[test]
fn r_price_03_uses_are_held_first_and_live_with_the_seats() {
    let mut story = Story::promoted(1, 2, 2);
    let claims = [(0, 0x8000), (1, 0x8001), (2, 0)];
    assert_eq!(asked(&mut story, is_placing), claims);
    assert!(story.order.is_open());
    assert_eq!(story.order.items()[0].leg().unwrap().seats, seats(0, 2));
    assert_eq!(story.order.claimed(0), Some(Claim::Use(&"PROMO-0".parse().unwrap())));

    story.begin_payment().unwrap();
    assert_eq!(asked(&mut story, |step| matches!(step, ClaimStep::BeginPaying { .. })), claims);
    story.create_succeeds();
    story.restart();
    story.ok(paid(1));
    assert_eq!(asked(&mut story, |step| step == ClaimStep::Confirm), claims);
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Paid, 2));
    let Right::Journey(journey) = &story.order.tickets()[1].right else { panic!("a journey's ticket") };
    assert_eq!(journey.seat, seats(0, 2)[1]);
}

#[test]
fn r_price_03_uses_come_back_with_the_seats_of_an_order_that_is_given_up() {
    for restarted in [false, true] {
        let mut story = Story::promoted(2, 1, 1);
        story.holds_agree();
        if restarted {
            story.restart();
        }
        story.ok(sale::Command::Cancel);
        let released = asked(&mut story, |step| step == ClaimStep::Release);
        assert_eq!(released, [(0, 0x8000), (1, 0), (2, 1)]);
        assert_eq!(story.cancelled_why(), CancelReason::Traveller);
    }
}

#[test]
fn r_price_03_a_promotion_without_a_limit_is_not_claimed() {
    let mut draft = with_uses(draft(1, 1, FARE), 2);
    draft.promotions[0].is_limited = false;
    let order = Order::draft(draft, START);
    assert_eq!(order.claimed(0), Some(Claim::Use(&"PROMO-1".parse().unwrap())));
    assert!(matches!(order.claimed(1), Some(Claim::Seats(_))));
    assert_eq!(order.claimed(2), None);
}

#[test]
fn r_price_03_an_order_without_a_use_takes_no_seats() {
    let mut story = Story::promoted(1, 1, 2);
    story.hold_answers(Ok(vec![]));
    story.hold_refuses(exhausted());
    assert_eq!(asked(&mut story, |step| step == ClaimStep::Release), [(0, 0x8000)]);
    assert_eq!(story.order.refusal(), Some(&StepFailure::Refused(exhausted())));
    assert_eq!(story.version, 0, "the order never existed");
}

#[test]
fn r_price_03_an_order_without_seats_gives_its_use_back_and_names_the_item() {
    let mut story = Story::promoted(2, 1, 1);
    story.hold_answers(Ok(vec![]));
    story.hold_answers(Ok(seats(0, 1)));
    story.hold_refuses(Rejection::field("seatNumbers", "names a seat that this departure lacks"));
    assert_eq!(asked(&mut story, |step| step == ClaimStep::Release), [(1, 0), (0, 0x8000)]);
    let named = Rejection::field("items[1].seatNumbers", "names a seat that this departure lacks");
    assert_eq!(story.order.refusal(), Some(&StepFailure::Refused(named)));
}

#[test]
fn r_pay_04_late_money_has_its_use_again_with_its_seats() {
    let mut story = paid_late();
    assert_eq!(asked(&mut story, |step| is_placing(step) || step == ClaimStep::Confirm).len(), 6);
    assert_eq!((story.order.status(), story.order.tickets().len()), (OrderStatus::Paid, 4));
    assert_eq!(story.order.items()[1].leg().unwrap().seats, seats(1, 2));
    let before = story.order.clone();
    story.restart();
    assert_eq!((story.order.items(), story.order.tickets()), (before.items(), before.tickets()));
    assert_eq!(story.order.details().promotions, before.details().promotions);
}

#[test]
fn r_pay_04_late_money_whose_promotion_has_run_out_goes_back_whole() {
    let mut story = paid_late();
    let resold = |events: &[Event]| events == [sale::Event::EqualSought { resold: true }.into()];
    assert!(!resold(&story.hold_refuses(exhausted())), "nobody could pay any more");
    story.hold_refuses(exhausted());
    assert_eq!(story.order.status(), OrderStatus::Cancelled);
    assert_eq!((story.order.refunds()[0].amount, story.refund_state(1)), (cny(FARE), &RefundState::Due));
}
