//! Faults that can be switched on per endpoint. They queue: the first in line applies to the next call, as often as it
//! says, then the one behind it. A fault without `times` stays until all are cleared.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most faults that may wait in line at one endpoint.
const MAX_QUEUED: usize = 1_000;
/// Longest delay, so that a mistyped one does not hang a test for ever.
const MAX_DELAY_MS: u64 = 60_000;

/// Where a fault applies. `Notify` is what we send, the others are what we answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Create,
    Query,
    Close,
    Login,
    Notify,
}

/// How a SIGNTEST signature looks: both forms must be refused cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignTest {
    /// Right length, decodes as base64.
    Decodable,
    /// Does not decode.
    Undecodable,
}

/// Overrides in the plaintext of a notification, which is then encrypted and signed as if all were well.
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
}

/// One way to misbehave. Everything off is normal behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, not states")]
pub(super) struct Fault {
    /// How many calls it applies to; absent means all.
    pub(super) times: Option<u32>,
    /// Wait before the call takes effect (before a notification is sent).
    pub(super) delay_before_ms: u64,
    /// Wait after the effect, before the answer.
    pub(super) delay_after_ms: u64,
    /// Answer with this status instead of doing anything.
    pub(super) status_before: Option<u16>,
    /// Answer with this status after the effect.
    pub(super) status_after: Option<u16>,
    /// Break the connection instead of doing anything.
    pub(super) drop_before: bool,
    /// Break the connection after the effect.
    pub(super) drop_after: bool,
    /// Sign with a SIGNTEST signature.
    pub(super) signtest: Option<SignTest>,
    /// Sign rightly but name another key.
    pub(super) wrong_serial: bool,
    /// Sign with a timestamp this far in the past; negative for the future.
    pub(super) stale_seconds: i64,
    /// Leave out this header.
    pub(super) missing_header: Option<String>,
    /// Change the body after signing it.
    pub(super) alter_body: bool,
    /// Notifications: send this many copies more, at once.
    pub(super) duplicate_notify: u32,
    /// Notifications: the attempt never arrives.
    pub(super) lose_notify: bool,
    /// Notifications: say something else, validly signed.
    pub(super) tamper_notify: Option<Tamper>,
    /// Login: answer with this error number.
    pub(super) errcode: Option<i64>,
}

impl Fault {
    pub(super) fn delay_before(&self) -> Duration {
        Duration::from_millis(self.delay_before_ms)
    }

    pub(super) fn delay_after(&self) -> Duration {
        Duration::from_millis(self.delay_after_ms)
    }

    fn problem(&self) -> Option<&'static str> {
        let statuses = [self.status_before, self.status_after];
        if self.times == Some(0) {
            Some("times must be at least 1")
        } else if self.delay_before_ms > MAX_DELAY_MS || self.delay_after_ms > MAX_DELAY_MS {
            Some("delays are at most 60000 ms")
        } else if statuses.into_iter().flatten().any(|status| !(400..=599).contains(&status)) {
            Some("a status must be between 400 and 599")
        } else if self.duplicate_notify > 100 {
            Some("duplicate_notify is at most 100")
        } else {
            None
        }
    }
}

/// The body of `POST /_sim/faults`: a fault for each endpoint named.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewFaults {
    create: Option<Fault>,
    query: Option<Fault>,
    close: Option<Fault>,
    login: Option<Fault>,
    notify: Option<Fault>,
}

/// The faults in line, as `GET /_sim/faults` shows them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Faults {
    create: VecDeque<Fault>,
    query: VecDeque<Fault>,
    close: VecDeque<Fault>,
    login: VecDeque<Fault>,
    notify: VecDeque<Fault>,
}

impl Faults {
    /// Puts them at the end of their lines: all or none.
    pub(super) fn add(&mut self, new: NewFaults) -> Result<(), &'static str> {
        let pairs = [
            (&mut self.create, new.create),
            (&mut self.query, new.query),
            (&mut self.close, new.close),
            (&mut self.login, new.login),
            (&mut self.notify, new.notify),
        ];
        for (line, fault) in &pairs {
            if let Some(problem) = fault.as_ref().and_then(Fault::problem) {
                return Err(problem);
            }
            if fault.is_some() && line.len() >= MAX_QUEUED {
                return Err("too many faults in line");
            }
        }

        for (line, fault) in pairs {
            line.extend(fault);
        }
        Ok(())
    }

    /// The fault that applies to this call; counts it.
    pub(super) fn take(&mut self, endpoint: Endpoint) -> Fault {
        let line = match endpoint {
            Endpoint::Create => &mut self.create,
            Endpoint::Query => &mut self.query,
            Endpoint::Close => &mut self.close,
            Endpoint::Login => &mut self.login,
            Endpoint::Notify => &mut self.notify,
        };
        let Some(front) = line.front_mut() else {
            return Fault::default();
        };
        let fault = front.clone();
        match &mut front.times {
            Some(1) => drop(line.pop_front()),
            Some(times) => *times -= 1,
            None => {}
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(json: &str) -> NewFaults {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn faults_apply_in_order_as_often_as_they_say() {
        let mut faults = Faults::default();
        faults.add(new(r#"{"create":{"status_before":500,"times":2},"close":{"drop_after":true}}"#)).unwrap();
        faults.add(new(r#"{"create":{"status_before":502,"times":1}}"#)).unwrap();

        let statuses: Vec<_> = (0..4).map(|_| faults.take(Endpoint::Create).status_before).collect();
        assert_eq!(statuses, [Some(500), Some(500), Some(502), None]);
        assert!((0..5).all(|_| faults.take(Endpoint::Close).drop_after));
        assert_eq!(faults.take(Endpoint::Query), Fault::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused_as_a_whole() {
        let mut faults = Faults::default();
        for json in [
            r#"{"create":{"times":0}}"#,
            r#"{"create":{"status_after":200}}"#,
            r#"{"query":{"drop_after":true},"create":{"delay_before_ms":60001}}"#,
        ] {
            assert!(faults.add(new(json)).is_err(), "{json}");
        }
        assert!(faults.query.is_empty());
        assert!(serde_json::from_str::<NewFaults>(r#"{"create":{"delay":1}}"#).is_err());
    }
}
