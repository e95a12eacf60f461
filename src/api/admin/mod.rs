//! Staff at a desk: administration, operations, finance, audit.

mod login;
mod money;

use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.configure(login::routes).configure(money::routes);
}
