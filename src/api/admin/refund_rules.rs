//! Rules for refunds and changes (R-ADMIN-05, R-AFTER-05). Routes say which one they are sold under.

use std::borrow::Cow;

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::ids::RuleCode;
use deeptravel_domain::refund_rule::{RefundRule, SpokenRule, summary};
use deeptravel_domain::register::Change;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;
use crate::api::views::policy::{ChangeView, RefundWindowView};

/// A rule as it is put.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct RuleBody(SpokenRule);

/// A rule for refunds and changes. It has `windows` or `daysAfterSale`.
#[derive(ToSchema)]
#[schema(as = RefundRule, rename_all = "camelCase")]
#[allow(dead_code, clippy::struct_excessive_bools)] // the document alone reads it: on the wire it is the domain's
pub struct RuleView {
    /// As in the path.
    rule_id: Option<String>,
    name: NamesView,
    /// What comes back: the first that holds. None holds: nothing.
    #[schema(max_items = 16)]
    windows: Option<Vec<RefundWindowView>>,
    /// All comes back for so many days.
    #[schema(minimum = 1, maximum = 731)]
    days_after_sale: Option<u16>,
    /// What windows end before.
    #[schema(pattern = "^(departure|visit|sale)$", default = "departure")]
    anchor: String,
    /// Tickets go back one by one, and a fee is kept of each; so it is without a word.
    per_ticket: bool,
    /// All tickets of an order go back together, and a fee is kept once.
    per_order: bool,
    /// The last window holds after the departure, too.
    after_departure: bool,
    #[schema(pattern = "^(none|by_share)$", default = "none")]
    after_first_use: String,
    /// Also of tickets that were changed.
    #[schema(default = true)]
    after_change: bool,
    /// There and back go back together.
    pairs_together: bool,
    change: ChangeView,
    /// In words, as travellers read it.
    summary: NamesView,
}

impl PartialSchema for RuleBody {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(mut rule)) = RuleView::schema() else { return RuleView::schema() };
        // All else has a default, and nobody says the words.
        rule.required.retain(|name| name == "name");
        rule.properties.remove("summary");
        rule.into()
    }
}

impl ToSchema for RuleBody {
    fn name() -> Cow<'static, str> {
        "NewRefundRule".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RuleView::schemas(schemas);
    }
}

impl Kind for RefundRule {
    type Body = RuleBody;
    type Shown = RuleView;
    type Listed = RuleView;

    const ITEM: &'static str = "/admin/refund-rules/{ruleId}";
    const LIST: Option<&'static str> = Some("refundRules");
    const ONE: &'static str = "a refund rule";
    const PUT: &'static str = "What was sold keeps the version that it was sold under.";

    fn change(id: RuleCode, RuleBody(rule): RuleBody) -> Result<Change<RefundRule>, Problem> {
        same_id("ruleId", &id, rule.id())?;
        Ok(rule.put_as(id)?.into())
    }

    fn complete(&self, _: &Catalogue, shown: &mut Map<String, Value>) {
        shown.insert("summary".to_owned(), json!(summary(self)));
    }
}
