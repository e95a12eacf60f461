//! Travellers: login, search, orders, payment, tickets, refunds.

mod departures;
mod login;
mod order_request;
pub mod orders;
mod payments;
mod places;
mod qr;
mod refunds;
pub mod search;
mod tickets;

use utoipa_actix_web::service_config::ServiceConfig;

/// All but [`orders::place_order`], which stands before everything.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .configure(search::routes)
        .configure(login::routes)
        .configure(places::routes)
        .configure(orders::routes)
        .configure(departures::routes)
        .configure(payments::routes)
        .configure(tickets::routes)
        .configure(refunds::routes);
}
