//! A fare as people speak of it, flat and in the words of the API.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{DateRange, DayType, Fare, TimeBand};
use crate::clock_time::ClockTime;
use crate::departure::Stretch;
use crate::ids::{SeatClassCode, as_text};
use crate::money::{Currency, Money};
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: i64,
    #[serde(with = "as_text")]
    currency: Currency,
}

impl From<Money> for Amount {
    fn from(Money { minor: amount, currency }: Money) -> Amount {
        Amount { amount, currency }
    }
}

impl From<Amount> for Money {
    fn from(Amount { amount: minor, currency }: Amount) -> Money {
        Money { minor, currency }
    }
}

impl From<Fare> for Spoken {
    fn from(fare: Fare) -> Spoken {
        let Fare { passenger_type, seat_class, stretch, day_type, dates, times, price, source_price, assumed } = fare;
        let (from_stop, to_stop) = stretch.map(|Stretch { board, alight }| (board, alight)).unzip();
        let (date_from, date_to) = dates.map(|DateRange { from, to }| (from, to)).unzip();
        let (time_from, time_to) = times.map(|TimeBand { from, until }| (ClockTime(from), ClockTime(until))).unzip();
        Spoken {
            passenger_type,
            seat_class,
            from_stop,
            to_stop,
            day_type,
            date_from,
            date_to,
            time_from,
            time_to,
            price: price.into(),
            source_price: source_price.map(Amount::from),
            assumed,
        }
    }
}

impl TryFrom<Spoken> for Fare {
    type Error = &'static str;

    fn try_from(spoken: Spoken) -> Result<Fare, &'static str> {
        let stretch = both(spoken.from_stop, spoken.to_stop, Stretch::new).map_err(|()| "toStop");
        let dates = both(spoken.date_from, spoken.date_to, DateRange::new).map_err(|()| "dateTo");
        let times =
            both(spoken.time_from, spoken.time_to, |from, until| TimeBand::new(from.0, until.0)).map_err(|()| "timeTo");
        Ok(Fare {
            passenger_type: spoken.passenger_type,
            seat_class: spoken.seat_class,
            stretch: stretch?,
            day_type: spoken.day_type,
            dates: dates?,
            times: times?,
            price: spoken.price.into(),
            source_price: spoken.source_price.map(Money::from),
            assumed: spoken.assumed,
        })
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
