//! Rules for refunds and changes, and which of them a route is sold under (R-AFTER-05). Every revision has a row of its own,
//! for ever: orders name the one that they were sold under.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checks::known;
use super::{Catalogue, Names, checks};
use crate::departure::Channel;
use crate::ids::{RouteCode, RuleCode};
use crate::refund_rule::{AfterFirstUse, Anchor, ChangeRule, RefundRule, RefundWindow, RuleRevision, Terms};
use crate::register::{Entity, Entry, Written};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};
use crate::time::Timestamp;

/// Which rule something is sold under, by sales channel. Without one nothing comes back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesByChannel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<RuleCode>,
    /// Of every partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ota: Option<RuleCode>,
}

impl RulesByChannel {
    pub fn is_empty(&self) -> bool {
        self.direct.is_none() && self.ota.is_none()
    }

    pub fn of(&self, channel: &Channel) -> Option<&RuleCode> {
        match channel {
            Channel::Direct => self.direct.as_ref(),
            Channel::Ota(_) => self.ota.as_ref(),
        }
    }

    pub fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        for (field, rule) in [("refundRules.direct", &self.direct), ("refundRules.ota", &self.ota)] {
            if let Some(rule) = rule {
                known(catalogue.registers().refund_rules.get(rule), field, rule)?;
            }
        }
        Ok(())
    }

    fn names(&self, rule: &RuleCode) -> bool {
        [&self.direct, &self.ota].into_iter().flatten().any(|named| named == rule)
    }
}

row! {
    pub struct RefundRuleRow<'a>: 41 "refund_rules", First::Unknown;
    1 rule_id [Key]: RuleCode,
    2 revision [Key]: u32,
    3 version: u64,
    4 effective_from: Timestamp,
    5 name_zh: &'a str,
    6 name_en: &'a str,
    7 windows: List<'a, RefundWindow>,
    /// Instead of windows.
    8 days_after_sale: Option<u16>,
    9 anchor: Anchor,
    10 per_order: bool,
    11 after_departure: bool,
    12 after_first_use: AfterFirstUse,
    13 after_change: bool,
    14 pairs_together: bool,
    /// Absent: tickets are not changed.
    15 change: Option<ChangeRule>,
}

impl Entity for RefundRule {
    type Id = RuleCode;
    type World = Catalogue;

    const NAME: &'static str = "refund rule";
    const TABLE: &'static Table = RefundRuleRow::TABLE;

    fn id(&self) -> &RuleCode {
        &self.id
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        RefundRule::check(self, catalogue.sale_currency())?;
        for route in self.change.iter().flat_map(|change| change.scope.routes()) {
            known(catalogue.route(route.as_str()), "change.scope", route)?;
        }
        Ok(())
    }

    /// Orders name a revision, and revisions stay.
    fn used_by(id: &RuleCode, catalogue: &Catalogue) -> Option<String> {
        let route = catalogue.routes().find(|route| route.refund_rules.names(id));
        let route = route.map(|route| format!("route {}", route.code));
        route.or_else(|| catalogue.template_that(|template| template.refund_rules.names(id)))
    }

    fn put_rows(written: &Written<RefundRule>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Entry { content: rule, revision, since, .. } = &*written.after;
        rows.put(&RefundRuleRow {
            rule_id: rule.id.clone(),
            revision: *revision,
            version,
            effective_from: *since,
            name_zh: &rule.names.zh,
            name_en: &rule.names.en,
            windows: List::Of(rule.windows()),
            days_after_sale: rule.days_after_sale(),
            anchor: rule.anchor,
            per_order: rule.per_order,
            after_departure: rule.after_departure,
            after_first_use: rule.after_first_use,
            after_change: rule.after_change,
            pairs_together: rule.pairs_together,
            change: rule.change.clone(),
        });
    }

    fn read_rows(rows: &Rows, _: &[RuleCode]) -> Result<Vec<Entry<RefundRule>>, Damage> {
        let mut newest: BTreeMap<RuleCode, RefundRuleRow<'_>> = BTreeMap::new();
        for row in rows.of() {
            let row: RefundRuleRow<'_> = row?;
            if newest.get(&row.rule_id).is_none_or(|newer| newer.revision < row.revision) {
                newest.insert(row.rule_id.clone(), row);
            }
        }
        Ok(newest.into_values().map(entry).collect())
    }
}

fn entry(row: RefundRuleRow<'_>) -> Entry<RefundRule> {
    let windows = row.windows.to_vec();
    let rule = RefundRule {
        id: row.rule_id,
        names: Names::new(row.name_zh, row.name_en),
        terms: row.days_after_sale.map_or(Terms::Windows(windows), Terms::DaysAfterSale),
        anchor: row.anchor,
        per_order: row.per_order,
        after_departure: row.after_departure,
        after_first_use: row.after_first_use,
        after_change: row.after_change,
        pairs_together: row.pairs_together,
        change: row.change,
    };
    Entry { revision: row.revision, since: row.effective_from, ..Entry::uncounted(rule) }
}

/// Which rule names the route as one to which tickets are changed.
pub fn that_leads_to(route: &RouteCode, catalogue: &Catalogue) -> Option<String> {
    let leads =
        |rule: &&Arc<RefundRule>| rule.change.as_ref().is_some_and(|change| change.scope.routes().contains(route));
    catalogue.registers().refund_rules.iter().find(leads).map(|rule| format!("refund rule {}", rule.id))
}

impl Catalogue {
    /// The rule in force for a channel.
    pub fn refund_rule(&self, rules: &RulesByChannel, channel: &Channel) -> Option<&Entry<RefundRule>> {
        let rule = rules.of(channel)?;
        self.registers.refund_rules.entry(rule).filter(|entry| !entry.withdrawn).map(|entry| &**entry)
    }
}

impl Entry<RefundRule> {
    /// As an order remembers it.
    pub fn named(&self) -> RuleRevision {
        RuleRevision { rule: self.content.id.clone(), revision: self.revision }
    }
}
