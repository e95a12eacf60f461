//! The HTTP server: every address, on a thread of its own.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, PayloadConfig};
use actix_web::{App, HttpServer};

use super::{Simulator, control, control_keys, endpoints, mini, notify, refund_endpoints};

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
                .service(web::scope("/_sim").configure(control::routes).configure(control_keys::routes))
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
