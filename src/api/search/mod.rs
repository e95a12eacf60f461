//! The search (R-SEARCH-01 to R-SEARCH-07): timetable and fares from the catalogue's snapshot, seats left from memory.
//!
//! [`offers`] finds what there is and writes the answer, [`answers`] keeps it for the next who asks the same.

mod answers;
mod offers;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod tests;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get};
use deeptravel_domain::catalogue::{Catalogue, Mode, Place};
use deeptravel_domain::party::{PARTY_MAX, Party};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Problem;
use super::departure_view::DepartureView;
use super::extract::{self, Language};
use super::view::parse_date;

pub use answers::Answers;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(search);
}

/// Without any of `adults`, `children` and `seniors` the party is one adult.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// Code or name of a place.
    #[param(example = "GZ")]
    origin: String,
    /// Code or name of a place.
    #[param(example = "HK")]
    destination: String,
    /// Local date of boarding.
    #[param(example = "2026-12-24", format = Date, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    travel_date: String,
    #[param(maximum = 10)]
    adults: Option<u16>,
    #[param(maximum = 10)]
    children: Option<u16>,
    #[param(maximum = 10)]
    seniors: Option<u16>,
    /// `coach` or `ferry`; both without it.
    #[param(pattern = "^(coach|ferry)$")]
    mode: Option<String>,
}

/// Why the list is as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Availability {
    /// Nothing goes there that day, or booking has closed.
    None,
    /// Everything that goes there that day has too few seats for the party.
    SoldOut,
    /// The date is not sold.
    Blackout,
    Available,
}

#[derive(Debug, Serialize, ToSchema)]
struct SearchAnswer<'a> {
    availability: Availability,
    /// By departure time. Only classes with enough seats and a fare for the party.
    routes: Vec<DepartureView<'a>>,
    /// Nothing yet.
    #[schema(value_type = Vec<Object>)]
    packages: [(); 0],
}

/// A search, its parameters understood.
struct Wanted<'a> {
    origin: &'a Place,
    destination: &'a Place,
    date: Date,
    party: Party,
    mode: Option<Mode>,
}

/// Departures between two places on a day that the party can buy now.
#[utoipa::path(
    tag = "travellers",
    params(SearchQuery),
    responses((status = 200, body = SearchAnswer))
)]
#[get("/travel/search")]
async fn search(request: HttpRequest, language: Language) -> Result<HttpResponse, Problem> {
    let api = extract::of_request(&request)?;
    let services = api.engine.services();
    let (catalogue, now) = (services.catalogue.load(), api.engine.now());
    // Parsed only where these words are new.
    let answer = api.answers().search(&catalogue, &services.board, now, language, request.query_string())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(answer))
}

fn understand<'a>(catalogue: &'a Catalogue, query: &SearchQuery) -> Result<Wanted<'a>, Problem> {
    let place = |field: &'static str, name: &str| {
        catalogue.place(name).ok_or_else(|| Problem::field(field, "is no place that we know"))
    };
    let origin = place("origin", &query.origin)?;
    let destination = place("destination", &query.destination)?;
    if origin.code == destination.code {
        return Err(Problem::field("destination", "is the origin"));
    }
    let date = parse_date("travelDate", &query.travel_date)?;
    let mode = query.mode.as_deref().map(str::parse).transpose();
    let mode = mode.map_err(|_| Problem::field("mode", "is neither coach nor ferry"))?;
    Ok(Wanted { origin, destination, date, party: party(query)?, mode })
}

fn party(query: &SearchQuery) -> Result<Party, Problem> {
    let nobody = [query.adults, query.children, query.seniors].iter().all(Option::is_none);
    let adults = if nobody { 1 } else { query.adults.unwrap_or(0) };
    let (children, seniors) = (query.children.unwrap_or(0), query.seniors.unwrap_or(0));
    Party::new(adults, children, seniors).ok_or_else(|| {
        // The biggest; of equals the last here.
        let counts = [("seniors", seniors), ("children", children), ("adults", adults)];
        let (field, _) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or(("adults", 0));
        Problem::field(field, format!("a party has 1 to {PARTY_MAX} passengers"))
    })
}
