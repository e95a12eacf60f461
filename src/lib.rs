//! The process around the engine: what talks to the world and to Postgres.

// They panic when their reader has gone: `output` does not.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod api;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod embedded;
pub mod gateway;
mod here;
pub mod import;
pub mod output;
pub mod postgres;
pub mod print;
pub mod secrets;
pub mod startup;
pub mod telemetry;
pub mod testing;
pub mod webhooks;
