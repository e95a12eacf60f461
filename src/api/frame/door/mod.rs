//! The door: who may connect, for how long, and how a connection ends. Below it are sockets, above it is actix-http.
//!
//! Why so, and what it costs: `docs/decisions/one-wrapper-of-connections.md`.

mod below;
mod stream;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Service;
use futures_util::future::{Either, LocalBoxFuture};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use stream::Connection;
pub use watch::Watch;

use super::place::Place;
use super::refusals;
use watch::Rounds;
use wire::Wire;

/// Clients that are being told that there is no room, half of them in haste.
pub const TURNED_AWAY_MAX: usize = 128;
/// One who is turned away has this long to hear it.
const TURNED_AWAY_WITHIN: Duration = Duration::from_secs(1);
/// The same while many are: long enough for those whose request is there already, and those behind them wait for less.
const TURNED_AWAY_HASTILY_WITHIN: Duration = Duration::from_millis(10);

/// All connections of the process.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    max: usize,
    inside: Arc<AtomicUsize>,
    turned_away: Arc<AtomicUsize>,
}

impl Crowd {
    pub(super) fn new(max: usize) -> Crowd {
        Crowd { max, inside: Arc::default(), turned_away: Arc::default() }
    }

    fn enter(&self) -> Option<Place> {
        Place::enter(&self.inside, self.max)
    }

    /// Three quarters are inside.
    fn is_crowded(&self) -> bool {
        self.inside.load(Ordering::Relaxed) > self.max / 4 * 3
    }

    #[allow(clippy::cast_precision_loss)] // beyond 2^53 nobody reads the last digit
    fn show(&self) {
        metrics::gauge!("http_connections").set(self.inside.load(Ordering::Relaxed) as f64);
    }
}

/// The door of one worker, before what speaks HTTP.
pub(super) struct Door<S> {
    http: S,
    rounds: Rc<Rounds>,
    crowd: Crowd,
    /// Who shakes hands, if TLS is ours.
    tls: Option<TlsAcceptor>,
    is_secure: bool,
}

impl<S> Door<S> {
    /// Begins the worker's rounds.
    pub(super) fn new(http: S, crowd: Crowd, tls: Option<TlsAcceptor>, is_secure: bool) -> Door<S> {
        let rounds = Rounds::new();
        rounds.start(crowd.clone());
        Door { http, rounds, crowd, tls, is_secure }
    }
}

impl<S> Service<TcpStream> for Door<S>
where
    S: Service<(Connection, Option<SocketAddr>), Response = ()>,
    S::Error: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<(), S::Error>>>;

    fn poll_ready(&self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.http.poll_ready(task)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        let peer = stream.peer_addr().ok();
        let wire = Wire::new(stream, self.tls.as_ref());
        if let Some(place) = self.crowd.enter() {
            let watch = Watch::over(&self.rounds);
            return Either::Left(self.http.call((Connection::new(wire, watch, place, self.is_secure), peer)));
        }
        metrics::counter!("http_connections_refused_total").increment(1);
        let calmly = Place::enter(&self.crowd.turned_away, TURNED_AWAY_MAX / 2);
        let within = if calmly.is_some() { TURNED_AWAY_WITHIN } else { TURNED_AWAY_HASTILY_WITHIN };
        let is_secure = self.is_secure;
        Either::Right(Box::pin(async move {
            let _calmly = calmly;
            // In time or not: the connection ends here.
            let _ = tokio::time::timeout(within, turn_away(wire, is_secure)).await;
            Ok(())
        }))
    }
}

/// Says that there is no room, and listens until the client has heard it.
async fn turn_away(mut wire: Wire, is_secure: bool) -> std::io::Result<()> {
    let problem = refusals::OVERLOADED.saying("too many connections are open");
    wire.write_all(&below::written(problem, is_secure)).await?;
    wire.shutdown().await?;
    while wire.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

/// Lets actix-http tell the frame of the connection.
pub(super) fn introduce(connection: &Connection, data: &mut actix_web::dev::Extensions) {
    data.insert(Rc::clone(connection.watch()));
}
