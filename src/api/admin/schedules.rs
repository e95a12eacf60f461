//! When a route departs: its schedules, all at once, and the single days on which one of them runs or does not
//! (R-ADMIN-04). Both are parts of the route's timetable, which has one history.

use std::collections::BTreeMap;

use actix_web::web::Path;
use deeptravel_domain::catalogue::{EXCEPTIONS_MAX, Keeps, Schedule, Timetable, Weekdays};
use deeptravel_domain::clock_time::ClockTime;
use deeptravel_domain::ids::{RouteCode, ScheduleId};
use deeptravel_domain::register::{Change, Standing};
use deeptravel_domain::rejection::Rejection;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ROUTES_UPDATED;
use super::configuration::{self, Kind, check_code, same_id};
use crate::api::frame::{
    Allowed, Answered, Api, BODY_BYTES_MAX, Body, Configure, OptionalKey, Problem, Routes, SeeConfiguration, ok,
};
use crate::api::views::{self, Zoned};

/// Room for three thousand single days.
const EXCEPTIONS_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
/// The list in a body of exceptions.
const EXCEPTIONS: &str = "exceptions";

pub fn routes(routes: &mut Routes<'_, '_>) {
    configuration::mount::<Timetable>(routes);
    routes.mount(__path_show_exceptions, show_exceptions).mount(__path_put_exceptions, put_exceptions);
}

/// The schedules of a route.
#[derive(Deserialize, ToSchema)]
#[schema(as = Schedules)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulesBody {
    /// As in the path.
    #[schema(value_type = Option<String>)]
    route_code: Option<RouteCode>,
    /// In any order. Those that are not named are withdrawn.
    #[schema(max_items = 5000)]
    schedules: Vec<ScheduleBody>,
}

/// One departure a day: a local time on the weekdays of a range of dates.
#[derive(Deserialize, ToSchema)]
#[schema(as = Schedule)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScheduleBody {
    /// Of this route for ever, and of no other.
    #[schema(value_type = String, example = "hzm-hk-zh-0830")]
    schedule_id: ScheduleId,
    /// From the first stop, counted from the midnight with which the service date begins: `24:15` is 00:15 of the next day.
    #[schema(value_type = String, example = "08:30", pattern = "^[0-9]{2}:[0-9]{2}$")]
    departs: ClockTime,
    /// 1 is Monday, 7 Sunday.
    #[schema(value_type = Vec<u8>, min_items = 1, max_items = 7)]
    weekdays: Weekdays,
    from: Date,
    /// Included.
    until: Date,
    /// Single days. Without it, those that were put before stay.
    #[schema(max_items = 3000)]
    exceptions: Option<Vec<ExceptionBody>>,
}

/// A service date on which a schedule runs, or does not, whatever its weekdays and range say.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ScheduleException)]
#[serde(deny_unknown_fields)]
struct ExceptionBody {
    date: Date,
    runs: bool,
}

impl Kind for Timetable {
    type Body = SchedulesBody;
    type Shown = SchedulesBody;
    type Listed = SchedulesBody;

    const ITEM: &'static str = "/admin/routes/{routeCode}/schedules";
    const LIST: Option<&'static str> = None;
    const ONE: &'static str = "the schedules of a route";
    const PUT: &'static str =
        "Departures that do not run any more are not offered; tickets for them, and orders that hold seats, stay.";
    const ENDS: bool = false;
    const ALONE: Option<&'static str> = Some("schedules");
    /// As many schedules as there may be, some of them with exceptions.
    const BYTES_MAX: usize = 2 * 1024 * 1024;
    const METRIC: Option<&'static str> = Some(ROUTES_UPDATED);

    fn change(route: RouteCode, body: SchedulesBody) -> Result<Change<Timetable>, Problem> {
        same_id("routeCode", &route, body.route_code.as_ref())?;
        let schedules = body.schedules.into_iter().enumerate().map(|(index, body)| {
            check_code(|| format!("schedules[{index}].scheduleId"), body.schedule_id.as_str())?;
            let keeps = if body.exceptions.is_some() { Keeps::Nothing } else { Keeps::Exceptions };
            let exceptions = body.exceptions.unwrap_or_default();
            let schedule = Schedule {
                id: body.schedule_id,
                route: route.clone(),
                departs_minutes: body.departs.0,
                weekdays: body.weekdays,
                first_date: body.from,
                last_date: body.until,
                exceptions: single_days(&format!("schedules[{index}].exceptions"), &exceptions)?,
            };
            Ok((schedule, keeps))
        });
        let schedules = schedules.collect::<Result<_, Problem>>()?;
        Ok(Timetable::put_schedules(route, schedules))
    }
}

fn single_days(field: &str, exceptions: &[ExceptionBody]) -> Result<BTreeMap<Date, bool>, Problem> {
    if exceptions.len() > EXCEPTIONS_MAX {
        return Err(Problem::field(field.to_owned(), format!("are more than {EXCEPTIONS_MAX} dates")));
    }
    let mut days = BTreeMap::new();
    for (index, ExceptionBody { date, runs }) in exceptions.iter().enumerate() {
        if days.insert(*date, *runs).is_some() {
            return Err(Problem::field(format!("{field}[{index}].date"), "is there twice"));
        }
    }
    Ok(days)
}

/// All single days of a schedule; the list may come without the object around it.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // the document alone reads it
enum ExceptionsBody {
    Named(NewExceptions),
    Alone(Vec<ExceptionBody>),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExceptions {
    #[schema(max_items = 3000)]
    exceptions: Vec<ExceptionBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SingleDays<'a> {
    schedule_id: &'a str,
    route_code: &'a str,
    /// By date.
    exceptions: Vec<ExceptionBody>,
    /// Of the route's schedules: single days have no revisions of their own.
    version: u32,
    since: Zoned,
}

/// The revision of the route's schedules that stands after a write.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExceptionsWritten {
    #[schema(value_type = String)]
    schedule_id: ScheduleId,
    version: u32,
    since: Zoned,
    /// It was so already, and no revision was made.
    idempotent: bool,
}

fn no_such_schedule(id: &str) -> Problem {
    let unknown = Rejection::NotConfigured { entity: "schedule", id: id.to_owned() };
    Problem::from(unknown).naming("scheduleId", "is no schedule on offer")
}

/// Shows the single days of a schedule.
#[utoipa::path(
    get, path = "/admin/schedules/{scheduleId}/exceptions", params(("scheduleId" = String, Path)),
    responses((status = 200, body = SingleDays), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_exceptions(_: Allowed<SeeConfiguration>, api: Api, id: Path<String>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let schedule = catalogue.schedule(&id).ok_or_else(|| no_such_schedule(&id))?;
    let timetable = catalogue.registers().timetables.entry(&schedule.route);
    let days = schedule.exceptions.iter().map(|(date, runs)| ExceptionBody { date: *date, runs: *runs });
    Ok(ok(&SingleDays {
        schedule_id: schedule.id.as_str(),
        route_code: schedule.route.as_str(),
        exceptions: days.collect(),
        version: timetable.map_or(0, |timetable| timetable.revision),
        since: views::time(timetable.map(|timetable| timetable.since).unwrap_or_default()),
    }))
}

/// Puts all single days of a schedule, in force for the very next request. Departures that do not run any more are not
/// offered; tickets for them, and orders that hold seats, stay.
#[utoipa::path(
    put, path = "/admin/schedules/{scheduleId}/exceptions", params(("scheduleId" = String, Path), OptionalKey),
    request_body = ExceptionsBody,
    responses(
        (status = 200, body = ExceptionsWritten),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`; what is in force stays"),
    )
)]
async fn put_exceptions(
    Allowed(by): Allowed<Configure>,
    id: Path<String>,
    key: OptionalKey,
    body: Body<EXCEPTIONS_BYTES_MAX>,
) -> Answered {
    let new: NewExceptions = body.listed(EXCEPTIONS)?;
    let days = single_days(EXCEPTIONS, &new.exceptions)?;
    let schedule = by.api.engine.services().catalogue.load().schedule(&id).cloned();
    let schedule = schedule.ok_or_else(|| no_such_schedule(&id))?;
    let change = Timetable::put_exceptions(schedule.route.clone(), schedule.id.clone(), days);
    let Standing { revision: version, since, changed } = configuration::tell::<Timetable>(&by, key, change).await?;
    let since = views::time(since);
    Ok(ok(&ExceptionsWritten { schedule_id: schedule.id.clone(), version, since, idempotent: !changed }))
}
