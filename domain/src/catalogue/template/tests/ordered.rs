//! What an order makes of a package: items, what is held in which order, prices, and what is wrong with a wish.

use jiff::civil::{Date, date};

use super::*;
use crate::departure::Channel;
use crate::ids::{DepartureId, OrderId, Shard, TravellerId};
use crate::order::{
    Contact, Draft, IncludedWish, ItemKind, ItemWish, JourneyWish, PackageWish, Passenger, SaleTerms, SeatWish, Wish,
};
use crate::party::PassengerType;

const DAY: Date = date(2026, 11, 27);
pub(super) const TERMS: SaleTerms = SaleTerms { lock_seconds: None, payment_min_seconds: 60 };

/// A departure of the coach that is boarded on the day.
pub(super) fn coach(catalogue: &Catalogue, on: Date) -> DepartureId {
    let choices = catalogue.journeys_of(sold(catalogue), on);
    choices[0][0].departure_id()
}

pub(super) fn package(catalogue: &Catalogue) -> PackageWish {
    PackageWish {
        template: sold(catalogue).id.clone(),
        service_date: Some(DAY),
        quantity: 1,
        journeys: vec![IncludedWish { departure: coach(catalogue, DAY), class: None, seats: SeatWish::Any }],
    }
}

pub(super) fn wish(items: Vec<ItemWish>) -> Wish {
    let passenger = |kind| Passenger { name: "Chan".into(), kind, document: None };
    Wish {
        traveller: TravellerId::from_bits(7),
        channel: Channel::Direct,
        idempotency_key: "key".into(),
        body_hash: [1; 32],
        locale: "en".into(),
        contact: Contact { name: "Chan".into(), phone: "+85290000000".into(), email: None },
        passengers: [PassengerType::Adult, PassengerType::Adult, PassengerType::Child].map(passenger).into(),
        items,
        promotion_code: None,
    }
}

fn drafted(catalogue: &Catalogue, items: Vec<ItemWish>) -> Result<Draft, Rejection> {
    wish(items).draft(
        catalogue,
        |_| Err(Rejection::ReservationNotFound),
        |_| None,
        OrderId::compose(NOON, Shard::of(1), 1),
        NOON,
        TERMS,
    )
}

fn with_package(catalogue: &Catalogue, change: impl FnOnce(&mut PackageWish)) -> Result<Draft, Rejection> {
    let mut package = package(catalogue);
    change(&mut package);
    drafted(catalogue, vec![ItemWish::Package(package)])
}

fn refused_field(drafted: Result<Draft, Rejection>) -> String {
    match drafted.unwrap_err() {
        Rejection::Field { field, .. } => field.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r_hold_02_a_package_brings_its_journeys_and_everything_is_held_in_one_order() {
    let catalogue = shop();
    let journey = JourneyWish {
        departure: coach(&catalogue, date(2026, 11, 28)),
        class: code("standard"),
        board: None,
        alight: None,
        seats: SeatWish::Any,
    };
    let items = vec![ItemWish::Package(package(&catalogue)), ItemWish::Journey(journey)];
    let draft = drafted(&catalogue, items).unwrap();
    let kinds: Vec<_> = draft.items.iter().map(|item| (item.kind.name().code(), item.part_of)).collect();
    assert_eq!(kinds, [("journey", Some(2)), ("journey", None), ("package", None)]);
    let departures: Vec<_> = draft.items.iter().filter_map(|item| item.leg()).map(|leg| &leg.departure).collect();
    assert!(departures.is_sorted(), "rule 5");
    let ItemKind::Package(terms) = &draft.items[2].kind else { panic!("a package") };
    assert_eq!((terms.version, terms.product, terms.service_date, terms.units(3)), (1, Some(106), Some(DAY), 3));
}

#[test]
fn r_price_01_included_journeys_cost_nothing_and_a_package_as_often_as_it_is_bought() {
    let catalogue = shop();
    let draft = with_package(&catalogue, |package| package.quantity = 2).unwrap();
    let lines: Vec<_> =
        draft.price.lines.iter().map(|line| (line.item, line.kind.passenger(), line.count, line.total_minor)).collect();
    assert_eq!(lines, [(1, PassengerType::Adult, 4, 80_000), (1, PassengerType::Child, 2, 20_000)]);
    assert_eq!(draft.price.total.minor, 100_000);
    assert!(draft.price.lines.iter().all(|line| line.explanation.contains("of version 1")));
}

#[test]
fn r_search_05_what_is_wrong_with_a_package_is_named() {
    let catalogue = shop();
    let of = |change: fn(&mut PackageWish)| refused_field(with_package(&catalogue, change));
    assert_eq!(of(|package| package.quantity = 0), "items[0].quantity");
    assert_eq!(of(|package| package.quantity = 11), "items[0].quantity");
    assert_eq!(of(|package| package.service_date = None), "items[0].serviceDate");
    assert_eq!(of(|package| package.service_date = Some(date(2026, 11, 19))), "items[0].serviceDate");
    assert_eq!(of(|package| package.journeys.clear()), "items[0].journeys");
    assert_eq!(of(|package| package.service_date = Some(date(2026, 11, 28))), "items[0].journeys[0].departureId");
    assert_eq!(of(|package| package.journeys[0].class = Some(code("deluxe"))), "items[0].journeys[0].seatClass");
    let one_seat = |package: &mut PackageWish| package.journeys[0].seats = SeatWish::Chosen(vec!["01A".into()]);
    assert_eq!(of(one_seat), "items[0].journeys[0].seatNumbers");
    let unknown = with_package(&catalogue, |package| package.template = code("pkg-none"));
    assert_eq!(unknown, Err(Rejection::TemplateNotFound));
    let blackout = with_package(&catalogue, |package| package.service_date = Some(date(2026, 12, 25)));
    assert_eq!(blackout, Err(Rejection::Blackout));
}

#[test]
fn which_departures_there_are_is_said_where_none_was_named() {
    let catalogue = shop();
    let Err(Rejection::Field { message, .. }) = with_package(&catalogue, |package| package.journeys.clear()) else {
        panic!("it is asked which")
    };
    assert!(message.contains(coach(&catalogue, DAY).as_str()), "{message}");
}

#[test]
fn r_admin_03_what_was_ordered_keeps_the_version_it_was_sold_under() {
    let mut catalogue = shop();
    let before = with_package(&catalogue, |_| {}).unwrap();
    let dearer = with(
        premium(),
        "tiers",
        json!([
            { "passengerType": "adult", "minParty": 1, "price": { "amount": 30_000, "currency": "CNY" } },
            { "passengerType": "child", "minParty": 1, "price": { "amount": 15_000, "currency": "CNY" } },
        ]),
    );
    assert_eq!(made(&mut catalogue, &dearer), (2, true));
    let after = with_package(&catalogue, |_| {}).unwrap();
    let version = |draft: &Draft| draft.items.iter().find_map(|item| item.package()).unwrap().version;
    assert_eq!((version(&before), before.price.total.minor), (1, 50_000));
    assert_eq!((version(&after), after.price.total.minor), (2, 75_000));
}
