//! Tickets of packages: what is issued, what each stands for, and how it is redeemed (R-TICKET-01, R-TICKET-02, R-PRICE-01).

use jiff::civil::date;

use crate::catalogue::{Names, Zone};
use crate::order::tests::*;
use crate::package::{Bound, EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};

const DAY_MS: i64 = 86_400_000;

fn entitlement(code: &str, quantity: u16, shared: bool) -> EntitlementTerms {
    EntitlementTerms {
        code: code.parse().unwrap(),
        names: Names::new("权益", code),
        quantity,
        merchant: Some("MUSEUM".parse().unwrap()),
        locations: vec!["HALL-1".parse().unwrap()],
        channel: RedemptionChannel::Any,
        requires_identity: false,
        shared,
        weight: 0,
        validity: Validity::Relative { days: 30, starts: StartsAt::Payment, until: None },
    }
}

/// Two entitlements for each, and one for all.
fn terms() -> PackageTerms {
    PackageTerms {
        template: "pkg-premium".parse().unwrap(),
        version: 3,
        product: Some(106),
        names: Names::new("尊享", "Premium"),
        zone: "Asia/Hong_Kong".parse::<Zone>().unwrap(),
        service_date: Some(date(2025, 12, 1)),
        quantity: 2,
        entitlements: vec![
            entitlement("MEAL", 1, false),
            entitlement("ENTRY", 1, false),
            entitlement("LOCKER", 3, true),
        ],
    }
}

/// A coach and a ferry that the package does not include, and the package, for three.
fn family(terms: PackageTerms, adult: i64, children: i64) -> Draft {
    let mut draft = draft(2, 3, 0);
    let line = |item, kind, total_minor| PriceLine {
        item,
        kind,
        count: 1,
        unit_minor: total_minor,
        discount_minor: 0,
        total_minor,
        explanation: "".into(),
    };
    let journey = |passenger| LineKind::Journey { passenger, class: "STD".parse().unwrap() };
    let package = |passenger| LineKind::Package { passenger };
    draft.price.lines = vec![
        line(0, journey(PassengerType::Adult), 10_000),
        line(0, journey(PassengerType::Child), 9_999),
        line(1, journey(PassengerType::Adult), 20_000),
        line(1, journey(PassengerType::Child), 15_001),
        line(2, package(PassengerType::Adult), adult),
        line(2, package(PassengerType::Child), children),
    ];
    draft.price.total = cny(draft.price.lines.iter().map(|line| line.total_minor).sum());
    draft.items.push(Item { kind: ItemKind::Package(Box::new(terms)), part_of: None, refund_rule: None });
    draft
}

fn paid_for(draft: Draft) -> Story {
    let order = Order::draft(draft, START);
    let mut story = Story { order, now: START, version: 0, stored: Stored::default() };
    story.holds_agree();
    story.begin_payment().unwrap();
    story.holds_agree();
    story.create_succeeds();
    let total = story.order.total();
    story.ok(collect::Command::Fact(PaymentFact {
        number: number(1),
        state: FactState::Paid(Capture { amount: total, ..capture(1) }),
    }));
    story.holds_agree();
    assert_eq!(story.order.status(), OrderStatus::Paid);
    story
}

fn scan_at(story: &mut Story, seconds: i64, scan: Scan) -> Vec<(u16, TicketOutcome)> {
    story.now = at(seconds);
    let events = story.ok(ticket::Command::Scan(scan));
    let Some(Event::Ticket(ticket::Event::Scanned(outcome))) = events.first() else { panic!("{events:?}") };
    outcome.tickets.iter().map(|(id, outcome)| (id.number, outcome.clone())).collect()
}

/// At a place of the museum.
fn museum(session: u64, location: &str, request: &str, ticket: u16) -> Scan {
    let mut scan = scan(session, request, ScanTarget::Ticket(ticket_id(ticket)));
    scan.gate.redeems = redeems("MUSEUM");
    scan.gate.location = Some(location.parse().unwrap());
    scan
}

fn taken(seconds: i64, remaining: u16) -> TicketOutcome {
    TicketOutcome::Redeemed { at: at(seconds), remaining, repeated: false }
}

#[test]
fn r_ticket_01_three_passengers_two_journeys_and_a_package_of_two_and_one_shared() {
    let story = paid_for(family(terms(), 30_001, 40_001));
    let tickets = story.order.tickets();
    let of = |item| tickets.iter().filter(|ticket| ticket.item == item).collect::<Vec<_>>();
    assert_eq!((of(0).len(), of(1).len(), of(2).len()), (3, 3, 7), "two journeys, and 3 × 2 + 1");
    let what: Vec<_> = of(2).into_iter().map(|ticket| (ticket.entitlement().code.as_str(), ticket.holder)).collect();
    let each = |passenger| [("MEAL", Holder::Passenger(passenger)), ("ENTRY", Holder::Passenger(passenger))];
    assert_eq!(what, [&each(0)[..], &each(1), &each(2), &[("LOCKER", Holder::Party)]].concat());
    let uses: Vec<_> = of(2).into_iter().map(|ticket| ticket.entitlement().total).collect();
    assert_eq!(uses, [2, 2, 2, 2, 2, 2, 6], "totals are multiplied by the quantity, tickets are not");
}

#[test]
fn r_price_01_the_shares_of_all_tickets_are_the_total_to_the_cent() {
    for (weights, locker) in [([0, 0, 0], 23_333), ([1, 1, 2], 35_001), ([3, 1, 0], 0)] {
        let mut terms = terms();
        for (entitlement, weight) in terms.entitlements.iter_mut().zip(weights) {
            entitlement.weight = weight;
        }
        let story = paid_for(family(terms, 30_001, 40_001));
        let tickets = story.order.tickets();
        assert_eq!(tickets.iter().map(|ticket| ticket.price_minor).sum::<i64>(), story.order.total().minor);
        let shared = tickets.last().unwrap();
        assert_eq!(shared.holder, Holder::Party);
        assert!((shared.price_minor - locker).abs() <= 3, "{weights:?}: {}", shared.price_minor);
    }
}

#[test]
fn r_price_01_of_a_package_of_journeys_alone_the_journeys_are_the_total_to_the_cent() {
    let mut draft = family(PackageTerms { entitlements: vec![], ..terms() }, 30_001, 40_001);
    draft.items.iter_mut().take(2).for_each(|journey| journey.part_of = Some(2));
    draft.price.lines.drain(..4);
    draft.price.total = cny(70_002);
    let story = paid_for(draft);
    let shares: Vec<_> = story.order.tickets().iter().map(|ticket| ticket.price_minor).collect();
    assert_eq!(shares, [15_001, 10_001, 10_000, 15_000, 10_000, 10_000]);
    assert_eq!(shares.iter().sum::<i64>(), story.order.total().minor);
}

#[test]
fn r_ticket_02_an_entitlement_is_valid_as_its_terms_say() {
    let mut terms = terms();
    terms.entitlements[0].validity =
        Validity::Absolute { from: Bound::Day(date(2025, 12, 1)), until: Bound::Day(date(2025, 12, 31)) };
    let story = paid_for(family(terms, 100, 100));
    let valid = |number: usize| {
        let entitlement = story.order.tickets()[number].entitlement();
        (entitlement.valid_from.as_ms(), entitlement.valid_until.as_ms())
    };
    let midnight = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(valid(6), (midnight("2025-11-30T16:00:00Z"), midnight("2025-12-31T16:00:00Z")));
    // START is 2025-11-25 in Hong Kong.
    assert_eq!(valid(7), (START.as_ms(), midnight("2025-12-25T16:00:00Z")));
}

#[test]
fn r_ticket_02_where_boarding_opens_late_a_journey_is_valid_from_then_on_but_not_before_it_is_paid() {
    for (opens, from) in [(Some(at(9_000)), at(9_000)), (Some(at(-9_000)), START), (None, START)] {
        let mut draft = draft(1, 2, FARE);
        let ItemKind::Journey(leg) = &mut draft.items[0].kind else { panic!("a journey") };
        leg.boards_from = opens;
        let story = paid_for(draft);
        let valid: Vec<_> = story.order.tickets().iter().map(|ticket| ticket.entitlement().valid_from).collect();
        assert_eq!(valid, [from, from], "{opens:?}");
    }
}

#[test]
fn r_ticket_02_a_validity_that_begins_with_the_first_use_is_shortened_by_it_and_by_no_other() {
    let mut terms = terms();
    terms.entitlements[2].validity = Validity::Relative { days: 2, starts: StartsAt::FirstUse, until: None };
    let mut story = paid_for(family(terms, 100, 100));
    let until = |story: &Story| story.order.tickets()[12].entitlement().valid_until;
    let before = until(&story);
    assert!(before.ms_since(START) > 365 * DAY_MS);
    assert_eq!(scan_at(&mut story, 100, museum(1, "HALL-1", "r1", 13)), [(13, taken(100, 5))]);
    let after = until(&story);
    assert!((2 * DAY_MS..=3 * DAY_MS).contains(&after.ms_since(at(100))));
    assert_eq!(scan_at(&mut story, 90_000, museum(1, "HALL-1", "r2", 13)), [(13, taken(90_000, 4))]);
    assert_eq!(until(&story), after);
    story.restart();
    assert_eq!(until(&story), after);
}

#[test]
fn r_scan_03_a_shared_ticket_at_two_gates_never_exceeds_its_total() {
    let mut story = paid_for(family(terms(), 100, 100));
    let takes = |story: &mut Story, session, request: &str, quantity| {
        let take = Take { entitlement: None, quantity };
        let scan = Scan { take, ..museum(session, "HALL-1", request, 13) };
        scan_at(story, 100, scan).pop().unwrap().1
    };
    assert_eq!(takes(&mut story, 1, "r1", 2), taken(100, 4));
    assert_eq!(takes(&mut story, 2, "r1", 3), taken(100, 1));
    assert_eq!(takes(&mut story, 1, "r2", 2), refused(ScanRejection::NoRemaining), "all that is asked for, or nothing");
    assert_eq!(takes(&mut story, 2, "r1", 3), TicketOutcome::Redeemed { at: at(100), remaining: 1, repeated: true });
    assert_eq!(takes(&mut story, 1, "r3", 1), taken(100, 0));
    assert_eq!(story.order.tickets()[12].status, TicketStatus::Used);
    let as_then = TicketOutcome::Redeemed { at: at(100), remaining: 1, repeated: true };
    assert_eq!(takes(&mut story, 2, "r1", 3), as_then, "also when nothing is left");
}

#[test]
fn r_scan_04_an_entitlement_is_redeemed_by_its_merchant_at_its_locations_and_its_desk_only() {
    let mut terms = terms();
    terms.entitlements[1].channel = RedemptionChannel::Counter;
    let mut story = paid_for(family(terms, 100, 100));
    let mut elsewhere = museum(1, "HALL-1", "r1", 7);
    elsewhere.gate.redeems = redeems("CKS");
    assert_eq!(scan_at(&mut story, 100, elsewhere), [(7, refused(ScanRejection::NotYourMerchant))]);
    assert_eq!(scan_at(&mut story, 100, museum(1, "HALL-2", "r2", 7)), [(7, refused(ScanRejection::WrongLocation))]);
    let at_desk = ScanRejection::WrongEntitlement("ENTRY".parse().unwrap());
    assert_eq!(scan_at(&mut story, 100, museum(1, "HALL-1", "r3", 8)), [(8, refused(at_desk))]);
    let mut boarding = museum(1, "HALL-1", "r4", 7);
    boarding.gate.departure = Some("SK-0.20251124".parse().unwrap());
    assert_eq!(scan_at(&mut story, 100, boarding), [(7, refused(ScanRejection::WrongDeparture))]);
    assert_eq!(scan_at(&mut story, 100, museum(1, "HALL-1", "r5", 7)), [(7, taken(100, 1))]);
}

#[test]
fn an_order_with_a_package_wakes_as_it_was() {
    let mut story = paid_for(family(terms(), 30_001, 40_001));
    scan_at(&mut story, 100, museum(1, "HALL-1", "r1", 13));
    let before = story.order.clone();
    story.restart();
    assert_eq!((story.order.items(), story.order.tickets()), (before.items(), before.tickets()));
    assert_eq!(story.order.details().price, before.details().price);
}

#[test]
fn r_pay_03_a_package_is_paid_for_before_its_day_is_over() {
    let mut terms = terms();
    terms.service_date = Some(date(2025, 11, 25));
    let mut draft = family(terms, 100, 100);
    draft.items.drain(..2);
    draft.price.lines.drain(..4);
    draft.price.total = cny(200);
    draft.price.lines.iter_mut().for_each(|line| line.item = 0);
    draft.lock_seconds = 86_400;
    let order = Order::draft(draft, START);
    let midnight = "2025-11-25T16:00:00Z".parse::<jiff::Timestamp>().unwrap();
    assert_eq!(order.lock_expires_at(), Timestamp::from_jiff(midnight).plus_seconds(-1));
}

#[test]
fn r_pay_03_a_package_is_paid_for_before_the_first_thing_that_it_gives_has_ended() {
    let mut terms = terms();
    let end = at(300);
    terms.entitlements[2].validity = Validity::Absolute { from: Bound::Day(date(2025, 11, 1)), until: Bound::At(end) };
    let order = Order::draft(family(terms, 100, 100), START);
    assert!(end < START.plus_seconds(i64::from(LOCK_SECONDS)));
    assert_eq!(order.lock_expires_at(), end.plus_seconds(-1));
}

/// As an operator redeems who has looked at the order at an instant.
fn at_counter(session: u64, request: &str, looked: i64, choices: &[(u16, u16)]) -> Scan {
    let choice = |(ticket, quantity): &(u16, u16)| Choice {
        ticket: ticket_id(*ticket),
        take: Take { entitlement: None, quantity: *quantity },
    };
    let place = Place::Counter { shown_at: at(looked) };
    Scan {
        place,
        target: ScanTarget::Chosen(choices.iter().map(choice).collect()),
        ..museum(session, "HALL-1", request, 1)
    }
}

#[test]
fn r_scan_01_an_operator_redeems_item_by_item_with_quantities_in_one_record() {
    let mut terms = terms();
    terms.entitlements[0].channel = RedemptionChannel::Gate;
    let mut story = paid_for(family(terms, 100, 100));
    let before = story.version;
    let outcomes = scan_at(&mut story, 100, at_counter(1, "r1", 90, &[(8, 1), (13, 4), (7, 1), (10, 3)]));
    let at_gates = ScanRejection::WrongEntitlement("MEAL".parse().unwrap());
    let expected =
        [(7, refused(at_gates)), (8, taken(100, 1)), (10, refused(ScanRejection::NoRemaining)), (13, taken(100, 2))];
    assert_eq!(outcomes, expected, "in part or in full, each by itself");
    assert_eq!((story.version, story.stored.redemptions().len()), (before + 1, 2));
    assert_eq!(story.stored.redemptions().iter().map(|row| row.quantity).collect::<Vec<_>>(), [Some(1), Some(4)]);
    let repeated = scan_at(&mut story, 200, at_counter(1, "r1", 90, &[(8, 1), (13, 4), (7, 1), (10, 3)]));
    assert_eq!(repeated[1], (8, TicketOutcome::Redeemed { at: at(100), remaining: 1, repeated: true }), "R-SCAN-03");
}
