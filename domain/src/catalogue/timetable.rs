//! When routes depart: the schedules of a route, put as a whole. Those that are not named any more are withdrawn, and keep
//! their ids for their route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use super::Catalogue;
use super::checks::{DATES_MAX, dates, known};
use super::route::ROUTE_MINUTES_MAX;
use crate::clock_time::ClockTime;
use crate::ids::{CODE_LEN_MAX, RouteCode, ScheduleId};
use crate::register::{self, Edit, Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, Element, First, Kind, List, Raw, Row as _, Rows, Table, Unreadable, part};

/// One departure a minute around the clock, for each weekday pattern.
const SCHEDULES_MAX: usize = 5_000;
/// Single days of one schedule.
pub const EXCEPTIONS_MAX: usize = DATES_MAX;
/// `.yyyymmdd` is appended to a schedule's id to name a departure.
const DATE_SUFFIX_LEN: usize = 9;

/// The weekdays on which a schedule runs: bit 0 is Monday, bit 6 Sunday.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Weekdays(u8);

impl Weekdays {
    pub const DAILY: Weekdays = Weekdays(0x7F);

    /// `None` when no weekday, or something beyond Sunday, is set.
    pub const fn from_bits(bits: u8) -> Option<Weekdays> {
        if bits == 0 || bits > 0x7F { None } else { Some(Weekdays(bits)) }
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    pub fn has(self, weekday: Weekday) -> bool {
        self.0 >> weekday.to_monday_zero_offset() & 1 == 1
    }
}

/// On the wire 1 is Monday and 7 Sunday.
impl From<Weekdays> for Vec<u8> {
    fn from(Weekdays(bits): Weekdays) -> Vec<u8> {
        (1..=7).filter(|day| bits >> (day - 1) & 1 == 1).collect()
    }
}

impl TryFrom<Vec<u8>> for Weekdays {
    type Error = &'static str;

    fn try_from(days: Vec<u8>) -> Result<Weekdays, &'static str> {
        let all = days.len() <= 7 && days.iter().all(|day| (1..=7).contains(day));
        let bits = days.iter().filter(|_| all).fold(0, |bits, day| bits | 1 << (day - 1));
        Weekdays::from_bits(bits).ok_or("weekdays are from 1, Monday, to 7, Sunday")
    }
}

/// When a route departs: a local time on the days of a range that a weekday pattern and single exceptions pick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    pub id: ScheduleId,
    pub route: RouteCode,
    /// Minutes from the midnight with which the service date begins; from 1440 on the departure is on a later calendar
    /// day (24:15 is 00:15 of the next).
    pub departs_minutes: u16,
    pub weekdays: Weekdays,
    pub first_date: Date,
    /// Included.
    pub last_date: Date,
    /// Runs (`true`) or does not run (`false`) on that service date, whatever range and weekday say.
    pub exceptions: BTreeMap<Date, bool>,
}

impl Schedule {
    /// Whether there is a departure on this service date.
    pub fn runs_on(&self, service_date: Date) -> bool {
        match self.exceptions.get(&service_date) {
            Some(runs) => *runs,
            None => {
                self.first_date <= service_date
                    && service_date <= self.last_date
                    && self.weekdays.has(service_date.weekday())
            }
        }
    }
}

/// The schedules of a route, in any order.
#[derive(Clone, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "Spoken", from = "Spoken")]
pub struct Timetable {
    pub route: RouteCode,
    pub schedules: Vec<Arc<Schedule>>,
}

impl Timetable {
    pub fn new(route: RouteCode, schedules: impl IntoIterator<Item = Schedule>) -> Timetable {
        Timetable { route, schedules: schedules.into_iter().map(Arc::new).collect() }
    }

    /// Other schedules for the route. Where one says nothing of single days, what was said of them stays.
    pub fn put_schedules(route: RouteCode, schedules: Vec<(Schedule, Keeps)>) -> register::Change<Timetable> {
        let id = route.clone();
        let edit = move |before: Option<&Timetable>| {
            let before = before.map(Timetable::by_id).unwrap_or_default();
            let schedule = |(schedule, keeps): &(Schedule, Keeps)| {
                let kept = before.get(&schedule.id).filter(|_| *keeps == Keeps::Exceptions);
                let exceptions = kept.map_or(&schedule.exceptions, |kept| &kept.exceptions).clone();
                Schedule { exceptions, ..schedule.clone() }
            };
            Ok(Timetable::new(route.clone(), schedules.iter().map(schedule)))
        };
        register::Change::Edit(id, Edit::new(edit))
    }

    /// Other single days for one of the route's schedules.
    pub fn put_exceptions(
        route: RouteCode,
        schedule: ScheduleId,
        exceptions: BTreeMap<Date, bool>,
    ) -> register::Change<Timetable> {
        let edit = move |before: Option<&Timetable>| {
            dates("exceptions", exceptions.keys().copied())?;
            let named = |known: &&Arc<Schedule>| known.id == schedule;
            let mut timetable = before.cloned().filter(|before| before.schedules.iter().any(|known| named(&known)));
            let known = timetable.iter_mut().flat_map(|timetable| &mut timetable.schedules);
            for schedule in known.filter(|known| named(&&**known)) {
                Arc::make_mut(schedule).exceptions.clone_from(&exceptions);
            }
            timetable.ok_or_else(|| Rejection::NotConfigured { entity: "schedule", id: schedule.to_string() })
        };
        register::Change::Edit(route, Edit::new(edit))
    }

    fn by_id(&self) -> BTreeMap<&ScheduleId, &Arc<Schedule>> {
        self.schedules.iter().map(|schedule| (&schedule.id, schedule)).collect()
    }
}

/// What a schedule that is put leaves as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    Exceptions,
    Nothing,
}

impl PartialEq for Timetable {
    fn eq(&self, other: &Timetable) -> bool {
        self.route == other.route && self.schedules.len() == other.schedules.len() && self.by_id() == other.by_id()
    }
}

/// A timetable as people speak of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spoken {
    route_code: RouteCode,
    schedules: Vec<SpokenSchedule>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpokenSchedule {
    schedule_id: ScheduleId,
    departs: ClockTime,
    weekdays: Weekdays,
    #[serde(rename = "from", alias = "firstDate")]
    first_date: Date,
    /// Included.
    #[serde(rename = "until", alias = "lastDate")]
    last_date: Date,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

impl From<Timetable> for Spoken {
    fn from(timetable: Timetable) -> Spoken {
        let schedule = |schedule: &Arc<Schedule>| SpokenSchedule {
            schedule_id: schedule.id.clone(),
            departs: ClockTime(schedule.departs_minutes),
            weekdays: schedule.weekdays,
            first_date: schedule.first_date,
            last_date: schedule.last_date,
            exceptions: exceptions(schedule),
        };
        Spoken { schedules: timetable.schedules.iter().map(schedule).collect(), route_code: timetable.route }
    }
}

impl From<Spoken> for Timetable {
    fn from(spoken: Spoken) -> Timetable {
        let route = spoken.route_code;
        let schedule = |schedule: SpokenSchedule| Schedule {
            id: schedule.schedule_id,
            route: route.clone(),
            departs_minutes: schedule.departs.0,
            weekdays: schedule.weekdays,
            first_date: schedule.first_date,
            last_date: schedule.last_date,
            exceptions: schedule.exceptions.into_iter().map(|Exception { date, runs }| (date, runs)).collect(),
        };
        Timetable::new(route.clone(), spoken.schedules.into_iter().map(schedule))
    }
}

row! {
    pub struct ScheduleRow<'a>: 22 "schedules", First::Unknown;
    1 schedule_id [Key]: ScheduleId,
    2 version: u64,
    3 route_code: RouteCode,
    4 departs_minutes: u16,
    /// Bit 0 is Monday.
    5 weekdays: Weekdays,
    6 first_date: Date,
    7 last_date: Date,
    8 exceptions: List<'a, Exception>,
    /// No longer on offer.
    9 withdrawn: bool,
}

/// A service date on which a schedule runs, or does not, whatever its range and weekdays say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exception {
    pub date: Date,
    pub runs: bool,
}

part!(Exception { 1 date: Date, 2 runs: bool } => Some(Exception { date, runs }));

fn exceptions(schedule: &Schedule) -> Vec<Exception> {
    schedule.exceptions.iter().map(|(date, runs)| Exception { date: *date, runs: *runs }).collect()
}

impl Element<'_> for Weekdays {
    const ONE: Kind = Kind::Small;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        self.bits().put_one(tag, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        Weekdays::from_bits(u8::get_one(raw)?).ok_or(Unreadable)
    }
}

impl Entity for Timetable {
    type Id = RouteCode;
    type World = Catalogue;

    const NAME: &'static str = "schedules";
    const TABLE: &'static Table = ScheduleRow::TABLE;

    fn id(&self) -> &RouteCode {
        &self.route
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        known(catalogue.route(self.route.as_str()), "routeCode", &self.route)?;
        ensure(self.schedules.len() <= SCHEDULES_MAX, "schedules", "are too many")?;
        let mut ids = BTreeSet::new();
        for (index, schedule) in self.schedules.iter().enumerate() {
            let field = |name: &str| format!("schedules[{index}].{name}");
            ensure(schedule.route == self.route, field("routeCode"), "is another route")?;
            ensure(schedule.id.as_str().len() + DATE_SUFFIX_LEN <= CODE_LEN_MAX, field("scheduleId"), "is too long")?;
            ensure(ids.insert(&schedule.id), field("scheduleId"), "is there twice")?;
            let known = catalogue.schedule(schedule.id.as_str()).or_else(|| catalogue.withdrawn(schedule.id.as_str()));
            ensure(
                known.is_none_or(|known| known.route == self.route),
                field("scheduleId"),
                "belongs to another route",
            )?;
            ensure(schedule.departs_minutes < ROUTE_MINUTES_MAX, field("departs"), "is beyond the next day")?;
            dates(&field("from"), [schedule.first_date].into_iter())?;
            dates(&field("until"), [schedule.last_date].into_iter())?;
            ensure(schedule.first_date <= schedule.last_date, field("until"), "is before the first day")?;
            dates(&field("exceptions"), schedule.exceptions.keys().copied())?;
        }
        Ok(())
    }

    /// A route that does not run any more has an empty one.
    fn used_by(route: &RouteCode, _: &Catalogue) -> Option<String> {
        Some(format!("route {route}"))
    }

    fn put_rows(written: &Written<Timetable>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let after = written.after.by_id();
        let before = written.before.as_ref().map(|entry| entry.by_id()).unwrap_or_default();
        let changed = after.values().filter(|schedule| before.get(&schedule.id) != Some(schedule));
        changed.for_each(|schedule| put_schedule(schedule, false, version, rows));
        let gone = before.values().filter(|schedule| !after.contains_key(&schedule.id));
        gone.for_each(|schedule| put_schedule(schedule, true, version, rows));
    }

    fn read_rows(rows: &Rows, ids: &[RouteCode]) -> Result<Vec<Entry<Timetable>>, Damage> {
        let mut routes: BTreeMap<RouteCode, Vec<Arc<Schedule>>> =
            ids.iter().map(|route| (route.clone(), Vec::new())).collect();
        for row in rows.all::<ScheduleRow<'_>>()? {
            let schedules = routes.entry(row.route_code.clone()).or_default();
            if !row.withdrawn {
                schedules.push(Arc::new(schedule_of(row)));
            }
        }
        Ok(routes.into_iter().map(|(route, schedules)| Entry::uncounted(Timetable { route, schedules })).collect())
    }
}

/// Those that are no longer on offer.
pub fn withdrawn(rows: &Rows) -> Result<Vec<Arc<Schedule>>, Damage> {
    let all = rows.all::<ScheduleRow<'_>>()?.into_iter();
    Ok(all.filter(|row| row.withdrawn).map(|row| Arc::new(schedule_of(row))).collect())
}

pub fn put_schedule(schedule: &Schedule, withdrawn: bool, version: u64, rows: &mut Rows) {
    rows.put(&ScheduleRow {
        schedule_id: schedule.id.clone(),
        version,
        route_code: schedule.route.clone(),
        departs_minutes: schedule.departs_minutes,
        weekdays: schedule.weekdays,
        first_date: schedule.first_date,
        last_date: schedule.last_date,
        exceptions: List::Of(&exceptions(schedule)),
        withdrawn,
    });
}

fn schedule_of(row: ScheduleRow<'_>) -> Schedule {
    Schedule {
        id: row.schedule_id,
        route: row.route_code,
        departs_minutes: row.departs_minutes,
        weekdays: row.weekdays,
        first_date: row.first_date,
        last_date: row.last_date,
        exceptions: row.exceptions.to_vec().into_iter().map(|Exception { date, runs }| (date, runs)).collect(),
    }
}
