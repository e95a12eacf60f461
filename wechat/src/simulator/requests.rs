//! The last signed requests as they came, so that somebody else can check what our client signs.

use std::sync::PoisonError;

use serde::Serialize;

use super::Simulator;

/// How many are kept.
const MAX_REQUESTS: usize = 2_000;

/// A request whose `Authorization` could be read, as `GET /_sim/requests` lists it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) target: String,
    pub(super) timestamp: String,
    pub(super) nonce: String,
    /// As it came; bodies are JSON and so UTF-8.
    pub(super) body: String,
    pub(super) signature: String,
    pub(super) mchid: String,
    pub(super) serial: String,
    /// Whether the simulator took the signature.
    pub(super) verified: bool,
}

impl Simulator {
    pub(super) fn note(&self, request: Request) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() == MAX_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// Oldest first.
    pub(super) fn last_requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
