//! What is the same for everything that is configured, told of the catalogue.

use serde_json::{Value, json};

use super::override_tests::{fitting, klook_has, retimed};
use super::partner_tests::{klook, set_aside};
use super::redeeming_tests::{redeemers, rule};
use super::template::tests::premium;
use super::tests::{NOON, apply, catalogue, coach, code, decide, fare_table, fares, network, operator, put, vehicle};
use super::*;
use crate::departure::{ClassCapacity, Stretch};
use crate::fare::{DateRange, Fare, Season, TimeBand};
use crate::register::{Action, AuditRow, Author, Entity, Register, RevisionRow};
use crate::row::{List, Row as _};
use crate::tables::newest_version;
use crate::testing::Images;

fn withdraw(key: Key) -> Command {
    Command::new(Change::withdraw(key), "admin")
}

fn restore(key: Key, content: Option<&str>) -> Command {
    Command::new(Change::restore(key, None, content).unwrap(), "admin")
}

fn fares_key() -> Key {
    Key::FareTable(code("coach"))
}

/// Tells and keeps what a database would.
fn tell(
    catalogue: &mut Catalogue,
    stored: &mut Images,
    version: u64,
    command: &Command,
) -> Result<Standing, Rejection> {
    let events = catalogue.decide(command, NOON).unwrap();
    let rows = catalogue.apply(&events, version);
    assert_eq!(newest_version(&rows).unwrap(), if events.is_empty() { 0 } else { version });
    stored.keep(&rows).unwrap();
    catalogue.answer(command, &events)
}

/// As a client tells it that names its writes.
fn keyed(command: Command, key: &str) -> Command {
    Command { by: Author { key: Some(key.into()), ..command.by }, ..command }
}

#[test]
fn r_admin_06_a_key_names_a_write_of_one_account_and_of_one_revision() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    tell(&mut catalogue, &mut stored, 20, &put(fare_table("coach", fares(6_000)))).unwrap();
    let content = |amount| serde_json::to_string(&fare_table("coach", fares(amount))).unwrap();
    let back = |revision, amount, account: &str| {
        let change = Change::restore(fares_key(), Some(revision), Some(&content(amount))).unwrap();
        keyed(Command::new(change, account), "1")
    };
    assert_eq!(tell(&mut catalogue, &mut stored, 21, &back(1, 5_000, "admin")).unwrap().revision, 3);
    assert_eq!(tell(&mut catalogue, &mut stored, 22, &back(1, 5_000, "admin")).unwrap().revision, 3);
    let other = tell(&mut catalogue, &mut stored, 22, &back(2, 6_000, "admin")).unwrap_err();
    assert_eq!(other, Rejection::IdempotencyMismatch, "another revision under the same key");
    let told = tell(&mut catalogue, &mut stored, 23, &back(2, 6_000, "somebody")).unwrap();
    assert_eq!((told.revision, told.changed), (4, true), "somebody else's key is another");
}

#[test]
fn r_admin_06_a_write_with_a_key_that_is_told_again_is_the_same_write() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    tell(&mut catalogue, &mut stored, 20, &put(fare_table("coach", fares(6_000)))).unwrap();
    let before = serde_json::to_string(&fare_table("coach", fares(7_000))).unwrap();
    let back = |content: &str| keyed(restore(fares_key(), Some(content)), "back");
    let written = tell(&mut catalogue, &mut stored, 21, &back(&before)).unwrap();
    assert_eq!((written.revision, written.changed), (3, true));

    // What stood before the newest write is now something else; the answer had been lost.
    let other = serde_json::to_string(&fare_table("coach", fares(6_000))).unwrap();
    let again = tell(&mut catalogue, &mut stored, 22, &back(&other)).unwrap();
    assert_eq!((again.revision, again.changed), (3, false));
    assert_eq!(catalogue.fares(&code("coach")).unwrap().fares, fares(7_000));

    // After a restart too.
    let rows = stored.all();
    let mut catalogue = Catalogue::from_rows(Currency::Cny, &rows).unwrap();
    assert!(!tell(&mut catalogue, &mut stored, 22, &back(&other)).unwrap().changed);

    // Another write under the same key is none; one of another kind is another.
    let write = |amount, key| keyed(put(fare_table("coach", fares(amount))), key);
    assert_eq!(tell(&mut catalogue, &mut stored, 22, &write(8_000, "mine")).unwrap().revision, 4);
    let mismatch = tell(&mut catalogue, &mut stored, 23, &write(9_000, "mine")).unwrap_err();
    assert_eq!(mismatch, Rejection::IdempotencyMismatch);
    assert_eq!(catalogue.fares(&code("coach")).unwrap().fares, fares(8_000));
    let restored = tell(&mut catalogue, &mut stored, 24, &keyed(restore(fares_key(), Some(&before)), "mine")).unwrap();
    assert_eq!((restored.revision, restored.changed), (5, true));
}

#[test]
fn r_admin_06_every_write_has_one_audit_row_in_its_record_also_a_refused_one() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    let after = put(fare_table("coach", fares(6_000)));
    let told = tell(&mut catalogue, &mut stored, 20, &after).unwrap();
    assert_eq!(told, Standing { revision: 2, since: NOON, changed: true });
    let told = tell(&mut catalogue, &mut stored, 21, &after).unwrap();
    assert_eq!(told, Standing { revision: 2, since: NOON, changed: false }, "again");
    let wrong = put(FareTable { seat_lock_minutes: 0, ..fare_table("coach", fares(7_000)) });
    let refused = tell(&mut catalogue, &mut stored, 21, &wrong).unwrap_err();
    assert_eq!(refused.code(), "VALIDATION_ERROR");
    assert_eq!(catalogue.fares(&code("coach")).unwrap().fares, fares(6_000), "the last valid revision is in force");

    let rows = stored.all();
    let audit: Vec<AuditRow<'_>> = rows.all().unwrap();
    let [written, refused] = &audit[..] else { panic!("{audit:?}") };
    assert_eq!((written.owner, written.number, written.version, written.at), ("catalogue", 20, 20, NOON));
    assert_eq!((written.account, written.entity, written.entity_id), ("admin", "fares", "coach"));
    assert_eq!((written.action, written.revision, written.refusal_code), (Action::Put, Some(2), None));
    let price = |text: Option<&str>| serde_json::from_str::<Value>(text.unwrap()).unwrap()["fares"][0]["price"].clone();
    assert_eq!(price(written.before), json!({"amount": 5_000, "currency": "CNY"}));
    assert_eq!(price(written.after), json!({"amount": 6_000, "currency": "CNY"}));
    assert_eq!((refused.number, refused.revision, refused.refusal_code), (21, None, Some("VALIDATION_ERROR")));
    assert_eq!(refused.refusal, Some("seatLockMinutes: is not between 1 and 60"));
    assert_eq!(price(refused.before), json!({"amount": 6_000, "currency": "CNY"}));
    assert_eq!(price(refused.after), json!({"amount": 7_000, "currency": "CNY"}), "what was asked for");
    assert_eq!(rows.of::<RevisionRow<'_>>().count(), 1);
}

#[test]
fn r_admin_03_what_was_in_force_earlier_comes_back_as_a_new_revision() {
    let mut catalogue = catalogue();
    let events = apply(&mut catalogue, put(fare_table("coach", fares(6_000))));
    let before = events[0].audit.before.clone().unwrap();

    apply(&mut catalogue, restore(fares_key(), Some(&before)));
    let restored = catalogue.fares(&code("coach")).unwrap();
    assert_eq!((restored.revision, &restored.fares), (3, &fares(5_000)));
    assert_eq!(decide(&catalogue, &restore(fares_key(), Some(&before))), Ok(vec![]), "it is already so");
    assert_eq!(decide(&catalogue, &restore(fares_key(), None)), Err(Rejection::NoEarlierRevision));
    let unknown = decide(&catalogue, &restore(Key::FareTable(code("nowhere")), None)).unwrap_err();
    assert_eq!((unknown.code(), unknown.to_string().as_str()), ("NOT_CONFIGURED", "there is no fares nowhere"));
}

#[test]
fn what_is_still_referred_to_cannot_be_withdrawn() {
    let mut catalogue = catalogue();
    let refusal = |catalogue: &Catalogue, key: Key| {
        let refused = decide(catalogue, &withdraw(key)).unwrap_err();
        (refused.code(), refused.to_string())
    };
    let in_use = |text: &str| ("IN_USE", text.to_owned());
    let (op, bus) = (Key::Operator(code("op")), Key::Vehicle(code("bus")));
    assert_eq!(refusal(&catalogue, op.clone()), in_use("operator op is still used by route coach"));
    assert_eq!(refusal(&catalogue, bus), in_use("vehicle bus is still used by route coach"));
    assert_eq!(refusal(&catalogue, Key::Port(code("A"))), in_use("port A is still used by route coach"));
    assert_eq!(refusal(&catalogue, Key::Port(code("E"))), in_use("port E is still used by place XX"));
    let route = Key::Route(code("coach"));
    assert_eq!(refusal(&catalogue, route.clone()), in_use("route coach is still used by schedule coach-0800"));
    assert_eq!(refusal(&catalogue, fares_key()).0, "IN_USE");
    assert_eq!(refusal(&catalogue, Key::Calendar(2026)).0, "IN_USE");
    assert_eq!(refusal(&catalogue, Key::Operator(code("no"))).0, "NOT_CONFIGURED");

    apply(&mut catalogue, put(Timetable::new(code("coach"), [])));
    apply(&mut catalogue, withdraw(route.clone()));
    assert_eq!(catalogue.route("coach"), None);
    assert_eq!(catalogue.trips(catalogue.place("HK").unwrap(), catalogue.place("SZ").unwrap(), NOON_DATE).count(), 0);
    assert_eq!(decide(&catalogue, &withdraw(route)), Ok(vec![]), "it is already so");
    apply(&mut catalogue, withdraw(op));
    assert_eq!(refusal_of_put(&catalogue, coach()), "operator: op is not known");
    assert_eq!(Catalogue::from_rows(Currency::Cny, &catalogue.all_rows(9)).unwrap(), catalogue);

    apply(&mut catalogue, put(operator("op")));
    apply(&mut catalogue, put(coach()));
    assert_eq!(catalogue.registers().routes.entry("coach").unwrap().revision, 3, "ids go on counting");
}

const NOON_DATE: Date = jiff::civil::date(2026, 11, 20);

fn refusal_of_put(catalogue: &Catalogue, content: impl Into<Change>) -> String {
    decide(catalogue, &put(content)).unwrap_err().to_string()
}

#[test]
fn rows_of_before_revisions_were_counted_are_revision_0_and_the_next_is_1() {
    let mut old = Rows::default();
    for (slot, image) in catalogue().all_rows(12).images() {
        if slot != RevisionRow::TABLE.slot && slot != RouteFaresRow::TABLE.slot && slot != RouteRow::TABLE.slot {
            old.put_image(slot, image);
        }
    }
    let since = NOON.plus_seconds(-3_600);
    let (dates, fares, rows) = ([NOON_DATE], fares(5_000), catalogue().all_rows(12));
    let route: RouteRow<'_> = rows.all().unwrap().remove(0);
    old.put(&RouteRow { seat_lock_minutes: 25, blackout_dates: List::Of(&dates), ..route });
    for revision in [3, 4] {
        old.put(&RouteFaresRow {
            route_code: code("coach"),
            revision,
            version: 11,
            effective_from: since,
            fares: List::Of(&fares),
            party_tiers: List::Of(&[]),
            seat_lock_minutes: None,
            blackout_dates: List::Of(&[]),
        });
    }

    let mut catalogue = Catalogue::from_rows(Currency::Cny, &old).unwrap();
    assert_eq!(catalogue.registers().operators.entry("op").unwrap().revision, 0);
    let table = catalogue.fares(&code("coach")).unwrap();
    assert_eq!((table.revision, table.since), (4, since), "fares have counted theirs");
    assert_eq!((table.seat_lock_minutes, &table.blackout), (25, &BTreeSet::from(dates)), "the route had these");
    let renamed = Operator { names: Names::new("新", "New"), ..operator("op") };
    let told = tell(&mut catalogue, &mut Images::default(), 13, &put(renamed)).unwrap();
    assert_eq!(told.revision, 1);

    // A route that is written again goes on carrying them.
    let events = apply(&mut catalogue, put(Route { sales_window_days: 31, ..coach() }));
    let rows = catalogue.changed_rows(&events, 14);
    let row: RouteRow<'_> = rows.all().unwrap().remove(0);
    assert_eq!((row.seat_lock_minutes, row.blackout_dates.to_vec()), (25, dates.to_vec()));
    let next = put(FareTable { seat_lock_minutes: 30, ..FareTable::clone(catalogue.fares(&code("coach")).unwrap()) });
    apply(&mut catalogue, next);
    assert_eq!(catalogue.fares(&code("coach")).unwrap().revision, 5);
}

#[test]
fn a_year_or_a_timetable_that_was_put_empty_comes_back_empty() {
    let (mut catalogue, mut stored) = (Catalogue::new(Currency::Cny), Images::default());
    let mut commands = network();
    commands.push(put(Timetable::new(code("coach"), [])));
    commands.push(put(Calendar { year: 2027, holidays: vec![] }));
    commands.push(put(Calendar { year: 2026, holidays: vec![] }));
    for (command, version) in commands.iter().zip(1..) {
        tell(&mut catalogue, &mut stored, version, command).unwrap();
    }
    let read = Catalogue::from_rows(Currency::Cny, &stored.all()).unwrap();
    assert_eq!(read, catalogue);
    assert_eq!(read.registers().calendars.entry(&2027).unwrap().revision, 1);
    assert_eq!(read.registers().calendars.entry(&2026).unwrap().revision, 2);
    assert_eq!(read.registers().timetables.entry("coach").unwrap().revision, 2);
}

#[test]
fn r_admin_04_schedules_and_single_days_are_put_apart_and_neither_takes_the_other_away() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    let put_days = |schedule: &str, days: &[(Date, bool)], key: &str| {
        let days = days.iter().copied().collect();
        let change = Timetable::put_exceptions(code("coach"), code(schedule), days);
        keyed(Command::new(Change::Timetable(change), "admin"), key)
    };
    let off = [(NOON_DATE, false)];
    let told = tell(&mut catalogue, &mut stored, 20, &put_days("coach-0800", &off, "1")).unwrap();
    assert_eq!((told.revision, told.changed), (2, true));
    assert!(!tell(&mut catalogue, &mut stored, 21, &put_days("coach-0800", &off, "1")).unwrap().changed);
    let other = tell(&mut catalogue, &mut stored, 21, &put_days("coach-0800", &[], "1")).unwrap_err();
    assert_eq!(other, Rejection::IdempotencyMismatch);
    let unknown = tell(&mut catalogue, &mut stored, 22, &put_days("coach-0900", &off, "2")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no schedule coach-0900");
    let far = [(jiff::civil::date(9_999, 1, 1), true)];
    let refused = tell(&mut catalogue, &mut stored, 23, &put_days("coach-0800", &far, "3")).unwrap_err();
    assert_eq!(refused.to_string(), "exceptions: is out of range");

    // The rule changes; what was said of a day stays, unless something else is said of it.
    let rule = |departs_minutes, keeps| {
        let known = catalogue_schedule(&self::catalogue(), "coach-0800");
        let schedules = vec![(Schedule { departs_minutes, ..known }, keeps)];
        Command::new(Change::Timetable(Timetable::put_schedules(code("coach"), schedules)), "admin")
    };
    tell(&mut catalogue, &mut stored, 24, &rule(500, Keeps::Exceptions)).unwrap();
    let kept = catalogue_schedule(&catalogue, "coach-0800");
    assert_eq!((kept.departs_minutes, kept.exceptions.get(&NOON_DATE)), (500, Some(&false)));
    assert_eq!(catalogue.schedule("coach-2415"), None, "what is not named is withdrawn");
    assert!(!tell(&mut catalogue, &mut stored, 25, &rule(500, Keeps::Exceptions)).unwrap().changed);
    tell(&mut catalogue, &mut stored, 25, &rule(500, Keeps::Nothing)).unwrap();
    assert!(catalogue_schedule(&catalogue, "coach-0800").exceptions.is_empty());

    let rows = stored.all();
    let audit: Vec<AuditRow<'_>> = rows.all().unwrap();
    let said: Vec<_> = audit.iter().map(|row| (row.action, row.revision, row.after.is_some())).collect();
    let [put, refused] = [(Action::Put, true), (Action::Put, false)].map(|(action, has)| move |of| (action, of, has));
    let expected = [put(Some(2)), put(None), refused(None), refused(None), put(Some(3)), put(Some(4))];
    assert_eq!(said, expected, "of what could not be edited nothing is to be held");
    assert_eq!(
        Catalogue::from_rows(Currency::Cny, &rows).unwrap().schedules_of(&code("coach")),
        catalogue.schedules_of(&code("coach"))
    );
}

fn catalogue_schedule(catalogue: &Catalogue, id: &str) -> Schedule {
    Schedule::clone(catalogue.schedule(id).unwrap())
}

#[test]
fn what_was_audited_in_earlier_words_can_still_be_restored() {
    let timetable = json!({
        "routeCode": "coach",
        "schedules": [{
            "scheduleId": "coach-0800", "departs": "08:00", "weekdays": [1],
            "firstDate": "2026-01-01", "lastDate": "2026-12-31",
        }],
    });
    let timetable: Timetable = serde_json::from_value(timetable).unwrap();
    assert_eq!(timetable.schedules[0].last_date, jiff::civil::date(2026, 12, 31));
    let seats = json!([{ "label": "01A", "class": "standard", "row": 1, "column": 1 }]);
    let classes = json!([{ "code": "standard", "name": "Standard" }]);
    let bus = json!({ "code": "bus", "name": "Bus", "classes": classes, "seats": seats });
    let bus: Vehicle = serde_json::from_value(bus).unwrap();
    assert_eq!((bus.names, &bus.seat_map.classes[0].names), (Names::same("Bus"), &Names::same("Standard")));
    let year = json!({ "year": 2026, "holidays": [{ "date": "2026-12-25", "name": "Christmas", "verified": true }] });
    let year: Calendar = serde_json::from_value(year).unwrap();
    assert_eq!(year.holidays[0].names, Names::same("Christmas"));
}

/// Everything goes through its JSON and back.
fn spoken<E: Entity>(register: &Register<E>) -> Vec<Value> {
    let said = |content: &Arc<E>| {
        let said = serde_json::to_value(&**content).unwrap();
        assert_eq!(serde_json::from_value::<E>(said.clone()).unwrap(), **content);
        said
    };
    register.iter().map(said).collect()
}

#[test]
fn entities_are_spoken_of_in_the_words_of_the_api() {
    let mut catalogue = catalogue();
    let night = Fare {
        seat_class: Some(code("deluxe")),
        stretch: Stretch::new(0, 3),
        dates: DateRange::new(NOON_DATE, NOON_DATE),
        season: Some(Season { from: "10-01".parse().unwrap(), to: "01-31".parse().unwrap() }),
        times: TimeBand::new(23 * 60 + 30, 6 * 60),
        ..fares(1).remove(0)
    };
    let table = FareTable { blackout: [NOON_DATE].into(), ..fare_table("coach", vec![night]) };
    apply(&mut catalogue, put(table));
    for command in redeemers() {
        apply(&mut catalogue, command);
    }
    let spring = json!({
        "code": "SPRING", "name": {"zh": "春", "en": "Spring"}, "automatic": false, "kind": "percent", "value": 10,
        "minParty": 2, "passengerTypes": ["adult"], "routeCodes": ["coach"], "channels": ["direct"],
        "validFrom": "2026-11-01", "validUntil": "2026-11-30T12:00:00Z", "travelFrom": "2026-12-01", "limitTotal": 5,
    });
    apply(&mut catalogue, put(serde_json::from_value::<Promotion>(spring.clone()).unwrap()));
    apply(&mut catalogue, put(serde_json::from_value::<Template>(premium()).unwrap()));
    apply(&mut catalogue, put(klook()));
    apply(&mut catalogue, put(set_aside(&[(106, 5)])));
    let moved = DepartureOverride { allotments: vec![klook_has(12)], ..retimed("coach-0800.20261121", 90) };
    let limited = Fitting { capacities: vec![ClassCapacity { code: code("deluxe"), capacity: 1 }], ..fitting("bus") };
    let moved = DepartureOverride { cancelled: true, fitting: Some(limited), ..moved };
    for content in [moved, DepartureOverride { stopped: true, ..DepartureOverride::none(code("coach-0800.20261122")) }]
    {
        apply(&mut catalogue, put(content));
    }
    let Registers {
        operators,
        ports,
        places,
        vehicles,
        calendars,
        routes,
        timetables,
        fares,
        refund_rules,
        merchants,
        locations,
        devices,
        templates,
        promotions,
        overrides,
        partners,
        partner_allotments,
    } = catalogue.registers();
    let [moved, stopped] = &spoken(overrides)[..] else { panic!("two") };
    assert_eq!(*stopped, json!({"departureId": "coach-0800.20261122", "stopped": true, "cancelled": false}));
    assert_eq!(moved["calls"][0], json!({"arrivesAt": "2026-11-21T01:30:00Z", "departsAt": "2026-11-21T01:30:00Z"}));
    assert_eq!((&moved["vehicle"], &moved["vehicleVersion"]), (&json!("bus"), &json!(1)));
    assert_eq!(moved["classes"], json!([{"code": "deluxe", "capacity": 1}]));
    assert_eq!(moved["allotments"], json!([{"channel": "ota:klook", "seatClass": "deluxe", "seats": 12}]));
    assert_eq!(spoken(operators)[0], json!({"code": "op", "name": {"zh": "公司", "en": "Company"}}));
    assert_eq!(spoken(ports).len(), 5);
    assert_eq!(spoken(places)[0]["hotWeight"], 90);
    let seat = json!({"label": "02A", "class": "deluxe", "row": 1, "column": 0});
    assert_eq!(spoken(vehicles)[0]["seats"][1], seat);
    assert_eq!(spoken(calendars)[0]["holidays"][0]["date"], "2026-12-25");
    let route = &spoken(routes)[0];
    assert_eq!((&route["routeCode"], &route["timeZone"]), (&json!("coach"), &json!("Asia/Hong_Kong")));
    assert_eq!(route["stops"][1], json!({"port": "B", "arrivesMinutes": 30, "departsMinutes": 35}));
    let night = &spoken(timetables)[0]["schedules"][1];
    assert_eq!((&night["departs"], &night["weekdays"]), (&json!("24:15"), &json!([1, 2, 3, 4, 5, 6, 7])));
    assert_eq!(
        spoken(fares)[0],
        json!({
            "routeCode": "coach",
            "fares": [{
                "passengerType": "adult", "seatClass": "deluxe", "fromStop": 0, "toStop": 3, "dayType": "any",
                "dateFrom": "2026-11-20", "dateTo": "2026-11-20", "seasonFrom": "10-01", "seasonTo": "01-31",
                "timeFrom": "23:30", "timeTo": "06:00",
                "price": {"amount": 1, "currency": "CNY"}, "sourcePrice": {"amount": 2, "currency": "HKD"},
                "assumed": false,
            }],
            "partyTiers": [{"minParty": 3, "discountPercent": 5}],
            "seatLockMinutes": 10,
            "blackoutDates": ["2026-11-20"],
        })
    );
    assert_eq!(spoken(refund_rules)[0]["windows"], json!([{"untilMinutesBefore": 120, "percent": 70}]));
    assert_eq!(spoken(merchants)[0], json!({"merchantId": "museum", "name": {"zh": "館", "en": "Museum"}}));
    let hall =
        json!({"locationId": "hall", "merchantId": "museum", "name": {"zh": "廳", "en": "Hall"}, "portCode": "A"});
    assert_eq!(spoken(locations)[0], hall);
    let device = json!({"deviceId": "reader-1", "merchantId": "museum", "locationId": "hall", "disabled": false});
    assert_eq!(spoken(devices)[0], device);
    let klook =
        json!({"partnerId": "klook", "name": {"zh": "客路", "en": "Klook"}, "contact": "Mei", "disabled": false});
    assert_eq!(spoken(partners)[0], klook);
    let set_aside = json!({"partnerId": "klook", "allotments": [{"productId": 106, "quantity": 5}]});
    assert_eq!(spoken(partner_allotments)[0], set_aside);
    assert_eq!(spoken(templates)[0]["entitlements"], premium()["entitlements"]);
    assert_eq!(spoken(promotions)[0], spring);
    let least = json!({"routeCode": "coach", "fares": []});
    let least: FareTable = serde_json::from_value(least).unwrap();
    assert_eq!(least, FareTable::new(code("coach"), vec![], vec![]), "what is left out has its default");
}

#[test]
fn only_what_a_search_reads_makes_a_new_edition() {
    let mut catalogue = catalogue();
    let mut is_new = |content: Change| {
        let before = Arc::clone(catalogue.edition());
        let events = catalogue.decide(&Command::new(content, "admin"), NOON).unwrap();
        catalogue.apply(&events, 1);
        !Arc::ptr_eq(&before, catalogue.edition())
    };
    let table = || fare_table("coach", fares(5_000));
    assert!(!is_new(table().into()), "it is already so");
    assert!(!is_new(FareTable { seat_lock_minutes: 61, ..table() }.into()), "refused");
    assert!(!is_new(FareTable { seat_lock_minutes: 15, ..table() }.into()), "orders read it");
    assert!(is_new(FareTable { blackout: [NOON_DATE].into(), ..table() }.into()));
    assert!(is_new(fare_table("coach", fares(6_000)).into()));
    assert!(!is_new(Vehicle { names: Names::same("Coach"), ..vehicle(4) }.into()));
    assert!(is_new(vehicle(6).into()));
    assert!(!is_new(Route { names: Names::new("新", "New"), ..coach() }.into()));
    assert!(is_new(Route { sales_window_days: 7, ..coach() }.into()));
    assert!(is_new(Operator { names: Names::new("新", "New"), ..operator("op") }.into()));
    let package = json!({
        "name": { "zh": "套票", "en": "Package" }, "status": "active",
        "journeys": [{ "routeCode": "coach", "seatClass": "standard" }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 1, "currency": "CNY" } }],
    });
    let package: Template = serde_json::from_value(package).unwrap();
    assert!(is_new(package.clone().into()));
    assert!(!is_new(package.into()), "it is already so");
    assert!(is_new(Change::withdraw(Key::Place(code("XX")))));
    assert!(is_new(rule("standard", 70).into()));
    assert!(is_new(rule("standard", 60).into()));
    assert!(!is_new(RefundRule { names: Names::new("新", "New"), ..rule("standard", 60) }.into()));
    let sold_under = RulesByChannel { direct: Some(code("standard")), ota: None };
    assert!(is_new(Route { refund_rules: sold_under, ..coach() }.into()));
    let promotion = |automatic: bool, percent: u32| -> Promotion {
        let said = json!({
            "code": "SPRING", "name": { "zh": "春", "en": "Spring" }, "automatic": automatic, "kind": "percent",
            "value": percent, "validFrom": "2026-01-01", "validUntil": "2026-12-31",
        });
        serde_json::from_value(said).unwrap()
    };
    assert!(!is_new(promotion(false, 10).into()), "orders name it");
    assert!(is_new(promotion(true, 10).into()));
    assert!(is_new(promotion(true, 20).into()));
    assert!(is_new(Change::withdraw(Key::Promotion(code("SPRING")))));
    for command in redeemers() {
        let is_read = matches!(command.change, Change::RefundRule(_) | Change::Merchant(_));
        assert!(is_read || !is_new(command.change), "gates read it");
    }
    let normal = || DepartureOverride::none(code("coach-0800.20261121"));
    assert!(!is_new(DepartureOverride { allotments: vec![klook_has(1)], ..normal() }.into()), "the departure shows it");
    assert!(is_new(DepartureOverride { stopped: true, ..normal() }.into()));
    assert!(is_new(DepartureOverride { cancelled: true, ..normal() }.into()));
    assert!(is_new(retimed("coach-0800.20261121", 5).into()));
    assert!(is_new(DepartureOverride { fitting: Some(fitting("bus")), ..normal() }.into()));
    assert!(is_new(Timetable::new(code("coach"), []).into()));
}
