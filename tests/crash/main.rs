//! The real binary under load, killed and cut off from Postgres, with a history that is checked afterwards by code that
//! knows only the HTTP contract.
//!
//! The provider is a simulator in this process, so that it outlives the server. Runs are short here; with
//! `DEEPTRAVEL_CRASH_SECONDS=30` they are as long as one likes, `DEEPTRAVEL_RESTORE_SECONDS=1800` is how long sales go on
//! between a backup and its restore, and `DEEPTRAVEL_RACE_ORDERS=10000` how many orders race for money and seats.
//! `DEEPTRAVEL_BINARY` names another build of the server.

#![allow(clippy::unwrap_used)]
#![allow(clippy::cast_precision_loss, reason = "rates for people to read")]

mod audit;
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/faketime.rs"]
mod faketime;
mod history;
mod partners;
mod postgres;
mod provider;
mod receiver;
mod rows;
mod server;
mod shop;
mod stand;
mod trial;
mod wall;

pub mod stories {
    mod adopt;
    mod announcements;
    mod both_down;
    mod clock;
    mod emptied;
    mod gate_away;
    mod journal_full;
    pub mod kill;
    mod long_outage;
    mod output;
    mod partners;
    mod postgres_away;
    mod postgres_full;
    mod postgres_hung;
    mod postgres_killed;
    mod postgres_slow;
    mod races;
    mod restore;
    mod tls;
    mod two_servers;
    mod units;
    mod warm;
    mod wrong_clock;
}
