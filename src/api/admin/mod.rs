//! Staff at a desk: administration, operations, finance, audit.

mod configuration;
mod fares;
mod login;
mod quarantine;
mod refunds;

use crate::api::frame::Routes;

/// Everything below `/admin`.
pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    fares::routes(routes);
    quarantine::routes(routes);
    refunds::routes(routes);
}
