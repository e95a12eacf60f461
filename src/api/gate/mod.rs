//! The gate: logins of operators, validator sessions, and scans that redeem (R-SCAN-02 to R-SCAN-05).

mod login;
pub mod scan;
mod sessions;

use crate::api::frame::Routes;

pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    sessions::routes(routes);
}
