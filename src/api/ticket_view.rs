//! A ticket on the wire.

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::order::Order;
use deeptravel_domain::ticket::{Ticket, TicketStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Language;
use super::view::{self, NamedView};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView {
    pub ticket_id: String,
    pub order_id: String,
    /// `usable`, `used`, `expired`, …
    #[schema(example = "usable")]
    pub status: &'static str,
    /// Always `journey` so far.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passenger: Option<TicketPassengerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<TicketDepartureView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_number: Option<String>,
    pub entitlements: Vec<EntitlementView>,
    #[schema(format = DateTime)]
    pub valid_from: String,
    /// Exclusive.
    #[schema(format = DateTime)]
    pub valid_until: String,
    pub refund_pending: bool,
    pub change_pending: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TicketPassenger)]
pub struct TicketPassengerView {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The departure, from where the passenger boards to where he leaves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketDeparture)]
pub struct TicketDepartureView {
    pub departure_id: String,
    pub route_code: String,
    pub operator: NamedView,
    pub origin: NamedView,
    pub destination: NamedView,
    #[schema(format = DateTime)]
    pub departs_at: String,
    #[schema(format = DateTime)]
    pub arrives_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entitlement)]
pub struct EntitlementView {
    #[schema(example = "BOARDING")]
    pub code: String,
    pub name: String,
    pub remaining: u16,
    pub total: u16,
}

/// The name of the entitlement of every journey.
pub fn boarding(language: Language) -> &'static str {
    match language {
        Language::Chinese => "乘坐",
        Language::English => "Boarding",
    }
}

/// A ticket of an order, with the names of the catalogue as it is now.
pub fn ticket(catalogue: &Catalogue, language: Language, order: &Order, ticket: &Ticket) -> TicketView {
    let passenger = order.details().passengers.get(usize::from(ticket.passenger));
    TicketView {
        ticket_id: ticket.id.to_string(),
        order_id: ticket.id.order.to_string(),
        status: ticket.status.code(),
        kind: "journey",
        passenger: passenger
            .map(|passenger| TicketPassengerView { name: passenger.name.to_string(), kind: passenger.kind.code() }),
        departure: departure(catalogue, language, order, ticket),
        seat_number: Some(ticket.journey.seat.to_string()),
        entitlements: vec![EntitlementView {
            code: ticket.entitlement.to_string(),
            name: boarding(language).to_owned(),
            remaining: ticket.remaining,
            total: ticket.total,
        }],
        valid_from: view::time(ticket.valid_from),
        valid_until: view::time(ticket.valid_until),
        refund_pending: false,
        change_pending: ticket.status == TicketStatus::Changing,
    }
}

fn departure(catalogue: &Catalogue, language: Language, order: &Order, ticket: &Ticket) -> Option<TicketDepartureView> {
    let journey = &ticket.journey;
    let item =
        order.items().iter().find(|item| item.departure == journey.departure && item.stretch == journey.stretch)?;
    let route = catalogue.route(item.route.as_str()).map(|route| &**route);
    Some(TicketDepartureView {
        departure_id: item.departure.to_string(),
        route_code: item.route.to_string(),
        operator: view::operator(catalogue, language, &item.operator),
        origin: view::port(catalogue, language, &item.board_port),
        destination: view::port(catalogue, language, &item.alight_port),
        departs_at: view::route_time(route, item.departs_at),
        arrives_at: view::route_time(route, item.arrives_at),
    })
}
