//! Health, and metrics for those who run the service (R-OPS-02).

mod gauges;

use std::net::IpAddr;

use actix_web::http::header::{CONTENT_TYPE, FORWARDED};
use actix_web::{HttpRequest, HttpResponse, get, web};
use deeptravel_actors::outage::Outage;
use deeptravel_domain::identity::Role;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::api::frame::auth::StaffAuth;
use crate::api::frame::{Api, Problem};

/// Content type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What proxies say on whose behalf they ask: such a request does not come from this machine, whoever delivers it.
const FORWARDED_FOR: &str = "X-Forwarded-For";

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health_live).service(health_ready).service(show_metrics);
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    #[schema(example = "live")]
    status: &'static str,
}

/// How the server is, and what it can do without.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    #[schema(example = "ready")]
    status: &'static str,
    /// `available` or `away`, as it was when last used. Lists and sleeping orders wait for it; nothing else does.
    #[schema(example = "available")]
    database: &'static str,
    /// Records that the database has yet to follow.
    projection_lag: u64,
    /// `open`, or `stopped` while the journal has too little space for new sales.
    #[schema(example = "open")]
    sales: &'static str,
}

/// The process runs.
#[utoipa::path(tag = "operations", responses((status = 200, body = Health)))]
#[get("/health/live")]
async fn health_live() -> web::Json<Health> {
    web::Json(Health { status: "live" })
}

/// Requests can be answered and their changes made durable. A database that is away does not change that.
#[utoipa::path(
    tag = "operations",
    responses(
        (status = 200, body = Readiness),
        (status = 503, description = "`STARTING`, or `NOT_DURABLE` when the journal has failed"),
    )
)]
#[get("/health/ready")]
async fn health_ready(api: Api) -> Result<web::Json<Readiness>, Problem> {
    let services = api.engine.services();
    if services.journal.failure().is_some() {
        return Err(Outage::Journal.into());
    }
    Ok(web::Json(Readiness {
        status: "ready",
        database: if api.lists.is_available() { "available" } else { "away" },
        projection_lag: gauges::projection_lag(services),
        sales: if services.journal.space().is_rationed() { "stopped" } else { "open" },
    }))
}

/// Counters, gauges and histograms in the Prometheus text format.
///
/// Without a login from this machine and the addresses in `server.ops_allow`; for others with role ops or admin.
#[utoipa::path(
    tag = "operations",
    security((), ("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
    )
)]
#[get("/metrics")]
async fn show_metrics(
    api: Api,
    request: HttpRequest,
    auth: Result<StaffAuth, Problem>,
) -> Result<HttpResponse, Problem> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let forwarded = request.headers().contains_key(FORWARDED) || request.headers().contains_key(FORWARDED_FOR);
    if forwarded || !peer.is_some_and(|peer| may_look(peer, &api.settings.ops_allow)) {
        auth?.require(&[Role::Ops, Role::Admin])?;
    }
    gauges::set(&api);
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, PROMETHEUS_TEXT)).body(api.metrics.render()))
}

fn may_look(peer: IpAddr, allowed: &[IpAddr]) -> bool {
    // A socket for both families shows IPv4 peers as IPv6.
    let peer = peer.to_canonical();
    peer.is_loopback() || allowed.contains(&peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_this_machine_and_the_listed_addresses() {
        let allowed = ["192.0.2.7".parse().unwrap()];
        let looks = |peer: &str| may_look(peer.parse().unwrap(), &allowed);
        assert!(looks("127.0.0.1") && looks("::1") && looks("::ffff:127.0.0.1"));
        assert!(looks("192.0.2.7") && looks("::ffff:192.0.2.7"));
        assert!(!looks("192.0.2.8") && !looks("2001:db8::1"));
    }
}
