//! What the load asks for.

pub mod mixed;
pub mod orders;
pub mod packages;
pub mod partners;
pub mod scans;
pub mod search;
pub mod setup;

use std::borrow::Cow;

use serde::Deserialize;

use crate::tally::Outcome;

/// The scenarios there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Scenario {
    /// Orders of one passenger, spread over the departures of a day.
    Orders,
    /// The same, all for one departure until it is sold out, then for the next.
    FlashSale,
    /// Tickets scanned at gates, each once, with some repeated and some shown twice.
    Scans,
    /// Orders of one package for one passenger, spread over templates, beside orders of journeys.
    Packages,
    /// Items of packages redeemed at counters, each once as `scans` are, beside scans at gates.
    Redemptions,
    /// What partners sell: who has whose units, tickets in advance, their lists, their calls, and their tickets at gates beside
    /// orders of direct sale.
    Partners,
    /// Departures and packages between two places.
    Search,
    /// Orders over 10,000 connections.
    Burst,
    /// The open loop at half of our maximum: latency, lag, and how fast the projector could go.
    Steady,
    /// The closed loop for a minute: does the projector keep up?
    Sustained,
    /// What an order takes in the server's memory.
    Memory,
    /// Searches, views, orders, cancels and scans at once.
    Mixed,
    /// Curves over live orders, departures and connections; takes long, and is not among `all`.
    Growth,
    /// From a start to being ready, with many live orders and with many records that Postgres lacks; takes long, and is
    /// not among `all`.
    Ready,
}

impl Scenario {
    /// Everything that a line of the report needs, in the order of the lines.
    pub const ALL: [Scenario; 12] = [
        Scenario::Orders,
        Scenario::FlashSale,
        Scenario::Scans,
        Scenario::Packages,
        Scenario::Redemptions,
        Scenario::Partners,
        Scenario::Search,
        Scenario::Burst,
        Scenario::Steady,
        Scenario::Sustained,
        Scenario::Memory,
        Scenario::Mixed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::Orders => "orders",
            Scenario::Scans => "scans",
            Scenario::Packages => "packages",
            Scenario::Redemptions => "redemptions",
            Scenario::Partners => "partners",
            Scenario::FlashSale => "flash-sale",
            Scenario::Steady => "steady",
            Scenario::Sustained => "sustained",
            Scenario::Memory => "memory",
            Scenario::Mixed => "mixed",
            Scenario::Growth => "growth",
            Scenario::Ready => "ready",
            Scenario::Search => "search",
            Scenario::Burst => "burst",
        }
    }
}

/// What any status but the expected one means: 4xx a refusal with its code, anything else a failure.
pub fn unexpected(status: u16, body: &[u8]) -> Outcome {
    #[derive(Deserialize)]
    struct Problem<'a> {
        #[serde(borrow)]
        code: Option<Cow<'a, str>>,
    }
    let problem: Option<Problem<'_>> = serde_json::from_slice(body).ok();
    let code = problem.and_then(|problem| problem.code).unwrap_or_default();
    let kind = Cow::Owned(format!("{status} {code}").trim_end().to_owned());
    if (400..500).contains(&status) { Outcome::Refused(kind) } else { Outcome::Failed(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_failures_by_status() {
        let refused = unexpected(409, br#"{"title":"x","code":"SOLD_OUT"}"#);
        assert_eq!(refused, Outcome::Refused("409 SOLD_OUT".into()));
        assert_eq!(unexpected(503, br#"{"code":"OVERLOADED"}"#), Outcome::Failed("503 OVERLOADED".into()));
        assert_eq!(unexpected(404, b"not json"), Outcome::Refused("404".into()));
        assert_eq!(unexpected(302, b""), Outcome::Failed("302".into()));
    }
}
