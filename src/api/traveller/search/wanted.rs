//! What a search asks for and what it shows.

use deeptravel_domain::catalogue::{Catalogue, Mode, Place, Unsellable};
use deeptravel_domain::party::{PARTY_MAX, Party};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Problem, parse_date, parse_word};
use crate::api::views::departure::DepartureView;
use crate::api::views::package::PackageView;

/// Without any of `adults`, `children` and `seniors` the party is one adult.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Code or name of a place.
    #[param(example = "GZ")]
    pub origin: String,
    /// Code or name of a place.
    #[param(example = "HK")]
    pub destination: String,
    /// Local date of boarding.
    #[param(example = "2026-12-24", format = Date, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    pub travel_date: String,
    #[param(maximum = 10)]
    pub adults: Option<u16>,
    #[param(maximum = 10)]
    pub children: Option<u16>,
    #[param(maximum = 10)]
    pub seniors: Option<u16>,
    /// `coach` or `ferry`; both without it.
    #[param(pattern = "^(coach|ferry)$")]
    pub mode: Option<String>,
}

/// Why the list is as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Nothing goes there that day, or booking has closed.
    None,
    /// Everything that goes there that day has too few seats for the party.
    SoldOut,
    /// The date is not sold.
    Blackout,
    Available,
}

impl From<Unsellable> for Availability {
    fn from(unsellable: Unsellable) -> Availability {
        match unsellable {
            Unsellable::Blackout => Availability::Blackout,
            Unsellable::BeyondSalesWindow { .. }
            | Unsellable::NotOnSale
            | Unsellable::Cancelled
            | Unsellable::BookingClosed => Availability::None,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer<'a> {
    pub availability: Availability,
    /// By departure time. Only classes with enough seats and a fare for the party.
    pub routes: Vec<DepartureView<'a>>,
    /// Sold for that day where one of their places lies at origin or destination, by id; whatever goes there.
    pub packages: Vec<PackageView<'a>>,
}

/// A search, its parameters understood.
pub struct Wanted<'a> {
    pub origin: &'a Place,
    pub destination: &'a Place,
    pub date: Date,
    pub party: Party,
    pub mode: Option<Mode>,
}

pub fn understand<'a>(catalogue: &'a Catalogue, query: &SearchQuery) -> Result<Wanted<'a>, Problem> {
    let (origin, destination) = places(catalogue, &query.origin, &query.destination)?;
    let date = parse_date("travelDate", &query.travel_date)?;
    let mode = parse_word("mode", query.mode.as_deref(), "is neither coach nor ferry")?;
    let party = party(query.adults, query.children, query.seniors)?;
    Ok(Wanted { origin, destination, date, party, mode })
}

/// Two places by code or name.
pub fn places<'a>(
    catalogue: &'a Catalogue,
    origin: &str,
    destination: &str,
) -> Result<(&'a Place, &'a Place), Problem> {
    let place = |field: &'static str, name: &str| {
        catalogue.place(name).ok_or_else(|| Problem::field(field, "is no place that we know"))
    };
    let (origin, destination) = (place("origin", origin)?, place("destination", destination)?);
    Problem::unless(origin.code != destination.code, "destination", "is the origin")?;
    Ok((origin, destination))
}

pub fn party(adults: Option<u16>, children: Option<u16>, seniors: Option<u16>) -> Result<Party, Problem> {
    let nobody = [adults, children, seniors].iter().all(Option::is_none);
    let adults = if nobody { 1 } else { adults.unwrap_or(0) };
    let (children, seniors) = (children.unwrap_or(0), seniors.unwrap_or(0));
    Party::new(adults, children, seniors).ok_or_else(|| {
        // The biggest; of equals the last here.
        let counts = [("seniors", seniors), ("children", children), ("adults", adults)];
        let (field, _) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap_or(("adults", 0));
        Problem::field(field, format!("a party has 1 to {PARTY_MAX} passengers"))
    })
}
