//! The owners: actix shells around the machines of `deeptravel-domain`, and what makes their decisions durable.
//!
//! Absent on purpose: HTTP and SQL. Postgres and the payment provider are [ports] that the process plugs in.

mod ask;
pub mod attention;
mod batch;
pub mod batch_board;
pub mod board;
mod catalogue;
mod celled;
pub mod clock;
mod departure;
mod desk;
pub mod directory;
pub mod engine;
pub mod follow;
pub mod followers;
mod identity;
pub mod journal;
mod keeper;
mod kept;
pub mod kind;
pub mod lists;
pub mod loads;
mod log;
mod order;
pub mod outage;
pub mod overriding;
mod owners;
pub mod partner;
mod partner_sales;
pub mod partner_tickets;
mod parts;
pub mod payment;
pub mod ports;
pub mod projector;
pub mod registry;
pub mod services;
pub mod settings;
mod stock;
pub mod stock_board;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timer;
pub mod totals;
mod turn;
pub mod webhooks;
