//! How a field of a row stands in a column: one marker per column type, with both directions side by side.
//!
//! A batch's rows are written in the wire format at once, from borrowed rows, so that a batch of thousands allocates per
//! table and not per value.

use std::error::Error;
use std::fmt::Debug;

use bytes::{BufMut, BytesMut};
use deeptravel_domain::inventory::rows::SeatRow;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, Json, ToSql, Type};

pub(super) type Failure = Box<dyn Error + Sync + Send>;

/// A column type.
pub(super) trait Column {
    const TYPE: Type;
}

/// A field of type `F` in such a column.
pub(super) trait Codec<F>: Column {
    /// Appends the value in the wire format.
    fn put(value: &F, out: &mut BytesMut) -> Result<IsNull, Failure>;
    fn get(row: &Row, index: usize) -> Result<F, tokio_postgres::Error>;
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $scalar:ident;)+) => {
        $(
            $(#[$doc])*
            pub(super) enum $name {}

            impl Column for $name {
                const TYPE: Type = Type::$scalar;
            }
        )+
    };
}

columns! {
    Text: TEXT;
    BigInt: INT8;
    Int: INT4;
    Bool: BOOL;
    Bytea: BYTEA;
    /// Milliseconds since the epoch in the rows.
    TimestampTz: TIMESTAMPTZ;
    /// `YYYY-MM-DD` in the rows.
    Date: DATE;
    Jsonb: JSONB;
    /// A list `[label, class, row, column]` for each seat: thousands of objects would take Postgres milliseconds.
    Seats: JSON;
}

/// A field that is the column's own value.
macro_rules! plain {
    ($($column:ty => $field:ty;)+) => {
        $(impl Codec<$field> for $column {
            fn put(value: &$field, out: &mut BytesMut) -> Result<IsNull, Failure> {
                value.to_sql(&Self::TYPE, out)
            }

            fn get(row: &Row, index: usize) -> Result<$field, tokio_postgres::Error> {
                row.try_get(index)
            }
        })+
    };
}

plain! {
    Text => String;
    Text => Option<String>;
    BigInt => i64;
    BigInt => Option<i64>;
    Bool => bool;
    Bytea => Vec<u8>;
    Bytea => Option<Vec<u8>>;
}

/// A field that stands in the column in another form, with the way there and the way back. Both may fail: then the row
/// cannot be stored, or what is stored cannot be a row.
macro_rules! converted {
    ($($column:ty => $field:ty as $stored:ty, $reader:ident: $value:ident -> $to:expr, $read:ident -> $from:expr;)+) => {
        $(
            struct $reader($field);

            impl<'a> FromSql<'a> for $reader {
                fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
                    let $read = <$stored>::from_sql(ty, raw)?;
                    Ok($reader($from))
                }

                fn accepts(ty: &Type) -> bool {
                    *ty == <$column as Column>::TYPE
                }
            }

            impl Codec<$field> for $column {
                fn put($value: &$field, out: &mut BytesMut) -> Result<IsNull, Failure> {
                    let stored: $stored = $to;
                    stored.to_sql(&Self::TYPE, out)
                }

                fn get(row: &Row, index: usize) -> Result<$field, tokio_postgres::Error> {
                    row.try_get::<_, $reader>(index).map(|read| read.0)
                }
            }

            impl Codec<Option<$field>> for $column {
                fn put(value: &Option<$field>, out: &mut BytesMut) -> Result<IsNull, Failure> {
                    value.as_ref().map_or(Ok(IsNull::Yes), |value| <$column as Codec<$field>>::put(value, out))
                }

                fn get(row: &Row, index: usize) -> Result<Option<$field>, tokio_postgres::Error> {
                    row.try_get::<_, Option<$reader>>(index).map(|read| read.map(|read| read.0))
                }
            }
        )+
    };
}

converted! {
    BigInt => u64 as i64, Unsigned: value -> i64::try_from(*value)?, read -> u64::try_from(read)?;
    Int => u32 as i32, Small: value -> i32::try_from(*value)?, read -> u32::try_from(read)?;
    TimestampTz => i64 as jiff::Timestamp, Instant:
        value -> jiff::Timestamp::from_millisecond(*value)?, read -> read.as_millisecond();
    Date => String as jiff::civil::Date, Day: value -> value.parse()?, read -> read.to_string();
}

impl<T: Serialize + DeserializeOwned + Debug> Codec<Vec<T>> for Jsonb {
    fn put(value: &Vec<T>, out: &mut BytesMut) -> Result<IsNull, Failure> {
        Json(value).to_sql(&Self::TYPE, out)
    }

    fn get(row: &Row, index: usize) -> Result<Vec<T>, tokio_postgres::Error> {
        row.try_get::<_, Json<Vec<T>>>(index).map(|json| json.0)
    }
}

impl Codec<Vec<SeatRow>> for Seats {
    fn put(value: &Vec<SeatRow>, out: &mut BytesMut) -> Result<IsNull, Failure> {
        let seats: Vec<_> = value.iter().map(|seat| (seat.label.as_str(), seat.class, seat.row, seat.column)).collect();
        Json(seats).to_sql(&Self::TYPE, out)
    }

    fn get(row: &Row, index: usize) -> Result<Vec<SeatRow>, tokio_postgres::Error> {
        let seats: Json<Vec<(String, u32, u32, u32)>> = row.try_get(index)?;
        let seat = |(label, class, row, column)| SeatRow { label, class, row, column };
        Ok(seats.0.into_iter().map(seat).collect())
    }
}

/// Appends a value with its length before it.
pub(super) fn put_value<F, C: Codec<F>>(value: &F, out: &mut BytesMut) -> Result<(), Failure> {
    let start = out.len();
    out.put_i32(NULL);
    match C::put(value, out)? {
        IsNull::Yes => out.truncate(start + LENGTH),
        IsNull::No => {
            let length = i32::try_from(out.len() - start - LENGTH)?;
            if let Some(slot) = out.get_mut(start..start + LENGTH) {
                slot.copy_from_slice(&length.to_be_bytes());
            }
        }
    }
    Ok(())
}

/// Bytes of a value's length.
pub(super) const LENGTH: usize = 4;
/// The length that stands for NULL.
pub(super) const NULL: i32 = -1;
