//! Health.

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::ProblemDocument;
use super::{Api, Problem};

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health_live).service(health_ready);
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
    responses((status = 200, body = Health), (status = 503, description = "Starting, or failing", body = ProblemDocument))
)]
#[get("/health/ready")]
async fn health_ready(api: Api) -> Result<web::Json<Health>, Problem> {
    if api.engine.services().journal.failure().is_some() {
        return Err(deeptravel_actors::outage::Outage::Journal.into());
    }
    Ok(web::Json(Health { status: "ready" }))
}
