//! Query strings. Unknown parameters are refused like unknown fields.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::civil::Date;
use serde::de::DeserializeOwned;

use super::extract::wrong_field;
use super::problem::Problem;

/// What is wrong with a parameter that an operation does not have.
pub const STRAY: &str = "is no parameter of this operation";

/// The name of the first parameter.
pub fn first(query: &str) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes()).next().map(|(name, _)| name)
}

/// What stands after the question mark; 422 with the parameter's name.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(parameters)
        .map_err(|error| wrong_field(&error.path().to_string(), &error.into_inner().to_string()))
}

/// A value that is one of a few words; `wrong` says what it is not.
pub fn parse_word<T: FromStr>(
    field: &'static str,
    text: Option<&str>,
    wrong: &'static str,
) -> Result<Option<T>, Problem> {
    text.map(str::parse).transpose().map_err(|_| Problem::field(field, wrong))
}

/// A date as `YYYY-MM-DD` and in no other form.
pub fn parse_date(field: impl Into<Cow<'static, str>>, text: &str) -> Result<Date, Problem> {
    let digits_and_dashes = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = digits_and_dashes.then(|| text.parse().ok()).flatten();
    date.ok_or_else(|| Problem::field(field, "is not a date like 2026-12-24"))
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
    }

    #[test]
    fn fault_16_a_repeated_parameter_is_named() {
        assert_eq!(field("travelDate=x&travelDate=y"), "travelDate");
        assert_eq!(field("travelDate=x&adults=1&adults=1"), "adults");
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
