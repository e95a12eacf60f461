//! Random commands against naive models: what is already so stays so, rows give the machine back, and searches find
//! what a look at every schedule, stop and day finds.

use jiff::civil::date;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::departure::{Call, Seat, SeatClass, SeatMap, Stretch};
use crate::fare::{DayType, Fare};
use crate::ids::DepartureId;
use crate::money::Money;
use crate::party::PassengerType;
use crate::testing::Images;
use crate::zone::plus_days;

const NOW: Timestamp = Timestamp::from_ms(1_795_147_200_000);
const PORTS: [&str; 4] = ["A", "B", "C", "D"];
const PLACES: [&str; 3] = ["P", "Q", "R"];
const ROUTES: [&str; 3] = ["r1", "r2", "r3"];

fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn put(content: impl Into<Change>) -> Command {
    Command::new(content, "admin")
}

fn one_of(codes: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(codes)
}

/// Around the days on which the clocks change in Berlin.
fn any_date() -> impl Strategy<Value = Date> {
    (20..=31_i8).prop_map(|day| date(2026, 3, day))
}

fn any_place() -> impl Strategy<Value = Command> {
    (one_of(&PLACES), btree_set(one_of(&PORTS), 0..4), 0..3_u32).prop_map(|(place, ports, hot_weight)| {
        put(Place {
            code: code(place),
            names: Names::new(format!("{place}地"), format!("{place} town {hot_weight}")),
            aliases: vec![],
            ports: ports.into_iter().map(code).collect(),
            hot_weight,
        })
    })
}

prop_compose! {
    fn any_route()(
        route in one_of(&ROUTES),
        ports in vec(one_of(&PORTS), 2..5),
        minutes in vec((1..800_u16, 0..30_u16), 4),
        zone in prop_oneof![Just("Asia/Hong_Kong"), Just("Europe/Berlin")],
        status in prop_oneof![3 => Just(RouteStatus::OnSale), 1 => Just(RouteStatus::Draft)],
        rule in proptest::option::weighted(0.2, Just(code("standard"))),
    ) -> Command {
        let mut left = 0;
        let stops = ports.iter().zip(minutes).enumerate().map(|(index, (port, (way, stay)))| {
            let arrives_minutes = if index == 0 { 0 } else { left + way };
            left = if index == 0 { 0 } else { arrives_minutes + stay };
            Stop { port: code(port), arrives_minutes, departs_minutes: left }
        });
        put(Route {
            code: code(route),
            operator: code("op"),
            mode: Mode::Coach,
            names: Names::new("線", "Route"),
            time_zone: Zone::named(zone).unwrap(),
            stops: stops.collect(),
            vehicle: code("bus"),
            booking_closes_minutes: 10,
            sales_window_days: SALES_WINDOW_DAYS_DEFAULT,
            boarding_opens_minutes: None,
            refund_rules: RulesByChannel { direct: rule, ota: None },
            status,
            marks: Marks::new(),
        })
    }
}

prop_compose! {
    fn any_schedules()(
        route in one_of(&ROUTES),
        schedules in btree_map(
            0..4_u8,
            (0..2_880_u16, 1..128_u8, any_date(), any_date(), btree_map(any_date(), any::<bool>(), 0..3)),
            0..4,
        ),
    ) -> Command {
        let schedules = schedules.into_iter().map(|(id, (departs_minutes, weekdays, a, b, exceptions))| Schedule {
            id: code(&format!("{route}-{id}")),
            route: code(route),
            departs_minutes,
            weekdays: Weekdays::from_bits(weekdays).unwrap(),
            first_date: a.min(b),
            last_date: a.max(b),
            exceptions,
        });
        put(Timetable::new(code(route), schedules))
    }
}

/// Moved by hours or days, also past midnight and over the change of the clocks; or as its timetable again.
fn any_override() -> impl Strategy<Value = Command> {
    let calls = prop_oneof![1 => Just(None), 3 => (-3_000..3_000_i64, 2..5_usize).prop_map(Some)];
    (one_of(&ROUTES), 0..4_u8, any_date(), calls, any::<bool>()).prop_map(|(route, schedule, day, calls, stopped)| {
        let departure = departure_id(&code(&format!("{route}-{schedule}")), day).unwrap();
        let midnight = Zone::named("Asia/Hong_Kong").unwrap().instant(day, 0).unwrap();
        let call = |minutes: i64| {
            let at = midnight.plus_seconds(60 * minutes);
            Call { arrives_at: at, departs_at: at }
        };
        let calls =
            calls.into_iter().flat_map(|(from, stops)| (0..stops).map(move |stop| call(from + 50 * stop as i64)));
        let fitting = stopped.then(|| Fitting { vehicle: code("bus"), revision: 1, capacities: vec![] });
        put(DepartureOverride { stopped, calls: calls.collect(), fitting, ..DepartureOverride::none(departure) })
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let fares = (one_of(&ROUTES), 0..3_i64, btree_set(any_date(), 0..3)).prop_map(|(route, minor, blackout)| {
        let fare = Fare {
            passenger_type: PassengerType::Adult,
            seat_class: None,
            stretch: Stretch::new(0, 1 + minor as u8),
            day_type: DayType::Any,
            dates: None,
            season: None,
            times: None,
            price: Money::new(minor, Currency::Cny),
            source_price: None,
            assumed: true,
        };
        put(FareTable { blackout, ..FareTable::new(code(route), vec![fare], vec![]) })
    });
    let holidays = btree_set(any_date(), 0..3).prop_map(|dates| {
        let holiday = |date| Holiday { date, names: Names::same("Holiday"), verified: true };
        put(Calendar { year: 2026, holidays: dates.into_iter().map(holiday).collect() })
    });
    let single_days =
        (one_of(&ROUTES), 0..4_u8, btree_map(any_date(), any::<bool>(), 0..3)).prop_map(|(route, id, exceptions)| {
            let schedule = code(&format!("{route}-{id}"));
            Command::new(Change::Timetable(Timetable::put_exceptions(code(route), schedule, exceptions)), "admin")
        });
    let redeeming = proptest::sample::select(redeeming_tests::redeemers());
    let templates =
        (one_of(&["One", "Two"]), proptest::option::of(one_of(&["a", "b"])), one_of(&PLACES), one_of(&ROUTES), 0..3_u8);
    let templates = templates.prop_map(|(name, token, place, route, kind)| {
        let journey = serde_json::json!([{ "routeCode": route, "seatClass": "standard", "dayOffset": kind }]);
        let entitlement = serde_json::json!([{
            "code": "E", "name": { "zh": "票", "en": "Entry" }, "quantity": 1 + kind, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": kind == 2, "validity": { "kind": "relative", "days": 1 },
        }]);
        let template = serde_json::json!({
            "name": { "zh": "套票", "en": name }, "versionToken": token, "places": [place],
            "status": if kind == 0 { "draft" } else { "active" },
            "journeys": if kind == 1 { journey } else { serde_json::json!([]) }, "entitlements": entitlement,
            "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": kind, "currency": "CNY" } }],
        });
        put(serde_json::from_value::<Template>(template).unwrap())
    });
    let promotions = (one_of(&["SPRING", "TEN"]), 0..120_u32, one_of(&ROUTES), proptest::option::of(1..3_u32));
    let promotions = promotions.prop_map(|(promotion, value, route, limit)| {
        let promotion = serde_json::json!({
            "code": promotion, "name": { "zh": "優惠", "en": "Offer" }, "automatic": value % 2 == 0, "kind": "percent",
            "value": value, "routeCodes": [route], "validFrom": "2026-03-01", "validUntil": "2026-03-31T12:00:00Z",
            "travelUntil": "2026-04-30", "channels": ["ota"], "limitPerTraveller": limit,
        });
        put(serde_json::from_value::<Promotion>(promotion).unwrap())
    });
    let partners = any::<bool>().prop_map(|disabled| put(Partner { disabled, ..partner_tests::klook() }));
    let withdrawal = prop_oneof![
        Just(Key::Promotion(code("SPRING"))),
        one_of(&PLACES).prop_map(|place| Key::Place(code(place))),
        one_of(&ROUTES).prop_map(|route| Key::Route(code(route))),
        Just(Key::RefundRule(code("standard"))),
        Just(Key::Merchant(code("museum"))),
        Just(Key::Location(code("hall"))),
        Just(Key::Device(code("reader-1"))),
    ];
    let withdrawal = withdrawal.prop_map(|key| Command::new(Change::withdraw(key), "admin"));
    prop_oneof![
        2 => any_override(), 2 => any_place(), 3 => any_route(), 4 => any_schedules(), 2 => single_days, 2 => fares,
        1 => holidays, 2 => redeeming, 2 => templates, 2 => promotions, 1 => partners, 2 => withdrawal,
    ]
}

/// An operator, a vehicle and the ports, so that random routes and places are mostly accepted.
fn basics() -> Vec<Command> {
    let seat_map = SeatMap {
        classes: vec![SeatClass { code: code("standard"), names: Names::same("Standard") }],
        seats: vec![Seat { label: "01A".to_owned(), class: 0, row: 1, column: 0 }],
    };
    let vehicle =
        Vehicle { code: code("bus"), names: Names::same("Bus"), seat_map: Arc::new(seat_map), marks: Marks::new() };
    let operator = Operator { code: code("op"), names: Names::new("公司", "Company") };
    let ports = PORTS.map(|port| put(Port { code: code(port), names: Names::new("口岸", "Port") }));
    [put(operator), put(vehicle)].into_iter().chain(ports).collect()
}

/// Looks at every stop of every schedule of every route, and at every service date anywhere near.
fn naive_trips(catalogue: &Catalogue, from: &Place, to: &Place, on: Date) -> BTreeSet<(DepartureId, Stretch)> {
    let mut found = BTreeSet::new();
    for schedule in catalogue.index.all_schedules() {
        let route = catalogue.route(schedule.route.as_str()).unwrap();
        for (board, alight) in (0..route.stops.len()).flat_map(|a| (a + 1..route.stops.len()).map(move |b| (a, b))) {
            let ports = (&route.stops[board].port, &route.stops[alight].port);
            let connects = from.ports.contains(ports.0) && to.ports.contains(ports.1);
            if !connects || route.status == RouteStatus::Draft {
                continue;
            }
            for days in -6..=6 {
                let service_date = plus_days(on, days).unwrap();
                let id = departure_id(&schedule.id, service_date).unwrap();
                let Some(spec) = catalogue.departure_spec(&id) else { continue };
                if route.time_zone.local(spec.calls[board].departs_at).date() == on {
                    found.insert((id, spec.stretch(board as u8, alight as u8).unwrap()));
                }
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn r_search_06_random_catalogues_survive_their_rows_and_are_searched_rightly(
        commands in vec(any_command(), 1..40),
        on in any_date(),
    ) {
        let mut catalogue = Catalogue::new(Currency::Cny);
        let mut stored = Images::default();
        for (command, version) in basics().into_iter().chain(commands).zip(1_u64..) {
            let events = catalogue.decide(&command, NOW).unwrap();
            stored.keep(&catalogue.apply(&events, version)).unwrap();
            if catalogue.answer(&command, &events).is_ok() {
                prop_assert_eq!(catalogue.decide(&command, NOW), Ok(vec![]), "what is already so stays so");
            }
        }

        let read = Catalogue::from_rows(Currency::Cny, &stored.all()).unwrap();
        prop_assert_eq!(&read, &catalogue, "with its index");

        for (from, to) in catalogue.places().flat_map(|from| catalogue.places().map(move |to| (from, to))) {
            let trips: Vec<_> = catalogue.trips(from, to, on).collect();
            let found: BTreeSet<_> = trips.iter().map(|trip| (trip.departure_id(), trip.stretch)).collect();
            prop_assert_eq!(&found, &naive_trips(&catalogue, from, to, on));
            prop_assert_eq!(found.len(), trips.len(), "each once");
            for trip in &trips {
                prop_assert_eq!(catalogue.trip(&trip.departure_id(), trip.stretch), Some(trip.clone()));
                let spec = catalogue.departure_spec(&trip.departure_id()).unwrap();
                prop_assert_eq!(trip.booking_closes_at(), spec.booking_closes_at(trip.stretch));
                prop_assert_eq!(trip.departs_at, spec.calls[usize::from(trip.stretch.board)].departs_at);
                prop_assert_eq!(trip.arrives_at, spec.calls[usize::from(trip.stretch.alight)].arrives_at);
            }
        }
    }
}
