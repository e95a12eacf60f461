//! The rules of DeepTravel, and nothing else: no clock, no IO, no randomness, no new ids, no logging.
//!
//! Every machine here has the same shape. `decide` holds all checks and answers with events or a
//! [`rejection::Rejection`]; `evolve` is the only mutation and cannot fail; `next_deadline` says when to wake.
//! The actors of `deeptravel-actors` are the callers; time, ids and chance are their arguments.

#![deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(test, allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

// So that what tests share reads the same here as elsewhere.
#[cfg(test)]
extern crate self as deeptravel_domain;

pub mod announcement;
pub mod batch;
pub mod catalogue;
pub mod clock_time;
pub mod code;
pub mod departure;
pub mod earlier;
pub mod fare;
pub mod hold;
mod id_text;
pub mod identity;
pub mod ids;
pub mod inventory;
pub mod machine;
pub mod money;
pub mod names;
pub mod order;
pub mod package;
pub mod packing;
pub mod partner;
pub mod party;
pub mod promotion;
pub mod quarantine;
pub mod redeems;
pub mod refund_rule;
pub mod register;
pub mod rejection;
pub mod reservation;
pub mod row;
pub mod sealing;
pub mod stock;
pub mod tables;
#[cfg(test)]
mod testing;
pub mod text;
pub mod ticket;
pub mod time;
pub mod totals;
pub mod transactions;
pub mod webhook;
pub mod zone;
