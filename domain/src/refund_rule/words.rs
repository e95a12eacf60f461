//! A rule in words (R-SEARCH-07): what a traveller reads before he buys.

use super::{AfterFirstUse, Anchor, ChangeRule, RefundRule, RefundWindow, Terms, Until};
use crate::money::Money;
use crate::names::Names;

/// Up to so many hours a limit is spoken of in hours, as the trade does; beyond, in days.
const HOURS_MAX: u32 = 72;

/// What the rule says, in both languages.
pub fn summary(rule: &RefundRule) -> Names {
    let mut zh = refunds_zh(rule);
    let mut en = refunds_en(rule);
    for (holds, words_zh, words_en) in [
        (rule.per_order, "全单一并退票", "all tickets of an order go back together"),
        (rule.pairs_together, "来回票须一并退", "a return pair goes back together"),
        (rule.after_departure, "发车后亦同", "also after departure"),
        (
            rule.after_first_use == AfterFirstUse::ByShare,
            "部分使用后按未用份额退",
            "after a first use by the share that is left",
        ),
        (!rule.after_change, "改签后不退", "none after a change"),
    ] {
        if holds && gives_something(rule) {
            zh = format!("{zh}；{words_zh}");
            en = format!("{en}; {words_en}");
        }
    }
    let (change_zh, change_en) = match &rule.change {
        None => ("不可改签".to_owned(), "No changes".to_owned()),
        Some(change) => (changes_zh(change), changes_en(change)),
    };
    Names::new(format!("{zh}。{change_zh}。"), format!("{en}. {change_en}."))
}

fn gives_something(rule: &RefundRule) -> bool {
    rule.days_after_sale().is_some() || rule.windows().iter().any(|window| window.percent > 0)
}

fn refunds_zh(rule: &RefundRule) -> String {
    let amount = |window: &RefundWindow| {
        let amount = match window.percent {
            0 => return "不退".to_owned(),
            100 => "全额退款".to_owned(),
            percent => format!("退{percent}%"),
        };
        let per = if rule.per_order { "单" } else { "张" };
        window.fee.map_or(amount.clone(), |fee| format!("{amount}，每{per}扣{}", price(fee)))
    };
    match &rule.terms {
        Terms::DaysAfterSale(days) => format!("购票后{days}天内全额退款"),
        Terms::Windows(_) if !gives_something(rule) => "不可退票".to_owned(),
        Terms::Windows(windows) => {
            let anchor = if rule.anchor == Anchor::Visit { "游览日" } else { "发车" };
            let until = |until| match until {
                Until::Before(0) => format!("{anchor}前"),
                Until::Before(minutes) => format!("{anchor}{}前", span_zh(minutes)),
                Until::AfterSale(minutes) => format!("购票后{}内", span_zh(minutes)),
            };
            let parts = windows.iter().map(|window| format!("{}{}", until(window.until), amount(window)));
            let rest = ends_with_nothing(rule).then(|| "其后不退".to_owned());
            parts.chain(rest).collect::<Vec<_>>().join("；")
        }
    }
}

fn refunds_en(rule: &RefundRule) -> String {
    let amount = |window: &RefundWindow| {
        let amount = match window.percent {
            0 => return "no refund".to_owned(),
            100 => "full refund".to_owned(),
            percent => format!("{percent} % refund"),
        };
        let per = if rule.per_order { "order" } else { "ticket" };
        window.fee.map_or(amount.clone(), |fee| format!("{amount} less {} per {per}", price(fee)))
    };
    match &rule.terms {
        Terms::DaysAfterSale(1) => "Full refund within a day of the sale".to_owned(),
        Terms::DaysAfterSale(days) => format!("Full refund within {days} days of the sale"),
        Terms::Windows(_) if !gives_something(rule) => "No refunds".to_owned(),
        Terms::Windows(windows) => {
            let anchor = if rule.anchor == Anchor::Visit { "the day of the visit" } else { "departure" };
            let until = |until| match until {
                Until::Before(0) => format!("before {anchor}"),
                Until::Before(minutes) => format!("until {} before {anchor}", span_en(minutes)),
                Until::AfterSale(minutes) => format!("within {} of the sale", span_en(minutes)),
            };
            let parts = windows.iter().map(|window| format!("{} {}", amount(window), until(window.until)));
            let rest = ends_with_nothing(rule).then(|| "then none".to_owned());
            capital(&parts.chain(rest).collect::<Vec<_>>().join("; "))
        }
    }
}

/// It has to be said: the last window does not say it, and does not go on.
fn ends_with_nothing(rule: &RefundRule) -> bool {
    !rule.after_departure && rule.windows().last().is_some_and(|window| window.percent > 0)
}

fn changes_zh(change: &ChangeRule) -> String {
    let ChangeRule { max, until_minutes_before, fee, refund_difference, same_day, scope } = change;
    let times = max.map_or("可改签".to_owned(), |max| format!("可改签{max}次"));
    let until = match until_minutes_before {
        0 => "发车前".to_owned(),
        minutes if *minutes > 0 => format!("发车{}前", span_zh(minutes.unsigned_abs())),
        minutes => format!("至发车后{}", span_zh(minutes.unsigned_abs())),
    };
    let to = match (same_day, scope.routes().is_empty()) {
        (true, true) => "，限同线路当天",
        (false, true) => "，限同线路",
        (true, false) => "，限当天",
        (false, false) => "",
    };
    let fee = fee.map_or("免费".to_owned(), |fee| format!("每次{}", price(fee)));
    let difference = if *refund_difference { "差价多退少补" } else { "差价少补多不退" };
    format!("{times}，{until}{to}，{fee}，{difference}")
}

fn changes_en(change: &ChangeRule) -> String {
    let ChangeRule { max, until_minutes_before, fee, refund_difference, same_day, scope } = change;
    let times = match max {
        None => "Changes".to_owned(),
        Some(1) => "One change".to_owned(),
        Some(max) => format!("Up to {max} changes"),
    };
    let until = match until_minutes_before {
        0 => "before departure".to_owned(),
        minutes if *minutes > 0 => format!("until {} before departure", span_en(minutes.unsigned_abs())),
        minutes => format!("until {} after departure", span_en(minutes.unsigned_abs())),
    };
    let to = match (same_day, scope.routes().is_empty()) {
        (true, true) => ", same route and day",
        (false, true) => ", same route",
        (true, false) => ", same day",
        (false, false) => "",
    };
    let fee = fee.map_or("free of charge".to_owned(), |fee| format!("{} each", price(fee)));
    let difference = if *refund_difference { "a lower fare is paid back" } else { "a lower fare is not paid back" };
    format!("{times} {until}{to}, {fee}, {difference}")
}

fn price(fee: Money) -> String {
    fee.to_string()
}

/// As a number of minutes, hours or days, whatever says it exactly.
enum Span {
    Minutes(u32),
    Hours(u32),
    Days(u32),
}

impl Span {
    fn of(minutes: u32) -> Span {
        match minutes {
            minutes if minutes > HOURS_MAX * 60 && minutes.is_multiple_of(24 * 60) => Span::Days(minutes / (24 * 60)),
            minutes if minutes.is_multiple_of(60) => Span::Hours(minutes / 60),
            minutes => Span::Minutes(minutes),
        }
    }
}

fn span_zh(minutes: u32) -> String {
    match Span::of(minutes) {
        Span::Minutes(minutes) => format!("{minutes}分钟"),
        Span::Hours(hours) => format!("{hours}小时"),
        Span::Days(days) => format!("{days}天"),
    }
}

fn span_en(minutes: u32) -> String {
    match Span::of(minutes) {
        Span::Minutes(minutes) => format!("{minutes} min"),
        Span::Hours(hours) => format!("{hours} h"),
        Span::Days(days) => format!("{days} days"),
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| first.to_uppercase().chain(rest).collect())
}
