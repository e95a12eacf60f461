//! Travellers: login, search, orders, payment, tickets, refunds.

mod departures;
mod login;
mod order_request;
mod orders;
mod payments;
mod places;
mod qr;
mod refunds;
pub mod search;
mod tickets;

use crate::api::frame::Routes;

/// What stands before everything.
pub fn hottest(routes: &mut Routes<'_, '_>) {
    routes.area(orders::hottest).area(search::routes);
}

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .area(login::routes)
        .area(places::routes)
        .area(orders::routes)
        .area(departures::routes)
        .area(payments::routes)
        .area(tickets::routes)
        .area(refunds::routes);
}
