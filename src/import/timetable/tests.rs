//! The demo's timetable as a whole, and files with mistakes in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deeptravel_domain::catalogue::{Event, Holiday, Trip};
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::fare::Quote;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::names::Names;
use deeptravel_domain::party::{Party, PassengerType};
use deeptravel_domain::time::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, date};

use super::*;

/// Friday 20 November 2026, 00:00 in Hong Kong.
const NOW: Timestamp = Timestamp::from_ms(1_795_104_000_000);
const TODAY: Date = date(2026, 11, 20);

fn demo_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")
}

fn demo() -> Timetable {
    read(&demo_dir()).unwrap()
}

fn apply(catalogue: &mut Catalogue, timetable: Timetable) -> Vec<Event> {
    let told = timetable.commands.into_iter().flat_map(|command| tell(catalogue, &command));
    told.collect()
}

fn tell(catalogue: &mut Catalogue, command: &Command) -> Vec<Event> {
    let events = catalogue.decide(command, NOW).unwrap();
    catalogue.answer(command, &events).unwrap_or_else(|refused| panic!("{refused}: {command:?}"));
    catalogue.apply(&events, 1);
    events
}

fn demo_catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new(Currency::Cny);
    apply(&mut catalogue, demo());
    catalogue
}

/// Every departure of a route that is boarded at its first stop on a date.
fn departures<'a>(catalogue: &'a Catalogue, route: &str, on: Date) -> Vec<Trip<'a>> {
    let route = catalogue.route(route).unwrap();
    let place = |stop: usize| catalogue.places().find(|place| place.ports.contains(&route.stops[stop].port)).unwrap();
    catalogue
        .trips(place(0), place(route.stops.len() - 1), on)
        .filter(|trip| trip.route.code == route.code && trip.stretch == route.whole())
        .collect()
}

fn quote(catalogue: &Catalogue, trip: &Trip<'_>, class: &str, party: Party) -> Quote {
    catalogue.quote(trip, &class.parse().unwrap(), party).unwrap()
}

/// The published price of one adult on the departure of a date and local time, in cents of Hong Kong.
fn adult_hkd(catalogue: &Catalogue, route: &str, class: &str, on: Date, (hour, minute): (u16, u16)) -> i64 {
    let trips = departures(catalogue, route, on);
    let trip = trips.iter().find(|trip| trip.boards_minute == hour * 60 + minute).unwrap();
    let quote = quote(catalogue, trip, class, Party::new(1, 0, 0).unwrap());
    let source = quote.lines[0].fare.source_price.unwrap();
    assert_eq!(source.currency, Currency::Hkd);
    assert_eq!(
        quote.total,
        Money::new((source.minor * 9_150 + 5_000) / 10_000, Currency::Cny),
        "both amounts are kept"
    );
    source.minor
}

#[test]
fn the_demo_has_departures_on_every_route_and_day_that_all_can_buy() {
    let catalogue = demo_catalogue();
    let family = Party::new(1, 1, 1).unwrap();
    for route in catalogue.routes() {
        for day in 0..30 {
            let on = TODAY + day.days();
            let trips = departures(&catalogue, route.code.as_str(), on);
            assert!(!trips.is_empty(), "{} on {on}", route.code);
            for trip in &trips {
                for class in &catalogue.vehicle(route.vehicle.as_str()).unwrap().seat_map.classes {
                    let quote = catalogue.quote(trip, &class.code, family).unwrap();
                    assert!(quote.lines.iter().all(|line| line.unit.minor > 0), "{} {}", route.code, class.code);
                    assert!(!catalogue.tier_quotes(trip, &class.code).unwrap().is_empty());
                }
                let spec = catalogue.departure_spec(&trip.departure_id()).unwrap();
                assert_eq!((spec.departs_at(), spec.calls.len()), (trip.departs_at, route.stops.len()));
            }
        }
    }
}

#[test]
fn the_demo_has_this_much_in_it() {
    let timetable = demo();
    assert_eq!(timetable.sale_currency, Currency::Cny);
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for left_out in &timetable.skipped {
        *skipped.entry(left_out.file).or_default() += 1;
    }
    let catalogue = demo_catalogue();
    let routes: Vec<_> = catalogue.routes().collect();
    let schedules: usize = routes.iter().map(|route| catalogue.schedules_of(&route.code).len()).sum();
    let fares: usize = routes.iter().map(|route| catalogue.fares(&route.code).unwrap().fares.len()).sum();
    assert_eq!((catalogue.registers().operators.iter().count(), catalogue.places().count()), (7, 6));
    assert_eq!((routes.len(), schedules, fares), (15, 498, 207));
    assert_eq!(skipped, BTreeMap::from([("fares.csv", 17), ("operators.csv", 5), ("vehicles.csv", 1)]));
}

#[test]
fn r_search_01_the_demo_sells_packages_two_of_them_with_journeys_of_its_timetable() {
    let catalogue = demo_catalogue();
    let mut sold: Vec<_> =
        catalogue.packages().map(|entry| (entry.product.unwrap(), entry.names.en.as_str())).collect();
    sold.sort_unstable();
    let named = ["Premium", "Pet Plan", "Deluxe", "Macau by ferry", "Zhuhai over the bridge"];
    assert_eq!(sold, (106..=110).zip(named).collect::<Vec<_>>());
    let with_journeys = catalogue.packages().filter(|entry| !entry.journeys.is_empty());
    let mut routes: Vec<_> =
        with_journeys.flat_map(|entry| entry.journeys.iter().map(|one| one.route.as_str())).collect();
    routes.sort_unstable();
    assert_eq!(routes, ["cwj-hk-mo", "hzm-hk-zh", "tjt-mo-hk"]);
    let family = Party::new(2, 1, 1).unwrap();
    for entry in catalogue.packages() {
        // A Friday and a Saturday: every passenger has a price on both.
        for day in [TODAY, TODAY + 1.days()] {
            assert!(catalogue.package_quote(entry, family, 1, Some(day)).unwrap().total.minor > 0, "{}", entry.id);
        }
    }
    let of_pets = catalogue.packages().find(|entry| entry.product == Some(107)).unwrap();
    assert_eq!(catalogue.promotion("PETPARTY").unwrap().template_ids, std::slice::from_ref(&of_pets.id));
    assert!(!catalogue.promotion("WELCOME").unwrap().automatic, "it takes nothing off unless its code is given");
}

#[test]
fn r_admin_04_importing_the_demo_again_changes_nothing() {
    let mut catalogue = demo_catalogue();
    let before = catalogue.clone();
    assert_eq!(apply(&mut catalogue, demo()), []);
    assert_eq!(catalogue, before);
    let rows = catalogue.all_rows(1);
    assert_eq!(Catalogue::from_rows(Currency::Cny, &rows).unwrap(), catalogue);
}

#[test]
fn years_that_the_timetable_does_not_name_any_more_have_no_holidays() {
    let mut catalogue = demo_catalogue();
    assert_eq!(demo().forgotten_years(&catalogue), []);
    let date = date(2031, 1, 1);
    let calendar = Calendar::of(vec![Holiday { date, names: Names::same("New Year"), verified: false }]).remove(0);
    tell(&mut catalogue, &put(calendar));
    assert!(catalogue.is_holiday(date));

    let forgotten = demo().forgotten_years(&catalogue);
    assert_eq!(forgotten.len(), 1);
    for command in &forgotten {
        assert_eq!(tell(&mut catalogue, command).len(), 1);
    }
    assert!(!catalogue.is_holiday(date));
}

#[test]
fn r_price_01_the_jet_costs_more_after_ten_past_five_in_november() {
    let catalogue = demo_catalogue();
    let on = |day: Date, time: (u16, u16)| adult_hkd(&catalogue, "cwj-hk-mo", "cotai_class", day, time);
    let (friday, saturday) = (TODAY, date(2026, 11, 21));
    assert_eq!([on(friday, (15, 30)), on(friday, (17, 0)), on(friday, (19, 0))], [16_000, 16_000, 20_000]);
    assert_eq!([on(saturday, (17, 0)), on(saturday, (19, 0))], [17_500, 20_000], "night is night at weekends too");
    assert_eq!(on(date(2026, 12, 25), (8, 30)), 17_500, "Christmas Day is a Friday");
    assert_eq!(on(date(2027, 1, 31), (19, 0)), 20_000, "the season goes over New Year");
    assert_eq!(adult_hkd(&catalogue, "cwj-hk-mo", "cotai_first", friday, (22, 30)), 32_700);
}

#[test]
fn r_price_01_the_bridge_bus_costs_more_from_midnight_to_six() {
    let catalogue = demo_catalogue();
    let on = |time: (u16, u16)| adult_hkd(&catalogue, "hzm-hk-mo", "standard", TODAY, time);
    assert_eq!([on((0, 0)), on((5, 50)), on((6, 0)), on((23, 50))], [7_000, 7_000, 6_500, 6_500]);
}

#[test]
fn r_price_01_the_coach_to_huanggang_costs_more_from_half_past_eleven_to_six() {
    let catalogue = demo_catalogue();
    let on = |time: (u16, u16)| adult_hkd(&catalogue, "ytr-hk-hg", "standard", TODAY, time);
    assert_eq!([on((22, 45)), on((23, 15)), on((23, 45))], [5_000, 5_000, 5_500]);
    assert_eq!([on((0, 15)), on((5, 45)), on((6, 45))], [5_500, 5_500, 5_000], "24:15 and 29:45 of the day before");
    let after_midnight = departures(&catalogue, "ytr-hk-hg", TODAY);
    let first = after_midnight.iter().min_by_key(|trip| trip.departs_at).unwrap();
    assert_eq!(first.departure_id().as_str(), "ytr-hk-hg-2415.20261119");
}

#[test]
fn r_price_02_a_fare_nobody_published_says_so() {
    let catalogue = demo_catalogue();
    let trips = departures(&catalogue, "ytr-hk-hg", TODAY);
    let quote = quote(&catalogue, &trips[0], "standard", Party::new(1, 1, 0).unwrap());
    let assumed: Vec<_> = quote.lines.iter().map(|line| (line.passenger_type, line.fare.assumed)).collect();
    assert_eq!(assumed, [(PassengerType::Adult, false), (PassengerType::Child, true)]);
    let marks = |route: &str| catalogue.route(route).unwrap().marks.iter().cloned().collect::<Vec<_>>();
    assert_eq!(marks("tjt-hk-mo"), ["observed_one_day"]);
    assert_eq!(marks("xl-sk-sw"), ["partial_list"]);
    assert_eq!(marks("dtc-hk-gz"), ["own_making"]);
}

#[test]
fn r_search_06_the_coach_of_five_stops_has_a_price_for_every_stretch() {
    let catalogue = demo_catalogue();
    let trips = departures(&catalogue, "dtc-hk-gz", TODAY);
    assert_eq!(trips[0].route.stops.len(), 5);
    let price = |board: u8, alight: u8| {
        let trip = catalogue.trip(&trips[0].departure_id(), Stretch::new(board, alight).unwrap()).unwrap();
        quote(&catalogue, &trip, "standard", Party::new(1, 0, 0).unwrap()).total.minor
    };
    let all: Vec<_> = (0..5).flat_map(|board| (board + 1..5).map(move |alight| (board, alight))).collect();
    let prices: Vec<_> = all.iter().map(|(board, alight)| price(*board, *alight)).collect();
    assert_eq!(prices, [1_500, 5_000, 9_000, 12_000, 4_500, 8_500, 11_500, 5_000, 8_000, 4_000]);
    let four = quote(&catalogue, &trips[0], "standard", Party::new(4, 0, 0).unwrap());
    assert_eq!(four.total.minor, 4 * 12_000 * 95 / 100, "a tier from four on");
}

#[test]
fn r_search_01_places_are_found_by_what_people_type() {
    let catalogue = demo_catalogue();
    for (text, code) in
        [("香港", "HK"), ("澳门", "MO"), ("澳門", "MO"), ("macao", "MO"), ("Shenzhen", "SZ"), ("廣州", "GZ")]
    {
        assert_eq!(catalogue.place(text).unwrap().code.as_str(), code);
    }
    let hot: Vec<_> = catalogue.hot_cities().iter().map(|place| place.code.as_str()).collect();
    assert_eq!(hot, ["HK", "SZ", "MO", "ZH", "GZ", "DG"]);
}

#[test]
fn what_is_not_for_us_is_listed_with_its_reason() {
    let timetable = demo();
    let why = |part: &str| timetable.skipped.iter().filter(|skipped| skipped.why.contains(part)).count();
    assert_eq!(why("channel octopus"), 4);
    assert_eq!(why("channel online"), 1);
    assert_eq!(why("channel cash"), 1);
    assert_eq!(why("passenger type macau_resident"), 6);
    assert_eq!(why("passenger type unit_of_8"), 3);
    for operator in ["zsp", "ctg", "eeb", "til", "hme"] {
        assert!(why(&format!("operator {operator} has no route")) >= 1, "{operator}");
    }
    assert!(timetable.skipped.iter().all(|skipped| skipped.line > 1));
}

/// A copy of the demo with one file changed.
fn demo_with(file: &str, change: impl Fn(String) -> String) -> anyhow::Result<Timetable> {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(demo_dir()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
    read(dir.path())
}

fn mistake(file: &str, from: &str, to: &str) -> String {
    let changed = demo_with(file, |text| {
        assert!(text.contains(from));
        text.replacen(from, to, 1)
    });
    changed.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_mistake_names_file_line_and_column() {
    let time = mistake("departures.csv", "cwj-hk-mo,08:30", "cwj-hk-mo,8:30");
    assert_eq!(time, r#"departures.csv, line 2, column departs: "8:30" is not a time as HH:MM"#);
    let route = mistake("stops.csv", "\ncwj-hk-mo,MOTP", "\ncwj-hk-mo,MOPT");
    assert_eq!(route, "stops.csv, line 3, column port: MOPT is not in ports.csv");
    let class = mistake("fares.csv", "cotai_class", "cotai_klass");
    assert_eq!(class, "fares.csv, line 2, column class: vehicle austal48 of cwj-hk-mo has no such class");
    let band = mistake("fares.csv", "night_2330_0559", "night");
    assert!(band.ends_with("column band: night of ytr is not in bands.csv"), "{band}");
    let rate = mistake("rates.csv", "0.9150", "91.5%");
    assert_eq!(rate, r#"rates.csv, line 2, column rate: "91.5%" is not a rate as 0.9150"#);
    let amount = mistake("fares.csv", "16000", "160.00");
    assert!(amount.starts_with("fares.csv, line 2, column amount_minor: "), "{amount}");
    let currency = mistake("fares.csv", "HKD", "USD");
    assert!(currency.starts_with("fares.csv, line 2, column currency: "), "{currency}");
    let column = mistake("places.csv", "weight", "wieght");
    assert_eq!(column, "places.csv: column weight is missing");
    let extra = mistake("places.csv", "aliases", "alias");
    assert_eq!(extra, r#"places.csv: column "alias" is not known"#);
    let days = mistake("departures.csv", "partial_list", "sometimes");
    assert!(days.contains(", column days: "), "{days}");
    let headway = mistake("headways.csv", "06:45,23:15", "23:15,06:45");
    assert!(headway.starts_with("headways.csv, line 2, column until: "), "{headway}");
    assert!(mistake("routes.csv", "\ncwj-hk-mo,cwj", "\ncwj-hk-mo,wjc").contains("line 2, column operator"));
    assert!(mistake("timetable.csv", "Asia/Hong_Kong", "Asia/Hongkong2").contains("column time_zone"));
    assert!(mistake("vehicles.csv", "AB_CDE_FG", "ab_cde_fg").contains("line 2, column columns"));
}

#[test]
fn a_byte_order_mark_as_spreadsheets_write_it_is_passed() {
    assert_eq!(demo_with("ports.csv", |text| format!("\u{feff}{text}")).unwrap(), demo());
}

#[test]
fn a_directory_that_is_not_there_or_not_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()).unwrap_err().to_string(), "timetable.csv cannot be read");
    std::fs::write(dir.path().join("timetable.csv"), b"first_date\n\xFF\xFE\n").unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().starts_with("timetable.csv"));
}
