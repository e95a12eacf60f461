//! The real binary under load, killed and cut off from Postgres, with a history that is checked afterwards by code that
//! knows only the HTTP contract.
//!
//! The provider is a simulator in this process, so that it outlives the server. Runs are short here; with
//! `DEEPTRAVEL_CRASH_SECONDS=30` they are as long as one likes, and `DEEPTRAVEL_RESTORE_SECONDS=1800` is how long sales go
//! on between a backup and its restore.

#![allow(clippy::unwrap_used)]

mod database;
mod history;
mod server;
mod shop;
mod stand;
mod wall;

pub mod stories {
    mod both_down;
    mod clock;
    mod gate_away;
    pub mod kill;
    mod postgres_away;
    mod restore;
    mod two_servers;
    mod warm;
}
