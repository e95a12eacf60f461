//! How templates are sold: prices, days, places, and what an order keeps.

use jiff::civil::{Date, date};

use super::*;
use crate::catalogue::{Calendar, Holiday};
use crate::party::Party;

/// Adults from 1, 3 and 5; cheaper on weekdays from 3; dearer at weekends from 1.
fn tiers() -> Value {
    let tier = |who: &str, min_party: u16, day: &str, amount: i64| {
        json!({
            "passengerType": who, "minParty": min_party, "dayType": day,
            "price": { "amount": amount, "currency": "CNY" },
        })
    };
    json!([
        tier("adult", 1, "any", 20_000),
        tier("adult", 5, "any", 16_000),
        tier("adult", 3, "any", 18_000),
        tier("adult", 3, "weekday", 17_000),
        tier("adult", 1, "weekend_or_holiday", 22_000),
        tier("child", 2, "any", 9_999),
    ])
}

const FRIDAY: Date = date(2026, 11, 27);
const SATURDAY: Date = date(2026, 11, 28);

/// The price of each adult.
fn unit(catalogue: &Catalogue, adults: u16, on: Date) -> i64 {
    let party = Party::new(adults, 0, 0).unwrap();
    catalogue.package_quote(sold(catalogue), party, 1, Some(on)).unwrap().lines[0].unit.minor
}

#[test]
fn r_price_01_the_tier_of_the_biggest_party_that_fits_applies_and_of_equals_the_one_for_that_day() {
    let mut catalogue = shop();
    made(&mut catalogue, &with(premium(), "tiers", tiers()));
    for (adults, friday, saturday) in
        [(1, 20_000, 22_000), (2, 20_000, 22_000), (3, 17_000, 18_000), (7, 16_000, 16_000)]
    {
        assert_eq!(
            (unit(&catalogue, adults, FRIDAY), unit(&catalogue, adults, SATURDAY)),
            (friday, saturday),
            "{adults}"
        );
    }
}

#[test]
fn r_price_01_a_holiday_is_priced_as_a_weekend() {
    let mut catalogue = shop();
    made(&mut catalogue, &with(premium(), "tiers", tiers()));
    let holidays = vec![Holiday { date: FRIDAY, names: Names::same("Day off"), verified: true }];
    apply(&mut catalogue, put(Calendar { year: 2026, holidays }));
    assert_eq!(unit(&catalogue, 1, FRIDAY), 22_000);
}

#[test]
fn r_price_01_every_line_says_which_tier_of_which_version_made_it() {
    let mut catalogue = shop();
    made(&mut catalogue, &with(premium(), "tiers", tiers()));
    let party = Party::new(2, 1, 0).unwrap();
    let quote = catalogue.package_quote(sold(&catalogue), party, 2, Some(FRIDAY)).unwrap();
    assert_eq!((quote.version, quote.total), (2, Money::new(4 * 17_000 + 2 * 9_999, Currency::Cny)));
    let [adults, children] = &quote.lines[..] else { panic!("{quote:?}") };
    assert_eq!((adults.count, adults.index, adults.tier.min_party), (4, 3, 3), "the party counts people, not units");
    assert_eq!((children.count, children.index, children.unit.minor), (2, 5, 9_999));
}

#[test]
fn r_price_01_who_has_no_price_is_not_sold_the_package_for_nothing() {
    let mut catalogue = shop();
    made(&mut catalogue, &with(premium(), "tiers", tiers()));
    let quote =
        |party: Option<Party>, on| catalogue.package_quote(sold(&catalogue), party.unwrap(), 1, on).unwrap_err();
    let field = |refused: Rejection| match refused {
        Rejection::Field { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(quote(Party::new(1, 0, 1), Some(FRIDAY))), "passengers");
    assert_eq!(field(quote(Party::new(0, 1, 0), Some(FRIDAY))), "passengers", "a child needs company");
}

#[test]
fn r_price_01_a_price_that_depends_on_the_day_asks_for_the_day() {
    let mut catalogue = shop();
    let weekend = json!([{
        "passengerType": "adult", "minParty": 1, "dayType": "weekend_or_holiday", "price": { "amount": 1, "currency": "CNY" },
    }]);
    made(&mut catalogue, &with(premium(), "tiers", weekend));
    let refused = catalogue.package_quote(sold(&catalogue), Party::new(1, 0, 0).unwrap(), 1, None).unwrap_err();
    assert_eq!(refused.to_string(), "serviceDate: is missing: the price depends on the day");
}

#[test]
fn r_search_02_a_service_date_is_needed_where_something_depends_on_it() {
    let plain = json!({
        "name": { "zh": "通票", "en": "Pass" }, "status": "active",
        "entitlements": [premium()["entitlements"][0]],
        "tiers": [premium()["tiers"][0]],
    });
    let needs = |said: &Value| template(said).needs_service_date();
    assert!(!needs(&plain) && !needs(&with(plain.clone(), "stock", json!({ "total": 9 }))));
    for (field, value) in [
        ("stock", json!({ "perDate": 9 })),
        ("blackoutDates", json!(["2026-12-25"])),
        ("journeys", premium()["journeys"].clone()),
        ("tiers", tiers()),
    ] {
        assert!(needs(&with(plain.clone(), field, value)), "{field}");
    }
    let catalogue = catalogue();
    let check = |said: &Value, date| catalogue.check_service_date(&template(said), date, "items[0].serviceDate", NOON);
    assert_eq!(check(&plain, None), Ok(()));
    assert_eq!(check(&plain, Some(date(2026, 11, 20))), Ok(()), "a day may be named anyway");
    let missing = check(&premium(), None).unwrap_err().to_string();
    assert_eq!(missing, "items[0].serviceDate: is missing: the package is sold for a day");
}

#[test]
fn r_search_02_a_service_date_is_neither_past_nor_black_nor_too_far_ahead() {
    let catalogue = catalogue();
    let mut lasting = premium();
    lasting["entitlements"][1]["validity"] = lasting["entitlements"][0]["validity"].clone();
    let premium = template(&lasting);
    let check = |date| catalogue.check_service_date(&premium, Some(date), "serviceDate", NOON);
    assert_eq!(check(date(2026, 11, 20)), Ok(()), "today");
    assert_eq!(check(date(2026, 11, 19)).unwrap_err().to_string(), "serviceDate: is in the past");
    assert_eq!(check(date(2026, 12, 25)), Err(Rejection::Blackout));
    assert_eq!(check(date(2027, 11, 21)), Ok(()), "366 days ahead");
    let far = check(date(2027, 11, 22)).unwrap_err().to_string();
    assert_eq!(far, "serviceDate: is sold up to 2027-11-21 so far");
    let midnight = NOON.plus_seconds(12 * 3_600);
    let yesterday = catalogue.check_service_date(&premium, Some(date(2026, 11, 20)), "serviceDate", midnight);
    assert!(yesterday.is_err(), "days are those of the package's zone");
}

#[test]
fn r_search_01_a_package_is_offered_where_one_of_its_places_lies_and_without_places_everywhere() {
    let mut catalogue = shop();
    let name = |zh: &str| json!({ "zh": zh, "en": zh });
    let other = |zh: &str, places: Value| {
        with(with(with(premium(), "name", name(zh)), "productId", Value::Null), "places", places)
    };
    made(&mut catalogue, &other("everywhere", json!([])));
    made(&mut catalogue, &other("nowhere", json!(["XX"])));
    made(&mut catalogue, &with(other("draft", json!([])), "status", "draft"));
    let offered = |from: &str, to: &str| {
        let (from, to) = (catalogue.place(from).unwrap(), catalogue.place(to).unwrap());
        let mut names: Vec<_> = catalogue.packages_between(from, to).map(|entry| entry.names.en.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(offered("HK", "SZ"), ["Premium", "everywhere"]);
    assert_eq!(offered("SZ", "HK"), ["Premium", "everywhere"]);
    assert_eq!(offered("HK", "XX"), ["everywhere", "nowhere"]);
}

#[test]
fn r_ticket_01_an_included_journey_is_any_departure_of_its_route_on_its_day() {
    let mut catalogue = shop();
    let boards = |catalogue: &Catalogue| {
        let journeys = catalogue.journeys_of(sold(catalogue), FRIDAY);
        journeys[0].iter().map(|trip| (trip.departure_id().to_string(), trip.stretch)).collect::<Vec<_>>()
    };
    let whole = Stretch { board: 0, alight: 3 };
    let friday = ["coach-0800.20261127".to_owned(), "coach-2415.20261126".to_owned()];
    assert_eq!(boards(&catalogue), friday.map(|departure| (departure, whole)));
    let next_day =
        json!([{ "routeCode": "coach", "seatClass": "standard", "fromStop": 1, "toStop": 2, "dayOffset": 1 }]);
    made(&mut catalogue, &with(premium(), "journeys", next_day));
    assert_eq!(boards(&catalogue)[0], ("coach-0800.20261128".to_owned(), Stretch { board: 1, alight: 2 }));
}

#[test]
fn r_hold_01_what_an_order_keeps_is_what_the_version_promises() {
    let catalogue = shop();
    let terms = sold(&catalogue).terms(Some(FRIDAY), 2);
    assert_eq!((terms.version, terms.product, terms.quantity), (1, Some(106), 2));
    assert_eq!((terms.zone.name(), terms.service_date), ("Asia/Shanghai", Some(FRIDAY)));
    assert_eq!(terms.entitlements, template(&premium()).entitlements);
}

#[test]
fn r_search_02_a_package_is_not_sold_once_something_that_it_gives_has_ended_nor_for_a_day_after_it() {
    let until = |text: &str| {
        let mut said = premium();
        said["entitlements"][1]["validity"]["until"] = text.into();
        template(&said)
    };
    let catalogue = catalogue();
    let check = |template: &Template, day, now| catalogue.check_service_date(template, Some(day), "serviceDate", now);
    // The meal's last day, in Shanghai.
    let package = until("2026-12-24");
    let end = Timestamp::from_jiff("2026-12-24T16:00:00Z".parse().unwrap());
    assert_eq!(package.sold_until(), Some(end));
    assert_eq!(check(&package, date(2026, 12, 24), NOON), Ok(()));
    let after = check(&package, date(2026, 12, 26), NOON).unwrap_err();
    assert_eq!(after.to_string(), "serviceDate: is after something that the package gives has ended");
    assert_eq!(check(&package, date(2026, 12, 24), end.plus_ms(-1)), Ok(()));
    assert_eq!(check(&package, date(2026, 12, 26), end), Err(Rejection::TemplateNotFound));
    assert_eq!(check(&until("2026-12-24T12:00:00+08:00"), date(2026, 12, 24), end), Err(Rejection::TemplateNotFound));
}

#[test]
fn r_ota_10_what_a_unit_costs_is_what_an_order_of_one_costs_on_such_a_day() {
    let price = |amount: i64| json!({ "amount": amount, "currency": "CNY" });
    let tier = |kind: &str, min: u16, day: &str, amount: i64| json!({ "passengerType": kind, "minParty": min, "dayType": day, "price": price(amount) });
    let tiers = json!([
        tier("adult", 1, "weekday", 100),
        tier("adult", 1, "weekend_or_holiday", 130),
        tier("adult", 4, "any", 80),
        tier("child", 1, "any", 50),
        tier("senior", 1, "weekday", 70),
        tier("senior", 1, "any", 90),
    ]);
    let template: Template = serde_json::from_value(with(premium(), "tiers", tiers)).unwrap();
    let shown = |of: UnitPrice| (of.passenger_type.code(), of.day_type.code(), of.price.minor);
    assert_eq!(
        unit_prices(&template.tiers).into_iter().map(shown).collect::<Vec<_>>(),
        [
            ("adult", "weekday", 100),
            ("adult", "weekend_or_holiday", 130),
            ("child", "any", 50),
            ("senior", "weekday", 70),
            ("senior", "weekend_or_holiday", 90),
        ]
    );
}
