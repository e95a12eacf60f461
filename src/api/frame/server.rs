//! The listener: workers, middleware, documentation pages, and what answers unknown paths.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpServiceBuilder, KeepAlive};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_factory, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use tokio::net::TcpSocket;
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::SwaggerUi;

use super::certificate::Certificate;
use super::door::{self, Connection, Crowd, Door, TURNED_AWAY_MAX};
use super::middleware::Frame;
use super::openapi::{self, Paths};
use super::problem::Problem;
use super::routes::Routes;
use super::state::Slot;
use super::{query, refusals};

/// After an answer to a request whose body was not read, what is left of it is read for so long.
const UNREAD_BODY: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted. Of ten thousand that come at once the kernel would turn away those beyond its default
/// of a hundred, and they would come back a second later.
const BACKLOG: u32 = 16_384;
/// Requests under way are given this long to end when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 10;
/// Connections that may be open beside those that are served: they hear that there is no room.
pub const CONNECTIONS_BESIDE: usize = TURNED_AWAY_MAX;

/// How to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// With port 0 the system chooses one.
    pub address: SocketAddr,
    /// Threads.
    pub workers: usize,
    /// Connections that are served at once; more are told that there is no room.
    pub connections_max: usize,
    /// A proxy in front ends TLS.
    pub behind_tls_proxy: bool,
    /// What is shown, if TLS ends here.
    pub certificate: Option<Arc<Certificate>>,
}

/// Listens and answers with these routes. Await the server, or spawn it; its handle stops it. For a task of an actix
/// system.
pub fn serve(
    listen: Listen,
    slot: &Slot,
    routes: impl Fn(&mut Routes<'_, '_>) + Clone + Send + 'static,
) -> std::io::Result<(Server, SocketAddr)> {
    let (slot, is_secure) = (slot.clone(), listen.behind_tls_proxy || listen.certificate.is_some());
    let tls = listen.certificate.map(Certificate::acceptor);
    let crowd = Crowd::new(listen.connections_max);
    let listener = bind(listen.address)?;
    let address = listener.local_addr()?;
    let builder = ServerBuilder::new()
        .workers(listen.workers)
        .max_concurrent_connections((listen.connections_max + TURNED_AWAY_MAX).div_ceil(listen.workers))
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    // What `HttpServer` does, but with connections of ours.
    let builder = builder.listen("http", listener, move || {
        let app =
            app(slot.clone(), is_secure, routes.clone()).into_factory().map_err(|error: Error| error.error_response());
        let stopping = stopping.clone();
        // The limits of time are the door's: these would be a timer for every answer, and for the first head only.
        let http = HttpServiceBuilder::<Connection, _>::default()
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(UNREAD_BODY)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(door::introduce)
            .h1(map_config(app, |()| AppConfig::default()));
        let (http, crowd, tls) = (Rc::new(http), crowd.clone(), tls.clone());
        fn_factory(move || {
            let (http, crowd, tls) = (Rc::clone(&http), crowd.clone(), tls.clone());
            async move { Ok::<_, ()>(Door::new(http.new_service(()).await?, crowd, tls, is_secure)) }
        })
    })?;
    Ok((builder.run(), address))
}

/// Everything above the connections, for one worker.
fn app(
    slot: Slot,
    is_secure: bool,
    routes: impl Fn(&mut Routes<'_, '_>) + Clone + Send + 'static,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    actix_web::rt::spawn(slot.clone().kicks());
    let (app, document) = App::new()
        .app_data(slot.clone())
        .into_utoipa_app()
        .openapi(openapi::frame())
        .configure(|config| routes(&mut Routes::of(config)))
        .split_for_parts();
    let document = openapi::complete(document);
    let frame = Frame::new(slot, is_secure);
    app.app_data(web::Data::new(Paths::of(&document)))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", document))
        .route("/docs", web::get().to(docs))
        .default_service(web::to(elsewhere))
        .wrap_fn(move |request, service| frame.around(request, service))
}

/// As `HttpServer` binds. A socket of the standard library has another backlog.
fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
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
