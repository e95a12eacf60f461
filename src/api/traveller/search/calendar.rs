//! A month of a search (R-SEARCH-01): on which days there are seats for the party, and from what price.

use deeptravel_domain::catalogue::{Catalogue, Place, Trip};
use deeptravel_domain::money::Money;
use deeptravel_domain::party::Party;
use deeptravel_domain::promotion::InForce;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Live;
use super::wanted::{Availability, party, places};
use crate::api::frame::{Problem, parse_date};
use crate::api::views::MoneyView;
use crate::api::views::departure;

/// Without any of `adults`, `children` and `seniors` the party is one adult.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarQuery {
    /// Code or name of a place.
    #[param(example = "GZ")]
    origin: String,
    /// Code or name of a place.
    #[param(example = "HK")]
    destination: String,
    /// Local dates of boarding.
    #[param(example = "2026-12", pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    #[param(maximum = 10)]
    adults: Option<u16>,
    #[param(maximum = 10)]
    children: Option<u16>,
    #[param(maximum = 10)]
    seniors: Option<u16>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Month {
    #[schema(example = "2026-12")]
    month: String,
    /// Every day of the month.
    days: Vec<Day>,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CalendarDay)]
pub struct Day {
    #[schema(value_type = Date)]
    pub date: Date,
    pub availability: Availability,
    /// The lowest price for the whole party; absent where nothing is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_price: Option<MoneyView>,
}

/// Errors name the parameter.
pub fn month(catalogue: &Catalogue, live: Live<'_>, now: Timestamp, query: CalendarQuery) -> Result<Month, Problem> {
    let (origin, destination) = places(catalogue, &query.origin, &query.destination)?;
    let first = parse_date("month", &format!("{}-01", query.month))
        .map_err(|_| Problem::field("month", "is not a month like 2026-12"))?;
    let party = party(query.adults, query.children, query.seniors)?;
    catalogue.check_travel_dates(origin, destination, ("month", first, first.last_of_month()), now)?;
    let dates = first.series(jiff::Span::new().days(1)).take_while(|date| date.month() == first.month());
    let sold = Sold { catalogue, live, in_force: &live.in_force(catalogue, now), party, now };
    let days = dates.map(|date| sold.day((origin, destination), date));
    Ok(Month { month: query.month, days: days.collect() })
}

/// What a day is asked about.
#[derive(Clone, Copy)]
struct Sold<'a> {
    catalogue: &'a Catalogue,
    live: Live<'a>,
    in_force: &'a InForce,
    party: Party,
    now: Timestamp,
}

impl Sold<'_> {
    fn day(self, (origin, destination): (&Place, &Place), date: Date) -> Day {
        let (mut availability, mut from_price) = (Availability::None, None::<Money>);
        for trip in self.catalogue.trips(origin, destination, date) {
            match self.lowest(&trip) {
                Ok(price) => {
                    availability = Availability::Available;
                    from_price = from_price.into_iter().chain([price]).min_by_key(|price| price.minor);
                }
                Err(reason) => availability = availability.max(reason),
            }
        }
        Day { date, availability, from_price: from_price.map(MoneyView::from) }
    }

    /// The price of the cheapest class with enough seats; else why there is none.
    fn lowest(self, trip: &Trip<'_>) -> Result<Money, Availability> {
        let Sold { catalogue, live, in_force, party, now } = self;
        catalogue.sellable(trip, now).map_err(Availability::from)?;
        let seat_map = catalogue.seat_map(trip).ok_or(Availability::None)?;
        let free = departure::availability(live.seats.get(&trip.departure_id()).as_deref(), trip, seat_map);
        let priced = seat_map.classes.iter().zip(free).filter_map(|(class, free)| {
            let total = catalogue.quote_with(in_force, trip, &class.code, party).ok()?.total;
            Some((free >= party.size(), total))
        });
        let (with_seats, without): (Vec<_>, Vec<_>) = priced.partition(|(has_seats, _)| *has_seats);
        let cheapest = with_seats.into_iter().map(|(_, total)| total).min_by_key(|total| total.minor);
        cheapest.ok_or(if without.is_empty() { Availability::None } else { Availability::SoldOut })
    }
}
