//! The HTTP layer: parses requests, sends them to their owners, maps the answers (`api.md`). Every decision is the
//! owners'; every `if` on a business word belongs in the domain.
//!
//! [`serve`] is called by the composition root. One file per area; [`routes`] lists the areas, and everything in it is
//! also in `/openapi.json`. Absent on purpose: SQL (lists come through a port), the metrics recorder (installed by the
//! process), CORS (the pages come from the same origin).

mod admin_money;
mod answer;
pub mod auth;
mod departure_view;
mod departures;
pub mod extract;
mod gate;
mod gauges;
#[cfg(test)]
mod golden;
mod login;
mod middleware;
mod notify;
mod openapi;
mod ops;
mod order_request;
mod order_view;
mod orders;
mod passwords;
mod payments;
mod places;
mod problem;
mod qr;
pub mod query;
mod refund_view;
mod refunds;
mod search;
mod seen;
mod server;
mod staff_login;
mod strict;
#[cfg(test)]
mod tests;
mod ticket_view;
mod tickets;
pub mod view;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use deeptravel_actors::engine::Engine;
use deeptravel_actors::ports::Lists;
use deeptravel_domain::code::CodeKeys;
use deeptravel_domain::sealing::DocumentKeys;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_actix_web::service_config::ServiceConfig;

pub use openapi::document;
pub use problem::{FieldError, Problem};
/// For whoever measures the search alone.
pub use search::Answers;
pub use server::{Slot, serve, serve_slot};

use passwords::Passwords;
use seen::Seen;

/// Limits and times of the HTTP layer, from configuration.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Requests being answered at once; more get 503. Health and metrics are not counted.
    pub max_in_flight: usize,
    /// Addresses besides loopback that may read `/metrics` and `/ops`.
    pub ops_allow: Vec<IpAddr>,
    /// A traveller's token is valid this long, in seconds.
    pub traveller_session_seconds: u32,
    /// A staff token is valid this long, in seconds: a shift.
    pub staff_session_seconds: u32,
    /// A gate's session is valid this long, in seconds.
    pub validator_session_seconds: u32,
    /// A shown code is valid this long, in seconds; the app asks for a fresh one before.
    pub code_seconds: u32,
}

impl Default for ApiSettings {
    fn default() -> ApiSettings {
        ApiSettings {
            // Above the ten thousand orders that must be in flight together (spec section 12).
            max_in_flight: 16_384,
            ops_allow: Vec::new(),
            traveller_session_seconds: 7 * 24 * 60 * 60,
            staff_session_seconds: 12 * 60 * 60,
            validator_session_seconds: 16 * 60 * 60,
            code_seconds: 60,
        }
    }
}

/// What the composition root plugs in.
#[derive(Debug)]
pub struct ApiParts {
    pub engine: Engine,
    pub lists: Arc<dyn Lists>,
    pub wechat: deeptravel_wechat::Client,
    /// Exchanged when the key file is read again.
    pub code_keys: Arc<ArcSwap<CodeKeys>>,
    pub document_keys: Arc<DocumentKeys>,
    /// Runs everything that waits for the network; not an HTTP worker's runtime.
    pub io: tokio::runtime::Handle,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    pub settings: ApiSettings,
}

/// The parts, shared by all workers; handlers take it as an argument.
#[derive(Clone, Debug)]
pub struct Api(Arc<Shared>);

/// See [`Api`].
#[derive(Debug)]
pub struct Shared {
    pub parts: ApiParts,
    seen: Seen,
    passwords: Passwords,
    answers: Answers,
    /// Requests being answered.
    in_flight: Arc<AtomicUsize>,
}

impl Api {
    pub fn new(parts: ApiParts) -> Api {
        let (seen, passwords, answers) = (Seen::default(), Passwords::default(), Answers::default());
        Api(Arc::new(Shared { parts, seen, passwords, answers, in_flight: Arc::default() }))
    }

    fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    fn answers(&self) -> &Answers {
        &self.0.answers
    }

    fn in_flight(&self) -> &Arc<AtomicUsize> {
        &self.0.in_flight
    }
}

impl Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0.parts
    }
}

/// Every area of the interface. Paths are compared in this order, and one with a variable part is a regular expression,
/// so what is asked most stands before all of them.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(gate::scan_code)
        .service(orders::place_order)
        .configure(search::routes)
        .configure(login::routes)
        .configure(places::routes)
        .configure(departures::routes)
        .configure(orders::routes)
        .configure(payments::routes)
        .configure(notify::routes)
        .configure(tickets::routes)
        .configure(refunds::routes)
        .configure(staff_login::routes)
        .configure(admin_money::routes)
        .configure(gate::routes)
        .configure(ops::routes);
}
