//! Routes: where they go and how they are sold. Their timetables and fares are kept beside them.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::checks::{self, known};
use super::{
    Catalogue, Marks, Names, RulesByChannel, SEAT_LOCK_MINUTES_DEFAULT, Template, Zone, promotion, refund_rules,
};
use crate::departure::{STOPS_MAX, STOPS_MIN, Stretch};
use crate::ids::{OperatorCode, PortCode, RouteCode, RuleCode, VehicleCode, as_text, codes};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table, part};

/// No code of a route: the API calls all fares so.
const FARES: &str = "fares";
/// How many days ahead a route is sold unless it says otherwise.
pub const SALES_WINDOW_DAYS_DEFAULT: u16 = 30;
/// A route takes at most two days end to end, and departs within the two days from its service date.
pub const ROUTE_MINUTES_MAX: u16 = 2 * 24 * 60;
/// Booking closes at most a week ahead.
const BOOKING_CLOSES_MINUTES_MAX: u16 = 7 * 24 * 60;
/// Boarding opens at most a week ahead; whoever wants more leaves it out.
const BOARDING_OPENS_MINUTES_MAX: u16 = 7 * 24 * 60;
/// Sold at most two years ahead.
const SALES_WINDOW_DAYS_MAX: u16 = 731;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Coach,
    Ferry,
}

codes!(Mode, "mode": Coach = "coach", Ferry = "ferry");

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteStatus {
    Draft,
    OnSale,
}

codes!(RouteStatus, "route status": Draft = "draft", OnSale = "on_sale");

/// A stop of a route: minutes that have passed since the departure from the first stop.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    pub port: PortCode,
    pub arrives_minutes: u16,
    pub departs_minutes: u16,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    #[serde(rename = "routeCode")]
    pub code: RouteCode,
    pub operator: OperatorCode,
    pub mode: Mode,
    #[serde(rename = "name")]
    pub names: Names,
    /// In which its schedules' times and all its dates are to be read.
    #[serde(with = "as_text")]
    pub time_zone: Zone,
    pub stops: Vec<Stop>,
    pub vehicle: VehicleCode,
    /// Booking closes this long before the departure from the boarding stop.
    pub booking_closes_minutes: u16,
    /// Sold from so many days before the day of travel; 0 sells for today only.
    pub sales_window_days: u16,
    /// Tickets are good from so long before the departure from the boarding stop; `None`: from when they are paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boarding_opens_minutes: Option<u16>,
    /// Under which its seats are sold.
    #[serde(default, skip_serializing_if = "RulesByChannel::is_empty")]
    pub refund_rules: RulesByChannel,
    pub status: RouteStatus,
    #[serde(default)]
    pub marks: Marks,
}

impl Route {
    /// The stretch, if the route has both stops in that order.
    pub fn stretch(&self, board: u8, alight: u8) -> Option<Stretch> {
        Stretch::new(board, alight).filter(|stretch| usize::from(stretch.alight) < self.stops.len())
    }

    /// The whole way, first stop to last.
    pub fn whole(&self) -> Stretch {
        Stretch { board: 0, alight: self.stops.len().saturating_sub(1).max(1) as u8 }
    }
}

row! {
    pub struct RouteRow<'a>: 21 "routes", First::Unknown;
    1 route_code [Key]: RouteCode,
    2 version: u64,
    3 operator_code: OperatorCode,
    4 mode: Mode,
    5 name_zh: &'a str,
    6 name_en: &'a str,
    /// An IANA name.
    7 time_zone: Zone,
    8 stops: List<'a, Stop>,
    9 vehicle_code: VehicleCode,
    /// Of fares that were written before they had their own; those in force when the route was written.
    10 seat_lock_minutes: u16,
    11 booking_closes_minutes: u16,
    12 sales_window_days: u16,
    /// As `seat_lock_minutes`.
    13 blackout_dates: List<'a, Date>,
    14 status: RouteStatus,
    15 marks: List<'a, String>,
    16 boarding_opens_minutes: Option<u16>,
    17 refund_rule_direct: Option<RuleCode>,
    18 refund_rule_ota: Option<RuleCode>,
}

part!(Stop {
    1 port: PortCode,
    2 arrives_minutes: u16,
    3 departs_minutes: u16,
} => Some(Stop { port, arrives_minutes, departs_minutes }));

impl Entity for Route {
    type Id = RouteCode;
    type World = Catalogue;

    const NAME: &'static str = "route";
    const TABLE: &'static Table = RouteRow::TABLE;

    fn id(&self) -> &RouteCode {
        &self.code
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        ensure(self.code.as_str() != FARES, "routeCode", "is the path of all fares")?;
        checks::names("name", &self.names)?;
        checks::marks(&self.marks)?;
        known(catalogue.operator(self.operator.as_str()), "operator", &self.operator)?;
        self.check_stops(catalogue)?;
        known(catalogue.vehicle(self.vehicle.as_str()), "vehicle", &self.vehicle)?;
        let closes_in_time = self.booking_closes_minutes <= BOOKING_CLOSES_MINUTES_MAX;
        ensure(closes_in_time, "bookingClosesMinutes", "is more than a week")?;
        ensure(self.sales_window_days <= SALES_WINDOW_DAYS_MAX, "salesWindowDays", "is more than two years")?;
        let opens_in_time = self.boarding_opens_minutes.is_none_or(|minutes| minutes <= BOARDING_OPENS_MINUTES_MAX);
        ensure(opens_in_time, "boardingOpensMinutes", "is more than a week")?;
        self.refund_rules.check(catalogue)?;
        // Numbers of stops in fares must go on meaning a stop. Fares that name one that goes are changed first.
        let last_stop = self.whole().alight;
        let fares = catalogue.fares(&self.code).map_or(&[][..], |table| &table.fares);
        let fits = fares.iter().filter_map(|fare| fare.stretch).all(|stretch| stretch.alight <= last_stop);
        ensure(fits, "stops", "fares in force name a later stop")
    }

    fn used_by(code: &RouteCode, catalogue: &Catalogue) -> Option<String> {
        let schedule = catalogue.schedules_of(code).first().map(|schedule| format!("schedule {}", schedule.id));
        let goes_there = |template: &Template| template.journeys.iter().any(|journey| journey.route == *code);
        let template = || catalogue.template_that(goes_there);
        let rule = || refund_rules::that_leads_to(code, catalogue);
        schedule.or_else(template).or_else(rule).or_else(|| promotion::that_is_for(code, catalogue))
    }

    fn put_rows(written: &Written<Route>, catalogue: &Catalogue, version: u64, rows: &mut Rows) {
        let route = &written.after.content;
        let fares = catalogue.fares(&route.code);
        let blackout: Vec<Date> = fares.map(|table| table.blackout.iter().copied().collect()).unwrap_or_default();
        let marks: Vec<String> = route.marks.iter().cloned().collect();
        rows.put(&RouteRow {
            route_code: route.code.clone(),
            version,
            operator_code: route.operator.clone(),
            mode: route.mode,
            name_zh: &route.names.zh,
            name_en: &route.names.en,
            time_zone: route.time_zone.clone(),
            stops: List::Of(&route.stops),
            vehicle_code: route.vehicle.clone(),
            seat_lock_minutes: fares.map_or(SEAT_LOCK_MINUTES_DEFAULT, |table| table.seat_lock_minutes),
            booking_closes_minutes: route.booking_closes_minutes,
            sales_window_days: route.sales_window_days,
            blackout_dates: List::Of(&blackout),
            status: route.status,
            marks: List::Of(&marks),
            boarding_opens_minutes: route.boarding_opens_minutes,
            refund_rule_direct: route.refund_rules.direct.clone(),
            refund_rule_ota: route.refund_rules.ota.clone(),
        });
    }

    fn read_rows(rows: &Rows, _: &[RouteCode]) -> Result<Vec<Entry<Route>>, Damage> {
        let route = |row: RouteRow<'_>| Route {
            code: row.route_code,
            operator: row.operator_code,
            mode: row.mode,
            names: Names::new(row.name_zh, row.name_en),
            time_zone: row.time_zone,
            stops: row.stops.to_vec(),
            vehicle: row.vehicle_code,
            booking_closes_minutes: row.booking_closes_minutes,
            sales_window_days: row.sales_window_days,
            boarding_opens_minutes: row.boarding_opens_minutes,
            refund_rules: RulesByChannel { direct: row.refund_rule_direct, ota: row.refund_rule_ota },
            status: row.status,
            marks: row.marks.to_vec().into_iter().collect(),
        };
        rows.of().map(|row| Ok(Entry::uncounted(route(row?)))).collect()
    }
}

impl Route {
    fn check_stops(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        let enough = (STOPS_MIN..=STOPS_MAX).contains(&self.stops.len());
        ensure(enough, "stops", "are fewer than 2 or more than 64")?;
        let mut left = None;
        for (index, stop) in self.stops.iter().enumerate() {
            let field = |name: &str| format!("stops[{index}].{name}");
            known(catalogue.port(stop.port.as_str()), field("port"), &stop.port)?;
            let next = self.stops.get(index + 1);
            ensure(next.is_none_or(|next| next.port != stop.port), field("port"), "is followed by itself")?;
            match left {
                None => {
                    ensure(stop.departs_minutes == 0, field("departsMinutes"), "the first stop is left at minute 0")?;
                }
                Some(left) => {
                    ensure(stop.arrives_minutes > left, field("arrivesMinutes"), "is not after the stop before")?;
                }
            }
            ensure(stop.departs_minutes >= stop.arrives_minutes, field("departsMinutes"), "is before the arrival")?;
            ensure(stop.departs_minutes <= ROUTE_MINUTES_MAX, field("departsMinutes"), "is beyond two days")?;
            left = Some(stop.departs_minutes);
        }
        Ok(())
    }
}
