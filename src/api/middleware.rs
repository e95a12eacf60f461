//! Around every request: its id, the limit of requests in flight, metrics, and problem documents.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;

use super::Problem;
use super::server::Slot;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const REQUEST_ID_LEN_MAX: usize = 64;
/// Paths that are answered however much is under way: they tell how the server is.
const UNCOUNTED: [&str; 2] = ["/health/", "/metrics"];

/// The id of the request, as it stands in the log and in `X-Request-Id`.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    fn of(request: &ServiceRequest) -> RequestId {
        let given = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id.as_bytes()));
        RequestId(given.cloned().unwrap_or_else(|| {
            let fresh = uuid::Uuid::now_v7().simple().to_string();
            HeaderValue::try_from(fresh).expect("hexadecimal digits are a header value")
        }))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.iter().all(allowed)
}

/// The outermost middleware.
#[derive(Clone, Debug)]
pub struct Frame {
    slot: Slot,
}

impl Frame {
    pub fn new(slot: Slot) -> Frame {
        Frame { slot }
    }

    /// `None`: there are too many.
    fn enter(&self, path: &str) -> Option<InFlight> {
        let counted = !UNCOUNTED.iter().any(|uncounted| path.starts_with(uncounted));
        match self.slot.api().filter(|_| counted) {
            Some(api) => InFlight::enter(api.in_flight(), api.settings.max_in_flight),
            // While the process starts there is nothing to protect.
            None => Some(InFlight(None)),
        }
    }
}

/// A place among the requests in flight.
struct InFlight(Option<Arc<AtomicUsize>>);

impl InFlight {
    fn enter(count: &Arc<AtomicUsize>, max: usize) -> Option<InFlight> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        // Given back when it is dropped, also right here.
        let place = InFlight(Some(Arc::clone(count)));
        (before < max).then_some(place)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Frame
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Framed<S>;
    type InitError = ();
    type Future = Ready<Result<Framed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Framed { service, frame: self.clone() }))
    }
}

/// See [`Frame`].
#[derive(Debug)]
pub struct Framed<S> {
    service: S,
    frame: Frame,
}

impl<S, B> Service<ServiceRequest> for Framed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let id = RequestId::of(&request);
        request.extensions_mut().insert(id.clone());
        let method = method_name(request.method());
        let Some(place) = self.frame.enter(request.path()) else {
            let problem = Problem::unavailable("OVERLOADED", "too many requests are under way", 1);
            count("overload", method, problem.status(), started);
            let refused = finish(problem.render(id.as_str()), &id);
            return Box::pin(ready(Ok(request.into_response(refused.map_into_right_body()))));
        };
        let answering = self.service.call(request);
        Box::pin(async move {
            let answered = answering.await;
            drop(place);
            let response = match answered {
                Ok(response) => response,
                Err(error) => {
                    count("fault", method, StatusCode::INTERNAL_SERVER_ERROR, started);
                    return Err(Fault::of(&error, id).into());
                }
            };
            let pattern = response.request().match_pattern();
            count(pattern.unwrap_or_else(|| "unmatched".to_owned()), method, response.status(), started);
            Ok(dress(response, &id))
        })
    }
}

/// Turns every error into a problem document and adds the request's id.
fn dress<B: MessageBody + 'static>(mut response: ServiceResponse<B>, id: &RequestId) -> ServiceResponse<EitherBody<B>> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let known = response.response_mut().extensions_mut().remove::<Problem>();
        let problem = known.unwrap_or_else(|| Problem::of_status(status));
        let rendered = finish(problem.render(id.as_str()), id);
        return response.into_response(rendered.map_into_right_body());
    }
    response.headers_mut().insert(REQUEST_ID, id.0.clone());
    response.map_into_left_body()
}

fn finish(mut response: HttpResponse<BoxBody>, id: &RequestId) -> HttpResponse<BoxBody> {
    response.headers_mut().insert(REQUEST_ID, id.0.clone());
    response
}

/// A request whose handler panicked: 500, a bug of ours (rule 21).
#[derive(Debug)]
struct Fault {
    problem: Problem,
    id: RequestId,
}

impl Fault {
    fn of(error: &Error, id: RequestId) -> Fault {
        let problem = error.as_error::<Problem>().cloned();
        let problem = problem.unwrap_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR));
        Fault { problem, id }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        self.problem.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        finish(self.problem.clone().render(self.id.as_str()), &self.id)
    }
}

fn count(route: impl Into<metrics::SharedString>, method: &'static str, status: StatusCode, started: Instant) {
    let route = route.into();
    let status = status_text(status);
    metrics::counter!("http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("http_request_seconds", "route" => route, "method" => method)
        .record(started.elapsed().as_secs_f64());
}

fn status_text(status: StatusCode) -> metrics::SharedString {
    match status.as_u16() {
        200 => "200".into(),
        201 => "201".into(),
        204 => "204".into(),
        other => other.to_string().into(),
    }
}

/// Bounded, whatever clients invent.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}

/// The span of a request: no token, no body, no query, no name.
#[derive(Debug)]
pub struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().cloned();
        tracing::info_span!(
            "request",
            request.id = id.as_ref().map(RequestId::as_str),
            http.method = method_name(request.method()),
            http.route = request.match_pattern(),
            http.status_code = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.status_code", status.as_u16());
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            span.in_scope(|| tracing::error!("A request ended with a fault of ours"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_if_it_is_harmless() {
        assert!(is_sane(b"01HZX-3_a.b"));
        for id in ["", "a b", "a\"b", "é", &"a".repeat(65)] {
            assert!(!is_sane(id.as_bytes()), "{id}");
        }
    }

    #[test]
    fn there_are_only_so_many_places_and_each_is_given_back() {
        let count = Arc::new(AtomicUsize::new(0));
        let places: Vec<_> = (0..3).map(|_| InFlight::enter(&count, 2).is_some()).collect();
        assert_eq!(places, [true, true, true], "each was given back at once");
        let held = (InFlight::enter(&count, 2), InFlight::enter(&count, 2), InFlight::enter(&count, 2));
        assert!(held.0.is_some() && held.1.is_some() && held.2.is_none());
        drop(held);
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
