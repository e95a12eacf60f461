//! R-PRICE-03 as stories, and random baskets against a rule that looks at every promotion.

use std::sync::{Arc, LazyLock};

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::money::{Currency, Money};
use crate::register::Entry;
use crate::rejection::{Rejection, Uses};

static ROUTES: LazyLock<[RouteCode; 2]> = LazyLock::new(|| ["HKMO", "HKSZ"].map(|code| code.parse().unwrap()));
static TEMPLATES: LazyLock<[TemplateId; 2]> = LazyLock::new(|| ["deluxe", "pets"].map(|id| id.parse().unwrap()));

/// Noon where we sell, on the day of the stories.
fn noon() -> Timestamp {
    "2026-11-20T04:00:00Z".parse().map(Timestamp::from_jiff).unwrap()
}

/// So many percent off everything for everybody this month.
fn promotion(code: &str, percent: u32) -> Promotion {
    Promotion {
        code: code.parse().unwrap(),
        names: Names::new("優惠", "Offer"),
        automatic: false,
        kind: DiscountKind::Percent,
        value: percent,
        min_party: None,
        passenger_types: vec![],
        route_codes: vec![],
        template_ids: vec![],
        channels: vec![],
        valid_from: "2026-11-01".parse().unwrap(),
        valid_until: "2026-11-30".parse().unwrap(),
        travel_from: None,
        travel_until: None,
        limit_total: None,
        limit_per_traveller: None,
    }
}

fn automatic(code: &str, percent: u32) -> Promotion {
    Promotion { automatic: true, ..promotion(code, percent) }
}

fn amount(code: &str, minor: u32) -> Promotion {
    Promotion { kind: DiscountKind::Amount, value: minor, ..promotion(code, 0) }
}

fn journey(route: usize, minor: i64) -> Line<'static> {
    Line {
        bought: Bought::Journey(&ROUTES[route]),
        passenger: PassengerType::Adult,
        date: Some(date(2026, 12, 24)),
        total: Money::new(minor, Currency::Cny),
    }
}

fn package(template: usize, minor: i64) -> Line<'static> {
    Line { bought: Bought::Package(&TEMPLATES[template]), date: None, ..journey(0, minor) }
}

/// A shop with these promotions, which are in force in their third revision.
struct Shop {
    promotions: Vec<Arc<Entry<Promotion>>>,
    used_up: Vec<(PromotionCode, Uses)>,
    party_size: u16,
    channel: Channel,
    now: Timestamp,
}

impl Shop {
    fn of<const N: usize>(promotions: [Promotion; N]) -> Shop {
        let entry = |promotion| Arc::new(Entry { revision: 3, ..Entry::uncounted(promotion) });
        let promotions = promotions.into_iter().map(entry).collect();
        Shop { promotions, used_up: vec![], party_size: 2, channel: Channel::Direct, now: noon() }
    }

    fn apply(&self, lines: &[Line<'_>], code: Option<&str>) -> Result<Vec<Applied>, Rejection> {
        let basket = Basket { lines, party_size: self.party_size, channel: &self.channel, now: self.now };
        let named = |code: &str| self.promotions.iter().find(|entry| entry.code.as_str() == code).map(|entry| &**entry);
        let used_up = |promotion: &Promotion| {
            self.used_up.iter().find(|(code, _)| *code == promotion.code).map(|(_, uses)| *uses)
        };
        apply(&basket, self.promotions.iter(), code.map(|code| (code, named(code))), used_up)
    }

    /// Codes and what they take off the lines.
    fn takes(&self, lines: &[Line<'_>], code: Option<&str>) -> Vec<(String, Vec<i64>)> {
        let applied = self.apply(lines, code).unwrap();
        applied.into_iter().map(|applied| (applied.code.to_string(), applied.shares)).collect()
    }

    fn refuses(&self, lines: &[Line<'_>], code: &str) -> String {
        self.apply(lines, Some(code)).unwrap_err().to_string()
    }
}

fn taken(code: &str, shares: &[i64]) -> (String, Vec<i64>) {
    (code.to_owned(), shares.to_vec())
}

#[test]
fn r_price_03_the_best_automatic_one_applies_and_then_one_code_to_what_is_left() {
    let shop = Shop::of([automatic("FIVE", 5), automatic("TEN", 10), promotion("HALF", 50), amount("THIRTY", 3_000)]);
    let lines = [journey(0, 10_000), package(0, 20_000)];
    assert_eq!(shop.takes(&lines, None), [taken("TEN", &[1_000, 2_000])]);
    assert_eq!(shop.takes(&lines, Some("HALF")), [taken("TEN", &[1_000, 2_000]), taken("HALF", &[4_500, 9_000])]);
    assert_eq!(shop.takes(&lines, Some("THIRTY")), [taken("TEN", &[1_000, 2_000]), taken("THIRTY", &[1_000, 2_000])]);
    let applied = shop.apply(&lines, None).unwrap().remove(0);
    assert_eq!((applied.discount_minor, applied.explanation()), (3_000, "promotion TEN, revision 3".to_owned()));
}

#[test]
fn r_price_03_nothing_falls_below_zero() {
    let shop = Shop::of([automatic("FREE", 100), amount("MUCH", 1_000_000)]);
    let lines = [journey(0, 10_000), package(0, 1)];
    assert_eq!(shop.takes(&lines, None), [taken("FREE", &[10_000, 1])]);
    assert_eq!(shop.refuses(&lines, "MUCH"), "promotionCode: MUCH takes nothing off this order");
    let shop = Shop::of([amount("MUCH", 1_000_000)]);
    assert_eq!(shop.takes(&lines, Some("MUCH")), [taken("MUCH", &[10_000, 1])]);
}

#[test]
fn r_price_03_what_cannot_be_split_evenly_goes_to_the_largest_remainders() {
    let shop = Shop::of([amount("ONE", 100)]);
    let split = |minor: &[i64]| {
        let lines: Vec<_> = minor.iter().map(|minor| journey(0, *minor)).collect();
        shop.takes(&lines, Some("ONE")).remove(0).1
    };
    assert_eq!(split(&[1_000, 1_000, 1_000]), [34, 33, 33], "of equal ones to the first");
    assert_eq!(split(&[1_000, 2_000, 3_001]), [17, 33, 50]);
    assert_eq!(split(&[50, 0, 49]), [50, 0, 49]);
}

#[test]
fn r_price_03_a_percentage_is_rounded_half_up_once() {
    let shop = Shop::of([promotion("TENTH", 10)]);
    assert_eq!(shop.takes(&[journey(0, 5), journey(0, 10)], Some("TENTH")), [taken("TENTH", &[1, 1])], "1.5");
    assert_eq!(shop.refuses(&[journey(0, 4)], "TENTH"), "promotionCode: TENTH takes nothing off this order");
}

#[test]
fn r_price_03_it_is_for_routes_or_packages_for_passengers_and_for_days_of_travel() {
    let of_route = Promotion { route_codes: vec![ROUTES[0].clone()], ..promotion("ROUTE", 10) };
    let of_package = Promotion { template_ids: vec![TEMPLATES[1].clone()], ..promotion("PACKAGE", 10) };
    let of_both = Promotion { template_ids: vec![TEMPLATES[1].clone()], ..of_route.clone() };
    let of_both = Promotion { code: "BOTH".parse().unwrap(), ..of_both };
    let of_children = Promotion { passenger_types: vec![PassengerType::Child], ..promotion("CHILD", 10) };
    let at_christmas = Promotion {
        travel_from: Some(date(2026, 12, 24)),
        travel_until: Some(date(2026, 12, 26)),
        ..promotion("XMAS", 10)
    };
    let shop = Shop::of([of_route, of_package, of_both, of_children, at_christmas]);
    let child = Line { passenger: PassengerType::Child, date: Some(date(2026, 12, 27)), ..journey(1, 100) };
    let lines = [journey(0, 100), journey(1, 100), package(0, 100), package(1, 100), child];
    let takes = |code| shop.takes(&lines, Some(code)).remove(0).1;
    assert_eq!(takes("ROUTE"), [10, 0, 0, 0, 0]);
    assert_eq!(takes("PACKAGE"), [0, 0, 0, 10, 0]);
    assert_eq!(takes("BOTH"), [10, 0, 0, 10, 0]);
    assert_eq!(takes("CHILD"), [0, 0, 0, 0, 10]);
    assert_eq!(takes("XMAS"), [10, 10, 0, 0, 0], "packages of no day are of none of these");
    assert_eq!(shop.refuses(&lines[2..3], "ROUTE"), "promotionCode: ROUTE takes nothing off this order");
}

#[test]
fn r_price_03_it_is_valid_in_its_window_on_its_channels_and_for_its_parties() {
    let of_three = Promotion { min_party: Some(3), ..automatic("THREE", 30) };
    let of_partners = Promotion { channels: vec![SalesChannel::Ota], ..promotion("PARTNER", 10) };
    let mut shop = Shop::of([of_three, of_partners, promotion("MONTH", 10)]);
    let lines = [journey(0, 100)];
    assert_eq!(shop.takes(&lines, None), []);
    assert_eq!(shop.refuses(&lines, "PARTNER"), "promotionCode: PARTNER is not for this channel");
    (shop.party_size, shop.channel) = (3, Channel::Ota("trip".into()));
    assert_eq!(shop.takes(&lines, Some("PARTNER")), [taken("THREE", &[30]), taken("PARTNER", &[7])]);

    let midnight = "2026-11-30T16:00:00Z".parse().map(Timestamp::from_jiff).unwrap();
    shop.now = midnight.plus_ms(-1);
    assert_eq!(shop.takes(&lines, Some("MONTH")).len(), 2, "its last day is part of it");
    shop.now = midnight;
    assert_eq!(shop.refuses(&lines, "MONTH"), "promotionCode: MONTH is not valid any more");
    shop.now = noon().plus_seconds(-30 * 24 * 3_600);
    assert_eq!(shop.refuses(&lines, "MONTH"), "promotionCode: MONTH is not valid yet");
}

#[test]
fn r_price_03_one_that_has_run_out_is_not_quoted_and_its_code_is_refused() {
    let ten = Promotion { limit_total: Some(5), ..automatic("TEN", 10) };
    let half = Promotion { limit_per_traveller: Some(1), ..promotion("HALF", 50) };
    let mut shop = Shop::of([automatic("FIVE", 5), half, ten]);
    let lines = [journey(0, 100)];
    let limited = shop.apply(&lines, Some("HALF")).unwrap();
    assert_eq!(limited.iter().map(|applied| applied.is_limited).collect::<Vec<_>>(), [true, true]);
    shop.used_up = vec![("TEN".parse().unwrap(), Uses::All), ("HALF".parse().unwrap(), Uses::OfTraveller)];
    assert_eq!(shop.takes(&lines, None), [taken("FIVE", &[5])]);
    let promotion = "HALF".parse().unwrap();
    let refused = shop.apply(&lines, Some("HALF"));
    assert_eq!(refused, Err(Rejection::PromotionExhausted { promotion, of: Uses::OfTraveller }));
    assert_eq!(shop.refuses(&lines, "NONE"), "promotionCode: NONE is not known");
    assert_eq!(shop.refuses(&lines, "FIVE"), "promotionCode: FIVE applies by itself");
}

fn any_promotion(code: String) -> impl Strategy<Value = Promotion> {
    let kind = prop_oneof![
        (1..=100_u32).prop_map(|percent| (DiscountKind::Percent, percent)),
        (1..20_000_u32).prop_map(|minor| (DiscountKind::Amount, minor))
    ];
    let routes = prop::option::of(0..2_usize);
    (any::<bool>(), kind, routes, prop::option::of(0..2_usize), prop::option::of(1..4_u16), any::<bool>()).prop_map(
        move |(automatic, (kind, value), route, template, min_party, children)| Promotion {
            automatic,
            kind,
            value,
            route_codes: route.map(|route| ROUTES[route].clone()).into_iter().collect(),
            template_ids: template.map(|template| TEMPLATES[template].clone()).into_iter().collect(),
            min_party,
            passenger_types: if children { vec![PassengerType::Child] } else { vec![] },
            ..promotion(&code, 0)
        },
    )
}

fn any_line() -> impl Strategy<Value = Line<'static>> {
    let minor = prop_oneof![Just(0), 1..10_i64, 100..1_000_000_i64];
    (any::<bool>(), 0..2_usize, minor, any::<bool>()).prop_map(|(is_journey, which, minor, is_child)| {
        let line = if is_journey { journey(which, minor) } else { package(which, minor) };
        Line { passenger: if is_child { PassengerType::Child } else { PassengerType::Adult }, ..line }
    })
}

/// What it would take off these amounts, said another way.
fn told(promotion: &Promotion, lines: &[Line<'_>], left: &[i64], party_size: u16) -> i64 {
    if promotion.min_party.is_some_and(|least| party_size < least) {
        return 0;
    }
    let mut base = 0;
    for (line, left) in lines.iter().zip(left) {
        let child_only = !promotion.passenger_types.is_empty();
        let everything = promotion.route_codes.len() + promotion.template_ids.len() == 0;
        let named = match line.bought {
            Bought::Journey(route) => promotion.route_codes.iter().any(|code| code == route),
            Bought::Package(template) => promotion.template_ids.iter().any(|id| id == template),
        };
        if (everything || named) && (!child_only || line.passenger == PassengerType::Child) {
            base += left;
        }
    }
    match promotion.kind {
        DiscountKind::Percent => (base * i64::from(promotion.value) + 50) / 100,
        DiscountKind::Amount => base.min(promotion.value.into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn r_price_03_of_random_promotions_the_best_applies_and_shares_add_up_to_the_cent(
        promotions in (0..6_usize).prop_flat_map(|count| {
            (0..count).map(|number| any_promotion(format!("P{number}"))).collect::<Vec<_>>()
        }),
        lines in prop::collection::vec(any_line(), 1..8),
        party_size in 1..5_u16,
        code in 0..6_usize,
    ) {
        let mut shop = Shop::of([]);
        let entry = |promotion| Arc::new(Entry { revision: 1, ..Entry::uncounted(promotion) });
        shop.promotions = promotions.iter().cloned().map(entry).collect();
        shop.party_size = party_size;
        let mut left: Vec<i64> = lines.iter().map(|line| line.total.minor).collect();
        let automatic = promotions.iter().filter(|promotion| promotion.automatic);
        let best = automatic.map(|promotion| told(promotion, &lines, &left, party_size)).max().unwrap_or(0);

        let quoted = shop.apply(&lines, None).unwrap();
        prop_assert_eq!(quoted.iter().map(|applied| applied.discount_minor).sum::<i64>(), best);
        let by_code = promotions.get(code).filter(|promotion| !promotion.automatic);
        let applied = by_code.and_then(|promotion| shop.apply(&lines, Some(promotion.code.as_str())).ok());
        if let Some(promotion) = by_code {
            let mut after = left.clone();
            for applied in &quoted {
                for (left, share) in after.iter_mut().zip(&applied.shares) {
                    *left -= share;
                }
            }
            let wanted = told(promotion, &lines, &after, party_size);
            let found = applied.as_ref().map_or(0, |applied| applied.last().unwrap().discount_minor);
            prop_assert_eq!(found, wanted);
        }
        for applied in applied.unwrap_or(quoted) {
            prop_assert_eq!(applied.shares.iter().sum::<i64>(), applied.discount_minor);
            prop_assert!(applied.discount_minor > 0);
            for (left, share) in left.iter_mut().zip(&applied.shares) {
                prop_assert!(*share >= 0 && share <= left, "never below zero");
                *left -= share;
            }
        }
    }
}
