//! The process around the engine: what talks to the world and to Postgres.

pub mod api;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod embedded;
pub mod gateway;
pub mod import;
pub mod postgres;
pub mod secrets;
pub mod startup;
pub mod telemetry;
pub mod testing;
