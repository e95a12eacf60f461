//! Rules as people speak of them, in the words of the API.

use serde::{Deserialize, Serialize};

use super::{AfterFirstUse, Anchor, ChangeRule, ChangeScope, RefundRule, RefundWindow, Terms, Until};
use crate::ids::{RouteCode, RuleCode, as_text};
use crate::money::Money;
use crate::names::Names;

/// It says what it is only where that is so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_not(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    #[serde(rename = "ruleId")]
    id: RuleCode,
    #[serde(rename = "name")]
    names: Names,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<Vec<RefundWindow>>,
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
            Terms::Windows(windows) => (Some(windows), None),
            Terms::DaysAfterSale(days) => (None, Some(days)),
        };
        Rule {
            id: rule.id,
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
    type Error = &'static str;

    fn try_from(rule: Rule) -> Result<RefundRule, &'static str> {
        let terms = match (rule.windows, rule.days_after_sale) {
            (Some(windows), None) => Terms::Windows(windows),
            (None, Some(days)) => Terms::DaysAfterSale(days),
            (None, None) | (Some(_), Some(_)) => return Err("it has windows or daysAfterSale"),
        };
        if rule.per_ticket && rule.per_order {
            return Err("it is perTicket or perOrder");
        }
        let change = rule.change.into_rule()?;
        Ok(RefundRule {
            id: rule.id,
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
    fee: Option<Money>,
}

impl From<RefundWindow> for Window {
    fn from(RefundWindow { until, percent, fee }: RefundWindow) -> Window {
        Window { until_minutes_before: until.before(), until_minutes_after_sale: until.after_sale(), percent, fee }
    }
}

impl TryFrom<Window> for RefundWindow {
    type Error = &'static str;

    fn try_from(window: Window) -> Result<RefundWindow, &'static str> {
        let Window { until_minutes_before, until_minutes_after_sale, percent, fee } = window;
        let until = Until::of(until_minutes_before, until_minutes_after_sale);
        let until = until.ok_or("it has untilMinutesBefore or untilMinutesAfterSale")?;
        Ok(RefundWindow { until, percent, fee })
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
    fee: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund_difference: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not")]
    same_day: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Scope {
    Named(Named),
    Routes(Vec<RouteCode>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    SameRoute,
}

impl From<ChangeRule> for Change {
    fn from(change: ChangeRule) -> Change {
        Change {
            allowed: true,
            max: change.max,
            until_minutes_before: Some(change.until_minutes_before),
            fee: change.fee,
            refund_difference: Some(change.refund_difference),
            same_day: change.same_day,
            scope: Some(match change.scope {
                ChangeScope::SameRoute => Scope::Named(Named::SameRoute),
                ChangeScope::Routes(routes) => Scope::Routes(routes),
            }),
        }
    }
}

impl TryFrom<Change> for ChangeRule {
    type Error = &'static str;

    fn try_from(change: Change) -> Result<ChangeRule, &'static str> {
        change.into_rule()?.ok_or("it is not allowed")
    }
}

impl Change {
    /// `None`: tickets are not changed, whatever else it says.
    fn into_rule(self) -> Result<Option<ChangeRule>, &'static str> {
        if !self.allowed {
            return Ok(None);
        }
        let scope = match self.scope {
            None | Some(Scope::Named(Named::SameRoute)) => ChangeScope::SameRoute,
            Some(Scope::Routes(routes)) if routes.is_empty() => return Err("change.scope has no routes"),
            Some(Scope::Routes(routes)) => ChangeScope::Routes(routes),
        };
        Ok(Some(ChangeRule {
            max: self.max,
            until_minutes_before: self.until_minutes_before.ok_or("change.untilMinutesBefore is missing")?,
            fee: self.fee,
            refund_difference: self.refund_difference.unwrap_or(false),
            same_day: self.same_day,
            scope,
        }))
    }
}
