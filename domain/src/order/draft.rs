//! What an order is made of before it exists: people, items and the price, checked and frozen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::DepartureOverride;
use crate::departure::{Channel, Stretch};
use crate::ids::{
    DepartureId, HoldId, OperatorCode, OrderId, PortCode, PromotionCode, RouteCode, SeatClassCode, codes,
};
use crate::money::Money;
use crate::order::Buyer;
use crate::package::{Bound, PackageTerms, sold_until};
use crate::party::PassengerType;
use crate::refund_rule::RuleRevision;
use crate::sealing::SealedDocument;
use crate::time::Timestamp;

/// Who to reach about the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    pub name: Box<str>,
    pub phone: Box<str>,
    pub email: Option<Box<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Passenger {
    pub name: Box<str>,
    pub kind: PassengerType,
    pub document: Option<SealedDocument>,
}

/// Seats as the traveller asked for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SeatWish {
    /// Any seats, together where possible; as many as there are passengers.
    Any,
    /// These, by their labels.
    Chosen(Vec<Box<str>>),
    /// Those that a reservation holds until an instant, as many as there are passengers: the order adopts it (R-HOLD-07).
    /// Once it has, it is as if the traveller had chosen them.
    Reserved { reservation: HoldId, until: Timestamp },
}

/// Something that was bought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    pub kind: ItemKind,
    /// As it was when this was sold; `None`: nothing comes back (R-AFTER-05).
    pub refund_rule: Option<RuleRevision>,
    /// Of a journey that a package includes: index of the package.
    pub part_of: Option<u16>,
}

/// Where the request has an item, for the names of its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum At {
    Item(usize),
    /// A journey of a package.
    Included {
        item: usize,
        journey: usize,
    },
}

impl At {
    pub(in crate::order) fn field(self, name: &str) -> String {
        match self {
            At::Item(item) => format!("items[{item}].{name}"),
            At::Included { item, journey } => format!("items[{item}].journeys[{journey}].{name}"),
        }
    }
}

/// What an item is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ItemKind {
    Journey(Leg),
    Package(Box<PackageTerms>),
}

impl Item {
    /// A journey of its own.
    pub const fn journey(leg: Leg) -> Item {
        Item { kind: ItemKind::Journey(leg), part_of: None, refund_rule: None }
    }

    pub const fn leg(&self) -> Option<&Leg> {
        match &self.kind {
            ItemKind::Journey(leg) => Some(leg),
            ItemKind::Package(_) => None,
        }
    }

    pub(in crate::order) const fn leg_mut(&mut self) -> Option<&mut Leg> {
        match &mut self.kind {
            ItemKind::Journey(leg) => Some(leg),
            ItemKind::Package(_) => None,
        }
    }

    pub fn package(&self) -> Option<&PackageTerms> {
        match &self.kind {
            ItemKind::Journey(_) => None,
            ItemKind::Package(terms) => Some(terms),
        }
    }
}

impl ItemKind {
    pub const fn name(&self) -> ItemName {
        match self {
            ItemKind::Journey(_) => ItemName::Journey,
            ItemKind::Package(_) => ItemName::Package,
        }
    }
}

/// What an item is called, in rows and on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemName {
    Journey,
    Package,
}

codes!(ItemName, "item kind": Journey = "journey", Package = "package");

/// `at`, or the last second in which these can be paid for, if that is earlier: an order is of no use to a party whose first
/// departure has left the stop where it boards, or whose day of a package is over, or what it gives has ended.
pub(in crate::order) fn before_boarding(items: &[Item], at: Timestamp) -> Timestamp {
    let last = |item: &Item| match &item.kind {
        ItemKind::Journey(leg) => Some(leg.departs_at.plus_seconds(-1)),
        ItemKind::Package(terms) => terms.over_at().map(|end| end.plus_seconds(-1)),
    };
    items.iter().filter_map(last).fold(at, Timestamp::min)
}

/// `at`, or when the first of the reservations ends that these adopt, if that is earlier.
pub(in crate::order) fn within_reservations(items: &[Item], at: Timestamp) -> Timestamp {
    let end = |item: &Item| match &item.kind {
        ItemKind::Journey(Leg { wish: SeatWish::Reserved { until, .. }, .. }) => *until,
        ItemKind::Journey(Leg { wish: SeatWish::Any | SeatWish::Chosen(_), .. }) | ItemKind::Package(_) => at,
    };
    items.iter().map(end).fold(at, Timestamp::min)
}

/// A journey of the order. Every journey seats every passenger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leg {
    pub departure: DepartureId,
    pub route: RouteCode,
    pub operator: OperatorCode,
    pub class: SeatClassCode,
    pub stretch: Stretch,
    pub board_port: PortCode,
    pub alight_port: PortCode,
    /// From the stop where the party boards.
    pub departs_at: Timestamp,
    /// At the stop where the party leaves.
    pub arrives_at: Timestamp,
    /// When its tickets become good, if the route says so; `None`: when they are paid.
    pub boards_from: Option<Timestamp>,
    pub wish: SeatWish,
    /// Labels of the held seats, in the order of the passengers; empty until the departure has answered.
    pub seats: Vec<Box<str>>,
}

impl Leg {
    /// When the party boards and when it leaves, by the times in force.
    pub fn times(&self, differs: Option<&DepartureOverride>) -> (Timestamp, Timestamp) {
        let call = |stop: u8| differs.and_then(|of| of.call(stop));
        let departs_at = call(self.stretch.board).map_or(self.departs_at, |call| call.departs_at);
        (departs_at, call(self.stretch.alight).map_or(self.arrives_at, |call| call.arrives_at))
    }
}

/// One explained line of the price (R-PRICE-01).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriceLine {
    /// Index of the item.
    pub item: u16,
    pub kind: LineKind,
    pub count: u16,
    pub unit_minor: i64,
    pub discount_minor: i64,
    pub total_minor: i64,
    /// Which fare and tier applied, and which promotions.
    #[serde(with = "crate::packing::shared_text")]
    pub explanation: Arc<str>,
}

/// A promotion that made the price lower, as it was then (R-PRICE-03). What it took off each line the line says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promoted {
    pub code: PromotionCode,
    pub revision: u32,
    /// Off the whole order.
    pub discount_minor: i64,
    /// It had limits: the order claims one use of it.
    pub is_limited: bool,
}

/// What a line of the price is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LineKind {
    /// Passengers of one type, on a journey.
    Journey { passenger: PassengerType, class: SeatClassCode },
    /// Passengers of one type, of a package; each as often as the package was bought.
    Package { passenger: PassengerType },
}

impl PackageTerms {
    /// What a party takes of its stock.
    pub fn units(&self, passengers: usize) -> u32 {
        u32::from(self.quantity).saturating_mul(passengers as u32)
    }

    /// From then on it is of no use to whoever pays for it: its day is over, or something that it gives has ended.
    pub(in crate::order) fn over_at(&self) -> Option<Timestamp> {
        let day = self.service_date.map(|date| Bound::Day(date).ends(&self.zone));
        day.into_iter().chain(sold_until(&self.entitlements, &self.zone)).min()
    }
}

impl LineKind {
    pub const fn passenger(&self) -> PassengerType {
        match self {
            LineKind::Journey { passenger, .. } | LineKind::Package { passenger } => *passenger,
        }
    }
}

/// The price at the time of the order; never computed again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Price {
    pub total: Money,
    pub lines: Vec<PriceLine>,
}

/// Of an order's first holds. Seeking seats again after late money takes the next one.
pub use crate::hold::FIRST_EPOCH;

/// A wish for an order, checked and priced, with its id. The machine starts from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Draft {
    pub id: OrderId,
    pub buyer: Buyer,
    /// Who sells it, of whose seats.
    pub channel: Channel,
    pub locale: Box<str>,
    pub contact: Contact,
    pub passengers: Vec<Passenger>,
    /// Journeys by their departure, then packages by their template, so that orders that meet take what they want in one
    /// order (rule 5); journeys that adopt reservations wait for nobody and come last. They become the order's own: of an
    /// order's details they are not there any more.
    pub items: Vec<Item>,
    /// Where the request has each of them; empty: where it stands here. Of no use once the order is placed or refused.
    #[serde(skip)]
    pub asked: Vec<At>,
    pub price: Price,
    /// In the order in which they were taken off: the automatic one, then the one whose code was given.
    pub promotions: Vec<Promoted>,
    /// How long the seats are held for payment.
    pub lock_seconds: u32,
}

impl Draft {
    /// The promotions of which the order claims a use each.
    pub(in crate::order) fn used_promotions(&self) -> impl Iterator<Item = &PromotionCode> {
        self.promotions.iter().filter(|promoted| promoted.is_limited).map(|promoted| &promoted.code)
    }

    /// The reservations that it adopts.
    pub fn adopts(&self) -> impl Iterator<Item = HoldId> {
        self.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Journey(Leg { wish: SeatWish::Reserved { reservation, .. }, .. }) => Some(*reservation),
            ItemKind::Journey(Leg { wish: SeatWish::Any | SeatWish::Chosen(_), .. }) | ItemKind::Package(_) => None,
        })
    }
}
