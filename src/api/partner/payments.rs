//! A partner's system tells by itself what its customers have paid (R-OTA-06): the same Standard Webhooks as those that we send,
//! signed with the secret of the partner's own webhook, over the bytes as they came.
//!
//! Such a message may come again, because its answer was lost: with the same `webhook-id` it finds what it made. Of a ticket,
//! whoever told before it, by a call or with another message, has made the order, and it is refused.

use actix_web::{HttpRequest, web};
use deeptravel_actors::partner::ActivateUnits;
use deeptravel_domain::batch::Activation;
use deeptravel_domain::order::{Contact, UnitId};
use deeptravel_domain::partner::PartnerReservationId;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::signature::{self, Headers};
use serde::Deserialize;
use utoipa::ToSchema;

use super::customer::{CUSTOMER, Purchase};
use crate::api::frame::{
    Allowed, Answered, BODY_BYTES_MAX, Language, NewContact, Partner, Problem, Resell, Routes, Text, no_content,
    parse_json, read_body, refusals, sha256,
};
use crate::api::views;
use crate::webhooks::opened;

/// How long ago a customer may have paid, in days: longer than anybody holds a reservation or keeps a ticket to himself.
const PAID_DAYS_AGO_MAX: i64 = 1_000;
const DAY_SECONDS: i64 = 24 * 60 * 60;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_hear_of_payment, hear_of_payment);
}

/// A customer of the partner has paid. Its system has fields of its own: those that we do not know are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentMessage<'a> {
    /// Of a ticket that was generated in advance; or `reservationId`.
    #[schema(value_type = Option<String>, example = "01K2QJ7E6V80ABT0000000001W")]
    #[serde(borrow)]
    ticket_code: Option<Text<'a>>,
    /// Of which units are sold, as one order.
    #[schema(value_type = Option<String>, example = "01K2QJ7E6V90ABT0000000001W")]
    reservation_id: Option<Text<'a>>,
    /// Of a reservation: how many; all that is left without it.
    #[schema(minimum = 1, maximum = 100)]
    quantity: Option<u32>,
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    payment_reference: Text<'a>,
    /// By the partner's clock.
    #[schema(value_type = String, format = DateTime, example = "2026-12-01T10:00:00+08:00")]
    paid_at: Text<'a>,
    /// The partner without it.
    customer_details: Option<Customer<'a>>,
    /// `adult` without it.
    #[schema(value_type = Option<String>, example = "adult")]
    customer_type: Option<Text<'a>>,
    #[schema(value_type = Option<String>, format = Date, example = "2026-12-24")]
    visit_date: Option<Text<'a>>,
}

/// As a call says it, with whatever else the partner knows of him.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PaidCustomer)]
struct Customer<'a> {
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    #[serde(borrow)]
    name: Text<'a>,
    #[schema(value_type = String, example = "+852 5555 0123", max_length = 32, pattern = "^[-+() 0-9]+$")]
    phone: Text<'a>,
    #[schema(value_type = Option<String>, max_length = 254, pattern = "^[^@ ]+@[^@ ]+[.][^@ ]+$")]
    email: Option<Text<'a>>,
}

/// Hears of a payment, and makes the order that it is for.
#[utoipa::path(
    post, path = "/api/ota/webhooks/payment",
    request_body(
        content = PaymentMessage,
        description = "Signed as Standard Webhooks says, by the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`"
    ),
    responses(
        (status = 204, description = "There is an order; also when the same message comes again"),
        (status = 401, description = "`INVALID_SIGNATURE`: missing, by another secret, or of more than five minutes ago"),
        (status = 404, description = "`TICKET_NOT_FOUND`, `RESERVATION_NOT_FOUND`"),
        (
            status = 409,
            description = "`TICKET_ALREADY_ACTIVATED`, with its `orderId`; `TICKET_CANCELLED`, `TICKET_EXPIRED`, \
                           `RESERVATION_ACTIVATED`, `RESERVATION_EXPIRED`, `RESERVATION_ENDED`"
        ),
        (status = 422, description = "`VALIDATION_ERROR`, `BLACKOUT`"),
    )
)]
async fn hear_of_payment(
    Allowed(by): Allowed<Resell>,
    language: Language,
    request: HttpRequest,
    body: web::Payload,
) -> Answered {
    let raw = read_body(&request, &mut body.into_inner(), BODY_BYTES_MAX).await?;
    let id = believed(&by, &request, &raw)?;
    let said: PaymentMessage<'_> = parse_json(&raw)?;
    let message = sha256(id.as_bytes());
    let paid_for = said.paid_for()?;
    let activation = Activation { message: Some(message), ..said.activation(&by, language)? };
    let engine = &by.api.engine;
    match paid_for {
        PaidFor::Ticket(unit) => _ = by.shown(engine.activate_unit(by.id(), unit, activation).await)?,
        PaidFor::Units { reservation, quantity } => {
            // No key of a call is the same by chance.
            let idempotency_key = hex::encode(message).into();
            let asked = ActivateUnits { reservation, idempotency_key, quantity, activation: activation.into() };
            by.shown(engine.activate_units(by.id(), asked).await)?;
        }
    }
    Ok(no_content())
}

/// What a customer has paid for.
enum PaidFor {
    Ticket(UnitId),
    Units { reservation: PartnerReservationId, quantity: Option<u32> },
}

impl PaymentMessage<'_> {
    fn paid_for(&self) -> Result<PaidFor, Problem> {
        match (&self.ticket_code, &self.reservation_id, self.quantity) {
            (Some(ticket), None, None) => Ok(PaidFor::Ticket(ticket.parse().map_err(|_| Rejection::TicketNotFound)?)),
            (None, Some(reservation), quantity) => {
                let reservation = reservation.parse().map_err(|_| Rejection::ReservationNotFound)?;
                Ok(PaidFor::Units { reservation, quantity })
            }
            (Some(_), None, Some(_)) => Err(Problem::field("quantity", "is of a reservation, and a ticket is one")),
            (Some(_), Some(_), _) => {
                Err(Problem::field("reservationId", "stands beside a ticketCode: it is one of them"))
            }
            (None, None, _) => Err(Problem::field("ticketCode", "is missing, and so is a reservationId")),
        }
    }

    fn activation(self, by: &Partner, language: Language) -> Result<Activation, Problem> {
        let now = by.api.engine.now();
        let customer = match self.customer_details {
            Some(Customer { name, phone, email }) => NewContact::of(name, phone, email).contact(CUSTOMER)?,
            None => contact_of(by, language),
        };
        let paid = Purchase {
            customer,
            customer_type: self.customer_type.as_ref(),
            visit_date: self.visit_date.as_ref(),
            payment_reference: &self.payment_reference,
            paid_at: Some(paid_at(&self.paid_at, now)?),
        };
        paid.activation(language)
    }
}

fn paid_at(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let at = views::instant("paidAt", text)?;
    let is_long_ago = at < now.plus_seconds(-PAID_DAYS_AGO_MAX * DAY_SECONDS);
    if is_long_ago {
        return Err(Problem::field("paidAt", format!("is more than {PAID_DAYS_AGO_MAX} days ago")));
    }
    Ok(at)
}

/// The partner, where it keeps its customers to itself.
fn contact_of(by: &Partner, language: Language) -> Contact {
    let name = language.of(&by.who.names).into();
    Contact { name, phone: by.who.contact.as_str().into(), email: None }
}

/// The id of a message that the partner has signed, lately by the wall clock: so did it.
fn believed<'a>(by: &Partner, request: &'a HttpRequest, raw: &[u8]) -> Result<&'a str, Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let headers = Headers {
        id: header(signature::ID),
        timestamp: header(signature::TIMESTAMP),
        signature: header(signature::SIGNATURE),
    };
    let hook = by.api.engine.services().webhooks.borrow().hook(by.id()).cloned();
    let endpoint = hook.as_deref().and_then(|hook| hook.endpoint());
    let sealed = endpoint.into_iter().flat_map(|endpoint| endpoint.secrets(by.api.engine.now()));
    let secrets = opened(&by.api.document_keys, by.id(), sealed);
    let now = jiff::Timestamp::now().as_second();
    let verified = signature::verify(&secrets, headers, raw, now);
    verified.map_err(|wrong| refusals::INVALID_SIGNATURE.saying(wrong.to_string()))?;
    headers.id.ok_or_else(|| refusals::INVALID_SIGNATURE.into())
}
