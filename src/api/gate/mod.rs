//! The gate: validator sessions, and scans that redeem (R-SCAN-02 to R-SCAN-05).

mod scan;
mod sessions;

use utoipa_actix_web::service_config::ServiceConfig;

pub use scan::scan_code;

/// All but [`scan_code`], which stands before everything.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(sessions::open_validator_session).service(sessions::end_validator_session);
}
