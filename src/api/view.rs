//! Pieces that several answers share: money, times, names.
//!
//! Times: of a departure with the offset of its route at that moment, if the catalogue knows the route; all others, and
//! those of forgotten routes, with +08:00. Names are in the language of the request.

use deeptravel_domain::catalogue::{Catalogue, Route, Zone};
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::ids::{OperatorCode, PortCode};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;
use super::extract::Language;

/// Where we sell: the offset of every time that belongs to no route.
const SALES_OFFSET: Offset = Offset::constant(8);

/// Seats cannot be given back yet; the offers say so (R-SEARCH-07).
const NO_REFUND: [&str; 2] = ["不可退改", "No refunds or changes"];

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
    fn from(money: Money) -> MoneyView {
        MoneyView::of(money.minor, money.currency)
    }
}

impl MoneyView {
    pub fn of(minor: i64, currency: Currency) -> MoneyView {
        MoneyView { amount: minor, currency: currency.code() }
    }
}

/// A code and its name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = Named)]
pub struct NamedView {
    pub code: String,
    pub name: String,
}

/// A time that belongs to no route.
pub fn time(at: Timestamp) -> String {
    at.to_jiff().display_with_offset(SALES_OFFSET).to_string()
}

/// A time of a departure of a route.
pub fn route_time(route: Option<&Route>, at: Timestamp) -> String {
    let offset = route.and_then(|route| offset(&route.time_zone, at)).unwrap_or(SALES_OFFSET);
    at.to_jiff().display_with_offset(offset).to_string()
}

fn offset(zone: &Zone, at: Timestamp) -> Option<Offset> {
    let ahead = zone.local(at).duration_since(Offset::UTC.to_datetime(at.to_jiff()));
    Offset::from_seconds(i32::try_from(ahead.as_secs()).ok()?).ok()
}

/// A port with its name; of a port that the catalogue has forgotten, its code.
pub fn port(catalogue: &Catalogue, language: Language, code: &PortCode) -> NamedView {
    let name = catalogue.port(code.as_str()).map_or_else(|| code.to_string(), |port| language.of(&port.names));
    NamedView { code: code.to_string(), name }
}

/// An operator with its name.
pub fn operator(catalogue: &Catalogue, language: Language, code: &OperatorCode) -> NamedView {
    let found = catalogue.operator(code.as_str());
    let name = found.map_or_else(|| code.to_string(), |operator| language.of(&operator.names));
    NamedView { code: code.to_string(), name }
}

/// The port at a stop of a route.
pub fn stop(catalogue: &Catalogue, language: Language, route: &Route, stop: u8) -> NamedView {
    match route.stops.get(usize::from(stop)) {
        Some(stop) => port(catalogue, language, &stop.port),
        None => NamedView { code: String::new(), name: String::new() },
    }
}

/// Both ends of a stretch.
pub fn ends(catalogue: &Catalogue, language: Language, route: &Route, stretch: Stretch) -> (NamedView, NamedView) {
    (stop(catalogue, language, route, stretch.board), stop(catalogue, language, route, stretch.alight))
}

/// What can be had back.
pub fn refund_summary(language: Language) -> &'static str {
    let [zh, en] = NO_REFUND;
    match language {
        Language::Chinese => zh,
        Language::English => en,
    }
}

/// A date as `YYYY-MM-DD` and in no other form.
pub fn parse_date(field: &'static str, text: &str) -> Result<Date, Problem> {
    let digits_and_dashes = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = digits_and_dashes.then(|| text.parse().ok()).flatten();
    date.ok_or_else(|| Problem::field(field, "is not a date like 2026-12-24"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_route_is_shown_as_in_china() {
        let at = Timestamp::from_ms(1_764_000_000_250);
        assert_eq!(time(at), "2025-11-25T00:00:00.25+08:00");
        assert_eq!(time(Timestamp::from_seconds(0)), "1970-01-01T08:00:00+08:00");
    }

    #[test]
    fn a_zones_offset_follows_its_clocks() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let at = |text: &str| Timestamp::from_jiff(text.parse().unwrap());
        assert_eq!(offset(&berlin, at("2026-01-01T00:00:00Z")), Some(Offset::constant(1)));
        assert_eq!(offset(&berlin, at("2026-07-01T00:00:00Z")), Some(Offset::constant(2)));
        let hong_kong = Zone::named("Asia/Hong_Kong").unwrap();
        assert_eq!(offset(&hong_kong, at("2026-07-01T23:30:00Z")), Some(Offset::constant(8)));
    }

    #[test]
    fn a_date_has_one_form() {
        assert_eq!(parse_date("travelDate", "2026-12-24"), Ok(Date::constant(2026, 12, 24)));
        for text in
            ["", "20261224", "2026-12-24T00:00", "2026-13-01", "2026-02-30", "24.12.2026", "2026-1-1", "-026-01-01"]
        {
            assert!(parse_date("travelDate", text).is_err(), "{text}");
        }
    }
}
