//! Rows from the catalogue.

use super::{
    DatesPart, ExceptionPart, FarePart, HolidayRow, MoneyPart, OperatorRow, PartyTierPart, PlaceRow, PortRow,
    RouteFaresRow, RouteRow, Row, ScheduleRow, SeatClassPart, SeatPart, StopPart, StretchPart, TimesPart, VehicleRow,
};
use crate::catalogue::{Catalogue, Event, Holiday, Operator, Place, Port, Route, Schedule, Vehicle};
use crate::fare::{Fare, FareTable};
use crate::ids::RouteCode;
use crate::money::Money;

impl Catalogue {
    /// The rows that these events have changed, as they are now: call it after `evolve`. `version` is the one of the
    /// record that will carry them.
    pub fn changed_rows(&self, events: &[Event], version: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        for event in events {
            match event {
                Event::OperatorPut(operator) => rows.push(operator_row(operator, version)),
                Event::PortPut(port) => rows.push(port_row(port, version)),
                Event::PlacePut(place) => rows.push(place_row(place, version)),
                Event::VehiclePut(vehicle) => rows.push(vehicle_row(vehicle, version)),
                Event::HolidaysPut { changed, removed } => {
                    rows.extend(changed.iter().map(|holiday| holiday_row(holiday, false, version)));
                    rows.extend(removed.iter().map(|holiday| holiday_row(holiday, true, version)));
                }
                Event::RoutePut(route) => rows.push(route_row(route, version)),
                Event::SchedulesPut { changed, withdrawn, .. } => {
                    rows.extend(changed.iter().map(|schedule| schedule_row(schedule, false, version)));
                    let gone = withdrawn.iter().filter_map(|id| self.withdrawn.get(id));
                    rows.extend(gone.map(|schedule| schedule_row(schedule, true, version)));
                }
                Event::FaresPut { route, table } => rows.push(fares_row(route, table, version)),
            }
        }
        rows
    }

    /// Everything, in an order in which nothing refers to what comes later. Removed holidays are not known any more.
    pub fn all_rows(&self, version: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        rows.extend(self.operators.values().map(|operator| operator_row(operator, version)));
        rows.extend(self.ports.values().map(|port| port_row(port, version)));
        rows.extend(self.places.values().map(|place| place_row(place, version)));
        rows.extend(self.vehicles.values().map(|vehicle| vehicle_row(vehicle, version)));
        rows.extend(self.holidays.values().map(|holiday| holiday_row(holiday, false, version)));
        rows.extend(self.routes.values().map(|route| route_row(route, version)));
        rows.extend(self.schedules.values().map(|schedule| schedule_row(schedule, false, version)));
        rows.extend(self.withdrawn.values().map(|schedule| schedule_row(schedule, true, version)));
        for (route, fares) in self.fares.iter() {
            let tables = fares.earlier.iter().chain([&fares.current]);
            rows.extend(tables.map(|table| fares_row(route, table, version)));
        }
        rows
    }
}

fn operator_row(operator: &Operator, version: u64) -> Row {
    Row::Operator(OperatorRow {
        code: operator.code.to_string(),
        version,
        name_zh: operator.names.zh.clone(),
        name_en: operator.names.en.clone(),
    })
}

fn port_row(port: &Port, version: u64) -> Row {
    Row::Port(PortRow {
        code: port.code.to_string(),
        version,
        name_zh: port.names.zh.clone(),
        name_en: port.names.en.clone(),
    })
}

fn place_row(place: &Place, version: u64) -> Row {
    Row::Place(PlaceRow {
        code: place.code.to_string(),
        version,
        name_zh: place.names.zh.clone(),
        name_en: place.names.en.clone(),
        aliases: place.aliases.clone(),
        ports: place.ports.iter().map(ToString::to_string).collect(),
        hot_weight: place.hot_weight,
    })
}

fn vehicle_row(vehicle: &Vehicle, version: u64) -> Row {
    let map = &vehicle.seat_map;
    let classes = map.classes.iter();
    let seats = map.seats.iter();
    Row::Vehicle(VehicleRow {
        code: vehicle.code.to_string(),
        version,
        name: vehicle.name.clone(),
        classes: classes
            .map(|class| SeatClassPart { code: class.code.to_string(), name: class.name.clone() })
            .collect(),
        seats: seats
            .map(|seat| SeatPart {
                label: seat.label.clone(),
                class: u32::from(seat.class),
                row: u32::from(seat.row),
                column: u32::from(seat.column),
            })
            .collect(),
        marks: vehicle.marks.iter().cloned().collect(),
    })
}

fn holiday_row(holiday: &Holiday, removed: bool, version: u64) -> Row {
    Row::Holiday(HolidayRow {
        date: holiday.date.to_string(),
        version,
        name: holiday.name.clone(),
        verified: holiday.verified,
        removed,
    })
}

fn route_row(route: &Route, version: u64) -> Row {
    let stops = route.stops.iter().map(|stop| StopPart {
        port: stop.port.to_string(),
        arrives_minutes: u32::from(stop.arrives_minutes),
        departs_minutes: u32::from(stop.departs_minutes),
    });
    Row::Route(RouteRow {
        code: route.code.to_string(),
        version,
        operator: route.operator.to_string(),
        mode: route.mode.code().to_owned(),
        name_zh: route.names.zh.clone(),
        name_en: route.names.en.clone(),
        time_zone: route.time_zone.name().to_owned(),
        stops: stops.collect(),
        vehicle: route.vehicle.to_string(),
        seat_lock_minutes: u32::from(route.seat_lock_minutes),
        booking_closes_minutes: u32::from(route.booking_closes_minutes),
        sales_window_days: u32::from(route.sales_window_days),
        blackout_dates: route.blackout.iter().map(ToString::to_string).collect(),
        status: route.status.code().to_owned(),
        marks: route.marks.iter().cloned().collect(),
    })
}

fn schedule_row(schedule: &Schedule, withdrawn: bool, version: u64) -> Row {
    let exceptions = schedule.exceptions.iter();
    Row::Schedule(ScheduleRow {
        id: schedule.id.to_string(),
        version,
        route: schedule.route.to_string(),
        departs_minutes: u32::from(schedule.departs_minutes),
        weekdays: u32::from(schedule.weekdays.bits()),
        first_date: schedule.first_date.to_string(),
        last_date: schedule.last_date.to_string(),
        exceptions: exceptions.map(|(date, runs)| ExceptionPart { date: date.to_string(), runs: *runs }).collect(),
        withdrawn,
    })
}

fn fares_row(route: &RouteCode, table: &FareTable, version: u64) -> Row {
    let tiers = table.party_tiers.iter().map(|tier| PartyTierPart {
        min_party: u32::from(tier.min_party),
        discount_percent: u32::from(tier.discount_percent),
    });
    Row::RouteFares(RouteFaresRow {
        route: route.to_string(),
        revision: table.revision,
        version,
        effective_from_ms: table.effective_from.as_ms(),
        fares: table.fares.iter().map(fare_part).collect(),
        party_tiers: tiers.collect(),
    })
}

fn fare_part(fare: &Fare) -> FarePart {
    FarePart {
        passenger_type: fare.passenger_type.code().to_owned(),
        seat_class: fare.seat_class.as_ref().map(ToString::to_string),
        stretch: fare
            .stretch
            .map(|stretch| StretchPart { board: u32::from(stretch.board), alight: u32::from(stretch.alight) }),
        day_type: fare.day_type.code().to_owned(),
        dates: fare.dates.map(|dates| DatesPart { from: dates.from.to_string(), to: dates.to.to_string() }),
        times: fare.times.map(|times| TimesPart { from: u32::from(times.from), until: u32::from(times.until) }),
        price: Some(money_part(fare.price)),
        source_price: fare.source_price.map(money_part),
        assumed: fare.assumed,
    }
}

fn money_part(money: Money) -> MoneyPart {
    MoneyPart { amount: money.minor, currency: money.currency.code().to_owned() }
}
