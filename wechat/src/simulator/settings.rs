//! What can be changed while the simulator runs (`POST /_sim/settings`). Every field is optional there; what is not
//! named stays. It holds for later calls.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::payer::Payer;

/// Longest time a setting may say, in seconds: ten years.
const MAX_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// How the simulator does what WeChat's pages leave open, and how fast its time goes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// A `time_expire` nearer than this is silently raised.
    pub(super) min_time_expire_seconds: i64,
    /// Gaps between repeats of a notification are multiplied by this.
    pub(super) time_factor: f64,
    /// Business seconds that a refund stays `PROCESSING`.
    pub(super) refund_seconds: f64,
    /// Least business seconds between two refunds of one transaction; WeChat's value is 60.
    pub(super) refund_spacing_seconds: f64,
    /// Whether closing an unknown number is answered 204, as reported of the real service; otherwise 404.
    pub(super) close_unknown_is_done: bool,
    /// How closing a paid transaction is refused (400).
    pub(super) close_paid_code: ClosePaid,
    /// How a create with an old number and another body is refused.
    pub(super) reentry_code: Reentry,
    /// Which key signs answers.
    pub(super) answers_signed_with: AnswerKey,
    /// Share of the notifications that are signed with a certificate instead of the public key, `0.0..=1.0`.
    pub(super) notifications_by_certificate: f64,
    /// Whether `/v3/certificates` lists certificates; merchants in public-key mode get 404.
    pub(super) certificates: bool,
    /// What chance depends on.
    pub(super) seed: u64,
    /// Pays by itself, for load runs.
    pub(super) payer: Payer,
}

/// Codes seen for closing what is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ClosePaid {
    #[serde(rename = "ORDERPAID")]
    OrderPaid,
    InvalidRequest,
    TradeError,
}

/// Codes seen for a create whose number is used by another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Reentry {
    /// 403, as documented.
    OutTradeNoUsed,
    /// 400, as often seen.
    InvalidRequest,
}

/// Which key signs answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerKey {
    /// The key that the request's `Wechatpay-Serial` names.
    Requested,
    /// The certificate, as before the merchant has started the switch.
    Certificate,
    PublicKey,
    /// Half of them each.
    Mixed,
}

impl Settings {
    pub(super) fn new(time_factor: f64, min_time_expire_seconds: i64) -> Result<Self, &'static str> {
        let settings = Self {
            min_time_expire_seconds,
            time_factor,
            refund_seconds: 1.0,
            refund_spacing_seconds: 60.0,
            close_unknown_is_done: true,
            close_paid_code: ClosePaid::OrderPaid,
            reentry_code: Reentry::OutTradeNoUsed,
            answers_signed_with: AnswerKey::Requested,
            notifications_by_certificate: 0.0,
            certificates: true,
            seed: 0,
            payer: Payer::default(),
        };
        settings.check()?;
        Ok(settings)
    }

    /// These settings with the fields of `changes` put over them.
    pub(super) fn with(self, changes: Map<String, Value>) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let Some(fields) = all.as_object_mut() {
            fields.extend(changes);
        }
        let new: Self = serde_json::from_value(all).map_err(|error| error.to_string())?;
        new.check()?;
        Ok(new)
    }

    fn check(&self) -> Result<(), &'static str> {
        let seconds = |value: f64| (0.0..=MAX_SECONDS).contains(&value);
        if self.min_time_expire_seconds < 0 {
            Err("min_time_expire_seconds must not be negative")
        } else if !(self.time_factor.is_finite() && self.time_factor > 0.0) {
            Err("time_factor must be a positive number")
        } else if !seconds(self.refund_seconds) || !seconds(self.refund_spacing_seconds) {
            Err("refund_seconds and refund_spacing_seconds must be between 0 and ten years")
        } else if !(0.0..=1.0).contains(&self.notifications_by_certificate) {
            Err("notifications_by_certificate must be between 0 and 1")
        } else {
            self.payer.check()
        }
    }
}
