//! Orders that a partner has sold: tickets that were activated, and units of reservations (R-OTA-08). Each unit is a ticket with a
//! code of its own, which is sealed anew for every answer.

use std::sync::Arc;

use actix_web::web;
use deeptravel_actors::lists::{PartnerOrder, PartnerOrderFilter};
use deeptravel_domain::code::{Code, CodeKeys, Subject, seal};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{Buyer, Contact, Item, Order, OrderStatus};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Language, Numbered, NumberedPaging, Partner, Problem, Resell, Routes, ok, refusals, secret_bytes,
};
use crate::api::views::partner_ticket::{self, PartnerTicketView};
use crate::api::views::{self, End, MoneyView, Zoned, instant_or_day};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_orders, list_orders)
        .mount(__path_show_order, show_order)
        .mount(__path_list_tickets_of_order, list_tickets_of_order);
}

/// For whom something was sold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartnerCustomer)]
struct CustomerView<'a> {
    name: &'a str,
    phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

impl<'a> From<&'a Contact> for CustomerView<'a> {
    fn from(contact: &'a Contact) -> CustomerView<'a> {
        CustomerView { name: &contact.name, phone: &contact.phone, email: contact.email.as_deref() }
    }
}

/// What a partner has sold to one customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerOrder)]
pub struct PartnerOrderView<'a> {
    #[schema(value_type = String)]
    order_id: OrderId,
    /// For the customer: the order's id.
    #[schema(value_type = String)]
    confirmation_code: OrderId,
    /// `paid`; `completed`: nothing of it is left to be used.
    #[schema(example = "paid")]
    status: &'static str,
    created_at: Zoned,
    /// By the partner's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    /// Of its tickets.
    quantity: usize,
    total_amount: MoneyView,
    customer_details: CustomerView<'a>,
    /// `adult`, `child` or `senior`.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    visit_date: Option<Date>,
    payment_reference: &'a str,
    tickets: Vec<PartnerTicketView<'a>>,
}

/// An order of one's own. `None`: a traveller has bought it.
pub fn view<'a>(by: &Partner, language: Language, order: &'a Order) -> Option<PartnerOrderView<'a>> {
    let details = order.details();
    let Buyer::Partner { payment_reference, .. } = &details.buyer else { return None };
    let terms = order.items().first().and_then(Item::package);
    Some(PartnerOrderView {
        order_id: order.id(),
        confirmation_code: order.id(),
        status: order.status().code(),
        created_at: views::time(order.created_at()),
        paid_at: order.paid_at().map(views::time),
        completed_at: order.completed_at().map(views::time),
        product_id: terms.and_then(|terms| terms.product),
        quantity: order.items().len(),
        total_amount: order.total().into(),
        customer_details: CustomerView::from(&details.contact),
        customer_type: details.passengers.first().map(|passenger| passenger.kind.code()),
        visit_date: terms.and_then(|terms| terms.service_date),
        payment_reference,
        tickets: tickets(by, language, order),
    })
}

/// All units of an order, with their codes.
fn tickets<'a>(by: &Partner, language: Language, order: &'a Order) -> Vec<PartnerTicketView<'a>> {
    (0..order.items().len()).filter_map(|item| ticket(by, language, order, item as u16)).collect()
}

/// A unit of an order, with its code. `None`: there is no such unit.
pub fn ticket<'a>(by: &Partner, language: Language, order: &'a Order, item: u16) -> Option<PartnerTicketView<'a>> {
    // In this order: the keys seal from the instant on in which they were loaded.
    let keys = by.api.code_keys.load();
    let now = by.api.engine.now();
    let view = partner_ticket::view(language, order, item, now)?;
    Some(PartnerTicketView { qr_code: code(by, order, item, now).map(|code| sealed(&keys, &code, now)), ..view })
}

/// What is printed for a unit: of a ticket that was made in advance what was printed for it then.
pub fn code(by: &Partner, order: &Order, item: u16, now: Timestamp) -> Option<Code> {
    match order.id().of_batch() {
        Some((batch, number)) => {
            let shown = by.api.engine.services().batch_board.get(batch)?;
            Some(shown.plan().code(number))
        }
        None => Code::print(Subject::Item { order: order.id(), item }, order.tickets_of(item), now),
    }
}

fn sealed(keys: &CodeKeys, code: &Code, now: Timestamp) -> String {
    seal(keys, code, now, secret_bytes()).text
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// `paid` or `completed`.
    #[param(pattern = "^(paid|completed)$")]
    status: Option<String>,
    /// Of tickets of this batch, as the partner calls it. One that is not there has no orders.
    batch_id: Option<String>,
    /// Since this instant (RFC 3339), or since the beginning of this day.
    #[param(example = "2026-12-24T08:00:00+08:00")]
    created_after: Option<String>,
    /// Before this instant, or until the end of this day.
    created_before: Option<String>,
}

impl OrderQuery {
    /// `None`: nothing is wanted that there can be. Errors name the parameter.
    fn filter(&self, by: &Partner) -> Result<Option<PartnerOrderFilter>, Problem> {
        let invalid = |field, wrong| Problem::from(refusals::INVALID_PARAMETER).naming(field, wrong);
        let status = match self.status.as_deref() {
            None => None,
            Some("paid") => Some(OrderStatus::Paid),
            Some("completed") => Some(OrderStatus::Completed),
            Some(_) => return Err(invalid("status", "is neither paid nor completed")),
        };
        let mut filter = PartnerOrderFilter {
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

/// An order in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedPartnerOrder)]
struct ListedOrder<'a> {
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    confirmation_code: OrderId,
    #[schema(example = "paid")]
    status: &'static str,
    created_at: Zoned,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    quantity: u32,
    total_amount: MoneyView,
    customer_name: &'a str,
    payment_reference: &'a str,
}

impl<'a> From<&'a PartnerOrder> for ListedOrder<'a> {
    fn from(order: &'a PartnerOrder) -> ListedOrder<'a> {
        ListedOrder {
            order_id: order.id,
            confirmation_code: order.id,
            status: order.status.code(),
            created_at: views::time(order.created_at),
            product_id: order.product,
            quantity: order.units,
            total_amount: order.total.into(),
            customer_name: &order.customer,
            payment_reference: &order.payment_reference,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerOrders)]
struct OrderPage<'a> {
    /// The oldest first.
    orders: Vec<ListedOrder<'a>>,
    /// On all pages.
    total_count: u64,
    page: u32,
    page_size: u32,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerOrderTickets)]
struct OrderTickets<'a> {
    #[schema(value_type = String)]
    order_id: OrderId,
    tickets: Vec<PartnerTicketView<'a>>,
    total_count: usize,
}

fn no_such() -> Problem {
    Problem::from(Rejection::OrderNotFound).naming("orderId", "is no order of yours")
}

impl Partner {
    /// An order that the partner has sold, as it is. Another's is not there.
    async fn own_order(&self, id: &str) -> Result<Arc<Order>, Problem> {
        let id = id.parse().map_err(|_| no_such())?;
        let found = self.noted(self.api.engine.partner_order(self.id(), id).await)?;
        found.map_err(|refused| if refused == Rejection::OrderNotFound { no_such() } else { refused.into() })
    }
}

/// One's own orders, without their tickets.
#[utoipa::path(
    get, path = "/api/ota/orders", params(OrderQuery, NumberedPaging),
    responses(
        (status = 200, body = OrderPage),
        (status = 422, description = "`INVALID_PARAMETER`, `VALIDATION_ERROR`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_orders(Allowed(by): Allowed<Resell>, list: Numbered<OrderQuery>) -> Answered {
    let (page, page_size) = (list.page.number, list.page.limit);
    let Some(filter) = list.filter.filter(&by)? else {
        return Ok(ok(&OrderPage { orders: Vec::new(), total_count: 0, page, page_size }));
    };
    let partner = by.id().clone();
    let read = list.read(&by, |lists, page| async move { lists.orders_of_partner(&partner, &filter, page).await });
    let listed = read.await?;
    let orders = listed.entries.iter().map(ListedOrder::from).collect();
    Ok(ok(&OrderPage { orders, total_count: listed.total, page, page_size }))
}

/// An order of one's own, with its tickets.
#[utoipa::path(
    get, path = "/api/ota/orders/{orderId}", params(("orderId" = String, Path)),
    responses(
        (status = 200, body = PartnerOrderView),
        (status = 404, description = "`ORDER_NOT_FOUND`: not there, or not yours"),
    )
)]
async fn show_order(Allowed(by): Allowed<Resell>, language: Language, id: web::Path<String>) -> Answered {
    let order = by.own_order(&id).await?;
    Ok(ok(&view(&by, language, &order).ok_or_else(no_such)?))
}

/// The tickets of an order of one's own, each with what is printed for it.
#[utoipa::path(
    get, path = "/api/ota/orders/{orderId}/tickets", params(("orderId" = String, Path)),
    responses(
        (status = 200, body = OrderTickets),
        (status = 404, description = "`ORDER_NOT_FOUND`: not there, or not yours"),
    )
)]
async fn list_tickets_of_order(Allowed(by): Allowed<Resell>, language: Language, id: web::Path<String>) -> Answered {
    let order = by.own_order(&id).await?;
    let tickets = tickets(&by, language, &order);
    Ok(ok(&OrderTickets { order_id: order.id(), total_count: tickets.len(), tickets }))
}
