//! The real binary under load, killed and cut off from Postgres, with a history that is checked afterwards by code that
//! knows only the HTTP contract.
//!
//! The provider is a simulator in this process, so that it outlives the server. Runs are short here; with
//! `DEEPTRAVEL_CRASH_SECONDS=30` they are as long as one likes.

#![allow(clippy::unwrap_used)]

mod history;
mod server;
mod shop;
mod wall;

mod stories {
    mod clock;
    mod gate_away;
    mod kill;
    mod postgres_away;
}
