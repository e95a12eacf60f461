//! The questions that searches, orders and departures ask of the catalogue. They read a snapshot, allocate little and
//! look only at the schedules of routes that connect the two places.
//!
//! Dates: a departure's id carries its *service date*, with which its schedule's times begin. A traveller searches by
//! the *local date on which he boards*, which for 24:15, or for a late stop, is a later one. Fares and blackout dates
//! go by the date of boarding too.

use std::sync::Arc;

use jiff::civil::Date;

use super::index::Edition;
use super::{Catalogue, IncludedJourney, Place, Route, RouteStatus, Schedule, Template, Zone};
use crate::departure::{Call, DepartureSpec, Ride, Stretch};
use crate::fare::{self, FareQuery, FareTable, Quote, TierQuote};
use crate::ids::{DepartureId, ScheduleId, SeatClassCode};
use crate::party::Party;
use crate::register::Entry;
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::zone::{minute_of_day, plus_days};

/// Clocks are set forward or back by at most so much: further from midnight the date of a time is certain.
const CLOCK_CHANGE_MINUTES_MAX: u16 = 180;

/// A way to travel: a stretch of one dated departure.
#[derive(Clone, PartialEq, Debug)]
pub struct Trip<'a> {
    pub route: &'a Arc<Route>,
    pub schedule: &'a Arc<Schedule>,
    /// The date in the departure's id.
    pub service_date: Date,
    pub stretch: Stretch,
    /// From the boarding stop.
    pub departs_at: Timestamp,
    /// At the alighting stop.
    pub arrives_at: Timestamp,
    /// The local date of boarding: the travel date.
    pub boards_on: Date,
    /// The local time of boarding, in minutes from midnight.
    pub boards_minute: u16,
}

impl<'a> Trip<'a> {
    pub fn departure_id(&self) -> DepartureId {
        departure_id(&self.schedule.id, self.service_date)
            .unwrap_or_else(|| unreachable!("schedule {} was put with room for a date", self.schedule.id))
    }

    /// From this instant on, the trip is no longer sold.
    pub fn booking_closes_at(&self) -> Timestamp {
        self.departs_at.plus_seconds(-60 * i64::from(self.route.booking_closes_minutes))
    }

    pub fn ride(&self) -> Ride {
        Ride { departs_at: self.departs_at, arrives_at: self.arrives_at }
    }

    /// When a ticket for it becomes good; `None`: when it is paid (R-TICKET-02).
    pub fn boards_from(&self) -> Option<Timestamp> {
        let minutes = self.route.boarding_opens_minutes?;
        Some(self.departs_at.plus_seconds(-60 * i64::from(minutes)))
    }

    fn of(route: &'a Arc<Route>, schedule: &'a Arc<Schedule>, date: Date, stretch: Stretch) -> Option<Trip<'a>> {
        let starts_at = route.time_zone.instant(date, schedule.departs_minutes)?;
        let board = route.stops.get(usize::from(stretch.board))?;
        let alight = route.stops.get(usize::from(stretch.alight))?;
        let departs_at = starts_at.plus_seconds(60 * i64::from(board.departs_minutes));
        let local = route.time_zone.local(departs_at);
        Some(Trip {
            route,
            schedule,
            service_date: date,
            stretch,
            departs_at,
            arrives_at: starts_at.plus_seconds(60 * i64::from(alight.arrives_minutes)),
            boards_on: local.date(),
            boards_minute: minute_of_day(local),
        })
    }
}

/// Why a trip is not sold now (R-SEARCH-02), in order of precedence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsellable {
    /// Sold only up to that date of travel so far.
    BeyondSalesWindow {
        last_date: Date,
    },
    NotOnSale,
    BookingClosed,
    Blackout,
}

impl Unsellable {
    /// As an answer; `field` names what asked for the trip (`travelDate`, `items[0].departureId`).
    pub fn rejection(self, field: &str) -> Rejection {
        match self {
            Unsellable::BeyondSalesWindow { last_date } => beyond_sales_window(field, last_date),
            Unsellable::NotOnSale => Rejection::DepartureNotFound,
            Unsellable::BookingClosed => Rejection::BookingClosed,
            Unsellable::Blackout => Rejection::Blackout,
        }
    }
}

fn beyond_sales_window(field: &str, last_date: Date) -> Rejection {
    Rejection::field(field.to_owned(), format!("is sold up to {last_date} so far"))
}

/// The id of a schedule's departure on a service date; `None` if the schedule's id leaves no room for the date, which
/// no schedule of a catalogue does.
pub fn departure_id(schedule: &ScheduleId, service_date: Date) -> Option<DepartureId> {
    let (year, month, day) = (service_date.year(), service_date.month(), service_date.day());
    format!("{schedule}.{year:04}{month:02}{day:02}").parse().ok()
}

/// The schedule and service date of a departure id in its one canonical form.
pub(super) fn split_departure_id(id: &DepartureId) -> Option<(&str, Date)> {
    let (schedule, digits) = id.as_str().rsplit_once('.')?;
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let year = i16::try_from(number / 10_000).ok()?;
    let date = Date::new(year, (number / 100 % 100) as i8, (number % 100) as i8).ok()?;
    Some((schedule, date))
}

impl Catalogue {
    /// The same as long as what a search can read is the same.
    pub fn edition(&self) -> &Arc<Edition> {
        &self.index.edition
    }

    /// A place by code or by any spelling of its name, whatever the case.
    pub fn place(&self, name_or_code: &str) -> Option<&Arc<Place>> {
        let code = self.index.places.get(&name_or_code.trim().to_lowercase())?;
        self.registers.places.get(code)
    }

    /// By code.
    pub fn places(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.registers.places.iter()
    }

    /// The places to suggest, heaviest first.
    pub fn hot_cities(&self) -> Vec<&Arc<Place>> {
        let mut hot: Vec<&Arc<Place>> = self.places().filter(|place| place.hot_weight > 0).collect();
        hot.sort_unstable_by(|a, b| b.hot_weight.cmp(&a.hot_weight).then_with(|| a.code.cmp(&b.code)));
        hot
    }

    /// The dates of a year on which a route, or any route on sale, is not sold; rising.
    pub fn blackout_dates(&self, year: i16, route: Option<&str>) -> Result<Vec<Date>, Rejection> {
        let routes: Vec<&Arc<Route>> = match route {
            Some(code) => vec![self.route(code).ok_or_else(|| super::checks::unknown("routeCode", &code))?],
            None => self.routes().filter(|route| route.status == RouteStatus::OnSale).collect(),
        };
        let blackout = routes.iter().filter_map(|route| self.fares(&route.code)).flat_map(|table| &table.blackout);
        let mut dates: Vec<Date> = blackout.copied().filter(|date| date.year() == year).collect();
        dates.sort_unstable();
        dates.dedup();
        Ok(dates)
    }

    /// The schedule, route and service date of a departure that exists: its schedule is on offer and runs that day.
    pub fn departure(&self, id: &DepartureId) -> Option<(&Arc<Schedule>, &Arc<Route>, Date)> {
        let (schedule, date) = split_departure_id(id)?;
        let schedule = self.schedule(schedule).filter(|schedule| schedule.runs_on(date))?;
        Some((schedule, self.registers.routes.get(&schedule.route)?, date))
    }

    /// What a departure is born from.
    pub fn departure_spec(&self, id: &DepartureId) -> Option<DepartureSpec> {
        let (schedule, route, date) = self.departure(id)?;
        let starts_at = route.time_zone.instant(date, schedule.departs_minutes)?;
        let after = |minutes: u16| starts_at.plus_seconds(60 * i64::from(minutes));
        let calls = route
            .stops
            .iter()
            .map(|stop| Call { arrives_at: after(stop.arrives_minutes), departs_at: after(stop.departs_minutes) });
        Some(DepartureSpec {
            id: id.clone(),
            route: route.code.clone(),
            operator: route.operator.clone(),
            calls: calls.collect(),
            booking_closes_minutes: route.booking_closes_minutes,
            seat_map: Arc::clone(&self.registers.vehicles.get(&route.vehicle)?.seat_map),
        })
    }

    /// A stretch of one departure.
    pub fn trip(&self, id: &DepartureId, stretch: Stretch) -> Option<Trip<'_>> {
        let (schedule, route, date) = self.departure(id)?;
        Trip::of(route, schedule, date, route.stretch(stretch.board, stretch.alight)?)
    }

    /// Every trip from one place to another that is boarded on a local date, sellable or not: by pair of ports, route,
    /// stretch and departure time. Routes in draft are left out.
    pub fn trips(&self, origin: &Place, destination: &Place, date: Date) -> impl Iterator<Item = Trip<'_>> {
        self.routes_between(origin, destination).flat_map(move |(route, stretch)| self.trips_of(route, stretch, date))
    }

    /// Every trip of a route along a stretch that is boarded on a local date, sellable or not, by departure time.
    pub(super) fn trips_of<'a>(
        &'a self,
        route: &'a Arc<Route>,
        stretch: Stretch,
        date: Date,
    ) -> impl Iterator<Item = Trip<'a>> {
        let schedules = self.schedules_of(&route.code).iter();
        schedules.flat_map(move |schedule| trips_boarded_on(route, schedule, stretch, date))
    }

    /// The departures on which a package's journeys may be made, journey by journey: all trips that are boarded on its day,
    /// sellable or not.
    pub fn journeys_of(&self, template: &Template, service_date: Date) -> Vec<Vec<Trip<'_>>> {
        let trips = |journey: &IncludedJourney| {
            let date = plus_days(service_date, i32::from(journey.day_offset));
            let route = self.route(journey.route.as_str());
            let trips = date.zip(route).map(|(date, route)| {
                let stretch = journey.stretch.unwrap_or_else(|| route.whole());
                self.trips_of(route, stretch, date).collect()
            });
            trips.unwrap_or_default()
        };
        template.journeys.iter().map(trips).collect()
    }

    fn routes_between(&self, origin: &Place, destination: &Place) -> impl Iterator<Item = (&Arc<Route>, Stretch)> {
        origin
            .ports
            .iter()
            .flat_map(|from| destination.ports.iter().map(move |to| (from, to)))
            .flat_map(|(from, to)| self.index.connections(from, to))
            .filter_map(|connection| Some((self.registers.routes.get(&connection.route)?, connection.stretch)))
            .filter(|(route, _)| route.status == RouteStatus::OnSale)
            // The iterator must not borrow the places.
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Whether anything between two places can be sold for a date at all (R-SEARCH-05): the date is not past, and
    /// within the sales window of one of the routes between them. Without such a route, of any route.
    /// Errors: a field rejection of `travelDate`.
    pub fn check_travel_date(
        &self,
        origin: &Place,
        destination: &Place,
        date: Date,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        self.check_travel_dates(origin, destination, ("travelDate", date, date), now)
    }

    /// As [`Catalogue::check_travel_date`], for one of several dates: the field that names them, the first and the last.
    pub fn check_travel_dates(
        &self,
        origin: &Place,
        destination: &Place,
        (field, first_wanted, last_wanted): (&'static str, Date, Date),
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let mut days: Vec<(Date, Date)> =
            self.routes_between(origin, destination).map(|(route, _)| sold_dates(route, now)).collect();
        if days.is_empty() {
            days = self.routes().map(|route| sold_dates(route, now)).collect();
        }
        let (Some(first), Some(last)) =
            (days.iter().map(|(first, _)| *first).min(), days.iter().map(|(_, last)| *last).max())
        else {
            return Ok(()); // An empty catalogue has no dates to be wrong about.
        };
        if last_wanted < first {
            return Err(Rejection::field(field, "is in the past"));
        }
        if first_wanted > last {
            return Err(beyond_sales_window(field, last));
        }
        Ok(())
    }

    /// When the local date changes next on any route or package: until then [`Catalogue::check_travel_date`] answers alike, and what
    /// [`Catalogue::sellable`] answers changes only when a trip's booking closes.
    pub fn dates_change_at(&self, now: Timestamp) -> Timestamp {
        let midnight = |zone: &Zone| plus_days(zone.local(now).date(), 1).and_then(|date| zone.instant(date, 0));
        let of_routes = self.routes().filter_map(|route| midnight(&route.time_zone));
        let of_packages = self.packages().filter_map(|template| midnight(&template.zone()));
        of_routes.chain(of_packages).min().unwrap_or(Timestamp::MAX)
    }

    /// Whether a trip is on sale now (R-SEARCH-02). Seats and fares are asked for elsewhere.
    pub fn sellable(&self, trip: &Trip<'_>, now: Timestamp) -> Result<(), Unsellable> {
        let (_, last_date) = sold_dates(trip.route, now);
        if trip.boards_on > last_date {
            return Err(Unsellable::BeyondSalesWindow { last_date });
        }
        if trip.route.status != RouteStatus::OnSale {
            return Err(Unsellable::NotOnSale);
        }
        if now >= trip.booking_closes_at() {
            return Err(Unsellable::BookingClosed);
        }
        if self.fares(&trip.route.code).is_some_and(|table| table.blackout.contains(&trip.boards_on)) {
            return Err(Unsellable::Blackout);
        }
        Ok(())
    }

    /// The price of a trip for a party. Errors: a field rejection of `passengers` when a type has no fare, of
    /// `seatClass` when the vehicle has no such class.
    pub fn quote(&self, trip: &Trip<'_>, class: &SeatClassCode, party: Party) -> Result<Quote, Rejection> {
        let (table, query) = self.fare_query(trip, class)?;
        fare::quote(table, &query, party)
    }

    /// What bigger parties would pay for a trip (R-SEARCH-07). Errors: as for [`Catalogue::quote`].
    pub fn tier_quotes(&self, trip: &Trip<'_>, class: &SeatClassCode) -> Result<Vec<TierQuote>, Rejection> {
        let (table, query) = self.fare_query(trip, class)?;
        fare::tier_quotes(table, &query)
    }

    fn fare_query<'c>(
        &self,
        trip: &Trip<'_>,
        class: &'c SeatClassCode,
    ) -> Result<(&Entry<FareTable>, FareQuery<'c>), Rejection> {
        let vehicle = self.registers.vehicles.get(&trip.route.vehicle);
        if vehicle.is_none_or(|vehicle| vehicle.seat_map.class(class).is_none()) {
            return Err(super::checks::unknown("seatClass", class));
        }
        let table = self
            .fares(&trip.route.code)
            .ok_or_else(|| Rejection::field("passengers", format!("route {} has no fares yet", trip.route.code)))?;
        let is_holiday = self.is_holiday(trip.boards_on);
        let query =
            FareQuery { class, stretch: trip.stretch, date: trip.boards_on, minute: trip.boards_minute, is_holiday };
        Ok((table, query))
    }
}

/// The first and the last local date of travel that a route sells now.
fn sold_dates(route: &Route, now: Timestamp) -> (Date, Date) {
    let today = route.time_zone.local(now).date();
    (today, plus_days(today, i32::from(route.sales_window_days)).unwrap_or(Date::MAX))
}

/// The trips of one schedule that are boarded on a local date: usually one, none when it does not run. Only near
/// midnight may a change of the clocks have moved the date, so that a neighbouring service date must be tried as well.
fn trips_boarded_on<'a>(
    route: &'a Arc<Route>,
    schedule: &'a Arc<Schedule>,
    stretch: Stretch,
    date: Date,
) -> impl Iterator<Item = Trip<'a>> {
    let offset = route.stops.get(usize::from(stretch.board)).map_or(0, |stop| stop.departs_minutes);
    let minutes = schedule.departs_minutes.saturating_add(offset);
    let (days, minute) = (i32::from(minutes / 1440), minutes % 1440);
    let earlier = (minute >= 1440 - CLOCK_CHANGE_MINUTES_MAX).then_some(days + 1);
    let later = (minute < CLOCK_CHANGE_MINUTES_MAX).then_some(days - 1);
    [earlier, Some(days), later]
        .into_iter()
        .flatten()
        .filter_map(move |days| plus_days(date, -days))
        .filter(|service_date| schedule.runs_on(*service_date))
        .filter_map(move |service_date| Trip::of(route, schedule, service_date, stretch))
        .filter(move |trip| trip.boards_on == date)
}
