//! Staff at a desk: administration, operations, finance, audit.

mod configuration;
mod fares;
mod login;
mod ports;
mod quarantine;
mod refunds;

use deeptravel_domain::catalogue::Port;
use deeptravel_domain::fare::FareTable;

use crate::api::frame::Routes;

/// Counts revisions of routes, and of their fares and timetables.
const ROUTES_UPDATED: &str = "admin_routes_updated_total";

/// Everything below `/admin`.
pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    configuration::mount::<FareTable>(routes);
    configuration::mount::<Port>(routes);
    quarantine::routes(routes);
    refunds::routes(routes);
}
