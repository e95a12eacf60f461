//! The owners: actix shells around the machines of `deeptravel-domain`, and what makes their decisions durable.
//!
//! Absent on purpose: HTTP and SQL. Postgres and the payment provider are [ports] that the process plugs in.

pub mod board;
pub mod clock;
pub mod journal;
pub mod outage;
pub mod ports;
pub mod rows;
