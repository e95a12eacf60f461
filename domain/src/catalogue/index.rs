//! What searches need ready-made: which routes lead from where to where, each route's schedules, and every spelling of a
//! place. It follows the registers write by write, and knows which writes a search can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::departure_override::split_departure_id;
use super::template::Versions;
use super::{DepartureOverride, Marks, Names, Registers, Route, Schedule, Written};
use crate::departure::Stretch;
use crate::fare::FareTable;
use crate::ids::{PlaceCode, PortCode, RouteCode, ScheduleId};
use crate::promotion::{Automatic, Promotion};
use crate::refund_rule;
use crate::register;

/// A stretch of a route that leads from one port to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Connection {
    pub route: RouteCode,
    pub stretch: Stretch,
}

type ByDestination = BTreeMap<PortCode, Vec<Connection>>;

/// What a search can read is the same as long as this is: two of them are told apart by their `Arc`s.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Edition;

/// What searches need ready-made. Derived: never stored, compared only because all of a catalogue is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Index {
    pub edition: Arc<Edition>,
    /// By port of boarding, then of alighting; intermediate stops included.
    connections: Arc<BTreeMap<PortCode, Arc<ByDestination>>>,
    /// Each route's schedules on offer, by departure time and id.
    timetables: Arc<BTreeMap<RouteCode, Arc<[Arc<Schedule>]>>>,
    schedules: Schedules,
    /// Once on offer and no more. Kept so that no other route can take their ids.
    withdrawn: Schedules,
    /// Service dates on which a schedule departs at other times than its own: perhaps on another day.
    retimed: Arc<BTreeMap<ScheduleId, BTreeSet<Date>>>,
    /// Every spelling of a place, in lower case.
    pub places: Arc<BTreeMap<String, PlaceCode>>,
    /// The promotions that apply by themselves, by code.
    pub automatic: Arc<[Automatic]>,
    /// No search reads it: what writes of templates are told apart by.
    pub versions: Arc<Versions>,
}

type Schedules = Arc<BTreeMap<ScheduleId, Arc<Schedule>>>;

impl Index {
    pub fn of(registers: &Registers, withdrawn: Vec<Arc<Schedule>>, versions: Versions) -> Index {
        let mut index = Index { versions: Arc::new(versions), ..Index::default() };
        index.places_changed(registers);
        index.promotions_changed(registers);
        registers.routes.iter().for_each(|route| index.stops_changed(None, Some(route)));
        for timetable in registers.timetables.iter() {
            index.schedules_changed(&timetable.route, &[], &timetable.schedules);
        }
        registers.overrides.iter().for_each(|of| index.times_changed(of));
        index.withdrawn = Arc::new(withdrawn.into_iter().map(|schedule| (schedule.id.clone(), schedule)).collect());
        index
    }

    /// Follows what was written.
    pub fn follow(&mut self, written: &Written, registers: &Registers) {
        if self.apply(written, registers) {
            self.edition = Arc::default();
        }
    }

    /// Follows, and says whether a search can tell: it shows names of operators and ports and reads all of a timetable, but of a vehicle no
    /// more than the seats.
    fn apply(&mut self, written: &Written, registers: &Registers) -> bool {
        match written {
            Written::Operator(_) | Written::Port(_) => true,
            Written::Place(place) => {
                self.places_changed(registers);
                differs(place, |place| (place.spellings().collect::<BTreeSet<_>>(), place.ports.clone()))
            }
            Written::Vehicle(vehicle) => differs(vehicle, |vehicle| Arc::clone(&vehicle.seat_map)),
            Written::Calendar(calendar) => differs(calendar, |calendar| {
                calendar.holidays.iter().map(|holiday| holiday.date).collect::<BTreeSet<_>>()
            }),
            Written::Route(route) => {
                self.stops_changed(route.earlier(), route.now());
                let unnamed = |route: &Arc<Route>| Route {
                    names: Names::new("", ""),
                    marks: Marks::new(),
                    ..Route::clone(route)
                };
                differs(route, unnamed)
            }
            Written::Timetable(timetable) => {
                let schedules = |of: Option<&Arc<super::Timetable>>| of.map_or(Vec::new(), |it| it.schedules.clone());
                let (before, after) = (schedules(timetable.earlier()), schedules(timetable.now()));
                self.schedules_changed(&timetable.after.route, &before, &after);
                true
            }
            // What it says stands on every offer of its routes.
            Written::RefundRule(rule) => differs(rule, |rule| refund_rule::summary(rule)),
            Written::Merchant(merchant) => differs(merchant, |merchant| merchant.names.clone()),
            Written::Location(_) | Written::Device(_) | Written::Partner(_) | Written::PartnerAllotments(_) => false,
            Written::Promotion(promotion) => {
                self.promotions_changed(registers);
                let read = |of: Option<&Arc<Promotion>>| of.filter(|of| of.automatic).cloned();
                read(promotion.earlier()) != read(promotion.now())
            }
            Written::DepartureOverride(written) => {
                self.times_changed(&written.after);
                // Without one a departure is what its timetable says.
                let read = |of: Option<&Arc<DepartureOverride>>| of.map(|of| of.as_read()).unwrap_or_default();
                read(written.earlier()) != read(written.now())
            }
            Written::FareTable(table) => {
                differs(table, |table| FareTable { seat_lock_minutes: 1, ..FareTable::clone(table) })
            }
            Written::Template(template) => {
                Arc::make_mut(&mut self.versions).add(&template.after);
                true
            }
        }
    }

    fn places_changed(&mut self, registers: &Registers) {
        let places = registers.places.iter();
        let all = places.flat_map(|place| place.spellings().map(|spelling| (spelling, place.code.clone())));
        self.places = Arc::new(all.collect());
    }

    fn promotions_changed(&mut self, registers: &Registers) {
        let automatic = registers.promotions.entries().filter(|entry| entry.automatic);
        self.automatic = automatic.map(|entry| Automatic::new(Arc::clone(entry))).collect();
    }

    /// A route's stops have changed. `None`: it was not, or is not, there.
    fn stops_changed(&mut self, before: Option<&Arc<Route>>, after: Option<&Arc<Route>>) {
        if before.map(|route| &route.stops) == after.map(|route| &route.stops) {
            return;
        }
        let connections = Arc::make_mut(&mut self.connections);
        let earlier = || before.into_iter().flat_map(|route| pairs(route).map(move |pair| (route, pair)));
        for (route, (from, to, _)) in earlier() {
            if let Some(found) = connections.get_mut(from).and_then(|to_ports| Arc::make_mut(to_ports).get_mut(to)) {
                found.retain(|connection| connection.route != route.code);
            }
        }
        for (route, (from, to, stretch)) in
            after.into_iter().flat_map(|route| pairs(route).map(move |pair| (route, pair)))
        {
            let by_destination = Arc::make_mut(connections.entry(from.clone()).or_default());
            let found = by_destination.entry(to.clone()).or_default();
            found.push(Connection { route: route.code.clone(), stretch });
            found.sort_unstable_by(|a, b| (&a.route, a.stretch).cmp(&(&b.route, b.stretch)));
        }
        for (_, (from, to, _)) in earlier() {
            // Nothing empty stays behind, so that the same routes give the same index whatever came before.
            let Some(by_destination) = connections.get_mut(from) else { continue };
            if by_destination.get(to).is_some_and(Vec::is_empty) {
                Arc::make_mut(by_destination).remove(to);
            }
            if by_destination.is_empty() {
                connections.remove(from);
            }
        }
    }

    /// All schedules of a route have changed.
    fn schedules_changed(&mut self, route: &RouteCode, before: &[Arc<Schedule>], after: &[Arc<Schedule>]) {
        let on_offer = Arc::make_mut(&mut self.schedules);
        let gone = Arc::make_mut(&mut self.withdrawn);
        for schedule in before {
            on_offer.remove(&schedule.id);
            gone.insert(schedule.id.clone(), Arc::clone(schedule));
        }
        for schedule in after {
            gone.remove(&schedule.id);
            on_offer.insert(schedule.id.clone(), Arc::clone(schedule));
        }
        let mut schedules = after.to_vec();
        schedules.sort_unstable_by(|a, b| (a.departs_minutes, &a.id).cmp(&(b.departs_minutes, &b.id)));
        let timetables = Arc::make_mut(&mut self.timetables);
        if schedules.is_empty() {
            timetables.remove(route);
        } else {
            timetables.insert(route.clone(), schedules.into());
        }
    }

    fn times_changed(&mut self, of: &DepartureOverride) {
        let Some((schedule, date)) = split_departure_id(&of.departure) else { return };
        if !of.calls.is_empty() {
            let Ok(schedule) = schedule.parse() else { return };
            Arc::make_mut(&mut self.retimed).entry(schedule).or_default().insert(date);
        } else if let Some(dates) = Arc::make_mut(&mut self.retimed).get_mut(schedule) {
            // Nothing empty stays behind, as above.
            dates.remove(&date);
            if dates.is_empty() {
                Arc::make_mut(&mut self.retimed).remove(schedule);
            }
        }
    }

    /// See [`Index::retimed`].
    pub fn retimed(&self, schedule: &ScheduleId) -> impl Iterator<Item = Date> + '_ {
        self.retimed.get(schedule).into_iter().flatten().copied()
    }

    pub fn schedule(&self, id: &str) -> Option<&Arc<Schedule>> {
        self.schedules.get(id)
    }

    pub fn withdrawn(&self, id: &str) -> Option<&Arc<Schedule>> {
        self.withdrawn.get(id)
    }

    #[cfg(test)]
    pub fn all_schedules(&self) -> impl Iterator<Item = &Arc<Schedule>> {
        self.schedules.values()
    }

    #[cfg(test)]
    pub fn shares_schedules(&self, other: &Index) -> bool {
        Arc::ptr_eq(&self.schedules, &other.schedules)
    }

    pub fn all_withdrawn(&self) -> impl Iterator<Item = &Arc<Schedule>> {
        self.withdrawn.values()
    }

    pub fn schedules_of(&self, route: &RouteCode) -> &[Arc<Schedule>] {
        self.timetables.get(route).map_or(&[], |schedules| schedules)
    }

    pub fn connections(&self, from: &PortCode, to: &PortCode) -> &[Connection] {
        self.connections.get(from).and_then(|by_destination| by_destination.get(to)).map_or(&[], Vec::as_slice)
    }
}

/// Whether what a search reads of it is another than before.
fn differs<E, T: PartialEq>(written: &register::Written<E>, read: impl Fn(&Arc<E>) -> T) -> bool {
    written.earlier().map(&read) != written.now().map(&read)
}

/// Every pair of a route's stops in its direction.
fn pairs(route: &Route) -> impl Iterator<Item = (&PortCode, &PortCode, Stretch)> {
    route.stops.iter().zip(0_u8..).flat_map(move |(from, board)| {
        let later = route.stops.iter().zip(0_u8..).skip(usize::from(board) + 1);
        later.map(move |(to, alight)| (&from.port, &to.port, Stretch { board, alight }))
    })
}
