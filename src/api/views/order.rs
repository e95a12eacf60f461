//! An order on the wire. Views borrow from the order and the catalogue, and ids and times are written straight into the
//! answer: making one copies nothing.

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::money::Money;
use deeptravel_domain::order::{Contact, Draft, Item, ItemKind, LineKind, Order, Passenger};
use deeptravel_domain::ticket::BOARDING;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::refund::{self, RefundView};
use super::ticket::{self, TicketView, boarding};
use crate::api::frame::Language;
use crate::api::views::{self, MoneyView, Named, PromotedView, Zoned};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order)]
pub struct OrderView<'a> {
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// `pending`, `paid`, `completed` or `cancelled`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// Until when the seats are held for payment.
    pub lock_expire_at: Zoned,
    pub created_at: Zoned,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Zoned>,
    /// `traveller`, `expired`, `seats_lost` or `departure_cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<&'static str>,
    pub amount: MoneyView,
    pub price_lines: Vec<PriceLineView<'a>>,
    /// What has lowered the price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotedView>,
    pub passengers: Vec<PassengerView<'a>>,
    pub contact: ContactView<'a>,
    pub items: Vec<OrderItem<'a>>,
    /// What was promised at the time of the order.
    pub entitlements: Vec<Promise<'a>>,
    /// Once paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<Vec<TicketView<'a>>>,
    /// Money that goes back, once there is some. Their amounts add up to all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundView>,
}

/// All passengers of one type on one item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PriceLine)]
pub struct PriceLineView<'a> {
    /// Index of the item.
    pub item: u16,
    pub passenger_type: &'static str,
    /// On a journey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_class: Option<&'a str>,
    pub count: u16,
    pub unit: MoneyView,
    pub discount: MoneyView,
    pub total: MoneyView,
    /// Which fare, or package, which tier and which promotions applied.
    pub explanation: &'a str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passenger)]
pub struct PassengerView<'a> {
    pub name: &'a str,
    /// `adult`, `child` or `senior`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Document<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The last characters; the rest is starred.
    #[schema(example = "****4567")]
    pub number: &'a str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
pub struct ContactView<'a> {
    pub name: &'a str,
    pub phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
}

/// Something that was bought.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OrderItem<'a> {
    Journey(JourneyItem<'a>),
    Package(PackageItem<'a>),
}

/// A journey of the order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JourneyItem<'a> {
    /// `journey`.
    pub kind: &'static str,
    pub departure_id: &'a str,
    pub route_code: &'a str,
    pub operator: Named<'a>,
    pub seat_class: &'a str,
    pub board_stop: u8,
    pub alight_stop: u8,
    pub origin: Named<'a>,
    pub destination: Named<'a>,
    pub departs_at: Zoned,
    pub arrives_at: Zoned,
    /// In the order of the passengers.
    pub seat_numbers: &'a [Box<str>],
    /// Index of the package that includes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<u16>,
}

/// A package of the order, as it was sold.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageItem<'a> {
    /// `package`.
    pub kind: &'static str,
    pub template_id: &'a str,
    pub version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u32>,
    pub name: &'a str,
    /// The day of the visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub service_date: Option<Date>,
    /// Times that each passenger has it.
    pub quantity: u16,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Promise<'a> {
    pub code: &'a str,
    pub name: &'a str,
    /// In all.
    pub quantity: u32,
    /// Used up together by the party.
    pub shared: bool,
}

/// The order with the names of the catalogue, and the times of departures, as they are now.
pub fn view<'a>(catalogue: &'a Catalogue, language: Language, order: &'a Order) -> OrderView<'a> {
    let Draft { contact: Contact { name, phone, email }, passengers: party, .. } = order.details();
    let tickets = order.tickets();
    let cancelled = order.cancelled();
    OrderView {
        order_id: order.id(),
        status: order.status().code(),
        lock_expire_at: views::time(order.lock_expires_at()),
        created_at: views::time(order.created_at()),
        paid_at: order.paid_at().map(views::time),
        completed_at: order.completed_at().map(views::time),
        cancelled_at: cancelled.map(|(at, _)| views::time(at)),
        cancel_reason: cancelled.map(|(_, why)| why.code()),
        amount: order.total().into(),
        price_lines: price_lines(order),
        promotions: promotions(order),
        passengers: passengers(order),
        contact: ContactView { name, phone, email: email.as_deref() },
        items: order.items().iter().map(|item| self::item(catalogue, language, item)).collect(),
        entitlements: promises(language, order.items(), party.len() as u32),
        tickets: (!tickets.is_empty())
            .then(|| tickets.iter().map(|ticket| ticket::view(catalogue, language, order, ticket)).collect()),
        refunds: order.shown_refunds().map(refund::view).collect(),
    }
}

fn price_lines(order: &Order) -> Vec<PriceLineView<'_>> {
    let money = |minor| Money::new(minor, order.total().currency).into();
    let lines = order.details().price.lines.iter();
    lines
        .map(|line| {
            let seat_class = match &line.kind {
                LineKind::Journey { class, .. } => Some(class.as_str()),
                LineKind::Package { .. } => None,
            };
            PriceLineView {
                item: line.item,
                passenger_type: line.kind.passenger().code(),
                seat_class,
                count: line.count,
                unit: money(line.unit_minor),
                discount: money(line.discount_minor),
                total: money(line.total_minor),
                explanation: &line.explanation,
            }
        })
        .collect()
}

fn promotions(order: &Order) -> Vec<PromotedView> {
    let promoted = order.details().promotions.iter();
    promoted
        .map(|promoted| PromotedView::new(&promoted.code, promoted.discount_minor, order.total().currency))
        .collect()
}

fn passengers(order: &Order) -> Vec<PassengerView<'_>> {
    let passengers = order.details().passengers.iter();
    passengers
        .map(|Passenger { name, kind, document }| {
            let document = document.as_ref().map(|document| Document { kind: &document.kind, number: &document.mask });
            PassengerView { name, kind: kind.code(), document }
        })
        .collect()
}

/// Boarding for everybody on every journey, then what packages give.
fn promises(language: Language, items: &[Item], party: u32) -> Vec<Promise<'_>> {
    let journeys = items.iter().filter(|item| item.leg().is_some()).count() as u32;
    let quantity = journeys * party;
    let boarding = Promise { code: BOARDING, name: boarding(language), quantity, shared: false };
    let of_package = items.iter().filter_map(Item::package).flat_map(|package| {
        package.entitlements.iter().map(move |terms| {
            let holders = if terms.shared { 1 } else { party };
            Promise {
                code: terms.code.as_str(),
                name: language.of(&terms.names),
                quantity: u32::from(terms.quantity) * u32::from(package.quantity) * holders,
                shared: terms.shared,
            }
        })
    });
    (quantity > 0).then_some(boarding).into_iter().chain(of_package).collect()
}

fn item<'a>(catalogue: &'a Catalogue, language: Language, item: &'a Item) -> OrderItem<'a> {
    let kind = item.kind.name().code();
    match &item.kind {
        ItemKind::Journey(leg) => {
            let route = catalogue.route(leg.route.as_str()).map(|route| &**route);
            let (departs_at, arrives_at) = leg.times(catalogue.override_of(&leg.departure).map(|of| &**of));
            OrderItem::Journey(JourneyItem {
                kind,
                departure_id: leg.departure.as_str(),
                route_code: leg.route.as_str(),
                operator: views::operator(catalogue, language, &leg.operator),
                seat_class: leg.class.as_str(),
                board_stop: leg.stretch.board,
                alight_stop: leg.stretch.alight,
                origin: views::port(catalogue, language, &leg.board_port),
                destination: views::port(catalogue, language, &leg.alight_port),
                departs_at: views::route_time(route, departs_at),
                arrives_at: views::route_time(route, arrives_at),
                seat_numbers: &leg.seats,
                part_of: item.part_of,
            })
        }
        ItemKind::Package(terms) => OrderItem::Package(PackageItem {
            kind,
            template_id: terms.template.as_str(),
            version: terms.version,
            product_id: terms.product,
            name: language.of(&terms.names),
            service_date: terms.service_date,
            quantity: terms.quantity,
        }),
    }
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::departure::{Channel, Stretch};
    use deeptravel_domain::ids::{OrderId, Shard, TravellerId};
    use deeptravel_domain::money::{Currency, Money};
    use deeptravel_domain::order::{Buyer, Leg, Price, PriceLine, SealedDocument, SeatWish};
    use deeptravel_domain::party::PassengerType;
    use deeptravel_domain::time::Timestamp;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    fn draft() -> Draft {
        let document = SealedDocument {
            kind: "passport".into(),
            key_version: 1,
            ciphertext: b"sealed".as_slice().into(),
            mask: "****4567".into(),
        };
        Draft {
            id: OrderId::compose(NOW, Shard::of(1), 7),
            buyer: Buyer::Traveller {
                id: TravellerId::from_bits(1),
                idempotency_key: "secret-key".into(),
                body_hash: [0; 32],
            },
            channel: Channel::Direct,
            locale: "en".into(),
            contact: Contact { name: "Mei".into(), phone: "+852 5555 0123".into(), email: None },
            passengers: vec![Passenger { name: "Mei".into(), kind: PassengerType::Adult, document: Some(document) }],
            items: vec![Item {
                part_of: None,
                kind: ItemKind::Journey(Leg {
                    departure: "R1-0800.20261224".parse().unwrap(),
                    route: "R1".parse().unwrap(),
                    operator: "op".parse().unwrap(),
                    class: "standard".parse().unwrap(),
                    stretch: Stretch { board: 0, alight: 2 },
                    board_port: "A".parse().unwrap(),
                    alight_port: "C".parse().unwrap(),
                    departs_at: NOW.plus_seconds(3_600),
                    arrives_at: NOW.plus_seconds(7_200),
                    boards_from: None,
                    wish: SeatWish::Any,
                    seats: vec!["07A".into()],
                }),
                refund_rule: None,
            }],
            asked: Vec::new(),
            price: Price {
                total: Money::new(22_000, Currency::Cny),
                lines: vec![PriceLine {
                    item: 0,
                    kind: LineKind::Journey { passenger: PassengerType::Adult, class: "standard".parse().unwrap() },
                    count: 1,
                    unit_minor: 22_000,
                    discount_minor: 0,
                    total_minor: 22_000,
                    explanation: "fare 0 of revision 1".into(),
                }],
            },
            promotions: vec![],
            lock_seconds: 600,
        }
    }

    #[test]
    fn r_hold_01_a_pending_order_reads_as_the_contract_says_and_leaks_nothing() {
        let catalogue = Catalogue::new(Currency::Cny);
        let drafted = Order::draft(draft(), NOW);
        let view = view(&catalogue, Language::English, &drafted);
        let text = serde_json::to_string(&view).unwrap();
        assert!(!text.contains("secret-key") && !text.contains("sealed"));
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "orderId": draft().id,
                "status": "pending",
                "lockExpireAt": "2025-11-25T00:10:00+08:00",
                "createdAt": "2025-11-25T00:00:00+08:00",
                "amount": {"amount": 22_000, "currency": "CNY"},
                "priceLines": [{
                    "item": 0,
                    "passengerType": "adult",
                    "seatClass": "standard",
                    "count": 1,
                    "unit": {"amount": 22_000, "currency": "CNY"},
                    "discount": {"amount": 0, "currency": "CNY"},
                    "total": {"amount": 22_000, "currency": "CNY"},
                    "explanation": "fare 0 of revision 1",
                }],
                "passengers": [
                    {"name": "Mei", "type": "adult", "document": {"type": "passport", "number": "****4567"}},
                ],
                "contact": {"name": "Mei", "phone": "+852 5555 0123"},
                "items": [{
                    "kind": "journey",
                    "departureId": "R1-0800.20261224",
                    "routeCode": "R1",
                    "operator": {"code": "op", "name": "op"},
                    "seatClass": "standard",
                    "boardStop": 0,
                    "alightStop": 2,
                    "origin": {"code": "A", "name": "A"},
                    "destination": {"code": "C", "name": "C"},
                    "departsAt": "2025-11-25T01:00:00+08:00",
                    "arrivesAt": "2025-11-25T02:00:00+08:00",
                    "seatNumbers": ["07A"],
                }],
                "entitlements": [{"code": "BOARDING", "name": "Boarding", "quantity": 1, "shared": false}],
            })
        );
    }
}
