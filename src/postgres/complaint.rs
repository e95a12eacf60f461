//! What Postgres or the driver says of a failure, without what it repeats of our data. A log is read by people whom no
//! traveller's name concerns.

use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

/// Classes of states whose message speaks of the server, of its settings, or of a statement of ours, all of which hold no
/// data: connections, transactions, logins, catalogues, statements, resources, limits, the server's own state, faults.
const CLASSES_WITHOUT_DATA: [&str; 16] =
    ["08", "0A", "25", "26", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0", "XX"];

/// A failure as it may be logged. It says the state, and which table, column and constraint it is about; never a DETAIL, a
/// HINT or a CONTEXT, nor a message that may quote a value.
pub struct Complaint(pub tokio_postgres::Error);

impl Complaint {
    pub fn code(&self) -> Option<&SqlState> {
        self.0.code()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_without_data(&self.0, f)
    }
}

/// A chain of errors is printed in both ways.
impl fmt::Debug for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_without_data(&self.0, f)
    }
}

/// Without a source: that is what repeats data.
impl std::error::Error for Complaint {}

fn write_without_data(error: &tokio_postgres::Error, f: &mut impl fmt::Write) -> fmt::Result {
    if let Some(said) = error.as_db_error() {
        return write_said(said, f);
    }
    write!(f, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

fn write_said(said: &DbError, f: &mut impl fmt::Write) -> fmt::Result {
    let state = said.code().code();
    write!(f, "{} {state}", said.severity())?;
    if CLASSES_WITHOUT_DATA.iter().any(|class| state.starts_with(class)) {
        write!(f, ": {}", said.message())?;
    }
    let about = [
        ("table", said.table()),
        ("column", said.column()),
        ("type", said.datatype()),
        ("constraint", said.constraint()),
        ("in", said.routine()),
    ];
    about
        .into_iter()
        .filter_map(|(what, name)| Some((what, name?)))
        .try_for_each(|(what, name)| write!(f, ", {what} {name}"))
}

/// The same of an error that somebody else holds.
pub fn without_data(error: &tokio_postgres::Error) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_without_data(error, &mut text);
    text
}
