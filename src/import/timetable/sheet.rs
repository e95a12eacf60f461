//! One CSV file: a header and lines that know where they stand, so that every error can say so.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// Columns that say where a line comes from. They may stand in every file and are not read.
const ABOUT: [&str; 6] = ["source", "confidence", "as_of", "note", "rule", "rounding"];
/// A timetable file is text that people keep: more than this is not one.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a directory cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{file} cannot be read")]
    Read { file: &'static str, source: std::io::Error },
    #[error("{file} is not CSV")]
    Csv { file: &'static str, source: csv::Error },
    #[error("{file}: {message}")]
    File { file: &'static str, message: String },
    #[error("{file}, line {line}, column {column}: {message}")]
    Value { file: &'static str, line: u64, column: &'static str, message: String },
}

/// A file. An optional one that is not there has no lines.
pub struct Sheet {
    file: &'static str,
    pub lines: Vec<Line>,
}

/// A line below the header.
#[derive(Clone)]
pub struct Line {
    file: &'static str,
    number: u64,
    header: Arc<csv::StringRecord>,
    record: csv::StringRecord,
}

impl Sheet {
    /// Every one of these columns must be in the header.
    pub fn required(dir: &Path, file: &'static str, columns: &[&'static str]) -> Result<Sheet, ImportError> {
        Sheet::read(dir, file, columns, &[])
    }

    /// As [`Sheet::required`], with columns that may be left out.
    pub fn read(
        dir: &Path,
        file: &'static str,
        columns: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Sheet, ImportError> {
        let read = |source| ImportError::Read { file, source };
        let path = dir.join(file);
        let length = std::fs::metadata(&path).map_err(read)?.len();
        if length > FILE_BYTES_MAX {
            return Err(ImportError::File { file, message: format!("is larger than {FILE_BYTES_MAX} bytes") });
        }
        let text = std::fs::read(&path).map_err(read)?;
        Sheet::parse(file, &text, columns, optional)
    }

    /// A file that may be missing.
    pub fn if_there(
        dir: &Path,
        file: &'static str,
        columns: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Sheet, ImportError> {
        match Sheet::read(dir, file, columns, optional) {
            Err(ImportError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Sheet { file, lines: Vec::new() })
            }
            read => read,
        }
    }

    fn parse(
        file: &'static str,
        text: &[u8],
        columns: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Sheet, ImportError> {
        let csv_error = |source| ImportError::Csv { file, source };
        // Spreadsheets like to begin a file with a byte order mark.
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let header = Arc::new(reader.headers().map_err(csv_error)?.clone());
        let refuse = |message: String| Err(ImportError::File { file, message });
        if let Some(missing) = columns.iter().find(|column| !header.iter().any(|name| name == **column)) {
            return refuse(format!("column {missing} is missing"));
        }
        for (index, name) in header.iter().enumerate() {
            if !columns.contains(&name) && !optional.contains(&name) && !ABOUT.contains(&name) {
                return refuse(format!("column {name:?} is not known"));
            }
            if header.iter().take(index).any(|earlier| earlier == name) {
                return refuse(format!("column {name} is there twice"));
            }
        }
        let mut lines = Vec::new();
        for record in reader.records() {
            let record = record.map_err(csv_error)?;
            let number = record.position().map_or(0, csv::Position::line);
            lines.push(Line { file, number, header: Arc::clone(&header), record });
        }
        Ok(Sheet { file, lines })
    }

    pub fn error(&self, message: impl Into<String>) -> ImportError {
        ImportError::File { file: self.file, message: message.into() }
    }
}

impl Line {
    pub fn file(&self) -> &'static str {
        self.file
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn error(&self, column: &'static str, message: impl Into<String>) -> ImportError {
        ImportError::Value { file: self.file, line: self.number, column, message: message.into() }
    }

    /// The value, if the column is there and not empty.
    pub fn optional(&self, column: &str) -> Option<&str> {
        let index = self.header.iter().position(|name| name == column)?;
        self.record.get(index).filter(|value| !value.is_empty())
    }

    pub fn text(&self, column: &'static str) -> Result<&str, ImportError> {
        self.optional(column).ok_or_else(|| self.error(column, "is empty"))
    }

    pub fn parse<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, ImportError> {
        self.parse_text(column, self.text(column)?)
    }

    pub fn parse_optional<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<Option<T>, ImportError> {
        self.optional(column).map(|text| self.parse_text(column, text)).transpose()
    }

    /// Values between blanks.
    pub fn parse_list<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<Vec<T>, ImportError> {
        let values = self.optional(column).unwrap_or_default().split_ascii_whitespace();
        values.map(|text| self.parse_text(column, text)).collect()
    }

    /// `HH:MM` in minutes; hours may go beyond 24.
    pub fn time(&self, column: &'static str) -> Result<u16, ImportError> {
        let text = self.text(column)?;
        let minutes = text.split_once(':').and_then(|(hours, minutes)| {
            let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let (hours, minutes) = (two_digits(hours).then_some(hours)?, two_digits(minutes).then_some(minutes)?);
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            (minutes < 60).then_some(hours * 60 + minutes)
        });
        minutes.ok_or_else(|| self.error(column, format!("{text:?} is not a time as HH:MM")))
    }

    fn parse_text<T: FromStr<Err: Display>>(&self, column: &'static str, text: &str) -> Result<T, ImportError> {
        text.parse().map_err(|error: T::Err| self.error(column, format!("{text:?}: {error}")))
    }
}
