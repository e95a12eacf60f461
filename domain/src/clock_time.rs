//! Minutes from midnight as `HH:MM` on the wire; times after midnight go on beyond 24:00.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockTime(pub u16);

impl FromStr for ClockTime {
    type Err = ();

    fn from_str(text: &str) -> Result<ClockTime, ()> {
        let number = |digits: &str| {
            let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| is_number).ok_or(())
        };
        let (hours, minutes) = text.split_once(':').ok_or(())?;
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if minutes < 60 { Ok(ClockTime(60 * hours + minutes)) } else { Err(()) }
    }
}

impl Serialize for ClockTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClockTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| de::Error::custom(format_args!("{text:?} is not a time as 08:05")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_digits_twice_and_may_be_after_midnight() {
        let minutes = |text: &str| text.parse().map(|ClockTime(minutes)| minutes);
        assert_eq!([minutes("08:05"), minutes("24:15"), minutes("00:00")], [Ok(485), Ok(1_455), Ok(0)]);
        for text in ["8:05", "08:60", "0805", "+8:05", "08:5", "", ":", "08:05:00"] {
            assert_eq!(minutes(text), Err(()), "{text}");
        }
        assert_eq!(serde_json::to_string(&ClockTime(1_455)).unwrap(), "\"24:15\"");
    }
}
