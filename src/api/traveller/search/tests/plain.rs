//! The same answers without anything kept ready: every question is answered from the catalogue and the board, and
//! serialised as a whole. For tests, which compare.

use deeptravel_actors::board::Board;
use deeptravel_domain::catalogue::{Catalogue, Template, Trip, Unsellable};
use deeptravel_domain::party::Party;
use deeptravel_domain::promotion::InForce;
use deeptravel_domain::register::Entry;
use deeptravel_domain::time::Timestamp;

use super::super::answers::Live;
use super::super::packages;
use super::super::wanted::{Availability, SearchAnswer, SearchQuery, Wanted, understand};
use crate::api::frame::{Language, Problem, parse_query};
use crate::api::views::departure::{self, DepartureView, SeatClassView};
use crate::api::views::package::{self, PackageView};

pub fn search(
    catalogue: &Catalogue,
    live: Live<'_>,
    now: Timestamp,
    language: Language,
    query: &str,
) -> Result<String, Problem> {
    let asked: SearchQuery = parse_query(query)?;
    let wanted = understand(catalogue, &asked)?;
    catalogue.check_travel_date(wanted.origin, wanted.destination, wanted.date, now)?;
    Ok(serde_json::to_string(&find(live, catalogue, language, &wanted, now)).unwrap())
}

fn find<'a>(
    live: Live<'_>,
    catalogue: &'a Catalogue,
    language: Language,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> SearchAnswer<'a> {
    let in_force = live.in_force(catalogue, now);
    let mut availability = Availability::None;
    let mut found: Vec<(Timestamp, DepartureView<'_>)> = Vec::new();
    let trips = catalogue.trips(wanted.origin, wanted.destination, wanted.date);
    for trip in trips.filter(|trip| wanted.mode.is_none_or(|mode| trip.route.mode == mode)) {
        let reason = match offer(live.seats, catalogue, language, &trip, wanted.party, &in_force, now) {
            Ok(classes) => {
                let view = departure::view(catalogue, language, &trip, classes);
                found.push((trip.departs_at, view));
                Availability::Available
            }
            Err(reason) => reason,
        };
        availability = availability.max(reason);
    }
    found.sort_by(|(a_at, a), (b_at, b)| (a_at, &a.departure_id).cmp(&(b_at, &b.departure_id)));
    let packages = catalogue.packages_between(wanted.origin, wanted.destination);
    let packages = packages.filter_map(|entry| package(live, catalogue, language, entry, wanted, now));
    SearchAnswer {
        availability,
        routes: found.into_iter().map(|(_, view)| view).collect(),
        packages: packages.collect(),
    }
}

/// A package of which enough is left for the party.
fn package<'a>(
    live: Live<'_>,
    catalogue: &'a Catalogue,
    language: Language,
    entry: &'a Entry<Template>,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Option<PackageView<'a>> {
    let mut view = packages::offer(catalogue, language, entry, wanted, &live.in_force(catalogue, now), now)?;
    view.available = package::units_left(live.units, entry, Some(wanted.date));
    for departures in package::departures(catalogue, live.seats, entry, wanted.date, now) {
        let most = departures.iter().map(|departure| u32::from(departure.available)).max().unwrap_or(0);
        view.available = Some(view.available.map_or(most, |units| units.min(most)));
    }
    view.available.is_none_or(|available| available >= wanted.party.size().into()).then_some(view)
}

/// The classes of a trip that the party can buy; else why there is none.
fn offer(
    board: &Board,
    catalogue: &Catalogue,
    language: Language,
    trip: &Trip<'_>,
    party: Party,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Vec<SeatClassView>, Availability> {
    catalogue.sellable(trip, now).map_err(|unsellable| match unsellable {
        Unsellable::Blackout => Availability::Blackout,
        Unsellable::BeyondSalesWindow { .. }
        | Unsellable::NotOnSale
        | Unsellable::Cancelled
        | Unsellable::BookingClosed => Availability::None,
    })?;
    let seat_map = catalogue.seat_map(trip).ok_or(Availability::None)?;
    let free = departure::availability(board.get(&trip.departure_id()).as_deref(), trip, seat_map);
    let mut reason = Availability::None;
    let mut classes = Vec::with_capacity(seat_map.classes.len());
    for (class, available) in seat_map.classes.iter().zip(free) {
        let Ok(quoted) = catalogue.quote_with(in_force, trip, &class.code, party) else { continue };
        if available < party.size() {
            reason = Availability::SoldOut;
            continue;
        }
        classes.push(SeatClassView::new(language, class, available, Some(quoted)));
    }
    if classes.is_empty() { Err(reason) } else { Ok(classes) }
}
