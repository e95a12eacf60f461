//! The HTTP side: routes, the life of a request through faults and signatures, and WeChat's error bodies.

use std::borrow::Cow;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

use super::faults::{Endpoint, Fault};
use super::{Simulator, control, endpoints, mini, notify, refund_endpoints};

/// WeChat closes idle connections after about this time.
const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// Largest body that is read, in bytes: the largest create body (detail 6 KiB) many times over.
const MAX_BODY: usize = 256 * 1024;
/// A signature is made in about a millisecond, so two threads answer more than a development machine asks.
const WORKERS: usize = 2;

/// The simulator's thread: serves until the handle says stop. Reports the handle, or why there is none.
pub(super) fn run(simulator: Arc<Simulator>, listener: TcpListener, started: &mpsc::Sender<io::Result<ServerHandle>>) {
    actix_web::rt::System::new().block_on(async move {
        let data = Data::from(Arc::clone(&simulator));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(PayloadConfig::new(MAX_BODY))
                .configure(endpoints::routes)
                .configure(refund_endpoints::routes)
                .configure(mini::routes)
                .service(web::scope("/_sim").configure(control::routes))
        })
        .workers(WORKERS)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(0)
        .disable_signals()
        .listen(listener);
        let server = match server {
            Ok(server) => server.run(),
            Err(error) => {
                // Nobody listens any more only if the starter itself has gone.
                let _ = started.send(Err(error));
                return;
            }
        };
        if started.send(Ok(server.handle())).is_err() {
            return;
        }
        let worker = actix_web::rt::spawn(notify::work(simulator));
        if let Err(error) = server.await {
            tracing::error!(%error, "The WeChat simulator's server failed");
        }
        worker.abort();
    });
}

/// What an endpoint answers when it succeeds.
#[derive(Debug)]
pub(super) enum Answer {
    Json(Value),
    NoContent,
}

/// WeChat's error body with its status. Errors are never signed.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    detail: Option<Value>,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None }
    }

    pub(super) fn with_detail(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// An error of the gateway rather than of the operation.
    fn of_status(status: u16) -> Self {
        let code = match status {
            404 => "RESOURCE_NOT_EXISTS",
            429 => "FREQUENCY_LIMITED",
            502 | 503 => "SERVICE_UNAVAILABLE",
            500..=599 => "SYSTEM_ERROR",
            _ => "INVALID_REQUEST",
        };
        Self::new(status, code, "系统异常，请稍后重试")
    }

    fn response(self) -> HttpResponse {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(detail) = self.detail {
            body["detail"] = detail;
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        HttpResponse::build(status).content_type(JSON).body(body.to_string())
    }
}

const JSON: &str = "application/json; charset=utf-8";

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
    spoil(&mut body, fault);
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

/// Changes a signed body as a fault says. A body that is empty stays so.
pub(super) fn spoil(body: &mut Vec<u8>, fault: &Fault) {
    if body.is_empty() {
        return;
    }
    if fault.reserialise_body
        && let Ok(value) = serde_json::from_slice::<Value>(body)
        && let Ok(again) = serde_json::to_vec_pretty(&value)
    {
        *body = again;
    }
    if fault.alter_body {
        // Still the same JSON, no longer the signed bytes.
        body.insert(0, b' ');
    }
    if fault.truncate_body {
        body.truncate(body.len() / 2);
    }
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
