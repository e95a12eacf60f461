//! Packages in a search's answer, as text around the one number that changes with every sale.

use std::sync::Arc;

use deeptravel_actors::board::{Board, SeatsLeft};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, Template, Trip};
use deeptravel_domain::departure::{Ride, Stretch};
use deeptravel_domain::ids::{DepartureId, SeatClassCode};
use deeptravel_domain::register::Entry;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;

use super::text::{Around, json};
use super::wanted::Wanted;
use crate::api::frame::Language;
use crate::api::views::departure;
use crate::api::views::package::{self, PackageView};

/// A package that is offered while enough is left of it.
#[derive(Debug)]
pub struct Package {
    entry: Arc<Entry<Template>>,
    date: Date,
    /// The departures that are sold, of each journey that it includes.
    journeys: Box<[Box<[Choice]>]>,
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

/// Those that may be sold to the party, by id. Until `changes_at` the same departures can be chosen.
pub fn find(
    catalogue: &Catalogue,
    language: Language,
    wanted: &Wanted<'_>,
    now: Timestamp,
    changes_at: &mut Timestamp,
) -> Box<[Package]> {
    let packages = catalogue.packages_between(wanted.origin, wanted.destination);
    packages.filter_map(|entry| Package::of(catalogue, language, entry, wanted, now, changes_at)).collect()
}

impl Package {
    fn of(
        catalogue: &Catalogue,
        language: Language,
        entry: &Arc<Entry<Template>>,
        wanted: &Wanted<'_>,
        now: Timestamp,
        changes_at: &mut Timestamp,
    ) -> Option<Package> {
        let view = offer(catalogue, language, entry, wanted, now)?;
        let mut journeys = Vec::with_capacity(entry.journeys.len());
        for (included, trips) in entry.journeys.iter().zip(catalogue.journeys_of(entry, wanted.date)) {
            let sold = trips.iter().filter(|trip| catalogue.sellable(trip, now).is_ok());
            let choices = sold.filter_map(|trip| {
                *changes_at = trip.booking_closes_at().min(*changes_at);
                Choice::of(catalogue, trip, &included.class)
            });
            journeys.push(choices.collect());
        }
        let unlimited = json(&view).into();
        let limited = Around::value(&json(&PackageView { available: Some(0), ..view }), "available", "0");
        let (entry, date) = (Arc::clone(entry), wanted.date);
        Some(Package { entry, date, journeys: journeys.into(), unlimited, limited })
    }

    pub fn size(&self) -> usize {
        let choices: usize = self.journeys.iter().map(|choices| choices.len()).sum();
        size_of::<Package>()
            + self.unlimited.len()
            + choices * (size_of::<Choice>() + size_of::<SeatsLeft>() + size_of::<u16>())
    }

    pub fn length(&self) -> usize {
        self.limited.len()
    }

    pub fn choices(&self) -> usize {
        self.journeys.iter().map(|choices| choices.len()).sum()
    }

    /// Where the seats of its choices are to be read, one after the other.
    pub fn look_up(&self, board: &Board) -> impl Iterator<Item = SeatsLeft> {
        let choices = self.journeys.iter().flatten();
        choices.flat_map(|Choice { departure, stretch, ride, class, all }| {
            board.seats_left(departure, *stretch, *ride, [(class, *all)])
        })
    }

    /// Units left, whatever seats are; `None`: as many as anybody wants.
    pub fn units(&self, stocks: &StockBoard) -> Option<u32> {
        package::units_left(stocks, &self.entry, Some(self.date))
    }

    /// Appends it, if the party finds enough units, and enough seats on one departure of each journey.
    pub fn write(&self, answer: &mut String, seats: &[u16], units: Option<u32>, party_size: u16) -> bool {
        let (mut left, mut rest) = (units, seats);
        for choices in &self.journeys {
            let (own, others) = rest.split_at_checked(choices.len()).unwrap_or((rest, &[]));
            rest = others;
            let most = own.iter().copied().max().unwrap_or(0).into();
            left = Some(left.map_or(most, |left| left.min(most)));
        }
        if left.is_some_and(|left| left < u32::from(party_size)) {
            return false;
        }
        match left {
            None => answer.push_str(&self.unlimited),
            Some(left) => self.limited.write(answer, left),
        }
        true
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
    now: Timestamp,
) -> Option<PackageView<'a>> {
    catalogue.check_service_date(entry, Some(wanted.date), "travelDate", now).ok()?;
    let quote = catalogue.package_quote(entry, wanted.party, 1, Some(wanted.date)).ok()?;
    Some(PackageView { price: Some(quote.total.into()), ..package::view(catalogue, language, entry) })
}
