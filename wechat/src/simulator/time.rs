//! Sums of business time that cannot overflow.

use jiff::{SignedDuration, Timestamp};

/// The far end of time stands for anything beyond it.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Seconds with parts as a duration; the settings' checks keep them in range.
pub(super) fn duration(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX)
}
