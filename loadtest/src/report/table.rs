//! The lines that have to be shown, in their order, with floor and aim.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Report, Scenario};

/// A line: what was measured against its floor and its aim.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub name: String,
    pub floor: String,
    pub aim: String,
    pub measured: String,
    pub floor_met: bool,
    pub aim_met: bool,
}

/// A bound: what must be reached, or not exceeded.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            AtLeast(bound) => value >= bound,
            AtMost(bound) => value <= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            AtLeast(bound) => format!("≥ {bound}{unit}"),
            AtMost(bound) => format!("≤ {bound}{unit}"),
        }
    }
}

struct Row {
    name: &'static str,
    unit: &'static str,
    floor: Bound,
    aim: Bound,
    value: fn(&Report) -> Option<f64>,
}

fn ratio(report: &Report, name: &str) -> Option<f64> {
    report.ratios.get(name).copied()
}

fn fact(report: &Report, scenario: &str, name: &str) -> Option<f64> {
    measured(report, scenario)?.facts.get(name).copied()
}

fn rate(report: &Report, scenario: &str) -> Option<f64> {
    measured(report, scenario).map(|scenario| scenario.figures.achieved)
}

use Bound::{AtLeast, AtMost};

const ROWS: [Row; 25] = [
    Row {
        name: "orders over 200 departures, 64 connections, against the best baseline counter",
        unit: " ×",
        floor: AtLeast(4.0),
        aim: AtLeast(5.5),
        value: |report| ratio(report, "ordersVsBaseline"),
    },
    Row {
        name: "the same with projection paused, against durable",
        unit: "",
        floor: AtLeast(0.5),
        aim: AtLeast(0.75),
        value: |report| ratio(report, "ordersVsDurable"),
    },
    Row {
        name: "one hot departure against the spread rate",
        unit: "",
        floor: AtLeast(0.9),
        aim: AtLeast(0.95),
        value: |report| ratio(report, "hotVsSpread"),
    },
    Row {
        name: "one hot departure against the baseline's hot row at 128 clients",
        unit: " ×",
        floor: AtLeast(30.0),
        aim: AtLeast(45.0),
        value: |report| ratio(report, "hotVsBaseline"),
    },
    Row {
        name: "gate scans against durable",
        unit: "",
        floor: AtLeast(0.5),
        aim: AtLeast(0.8),
        value: |report| ratio(report, "scansVsDurable"),
    },
    Row {
        name: "orders of one package against orders of a journey",
        unit: "",
        floor: AtLeast(0.6),
        aim: AtLeast(0.6),
        value: |report| ratio(report, "packagesVsJourneys"),
    },
    Row {
        name: "redemptions of one item at counters against gate scans",
        unit: "",
        floor: AtLeast(0.8),
        aim: AtLeast(0.8),
        value: |report| ratio(report, "redemptionsVsScans"),
    },
    Row {
        name: "gate scans of a partner's tickets against orders of direct sale",
        unit: "",
        floor: AtLeast(0.95),
        aim: AtLeast(0.95),
        value: |report| ratio(report, "partnersScansVsDirect"),
    },
    Row {
        name: "a partner's 5,000 tickets in advance, in one request",
        unit: " ms",
        floor: AtMost(1_000.0),
        aim: AtMost(1_000.0),
        value: |report| fact(report, "partners", "msPer5000TicketsMedian"),
    },
    Row {
        name: "the first page of a partner's 100,000 tickets, 95 %",
        unit: " ms",
        floor: AtMost(50.0),
        aim: AtMost(50.0),
        value: |report| fact(report, "partners", "msOfPage1P95"),
    },
    Row {
        name: "the thousandth page of them, 95 %",
        unit: " ms",
        floor: AtMost(50.0),
        aim: AtMost(50.0),
        value: |report| fact(report, "partners", "msOfPage1000P95"),
    },
    Row {
        name: "search against bare",
        unit: "",
        floor: AtLeast(0.5),
        aim: AtLeast(0.8),
        value: |report| ratio(report, "searchVsBare"),
    },
    Row {
        name: "10,000 connections, closed loop, against durable",
        unit: "",
        floor: AtLeast(0.7),
        aim: AtLeast(0.75),
        value: |report| ratio(report, "burstVsDurable"),
    },
    Row {
        name: "  of these not answered, or with 5xx",
        unit: "",
        floor: AtMost(0.0),
        aim: AtMost(0.0),
        value: |report| fact(report, "burst", "failed"),
    },
    Row {
        name: "  95th percentile",
        unit: " ms",
        // The floor has none.
        floor: AtMost(f64::INFINITY),
        aim: AtMost(500.0),
        value: |report| measured(report, "burst").map(|burst| burst.figures.percentiles.p95),
    },
    Row {
        name: "99th percentile of an order, open loop at half of our maximum, projection on",
        unit: " ms",
        floor: AtMost(30.0),
        aim: AtMost(5.0),
        value: |report| measured(report, "steady").map(|steady| steady.figures.percentiles.p99),
    },
    Row {
        name: "projector at half of our maximum: drain rate against order rate",
        unit: " ×",
        floor: AtLeast(2.0),
        aim: AtLeast(3.0),
        value: |report| fact(report, "steady", "drainVsOrders"),
    },
    Row {
        name: "  lag",
        unit: " s",
        floor: AtMost(1.0),
        aim: AtMost(0.2),
        value: |report| measured(report, "steady")?.figures.lag.max_seconds,
    },
    Row {
        name: "projector at our maximum: lag (the floor: keeps up, or bounded and stated)",
        unit: " s",
        floor: AtMost(f64::INFINITY),
        aim: AtMost(1.0),
        value: |report| measured(report, "sustained")?.figures.lag.max_seconds,
    },
    Row {
        name: "  it grew from the second third to the last by",
        unit: " s",
        floor: AtMost(0.5),
        aim: AtMost(0.5),
        value: |report| fact(report, "sustained", "lagGrowthSeconds"),
    },
    Row {
        name: "resident memory per live pending order",
        unit: " B",
        floor: AtMost(1_500.0),
        aim: AtMost(1_000.0),
        value: |report| fact(report, "memory", "bytesPerPendingOrder"),
    },
    Row {
        name: "the same per dormant paid order",
        unit: " B",
        floor: AtMost(600.0),
        aim: AtMost(400.0),
        value: |report| fact(report, "memory", "bytesPerPaidOrder"),
    },
    Row {
        name: "context switches of the server per order",
        unit: "",
        floor: AtMost(0.35),
        aim: AtMost(0.35),
        value: |report| measured(report, "orders")?.figures.switches_each(),
    },
    Row {
        name: "orders a second",
        unit: "",
        floor: AtLeast(10_200.0),
        aim: AtLeast(20_000.0),
        value: |report| rate(report, "orders"),
    },
    Row {
        name: "scans a second",
        unit: "",
        floor: AtLeast(17_900.0),
        aim: AtLeast(36_000.0),
        value: |report| rate(report, "scans"),
    },
];

/// A scenario that was answered: one that could not begin has no figures to show.
fn measured<'a>(report: &'a Report, name: &str) -> Option<&'a Scenario> {
    report.scenarios.get(name).filter(|scenario| scenario.figures.accepted > 0)
}

/// The lines of what was measured; what was not run has none.
pub fn lines(report: &Report) -> Vec<Line> {
    let line = |row: &Row| {
        let value = (row.value)(report)?;
        Some(Line {
            name: row.name.to_owned(),
            floor: text(row.floor, row.unit),
            aim: text(row.aim, row.unit),
            measured: format!("{}{}", super::plain(value), row.unit),
            floor_met: row.floor.is_met(value),
            aim_met: row.aim.is_met(value),
        })
    };
    ROWS.iter().filter_map(line).collect()
}

fn text(bound: Bound, unit: &str) -> String {
    match bound {
        AtMost(bound) if bound.is_infinite() => "–".to_owned(),
        bound => bound.text(unit),
    }
}

/// The table as text.
pub fn write(out: &mut String, lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{:<width$}  {:>12}  {:>12}  {:>12}", "line", "floor", "aim", "measured");
    for Line { name, floor, aim, measured, floor_met, aim_met } in lines {
        let verdict = match (floor_met, aim_met) {
            (true, true) => "aim met",
            (true, false) => "floor met",
            (false, _) => "NOT MET",
        };
        let _ = writeln!(out, "{name:<width$}  {floor:>12}  {aim:>12}  {measured:>12}  {verdict}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_line_says_which_bound_was_met() {
        let mut report = Report::default();
        for (ratio, value) in [("ordersVsDurable", 0.6), ("scansVsDurable", 0.4), ("searchVsBare", 0.8)] {
            report.add("x", Outcome { scenario: Scenario::default(), rounds: [(ratio, vec![value])].into() });
        }
        let verdicts: Vec<(bool, bool)> = report.lines.iter().map(|line| (line.floor_met, line.aim_met)).collect();
        assert_eq!(verdicts, [(true, false), (false, false), (true, true)]);
        let text = report.text();
        assert!(text.contains("NOT MET") && text.contains("floor met") && text.contains("aim met"), "{text}");
    }

    #[test]
    fn what_was_not_run_or_could_not_begin_has_no_line() {
        let mut report = Report::default();
        assert_eq!(lines(&report), []);
        for name in ["steady", "sustained", "burst", "memory"] {
            report.add(name, Outcome { scenario: Scenario::default(), ..Outcome::default() });
        }
        assert_eq!(lines(&report), [], "no answer is not an answer in no time");
    }
}
