//! The rules of carriers as they were published (`hk-crossboundary-facts`), each written down and read out.

use serde_json::{Value, json};

use super::*;

fn rule(said: &Value) -> RefundRule {
    let mut rule = json!({ "ruleId": "r", "name": { "zh": "規則", "en": "Rule" } });
    rule.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    serde_json::from_value(rule).unwrap_or_else(|error| panic!("{said}: {error}"))
}

/// Fits, is written as it was read, and is read out in these words.
fn says(name: &str, said: &Value, zh: &str, en: &str) {
    let rule = rule(said);
    assert_eq!(rule.check(Currency::Cny), Ok(()), "{name}");
    let again = serde_json::to_value(&rule).unwrap();
    assert_eq!(serde_json::from_value::<RefundRule>(again).unwrap(), rule, "{name}");
    assert_eq!(summary(&rule), Names::new(zh, en), "{name}");
}

/// What is kept until so many hours before the departure, in percent, as the facts have it.
fn kept(windows: &[(u32, u8)]) -> Value {
    let window = |(hours, percent): &(u32, u8)| json!({ "untilMinutesBefore": hours * 60, "percent": 100 - percent });
    windows.iter().map(window).collect()
}

const NO_CHANGES: (&str, &str) = ("不可改签。", "No changes.");

fn refunds(name: &str, said: &Value, zh: &str, en: &str) {
    says(name, said, &format!("{zh}。{}", NO_CHANGES.0), &format!("{en}. {}", NO_CHANGES.1));
}

fn changes(name: &str, change: &Value, zh: &str, en: &str) {
    says(
        name,
        &json!({ "windows": [], "change": change }),
        &format!("不可退票。{zh}。"),
        &format!("No refunds. {en}."),
    );
}

#[test]
fn r_after_05_what_ctg_gives_back_in_hong_kong() {
    let said = json!({ "windows": kept(&[(48, 0), (24, 10), (2, 30)]), "pairsTogether": true, "afterChange": false });
    refunds(
        "ctg-hk",
        &said,
        "发车48小时前全额退款；发车24小时前退90%；发车2小时前退70%；其后不退；来回票须一并退；改签后不退",
        "Full refund until 48 h before departure; 90 % refund until 24 h before departure; 70 % refund until 2 h before \
         departure; then none; a return pair goes back together; none after a change",
    );
    refunds(
        "ctg-cx",
        &json!({ "windows": kept(&[(48, 0), (24, 10), (2, 30)]) }),
        "发车48小时前全额退款；发车24小时前退90%；发车2小时前退70%；其后不退",
        "Full refund until 48 h before departure; 90 % refund until 24 h before departure; 70 % refund until 2 h before \
         departure; then none",
    );
}

#[test]
fn r_after_05_what_ctg_gives_back_in_shenzhen_and_eternal_east_through_cathay() {
    for name in ["ctg-sz", "eeb-cx"] {
        refunds(
            name,
            &json!({ "windows": kept(&[(48, 10), (24, 20), (2, 50)]) }),
            "发车48小时前退90%；发车24小时前退80%；发车2小时前退50%；其后不退",
            "90 % refund until 48 h before departure; 80 % refund until 24 h before departure; 50 % refund until 2 h \
             before departure; then none",
        );
    }
}

#[test]
fn r_after_05_rules_with_one_limit_or_none_at_all() {
    refunds(
        "til-cx",
        &json!({ "windows": kept(&[(2, 0)]) }),
        "发车2小时前全额退款；其后不退",
        "Full refund until 2 h before departure; then none",
    );
    refunds(
        "zsp",
        &json!({ "windows": kept(&[(48, 40)]) }),
        "发车48小时前退60%；其后不退",
        "60 % refund until 48 h before departure; then none",
    );
    refunds("eeb-counter", &json!({ "windows": [] }), "不可退票", "No refunds");
    refunds("kkday-tjt", &json!({ "windows": [], "perOrder": true }), "不可退票", "No refunds");
}

#[test]
fn r_after_05_a_rule_that_counts_from_the_sale_first_and_until_the_departure_then() {
    let said = json!({ "windows": [
        { "untilMinutesAfterSale": 30, "percent": 90 },
        { "untilMinutesBefore": 0, "percent": 50 },
    ] });
    refunds(
        "hzm-2023",
        &said,
        "购票后30分钟内退90%；发车前退50%；其后不退",
        "90 % refund within 30 min of the sale; 50 % refund before departure; then none",
    );
}

#[test]
fn r_after_05_rules_of_packages() {
    refunds(
        "days after the sale",
        &json!({ "daysAfterSale": 7, "anchor": "sale", "afterFirstUse": "by_share", "perOrder": true }),
        "购票后7天内全额退款；全单一并退票；部分使用后按未用份额退",
        "Full refund within 7 days of the sale; all tickets of an order go back together; after a first use by the share \
         that is left",
    );
    let fee = json!({ "amount": 2_000, "currency": "CNY" });
    refunds(
        "days before the visit",
        &json!({ "windows": [{ "untilMinutesBefore": 7_200, "percent": 100, "fee": fee }], "anchor": "visit" }),
        "游览日5天前全额退款，每张扣20.00 CNY；其后不退",
        "Full refund less 20.00 CNY per ticket until 5 days before the day of the visit; then none",
    );
    refunds(
        "after the departure",
        &json!({ "windows": [{ "untilMinutesBefore": 0, "percent": 100 }], "afterDeparture": true }),
        "发车前全额退款；发车后亦同",
        "Full refund before departure; also after departure",
    );
}

#[test]
fn r_after_05_changes_as_carriers_grant_them() {
    changes(
        "ctg",
        &json!({ "allowed": true, "max": 1, "untilMinutesBefore": 120, "refundDifference": false, "scope": "same_route" }),
        "可改签1次，发车2小时前，限同线路，免费，差价少补多不退",
        "One change until 2 h before departure, same route, free of charge, a lower fare is not paid back",
    );
    // HKD 20 at the counter; the fee is kept in the currency of sale.
    changes(
        "eeb",
        &json!({
            "allowed": true, "max": 1, "untilMinutesBefore": 4_320, "fee": { "amount": 1_840, "currency": "CNY" },
            "scope": "same_route",
        }),
        "可改签1次，发车72小时前，限同线路，每次18.40 CNY，差价少补多不退",
        "One change until 72 h before departure, same route, 18.40 CNY each, a lower fare is not paid back",
    );
    changes(
        "til",
        &json!({ "allowed": true, "untilMinutesBefore": -10_080, "refundDifference": true }),
        "可改签，至发车后7天，限同线路，免费，差价多退少补",
        "Changes until 7 days after departure, same route, free of charge, a lower fare is paid back",
    );
    changes(
        "zsp",
        &json!({ "allowed": true, "untilMinutesBefore": 30, "fee": { "amount": 1_000, "currency": "CNY" } }),
        "可改签，发车30分钟前，限同线路，每次10.00 CNY，差价少补多不退",
        "Changes until 30 min before departure, same route, 10.00 CNY each, a lower fare is not paid back",
    );
    changes(
        "cwj, first class",
        &json!({ "allowed": true, "untilMinutesBefore": 0, "sameDay": true }),
        "可改签，发车前，限同线路当天，免费，差价少补多不退",
        "Changes before departure, same route and day, free of charge, a lower fare is not paid back",
    );
    changes(
        "cwj, Cotai class",
        &json!({ "allowed": true, "untilMinutesBefore": -120, "sameDay": true }),
        "可改签，至发车后2小时，限同线路当天，免费，差价少补多不退",
        "Changes until 2 h after departure, same route and day, free of charge, a lower fare is not paid back",
    );
    changes(
        "to other routes",
        &json!({ "allowed": true, "max": 2, "untilMinutesBefore": 60, "scope": ["r1", "r2"] }),
        "可改签2次，发车1小时前，免费，差价少补多不退",
        "Up to 2 changes until 1 h before departure, free of charge, a lower fare is not paid back",
    );
}

#[test]
fn r_admin_05_a_rule_that_makes_no_sense_is_refused_by_name() {
    let window = |until: u32, percent: u8| json!({ "untilMinutesBefore": until, "percent": percent });
    let after = |minutes: u32| json!({ "untilMinutesAfterSale": minutes, "percent": 50 });
    let fee = |amount: i64, currency: &str| json!({ "amount": amount, "currency": currency });
    let charged = |fee: Value| json!([{ "untilMinutesBefore": 60, "percent": 50, "fee": fee }]);
    let many: Vec<Value> = (0..17).rev().map(|minutes| window(minutes, 50)).collect();
    let change = |said: Value| json!({ "windows": [], "change": said });
    for (said, field) in [
        (json!({ "windows": [window(60, 50), window(60, 40)] }), "windows[1].untilMinutesBefore"),
        (json!({ "windows": [window(60, 50), window(120, 40)] }), "windows[1].untilMinutesBefore"),
        (json!({ "windows": [window(2_000_000, 50)] }), "windows[0].untilMinutesBefore"),
        (json!({ "windows": [window(60, 50)], "anchor": "sale" }), "windows[0].untilMinutesBefore"),
        (json!({ "windows": [window(60, 101)] }), "windows[0].percent"),
        (json!({ "windows": [after(0)] }), "windows[0].untilMinutesAfterSale"),
        (json!({ "windows": [after(30), after(30)] }), "windows[1].untilMinutesAfterSale"),
        (json!({ "windows": [window(60, 50), after(30)] }), "windows[1].untilMinutesAfterSale"),
        (json!({ "windows": many }), "windows"),
        (json!({ "windows": charged(fee(100, "HKD")) }), "windows[0].fee"),
        (json!({ "windows": charged(fee(0, "CNY")) }), "windows[0].fee.amount"),
        (json!({ "daysAfterSale": 0, "anchor": "sale" }), "daysAfterSale"),
        (json!({ "daysAfterSale": 7 }), "anchor"),
        (change(json!({ "allowed": true, "untilMinutesBefore": 0, "max": 0 })), "change.max"),
        (change(json!({ "allowed": true, "untilMinutesBefore": -2_000_000 })), "change.untilMinutesBefore"),
        (change(json!({ "allowed": true, "untilMinutesBefore": 0, "fee": fee(1, "MOP") })), "change.fee"),
    ] {
        let refused = rule(&said).check(Currency::Cny).unwrap_err();
        assert!(matches!(&refused, Rejection::Field { field: named, .. } if named == field), "{said}: {refused}");
    }
}

#[test]
fn r_admin_05_a_rule_that_says_two_things_is_not_read() {
    let whole = json!({ "ruleId": "r", "name": { "zh": "規則", "en": "Rule" }, "windows": [] });
    assert!(serde_json::from_value::<RefundRule>(whole.clone()).is_ok());
    for (field, value) in [
        ("daysAfterSale", json!(7)),
        ("windows", Value::Null),
        ("windows", json!([{ "percent": 5 }])),
        ("windows", json!([{ "percent": 5, "untilMinutesBefore": 5, "untilMinutesAfterSale": 5 }])),
        ("anchor", json!("noon")),
        ("afterFirstUse", json!("half")),
        ("penalty", json!(5)),
        ("change", json!({ "allowed": true })),
        ("change", json!({ "allowed": true, "untilMinutesBefore": 0, "scope": "anywhere" })),
        ("change", json!({ "allowed": true, "untilMinutesBefore": 0, "scope": [] })),
    ] {
        let mut spoilt = whole.clone();
        spoilt[field] = value;
        assert!(serde_json::from_value::<RefundRule>(spoilt.clone()).is_err(), "{spoilt}");
    }
    let mut both = whole;
    (both["perTicket"], both["perOrder"]) = (true.into(), true.into());
    assert!(serde_json::from_value::<RefundRule>(both).is_err());
}
