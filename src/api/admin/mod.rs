//! Staff at a desk: administration, operations, finance, audit.

mod accounts;
mod audit;
mod carriers;
mod configuration;
mod departures;
mod devices;
mod fares;
mod holidays;
mod locations;
mod login;
mod merchants;
mod operators;
mod partner_keys;
mod partners;
mod places;
mod ports;
mod promotions;
mod quarantine;
mod refund_rules;
mod refunds;
mod routes;
mod schedules;
mod staff;
mod templates;
mod vehicles;
mod webhooks;

use deeptravel_domain::catalogue::{Calendar, Device, Location, Merchant, Operator, Place, Port, Route, Vehicle};
use deeptravel_domain::fare::FareTable;
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::refund_rule::RefundRule;

use crate::api::frame::Routes;

/// Counts revisions of routes, and of their fares and timetables.
const ROUTES_UPDATED: &str = "admin_routes_updated_total";

/// Everything below `/admin`. Of two paths that fit, the first one is taken: `fares` is no route.
pub fn routes(routes: &mut Routes<'_, '_>) {
    login::routes(routes);
    configuration::mount::<FareTable>(routes);
    configuration::mount::<Route>(routes);
    schedules::routes(routes);
    configuration::mount::<Operator>(routes);
    configuration::mount::<Port>(routes);
    configuration::mount::<Place>(routes);
    configuration::mount::<Vehicle>(routes);
    configuration::mount::<Calendar>(routes);
    audit::routes(routes);
    configuration::mount::<RefundRule>(routes);
    configuration::mount::<Merchant>(routes);
    configuration::mount::<Location>(routes);
    configuration::mount::<Device>(routes);
    operators::routes(routes);
    accounts::routes(routes);
    configuration::mount::<Promotion>(routes);
    templates::routes(routes);
    partners::routes(routes);
    partner_keys::routes(routes);
    departures::routes(routes);
    quarantine::routes(routes);
    refunds::routes(routes);
    webhooks::routes(routes);
}
