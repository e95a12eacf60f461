//! What the client has seen, as plain counters that the owner reads and exports.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the client was made; they only grow. SIGNTEST probes (`WECHATPAY/SIGNTEST/…`, sent by WeChat on
/// purpose) are kept apart from real verification failures (R-PAY-06).
#[derive(Debug, Default)]
pub struct Counters {
    /// Calls that ended with a verified 2xx.
    pub calls_succeeded: AtomicU64,
    /// Calls that the provider refused, "no such order" included.
    pub calls_refused: AtomicU64,
    /// Calls whose outcome is unknown, for whatever reason; the two below are among them.
    pub calls_unknown: AtomicU64,
    /// 2xx answers that failed verification, probes not included.
    pub answers_unverified: AtomicU64,
    /// 2xx answers with a probe's signature.
    pub answers_signtest: AtomicU64,
    /// Downloads that brought platform certificates.
    pub certificates_loaded: AtomicU64,
    /// Downloads that should have brought some and did not.
    pub certificates_failed: AtomicU64,
    /// Calls that went to the other host, because the one asked first was not reached.
    pub failovers: AtomicU64,
    /// Answers that say that our key, clock, rights or account are wrong. Somebody has to look.
    pub configuration_faults: AtomicU64,
    /// Notifications that verified and decrypted.
    pub notifications_accepted: AtomicU64,
    /// Notifications that failed verification, probes not included.
    pub notifications_unverified: AtomicU64,
    /// Notifications with a probe's signature.
    pub notifications_signtest: AtomicU64,
    /// Unsigned XML notifications of API v2.
    pub notifications_old_protocol: AtomicU64,
    /// Notifications that verified and still made no sense.
    pub notifications_malformed: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
