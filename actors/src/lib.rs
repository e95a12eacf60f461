//! The owners: actix shells around the machines of `deeptravel-domain`, and what makes their decisions durable.
//!
//! Absent on purpose: HTTP and SQL. Postgres and the payment provider are [ports] that the process plugs in.

pub mod attention;
pub mod board;
mod catalogue;
pub mod clock;
mod departure;
mod desk;
mod directory;
pub mod engine;
mod identity;
pub mod journal;
mod log;
mod order;
pub mod outage;
pub mod payment;
pub mod ports;
pub mod projector;
mod registry;
pub mod rows;
pub mod services;
pub mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timer;
mod turn;
