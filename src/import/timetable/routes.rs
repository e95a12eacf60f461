//! Routes with their stops, and their schedules: single departures and windows with a headway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use deeptravel_domain::catalogue::{
    Command, Marks, Route, RouteStatus, SALES_WINDOW_DAYS_DEFAULT, Schedule, Stop, Timetable, Weekdays,
};
use deeptravel_domain::ids::{OperatorCode, RouteCode, ScheduleId};
use jiff::civil::Date;

use super::network::{Network, names};
use super::sheet::{ImportError, Line, Sheet};
use super::{Settings, SkipList, put};

/// Kinds of days in `departures.csv`. We know no better than to read all of them as daily; the route is marked.
const DAYS_READ_AS_DAILY: [&str; 3] = ["daily", "observed_one_day", "partial_list"];

/// What belongs to a route's fares, although it stands beside the route.
#[derive(Clone, Default)]
pub struct Terms {
    pub seat_lock_minutes: Option<u16>,
    pub blackout: BTreeSet<Date>,
}

pub struct Routes {
    routes: BTreeMap<RouteCode, (Line, Route, Terms)>,
    /// By departure time.
    schedules: BTreeMap<RouteCode, BTreeMap<u16, Schedule>>,
}

pub fn read(dir: &Path, settings: &Settings, network: &Network, skipped: &mut SkipList) -> Result<Routes, ImportError> {
    let mut routes = routes(dir, settings, network)?;
    departures(dir, settings, &mut routes, skipped)?;
    headways(dir, settings, &mut routes, skipped)?;
    for (line, route, _) in routes.routes.values() {
        if !routes.schedules.contains_key(&route.code) {
            skipped.add(line, format!("route {} has no departures", route.code));
        }
    }
    Ok(routes)
}

impl Routes {
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.values().map(|(_, route, _)| route)
    }

    pub fn of_operator(&self, operator: &OperatorCode) -> impl Iterator<Item = &Route> {
        self.iter().filter(move |route| route.operator == *operator)
    }

    pub fn get(&self, code: &RouteCode) -> Option<&Route> {
        self.routes.get(code).map(|(_, route, _)| route)
    }

    pub fn line(&self, code: &RouteCode) -> Option<&Line> {
        self.routes.get(code).map(|(line, _, _)| line)
    }

    pub fn terms(&self, code: &RouteCode) -> Terms {
        self.routes.get(code).map(|(_, _, terms)| terms.clone()).unwrap_or_default()
    }

    pub fn into_commands(mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        for (code, (_, route, _)) in self.routes {
            let schedules = self.schedules.remove(&code).unwrap_or_default().into_values();
            commands.push(put(route));
            commands.push(put(Timetable::new(code, schedules)));
        }
        commands
    }

    /// The route a line names.
    fn named(&mut self, line: &Line) -> Result<&mut Route, ImportError> {
        let code: RouteCode = line.parse("route")?;
        match self.routes.get_mut(&code) {
            Some((_, route, _)) => Ok(route),
            None => Err(line.error("route", format!("{code} is not in routes.csv"))),
        }
    }

    /// One daily departure over the whole period.
    fn add(
        &mut self,
        line: &Line,
        code: &RouteCode,
        departs_minutes: u16,
        settings: &Settings,
        skipped: &mut SkipList,
    ) -> Result<(), ImportError> {
        let time = format!("{:02}{:02}", departs_minutes / 60, departs_minutes % 60);
        let id: ScheduleId = format!("{code}-{time}")
            .parse()
            .map_err(|_| line.error("route", "is too long for the id of a schedule"))?;
        let schedules = self.schedules.entry(code.clone()).or_default();
        if schedules.contains_key(&departs_minutes) {
            skipped.add(line, format!("departure {id} is there already"));
            return Ok(());
        }
        let schedule = Schedule {
            id,
            route: code.clone(),
            departs_minutes,
            weekdays: Weekdays::DAILY,
            first_date: settings.period.from,
            last_date: settings.period.to,
            exceptions: BTreeMap::new(),
        };
        schedules.insert(departs_minutes, schedule);
        Ok(())
    }
}

fn routes(dir: &Path, settings: &Settings, network: &Network) -> Result<Routes, ImportError> {
    let columns = ["route", "operator", "mode", "name_zh", "name_en", "vehicle"];
    let optional = ["seat_lock_minutes", "booking_closes_minutes", "sales_window_days", "marks"];
    let mut stops = stops(dir, network)?;
    let mut blackout = blackout(dir)?;
    let mut routes = BTreeMap::new();
    for line in Sheet::read(dir, "routes.csv", &columns, &optional)?.lines {
        let code: RouteCode = line.parse("route")?;
        let route = Route {
            code: code.clone(),
            operator: line.parse("operator")?,
            mode: line.parse("mode")?,
            names: names(&line)?,
            time_zone: settings.time_zone.clone(),
            stops: stops.remove(&code).ok_or_else(|| line.error("route", "has no stops in stops.csv"))?.1,
            vehicle: line.parse("vehicle")?,
            booking_closes_minutes: line.parse_optional("booking_closes_minutes")?.unwrap_or(0),
            sales_window_days: line.parse_optional("sales_window_days")?.unwrap_or(SALES_WINDOW_DAYS_DEFAULT),
            status: RouteStatus::OnSale,
            marks: line.parse_list::<String>("marks")?.into_iter().collect(),
        };
        if !network.has_operator(&route.operator) {
            return Err(line.error("operator", format!("{} is not in operators.csv", route.operator)));
        }
        if network.vehicle(&route.vehicle).is_none() {
            return Err(line.error("vehicle", format!("{} is not in vehicles.csv", route.vehicle)));
        }
        let seat_lock_minutes = line.parse_optional("seat_lock_minutes")?;
        let blackout = blackout.remove(&code).map(|(_, dates)| dates).unwrap_or_default();
        let terms = Terms { seat_lock_minutes, blackout };
        if routes.insert(code, (line.clone(), route, terms)).is_some() {
            return Err(line.error("route", "is there twice"));
        }
    }
    let left = stops.into_values().map(|(line, _)| line).chain(blackout.into_values().map(|(line, _)| line)).next();
    match left {
        Some(line) => Err(line.error("route", "is not in routes.csv")),
        None => Ok(Routes { routes, schedules: BTreeMap::new() }),
    }
}

/// The stops of each route in the order of the file.
fn stops(dir: &Path, network: &Network) -> Result<BTreeMap<RouteCode, (Line, Vec<Stop>)>, ImportError> {
    let columns = ["route", "port", "arrives_minutes", "departs_minutes"];
    let mut stops: BTreeMap<RouteCode, (Line, Vec<Stop>)> = BTreeMap::new();
    for line in Sheet::required(dir, "stops.csv", &columns)?.lines {
        let stop = Stop {
            port: line.parse("port")?,
            arrives_minutes: line.parse("arrives_minutes")?,
            departs_minutes: line.parse("departs_minutes")?,
        };
        if network.port(&stop.port).is_none() {
            return Err(line.error("port", format!("{} is not in ports.csv", stop.port)));
        }
        stops.entry(line.parse("route")?).or_insert_with(|| (line.clone(), Vec::new())).1.push(stop);
    }
    Ok(stops)
}

fn blackout(dir: &Path) -> Result<BTreeMap<RouteCode, (Line, BTreeSet<Date>)>, ImportError> {
    let mut blackout: BTreeMap<RouteCode, (Line, BTreeSet<_>)> = BTreeMap::new();
    for line in Sheet::if_there(dir, "blackout.csv", &["route", "date"], &[])?.lines {
        let date = line.parse("date")?;
        blackout.entry(line.parse("route")?).or_insert_with(|| (line.clone(), BTreeSet::new())).1.insert(date);
    }
    Ok(blackout)
}

fn departures(dir: &Path, settings: &Settings, routes: &mut Routes, skipped: &mut SkipList) -> Result<(), ImportError> {
    for line in Sheet::if_there(dir, "departures.csv", &["route", "departs", "days"], &[])?.lines {
        let departs_minutes = line.time("departs")?;
        let days = line.text("days")?;
        if !DAYS_READ_AS_DAILY.contains(&days) {
            return Err(line.error("days", format!("{days:?} is not one of {}", DAYS_READ_AS_DAILY.join(", "))));
        }
        let route = routes.named(&line)?;
        if days != "daily" {
            route.marks.insert(days.to_owned());
        }
        let code = route.code.clone();
        routes.add(&line, &code, departs_minutes, settings, skipped)?;
    }
    Ok(())
}

/// Windows of departures: from the first minute on, every so many minutes (the larger headway where a range is
/// published), until but without the last minute.
fn headways(dir: &Path, settings: &Settings, routes: &mut Routes, skipped: &mut SkipList) -> Result<(), ImportError> {
    let columns = ["route", "from", "until", "headway_min", "headway_max"];
    for line in Sheet::if_there(dir, "headways.csv", &columns, &["marks"])?.lines {
        let (from, until) = (line.time("from")?, line.time("until")?);
        if until <= from {
            return Err(line.error("until", "is not after from; times after midnight go on beyond 24:00"));
        }
        let (least, most): (u16, u16) = (line.parse("headway_min")?, line.parse("headway_max")?);
        if least == 0 || most < least {
            return Err(line.error("headway_max", "is less than headway_min, or a headway is 0"));
        }
        let marks: Marks = line.parse_list::<String>("marks")?.into_iter().collect();
        let route = routes.named(&line)?;
        route.marks.extend(marks);
        let code = route.code.clone();
        for departs_minutes in (from..until).step_by(usize::from(most)) {
            routes.add(&line, &code, departs_minutes, settings, skipped)?;
        }
    }
    Ok(())
}
