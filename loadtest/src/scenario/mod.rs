//! What the load asks for.

pub mod orders;
pub mod scans;
pub mod setup;

use std::borrow::Cow;

use serde::Deserialize;

use crate::tally::Outcome;

/// The scenarios there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Scenario {
    /// Orders of one passenger, spread over the departures of a day.
    Orders,
    /// Tickets scanned at gates, each once, with some repeated and some shown twice.
    Scans,
}

impl Scenario {
    pub const ALL: [Scenario; 2] = [Scenario::Orders, Scenario::Scans];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::Orders => "orders",
            Scenario::Scans => "scans",
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
