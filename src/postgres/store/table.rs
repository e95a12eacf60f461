//! A table and its row: which field stands in which column, said once for all directions.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::BytesMut;
use tokio_postgres::types::Type;
use tokio_postgres::{Column, Row};

use super::codec::Failure;

/// A row type with a table of its own.
pub(super) trait Table: Sized {
    /// The file under `sql/queries` that upserts rows, and what it says. It takes an array of the table's rows.
    const UPSERT: (&'static str, &'static str);
    /// Names of the columns that a row fills.
    const COLUMNS: &'static [&'static str];
    /// The primary key.
    type Key<'a>: Eq + Hash
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;
    fn version(&self) -> u64;
    /// Whether whoever wrote the image believes that the table has no row of this key. Only a hint: it saves work when it
    /// is right.
    fn is_first(&self) -> bool;
    /// The statement that takes rows as [`Table::put`] writes them.
    fn copy() -> &'static str;
    /// Types of the columns.
    fn types() -> Vec<Type>;
    /// Appends this row as `COPY` takes it.
    fn put(&self, out: &mut BytesMut) -> Result<(), Failure>;
    /// `positions` are those of [`Table::COLUMNS`] in the row; see [`positions`].
    fn get(row: &Row, positions: &[usize]) -> Result<Self, tokio_postgres::Error>;
}

/// The text of a file under `sql/queries`.
macro_rules! sql {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries/", $path))
    };
}
pub(in crate::postgres) use sql;

/// `Row: "project/….sql", first …, key (field: type, …) { field: Column, field as "column": Column, … }`, with every field
/// of the row that is a column.
///
/// Whether an image is the first of its row: `marked` by the row's own field `first`; `always`, because the table is only
/// ever added to; `unknown`.
macro_rules! table {
    (
        $row:ident: $path:literal, first $first:ident, key ($($key:ident: $key_type:ty),+) {
            $($field:ident $(as $name:literal)?: $column:ty,)+
        }
    ) => {
        impl $crate::postgres::store::table::Table for $row {
            const UPSERT: (&'static str, &'static str) = ($path, $crate::postgres::store::table::sql!($path));
            const COLUMNS: &'static [&'static str] =
                &[$($crate::postgres::store::table::column_name!($field $($name)?)),+];
            type Key<'a> = ($(&'a $key_type,)+);

            fn key(&self) -> Self::Key<'_> {
                ($(&self.$key,)+)
            }

            fn version(&self) -> u64 {
                self.version
            }

            fn is_first(&self) -> bool {
                $crate::postgres::store::table::is_first!($first self)
            }

            fn copy() -> &'static str {
                static TEXT: std::sync::LazyLock<String> =
                    std::sync::LazyLock::new($crate::postgres::store::table::copy_statement::<$row>);
                &TEXT
            }

            fn types() -> Vec<tokio_postgres::types::Type> {
                vec![$(<$column as $crate::postgres::store::codec::Column>::TYPE),+]
            }

            fn put(&self, out: &mut bytes::BytesMut) -> Result<(), $crate::postgres::store::codec::Failure> {
                bytes::BufMut::put_i16(out, i16::try_from(Self::COLUMNS.len())?);
                $($crate::postgres::store::codec::put_value::<_, $column>(&self.$field, out)?;)+
                Ok(())
            }

            fn get(row: &tokio_postgres::Row, positions: &[usize]) -> Result<Self, tokio_postgres::Error> {
                let mut positions = positions.iter().copied();
                // Past the last column there is nothing: the driver says so.
                let mut next = || positions.next().unwrap_or(usize::MAX);
                Ok($crate::postgres::store::table::image!($first $row {
                    $($field: <$column as $crate::postgres::store::codec::Codec<_>>::get(row, next())?,)+
                }))
            }
        }
    };
}
pub(super) use table;

macro_rules! is_first {
    (marked $row:ident) => {
        $row.first
    };
    (always $row:ident) => {
        true
    };
    (unknown $row:ident) => {
        false
    };
}
pub(super) use is_first;

/// What is read is no first image.
macro_rules! image {
    (marked $row:ident { $($fields:tt)+ }) => {
        $row { first: false, $($fields)+ }
    };
    ($first:ident $row:ident { $($fields:tt)+ }) => {
        $row { $($fields)+ }
    };
}
pub(super) use image;

macro_rules! column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}
pub(super) use column_name;

/// Where a row's columns stand in the answer of a statement. A missing one is found nowhere, and reading it is an error
/// of the driver.
pub(super) fn positions<T: Table>(columns: &[Column]) -> Vec<usize> {
    let find = |name: &&str| columns.iter().position(|column| column.name() == *name).unwrap_or(usize::MAX);
    T::COLUMNS.iter().map(find).collect()
}

/// `COPY` into the table that the upsert's file is named after.
pub(super) fn copy_statement<T: Table>() -> String {
    let table = T::UPSERT.0.trim_start_matches("project/").trim_end_matches(".sql");
    format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", T::COLUMNS.join(", "))
}

/// The newest image of a row in a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Image<'a, T> {
    pub(super) row: &'a T,
    /// Whether any of the row's images in the batch was its first.
    pub(super) first: bool,
}

/// The newest image of every row of a batch. Of two with the same version the later one is taken.
pub(super) fn newest<T: Table>(rows: &[T]) -> Vec<Image<'_, T>> {
    let mut kept: Vec<Image<'_, T>> = Vec::with_capacity(rows.len());
    let mut places: HashMap<T::Key<'_>, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        let known = places.get(&row.key()).and_then(|place| kept.get_mut(*place));
        if let Some(known) = known {
            known.first |= row.is_first();
            if known.row.version() <= row.version() {
                known.row = row;
            }
        } else {
            places.insert(row.key(), kept.len());
            kept.push(Image { row, first: row.is_first() });
        }
    }
    kept
}
