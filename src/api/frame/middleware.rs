//! Around every request: its id, the limit of requests in flight, metrics, panics, and problem documents. One
//! layer for all of them: each would cost every request a box and a walk through its extensions.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{poll_fn, ready};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError};
use futures_util::FutureExt as _;
use futures_util::future::Either;
use metrics::{Counter, Histogram};
use uuid::fmt::Simple;

use super::problem::Problem;
use super::refusals;
use super::refused::Refused;
use super::state::Slot;
use crate::telemetry::{RequestMark, in_request};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const REQUEST_ID_LEN_MAX: usize = 64;
/// Paths that are answered however much is under way: they tell how the server is.
const UNCOUNTED: [&str; 2] = ["/health/", "/metrics"];

/// The id of the request, as it stands in the log and in `X-Request-Id`.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id.as_bytes()));
    given.cloned().unwrap_or_else(|| {
        let mut digits = [0; Simple::LENGTH];
        let fresh = uuid::Uuid::now_v7().simple().encode_lower(&mut digits);
        HeaderValue::from_str(fresh).expect("hexadecimal digits are a header value")
    })
}

fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.iter().all(allowed)
}

/// What comes out of the frame: a response in which errors are problem documents.
type Dressed<B> = ServiceResponse<EitherBody<B>>;

/// The outermost middleware of one worker.
#[derive(Clone)]
pub struct Frame {
    slot: Slot,
    meters: Rc<Meters>,
    refused: Rc<Refused>,
}

impl Frame {
    pub fn new(slot: Slot) -> Frame {
        Frame { slot, meters: Rc::default(), refused: Rc::default() }
    }

    /// What [`actix_web::App::wrap_fn`] takes.
    pub fn around<S, B>(
        &self,
        request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<Dressed<B>, Error>> + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let started = Instant::now();
        let id = request_id(&request);
        let method = method_name(request.method());
        let (meters, refused, slot) = (Rc::clone(&self.meters), Rc::clone(&self.refused), self.slot.clone());
        let Some(place) = self.enter(request.path()) else {
            let problem = refusals::OVERLOADED.saying("too many requests are under way");
            meters.count("overload", method, problem.status(), started);
            let refused = render(problem, &id);
            return Either::Left(ready(Ok(request.into_response(refused.map_into_right_body()))));
        };
        let mark = Rc::new(RequestMark { id: id.to_str().unwrap_or_default().into(), method });
        let answering = in_request(&mark, || service.call(request));
        Either::Right(async move {
            let mut answering = pin!(AssertUnwindSafe(answering).catch_unwind());
            let answered = poll_fn(|task| in_request(&mark, || answering.as_mut().poll(task))).await;
            drop(place);
            let known = match answered {
                Ok(Ok(response)) => {
                    let route = meters.route(response.request());
                    meters.count(&route, method, response.status(), started);
                    in_request(&mark, || refused.note(&response, &route, || slot.address_of(response.request())));
                    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
                        in_request(&mark, || {
                            tracing::error!(http.route = &*route, "A request ended with a fault of ours");
                        });
                    }
                    return Ok(dress(response, &id));
                }
                Ok(Err(error)) => error.as_error().cloned(),
                Err(_panic) => None,
            };
            meters.count("fault", method, StatusCode::INTERNAL_SERVER_ERROR, started);
            in_request(&mark, || tracing::error!("A request broke off by a fault of ours"));
            let problem = known.unwrap_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR));
            Err(Fault { problem, id }.into())
        })
    }

    /// `None`: there are too many.
    fn enter(&self, path: &str) -> Option<InFlight> {
        let counted = !UNCOUNTED.iter().any(|uncounted| path.starts_with(uncounted));
        match self.slot.api().ok().filter(|_| counted) {
            Some(api) => InFlight::enter(&api.in_flight, api.server.max_in_flight),
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

/// Turns every error into a problem document and adds the request's id. What was answered to a token stays out of
/// caches.
fn dress<B: MessageBody + 'static>(mut response: ServiceResponse<B>, id: &HeaderValue) -> Dressed<B> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let known = response.response_mut().extensions_mut().remove::<Problem>();
        let problem = known.unwrap_or_else(|| Problem::of_status(status));
        return response.into_response(render(problem, id).map_into_right_body());
    }
    let is_personal = response.request().headers().contains_key(AUTHORIZATION);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_personal && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response.map_into_left_body()
}

fn render(problem: Problem, id: &HeaderValue) -> HttpResponse<BoxBody> {
    let mut response = problem.render(id.to_str().unwrap_or_default());
    response.headers_mut().insert(REQUEST_ID, id.clone());
    response
}

/// A request that broke off, or whose handler panicked: 500, a bug of ours (rule 21).
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct Fault {
    problem: Problem,
    id: HeaderValue,
}

impl ResponseError for Fault {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        render(self.problem.clone(), &self.id)
    }
}

/// The metrics of one worker's requests. Looking a counter up by its labels costs more than counting.
#[derive(Default)]
struct Meters {
    /// By route.
    known: RefCell<HashMap<Box<str>, Vec<Meter>>>,
}

/// Requests of one route with one method that were answered with one status.
struct Meter {
    method: &'static str,
    status: StatusCode,
    total: Counter,
    seconds: Histogram,
}

impl Meters {
    /// The pattern of a request's route. Finding it is routing once more; a path that is a route as it stands needs none.
    fn route<'a>(&self, request: &'a HttpRequest) -> Cow<'a, str> {
        if self.known.borrow().contains_key(request.path()) {
            return Cow::Borrowed(request.path());
        }
        request.match_pattern().map_or(Cow::Borrowed("unmatched"), Cow::Owned)
    }

    fn count(&self, route: &str, method: &'static str, status: StatusCode, started: Instant) {
        let mut known = self.known.borrow_mut();
        let meters = match known.get_mut(route) {
            Some(meters) => meters,
            None => known.entry(route.into()).or_default(),
        };
        let found = meters.iter().position(|meter| meter.method == method && meter.status == status);
        let meter = match found {
            Some(index) => &meters[index],
            None => meters.push_mut(Meter::new(route, method, status)),
        };
        meter.total.increment(1);
        meter.seconds.record(started.elapsed().as_secs_f64());
    }
}

impl Meter {
    fn new(route: &str, method: &'static str, status: StatusCode) -> Meter {
        let route = route.to_owned();
        let text = status.as_str().to_owned();
        Meter {
            method,
            status,
            total: metrics::counter!(
                "http_requests_total", "route" => route.clone(), "method" => method, "status" => text
            ),
            seconds: metrics::histogram!("http_request_seconds", "route" => route, "method" => method),
        }
    }
}

/// Bounded, whatever clients invent.
fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
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
