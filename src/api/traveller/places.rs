//! Where to go and when not: hot cities and blackout dates. Both are computed from the catalogue in memory at every
//! request, which costs microseconds, so a change is visible to the very next one and there is no cache to count
//! (R-SEARCH-03).

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Api, Language, Problem, Public, Routes, ok, parse_query};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_hot_cities, hot_cities).mount(__path_blackout_dates, blackout_dates);
}

#[derive(Debug, Serialize, ToSchema)]
struct HotCities {
    /// The heaviest first.
    cities: Vec<City>,
}

#[derive(Debug, Serialize, ToSchema)]
struct City {
    #[schema(example = "guangzhou")]
    code: String,
    name: String,
    weight: u32,
}

/// The places to suggest.
#[utoipa::path(get, path = "/travel/hot-cities", responses((status = 200, body = HotCities)))]
async fn hot_cities(_: Allowed<Public>, api: Api, language: Language) -> HttpResponse {
    let catalogue = api.engine.services().catalogue.load();
    let cities = catalogue.hot_cities().into_iter().map(|place| City {
        code: place.code.to_string(),
        name: language.of(&place.names).to_owned(),
        weight: place.hot_weight,
    });
    ok(&HotCities { cities: cities.collect() })
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BlackoutQuery {
    #[param(example = 2026, minimum = 2000, maximum = 2999)]
    year: i16,
    /// Only this route's dates; without it the dates of every route on sale.
    route_code: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BlackoutDates {
    #[schema(example = 2026)]
    year: i16,
    /// Rising.
    #[schema(value_type = Vec<String>, example = json!(["2026-12-25"]))]
    blackout_dates: Vec<jiff::civil::Date>,
}

/// The travel dates of a year that are not sold.
#[utoipa::path(
    get, path = "/travel/blackout-dates", params(BlackoutQuery),
    responses((status = 200, body = BlackoutDates))
)]
async fn blackout_dates(_: Allowed<Public>, api: Api, request: HttpRequest) -> Answered {
    let query: BlackoutQuery = parse_query(request.query_string())?;
    Problem::unless((2000..=2999).contains(&query.year), "year", "is not between 2000 and 2999")?;
    let catalogue = api.engine.services().catalogue.load();
    let blackout_dates = catalogue.blackout_dates(query.year, query.route_code.as_deref())?;
    Ok(ok(&BlackoutDates { year: query.year, blackout_dates }))
}
