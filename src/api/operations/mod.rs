//! Health, and metrics for those who run the service (R-OPS-02).

mod gauges;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use deeptravel_actors::outage::Outage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Api, Public, Routes, SeeMetrics, ok};

/// Content type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_health_live, health_live)
        .mount(__path_health_ready, health_ready)
        .mount(__path_show_metrics, show_metrics);
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
#[utoipa::path(get, path = "/health/live", responses((status = 200, body = Health)))]
async fn health_live(_: Allowed<Public>) -> HttpResponse {
    ok(&Health { status: "live" })
}

/// Requests can be answered and their changes made durable. A database that is away does not change that.
#[utoipa::path(
    get, path = "/health/ready",
    responses(
        (status = 200, body = Readiness),
        (status = 503, description = "`STARTING`, or `NOT_DURABLE` when the journal has failed"),
    )
)]
async fn health_ready(_: Allowed<Public>, api: Api) -> Answered {
    let services = api.engine.services();
    if services.journal.failure().is_some() {
        return Err(Outage::Journal.into());
    }
    Ok(ok(&Readiness {
        status: "ready",
        database: if api.lists.is_available() { "available" } else { "away" },
        projection_lag: gauges::projection_lag(services),
        sales: if services.journal.space().is_rationed() { "stopped" } else { "open" },
    }))
}

/// Counters, gauges and histograms in the Prometheus text format.
///
/// Without a login from this machine and the addresses in `server.ops_allow`; for others with role ops or admin.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn show_metrics(_: Allowed<SeeMetrics>, api: Api) -> HttpResponse {
    gauges::set(&api);
    HttpResponse::Ok().insert_header((CONTENT_TYPE, PROMETHEUS_TEXT)).body(api.metrics.render())
}
