//! A table and its row: which field stands in which column, said once for both directions.

use std::collections::HashMap;
use std::hash::Hash;

use tokio_postgres::{Column, Row};

use super::codec::{Failure, Values};

/// A row type with a table of its own.
pub(super) trait Table: Sized {
    /// The file under `sql/queries` that upserts rows, and what it says. It takes one array per column.
    const UPSERT: (&'static str, &'static str);
    /// Names of the columns, in the order of the statement's parameters.
    const COLUMNS: &'static [&'static str];
    /// The primary key.
    type Key<'a>: Eq + Hash
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;
    fn version(&self) -> u64;
    /// One empty array per column.
    fn empty() -> Vec<Values>;
    /// Appends this row to the arrays.
    fn put(&self, columns: &mut [Values]) -> Result<(), Failure>;
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

/// `Row: "project/….sql", key (field: type, …) { field: Column, field as "column": Column, … }`, with every field of the
/// row, in the order of the statement's parameters.
macro_rules! table {
    (
        $row:ident: $path:literal, key ($($key:ident: $key_type:ty),+) {
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

            fn empty() -> Vec<$crate::postgres::store::codec::Values> {
                vec![$($crate::postgres::store::codec::Values::new::<$column>()),+]
            }

            fn put(
                &self,
                columns: &mut [$crate::postgres::store::codec::Values],
            ) -> Result<(), $crate::postgres::store::codec::Failure> {
                let mut columns = columns.iter_mut();
                $(if let Some(column) = columns.next() {
                    column.push::<_, $column>(&self.$field)?;
                })+
                Ok(())
            }

            fn get(row: &tokio_postgres::Row, positions: &[usize]) -> Result<Self, tokio_postgres::Error> {
                let mut positions = positions.iter().copied();
                // Past the last column there is nothing: the driver says so.
                let mut next = || positions.next().unwrap_or(usize::MAX);
                Ok($row {
                    $($field: <$column as $crate::postgres::store::codec::Codec<_>>::get(row, next())?,)+
                })
            }
        }
    };
}
pub(super) use table;

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

/// The newest image of every row of a batch. Of two with the same version the later one is taken.
pub(super) fn newest<T: Table>(rows: &[T]) -> Vec<&T> {
    let mut kept: Vec<&T> = Vec::with_capacity(rows.len());
    let mut places: HashMap<T::Key<'_>, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        match places.get(&row.key()).and_then(|place| kept.get_mut(*place)) {
            Some(known) if known.version() <= row.version() => *known = row,
            Some(_) => {}
            None => {
                places.insert(row.key(), kept.len());
                kept.push(row);
            }
        }
    }
    kept
}
