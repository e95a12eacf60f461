//! Scans at the gate (R-SCAN-02 to R-SCAN-06, R-TICKET-07).

use std::sync::Arc;

use crate::catalogue::DepartureOverride;
use crate::departure::Call;
use crate::order::tests::*;
use crate::redeems::Redeems;
use crate::tables::newest_version;

mod codes;

/// The gate's answer, ticket by ticket.
fn scanned(story: &mut Story, scan: Scan) -> Vec<(u16, TicketOutcome)> {
    let events = story.ok(ticket::Command::Scan(scan));
    let Some(Event::Ticket(ticket::Event::Scanned(outcome))) = events.first() else { panic!("{events:?}") };
    outcome.tickets.iter().map(|(id, outcome)| (id.number, outcome.clone())).collect()
}

fn redeemed(seconds: i64, repeated: bool) -> TicketOutcome {
    TicketOutcome::Redeemed { at: at(seconds), remaining: 0, repeated }
}

fn already(seconds: i64) -> TicketOutcome {
    let previous = Previous { at: at(seconds), location: Some("PORT-0".into()) };
    TicketOutcome::Refused { reason: ScanRejection::AlreadyRedeemed, previous: Some(previous) }
}

/// Two passengers of one departure, paid.
fn couple() -> Story {
    Story::paid_with(1, 2)
}

/// The first of their tickets has so many uses.
fn couple_with_uses(uses: u16) -> Story {
    let mut story = couple();
    let boarding = story.order.saved.tickets_mut()[0].entitlement_mut();
    (boarding.total, boarding.remaining) = (uses, uses);
    story
}

fn used_once(seconds: i64, remaining: u16, repeated: bool) -> TicketOutcome {
    TicketOutcome::Redeemed { at: at(seconds), remaining, repeated }
}

fn first() -> ScanTarget {
    ScanTarget::Ticket(ticket_id(1))
}

#[test]
fn r_scan_02_a_usable_ticket_is_redeemed_with_rows_of_what_happened() {
    let mut story = couple();
    story.now = at(5_000);
    assert_eq!(scanned(&mut story, scan(1, "r1", first())), [(1, redeemed(5_000, false))]);
    assert_eq!(story.order.tickets()[0].status, TicketStatus::Used);
    assert_eq!(story.order.tickets()[1].status, TicketStatus::Usable);
    assert_eq!(story.order.status(), OrderStatus::Paid);

    let scans = story.stored.attempts();
    let [scan] = scans.as_slice() else { panic!("{scans:?}") };
    assert_eq!((scan.operator_username, scan.location_code, scan.reason), ("gate", Some("PORT-0"), None));
    assert_eq!((scan.number, scan.quantity), (Some(1), Some(1)));
    let audit = story.stored.audit().pop().unwrap();
    assert_eq!(
        (audit.prev_status, audit.new_status, audit.event),
        (Some(TicketStatus::Usable), TicketStatus::Used, "redeemed")
    );
}

#[test]
fn d4_r_scan_06_a_scan_takes_one_use_and_the_last_one_makes_the_ticket_used() {
    let mut story = couple_with_uses(3);
    for (seconds, request, left, status) in
        [(100, "r1", 2, TicketStatus::Usable), (200, "r2", 1, TicketStatus::Usable), (300, "r3", 0, TicketStatus::Used)]
    {
        story.now = at(seconds);
        assert_eq!(scanned(&mut story, scan(1, request, first())), [(1, used_once(seconds, left, false))]);
        for restarted in [false, true] {
            if restarted {
                story.restart();
            }
            let ticket = &story.order.tickets()[0];
            let boarding = ticket.entitlement();
            assert_eq!((boarding.total, boarding.remaining, ticket.status), (3, left, status));
            assert_eq!(ticket.redemptions.last().map(|redemption| redemption.quantity), Some(1));
        }
    }
    let again = scanned(&mut story, scan(1, "r1", first()));
    assert_eq!(again, [(1, used_once(100, 2, true))], "R-SCAN-03: what was left then");
    assert_eq!(scanned(&mut story, scan(1, "r4", first())), [(1, already(300))]);
}

#[test]
fn d4_the_order_is_completed_with_the_last_use_not_with_the_last_ticket_that_is_scanned() {
    let mut story = couple_with_uses(2);
    story.now = at(100);
    let answers = scanned(&mut story, scan(1, "r1", ScanTarget::Order));
    assert_eq!(answers, [(1, used_once(100, 1, false)), (2, redeemed(100, false))]);
    assert_eq!(story.order.status(), OrderStatus::Paid);
    story.now = at(200);
    let events = story.ok(ticket::Command::Scan(scan(1, "r2", ScanTarget::Order)));
    assert_eq!(events.last(), Some(&ticket::Event::Completed { at: at(200) }.into()));
}

#[test]
fn d14_the_audit_has_a_row_when_a_status_changes_and_none_for_a_use_that_leaves_some() {
    let mut story = couple_with_uses(2);
    let audited = |story: &Story| {
        let rows = story.stored.audit();
        rows.iter().map(|row| (row.ticket_id, row.prev_status, row.new_status)).collect::<Vec<_>>()
    };
    let issued = audited(&story);
    story.now = at(100);
    scanned(&mut story, scan(1, "r1", first()));
    assert_eq!(audited(&story), issued, "it was usable, and is");
    assert_eq!((story.stored.attempts().len(), story.stored.redemptions().len()), (1, 1));
    story.now = at(200);
    scanned(&mut story, scan(1, "r2", first()));
    let used = (ticket_id(1), Some(TicketStatus::Usable), TicketStatus::Used);
    assert_eq!(audited(&story), [issued, vec![used]].concat());
}

#[test]
fn r_scan_03_a_second_scan_is_refused_with_when_and_where() {
    let mut story = couple();
    story.now = at(100);
    scanned(&mut story, scan(1, "r1", first()));
    story.now = at(160);
    assert_eq!(scanned(&mut story, scan(1, "r2", first())), [(1, already(100))]);
    assert_eq!(
        scanned(&mut story, scan(2, "r1", first())),
        [(1, already(100))],
        "another session's r1 is another request"
    );
    let reasons: Vec<_> = story.stored.attempts().into_iter().map(|attempt| attempt.reason).collect();
    assert_eq!(reasons, [None, Some("ALREADY_REDEEMED"), Some("ALREADY_REDEEMED")], "R-SCAN-05");
    assert_eq!(story.stored.redemptions().len(), 1);
}

#[test]
fn r_scan_03_the_same_request_again_is_answered_the_same_and_leaves_no_row() {
    let mut story = couple();
    story.now = at(100);
    scanned(&mut story, scan(1, "r1", first()));
    let (version, attempts) = (story.version, story.stored.attempts().len());
    story.now = at(160);
    assert_eq!(scanned(&mut story, scan(1, "r1", first())), [(1, redeemed(100, true))]);
    story.restart();
    assert_eq!(scanned(&mut story, scan(1, "r1", first())), [(1, redeemed(100, true))], "also after a restart");
    assert_eq!((story.version, story.stored.attempts().len()), (version, attempts));
}

#[test]
fn r_scan_01_an_order_code_redeems_all_that_this_gate_redeems_and_the_order_is_completed_with_the_last() {
    let mut story = Story::paid_with(2, 2);
    story.now = at(100);
    let answers = scanned(&mut story, scan(1, "r1", ScanTarget::Order));
    let wrong = || refused(ScanRejection::WrongLocation);
    assert_eq!(answers, [(1, redeemed(100, false)), (2, redeemed(100, false)), (3, wrong()), (4, wrong())]);
    assert_eq!(story.order.status(), OrderStatus::Paid);

    let (version, attempts) = (story.version, story.stored.attempts().len());
    let again = scanned(&mut story, scan(1, "r1", ScanTarget::Order));
    assert_eq!(again, [(1, redeemed(100, true)), (2, redeemed(100, true)), (3, wrong()), (4, wrong())]);
    assert_eq!((story.version, story.stored.attempts().len()), (version, attempts), "a partial answer is repeated too");

    story.now = at(200);
    let other_port = gate_at(2, "PORT-1");
    let events = story.ok(ticket::Command::Scan(Scan { gate: other_port, ..scan(2, "r9", ScanTarget::Order) }));
    assert_eq!(
        events.last(),
        Some(&ticket::Event::Completed { at: at(200) }.into()),
        "in the same record (R-TICKET-07)"
    );
    assert_eq!((story.order.status(), story.order.completed_at()), (OrderStatus::Completed, Some(at(200))));
    assert_eq!(story.stored.rows().all::<OrderRow<'_>>().unwrap()[0].status, OrderStatus::Completed);
}

#[test]
fn r_scan_03_what_a_request_redeemed_before_is_not_recorded_again_beside_what_it_redeems_now() {
    let mut story = couple();
    story.now = at(100);
    scanned(&mut story, scan(1, "r1", first()));
    story.now = at(110);
    let answers = scanned(&mut story, scan(1, "r1", ScanTarget::Order));
    assert_eq!(answers, [(1, redeemed(100, true)), (2, redeemed(110, false))]);
    let attempted: Vec<_> = story.stored.attempts().into_iter().map(|attempt| attempt.ticket).collect();
    assert_eq!(attempted, [1, 2]);
    assert_eq!(story.stored.redemptions().len(), 2);
}

#[test]
fn r_ticket_07_the_last_ticket_completes_the_order_in_the_same_decision() {
    let mut story = couple();
    scanned(&mut story, scan(1, "r1", first()));
    let events = story.ok(ticket::Command::Scan(scan(1, "r2", ScanTarget::Ticket(ticket_id(2)))));
    assert!(matches!(
        events.as_slice(),
        [Event::Ticket(ticket::Event::Scanned(_)), Event::Ticket(ticket::Event::Completed { .. })]
    ));
    assert_eq!(scanned(&mut story, scan(1, "r2", ScanTarget::Ticket(ticket_id(2)))), [(2, redeemed(0, true))]);
    assert_eq!(scanned(&mut story, scan(1, "r3", ScanTarget::Ticket(ticket_id(2)))), [(2, already(0))]);
    let completed_at = story.order.completed_at();
    story.now = at(50);
    assert_eq!(story.ok(ticket::Command::Scan(scan(1, "r4", ScanTarget::Order))).len(), 1, "completed once");
    assert_eq!(story.order.completed_at(), completed_at);
}

/// Spoils one thing about a scan.
type Spoil = fn(&mut Scan);

#[test]
fn r_scan_04_the_first_reason_in_order_of_precedence_is_answered() {
    let spoils: [(Spoil, ScanRejection); 4] = [
        (|scan| scan.gate.redeems = redeems("OTHER"), ScanRejection::NotYourMerchant),
        (
            |scan| scan.gate = Gate { redeems: Arc::clone(&scan.gate.redeems), ..gate_at(1, "ELSEWHERE") },
            ScanRejection::WrongLocation,
        ),
        (
            |scan| scan.take.entitlement = Some("LUNCH".parse().unwrap()),
            ScanRejection::WrongEntitlement("BOARDING".parse().unwrap()),
        ),
        (|scan| scan.gate.departure = Some("SK-9.20251124".parse().unwrap()), ScanRejection::WrongDeparture),
    ];
    for first_spoiled in 0..spoils.len() {
        for used in [false, true] {
            let mut story = couple();
            if used {
                scanned(&mut story, scan(1, "r0", first()));
            }
            let mut bad = scan(1, "r1", first());
            for (spoil, _) in &spoils[first_spoiled..] {
                spoil(&mut bad);
            }
            let expected = refused(spoils[first_spoiled].1.clone());
            assert_eq!(scanned(&mut story, bad), [(1, expected)]);
            assert_eq!(story.order.tickets()[0].redemptions.len(), usize::from(used));
        }
    }
}

#[test]
fn r_scan_04_a_gate_bound_to_nothing_and_one_bound_to_exactly_this_both_redeem() {
    let any = Gate { redeems: Arc::default(), location: None, departure: None, ..gate(1) };
    let exact = Gate { departure: Some("SK-0.20251124".parse().unwrap()), ..gate(1) };
    for gate in [any, exact] {
        let mut story = couple();
        let scan = Scan {
            gate,
            take: Take { entitlement: Some("BOARDING".parse().unwrap()), quantity: 1 },
            ..scan(1, "r1", first())
        };
        assert_eq!(scanned(&mut story, scan), [(1, redeemed(0, false))]);
    }
}

/// The account of an operator says it, whatever the device is.
#[test]
fn r_scan_04_an_operator_redeems_at_own_locations_and_of_own_entitlements_only() {
    let of = |locations: &[&str], entitlements: &[&str]| {
        let locations = locations.iter().map(|location| location.parse().unwrap()).collect();
        let entitlements = entitlements.iter().map(|code| code.parse().unwrap()).collect();
        Arc::new(Redeems { merchant: None, locations, entitlements })
    };
    let boarding = || ScanRejection::WrongEntitlement("BOARDING".parse().unwrap());
    for (redeems, expected) in [
        (of(&["PORT-0", "hall"], &["BOARDING", "LUNCH"]), redeemed(0, false)),
        (of(&["hall"], &[]), refused(ScanRejection::WrongLocation)),
        (of(&["hall"], &["LUNCH"]), refused(ScanRejection::WrongLocation)),
        (of(&[], &["LUNCH"]), refused(boarding())),
    ] {
        let mut story = couple();
        let gate = Gate { redeems, ..gate(1) };
        assert_eq!(scanned(&mut story, Scan { gate, ..scan(1, "r1", first()) }), [(1, expected)]);
    }
    let nowhere = Gate { redeems: of(&["PORT-0"], &[]), location: None, ..gate(1) };
    let outcome = scanned(&mut couple(), Scan { gate: nowhere, ..scan(1, "r1", first()) });
    assert_eq!(outcome, [(1, refused(ScanRejection::WrongLocation))], "a session that does not say where it is");
}

#[test]
fn r_scan_04_a_location_boards_the_journeys_of_the_port_that_it_is_at() {
    let hall = |port: Option<&str>| Gate {
        location: Some("hall".parse().unwrap()),
        port: port.map(|port| port.parse().unwrap()),
        ..gate(1)
    };
    for (port, expected) in [
        (Some("PORT-0"), redeemed(0, false)),
        (Some("PORT-1"), refused(ScanRejection::WrongLocation)),
        (None, refused(ScanRejection::WrongLocation)),
    ] {
        let scan = Scan { gate: hall(port), ..scan(1, "r1", first()) };
        assert_eq!(scanned(&mut couple(), scan), [(1, expected)], "{port:?}");
    }
}

#[test]
fn the_only_use_of_a_ticket_takes_the_room_that_was_counted_for_it() {
    let mut story = couple();
    let before = story.order.bytes_in_memory();
    scanned(&mut story, scan(1, "8f14e45f-ceea-4672-950a-1d5b3c2e7a90", ScanTarget::Order));
    let after = story.order.bytes_in_memory();
    assert!(before.abs_diff(after) <= 2 * 32, "two tickets: {before} before, and {after}");

    story.restart();
    assert!(story.order.tickets().iter().all(|ticket| ticket.redemptions.capacity() == 1));
}

#[test]
fn r_ticket_02_a_ticket_is_valid_from_its_payment_until_two_hours_after_departure() {
    let mut story = couple();
    story.order.saved.tickets_mut()[0].entitlement_mut().valid_from = at(50);
    for (seconds, answer) in [
        (49, refused(ScanRejection::NotYetValid)),
        (DEPARTS + 7_200, refused(ScanRejection::Expired)),
        (DEPARTS + 7_199, redeemed(DEPARTS + 7_199, false)),
    ] {
        story.now = at(seconds);
        assert_eq!(scanned(&mut story, scan(1, &seconds.to_string(), first())), [(1, answer)]);
    }
}

#[test]
fn r_scan_05_every_other_state_of_a_ticket_has_its_reason() {
    for (status, reason) in [
        (TicketStatus::PreGenerated, ScanRejection::NotActivated),
        (TicketStatus::Refunded, ScanRejection::Refunded),
        (TicketStatus::Changing, ScanRejection::Changed),
        (TicketStatus::Changed, ScanRejection::Changed),
        (TicketStatus::Cancelled, ScanRejection::Cancelled),
        (TicketStatus::Expired, ScanRejection::Expired),
    ] {
        let mut story = couple();
        story.order.saved.tickets_mut()[0].status = status;
        assert_eq!(scanned(&mut story, scan(1, "r1", first())), [(1, refused(reason))]);
    }
}

#[test]
#[should_panic(expected = "is refunded and cannot become used")]
fn r_ticket_05_a_ticket_that_was_given_back_meanwhile_is_not_set_used_whatever_was_decided() {
    let mut story = couple();
    let decided = story.order.decide(&ticket::Command::Scan(scan(1, "r1", first())).into(), story.now).unwrap();
    story.order.saved.tickets_mut()[0].status = TicketStatus::Refunded;
    story.order.apply(&decided, 1);
}

#[test]
fn a_refusal_takes_a_version_that_the_state_rows_tell() {
    let mut story = couple();
    let version = story.version;
    let elsewhere = gate_at(1, "ELSEWHERE");
    scanned(&mut story, Scan { gate: elsewhere, ..scan(1, "r1", first()) });
    assert_eq!(story.version, version + 1);
    assert_eq!(newest_version(&story.stored.rows()), Ok(version + 1));
}

#[test]
fn a_ticket_that_the_order_does_not_have_is_answered_with_nothing() {
    let mut unpaid = Story::placed();
    assert_eq!(scanned(&mut unpaid, scan(1, "r1", ScanTarget::Order)), []);
    let mut story = couple();
    let version = story.version;
    assert_eq!(scanned(&mut story, scan(1, "r1", ScanTarget::Ticket(ticket_id(3)))), []);
    assert_eq!(story.version, version, "the session logs the attempt");
}

#[test]
fn r_scan_02_a_scan_as_a_whole_is_a_success_partial_or_refused_for_the_reason_of_the_nearest_ticket() {
    let id = ticket_id;
    let outcome = |tickets: Vec<(TicketId, TicketOutcome)>| ScanOutcome {
        scan: scan(1, "r1", ScanTarget::Order),
        at: at(100),
        tickets,
    };
    assert_eq!(outcome(vec![]).verdict(), None);
    assert_eq!(outcome(vec![(id(1), redeemed(100, false))]).verdict(), Some(Verdict::Success));
    assert_eq!(outcome(vec![(id(1), redeemed(100, true))]).verdict(), Some(Verdict::Success), "repeated");
    let some = outcome(vec![(id(1), already(50)), (id(2), redeemed(100, false))]);
    assert_eq!(some.verdict(), Some(Verdict::Partial(&ScanRejection::AlreadyRedeemed)));
    let none = outcome(vec![(id(1), already(50)), (id(2), refused(ScanRejection::WrongLocation))]);
    assert_eq!(none.verdict(), Some(Verdict::Rejected(&ScanRejection::AlreadyRedeemed)));
}

/// What a departure has other than its timetable, for a scan of the first item.
fn under(story: &Story, of: impl FnOnce(DepartureOverride) -> DepartureOverride) -> Box<[Arc<DepartureOverride>]> {
    let leg = story.order.items()[0].leg().unwrap();
    Box::new([Arc::new(of(DepartureOverride::none(leg.departure.clone())))])
}

#[test]
fn r_scan_05_a_ticket_of_a_cancelled_departure_is_refused_and_of_another_one_is_not() {
    let mut story = couple();
    story.now = at(5_000);
    let overrides = under(&story, |of| DepartureOverride { cancelled: true, ..of });
    let other = Box::new([Arc::new(DepartureOverride {
        departure: "other.20261120".parse().unwrap(),
        ..(*overrides[0]).clone()
    })]);
    let gone = scanned(&mut story, Scan { overrides, ..scan(1, "r1", first()) });
    assert_eq!(gone, [(1, refused(ScanRejection::DepartureCancelled))]);
    let runs = scanned(&mut story, Scan { overrides: other, ..scan(1, "r2", first()) });
    assert_eq!(runs, [(1, redeemed(5_000, false))]);
}

#[test]
fn r_ticket_02_a_journey_is_valid_until_2_hours_after_the_departure_in_force() {
    let mut story = couple();
    let leg = story.order.items()[0].leg().unwrap();
    let (departs_at, stops) = (leg.departs_at, usize::from(leg.stretch.alight) + 1);
    let valid_until = |minutes: i64| departs_at.plus_seconds(2 * 3_600 + 60 * minutes);
    let moved = |story: &Story, minutes: i64| {
        let at = departs_at.plus_seconds(60 * minutes);
        under(story, |of| DepartureOverride { calls: vec![Call { arrives_at: at, departs_at: at }; stops], ..of })
    };
    story.now = valid_until(0);
    let over = scanned(&mut story, scan(1, "r1", first()));
    assert_eq!(over, [(1, refused(ScanRejection::Expired))]);
    story.now = valid_until(90).plus_ms(-1);
    let overrides = moved(&story, 90);
    let late = scanned(&mut story, Scan { overrides, ..scan(1, "r2", first()) });
    assert!(matches!(late[0].1, TicketOutcome::Redeemed { .. }), "{late:?}");
    story.now = valid_until(-60);
    let overrides = moved(&story, -60);
    let second = ScanTarget::Ticket(ticket_id(2));
    let early = scanned(&mut story, Scan { overrides, ..scan(1, "r3", second) });
    assert_eq!(early, [(2, refused(ScanRejection::Expired))]);
}

#[test]
fn r_ticket_02_boarding_opens_as_long_before_the_departure_in_force_as_before_the_one_that_was_sold() {
    let mut story = couple();
    let leg = story.order.items()[0].leg().unwrap();
    let (departs_at, stops) = (leg.departs_at, usize::from(leg.stretch.alight) + 1);
    let opens = |minutes: i64| departs_at.plus_seconds(60 * (minutes - 90));
    let moved = |story: &Story, minutes: i64| {
        let at = departs_at.plus_seconds(60 * minutes);
        under(story, |of| DepartureOverride { calls: vec![Call { arrives_at: at, departs_at: at }; stops], ..of })
    };
    for ticket in story.order.saved.tickets_mut() {
        ticket.entitlement_mut().valid_from = opens(0);
    }
    story.now = opens(60).plus_ms(-1);
    let overrides = moved(&story, 60);
    let late = scanned(&mut story, Scan { overrides, ..scan(1, "r1", first()) });
    assert_eq!(late, [(1, refused(ScanRejection::NotYetValid))]);
    story.now = opens(-30);
    let overrides = moved(&story, -30);
    let early = scanned(&mut story, Scan { overrides, ..scan(1, "r2", first()) });
    assert!(matches!(early[0].1, TicketOutcome::Redeemed { .. }), "{early:?}");
}
