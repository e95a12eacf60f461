//! What one turn came to: rates are requests per second, latencies milliseconds, sizes bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::drive::{Driven, Plan};
use crate::tally::{ms_at, per_second};
use crate::usage::Usage;
use crate::watch::Watch;

/// What one turn of one contestant came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// `closed` or `open`.
    pub mode: String,
    pub connections: usize,
    /// Of the generator.
    pub threads: usize,
    /// Of the measured part.
    pub seconds: f64,
    /// Requests that were due a second; in the closed loop those that were sent.
    pub offered: f64,
    /// Accepted answers a second.
    pub achieved: f64,
    /// How many answers were accepted.
    pub accepted: u64,
    /// Answers 4xx, and scans refused, by status and code.
    pub refused: BTreeMap<String, u64>,
    /// Answers 5xx, broken connections, answers that cannot be read.
    pub errors: BTreeMap<String, u64>,
    /// Due and never sent (open loop): the generator or the server was too slow.
    pub unsent: u64,
    /// From the scheduled time in the open loop, else from sending.
    pub percentiles: Percentiles,
    /// How late requests were sent (open loop).
    pub send_lateness: Option<Percentiles>,
    /// Mean size of the body of an accepted answer.
    pub answer_bytes: f64,
    pub lag: Lag,
    pub memory: Memory,
    pub cpu: Cpu,
    /// For each request, the warm-up's included, of a server that counts them (feature `count-allocations`).
    #[serde(default)]
    pub allocations: Option<Allocations>,
}

/// What the server's process allocates; the projector's part is that of the records which it has got to.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocations {
    pub times: f64,
    pub bytes: f64,
}

impl Allocations {
    /// What each of so many requests has taken since `before`.
    #[must_use]
    pub fn each(&self, before: &Allocations, requests: u64) -> Allocations {
        let requests = requests.max(1) as f64;
        Allocations { times: (self.times - before.times) / requests, bytes: (self.bytes - before.bytes) / requests }
    }
}

/// Milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// How far the database was behind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    /// Age of the newest order in the database, sampled while the load goes on.
    pub max_seconds: Option<f64>,
    pub median_seconds: Option<f64>,
    /// All samples, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
    /// From the end of the load until everything acknowledged was there.
    pub drain_seconds: Option<f64>,
}

/// Of the server's process, without Postgres.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub peak_rss_bytes: Option<u64>,
    /// At the end of the measured part.
    #[serde(default)]
    pub rss_bytes: Option<u64>,
    /// In the measured part.
    pub growth_bytes: Option<i64>,
}

/// Processor seconds in the measured part, and what they come with.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    pub server_seconds: f64,
    /// By group of threads.
    pub server_threads: BTreeMap<String, f64>,
    /// Context switches of the server's threads; a number.
    #[serde(default)]
    pub server_switches: u64,
    pub postgres_seconds: f64,
    pub generator_seconds: f64,
    /// All of the machine, others included.
    pub machine_seconds: f64,
}

impl From<&Usage> for Cpu {
    fn from(usage: &Usage) -> Cpu {
        Cpu {
            server_seconds: usage.server,
            server_threads: usage.server_threads.clone(),
            server_switches: usage.server_switches,
            postgres_seconds: usage.postgres,
            generator_seconds: usage.generator,
            machine_seconds: usage.machine,
        }
    }
}

impl Percentiles {
    pub fn of(histogram: &hdrhistogram::Histogram<u64>) -> Percentiles {
        let at = |quantile| ms_at(histogram, quantile);
        Percentiles { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

impl Figures {
    /// What a drive and its watch came to.
    pub fn new<A>(plan: &Plan, driven: &Driven<A>, watch: &Watch) -> Figures {
        let tally = &driven.tally;
        let texts = |counts: &BTreeMap<std::borrow::Cow<'static, str>, u64>| {
            counts.iter().map(|(kind, times)| (kind.to_string(), *times)).collect()
        };
        let mut lags = watch.lags.clone();
        lags.sort_by(f64::total_cmp);
        Figures {
            mode: if plan.rate.is_some() { "open" } else { "closed" }.to_owned(),
            connections: plan.connections,
            threads: plan.threads,
            seconds: driven.elapsed.as_secs_f64(),
            offered: plan.rate.unwrap_or_else(|| per_second(tally.total(), driven.elapsed)),
            achieved: per_second(tally.accepted, driven.elapsed),
            accepted: tally.accepted,
            refused: texts(&tally.refused),
            errors: texts(&tally.failed),
            unsent: driven.unsent,
            percentiles: Percentiles::of(&tally.latency),
            send_lateness: plan.rate.map(|_| Percentiles::of(&tally.lateness)),
            answer_bytes: tally.answer_bytes as f64 / tally.accepted.max(1) as f64,
            lag: Lag {
                max_seconds: lags.last().copied(),
                median_seconds: lags.get(lags.len() / 2).copied(),
                samples: watch.lags.clone(),
                drain_seconds: None,
            },
            memory: Memory {
                peak_rss_bytes: watch.memory.map(|memory| memory.peak_bytes),
                rss_bytes: watch.memory.map(|memory| memory.resident_bytes),
                growth_bytes: watch.memory_growth,
            },
            cpu: Cpu::from(&watch.used),
            allocations: None,
        }
    }

    /// Answers that were not what was asked for: refusals and errors, overload included.
    pub fn not_accepted(&self) -> u64 {
        self.refused.values().chain(self.errors.values()).sum()
    }

    /// Failures that are more than overload.
    pub fn faults(&self) -> u64 {
        self.errors.iter().filter(|(kind, _)| !kind.starts_with("503")).map(|(_, times)| times).sum()
    }
}

impl Figures {
    /// Lines of text, indented.
    pub fn write(&self, out: &mut String, cores: usize) {
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "  {label:<10}{text}");
        };
        line("offered", format!("{:.0} /s", self.offered));
        line("achieved", format!("{:.0} /s ({} accepted)", self.achieved, self.accepted));
        line("answers", format!("{:.0} B", self.answer_bytes));
        line("refused", counts(&self.refused));
        line("errors", counts(&self.errors));
        if self.mode == "open" {
            line("unsent", self.unsent.to_string());
        }
        line("latency", self.percentiles.text());
        if let Some(lateness) = &self.send_lateness {
            line("sent late", lateness.text());
        }
        let seconds = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.2} s"));
        let lag = &self.lag;
        line(
            "lag",
            format!(
                "median {}, max {}, drained after {}",
                seconds(lag.median_seconds),
                seconds(lag.max_seconds),
                seconds(lag.drain_seconds)
            ),
        );
        if let Some(peak) = self.memory.peak_rss_bytes {
            let growth = self.memory.growth_bytes.unwrap_or(0);
            let each = growth as f64 / self.accepted.max(1) as f64;
            let mib = |bytes: f64| bytes / f64::from(1 << 20);
            let (peak, grew) = (mib(peak as f64), mib(growth as f64));
            line("memory", format!("server peak {peak:.0} MiB, grew {grew:.0} MiB, {each:.0} B each accepted"));
        }
        if let Some(Allocations { times, bytes }) = self.allocations {
            line("allocates", format!("{times:.1} times, {bytes:.0} B each request"));
        }
        if let Some(switches) = self.switches_each() {
            line("switches", format!("{switches:.2} each accepted, of the server's threads"));
        }
        self.write_time(&mut line, cores);
    }

    /// Context switches of the server's threads for each accepted answer.
    pub fn switches_each(&self) -> Option<f64> {
        let counted = self.cpu.server_switches > 0 && self.accepted > 0;
        counted.then(|| self.cpu.server_switches as f64 / self.accepted as f64)
    }

    /// Where the time goes: processor time per accepted answer, of all there was.
    fn write_time(&self, line: &mut impl FnMut(&str, String), cores: usize) {
        let cpu = &self.cpu;
        let available = self.seconds * cores as f64;
        if available <= 0.0 || self.accepted == 0 {
            return;
        }
        let share = |seconds: f64| {
            let each = seconds * 1e6 / self.accepted as f64;
            format!("{each:>7.1} µs each  {:>4.0} % of {cores} cores", 100.0 * seconds / available)
        };
        line("time goes", String::new());
        line("  server", share(cpu.server_seconds));
        let mut threads: Vec<(&String, &f64)> = cpu.server_threads.iter().filter(|(_, used)| **used > 0.0).collect();
        threads.sort_by(|a, b| b.1.total_cmp(a.1));
        for (name, seconds) in threads.into_iter().take(8) {
            line("", format!("{}  {name}", share(*seconds)));
        }
        line("  postgres", share(cpu.postgres_seconds));
        line("  generator", format!(" {}", share(cpu.generator_seconds).trim_start_matches(' ')));
        let known = cpu.server_seconds + cpu.postgres_seconds + cpu.generator_seconds;
        line("  others", share((cpu.machine_seconds - known).max(0.0)));
        line("  idle", share((available - cpu.machine_seconds).max(0.0)));
    }
}

impl Percentiles {
    fn text(&self) -> String {
        let Percentiles { p50, p90, p95, p99, p999, max } = self;
        format!("ms p50 {p50:.2}  p90 {p90:.2}  p95 {p95:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2}")
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    let kinds: Vec<String> = counts.iter().map(|(kind, times)| format!("{times} × {kind}")).collect();
    kinds.join(", ")
}
