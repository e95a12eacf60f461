//! Texts that are cut open where numbers and lists go. The text comes from serialising views: they alone say what an answer
//! looks like.

use serde::Serialize;

/// Digits of the largest number of seats or units.
const NUMBER_DIGITS_MAX: usize = 10;

/// Two ends of a text with a gap in between.
#[derive(Debug)]
pub struct Around {
    pub before: Box<str>,
    pub after: Box<str>,
}

impl Around {
    /// Cuts a text at the value of a field. Quotes inside of strings are escaped, so nothing but a field's name reads
    /// like one.
    pub fn value(text: &str, name: &str, value: &str) -> Around {
        let field = format!("\"{name}\":");
        let cut = text.split_once(&field).and_then(|(before, rest)| Some((before, rest.strip_prefix(value)?)));
        let (before, after) = cut.unwrap_or_else(|| unreachable!("{text} has {field}{value}"));
        Around { before: format!("{before}{field}").into(), after: after.into() }
    }

    /// Cuts a text inside of an empty list.
    pub fn list(text: &str, name: &str) -> Around {
        let Around { before, after } = Around::value(text, name, "[]");
        Around { before: format!("{before}[").into(), after: format!("]{after}").into() }
    }

    /// Of the longest text around a number.
    pub fn len(&self) -> usize {
        self.before.len() + NUMBER_DIGITS_MAX + self.after.len()
    }

    pub fn write(&self, answer: &mut String, number: impl itoa::Integer) {
        answer.push_str(&self.before);
        answer.push_str(itoa::Buffer::new().format(number));
        answer.push_str(&self.after);
    }
}

pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("a view has names and numbers only: {error}"))
}

/// Before each of several but the first.
pub fn comma(answer: &mut String, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        answer.push(',');
    }
}
