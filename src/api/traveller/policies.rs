//! Under which rules something is sold: in words and in numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpRequest;
use deeptravel_domain::catalogue::{Route, RouteStatus, Template};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::RuleCode;
use deeptravel_domain::refund_rule::summary;
use deeptravel_domain::register::Entry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Api, Language, Problem, Public, Routes, ok, parse_query};
use crate::api::views::policy::{ChangeView, RefundWindowView};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_show_policies, show_policies);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PolicyQuery {
    /// Of this route only.
    route_code: Option<String>,
    /// Of this package only.
    template_id: Option<String>,
}

/// A rule for refunds and changes that is in force. It has `windows` or `daysAfterSale`.
#[derive(ToSchema)]
#[schema(as = CancellationPolicy, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's rule
struct PolicyView {
    rule_id: String,
    version: u32,
    name: String,
    /// In words.
    summary: String,
    /// Routes that are sold under it.
    route_codes: Vec<String>,
    /// Packages that are.
    template_ids: Vec<String>,
    windows: Option<Vec<RefundWindowView>>,
    days_after_sale: Option<u16>,
    #[schema(pattern = "^(departure|visit|sale)$")]
    anchor: String,
    per_ticket: Option<bool>,
    per_order: Option<bool>,
    after_departure: bool,
    #[schema(pattern = "^(none|by_share)$")]
    after_first_use: String,
    after_change: bool,
    pairs_together: bool,
    change: ChangeView,
}

#[derive(Serialize, ToSchema)]
struct Policies {
    /// By id. What has none gives nothing back, and is not changed.
    #[schema(value_type = Vec<PolicyView>)]
    policies: Vec<Map<String, Value>>,
}

/// What is sold under a rule.
#[derive(Default)]
struct SoldUnder<'a> {
    routes: Vec<&'a str>,
    templates: Vec<&'a str>,
}

/// Rules under which we sell, also before anything is bought.
#[utoipa::path(
    get, path = "/cancellation-policies", params(PolicyQuery),
    responses((status = 200, body = Policies), (status = 422, description = "An unknown route or package"))
)]
async fn show_policies(_: Allowed<Public>, api: Api, language: Language, request: HttpRequest) -> Answered {
    let query: PolicyQuery = parse_query(request.query_string())?;
    let catalogue = api.engine.services().catalogue.load();
    let (route, template) = (query.route_code.as_deref(), query.template_id.as_deref());
    let routes: Vec<&Arc<Route>> = match route {
        Some(code) => vec![catalogue.route(code).ok_or_else(|| Problem::field("routeCode", "is not known"))?],
        None if template.is_some() => Vec::new(),
        None => catalogue.routes().filter(|route| route.status == RouteStatus::OnSale).collect(),
    };
    let templates: Vec<&Arc<Entry<Template>>> = match template {
        Some(id) => vec![catalogue.package(id).map_err(|_| Problem::field("templateId", "is no package on sale"))?],
        None if route.is_some() => Vec::new(),
        None => catalogue.packages().collect(),
    };
    let mut by_rule: BTreeMap<&RuleCode, SoldUnder<'_>> = BTreeMap::new();
    for route in routes {
        if let Some(rule) = route.refund_rules.of(&Channel::Direct) {
            by_rule.entry(rule).or_default().routes.push(route.code.as_str());
        }
    }
    for template in templates {
        if let Some(rule) = template.refund_rules.of(&Channel::Direct) {
            by_rule.entry(rule).or_default().templates.push(template.content.id.as_str());
        }
    }
    let policy = |(rule, sold): (&RuleCode, SoldUnder<'_>)| {
        let rule = catalogue.registers().refund_rules.entry(rule).filter(|rule| !rule.withdrawn)?;
        let Ok(Value::Object(mut shown)) = serde_json::to_value(&*rule.content) else {
            unreachable!("a rule is an object of texts and numbers")
        };
        shown.insert("version".to_owned(), rule.revision.into());
        shown.insert("name".to_owned(), language.of(&rule.names).into());
        shown.insert("summary".to_owned(), language.of(&summary(rule)).into());
        shown.insert("routeCodes".to_owned(), json!(sold.routes));
        shown.insert("templateIds".to_owned(), json!(sold.templates));
        Some(shown)
    };
    Ok(ok(&Policies { policies: by_rule.into_iter().filter_map(policy).collect() }))
}
