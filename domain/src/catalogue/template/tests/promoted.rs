//! What promotions make of an order's price (R-PRICE-03): the order above, on a catalogue that has promotions.

use jiff::civil::date;

use super::ordered::{TERMS, coach, package, wish};
use super::*;
use crate::departure::Channel;
use crate::ids::{OrderId, PromotionCode, Shard};
use crate::order::{Draft, ItemWish, JourneyWish, PriceLine, SeatWish, Wish};
use crate::promotion::Promotion;
use crate::rejection::Uses;

fn promotion(code: &str, said: Value) -> Promotion {
    let mut promotion = json!({
        "code": code, "name": { "zh": "優惠", "en": "Offer" }, "automatic": false, "kind": "percent", "value": 10,
        "validFrom": "2026-11-01", "validUntil": "2026-11-30",
    });
    let Value::Object(said) = said else { panic!("fields, not {said}") };
    promotion.as_object_mut().unwrap().extend(said);
    serde_json::from_value(promotion).unwrap()
}

/// The shop with these promotions.
fn promoting<const N: usize>(promotions: [(&str, Value); N]) -> Catalogue {
    let mut catalogue = shop();
    for (code, said) in promotions {
        apply(&mut catalogue, put(promotion(code, said)));
    }
    catalogue
}

/// The package and the coach of another day, for two adults and a child.
fn wanted(catalogue: &Catalogue, code: Option<&str>) -> Wish {
    let journey = JourneyWish {
        departure: coach(catalogue, date(2026, 11, 28)),
        class: super::code("standard"),
        board: None,
        alight: None,
        seats: SeatWish::Any,
    };
    let items = vec![ItemWish::Package(package(catalogue)), ItemWish::Journey(journey)];
    Wish { promotion_code: code.map(super::code), ..wish(items) }
}

fn drafted_of(catalogue: &Catalogue, wish: Wish, used_up: &[(&str, Uses)]) -> Result<Draft, Rejection> {
    let used_up = |promotion: &Promotion| {
        used_up.iter().find(|(code, _)| *code == promotion.code.as_str()).map(|(_, uses)| *uses)
    };
    let id = OrderId::compose(NOON, Shard::of(1), 1);
    wish.draft(catalogue, |_| Err(Rejection::ReservationNotFound), used_up, id, NOON, TERMS)
}

fn drafted(catalogue: &Catalogue, code: Option<&str>) -> Result<Draft, Rejection> {
    drafted_of(catalogue, wanted(catalogue, code), &[])
}

/// Code, revision and what each took off.
fn promoted(draft: &Draft) -> Vec<(&str, u32, i64)> {
    draft.promotions.iter().map(|one| (one.code.as_str(), one.revision, one.discount_minor)).collect()
}

fn sum(draft: &Draft, of: fn(&PriceLine) -> i64) -> i64 {
    draft.price.lines.iter().map(of).sum()
}

/// The lines say what the promotions took, and are the total.
fn check_lines(draft: &Draft, plain: &Draft) {
    let off: i64 = draft.promotions.iter().map(|one| one.discount_minor).sum();
    assert_eq!(draft.price.total.minor, plain.price.total.minor - off);
    assert_eq!(sum(draft, |line| line.total_minor), draft.price.total.minor);
    assert_eq!(sum(draft, |line| line.discount_minor), sum(plain, |line| line.discount_minor) + off);
    for (line, plain) in draft.price.lines.iter().zip(&plain.price.lines) {
        assert_eq!(line.discount_minor + line.total_minor, plain.discount_minor + plain.total_minor, "{line:?}");
        assert!(line.total_minor >= 0, "{line:?}");
    }
}

#[test]
fn r_price_03_an_order_has_the_best_automatic_promotion_and_then_its_code() {
    let catalogue = promoting([
        ("AUTO-5", json!({ "automatic": true, "value": 5 })),
        ("AUTO-15", json!({ "automatic": true, "value": 15, "limitTotal": 9 })),
        ("MINUS", json!({ "kind": "amount", "value": 1_001, "passengerTypes": ["child"] })),
    ]);
    let plain = drafted(&shop(), None).unwrap();
    let draft = drafted(&catalogue, Some("MINUS")).unwrap();
    let fifteen = (plain.price.total.minor * 15 + 50) / 100;
    assert_eq!(promoted(&draft), [("AUTO-15", 1, fifteen), ("MINUS", 1, 1_001)]);
    assert_eq!(draft.promotions.iter().map(|one| one.is_limited).collect::<Vec<_>>(), [true, false]);
    check_lines(&draft, &plain);
    for (line, plain) in draft.price.lines.iter().zip(&plain.price.lines) {
        let child = if line.kind.passenger() == PassengerType::Child { ", promotion MINUS, revision 1" } else { "" };
        let explained = format!("{}, promotion AUTO-15, revision 1{child}", plain.explanation);
        let is_free = plain.total_minor == 0;
        assert_eq!(*line.explanation, if is_free { plain.explanation.to_string() } else { explained });
    }
}

#[test]
fn r_price_03_of_an_order_of_everything_a_promotion_takes_what_it_is_for() {
    let plain = drafted(&shop(), None).unwrap();
    let of_kind = |is_package: bool, draft: &Draft| -> i64 {
        let is_so = |line: &&PriceLine| draft.items[usize::from(line.item)].package().is_some() == is_package;
        draft.price.lines.iter().filter(is_so).map(|line| line.total_minor).sum()
    };
    let template = sold(&shop()).id.clone();
    for (said, is_package) in
        [(json!({ "routeCodes": ["coach"] }), false), (json!({ "templateIds": [template] }), true)]
    {
        let catalogue = promoting([("SOME", said)]);
        let draft = drafted(&catalogue, Some("SOME")).unwrap();
        assert_eq!(of_kind(!is_package, &draft), of_kind(!is_package, &plain));
        assert!(of_kind(is_package, &draft) < of_kind(is_package, &plain));
        check_lines(&draft, &plain);
    }
    // The package's day, and not the coach's.
    let on_the_day = json!({ "travelFrom": "2026-11-27", "travelUntil": "2026-11-27" });
    let draft = drafted(&promoting([("DAY", on_the_day)]), Some("DAY")).unwrap();
    assert_eq!(promoted(&draft), [("DAY", 1, 5_000)]);
}

#[test]
fn r_price_03_a_code_that_does_not_fit_is_refused_by_the_field() {
    let catalogue = promoting([
        ("LATER", json!({ "validFrom": "2026-11-21" })),
        ("OVER", json!({ "validUntil": "2026-11-19" })),
        ("PARTNERS", json!({ "channels": ["ota"] })),
        ("GROUPS", json!({ "minParty": 4 })),
        ("SENIORS", json!({ "passengerTypes": ["senior"] })),
        ("WINTER", json!({ "travelFrom": "2026-12-01" })),
        ("BY-ITSELF", json!({ "automatic": true })),
        ("GONE", json!({})),
    ]);
    let mut without = catalogue.clone();
    apply(&mut without, put(crate::catalogue::Change::withdraw(Key::Promotion(code("GONE")))));
    for (code, why) in [
        ("NONE", "is not known"),
        ("LATER", "is not valid yet"),
        ("OVER", "is not valid any more"),
        ("PARTNERS", "is not for this channel"),
        ("GROUPS", "is for a bigger party"),
        ("SENIORS", "takes nothing off this order"),
        ("WINTER", "takes nothing off this order"),
        ("BY-ITSELF", "applies by itself"),
        ("GONE", "is not known"),
    ] {
        let refused = drafted(&without, Some(code)).unwrap_err();
        assert_eq!(refused, Rejection::field("promotionCode", format!("{code} {why}")));
    }
    let partners = Wish { channel: Channel::Ota("trip".into()), ..wanted(&catalogue, Some("PARTNERS")) };
    assert!(drafted_of(&catalogue, partners, &[]).is_ok());
}

#[test]
fn r_price_03_a_code_that_has_run_out_refuses_and_an_automatic_one_is_left_out() {
    let catalogue = promoting([
        ("AUTO", json!({ "automatic": true, "value": 20, "limitTotal": 1 })),
        ("NEXT", json!({ "automatic": true, "value": 5, "limitPerTraveller": 1 })),
        ("CODE", json!({ "limitTotal": 1 })),
    ]);
    let off = |used_up: &[(&str, Uses)]| {
        let draft = drafted_of(&catalogue, wanted(&catalogue, None), used_up).unwrap();
        draft.promotions.first().map(|one| one.code.clone())
    };
    assert_eq!(off(&[]), Some(code("AUTO")));
    assert_eq!(off(&[("AUTO", Uses::All)]), Some(code("NEXT")));
    assert_eq!(off(&[("AUTO", Uses::All), ("NEXT", Uses::OfTraveller)]), None);
    for of in [Uses::All, Uses::OfTraveller] {
        let refused = drafted_of(&catalogue, wanted(&catalogue, Some("CODE")), &[("CODE", of)]).unwrap_err();
        assert_eq!(refused, Rejection::PromotionExhausted { promotion: code("CODE"), of });
    }
}

#[test]
fn r_price_03_a_changed_or_withdrawn_promotion_is_for_new_orders_only() {
    let mut catalogue = promoting([("SPRING", json!({}))]);
    let before = drafted(&catalogue, Some("SPRING")).unwrap();
    apply(&mut catalogue, put(promotion("SPRING", json!({ "value": 20 }))));
    let after = drafted(&catalogue, Some("SPRING")).unwrap();
    let spring: PromotionCode = code("SPRING");
    let of = |draft: &Draft| draft.promotions.iter().map(|one| (one.code.clone(), one.revision)).collect::<Vec<_>>();
    assert_eq!((of(&before), of(&after)), (vec![(spring.clone(), 1)], vec![(spring, 2)]));
    assert!(after.price.total.minor < before.price.total.minor);
}

#[test]
fn r_price_01_an_order_that_a_promotion_makes_free_costs_nothing() {
    let catalogue = promoting([("FREE", json!({ "value": 100 }))]);
    let draft = drafted(&catalogue, Some("FREE")).unwrap();
    assert_eq!(draft.price.total.minor, 0);
    check_lines(&draft, &drafted(&shop(), None).unwrap());
}
