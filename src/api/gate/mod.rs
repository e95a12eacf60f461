//! The gate: logins of operators, validator sessions, and scans that redeem (R-SCAN-02 to R-SCAN-05).

mod login;
mod scan;
mod sessions;

use crate::api::frame::Routes;

/// What stands before everything.
pub fn hottest(routes: &mut Routes<'_, '_>) {
    scan::routes(routes);
}

pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    sessions::routes(routes);
}
