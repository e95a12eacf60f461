//! The gate: logins of operators, validator sessions, and scans that redeem (R-SCAN-02 to R-SCAN-05).

mod login;
mod scan;
mod sessions;

use crate::api::frame::Routes;

/// What stands before everything.
pub fn hottest(routes: &mut Routes<'_, '_>) {
    routes.area(scan::routes);
}

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.area(login::routes).area(sessions::routes);
}
