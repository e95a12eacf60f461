//! Routes with their stops, and their schedules: single departures and windows with a headway.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use deeptravel_domain::catalogue::{
    Command, Route, RouteStatus, RulesByChannel, SALES_WINDOW_DAYS_DEFAULT, Schedule, Stop, Timetable, Weekdays,
};
use deeptravel_domain::ids::{RouteCode, ScheduleId};
use jiff::civil::Date;

use super::network::{Network, names};
use super::sheet::{Line, lines, lines_if_any};
use super::{Import, put};

/// Kinds of days in `departures.csv`. We know no better than to read all of them as daily; the route is marked.
const DAYS_READ_AS_DAILY: [&str; 3] = ["daily", "observed_one_day", "partial_list"];

/// A route of `routes.csv`, with what other files say of it.
pub struct Listed {
    pub line: Line,
    pub route: Route,
    /// Of its fares, although it stands beside the route.
    pub seat_lock_minutes: Option<u16>,
    /// Of its fares, too.
    pub blackout: BTreeSet<Date>,
    /// By departure time.
    schedules: BTreeMap<u16, Schedule>,
}

pub type Routes = BTreeMap<RouteCode, Listed>;

pub fn read(import: &mut Import, network: &Network) -> anyhow::Result<Routes> {
    let mut routes = routes(import, network)?;
    stops(import, network, &mut routes)?;
    blackout(import, &mut routes)?;
    departures(import, &mut routes)?;
    headways(import, &mut routes)?;
    for Listed { line, route, .. } in routes.values().filter(|listed| listed.schedules.is_empty()) {
        import.skip(line, format!("route {} has no departures", route.code));
    }
    Ok(routes)
}

pub fn into_commands(routes: Routes) -> Vec<Command> {
    let mut commands = Vec::new();
    for (code, Listed { route, schedules, .. }) in routes {
        commands.push(put(route));
        commands.push(put(Timetable::new(code, schedules.into_values())));
    }
    commands
}

/// The route a line names.
fn named<'a>(routes: &'a mut Routes, line: &Line) -> anyhow::Result<&'a mut Listed> {
    let code: RouteCode = line.parse("route")?;
    routes.get_mut(&code).ok_or_else(|| line.error("route", format_args!("{code} is not in routes.csv")))
}

impl Listed {
    /// One daily departure over the whole period.
    fn add(&mut self, line: &Line, departs_minutes: u16, import: &mut Import) -> anyhow::Result<()> {
        let code = &self.route.code;
        let time = format!("{:02}{:02}", departs_minutes / 60, departs_minutes % 60);
        let id: ScheduleId = format!("{code}-{time}")
            .parse()
            .map_err(|_| line.error("route", "is too long for the id of a schedule"))?;
        if self.schedules.contains_key(&departs_minutes) {
            import.skip(line, format!("departure {id} is there already"));
            return Ok(());
        }
        let schedule = Schedule {
            id,
            route: code.clone(),
            departs_minutes,
            weekdays: Weekdays::DAILY,
            first_date: import.period.from,
            last_date: import.period.to,
            exceptions: BTreeMap::new(),
        };
        self.schedules.insert(departs_minutes, schedule);
        Ok(())
    }
}

fn routes(import: &Import, network: &Network) -> anyhow::Result<Routes> {
    let columns = ["route", "operator", "mode", "name_zh", "name_en", "vehicle"];
    let optional =
        ["seat_lock_minutes", "booking_closes_minutes", "sales_window_days", "refund_rule", "refund_rule_ota", "marks"];
    let mut routes = Routes::new();
    for line in lines(import.dir, "routes.csv", &columns, &optional)? {
        let code: RouteCode = line.parse("route")?;
        let route = Route {
            code: code.clone(),
            operator: line.parse("operator")?,
            mode: line.parse("mode")?,
            names: names(&line)?,
            time_zone: import.time_zone.clone(),
            stops: Vec::new(),
            vehicle: line.parse("vehicle")?,
            booking_closes_minutes: line.parse_optional("booking_closes_minutes")?.unwrap_or(0),
            sales_window_days: line.parse_optional("sales_window_days")?.unwrap_or(SALES_WINDOW_DAYS_DEFAULT),
            boarding_opens_minutes: None,
            refund_rules: RulesByChannel {
                direct: line.parse_optional("refund_rule")?,
                ota: line.parse_optional("refund_rule_ota")?,
            },
            status: RouteStatus::OnSale,
            marks: line.parse_list::<String>("marks")?.into_iter().collect(),
        };
        if !network.operators.contains_key(&route.operator) {
            bail!(line.error("operator", format_args!("{} is not in operators.csv", route.operator)));
        }
        if network.vehicle(&route.vehicle).is_none() {
            bail!(line.error("vehicle", format_args!("{} is not in vehicles.csv", route.vehicle)));
        }
        let listed = Listed {
            line: line.clone(),
            route,
            seat_lock_minutes: line.parse_optional("seat_lock_minutes")?,
            blackout: BTreeSet::new(),
            schedules: BTreeMap::new(),
        };
        ensure!(routes.insert(code, listed).is_none(), line.error("route", "is there twice"));
    }
    Ok(routes)
}

/// In the order of the file.
fn stops(import: &Import, network: &Network, routes: &mut Routes) -> anyhow::Result<()> {
    let columns = ["route", "port", "arrives_minutes", "departs_minutes"];
    for line in lines(import.dir, "stops.csv", &columns, &[])? {
        let stop = Stop {
            port: line.parse("port")?,
            arrives_minutes: line.parse("arrives_minutes")?,
            departs_minutes: line.parse("departs_minutes")?,
        };
        if !network.ports.contains_key(&stop.port) {
            bail!(line.error("port", format_args!("{} is not in ports.csv", stop.port)));
        }
        named(routes, &line)?.route.stops.push(stop);
    }
    for Listed { line, route, .. } in routes.values() {
        ensure!(!route.stops.is_empty(), line.error("route", "has no stops in stops.csv"));
    }
    Ok(())
}

fn blackout(import: &Import, routes: &mut Routes) -> anyhow::Result<()> {
    for line in lines_if_any(import.dir, "blackout.csv", &["route", "date"], &[])? {
        named(routes, &line)?.blackout.insert(line.parse("date")?);
    }
    Ok(())
}

fn departures(import: &mut Import, routes: &mut Routes) -> anyhow::Result<()> {
    for line in lines_if_any(import.dir, "departures.csv", &["route", "departs", "days"], &[])? {
        let departs_minutes = line.time("departs")?;
        let days = line.text("days")?;
        if !DAYS_READ_AS_DAILY.contains(&days) {
            bail!(line.error("days", format_args!("{days:?} is not one of {}", DAYS_READ_AS_DAILY.join(", "))));
        }
        let listed = named(routes, &line)?;
        if days != "daily" {
            listed.route.marks.insert(days.to_owned());
        }
        listed.add(&line, departs_minutes, import)?;
    }
    Ok(())
}

/// Windows of departures: from the first minute on, every so many minutes (the larger headway where a range is
/// published), until but without the last minute.
fn headways(import: &mut Import, routes: &mut Routes) -> anyhow::Result<()> {
    let columns = ["route", "from", "until", "headway_min", "headway_max"];
    for line in lines_if_any(import.dir, "headways.csv", &columns, &["marks"])? {
        let (from, until) = (line.time("from")?, line.time("until")?);
        if until <= from {
            bail!(line.error("until", "is not after from; times after midnight go on beyond 24:00"));
        }
        let (least, most): (u16, u16) = (line.parse("headway_min")?, line.parse("headway_max")?);
        if least == 0 || most < least {
            bail!(line.error("headway_max", "is less than headway_min, or a headway is 0"));
        }
        let listed = named(routes, &line)?;
        listed.route.marks.extend(line.parse_list::<String>("marks")?);
        for departs_minutes in (from..until).step_by(usize::from(most)) {
            listed.add(&line, departs_minutes, import)?;
        }
    }
    Ok(())
}
