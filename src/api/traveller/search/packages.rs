//! Packages in a search's answer, as text around the one number that changes with every sale.

use std::sync::Arc;

use deeptravel_actors::board::{Board, SeatsLeft};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, IncludedJourney, Template, Trip};
use deeptravel_domain::departure::{Ride, Stretch};
use deeptravel_domain::ids::{DepartureId, SeatClassCode};
use deeptravel_domain::promotion::InForce;
use deeptravel_domain::register::Entry;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;

use super::text::{Around, comma, json};
use super::wanted::Wanted;
use crate::api::frame::Language;
use crate::api::views::package::{self, PackageView};
use crate::api::views::{PromotedView, departure};

/// The packages of an answer, by id.
#[derive(Debug)]
pub struct Packages {
    date: Date,
    offered: Box<[Package]>,
    /// What they include, each journey once: the departures that are sold. Dozens of packages may include the same one.
    journeys: Box<[Box<[Choice]>]>,
}

/// A package that is offered while enough is left of it.
#[derive(Debug)]
struct Package {
    entry: Arc<Entry<Template>>,
    /// The places of the journeys that it includes.
    journeys: Box<[usize]>,
    /// As long as nothing limits it.
    unlimited: Box<str>,
    /// Around the units left.
    limited: Around,
}

/// A departure on which an included journey may be made.
#[derive(Debug)]
struct Choice {
    departure: DepartureId,
    stretch: Stretch,
    ride: Ride,
    class: SeatClassCode,
    /// Its seats when nobody has bought any.
    all: u16,
}

/// Those that may be sold to the party. Until `changes_at` the same packages are sold, and the same departures can be
/// chosen.
pub fn find(
    catalogue: &Catalogue,
    language: Language,
    wanted: &Wanted<'_>,
    in_force: &InForce,
    now: Timestamp,
    changes_at: &mut Timestamp,
) -> Packages {
    let mut included: Vec<&IncludedJourney> = Vec::new();
    let mut place = |journey| {
        included.iter().position(|known| *known == journey).unwrap_or_else(|| {
            included.push(journey);
            included.len() - 1
        })
    };
    let mut offered = Vec::new();
    for entry in catalogue.packages_between(wanted.origin, wanted.destination) {
        let Some(view) = offer(catalogue, language, entry, wanted, in_force, now) else { continue };
        *changes_at = entry.sold_until().map_or(*changes_at, |until| until.min(*changes_at));
        let unlimited = json(&view).into();
        let limited = Around::value(&json(&PackageView { available: Some(0), ..view }), "available", "0");
        let journeys = entry.journeys.iter().map(&mut place).collect();
        offered.push(Package { entry: Arc::clone(entry), journeys, unlimited, limited });
    }
    let choices = |journey: &IncludedJourney| -> Box<[Choice]> {
        let trips = catalogue.trips_for(journey, wanted.date);
        let sold = trips.iter().filter(|trip| catalogue.sellable(trip, now).is_ok());
        let chosen = sold.filter_map(|trip| {
            *changes_at = trip.booking_closes_at().min(*changes_at);
            Choice::of(catalogue, trip, &journey.class)
        });
        chosen.collect()
    };
    let journeys = included.into_iter().map(choices).collect();
    Packages { date: wanted.date, offered: offered.into(), journeys }
}

impl Packages {
    pub fn size(&self) -> usize {
        let choices: usize = self.journeys.iter().map(|choices| choices.len()).sum();
        let of_package = |package: &Package| {
            size_of::<Package>() + package.unlimited.len() + package.journeys.len() * size_of::<usize>()
        };
        let of_packages: usize = self.offered.iter().map(of_package).sum();
        of_packages + choices * (size_of::<Choice>() + size_of::<SeatsLeft>() + size_of::<u16>())
    }

    /// That all of them together do not exceed.
    pub fn length_max(&self) -> usize {
        self.offered.iter().map(|package| package.limited.len() + 1).sum()
    }

    /// Where the seats of all choices are to be read, journey by journey.
    pub fn look_up(&self, board: &Board) -> impl Iterator<Item = SeatsLeft> {
        let choices = self.journeys.iter().flatten();
        choices.flat_map(|Choice { departure, stretch, ride, class, all }| {
            board.seats_left(departure, *stretch, *ride, [(class, *all)])
        })
    }

    /// Units left of each, whatever seats are; `None`: as many as anybody wants.
    pub fn units(&self, stocks: &StockBoard) -> impl Iterator<Item = Option<u32>> {
        self.offered.iter().map(|package| package::units_left(stocks, &package.entry, Some(self.date)))
    }

    /// Appends those of which the party finds enough units, and enough seats on one departure of each journey.
    pub fn write(&self, answer: &mut String, seats: &[u16], units: &[Option<u32>], party_size: u16) {
        let mut rest = seats;
        let most = self.journeys.iter().map(|choices| {
            let (own, others) = rest.split_at_checked(choices.len()).unwrap_or((rest, &[]));
            rest = others;
            own.iter().copied().max().unwrap_or(0).into()
        });
        let most: Vec<u32> = most.collect();
        let mut is_first = true;
        for (package, units) in self.offered.iter().zip(units) {
            let seats = package.journeys.iter().filter_map(|journey| most.get(*journey)).copied().min();
            let left = units.iter().copied().chain(seats).min();
            if left.is_some_and(|left| left < u32::from(party_size)) {
                continue;
            }
            comma(answer, &mut is_first);
            match left {
                None => answer.push_str(&package.unlimited),
                Some(left) => package.limited.write(answer, left),
            }
        }
    }
}

impl Choice {
    fn of(catalogue: &Catalogue, trip: &Trip<'_>, class: &SeatClassCode) -> Option<Choice> {
        let seat_map = catalogue.seat_map(trip)?;
        let all = departure::class_sizes(seat_map).get(usize::from(seat_map.class(class)?)).copied()?;
        let (departure, stretch, ride) = (trip.departure_id(), trip.stretch, trip.ride());
        Some(Choice { departure, stretch, ride, class: class.clone(), all })
    }
}

/// A package as it is offered to a party on a day, if it is sold to them then.
pub fn offer<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    entry: &'a Entry<Template>,
    wanted: &Wanted<'_>,
    in_force: &InForce,
    now: Timestamp,
) -> Option<PackageView<'a>> {
    catalogue.check_service_date(entry, Some(wanted.date), "travelDate", now).ok()?;
    let quoted = catalogue.package_quote_with(in_force, entry, wanted.party, wanted.date).ok()?;
    let (price, promotion) = (Some(quoted.total.into()), PromotedView::of(&quoted));
    Some(PackageView { price, promotion, ..package::view(catalogue, language, entry) })
}
