//! The gate: logins of operators, validator sessions, scans that redeem, and the counter (R-SCAN-01 to R-SCAN-05).

pub mod counter;
mod history;
mod login;
pub mod scan;
mod sessions;

use crate::api::frame::Routes;

pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    sessions::routes(routes);
    counter::routes(routes);
    history::routes(routes);
}
