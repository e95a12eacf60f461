//! What a traveller asks for, and the priced draft that it becomes on the catalogue of the moment.

use std::fmt::Write as _;

use crate::catalogue::{Catalogue, Trip};
use crate::departure::{Channel, Stretch};
use crate::fare::{Quote, SEAT_LOCK_MINUTES_DEFAULT};
use crate::ids::{DepartureId, OrderId, SeatClassCode, TravellerId};
use crate::money::Money;
use crate::order::draft::{
    Contact, Draft, Item, ItemKind, Leg, LineKind, Passenger, Price, PriceLine, SeatWish, before_boarding,
};
use crate::party::{Party, PassengerType};
use crate::refund_rule::RuleRevision;
use crate::register::Entry;
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

/// Most journeys of one order: there and back, twice. Each is a hold on its own departure.
pub const ITEMS_MAX: usize = 4;

/// A journey as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JourneyWish {
    pub departure: DepartureId,
    pub class: SeatClassCode,
    /// `None`: the first stop.
    pub board: Option<u8>,
    /// `None`: the last stop.
    pub alight: Option<u8>,
    pub seats: SeatWish,
}

/// A request for an order, its fields parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    pub traveller: TravellerId,
    /// Who sells it, of whose seats.
    pub channel: Channel,
    pub idempotency_key: Box<str>,
    pub body_hash: [u8; 32],
    pub locale: Box<str>,
    pub contact: Contact,
    pub passengers: Vec<Passenger>,
    pub journeys: Vec<JourneyWish>,
}

/// The limits around a sale, from configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SaleTerms {
    /// Overrides every route's lock.
    pub lock_seconds: Option<u32>,
    /// See [`PaymentPolicy::min_seconds`](crate::order::PaymentPolicy::min_seconds).
    pub payment_min_seconds: u32,
}

impl Wish {
    /// Checks the request against what is sold, prices it and becomes the draft. Errors: field rejections that name the item;
    /// the departure's own refusals; `BOOKING_CLOSED` also when what is to be paid cannot be before the party boards.
    pub fn draft(
        self,
        catalogue: &Catalogue,
        id: OrderId,
        now: Timestamp,
        terms: SaleTerms,
    ) -> Result<Draft, Rejection> {
        let party = party_of(&self.passengers)?;
        let fits = (1..=ITEMS_MAX).contains(&self.journeys.len());
        ensure(fits, "items", format_args!("1 to {ITEMS_MAX} items"))?;
        let mut priced = Vec::with_capacity(self.journeys.len());
        for (index, journey) in self.journeys.into_iter().enumerate() {
            check_seats(index, &journey.seats, &self.passengers)?;
            priced.push(price_item(catalogue, index, journey, party, &self.channel, now)?);
        }
        // Orders that meet take their seats in one order (rule 5).
        priced.sort_by(|a, b| (&a.leg.departure, a.leg.stretch).cmp(&(&b.leg.departure, b.leg.stretch)));
        let total = priced.iter().try_fold(Money::new(0, catalogue.sale_currency()), |sum, item| {
            sum.plus(item.quote.total).map_err(|error| Rejection::field("items", error.to_string()))
        })?;
        let lines = priced.iter().enumerate().flat_map(|(index, priced)| price_lines(index, priced)).collect();
        let route_lock = priced.iter().map(|priced| priced.lock_seconds).min().unwrap_or(0);
        let items: Vec<_> = priced
            .into_iter()
            .map(|priced| Item { kind: ItemKind::Journey(priced.leg), refund_rule: priced.refund_rule })
            .collect();
        let payable_until = now.plus_seconds(i64::from(terms.payment_min_seconds));
        if total.minor > 0 && before_boarding(&items, payable_until) < payable_until {
            return Err(Rejection::BookingClosed);
        }

        Ok(Draft {
            id,
            traveller: self.traveller,
            channel: self.channel,
            idempotency_key: self.idempotency_key,
            body_hash: self.body_hash,
            locale: self.locale,
            contact: self.contact,
            passengers: self.passengers,
            items,
            price: Price { total, lines },
            lock_seconds: terms.lock_seconds.unwrap_or(route_lock),
        })
    }
}

fn party_of(passengers: &[Passenger]) -> Result<Party, Rejection> {
    let of = |kind| {
        let count = passengers.iter().filter(|passenger| passenger.kind == kind).count();
        u16::try_from(count).unwrap_or(u16::MAX)
    };
    let party = Party::new(of(PassengerType::Adult), of(PassengerType::Child), of(PassengerType::Senior));
    party.ok_or_else(|| Rejection::field("passengers", "1 to 10 passengers"))
}

fn check_seats(index: usize, wish: &SeatWish, passengers: &[Passenger]) -> Result<(), Rejection> {
    let fits = match wish {
        SeatWish::Chosen(seats) => seats.len() == passengers.len(),
        SeatWish::Any => true,
    };
    ensure(fits, format_args!("items[{index}].seatNumbers"), "one seat for every passenger")
}

struct Priced {
    leg: Leg,
    quote: Quote,
    lock_seconds: u32,
    refund_rule: Option<RuleRevision>,
}

fn price_item(
    catalogue: &Catalogue,
    index: usize,
    journey: JourneyWish,
    party: Party,
    channel: &Channel,
    now: Timestamp,
) -> Result<Priced, Rejection> {
    let (_, route, _) = catalogue.departure(&journey.departure).ok_or(Rejection::DepartureNotFound)?;
    let whole = route.whole();
    let (board, alight) = (journey.board.unwrap_or(whole.board), journey.alight.unwrap_or(whole.alight));
    let trip = Stretch::new(board, alight)
        .and_then(|stretch| catalogue.trip(&journey.departure, stretch))
        .ok_or_else(|| Rejection::field(format!("items[{index}].alightStop"), "a later stop of the departure"))?;
    catalogue
        .sellable(&trip, now)
        .map_err(|unsellable| unsellable.rejection(&format!("items[{index}].departureId")))?;
    let quote = catalogue.quote(&trip, &journey.class, party).map_err(|rejection| at_item(index, rejection))?;

    let fares = catalogue.fares(&trip.route.code);
    let lock_seconds = 60 * u32::from(fares.map_or(SEAT_LOCK_MINUTES_DEFAULT, |table| table.seat_lock_minutes));
    let refund_rule = catalogue.refund_rule(&trip.route.refund_rules, channel).map(Entry::named);
    Ok(Priced { leg: leg_of(&trip, journey)?, quote, lock_seconds, refund_rule })
}

fn at_item(index: usize, rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Field { field, message } if field == "seatClass" => {
            Rejection::field(format!("items[{index}].seatClass"), message)
        }
        other => other,
    }
}

fn leg_of(trip: &Trip<'_>, journey: JourneyWish) -> Result<Leg, Rejection> {
    let port = |stop: u8| trip.route.stops.get(usize::from(stop)).map(|stop| stop.port.clone());
    let missing = || Rejection::DepartureNotFound;
    Ok(Leg {
        departure: journey.departure,
        route: trip.route.code.clone(),
        operator: trip.route.operator.clone(),
        class: journey.class,
        stretch: trip.stretch,
        board_port: port(trip.stretch.board).ok_or_else(missing)?,
        alight_port: port(trip.stretch.alight).ok_or_else(missing)?,
        departs_at: trip.departs_at,
        arrives_at: trip.arrives_at,
        boards_from: trip.boards_from(),
        wish: journey.seats,
        seats: Vec::new(),
    })
}

fn price_lines(index: usize, priced: &Priced) -> impl Iterator<Item = PriceLine> {
    let class = &priced.leg.class;
    priced.quote.lines.iter().map(move |line| PriceLine {
        item: index as u16,
        kind: LineKind::Journey { passenger: line.passenger_type, class: class.clone() },
        count: line.count,
        unit_minor: line.unit.minor,
        discount_minor: line.discount.minor,
        total_minor: line.total.minor,
        explanation: explain(line).into(),
    })
}

/// Bytes of an explanation with everything in it, about. The text grows beyond it.
const EXPLANATION_BYTES: usize = 128;

/// In words that a clerk can check against the fare table.
fn explain(line: &crate::fare::PriceLine) -> String {
    let mut text = String::with_capacity(EXPLANATION_BYTES);
    // Writing into a string cannot fail.
    let _ = write!(text, "fare {} of revision {}", line.index, line.revision);
    if let Some(times) = line.fare.times {
        let clock = |minutes: u16| (minutes / 60, minutes % 60);
        let ((from_h, from_m), (until_h, until_m)) = (clock(times.from), clock(times.until));
        let _ = write!(text, ", {from_h:02}:{from_m:02}–{until_h:02}:{until_m:02}");
    }
    if let Some(season) = line.fare.season {
        let _ = write!(text, ", {}–{} of every year", season.from, season.to);
    }
    let _ = write!(text, ", {}", line.fare.day_type.code());
    if let Some(source) = line.fare.source_price {
        let _ = write!(text, ", from {source}");
    }
    if line.fare.assumed {
        text.push_str(", assumed");
    }
    if let Some(tier) = line.tier {
        let _ = write!(text, ", {} % off from {} passengers", tier.discount_percent, tier.min_party);
    }
    text
}
