//! The catalogue as stories: a small network of a ferry and a coach of four stops.

#![allow(clippy::needless_pass_by_value)] // a story reads better without references

use std::collections::BTreeMap;

use jiff::civil::date;

use super::*;
use crate::departure::{Seat, SeatClass, SeatMap, Stretch};
use crate::fare::{DayType, Fare, PartyTier};
use crate::ids::{DepartureId, RouteCode, SeatClassCode};
use crate::money::Money;
use crate::party::{Party, PassengerType};
use crate::register::AuditRow;
use crate::row::tests::altered;
use crate::row::{Raw, Row as _, Rows};
use crate::tables::newest_version;
use crate::testing::Images;
use crate::time::Timestamp;
use crate::zone::plus_days;

/// Friday 20 November 2026, noon in Hong Kong.
pub(super) const NOON: Timestamp = Timestamp::from_ms(1_795_147_200_000);

pub(super) fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn stretch(board: u8, alight: u8) -> Stretch {
    Stretch::new(board, alight).unwrap()
}

pub(super) fn operator(text: &str) -> Operator {
    Operator { code: code(text), names: Names::new("公司", "Company") }
}

fn port(text: &str) -> Port {
    Port { code: code(text), names: Names::new("口岸", "Port") }
}

fn place(text: &str, zh: &str, en: &str, ports: &[&str], hot_weight: u32) -> Place {
    let ports = ports.iter().map(|port| code(port)).collect();
    Place { code: code(text), names: Names::new(zh, en), aliases: Vec::new(), ports, hot_weight }
}

pub(super) fn vehicle(seats: u16) -> Vehicle {
    let seats =
        (0..seats).map(|row| Seat { label: format!("{:02}A", row + 1), class: (row % 2) as u8, row, column: 0 });
    let classes = ["standard", "deluxe"].map(|class| SeatClass { code: code(class), names: Names::same(class) });
    let seat_map = Arc::new(SeatMap { classes: classes.to_vec(), seats: seats.collect() });
    Vehicle { code: code("bus"), names: Names::same("Bus"), seat_map, marks: Marks::new() }
}

fn route(text: &str, stops: &[(&str, u16, u16)]) -> Route {
    let stops = stops.iter().map(|(port, arrives, departs)| Stop {
        port: code(port),
        arrives_minutes: *arrives,
        departs_minutes: *departs,
    });
    Route {
        code: code(text),
        operator: code("op"),
        mode: Mode::Coach,
        names: Names::new("線", "Route"),
        time_zone: Zone::named("Asia/Hong_Kong").unwrap(),
        stops: stops.collect(),
        vehicle: code("bus"),
        booking_closes_minutes: 30,
        sales_window_days: SALES_WINDOW_DAYS_DEFAULT,
        boarding_opens_minutes: None,
        refund_rules: RulesByChannel::default(),
        status: RouteStatus::OnSale,
        marks: Marks::new(),
    }
}

pub(super) fn coach() -> Route {
    route("coach", &[("A", 0, 0), ("B", 30, 35), ("C", 90, 95), ("D", 150, 150)])
}

fn schedule(id: &str, route: &str, departs_minutes: u16) -> Schedule {
    Schedule {
        id: code(id),
        route: code(route),
        departs_minutes,
        weekdays: Weekdays::DAILY,
        first_date: date(2026, 1, 1),
        last_date: date(2026, 12, 31),
        exceptions: BTreeMap::new(),
    }
}

pub(super) fn fares(minor: i64) -> Vec<Fare> {
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
            source_price: Some(Money::new(minor + 1, Currency::Hkd)),
            assumed: false,
        })
        .collect()
}

pub(super) fn put(content: impl Into<Change>) -> Command {
    Command::new(content, "admin")
}

fn put_schedules(route: &str, schedules: Vec<Schedule>) -> Command {
    put(Timetable::new(code(route), schedules))
}

pub(super) fn fare_table(route: &str, fares: Vec<Fare>) -> FareTable {
    FareTable::new(code(route), fares, vec![PartyTier { min_party: 3, discount_percent: 5 }])
}

fn put_fares(route: &str, fares: Vec<Fare>) -> Command {
    put(fare_table(route, fares))
}

fn put_route(route: Route) -> Command {
    put(route)
}

fn put_holidays(holidays: Vec<Holiday>) -> Command {
    put(Calendar { year: 2026, holidays })
}

fn restore_fares(route: &str, content: Option<&str>) -> Command {
    Command::new(Change::restore(Key::FareTable(code(route)), None, content).unwrap(), "admin")
}

/// The fares in force, but for other blackout dates.
fn set_blackout(catalogue: &Catalogue, route: &str, dates: BTreeSet<Date>) -> Command {
    put(FareTable { blackout: dates, ..FareTable::clone(catalogue.fares(&code(route)).unwrap()) })
}

/// Coach A–B–C–D at 08:00 and 24:15, places `HK` (A, B) and `SZ` (C, D).
pub(super) fn network() -> Vec<Command> {
    let mut commands = vec![put(operator("op"))];
    commands.extend(["A", "B", "C", "D", "E"].map(|text| put(port(text))));
    commands.extend([
        put(place("HK", "香港", "Hong Kong", &["A", "B"], 90)),
        put(place("SZ", "深圳", "Shenzhen", &["C", "D"], 100)),
        put(place("XX", "無線", "Nowhere", &["E"], 0)),
        put(vehicle(4)),
        put_holidays(vec![Holiday { date: date(2026, 12, 25), names: Names::same("Christmas"), verified: false }]),
        put_route(coach()),
        put_schedules(
            "coach",
            vec![schedule("coach-0800", "coach", 480), schedule("coach-2415", "coach", 24 * 60 + 15)],
        ),
        put_fares("coach", fares(5_000)),
    ]);
    commands
}

pub(super) fn apply(catalogue: &mut Catalogue, command: Command) -> Vec<Event> {
    let events = decide(catalogue, &command).unwrap();
    catalogue.apply(&events, 1);
    events
}

/// As whoever told the command learns it.
pub(super) fn decide(catalogue: &Catalogue, command: &Command) -> Result<Vec<Event>, Rejection> {
    let events = catalogue.decide(command, NOON)?;
    catalogue.answer(command, &events).map(|_| events)
}

pub(super) fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new(Currency::Cny);
    for command in network() {
        assert_eq!(apply(&mut catalogue, command).len(), 1);
    }
    catalogue
}

fn refusal(command: Command) -> String {
    decide(&catalogue(), &command).unwrap_err().to_string()
}

fn trips<'a>(catalogue: &'a Catalogue, from: &str, to: &str, on: Date) -> Vec<Trip<'a>> {
    let (from, to) = (catalogue.place(from).unwrap(), catalogue.place(to).unwrap());
    catalogue.trips(from, to, on).collect()
}

#[test]
fn r_admin_04_what_is_already_so_changes_nothing() {
    let mut catalogue = catalogue();
    let before = catalogue.clone();
    for command in network() {
        assert_eq!(apply(&mut catalogue, command), [], "the same content again");
    }
    assert_eq!(catalogue, before);
}

#[test]
fn a_snapshot_keeps_what_it_had_while_the_catalogue_moves_on() {
    let mut catalogue = catalogue();
    let snapshot = Arc::new(catalogue.clone());
    apply(&mut catalogue, put_fares("coach", fares(6_000)));
    assert_eq!(snapshot.fares(&code("coach")).unwrap().revision, 1);
    assert_eq!(catalogue.fares(&code("coach")).unwrap().revision, 2);
    assert!(snapshot.index.shares_schedules(&catalogue.index), "what a write does not touch is shared");
}

#[test]
fn r_admin_03_r_admin_04_refusals_name_the_field() {
    let unknown_port = put(place("ZH", "珠海", "Zhuhai", &["A", "Q"], 0));
    assert_eq!(refusal(unknown_port), "ports[1]: Q is not known");
    let taken_name = put(place("ZH", "珠海", " hong kong", &["A"], 0));
    assert_eq!(refusal(taken_name), "name: hong kong is already HK");
    let other_operator = Route { operator: code("no"), ..coach() };
    assert_eq!(refusal(put_route(other_operator)), "operator: no is not known");
    let other_vehicle = Route { vehicle: code("no"), ..coach() };
    assert_eq!(refusal(put_route(other_vehicle)), "vehicle: no is not known");
    let lock = FareTable { seat_lock_minutes: 61, ..fare_table("coach", fares(5_000)) };
    assert_eq!(refusal(put(lock)), "seatLockMinutes: is not between 1 and 60");
    let nameless = Route { names: Names::new("", "x"), ..coach() };
    assert_eq!(refusal(put_route(nameless)), "name.zh: is empty");
    let nul = Route { names: Names::new("x\0", "x"), ..coach() };
    assert_eq!(refusal(put_route(nul)), "name.zh: has control characters");
}

#[test]
fn fault_17_a_name_that_nobody_can_see_or_that_turns_the_direction_of_writing_is_refused() {
    let named = |zh: &str, en: &str| put(Route { names: Names::new(zh, en), ..coach() });
    assert_eq!(refusal(named("\u{200b}\u{3164}", "x")), "name.zh: is empty");
    assert_eq!(refusal(named("線", "Route \u{202e}71")), "name.en: has control characters");
    let mut bus = vehicle(1);
    bus.names = Names::new("\u{2060}", "Bus");
    assert_eq!(refusal(put(bus)), "name.zh: is empty");
}

#[test]
fn r_search_06_stops_are_2_to_64_in_the_order_of_time() {
    let stops = |stops: &[(&str, u16, u16)]| refusal(put_route(route("new", stops)));
    assert_eq!(stops(&[("A", 0, 0)]), "stops: are fewer than 2 or more than 64");
    let many: Vec<_> = (0..65).map(|at| (["A", "B"][usize::from(at % 2)], at, at)).collect();
    assert_eq!(stops(&many), "stops: are fewer than 2 or more than 64");
    assert_eq!(stops(&[("A", 0, 0), ("Q", 10, 10)]), "stops[1].port: Q is not known");
    assert_eq!(stops(&[("A", 0, 5), ("B", 10, 10)]), "stops[0].departsMinutes: the first stop is left at minute 0");
    assert_eq!(
        stops(&[("A", 0, 0), ("B", 10, 15), ("C", 15, 20)]),
        "stops[2].arrivesMinutes: is not after the stop before"
    );
    assert_eq!(stops(&[("A", 0, 0), ("B", 10, 9)]), "stops[1].departsMinutes: is before the arrival");
    assert_eq!(stops(&[("A", 0, 0), ("A", 10, 10)]), "stops[0].port: is followed by itself");
}

#[test]
fn r_admin_04_a_seat_map_has_each_label_and_position_once() {
    let with = |change: fn(&mut SeatMap)| {
        let mut vehicle = vehicle(4);
        change(Arc::make_mut(&mut vehicle.seat_map));
        refusal(put(vehicle))
    };
    assert_eq!(with(|map| map.seats[2].label = "01A".to_owned()), "seats[2].label: is there twice");
    assert_eq!(with(|map| map.seats[2].class = 2), "seats[2].class: is not a class of the map");
    let order = "seats[2].row: seats are not in the order of row and column";
    assert_eq!(with(|map| map.seats[2].row = 1), order);
    assert_eq!(with(|map| map.seats.clear()), "seats: are none or too many");
    assert_eq!(with(|map| map.classes[1].code = code("standard")), "classes[1].code: is there twice");
}

#[test]
fn r_admin_04_schedules_belong_to_one_route_and_leave_room_for_a_date() {
    let put = |schedule: Schedule| refusal(put_schedules("coach", vec![schedule]));
    assert_eq!(refusal(put_schedules("ferry", vec![])), "routeCode: ferry is not known");
    assert_eq!(put(schedule("x", "other", 0)), "schedules[0].routeCode: is another route");
    assert_eq!(put(schedule(&"x".repeat(56), "coach", 0)), "schedules[0].scheduleId: is too long");
    assert_eq!(put(schedule("x", "coach", 2_880)), "schedules[0].departs: is beyond the next day");
    let backwards = Schedule { last_date: date(2025, 1, 1), ..schedule("x", "coach", 0) };
    assert_eq!(put(backwards), "schedules[0].until: is before the first day");

    let mut catalogue = catalogue();
    apply(&mut catalogue, put_route(route("ferry", &[("A", 0, 0), ("C", 50, 50)])));
    let taken = put_schedules("ferry", vec![schedule("coach-0800", "ferry", 480)]);
    let refused = decide(&catalogue, &taken).unwrap_err().to_string();
    assert_eq!(refused, "schedules[0].scheduleId: belongs to another route");
}

#[test]
fn r_search_01_a_place_is_found_by_code_and_by_name_in_both_languages() {
    let mut catalogue = catalogue();
    for text in ["SZ", "sz", "深圳", "Shenzhen", " SHENZHEN "] {
        assert_eq!(catalogue.place(text).map(|place| place.code.as_str()), Some("SZ"), "{text}");
    }
    assert_eq!(catalogue.place("Atlantis"), None);
    let renamed = Place { aliases: vec!["Bao'an".to_owned()], ..place("SZ", "深圳市", "Shenzhen", &["C"], 1) };
    apply(&mut catalogue, put(renamed));
    assert!(catalogue.place("bao'AN").is_some());
    assert_eq!(catalogue.place("深圳"), None, "an old spelling goes");
    let hot: Vec<_> = catalogue.hot_cities().iter().map(|place| place.code.to_string()).collect();
    assert_eq!(hot, ["HK", "SZ"], "by weight; 0 is not hot");
}

#[test]
fn r_search_06_a_trip_may_begin_and_end_at_any_stop() {
    let catalogue = catalogue();
    let found = trips(&catalogue, "hong kong", "深圳", date(2026, 11, 20));
    let mut seen: Vec<_> =
        found.iter().map(|trip| (trip.departure_id().to_string(), trip.stretch.board, trip.stretch.alight)).collect();
    seen.sort();
    let ways = [(0, 2), (0, 3), (1, 2), (1, 3)];
    let early = ways.map(|(board, alight)| ("coach-0800.20261120".to_owned(), board, alight));
    let late = ways.map(|(board, alight)| ("coach-2415.20261119".to_owned(), board, alight));
    assert_eq!(seen, [early, late].concat());
    assert_eq!(trips(&catalogue, "SZ", "HK", date(2026, 11, 20)), [], "not backwards");

    let from_b = found.iter().find(|trip| trip.stretch == stretch(1, 2)).unwrap();
    assert_eq!(from_b.departs_at.to_string(), "2026-11-20T00:35:00Z", "08:35 in Hong Kong");
    assert_eq!(from_b.arrives_at.to_string(), "2026-11-20T01:30:00Z");
    assert_eq!((from_b.boards_on, from_b.boards_minute), (date(2026, 11, 20), 8 * 60 + 35));
}

#[test]
fn a_departure_after_midnight_is_searched_by_the_day_it_leaves_and_named_by_its_service_date() {
    let catalogue = catalogue();
    let on_saturday = trips(&catalogue, "HK", "SZ", date(2026, 11, 21));
    let night = on_saturday.iter().find(|trip| trip.boards_minute == 15).unwrap();
    assert_eq!(night.service_date, date(2026, 11, 20));
    assert_eq!(night.departure_id().as_str(), "coach-2415.20261120");
    assert_eq!(night.departs_at.to_string(), "2026-11-20T16:15:00Z", "00:15 on Saturday");
}

#[test]
fn a_departure_id_gives_back_its_schedule_and_nothing_else_does() {
    let catalogue = catalogue();
    let spec = catalogue.departure_spec(&code("coach-2415.20261120")).unwrap();
    assert_eq!(spec.departs_at().to_string(), "2026-11-20T16:15:00Z");
    assert_eq!(spec.calls.len(), 4);
    assert_eq!(spec.calls[1].arrives_at.ms_since(spec.departs_at()), 30 * 60_000);
    assert_eq!(spec.calls[1].departs_at.ms_since(spec.departs_at()), 35 * 60_000);
    assert_eq!((spec.route.as_str(), spec.operator.as_str(), spec.booking_closes_minutes), ("coach", "op", 30));
    assert!(Arc::ptr_eq(&spec.seat_map, &catalogue.vehicle("bus").unwrap().seat_map));

    let not_there =
        ["coach-0800", "coach-0800.20261131", "coach-0800.2026112", "coach-0800.20270101", "x.20261120", ".20261120"];
    for text in not_there {
        assert_eq!(catalogue.departure_spec(&code(text)), None, "{text}");
    }
    let trip = catalogue.trip(&code("coach-0800.20261120"), stretch(1, 3)).unwrap();
    assert_eq!(trip.departure_id(), code::<DepartureId>("coach-0800.20261120"));
    assert_eq!(catalogue.trip(&code("coach-0800.20261120"), stretch(1, 4)), None, "there is no fifth stop");
}

#[test]
fn r_admin_04_weekdays_ranges_and_exceptions_pick_the_days() {
    let schedule = Schedule {
        weekdays: Weekdays::from_bits(0b001_0000).unwrap(),
        first_date: date(2026, 11, 1),
        last_date: date(2026, 11, 30),
        exceptions: BTreeMap::from([(date(2026, 11, 20), false), (date(2026, 12, 25), true)]),
        ..schedule("fridays", "coach", 480)
    };
    assert!(schedule.runs_on(date(2026, 11, 13)), "a Friday");
    assert!(!schedule.runs_on(date(2026, 11, 14)), "a Saturday");
    assert!(!schedule.runs_on(date(2026, 11, 20)), "a Friday called off");
    assert!(schedule.runs_on(date(2026, 12, 25)), "an extra day beyond the range");
    assert!(!schedule.runs_on(date(2026, 12, 4)), "a Friday beyond the range");
}

#[test]
fn clocks_that_change_neither_lose_nor_double_a_trip() {
    let mut catalogue = catalogue();
    // Boarded at the start, or 20 minutes before or after midnight a day later, but for the days in which an hour is
    // skipped or doubled.
    let long = route("coach", &[("A", 0, 0), ("B", 1_400, 1_400), ("A", 1_440, 1_440), ("D", 1_500, 1_500)]);
    let berlin = Route { time_zone: Zone::named("Europe/Berlin").unwrap(), ..long };
    apply(&mut catalogue, put_route(berlin));
    let schedules = vec![
        schedule("early", "coach", 20),
        schedule("late", "coach", 23 * 60 + 50),
        schedule("gap", "coach", 26 * 60 + 30),
    ];
    apply(&mut catalogue, put_schedules("coach", schedules));
    for first in [date(2026, 3, 20), date(2026, 10, 15)] {
        let mut seen = BTreeMap::new();
        for day in 0..20 {
            let on = plus_days(first, day).unwrap();
            for trip in trips(&catalogue, "HK", "SZ", on) {
                assert_eq!(trip.route.time_zone.local(trip.departs_at).date(), on);
                *seen.entry((trip.departure_id(), trip.stretch)).or_insert(0) += 1;
            }
        }
        assert!(seen.values().all(|times| *times == 1), "no trip on two days");
        // Every departure of the inner days is found, on all three ways.
        for day in 2..18 {
            let on = plus_days(first, day).unwrap();
            for id in ["early", "late", "gap"] {
                let id = departure_id(&code(id), on).unwrap();
                assert_eq!(seen.keys().filter(|(seen, _)| *seen == id).count(), 3, "{id}");
            }
        }
    }
}

#[test]
fn r_search_02_only_what_can_be_sold_is_sellable() {
    let mut catalogue = catalogue();
    let id: DepartureId = code("coach-0800.20261121");
    let starts_at = Timestamp::from_seconds(NOON.as_seconds() + 20 * 3600);
    let at = |catalogue: &Catalogue, way: Stretch, now: Timestamp| {
        catalogue.sellable(&catalogue.trip(&id, way).unwrap(), now)
    };
    let before = |minutes: i64| starts_at.plus_seconds(-60 * minutes);

    assert_eq!(at(&catalogue, stretch(0, 3), before(31)), Ok(()));
    assert_eq!(at(&catalogue, stretch(0, 3), before(30)), Err(Unsellable::BookingClosed));
    assert_eq!(at(&catalogue, stretch(1, 3), before(30)), Ok(()), "a later stop closes later");

    let dates = BTreeSet::from([date(2026, 11, 21)]);
    let blackout = set_blackout(&catalogue, "coach", dates);
    apply(&mut catalogue, blackout);
    assert_eq!(at(&catalogue, stretch(0, 3), before(31)), Err(Unsellable::Blackout));
    assert_eq!(catalogue.blackout_dates(2026, None).unwrap(), [date(2026, 11, 21)]);
    assert_eq!(catalogue.blackout_dates(2025, Some("coach")).unwrap(), []);
    assert!(catalogue.blackout_dates(2026, Some("no")).unwrap_err().to_string().starts_with("routeCode: "));

    let draft = Route { status: RouteStatus::Draft, ..coach() };
    apply(&mut catalogue, put_route(draft));
    assert_eq!(at(&catalogue, stretch(0, 3), before(31)), Err(Unsellable::NotOnSale));
    assert_eq!(trips(&catalogue, "HK", "SZ", date(2026, 11, 21)), [], "searches do not see drafts");
}

#[test]
fn r_search_05_dates_in_the_past_or_beyond_the_sales_window_are_refused() {
    let catalogue = catalogue();
    let check = |from: &str, to: &str, on: Date| {
        let (from, to) = (catalogue.place(from).unwrap(), catalogue.place(to).unwrap());
        catalogue.check_travel_date(from, to, on, NOON).map_err(|refused| refused.to_string())
    };
    let past = Err("travelDate: is in the past".to_owned());
    assert_eq!(check("HK", "SZ", date(2026, 11, 19)), past);
    assert_eq!(check("HK", "SZ", date(2026, 11, 20)), Ok(()));
    assert_eq!(check("HK", "SZ", date(2026, 12, 20)), Ok(()), "30 days ahead");
    let beyond = Err("travelDate: is sold up to 2026-12-20 so far".to_owned());
    assert_eq!(check("HK", "SZ", date(2026, 12, 21)), beyond);
    assert_eq!(check("HK", "XX", date(2026, 11, 19)), past, "also where nothing goes");
    let trip = catalogue.trip(&code("coach-0800.20261221"), stretch(0, 3)).unwrap();
    let refused = catalogue.sellable(&trip, NOON).unwrap_err().rejection("items[0].departureId");
    assert_eq!(refused.to_string(), "items[0].departureId: is sold up to 2026-12-20 so far");
}

#[test]
fn r_search_05_dates_change_with_the_first_midnight_of_any_route() {
    let mut catalogue = catalogue();
    let midnight = |catalogue: &Catalogue, now| catalogue.dates_change_at(now).to_string();
    assert_eq!(midnight(&catalogue, NOON), "2026-11-20T16:00:00Z");
    let last = Timestamp::from_seconds(NOON.as_seconds() + 12 * 3600).plus_ms(-1);
    assert_eq!(midnight(&catalogue, last), "2026-11-20T16:00:00Z");
    assert_eq!(midnight(&catalogue, last.plus_ms(1)), "2026-11-21T16:00:00Z");
    let tokyo = Route { time_zone: Zone::named("Asia/Tokyo").unwrap(), ..coach() };
    apply(&mut catalogue, put_route(tokyo));
    assert_eq!(midnight(&catalogue, NOON), "2026-11-20T15:00:00Z");
    assert_eq!(Catalogue::new(Currency::Cny).dates_change_at(NOON), Timestamp::MAX);
}

#[test]
fn r_admin_03_fares_are_revisions_and_may_wait_for_their_route() {
    let mut catalogue = catalogue();
    let events = apply(&mut catalogue, put_fares("coach", fares(6_000)));
    assert_eq!(catalogue.fares(&code("coach")).unwrap().revision, 2);
    let mut restored = catalogue.clone();
    apply(&mut restored, restore_fares("coach", events[0].audit.before.as_deref()));
    assert_eq!(restored.fares(&code("coach")).unwrap().fares, fares(5_000));

    apply(&mut catalogue, put_fares("new", fares(1)));
    assert_eq!(catalogue.fares(&code("new")).unwrap().revision, 1);
    assert_eq!(catalogue.route("new"), None, "a draft");

    let deluxe = Fare { seat_class: Some(code("delux")), ..fares(1).remove(0) };
    assert_eq!(refusal(put_fares("coach", vec![deluxe])), "fares[0].seatClass: delux is not known");
    let far = Fare { stretch: Some(stretch(0, 4)), ..fares(1).remove(0) };
    assert_eq!(refusal(put_fares("coach", vec![far.clone()])), "fares[0].toStop: is not a stop of the route");
    let to_d = Fare { stretch: Some(stretch(0, 3)), ..far };
    apply(&mut catalogue, put_fares("coach", vec![to_d]));
    let shorter = put_route(route("coach", &[("A", 0, 0), ("C", 30, 30)]));
    assert_eq!(decide(&catalogue, &shorter).unwrap_err().to_string(), "stops: fares in force name a later stop");
}

#[test]
fn only_the_latest_revision_stays_in_memory_and_earlier_ones_in_their_rows() {
    let mut catalogue = catalogue();
    let mut stored = Images::default();
    for (minor, version) in (1..100).zip(1..) {
        let events = apply(&mut catalogue, put_fares("coach", fares(minor)));
        stored.keep(&catalogue.changed_rows(&events, version)).unwrap();
    }
    let all = stored.all();
    let revisions = all.of().map(|row: Result<RouteFaresRow<'_>, _>| row.unwrap().revision);
    assert_eq!(revisions.collect::<Vec<_>>(), (2..=100).collect::<Vec<_>>());
    assert_eq!(catalogue.fares(&code("coach")).unwrap().revision, 100);
    assert_eq!(catalogue.all_rows(1).of::<RouteFaresRow<'_>>().count(), 1);

    let earlier = all.of().map(|row: Result<AuditRow<'_>, _>| row.unwrap()).filter(|row| row.revision < Some(100));
    for (row, minor) in earlier.zip(1..) {
        assert_eq!(row.revision, Some(minor as u32 + 1));
        apply(&mut catalogue, restore_fares("coach", row.after));
        assert_eq!(catalogue.fares(&code("coach")).unwrap().fares, fares(minor));
    }
}

#[test]
fn r_price_01_a_trip_is_priced_by_the_local_date_and_time_of_boarding() {
    let mut catalogue = catalogue();
    let mut weekend = fares(5_000);
    weekend.extend(fares(7_000).into_iter().map(|fare| Fare { day_type: DayType::WeekendOrHoliday, ..fare }));
    apply(&mut catalogue, put_fares("coach", weekend));
    let class: SeatClassCode = code("standard");
    let price = |id: &str| {
        let trip = catalogue.trip(&code(id), stretch(0, 3)).unwrap();
        catalogue.quote(&trip, &class, Party::new(1, 0, 0).unwrap()).unwrap().total.minor
    };
    assert_eq!(price("coach-0800.20261120"), 5_000, "Friday");
    assert_eq!(price("coach-2415.20261120"), 7_000, "Friday's 24:15 leaves on Saturday");
    assert_eq!(price("coach-2415.20261224"), 7_000, "and this one on Christmas Day, a Friday");
    let trip = catalogue.trip(&code("coach-0800.20261120"), stretch(0, 3)).unwrap();
    let refused = catalogue.quote(&trip, &code("sofa"), Party::new(1, 0, 0).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "seatClass: sofa is not known");
}

#[test]
fn r_admin_04_a_schedule_that_is_not_named_is_withdrawn_and_may_come_back() {
    let mut catalogue = catalogue();
    let id: DepartureId = code("coach-0800.20261120");
    apply(&mut catalogue, put_schedules("coach", vec![schedule("coach-2415", "coach", 24 * 60 + 15)]));
    assert_eq!(catalogue.departure_spec(&id), None);
    assert_eq!(trips(&catalogue, "HK", "SZ", date(2026, 11, 20)).len(), 4);
    let both = network().into_iter().find(|command| matches!(command.change, Change::Timetable(_)));
    let events = apply(&mut catalogue, both.unwrap());
    assert_eq!(catalogue.changed_rows(&events, 1).of::<ScheduleRow<'_>>().count(), 1);
    assert!(catalogue.departure_spec(&id).is_some());
    assert_eq!(catalogue.index, self::catalogue().index);
    let timetable = |catalogue: &Catalogue| catalogue.registers.timetables.get(&code::<RouteCode>("coach")).cloned();
    assert_eq!(timetable(&catalogue), timetable(&self::catalogue()));
}

#[test]
fn rows_give_the_machine_back() {
    let mut catalogue = Catalogue::new(Currency::Cny);
    let mut stored = Images::default();
    let mut commands = network();
    commands.extend([
        put_fares("coach", fares(6_000)),
        put_schedules(
            "coach",
            vec![Schedule {
                exceptions: BTreeMap::from([(date(2026, 11, 20), false)]),
                ..schedule("coach-2415", "coach", 24 * 60 + 15)
            }],
        ),
        put(FareTable { blackout: BTreeSet::from([date(2026, 11, 21)]), ..fare_table("coach", fares(6_000)) }),
        put_holidays(vec![Holiday {
            date: date(2026, 12, 26),
            names: Names::new("節禮日", "Boxing Day"),
            verified: true,
        }]),
    ]);
    for (command, version) in commands.into_iter().zip(1_u64..) {
        let events = apply(&mut catalogue, command);
        let rows = catalogue.changed_rows(&events, version);
        assert_eq!(newest_version(&rows), Ok(version));
        stored.keep(&rows).unwrap();
    }
    let read = Catalogue::from_rows(Currency::Cny, &stored.all()).unwrap();
    assert_eq!(read, catalogue);
    let mut backwards = Rows::default();
    let all = catalogue.all_rows(99);
    all.images().collect::<Vec<_>>().into_iter().rev().for_each(|(slot, image)| backwards.put_image(slot, image));
    let again = Catalogue::from_rows(Currency::Cny, &backwards).unwrap();
    assert_eq!(again, catalogue, "whatever their order");
}

#[test]
fn a_row_survives_its_bytes_and_reads_as_json() {
    let rows = catalogue().all_rows(7);
    let table = RouteFaresRow::TABLE;
    assert_ne!(rows.images_of(table).count(), 0);
    for image in rows.images_of(table) {
        let mut again = Vec::new();
        RouteFaresRow::read(image).unwrap().put(&mut again);
        assert_eq!(again, image);
        let json: serde_json::Value = serde_json::from_str(&table.to_json(image).unwrap()).unwrap();
        assert_eq!(json["effective_from"], "2026-11-20T04:00:00Z");
        assert_eq!(json["fares"][0]["price"]["amount"], 5_000);
    }
}

#[test]
fn a_damaged_row_is_named() {
    let port = PortRow { port_code: code("HKG"), version: 1, name_zh: "", name_en: "" };
    let mut image = Vec::new();
    port.put(&mut image);
    let mut damaged = Rows::default();
    let spoilt = altered(PortRow::TABLE, &image, "port_code", Some(Raw::Text(b"no such code")));
    damaged.put_image(PortRow::TABLE.slot, &spoilt);
    let damage = Catalogue::from_rows(Currency::Cny, &damaged).unwrap_err();
    assert_eq!(damage.to_string(), "row no such code of ports: port_code cannot be read");
}
