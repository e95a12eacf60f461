//! What a client's calls and the downloads of certificates share: the connections, the keys, and what an answer means.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::counters::Counters;
use crate::crypto::ApiV3Key;
use crate::error::{CallError, Operation};
use crate::model::is_word;
use crate::transport::Transport;
use crate::verify::{KeyRing, VerifyError};

/// Longest code of an error that is taken for one, in characters.
const MAX_CODE: usize = 64;

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    /// Places for logins under way.
    pub(crate) logins: Semaphore,
    /// Of a whole call.
    pub(crate) timeout: Duration,
    pub(crate) api_base: Url,
    pub(crate) api_v3_key: ApiV3Key,
    pub(crate) keys: KeyRing,
    /// `None` when no certificates are to be used.
    pub(crate) downloads: Option<Downloads>,
    pub(crate) config: Public,
}

/// What of the configuration is needed after the check, and is no key.
pub(crate) struct Public {
    pub(crate) appid: String,
    pub(crate) app_secret: String,
    /// Of the public key, if there is one.
    pub(crate) key_id: Option<String>,
    pub(crate) notify_url: String,
    pub(crate) refund_notify_url: String,
}

/// When to download.
#[derive(Debug)]
pub(crate) struct Downloads {
    pub(crate) every: Duration,
    pub(crate) gap: Duration,
    /// When the last download began. Locked while one is under way, so that there is only one.
    pub(crate) last: Mutex<Option<Instant>>,
    /// Somebody met a certificate's serial that we do not know.
    pub(crate) wanted: Notify,
}

impl Downloads {
    pub(crate) fn new(every: Duration, gap: Duration) -> Self {
        Self { every, gap, last: Mutex::new(None), wanted: Notify::new() }
    }
}

impl Inner {
    pub(crate) fn count_unverified(&self, error: VerifyError) {
        let counters = &self.transport.counters;
        Counters::add(match error {
            VerifyError::SignTest => &counters.answers_signtest,
            _ => &counters.answers_unverified,
        });
    }

    /// Tells WeChat which key to sign its answer with; it may still use another.
    pub(crate) fn answer_serial(&self) -> Option<String> {
        self.config.key_id.clone().or_else(|| self.keys.newest_certificate(Timestamp::now()))
    }
}

/// What an answer means that is not the success of its operation. Without a code in it, it is no word of WeChat's.
pub(crate) fn failure(operation: Operation, status: StatusCode, body: &[u8]) -> CallError {
    #[derive(Default, Deserialize)]
    struct ErrorBody {
        code: String,
        #[serde(default)]
        message: String,
    }

    let error = serde_json::from_slice::<ErrorBody>(body).ok().filter(|error| is_word(&error.code, MAX_CODE));
    let error = error.unwrap_or_default();
    CallError::of_answer(operation, status.as_u16(), &error.code, &error.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Advice, UnknownReason};

    #[test]
    fn only_a_providers_word_is_a_refusal() {
        let paid = br#"{"code":"ORDER_PAID","message":"paid"}"#;
        let refused = |status| CallError::Refused {
            status,
            code: "ORDERPAID".into(),
            message: "paid".into(),
            advice: Advice::QueryPaid,
        };

        assert_eq!(failure(Operation::Close, StatusCode::BAD_REQUEST, paid), refused(400));
        assert_eq!(failure(Operation::Close, StatusCode::ACCEPTED, paid), refused(202));
        for status in [302, 408, 429, 500, 502, 503] {
            let unknown = CallError::Unknown { reason: UnknownReason::Status(status) };
            assert_eq!(failure(Operation::Close, StatusCode::from_u16(status).unwrap(), paid), unknown);
        }
        for body in [&b""[..], b"<html>", b"{}", br#"{"code":""}"#, br#"{"code":"A\u0000"}"#] {
            assert_eq!(failure(Operation::Close, StatusCode::NOT_FOUND, body), UnknownReason::Status(404).into());
        }
    }

    #[test]
    fn not_found_needs_both_the_status_and_the_code() {
        for code in ["ORDER_NOT_EXIST", "ORDERNOTEXIST"] {
            let body = format!(r#"{{"code":"{code}","message":""}}"#);
            assert_eq!(failure(Operation::Query, StatusCode::NOT_FOUND, body.as_bytes()), CallError::NotFound);
            let elsewhere = failure(Operation::Query, StatusCode::BAD_REQUEST, body.as_bytes());
            assert!(matches!(elsewhere, CallError::Refused { .. }));
        }
    }
}
