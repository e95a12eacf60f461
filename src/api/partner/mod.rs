//! Partners, who sell packages under their own name (R-OTA-01 to R-OTA-10). Each sees what is its own, and is asked for its key
//! with every call.

mod batches;
mod customer;
mod orders;
mod payments;
mod pricing;
mod products;
mod qr;
mod reservations;
mod tickets;

use crate::api::frame::Routes;

/// Everything below `/api/ota`.
pub fn routes(routes: &mut Routes<'_, '_>) {
    products::routes(routes);
    reservations::routes(routes);
    batches::routes(routes);
    tickets::routes(routes);
    qr::routes(routes);
    orders::routes(routes);
    payments::routes(routes);
}
