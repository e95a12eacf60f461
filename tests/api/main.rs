//! Stories over HTTP with the built binary: what a client can see, and nothing else. All tests of this binary share one
//! demo server; each has its own travellers, devices and departures, so they run at once.

#![allow(clippy::unwrap_used)]

mod client;
mod server;

mod stories {
    mod bad_input;
    mod gate;
    mod login;
    mod operations;
    mod scan_log;
}
