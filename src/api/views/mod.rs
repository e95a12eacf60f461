//! What several audiences show, and the pieces that the views share: money, times, names.
//!
//! Times: of a departure with the offset of its route at that moment, if the catalogue knows the route; all others, and
//! those of forgotten routes, with +08:00. Names are in the language of the request.

pub mod code;
pub mod departure;
#[cfg(test)]
pub mod golden;
pub mod order;
pub mod package;
pub mod partner_ticket;
pub mod policy;
pub mod refund;
pub mod ticket;

use std::borrow::Cow;
use std::fmt;

use deeptravel_domain::catalogue::{Catalogue, Names, Route, RulesByChannel};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{MerchantCode, OperatorCode, PortCode, PromotionCode};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::promotion::Quoted;
use deeptravel_domain::refund_rule;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::api::frame::{Language, Problem, parse_date};

/// Where we sell: the offset of every time that belongs to no route.
const SALES_OFFSET: Offset = Offset::constant(8);

/// An amount in minor units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = Money)]
pub struct MoneyView {
    /// Fen, cents.
    #[schema(example = 22000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    pub currency: &'static str,
}

impl From<Money> for MoneyView {
    fn from(Money { minor, currency }: Money) -> MoneyView {
        MoneyView { amount: minor, currency: currency.code() }
    }
}

/// A promotion that has lowered a price.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = AppliedPromotion)]
pub struct PromotedView {
    #[schema(example = "SPRING")]
    pub code: String,
    /// Off the whole price, which is without it already.
    pub discount: MoneyView,
}

impl PromotedView {
    pub fn new(code: &PromotionCode, discount_minor: i64, currency: Currency) -> PromotedView {
        PromotedView { code: code.to_string(), discount: Money::new(discount_minor, currency).into() }
    }

    /// Of a price that is quoted.
    pub fn of(quoted: &Quoted) -> Option<PromotedView> {
        let applied = quoted.promotion.as_ref()?;
        Some(PromotedView::new(&applied.code, applied.discount_minor, quoted.total.currency))
    }
}

/// A code and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct Named<'a> {
    pub code: &'a str,
    pub name: &'a str,
}

/// A time as it is written, with an offset. The document takes a type of this name for a text in the format `date-time`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zoned {
    at: Timestamp,
    offset: Offset,
}

/// A time that belongs to no route.
pub fn time(at: Timestamp) -> Zoned {
    Zoned { at, offset: SALES_OFFSET }
}

/// From when until when, exclusive, a day is that belongs to no route.
pub fn day(date: Date) -> (Timestamp, Timestamp) {
    let midnight = |date: Date| {
        let at = SALES_OFFSET.to_timestamp(date.at(0, 0, 0, 0));
        at.map_or(Timestamp::MAX, Timestamp::from_jiff).max(Timestamp::from_ms(0))
    };
    (midnight(date), date.tomorrow().map_or(Timestamp::MAX, midnight))
}

/// Which end of a day a date stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    First,
    Last,
}

/// An instant (RFC 3339), or a day's beginning or end.
pub fn instant_or_day(field: &'static str, text: Option<&str>, end: End) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let at = match (parse_date(field, text).map(day), end) {
        (Ok((from, _)), End::First) => from,
        (Ok((_, until)), End::Last) => until,
        (Err(_), End::First | End::Last) => instant(field, text)?,
    };
    Ok(Some(at))
}

/// An instant (RFC 3339). In a query its `+` may have become a blank.
pub fn instant(field: &'static str, text: &str) -> Result<Timestamp, Problem> {
    let at = text.replace(' ', "+").parse::<jiff::Timestamp>();
    let at = at.map_err(|_| Problem::field(field, "is not a time like 2026-12-24T08:30:00+08:00"))?;
    // Nothing was written before the epoch, and Postgres has no instants of long before.
    Ok(Timestamp::from_jiff(at).max(Timestamp::from_ms(0)))
}

/// A time of a departure of a route.
pub fn route_time(route: Option<&Route>, at: Timestamp) -> Zoned {
    Zoned { at, offset: route.map_or(SALES_OFFSET, |route| route.time_zone.offset(at)) }
}

/// Characters of the longest time that is written here: `2026-12-24T08:30:00.250+08:00`.
const TIME_LEN: usize = 29;

impl Zoned {
    /// RFC 3339 into a buffer: an answer has a dozen times, and the general printer costs several times as much.
    /// `None`: what jiff has to print, because a part of it does not have its usual form.
    fn write(self, text: &mut [u8; TIME_LEN]) -> Option<&str> {
        let local = self.offset.to_datetime(self.at.to_jiff());
        let (seconds, nanoseconds) = (self.offset.seconds(), local.subsec_nanosecond());
        if local.year() < 0 || seconds % 60 != 0 || nanoseconds % 1_000_000 != 0 {
            return None;
        }
        let mut pen = Pen { text, len: 0 };
        pen.digits::<4>(i32::from(local.year()));
        pen.mark(b'-').digits::<2>(i32::from(local.month()));
        pen.mark(b'-').digits::<2>(i32::from(local.day()));
        pen.mark(b'T').digits::<2>(i32::from(local.hour()));
        pen.mark(b':').digits::<2>(i32::from(local.minute()));
        pen.mark(b':').digits::<2>(i32::from(local.second()));
        // As many digits as it takes.
        match nanoseconds / 1_000_000 {
            0 => {}
            ms if ms % 100 == 0 => pen.mark(b'.').digits::<1>(ms / 100),
            ms if ms % 10 == 0 => pen.mark(b'.').digits::<2>(ms / 10),
            ms => pen.mark(b'.').digits::<3>(ms),
        }
        let minutes = seconds.abs() / 60;
        pen.mark(if seconds < 0 { b'-' } else { b'+' }).digits::<2>(minutes / 60);
        pen.mark(b':').digits::<2>(minutes % 60);
        let Pen { text, len } = pen;
        std::str::from_utf8(text.get(..len)?).ok()
    }
}

/// Where the next character goes.
struct Pen<'a> {
    text: &'a mut [u8; TIME_LEN],
    len: usize,
}

impl Pen<'_> {
    fn mark(&mut self, character: u8) -> &mut Self {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = character;
            self.len += 1;
        }
        self
    }

    /// The last digits of a number that is not negative.
    fn digits<const COUNT: u32>(&mut self, number: i32) {
        for power in (0..COUNT).rev() {
            self.mark(b'0' + (number / 10_i32.pow(power) % 10) as u8);
        }
    }
}

impl fmt::Display for Zoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.write(&mut [0; TIME_LEN]) {
            Some(text) => f.write_str(text),
            None => self.at.to_jiff().display_with_offset(self.offset).fmt(f),
        }
    }
}

impl Serialize for Zoned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.write(&mut [0; TIME_LEN]) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

/// A port with its name; of a port that the catalogue has forgotten, its code.
pub fn port<'a>(catalogue: &'a Catalogue, language: Language, code: &'a PortCode) -> Named<'a> {
    let code = code.as_str();
    Named { code, name: catalogue.port(code).map_or(code, |port| language.of(&port.names)) }
}

/// An operator with its name.
pub fn operator<'a>(catalogue: &'a Catalogue, language: Language, code: &'a OperatorCode) -> Named<'a> {
    let code = code.as_str();
    Named { code, name: catalogue.operator(code).map_or(code, |operator| language.of(&operator.names)) }
}

/// A merchant with its name; of a carrier that of the operator, whose code it has.
pub fn merchant<'a>(catalogue: &'a Catalogue, language: Language, code: &'a MerchantCode) -> Named<'a> {
    let code = code.as_str();
    let merchant = catalogue.merchant(code).map(|merchant| &merchant.names);
    let names = merchant.or_else(|| catalogue.operator(code).map(|operator| &operator.names));
    Named { code, name: names.map_or(code, |names| language.of(names)) }
}

/// What comes back of what is sold directly under these rules (R-SEARCH-07).
pub fn refund_summary(catalogue: &Catalogue, language: Language, rules: &RulesByChannel) -> Cow<'static, str> {
    match catalogue.refund_rule(rules, &Channel::Direct) {
        Some(rule) => {
            let Names { zh, en } = refund_rule::summary(rule);
            language.pick(zh, en).into()
        }
        None => language.pick("不可退改", "No refunds or changes").into(),
    }
}

/// The port at a stop of a route.
pub fn stop<'a>(catalogue: &'a Catalogue, language: Language, route: &'a Route, stop: u8) -> Named<'a> {
    let stop = route.stops.get(usize::from(stop));
    stop.map(|stop| port(catalogue, language, &stop.port)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_route_is_shown_as_in_china() {
        let at = Timestamp::from_ms(1_764_000_000_250);
        assert_eq!(time(at).to_string(), "2025-11-25T00:00:00.25+08:00");
        assert_eq!(serde_json::to_string(&time(at)).unwrap(), "\"2025-11-25T00:00:00.25+08:00\"");
        assert_eq!(time(Timestamp::from_seconds(0)).to_string(), "1970-01-01T08:00:00+08:00");
    }

    #[test]
    fn every_time_is_written_as_jiff_prints_it() {
        let seconds =
            [0, 8 * 3_600, 3_600, -5 * 3_600 - 1_800, 5 * 3_600 + 2_700, 60, -60, 27_402, -12 * 3_600, 93_599];
        let offsets = seconds.map(|seconds| Offset::from_seconds(seconds).unwrap());
        let around = |ms: i64| [-86_400_000, -1_001, -1_000, -1, 0, 1, 10, 100, 250, 999, 1_000].map(|by| ms + by);
        let marked =
            [0, 951_782_400_000, 4_107_542_400_000, 253_402_300_799_999, -62_135_596_800_000, -62_167_219_200_000];
        // Half a year and an odd part of a day at a time, from the year 1 to 9999.
        let steps = (-62_135_596_800_000_i64..253_402_300_800_000).step_by(15_790_123_457);
        let extremes = [i64::MIN, i64::MAX, Timestamp::MAX.as_ms()];
        for ms in marked.into_iter().flat_map(around).chain(steps).chain(extremes) {
            for offset in offsets {
                let time = Zoned { at: Timestamp::from_ms(ms), offset };
                let expected = time.at.to_jiff().display_with_offset(offset).to_string();
                assert_eq!(time.to_string(), expected);
                assert_eq!(serde_json::to_string(&time).unwrap(), format!("{expected:?}"));
            }
        }
    }
}
