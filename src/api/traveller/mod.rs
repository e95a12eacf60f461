//! Travellers: login, search, orders, payment, tickets, refunds.

mod departures;
mod login;
mod order_request;
pub mod orders;
mod packages;
mod payments;
mod places;
mod policies;
mod promotions;
mod qr;
mod refunds;
mod reservations;
pub mod search;
mod tickets;

use crate::api::frame::Routes;

pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    places::routes(routes);
    policies::routes(routes);
    packages::routes(routes);
    promotions::routes(routes);
    orders::routes(routes);
    reservations::routes(routes);
    departures::routes(routes);
    payments::routes(routes);
    tickets::routes(routes);
    refunds::routes(routes);
}
