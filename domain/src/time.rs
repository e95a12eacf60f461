//! Instants as the machines see them: milliseconds since the Unix epoch, always an argument.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::packing;

/// An instant of engine time, in milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    ms: i64,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let base = if serializer.is_human_readable() { 0 } else { packing::base_ms() };
        self.ms.wrapping_sub(base).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let base = if deserializer.is_human_readable() { 0 } else { packing::base_ms() };
        i64::deserialize(deserializer).map(|ms| Timestamp { ms: ms.wrapping_add(base) })
    }
}

impl Timestamp {
    /// Later than every instant that can be shown; "never" for deadlines.
    pub const MAX: Timestamp = Timestamp { ms: 253_402_200_000_000 };

    pub const fn from_ms(ms: i64) -> Timestamp {
        Timestamp { ms }
    }

    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp { ms: seconds.saturating_mul(1000) }
    }

    pub const fn as_ms(self) -> i64 {
        self.ms
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn as_seconds(self) -> i64 {
        self.ms.div_euclid(1000)
    }

    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp { ms: self.ms.saturating_add(ms) }
    }

    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Timestamp {
        self.plus_ms(seconds.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is in fact later.
    pub const fn ms_since(self, earlier: Timestamp) -> i64 {
        self.ms.saturating_sub(earlier.ms)
    }

    /// The same instant for calendar arithmetic. Instants outside jiff's range are clamped to it.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.ms).unwrap_or(if self.ms < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    pub fn from_jiff(at: jiff::Timestamp) -> Timestamp {
        Timestamp { ms: at.as_millisecond() }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_shows_as_rfc_3339_and_counts_whole_seconds_towards_the_past() {
        let at = Timestamp::from_ms(1_700_000_000_999);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.999Z");
        assert_eq!(at.as_seconds(), 1_700_000_000);
        assert_eq!(Timestamp::from_ms(-1).as_seconds(), -1);
        assert_eq!(at.plus_seconds(1).ms_since(at), 1000);
    }
}
