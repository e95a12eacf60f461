//! IANA time zones from the table that is compiled in (jiff's `tzdb-bundle-always`): a look-up by name reads no file,
//! so this crate stays pure and every node converts alike whatever its operating system has installed.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::row::text_fields;
use crate::time::Timestamp;

/// Mainland China keeps the same time.
const ZONE_OF_SALE: &str = "Asia/Hong_Kong";

/// There is no such zone in the compiled-in table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone {0:?}")]
pub struct UnknownZone(pub String);

/// A named time zone. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Where we sell: of what names no zone of its own.
    pub fn of_sale() -> Zone {
        // Looked up once: packages and promotions ask for it at every search and order.
        static OF_SALE: LazyLock<Zone> =
            LazyLock::new(|| Zone::named(ZONE_OF_SALE).unwrap_or_else(|error| unreachable!("{error}")));
        OF_SALE.clone()
    }

    pub fn named(name: &str) -> Result<Zone, UnknownZone> {
        let found = TimeZoneDatabase::bundled().get(name).ok();
        found
            .filter(|zone| !zone.is_unknown() && zone.iana_name().is_some())
            .map(Zone)
            .ok_or_else(|| UnknownZone(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// The instant of a local time, in minutes from the midnight of `date`; 1440 and more are on later days. A time
    /// that the clocks skip means as long after the jump; one that they show twice means the first. `None` beyond
    /// jiff's calendar.
    pub fn instant(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let day = plus_days(date, i32::from(minutes / 1440))?;
        let at = day.at((minutes % 1440 / 60) as i8, (minutes % 60) as i8, 0, 0);
        self.0.to_ambiguous_timestamp(at).compatible().ok().map(Timestamp::from_jiff)
    }

    /// By how much the wall clock is ahead of UTC at an instant.
    pub fn offset(&self, at: Timestamp) -> Offset {
        self.0.to_offset(at.to_jiff())
    }

    /// The wall clock at an instant.
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at.to_jiff())
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Zone, UnknownZone> {
        Zone::named(name)
    }
}

text_fields!(Zone: Text);

/// `None` beyond jiff's calendar.
pub fn plus_days(date: Date, days: i32) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// Minutes from midnight.
pub fn minute_of_day(local: DateTime) -> u16 {
    local.hour() as u16 * 60 + local.minute() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_time_after_midnight_is_on_the_next_calendar_day() {
        let zone = Zone::named("Asia/Hong_Kong").unwrap();
        let at = zone.instant(date(2026, 11, 20), 24 * 60 + 15).unwrap();
        assert_eq!(at.to_string(), "2026-11-20T16:15:00Z");
        assert_eq!(zone.local(at), date(2026, 11, 21).at(0, 15, 0, 0));
    }

    #[test]
    fn clocks_that_jump_move_skipped_times_on_and_take_the_first_of_two() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let skipped = zone.instant(date(2026, 3, 29), 150).unwrap();
        assert_eq!(skipped.to_string(), "2026-03-29T01:30:00Z", "02:30 does not exist; 03:30 is meant");
        let twice = zone.instant(date(2026, 10, 25), 150).unwrap();
        assert_eq!(twice.to_string(), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn a_zones_offset_follows_its_clocks() {
        let at = |text: &str| Timestamp::from_jiff(text.parse().unwrap());
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(berlin.offset(at("2026-01-01T00:00:00Z")), Offset::constant(1));
        assert_eq!(berlin.offset(at("2026-07-01T00:00:00Z")), Offset::constant(2));
        let hong_kong = Zone::named("Asia/Hong_Kong").unwrap();
        assert_eq!(hong_kong.offset(at("2026-07-01T23:30:00Z")), Offset::constant(8));
    }

    #[test]
    fn only_named_zones_exist() {
        for name in ["", "Asia/Nowhere", "Etc/Unknown", "+08:00"] {
            assert_eq!(Zone::named(name), Err(UnknownZone(name.to_owned())));
        }
    }
}
