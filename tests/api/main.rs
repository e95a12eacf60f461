//! Stories over HTTP with the built binary: what a client can see, and nothing else. All tests of this binary share one
//! demo server, unless they need one of their own; each has its own travellers, devices and departures, so they run at once.

#![allow(clippy::unwrap_used)]

mod client;
#[path = "../support/faketime.rs"]
mod faketime;
mod notice;
mod server;
mod shop;
mod symbols;

mod stories {
    mod access;
    mod bad_input;
    mod callbacks;
    mod cancelling;
    mod codes;
    mod demo;
    mod departures;
    mod door;
    mod expiry;
    mod fares;
    mod gate;
    mod late_money;
    mod login;
    mod money_desk;
    mod network;
    mod operations;
    mod orders;
    mod packages;
    mod partner_payments;
    mod partners;
    mod partners_batches;
    mod partners_drawing;
    mod partners_printing;
    mod partners_sales;
    mod paying;
    mod people;
    mod promotions;
    mod redeeming;
    mod refund_notices;
    mod refunds;
    mod reserving;
    mod scan_log;
    mod search;
    mod selling;
    mod templates;
    mod tickets;
    mod webhooks;
}
