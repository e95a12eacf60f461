//! Units that a partner reserves without paying, gives back, and sells to a customer who has paid (R-OTA-03).

use actix_web::http::StatusCode;
use actix_web::web;
use deeptravel_actors::lists::{PartnerReservation, ReservationFilter};
use deeptravel_actors::partner::{ActivateUnits, ReserveUnits};
use deeptravel_domain::batch::Offer;
use deeptravel_domain::partner::{PartnerReservationId, ReservationStatus};
use deeptravel_domain::rejection::Rejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batches::named;
use super::customer::{CUSTOMER, Purchase};
use super::orders::{self, PartnerOrderView};
use super::pricing::PricingSnapshot;
use crate::api::frame::{
    Allowed, Answered, Body, Canonical, IdempotencyKey, Language, NewContact, Numbered, NumberedPaging, Partner,
    Problem, Resell, Routes, Text, hash_of, json, no_content, ok, read_fresh, refusals,
};
use crate::api::views::{self, End, Zoned, instant_or_day};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_reserve, reserve)
        .mount(__path_list_reservations, list_reservations)
        .mount(__path_show_reservation, show_reservation)
        .mount(__path_cancel_reservation, cancel_reservation)
        .mount(__path_activate_reservation, activate_reservation);
}

/// Units of a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewPartnerReservation, example = json!({"productId": 106, "quantity": 50}))]
struct NewReservation {
    #[schema(example = 106)]
    product_id: u32,
    #[schema(minimum = 1, maximum = 5_000)]
    quantity: u32,
}

impl Canonical for NewReservation {
    fn write(&self, into: &mut Vec<u8>) {
        let NewReservation { product_id, quantity } = self;
        product_id.write(into);
        quantity.write(into);
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerReservation)]
struct ReservationView<'a> {
    reservation_id: String,
    product_id: u32,
    quantity: u32,
    /// Units that are neither sold nor in a batch.
    remaining: u32,
    /// `active`; `expired`, `cancelled`: what remained has gone back; `activated`: nothing remains.
    #[schema(example = "active")]
    status: &'static str,
    created_at: Zoned,
    /// From then on nothing of it is sold. Absent: it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_until: Option<Zoned>,
    /// When it has expired, was cancelled or sold out.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Zoned>,
    /// What its units cost, whatever becomes of the product; while it is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing_snapshot: Option<PricingSnapshot<'a>>,
}

impl<'a> ReservationView<'a> {
    fn of(language: Language, reservation: &'a PartnerReservation) -> ReservationView<'a> {
        let PartnerReservation { id, product, quantity, remaining, status, created_at, expires_at, ended_at, offer } =
            reservation;
        let snapshot = |offer: &'a Offer| PricingSnapshot::of(language, &offer.terms, &offer.tiers, *created_at);
        ReservationView {
            reservation_id: id.to_string(),
            product_id: *product,
            quantity: *quantity,
            remaining: *remaining,
            status: status.code(),
            created_at: views::time(*created_at),
            reserved_until: expires_at.map(views::time),
            ended_at: ended_at.map(views::time),
            pricing_snapshot: offer.as_deref().map(snapshot),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReservationQuery {
    /// `active`, `expired`, `activated` or `cancelled`.
    #[param(pattern = "^(active|expired|activated|cancelled)$")]
    status: Option<String>,
    /// Since this instant (RFC 3339), or since the beginning of this day.
    #[param(example = "2026-12-24T08:00:00+08:00")]
    created_after: Option<String>,
    /// Before this instant, or until the end of this day.
    created_before: Option<String>,
}

impl ReservationQuery {
    /// Errors name the parameter.
    fn filter(&self) -> Result<ReservationFilter, Problem> {
        let status: Option<Result<ReservationStatus, _>> = self.status.as_deref().map(str::parse);
        let wrong = |_| Problem::from(refusals::INVALID_PARAMETER).naming("status", "is no status of a reservation");
        Ok(ReservationFilter {
            status: status.transpose().map_err(wrong)?,
            created_from: instant_or_day("createdAfter", self.created_after.as_deref(), End::First)?,
            created_until: instant_or_day("createdBefore", self.created_before.as_deref(), End::Last)?,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerReservations)]
struct ReservationPage<'a> {
    /// The oldest first.
    reservations: Vec<ReservationView<'a>>,
    /// On all pages.
    total_count: u64,
    page: u32,
    page_size: u32,
}

/// A customer has paid the partner for units.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "quantity": 2, "customerDetails": {"name": "陈大文", "phone": "+852 5555 0123"}, "visitDate": "2026-12-24",
    "paymentReference": "P-1"
}))]
struct NewSale<'a> {
    /// All that remain without it.
    #[schema(minimum = 1, maximum = 100)]
    quantity: Option<u32>,
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

fn no_such() -> Problem {
    Problem::from(Rejection::ReservationNotFound).naming("reservationId", "is no reservation of yours")
}

fn parsed(id: &str) -> Result<PartnerReservationId, Problem> {
    id.parse().map_err(|_| no_such())
}

fn of_reservation(refused: Rejection) -> Problem {
    if refused == Rejection::ReservationNotFound { no_such() } else { refused.into() }
}

/// Holds units of a product, all of them or none, at the prices of now.
#[utoipa::path(
    post, path = "/api/ota/reserve",
    params((
        "Idempotency-Key" = String, Header, description = "Valid until 48 hours after the reservation's end",
        min_length = 1, max_length = 64, pattern = "^[!-~]+$"
    )),
    request_body = NewReservation,
    responses(
        (status = 201, body = ReservationView),
        (status = 200, description = "Made before with the same key", body = ReservationView),
        (status = 400, description = "`IDEMPOTENCY_KEY_REQUIRED`, `MALFORMED_JSON`"),
        (status = 404, description = "`TEMPLATE_NOT_FOUND`: the product is not on sale"),
        (status = 409, description = "`INSUFFICIENT_ALLOTMENT`, `RESERVATION_LIMIT`"),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`"),
        (status = 503, description = "To be repeated with the same key"),
    )
)]
async fn reserve(Allowed(by): Allowed<Resell>, language: Language, key: IdempotencyKey, body: Body) -> Answered {
    let request: NewReservation = body.json()?;
    let wish = ReserveUnits {
        idempotency_key: key.0,
        body_hash: hash_of(&request),
        product: request.product_id,
        quantity: request.quantity,
        ttl_hours: by.api.ota.reservation_ttl(),
    };
    let reserved = by.noted(by.api.engine.reserve_units(by.id(), wish).await)?.map_err(named)?;
    let status = if reserved.is_first { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &ReservationView::of(language, &PartnerReservation::of(&reserved.reservation, reserved.now))))
}

/// One's own reservations.
#[utoipa::path(
    get, path = "/api/ota/reservations", params(ReservationQuery, NumberedPaging),
    responses(
        (status = 200, body = ReservationPage),
        (status = 422, description = "`INVALID_PARAMETER`, `VALIDATION_ERROR`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_reservations(
    Allowed(by): Allowed<Resell>,
    language: Language,
    list: Numbered<ReservationQuery>,
) -> Answered {
    let (filter, partner, now) = (list.filter.filter()?, by.id().clone(), by.api.engine.now());
    let read =
        list.read(&by, |lists, page| async move { lists.reservations_of_partner(&partner, &filter, page, now).await });
    let listed = read.await?;
    let reservations = listed.entries.iter().map(|entry| ReservationView::of(language, entry)).collect();
    let (page, page_size) = (list.page.number, list.page.limit);
    Ok(ok(&ReservationPage { reservations, total_count: listed.total, page, page_size }))
}

/// A reservation of one's own.
#[utoipa::path(
    get, path = "/api/ota/reservations/{reservationId}", params(("reservationId" = String, Path)),
    responses(
        (status = 200, body = ReservationView),
        (status = 404, description = "`RESERVATION_NOT_FOUND`: not there, or not yours"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`: nobody in memory knows it"),
    )
)]
async fn show_reservation(Allowed(by): Allowed<Resell>, language: Language, id: web::Path<String>) -> Answered {
    let reservation = by.own_reservation(parsed(&id)?).await?;
    Ok(ok(&ReservationView::of(language, &reservation)))
}

impl Partner {
    /// A reservation as it is. Of one that ended long ago Postgres knows, and so it is asked about what is not there, too.
    async fn own_reservation(&self, id: PartnerReservationId) -> Result<PartnerReservation, Problem> {
        match self.noted(self.api.engine.partner_reservation(self.id(), id).await)? {
            Ok(shown) => Ok(PartnerReservation::of(&shown.reservation, shown.now)),
            Err(Rejection::ReservationNotFound) => {
                let (partner, now) = (self.id().clone(), self.api.engine.now());
                let found =
                    read_fresh(self, |lists| async move { lists.reservation_of_partner(&partner, id, now).await });
                found.await?.ok_or_else(no_such)
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

/// Gives back what remains of a reservation. Repeated, or when it has expired, it is so already.
#[utoipa::path(
    delete, path = "/api/ota/reservations/{reservationId}", params(("reservationId" = String, Path)),
    responses(
        (status = 204),
        (status = 404, description = "`RESERVATION_NOT_FOUND`: not there, or not yours"),
        (status = 409, description = "`RESERVATION_ACTIVATED`: nothing remains of it"),
    )
)]
async fn cancel_reservation(Allowed(by): Allowed<Resell>, id: web::Path<String>) -> Answered {
    let cancelled = by.api.engine.cancel_partner_reservation(by.id(), parsed(&id)?).await;
    by.noted(cancelled)?.map_err(of_reservation)?;
    Ok(no_content())
}

/// Sells units of a reservation to a customer who has paid the partner: they become one order.
#[utoipa::path(
    post, path = "/api/ota/reservations/{reservationId}/activate",
    params(
        ("reservationId" = String, Path),
        (
            "Idempotency-Key" = String, Header, description = "Names the order: of this reservation it makes one",
            min_length = 1, max_length = 64, pattern = "^[!-~]+$"
        ),
    ),
    request_body = NewSale,
    responses(
        (status = 201, body = PartnerOrderView),
        (status = 200, description = "Made before with the same key", body = PartnerOrderView),
        (status = 400, description = "`IDEMPOTENCY_KEY_REQUIRED`, `MALFORMED_JSON`"),
        (status = 404, description = "`RESERVATION_NOT_FOUND`: not there, or not yours"),
        (
            status = 409,
            description = "`RESERVATION_EXPIRED`, `RESERVATION_ACTIVATED` (nothing remains), `RESERVATION_ENDED` (cancelled), \
                `BLACKOUT`"
        ),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`"),
        (status = 503, description = "To be repeated with the same key"),
    )
)]
async fn activate_reservation(
    Allowed(by): Allowed<Resell>,
    language: Language,
    id: web::Path<String>,
    key: IdempotencyKey,
    body: Body,
) -> Answered {
    let reservation = parsed(&id)?;
    let request = body.borrowed::<NewSale<'_>>()?;
    let paid = Purchase {
        customer: request.customer_details.contact(CUSTOMER)?,
        customer_type: request.customer_type.as_ref(),
        visit_date: request.visit_date.as_ref(),
        payment_reference: &request.payment_reference,
        paid_at: None,
    };
    let (quantity, activation) = (request.quantity, Box::new(paid.activation(language)?));
    let asked = ActivateUnits { reservation, idempotency_key: key.0, quantity, activation };
    let sold = by.api.engine.activate_units(by.id(), asked).await;
    let (order, is_first) = by.noted(sold)?.map_err(of_reservation)?;
    let status = if is_first { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &orders::view(&by, language, &order).ok_or_else(no_such)?))
}
