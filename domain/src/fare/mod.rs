//! What a seat costs: the fares of a route and which of them applies (R-PRICE-01). The catalogue keeps the tables, the
//! search and the order ask for a [`quote`]. What promotions then take off a whole order is [`promotion`](crate::promotion)'s.

mod quote;
mod spoken;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use crate::departure::{STOPS_MAX, Stretch};
use crate::ids::{RouteCode, SeatClassCode, codes};
use crate::money::{Currency, Money};
use crate::party::{PARTY_MAX, PassengerType};
use crate::rejection::{Rejection, ensure};
use crate::row::part;

pub use quote::{PriceLine, Quote, TierQuote, quote, tier_quotes};

/// Most fares of one table: classes × bands × types × stretches of the largest real tables is a tenth of it.
pub const FARES_MAX: usize = 5_000;
/// Largest price of one seat, in minor units: a million, so that ten of them and their sums are far from overflow.
pub const PRICE_MINOR_MAX: i64 = 100_000_000;
/// Minutes of a day; local times are minutes from midnight.
pub const MINUTES_PER_DAY: u16 = 24 * 60;

/// On which kind of day a fare applies, by the local date of boarding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayType {
    #[default]
    Any,
    /// Monday to Friday, no holiday.
    Weekday,
    /// Saturday, Sunday or a holiday of the catalogue's calendar.
    WeekendOrHoliday,
}

codes!(DayType, "day type": Any = "any", Weekday = "weekday", WeekendOrHoliday = "weekend_or_holiday");

impl DayType {
    pub(crate) fn covers(self, date: Date, is_holiday: bool) -> bool {
        let off = is_holiday || matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        match self {
            DayType::Any => true,
            DayType::Weekday => !off,
            DayType::WeekendOrHoliday => off,
        }
    }
}

/// Days from one date to another, both included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DateRange {
    pub from: Date,
    pub to: Date,
}

impl DateRange {
    /// `None` when it ends before it begins.
    pub fn new(from: Date, to: Date) -> Option<DateRange> {
        (from <= to).then_some(DateRange { from, to })
    }

    pub fn covers(self, date: Date) -> bool {
        self.from <= date && date <= self.to
    }
}

part!(DateRange { 1 from: Date, 2 to: Date } => DateRange::new(from, to));

/// A day of every year.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct YearDay {
    month: i8,
    day: i8,
}

impl YearDay {
    /// `None` when no year has it. 29 February is one: in other years it is nobody's day.
    pub fn new(month: i8, day: i8) -> Option<YearDay> {
        Date::new(LEAP_YEAR, month, day).is_ok().then_some(YearDay { month, day })
    }

    fn of(date: Date) -> YearDay {
        YearDay { month: date.month(), day: date.day() }
    }
}

/// Has every day that a year can have.
const LEAP_YEAR: i16 = 2000;

/// Days of every year, both included. It goes over New Year when it ends before it begins: 1 October to 31 January.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Season {
    pub from: YearDay,
    pub to: YearDay,
}

impl Season {
    pub fn covers(self, date: Date) -> bool {
        let day = YearDay::of(date);
        if self.from <= self.to { self.from <= day && day <= self.to } else { self.from <= day || day <= self.to }
    }
}

part!(Season {
    1 from (|season| season.from.to_string()): String,
    2 to (|season| season.to.to_string()): String,
} => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| Season { from, to }));

/// Times of a local day in minutes from midnight, from the first minute until, but without, the last. It wraps over
/// midnight when `until <= from`: 23:30 until 06:00, or 18:00 until 00:00.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TimeBand {
    pub from: u16,
    pub until: u16,
}

impl TimeBand {
    /// `None` when both are the same minute or one is not a minute of a day.
    pub fn new(from: u16, until: u16) -> Option<TimeBand> {
        (from < MINUTES_PER_DAY && until < MINUTES_PER_DAY && from != until).then_some(TimeBand { from, until })
    }

    pub fn covers(self, minute: u16) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

part!(TimeBand { 1 from: u16, 2 until: u16 } => TimeBand::new(from, until));

/// One fare: what a seat costs a passenger of one type, and when that holds. A condition left out always holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "spoken::Spoken", try_from = "spoken::Spoken")]
pub struct Fare {
    pub passenger_type: PassengerType,
    pub seat_class: Option<SeatClassCode>,
    pub stretch: Option<Stretch>,
    pub day_type: DayType,
    /// By the local date of boarding.
    pub dates: Option<DateRange>,
    /// By the local date of boarding, too.
    pub season: Option<Season>,
    /// By the local time of boarding.
    pub times: Option<TimeBand>,
    /// In the sale currency.
    pub price: Money,
    /// As published, when that was another currency (R-PRICE-02).
    pub source_price: Option<Money>,
    /// Nobody published it; it was made up so that the route can be shown.
    pub assumed: bool,
}

impl Fare {
    /// Whether every condition of the fare holds.
    pub fn applies(&self, passenger_type: PassengerType, query: &FareQuery<'_>) -> bool {
        self.passenger_type == passenger_type
            && self.times.is_none_or(|times| times.covers(query.minute))
            && self.day_type.covers(query.date, query.is_holiday)
            && self.dates.is_none_or(|dates| dates.covers(query.date))
            && self.season.is_none_or(|season| season.covers(query.date))
            && self.stretch.is_none_or(|stretch| stretch == query.stretch)
            && self.seat_class.as_ref().is_none_or(|class| class == query.class)
    }

    /// How specific the fare is. Class weighs more than stretch, stretch more than dates, dates more than a season of every
    /// year, a season more than times, times more than the type of day; one heavier condition beats all lighter ones
    /// together.
    pub fn specificity(&self) -> u8 {
        u8::from(self.seat_class.is_some()) << 5
            | u8::from(self.stretch.is_some()) << 4
            | u8::from(self.dates.is_some()) << 3
            | u8::from(self.season.is_some()) << 2
            | u8::from(self.times.is_some()) << 1
            | u8::from(self.day_type != DayType::Any)
    }
}

part!(Fare {
    1 passenger_type: PassengerType,
    2 seat_class: Option<SeatClassCode>,
    3 stretch: Option<Stretch>,
    4 day_type: DayType,
    5 dates: Option<DateRange>,
    6 times: Option<TimeBand>,
    7 price: Money,
    8 source_price: Option<Money>,
    9 assumed: bool,
    10 season: Option<Season>,
} => Some(Fare { passenger_type, seat_class, stretch, day_type, dates, season, times, price, source_price, assumed }));

/// A price for bigger parties (阶梯定价): from this size on, so much less on every line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartyTier {
    pub min_party: u16,
    /// 0–100.
    pub discount_percent: u8,
}

part!(PartyTier { 1 min_party: u16, 2 discount_percent: u8 } => Some(PartyTier { min_party, discount_percent }));

/// Seats of an unpaid order are kept this long unless the fares say otherwise (R-HOLD-01).
pub const SEAT_LOCK_MINUTES_DEFAULT: u16 = 10;

/// The fares of a route with what else its sale depends on, put as a whole: one revision (R-ADMIN-03).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FareTable {
    #[serde(rename = "routeCode")]
    pub route: RouteCode,
    pub fares: Vec<Fare>,
    /// By rising `min_party`.
    #[serde(default)]
    pub party_tiers: Vec<PartyTier>,
    /// 1–60 (R-HOLD-01).
    #[serde(default = "seat_lock_minutes_default")]
    pub seat_lock_minutes: u16,
    /// Local dates of boarding that are not sold (禁售日).
    #[serde(default, rename = "blackoutDates")]
    pub blackout: BTreeSet<Date>,
}

fn seat_lock_minutes_default() -> u16 {
    SEAT_LOCK_MINUTES_DEFAULT
}

/// What is asked of a table: one class on one stretch, boarded at a local date and minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FareQuery<'a> {
    pub class: &'a SeatClassCode,
    pub stretch: Stretch,
    /// The local date of boarding.
    pub date: Date,
    /// The local time of boarding, in minutes from midnight.
    pub minute: u16,
    /// Whether the calendar calls that date a holiday.
    pub is_holiday: bool,
}

impl FareTable {
    /// With the default of everything else.
    pub fn new(route: RouteCode, fares: Vec<Fare>, party_tiers: Vec<PartyTier>) -> FareTable {
        let blackout = BTreeSet::new();
        FareTable { route, fares, party_tiers, seat_lock_minutes: SEAT_LOCK_MINUTES_DEFAULT, blackout }
    }

    /// The fare for one passenger, with its place in the list: of those that apply the most specific, and of equally
    /// specific ones the last in the list.
    pub fn fare(&self, passenger_type: PassengerType, query: &FareQuery<'_>) -> Option<(usize, &Fare)> {
        self.fares
            .iter()
            .enumerate()
            .filter(|(_, fare)| fare.applies(passenger_type, query))
            .max_by_key(|(_, fare)| fare.specificity())
    }

    /// The tier of a party of this size.
    pub fn tier(&self, party_size: u16) -> Option<PartyTier> {
        self.party_tiers.iter().rev().find(|tier| tier.min_party <= party_size).copied()
    }
}

/// What a table must be like whatever its route; the catalogue checks classes and stops.
pub fn check_table(fares: &[Fare], party_tiers: &[PartyTier], sale_currency: Currency) -> Result<(), Rejection> {
    ensure(fares.len() <= FARES_MAX, "fares", format_args!("more than {FARES_MAX}"))?;
    for (index, fare) in fares.iter().enumerate() {
        let field = |name: &str| format!("fares[{index}].{name}");
        let Fare { price, source_price, .. } = fare;
        let other_currency = format_args!("prices are in {sale_currency}, not {}", price.currency);
        ensure(price.currency == sale_currency, field("price"), other_currency)?;
        for (name, price) in [("price.amount", Some(*price)), ("sourcePrice.amount", *source_price)] {
            let fits = price.is_none_or(|price| (0..=PRICE_MINOR_MAX).contains(&price.minor));
            ensure(fits, field(name), format_args!("is not between 0 and {PRICE_MINOR_MAX}"))?;
        }
        let fits = fare.stretch.is_none_or(|stretch| Stretch::new(stretch.board, stretch.alight).is_some());
        let last = STOPS_MAX - 1;
        ensure(fits, field("toStop"), format_args!("a stretch runs forward between stops 0 and {last}"))?;
        let fits = fare.dates.is_none_or(|dates| DateRange::new(dates.from, dates.to).is_some());
        ensure(fits, field("dateTo"), "ends before it begins")?;
        let fits = fare.times.is_none_or(|times| TimeBand::new(times.from, times.until).is_some());
        ensure(fits, field("timeTo"), "is not another minute of the same day")?;
    }
    check_tiers(party_tiers)
}

fn check_tiers(party_tiers: &[PartyTier]) -> Result<(), Rejection> {
    ensure(party_tiers.len() <= usize::from(PARTY_MAX), "partyTiers", format_args!("more than {PARTY_MAX}"))?;
    let mut below = 0;
    for (index, tier) in party_tiers.iter().enumerate() {
        let field = |name: &str| format!("partyTiers[{index}].{name}");
        let rises = below < tier.min_party && tier.min_party <= PARTY_MAX;
        ensure(rises, field("minParty"), format_args!("rises from tier to tier, between 1 and {PARTY_MAX}"))?;
        ensure(tier.discount_percent <= 100, field("discountPercent"), "is not between 0 and 100")?;
        below = tier.min_party;
    }
    Ok(())
}
