//! Seats that are held before there is an order (R-HOLD-07): reserve, and give back. An order's item names the reservation
//! that it adopts, see `order_request.rs`.

use actix_web::http::StatusCode;
use actix_web::web;
use deeptravel_domain::ids::TravellerId;
use deeptravel_domain::inventory::Wanted;
use deeptravel_domain::party::PARTY_MAX;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{ReservationId, ReservationWish};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::order_request::seat_labels;
use crate::api::frame::{
    Allowed, Answered, Body, Buy, IdempotencyKey, Problem, Routes, Text, canonical, hash_of, json, no_content,
};
use crate::api::views::{self, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_reserve, reserve).mount(__path_release, release);
}

/// Seats of one departure: so many, or those that are named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"departureId": "GZ-HKA-0830.20261224", "seatClass": "standard", "seats": 2}))]
struct NewReservation<'a> {
    #[schema(value_type = String)]
    #[serde(borrow)]
    departure_id: Text<'a>,
    #[schema(value_type = String)]
    seat_class: Text<'a>,
    /// The first stop without it.
    board_stop: Option<u8>,
    /// The last stop without it.
    alight_stop: Option<u8>,
    /// How many, together where possible. Not with `seatNumbers`.
    #[schema(minimum = 1, maximum = 10)]
    seats: Option<u16>,
    /// These, from the seat map. Not with `seats`.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 10)]
    seat_numbers: Option<Vec<Text<'a>>>,
}

canonical!(NewReservation { departure_id, seat_class, board_stop, alight_stop, seats, seat_numbers });

impl NewReservation<'_> {
    /// Errors name the field.
    fn into_wish(self, traveller: TravellerId, key: IdempotencyKey) -> Result<ReservationWish, Problem> {
        let departure = self.departure_id.parse().map_err(|_| Problem::field("departureId", "is no departure id"))?;
        let class = self.seat_class.parse().map_err(|_| Problem::field("seatClass", "is no seat class"))?;
        Ok(ReservationWish {
            traveller,
            idempotency_key: key.0,
            body_hash: hash_of(&self),
            departure,
            class,
            board: self.board_stop,
            alight: self.alight_stop,
            wanted: self.wanted()?,
        })
    }

    fn wanted(&self) -> Result<Wanted, Problem> {
        match (self.seats, &self.seat_numbers) {
            (seats, Some(labels)) => {
                let fits = (1..=usize::from(PARTY_MAX)).contains(&labels.len());
                Problem::unless(fits, "seatNumbers", "is not 1 to 10 seats")?;
                let labels = seat_labels(&|| "seatNumbers".to_owned(), labels)?;
                Problem::unless(seats.is_none(), "seatNumbers", "cannot be with seats")?;
                Ok(Wanted::Chosen(labels.into_iter().map(String::from).collect()))
            }
            (Some(seats), None) => {
                let fits = (1..=PARTY_MAX).contains(&seats);
                Problem::unless(fits, "seats", "is not 1 to 10")?;
                Ok(Wanted::Auto(seats))
            }
            (None, None) => Err(Problem::field("seats", "is missing, and so is seatNumbers")),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReservationView<'a> {
    /// To be given as `reservationId` in an order.
    reservation_id: String,
    seat_numbers: Vec<&'a str>,
    /// From this instant on the seats are free again, and no order adopts them.
    lock_expire_at: Zoned,
}

/// Holds seats before there is an order; all of them or none. It counts as one of the traveller's locks.
#[utoipa::path(
    post, path = "/reservations",
    params((
        "Idempotency-Key" = String, Header, description = "Valid until `lockExpireAt`",
        min_length = 1, max_length = 64, pattern = "^[!-~]+$"
    )),
    request_body = NewReservation,
    responses(
        (status = 201, body = ReservationView),
        (status = 200, description = "Made before with the same key", body = ReservationView),
        (status = 400, description = "`IDEMPOTENCY_KEY_REQUIRED`, `MALFORMED_JSON`"),
        (status = 404, description = "`DEPARTURE_NOT_FOUND`"),
        (
            status = 409,
            description = "`SOLD_OUT`, `SEAT_TAKEN`, `LOCK_LIMIT`, `BOOKING_CLOSED`, `BLACKOUT`; `RESERVATION_ENDED`: made \
                before with the same key, and released or adopted since"
        ),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`"),
        (status = 503, description = "To be repeated with the same key"),
    )
)]
async fn reserve(Allowed(by): Allowed<Buy>, key: IdempotencyKey, body: Body) -> Answered {
    let wish = body.borrowed::<NewReservation<'_>>()?.into_wish(by.who, key)?;
    drop(body);
    let reserved = by.shown(by.api.engine.reserve(wish).await)?;
    let view = ReservationView {
        reservation_id: reserved.reservation.id.to_string(),
        seat_numbers: reserved.seats.iter().map(|seat| &**seat).collect(),
        lock_expire_at: views::time(reserved.reservation.expires_at),
    };
    Ok(json(if reserved.is_first { StatusCode::CREATED } else { StatusCode::OK }, &view))
}

/// Gives the seats of a reservation back.
#[utoipa::path(
    delete, path = "/reservations/{reservationId}",
    responses(
        (status = 204),
        (status = 404, description = "`RESERVATION_NOT_FOUND`: not there any more, adopted, or not yours"),
    )
)]
async fn release(Allowed(by): Allowed<Buy>, id: web::Path<String>) -> Answered {
    let not_found = || Problem::from(Rejection::ReservationNotFound);
    let id: ReservationId =
        id.parse().map_err(|_| not_found().naming("reservationId", "is no reservation of yours"))?;
    by.shown(by.api.engine.release(by.who, &id).await)?;
    Ok(no_content())
}
