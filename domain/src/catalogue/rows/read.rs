//! The catalogue from its rows. They were written from checked values, so anything that cannot be read is damage:
//! starting stops and says which row it is.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::{
    DatesPart, FarePart, HolidayRow, MoneyPart, OperatorRow, PlaceRow, PortRow, RouteFaresRow, RouteRow, Row,
    ScheduleRow, StretchPart, TimesPart, VehicleRow,
};
use crate::catalogue::{
    Catalogue, Event, FARE_REVISIONS_KEPT, Holiday, Names, Operator, Place, Port, Route, Schedule, Stop, Vehicle,
    Weekdays, Zone,
};
use crate::departure::{Seat, SeatClass, SeatMap, Stretch};
use crate::fare::{DateRange, Fare, FareTable, PartyTier, TimeBand};
use crate::ids::RouteCode;
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// A row that does not hold what was once written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {key} of {table}: {what} cannot be read")]
pub struct DamagedRow {
    pub table: &'static str,
    pub key: String,
    pub what: &'static str,
}

/// Which part of a row cannot be read.
type Damage = &'static str;

impl Catalogue {
    /// From the newest image of every row, in any order.
    pub fn from_rows(sale_currency: Currency, rows: impl IntoIterator<Item = Row>) -> Result<Catalogue, DamagedRow> {
        let mut catalogue = Catalogue::new(sale_currency);
        let mut schedules: BTreeMap<RouteCode, Vec<Arc<Schedule>>> = BTreeMap::new();
        let mut fares: BTreeMap<RouteCode, BTreeMap<u32, Arc<FareTable>>> = BTreeMap::new();
        for row in rows {
            let damaged = |what| DamagedRow { table: row.table(), key: row.key(), what };
            match &row {
                Row::Operator(row) => catalogue.evolve(&Event::OperatorPut(operator(row).map_err(damaged)?.into())),
                Row::Port(row) => catalogue.evolve(&Event::PortPut(port(row).map_err(damaged)?.into())),
                Row::Place(row) => catalogue.evolve(&Event::PlacePut(place(row).map_err(damaged)?.into())),
                Row::Vehicle(row) => catalogue.evolve(&Event::VehiclePut(vehicle(row).map_err(damaged)?.into())),
                Row::Holiday(row) if row.removed => {}
                Row::Holiday(row) => {
                    let changed = vec![holiday(row).map_err(damaged)?];
                    catalogue.evolve(&Event::HolidaysPut { changed, removed: Vec::new() });
                }
                Row::Route(row) => catalogue.evolve(&Event::RoutePut(route(row).map_err(damaged)?.into())),
                Row::Schedule(row) => {
                    let schedule = Arc::new(schedule(row).map_err(damaged)?);
                    if row.withdrawn {
                        Arc::make_mut(&mut catalogue.withdrawn).insert(schedule.id.clone(), schedule);
                    } else {
                        schedules.entry(schedule.route.clone()).or_default().push(schedule);
                    }
                }
                Row::RouteFares(row) => {
                    let (route, table) = fare_table(row).map_err(damaged)?;
                    fares.entry(route).or_default().insert(table.revision, Arc::new(table));
                }
            }
        }
        for (route, changed) in schedules {
            catalogue.evolve(&Event::SchedulesPut { route, changed, withdrawn: Vec::new() });
        }
        for (route, revisions) in fares {
            let surplus = revisions.len().saturating_sub(FARE_REVISIONS_KEPT);
            for table in revisions.into_values().skip(surplus) {
                catalogue.evolve(&Event::FaresPut { route: route.clone(), table });
            }
        }
        Ok(catalogue)
    }
}

fn parse<T: FromStr>(text: &str, what: Damage) -> Result<T, Damage> {
    text.parse().map_err(|_| what)
}

fn number<T: TryFrom<u32>>(number: u32, what: Damage) -> Result<T, Damage> {
    T::try_from(number).map_err(|_| what)
}

fn operator(row: &OperatorRow) -> Result<Operator, Damage> {
    Ok(Operator { code: parse(&row.code, "code")?, names: Names::new(&row.name_zh, &row.name_en) })
}

fn port(row: &PortRow) -> Result<Port, Damage> {
    Ok(Port { code: parse(&row.code, "code")?, names: Names::new(&row.name_zh, &row.name_en) })
}

fn place(row: &PlaceRow) -> Result<Place, Damage> {
    Ok(Place {
        code: parse(&row.code, "code")?,
        names: Names::new(&row.name_zh, &row.name_en),
        aliases: row.aliases.clone(),
        ports: row.ports.iter().map(|port| parse(port, "ports")).collect::<Result<_, _>>()?,
        hot_weight: row.hot_weight,
    })
}

fn vehicle(row: &VehicleRow) -> Result<Vehicle, Damage> {
    let classes = row
        .classes
        .iter()
        .map(|class| Ok(SeatClass { code: parse(&class.code, "classes")?, name: class.name.clone() }))
        .collect::<Result<_, Damage>>()?;
    let seats = row
        .seats
        .iter()
        .map(|seat| {
            Ok(Seat {
                label: seat.label.clone(),
                class: number(seat.class, "seats")?,
                row: number(seat.row, "seats")?,
                column: number(seat.column, "seats")?,
            })
        })
        .collect::<Result<_, Damage>>()?;
    Ok(Vehicle {
        code: parse(&row.code, "code")?,
        name: row.name.clone(),
        seat_map: Arc::new(SeatMap { classes, seats }),
        marks: row.marks.iter().cloned().collect(),
    })
}

fn holiday(row: &HolidayRow) -> Result<Holiday, Damage> {
    Ok(Holiday { date: parse(&row.date, "date")?, name: row.name.clone(), verified: row.verified })
}

fn route(row: &RouteRow) -> Result<Route, Damage> {
    let stops = row
        .stops
        .iter()
        .map(|stop| {
            Ok(Stop {
                port: parse(&stop.port, "stops")?,
                arrives_minutes: number(stop.arrives_minutes, "stops")?,
                departs_minutes: number(stop.departs_minutes, "stops")?,
            })
        })
        .collect::<Result<_, Damage>>()?;
    Ok(Route {
        code: parse(&row.code, "code")?,
        operator: parse(&row.operator, "operator")?,
        mode: parse(&row.mode, "mode")?,
        names: Names::new(&row.name_zh, &row.name_en),
        time_zone: Zone::named(&row.time_zone).map_err(|_| "time_zone")?,
        stops,
        vehicle: parse(&row.vehicle, "vehicle")?,
        seat_lock_minutes: number(row.seat_lock_minutes, "seat_lock_minutes")?,
        booking_closes_minutes: number(row.booking_closes_minutes, "booking_closes_minutes")?,
        sales_window_days: number(row.sales_window_days, "sales_window_days")?,
        blackout: row.blackout_dates.iter().map(|date| parse(date, "blackout_dates")).collect::<Result<_, _>>()?,
        status: parse(&row.status, "status")?,
        marks: row.marks.iter().cloned().collect(),
    })
}

fn schedule(row: &ScheduleRow) -> Result<Schedule, Damage> {
    let exceptions = row
        .exceptions
        .iter()
        .map(|exception| Ok((parse(&exception.date, "exceptions")?, exception.runs)))
        .collect::<Result<_, Damage>>()?;
    Ok(Schedule {
        id: parse(&row.id, "id")?,
        route: parse(&row.route, "route")?,
        departs_minutes: number(row.departs_minutes, "departs_minutes")?,
        weekdays: number(row.weekdays, "weekdays").ok().and_then(Weekdays::from_bits).ok_or("weekdays")?,
        first_date: parse(&row.first_date, "first_date")?,
        last_date: parse(&row.last_date, "last_date")?,
        exceptions,
    })
}

fn fare_table(row: &RouteFaresRow) -> Result<(RouteCode, FareTable), Damage> {
    let party_tiers = row
        .party_tiers
        .iter()
        .map(|tier| {
            Ok(PartyTier {
                min_party: number(tier.min_party, "party_tiers")?,
                discount_percent: number(tier.discount_percent, "party_tiers")?,
            })
        })
        .collect::<Result<_, Damage>>()?;
    let table = FareTable {
        revision: row.revision,
        effective_from: Timestamp::from_ms(row.effective_from_ms),
        fares: row.fares.iter().map(fare).collect::<Result<_, _>>()?,
        party_tiers,
    };
    Ok((parse(&row.route, "route")?, table))
}

fn fare(part: &FarePart) -> Result<Fare, Damage> {
    Ok(Fare {
        passenger_type: parse(&part.passenger_type, "fares")?,
        seat_class: part.seat_class.as_ref().map(|class| parse(class, "fares")).transpose()?,
        stretch: part.stretch.map(stretch).transpose()?,
        day_type: parse(&part.day_type, "fares")?,
        dates: part.dates.as_ref().map(dates).transpose()?,
        times: part.times.map(times).transpose()?,
        price: money(part.price.as_ref().ok_or("fares")?)?,
        source_price: part.source_price.as_ref().map(money).transpose()?,
        assumed: part.assumed,
    })
}

fn stretch(part: StretchPart) -> Result<Stretch, Damage> {
    Stretch::new(number(part.board, "fares")?, number(part.alight, "fares")?).ok_or("fares")
}

fn dates(part: &DatesPart) -> Result<DateRange, Damage> {
    DateRange::new(parse(&part.from, "fares")?, parse(&part.to, "fares")?).ok_or("fares")
}

fn times(part: TimesPart) -> Result<TimeBand, Damage> {
    TimeBand::new(number(part.from, "fares")?, number(part.until, "fares")?).ok_or("fares")
}

fn money(part: &MoneyPart) -> Result<Money, Damage> {
    Ok(Money::new(part.amount, parse(&part.currency, "fares")?))
}
