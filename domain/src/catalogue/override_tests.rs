//! Departures that depart from their timetable, as stories.

use jiff::civil::date;

use super::tests::{NOON, apply, catalogue, code, decide, fares, put, vehicle};
use super::*;
use crate::departure::Allotment;
use crate::departure::{Call, Channel, ClassCapacity, SeatMap, Stretch};
use crate::fare::{Fare, TimeBand};
use crate::party::Party;
use crate::register::AuditRow;
use crate::testing::Images;

const TOMORROW: Date = date(2026, 11, 21);

fn tomorrow() -> DepartureId {
    code("coach-0800.20261121")
}

fn whole() -> Stretch {
    Stretch::new(0, 3).unwrap()
}

/// A coach, so much later than its timetable.
pub(super) fn retimed(departure: &str, minutes: i64) -> DepartureOverride {
    let later = |at: Timestamp| at.plus_seconds(60 * minutes);
    let spec = catalogue().departure_spec(&code(departure)).unwrap();
    let calls =
        spec.calls.iter().map(|call| Call { arrives_at: later(call.arrives_at), departs_at: later(call.departs_at) });
    DepartureOverride { calls: calls.collect(), ..DepartureOverride::none(code(departure)) }
}

pub(super) fn fitting(vehicle: &str) -> Fitting {
    Fitting { vehicle: code(vehicle), revision: 1, capacities: Vec::new() }
}

pub(super) fn klook_has(seats: u16) -> Allotment {
    Allotment { channel: Channel::Ota("klook".into()), class: code("deluxe"), seats }
}

fn found(catalogue: &Catalogue, on: Date) -> Vec<String> {
    let (from, to) = (catalogue.place("HK").unwrap(), catalogue.place("SZ").unwrap());
    let trips = catalogue.trips(from, to, on).filter(|trip| trip.stretch == whole());
    trips.map(|trip| format!("{} {}", trip.departure_id(), trip.departs_at)).collect()
}

#[test]
fn r_search_02_a_cancelled_or_stopped_departure_is_not_sellable() {
    let mut catalogue = catalogue();
    let normal = || DepartureOverride::none(tomorrow());
    let sellable = |catalogue: &Catalogue| catalogue.sellable(&catalogue.trip(&tomorrow(), whole()).unwrap(), NOON);
    apply(&mut catalogue, put(DepartureOverride { stopped: true, ..normal() }));
    assert_eq!(sellable(&catalogue), Err(Unsellable::BookingClosed));
    assert!(!catalogue.is_cancelled(&tomorrow()));
    apply(&mut catalogue, put(normal()));
    assert_eq!(sellable(&catalogue), Ok(()));
    apply(&mut catalogue, put(DepartureOverride { cancelled: true, stopped: true, ..normal() }));
    assert_eq!(sellable(&catalogue), Err(Unsellable::Cancelled));
    assert_eq!(Unsellable::Cancelled.rejection("departureId"), Rejection::DepartureCancelled);
    assert!(catalogue.is_cancelled(&tomorrow()));
}

#[test]
fn r_search_02_after_a_retiming_the_times_in_force_close_booking_and_are_searched() {
    let mut catalogue = catalogue();
    // 23:00 today instead of 08:00 tomorrow.
    apply(&mut catalogue, put(retimed("coach-0800.20261121", -9 * 60)));
    let trip = catalogue.trip(&tomorrow(), whole()).unwrap();
    assert_eq!((trip.departs_at.to_string().as_str(), trip.boards_on), ("2026-11-20T15:00:00Z", date(2026, 11, 20)));
    assert_eq!(trip.arrives_at.ms_since(trip.departs_at), 150 * 60_000);
    assert_eq!(trip.call(1).unwrap().departs_at.ms_since(trip.departs_at), 35 * 60_000);
    assert_eq!(trip.booking_closes_at().to_string(), "2026-11-20T14:30:00Z");
    let spec = catalogue.departure_spec(&tomorrow()).unwrap();
    assert_eq!((spec.departs_at(), spec.calls[3].arrives_at), (trip.departs_at, trip.arrives_at));
    assert_eq!(catalogue.sellable(&trip, trip.booking_closes_at()), Err(Unsellable::BookingClosed));

    let today = found(&catalogue, date(2026, 11, 20));
    assert!(today.contains(&"coach-0800.20261121 2026-11-20T15:00:00Z".to_owned()), "{today:?}");
    assert_eq!(found(&catalogue, TOMORROW).iter().filter(|of| of.contains("20261121")).count(), 0, "it left before");

    apply(&mut catalogue, put(DepartureOverride::none(tomorrow())));
    assert_eq!(found(&catalogue, TOMORROW)[0], "coach-0800.20261121 2026-11-21T00:00:00Z");
    assert_eq!(catalogue.index, self::catalogue().index, "nothing stays behind");
}

#[test]
fn r_price_01_after_a_retiming_the_price_follows_the_times_in_force() {
    let mut catalogue = catalogue();
    let morning = Fare { times: TimeBand::new(0, 9 * 60), ..fares(3_000).remove(0) };
    apply(&mut catalogue, put(tests::fare_table("coach", [vec![morning], fares(5_000)].concat())));
    let price = |catalogue: &Catalogue| {
        let trip = catalogue.trip(&tomorrow(), whole()).unwrap();
        catalogue.quote(&trip, &code("standard"), Party::new(1, 0, 0).unwrap()).unwrap().total.minor
    };
    assert_eq!(price(&catalogue), 3_000);
    apply(&mut catalogue, put(retimed("coach-0800.20261121", 90)));
    assert_eq!(price(&catalogue), 5_000, "09:30");
}

#[test]
fn r_admin_04_another_vehicle_is_sold_from_its_classes_and_cannot_be_withdrawn() {
    let mut catalogue = catalogue();
    let bus = vehicle(8);
    let mut seat_map = SeatMap::clone(&bus.seat_map);
    seat_map.classes[1].code = code("couch");
    apply(&mut catalogue, put(Vehicle { code: code("sleeper"), seat_map: Arc::new(seat_map), ..bus }));
    apply(
        &mut catalogue,
        put(DepartureOverride { fitting: Some(fitting("sleeper")), ..DepartureOverride::none(tomorrow()) }),
    );
    let trip = catalogue.trip(&tomorrow(), whole()).unwrap();
    let adult = Party::new(1, 0, 0).unwrap();
    assert!(catalogue.quote(&trip, &code("couch"), adult).is_ok());
    assert_eq!(
        catalogue.quote(&trip, &code("deluxe"), adult).unwrap_err().to_string(),
        "seatClass: deluxe is not known"
    );
    assert_eq!(catalogue.departure_spec(&tomorrow()).unwrap().seat_map.seats.len(), 8);
    let withdrawn = decide(&catalogue, &Command::new(Change::withdraw(Key::Vehicle(code("sleeper"))), "admin"));
    let in_use = "vehicle sleeper is still used by departure coach-0800.20261121";
    assert_eq!(withdrawn.unwrap_err().to_string(), in_use);
}

#[test]
fn r_admin_06_what_a_departure_refused_is_written_down_with_its_reason_and_changes_nothing() {
    let (mut catalogue, mut stored) = (catalogue(), Images::default());
    let before = catalogue.clone();
    let fitted = DepartureOverride { fitting: Some(fitting("bus")), ..DepartureOverride::none(tomorrow()) };
    let why = Rejection::BelowUse { uses: "seat 01A is sold".to_owned() };
    let refused = put(fitted).refused(why.clone());
    let events = catalogue.decide(&refused, NOON).unwrap();
    stored.keep(&catalogue.apply(&events, 30)).unwrap();
    assert_eq!(catalogue.answer(&refused, &events), Err(why));
    assert_eq!(catalogue, before);
    let rows = stored.all();
    let audit: Vec<AuditRow<'_>> = rows.all().unwrap();
    assert_eq!((audit[0].entity, audit[0].entity_id), ("departure override", "coach-0800.20261121"));
    assert_eq!((audit[0].revision, audit[0].refusal_code), (None, Some("BELOW_USE")));
    assert!(audit[0].refusal.unwrap().ends_with("seat 01A is sold"));
}

#[test]
fn r_admin_04_overrides_survive_their_rows() {
    let mut catalogue = catalogue();
    let capacities = vec![ClassCapacity { code: code("deluxe"), capacity: 1 }];
    let all = DepartureOverride {
        stopped: true,
        fitting: Some(Fitting { capacities, ..fitting("bus") }),
        allotments: vec![klook_has(1)],
        ..retimed("coach-0800.20261121", 90)
    };
    apply(&mut catalogue, put(all));
    apply(&mut catalogue, put(DepartureOverride { cancelled: true, ..retimed("coach-2415.20261121", -90) }));
    assert_eq!(Catalogue::from_rows(Currency::Cny, &catalogue.all_rows(9)).unwrap(), catalogue, "with its index");
}
