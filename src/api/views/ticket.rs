//! A ticket on the wire.

use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::ids::{OrderId, TicketId};
use deeptravel_domain::order::{Item, Order};
use deeptravel_domain::ticket::{Entitlement, Holder, Right, Ticket, TicketStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::Language;
use crate::api::views::{self, Named, Zoned};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView<'a> {
    #[schema(value_type = String)]
    pub ticket_id: TicketId,
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// `usable`, `used`, `expired`, …
    #[schema(example = "usable")]
    pub status: &'static str,
    /// `journey`; of a package `entitlement`, or `shared` by the whole party.
    #[schema(example = "journey")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passenger: Option<TicketPassenger<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<TicketDeparture<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_number: Option<&'a str>,
    pub entitlements: [EntitlementView<'a>; 1],
    pub valid_from: Zoned,
    /// Exclusive.
    pub valid_until: Zoned,
    pub refund_pending: bool,
    pub change_pending: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TicketPassenger<'a> {
    pub name: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The departure, from where the passenger boards to where he leaves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketDeparture<'a> {
    pub departure_id: &'a str,
    pub route_code: &'a str,
    pub operator: Named<'a>,
    pub origin: Named<'a>,
    pub destination: Named<'a>,
    pub departs_at: Zoned,
    pub arrives_at: Zoned,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Entitlement)]
pub struct EntitlementView<'a> {
    #[schema(example = "BOARDING")]
    pub code: &'a str,
    pub name: &'a str,
    pub remaining: u16,
    pub total: u16,
    pub valid_from: Zoned,
    /// Exclusive.
    pub valid_until: Zoned,
}

/// The name of the entitlement of every journey.
pub fn boarding(language: Language) -> &'static str {
    language.pick("乘坐", "Boarding")
}

/// What the entitlement was called when it was sold.
fn promised<'a>(language: Language, order: &'a Order, ticket: &Ticket) -> Option<&'a str> {
    order.terms(ticket).map(|terms| language.of(&terms.names))
}

/// What a ticket of a package gives, as it was called when it was sold.
pub fn entitlement<'a>(language: Language, order: &'a Order, ticket: &'a Ticket) -> EntitlementView<'a> {
    let &Entitlement { ref code, remaining, total, valid_from, valid_until, .. } = ticket.entitlement();
    EntitlementView {
        code: code.as_str(),
        name: promised(language, order, ticket).unwrap_or(code.as_str()),
        remaining,
        total,
        valid_from: views::time(valid_from),
        valid_until: views::time(valid_until),
    }
}

/// A ticket of an order, with the names of the catalogue, and the times, as they are now.
pub fn view<'a>(catalogue: &'a Catalogue, language: Language, order: &'a Order, ticket: &'a Ticket) -> TicketView<'a> {
    let passenger = match ticket.holder {
        Holder::Passenger(passenger) => order.details().passengers.get(usize::from(passenger)),
        Holder::Party => None,
    };
    let (kind, seat_number, name) = match (&ticket.right, ticket.holder) {
        (Right::Journey(journey), _) => ("journey", Some(&*journey.seat), Some(boarding(language))),
        (Right::Entitlement(_), Holder::Passenger(_)) => ("entitlement", None, promised(language, order, ticket)),
        (Right::Entitlement(_), Holder::Party) => ("shared", None, promised(language, order, ticket)),
    };
    let &Entitlement { ref code, remaining, total, .. } = ticket.entitlement();
    let differs = ticket.departure().and_then(|departure| catalogue.override_of(departure)).map(|of| &**of);
    let (valid_from, valid_until) = ticket.validity(differs);
    let (code, valid_from, valid_until) = (code.as_str(), views::time(valid_from), views::time(valid_until));
    let name = name.unwrap_or(code);
    let departure = order.items().get(usize::from(ticket.item)).and_then(Item::leg).map(|leg| {
        let route = catalogue.route(leg.route.as_str()).map(|route| &**route);
        let (departs_at, arrives_at) = leg.times(differs);
        TicketDeparture {
            departure_id: leg.departure.as_str(),
            route_code: leg.route.as_str(),
            operator: views::operator(catalogue, language, &leg.operator),
            origin: views::port(catalogue, language, &leg.board_port),
            destination: views::port(catalogue, language, &leg.alight_port),
            departs_at: views::route_time(route, departs_at),
            arrives_at: views::route_time(route, arrives_at),
        }
    });
    TicketView {
        ticket_id: ticket.id,
        order_id: ticket.id.order,
        status: ticket.status.code(),
        kind,
        passenger: passenger.map(|passenger| TicketPassenger { name: &passenger.name, kind: passenger.kind.code() }),
        departure,
        seat_number,
        entitlements: [EntitlementView { code, name, remaining, total, valid_from, valid_until }],
        valid_from,
        valid_until,
        refund_pending: false,
        change_pending: ticket.status == TicketStatus::Changing,
    }
}
