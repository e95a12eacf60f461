//! A partner's tickets: activated when its customer has paid, cancelled, shown and listed (R-OTA-06 to R-OTA-08). A ticket is
//! called by its code; what is printed for it is sealed anew for every answer.

use actix_web::web;
use deeptravel_actors::batch_board::{ListedTicket, TicketFilter};
use deeptravel_actors::partner_tickets::PartnerTicket;
use deeptravel_domain::batch::{Batch, Plan, TicketState};
use deeptravel_domain::code::{CodeKeys, seal};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::UnitId;
use deeptravel_domain::package::EntitlementTerms;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::customer::{CUSTOMER, Purchase};
use super::orders;
use crate::api::frame::{
    Allowed, Answered, Body, Language, NewContact, Numbered, NumberedPaging, Partner, Problem, Resell, Routes, Text,
    ok, refusals, secret_bytes,
};
use crate::api::views::package::{ValidityView, validity};
use crate::api::views::partner_ticket::PartnerTicketView;
use crate::api::views::{self, End, Zoned, instant_or_day};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_tickets, list_tickets)
        .mount(__path_show_ticket, show_ticket)
        .mount(__path_activate, activate)
        .mount(__path_cancel, cancel);
}

/// What a ticket gives when it is activated.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PromisedEntitlement)]
struct PromisedView<'a> {
    code: &'a str,
    name: &'a str,
    remaining: u16,
    total: u16,
    validity: ValidityView,
}

/// A ticket that is no order, or was none when it was generated.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedTicket<'a> {
    #[schema(value_type = String)]
    ticket_code: OrderId,
    /// `PRE_GENERATED`, `ACTIVE`, `USED`, `REFUNDED`, `CANCELLED`, `EXPIRED`.
    #[schema(example = "PRE_GENERATED")]
    status: &'static str,
    /// To be printed as a QR symbol.
    qr_code: String,
    #[schema(value_type = Vec<PromisedView>)]
    entitlements: &'a RawValue,
}

/// All tickets of a batch. Each is made when it is written, and what is the same for all was written once.
pub struct GeneratedTickets<'a> {
    batch: &'a Batch,
    keys: &'a CodeKeys,
    now: Timestamp,
    entitlements: Box<RawValue>,
}

impl<'a> GeneratedTickets<'a> {
    pub fn of(
        language: Language,
        batch: &'a Batch,
        keys: &'a CodeKeys,
        now: Timestamp,
    ) -> Result<GeneratedTickets<'a>, Problem> {
        Ok(GeneratedTickets { batch, keys, now, entitlements: promised(language, batch.plan())? })
    }

    fn ticket(&self, number: u16) -> Option<GeneratedTicket<'_>> {
        let state = self.batch.known(number, self.now).ok()?;
        Some(GeneratedTicket {
            ticket_code: self.batch.id().ticket(number),
            status: state.code(),
            qr_code: sealed(self.keys, self.batch.plan(), number, self.now),
            entitlements: &self.entitlements,
        })
    }
}

impl Serialize for GeneratedTickets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.batch.plan().numbers().filter_map(|number| self.ticket(number)))
    }
}

fn promised(language: Language, plan: &Plan) -> Result<Box<RawValue>, Problem> {
    let promised = |terms: &'_ EntitlementTerms| {
        to_raw_value(&PromisedView {
            code: terms.code.as_str(),
            name: language.of(&terms.names),
            remaining: terms.quantity,
            total: terms.quantity,
            validity: validity(&terms.validity),
        })
    };
    let all: Result<Vec<Box<RawValue>>, _> = plan.offer.terms.entitlements.iter().map(promised).collect();
    all.and_then(|all| to_raw_value(&all)).map_err(|error| Problem::fault("A batch cannot be shown", &error))
}

/// What is printed for a ticket.
pub fn sealed(keys: &CodeKeys, plan: &Plan, number: u16, now: Timestamp) -> String {
    seal(keys, &plan.code(number), now, secret_bytes()).text
}

/// A customer has paid the partner for a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "customerDetails": {"name": "陈大文", "phone": "+852 5555 0123"}, "visitDate": "2026-12-24", "paymentReference": "P-1"
}))]
struct NewActivation<'a> {
    #[serde(borrow)]
    customer_details: NewContact<'a>,
    /// `adult` (default), `child` or `senior`.
    #[schema(value_type = Option<String>, pattern = "^(adult|child|senior)$")]
    customer_type: Option<Text<'a>>,
    /// Where the price depends on the day, or the product is not sold on all of them.
    #[schema(value_type = Option<String>, format = Date)]
    visit_date: Option<Text<'a>>,
    /// Of the customer's payment, as the partner calls it.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    payment_reference: Text<'a>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CancelledTicket {
    #[schema(value_type = String)]
    ticket_code: UnitId,
    /// `CANCELLED`; `REFUNDED`, if it was activated.
    #[schema(example = "CANCELLED")]
    status: &'static str,
}

/// A ticket of a batch.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnsoldTicket<'a> {
    #[serde(flatten)]
    ticket: GeneratedTicket<'a>,
    batch_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    created_at: Zoned,
    /// Until then it can be activated. Absent: it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Zoned>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TicketQuery {
    /// `PRE_GENERATED`, `ACTIVE`, `USED`, `REFUNDED`, `CANCELLED`, or `EXPIRED`: never activated before its batch ended.
    #[param(pattern = "^(PRE_GENERATED|ACTIVE|USED|REFUNDED|CANCELLED|EXPIRED)$")]
    status: Option<String>,
    /// Of this batch, as the partner calls it. One that is not there has no tickets.
    batch_id: Option<String>,
    /// Since this instant (RFC 3339), or since the beginning of this day.
    #[param(example = "2026-12-24T08:00:00+08:00")]
    created_after: Option<String>,
    /// Before this instant, or until the end of this day.
    created_before: Option<String>,
}

impl TicketQuery {
    /// `None`: nothing is wanted that there can be. Errors name the parameter.
    fn filter(&self, by: &Partner) -> Result<Option<TicketFilter>, Problem> {
        let invalid = |field, wrong| Problem::from(refusals::INVALID_PARAMETER).naming(field, wrong);
        let status = self.status.as_deref().map(str::parse).transpose();
        let status: Option<TicketState> = status.map_err(|_| invalid("status", "is no status of a ticket"))?;
        let mut filter = TicketFilter {
            status,
            batch: None,
            created_from: instant_or_day("createdAfter", self.created_after.as_deref(), End::First)?,
            created_until: instant_or_day("createdBefore", self.created_before.as_deref(), End::Last)?,
        };
        if let Some(own_id) = &self.batch_id {
            let Some(batch) = by.batch_to_list(own_id)? else { return Ok(None) };
            filter.batch = Some(batch);
        }
        Ok(Some(filter))
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedTicket)]
struct ListedView<'a> {
    #[schema(value_type = String)]
    ticket_code: OrderId,
    #[schema(example = "PRE_GENERATED")]
    status: &'static str,
    batch_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    /// Once it was activated: its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    created_at: Zoned,
}

impl<'a> ListedView<'a> {
    fn of(ticket: &'a ListedTicket) -> ListedView<'a> {
        let is_order = match ticket.status {
            TicketState::Active | TicketState::Used | TicketState::Refunded => true,
            TicketState::PreGenerated | TicketState::Cancelled | TicketState::Expired => false,
        };
        let plan = &*ticket.plan;
        let ticket_code = plan.id.ticket(ticket.number);
        ListedView {
            ticket_code,
            status: ticket.status.code(),
            batch_id: plan.own_id.as_str(),
            product_id: plan.offer.terms.product,
            order_id: is_order.then_some(ticket_code),
            created_at: views::time(plan.created_at),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TicketPage<'a> {
    /// The oldest first.
    tickets: Vec<ListedView<'a>>,
    /// On all pages.
    total_count: u64,
    page: u32,
    page_size: u32,
}

fn no_such() -> Problem {
    Problem::from(Rejection::TicketNotFound).naming("ticketCode", "is no ticket of yours")
}

fn unit(code: &str) -> Result<UnitId, Problem> {
    code.parse().map_err(|_| no_such())
}

fn named(refused: Rejection) -> Problem {
    if refused == Rejection::TicketNotFound { no_such() } else { refused.into() }
}

impl Partner {
    /// A ticket of the partner's, as it is. Another's is not there.
    pub(super) async fn own_ticket(&self, code: &str) -> Result<(UnitId, PartnerTicket), Problem> {
        let unit = unit(code)?;
        let found = self.noted(self.api.engine.partner_ticket(self.id(), unit).await)?;
        Ok((unit, found.map_err(named)?))
    }
}

/// One's own tickets that were generated in advance, with what has become of them.
#[utoipa::path(
    get, path = "/api/ota/tickets", params(TicketQuery, NumberedPaging),
    responses(
        (status = 200, body = TicketPage),
        (status = 422, description = "`INVALID_PARAMETER`, `VALIDATION_ERROR`"),
    )
)]
async fn list_tickets(Allowed(by): Allowed<Resell>, list: Numbered<TicketQuery>) -> Answered {
    let (page, page_size) = (list.page.number, list.page.limit);
    let Some(filter) = list.filter.filter(&by)? else {
        return Ok(ok(&TicketPage { tickets: Vec::new(), total_count: 0, page, page_size }));
    };
    let listed = by.shown(by.api.engine.partner_tickets(by.id(), &filter, list.page).await)?;
    let tickets = listed.entries.iter().map(ListedView::of).collect();
    Ok(ok(&TicketPage { tickets, total_count: listed.total, page, page_size }))
}

/// A ticket of one's own: as it was generated, or as it was sold.
#[utoipa::path(
    get, path = "/api/ota/tickets/{ticketCode}",
    responses(
        (status = 200, description = "Not activated; or activated", content((UnsoldTicket), (PartnerTicketView))),
        (status = 404, description = "`TICKET_NOT_FOUND`: not there, or not yours"),
    )
)]
async fn show_ticket(Allowed(by): Allowed<Resell>, language: Language, code: web::Path<String>) -> Answered {
    let (unit, ticket) = by.own_ticket(&code).await?;
    match ticket {
        PartnerTicket::Sold(order) => Ok(ok(&orders::ticket(&by, language, &order, unit.item).ok_or_else(no_such)?)),
        PartnerTicket::Unsold { batch, number, .. } => {
            // In this order: the keys seal from the instant on in which they were loaded.
            let keys = by.api.code_keys.load();
            let now = by.api.engine.now();
            let tickets = GeneratedTickets::of(language, &batch, &keys, now)?;
            let plan = batch.plan();
            Ok(ok(&UnsoldTicket {
                ticket: tickets.ticket(number).ok_or_else(no_such)?,
                batch_id: plan.own_id.as_str(),
                product_id: plan.offer.terms.product,
                created_at: views::time(plan.created_at),
                expires_at: plan.ends_at.map(views::time),
            }))
        }
    }
}

/// The partner's customer has paid for a ticket: it becomes an order (R-OTA-06).
#[utoipa::path(
    post, path = "/api/ota/tickets/{ticketCode}/activate", request_body = NewActivation,
    responses(
        (status = 200, body = PartnerTicketView),
        (status = 404, description = "`TICKET_NOT_FOUND`: not there, or not yours"),
        (
            status = 409,
            description = "`TICKET_ALREADY_ACTIVATED`, with its `orderId`; `TICKET_CANCELLED`, `TICKET_EXPIRED`, `BLACKOUT`"
        ),
        (status = 422, description = "`VALIDATION_ERROR`"),
        (status = 503, description = "To be repeated"),
    )
)]
async fn activate(Allowed(by): Allowed<Resell>, language: Language, code: web::Path<String>, body: Body) -> Answered {
    let unit = unit(&code)?;
    let said = body.borrowed::<NewActivation<'_>>()?;
    let activation = Purchase {
        customer: said.customer_details.contact(CUSTOMER)?,
        customer_type: said.customer_type.as_ref(),
        visit_date: said.visit_date.as_ref(),
        payment_reference: &said.payment_reference,
        paid_at: None,
    };
    let activation = activation.activation(language)?;
    let activated = by.noted(by.api.engine.activate_unit(by.id(), unit, activation).await)?;
    let order = activated.map_err(named)?;
    Ok(ok(&orders::ticket(&by, language, &order, unit.item).ok_or_else(no_such)?))
}

/// Cancels a ticket, of which nothing was used: its unit can be sold again (R-OTA-07). Repeated it is already so.
#[utoipa::path(
    post, path = "/api/ota/tickets/{ticketCode}/cancel",
    responses(
        (status = 200, body = CancelledTicket),
        (status = 404, description = "`TICKET_NOT_FOUND`: not there, or not yours"),
        (status = 409, description = "`TICKET_USED`, `TICKET_EXPIRED`"),
        (status = 503, description = "To be repeated"),
    )
)]
async fn cancel(Allowed(by): Allowed<Resell>, code: web::Path<String>) -> Answered {
    let ticket_code = unit(&code)?;
    let cancelled = by.noted(by.api.engine.cancel_unit(by.id(), ticket_code).await)?;
    Ok(ok(&CancelledTicket { ticket_code, status: cancelled.map_err(named)?.code() }))
}
