//! Fares of routes, with their party tiers, lock minutes and blackout dates: one revision together (R-ADMIN-03).

use std::collections::BTreeSet;

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::fare::{Fare, FareTable, PartyTier, SEAT_LOCK_MINUTES_DEFAULT};
use deeptravel_domain::ids::RouteCode;
use deeptravel_domain::register::Change;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::ROUTES_UPDATED;
use super::configuration::{Kind, same_id};
use crate::api::frame::Problem;
use crate::api::views::MoneyView;

/// What a seat costs a passenger of one type, and when that holds. A condition left out always holds.
#[derive(ToSchema)]
#[schema(as = Fare, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's `Fare`
struct FareView {
    #[schema(pattern = "^(adult|child|senior)$")]
    passenger_type: String,
    #[schema(example = "standard")]
    seat_class: Option<String>,
    /// Numbers of stops, from 0. One needs the other.
    from_stop: Option<u8>,
    to_stop: Option<u8>,
    #[schema(pattern = "^(any|weekday|weekend_or_holiday)$", default = "any")]
    day_type: Option<String>,
    /// Local dates of boarding, both included. One needs the other.
    date_from: Option<Date>,
    date_to: Option<Date>,
    /// Days of every year as `MM-DD`, both included; may go over New Year. One needs the other.
    #[schema(example = "10-01", pattern = "^[0-9]{2}-[0-9]{2}$")]
    season_from: Option<String>,
    #[schema(example = "01-31", pattern = "^[0-9]{2}-[0-9]{2}$")]
    season_to: Option<String>,
    /// Local times of boarding, until but without the second; may go over midnight. One needs the other.
    #[schema(example = "23:30", pattern = "^[0-9]{2}:[0-9]{2}$")]
    time_from: Option<String>,
    #[schema(example = "06:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    time_to: Option<String>,
    /// In the currency of sale.
    price: MoneyView,
    /// As published, when that was another currency.
    source_price: Option<MoneyView>,
    /// Nobody published it.
    assumed: Option<bool>,
}

/// From this size of a party on, so much less on every line.
#[derive(ToSchema)]
#[schema(as = PartyTier, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct PartyTierView {
    #[schema(minimum = 2, maximum = 10)]
    min_party: u16,
    #[schema(minimum = 0, maximum = 100)]
    discount_percent: u8,
}

/// The whole revision: what is left out has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewFares {
    /// As in the path.
    #[schema(value_type = Option<String>)]
    route_code: Option<RouteCode>,
    #[schema(value_type = Vec<FareView>, max_items = 5000)]
    fares: Vec<Fare>,
    /// By rising size.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PartyTierView>>, max_items = 10)]
    party_tiers: Vec<PartyTier>,
    /// For how long the seats of an unpaid order are kept.
    #[schema(minimum = 1, maximum = 60, default = 10)]
    seat_lock_minutes: Option<u16>,
    /// Local dates of boarding that are not sold, each once.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Date>>, max_items = 3000)]
    blackout_dates: Vec<Date>,
}

/// Fares that are in force.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)] // as above: the domain's `FareTable`
pub struct RouteFares {
    route_code: String,
    /// There is no route of that code yet: nothing is sold.
    draft: bool,
    fares: Vec<FareView>,
    party_tiers: Vec<PartyTierView>,
    seat_lock_minutes: u16,
    blackout_dates: Vec<Date>,
}

/// The fares of a route as a list has them: tables may be large.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)] // as above
pub struct RouteFaresSummary {
    route_code: String,
    /// There is no route of that code yet: nothing is sold.
    draft: bool,
    /// How many there are.
    fares: usize,
}

impl Kind for FareTable {
    type Body = NewFares;
    type Shown = RouteFares;
    type Listed = RouteFaresSummary;

    const ITEM: &'static str = "/admin/routes/fares/{routeCode}";
    const LIST: Option<&'static str> = Some("routes");
    const ONE: &'static str = "the fares of a route";
    const PUT: &'static str = "For a code without a route they wait for it. Orders that hold seats keep their price.";
    const ENDS: bool = false;
    /// A table of as many fares as there may be, each with everything.
    const BYTES_MAX: usize = 2 * 1024 * 1024;
    const REVISION: &'static str = "revision";
    const SINCE: &'static str = "effectiveFrom";
    const METRIC: Option<&'static str> = Some(ROUTES_UPDATED);

    fn change(route: RouteCode, new: NewFares) -> Result<Change<FareTable>, Problem> {
        same_id("routeCode", &route, new.route_code.as_ref())?;
        let blackout: BTreeSet<Date> = new.blackout_dates.iter().copied().collect();
        Problem::unless(blackout.len() == new.blackout_dates.len(), "blackoutDates", "names a date twice")?;
        let seat_lock_minutes = new.seat_lock_minutes.unwrap_or(SEAT_LOCK_MINUTES_DEFAULT);
        let NewFares { fares, party_tiers, .. } = new;
        Ok(FareTable { route, fares, party_tiers, seat_lock_minutes, blackout }.into())
    }

    fn complete(&self, catalogue: &Catalogue, shown: &mut Map<String, Value>) {
        shown.insert("draft".to_owned(), catalogue.route(self.route.as_str()).is_none().into());
    }

    fn shorten(shown: &mut Map<String, Value>) {
        let fares = shown.get("fares").and_then(Value::as_array).map_or(0, Vec::len);
        shown.insert("fares".to_owned(), fares.into());
        shown.retain(|name, _| !["partyTiers", "seatLockMinutes", "blackoutDates"].contains(&name.as_str()));
    }
}
