//! Every error on the wire: a problem document (RFC 9457) with a stable code. The middleware renders it, because only
//! there the request's id is known.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use deeptravel_actors::outage::Outage;
use deeptravel_actors::ports::StoreError;
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::rejection::Rejection;
use serde::Serialize;
use utoipa::ToSchema;

use super::refusals::{self, Again, Refusal};
use super::request_id::REQUEST_ID;
use super::safety;

/// Longest detail, and longest message about a field, in characters: both may repeat what the client sent.
const MESSAGE_CHARS_MAX: usize = 200;
/// Content type of every error.
const PROBLEM_JSON: &str = "application/problem+json";

/// A field or parameter that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field in the request.
    #[schema(example = "passengers[0].type")]
    pub field: Cow<'static, str>,
    pub message: Cow<'static, str>,
}

/// An error document (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// Always `about:blank`: `code` tells the errors apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// What is wrong, for people.
    detail: Cow<'static, str>,
    /// Stable code, for programs.
    #[schema(example = "VALIDATION_ERROR", extensions(("x-extensible-enum" = json!(refusals::codes()))))]
    code: &'static str,
    /// The fields at fault; empty when none is.
    errors: Vec<FieldError>,
    /// As in the `X-Request-Id` header; quote it when you ask for help.
    request_id: &'a str,
    /// With `SOLD_OUT` and `INSUFFICIENT_ALLOTMENT`: what is left, of seats of that class on that stretch.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u16>,
    /// With `TICKET_ALREADY_ACTIVATED`: the order that the ticket is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
}

/// An error on its way out. Boxed: results carry it everywhere, and it is rare.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} {}", .0.refusal.status.as_u16(), .0.refusal.code)]
pub struct Problem(Box<Details>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Details {
    refusal: Refusal,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    /// Methods that the path has, when the one asked for is not among them.
    allow: Option<HeaderValue>,
    available: Option<u16>,
    order: Option<OrderId>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        refusal.saying(refusal.text)
    }
}

impl Refusal {
    /// With more than its text says.
    pub fn saying(self, detail: impl Into<Cow<'static, str>>) -> Problem {
        let detail = cut(detail.into());
        let errors = Vec::new();
        Problem(Box::new(Details { refusal: self, detail, errors, allow: None, available: None, order: None }))
    }
}

impl Problem {
    /// Understood, but this field is not acceptable.
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Problem {
        let mut problem = Problem::from(Rejection::field(field, message));
        problem.0.detail = "a value of the request is not acceptable".into();
        problem
    }

    /// Refuses a field that does not fit.
    pub fn unless(fits: bool, field: &'static str, message: &'static str) -> Result<(), Problem> {
        if fits { Ok(()) } else { Err(Problem::field(field, message)) }
    }

    pub fn method_not_allowed(allow: &str) -> Problem {
        let mut problem = refusals::METHOD_NOT_ALLOWED.saying(format!("this path has {allow}"));
        problem.0.allow = HeaderValue::from_str(allow).ok();
        problem
    }

    /// Something of ours has failed. Reported here, once.
    pub fn fault(what: &str, error: &dyn fmt::Display) -> Problem {
        tracing::error!(%error, "{what}: {error}");
        Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// For a status that somebody else chose.
    pub fn of_status(status: StatusCode) -> Problem {
        let refusal = match status {
            StatusCode::NOT_FOUND => refusals::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED => refusals::METHOD_NOT_ALLOWED,
            StatusCode::PAYLOAD_TOO_LARGE => refusals::PAYLOAD_TOO_LARGE,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => refusals::HEAD_TOO_LARGE,
            status if status.is_client_error() => Refusal { status, ..refusals::BAD_REQUEST },
            status => Refusal { status, ..refusals::INTERNAL_ERROR },
        };
        refusal.saying(status.canonical_reason().unwrap_or("error"))
    }

    /// Adds a field at fault.
    #[must_use]
    pub fn naming(mut self, field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Problem {
        self.0.errors.push(FieldError { field: cut(field.into()), message: cut(message.into()) });
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Problem {
        self.0.refusal.again = Again::After(seconds);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.refusal.status
    }

    pub fn code(&self) -> &'static str {
        self.0.refusal.code
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The response, as it goes out. `is_secure`: clients come by TLS.
    pub(super) fn respond(self, id: &HeaderValue, is_secure: bool) -> HttpResponse<BoxBody> {
        let mut response = self.render(id.to_str().unwrap_or_default());
        response.headers_mut().insert(REQUEST_ID, id.clone());
        safety::add(response.headers_mut(), safety::DATA, is_secure);
        response
    }

    /// Without what every response has.
    fn render(self, request_id: &str) -> HttpResponse<BoxBody> {
        let Details { refusal: Refusal { code, status, again, .. }, detail, errors, allow, available, order } = *self.0;
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        if let Again::After(seconds) = again {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(allow) = allow {
            response.insert_header((ALLOW, allow));
        }
        if status == StatusCode::UNAUTHORIZED {
            let wants_key = [refusals::API_KEY_REQUIRED.code, refusals::INVALID_API_KEY.code].contains(&code);
            let scheme = if wants_key { "ApiKey" } else { "Bearer" };
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static(scheme)));
        }
        let title = status.canonical_reason().unwrap_or("error");
        let status = status.as_u16();
        let document = ProblemDocument {
            kind: "about:blank",
            title,
            status,
            detail,
            code,
            errors,
            request_id,
            available,
            order_id: order,
        };
        response.body(serde_json::to_vec(&document).expect("strings and integers always serialise"))
    }
}

fn cut(mut text: Cow<'static, str>) -> Cow<'static, str> {
    if let Some((end, _)) = text.char_indices().nth(MESSAGE_CHARS_MAX) {
        text.to_mut().truncate(end);
    }
    text
}

impl ResponseError for Problem {
    /// Carries the problem to the middleware, which renders it.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::new(self.status());
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        let mut problem = Refusal::from(rejection.refusal()).saying(rejection.to_string());
        if let Rejection::SoldOut { available, .. } | Rejection::InsufficientAllotment { available, .. } = &rejection {
            problem.0.available = Some(*available);
        }
        if let Rejection::TicketAlreadyActivated { order } = &rejection {
            problem.0.order = Some(*order);
        }
        match rejection {
            Rejection::Field { field, message } => problem.naming(field, message),
            _ => problem,
        }
    }
}

impl From<Outage> for Problem {
    fn from(outage: Outage) -> Problem {
        Problem::from(match outage {
            Outage::Overloaded => refusals::OVERLOADED,
            Outage::Rebuilding => refusals::REBUILDING,
            Outage::SetAside => refusals::SET_ASIDE,
            Outage::Storage => refusals::STORAGE_UNAVAILABLE,
            Outage::Journal => refusals::NOT_DURABLE,
            Outage::JournalFull => refusals::STORAGE_FULL,
            Outage::Provider => refusals::PAYMENT_PROVIDER,
        })
    }
}

impl From<StoreError> for Problem {
    /// Reported here, once.
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "A list cannot be read: {why}");
                refusals::STORAGE_UNAVAILABLE.into()
            }
            StoreError::Data(why) | StoreError::Fenced(why) => Problem::fault("A list cannot be shown", &why),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use deeptravel_domain::rejection::Sold;

    use super::*;

    fn document(problem: Problem) -> serde_json::Value {
        let body = problem.render("r1").into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_field_rejection_names_its_field() {
        let problem = Problem::from(Rejection::field("passengers[0].type", "is unknown"));
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let document = document(problem);
        assert_eq!(document["code"], "VALIDATION_ERROR");
        assert_eq!(document["errors"][0]["field"], "passengers[0].type");
        assert_eq!(document["requestId"], "r1");
    }

    #[test]
    fn r_hold_02_sold_out_says_what_is_left() {
        let problem = Problem::from(Rejection::SoldOut { of: Sold::Seats, wanted: 3, available: 1 });
        assert_eq!(problem.status(), StatusCode::CONFLICT);
        let document = document(problem);
        assert_eq!(document["available"], 1);
        assert_eq!(document["detail"], "not enough seats are left: 1 of 3");
        let of = Sold::Package("pkg-museum".parse().unwrap());
        let problem = Problem::from(Rejection::SoldOut { of, wanted: 3, available: 1 });
        assert_eq!(self::document(problem)["detail"], "not enough units of package pkg-museum are left: 1 of 3");
    }

    #[test]
    fn an_outage_asks_to_come_back() {
        let response = Problem::from(Outage::JournalFull).render("r1");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "30");
        assert_eq!(Problem::from(Outage::Provider).status(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn a_long_message_is_cut() {
        let problem = Problem::from(Rejection::field("港".repeat(1_000), "港".repeat(1_000)));
        assert_eq!(problem.errors()[0].message.chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(problem.errors()[0].field.chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(problem.0.detail.chars().count(), MESSAGE_CHARS_MAX);
    }
}
