//! The process around the engine: what talks to the world and to Postgres.

pub mod api;
pub mod embedded;
pub mod import;
pub mod postgres;
pub mod testing;
