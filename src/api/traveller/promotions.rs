//! What a promotion gives (R-PRICE-03): for the page that shows it.

use actix_web::web::Path;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{RouteCode, TemplateId};
use deeptravel_domain::money::Money;
use deeptravel_domain::promotion::{DiscountKind, Promotion};
use deeptravel_domain::stock::StockId;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Api, Language, Problem, Public, Routes, ok};
use crate::api::views::{self, MoneyView, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_show_promotion, show_promotion);
}

/// A promotion: either `percent` or `amount` is there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromotionDetail)]
struct PromotionView<'a> {
    #[schema(example = "SPRING")]
    code: &'a str,
    name: &'a str,
    /// It applies by itself; others when an order gives their code.
    automatic: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 10)]
    percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<MoneyView>,
    /// For parties of this size and above.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_party: Option<u16>,
    /// Whose price it is taken off. Empty: everybody's.
    passenger_types: Vec<&'static str>,
    /// Of journeys on these routes and of these packages. Both empty: of everything.
    #[schema(value_type = Vec<String>)]
    route_codes: Vec<&'a str>,
    #[schema(value_type = Vec<String>)]
    template_ids: Vec<&'a str>,
    valid_from: Zoned,
    /// Exclusive.
    valid_until: Zoned,
    /// The first and last day of travel or visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    travel_from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    travel_until: Option<Date>,
    /// Orders of a traveller that can have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_traveller: Option<u32>,
    /// No use of it is left now.
    exhausted: bool,
}

/// What a promotion gives, where, and until when.
#[utoipa::path(
    get, path = "/promotions/{code}", params(("code" = String, Path)),
    responses((status = 200, body = PromotionView), (status = 404, description = "`PROMOTION_NOT_FOUND`"))
)]
async fn show_promotion(_: Allowed<Public>, api: Api, language: Language, path: Path<String>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let entry =
        catalogue.promotion(&path).map_err(|unknown| Problem::from(unknown).naming("code", "is no promotion"))?;
    let stock = StockId::Promotion(entry.code.clone());
    let left = api.engine.services().stock_board.left(&stock, None, &Channel::Direct);
    let promotion: &Promotion = &entry.content;
    let (valid_from, valid_until) = promotion.validity();
    let (percent, amount) = match promotion.kind {
        DiscountKind::Percent => (Some(promotion.value), None),
        DiscountKind::Amount => (None, Some(Money::new(promotion.value.into(), catalogue.sale_currency()).into())),
    };
    Ok(ok(&PromotionView {
        code: promotion.code.as_str(),
        name: language.of(&promotion.names),
        automatic: promotion.automatic,
        percent,
        amount,
        min_party: promotion.min_party,
        passenger_types: promotion.passenger_types.iter().map(|kind| kind.code()).collect(),
        route_codes: promotion.route_codes.iter().map(RouteCode::as_str).collect(),
        template_ids: promotion.template_ids.iter().map(TemplateId::as_str).collect(),
        valid_from: views::time(valid_from),
        valid_until: views::time(valid_until),
        travel_from: promotion.travel_from,
        travel_until: promotion.travel_until,
        limit_per_traveller: promotion.limit_per_traveller,
        exhausted: left == Some(0),
    }))
}
