//! The listener: workers, middleware, documentation pages, and what answers unknown paths.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::SwaggerUi;

use super::middleware::Frame;
use super::openapi::{self, Paths};
use super::{Api, ApiParts, Problem};

/// The head of a request has to be complete within this time.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is kept this long: longer than load balancers in front keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted. Of ten thousand that come at once the kernel would turn away those beyond its default
/// of a hundred, and they would come back a second later.
const BACKLOG: u32 = 16_384;
/// Requests under way are given this long to end when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 10;

/// Where the parts come to once the process has started. Until then the server is live, not ready, and answers 503.
#[derive(Clone, Debug, Default)]
pub struct Slot(Arc<OnceLock<Api>>);

impl Slot {
    pub fn filled(parts: ApiParts) -> Slot {
        let slot = Slot::default();
        slot.fill(parts);
        slot
    }

    /// From now on requests are answered. Filling twice is a mistake and changes nothing.
    pub fn fill(&self, parts: ApiParts) {
        let filled = self.0.set(Api::new(parts)).is_ok();
        debug_assert!(filled, "a slot is filled once");
    }

    pub fn api(&self) -> Option<&Api> {
        self.0.get()
    }
}

/// Listens and answers. Await the server, or spawn it; its handle stops it. With port 0 the system chooses one.
pub fn serve(listen: impl ToSocketAddrs, parts: ApiParts, workers: usize) -> std::io::Result<(Server, SocketAddr)> {
    serve_slot(listen, &Slot::filled(parts), workers)
}

/// As [`serve`], before the parts are there.
pub fn serve_slot(listen: impl ToSocketAddrs, slot: &Slot, workers: usize) -> std::io::Result<(Server, SocketAddr)> {
    let (slot, frame) = (slot.clone(), Frame::new(slot.clone()));
    let server = HttpServer::new(move || {
        let (app, document) = App::new()
            .app_data(slot.clone())
            .into_utoipa_app()
            .openapi(openapi::frame())
            .configure(super::routes)
            .split_for_parts();
        let document = openapi::complete(document);
        app.app_data(web::Data::new(Paths::of(&document)))
            .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document))
            .route("/docs", web::get().to(docs))
            .default_service(web::to(elsewhere))
            .wrap(frame.clone())
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

/// A path without a route, or a method that its route does not have.
async fn elsewhere(request: HttpRequest, paths: web::Data<Paths>) -> Result<HttpResponse, Problem> {
    Err(match paths.allowed(request.path()) {
        Some(methods) => Problem::method_not_allowed(methods),
        None => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path"),
    })
}
