//! The load harness of DeepTravel, a foreign client: it knows the HTTP contract and, for the audit after a run, SQL of
//! the database that the server names. It imports nothing of the server.
//!
//! | module | it is |
//! |---|---|
//! | [`cli`], [`options`], [`run`] | the command line; what it asks for; a run of each scenario from set-up over its rounds to its audit |
//! | [`subject`], [`server`], [`simulator`], [`timetable`] | the server under test, started on a timetable of our own |
//! | [`course`] | a contestant: a server, the load it is given, and what came of its turns |
//! | [`yardstick`], [`baseline`] | what ours is compared with: `bare`, `durable`, and a Postgres transaction per order |
//! | [`http`], [`api`] | a lean HTTP/1.1 client; calls outside the measured part |
//! | [`drive`], [`pace`], [`tally`] | connections under load, open-loop schedule, what was counted |
//! | [`scenario`] | what is asked for: orders, scans, searches, a mix, and what the set-up needs |
//! | [`watch`], [`usage`] | progress, and what the processes used |
//! | [`audit`], [`database`] | whether everything acknowledged is there, and nothing twice |
//! | [`report`] | the result as JSON and as text: figures, ratios, lines with floor and aim |
//!
//! How to run it and how to read its report: `docs/load-test.md`.

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
pub mod options;
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
