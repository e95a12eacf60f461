//! What was counted: answers by kind, and latencies in an HDR histogram.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longest latency that is told apart, in microseconds; longer ones count as this.
const LATENCY_US_MAX: u64 = 300_000_000;
/// Latencies are kept to a thousandth of their value.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Most kinds of errors that are told apart: texts of servers are not a closed list.
const KINDS_MAX: usize = 64;

/// What an answer means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As the scenario expects it.
    Accepted,
    /// A refusal that the contract names: `409 SOLD_OUT`.
    Refused(Cow<'static, str>),
    /// No answer, or one that the contract does not allow: 5xx, a broken connection, an answer that cannot be read.
    Failed(Cow<'static, str>),
}

/// When a request was due, sent and answered. In a closed loop it is due when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub due: Instant,
    pub sent: Instant,
    pub done: Instant,
    /// Of the answer's body.
    pub bytes: usize,
}

/// Counts and latencies.
#[derive(Clone, Debug)]
pub struct Tally {
    pub accepted: u64,
    pub refused: BTreeMap<Cow<'static, str>, u64>,
    pub failed: BTreeMap<Cow<'static, str>, u64>,
    /// From due to answered, in microseconds, of everything that was answered.
    pub latency: Histogram<u64>,
    /// From due to sent, in microseconds: how late the generator itself was.
    pub lateness: Histogram<u64>,
    /// Bodies of accepted answers, all together.
    pub answer_bytes: u64,
    /// The last answer.
    pub last_done: Option<Instant>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            accepted: 0,
            refused: BTreeMap::new(),
            failed: BTreeMap::new(),
            latency: histogram(),
            lateness: histogram(),
            answer_bytes: 0,
            last_done: None,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS).unwrap_or_else(|_| unreachable!("valid bounds"))
}

impl Tally {
    pub fn record(&mut self, times: Times, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => {
                self.accepted += 1;
                self.answer_bytes += times.bytes as u64;
            }
            Outcome::Refused(code) => count(&mut self.refused, code, 1),
            Outcome::Failed(kind) => count(&mut self.failed, kind, 1),
        }
        self.latency.saturating_record(micros(times.due, times.done));
        self.lateness.saturating_record(micros(times.due, times.sent));
        self.last_done = self.last_done.max(Some(times.done));
    }

    /// A request that was due and had not been sent when the run ended: it has waited at least that long.
    pub fn record_unsent(&mut self, due: Instant, end: Instant) {
        self.latency.saturating_record(micros(due, end));
        self.lateness.saturating_record(micros(due, end));
    }

    pub fn add(&mut self, other: &Tally) {
        self.accepted += other.accepted;
        self.answer_bytes += other.answer_bytes;
        for (code, times) in &other.refused {
            count(&mut self.refused, code.clone(), *times);
        }
        for (kind, times) in &other.failed {
            count(&mut self.failed, kind.clone(), *times);
        }
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
        let _ = self.lateness.add(&other.lateness);
        self.last_done = self.last_done.max(other.last_done);
    }

    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Everything that was sent and ended.
    pub fn total(&self) -> u64 {
        self.accepted + self.refused_total() + self.failed_total()
    }
}

fn count(counts: &mut BTreeMap<Cow<'static, str>, u64>, kind: Cow<'static, str>, times: u64) {
    let kind = if counts.len() < KINDS_MAX || counts.contains_key(&kind) { kind } else { "others".into() };
    *counts.entry(kind).or_default() += times;
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX).max(1)
}

/// A value of a histogram of microseconds in milliseconds.
pub fn ms_at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1000.0 }
}

/// Per second; 0 for no time at all.
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begin: Instant, ms: u64) -> Instant {
        begin + Duration::from_millis(ms)
    }

    #[test]
    fn a_stall_is_charged_to_everybody_who_was_due_during_it() {
        // One request a millisecond; the server stands still for 100 ms and then answers each within 1 ms.
        let begin = Instant::now();
        let mut tally = Tally::default();
        for n in 0..100 {
            let times = Times { due: at(begin, n), sent: at(begin, 100), done: at(begin, 101), bytes: 0 };
            tally.record(times, Outcome::Accepted);
        }
        assert_eq!(tally.accepted, 100);
        assert!((ms_at(&tally.latency, 0.5) - 51.0).abs() < 1.5, "p50 {}", ms_at(&tally.latency, 0.5));
        assert!((ms_at(&tally.latency, 1.0) - 101.0).abs() < 0.2);
        assert!((ms_at(&tally.lateness, 1.0) - 100.0).abs() < 0.2);
    }

    #[test]
    fn what_was_never_sent_has_waited_until_the_end() {
        let begin = Instant::now();
        let mut tally = Tally::default();
        tally.record(Times { due: begin, sent: begin, done: at(begin, 1), bytes: 0 }, Outcome::Accepted);
        tally.record_unsent(at(begin, 10), at(begin, 1010));
        assert!((ms_at(&tally.latency, 1.0) - 1000.0).abs() < 2.0);
        assert_eq!(tally.total(), 1);
    }

    #[test]
    fn tallies_add_up() {
        let begin = Instant::now();
        let times = Times { due: begin, sent: begin, done: at(begin, 2), bytes: 0 };
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.record(times, Outcome::Refused("409 SOLD_OUT".into()));
        other.record(times, Outcome::Refused("409 SOLD_OUT".into()));
        other.record(times, Outcome::Failed("503".into()));
        one.add(&other);
        assert_eq!(one.refused.get("409 SOLD_OUT"), Some(&2));
        assert_eq!((one.total(), one.failed_total(), one.latency.len()), (3, 1, 3));
    }

    #[test]
    fn kinds_beyond_a_limit_are_counted_together() {
        let now = Instant::now();
        let mut tally = Tally::default();
        for n in 0..1000 {
            tally.record(
                Times { due: now, sent: now, done: now, bytes: 0 },
                Outcome::Failed(format!("kind {n}").into()),
            );
        }
        assert_eq!(tally.failed.len(), KINDS_MAX + 1);
        assert_eq!(tally.failed_total(), 1000);
    }
}
