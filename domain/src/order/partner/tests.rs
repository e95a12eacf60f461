//! Stories of orders that a partner has sold (R-OTA-06, R-OTA-07).

use proptest::prelude::*;

use super::{Command as PartnerCommand, PartnerSale, UnitId, UnitStatus};
use crate::announcement::AnnouncementKind::{Completed, Paid, Redeemed, Refunded, Used};
use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::catalogue::{Names, Zone};
use crate::code::{Code, Opened, Subject};
use crate::ids::{CodeToken, PartnerCode};
use crate::order::tests::*;
use crate::package::{Bound, EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};

const PRICE: i64 = 29_900;
/// The batch was printed so long before its ticket was activated.
const PRINTED_BEFORE_MS: i64 = 30 * 86_400_000;

fn entitlement(code: &str, quantity: u16, shared: bool) -> EntitlementTerms {
    EntitlementTerms {
        code: code.parse().unwrap(),
        names: Names::new("权益", code),
        quantity,
        merchant: Some("MUSEUM".parse().unwrap()),
        locations: vec![],
        channel: RedemptionChannel::Any,
        requires_identity: false,
        shared,
        weight: 0,
        validity: Validity::Relative { days: 30, starts: StartsAt::Payment, until: None },
    }
}

fn unit() -> PackageTerms {
    PackageTerms {
        template: "pkg-premium".parse().unwrap(),
        version: 3,
        product: Some(106),
        names: Names::new("尊享", "Premium"),
        zone: "Asia/Hong_Kong".parse::<Zone>().unwrap(),
        service_date: None,
        quantity: 1,
        entitlements: vec![entitlement("ENTRY", 1, false), entitlement("LOCKER", 2, true)],
    }
}

/// So many units for one customer, who paid an hour before the story starts.
fn sale(units: usize) -> PartnerSale {
    let line = |item| PriceLine {
        item,
        kind: LineKind::Package { passenger: PassengerType::Adult },
        count: 1,
        unit_minor: PRICE,
        discount_minor: 0,
        total_minor: PRICE,
        explanation: "adult, weekday".into(),
    };
    PartnerSale {
        id: OrderId::compose(START.plus_ms(-PRINTED_BEFORE_MS), Shard::of(3), 0x1234_5678),
        partner: "trip".parse().unwrap(),
        locale: "zh-HK".into(),
        contact: Contact { name: "Wong".into(), phone: "+85291234567".into(), email: None },
        passenger: Passenger { name: "Wong".into(), kind: PassengerType::Adult, document: None },
        items: vec![unit(); units],
        price: Price { total: cny(PRICE * units as i64), lines: (0..units as u16).map(line).collect() },
        payment_reference: "TRIP-2025-1".into(),
        message: None,
        paid_at: at(-3_600),
    }
}

fn born(sale: PartnerSale) -> Story {
    let (order, rows) = Order::born_paid(sale, START);
    let mut story = Story { order, now: START, version: 0, stored: Stored::default() };
    story.stored.save(&rows);
    story
}

/// Kind, item and ticket of everything announced so far.
fn announced(story: &Story) -> Vec<(AnnouncementKind, Option<u16>, Option<u16>)> {
    let rows: Vec<AnnouncementRow> = story.stored.log.all().unwrap();
    assert!(rows.iter().all(|row| row.partner == story.order.partner().cloned()));
    rows.iter().map(|row| (row.kind, row.item, row.ticket)).collect()
}

fn ledger(story: &Story) -> Vec<(LedgerKind, i64)> {
    assert!(story.order.ledger().iter().all(|entry| entry.moved_by == MovedBy::Partner));
    story.order.ledger().iter().map(|entry| (entry.kind, entry.amount.minor)).collect()
}

/// One use of these tickets at the museum.
fn uses(story: &mut Story, request: &str, numbers: &[u16]) -> Vec<TicketOutcome> {
    takes(story, request, numbers.iter().map(|number| (*number, 1)))
}

fn uses_of(story: &mut Story, request: &str, number: u16, quantity: u16) -> Vec<TicketOutcome> {
    takes(story, request, std::iter::once((number, quantity)))
}

fn takes(story: &mut Story, request: &str, wanted: impl Iterator<Item = (u16, u16)>) -> Vec<TicketOutcome> {
    let order = story.order.id();
    let choice =
        |(number, quantity)| Choice { ticket: TicketId { order, number }, take: Take { entitlement: None, quantity } };
    let mut scan = scan(1, request, ScanTarget::Chosen(wanted.map(choice).collect()));
    scan.gate.redeems = redeems("MUSEUM");
    let events = story.ok(ticket::Command::Scan(scan));
    let Some(Event::Ticket(ticket::Event::Scanned(outcome))) = events.first() else { panic!("{events:?}") };
    outcome.tickets.iter().map(|(_, outcome)| outcome.clone()).collect()
}

fn took(outcomes: &[TicketOutcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, TicketOutcome::Redeemed { .. })).count()
}

fn cancel(story: &mut Story, item: u16) -> Result<Vec<Event>, Rejection> {
    story.tell(PartnerCommand::Cancel { partner: "trip".parse().unwrap(), item })
}

#[test]
fn r_ota_06_a_partners_order_is_paid_when_it_is_born_and_asks_nobody_for_anything() {
    let mut story = born(sale(1));
    let order = &story.order;
    assert_eq!((order.status(), order.traveller()), (OrderStatus::Paid, None));
    assert_eq!(order.partner().map(PartnerCode::as_str), Some("trip"));
    assert_eq!(order.details().channel.to_string(), "ota:trip");
    assert_eq!((order.created_at(), order.paid_at()), (START, Some(at(-3_600))));
    assert_eq!((order.effect(), order.next_deadline()), (None, None), "its units are held already");
    assert_eq!((order.claims(), order.claimed(0)), (0, None));
    assert!(order.is_settled() && order.payments().is_empty());
    assert_eq!(ledger(&story), [(LedgerKind::PartnerPaid, PRICE)]);
    assert_eq!(announced(&story), [(Paid, None, None)]);
    story.ignores(Command::Wake);
    assert_eq!(story.tell(sale::Command::Cancel), Err(Rejection::OrderPaid));
}

#[test]
fn r_ota_09_an_order_of_several_units_says_how_many_they_are() {
    let counts = |units| {
        let rows: Vec<AnnouncementRow> = born(sale(units)).stored.log.all().unwrap();
        rows.into_iter().map(|row| (row.kind, row.count)).collect::<Vec<_>>()
    };
    assert_eq!((counts(1), counts(3)), (vec![(Paid, None)], vec![(Paid, Some(3))]), "it is one order either way");
}

#[test]
fn r_ota_06_it_comes_back_from_its_rows_as_it_was() {
    for (units, message) in [(1, None), (3, Some([0; 32])), (100, Some([7; 32]))] {
        let mut story = born(PartnerSale { message, ..sale(units) });
        assert_eq!(story.order.message(), message);
        let before = story.order.clone();
        assert_eq!(newest(&story), 0, "they are in another owner's record");
        story.restart();
        assert_eq!(story.order, before);
        let packed = crate::packing::for_order(before.id(), || postcard::to_allocvec(&before)).unwrap();
        let unpacked = crate::packing::for_order(before.id(), || postcard::from_bytes(&packed)).unwrap();
        assert_eq!(before, unpacked, "also from where it rests");
    }
}

fn newest(story: &Story) -> u64 {
    crate::tables::newest_version(&story.stored.rows()).unwrap()
}

#[test]
fn r_ota_06_each_unit_has_tickets_of_its_own_which_share_its_price() {
    let story = born(sale(3));
    let tickets = story.order.tickets();
    let what: Vec<_> = tickets.iter().map(|ticket| (ticket.item, ticket.entitlement().code.as_str())).collect();
    assert_eq!(what, [0, 1, 2].map(|item| [(item, "ENTRY"), (item, "LOCKER")]).concat());
    let of = |item| tickets.iter().filter(|ticket| ticket.item == item).map(|ticket| ticket.price_minor).sum::<i64>();
    assert_eq!([of(0), of(1), of(2)], [PRICE; 3]);
    let lockers: Vec<_> = tickets.iter().filter(|ticket| ticket.holder == Holder::Party).collect();
    assert_eq!(lockers.iter().map(|ticket| ticket.entitlement().total).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn r_ticket_02_validity_counts_from_the_payment_and_never_from_one_that_is_to_come() {
    let from = |sale| born(sale).order.tickets()[0].entitlement().valid_from;
    assert_eq!(from(sale(1)), at(-3_600));
    assert_eq!(from(PartnerSale { paid_at: at(90), ..sale(1) }), START, "the partner's clock is ahead of ours");
}

/// The paper was printed with the batch.
#[test]
fn r_ticket_04_a_code_that_was_printed_before_the_ticket_was_activated_is_good_since_and_no_older_one() {
    let shown = |printed_at: Timestamp| {
        let mut story = born(sale(1));
        let mut scan = scan(1, "paper", ScanTarget::Order);
        scan.gate.redeems = redeems("MUSEUM");
        let subject = Subject::Order(story.order.id());
        let code = Code::print(subject, story.order.tickets().iter(), printed_at).unwrap();
        scan.code = Some(Opened { code, token: CodeToken(1) });
        let events = story.ok(ticket::Command::Scan(scan));
        let Some(Event::Ticket(ticket::Event::Scanned(outcome))) = events.first() else { panic!("{events:?}") };
        outcome.tickets.len()
    };
    let printed_at = START.plus_ms(-PRINTED_BEFORE_MS);
    assert_eq!(shown(printed_at), 2);
    assert_eq!(shown(printed_at.plus_seconds(-1)), 0, "a forger's");
}

#[test]
fn r_ota_06_a_units_code_redeems_the_tickets_of_that_unit_and_of_no_other() {
    let mut story = born(sale(3));
    let order = story.order.id();
    let code = |item| {
        let subject = Subject::Item { order, item };
        Code::print(subject, born(sale(3)).order.tickets_of(item), START)
            .map(|code| Opened { code, token: CodeToken(1) })
    };
    let mut shown = |request: &str, target, item| {
        let mut scan = scan(1, request, target);
        (scan.gate.redeems, scan.code) = (redeems("MUSEUM"), code(item));
        let events = story.ok(ticket::Command::Scan(scan));
        let Some(Event::Ticket(ticket::Event::Scanned(outcome))) = events.first() else { panic!("{events:?}") };
        outcome.tickets.iter().map(|(id, outcome)| (id.number, took(std::slice::from_ref(outcome)))).collect::<Vec<_>>()
    };
    assert_eq!(shown("gate", ScanTarget::Item(1), 1), [(3, 1), (4, 1)]);
    assert_eq!(shown("again", ScanTarget::Item(1), 1), [(3, 0), (4, 0)], "the ticket is read twice");
    let of = |numbers: [u16; 2]| {
        let ticket = |number| TicketId { order, number };
        let choice = |number| Choice { ticket: ticket(number), take: Take { entitlement: None, quantity: 1 } };
        ScanTarget::Chosen(numbers.map(choice).to_vec())
    };
    assert_eq!(shown("counter", of([1, 5]), 2), [(5, 1)], "the other is not behind the code");
    assert_eq!(shown("none", ScanTarget::Item(3), 2), [], "there is no such unit");
}

#[test]
fn r_ota_07_the_last_use_of_a_unit_is_announced_and_that_of_all_units_completes_the_order() {
    let mut story = born(sale(2));
    assert_eq!(took(&uses(&mut story, "a", &[1, 2])), 2);
    story.now = at(10);
    assert_eq!(took(&uses(&mut story, "b", &[2])), 1);
    assert_eq!(story.order.status(), OrderStatus::Paid, "the other unit is unused");
    story.restart();
    story.now = at(20);
    assert_eq!(took(&uses(&mut story, "c", &[3, 4])), 2);
    story.now = at(30);
    assert_eq!(took(&uses(&mut story, "d", &[4, 1])), 1, "of the first unit nothing is left");
    assert_eq!(story.order.status(), OrderStatus::Completed);
    let redeemed = |item, ticket| (Redeemed, Some(item), Some(ticket));
    let first = [redeemed(0, 1), redeemed(0, 2), redeemed(0, 2), (Used, Some(0), None)];
    let second = [redeemed(1, 3), redeemed(1, 4), redeemed(1, 4), (Used, Some(1), None), (Completed, None, None)];
    assert_eq!(announced(&story), [&[(Paid, None, None)], &first[..], &second[..]].concat());
}

#[test]
fn r_ota_07_several_units_that_one_scan_uses_up_are_each_announced() {
    let mut sold = sale(2);
    sold.items.iter_mut().for_each(|terms| terms.entitlements.truncate(1));
    let mut story = born(sold);
    assert_eq!(took(&uses(&mut story, "both", &[1, 2])), 2);
    let used = [(Used, Some(0), None), (Used, Some(1), None), (Completed, None, None)];
    assert_eq!(announced(&story)[3..], used);
}

#[test]
fn r_ota_07_a_unit_that_is_unused_is_cancelled_once_and_the_money_is_the_partners_affair() {
    let mut story = born(sale(2));
    story.now = at(60);
    assert!(!cancel(&mut story, 1).unwrap().is_empty());
    let status = |story: &Story| story.order.tickets().iter().map(|ticket| ticket.status).collect::<Vec<_>>();
    let half = [[TicketStatus::Usable; 2], [TicketStatus::Refunded; 2]].concat();
    assert_eq!((status(&story), story.order.status()), (half.clone(), OrderStatus::Paid));
    story.restart();
    assert_eq!(cancel(&mut story, 1), Ok(vec![]), "it is so already");
    assert_eq!(status(&story), half);
    let refusal = TicketOutcome::Refused { reason: ScanRejection::Refunded, previous: None };
    assert_eq!(uses(&mut story, "late", &[3, 4]), [refusal.clone(), refusal]);

    assert!(!cancel(&mut story, 0).unwrap().is_empty());
    assert_eq!(story.order.status(), OrderStatus::Completed, "nothing is left to be used");
    assert_eq!((story.order.effect(), story.order.next_deadline()), (None, None), "nothing is given back from here");
    assert_eq!(story.order.balance(), Balance { captured: 0, refund_due: 0, refunded: 0 });
    let refunded = (LedgerKind::PartnerRefunded, PRICE);
    assert_eq!(ledger(&story), [(LedgerKind::PartnerPaid, 2 * PRICE), refunded, refunded]);
    let told = [(Paid, None, None), (Refunded, Some(1), None), (Refunded, Some(0), None), (Completed, None, None)];
    assert_eq!(announced(&story), told);
    let audit = story.stored.audit();
    let steps: Vec<_> = audit.iter().filter(|row| row.event == "refunded").map(|row| row.prev_status).collect();
    assert_eq!(steps, [Some(TicketStatus::Usable); 4], "R-TICKET-06");
    let before = story.order.clone();
    story.restart();
    assert_eq!(story.order, before);
}

#[test]
fn r_ota_07_a_unit_of_which_anything_was_used_is_not_cancelled() {
    let mut story = born(sale(2));
    uses(&mut story, "locker", &[2]);
    assert_eq!(cancel(&mut story, 0), Err(Rejection::TicketUsed), "half of a locker");
    story.restart();
    assert_eq!(cancel(&mut story, 0), Err(Rejection::TicketUsed));
    assert!(!cancel(&mut story, 1).unwrap().is_empty(), "the other unit is");
    story.now = at(10);
    uses(&mut story, "rest", &[1, 2]);
    assert_eq!(story.order.status(), OrderStatus::Completed);
    assert_eq!(cancel(&mut story, 0), Err(Rejection::TicketUsed));
    assert_eq!(cancel(&mut story, 1), Ok(vec![]));
}

#[test]
fn r_ota_07_what_can_no_longer_be_used_is_not_cancelled_to_the_second() {
    let until = START.plus_ms(86_400_000);
    let mut sold = sale(1);
    let absolute = Validity::Absolute { from: Bound::At(START), until: Bound::At(until) };
    sold.items[0].entitlements[0].validity = absolute;
    let mut partly = born(sold.clone());
    partly.now = until;
    assert!(!cancel(&mut partly, 0).unwrap().is_empty(), "a locker can still be used");

    sold.items[0].entitlements[1].validity = absolute;
    let mut story = born(sold);
    story.now = until;
    assert_eq!(cancel(&mut story, 0), Err(Rejection::TicketExpired));
    story.now = until.plus_ms(-1);
    assert!(!cancel(&mut story, 0).unwrap().is_empty());
}

#[test]
fn r_ota_07_only_a_partners_order_and_only_its_units_are_cancelled_so() {
    let mut travellers = Story::paid_with(1, 1);
    assert_eq!(cancel(&mut travellers, 0), Err(Rejection::TicketNotFound));
    assert_eq!(cancel(&mut born(sale(1)), 1), Err(Rejection::TicketNotFound));
    let mut others = born(PartnerSale { partner: "klook".parse().unwrap(), ..sale(1) });
    assert_eq!(cancel(&mut others, 0), Err(Rejection::TicketNotFound), "partners never meet");
}

#[test]
fn r_ota_06_money_at_wechat_is_never_a_partners_orders() {
    let mut story = born(sale(1));
    let id = story.order.id();
    let theirs = PaymentFact { number: OutTradeNo { order: id, attempt: 1 }, state: FactState::Paid(capture(1)) };
    let says = story.tell(collect::Command::Fact(theirs));
    assert_eq!(says, Err(Rejection::PaymentMismatch("no such payment of this order")));
    assert_eq!(story.order.payment_terms(&POLICY, START), Err(Rejection::OrderPaid));
}

#[test]
fn r_ota_08_a_unit_is_active_until_it_is_used_up_refunded_or_over() {
    let mut story = born(sale(3));
    let statuses = |story: &Story, now| [0, 1, 2].map(|item| story.order.unit_status(item, now));
    assert_eq!(statuses(&story, START), [UnitStatus::Active; 3]);
    uses(&mut story, "a", &[1, 2]);
    assert_eq!(story.order.unit_status(0, START), UnitStatus::Active, "a locker is left");
    story.now = at(10);
    uses(&mut story, "b", &[2, 3]);
    cancel(&mut story, 2).unwrap();
    assert_eq!(statuses(&story, at(10)), [UnitStatus::Used, UnitStatus::Active, UnitStatus::Refunded]);
    let over = story.order.tickets()[3].entitlement().valid_until;
    assert_eq!(statuses(&story, over.plus_ms(-1))[1], UnitStatus::Active);
    assert_eq!(statuses(&story, over), [UnitStatus::Used, UnitStatus::Expired, UnitStatus::Refunded]);
    story.now = over;
    assert_eq!(cancel(&mut story, 1), Err(Rejection::TicketUsed), "which is more to the point than its end");
}

#[test]
fn a_unit_has_one_text_and_the_first_has_its_orders() {
    let order = order_id();
    assert_eq!(UnitId { order, item: 0 }.to_string(), order.to_string());
    assert_eq!(UnitId { order, item: 1 }.to_string(), format!("{order}.2"));
    for item in [0, 1, 99, u16::MAX - 1] {
        assert_eq!(UnitId { order, item }.to_string().parse(), Ok(UnitId { order, item }));
    }
    for text in [format!("{order}.1"), format!("{order}.0"), format!("{order}.02"), format!("{order}-2"), "x".into()] {
        assert!(text.parse::<UnitId>().is_err(), "{text}");
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// So many uses of a ticket, by its number.
    Use {
        number: u16,
        quantity: u16,
    },
    /// The request before, once more.
    UseAgain,
    Cancel {
        item: u16,
    },
    Pass {
        days: i64,
    },
    Restart,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..=7_u16, 1..=2_u16).prop_map(|(number, quantity)| Op::Use { number, quantity }),
        1 => Just(Op::UseAgain),
        3 => (0..4_u16).prop_map(|item| Op::Cancel { item }),
        1 => (1..20_i64).prop_map(|days| Op::Pass { days }),
        2 => Just(Op::Restart),
    ]
}

/// What somebody would write down who only sees what is asked: what is left of each ticket, and of what is cancelled nothing.
struct Notebook {
    left: [u16; 6],
    cancelled: BTreeSet<u16>,
}

impl Notebook {
    fn is_over(&self, item: u16) -> bool {
        self.cancelled.contains(&item) || self.of(item) == [0, 0]
    }

    fn of(&self, item: u16) -> [u16; 2] {
        let first = usize::from(item) * 2;
        [self.left[first], self.left[first + 1]]
    }
}

fn check(story: &Story, notes: &Notebook) {
    let order = &story.order;
    let over = (0..3).filter(|item| notes.is_over(*item)).count();
    let expected = if over == 3 { OrderStatus::Completed } else { OrderStatus::Paid };
    assert_eq!(order.status(), expected);
    for (ticket, left) in order.tickets().iter().zip(notes.left) {
        assert_eq!(ticket.entitlement().remaining, left);
    }
    let given_back = ledger(story).iter().filter(|(kind, _)| *kind == LedgerKind::PartnerRefunded).count();
    assert_eq!(given_back, notes.cancelled.len());
    let told = announced(story);
    let count = |kind| told.iter().filter(|(of, ..)| *of == kind).count();
    let used_up = (0..3).filter(|item| notes.of(*item) == [0, 0]).count();
    assert_eq!((count(Paid), count(Used), count(Refunded)), (1, used_up, notes.cancelled.len()));
    assert_eq!(count(Completed), usize::from(over == 3));
    assert!(order.effect().is_none() && order.next_deadline().is_none() && order.is_settled());
}

proptest! {
    #[test]
    fn r_ota_07_whatever_gates_and_partners_ask_of_three_units_each_is_used_up_or_cancelled_once(
        ops in proptest::collection::vec(any_op(), 1..40),
    ) {
        let mut story = born(sale(3));
        let mut notes = Notebook { left: [1, 2, 1, 2, 1, 2], cancelled: BTreeSet::new() };
        let mut last: Option<(u16, u16, usize)> = None;
        let over_at = story.order.tickets()[0].entitlement().valid_until;
        for (place, op) in ops.into_iter().enumerate() {
            let is_over = story.now >= over_at;
            match op {
                Op::Use { number, quantity } => {
                    let took = took(&uses_of(&mut story, &format!("press {place}"), number, quantity)) == 1;
                    let at = usize::from(number - 1);
                    let has = notes.left.get(at).is_some_and(|left| *left >= quantity);
                    let item = (number - 1) / 2;
                    prop_assert_eq!(took, has && !is_over && !notes.cancelled.contains(&item));
                    if took {
                        notes.left[at] -= quantity;
                        last = Some((number, quantity, place));
                    }
                }
                Op::UseAgain => {
                    if let Some((number, quantity, place)) = last {
                        prop_assert_eq!(took(&uses_of(&mut story, &format!("press {place}"), number, quantity)), 1);
                    }
                }
                Op::Cancel { item } => {
                    let says = cancel(&mut story, item).map(|events| !events.is_empty());
                    let expected = if item > 2 {
                        Err(Rejection::TicketNotFound)
                    } else if notes.cancelled.contains(&item) {
                        Ok(false)
                    } else if notes.of(item) != [1, 2] {
                        Err(Rejection::TicketUsed)
                    } else if is_over {
                        Err(Rejection::TicketExpired)
                    } else {
                        Ok(true)
                    };
                    prop_assert_eq!(&says, &expected);
                    if says == Ok(true) {
                        notes.cancelled.insert(item);
                    }
                }
                Op::Pass { days } => story.now = story.now.plus_seconds(days * 86_400),
                Op::Restart => {
                    let before = story.order.clone();
                    story.restart();
                    prop_assert_eq!(&story.order, &before);
                }
            }
            check(&story, &notes);
        }
    }
}

/// What it costs the others.
#[test]
fn a_travellers_order_is_stored_and_announced_as_if_there_were_no_partners() {
    let story = Story::paid_with(1, 1);
    let rows = story.stored.rows();
    let row: OrderRow<'_> = rows.only().unwrap();
    assert!(row.traveller_id.is_some() && row.body_hash.is_some());
    let announced: Vec<AnnouncementRow> = story.stored.log.all().unwrap();
    assert!(announced.iter().all(|row| (&row.partner, row.item) == (&None, None)));
    let [entry] = story.order.ledger() else { panic!("{:?}", story.order.ledger()) };
    assert_eq!(entry.moved_by, MovedBy::Payment(number(1)));

    let packed = |value: &dyn Fn() -> postcard::Result<Vec<u8>>| crate::packing::for_order(order_id(), value).unwrap();
    let Buyer::Traveller { id, idempotency_key, body_hash } = &story.order.details().buyer else { panic!() };
    let apart = packed(&|| postcard::to_allocvec(&(id, idempotency_key, crate::packing::Bytes(body_hash))));
    assert_eq!(packed(&|| postcard::to_allocvec(&story.order.details().buyer)), apart, "its rest is as long as it was");
    let (LedgerEntry { kind, amount, at, .. }, no_refund) = (*entry, None::<OutRefundNo>);
    let apart = packed(&|| postcard::to_allocvec(&(kind, number(1), no_refund, amount, at)));
    assert_eq!(packed(&|| postcard::to_allocvec(entry)).len(), apart.len());
}

#[test]
fn an_order_that_nobody_has_bought_is_damaged() {
    let story = born(sale(1));
    let rows = story.stored.rows();
    let mut spoiled = Rows::default();
    for (slot, image) in rows.images() {
        if slot == OrderRow::TABLE.slot {
            let row = OrderRow { channel: None, ..OrderRow::read(image).unwrap() };
            spoiled.put(&row);
        } else {
            spoiled.put_image(slot, image);
        }
    }
    let damage = Order::from_rows(&spoiled, START).unwrap_err();
    assert_eq!((damage.table, &*damage.what), (OrderRow::TABLE.name, "it has no buyer"));
}
