//! The life of a call through faults and signatures.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::api_error::ApiError;
use super::faults::{Endpoint, Fault};
use super::wire::JSON;
use super::{Simulator, notify};

/// What an endpoint answers when it succeeds.
#[derive(Debug)]
pub(super) enum Answer {
    Json(Value),
    NoContent,
}

/// A call of the payment API: what of it is needed whichever it is.
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) request: &'a HttpRequest,
    pub(super) body: &'a Bytes,
    /// What it is about, as far as it says: a fault may be meant for one number.
    pub(super) numbers: &'a [&'a str],
}

/// Serves a call: fault, check of the signature, effect, signed answer.
pub(super) async fn serve(
    simulator: &Simulator,
    call: Call<'_>,
    effect: impl FnOnce(&Fault) -> Result<Answer, ApiError>,
) -> HttpResponse {
    let fault = simulator.fault(call.endpoint, call.numbers);
    if let Some(response) = before(&fault).await {
        return response;
    }
    let outcome = simulator.authenticate(call.request, call.body).and_then(|()| effect(&fault));
    if let Err(error) = &outcome {
        let endpoint = call.endpoint;
        tracing::debug!(?endpoint, error.status, %error.code, "The WeChat simulator refuses: {}", error.message);
    }
    if let (true, true, Some(number)) = (fault.pay_first, outcome.is_ok(), call.numbers.first()) {
        notify::until_told(simulator, number).await;
    }
    if let Some(response) = after(&fault).await {
        return response;
    }
    outcome.and_then(|answer| signed(simulator, call.request, &answer, &fault)).unwrap_or_else(ApiError::response)
}

/// The part of a fault that strikes before the effect; an answer ends the call.
pub(super) async fn before(fault: &Fault) -> Option<HttpResponse> {
    tokio::time::sleep(fault.delay_before()).await;
    strike(fault, fault.drop_before, fault.status_before)
}

/// The part of a fault that strikes after the effect, in place of the answer.
pub(super) async fn after(fault: &Fault) -> Option<HttpResponse> {
    tokio::time::sleep(fault.delay_after()).await;
    strike(fault, fault.drop_after, fault.status_after)
}

fn strike(fault: &Fault, drop: bool, status: Option<u16>) -> Option<HttpResponse> {
    if drop {
        return Some(HttpResponse::Ok().body(Severed));
    }
    let mut error = ApiError::of_status(status?);
    if let Some(code) = &fault.error_code {
        error.code = code.clone().into();
    }
    Some(error.response())
}

fn signed(
    simulator: &Simulator,
    request: &HttpRequest,
    answer: &Answer,
    fault: &Fault,
) -> Result<HttpResponse, ApiError> {
    let (status, mut body) = match answer {
        Answer::Json(value) => (StatusCode::OK, value.to_string().into_bytes()),
        Answer::NoContent => (StatusCode::NO_CONTENT, Vec::new()),
    };
    let headers = simulator.sign_answer(request, &body, fault).map_err(|_| ApiError::of_status(500))?;
    fault.spoil(&mut body);
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.insert_header((name, value));
    }
    response.insert_header(("Request-ID", uuid::Uuid::new_v4().simple().to_string()));
    if status == StatusCode::NO_CONTENT {
        return Ok(response.finish());
    }
    Ok(response.content_type(JSON).body(body))
}

/// A body that promises bytes and breaks the connection instead.
struct Severed;

impl MessageBody for Severed {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault drops this connection"))))
    }
}
