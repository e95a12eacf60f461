//! How the wall clock stands to the journal's newest record when a process starts. Whoever starts says what comes of it.

use deeptravel_domain::time::Timestamp;
use serde::Deserialize;

use super::line::FOLLOWED_MS_MAX;

const HOUR_MS: i64 = 3_600_000;

/// Longer than any server stands still: a stretch beyond it is a mistake.
const STANDSTILL_HOURS_LIMIT: u32 = 10 * 365 * 24;

/// Section `clock` of the configuration.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockOptions {
    /// How long a server may have stood still, in hours: a wall clock that says longer is doubted.
    standstill_hours_max: u32,
}

/// The wall clock beside the newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They agree as closely as engine time follows a clock, or there is no record.
    Agrees,
    /// It is so many ms ahead: for so long nothing was written, or the clock was set.
    Ahead { ms: i64, is_far: bool },
    /// It is so many ms behind: it is slow, or it was fast when that record was written.
    Behind { ms: i64, is_far: bool },
}

impl ClockOptions {
    pub fn check(&self) -> Result<(), String> {
        if (1..=STANDSTILL_HOURS_LIMIT).contains(&self.standstill_hours_max) {
            return Ok(());
        }
        Err(format!("clock.standstill_hours_max must be 1 to {STANDSTILL_HOURS_LIMIT}"))
    }

    pub fn judge(&self, wall: Timestamp, newest: Option<Timestamp>) -> Standing {
        let ahead_ms = newest.map_or(0, |newest| wall.ms_since(newest));
        let ms = ahead_ms.saturating_abs();
        let is_far = ms > i64::from(self.standstill_hours_max) * HOUR_MS;
        match ahead_ms {
            _ if ms <= FOLLOWED_MS_MAX => Standing::Agrees,
            1.. => Standing::Ahead { ms, is_far },
            ..=0 => Standing::Behind { ms, is_far },
        }
    }
}
