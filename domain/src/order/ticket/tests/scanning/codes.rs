//! What the shown code allows: one-time codes and print codes (R-TICKET-04).

use super::*;
use crate::code::{Code, CodeKind, CodeToken, Opened, PRINT_GRACE_SECONDS, Subject};

/// A one-time code; `token` tells it from the others.
fn one_time(token: u64) -> Opened {
    Opened { code: Code::one_time(Subject::Order(order_id()), at(90), 60), token: CodeToken(token) }
}

/// Closes long after everything here.
fn printed(seconds: i64) -> Opened {
    let (issued_at, until) = (at(seconds), at(9_000 - PRINT_GRACE_SECONDS));
    let code = Code { kind: CodeKind::Print, subject: Subject::Order(order_id()), issued_at, from: issued_at, until };
    Opened { code, token: CodeToken(1) }
}

/// Refused as a copy of what was used then, at the first port.
fn replayed(seconds: i64) -> TicketOutcome {
    let previous = Previous { at: at(seconds), location: Some("PORT-0".into()) };
    TicketOutcome::Refused { reason: ScanRejection::Replayed, previous: Some(previous) }
}

#[test]
fn r_ticket_04_a_screenshot_of_a_used_one_time_code_is_refused_at_a_second_gate_also_after_a_restart() {
    let mut story = couple();
    story.now = at(100);
    let shown = |session, request| Scan { code: Some(one_time(7)), ..scan(session, request, first()) };
    assert_eq!(scanned(&mut story, shown(1, "r1")), [(1, redeemed(100, false))]);
    for restarted in [false, true] {
        if restarted {
            story.restart();
        }
        story.now = at(110);
        assert_eq!(scanned(&mut story, shown(2, "r1")), [(1, replayed(100))]);
        assert_eq!(scanned(&mut story, shown(1, "r1")), [(1, redeemed(100, true))], "R-SCAN-03: the same request");
        assert_eq!(scanned(&mut story, shown(1, "r2")), [(1, already(100))], "scanned twice at the gate that took it");
        let fresh = Scan { code: Some(one_time(8)), ..scan(2, "r2", first()) };
        assert_eq!(scanned(&mut story, fresh), [(1, already(100))]);
    }
    let reasons: Vec<_> = story.stored.attempts().into_iter().filter_map(|attempt| attempt.reason).collect();
    assert_eq!(reasons[..3], ["REPLAYED", "ALREADY_REDEEMED", "ALREADY_REDEEMED"], "R-SCAN-05");
}

#[test]
fn r_ticket_04_an_orders_code_that_redeemed_one_ticket_redeems_no_other_and_a_fresh_one_does() {
    let mut story = Story::paid_with(2, 1);
    story.now = at(100);
    let shown =
        |gate, token, request| Scan { gate, code: Some(one_time(token)), ..scan(1, request, ScanTarget::Order) };
    let there = || gate(1);
    let back = || gate_at(2, "PORT-1");
    let wrong = || refused(ScanRejection::WrongLocation);
    assert_eq!(scanned(&mut story, shown(there(), 7, "r1")), [(1, redeemed(100, false)), (2, wrong())]);
    assert_eq!(
        scanned(&mut story, shown(there(), 7, "r1")),
        [(1, redeemed(100, true)), (2, wrong())],
        "the same again"
    );

    story.now = at(110);
    let both = scanned(&mut story, shown(back(), 7, "r1"));
    assert!(both.iter().all(|(_, outcome)| *outcome == replayed(100)), "{both:?}");
    let same_gate = scanned(&mut story, shown(there(), 7, "r2"));
    assert_eq!(same_gate, [(1, already(100)), (2, replayed(100))], "nor there");
    assert_eq!(scanned(&mut story, shown(back(), 8, "r2"))[1], (2, redeemed(110, false)));
}

#[test]
fn r_scan_03_a_request_repeated_after_its_code_has_expired_is_answered_the_same_and_redeems_nothing_more() {
    let mut story = Story::paid_with(2, 1);
    let shown = |session, request, target| Scan { code: Some(one_time(7)), ..scan(session, request, target) };
    let wrong = || refused(ScanRejection::WrongLocation);
    let answer = |repeated| [(1, redeemed(100, repeated)), (2, wrong())];
    story.now = at(100);
    assert_eq!(scanned(&mut story, shown(1, "r1", ScanTarget::Order)), answer(false));
    for restarted in [false, true] {
        if restarted {
            story.restart();
        }
        story.now = at(200);
        assert_eq!(scanned(&mut story, shown(1, "r1", ScanTarget::Order)), answer(true));
        let version = story.version;
        assert_eq!(scanned(&mut story, shown(1, "r2", ScanTarget::Order)), []);
        assert_eq!(scanned(&mut story, shown(2, "r1", first())), []);
        assert_eq!(story.version, version, "the session logs the attempt");
    }
    let anywhere = Gate { location: None, ..gate(1) };
    let answers = scanned(&mut story, Scan { gate: anywhere, ..shown(1, "r1", ScanTarget::Order) });
    assert_eq!(answers, [(1, redeemed(100, true)), (2, refused(ScanRejection::CodeExpired))]);
}

#[test]
fn r_ticket_04_a_code_that_was_refused_is_still_good_at_the_right_gate() {
    let mut story = couple();
    story.now = at(100);
    let elsewhere = gate_at(2, "ELSEWHERE");
    let shown = |gate, request| Scan { gate, code: Some(one_time(7)), ..scan(1, request, first()) };
    assert_eq!(scanned(&mut story, shown(elsewhere, "r1")), [(1, refused(ScanRejection::WrongLocation))]);
    assert_eq!(scanned(&mut story, shown(gate(1), "r1")), [(1, redeemed(100, false))]);
}

#[test]
fn r_ticket_04_of_codes_that_two_phones_fetched_at_once_both_redeem_in_either_order() {
    for [sooner, later] in [[7, 8], [8, 7]] {
        let mut story = couple();
        story.now = at(100);
        let shown = |token, request, ticket| Scan {
            code: Some(one_time(token)),
            ..scan(token, request, ScanTarget::Ticket(ticket_id(ticket)))
        };
        assert_eq!(scanned(&mut story, shown(sooner, "r1", 1)), [(1, redeemed(100, false))]);
        assert_eq!(scanned(&mut story, shown(later, "r1", 2)), [(2, redeemed(100, false))]);
    }
}

#[test]
fn r_ticket_04_a_print_code_and_a_choice_by_hand_are_not_one_time() {
    for code in [Some(printed(100)), None] {
        let mut story = couple();
        story.now = at(100);
        let shown = |session, ticket| Scan { code, ..scan(session, "r1", ScanTarget::Ticket(ticket_id(ticket))) };
        assert_eq!(scanned(&mut story, shown(1, 1)), [(1, redeemed(100, false))]);
        assert_eq!(scanned(&mut story, shown(2, 1)), [(1, already(100))]);
        assert_eq!(scanned(&mut story, shown(2, 2)), [(2, redeemed(100, false))]);
        assert!(story.stored.redemptions().iter().all(|row| row.code_token.is_none()));
    }
}

#[test]
fn r_ticket_04_a_print_code_from_before_the_tickets_were_issued_is_a_forgery() {
    let mut story = couple();
    story.order.saved.tickets_mut().iter_mut().for_each(|ticket| ticket.issued_at = at(500));
    story.now = at(1_000);
    let version = story.version;
    let shown = |seconds| Scan { code: Some(printed(seconds)), ..scan(1, "r1", ScanTarget::Order) };
    assert_eq!(scanned(&mut story, shown(499)), []);
    assert_eq!(story.version, version, "the session logs the attempt");
    assert_eq!(scanned(&mut story, shown(500)).len(), 2);
}

#[test]
fn d3_a_code_that_was_printed_before_its_ticket_was_paid_for_is_good() {
    let mut story = couple();
    // A reseller printed them when they were issued; they were paid for at 500.
    story.order.saved.set_paid_at(at(500));
    story.now = at(1_000);
    let shown = |seconds, request| Scan { code: Some(printed(seconds)), ..scan(1, request, first()) };
    assert_eq!(scanned(&mut story, shown(-1, "r1")), [], "older than the ticket itself");
    assert_eq!(scanned(&mut story, shown(0, "r2")), [(1, redeemed(1_000, false))]);
}

#[test]
fn d3_an_orders_printed_code_does_not_redeem_a_ticket_that_was_issued_after_it() {
    for restarted in [false, true] {
        let mut story = couple();
        // The second ticket has taken another's place.
        story.order.saved.tickets_mut()[1].issued_at = at(500);
        story.now = at(1_000);
        let shown = |seconds, request| Scan { code: Some(printed(seconds)), ..scan(1, request, ScanTarget::Order) };
        let newer = refused(ScanRejection::CodeExpired);
        assert_eq!(scanned(&mut story, shown(100, "r1")), [(1, redeemed(1_000, false)), (2, newer)]);
        if restarted {
            story.restart();
        }
        let alone = Scan { target: ScanTarget::Ticket(ticket_id(2)), ..shown(499, "r2") };
        assert_eq!(scanned(&mut story, alone), []);
        assert_eq!(scanned(&mut story, shown(500, "r3")), [(1, already(1_000)), (2, redeemed(1_000, false))]);
    }
}

#[test]
fn rule_23_a_row_that_does_not_say_when_its_ticket_was_issued_means_when_it_became_valid() {
    let mut story = Story::payable();
    story.now = at(77);
    story.ok(paid(1));
    story.holds_agree();
    let rows = story.stored.rows();
    assert!(rows.of::<TicketRow<'_>>().all(|row| row.unwrap().issued_at.is_none()), "as rows ever were");
    story.restart();
    assert_eq!(story.order.tickets()[0].issued_at, at(77));
}

#[test]
fn r_scan_04_another_merchants_gate_does_not_learn_that_a_code_was_used() {
    let mut story = couple();
    story.now = at(100);
    let shown = |gate, request| Scan { gate, code: Some(one_time(7)), ..scan(1, request, ScanTarget::Order) };
    scanned(&mut story, shown(gate(1), "r1"));
    let museum = Gate { redeems: redeems("OTHER"), location: None, ..gate(2) };
    let answers = scanned(&mut story, shown(museum, "r2"));
    assert!(answers.iter().all(|(_, outcome)| *outcome == refused(ScanRejection::NotYourMerchant)), "{answers:?}");
}

#[test]
fn d4_each_use_takes_a_one_time_code_of_its_own() {
    let mut story = couple_with_uses(2);
    let shown = |session, token, request| Scan { code: Some(one_time(token)), ..scan(session, request, first()) };
    story.now = at(100);
    assert_eq!(scanned(&mut story, shown(1, 7, "r1")), [(1, used_once(100, 1, false))]);
    story.now = at(110);
    for session in [1, 2] {
        assert_eq!(scanned(&mut story, shown(session, 7, "r2")), [(1, replayed(100))], "also at the gate that took it");
    }
    assert_eq!(scanned(&mut story, shown(1, 8, "r3")), [(1, used_once(110, 0, false))]);
}

#[test]
fn d4_a_print_code_that_a_reader_reads_twice_within_two_seconds_takes_one_use() {
    let mut story = couple_with_uses(3);
    let shown = |session, request| Scan { code: Some(printed(0)), ..scan(session, request, first()) };
    story.now = at(100);
    assert_eq!(scanned(&mut story, shown(1, "r1")), [(1, used_once(100, 2, false))]);
    story.now = at(100).plus_ms(1_999);
    assert_eq!(scanned(&mut story, shown(1, "r2")), [(1, already(100))]);
    story.now = at(102);
    assert_eq!(scanned(&mut story, shown(1, "r2")), [(1, used_once(102, 1, false))], "a refusal is not remembered");
    assert_eq!(scanned(&mut story, shown(2, "r1")), [(1, used_once(102, 0, false))], "another gate is another person");
}
