//! What is sold: operators, ports, places, vehicles, holidays, routes, schedules and fares (R-ADMIN-03, R-ADMIN-04).
//!
//! One owner keeps the [`Catalogue`] and shares it as an `Arc` snapshot: searches and orders read the snapshot they
//! have and are never blocked; a write clones the maps it touches, which hold `Arc`s, and publishes the new snapshot.
//! Departures, once born, own what they took from here ([`crate::departure`]). Who changed what (audit), the import of
//! files and the history pages are their callers' business.

mod checks;
mod model;
#[cfg(test)]
mod random_tests;
pub mod rows;
mod search;
#[cfg(test)]
mod tests;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use crate::fare::{Fare, FareTable, PartyTier};
use crate::ids::{OperatorCode, PlaceCode, PortCode, RouteCode, ScheduleId, VehicleCode};
use crate::machine::{Machine, Room};
use crate::money::Currency;
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::time::Timestamp;

pub use model::{
    Holiday, Marks, Mode, Names, Operator, Place, Port, Route, RouteStatus, SALES_WINDOW_DAYS_DEFAULT,
    SEAT_LOCK_MINUTES_DEFAULT, Schedule, Stop, Vehicle, Weekdays,
};
pub use search::{Trip, Unsellable, departure_id};
pub use zone::{UnknownZone, Zone};

/// Revisions of a fare table kept in memory, to be looked at and restored; older ones are in their rows only.
pub const FARE_REVISIONS_KEPT: usize = 50;

/// A change an administrator or an import asks for. Each replaces one thing as a whole, and is without effect when the
/// thing is already so.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    PutOperator(Operator),
    PutPort(Port),
    PutPlace(Place),
    PutVehicle(Vehicle),
    /// The whole calendar: dates that are not named are no holidays.
    PutHolidays(Vec<Holiday>),
    PutRoute(Box<Route>),
    /// All schedules of a route: those that are not named are withdrawn.
    PutSchedules {
        route: RouteCode,
        schedules: Vec<Schedule>,
    },
    /// A new revision of the fares. A code without a route makes a draft: fares that wait for their route.
    PutFares {
        route: RouteCode,
        fares: Vec<Fare>,
        party_tiers: Vec<PartyTier>,
    },
    SetBlackout {
        route: RouteCode,
        dates: BTreeSet<Date>,
    },
}

/// What has changed. Only what really changed is in it.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    OperatorPut(Arc<Operator>),
    PortPut(Arc<Port>),
    PlacePut(Arc<Place>),
    VehiclePut(Arc<Vehicle>),
    HolidaysPut { changed: Vec<Holiday>, removed: Vec<Holiday> },
    RoutePut(Arc<Route>),
    SchedulesPut { route: RouteCode, changed: Vec<Arc<Schedule>>, withdrawn: Vec<ScheduleId> },
    FaresPut { route: RouteCode, table: Arc<FareTable> },
}

/// The fare revisions of a route code.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RouteFares {
    current: Arc<FareTable>,
    /// By rising revision; with the current one at most [`FARE_REVISIONS_KEPT`].
    earlier: Vec<Arc<FareTable>>,
}

type Table<K, V> = Arc<BTreeMap<K, Arc<V>>>;

/// Everything that is sold. `Clone` costs a dozen reference counts.
#[derive(Clone, PartialEq, Debug)]
pub struct Catalogue {
    sale_currency: Currency,
    operators: Table<OperatorCode, Operator>,
    ports: Table<PortCode, Port>,
    places: Table<PlaceCode, Place>,
    vehicles: Table<VehicleCode, Vehicle>,
    holidays: Arc<BTreeMap<Date, Holiday>>,
    routes: Table<RouteCode, Route>,
    schedules: Table<ScheduleId, Schedule>,
    /// Once on offer and no more. Kept so that no other route can take their ids.
    withdrawn: Table<ScheduleId, Schedule>,
    fares: Table<RouteCode, RouteFares>,
    /// What searches need, derived from the tables above.
    index: search::Index,
}

impl Catalogue {
    /// An empty catalogue. All prices in it are in `sale_currency` (R-PRICE-02).
    pub fn new(sale_currency: Currency) -> Catalogue {
        Catalogue {
            sale_currency,
            operators: Table::default(),
            ports: Table::default(),
            places: Table::default(),
            vehicles: Table::default(),
            holidays: Arc::default(),
            routes: Table::default(),
            schedules: Table::default(),
            withdrawn: Table::default(),
            fares: Table::default(),
            index: search::Index::default(),
        }
    }

    fn decide_holidays(&self, holidays: &[Holiday]) -> Result<Vec<Event>, Rejection> {
        checks::holidays(holidays)?;
        let dates: BTreeSet<Date> = holidays.iter().map(|holiday| holiday.date).collect();
        let removed: Vec<Holiday> = self.holidays.values().filter(|old| !dates.contains(&old.date)).cloned().collect();
        let changed: Vec<Holiday> =
            holidays.iter().filter(|new| self.holidays.get(&new.date) != Some(new)).cloned().collect();
        let already = removed.is_empty() && changed.is_empty();
        Ok(if already { Vec::new() } else { vec![Event::HolidaysPut { changed, removed }] })
    }

    fn decide_schedules(&self, route: &RouteCode, schedules: &[Schedule]) -> Result<Vec<Event>, Rejection> {
        checks::schedules(self, route, schedules)?;
        let named: BTreeSet<&ScheduleId> = schedules.iter().map(|schedule| &schedule.id).collect();
        let withdrawn: Vec<ScheduleId> = self
            .schedules_of(route)
            .iter()
            .filter(|schedule| !named.contains(&schedule.id))
            .map(|schedule| schedule.id.clone())
            .collect();
        let changed: Vec<Arc<Schedule>> = schedules
            .iter()
            .filter(|schedule| self.schedules.get(&schedule.id).is_none_or(|old| **old != **schedule))
            .map(|schedule| Arc::new(schedule.clone()))
            .collect();
        let already = withdrawn.is_empty() && changed.is_empty();
        Ok(if already { Vec::new() } else { vec![Event::SchedulesPut { route: route.clone(), changed, withdrawn }] })
    }

    fn decide_fares(
        &self,
        route: &RouteCode,
        fares: &[Fare],
        party_tiers: &[PartyTier],
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        crate::fare::check_table(fares, party_tiers, self.sale_currency)?;
        if let Some(route) = self.routes.get(route) {
            checks::fares_fit_route(self, route, fares)?;
        }
        let current = self.fares(route);
        if current.is_some_and(|table| table.fares == fares && table.party_tiers == party_tiers) {
            return Ok(Vec::new());
        }
        let revision = current.map_or(Some(1), |table| table.revision.checked_add(1));
        let revision = revision.ok_or_else(|| Rejection::field("fares", "there are no revisions left"))?;
        let (fares, party_tiers) = (fares.to_vec(), party_tiers.to_vec());
        let table = Arc::new(FareTable { revision, effective_from: now, fares, party_tiers });
        Ok(vec![Event::FaresPut { route: route.clone(), table }])
    }

    fn evolve_schedules(&mut self, changed: &[Arc<Schedule>], withdrawn: &[ScheduleId]) {
        let on_offer = Arc::make_mut(&mut self.schedules);
        let gone = Arc::make_mut(&mut self.withdrawn);
        for id in withdrawn {
            if let Some(schedule) = on_offer.remove(id) {
                gone.insert(id.clone(), schedule);
            }
        }
        for schedule in changed {
            gone.remove(&schedule.id);
            on_offer.insert(schedule.id.clone(), Arc::clone(schedule));
        }
    }

    fn evolve_fares(&mut self, route: &RouteCode, table: &Arc<FareTable>) {
        let mut earlier = Vec::new();
        if let Some(before) = self.fares.get(route) {
            let surplus = (before.earlier.len() + 2).saturating_sub(FARE_REVISIONS_KEPT);
            earlier.extend(before.earlier.iter().skip(surplus).cloned());
            earlier.push(Arc::clone(&before.current));
        }
        insert(&mut self.fares, route, &Arc::new(RouteFares { current: Arc::clone(table), earlier }));
    }

    pub fn sale_currency(&self) -> Currency {
        self.sale_currency
    }

    pub fn operator(&self, code: &str) -> Option<&Arc<Operator>> {
        self.operators.get(code)
    }

    pub fn operators(&self) -> impl Iterator<Item = &Arc<Operator>> {
        self.operators.values()
    }

    pub fn port(&self, code: &str) -> Option<&Arc<Port>> {
        self.ports.get(code)
    }

    pub fn vehicle(&self, code: &str) -> Option<&Arc<Vehicle>> {
        self.vehicles.get(code)
    }

    pub fn route(&self, code: &str) -> Option<&Arc<Route>> {
        self.routes.get(code)
    }

    /// By code; drafts too.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// A schedule on offer.
    pub fn schedule(&self, id: &str) -> Option<&Arc<Schedule>> {
        self.schedules.get(id)
    }

    /// The schedules on offer of a route, by departure time and id.
    pub fn schedules_of(&self, route: &RouteCode) -> &[Arc<Schedule>] {
        self.index.schedules_of(route)
    }

    /// The fares in force.
    pub fn fares(&self, route: &RouteCode) -> Option<&Arc<FareTable>> {
        self.fares.get(route).map(|fares| &fares.current)
    }

    /// Earlier revisions that are still in memory, the oldest first.
    pub fn earlier_fares(&self, route: &RouteCode) -> &[Arc<FareTable>] {
        self.fares.get(route).map_or(&[], |fares| &fares.earlier)
    }

    /// Codes that have fares; those without a [`Catalogue::route`] are drafts (R-ADMIN-03).
    pub fn codes_with_fares(&self) -> impl Iterator<Item = &RouteCode> {
        self.fares.keys()
    }

    pub fn holidays(&self) -> impl Iterator<Item = &Holiday> {
        self.holidays.values()
    }

    pub fn is_holiday(&self, date: Date) -> bool {
        self.holidays.contains_key(&date)
    }
}

impl Machine for Catalogue {
    type Command = Command;
    type Event = Event;

    /// A vehicle or a route's fares may be large, and a clone costs a dozen reference counts.
    const ROOM: Room = Room::Exact;

    /// `now` dates a new revision of fares.
    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::PutOperator(operator) => {
                checks::names(&operator.names)?;
                Ok(put(&self.operators, &operator.code, operator, Event::OperatorPut))
            }
            Command::PutPort(port) => {
                checks::names(&port.names)?;
                Ok(put(&self.ports, &port.code, port, Event::PortPut))
            }
            Command::PutPlace(place) => {
                checks::place(self, place)?;
                Ok(put(&self.places, &place.code, place, Event::PlacePut))
            }
            Command::PutVehicle(vehicle) => {
                checks::vehicle(vehicle)?;
                Ok(put(&self.vehicles, &vehicle.code, vehicle, Event::VehiclePut))
            }
            Command::PutHolidays(holidays) => self.decide_holidays(holidays),
            Command::PutRoute(route) => {
                checks::route(self, route)?;
                Ok(put(&self.routes, &route.code, route, Event::RoutePut))
            }
            Command::PutSchedules { route, schedules } => self.decide_schedules(route, schedules),
            Command::PutFares { route, fares, party_tiers } => self.decide_fares(route, fares, party_tiers, now),
            Command::SetBlackout { route, dates } => {
                let found = self.routes.get(route).ok_or_else(|| checks::unknown("routeCode", route))?;
                let changed = Route { blackout: dates.clone(), ..Route::clone(found) };
                checks::route(self, &changed)?;
                Ok(put(&self.routes, route, &changed, Event::RoutePut))
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::OperatorPut(operator) => insert(&mut self.operators, &operator.code, operator),
            Event::PortPut(port) => insert(&mut self.ports, &port.code, port),
            Event::PlacePut(place) => {
                insert(&mut self.places, &place.code, place);
                self.index.places_changed(&self.places);
            }
            Event::VehiclePut(vehicle) => insert(&mut self.vehicles, &vehicle.code, vehicle),
            Event::HolidaysPut { changed, removed } => {
                let holidays = Arc::make_mut(&mut self.holidays);
                for holiday in removed {
                    holidays.remove(&holiday.date);
                }
                holidays.extend(changed.iter().map(|holiday| (holiday.date, holiday.clone())));
            }
            Event::RoutePut(route) => {
                let before = self.routes.get(&route.code);
                if before.is_none_or(|before| before.stops != route.stops) {
                    self.index.route_changed(before.map(|before| &**before), route);
                }
                insert(&mut self.routes, &route.code, route);
            }
            Event::SchedulesPut { route, changed, withdrawn } => {
                self.evolve_schedules(changed, withdrawn);
                self.index.schedules_changed(route, changed, withdrawn);
            }
            Event::FaresPut { route, table } => self.evolve_fares(route, table),
        }
    }

    fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        rows::changed(self, events, version)
    }

    fn wants_room(&self, _: &[Event]) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    fn when_due() -> Option<Command> {
        None
    }
}

/// The event that puts `new`, unless it is already there.
fn put<K: Ord, V: PartialEq + Clone>(table: &Table<K, V>, key: &K, new: &V, event: fn(Arc<V>) -> Event) -> Vec<Event> {
    let already = table.get(key).is_some_and(|old| **old == *new);
    if already { Vec::new() } else { vec![event(Arc::new(new.clone()))] }
}

fn insert<K: Ord + Clone, V>(table: &mut Table<K, V>, key: &K, value: &Arc<V>) {
    Arc::make_mut(table).insert(key.clone(), Arc::clone(value));
}
