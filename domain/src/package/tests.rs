use jiff::civil::date;

use super::*;
use crate::row::{Message, Part as _};

fn at(text: &str) -> Timestamp {
    Timestamp::from_jiff(text.parse().unwrap())
}

fn hong_kong() -> Zone {
    Zone::named("Asia/Hong_Kong").unwrap()
}

fn berlin() -> Zone {
    Zone::named("Europe/Berlin").unwrap()
}

fn after_payment(days: u16) -> Validity {
    Validity::Relative { days, starts: StartsAt::Payment, until: None }
}

fn after_first_use(days: u16, until: Option<Bound>) -> Validity {
    Validity::Relative { days, starts: StartsAt::FirstUse, until }
}

#[test]
fn r_ticket_02_an_absolute_validity_is_the_same_whenever_it_was_paid() {
    let december = Validity::Absolute { from: Bound::Day(date(2026, 12, 1)), until: Bound::Day(date(2026, 12, 31)) };
    let all_of_december = (at("2026-11-30T16:00:00Z"), at("2026-12-31T16:00:00Z"));
    for paid_at in ["2026-10-01T00:00:00Z", "2026-12-15T00:00:00Z", "2027-06-01T00:00:00Z"] {
        assert_eq!(december.from_payment(at(paid_at), &hong_kong()), all_of_december, "the last day counts too");
    }
    assert_eq!(december.from_first_use(at("2026-12-02T00:00:00Z"), all_of_december.1, &hong_kong()), all_of_december.1);
}

#[test]
fn r_ticket_02_an_absolute_validity_may_be_said_to_the_second() {
    let (from, until) = (at("2026-12-24T10:00:00Z"), at("2026-12-24T18:30:00Z"));
    let evening = Validity::Absolute { from: Bound::At(from), until: Bound::At(until) };
    assert_eq!(evening.from_payment(at("2026-12-01T00:00:00Z"), &hong_kong()), (from, until));
}

#[test]
fn r_ticket_02_relative_to_payment_it_ends_with_the_nth_local_day_after_it() {
    let paid_at = at("2026-12-01T02:00:00Z"); // 10:00 in Hong Kong
    let (from, until) = after_payment(1).from_payment(paid_at, &hong_kong());
    assert_eq!((from, until), (paid_at, at("2026-12-02T16:00:00Z")), "all of the next day");
    assert_eq!(after_payment(90).from_payment(paid_at, &hong_kong()).1, at("2027-03-01T16:00:00Z"));
    assert_eq!(after_payment(1).from_first_use(at("2026-12-02T03:00:00Z"), until, &hong_kong()), until);
}

#[test]
fn r_ticket_02_the_day_of_a_payment_near_midnight_is_the_local_one() {
    let before = at("2026-12-01T15:59:59.999Z"); // 23:59:59.999 on the 1st in Hong Kong
    let after = at("2026-12-01T16:00:00Z"); // 00:00 on the 2nd
    assert_eq!(after_payment(1).from_payment(before, &hong_kong()).1, at("2026-12-02T16:00:00Z"));
    assert_eq!(after_payment(1).from_payment(after, &hong_kong()).1, at("2026-12-03T16:00:00Z"));
    let utc = Zone::named("UTC").unwrap();
    assert_eq!(after_payment(1).from_payment(after, &utc).1, at("2026-12-03T00:00:00Z"), "there it is the 1st still");
}

#[test]
fn r_ticket_02_a_leap_day_is_a_day() {
    let paid_at = at("2028-02-28T04:00:00Z");
    assert_eq!(after_payment(1).from_payment(paid_at, &hong_kong()).1, at("2028-02-29T16:00:00Z"));
    assert_eq!(after_payment(2).from_payment(paid_at, &hong_kong()).1, at("2028-03-01T16:00:00Z"));
    let on_it = at("2028-02-29T04:00:00Z");
    assert_eq!(after_first_use(1, None).from_payment(on_it, &hong_kong()).1, at("2029-02-28T16:00:00Z"));
}

#[test]
fn r_ticket_02_days_are_local_days_also_when_the_clocks_change() {
    let before_summer = at("2026-03-27T11:00:00Z"); // noon in Berlin; clocks go forward on the 29th
    assert_eq!(after_payment(1).from_payment(before_summer, &berlin()).1, at("2026-03-28T23:00:00Z"));
    assert_eq!(after_payment(2).from_payment(before_summer, &berlin()).1, at("2026-03-29T22:00:00Z"), "23 hours long");
    let before_winter = at("2026-10-23T10:00:00Z"); // noon in Berlin; clocks go back on the 25th
    assert_eq!(after_payment(1).from_payment(before_winter, &berlin()).1, at("2026-10-24T22:00:00Z"));
    assert_eq!(after_payment(2).from_payment(before_winter, &berlin()).1, at("2026-10-25T23:00:00Z"), "25 hours long");
}

#[test]
fn r_ticket_02_a_day_that_begins_at_one_oclock_ends_the_day_before() {
    let havana = Zone::named("America/Havana").unwrap(); // 2026-03-08 has no 00:00 there
    let paid_at = at("2026-03-06T12:00:00Z");
    assert_eq!(after_payment(1).from_payment(paid_at, &havana).1, at("2026-03-08T05:00:00Z"));
}

#[test]
fn r_ticket_02_until_its_first_use_it_waits_a_year_or_until_a_date() {
    let paid_at = at("2026-12-01T02:00:00Z");
    let a_year = after_first_use(3, None).from_payment(paid_at, &hong_kong());
    assert_eq!(a_year, (paid_at, at("2027-12-01T16:00:00Z")));
    let until_june = after_first_use(3, Some(Bound::Day(date(2027, 6, 30))));
    assert_eq!(until_june.from_payment(paid_at, &hong_kong()), (paid_at, at("2027-06-30T16:00:00Z")));
}

#[test]
fn r_ticket_02_from_its_first_use_it_ends_with_the_nth_local_day_but_never_later_than_before() {
    let until = at("2027-06-30T16:00:00Z");
    let pass = after_first_use(3, Some(Bound::Day(date(2027, 6, 30))));
    assert_eq!(pass.from_first_use(at("2027-01-10T01:00:00Z"), until, &hong_kong()), at("2027-01-13T16:00:00Z"));
    assert_eq!(pass.from_first_use(at("2027-06-29T01:00:00Z"), until, &hong_kong()), until);
}

#[test]
fn r_ticket_02_a_validity_never_ends_before_it_starts() {
    let paid_at = at("2027-01-01T00:00:00Z");
    let over = Some(Bound::Day(date(2026, 6, 30)));
    let backwards = Validity::Absolute { from: Bound::Day(date(2026, 2, 1)), until: Bound::Day(date(2026, 1, 1)) };
    let capped = Validity::Relative { days: 30, starts: StartsAt::Payment, until: over };
    for validity in [after_first_use(3, over), capped, backwards] {
        let (from, until) = validity.from_payment(paid_at, &hong_kong());
        assert_eq!(from, until, "{validity:?}");
    }
    for days in [1, 365, u16::MAX] {
        for zone in [hong_kong(), berlin()] {
            for paid_at in [Timestamp::from_ms(0), paid_at, at("9999-12-01T00:00:00Z")] {
                let (from, until) = after_payment(days).from_payment(paid_at, &zone);
                assert!(from < until, "{days} days after {paid_at}");
            }
        }
    }
}

#[test]
fn a_bound_is_a_date_or_an_instant_and_nothing_in_between() {
    assert_eq!("2026-12-01".parse(), Ok(Bound::Day(date(2026, 12, 1))));
    assert_eq!("2026-12-01T10:00:00+08:00".parse(), Ok(Bound::At(at("2026-12-01T02:00:00Z"))));
    for text in ["", "tomorrow", "2026-12-01T10:00:00", "2026-02-30", "20261201"] {
        assert_eq!(text.parse::<Bound>(), Err(InvalidId("date or instant")), "{text}");
    }
    for bound in [Bound::Day(date(2026, 12, 1)), Bound::At(at("2026-12-01T02:00:00.123Z"))] {
        assert_eq!(bound.to_string().parse(), Ok(bound));
    }
}

fn terms() -> PackageTerms {
    let entitlement = |code: &'static str, validity| EntitlementTerms {
        code: EntitlementCode::constant(code),
        names: Names::new("海洋公园", "Ocean park"),
        quantity: 2,
        merchant: Some(MerchantCode::constant("park")),
        locations: vec![LocationCode::constant("gate-1"), LocationCode::constant("gate-2")],
        channel: RedemptionChannel::Counter,
        requires_identity: true,
        shared: false,
        weight: 60,
        validity,
    };
    let until = Bound::At(at("2026-12-24T18:30:00Z"));
    PackageTerms {
        template: TemplateId::constant("pkg-1"),
        version: 3,
        product: Some(106),
        names: Names::new("尊享套票", "Premium"),
        zone: hong_kong(),
        service_date: Some(date(2026, 12, 24)),
        quantity: 2,
        entitlements: vec![
            entitlement("PARK", Validity::Absolute { from: Bound::Day(date(2026, 12, 1)), until }),
            entitlement("LOUNGE", after_payment(90)),
            EntitlementTerms { merchant: None, locations: Vec::new(), ..entitlement("MEAL", after_first_use(1, None)) },
        ],
    }
}

#[test]
fn what_an_order_keeps_of_a_package_is_read_as_it_was_written() {
    let terms = terms();
    let mut stored = Vec::new();
    terms.put(&mut stored);
    assert_eq!(PackageTerms::get(&mut Message::new(&stored)).as_ref(), Ok(&terms));

    let order = crate::ids::OrderId::from_bits(7);
    let packed = crate::packing::for_order(order, || postcard::to_allocvec(&terms)).unwrap();
    assert_eq!(crate::packing::for_order(order, || postcard::from_bytes(&packed)), Ok(terms));
}
