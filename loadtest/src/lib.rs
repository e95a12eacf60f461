//! The load harness of DeepTravel, a foreign client: it knows the HTTP contract and, for the audit after a run, SQL of
//! the database that the server names. It imports nothing of the server.
//!
//! | module | it is |
//! |---|---|
//! | [`cli`] | the command line, and a run from start to report |
//! | [`server`], [`timetable`] | the server under test, started on a timetable of our own |
//! | [`http`], [`api`] | a lean HTTP/1.1 client; calls outside the measured part |
//! | [`drive`], [`pace`], [`tally`] | connections under load, open-loop schedule, what was counted |
//! | [`scenario`] | what is asked for: `orders`, `scans` |
//! | [`watch`], [`usage`] | progress, and what the processes used |
//! | [`audit`], [`database`] | whether everything acknowledged is there, and nothing twice |
//! | [`report`] | the result as JSON and as text |
//!
//! Deliberately absent so far: yardsticks to compare with, so the report's `ratios` are empty.

// Counts and nanoseconds far below 2^52 become figures for people.
#![allow(clippy::cast_precision_loss)]

pub mod api;
pub mod audit;
pub mod baseline;
pub mod cli;
pub mod course;
pub mod database;
pub mod drive;
pub mod http;
pub mod pace;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server;
pub mod simulator;
pub mod subject;
pub mod tally;
pub mod timetable;
pub mod usage;
pub mod watch;
pub mod yardstick;
