//! What several kinds of configuration must be like. Every refusal names the field as it is called on the wire.

use std::fmt::Display;

use jiff::civil::Date;

use super::{Marks, Names};
use crate::rejection::{Rejection, ensure};
use crate::text;

/// Longest name, in bytes: fits a screen and an index entry.
pub const NAME_LEN_MAX: usize = 200;
const MARKS_MAX: usize = 16;
/// Dates in one list (holidays, blackout, exceptions): several years of them.
pub const DATES_MAX: usize = 3_000;

pub fn unknown(field: impl Into<String>, code: &dyn Display) -> Rejection {
    Rejection::field(field.into(), format!("{code} is not known"))
}

/// What has this code, which is named in `field`.
pub fn known<T>(found: Option<T>, field: impl Into<String>, code: &dyn Display) -> Result<T, Rejection> {
    found.ok_or_else(|| unknown(field, code))
}

/// Something to read on one line: not empty, not too long, no control characters.
pub fn line(field: &str, line: &str) -> Result<(), Rejection> {
    ensure(!text::is_blank(line), field, "is empty")?;
    ensure(line.len() <= NAME_LEN_MAX, field, "is too long")?;
    ensure(!text::has_controls(line), field, "has control characters")
}

/// Both names of what is called so in `field`.
pub fn names(field: &str, names: &Names) -> Result<(), Rejection> {
    line(&format!("{field}.zh"), &names.zh)?;
    line(&format!("{field}.en"), &names.en)
}

pub fn marks(marks: &Marks) -> Result<(), Rejection> {
    ensure(marks.len() <= MARKS_MAX, "marks", "are too many")?;
    marks.iter().try_for_each(|mark| line("marks", mark))
}

/// Years of four digits, and room beyond them: nothing that is sold is far from them.
pub const YEARS: std::ops::RangeInclusive<i16> = 1970..=9000;

/// Dates with years of four digits: they are part of departure ids.
pub fn dates(field: &str, dates: impl ExactSizeIterator<Item = Date>) -> Result<(), Rejection> {
    ensure(dates.len() <= DATES_MAX, field, "are too many dates")?;
    dates.into_iter().try_for_each(|date| ensure(YEARS.contains(&date.year()), field, "is out of range"))
}
