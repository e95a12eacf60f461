//! Promotions (R-ADMIN-05), with how often they are used now.

use std::fmt::Display;
use std::str::FromStr;

use deeptravel_actors::engine::Owners;
use deeptravel_domain::catalogue::Names;
use deeptravel_domain::ids::{PromotionCode, RouteCode, TemplateId};
use deeptravel_domain::package::Bound;
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::promotion::{DiscountKind, Promotion, SalesChannel};
use deeptravel_domain::register::Change;
use deeptravel_domain::stock::StockId;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A promotion as a whole. It takes off journeys on the routes and packages that it names; if it names none, off everything.
#[derive(Deserialize, ToSchema)]
#[schema(as = Promotion, rename_all = "camelCase")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromotionBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "SPRING")]
    code: Option<PromotionCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    /// It applies by itself: of several the best. Others apply when their code is given, to what is left then.
    automatic: bool,
    #[schema(value_type = String, pattern = "^(percent|amount)$")]
    kind: ByText<DiscountKind>,
    /// 1 to 100 percent; or an amount in minor units of the currency of sale.
    #[schema(minimum = 1, maximum = 100_000_000)]
    value: u32,
    #[schema(minimum = 1, maximum = 10)]
    min_party: Option<u16>,
    /// None: all.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 3, required = false)]
    passenger_types: Vec<ByText<PassengerType>>,
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100, required = false)]
    route_codes: Vec<RouteCode>,
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100, required = false)]
    template_ids: Vec<TemplateId>,
    /// `direct`, `ota`. None: all.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 2, required = false)]
    channels: Vec<ByText<SalesChannel>>,
    /// A day in the zone where we sell, or an instant.
    #[schema(value_type = String, example = "2026-12-01")]
    valid_from: ByText<Bound>,
    /// A day, which is part of it, or an instant.
    #[schema(value_type = String, example = "2026-12-31")]
    valid_until: ByText<Bound>,
    /// The first day of travel or visit.
    #[schema(value_type = Option<String>, example = "2026-12-24")]
    travel_from: Option<Date>,
    /// The last one.
    #[schema(value_type = Option<String>, example = "2026-12-26")]
    travel_until: Option<Date>,
    /// Orders that can be made with it.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    limit_total: Option<u32>,
    /// Orders that each traveller can make with it.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    limit_per_traveller: Option<u32>,
}

/// A promotion, and its use.
#[derive(ToSchema)]
#[schema(as = PromotionInUse, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it
pub struct PromotionInUse {
    #[serde(flatten)]
    promotion: PromotionBody,
    /// Orders that hold or have a use of it. Counted while it has a limit.
    uses: u64,
}

/// A value that is read from its text. A derived reader calls a number in its place no JSON.
struct ByText<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for ByText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByText<T>, D::Error> {
        String::deserialize(deserializer)?.parse().map(ByText).map_err(D::Error::custom)
    }
}

fn values<T>(list: Vec<ByText<T>>) -> Vec<T> {
    list.into_iter().map(|ByText(value)| value).collect()
}

impl Kind for Promotion {
    type Body = PromotionBody;
    type Shown = PromotionInUse;
    type Listed = PromotionInUse;

    const ITEM: &'static str = "/admin/promotions/{code}";
    const LIST: Option<&'static str> = Some("promotions");
    const ONE: &'static str = "a promotion";
    const PUT: &'static str = "Limits cannot fall below what is used: 409 `BELOW_USE`.";

    fn change(code: PromotionCode, body: PromotionBody) -> Result<Change<Promotion>, Problem> {
        same_id("code", &code, body.code.as_ref())?;
        let promotion = Promotion {
            code,
            names: body.name,
            automatic: body.automatic,
            kind: body.kind.0,
            value: body.value,
            min_party: body.min_party,
            passenger_types: values(body.passenger_types),
            route_codes: body.route_codes,
            template_ids: body.template_ids,
            channels: values(body.channels),
            valid_from: body.valid_from.0,
            valid_until: body.valid_until.0,
            travel_from: body.travel_from,
            travel_until: body.travel_until,
            limit_total: body.limit_total,
            limit_per_traveller: body.limit_per_traveller,
        };
        Ok(promotion.into())
    }

    fn live(&self, owners: &Owners, shown: &mut Map<String, Value>) {
        let stock = owners.stock_board.get(&StockId::Promotion(self.code.clone()));
        shown.insert("uses".to_owned(), stock.map_or(0, |stock| stock.in_use()).into());
    }
}
