//! Rows on their way to Postgres: as a stream for `COPY`, or as the one parameter of an upsert.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{Field, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::codec::{Failure, LENGTH, NULL};
use super::table::Table;

/// New rows of one table, ready to be sent.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) sql: &'static str,
    /// The whole stream.
    pub(super) rows: Bytes,
}

/// Rows of one table of which some may be there already, ready to be sent.
#[derive(Debug)]
pub(super) struct Upsert {
    pub(super) sql: &'static str,
    pub(super) rows: RowArray,
}

/// An array of a table's rows. One parameter costs Postgres a third less than one array per column, which it would have to
/// put together again, row by row.
#[derive(Debug)]
pub(super) struct RowArray {
    columns: &'static [&'static str],
    types: Vec<Type>,
    count: i32,
    /// As [`Table::put`] writes them.
    rows: Bytes,
}

/// What every binary `COPY` begins with: a signature, no flags, no extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Instead of a row's number of fields: the end.
const COPY_END: i16 = -1;
/// What most rows take at least; the buffer grows from there.
const ROW_BYTES: usize = 256;

/// Bytes of a row's number of fields.
const FIELDS: usize = 2;

const DIMENSIONS: i32 = 1;
const NO_NULLS: i32 = 0;
/// Arrays count from 1.
const LOWER_BOUND: i32 = 1;

impl Copy {
    pub(super) fn of<'a, T: Table + 'a>(rows: impl ExactSizeIterator<Item = &'a T>) -> Result<Copy, Failure> {
        let mut out = BytesMut::with_capacity(rows.len() * ROW_BYTES);
        out.put_slice(COPY_HEADER);
        for row in rows {
            row.put(&mut out)?;
        }
        out.put_i16(COPY_END);
        Ok(Copy { sql: T::copy(), rows: out.freeze() })
    }
}

impl Upsert {
    pub(super) fn of<'a, T: Table + 'a>(rows: impl ExactSizeIterator<Item = &'a T>) -> Result<Upsert, Failure> {
        let count = i32::try_from(rows.len())?;
        let mut out = BytesMut::with_capacity(rows.len() * ROW_BYTES);
        for row in rows {
            row.put(&mut out)?;
        }
        let rows = RowArray { columns: T::COLUMNS, types: T::types(), count, rows: out.freeze() };
        Ok(Upsert { sql: T::UPSERT.1, rows })
    }
}

impl RowArray {
    /// For each column of the table, in its order, where it stands in our rows; not all of a table's are ours.
    fn places(&self, fields: &[Field]) -> Result<Vec<Option<usize>>, Failure> {
        let place = |field: &Field| {
            let place = self.columns.iter().position(|column| *column == field.name());
            match place.and_then(|place| self.types.get(place)) {
                Some(ours) if ours != field.type_() => {
                    Err(format!("column {} is {}, the rows hold {ours}", field.name(), field.type_()).into())
                }
                _ => Ok(place),
            }
        };
        let places = fields.iter().map(place).collect::<Result<Vec<_>, Failure>>()?;
        if places.iter().flatten().count() == self.columns.len() {
            return Ok(places);
        }
        Err(format!("the table lacks one of {}", self.columns.join(", ")).into())
    }
}

/// Splits so many bytes off.
fn split<'a>(rows: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], Failure> {
    let (head, rest) = rows.split_at_checked(bytes).ok_or("a row ends early")?;
    *rows = rest;
    Ok(head)
}

/// The next field of a row, with its length before it.
fn next_field<'a>(rows: &mut &'a [u8]) -> Result<&'a [u8], Failure> {
    let length = rows.first_chunk().map_or(NULL, |length| i32::from_be_bytes(*length));
    split(rows, LENGTH + usize::try_from(length).unwrap_or(0))
}

impl ToSql for RowArray {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        let Kind::Array(row) = ty.kind() else { return Err(format!("{ty} is no array").into()) };
        let Kind::Composite(fields) = row.kind() else { return Err(format!("{row} is no row").into()) };
        let places = self.places(fields)?;
        out.reserve(self.rows.len() + self.count as usize * (LENGTH + fields.len() * LENGTH));
        out.put_i32(DIMENSIONS);
        out.put_i32(NO_NULLS);
        out.put_u32(row.oid());
        out.put_i32(self.count);
        out.put_i32(LOWER_BOUND);
        let mut rows: &[u8] = &self.rows;
        let mut ours: Vec<&[u8]> = Vec::with_capacity(self.columns.len());
        for _ in 0..self.count {
            ours.clear();
            split(&mut rows, FIELDS)?;
            for _ in self.columns {
                ours.push(next_field(&mut rows)?);
            }
            let start = out.len();
            out.put_i32(0);
            out.put_i32(i32::try_from(fields.len())?);
            for (field, place) in fields.iter().zip(&places) {
                out.put_u32(field.type_().oid());
                match place.and_then(|place| ours.get(place)) {
                    Some(value) => out.extend_from_slice(value),
                    None => out.put_i32(NULL),
                }
            }
            let length = i32::try_from(out.len() - start - LENGTH)?;
            if let Some(slot) = out.get_mut(start..start + LENGTH) {
                slot.copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
