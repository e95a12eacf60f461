//! What a command must be like. Every refusal names the field as it is called on the wire.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::civil::Date;

use super::Catalogue;
use super::model::{Holiday, Names, Place, Route, Schedule, Vehicle};
use crate::departure::{SEATS_MAX, STOPS_MAX, STOPS_MIN, SeatMap};
use crate::fare::Fare;
use crate::ids::{CODE_LEN_MAX, RouteCode};
use crate::rejection::Rejection;

/// Longest name, in bytes: fits a screen and an index entry.
pub const NAME_LEN_MAX: usize = 200;
/// Other spellings of a place.
const ALIASES_MAX: usize = 32;
/// Ports of a place: a search looks at every pair of two places' ports.
const PORTS_PER_PLACE_MAX: usize = 64;
/// A row of the seat map is one record: classes and labels stay small.
const CLASSES_MAX: usize = 32;
const SEAT_LABEL_LEN_MAX: usize = 8;
const MARKS_MAX: usize = 16;
/// Dates in one list (holidays, blackout, exceptions): several years of them.
const DATES_MAX: usize = 3_000;
/// One departure a minute around the clock, for each weekday pattern.
const SCHEDULES_PER_ROUTE_MAX: usize = 5_000;
/// A route takes at most two days end to end, and departs within the two days from its service date.
const ROUTE_MINUTES_MAX: u16 = 2 * 24 * 60;
/// Booking closes at most a week ahead.
const BOOKING_CLOSES_MINUTES_MAX: u16 = 7 * 24 * 60;
/// Sold at most two years ahead.
const SALES_WINDOW_DAYS_MAX: u16 = 731;
/// `.yyyymmdd` is appended to a schedule's id to name a departure.
const DATE_SUFFIX_LEN: usize = 9;

pub fn unknown(field: impl Into<String>, code: &dyn Display) -> Rejection {
    Rejection::field(field.into(), format!("{code} is not known"))
}

fn ensure(holds: bool, field: &str, message: &str) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::field(field.to_owned(), message.to_owned())) }
}

/// Something to read on one line: not empty, not too long, no control characters.
fn text(field: &str, text: &str) -> Result<(), Rejection> {
    ensure(!text.trim().is_empty(), field, "is empty")?;
    ensure(text.len() <= NAME_LEN_MAX, field, "is too long")?;
    ensure(!text.chars().any(char::is_control), field, "has control characters")
}

pub fn names(names: &Names) -> Result<(), Rejection> {
    text("names.zh", &names.zh)?;
    text("names.en", &names.en)
}

fn marks(marks: &super::Marks) -> Result<(), Rejection> {
    ensure(marks.len() <= MARKS_MAX, "marks", "are too many")?;
    marks.iter().try_for_each(|mark| text("marks", mark))
}

/// Dates with years of four digits: they are part of departure ids.
fn dates(field: &str, dates: impl ExactSizeIterator<Item = Date>) -> Result<(), Rejection> {
    ensure(dates.len() <= DATES_MAX, field, "are too many dates")?;
    dates.into_iter().try_for_each(|date| ensure((1970..=9000).contains(&date.year()), field, "is out of range"))
}

pub fn place(catalogue: &Catalogue, place: &Place) -> Result<(), Rejection> {
    names(&place.names)?;
    ensure(place.aliases.len() <= ALIASES_MAX, "aliases", "are too many")?;
    place.aliases.iter().try_for_each(|alias| text("aliases", alias))?;
    for spelling in place.spellings() {
        if let Some(other) = catalogue.place(&spelling).filter(|other| other.code != place.code) {
            return Err(Rejection::field("names", format!("{spelling} is already {}", other.code)));
        }
    }
    ensure(place.ports.len() <= PORTS_PER_PLACE_MAX, "ports", "are too many")?;
    for (index, port) in place.ports.iter().enumerate() {
        let field = format!("ports[{index}]");
        if !catalogue.ports.contains_key(port) {
            return Err(unknown(field, port));
        }
        ensure(!place.ports.iter().take(index).any(|earlier| earlier == port), &field, "is there twice")?;
    }
    Ok(())
}

pub fn vehicle(vehicle: &Vehicle) -> Result<(), Rejection> {
    text("name", &vehicle.name)?;
    marks(&vehicle.marks)?;
    seat_map(&vehicle.seat_map)
}

fn seat_map(map: &SeatMap) -> Result<(), Rejection> {
    ensure((1..=CLASSES_MAX).contains(&map.classes.len()), "seatMap.classes", "are none or too many")?;
    for (index, class) in map.classes.iter().enumerate() {
        text(&format!("seatMap.classes[{index}].name"), &class.name)?;
        let twice = map.classes.iter().take(index).any(|earlier| earlier.code == class.code);
        ensure(!twice, &format!("seatMap.classes[{index}].code"), "is there twice")?;
    }
    ensure((1..=SEATS_MAX).contains(&map.seats.len()), "seatMap.seats", "are none or too many")?;
    let mut labels = BTreeSet::new();
    let mut before = None;
    for (index, seat) in map.seats.iter().enumerate() {
        let field = |name: &str| format!("seatMap.seats[{index}].{name}");
        text(&field("label"), &seat.label)?;
        ensure(seat.label.len() <= SEAT_LABEL_LEN_MAX, &field("label"), "is too long")?;
        ensure(labels.insert(seat.label.as_str()), &field("label"), "is there twice")?;
        ensure(usize::from(seat.class) < map.classes.len(), &field("class"), "is not a class of the map")?;
        let position = (seat.row, seat.column);
        ensure(before < Some(position), &field("row"), "seats are not in the order of row and column")?;
        before = Some(position);
    }
    Ok(())
}

pub fn holidays(holidays: &[Holiday]) -> Result<(), Rejection> {
    dates("holidays", holidays.iter().map(|holiday| holiday.date))?;
    let mut seen = BTreeSet::new();
    for (index, holiday) in holidays.iter().enumerate() {
        text(&format!("holidays[{index}].name"), &holiday.name)?;
        ensure(seen.insert(holiday.date), &format!("holidays[{index}].date"), "is there twice")?;
    }
    Ok(())
}

pub fn route(catalogue: &Catalogue, route: &Route) -> Result<(), Rejection> {
    names(&route.names)?;
    marks(&route.marks)?;
    if !catalogue.operators.contains_key(&route.operator) {
        return Err(unknown("operator", &route.operator));
    }
    stops(catalogue, route)?;
    if !catalogue.vehicles.contains_key(&route.vehicle) {
        return Err(unknown("vehicle", &route.vehicle));
    }
    ensure((1..=60).contains(&route.seat_lock_minutes), "seatLockMinutes", "is not between 1 and 60")?;
    let closes_in_time = route.booking_closes_minutes <= BOOKING_CLOSES_MINUTES_MAX;
    ensure(closes_in_time, "bookingClosesMinutes", "is more than a week")?;
    ensure(route.sales_window_days <= SALES_WINDOW_DAYS_MAX, "salesWindowDays", "is more than two years")?;
    dates("blackoutDates", route.blackout.iter().copied())?;
    // Numbers of stops in fares must go on meaning a stop. Fares that name one that goes are changed first.
    let last_stop = route.whole().alight;
    let fares = catalogue.fares(&route.code).map_or(&[][..], |table| &table.fares);
    let fits = fares.iter().filter_map(|fare| fare.stretch).all(|stretch| stretch.alight <= last_stop);
    ensure(fits, "stops", "fares in force name a later stop")
}

fn stops(catalogue: &Catalogue, route: &Route) -> Result<(), Rejection> {
    let enough = (STOPS_MIN..=STOPS_MAX).contains(&route.stops.len());
    ensure(enough, "stops", "are fewer than 2 or more than 64")?;
    let mut left = None;
    for (index, stop) in route.stops.iter().enumerate() {
        let field = |name: &str| format!("stops[{index}].{name}");
        if !catalogue.ports.contains_key(&stop.port) {
            return Err(unknown(field("port"), &stop.port));
        }
        let next = route.stops.get(index + 1);
        ensure(next.is_none_or(|next| next.port != stop.port), &field("port"), "is followed by itself")?;
        match left {
            None => ensure(stop.departs_minutes == 0, &field("departsMinutes"), "the first stop is left at minute 0")?,
            Some(left) => {
                ensure(stop.arrives_minutes > left, &field("arrivesMinutes"), "is not after the stop before")?;
            }
        }
        ensure(stop.departs_minutes >= stop.arrives_minutes, &field("departsMinutes"), "is before the arrival")?;
        ensure(stop.departs_minutes <= ROUTE_MINUTES_MAX, &field("departsMinutes"), "is beyond two days")?;
        left = Some(stop.departs_minutes);
    }
    Ok(())
}

pub fn schedules(catalogue: &Catalogue, route: &RouteCode, schedules: &[Schedule]) -> Result<(), Rejection> {
    if !catalogue.routes.contains_key(route) {
        return Err(unknown("routeCode", route));
    }
    ensure(schedules.len() <= SCHEDULES_PER_ROUTE_MAX, "schedules", "are too many")?;
    let mut ids = BTreeSet::new();
    for (index, schedule) in schedules.iter().enumerate() {
        let field = |name: &str| format!("schedules[{index}].{name}");
        ensure(schedule.route == *route, &field("route"), "is another route")?;
        ensure(schedule.id.as_str().len() + DATE_SUFFIX_LEN <= CODE_LEN_MAX, &field("id"), "is too long")?;
        ensure(ids.insert(&schedule.id), &field("id"), "is there twice")?;
        let known = catalogue.schedules.get(&schedule.id).or_else(|| catalogue.withdrawn.get(&schedule.id));
        ensure(known.is_none_or(|known| known.route == *route), &field("id"), "belongs to another route")?;
        ensure(schedule.departs_minutes < ROUTE_MINUTES_MAX, &field("departs"), "is beyond the next day")?;
        dates(&field("firstDate"), [schedule.first_date, schedule.last_date].into_iter())?;
        ensure(schedule.first_date <= schedule.last_date, &field("lastDate"), "is before the first")?;
        dates(&field("exceptions"), schedule.exceptions.keys().copied())?;
    }
    Ok(())
}

/// Fares that name a class or stop which the route does not have would never apply: most likely a misspelling.
pub fn fares_fit_route(catalogue: &Catalogue, route: &Route, fares: &[Fare]) -> Result<(), Rejection> {
    let vehicle = catalogue.vehicles.get(&route.vehicle);
    for (index, fare) in fares.iter().enumerate() {
        if let Some(class) = &fare.seat_class
            && vehicle.is_none_or(|vehicle| vehicle.seat_map.class(class).is_none())
        {
            return Err(unknown(format!("fares[{index}].seatClass"), class));
        }
        let fits = fare.stretch.is_none_or(|stretch| route.stretch(stretch.board, stretch.alight).is_some());
        ensure(fits, &format!("fares[{index}].toStop"), "is not a stop of the route")?;
    }
    Ok(())
}
