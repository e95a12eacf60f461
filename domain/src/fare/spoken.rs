//! A fare as people speak of it, flat and in the words of the API.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{DateRange, DayType, Fare, MINUTES_PER_DAY, Season, TimeBand, YearDay};
use crate::clock_time::ClockTime;
use crate::departure::Stretch;
use crate::ids::{SeatClassCode, as_text};
use crate::money::{Amount, Money};
use crate::party::PassengerType;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spoken {
    #[serde(with = "as_text")]
    passenger_type: PassengerType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seat_class: Option<SeatClassCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_stop: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_stop: Option<u8>,
    #[serde(default, with = "as_text")]
    day_type: DayType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date_from: Option<Date>,
    /// Included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date_to: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    season_from: Option<YearDay>,
    /// Included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    season_to: Option<YearDay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_from: Option<ClockTime>,
    /// Not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_to: Option<ClockTime>,
    price: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_price: Option<Amount>,
    #[serde(default)]
    assumed: bool,
}

impl From<Fare> for Spoken {
    fn from(fare: Fare) -> Spoken {
        let Fare { passenger_type, seat_class, stretch, day_type, dates, season, times, .. } = fare;
        let (from_stop, to_stop) = stretch.map(|Stretch { board, alight }| (board, alight)).unzip();
        let (date_from, date_to) = dates.map(|DateRange { from, to }| (from, to)).unzip();
        let (season_from, season_to) = season.map(|Season { from, to }| (from, to)).unzip();
        let (time_from, time_to) = times.map(|TimeBand { from, until }| (ClockTime(from), ClockTime(until))).unzip();
        Spoken {
            passenger_type,
            seat_class,
            from_stop,
            to_stop,
            day_type,
            date_from,
            date_to,
            season_from,
            season_to,
            time_from,
            time_to,
            price: fare.price.into(),
            source_price: fare.source_price.map(Amount::from),
            assumed: fare.assumed,
        }
    }
}

impl TryFrom<Spoken> for Fare {
    type Error = &'static str;

    fn try_from(spoken: Spoken) -> Result<Fare, &'static str> {
        let stretch = both(spoken.from_stop, spoken.to_stop, Stretch::new).map_err(|()| "toStop");
        let dates = both(spoken.date_from, spoken.date_to, DateRange::new).map_err(|()| "dateTo");
        let season = both(spoken.season_from, spoken.season_to, |from, to| Some(Season { from, to }));
        let season = season.map_err(|()| "seasonTo");
        let times = both(spoken.time_from, spoken.time_to, |from, until| TimeBand::new(from.0, midnight(until.0)))
            .map_err(|()| "timeTo");
        Ok(Fare {
            passenger_type: spoken.passenger_type,
            seat_class: spoken.seat_class,
            stretch: stretch?,
            day_type: spoken.day_type,
            dates: dates?,
            season: season?,
            times: times?,
            price: spoken.price.into(),
            source_price: spoken.source_price.map(Money::from),
            assumed: spoken.assumed,
        })
    }
}

/// The end of a day is the beginning of the next.
fn midnight(until: u16) -> u16 {
    if until == MINUTES_PER_DAY { 0 } else { until }
}

impl fmt::Display for YearDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl FromStr for YearDay {
    type Err = String;

    fn from_str(text: &str) -> Result<YearDay, String> {
        let number = |digits: &str| {
            let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<i8>().ok().filter(|_| is_number)
        };
        let parts = text.split_once('-').and_then(|(month, day)| Some((number(month)?, number(day)?)));
        let day = parts.and_then(|(month, day)| YearDay::new(month, day));
        day.ok_or_else(|| format!("{text:?} is not a day of the year as 12-24"))
    }
}

impl From<YearDay> for String {
    fn from(day: YearDay) -> String {
        day.to_string()
    }
}

impl TryFrom<String> for YearDay {
    type Error = String;

    fn try_from(text: String) -> Result<YearDay, String> {
        text.parse()
    }
}

/// A pair that is there or not, if its two make one.
fn both<T, P>(from: Option<T>, to: Option<T>, pair: fn(T, T) -> Option<P>) -> Result<Option<P>, ()> {
    match (from, to) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) => pair(from, to).map(Some).ok_or(()),
        (Some(_), None) | (None, Some(_)) => Err(()),
    }
}
