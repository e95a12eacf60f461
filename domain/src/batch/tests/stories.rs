//! Stories with the clock in them.

use jiff::civil::date;

use super::*;
use crate::announcement::AnnouncementKind;
use crate::ids::OrderId;
use crate::order::{Contact, Order};
use crate::party::PassengerType::{Adult, Child, Senior};
use crate::rejection::ScanRejection;

const ACTIVATE_1: Command = Command::Activate { number: 1 };

fn follow(said: &[(u16, Became)]) -> Command {
    Command::Follow(said.iter().copied().collect())
}

fn field(refused: Result<impl std::fmt::Debug, Rejection>) -> String {
    match refused {
        Err(Rejection::Field { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r_ota_04_all_tickets_are_there_in_one_record_and_none_before() {
    let mut story = Story::of(wish(3));
    assert_eq!(story.batch.effect(), Some(Effect::TakeUnits));
    assert_eq!(story.stored.of(OtaTicketRow::TABLE).count(), 0);
    assert_eq!(story.tell(&ACTIVATE_1, NOON), Err(Rejection::TicketNotFound), "nobody sees it yet");
    story.restart();

    assert_eq!(story.tell(&Command::UnitsTaken, NOON), Ok(vec![Event::Generated]));

    assert_eq!(story.stored.of(OtaTicketRow::TABLE).count(), 3);
    assert_eq!((story.batch.counts().of(TicketState::PreGenerated), story.batch.effect()), (3, None));
    assert_eq!(story.tell(&Command::UnitsTaken, NOON), Ok(vec![]));
    assert_eq!(story.tell(&Command::UnitsLost, NOON), Ok(vec![]), "it has them");
    story.restart();
}

#[test]
fn r_ota_04_a_batch_whose_units_are_gone_never_was() {
    let mut story = Story::of(wish(3));
    story.tell(&Command::UnitsLost, NOON).unwrap();
    story.restart();
    assert_eq!((story.batch.state(), story.batch.effect()), (BatchState::GivenUp, None));
    assert_eq!(story.tell(&Command::UnitsTaken, NOON), Ok(vec![]));
    assert_eq!(story.tell(&ACTIVATE_1, NOON), Err(Rejection::TicketNotFound));
}

#[test]
fn r_ota_04_what_is_asked_for_is_named_when_it_cannot_be() {
    let catalogue = shop(product());
    let refused = |wish: BatchWish| planned(&catalogue, wish);
    for quantity in [0, 5_001, 70_000] {
        assert_eq!(field(refused(wish(quantity))), "quantity", "{quantity}");
    }
    assert!(refused(wish(5_000)).is_ok());
    let for_resellers = BatchWish { distribution: Distribution::ResellerBatch, ..wish(1) };
    assert_eq!(field(refused(for_resellers.clone())), "resellerMetadata.intendedReseller");
    let to = |name: &str, note: Option<String>| {
        let reseller = Reseller { name: name.into(), purpose: None, note: note.map(Into::into) };
        BatchWish { reseller: Some(reseller), ..for_resellers.clone() }
    };
    assert!(refused(to("经销商 Ltd", Some("for May".to_owned()))).is_ok());
    assert_eq!(field(refused(to(" ", None))), "resellerMetadata.intendedReseller");
    assert_eq!(field(refused(to(&"名".repeat(101), None))), "resellerMetadata.intendedReseller");
    assert_eq!(field(refused(to("Ltd", Some("n".repeat(501))))), "resellerMetadata.distributionNotes");
    assert_eq!(field(refused(BatchWish { expires_at: Some(NOON), ..wish(1) })), "expiresAt");
    assert_eq!(refused(BatchWish { product: 107, ..wish(1) }).unwrap_err(), Rejection::TemplateNotFound);

    let of_a_date = shop(with(product(), "stock", json!({ "perDate": 5 })));
    assert_eq!(field(planned(&of_a_date, wish(1))), "productId");
    for text in ["", "a b", "ä", &"x".repeat(65)] {
        assert!(text.parse::<OwnId>().is_err(), "{text:?}");
    }
}

#[test]
fn r_ota_04_a_batch_ends_with_its_product_or_as_the_partner_says_whichever_is_first() {
    let museum = json!([{
        "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
        "requiresIdentity": false, "shared": false,
        "validity": { "kind": "absolute", "from": "2026-11-01", "until": "2026-11-30" },
    }]);
    let catalogue = shop(with(product(), "entitlements", museum));
    // The end of 30 November in Hong Kong.
    let product_ends = "2026-11-30T16:00:00Z".parse().map(Timestamp::from_jiff).unwrap();
    let ends = |expires_at| planned(&catalogue, BatchWish { expires_at, ..wish(1) }).unwrap().ends_at;
    assert_eq!(ends(None), Some(product_ends));
    assert_eq!(ends(Some(product_ends.plus_seconds(1))), Some(product_ends));
    assert_eq!(ends(Some(after(60))), Some(after(60)));
    let five_years = NOON.plus_seconds(5 * 366 * 24 * 60 * 60);
    assert_eq!(planned(&shop(product()), wish(1)).unwrap().ends_at, Some(five_years), "paper is good for so long");
    let too_late = wish(1).plan(&catalogue, BatchId::compose(NOON, &partner(), 1), product_ends);
    assert_eq!(too_late.unwrap_err(), Rejection::TemplateNotFound);
}

#[test]
fn r_ota_10_the_frozen_table_prices_by_visitor_weekend_and_holiday() {
    let mut catalogue = shop(product());
    let holiday = |day| Holiday { date: day, names: Names::same("Day off"), verified: true };
    put(&mut catalogue, Calendar { year: 2026, holidays: vec![holiday(date(2026, 11, 24))] });
    let offer = planned(&catalogue, wish(1)).unwrap().offer;
    let on = |day| Some(date(2026, 11, day));
    let price = |visitor, visit| offer.priced(visitor, visit, NOON).map(|priced| priced.line.total.minor);
    assert_eq!(price(Adult, on(23)), Ok(20_000), "a Monday");
    assert_eq!(price(Adult, on(24)), Ok(24_000), "a holiday");
    assert_eq!(price(Adult, on(28)), Ok(24_000), "a Saturday");
    assert_eq!(price(Child, on(28)), Ok(9_000));
    assert_eq!(field(price(Senior, on(23))), "customerType");
    assert_eq!(field(price(Adult, None)), "visitDate");
    assert_eq!(field(price(Adult, on(19))), "visitDate", "it is over");
    assert_eq!(offer.priced(Adult, on(23), NOON).unwrap().terms.service_date, on(23));
}

#[test]
fn r_ota_10_a_visit_is_on_a_day_that_direct_sale_would_sell() {
    let refused = |offer: &Offer, day| match offer.priced(Adult, Some(day), NOON) {
        Ok(priced) => {
            assert_eq!(priced.terms.service_date, Some(day));
            None
        }
        Err(Rejection::Field { field, message }) => Some((field, message)),
        Err(other) => panic!("{other:?}"),
    };
    let endless = planned(&shop(product()), wish(1)).unwrap().offer;
    assert_eq!(refused(&endless, date(2027, 11, 21)), None, "366 days ahead");
    for day in [date(2027, 11, 22), date(9999, 12, 31)] {
        let (field, why) = refused(&endless, day).unwrap();
        assert_eq!((&*field, &*why), ("visitDate", "is sold up to 2027-11-21 so far"));
    }

    let mut ends = product();
    ends["entitlements"][0]["validity"] = json!({ "kind": "absolute", "from": "2026-11-01", "until": "2026-11-30" });
    let ends = planned(&shop(ends), wish(1)).unwrap().offer;
    assert_eq!(refused(&ends, date(2026, 11, 30)), None, "its last day");
    let (field, why) = refused(&ends, date(2026, 12, 1)).unwrap();
    assert_eq!((&*field, &*why), ("visitDate", "is after something that the package gives has ended"));
}

#[test]
fn r_ota_04_a_product_that_changes_changes_nothing_of_a_batch() {
    let mut catalogue = shop(product());
    let before = planned(&catalogue, wish(1)).unwrap();
    let dearer = json!([{
        "passengerType": "adult", "minParty": 1, "price": { "amount": 99_000, "currency": "CNY" },
    }]);
    put(&mut catalogue, serde_json::from_value::<Template>(with(product(), "tiers", dearer)).unwrap());
    let after = planned(&catalogue, wish(1)).unwrap();
    assert_eq!((before.offer.terms.version, after.offer.terms.version), (1, 2));
    let price = |plan: &Plan| plan.offer.priced(Adult, Some(date(2026, 11, 23)), NOON).unwrap().line.total.minor;
    assert_eq!((price(&before), price(&after)), (20_000, 99_000));
}

#[test]
fn r_ota_06_a_ticket_is_activated_once() {
    let mut story = Story::generated(wish(2));
    story.tell(&ACTIVATE_1, after(5)).unwrap();
    story.restart();
    let order = story.batch.id().ticket(1);
    assert_eq!(story.tell(&ACTIVATE_1, after(6)), Err(Rejection::TicketAlreadyActivated { order }));
    assert_eq!(story.tell(&Command::Activate { number: 3 }, after(6)), Err(Rejection::TicketNotFound));
    assert_eq!(story.tell(&Command::Activate { number: 0 }, after(6)), Err(Rejection::TicketNotFound));
    assert_eq!((story.batch.counts().activated(), story.batch.effect()), (1, None));
}

#[test]
fn r_ota_06_a_ticket_is_activated_at_the_last_second_of_its_batch_and_not_a_second_later() {
    let ends_at = "2026-11-21T00:00:00+08:00".parse().map(Timestamp::from_jiff).unwrap();
    let mut story = Story::generated(BatchWish { expires_at: Some(ends_at), ..wish(3) });
    assert_eq!(story.batch.next_deadline(), Some(ends_at));
    let [before, later] = [ends_at.plus_seconds(-1), ends_at.plus_seconds(1)];
    assert!(story.tell(&ACTIVATE_1, before).is_ok());
    // However late the timer is.
    assert_eq!(story.tell(&Command::Activate { number: 2 }, later), Err(Rejection::TicketExpired));
    assert_eq!(story.tell(&Command::Cancel { number: 2 }, later), Err(Rejection::TicketExpired));
    assert_eq!(story.tell(&Command::Expire, before), Ok(vec![]));
    story.tell(&Command::Expire, later).unwrap();
    story.restart();
    assert_eq!(story.batch.tickets(), [TicketState::Active, TicketState::Expired, TicketState::Expired]);
    assert_eq!((story.batch.state(), story.batch.next_deadline()), (BatchState::Ended, None));
    assert_eq!(story.batch.effect(), Some(Effect::ReturnUnits { kept: 1 }));
    assert_eq!(story.tell(&Command::Activate { number: 2 }, before), Err(Rejection::TicketExpired));
    assert_eq!(story.tell(&Command::Expire, later), Ok(vec![]));
}

#[test]
fn r_ota_07_units_of_tickets_that_are_given_up_go_back_once() {
    let mut story = Story::generated(wish(4));
    story.tell(&Command::Cancel { number: 2 }, NOON).unwrap();
    assert_eq!(story.tell(&Command::Cancel { number: 2 }, NOON), Ok(vec![]));
    assert_eq!(story.tell(&Command::Activate { number: 2 }, NOON), Err(Rejection::TicketCancelled));
    assert_eq!(story.batch.effect(), Some(Effect::ReturnUnits { kept: 3 }));
    // Another one is given up while the stock is asked.
    story.tell(&ACTIVATE_1, NOON).unwrap();
    let order = story.batch.id().ticket(1);
    assert_eq!(
        story.tell(&Command::Cancel { number: 1 }, NOON),
        Err(Rejection::TicketAlreadyActivated { order }),
        "its order knows"
    );
    story.tell(&follow(&[(1, Became::Refunded)]), NOON).unwrap();
    story.tell(&Command::UnitsReturned { kept: 3 }, NOON).unwrap();
    story.restart();
    assert_eq!(story.batch.effect(), Some(Effect::ReturnUnits { kept: 2 }));
    story.tell(&Command::UnitsReturned { kept: 2 }, NOON).unwrap();
    assert_eq!(story.tell(&Command::UnitsReturned { kept: 3 }, NOON), Ok(vec![]), "an answer that comes late");
    story.restart();
    assert_eq!(story.batch.effect(), None);
}

#[test]
fn r_ota_07_what_an_order_says_twice_or_of_a_ticket_that_is_none_changes_nothing() {
    let mut story = Story::generated(wish(2));
    let used = follow(&[(1, Became::Used)]);
    assert_eq!(story.tell(&used, NOON), Ok(vec![]), "nobody has activated it");
    story.tell(&ACTIVATE_1, NOON).unwrap();
    story.tell(&used, NOON).unwrap();
    assert_eq!(story.tell(&used, NOON), Ok(vec![]));
    assert_eq!(story.tell(&follow(&[(1, Became::Refunded)]), NOON), Ok(vec![]));
    assert_eq!((story.batch.ticket(1), story.batch.effect()), (Some(TicketState::Used), None));
    assert_eq!(story.tell(&follow(&[(9, Became::Used)]), NOON), Ok(vec![]), "there is no such ticket");
}

#[test]
fn r_ota_07_what_many_orders_say_is_one_record() {
    let mut story = Story::generated(wish(5));
    for number in [1, 3, 4] {
        story.tell(&Command::Activate { number }, NOON).unwrap();
    }
    story.tell(&follow(&[(4, Became::Used)]), NOON).unwrap();
    let said = follow(&[(1, Became::Used), (2, Became::Used), (3, Became::Refunded), (4, Became::Refunded)]);
    assert_eq!(story.tell(&said, NOON).unwrap().len(), 2, "one is not activated, of one it is known");
    story.restart();
    let states = [1, 2, 3, 4].map(|number| story.batch.ticket(number).unwrap());
    assert_eq!(states.map(TicketState::code), ["USED", "PRE_GENERATED", "REFUNDED", "USED"]);
    assert_eq!(story.batch.effect(), Some(Effect::ReturnUnits { kept: 4 }));
}

#[test]
fn r_scan_05_what_is_no_order_yet_is_refused_with_a_reason_of_its_own() {
    use TicketState::{Active, Cancelled, Expired, PreGenerated, Refunded, Used};
    let reason = |state| Batch::without_order(state, Some(after(10)), after(9));
    assert_eq!(reason(PreGenerated), Some(ScanRejection::NotActivated));
    assert_eq!(Batch::without_order(PreGenerated, Some(after(10)), after(10)), Some(ScanRejection::Expired));
    assert_eq!(Batch::without_order(PreGenerated, None, after(10)), Some(ScanRejection::NotActivated));
    assert_eq!(reason(Cancelled), Some(ScanRejection::Cancelled));
    assert_eq!(reason(Expired), Some(ScanRejection::Expired));
    for of_the_order in [Active, Used, Refunded] {
        assert_eq!(reason(of_the_order), None);
    }
}

#[test]
fn rule_8_five_thousand_tickets_are_one_record_of_less_than_a_mebibyte() {
    let mut story = Story::of(BatchWish { partner: "p".repeat(64).parse().unwrap(), ..wish(5_000) });
    let events = story.batch.decide(&Command::UnitsTaken, NOON).unwrap();
    let bytes = story.batch.clone().apply(&events, 2).into_bytes().len();
    assert!(bytes < 1024 * 1024, "{bytes}");
    // An idle ticket is a byte.
    assert_eq!(size_of::<TicketState>(), 1);
    story.tell(&Command::UnitsTaken, NOON).unwrap();
    story.restart();
}

/// What a batch is loaded from has no other way to tell them.
#[test]
fn states_of_tickets_differ_in_their_first_letters() {
    let mut letters: Vec<_> = TicketState::ALL.into_iter().map(|state| &state.code()[..1]).collect();
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), TicketState::ALL.len());
}

fn activation(visit: i8, reference: &str) -> Activation {
    Activation {
        customer: Contact { name: "Mei".into(), phone: "+852 5555 0000".into(), email: None },
        visitor: Child,
        visit_date: Some(date(2026, 11, visit)),
        payment_reference: reference.into(),
        message: None,
        paid_at: Some(after(-60)),
        locale: "en".into(),
    }
}

#[test]
fn r_ota_06_the_order_of_a_ticket_is_of_one_unit_at_its_frozen_price() {
    let story = Story::generated(wish(2));
    let sale = story.batch.sale(2, activation(28, "PAY-1"), NOON).unwrap();
    assert_eq!((sale.id, &sale.partner), (story.batch.id().ticket(2), &partner()));
    let [line] = &sale.price.lines[..] else { panic!("{:?}", sale.price) };
    assert_eq!((line.item, line.count, line.unit_minor, sale.price.total.minor), (0, 1, 9_000, 9_000));
    assert_eq!(&*line.explanation, "tier 2 of version 1, from 1 passengers, any");
    let [unit] = &sale.items[..] else { panic!("{:?}", sale.items) };
    assert_eq!((unit.quantity, unit.service_date), (1, Some(date(2026, 11, 28))));
    assert_eq!((&*sale.passenger.name, sale.passenger.kind, sale.paid_at), ("Mei", Child, after(-60)));

    let (order, rows) = Order::born_paid(sale, NOON);
    assert_eq!(order.tickets().len(), 2, "the museum and the lockers");
    assert_eq!(Order::from_rows(&rows, NOON).unwrap().tickets(), order.tickets());
}

#[test]
fn r_ota_06_a_payment_so_long_ago_that_all_of_its_ticket_is_over_is_refused_by_its_field() {
    const DAY: i64 = 24 * 60 * 60;
    let story = Story::generated(wish(1));
    let paid = |seconds| Activation { paid_at: Some(after(seconds)), ..activation(28, "PAY-1") };
    let sold = |seconds| story.batch.sale(1, paid(seconds), NOON);
    // Good for thirty days, and until the end of the last of them in Hong Kong: now it is noon there.
    let last = -30 * DAY - 12 * 60 * 60;
    let sale = sold(last).unwrap();
    assert_eq!(sale.paid_at, after(last));
    let (order, _) = Order::born_paid(sale, NOON);
    assert!(order.tickets().iter().all(|ticket| ticket.entitlement().valid_until > NOON));
    for seconds in [last - 1, -366 * DAY, -50_000 * DAY] {
        assert_eq!(field(sold(seconds)), "paidAt");
    }
}

#[test]
fn r_ota_06_a_ticket_that_was_activated_is_that_whatever_else_is_wrong() {
    let mut story = Story::generated(wish(2));
    assert_eq!(field(story.batch.sale(1, activation(19, "PAY-1"), NOON)), "visitDate");
    for reference in ["", " ", "a\nb", &"r".repeat(129)] {
        assert_eq!(field(story.batch.sale(1, activation(28, reference), NOON)), "paymentReference", "{reference:?}");
    }
    story.tell(&ACTIVATE_1, NOON).unwrap();
    let order = story.batch.id().ticket(1);
    let again = story.batch.sale(1, activation(19, ""), NOON);
    assert_eq!(again.unwrap_err(), Rejection::TicketAlreadyActivated { order });
}

#[test]
fn r_ticket_04_what_is_printed_is_good_until_the_last_ticket_that_is_activated_ends() {
    let printed = |expires_at| planned(&shop(product()), BatchWish { expires_at, ..wish(3) }).unwrap().code(3);
    let code = printed(Some(after(60)));
    assert_eq!((code.subject.order().of_batch().map(|(_, number)| number), code.issued_at), (Some(3), NOON));
    // The end of the thirtieth day after that of its end, in Hong Kong.
    assert_eq!(code.until, "2026-12-20T16:00:00Z".parse().map(Timestamp::from_jiff).unwrap());
    assert!(printed(None).until > NOON.plus_seconds(4 * 366 * 24 * 60 * 60));
}

#[test]
fn r_ota_09_a_batch_that_ends_says_once_how_many_of_its_tickets_were_never_activated() {
    let ending = |quantity| BatchWish { expires_at: Some(after(60)), ..wish(quantity) };
    let said = |story: &Story| {
        let rows = story.announced.iter();
        rows.map(|row| (row.kind, row.batch.clone().unwrap(), row.count)).collect::<Vec<_>>()
    };
    let mut story = Story::generated(ending(3));
    story.tell(&ACTIVATE_1, NOON).unwrap();
    assert_eq!(said(&story), []);
    for seconds in [60, 61, 3_600] {
        story.tell(&Command::Expire, after(seconds)).unwrap();
        assert_eq!(said(&story), [(AnnouncementKind::BatchExpired, "B-2026-1".into(), Some(2))]);
    }

    let mut story = Story::generated(ending(1));
    story.tell(&ACTIVATE_1, NOON).unwrap();
    story.tell(&Command::Expire, after(60)).unwrap();
    assert_eq!((story.batch.state(), said(&story)), (BatchState::Ended, vec![]), "nothing has expired");
}

#[test]
fn r_ota_04_a_batch_of_a_reservation_is_born_with_its_draw_and_asks_its_stock_for_nothing() {
    let reservation = Some(OrderId::from_bits(7));
    let plan = planned(&shop(product()), BatchWish { reservation, ..wish(3) }).unwrap();
    let (batch, rows) = Batch::born(plan);
    let mut story = Story { batch, ..Story::of(wish(3)) };
    (story.stored, story.version) = (Images::default(), 0);
    story.stored.keep(&rows).unwrap();
    story.restart();
    assert_eq!((story.batch.state(), story.batch.effect()), (BatchState::Taking, Some(Effect::Finish)));
    assert_eq!(story.tell(&ACTIVATE_1, NOON), Err(Rejection::TicketNotFound), "nobody sees it yet");

    story.tell(&Command::UnitsTaken, NOON).unwrap();
    assert_eq!(story.batch.effect(), None);
    story.tell(&Command::Cancel { number: 2 }, NOON).unwrap();
    assert_eq!(story.batch.effect(), Some(Effect::GiveBack { kept: 2 }));
    story.restart();
    story.tell(&Command::UnitsReturned { kept: 2 }, NOON).unwrap();
    assert_eq!(story.batch.effect(), None);
    story.restart();
}
