//! Notifications before they are sent, and what came of sending them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::faults::{Endpoint, Fault};
use super::refund::RefundStatus;

/// What a notification is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Its content is made when it is sent: what is reported does not change.
    Payment { out_trade_no: String },
    /// As the refund was when it came to this status: it may go on from there.
    Refund { out_trade_no: String, out_refund_no: String, status: RefundStatus, url: String, content: Value },
}

impl Subject {
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Payment { .. } => Endpoint::Notify,
            Self::Refund { .. } => Endpoint::RefundNotify,
        }
    }

    pub(super) fn out_trade_no(&self) -> &str {
        match self {
            Self::Payment { out_trade_no } | Self::Refund { out_trade_no, .. } => out_trade_no,
        }
    }

    pub(super) fn out_refund_no(&self) -> Option<&str> {
        match self {
            Self::Payment { .. } => None,
            Self::Refund { out_refund_no, .. } => Some(out_refund_no),
        }
    }
}

/// A notification that waits for its next attempt.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) subject: Subject,
    /// Attempts made so far.
    pub(super) made: usize,
    /// A fault that was drawn already, when the attempt was put off by it.
    pub(super) drawn: Option<Fault>,
}

impl Pending {
    pub(super) fn new(id: String, subject: Subject) -> Self {
        Self { id, subject, made: 0, drawn: None }
    }
}

/// One delivery attempt, as `GET /_sim/deliveries` lists it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Attempt {
    /// The notification's id, the same over all attempts.
    pub(super) id: String,
    pub(super) out_trade_no: String,
    /// Absent when it is about a payment.
    pub(super) out_refund_no: Option<String>,
    pub(super) event_type: &'static str,
    /// 1 for the first.
    #[serde(rename = "attempt")]
    pub(super) number: usize,
    pub(super) url: String,
    /// Wall clock.
    pub(super) sent_at: Timestamp,
    /// Absent when nothing was answered.
    pub(super) status: Option<u16>,
    /// Answered 200 or 204 in time.
    pub(super) accepted: bool,
    pub(super) latency_ms: u64,
    /// `lost` by a fault, `timeout`, `connect` or `transport`.
    pub(super) error: Option<&'static str>,
    /// The signature headers as sent.
    pub(super) headers: BTreeMap<&'static str, String>,
    /// The body as sent.
    pub(super) body: String,
    /// The beginning of the receiver's answer.
    pub(super) answer: String,
}
