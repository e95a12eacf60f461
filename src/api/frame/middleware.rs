//! Around every request: its id, the limit of requests in flight, metrics, panics, and problem documents. One
//! layer for all of them: each would cost every request a box and a walk through its extensions.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{pending, poll_fn, ready};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, EXPECT, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use futures_util::FutureExt as _;
use futures_util::future::Either;
use metrics::{Counter, Histogram};

use super::calls::Quota;
use super::door::Watch;
use super::partner::API_KEY_HEADER;
use super::place::Place;
use super::problem::Problem;
use super::refused::Refused;
use super::request_id::{REQUEST_ID, request_id};
use super::state::Slot;
use super::{refusals, safety};
use crate::telemetry::{RequestMark, in_request};

/// Paths that are answered however much is under way: they tell how the server is.
const UNCOUNTED: [&str; 2] = ["/health/", "/metrics"];

/// What comes out of the frame: a response in which errors are problem documents.
type Dressed<B> = ServiceResponse<EitherBody<B>>;

/// The outermost middleware of one worker.
#[derive(Clone)]
pub struct Frame {
    slot: Slot,
    meters: Rc<Meters>,
    refused: Rc<Refused>,
    /// Clients come by TLS.
    is_secure: bool,
}

impl Frame {
    pub fn new(slot: Slot, is_secure: bool) -> Frame {
        Frame { slot, meters: Rc::default(), refused: Rc::default(), is_secure }
    }

    /// What [`actix_web::App::wrap_fn`] takes.
    pub fn around<S, B>(
        &self,
        mut request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<Dressed<B>, Error>> + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let started = Instant::now();
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        let answering = watch.as_ref().map(Watch::begin);
        if let Some(None) = answering {
            // The connection ends with the answer before this one.
            return Either::Left(Either::Left(pending()));
        }
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        if let Some(watch) = watch.filter(|_| is_last) {
            watch.is_the_last();
        }
        let (id, method, is_secure) = (request_id(&request), method_name(request.method()), self.is_secure);
        let (meters, refused, slot) = (Rc::clone(&self.meters), Rc::clone(&self.refused), self.slot.clone());
        let place = match self.admit(&request) {
            Ok(place) => place,
            Err((label, problem)) => {
                meters.count(label, method, problem.status(), started);
                let mut turned_away = request.into_response(problem.respond(&id, is_secure).map_into_right_body());
                end_after(&mut turned_away, is_last);
                return Either::Left(Either::Right(ready(Ok(turned_away))));
            }
        };
        if request.method() == Method::HEAD {
            // It is answered as GET; actix-http leaves out the body.
            request.head_mut().method = Method::GET;
        }
        let mark = Rc::new(RequestMark { id: id.to_str().unwrap_or_default().into(), method });
        let answer = in_request(&mark, || service.call(request));
        Either::Right(async move {
            let _answering = answering;
            let mut answer = pin!(AssertUnwindSafe(answer).catch_unwind());
            let answered = poll_fn(|task| in_request(&mark, || answer.as_mut().poll(task))).await;
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
                    let quota = response.request().extensions().get::<Quota>().copied();
                    let mut response = dress(response, &id, is_secure);
                    if let Some(quota) = quota {
                        quota.add(response.headers_mut());
                    }
                    end_after(&mut response, is_last);
                    return Ok(response);
                }
                Ok(Err(error)) => error.as_error().cloned(),
                Err(_panic) => None,
            };
            meters.count("fault", method, StatusCode::INTERNAL_SERVER_ERROR, started);
            in_request(&mark, || tracing::error!("A request broke off by a fault of ours"));
            let problem = known.unwrap_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR));
            Err(Fault { problem, id, is_secure, is_last }.into())
        })
    }

    /// A place among the requests under way, if they are counted; what refuses the request, and what it is counted as.
    fn admit(&self, request: &ServiceRequest) -> Result<Option<Place>, (&'static str, Problem)> {
        if !expects_what_we_do(request.headers()) {
            return Err(("expectation", refusals::EXPECTATION_FAILED.into()));
        }
        let counted = !UNCOUNTED.iter().any(|uncounted| request.path().starts_with(uncounted));
        // While the process starts there is nothing to protect.
        let Some(api) = self.slot.api().ok().filter(|_| counted) else { return Ok(None) };
        let place = Place::enter(&api.in_flight, api.server.max_in_flight);
        place.map(Some).ok_or_else(|| ("overload", refusals::OVERLOADED.saying("too many requests are under way")))
    }
}

/// actix-http says `100 Continue`; nothing else is promised.
fn expects_what_we_do(headers: &HeaderMap) -> bool {
    headers.get_all(EXPECT).all(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// actix-http 3.20 takes a chunked body to end where others do not (`0\r\n\n`), and what follows for a request: nothing is
/// read after such a body. The test `fault_10_…` holds it; both go when a fixed release is there.
fn end_after<B>(response: &mut ServiceResponse<B>, is_last: bool) {
    if is_last {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// Turns every error into a problem document and adds the request's id. What was answered to a token or a
/// key stays out of caches.
fn dress<B: MessageBody + 'static>(mut response: ServiceResponse<B>, id: &HeaderValue, is_secure: bool) -> Dressed<B> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let known = response.response_mut().extensions_mut().remove::<Problem>();
        let problem = known.unwrap_or_else(|| Problem::of_status(status));
        return response.into_response(problem.respond(id, is_secure).map_into_right_body());
    }
    let brought = response.request().headers();
    let is_personal = brought.contains_key(AUTHORIZATION) || brought.contains_key(API_KEY_HEADER);
    let policy = safety::policy(response.request().path());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    safety::add(headers, policy, is_secure);
    if is_personal && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response.map_into_left_body()
}

/// A request that broke off, or whose handler panicked: 500, a bug of ours (rule 21).
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct Fault {
    problem: Problem,
    id: HeaderValue,
    is_secure: bool,
    /// Of its connection.
    is_last: bool,
}

impl ResponseError for Fault {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = self.problem.clone().respond(&self.id, self.is_secure);
        if self.is_last {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
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
