//! Query strings, pages and cursors. Unknown parameters are refused like unknown fields.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use jiff::civil::Date;
use serde::de::DeserializeOwned;

use super::extract::wrong_field;
use super::problem::Problem;

/// Most entries of a page (`api.md`).
pub const LIMIT_MAX: u32 = 100;
/// Entries of a page when nothing is said (`api.md`).
const LIMIT_DEFAULT: u32 = 20;

/// The parameters after the question mark.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Parameters<T> {
    type Error = Problem;
    type Future = Ready<Result<Parameters<T>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Parameters))
    }
}

pub fn is_empty(query: &str) -> bool {
    first(query).is_none()
}

/// The name of the first parameter.
pub fn first(query: &str) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes()).next().map(|(name, _)| name)
}

/// 422 with the parameter's name.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(parameters)
        .map_err(|error| wrong_field(&error.path().to_string(), &error.into_inner().to_string()))
}

/// A date as `YYYY-MM-DD` and in no other form.
pub fn parse_date(field: &'static str, text: &str) -> Result<Date, Problem> {
    let digits_and_dashes = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = digits_and_dashes.then(|| text.parse().ok()).flatten();
    date.ok_or_else(|| Problem::field(field, "is not a date like 2026-12-24"))
}

/// How many entries a page has: `limit`, 1 to 100.
fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::field("limit", format!("is not between 1 and {LIMIT_MAX}"))),
    }
}

/// The position in a list that a cursor stands for. Clients must not look into it.
fn read_cursor<T: FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let unknown = || Problem::field("cursor", "is not one that a page has given");
    cursor.map(|cursor| decode_cursor(cursor).and_then(|text| text.parse().ok()).ok_or_else(unknown)).transpose()
}

fn decode_cursor(cursor: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix(CURSOR_PREFIX).map(str::to_owned)
}

/// Layout of cursors, so that another can follow.
const CURSOR_PREFIX: &str = "1:";

fn write_cursor(last: impl Display) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{CURSOR_PREFIX}{last}"))
}

/// Of lists that are not filtered by a status.
#[derive(Debug)]
pub enum NoStatus {}

impl FromStr for NoStatus {
    type Err = ();

    fn from_str(_: &str) -> Result<NoStatus, ()> {
        Err(())
    }
}

/// Which page of a list is wanted: `limit`, `cursor` and `status`, parsed.
#[derive(Debug)]
pub struct Page<C, S> {
    pub limit: usize,
    /// The entry after which the page begins; `None`: the first page.
    pub before: Option<C>,
    pub status: Option<S>,
}

impl<C: FromStr, S: FromStr> Page<C, S> {
    /// `no_status`: what is wrong with a status that is none. Errors name the parameter.
    pub fn of(
        limit: Option<u32>,
        cursor: Option<&str>,
        status: Option<&str>,
        no_status: &'static str,
    ) -> Result<Page<C, S>, Problem> {
        Ok(Page {
            limit: page_limit(limit)? as usize,
            before: read_cursor(cursor)?,
            status: status.map(str::parse).transpose().map_err(|_| Problem::field("status", no_status))?,
        })
    }

    /// One entry more than the page shows: it tells whether another page follows.
    pub fn to_read(&self) -> u32 {
        self.limit as u32 + 1
    }

    /// Cuts what was read to the page. The cursor of the next one, if there is one; `place` says where an entry stands.
    pub fn cut<T, P: Display>(&self, entries: &mut Vec<T>, place: impl Fn(&T) -> P) -> Option<String> {
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        entries.last().filter(|_| more).map(|last| write_cursor(place(last)))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Wanted {
        travel_date: String,
        adults: Option<u16>,
    }

    fn field(query: &str) -> String {
        parse_query::<Wanted>(query).unwrap_err().errors()[0].field.to_string()
    }

    #[test]
    fn parameters_are_decoded() {
        let wanted: Wanted = parse_query("travelDate=%E6%B7%B1+a&adults=2").unwrap();
        assert_eq!(wanted, Wanted { travel_date: "深 a".into(), adults: Some(2) });
    }

    #[test]
    fn a_wrong_unknown_or_missing_parameter_is_named() {
        assert_eq!(field("travelDate=x&adults=two"), "adults");
        assert_eq!(field("travelDate=x&adults=-1"), "adults");
        assert_eq!(field("travelDate=x&adults="), "adults");
        assert_eq!(field("travelDate=x&adlts=2"), "adlts");
        assert_eq!(field("adults=2"), "travelDate");
        assert!(parse_query::<Wanted>("travelDate=x&travelDate=y").is_err());
    }

    #[test]
    fn a_page_has_1_to_100_entries_and_a_cursor_comes_back_as_it_was() {
        assert_eq!(page_limit(None), Ok(20));
        assert_eq!(page_limit(Some(100)), Ok(100));
        assert!(page_limit(Some(0)).is_err() && page_limit(Some(101)).is_err());
        assert_eq!(read_cursor::<u32>(Some(&write_cursor(7))), Ok(Some(7)));
        assert_eq!(read_cursor::<u32>(None), Ok(None));
        for cursor in ["", "7", "MTp4", "ÿ"] {
            assert!(read_cursor::<u32>(Some(cursor)).is_err(), "{cursor}");
        }
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
