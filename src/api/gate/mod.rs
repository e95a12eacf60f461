//! The gate: logins of operators, validator sessions, and scans that redeem (R-SCAN-02 to R-SCAN-05).

mod login;
pub mod scan;
mod sessions;

use utoipa_actix_web::service_config::ServiceConfig;

/// All but [`scan::scan_code`], which stands before everything.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.configure(login::routes).configure(sessions::routes);
}
