//! What a start loads (rule 14).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deeptravel_actors::journal::Position;
use deeptravel_actors::lists::{AuditEntry, AuditFilter, Refusal};
use deeptravel_actors::loads;
use deeptravel_actors::ports::{self, Haste, Parameter, Store as _, StoreError, Warm};
use deeptravel_domain::catalogue::{
    self, Calendar, Catalogue, Change, Holiday, Key, Marks, Mode, Names, Operator, Place, Port, Route, RouteStatus,
    RulesByChannel, Schedule, Stop, Timetable, Vehicle, Weekdays, Zone,
};
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::fare::{DateRange, DayType, Fare, FareTable, PartyTier, Season, TimeBand};
use deeptravel_domain::ids::{OrderId, OutTradeNo};
use deeptravel_domain::inventory::rows::DepartureRow;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::{ItemKind, Order, OrderStatus, ScanTarget, collect};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::register::AuditRow;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables::newest_version;
use deeptravel_domain::time::Timestamp;
use jiff::civil::date;

use crate::support::*;

fn put(content: impl Into<Change>) -> catalogue::Command {
    catalogue::Command::new(content, "admin")
}

fn put_holidays(holidays: Vec<Holiday>) -> catalogue::Command {
    put(Calendar { year: 2026, holidays })
}

fn catalogue_of_a_coach() -> Vec<catalogue::Command> {
    let names = || Names::new("環島", "Round \"trip\"");
    let stop = |port: &str, minutes| Stop { port: code(port), arrives_minutes: minutes, departs_minutes: minutes };
    let schedule = |id: &str, exceptions: BTreeMap<_, _>| Schedule {
        id: code(id),
        route: code("HKMO"),
        departs_minutes: 480,
        weekdays: Weekdays::from_bits(0b001_1111).unwrap(),
        first_date: date(2026, 11, 1),
        last_date: date(2027, 2, 28),
        exceptions,
    };
    let fare = |passenger_type, seat_class: Option<&str>| Fare {
        passenger_type,
        seat_class: seat_class.map(code),
        stretch: Stretch::new(0, 1),
        day_type: DayType::WeekendOrHoliday,
        dates: DateRange::new(date(2026, 12, 1), date(2026, 12, 31)),
        season: Some(Season { from: "10-01".parse().unwrap(), to: "01-31".parse().unwrap() }),
        times: TimeBand::new(1_320, 360),
        price: Money::new(16_000, Currency::Cny),
        source_price: Some(Money::new(17_500, Currency::Hkd)),
        assumed: true,
    };
    let plain = Fare {
        stretch: None,
        dates: None,
        season: None,
        times: None,
        source_price: None,
        ..fare(PassengerType::Adult, None)
    };
    let seat_map = departure("X.20261127", 3).seat_map;
    vec![
        put(Operator { code: code("TJ"), names: names() }),
        put(Port { code: code("HKA"), names: names() }),
        put(Port { code: code("MOB"), names: names() }),
        put(Place {
            code: code("hk"),
            names: Names::new("香港", "Hong Kong"),
            aliases: vec!["HK".to_owned(), "{a,\"b\"}".to_owned()],
            ports: vec![code("HKA")],
            hot_weight: 9,
        }),
        put(Vehicle {
            code: code("bus"),
            names: Names::new("巴士", "Bus"),
            seat_map: Arc::clone(&seat_map),
            marks: Marks::from(["own_making".to_owned()]),
        }),
        put_holidays(vec![
            Holiday { date: date(2026, 12, 25), names: Names::new("聖誕節", "Christmas"), verified: true },
            Holiday { date: date(2026, 12, 26), names: Names::same("翌日"), verified: false },
        ]),
        put_holidays(vec![Holiday {
            date: date(2026, 12, 25),
            names: Names::new("聖誕節", "Christmas"),
            verified: true,
        }]),
        put(Route {
            code: code("HKMO"),
            operator: code("TJ"),
            mode: Mode::Coach,
            names: names(),
            time_zone: Zone::named("Asia/Hong_Kong").unwrap(),
            stops: vec![stop("HKA", 0), stop("MOB", 45)],
            vehicle: code("bus"),
            booking_closes_minutes: 30,
            sales_window_days: 30,
            boarding_opens_minutes: Some(120),
            refund_rules: RulesByChannel::default(),
            status: RouteStatus::OnSale,
            marks: Marks::new(),
        }),
        put(Timetable::new(
            code("HKMO"),
            [
                schedule("HKMO-0800", BTreeMap::from([(date(2026, 12, 24), true), (date(2026, 12, 28), false)])),
                schedule("HKMO-0800-old", BTreeMap::new()),
            ],
        )),
        put(Timetable::new(code("HKMO"), [schedule("HKMO-0800", BTreeMap::from([(date(2026, 12, 24), true)]))])),
        put(FareTable::new(code("HKMO"), vec![plain], vec![PartyTier { min_party: 3, discount_percent: 5 }])),
        put(FareTable {
            blackout: BTreeSet::from([date(2027, 2, 6), date(2027, 2, 7)]),
            ..FareTable::new(
                code("HKMO"),
                vec![fare(PassengerType::Adult, Some("standard")), fare(PassengerType::Child, None)],
                vec![],
            )
        }),
    ]
}

#[test]
fn the_catalogue_comes_back_with_its_marks_withdrawn_schedules_and_fare_revisions() {
    let stand = Stand::new();
    let mut catalogue = Catalogue::new(Currency::Cny);
    for (version, command) in (1..).zip(catalogue_of_a_coach()) {
        let events = catalogue.decide(&command, NOW).unwrap();
        stand.project(&catalogue.apply(&events, version)).unwrap();
    }

    let rows = stand.catalogue().unwrap();
    assert_eq!(newest_version(&rows).unwrap(), 12, "the key's version");
    assert_eq!(Catalogue::from_rows(Currency::Cny, &rows).unwrap(), catalogue);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM route_fares"), 2);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM schedules WHERE withdrawn"), 1);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM holidays WHERE removed"), 1);
}

#[test]
fn warm_orders_are_the_pending_ones_and_those_that_depart_first() {
    let stand = Stand::new();
    let day = |number: i64| NOW.plus_seconds(number * 24 * 3600);
    let mut rows = Rows::default();
    let mut buyers = Vec::new();
    for number in 1..=6 {
        let mut wish = draft(order_id(number), traveller(1), "HKMO-0800.20261127");
        // Tickets are valid until two hours after the departure: order 5 departs first, order 1 last, and the tickets of
        // order 6 ended long ago, though nobody has marked them.
        let ItemKind::Journey(leg) = &mut wish.items[0].kind else { panic!("a journey") };
        let (bought_at, departs_at) = if number == 6 { (day(-9), day(-8)) } else { (NOW, day(20 - number as i64)) };
        leg.departs_at = departs_at;
        let (mut buyer, placed) = Buyer::place(wish, bought_at);
        rows.extend(&placed);
        if number > 1 {
            rows.extend(&buyer.pay(bought_at.plus_seconds(30)));
        }
        buyers.push(buyer);
    }
    // Order 4 is used up.
    rows.extend(&buyers[3].scan("r1", ScanTarget::Order, NOW.plus_seconds(60)));
    assert_eq!(buyers[3].order.status(), OrderStatus::Completed);
    // Order 1 is pending, with a payment under way.
    let terms = buyers[0].order.payment_terms(&POLICY, NOW).unwrap();
    rows.extend(&buyers[0].tell(collect::Command::Begin { terms, body: b"{}".as_slice().into() }, NOW));
    stand.project(&rows).unwrap();

    // Three tickets each.
    let warm = |departs_before, orders: u64| {
        let warm = Warm {
            now: NOW.plus_seconds(60),
            departs_before,
            bytes_max: orders * (Warm::ORDER_BYTES + 3 * Warm::TICKET_BYTES),
        };
        let orders = stand.warm_orders(warm).unwrap();
        orders.iter().map(|rows| Order::from_rows(rows, NOW).unwrap()).collect::<Vec<_>>()
    };
    let ids = |orders: &[Order]| orders.iter().map(|order| order.id()).collect::<Vec<OrderId>>();
    let all = warm(day(20), 10);
    assert_eq!(ids(&all), [1, 2, 3, 5].map(order_id));
    assert_eq!(ids(&warm(day(20), 2)), [1, 3, 5].map(order_id), "the limit does not count pending ones");
    assert_eq!(ids(&warm(day(16), 10)), [1, 5].map(order_id), "departures later than asked for do not count");
    assert_eq!(ids(&warm(day(20), 0)), [order_id(1)], "no room but for pending ones");
    assert_eq!(all[0].payments(), buyers[0].order.payments());
    assert_eq!(all[1].tickets(), buyers[1].order.tickets());
    assert_eq!(all[3].ledger(), buyers[4].order.ledger());

    let desk = stand.desk_entries(order_id(4).made_at()).unwrap();
    let desk: Vec<_> = desk.into_iter().filter(|entry| entry.order < order_id(6)).collect();
    let mut known: Vec<_> = desk.iter().map(|entry| (entry.order, entry.status)).collect();
    known.sort_unstable_by_key(|(order, _)| *order);
    let expected = [(1, OrderStatus::Pending), (4, OrderStatus::Completed), (5, OrderStatus::Paid)];
    assert_eq!(known, expected.map(|(number, status)| (order_id(number), status)), "since then, and pending ones");
    let entry = desk.iter().find(|entry| entry.order == order_id(5)).unwrap();
    assert_eq!((entry.traveller, entry.body_hash), (traveller(1), [7; 32]));
    assert_eq!(*entry.idempotency_key, format!("key-{}", order_id(5)));
}

#[test]
fn the_quarantine_is_read_with_what_is_open_first_and_its_newest_version() {
    let stand = Stand::new();
    let all = |rows: &Rows| rows.all::<Notice>().unwrap();
    let read = |limit| stand.quarantine(limit).map(|(rows, version)| (all(&rows), version)).unwrap();
    assert_eq!(read(10), (vec![], 0));
    let notice = |number: u64| Notice {
        notice_id: format!("EV-{number}"),
        version: number,
        out_trade_no: "unknown".to_owned(),
        transaction_id: None,
        reason: "unknown_order".to_owned(),
        notice: "{\"amount\": {\"total\": 1}}".to_owned(),
        received_at: NOW.plus_ms(number as i64),
        resolved_at: (number == 3).then_some(NOW),
        resolved_by: (number == 3).then(|| "finance".to_owned()),
        note: (number == 3).then(|| "given back by hand".to_owned()),
    };
    let mut rows = Rows::default();
    (1..=3).for_each(|number| rows.put(&notice(number)));
    stand.project(&rows).unwrap();
    assert_eq!(read(10), (vec![notice(2), notice(1), notice(3)], 3));
    assert_eq!(read(1), (vec![notice(2)], 3), "the version also counts what is not loaded");
    let one = |id: &str| all(&stand.quarantined_notice(id).unwrap());
    assert_eq!((one("EV-3"), one("EV-4")), (vec![notice(3)], vec![]));
}

/// Writes, and what whoever wrote learns.
fn write(
    stand: &Stand,
    catalogue: &mut Catalogue,
    version: u64,
    command: &catalogue::Command,
    now: Timestamp,
) -> Result<u32, Rejection> {
    let events = catalogue.decide(command, now).unwrap();
    stand.project(&catalogue.apply(&events, version)).unwrap();
    catalogue.answer(command, &events).map(|told| told.revision)
}

#[test]
fn a_write_that_was_refused_counts_for_the_catalogues_version() {
    let stand = Stand::new();
    let mut catalogue = Catalogue::new(Currency::Cny);
    let operator = |zh: &str| put(Operator { code: code("TJ"), names: Names::new(zh, "TJ") });
    assert_eq!(write(&stand, &mut catalogue, 1, &operator("通"), NOW), Ok(1));
    assert!(write(&stand, &mut catalogue, 2, &operator(""), NOW).is_err());
    let rows = stand.catalogue().unwrap();
    assert_eq!((newest_version(&rows).unwrap(), ports::newest_version(&rows).unwrap()), (1, 2));
    assert_eq!(Catalogue::from_rows(Currency::Cny, &rows).unwrap(), catalogue);
}

#[test]
fn r_admin_03_history_and_restore_read_the_audit() {
    let stand = Stand::new();
    let mut catalogue = Catalogue::new(Currency::Cny);
    let fares =
        |minutes: u16| put(FareTable { seat_lock_minutes: minutes, ..FareTable::new(code("HKMO"), vec![], vec![]) });
    let at = |minutes: i64| NOW.plus_seconds(60 * minutes);
    for (version, minutes) in [(1, 5), (2, 61), (3, 15), (4, 20)] {
        let told = write(&stand, &mut catalogue, version, &fares(minutes), at(version as i64));
        assert_eq!(told.is_ok(), minutes <= 60);
    }
    let import = catalogue::Command::new(Operator { code: code("TJ"), names: Names::new("通", "TJ") }, "import");
    write(&stand, &mut catalogue, 5, &import, at(5)).unwrap();

    let history = |before, limit| {
        let page = stand.runtime.block_on(stand.lists.history("fares", "HKMO", before, limit)).unwrap();
        page.into_iter().map(|entry| (entry.number, entry.revision.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(history(None, 10), [(4, 3), (3, 2), (1, 1)], "what was refused is left out");
    assert_eq!(history(None, 2), [(4, 3), (3, 2)]);
    assert_eq!(history(Some(3), 2), [(1, 1)]);

    let logs = |filter: AuditFilter, before| stand.runtime.block_on(stand.lists.audit_logs(filter, before, 2)).unwrap();
    let numbers = |entries: &[AuditEntry]| entries.iter().map(|entry| entry.number).collect::<Vec<_>>();
    let all = logs(AuditFilter::default(), None);
    assert_eq!(numbers(&all), [5, 4]);
    let next = logs(AuditFilter::default(), Some(all[1].place()));
    assert_eq!(numbers(&next), [3, 2]);
    let Some(Refusal { code: refused, text }) = &next[1].refusal else { panic!("{next:?}") };
    assert_eq!((refused.as_str(), text.as_str()), ("VALIDATION_ERROR", "seatLockMinutes: is not between 1 and 60"));
    assert_eq!((next[1].revision, next[1].account.as_str(), next[1].at), (None, "admin", at(2)));
    assert_eq!(numbers(&logs(AuditFilter { account: Some("import".to_owned()), ..AuditFilter::default() }, None)), [5]);
    let span = AuditFilter { from: Some(at(1)), until: Some(at(3)), ..AuditFilter::default() };
    assert_eq!(numbers(&logs(span, None)), [2, 1]);
    let fares_only = AuditFilter { entity: Some("fares".to_owned()), until: Some(at(2)), ..AuditFilter::default() };
    assert_eq!(numbers(&logs(fares_only, None)), [1]);

    let audited = |revision: i64| {
        let names = ["fares", "HKMO"].map(|name| name.to_owned().into());
        let parameters = names.into_iter().chain([Parameter::Number(revision)]).collect();
        let load = stand.store.load(loads::AUDITED_REVISION, parameters, Haste::Wake);
        let rows = stand.runtime.block_on(load).unwrap();
        let row: Option<AuditRow<'_>> = rows.of().next().transpose().unwrap();
        row.map(|row| (row.number, row.before.map(str::to_owned), row.after.map(str::to_owned)))
    };
    let (number, before, _) = audited(0).unwrap();
    assert_eq!((number, audited(2).unwrap().0, audited(9)), (4, 3, None));
    let back = Change::restore(Key::FareTable(code("HKMO")), None, before.as_deref()).unwrap();
    let back = catalogue::Command::new(back, "admin");
    assert_eq!(write(&stand, &mut catalogue, 6, &back, at(6)), Ok(4));
    assert_eq!(catalogue.fares(&code("HKMO")).unwrap().seat_lock_minutes, 15);
    assert_eq!(Catalogue::from_rows(Currency::Cny, &stand.catalogue().unwrap()).unwrap(), catalogue);
}

#[test]
fn a_catalogue_that_an_older_release_has_written_keeps_its_meaning() {
    let stand = Stand::new();
    let mut catalogue = Catalogue::new(Currency::Cny);
    for (version, command) in (1..).zip(catalogue_of_a_coach()) {
        write(&stand, &mut catalogue, version, &command, NOW).unwrap();
    }
    stand.ask::<i64>(
        "WITH revisions AS (DELETE FROM config_revisions), audit AS (DELETE FROM admin_audit_logs),
            fares AS (UPDATE route_fares SET seat_lock_minutes = NULL, blackout_dates = '[]'),
            routes AS (UPDATE routes SET seat_lock_minutes = 25, blackout_dates = '[\"2027-02-06\"]')
        SELECT 0::bigint",
    );
    let read = Catalogue::from_rows(Currency::Cny, &stand.catalogue().unwrap()).unwrap();
    assert_eq!(read.registers().routes.entry("HKMO").unwrap().revision, 0);
    let fares = read.fares(&code("HKMO")).unwrap();
    assert_eq!((fares.revision, fares.since), (2, NOW));
    assert_eq!((fares.seat_lock_minutes, &fares.blackout), (25, &BTreeSet::from([date(2027, 2, 6)])));
}

#[test]
fn fault_21_what_has_paid_recent_orders_is_read_the_newest_first_and_nothing_older() {
    let stand = Stand::new();
    let mut rows = Rows::default();
    for number in 1..=3 {
        let (mut buyer, placed) = Buyer::place(draft(order_id(number), traveller(1), "HKMO-0800.20261127"), NOW);
        rows.extend(&placed);
        match number {
            1 => rows.extend(&buyer.pay(NOW)),
            2 => rows.extend(&buyer.pay_too_late(NOW)),
            // Nobody has paid it.
            _ => {}
        }
    }
    stand.project(&rows).unwrap();
    let paid = |number| {
        let order = order_id(number);
        (OutTradeNo { order, attempt: 1 }, format!("42000{order}"))
    };
    assert_eq!(stand.transactions(NOW).unwrap(), [paid(2), paid(1)]);
    assert_eq!(stand.transactions(NOW.plus_seconds(48 * 3_600)).unwrap(), [paid(2), paid(1)]);
    assert_eq!(stand.transactions(NOW.plus_seconds(49 * 3_600)).unwrap(), []);
}

#[test]
fn loads_of_a_start_wait_for_each_other_on_their_one_connection() {
    let stand = Stand::new();
    let nothing = Rows::default();
    let warm = Warm { now: NOW, departs_before: NOW, bytes_max: 1 };
    let load = |load, parameters| stand.store.load(load, parameters, Haste::Start);
    let all = stand.runtime.block_on(async {
        tokio::try_join!(
            load(loads::DEPARTURES_AFTER, vec![NOW.into()]),
            load(loads::WARM_ORDERS, warm.parameters()),
            load(loads::DESK_ENTRIES, vec![loads::lowest_id(Timestamp::from_ms(0))]),
            load(loads::TRANSACTIONS, loads::recent_transactions(NOW)),
            load(loads::CATALOGUE, vec![catalogue::OWNER.to_owned().into()]),
            stand.store.project(&nothing, Position(0), Position(4)),
        )
    });
    assert!(all.is_ok(), "{all:?}");
}

#[test]
fn damaged_rows_are_a_data_error() {
    let stand = Stand::new();
    stand.project(&Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW).1).unwrap();
    let damage = |sql: &'static str| {
        let job = move |session: deeptravel::postgres::Session| async move { Ok(session.batch_execute(sql).await?) };
        stand.runtime.block_on(stand.database.run(deeptravel::postgres::Lane::Lists, job)).unwrap();
    };
    let load = || stand.order(order_id(1));
    for sql in [
        "UPDATE order_rows SET price_lines = '[{\"item\": 1}]'",
        "UPDATE order_rows SET price_lines = '[]', version = -1",
        "UPDATE order_rows SET version = NULL",
    ] {
        damage(sql);
        assert!(matches!(load(), Err(StoreError::Data(_))), "{sql}: {:?}", load());
    }
    damage("UPDATE order_rows SET version = 1");
    assert!(load().is_ok());
    damage("UPDATE order_rows SET body_hash = 'x'");
    let desk = stand.desk_entries(NOW);
    assert!(matches!(desk, Err(StoreError::Data(_))), "{desk:?}");
    let order = Order::from_rows(&load().unwrap().unwrap(), NOW);
    assert!(order.is_err(), "what the database can hold and a row cannot is found by whoever reads it: {order:?}");
}

#[test]
fn a_parameter_of_another_type_than_the_statements_is_refused_before_it_is_sent() {
    let stand = Stand::new();
    // As long as an instant: the server would take it for one.
    let load = stand.store.load(loads::DEPARTURES_AFTER, vec![Parameter::Number(0)], Haste::Start);
    let refused = stand.runtime.block_on(load);
    assert!(matches!(&refused, Err(StoreError::Data(why)) if why.contains("timestamptz")), "{refused:?}");
}

/// The departure's own row.
fn departure_of(rows: &Rows) -> DepartureRow<'_> {
    rows.of().next().unwrap().unwrap()
}

#[test]
fn a_departure_that_an_older_release_has_written_has_its_seats() {
    let stand = Stand::new();
    let id = "HKMO-0800.20261127";
    let mut coach = Coach::new(id, 3);
    stand.project(&coach.tell(&place(1, NOW), NOW)).unwrap();
    let load = || stand.departure(id).unwrap().unwrap();
    let before = load();
    let written = departure_of(&before);
    assert_eq!(written.seat_map.to_vec().len(), 12);

    stand.ask::<String>(
        "UPDATE departures SET seat_map = NULL, seats = (
            SELECT jsonb_agg(jsonb_build_object('label', s -> 0, 'class', s -> 1, 'row', s -> 2, 'column', s -> 3))
            FROM json_array_elements(seat_map) AS s
        ) RETURNING seats::text",
    );
    assert_eq!(departure_of(&load()), written);
    let bulk = stand.departures_after(NOW).unwrap();
    assert_eq!(departure_of(&bulk[0]), written);

    // What is written next says it in the new way.
    stand.project(&coach.tell(&allot("klook", 2), NOW)).unwrap();
    assert_eq!(departure_of(&load()).seat_map, written.seat_map);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM departures WHERE seat_map IS NOT NULL"), 1);
}
