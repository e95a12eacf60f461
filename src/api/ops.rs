//! Health and metrics.

use std::net::IpAddr;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, get, web};
use deeptravel_actors::outage::Outage;
use deeptravel_domain::identity::Role;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::auth::StaffAuth;
use super::{Api, Problem};

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health_live).service(health_ready).service(show_metrics);
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    #[schema(example = "live")]
    status: &'static str,
}

/// The process runs.
#[utoipa::path(tag = "operations", responses((status = 200, body = Health)))]
#[get("/health/live")]
async fn health_live() -> web::Json<Health> {
    web::Json(Health { status: "live" })
}

/// Requests can be answered and their changes made durable.
#[utoipa::path(
    tag = "operations",
    responses((status = 200, body = Health), (status = 503, description = "Starting, or failing"))
)]
#[get("/health/ready")]
async fn health_ready(api: Api) -> Result<web::Json<Health>, Problem> {
    if api.engine.services().journal.failure().is_some() {
        return Err(Outage::Journal.into());
    }
    Ok(web::Json(Health { status: "ready" }))
}

/// Counters and histograms in Prometheus' text format.
#[utoipa::path(
    tag = "operations",
    security((), ("bearer" = [])),
    responses(
        (status = 200, content_type = "text/plain", body = String),
        (status = 401, description = "Neither an allowed address nor a token"),
        (status = 403, description = "The account has not the role ops"),
    )
)]
#[get("/metrics")]
async fn show_metrics(api: Api, request: HttpRequest) -> Result<HttpResponse, Problem> {
    allow_ops(&api, &request).await?;
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, text)).body(api.metrics.render()))
}

/// Loopback, addresses that the configuration allows, and staff with the role ops may look at how the server is
/// (`api.md`). The address is the connection's: headers of proxies prove nothing.
pub async fn allow_ops(api: &Api, request: &HttpRequest) -> Result<(), Problem> {
    if request.peer_addr().is_some_and(|peer| is_allowed(peer.ip(), &api.settings.ops_allow)) {
        return Ok(());
    }
    StaffAuth::extract(request).await?.require(&[Role::Ops, Role::Admin])
}

fn is_allowed(address: IpAddr, allowed: &[IpAddr]) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || allowed.contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_configured_addresses_may_read_metrics() {
        let allowed: [IpAddr; 1] = ["10.0.0.7".parse().unwrap()];
        for (address, may) in
            [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.7", true), ("10.0.0.8", false)]
        {
            assert_eq!(is_allowed(address.parse().unwrap(), &allowed), may, "{address}");
        }
    }
}
