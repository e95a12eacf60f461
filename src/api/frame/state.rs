//! What all handlers share, and where it comes to once the process has started.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use arc_swap::ArcSwap;
use deeptravel_actors::engine::Engine;
use deeptravel_actors::ports::Lists;
use deeptravel_domain::code::CodeKeys;
use deeptravel_domain::sealing::DocumentKeys;
use derive_more::Deref;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::SetOnce;

use super::address::client_address;
use super::calls::Calls;
use super::heavy::Heavy;
use super::passwords::Passwords;
use super::problem::Problem;
use super::refusals;
use super::settings::{OtaSettings, ServerSettings, SessionSettings};
use crate::webhooks::WebhookSettings;

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
    pub server: ServerSettings,
    pub sessions: SessionSettings,
    pub ota: OtaSettings,
    pub webhooks: WebhookSettings,
}

/// The parts, shared by all workers; handlers take it as an argument.
#[derive(Clone, Debug, Deref)]
pub struct Api(Arc<Shared>);

/// See [`Api`].
#[derive(Debug, Deref)]
pub struct Shared {
    #[deref]
    parts: ApiParts,
    pub(super) passwords: Passwords,
    pub(super) calls: Calls,
    pub(super) heavy_work: Heavy,
    /// Requests being answered.
    pub in_flight: Arc<AtomicUsize>,
}

/// Where the parts come to once the process has started. Until then the server is live, not ready, and answers 503.
#[derive(Clone, Debug, Default)]
pub struct Slot(Arc<SetOnce<Api>>);

impl Slot {
    /// From now on requests are answered. Filling twice is a mistake and changes nothing.
    pub fn fill(&self, parts: ApiParts) {
        let (passwords, calls, heavy_work) = (Passwords::default(), Calls::default(), Heavy::default());
        let filled =
            self.0.set(Api(Arc::new(Shared { parts, passwords, calls, heavy_work, in_flight: Arc::default() })));
        debug_assert!(filled.is_ok(), "a slot is filled once");
    }

    /// What a worker's handlers append in one turn is written together, once there is a journal. For the worker's local task
    /// set.
    pub async fn kicks(self) {
        let kicker = self.0.wait().await.engine.services().journal.kicker();
        drop(self);
        kicker.await;
    }

    /// Where the client of a request is; `None` while the process is still starting.
    pub(super) fn address_of(&self, request: &HttpRequest) -> Option<IpAddr> {
        Some(client_address(request, &self.api().ok()?.server.trusted_proxies))
    }

    /// The parts; 503 while the process is still starting.
    pub fn api(&self) -> Result<&Api, Problem> {
        Ok(self.0.get().ok_or(refusals::STARTING)?)
    }
}

/// The parts behind a request; 503 while the process is still starting.
pub fn of_request(request: &HttpRequest) -> Result<&Api, Problem> {
    request.app_data::<Slot>().ok_or(refusals::STARTING)?.api()
}

impl FromRequest for Api {
    type Error = Problem;
    type Future = Ready<Result<Api, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of_request(request).cloned())
    }
}
