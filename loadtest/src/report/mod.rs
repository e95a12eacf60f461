//! The result of a run: JSON for machines, text for people.

mod figures;
pub mod ratios;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::audit::Findings;
use crate::usage;
pub use figures::{Allocations, Cpu, Figures, Lag, Memory, Percentiles};
use ratios::median;
pub use table::Line;

/// The result of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub conditions: Conditions,
    /// By name.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Against yardsticks: the median of the rounds.
    pub ratios: BTreeMap<String, f64>,
    /// The ratios of each round.
    #[serde(default)]
    pub rounds: BTreeMap<String, Vec<f64>>,
    /// What has to be shown: floor, aim, and what was measured.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// Where and how the figures were taken.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// RFC 3339.
    pub date: String,
    pub command: String,
    pub cores: usize,
    pub processor: Option<String>,
    /// The server's program, or the URL of a server that was running already.
    pub server: String,
    /// Of the server's data directory.
    pub file_system: Option<String>,
    #[serde(default)]
    pub kernel: Option<String>,
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// What one scenario came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Everything went as it must: audit passed, no failures but overload.
    pub ok: bool,
    /// Of ours, in the median round.
    #[serde(flatten)]
    pub figures: Figures,
    /// Every turn of every contestant, ours included.
    #[serde(default)]
    pub turns: BTreeMap<String, Vec<Figures>>,
    /// What is measured besides, by name; the unit is part of it.
    #[serde(default)]
    pub facts: BTreeMap<String, f64>,
    /// How it was measured, where that needs words.
    #[serde(default)]
    pub notes: Vec<String>,
    pub audit: Option<Findings>,
    /// What went wrong besides.
    pub problems: Vec<String>,
    /// Yardsticks and baselines that failed: nothing is compared with them.
    #[serde(skip)]
    pub(crate) void: BTreeSet<String>,
}

/// What a scenario adds to the report.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    pub scenario: Scenario,
    /// The ratios of each round.
    pub rounds: BTreeMap<&'static str, Vec<f64>>,
}

impl Conditions {
    /// Of this machine and moment.
    pub fn now(server: String, directory: Option<&Path>) -> Conditions {
        Conditions {
            date: jiff::Timestamp::now().to_string(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processor: usage::processor(),
            server,
            file_system: directory.and_then(usage::file_system),
            kernel: usage::kernel(),
            memory_bytes: usage::machine_memory(),
        }
    }
}

impl Scenario {
    /// Of the turns of ours: the one with the median rate stands for all.
    pub fn of_turns(name: &str, turns: Vec<Figures>) -> Scenario {
        Scenario::of_turns_by(name, turns, |figures| figures.achieved)
    }

    /// As [`Scenario::of_turns`], by another figure.
    pub fn of_turns_by(name: &str, turns: Vec<Figures>, figure: fn(&Figures) -> f64) -> Scenario {
        let mut sorted: Vec<&Figures> = turns.iter().collect();
        sorted.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
        let figures = sorted.get(sorted.len().saturating_sub(1) / 2).map(|figures| (*figures).clone());
        let turns = BTreeMap::from([(name.to_owned(), turns)]);
        Scenario { figures: figures.unwrap_or_default(), turns, ..Scenario::default() }
    }

    /// Adds the audit, and decides whether the run went as it must. Overload (503) is counted, and no fault. It counts
    /// the turns that were added before.
    pub fn conclude(&mut self, audit: Option<Findings>) {
        self.figures.lag.drain_seconds = audit.as_ref().and_then(|audit| audit.drain_seconds);
        if self.figures.accepted == 0 {
            self.problems.push("no request was accepted".to_owned());
        }
        let turns = self.turns.values().flatten().map(Figures::faults).sum::<u64>();
        let faults = turns.max(self.figures.faults());
        if faults > 0 {
            self.problems.push(format!("{faults} requests failed otherwise than by overload"));
        }
        self.ok = self.problems.is_empty() && audit.as_ref().is_none_or(|audit| audit.ok);
        self.audit = audit;
    }

    /// Adds the audit of a further server; its counts are added up.
    pub fn audit_too(&mut self, whose: &str, findings: Findings) {
        let Some(audit) = &mut self.audit else { return self.audit = Some(findings) };
        audit.acknowledged += findings.acknowledged;
        audit.through_api += findings.through_api;
        audit.in_database += findings.in_database;
        audit.violations += findings.violations;
        audit.shown.extend(findings.shown.into_iter().map(|text| format!("{whose}: {text}")));
        audit.ok &= findings.ok;
        self.ok &= findings.ok;
    }

    /// Adds the turns of a yardstick or of the baseline, before the run is concluded. It has to accept everything:
    /// what it refuses or fails at, overload included, would lower its rate and raise our ratio.
    pub fn rival(&mut self, name: &str, turns: Vec<Figures>) {
        let failed: u64 = turns.iter().map(Figures::not_accepted).sum();
        if failed > 0 {
            self.problems.push(format!(
                "the yardstick \"{name}\" failed: {failed} of its answers were refusals or errors, its ratios are void"
            ));
            self.void.insert(name.to_owned());
        }
        self.turns.insert(name.to_owned(), turns);
    }

    /// A figure that is measured besides; its name says the unit.
    pub fn fact(&mut self, name: &str, value: f64) {
        self.facts.insert(name.to_owned(), value);
    }

    /// Adds what was wrong with the end of a server.
    pub fn end(&mut self, problem: Option<String>) {
        self.ok &= problem.is_none();
        self.problems.extend(problem);
    }

    /// The rates of a contestant, round by round; none of a yardstick that failed.
    pub fn rates(&self, contestant: &str) -> Vec<f64> {
        if self.void.contains(contestant) {
            return Vec::new();
        }
        self.turns.get(contestant).into_iter().flatten().map(|figures| figures.achieved).collect()
    }

    fn write(&self, out: &mut String, name: &str, cores: usize) {
        let figures = &self.figures;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{name}: {} loop, {} connections, {:.1} s{}",
            figures.mode,
            figures.connections,
            figures.seconds,
            if self.ok { "" } else { "  FAILED" }
        );
        figures.write(out, cores);
        self.write_turns(out);
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "  {label:<10}{text}");
        };
        for (name, value) in &self.facts {
            line("measured", format!("{name} {}", plain(*value)));
        }
        for note in &self.notes {
            line("note", note.clone());
        }
        if let Some(audit) = &self.audit {
            line("audit", audit_text(audit));
            for shown in &audit.shown {
                line("", shown.clone());
            }
        }
        for problem in &self.problems {
            line("problem", problem.clone());
        }
    }

    /// A line per contestant: its rates, and the median round's latency and processor time.
    fn write_turns(&self, out: &mut String) {
        if self.turns.values().map(Vec::len).sum::<usize>() < 2 {
            return;
        }
        for (name, turns) in &self.turns {
            let rates: Vec<String> = turns.iter().map(|turn| format!("{:.0}", turn.achieved)).collect();
            let of = |figure: fn(&Figures) -> f64| median(&turns.iter().map(figure).collect::<Vec<_>>());
            let each = |seconds: fn(&Cpu) -> f64| {
                let of = |turn: &Figures| seconds(&turn.cpu) * 1e6 / turn.accepted.max(1) as f64;
                median(&turns.iter().map(of).collect::<Vec<_>>())
            };
            let (p50, p95, p99) =
                (of(|turn| turn.percentiles.p50), of(|turn| turn.percentiles.p95), of(|turn| turn.percentiles.p99));
            let _ = writeln!(
                out,
                "  {name:<30} {} /s  p50 {p50:.2}  p95 {p95:.2}  p99 {p99:.2} ms  µs each: server {:.1}, Postgres {:.1}, \
                 generator {:.1}",
                rates.join(" "),
                each(|cpu| cpu.server_seconds),
                each(|cpu| cpu.postgres_seconds),
                each(|cpu| cpu.generator_seconds),
            );
            if turns.iter().all(|turn| turn.allocations.is_some()) {
                let of = |figure: fn(&Allocations) -> f64| {
                    median(&turns.iter().filter_map(|turn| turn.allocations.as_ref().map(figure)).collect::<Vec<_>>())
                };
                let (times, bytes) = (of(|counted| counted.times), of(|counted| counted.bytes));
                let _ = writeln!(out, "  {:<30} allocates {times:.1} times, {bytes:.0} B each request", "");
            }
        }
    }
}

impl Report {
    /// Adds what a scenario came to, and brings ratios and lines up to date.
    pub fn add(&mut self, name: &str, outcome: Outcome) {
        self.scenarios.insert(name.to_owned(), outcome.scenario);
        for (ratio, rounds) in outcome.rounds {
            if !rounds.is_empty() {
                self.ratios.insert(ratio.to_owned(), median(&rounds));
                self.rounds.insert(ratio.to_owned(), rounds);
            }
        }
        self.lines = table::lines(self);
    }

    /// Whether every scenario went as it must.
    pub fn ok(&self) -> bool {
        self.scenarios.values().all(|scenario| scenario.ok)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let about = &self.conditions;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}, {} cores ({})", about.date, about.cores, about.processor.as_deref().unwrap_or("?"));
        let _ = writeln!(out, "command  {}", about.command);
        let mib = about.memory_bytes.unwrap_or(0) >> 20;
        let _ = writeln!(out, "machine  {mib} MiB, Linux {}", about.kernel.as_deref().unwrap_or("?"));
        let _ = write!(out, "server   {}", about.server);
        if let Some(kind) = &about.file_system {
            let _ = write!(out, ", data on {kind}; server, Postgres and generator share the cores");
        }
        out.push('\n');
        for (name, scenario) in &self.scenarios {
            out.push('\n');
            scenario.write(&mut out, name, about.cores);
        }
        if !self.ratios.is_empty() {
            let _ = writeln!(out, "\nratios, the median of the rounds (each round)");
        }
        for (name, ratio) in &self.ratios {
            let rounds = self.rounds.get(name).into_iter().flatten();
            let rounds: Vec<String> = rounds.map(|round| format!("{round:.2}")).collect();
            let _ = writeln!(out, "  {name:<20}{ratio:>7.2}  ({})", rounds.join(" "));
        }
        table::write(&mut out, &self.lines);
        out
    }
}

/// A figure with as many digits as it deserves.
fn plain(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn audit_text(audit: &Findings) -> String {
    let Findings { acknowledged, through_api, in_database, violations, .. } = audit;
    let verdict = if audit.ok { "passed".to_owned() } else { format!("{violations} VIOLATIONS") };
    format!("{verdict}: {acknowledged} acknowledged, {through_api} read through the API, {in_database} in the database")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let figures = Figures {
            mode: "closed".into(),
            connections: 64,
            seconds: 10.0,
            achieved: 1000.0,
            accepted: 10_000,
            cpu: Cpu { server_seconds: 5.0, generator_seconds: 1.0, machine_seconds: 8.0, ..Cpu::default() },
            ..Figures::default()
        };
        Scenario { figures, ..Scenario::default() }
    }

    #[test]
    fn a_report_survives_its_json() {
        let mut report = Report { conditions: Conditions::now("x".into(), None), ..Report::default() };
        let mut orders = scenario();
        orders.conclude(Some(Findings { ok: true, ..Findings::default() }));
        report.add("orders", Outcome { scenario: orders, rounds: [("ordersVsDurable", vec![0.5, 0.9, 0.6])].into() });
        let json = serde_json::to_string(&report).unwrap();
        for name in ["offered", "achieved", "refused", "errors", "percentiles", "lag", "memory", "ratios"] {
            assert!(json.contains(&format!("\"{name}\":")), "{name}");
        }
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!(report.ok());
        assert!((report.ratios["ordersVsDurable"] - 0.6).abs() < 1e-9);
        let text = report.text();
        assert!(text.contains("orders: closed loop, 64 connections, 10.0 s\n"), "{text}");
        assert!(text.contains("500.0 µs each    25 % of"), "{text}");
    }

    #[test]
    fn overload_is_no_fault_but_a_bug_a_violation_or_silence_is() {
        let counted = |kind: &str| BTreeMap::from([(kind.to_owned(), 5)]);
        let run = |change: &dyn Fn(&mut Scenario), audit_ok| {
            let mut scenario = scenario();
            change(&mut scenario);
            scenario.conclude(Some(Findings { ok: audit_ok, ..Findings::default() }));
            scenario.ok
        };
        assert!(run(&|_| {}, true));
        assert!(run(&|scenario| scenario.figures.errors = counted("503 OVERLOADED"), true));
        assert!(run(&|scenario| scenario.figures.refused = counted("409 SOLD_OUT"), true));
        assert!(!run(&|scenario| scenario.figures.errors = counted("500"), true));
        let paused = |kind| vec![Figures { errors: counted(kind), ..Figures::default() }];
        assert!(run(&|scenario| drop(scenario.turns.insert("paused".to_owned(), paused("503 OVERLOADED"))), true));
        assert!(!run(&|scenario| drop(scenario.turns.insert("paused".to_owned(), paused("500"))), true));
        assert!(!run(&|scenario| scenario.figures.accepted = 0, true));
        assert!(!run(&|_| {}, false));
    }

    #[test]
    fn a_yardstick_that_fails_has_no_ratio_and_fails_the_run() {
        let run = |errors: &[(&str, u64)], refused: &[(&str, u64)]| {
            let counts = |some: &[(&str, u64)]| some.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect();
            let theirs = Figures { achieved: 100.0, ..scenario().figures };
            let failing = Figures { errors: counts(errors), refused: counts(refused), ..theirs.clone() };
            let mut scenario = scenario();
            scenario.rival("durable", vec![theirs, failing]);
            scenario.conclude(None);
            (scenario.ok, scenario.rates("durable").len(), scenario.problems)
        };
        assert_eq!(run(&[], &[]), (true, 2, Vec::new()));
        let problem = "the yardstick \"durable\" failed: 5 of its answers were refusals or errors, its ratios are void";
        // As it answers when its disk fails.
        assert_eq!(run(&[("503", 5)], &[]), (false, 0, vec![problem.to_owned()]));
        assert_eq!(run(&[], &[("none left", 5)]), (false, 0, vec![problem.to_owned()]));
    }
}
