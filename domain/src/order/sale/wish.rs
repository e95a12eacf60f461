//! What a traveller asks for, and the priced draft that it becomes on the catalogue of the moment.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::civil::Date;

use super::discount::{Sold, discount};
use crate::catalogue::{Catalogue, PackageLine, PackageQuote, Sought, Trip};
use crate::departure::{Channel, Stretch};
use crate::fare::{Quote, SEAT_LOCK_MINUTES_DEFAULT};
use crate::ids::{DepartureId, OrderId, PromotionCode, SeatClassCode, TemplateId, TravellerId};
use crate::money::{Currency, Money};
use crate::order::Buyer;
use crate::order::draft::{
    At, Contact, Draft, Item, ItemKind, Leg, LineKind, Passenger, Price, PriceLine, SeatWish, before_boarding,
};
use crate::party::{Party, PassengerType};
use crate::promotion::Promotion;
use crate::refund_rule::RuleRevision;
use crate::register::Entry;
use crate::rejection::{Rejection, Uses, ensure};
use crate::reservation::{Reservation, ReservationId};
use crate::time::Timestamp;

/// Most items of one order: there and back, twice. Each is a hold at its own owner.
pub const ITEMS_MAX: usize = 4;
/// Times that a passenger may buy a package at once.
pub const PACKAGE_QUANTITY_MAX: u16 = 10;

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

/// A package as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackageWish {
    pub template: TemplateId,
    pub service_date: Option<Date>,
    /// Times that each passenger buys it, at least 1.
    pub quantity: u16,
    /// One for each journey that it includes, in its order.
    pub journeys: Vec<IncludedWish>,
}

/// On which departure an included journey is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncludedWish {
    pub departure: DepartureId,
    /// `None`: the one that the package says.
    pub class: Option<SeatClassCode>,
    pub seats: SeatWish,
}

/// An item as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemWish {
    Journey(JourneyWish),
    Package(PackageWish),
    /// The journey that is reserved (R-HOLD-07).
    Reservation(ReservationId),
}

impl ItemWish {
    /// A journey of its own.
    pub const fn journey_mut(&mut self) -> Option<&mut JourneyWish> {
        match self {
            ItemWish::Journey(journey) => Some(journey),
            ItemWish::Package(_) | ItemWish::Reservation(_) => None,
        }
    }
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
    pub items: Vec<ItemWish>,
    pub promotion_code: Option<PromotionCode>,
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
    /// the departure's own refusals; `BOOKING_CLOSED` also when what is to be paid cannot be before the party boards; what
    /// `reserved` says of a reservation that cannot be adopted; `PROMOTION_EXHAUSTED`, if `used_up` says so of the code's.
    pub fn draft(
        self,
        catalogue: &Catalogue,
        reserved: impl Fn(&ReservationId) -> Result<Arc<Reservation>, Rejection>,
        used_up: impl Fn(&Promotion) -> Option<Uses>,
        id: OrderId,
        now: Timestamp,
        terms: SaleTerms,
    ) -> Result<Draft, Rejection> {
        let party = party_of(&self.passengers)?;
        let fits = (1..=ITEMS_MAX).contains(&self.items.len());
        ensure(fits, "items", format_args!("1 to {ITEMS_MAX} items"))?;
        let pricing = Pricing { catalogue, party, channel: &self.channel, now };
        let mut priced: Vec<Priced> = Vec::with_capacity(self.items.len());
        for (index, item) in self.items.into_iter().enumerate() {
            let at = At::Item(index);
            match item {
                ItemWish::Journey(journey) => priced.push(pricing.journey(at, journey)?),
                ItemWish::Reservation(id) => {
                    let journey = adopting(at, &*reserved(&id)?, party)?;
                    ensure_adopted_once(at, &journey.seats, &priced)?;
                    priced.push(pricing.journey(at, journey)?);
                }
                ItemWish::Package(package) => pricing.package(index, package, &mut priced)?,
            }
        }
        // Orders that meet take what they want in one order (rule 5). What is reserved is adopted when all else is held, so
        // that a refusal leaves it as it was.
        priced.sort_by(|a, b| a.key().cmp(&b.key()));
        let currency = catalogue.sale_currency();
        let total = priced.iter().try_fold(Money::new(0, currency), |sum, item| {
            sum.plus(item.total()).map_err(|error| Rejection::field("items", error.to_string()))
        })?;
        let mut lines: Vec<PriceLine> =
            priced.iter().enumerate().flat_map(|(index, priced)| price_lines(index, priced)).collect();
        let route_lock = priced.iter().map(|priced| priced.lock_seconds).min().unwrap_or(0);
        let asked = asked_as(&priced);
        let dates: Vec<Option<Date>> = priced.iter().map(|priced| priced.date).collect();
        let items = items_of(priced);
        let (party_size, channel) = (party.size(), &self.channel);
        let sold = Sold { items: &items, dates: &dates, party_size, channel, currency, now };
        let promotions = discount(&mut lines, sold, catalogue, self.promotion_code.as_ref(), used_up)?;
        // Never below zero, since no line is.
        let off: i64 = promotions.iter().map(|promoted| promoted.discount_minor).sum();
        let total = Money::new(total.minor - off, currency);
        let payable_until = now.plus_seconds(i64::from(terms.payment_min_seconds));
        if total.minor > 0 && before_boarding(&items, payable_until) < payable_until {
            return Err(Rejection::BookingClosed);
        }

        Ok(Draft {
            id,
            buyer: Buyer::Traveller {
                id: self.traveller,
                idempotency_key: self.idempotency_key,
                body_hash: self.body_hash,
            },
            channel: self.channel,
            locale: self.locale,
            contact: self.contact,
            passengers: self.passengers,
            items,
            asked,
            price: Price { total, lines },
            promotions,
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

impl At {
    /// What names a field of the item names it as the request has it.
    fn name(self, rejection: Rejection) -> Rejection {
        match rejection {
            Rejection::Field { field, message } if field == "seatClass" || field == "serviceDate" => {
                Rejection::field(self.field(&field), message)
            }
            other => other,
        }
    }
}

fn check_seats(at: At, wish: &SeatWish, party: Party) -> Result<(), Rejection> {
    let fits = match wish {
        SeatWish::Chosen(seats) => seats.len() == usize::from(party.size()),
        SeatWish::Any | SeatWish::Reserved { .. } => true,
    };
    if fits { Ok(()) } else { Err(Rejection::field(at.field("seatNumbers"), "one seat for every passenger")) }
}

/// The journey of a reservation, for the same party.
fn adopting(at: At, reserved: &Reservation, party: Party) -> Result<JourneyWish, Rejection> {
    if reserved.seats() != party.size() {
        let message = format!("holds {} seats, one for every passenger", reserved.seats());
        return Err(Rejection::field(at.field("reservationId"), message));
    }
    Ok(JourneyWish {
        departure: reserved.id.departure().clone(),
        class: reserved.class.clone(),
        board: Some(reserved.stretch.board),
        alight: Some(reserved.stretch.alight),
        seats: SeatWish::Reserved { reservation: reserved.id.hold(), until: reserved.expires_at },
    })
}

fn ensure_adopted_once(at: At, wish: &SeatWish, others: &[Priced]) -> Result<(), Rejection> {
    let is_same = |other: &Priced| matches!(&other.kind, ItemKind::Journey(leg) if leg.wish == *wish);
    if others.iter().any(is_same) {
        return Err(Rejection::field(at.field("reservationId"), "is named twice"));
    }
    Ok(())
}

/// An item with what it costs.
struct Priced {
    kind: ItemKind,
    at: At,
    price: ItemPrice,
    /// When it is boarded or visited.
    date: Option<Date>,
    lock_seconds: u32,
    refund_rule: Option<RuleRevision>,
}

enum ItemPrice {
    Journey(Quote),
    /// In the package's price.
    Included {
        currency: Currency,
    },
    Package(PackageQuote),
}

impl Priced {
    /// Journeys by their departure, then packages by their template, then what is adopted.
    fn key(&self) -> (u8, &str, Option<Stretch>) {
        match &self.kind {
            ItemKind::Journey(leg) => {
                let turn = if matches!(leg.wish, SeatWish::Reserved { .. }) { 2 } else { 0 };
                (turn, leg.departure.as_str(), Some(leg.stretch))
            }
            ItemKind::Package(terms) => (1, terms.template.as_str(), None),
        }
    }

    /// Of a package: which item of the request it is.
    const fn package(&self) -> Option<usize> {
        match (&self.kind, self.at) {
            (ItemKind::Package(_), At::Item(item)) => Some(item),
            (ItemKind::Package(_) | ItemKind::Journey(_), _) => None,
        }
    }

    fn total(&self) -> Money {
        match &self.price {
            ItemPrice::Journey(quote) => quote.total,
            ItemPrice::Included { currency } => Money::new(0, *currency),
            ItemPrice::Package(quote) => quote.total,
        }
    }
}

/// Where the request has them, unless all stand as it has them.
fn asked_as(priced: &[Priced]) -> Vec<At> {
    let stands = |(place, priced): (usize, &Priced)| priced.at == At::Item(place);
    if priced.iter().enumerate().all(stands) { Vec::new() } else { priced.iter().map(|priced| priced.at).collect() }
}

/// As they stand in the order: what is part of a package names its place there.
fn items_of(priced: Vec<Priced>) -> Vec<Item> {
    let place = |(place, priced): (usize, &Priced)| Some((priced.package()?, place as u16));
    let packages: Vec<(usize, u16)> = priced.iter().enumerate().filter_map(place).collect();
    let part_of = |item| packages.iter().find(|(package, _)| *package == item).map(|(_, place)| *place);
    let part_of = |at| match at {
        At::Item(_) => None,
        At::Included { item, .. } => part_of(item),
    };
    let item = |Priced { kind, at, refund_rule, .. }| Item { kind, part_of: part_of(at), refund_rule };
    priced.into_iter().map(item).collect()
}

/// On what everything is priced.
#[derive(Clone, Copy)]
struct Pricing<'a> {
    catalogue: &'a Catalogue,
    party: Party,
    channel: &'a Channel,
    now: Timestamp,
}

impl Pricing<'_> {
    fn journey(self, at: At, journey: JourneyWish) -> Result<Priced, Rejection> {
        let Pricing { catalogue, party, channel, .. } = self;
        check_seats(at, &journey.seats, party)?;
        let sought = Sought { departure: &journey.departure, board: journey.board, alight: journey.alight };
        let (trip, lock_seconds) = sought.on_sale(catalogue, self.now, |field| at.field(field))?;
        let quote = catalogue.quote(&trip, &journey.class, party).map_err(|rejection| at.name(rejection))?;
        let refund_rule = catalogue.refund_rule(&trip.route.refund_rules, channel).map(Entry::named);
        let leg = leg_of(&trip, journey.departure, journey.class, journey.seats)?;
        let (kind, price, date) = (ItemKind::Journey(leg), ItemPrice::Journey(quote), Some(trip.boards_on));
        Ok(Priced { kind, at, price, date, lock_seconds, refund_rule })
    }

    /// A package, and the journeys that it includes: each is held and ticketed like any other, and costs nothing by itself.
    fn package(self, index: usize, wish: PackageWish, priced: &mut Vec<Priced>) -> Result<(), Rejection> {
        let Pricing { catalogue, party, channel, now } = self;
        let at = At::Item(index);
        let PackageWish { template, service_date, quantity, journeys } = wish;
        let fits = (1..=PACKAGE_QUANTITY_MAX).contains(&quantity);
        ensure(fits, at.field("quantity"), format_args!("1 to {PACKAGE_QUANTITY_MAX}"))?;
        let entry = catalogue.package(template.as_str())?;
        catalogue.check_service_date(entry, service_date, &at.field("serviceDate"), now)?;
        let quote =
            catalogue.package_quote(entry, party, quantity, service_date).map_err(|rejection| at.name(rejection))?;
        let refund_rule = catalogue.refund_rule(&entry.refund_rules, channel).map(Entry::named);

        let choices = service_date.map(|date| catalogue.journeys_of(entry, date)).unwrap_or_default();
        if journeys.len() != choices.len() {
            return Err(Rejection::field(at.field("journeys"), which(&choices)));
        }
        let mut lock_seconds = 60 * u32::from(SEAT_LOCK_MINUTES_DEFAULT);
        for (number, ((journey, trips), included)) in
            journeys.into_iter().zip(&choices).zip(&entry.journeys).enumerate()
        {
            let at = At::Included { item: index, journey: number };
            let chosen = trips.iter().find(|trip| trip.departure_id() == journey.departure);
            let chosen = chosen.ok_or_else(|| Rejection::field(at.field("departureId"), which(&choices)))?;
            let journey = self.included(at, journey, chosen.stretch, &included.class, refund_rule.clone())?;
            lock_seconds = lock_seconds.min(journey.lock_seconds);
            priced.push(journey);
        }
        let kind = ItemKind::Package(Box::new(entry.terms(service_date, quantity)));
        let price = ItemPrice::Package(quote);
        priced.push(Priced { kind, at, price, date: service_date, lock_seconds, refund_rule });
        Ok(())
    }

    fn included(
        self,
        at: At,
        journey: IncludedWish,
        stretch: Stretch,
        class: &SeatClassCode,
        refund_rule: Option<RuleRevision>,
    ) -> Result<Priced, Rejection> {
        check_seats(at, &journey.seats, self.party)?;
        let fits = journey.class.is_none_or(|wanted| wanted == *class);
        ensure(fits, at.field("seatClass"), format_args!("the package includes {class}"))?;
        let Stretch { board, alight } = stretch;
        let sought = Sought { departure: &journey.departure, board: Some(board), alight: Some(alight) };
        let (trip, lock_seconds) = sought.on_sale(self.catalogue, self.now, |field| at.field(field))?;
        let leg = leg_of(&trip, journey.departure, class.clone(), journey.seats)?;
        let price = ItemPrice::Included { currency: self.catalogue.sale_currency() };
        Ok(Priced { kind: ItemKind::Journey(leg), at, price, date: Some(trip.boards_on), lock_seconds, refund_rule })
    }
}

/// What can be chosen, journey by journey.
fn which(choices: &[Vec<Trip<'_>>]) -> String {
    let journey = |(number, trips): (usize, &Vec<Trip<'_>>)| {
        let ids: Vec<String> = trips.iter().map(|trip| trip.departure_id().to_string()).collect();
        format!("journey {number}: one of {}", if ids.is_empty() { "none".to_owned() } else { ids.join(", ") })
    };
    if choices.is_empty() {
        return "the package includes no journeys".to_owned();
    }
    format!("a departure for each: {}", choices.iter().enumerate().map(journey).collect::<Vec<_>>().join("; "))
}

fn leg_of(trip: &Trip<'_>, departure: DepartureId, class: SeatClassCode, wish: SeatWish) -> Result<Leg, Rejection> {
    let port = |stop: u8| trip.route.stops.get(usize::from(stop)).map(|stop| stop.port.clone());
    let missing = || Rejection::DepartureNotFound;
    Ok(Leg {
        departure,
        route: trip.route.code.clone(),
        operator: trip.route.operator.clone(),
        class,
        stretch: trip.stretch,
        board_port: port(trip.stretch.board).ok_or_else(missing)?,
        alight_port: port(trip.stretch.alight).ok_or_else(missing)?,
        departs_at: trip.departs_at,
        arrives_at: trip.arrives_at,
        boards_from: trip.boards_from(),
        wish,
        seats: Vec::new(),
    })
}

fn price_lines(index: usize, priced: &Priced) -> impl Iterator<Item = PriceLine> {
    let item = index as u16;
    let (journey, package) = match (&priced.price, &priced.kind) {
        (ItemPrice::Journey(quote), ItemKind::Journey(leg)) => (Some((quote, leg)), None),
        (ItemPrice::Package(quote), _) => (None, Some(quote)),
        (ItemPrice::Journey(_) | ItemPrice::Included { .. }, _) => (None, None),
    };
    let of_journey = journey
        .into_iter()
        .flat_map(move |(quote, leg)| quote.lines.iter().map(move |line| journey_line(item, &leg.class, line)));
    let of_package = package
        .into_iter()
        .flat_map(move |quote| quote.lines.iter().map(move |line| package_line(item, quote.version, line)));
    of_journey.chain(of_package)
}

fn journey_line(item: u16, class: &SeatClassCode, line: &crate::fare::PriceLine) -> PriceLine {
    PriceLine {
        item,
        kind: LineKind::Journey { passenger: line.passenger_type, class: class.clone() },
        count: line.count,
        unit_minor: line.unit.minor,
        discount_minor: line.discount.minor,
        total_minor: line.total.minor,
        explanation: explain(line).into(),
    }
}

/// What a package costs passengers of one type.
pub(crate) fn package_line(item: u16, version: u32, line: &PackageLine) -> PriceLine {
    let tier = &line.tier;
    let explanation = format!(
        "tier {} of version {version}, from {} passengers, {}",
        line.index,
        tier.min_party,
        tier.day_type.code()
    );
    PriceLine {
        item,
        kind: LineKind::Package { passenger: line.passenger_type },
        count: line.count,
        unit_minor: line.unit.minor,
        discount_minor: 0,
        total_minor: line.total.minor,
        explanation: explanation.into(),
    }
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
