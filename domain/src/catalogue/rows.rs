//! The catalogue as rows: one per operator, port, place, vehicle, holiday, route and schedule, and one per revision of a
//! route's fares. Nothing is ever deleted: a holiday or schedule that goes is marked. Every row carries the version of the
//! catalogue's key with which it was written; the newest of a row wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::{
    Catalogue, Event, FARE_REVISIONS_KEPT, Holiday, Mode, Names, Operator, Place, Port, Route, RouteStatus, Schedule,
    Stop, Vehicle, Weekdays, Zone,
};
use crate::departure::{Seat, SeatClass, SeatMap};
use crate::fare::{Fare, FareTable, PartyTier};
use crate::ids::{OperatorCode, PlaceCode, PortCode, RouteCode, ScheduleId, VehicleCode};
use crate::machine::Machine as _;
use crate::money::Currency;
use crate::row;
use crate::row::{Damage, Element, First, Kind, List, Raw, Rows, Unreadable, part, text_fields};
use crate::time::Timestamp;

row! {
    pub struct OperatorRow<'a>: 16 "operators", First::Unknown;
    1 operator_code [Key]: OperatorCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
}

row! {
    pub struct PortRow<'a>: 17 "ports", First::Unknown;
    1 port_code [Key]: PortCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
}

row! {
    pub struct PlaceRow<'a>: 18 "places", First::Unknown;
    1 place_code [Key]: PlaceCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
    5 aliases: List<'a, String>,
    6 ports: List<'a, PortCode>,
    7 hot_weight: u32,
}

row! {
    pub struct VehicleRow<'a>: 19 "vehicles", First::Unknown;
    1 vehicle_code [Key]: VehicleCode,
    2 version: u64,
    3 name: &'a str,
    4 classes: List<'a, SeatClass>,
    5 seats: List<'a, Seat>,
    6 marks: List<'a, String>,
}

row! {
    pub struct HolidayRow<'a>: 20 "holidays", First::Unknown;
    1 day [Key]: Date,
    2 version: u64,
    3 name: &'a str,
    4 verified: bool,
    /// No holiday any more.
    5 removed: bool,
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
    10 seat_lock_minutes: u16,
    11 booking_closes_minutes: u16,
    12 sales_window_days: u16,
    13 blackout_dates: List<'a, Date>,
    14 status: RouteStatus,
    15 marks: List<'a, String>,
}

text_fields!(Zone: Text);
part!(Stop {
    1 port: PortCode,
    2 arrives_minutes: u16,
    3 departs_minutes: u16,
} => Some(Stop { port, arrives_minutes, departs_minutes }));

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    pub date: Date,
    pub runs: bool,
}

part!(Exception { 1 date: Date, 2 runs: bool } => Some(Exception { date, runs }));

impl Element<'_> for Weekdays {
    const ONE: Kind = Kind::Small;

    fn is_default(&self) -> bool {
        false
    }

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        self.bits().put_one(tag, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        Weekdays::from_bits(u8::get_one(raw)?).ok_or(Unreadable)
    }

    fn absent() -> Result<Self, Unreadable> {
        Err(Unreadable)
    }
}

row! {
    pub struct RouteFaresRow<'a>: 23 "route_fares", First::Unknown;
    1 route_code [Key]: RouteCode,
    2 revision [Key]: u32,
    3 version: u64,
    4 effective_from: Timestamp,
    5 fares: List<'a, Fare>,
    6 party_tiers: List<'a, PartyTier>,
}

/// The rows that these events have changed, as they are now.
pub(super) fn changed(catalogue: &Catalogue, events: &[Event], version: u64) -> Rows {
    let mut rows = Rows::default();
    for event in events {
        match event {
            Event::OperatorPut(operator) => put_operator(operator, version, &mut rows),
            Event::PortPut(port) => put_port(port, version, &mut rows),
            Event::PlacePut(place) => put_place(place, version, &mut rows),
            Event::VehiclePut(vehicle) => put_vehicle(vehicle, version, &mut rows),
            Event::HolidaysPut { changed, removed } => {
                for holiday in changed {
                    put_holiday(holiday, false, version, &mut rows);
                }
                for holiday in removed {
                    put_holiday(holiday, true, version, &mut rows);
                }
            }
            Event::RoutePut(route) => put_route(route, version, &mut rows),
            Event::SchedulesPut { changed, withdrawn, .. } => {
                for schedule in changed {
                    put_schedule(schedule, false, version, &mut rows);
                }
                let gone = withdrawn.iter().filter_map(|id| catalogue.withdrawn.get(id));
                gone.for_each(|schedule| put_schedule(schedule, true, version, &mut rows));
            }
            Event::FaresPut { route, table } => put_fares(route, table, version, &mut rows),
        }
    }
    rows
}

impl Catalogue {
    /// Everything, in an order in which nothing refers to what comes later. Removed holidays are not known any more.
    pub fn all_rows(&self, version: u64) -> Rows {
        let mut rows = Rows::default();
        self.operators.values().for_each(|operator| put_operator(operator, version, &mut rows));
        self.ports.values().for_each(|port| put_port(port, version, &mut rows));
        self.places.values().for_each(|place| put_place(place, version, &mut rows));
        self.vehicles.values().for_each(|vehicle| put_vehicle(vehicle, version, &mut rows));
        self.holidays.values().for_each(|holiday| put_holiday(holiday, false, version, &mut rows));
        self.routes.values().for_each(|route| put_route(route, version, &mut rows));
        self.schedules.values().for_each(|schedule| put_schedule(schedule, false, version, &mut rows));
        self.withdrawn.values().for_each(|schedule| put_schedule(schedule, true, version, &mut rows));
        for (route, fares) in self.fares.iter() {
            let tables = fares.earlier.iter().chain([&fares.current]);
            tables.for_each(|table| put_fares(route, table, version, &mut rows));
        }
        rows
    }

    /// From the newest image of every row, in any order.
    pub fn from_rows(sale_currency: Currency, rows: &Rows) -> Result<Catalogue, Damage> {
        let mut catalogue = Catalogue::new(sale_currency);
        for row in rows.of::<OperatorRow<'_>>() {
            let OperatorRow { operator_code: code, name_zh, name_en, .. } = row?;
            catalogue.evolve(&Event::OperatorPut(Arc::new(Operator { code, names: Names::new(name_zh, name_en) })));
        }
        for row in rows.of::<PortRow<'_>>() {
            let PortRow { port_code: code, name_zh, name_en, .. } = row?;
            catalogue.evolve(&Event::PortPut(Arc::new(Port { code, names: Names::new(name_zh, name_en) })));
        }
        for row in rows.of() {
            catalogue.evolve(&Event::PlacePut(Arc::new(place_of(row?))));
        }
        for row in rows.of() {
            catalogue.evolve(&Event::VehiclePut(Arc::new(vehicle_of(row?))));
        }
        for row in rows.of() {
            let HolidayRow { day: date, name, verified, removed, .. } = row?;
            if !removed {
                let changed = vec![Holiday { date, name: name.to_owned(), verified }];
                catalogue.evolve(&Event::HolidaysPut { changed, removed: Vec::new() });
            }
        }
        for row in rows.of() {
            catalogue.evolve(&Event::RoutePut(Arc::new(route_of(row?))));
        }
        catalogue.read_schedules(rows)?;
        catalogue.read_fares(rows)?;
        Ok(catalogue)
    }

    fn read_schedules(&mut self, rows: &Rows) -> Result<(), Damage> {
        let mut schedules: BTreeMap<RouteCode, Vec<Arc<Schedule>>> = BTreeMap::new();
        for row in rows.of() {
            let row: ScheduleRow<'_> = row?;
            let withdrawn = row.withdrawn;
            let schedule = Arc::new(schedule_of(row));
            if withdrawn {
                Arc::make_mut(&mut self.withdrawn).insert(schedule.id.clone(), schedule);
            } else {
                schedules.entry(schedule.route.clone()).or_default().push(schedule);
            }
        }
        for (route, changed) in schedules {
            self.evolve(&Event::SchedulesPut { route, changed, withdrawn: Vec::new() });
        }
        Ok(())
    }

    fn read_fares(&mut self, rows: &Rows) -> Result<(), Damage> {
        let mut fares: BTreeMap<RouteCode, BTreeMap<u32, Arc<FareTable>>> = BTreeMap::new();
        for row in rows.of() {
            let RouteFaresRow { route_code, revision, effective_from, fares: of_route, party_tiers, .. } = row?;
            let table =
                FareTable { revision, effective_from, fares: of_route.to_vec(), party_tiers: party_tiers.to_vec() };
            fares.entry(route_code).or_default().insert(revision, Arc::new(table));
        }
        for (route, revisions) in fares {
            let surplus = revisions.len().saturating_sub(FARE_REVISIONS_KEPT);
            for table in revisions.into_values().skip(surplus) {
                self.evolve(&Event::FaresPut { route: route.clone(), table });
            }
        }
        Ok(())
    }
}

fn put_operator(operator: &Operator, version: u64, rows: &mut Rows) {
    let Operator { code, names } = operator;
    rows.put(&OperatorRow { operator_code: code.clone(), version, name_zh: &names.zh, name_en: &names.en });
}

fn put_port(port: &Port, version: u64, rows: &mut Rows) {
    let Port { code, names } = port;
    rows.put(&PortRow { port_code: code.clone(), version, name_zh: &names.zh, name_en: &names.en });
}

fn put_place(place: &Place, version: u64, rows: &mut Rows) {
    rows.put(&PlaceRow {
        place_code: place.code.clone(),
        version,
        name_zh: &place.names.zh,
        name_en: &place.names.en,
        aliases: List::Of(&place.aliases),
        ports: List::Of(&place.ports),
        hot_weight: place.hot_weight,
    });
}

fn place_of(row: PlaceRow<'_>) -> Place {
    Place {
        code: row.place_code,
        names: Names::new(row.name_zh, row.name_en),
        aliases: row.aliases.to_vec(),
        ports: row.ports.to_vec(),
        hot_weight: row.hot_weight,
    }
}

fn put_vehicle(vehicle: &Vehicle, version: u64, rows: &mut Rows) {
    let marks: Vec<String> = vehicle.marks.iter().cloned().collect();
    rows.put(&VehicleRow {
        vehicle_code: vehicle.code.clone(),
        version,
        name: &vehicle.name,
        classes: List::Of(&vehicle.seat_map.classes),
        seats: List::Of(&vehicle.seat_map.seats),
        marks: List::Of(&marks),
    });
}

fn vehicle_of(row: VehicleRow<'_>) -> Vehicle {
    Vehicle {
        code: row.vehicle_code,
        name: row.name.to_owned(),
        seat_map: Arc::new(SeatMap { classes: row.classes.to_vec(), seats: row.seats.to_vec() }),
        marks: row.marks.to_vec().into_iter().collect(),
    }
}

fn put_holiday(holiday: &Holiday, removed: bool, version: u64, rows: &mut Rows) {
    let Holiday { date, name, verified } = holiday;
    rows.put(&HolidayRow { day: *date, version, name, verified: *verified, removed });
}

fn put_route(route: &Route, version: u64, rows: &mut Rows) {
    let blackout: Vec<Date> = route.blackout.iter().copied().collect();
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
        seat_lock_minutes: route.seat_lock_minutes,
        booking_closes_minutes: route.booking_closes_minutes,
        sales_window_days: route.sales_window_days,
        blackout_dates: List::Of(&blackout),
        status: route.status,
        marks: List::Of(&marks),
    });
}

fn route_of(row: RouteRow<'_>) -> Route {
    Route {
        code: row.route_code,
        operator: row.operator_code,
        mode: row.mode,
        names: Names::new(row.name_zh, row.name_en),
        time_zone: row.time_zone,
        stops: row.stops.to_vec(),
        vehicle: row.vehicle_code,
        seat_lock_minutes: row.seat_lock_minutes,
        booking_closes_minutes: row.booking_closes_minutes,
        sales_window_days: row.sales_window_days,
        blackout: row.blackout_dates.to_vec().into_iter().collect(),
        status: row.status,
        marks: row.marks.to_vec().into_iter().collect(),
    }
}

fn put_schedule(schedule: &Schedule, withdrawn: bool, version: u64, rows: &mut Rows) {
    let exceptions: Vec<Exception> =
        schedule.exceptions.iter().map(|(date, runs)| Exception { date: *date, runs: *runs }).collect();
    rows.put(&ScheduleRow {
        schedule_id: schedule.id.clone(),
        version,
        route_code: schedule.route.clone(),
        departs_minutes: schedule.departs_minutes,
        weekdays: schedule.weekdays,
        first_date: schedule.first_date,
        last_date: schedule.last_date,
        exceptions: List::Of(&exceptions),
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

fn put_fares(route: &RouteCode, table: &FareTable, version: u64, rows: &mut Rows) {
    rows.put(&RouteFaresRow {
        route_code: route.clone(),
        revision: table.revision,
        version,
        effective_from: table.effective_from,
        fares: List::Of(&table.fares),
        party_tiers: List::Of(&table.party_tiers),
    });
}
