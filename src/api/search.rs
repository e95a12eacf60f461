//! The search (R-SEARCH-01 to R-SEARCH-07): timetable and fares from the catalogue's snapshot, seats left from memory.

use actix_web::{get, web};
use deeptravel_actors::services::Services;
use deeptravel_domain::catalogue::{Catalogue, Mode, Place, Trip, Unsellable};
use deeptravel_domain::party::{PARTY_MAX, Party};
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::departure_view::{self, DepartureView, SeatClassView};
use super::extract::Language;
use super::query::Parameters;
use super::view::parse_date;
use super::{Api, Problem};

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
struct SearchAnswer {
    availability: Availability,
    /// By departure time. Only classes with enough seats and a fare for the party.
    routes: Vec<DepartureView>,
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
async fn search(
    api: Api,
    language: Language,
    Parameters(query): Parameters<SearchQuery>,
) -> Result<web::Json<SearchAnswer>, Problem> {
    let services = api.engine.services();
    let catalogue = services.catalogue.load();
    let now = api.engine.now();
    let wanted = understand(&catalogue, &query)?;
    catalogue.check_travel_date(wanted.origin, wanted.destination, wanted.date, now)?;
    Ok(web::Json(find(services, &catalogue, language, &wanted, now)))
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

fn find(
    services: &Services,
    catalogue: &Catalogue,
    language: Language,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> SearchAnswer {
    let mut availability = Availability::None;
    let mut found: Vec<(Timestamp, DepartureView)> = Vec::new();
    let trips = catalogue.trips(wanted.origin, wanted.destination, wanted.date);
    for trip in trips.filter(|trip| wanted.mode.is_none_or(|mode| trip.route.mode == mode)) {
        let reason = match offer(services, catalogue, &trip, wanted.party, now) {
            Ok(classes) => {
                let view = departure_view::departure(catalogue, language, &trip, classes);
                found.push((trip.departs_at, view));
                Availability::Available
            }
            Err(reason) => reason,
        };
        availability = availability.max(reason);
    }
    found.sort_by(|(a_at, a), (b_at, b)| (a_at, &a.departure_id).cmp(&(b_at, &b.departure_id)));
    SearchAnswer { availability, routes: found.into_iter().map(|(_, view)| view).collect(), packages: [] }
}

/// The classes of a trip that the party can buy; else why there is none.
fn offer(
    services: &Services,
    catalogue: &Catalogue,
    trip: &Trip<'_>,
    party: Party,
    now: Timestamp,
) -> Result<Vec<SeatClassView>, Availability> {
    catalogue.sellable(trip, now).map_err(|unsellable| match unsellable {
        Unsellable::Blackout => Availability::Blackout,
        Unsellable::BeyondSalesWindow { .. } | Unsellable::NotOnSale | Unsellable::BookingClosed => Availability::None,
    })?;
    let seat_map = &departure_view::vehicle(catalogue, trip.route).ok_or(Availability::None)?.seat_map;
    let free = departure_view::availability(services, trip, seat_map);
    let mut reason = Availability::None;
    let mut classes = Vec::with_capacity(seat_map.classes.len());
    for (class, available) in seat_map.classes.iter().zip(free) {
        let Ok(quote) = catalogue.quote(trip, &class.code, party) else { continue };
        if available < party.size() {
            reason = Availability::SoldOut;
            continue;
        }
        let (code, name) = (class.code.to_string(), class.name.clone());
        classes.push(SeatClassView { code, name, available, price: Some(quote.total.into()) });
    }
    if classes.is_empty() { Err(reason) } else { Ok(classes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::parse_query;

    fn parsed(query: &str) -> Result<Party, Problem> {
        parse_query::<SearchQuery>(query).and_then(|query| party(&query))
    }

    #[test]
    fn r_search_05_a_party_has_one_to_ten_people_and_the_field_at_fault_is_named() {
        let base = "origin=a&destination=b&travelDate=2026-12-24";
        assert_eq!(parsed(base), Ok(Party::new(1, 0, 0).unwrap()), "one adult when nothing is said");
        assert_eq!(parsed(&format!("{base}&children=2")), Ok(Party::new(0, 2, 0).unwrap()));
        let field = |query: &str| parsed(&format!("{base}{query}")).unwrap_err().errors()[0].field.to_string();
        assert_eq!(field("&adults=1&children=10"), "children");
        assert_eq!(field("&adults=65535&children=1"), "adults");
        assert_eq!(field("&adults=0"), "adults", "nobody");
        assert_eq!(field("&adults=70000"), "adults");
        assert_eq!(field("&infants=1"), "infants");
    }

    #[test]
    fn one_bookable_departure_outweighs_every_reason_for_an_empty_list() {
        use Availability::{Available, Blackout, None, SoldOut};
        assert!(None < SoldOut && SoldOut < Blackout && Blackout < Available);
        assert_eq!(serde_json::to_value(Blackout).unwrap(), "blackout");
        assert_eq!(serde_json::to_value(SoldOut).unwrap(), "sold_out");
    }
}
