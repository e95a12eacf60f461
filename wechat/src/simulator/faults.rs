//! Faults that can be switched on per endpoint. They queue: the first in line that fits the call applies to it, as often
//! as it says, then the one behind it. A fault without `times` stays until all are cleared; one with a `probability`
//! lets the other calls pass to the faults behind it, so many of them can be on at once. A call has one fault at most.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::chance;
use super::refund::RefundStatus;

/// Most faults that may wait in line at one endpoint.
const MAX_QUEUED: usize = 1_000;
/// Longest delay, so that a mistyped one does not hang a test for ever.
const MAX_DELAY_MS: u64 = 60_000;
/// Longest business time a fault may say, in seconds: thirty days.
const MAX_SECONDS: f64 = 30.0 * 86_400.0;

/// Where a fault applies. `Notify` and `RefundNotify` are what we send, the others are what we answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Endpoint {
    Create,
    Query,
    Close,
    Refund,
    RefundQuery,
    Certificates,
    Login,
    Token,
    Message,
    Notify,
    RefundNotify,
}

const ENDPOINTS: [Endpoint; 11] = [
    Endpoint::Create,
    Endpoint::Query,
    Endpoint::Close,
    Endpoint::Refund,
    Endpoint::RefundQuery,
    Endpoint::Certificates,
    Endpoint::Login,
    Endpoint::Token,
    Endpoint::Message,
    Endpoint::Notify,
    Endpoint::RefundNotify,
];

/// How a SIGNTEST signature looks: both forms must be refused cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignTest {
    /// Right length, decodes as base64.
    Decodable,
    /// Does not decode.
    Undecodable,
}

/// Overrides in the content of a notification or a query's answer, which is then signed as if all were well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tamper {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mchid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) openid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) out_trade_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transaction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trade_state: Option<String>,
    /// A refund's amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) out_refund_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refund_status: Option<String>,
}

/// One way to misbehave. Everything off is normal behaviour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, not states")]
pub(super) struct Fault {
    /// How many calls it applies to; absent means all.
    pub(super) times: Option<u32>,
    /// How likely it applies to a call, `0.0..=1.0`; absent means always. The seed is a setting.
    pub(super) probability: Option<f64>,
    /// Applies to calls about this `out_trade_no` or `out_refund_no` only.
    pub(super) number: Option<String>,
    /// Wait before the call takes effect (before a notification is sent).
    pub(super) delay_before_ms: u64,
    /// Wait after the effect, before the answer.
    pub(super) delay_after_ms: u64,
    /// Answer with this status instead of doing anything.
    pub(super) status_before: Option<u16>,
    /// Answer with this status after the effect.
    pub(super) status_after: Option<u16>,
    /// The code in the body of such an answer; absent means one that fits the status.
    pub(super) error_code: Option<String>,
    /// Break the connection instead of doing anything.
    pub(super) drop_before: bool,
    /// Break the connection after the effect.
    pub(super) drop_after: bool,
    /// Sign with a SIGNTEST signature.
    pub(super) signtest: Option<SignTest>,
    /// Sign rightly but name another key.
    pub(super) wrong_serial: bool,
    /// Sign with the other kind of key: the certificate where the public key is due, and the reverse.
    pub(super) other_key: bool,
    /// Sign with a timestamp this far in the past; negative for the future.
    pub(super) stale_seconds: i64,
    /// Leave out this header.
    pub(super) missing_header: Option<String>,
    /// Change the body after signing it.
    pub(super) alter_body: bool,
    /// Send only the first half of the body.
    pub(super) truncate_body: bool,
    /// Write the signed JSON anew: other spaces, the same content.
    pub(super) reserialise_body: bool,
    /// Notifications and certificates: encrypt with another API v3 key.
    pub(super) wrong_api_key: bool,
    /// Notifications and queries: say something else, validly signed.
    #[serde(alias = "tamper_notify")]
    pub(super) tamper: Option<Tamper>,

    /// Create: the payer pays, and is notified of, before the create is answered.
    pub(super) pay_first: bool,
    /// Query: sees a payment only this many business seconds after it.
    pub(super) lag_seconds: f64,
    /// Close: the payer pays just before it, so it loses.
    pub(super) pay_during: bool,
    /// Close: done and answered; this many business seconds later the money comes all the same.
    pub(super) paid_later_seconds: Option<f64>,
    /// Close: answered 204, nothing done.
    pub(super) no_effect: bool,
    /// Refund: how it ends, `SUCCESS` if absent; `PROCESSING` means never.
    pub(super) refund_becomes: Option<RefundStatus>,

    /// Notifications: send this many copies more, at once.
    pub(super) duplicate_notify: u32,
    /// Notifications: the attempt never arrives.
    pub(super) lose_notify: bool,
    /// Notifications: the attempt is made this many business seconds later.
    pub(super) notify_later_seconds: f64,
    /// Notifications of a payment: sent only after the notification of a refund of it.
    pub(super) after_refund: bool,
    /// Notifications: the body comes a byte at a time with this gap, until the five seconds are over.
    pub(super) slow_body_ms: Option<u64>,

    /// Notifications: the unsigned XML of API v2 instead, as for a refund that was made in the merchant's console.
    pub(super) v2_xml: bool,

    /// Login, token and message: answer with this error number.
    pub(super) errcode: Option<i64>,
}

impl Fault {
    pub(super) fn delay_before(&self) -> Duration {
        Duration::from_millis(self.delay_before_ms)
    }

    pub(super) fn delay_after(&self) -> Duration {
        Duration::from_millis(self.delay_after_ms)
    }

    /// Changes a body that is signed already. One that is empty stays so.
    pub(super) fn spoil(&self, body: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        if self.reserialise_body
            && let Ok(value) = serde_json::from_slice::<Value>(body)
            && let Ok(again) = serde_json::to_vec_pretty(&value)
        {
            *body = again;
        }
        if self.alter_body {
            // Still the same JSON, no longer the signed bytes.
            body.insert(0, b' ');
        }
        if self.truncate_body {
            body.truncate(body.len() / 2);
        }
    }

    fn problem(&self) -> Option<&'static str> {
        let statuses = [self.status_before, self.status_after];
        let delays = [self.delay_before_ms, self.delay_after_ms, self.slow_body_ms.unwrap_or(0)];
        let seconds = [self.lag_seconds, self.notify_later_seconds, self.paid_later_seconds.unwrap_or(0.0)];
        if self.times == Some(0) {
            Some("times must be at least 1")
        } else if self.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            Some("probability must be between 0 and 1")
        } else if delays.into_iter().any(|delay| delay > MAX_DELAY_MS) {
            Some("delays are at most 60000 ms")
        } else if statuses.into_iter().flatten().any(|status| !(400..=599).contains(&status)) {
            Some("a status must be between 400 and 599")
        } else if self.duplicate_notify > 100 {
            Some("duplicate_notify is at most 100")
        } else if seconds.into_iter().any(|seconds| !(0.0..=MAX_SECONDS).contains(&seconds)) {
            Some("business seconds must be between 0 and thirty days")
        } else {
            None
        }
    }

    fn fits(&self, numbers: &[&str]) -> bool {
        self.number.as_deref().is_none_or(|number| numbers.contains(&number))
    }
}

/// The body of `POST /_sim/faults`: a fault for each endpoint named.
pub(super) type NewFaults = BTreeMap<Endpoint, Fault>;

/// The faults in line at one endpoint.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Fault>,
    /// Calls that chance was asked about.
    calls: u64,
}

/// The faults in line, as `GET /_sim/faults` shows them: a list for each endpoint.
#[derive(Debug, Default)]
pub(super) struct Faults([Line; ENDPOINTS.len()]);

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(ENDPOINTS.len()))?;
        for (endpoint, line) in ENDPOINTS.iter().zip(&self.0) {
            map.serialize_entry(endpoint, &line.waiting)?;
        }
        map.end()
    }
}

impl Faults {
    /// Puts them at the end of their lines: all or none.
    pub(super) fn add(&mut self, new: NewFaults) -> Result<(), &'static str> {
        for (endpoint, fault) in &new {
            if let Some(problem) = fault.problem() {
                return Err(problem);
            }
            if self.line(*endpoint).is_some_and(|line| line.waiting.len() >= MAX_QUEUED) {
                return Err("too many faults in line");
            }
        }

        for (endpoint, fault) in new {
            if let Some(line) = self.line(endpoint) {
                line.waiting.push_back(fault);
            }
        }
        Ok(())
    }

    /// The fault that applies to this call about `numbers`; counts it.
    pub(super) fn take(&mut self, endpoint: Endpoint, numbers: &[&str], seed: u64) -> Fault {
        let stream = endpoint as u64;
        let Some(line) = self.line(endpoint).filter(|line| !line.waiting.is_empty()) else {
            return Fault::default();
        };
        let call = line.calls;
        line.calls += 1;
        let strikes = |(index, fault): (usize, &Fault)| {
            let stream = (stream << 32) | index as u64;
            fault.fits(numbers) && fault.probability.is_none_or(|share| chance::draw(seed, stream, call) < share)
        };
        let Some(index) = line.waiting.iter().enumerate().position(strikes) else {
            return Fault::default();
        };
        let Some(found) = line.waiting.get_mut(index) else {
            return Fault::default();
        };
        let fault = found.clone();
        match &mut found.times {
            Some(1) => drop(line.waiting.remove(index)),
            Some(times) => *times -= 1,
            None => {}
        }
        fault
    }

    fn line(&mut self, endpoint: Endpoint) -> Option<&mut Line> {
        self.0.get_mut(endpoint as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(json: &str) -> NewFaults {
        serde_json::from_str(json).unwrap()
    }

    fn status(faults: &mut Faults, endpoint: Endpoint, number: &str) -> Option<u16> {
        faults.take(endpoint, &[number], 1).status_before
    }

    #[test]
    fn faults_apply_in_order_as_often_as_they_say() {
        let mut faults = Faults::default();
        faults.add(new(r#"{"create":{"status_before":500,"times":2},"close":{"drop_after":true}}"#)).unwrap();
        faults.add(new(r#"{"create":{"status_before":502,"times":1}}"#)).unwrap();

        let statuses: Vec<_> = (0..4).map(|_| status(&mut faults, Endpoint::Create, "a")).collect();
        assert_eq!(statuses, [Some(500), Some(500), Some(502), None]);
        assert!((0..5).all(|_| faults.take(Endpoint::Close, &[], 1).drop_after));
        assert_eq!(faults.take(Endpoint::Query, &[], 1), Fault::default());
    }

    #[test]
    fn a_fault_for_one_number_lets_the_others_pass() {
        let mut faults = Faults::default();
        faults.add(new(r#"{"refund":{"status_before":500,"number":"mine","times":1}}"#)).unwrap();
        faults.add(new(r#"{"refund":{"status_before":502,"times":1}}"#)).unwrap();

        assert_eq!(status(&mut faults, Endpoint::Refund, "other"), Some(502));
        assert_eq!(status(&mut faults, Endpoint::Refund, "other"), None);
        assert_eq!(status(&mut faults, Endpoint::Refund, "mine"), Some(500));
        assert_eq!(status(&mut faults, Endpoint::Refund, "mine"), None);
    }

    #[test]
    fn many_unlikely_faults_share_the_calls_and_the_seed_repeats_them() {
        let run = |seed| {
            let mut faults = Faults::default();
            for status in [500, 502, 503] {
                faults.add(new(&format!(r#"{{"query":{{"status_before":{status},"probability":0.2}}}}"#))).unwrap();
            }
            (0..1_000).map(|_| faults.take(Endpoint::Query, &[], seed).status_before).collect::<Vec<_>>()
        };
        let first = run(5);
        for status in [Some(500), Some(502), Some(503), None] {
            assert!(first.iter().filter(|struck| **struck == status).count() > 80, "{status:?}");
        }
        assert_eq!(first, run(5));
        assert_ne!(first, run(6));
    }

    #[test]
    fn every_endpoint_has_its_line() {
        for (index, endpoint) in ENDPOINTS.iter().enumerate() {
            assert_eq!(*endpoint as usize, index);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_as_a_whole() {
        let mut faults = Faults::default();
        for json in [
            r#"{"create":{"times":0}}"#,
            r#"{"create":{"status_after":200}}"#,
            r#"{"create":{"probability":1.5}}"#,
            r#"{"create":{"drop_after":true},"query":{"delay_before_ms":60001}}"#,
        ] {
            assert!(faults.add(new(json)).is_err(), "{json}");
        }
        assert_eq!(faults.take(Endpoint::Create, &[], 1), Fault::default());
        assert!(serde_json::from_str::<NewFaults>(r#"{"create":{"delay":1}}"#).is_err());
    }
}
