//! Tickets of a traveller, and the codes to show at the gate.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use deeptravel_actors::lists::TicketPage;
use deeptravel_domain::code::Subject;
use deeptravel_domain::ids::TicketId;
use deeptravel_domain::order::Order;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::ticket::{Ticket, TicketStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::orders::stored;
use super::qr::{self, CodeView, QrQuery};
use crate::api::frame::{
    Allowed, Answered, Buy, Language, Own, Page, Paging, Problem, Routes, Traveller, ok, parse_query, parse_word,
};
use crate::api::views::ticket::{self, TicketView};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_tickets, list_tickets)
        .mount(__path_show_ticket, show_ticket)
        .mount(__path_show_ticket_code, show_ticket_code)
        .mount(__path_show_order_code, show_order_code);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TicketsFilter {
    /// `usable`, `used`, …
    status: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TicketList<'a> {
    /// Those of the newest order first.
    tickets: Vec<TicketView<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// `false` while the database is away: the first page then shows what is in memory.
    complete: bool,
}

/// One's own tickets.
#[utoipa::path(
    get, path = "/my/tickets", params(TicketsFilter, Paging),
    responses((status = 200, body = TicketList), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_tickets(Allowed(by): Allowed<Buy>, language: Language, page: Page<TicketId, TicketsFilter>) -> Answered {
    let status: Option<TicketStatus> = parse_word("status", page.filter.status.as_deref(), "is no status of a ticket")?;
    let read = page
        .read_own(&by, |lists, before, count| async move { lists.tickets_of(by.who, status, before, count).await })
        .await?;
    let catalogue = by.api.engine.services().catalogue.load();
    match read {
        Own::Stored(TicketPage { tickets: mut ids, orders }) => {
            let next_cursor = page.cut(&mut ids, |id| *id);
            let orders = orders.iter().map(|rows| stored(rows, &by.api)).collect::<Result<Vec<Order>, Problem>>()?;
            let tickets = ids.iter().filter_map(|id| {
                let order = orders.iter().find(|order| order.id() == id.order)?;
                Some(ticket::view(&catalogue, language, order, order.ticket(*id)?))
            });
            Ok(ok(&TicketList { tickets: tickets.collect(), next_cursor, complete: true }))
        }
        Own::InMemory(orders) => {
            let tickets = orders.iter().flat_map(|order| order.tickets().iter().map(move |ticket| (order, ticket)));
            let wanted = tickets.filter(|(_, ticket)| status.is_none_or(|status| ticket.status == status));
            let tickets = wanted.map(|(order, ticket)| ticket::view(&catalogue, language, order, ticket));
            Ok(ok(&TicketList { tickets: tickets.take(page.limit).collect(), next_cursor: None, complete: false }))
        }
    }
}

impl Traveller {
    /// What is answered about the traveller's own ticket and its order. Somebody else's is not there (R-TICKET-08).
    async fn own_ticket(&self, id: &str, answer: impl FnOnce(&Order, &Ticket) -> Answered) -> Answered {
        let no_such = || Problem::from(Rejection::TicketNotFound).naming("ticketId", "is no ticket of yours");
        let id: TicketId = id.parse().map_err(|_| no_such())?;
        let not_it = |problem: Problem| if problem.status() == StatusCode::NOT_FOUND { no_such() } else { problem };
        let order = self.own_order(&id.order.to_string()).await.map_err(not_it)?;
        answer(&order, order.ticket(id).ok_or_else(no_such)?)
    }
}

/// A ticket of one's own.
#[utoipa::path(
    get, path = "/tickets/{ticketId}",
    responses(
        (status = 200, body = TicketView),
        (status = 404, description = "`TICKET_NOT_FOUND`: not there, or not yours"),
    )
)]
async fn show_ticket(Allowed(by): Allowed<Buy>, language: Language, id: web::Path<String>) -> Answered {
    let answer = |order: &Order, ticket: &Ticket| {
        Ok(ok(&ticket::view(&by.api.engine.services().catalogue.load(), language, order, ticket)))
    };
    by.own_ticket(&id, answer).await
}

/// The code of a ticket: a fresh one for the app at every request, or one to be printed (R-TICKET-04).
#[utoipa::path(
    get, path = "/tickets/{ticketId}/qr", params(("ticketId" = String, Path), QrQuery),
    responses(
        (
            status = 200,
            description = "As JSON, or as an image",
            content((CodeView = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png")),
        ),
        (status = 404, description = "`TICKET_NOT_FOUND`"),
    )
)]
async fn show_ticket_code(Allowed(by): Allowed<Buy>, id: web::Path<String>, request: HttpRequest) -> Answered {
    let wanted = parse_query::<QrQuery>(request.query_string())?.wanted()?;
    let code = |ticket: &Ticket| qr::code(&by.api, Subject::of_ticket(ticket), std::slice::from_ref(ticket), wanted);
    by.own_ticket(&id, |_, ticket| code(ticket)).await
}

/// The code of all tickets of an order, likewise.
#[utoipa::path(
    get, path = "/orders/{orderId}/qr", params(("orderId" = String, Path), QrQuery),
    responses(
        (
            status = 200,
            description = "As JSON, or as an image",
            content((CodeView = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png")),
        ),
        (status = 404, description = "`ORDER_NOT_FOUND`"),
        (status = 409, description = "`TICKETS_NOT_ISSUED`: to be printed, and not paid yet"),
    )
)]
async fn show_order_code(Allowed(by): Allowed<Buy>, id: web::Path<String>, request: HttpRequest) -> Answered {
    let wanted = parse_query::<QrQuery>(request.query_string())?.wanted()?;
    let order = by.own_order(&id).await?;
    qr::code(&by.api, Subject::Order(order.id()), order.tickets(), wanted)
}
