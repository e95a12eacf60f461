//! Orders of a traveller: place, look, list, cancel.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::{HttpResponse, web};
use deeptravel_actors::outage::Reply;
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{Order, OrderStatus};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Rows;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::order_request::NewOrder;
use super::payments::provider_answers;
use crate::api::frame::{
    Allowed, Answered, Api, Body, Buy, IdempotencyKey, Language, Own, Page, Paging, Problem, Routes, Traveller, json,
    ok, parse_word,
};
use crate::api::views::order::{self, OrderView};

/// What stands before everything.
pub fn hottest(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_place_order, place_order);
}

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_orders, list_orders)
        .mount(__path_show_order, show_order)
        .mount(__path_cancel_order, cancel_order);
}

impl Traveller {
    /// The traveller's own order. Somebody else's is not there (R-TICKET-08).
    pub async fn own_order(&self, id: &str) -> Result<Arc<Order>, Problem> {
        let id: OrderId = id.parse().map_err(|_| no_such_order())?;
        let Reply { outcome, position } = self.api.engine.order(id).await?;
        match outcome {
            Ok(order) if order.traveller() == Some(self.who) && order.is_placed() => {
                self.shown(Ok(Reply::ok(order, position)))
            }
            Ok(_) | Err(Rejection::OrderNotFound) => Err(no_such_order()),
            Err(rejection) => Err(rejection.into()),
        }
    }
}

fn answer(api: &Api, status: StatusCode, language: Language, order: &Order) -> HttpResponse {
    json(status, &order::view(&api.engine.services().catalogue.load(), language, order))
}

/// The path of an order: 8 characters, and the 26 of its id.
const LOCATION_BYTES: usize = 34;

fn location(order: OrderId) -> HeaderValue {
    // A full text becomes a header without being copied.
    let mut path = String::with_capacity(LOCATION_BYTES);
    // Writing into a string cannot fail.
    let _ = write!(path, "/orders/{order}");
    HeaderValue::try_from(path).expect("an id is visible ASCII")
}

fn no_such_order() -> Problem {
    Problem::from(Rejection::OrderNotFound).naming("orderId", "is no order of yours")
}

/// An order from stored rows. Rows that cannot be read are a fault of ours.
pub fn stored(rows: &Rows, api: &Api) -> Result<Order, Problem> {
    Order::from_rows(rows, api.engine.now())
        .map_err(|error| Problem::fault("Rows of a listed order cannot be read", &error))
}

/// Holds the seats of every item and makes a pending order; all of them or none. Those of a reservation become the order's,
/// with the time that is left of it.
#[utoipa::path(
    post, path = "/orders",
    params((
        "Idempotency-Key" = String, Header, description = "Valid for 48 hours",
        min_length = 1, max_length = 64, pattern = "^[!-~]+$"
    )),
    request_body = NewOrder,
    responses(
        (status = 201, body = OrderView),
        (status = 200, description = "Made before with the same key", body = OrderView),
        (status = 400, description = "`IDEMPOTENCY_KEY_REQUIRED`, `MALFORMED_JSON`"),
        (status = 404, description = "`DEPARTURE_NOT_FOUND`, `RESERVATION_NOT_FOUND`"),
        (
            status = 409,
            description = "`SOLD_OUT`, `SEAT_TAKEN`, `LOCK_LIMIT`, `BOOKING_CLOSED`, `BLACKOUT`, `PROMOTION_EXHAUSTED`; \
                `LOCK_EXPIRED`, `RESERVATION_ENDED` of an item's reservation"
        ),
        (
            status = 422,
            description = "`VALIDATION_ERROR`, of `promotionCode` also when it does not fit; `IDEMPOTENCY_MISMATCH`"
        ),
        (status = 503, description = "To be repeated with the same key"),
    )
)]
async fn place_order(Allowed(by): Allowed<Buy>, language: Language, key: IdempotencyKey, body: Body) -> Answered {
    let wish = body.borrowed::<NewOrder<'_>>()?.into_wish(by.who, key, &by.api.document_keys)?;
    // Not kept while the order is made.
    drop(body);
    let show = |order: &Arc<Order>, is_new| {
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = answer(&by.api, status, language, order);
        response.headers_mut().insert(LOCATION, location(order.id()));
        response
    };
    by.shown(by.api.engine.place(wish, show).await)
}

/// An order of one's own.
#[utoipa::path(
    get, path = "/orders/{orderId}",
    responses(
        (status = 200, body = OrderView),
        (status = 404, description = "`ORDER_NOT_FOUND`: not there, or not yours"),
    )
)]
async fn show_order(Allowed(by): Allowed<Buy>, language: Language, id: web::Path<String>) -> Answered {
    let order = by.own_order(&id).await?;
    Ok(answer(&by.api, StatusCode::OK, language, &order))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrdersFilter {
    /// `pending`, `paid`, `completed` or `cancelled`.
    #[param(pattern = "^(pending|paid|completed|cancelled)$")]
    status: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OrderList<'a> {
    /// The newest first.
    orders: Vec<OrderView<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// `false` while the database is away: the first page then shows what is in memory.
    complete: bool,
}

/// One's own orders.
#[utoipa::path(
    get, path = "/orders", params(OrdersFilter, Paging),
    responses((status = 200, body = OrderList), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_orders(Allowed(by): Allowed<Buy>, language: Language, page: Page<OrderId, OrdersFilter>) -> Answered {
    let wrong = "is none of pending, paid, completed, cancelled";
    let status: Option<OrderStatus> = parse_word("status", page.filter.status.as_deref(), wrong)?;
    let read = page
        .read_own(&by, |lists, before, count| async move { lists.orders_of(by.who, status, before, count).await })
        .await?;
    let catalogue = by.api.engine.services().catalogue.load();
    match read {
        Own::Stored(rows) => {
            let mut orders = rows.iter().map(|rows| stored(rows, &by.api)).collect::<Result<Vec<Order>, Problem>>()?;
            let next_cursor = page.cut(&mut orders, |order| order.id());
            let orders = orders.iter().map(|order| order::view(&catalogue, language, order)).collect();
            Ok(ok(&OrderList { orders, next_cursor, complete: true }))
        }
        Own::InMemory(orders) => {
            let wanted = orders.iter().filter(|order| status.is_none_or(|status| order.status() == status));
            let orders = wanted.take(page.limit).map(|order| order::view(&catalogue, language, order)).collect();
            Ok(ok(&OrderList { orders, next_cursor: None, complete: false }))
        }
    }
}

/// Gives an unpaid order up. With a begun payment the answer comes when WeChat has confirmed its end.
#[utoipa::path(
    post, path = "/orders/{orderId}/cancel",
    responses(
        (status = 200, body = OrderView),
        (status = 404, description = "`ORDER_NOT_FOUND`"),
        (status = 409, description = "`ORDER_PAID`"),
        (status = 502, description = "`PAYMENT_PROVIDER`: the end is not confirmed yet, the order stays pending"),
    )
)]
async fn cancel_order(Allowed(by): Allowed<Buy>, language: Language, id: web::Path<String>) -> Answered {
    let id = by.own_order(&id).await?.id();
    let order = by.shown(provider_answers(by.api.engine.cancel(id)).await)?;
    Ok(answer(&by.api, StatusCode::OK, language, &order))
}
