//! Routes: where they go and how they are sold (R-ADMIN-04). Lock minutes and blackout dates are the fares'.

use std::fmt::Display;
use std::str::FromStr;

use deeptravel_domain::catalogue::{Marks, Mode, Names, Route, RouteStatus, RulesByChannel, Stop, Zone};
use deeptravel_domain::ids::{OperatorCode, PortCode, RouteCode, VehicleCode};
use deeptravel_domain::register::Change;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::ROUTES_UPDATED;
use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A route.
#[derive(Deserialize, ToSchema)]
#[schema(as = Route)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "hzm-hk-zh")]
    route_code: Option<RouteCode>,
    /// A carrier's code.
    #[schema(value_type = String)]
    operator: OperatorCode,
    #[serde(deserialize_with = "of_text")]
    #[schema(value_type = String, pattern = "^(coach|ferry)$")]
    mode: Mode,
    #[schema(value_type = NamesView)]
    name: Names,
    /// An IANA name. Its schedules' times and all its dates are to be read in it.
    #[serde(deserialize_with = "of_text")]
    #[schema(value_type = String, example = "Asia/Hong_Kong")]
    time_zone: Zone,
    /// In the order of travel.
    #[schema(min_items = 2, max_items = 64)]
    stops: Vec<StopBody>,
    /// A vehicle's code.
    #[schema(value_type = String)]
    vehicle: VehicleCode,
    /// Booking closes so long before the departure from the boarding stop; at most a week.
    booking_closes_minutes: u16,
    /// Sold from so many days before the day of travel; at most two years.
    sales_window_days: u16,
    /// Tickets are good from so long before the departure from the boarding stop; without it, from when they are paid.
    boarding_opens_minutes: Option<u16>,
    /// Under which it is sold, by channel; without one nothing comes back, and tickets are not changed.
    #[serde(default)]
    #[schema(value_type = RefundRulesBody, required = false)]
    refund_rules: RulesByChannel,
    #[serde(deserialize_with = "of_text")]
    #[schema(value_type = String, pattern = "^(draft|on_sale)$")]
    status: RouteStatus,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RouteStop)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopBody {
    #[schema(value_type = String)]
    port: PortCode,
    /// Since the departure from the first stop.
    arrives_minutes: u16,
    departs_minutes: u16,
}

/// Ids of rules.
#[derive(ToSchema)]
#[schema(as = RefundRules)]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's `RulesByChannel`
struct RefundRulesBody {
    direct: Option<String>,
    /// Of every partner.
    ota: Option<String>,
}

fn of_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl Kind for Route {
    type Body = RouteBody;
    type Shown = RouteBody;
    type Listed = RouteBody;

    const ITEM: &'static str = "/admin/routes/{routeCode}";
    const LIST: Option<&'static str> = Some("routes");
    const ONE: &'static str = "a route";
    const PUT: &'static str =
        "Its fares may be there before it. Orders that hold seats or have tickets keep what they have.";
    const METRIC: Option<&'static str> = Some(ROUTES_UPDATED);

    fn change(code: RouteCode, body: RouteBody) -> Result<Change<Route>, Problem> {
        same_id("routeCode", &code, body.route_code.as_ref())?;
        let stop =
            |StopBody { port, arrives_minutes, departs_minutes }| Stop { port, arrives_minutes, departs_minutes };
        let route = Route {
            code,
            operator: body.operator,
            mode: body.mode,
            names: body.name,
            time_zone: body.time_zone,
            stops: body.stops.into_iter().map(stop).collect(),
            vehicle: body.vehicle,
            booking_closes_minutes: body.booking_closes_minutes,
            sales_window_days: body.sales_window_days,
            boarding_opens_minutes: body.boarding_opens_minutes,
            refund_rules: body.refund_rules,
            status: body.status,
            marks: Marks::new(),
        };
        Ok(route.into())
    }
}
