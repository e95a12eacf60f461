//! What a search finds, as text around the numbers that change with every sale. The text comes from serialising the
//! views of `departure_view`, cut open where the numbers and lists go: they alone say what an answer looks like.

use std::sync::Arc;

use actix_web::web::Bytes;
use deeptravel_actors::board::{Board, SeatsLeft};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, Trip};
use deeptravel_domain::departure::{Ride, Stretch};
use deeptravel_domain::ids::{DepartureId, SeatClassCode};
use deeptravel_domain::party::Party;
use deeptravel_domain::promotion::InForce;
use deeptravel_domain::time::Timestamp;

use super::packages::{self, Packages};
use super::text::{Around, comma, json};
use super::wanted::{Availability, SearchAnswer, Wanted};
use crate::api::frame::Language;
use crate::api::views::departure::{self, SeatClassView};

/// Everything that may appear in one answer.
#[derive(Debug)]
pub struct Offers {
    /// For which a class must have enough seats.
    party_size: u16,
    /// By departure time; also those that are sold out now.
    found: Box<[Offer]>,
    /// Also those that are sold out now.
    packages: Packages,
    /// The answer up to the offers.
    before_found: Box<str>,
    /// The answer up to the packages when no offer has enough seats.
    before_nothing: Box<str>,
    found_to_packages: Box<str>,
    after_packages: Box<str>,
    /// When booking closes next for a trip of that day, or a package is over: until then the same is offered.
    pub changes_at: Timestamp,
    /// Length that no answer exceeds.
    length_max: usize,
}

/// One trip.
#[derive(Debug)]
struct Offer {
    departure: DepartureId,
    stretch: Stretch,
    ride: Ride,
    to_classes: Box<str>,
    /// With a fare for the party.
    classes: Box<[Class]>,
    classes_to_tiers: Box<str>,
    from_tiers: Box<str>,
}

#[derive(Debug)]
struct Class {
    code: SeatClassCode,
    /// Its seats when nobody has bought any.
    all: u16,
    /// Around the number of seats left.
    around: Around,
    /// Without the brackets of their list.
    tiers: Box<str>,
}

impl Offers {
    pub fn find(
        catalogue: &Catalogue,
        language: Language,
        wanted: &Wanted<'_>,
        in_force: &InForce,
        now: Timestamp,
    ) -> Offers {
        let (mut reason, mut changes_at) = (Availability::None, Timestamp::MAX);
        let mut found: Vec<(Timestamp, Offer)> = Vec::new();
        let trips = catalogue.trips(wanted.origin, wanted.destination, wanted.date);
        for trip in trips.filter(|trip| wanted.mode.is_none_or(|mode| trip.route.mode == mode)) {
            // Also when it is not offered: closed, it may give another reason.
            let closes_at = trip.booking_closes_at();
            if closes_at > now {
                changes_at = changes_at.min(closes_at);
            }
            match Offer::of(catalogue, language, &trip, wanted.party, in_force, now) {
                Ok(offer) => {
                    reason = reason.max(Availability::SoldOut);
                    found.push((trip.departs_at, offer));
                }
                Err(none) => reason = reason.max(none),
            }
        }
        found.sort_by(|(a_at, a), (b_at, b)| (a_at, a.departure.as_str()).cmp(&(b_at, b.departure.as_str())));
        let found: Box<[Offer]> = found.into_iter().map(|(_, offer)| offer).collect();
        let packages = packages::find(catalogue, language, wanted, in_force, now, &mut changes_at);
        let answer = |availability| json(&SearchAnswer { availability, routes: Vec::new(), packages: Vec::new() });
        let Around { before: before_found, after } = Around::list(&answer(Availability::Available), "routes");
        let Around { before: before_nothing, .. } = Around::list(&answer(reason), "routes");
        let Around { before: found_to_packages, after: after_packages } = Around::list(&after, "packages");
        let around = before_found.len().max(before_nothing.len()) + found_to_packages.len() + after_packages.len();
        let of_offers = found.iter().map(|offer| offer.length_max() + 1).sum::<usize>();
        let length_max = around + of_offers + packages.length_max();
        let party_size = wanted.party.size();
        Offers {
            party_size,
            found,
            packages,
            before_found,
            before_nothing,
            found_to_packages,
            after_packages,
            changes_at,
            length_max,
        }
    }

    /// Bytes of the text, and of an answer written from it, roughly.
    pub fn size(&self) -> usize {
        let classes: usize = self.found.iter().map(|offer| offer.classes.len()).sum();
        let numbers = classes * (size_of::<Class>() + size_of::<SeatsLeft>() + size_of::<u16>());
        2 * self.length_max + self.found.len() * size_of::<Offer>() + numbers + self.packages.size()
    }

    /// Where the seats left are to be read, offer by offer and class by class, then those of the packages.
    pub fn look_up(&self, board: &Board) -> Arc<[SeatsLeft]> {
        let all = self.found.iter().flat_map(|offer| {
            let classes = offer.classes.iter().map(|class| (&class.code, class.all));
            board.seats_left(&offer.departure, offer.stretch, offer.ride, classes)
        });
        all.chain(self.packages.look_up(board)).collect()
    }

    /// Units left of each package, where something limits them.
    pub fn units(&self, stocks: &StockBoard) -> impl Iterator<Item = Option<u32>> {
        self.packages.units(stocks)
    }

    /// The answer with so many seats and units left.
    pub fn write(&self, left: &[u16], units: &[Option<u32>]) -> Bytes {
        let mut answer = String::with_capacity(self.length_max);
        let (mut rest, mut is_first) = (left, true);
        answer.push_str(&self.before_found);
        for offer in &self.found {
            let (own, others) = rest.split_at_checked(offer.classes.len()).unwrap_or((rest, &[]));
            rest = others;
            if own.iter().any(|left| *left >= self.party_size) {
                comma(&mut answer, &mut is_first);
                offer.write(&mut answer, own, self.party_size);
            }
        }
        if is_first {
            answer.clear();
            answer.push_str(&self.before_nothing);
        }
        answer.push_str(&self.found_to_packages);
        self.packages.write(&mut answer, rest, units, self.party_size);
        answer.push_str(&self.after_packages);
        Bytes::from(answer)
    }
}

impl Offer {
    /// A trip that may be sold to the party; else why not.
    fn of(
        catalogue: &Catalogue,
        language: Language,
        trip: &Trip<'_>,
        party: Party,
        in_force: &InForce,
        now: Timestamp,
    ) -> Result<Offer, Availability> {
        catalogue.sellable(trip, now).map_err(Availability::from)?;
        let seat_map = catalogue.seat_map(trip).ok_or(Availability::None)?;
        let sizes = departure::class_sizes(seat_map);
        let classes = seat_map.classes.iter().zip(sizes).filter_map(|(class, all)| {
            let quoted = catalogue.quote_with(in_force, trip, &class.code, party).ok()?;
            let view = SeatClassView::new(language, class, 0, Some(quoted));
            Some(Class::of(catalogue, trip, &class.code, all, view))
        });
        let classes: Box<[Class]> = classes.collect();
        if classes.is_empty() {
            return Err(Availability::None);
        }
        let view = json(&departure::view(catalogue, language, trip, []));
        let Around { before: to_classes, after } = Around::list(&view, "seatClasses");
        let Around { before: classes_to_tiers, after: from_tiers } = Around::list(&after, "tiers");
        let (departure, stretch) = (trip.departure_id(), trip.stretch);
        Ok(Offer { departure, stretch, ride: trip.ride(), to_classes, classes, classes_to_tiers, from_tiers })
    }

    fn length_max(&self) -> usize {
        let class = |class: &Class| class.around.len() + class.tiers.len() + 2;
        let around = self.to_classes.len() + self.classes_to_tiers.len() + self.from_tiers.len();
        around + self.classes.iter().map(class).sum::<usize>()
    }

    fn write(&self, answer: &mut String, left: &[u16], party_size: u16) {
        let enough = || self.classes.iter().zip(left).filter(|(_, left)| **left >= party_size);
        answer.push_str(&self.to_classes);
        let mut is_first = true;
        for (class, left) in enough() {
            comma(answer, &mut is_first);
            class.around.write(answer, *left);
        }
        answer.push_str(&self.classes_to_tiers);
        let mut is_first = true;
        for (class, _) in enough().filter(|(class, _)| !class.tiers.is_empty()) {
            comma(answer, &mut is_first);
            answer.push_str(&class.tiers);
        }
        answer.push_str(&self.from_tiers);
    }
}

impl Class {
    fn of(catalogue: &Catalogue, trip: &Trip<'_>, code: &SeatClassCode, all: u16, view: SeatClassView) -> Class {
        let around = Around::value(&json(&view), "available", "0");
        let tiers = json(&departure::tiers(catalogue, trip, &[view]));
        let tiers = tiers.strip_prefix('[').and_then(|tiers| tiers.strip_suffix(']')).unwrap_or_default().into();
        Class { code: code.clone(), all, around, tiers }
    }
}
