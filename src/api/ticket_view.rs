//! A ticket on the wire. Borrowed from its order and the catalogue: a scan answers with it, and there are many scans.

use deeptravel_domain::catalogue::{Catalogue, Names, Zone};
use deeptravel_domain::ids::{OrderId, TicketId};
use deeptravel_domain::order::{Item, Order, Passenger};
use deeptravel_domain::ticket::{BOARDING, Ticket, TicketStatus};
use deeptravel_domain::time::Timestamp;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::extract::Language;

/// Where we sell: the offset of every time that belongs to no route.
const SALES_OFFSET: Offset = Offset::constant(8);

/// An instant, shown with an offset.
#[derive(Clone, Copy, Debug)]
pub struct At(Timestamp, Offset);

impl At {
    /// An instant that belongs to no route.
    pub fn sales(at: Timestamp) -> At {
        At(at, SALES_OFFSET)
    }

    /// On the clocks of a route; of one that the catalogue has forgotten, on ours.
    pub fn zone(at: Timestamp, zone: Option<&Zone>) -> At {
        let offset = zone.and_then(|zone| {
            let ahead = zone.local(at).duration_since(Offset::UTC.to_datetime(at.to_jiff()));
            Offset::from_seconds(i32::try_from(ahead.as_secs()).ok()?).ok()
        });
        At(at, offset.unwrap_or(SALES_OFFSET))
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_jiff().display_with_offset(self.1))
    }
}

/// What one passenger may use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView<'a> {
    #[schema(value_type = String)]
    pub ticket_id: TicketId,
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// `usable`, `used`, `refunded`, `changing`, `changed`, `expired`, `cancelled` or `pre_generated`.
    #[schema(example = "usable")]
    pub status: &'static str,
    /// `journey`.
    #[schema(example = "journey")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passenger: Option<TicketPassengerView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<TicketDepartureView<'a>>,
    #[schema(example = "07A")]
    pub seat_number: &'a str,
    /// A journey has one.
    #[schema(value_type = Vec<EntitlementView<'static>>)]
    pub entitlements: [EntitlementView<'a>; 1],
    #[schema(value_type = String, format = DateTime)]
    pub valid_from: At,
    /// Exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: At,
    pub refund_pending: bool,
    pub change_pending: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketPassenger)]
pub struct TicketPassengerView<'a> {
    pub name: &'a str,
    /// `adult`, `child` or `senior`.
    #[serde(rename = "type")]
    #[schema(example = "adult")]
    pub kind: &'static str,
}

/// The journey of a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketDeparture)]
pub struct TicketDepartureView<'a> {
    #[schema(example = "GZ-HKA-0830.20261224")]
    pub departure_id: &'a str,
    pub route_code: &'a str,
    /// `coach` or `ferry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ferry")]
    pub mode: Option<&'static str>,
    pub operator: CodeAndName<'a>,
    /// Where the passenger boards.
    pub origin: CodeAndName<'a>,
    /// Where the passenger leaves.
    pub destination: CodeAndName<'a>,
    #[schema(value_type = String, format = DateTime)]
    pub departs_at: At,
    #[schema(value_type = String, format = DateTime)]
    pub arrives_at: At,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodeAndName)]
pub struct CodeAndName<'a> {
    pub code: &'a str,
    pub name: &'a str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entitlement)]
pub struct EntitlementView<'a> {
    #[schema(example = "BOARDING")]
    pub code: &'a str,
    pub name: &'a str,
    pub remaining: u16,
    pub total: u16,
}

/// A ticket of an order.
pub fn ticket<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    order: &'a Order,
    ticket: &'a Ticket,
) -> TicketView<'a> {
    let journey = &ticket.journey;
    let item = order.items().iter().find(|item| item.departure == journey.departure && item.stretch == journey.stretch);
    let passenger = order.details().passengers.get(usize::from(ticket.passenger));
    TicketView {
        ticket_id: ticket.id,
        order_id: order.id(),
        status: ticket.status.code(),
        kind: "journey",
        passenger: passenger.map(|Passenger { name, kind, .. }| TicketPassengerView { name, kind: kind.code() }),
        departure: item.map(|item| departure(catalogue, language, item)),
        seat_number: &journey.seat,
        entitlements: [EntitlementView {
            code: ticket.entitlement.as_str(),
            name: entitlement_name(language, ticket.entitlement.as_str()),
            remaining: ticket.remaining,
            total: ticket.total,
        }],
        valid_from: At::sales(ticket.valid_from),
        valid_until: At::sales(ticket.valid_until),
        // There are no refunds yet; a change is one that has begun.
        refund_pending: false,
        change_pending: ticket.status == TicketStatus::Changing,
    }
}

fn departure<'a>(catalogue: &'a Catalogue, language: Language, item: &'a Item) -> TicketDepartureView<'a> {
    let route = catalogue.route(item.route.as_str());
    let zone = route.map(|route| &route.time_zone);
    let port = |code: &'a str| {
        let name = catalogue.port(code).map_or(code, |port| in_language(language, &port.names));
        CodeAndName { code, name }
    };
    let operator = item.operator.as_str();
    TicketDepartureView {
        departure_id: item.departure.as_str(),
        route_code: item.route.as_str(),
        mode: route.map(|route| route.mode.code()),
        operator: CodeAndName {
            code: operator,
            name: catalogue.operator(operator).map_or(operator, |found| in_language(language, &found.names)),
        },
        origin: port(item.board_port.as_str()),
        destination: port(item.alight_port.as_str()),
        departs_at: At::zone(item.departs_at, zone),
        arrives_at: At::zone(item.arrives_at, zone),
    }
}

fn in_language(language: Language, names: &Names) -> &str {
    match language {
        Language::Chinese => &names.zh,
        Language::English => &names.en,
    }
}

fn entitlement_name(language: Language, code: &str) -> &str {
    match (code, language) {
        (BOARDING, Language::Chinese) => "登乘",
        (BOARDING, Language::English) => "Boarding",
        _ => code,
    }
}
