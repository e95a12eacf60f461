//! The statements: the files under `sql/queries`, by their names.

use deeptravel_domain::row::Table;

/// Every file with its text.
pub(super) static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/statements.rs"));

/// The text of a file, named without its ending.
pub(super) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

/// The name of the statement that reads a table whole.
pub(super) fn whole(table: &Table) -> String {
    format!("load/{}", table.name)
}

/// The statement that takes new rows of a table. Only this one is made here: it says nothing but the columns.
pub(super) fn copy(table: &Table) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, columns.join(", "))
}

/// The statement that upserts rows of a table.
pub(super) fn upsert(table: &Table) -> &'static str {
    FILES.iter().find(|(file, _)| file.strip_prefix("project/") == Some(table.name)).map_or("", |(_, text)| *text)
}
