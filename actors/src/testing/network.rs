//! What is sold in the tests: a coach of five stops and a ferry of two, both the day after tomorrow.

use std::collections::BTreeMap;
use std::sync::Arc;

use deeptravel_domain::catalogue::{
    Change, Command, Marks, Mode, Names, Operator, Port, Route, RouteStatus, RulesByChannel, Schedule, Stop, Timetable,
    Vehicle, Weekdays, Zone, departure_id,
};
use deeptravel_domain::departure::{Seat, SeatClass, SeatMap};
use deeptravel_domain::fare::{DayType, Fare, FareTable};
use deeptravel_domain::ids::DepartureId;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::time::Timestamp;
use jiff::civil::{Date, date};

/// Friday 20 November 2026, noon in Hong Kong: when every test starts.
pub const NOON: Timestamp = Timestamp::from_ms(1_795_147_200_000);
/// The day of the departures that are sold.
pub const SUNDAY: Date = date(2026, 11, 22);
/// Every journey costs this, in fen.
pub const FARE: i64 = 5_000;

pub fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub fn coach() -> DepartureId {
    departure_id(&code("coach-0800"), SUNDAY).unwrap()
}

pub fn ferry() -> DepartureId {
    departure_id(&code("ferry-0900"), SUNDAY).unwrap()
}

/// As an administrator writes.
pub fn put(content: impl Into<Change>) -> Command {
    Command::new(content, "admin")
}

/// Fares of so much for every passenger of a route.
pub fn fare_table(route: &str, minor: i64) -> FareTable {
    FareTable::new(code(route), fares(minor), Vec::new())
}

/// The commands that make the catalogue; coach and ferry with so many seats, in rows of four.
pub fn network(seats: u16) -> Vec<Command> {
    let operator = Operator { code: code("op"), names: Names::new("公司", "Company") };
    let port = |text| Port { code: code(text), names: Names::new("口岸", "Port") };
    let mut commands = vec![put(operator)];
    commands.extend(["A", "B", "C", "D", "E"].map(|text| put(port(text))));
    commands.push(put(vehicle(seats)));
    let coach_stops = [("A", 0, 0), ("B", 30, 35), ("C", 60, 65), ("D", 90, 95), ("E", 120, 120)];
    commands.extend(line("coach", Mode::Coach, &coach_stops, 8 * 60));
    commands.extend(line("ferry", Mode::Ferry, &[("A", 0, 0), ("E", 60, 60)], 9 * 60));
    commands
}

fn line(name: &str, mode: Mode, stops: &[(&str, u16, u16)], departs_minutes: u16) -> [Command; 3] {
    let schedule = Schedule {
        id: code(&format!("{name}-{:02}00", departs_minutes / 60)),
        route: code(name),
        departs_minutes,
        weekdays: Weekdays::DAILY,
        first_date: date(2026, 1, 1),
        last_date: date(2026, 12, 31),
        exceptions: BTreeMap::new(),
    };
    [put(route(name, mode, stops)), put(Timetable::new(code(name), [schedule])), put(fare_table(name, FARE))]
}

fn vehicle(seats: u16) -> Vehicle {
    let seat = |index: u16| Seat {
        label: format!("{:03}{}", index / 4 + 1, ["A", "B", "C", "D"][usize::from(index % 4)]),
        class: 0,
        row: index / 4,
        column: (index % 4) as u8,
    };
    let seat_map = SeatMap {
        classes: vec![SeatClass { code: code("standard"), names: Names::same("Standard") }],
        seats: (0..seats).map(seat).collect(),
    };
    Vehicle { code: code("bus"), names: Names::same("Bus"), seat_map: Arc::new(seat_map), marks: Marks::new() }
}

fn route(name: &str, mode: Mode, stops: &[(&str, u16, u16)]) -> Route {
    let stops = stops.iter().map(|(port, arrives, departs)| Stop {
        port: code(port),
        arrives_minutes: *arrives,
        departs_minutes: *departs,
    });
    Route {
        code: code(name),
        operator: code("op"),
        mode,
        names: Names::new("線", "Route"),
        time_zone: Zone::named("Asia/Hong_Kong").unwrap(),
        stops: stops.collect(),
        vehicle: code("bus"),
        booking_closes_minutes: 30,
        sales_window_days: 30,
        boarding_opens_minutes: None,
        refund_rules: RulesByChannel::default(),
        status: RouteStatus::OnSale,
        marks: Marks::new(),
    }
}

fn fares(minor: i64) -> Vec<Fare> {
    PassengerType::ALL
        .into_iter()
        .map(|passenger_type| Fare {
            passenger_type,
            seat_class: None,
            stretch: None,
            day_type: DayType::Any,
            dates: None,
            season: None,
            times: None,
            price: Money::new(minor, Currency::Cny),
            source_price: None,
            assumed: false,
        })
        .collect()
}
