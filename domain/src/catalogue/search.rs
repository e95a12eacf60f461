//! The questions that searches, orders and departures ask of the catalogue. They read a snapshot, allocate little and
//! look only at the schedules of routes that connect the two places.
//!
//! Dates: a departure's id carries its *service date*, with which its schedule's times begin. A traveller searches by
//! the *local date on which he boards*, which for 24:15, or for a late stop, is a later one. Fares and blackout dates
//! go by the date of boarding too.

use std::sync::Arc;

use jiff::civil::Date;

use super::departure_override::split_departure_id;
use super::index::Edition;
use super::{Catalogue, DepartureOverride, IncludedJourney, Place, Route, RouteStatus, Schedule, Stop, Template, Zone};
use crate::departure::{Call, DepartureSpec, Ride, SeatMap, Stretch};
use crate::fare::{self, FareQuery, FareTable, Quote, TierQuote};
use crate::ids::{DepartureId, RouteCode, ScheduleId, SeatClassCode};
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
    /// By the timetable, from the first stop.
    starts_at: Timestamp,
    /// What the departure has other than its timetable.
    differs: Option<&'a Arc<DepartureOverride>>,
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

    /// The times in force at a stop: the timetable's, or others (R-SEARCH-02).
    pub fn call(&self, stop: u8) -> Option<Call> {
        call_at(self.route, self.starts_at, self.differs, stop)
    }

    fn of(
        catalogue: &'a Catalogue,
        route: &'a Arc<Route>,
        schedule: &'a Arc<Schedule>,
        date: Date,
        stretch: Stretch,
    ) -> Option<Trip<'a>> {
        let starts_at = route.time_zone.instant(date, schedule.departs_minutes)?;
        let differs = catalogue.override_on(schedule, date);
        let departs_at = call_at(route, starts_at, differs, stretch.board)?.departs_at;
        let local = route.time_zone.local(departs_at);
        Some(Trip {
            route,
            schedule,
            service_date: date,
            stretch,
            departs_at,
            arrives_at: call_at(route, starts_at, differs, stretch.alight)?.arrives_at,
            boards_on: local.date(),
            boards_minute: minute_of_day(local),
            starts_at,
            differs,
        })
    }
}

/// When a departure that by its timetable begins at `starts_at` is at a stop. What was set for another number of stops does
/// not count: the route is another since.
fn call_at(route: &Route, starts_at: Timestamp, differs: Option<&Arc<DepartureOverride>>, stop: u8) -> Option<Call> {
    let Stop { arrives_minutes, departs_minutes, .. } = route.stops.get(usize::from(stop))?;
    let after = |minutes: u16| starts_at.plus_seconds(60 * i64::from(minutes));
    let differs = differs.filter(|of| of.calls.len() == route.stops.len());
    let call = Call { arrives_at: after(*arrives_minutes), departs_at: after(*departs_minutes) };
    Some(differs.and_then(|of| of.call(stop)).unwrap_or(call))
}

/// Why a trip is not sold now (R-SEARCH-02), in order of precedence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsellable {
    /// Sold only up to that date of travel so far.
    BeyondSalesWindow {
        last_date: Date,
    },
    NotOnSale,
    Cancelled,
    /// For good, or while its sale is stopped.
    BookingClosed,
    Blackout,
}

impl Unsellable {
    /// As an answer; `field` names what asked for the trip (`travelDate`, `items[0].departureId`).
    pub fn rejection(self, field: &str) -> Rejection {
        match self {
            Unsellable::BeyondSalesWindow { last_date } => beyond_sales_window(field, last_date),
            Unsellable::NotOnSale => Rejection::DepartureNotFound,
            Unsellable::Cancelled => Rejection::DepartureCancelled,
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

    /// The departures of a route on a service date, and whether the timetable has them; by id. The others were withdrawn, or do
    /// not run that day: they are there only if they were born before.
    pub fn departures_on(&self, route: &RouteCode, date: Date) -> Vec<(DepartureId, bool)> {
        let on_offer = self.schedules_of(route).iter().map(|schedule| (schedule, schedule.runs_on(date)));
        let withdrawn = self.index.all_withdrawn().filter(|schedule| schedule.route == *route);
        let all = on_offer.chain(withdrawn.map(|schedule| (schedule, false)));
        let mut departures: Vec<(DepartureId, bool)> =
            all.filter_map(|(schedule, runs)| Some((departure_id(&schedule.id, date)?, runs))).collect();
        departures.sort_unstable();
        departures
    }

    /// The route of a departure that exists or did: its schedule is on offer, or was.
    pub fn route_of(&self, id: &DepartureId) -> Option<&Arc<Route>> {
        let (schedule, _) = split_departure_id(id)?;
        let on_offer = self.schedule(schedule);
        let schedule = on_offer.or_else(|| self.withdrawn(schedule))?;
        self.registers.routes.get(&schedule.route)
    }

    /// What a departure is born from.
    pub fn departure_spec(&self, id: &DepartureId) -> Option<DepartureSpec> {
        let (schedule, route, date) = self.departure(id)?;
        let starts_at = route.time_zone.instant(date, schedule.departs_minutes)?;
        let differs = self.override_on(schedule, date);
        let stops = route.stops.iter().zip(0_u8..);
        Some(DepartureSpec {
            id: id.clone(),
            route: route.code.clone(),
            operator: route.operator.clone(),
            calls: stops.filter_map(|(_, stop)| call_at(route, starts_at, differs, stop)).collect(),
            booking_closes_minutes: route.booking_closes_minutes,
            seat_map: Arc::clone(self.seat_map_on(route, differs)?),
        })
    }

    /// Before it is born; a born departure publishes its own.
    pub fn seat_map(&self, trip: &Trip<'_>) -> Option<&Arc<SeatMap>> {
        self.seat_map_on(trip.route, trip.differs)
    }

    fn seat_map_on(&self, route: &Route, differs: Option<&Arc<DepartureOverride>>) -> Option<&Arc<SeatMap>> {
        let fitting = differs.and_then(|of| of.fitting.as_ref());
        let vehicle = fitting.map_or(&route.vehicle, |fitting| &fitting.vehicle);
        Some(&self.registers.vehicles.get(vehicle)?.seat_map)
    }

    /// Whether the departure was cancelled.
    pub fn is_cancelled(&self, departure: &DepartureId) -> bool {
        self.override_of(departure).is_some_and(|of| of.cancelled)
    }

    fn override_on(&self, schedule: &Schedule, date: Date) -> Option<&Arc<DepartureOverride>> {
        if self.registers.overrides.is_empty() {
            return None;
        }
        self.override_of(&departure_id(&schedule.id, date)?)
    }

    /// A stretch of one departure.
    pub fn trip(&self, id: &DepartureId, stretch: Stretch) -> Option<Trip<'_>> {
        let (schedule, route, date) = self.departure(id)?;
        Trip::of(self, route, schedule, date, route.stretch(stretch.board, stretch.alight)?)
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
        schedules.flat_map(move |schedule| self.trips_boarded_on(route, schedule, stretch, date))
    }

    /// The departures on which a package's journeys may be made, journey by journey: all trips that are boarded on its day,
    /// sellable or not.
    pub fn journeys_of(&self, template: &Template, service_date: Date) -> Vec<Vec<Trip<'_>>> {
        template.journeys.iter().map(|journey| self.trips_for(journey, service_date)).collect()
    }

    /// As [`Catalogue::journeys_of`], of one of them.
    pub fn trips_for(&self, journey: &IncludedJourney, service_date: Date) -> Vec<Trip<'_>> {
        let date = plus_days(service_date, i32::from(journey.day_offset));
        let trips = date.zip(self.route(journey.route.as_str())).map(|(date, route)| {
            let stretch = journey.stretch.unwrap_or_else(|| route.whole());
            self.trips_of(route, stretch, date).collect()
        });
        trips.unwrap_or_default()
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
        if trip.differs.is_some_and(|of| of.cancelled) {
            return Err(Unsellable::Cancelled);
        }
        if trip.differs.is_some_and(|of| of.stopped) || now >= trip.booking_closes_at() {
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

    /// The trips of one schedule that are boarded on a local date: usually one, none when it does not run. Only near
    /// midnight may a change of the clocks have moved the date, so that a neighbouring service date must be tried as well; and
    /// those that depart at other times than the schedule's may do so on that date.
    fn trips_boarded_on<'a>(
        &'a self,
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
        let near = [earlier, Some(days), later].map(|days| days.and_then(|days| plus_days(date, -days)));
        let retimed = self.index.retimed(&schedule.id).filter(move |date| !near.contains(&Some(*date)));
        near.into_iter()
            .flatten()
            .chain(retimed)
            .filter(|service_date| schedule.runs_on(*service_date))
            .filter_map(move |service_date| Trip::of(self, route, schedule, service_date, stretch))
            .filter(move |trip| trip.boards_on == date)
    }

    fn fare_query<'c>(
        &self,
        trip: &Trip<'_>,
        class: &'c SeatClassCode,
    ) -> Result<(&Entry<FareTable>, FareQuery<'c>), Rejection> {
        if self.seat_map(trip).is_none_or(|seat_map| seat_map.class(class).is_none()) {
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
