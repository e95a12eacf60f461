//! Rules as people speak of them, in the words of the API.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AfterFirstUse, Anchor, ChangeRule, ChangeScope, RefundRule, RefundWindow, Terms, Until};
use crate::ids::{RouteCode, RuleCode, as_text};
use crate::money::{Amount, Money};
use crate::names::Names;
use crate::rejection::Rejection;

/// It says what it is only where that is so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_not(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Where it is put, its path says it.
    #[serde(default, rename = "ruleId", skip_serializing_if = "Option::is_none")]
    id: Option<RuleCode>,
    #[serde(rename = "name")]
    names: Names,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<Vec<Window>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days_after_sale: Option<u16>,
    #[serde(default, with = "as_text")]
    anchor: Anchor,
    #[serde(default, skip_serializing_if = "is_not")]
    per_ticket: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    per_order: bool,
    #[serde(default)]
    after_departure: bool,
    #[serde(default, with = "as_text")]
    after_first_use: AfterFirstUse,
    #[serde(default = "yes")]
    after_change: bool,
    #[serde(default)]
    pairs_together: bool,
    #[serde(default)]
    change: Change,
}

fn yes() -> bool {
    true
}

impl From<RefundRule> for Rule {
    fn from(rule: RefundRule) -> Rule {
        let (windows, days_after_sale) = match rule.terms {
            Terms::Windows(windows) => (Some(windows.into_iter().map(Window::from).collect()), None),
            Terms::DaysAfterSale(days) => (None, Some(days)),
        };
        Rule {
            id: Some(rule.id),
            names: rule.names,
            windows,
            days_after_sale,
            anchor: rule.anchor,
            per_ticket: !rule.per_order,
            per_order: rule.per_order,
            after_departure: rule.after_departure,
            after_first_use: rule.after_first_use,
            after_change: rule.after_change,
            pairs_together: rule.pairs_together,
            change: rule.change.map(Change::from).unwrap_or_default(),
        }
    }
}

impl TryFrom<Rule> for RefundRule {
    type Error = Rejection;

    fn try_from(mut rule: Rule) -> Result<RefundRule, Rejection> {
        let id = rule.id.take().ok_or_else(|| Rejection::field("ruleId", "is missing"))?;
        rule.put_as(id)
    }
}

impl Rule {
    /// As which it is said to be put.
    pub fn id(&self) -> Option<&RuleCode> {
        self.id.as_ref()
    }

    pub fn put_as(self, id: RuleCode) -> Result<RefundRule, Rejection> {
        let rule = self;
        let terms = match (rule.windows, rule.days_after_sale) {
            (Some(windows), None) => {
                let windows = windows.into_iter().enumerate().map(|(index, window)| window.into_window(index));
                Terms::Windows(windows.collect::<Result<_, _>>()?)
            }
            (None, Some(days)) => Terms::DaysAfterSale(days),
            (None, None) => return Err(Rejection::field("windows", "are missing, and daysAfterSale too")),
            (Some(_), Some(_)) => return Err(Rejection::field("daysAfterSale", "is instead of windows")),
        };
        if rule.per_ticket && rule.per_order {
            return Err(Rejection::field("perOrder", "is it or perTicket"));
        }
        let change = rule.change.into_rule()?;
        Ok(RefundRule {
            id,
            names: rule.names,
            terms,
            anchor: rule.anchor,
            per_order: rule.per_order,
            after_departure: rule.after_departure,
            after_first_use: rule.after_first_use,
            after_change: rule.after_change,
            pairs_together: rule.pairs_together,
            change,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_minutes_before: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_minutes_after_sale: Option<u32>,
    percent: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee: Option<Amount>,
}

impl From<RefundWindow> for Window {
    fn from(RefundWindow { until, percent, fee }: RefundWindow) -> Window {
        Window {
            until_minutes_before: until.before(),
            until_minutes_after_sale: until.after_sale(),
            percent,
            fee: fee.map(Amount::from),
        }
    }
}

impl Window {
    fn into_window(self, index: usize) -> Result<RefundWindow, Rejection> {
        let Window { until_minutes_before: before, until_minutes_after_sale: after_sale, percent, fee } = self;
        let (wrong, what) = match (before, after_sale) {
            (Some(_), Some(_)) => ("untilMinutesAfterSale", "is instead of untilMinutesBefore"),
            (Some(_) | None, None) | (None, Some(_)) => {
                ("untilMinutesBefore", "is missing, and untilMinutesAfterSale too")
            }
        };
        let until = Until::of(before, after_sale);
        let until = until.ok_or_else(|| Rejection::field(format!("windows[{index}].{wrong}"), what))?;
        Ok(RefundWindow { until, percent, fee: fee.map(Money::from) })
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    allowed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_minutes_before: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund_difference: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not")]
    same_day: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
}

/// `same_route`, or a list of routes.
struct Scope(ChangeScope);

const SAME_ROUTE: &str = "same_route";

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            ChangeScope::SameRoute => serializer.serialize_str(SAME_ROUTE),
            ChangeScope::Routes(routes) => routes.serialize(serializer),
        }
    }
}

/// Whatever is wrong in the list is told with its place, which a reader of either would not do.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Scope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{SAME_ROUTE} or a list of routes")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scope, E> {
                if text == SAME_ROUTE { Ok(Scope(ChangeScope::SameRoute)) } else { Err(E::custom("is not same_route")) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scope, A::Error> {
                let mut routes = Vec::new();
                while let Some(route) = list.next_element::<RouteCode>()? {
                    routes.push(route);
                }
                if routes.is_empty() {
                    Err(A::Error::custom("has no routes"))
                } else {
                    Ok(Scope(ChangeScope::Routes(routes)))
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl From<ChangeRule> for Change {
    fn from(change: ChangeRule) -> Change {
        Change {
            allowed: true,
            max: change.max,
            until_minutes_before: Some(change.until_minutes_before),
            fee: change.fee.map(Amount::from),
            refund_difference: Some(change.refund_difference),
            same_day: change.same_day,
            scope: Some(Scope(change.scope)),
        }
    }
}

impl Change {
    /// `None`: tickets are not changed, whatever else it says.
    fn into_rule(self) -> Result<Option<ChangeRule>, Rejection> {
        if !self.allowed {
            return Ok(None);
        }
        let until_minutes_before = self.until_minutes_before;
        let missing = || Rejection::field("change.untilMinutesBefore", "is missing");
        Ok(Some(ChangeRule {
            max: self.max,
            until_minutes_before: until_minutes_before.ok_or_else(missing)?,
            fee: self.fee.map(Money::from),
            refund_difference: self.refund_difference.unwrap_or(false),
            same_day: self.same_day,
            scope: self.scope.map_or(ChangeScope::SameRoute, |scope| scope.0),
        }))
    }
}
