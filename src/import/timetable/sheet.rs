//! One CSV file: a header and lines that know where they stand, so that every error can say so.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use deeptravel_domain::clock_time::ClockTime;

/// Columns that say where a line comes from. They may stand in every file and are not read.
const ABOUT: [&str; 6] = ["source", "confidence", "as_of", "note", "rule", "rounding"];
/// A timetable file is text that people keep: more than this is not one.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A line below the header.
#[derive(Clone)]
pub struct Line {
    pub file: &'static str,
    /// From 1, the header included.
    pub number: u64,
    header: Arc<csv::StringRecord>,
    record: csv::StringRecord,
}

/// The lines of a file. Its header must have every one of `columns`, and may have those of `optional`.
pub fn lines(dir: &Path, file: &'static str, columns: &[&str], optional: &[&str]) -> anyhow::Result<Vec<Line>> {
    let path = dir.join(file);
    let unread = || format!("{file} cannot be read");
    let length = std::fs::metadata(&path).with_context(unread)?.len();
    ensure!(length <= FILE_BYTES_MAX, "{file}: is larger than {FILE_BYTES_MAX} bytes");
    let text = std::fs::read(&path).with_context(unread)?;

    let not_csv = || format!("{file} is not CSV");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_slice());
    let header = Arc::new(reader.headers().with_context(not_csv)?.clone());
    for column in columns {
        ensure!(header.iter().any(|name| name == *column), "{file}: column {column} is missing");
    }
    for (index, name) in header.iter().enumerate() {
        let is_known = [columns, optional, &ABOUT].iter().any(|known| known.contains(&name));
        ensure!(is_known, "{file}: column {name:?} is not known");
        ensure!(header.iter().take(index).all(|earlier| earlier != name), "{file}: column {name} is there twice");
    }
    let line = |record: csv::Result<csv::StringRecord>| {
        let record = record.with_context(not_csv)?;
        let number = record.position().map_or(0, csv::Position::line);
        Ok(Line { file, number, header: Arc::clone(&header), record })
    };
    reader.records().map(line).collect()
}

/// As [`lines`], of a file that may be missing.
pub fn lines_if_any(dir: &Path, file: &'static str, columns: &[&str], optional: &[&str]) -> anyhow::Result<Vec<Line>> {
    match dir.join(file).try_exists() {
        Ok(false) => Ok(Vec::new()),
        Ok(true) | Err(_) => lines(dir, file, columns, optional),
    }
}

impl Line {
    pub fn error(&self, column: &str, message: impl Display) -> anyhow::Error {
        anyhow!("{}, line {}, column {column}: {message}", self.file, self.number)
    }

    /// The value, if the column is there and not empty.
    pub fn optional(&self, column: &str) -> Option<&str> {
        let index = self.header.iter().position(|name| name == column)?;
        self.record.get(index).filter(|value| !value.is_empty())
    }

    pub fn text(&self, column: &str) -> anyhow::Result<&str> {
        self.optional(column).ok_or_else(|| self.error(column, "is empty"))
    }

    pub fn parse<T: FromStr<Err: Display>>(&self, column: &str) -> anyhow::Result<T> {
        self.parse_text(column, self.text(column)?)
    }

    pub fn parse_optional<T: FromStr<Err: Display>>(&self, column: &str) -> anyhow::Result<Option<T>> {
        self.optional(column).map(|text| self.parse_text(column, text)).transpose()
    }

    /// Values between blanks.
    pub fn parse_list<T: FromStr<Err: Display>>(&self, column: &str) -> anyhow::Result<Vec<T>> {
        let values = self.optional(column).unwrap_or_default().split_ascii_whitespace();
        values.map(|text| self.parse_text(column, text)).collect()
    }

    /// `HH:MM` in minutes; hours may go beyond 24.
    pub fn time(&self, column: &str) -> anyhow::Result<u16> {
        let text = self.text(column)?;
        let time = text.parse().map_err(|()| self.error(column, format_args!("{text:?} is not a time as HH:MM")))?;
        let ClockTime(minutes) = time;
        Ok(minutes)
    }

    fn parse_text<T: FromStr<Err: Display>>(&self, column: &str, text: &str) -> anyhow::Result<T> {
        text.parse().map_err(|error| self.error(column, format_args!("{text:?}: {error}")))
    }
}
