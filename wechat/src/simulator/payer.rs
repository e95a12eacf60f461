//! A payer who pays by himself, so that a load run needs no call per payment: early, late, or at the worst moment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chance;
use super::time::{duration, later};

/// Longest time a setting may say, in seconds: thirty days.
const MAX_SECONDS: f64 = 30.0 * 86_400.0;
/// Where chance draws for payers.
const STREAM: u64 = 1 << 62;

/// How created transactions are paid by themselves. Shares are of all transactions; what they leave over to 1 is never
/// paid. Seconds are business time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Payer {
    /// Share that is paid between `min_seconds` and `max_seconds` after its creation, unless it has expired or was
    /// closed by then.
    pub(super) probability: f64,
    pub(super) min_seconds: f64,
    pub(super) max_seconds: f64,
    /// Share that is paid within the last `around_seconds` before `time_expire`.
    pub(super) before_expiry: f64,
    /// Share that is paid exactly at `time_expire`.
    pub(super) at_expiry: f64,
    /// Share whose money comes within `around_seconds` after `time_expire`, though it is too late or closed.
    pub(super) after_expiry: f64,
    pub(super) around_seconds: f64,
}

impl Payer {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let shares = [self.probability, self.before_expiry, self.at_expiry, self.after_expiry];
        let seconds = [self.min_seconds, self.max_seconds, self.around_seconds];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || shares.iter().sum::<f64>() > 1.0 + 1e-9 {
            Err("payer: shares are between 0 and 1, and so is their sum")
        } else if seconds.iter().any(|seconds| !(0.0..=MAX_SECONDS).contains(seconds))
            || self.min_seconds > self.max_seconds
        {
            Err("payer: seconds are between 0 and thirty days, min_seconds not above max_seconds")
        } else {
            Ok(())
        }
    }

    pub(super) fn is_on(&self) -> bool {
        [self.probability, self.before_expiry, self.at_expiry, self.after_expiry].iter().any(|share| *share > 0.0)
    }

    /// When the n-th transaction is paid, and whether the money comes even if it is too late.
    pub(super) fn plan(
        &self,
        seed: u64,
        nth: u64,
        created: Timestamp,
        time_expire: Timestamp,
    ) -> Option<(Timestamp, bool)> {
        let mut kind = chance::draw(seed, STREAM, nth);
        let part = chance::draw(seed, STREAM + 1, nth);
        let mut falls_to = |share: f64| {
            kind -= share;
            kind < 0.0
        };
        let around = part * self.around_seconds;
        if falls_to(self.probability) {
            let after = self.min_seconds + part * (self.max_seconds - self.min_seconds);
            Some((later(created, duration(after)), false))
        } else if falls_to(self.before_expiry) {
            let at = time_expire.saturating_sub(duration(around)).unwrap_or(created);
            Some((at.max(created), false))
        } else if falls_to(self.at_expiry) {
            Some((time_expire, false))
        } else if falls_to(self.after_expiry) {
            Some((later(time_expire, duration(around)), true))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_shares_are_kept_and_each_pays_in_its_time() {
        let payer = Payer {
            probability: 0.5,
            min_seconds: 1.0,
            max_seconds: 3.0,
            before_expiry: 0.1,
            at_expiry: 0.1,
            after_expiry: 0.1,
            around_seconds: 2.0,
        };
        payer.check().unwrap();
        let plans: Vec<_> = (0..10_000).map(|n| payer.plan(3, n, at(0), at(60))).collect();
        let count = |fits: &dyn Fn(Timestamp, bool) -> bool| {
            plans.iter().flatten().filter(|(time, force)| fits(*time, *force)).count()
        };

        assert!((4_800..5_200).contains(&count(&|time, force| !force && (at(1)..=at(3)).contains(&time))));
        assert!((900..1_100).contains(&count(&|time, force| !force && (at(58)..at(60)).contains(&time))));
        assert!((900..1_100).contains(&count(&|time, force| !force && time == at(60))));
        assert!((900..1_100).contains(&count(&|time, force| force && (at(60)..=at(62)).contains(&time))));
        assert!((1_800..2_200).contains(&plans.iter().filter(|plan| plan.is_none()).count()));
    }

    #[test]
    fn a_payer_that_is_off_pays_nothing() {
        assert!(!Payer::default().is_on());
        assert_eq!(Payer::default().plan(1, 1, at(0), at(60)), None);
        assert!(Payer { probability: 0.7, after_expiry: 0.4, ..Payer::default() }.check().is_err());
    }
}
