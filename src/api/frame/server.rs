//! The listener: workers, middleware, documentation pages, and what answers unknown paths.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::SwaggerUi;

use super::middleware::Frame;
use super::openapi::{self, Paths};
use super::problem::Problem;
use super::routes::Routes;
use super::state::Slot;
use super::{query, refusals};

/// The head of a request has to be complete within this time.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is kept this long: longer than load balancers in front keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted. Of ten thousand that come at once the kernel would turn away those beyond its default
/// of a hundred, and they would come back a second later.
const BACKLOG: u32 = 16_384;
/// Requests under way are given this long to end when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 10;

/// Listens and answers with these routes. Await the server, or spawn it; its handle stops it. With port 0 the system
/// chooses one.
pub fn serve(
    listen: impl ToSocketAddrs,
    slot: &Slot,
    workers: usize,
    routes: impl Fn(&mut Routes<'_, '_>) + Clone + Send + 'static,
) -> std::io::Result<(Server, SocketAddr)> {
    let slot = slot.clone();
    let server = HttpServer::new(move || {
        actix_web::rt::spawn(slot.clone().kicks());
        let (app, document) = App::new()
            .app_data(slot.clone())
            .into_utoipa_app()
            .openapi(openapi::frame())
            .configure(|config| routes(&mut Routes::of(config)))
            .split_for_parts();
        let document = openapi::complete(document);
        let frame = Frame::new(slot.clone());
        app.app_data(web::Data::new(Paths::of(&document)))
            .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document))
            .route("/docs", web::get().to(docs))
            .default_service(web::to(elsewhere))
            .wrap_fn(move |request, service| frame.around(request, service))
    })
    .workers(workers)
    .client_request_timeout(HEAD_READ_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .backlog(BACKLOG)
    .bind(listen)?;
    let address = server.addrs().first().copied().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    Ok((server.run(), address))
}

async fn docs() -> HttpResponse {
    HttpResponse::build(StatusCode::PERMANENT_REDIRECT).insert_header((LOCATION, "/docs/")).finish()
}

/// A path without a route, or a method that its route does not have, or a query for a route that has none.
async fn elsewhere(request: HttpRequest, paths: web::Data<Paths>) -> Result<HttpResponse, Problem> {
    let Some(methods) = paths.allowed(request.path()) else {
        return Err(refusals::NOT_FOUND.into());
    };
    let has_method = methods.split(", ").any(|method| method == request.method());
    Err(match query::first(request.query_string()).filter(|_| has_method) {
        Some(stray) => Problem::field(stray.into_owned(), query::STRAY),
        None => Problem::method_not_allowed(methods),
    })
}
