//! How a column of a row stands in Postgres: its type there, from a message into the wire format, and back. Every kind has its
//! two directions side by side.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use deeptravel_domain::row::{Column, Kind, Mark, Message, Unreadable, write};
use jiff::civil::Date;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

pub(super) type Failure = Box<dyn Error + Sync + Send>;

/// Bytes of a value's length.
pub(super) const LENGTH: usize = 4;
/// The length that stands for NULL.
pub(super) const NULL: i32 = -1;
const UUID_BYTES: usize = 16;
/// The first byte of a `jsonb` value.
const JSONB_VERSION: u8 = 1;
/// 2000-01-01T00:00:00Z, from which Postgres counts.
const POSTGRES_EPOCH_MS: i64 = 946_684_800_000;
/// Largest number of 32 bits that is no negative one.
const SMALL_MAX: u64 = i32::MAX as u64;

/// The type of a column.
pub(super) fn type_of(column: &Column) -> Type {
    match column.kind {
        Kind::Text => Type::TEXT,
        Kind::Uuid => Type::UUID,
        Kind::Date => Type::DATE,
        Kind::Bytes => Type::BYTEA,
        Kind::Flag => Type::BOOL,
        Kind::Small => Type::INT4,
        Kind::Count | Kind::Signed => Type::INT8,
        Kind::Instant => Type::TIMESTAMPTZ,
        Kind::Texts | Kind::Numbers | Kind::Part(_) | Kind::Parts(_) => {
            // Thousands of objects would take Postgres milliseconds: it keeps the text.
            let as_sent = column.is(Mark::Compact) || column.is(Mark::Json);
            if as_sent { Type::JSON } else { Type::JSONB }
        }
    }
}

fn misfit(column: &Column) -> Failure {
    format!("{} cannot be read", column.name).into()
}

/// Appends a column's value with its length before it. `json` is room for a document.
pub(super) fn put(
    column: &Column,
    message: &mut Message<'_>,
    json: &mut Vec<u8>,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    put_sized(out, |out| put_value(column, message, json, out))
        .map_err(|error| format!("{}: {error}", column.name).into())
}

/// Appends what is written with its length before it.
pub(super) fn put_sized(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<IsNull, Failure>,
) -> Result<(), Failure> {
    let start = out.len();
    out.put_i32(NULL);
    if matches!(write(out)?, IsNull::No) {
        let length = i32::try_from(out.len() - start - LENGTH)?;
        if let Some(slot) = out.get_mut(start..start + LENGTH) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

fn put_value(
    column: &Column,
    message: &mut Message<'_>,
    json: &mut Vec<u8>,
    out: &mut BytesMut,
) -> Result<IsNull, Failure> {
    let unread = |Unreadable| misfit(column);
    match column.kind {
        Kind::Text | Kind::Bytes | Kind::Date => match message.bytes(column.tag).map_err(unread)? {
            None if column.nullable => Ok(IsNull::Yes),
            None if column.kind == Kind::Date => Err(misfit(column)),
            Some(day) if column.kind == Kind::Date => {
                std::str::from_utf8(day)?.parse::<Date>()?.to_sql(&Type::DATE, out)
            }
            bytes => {
                out.put_slice(bytes.unwrap_or_default());
                Ok(IsNull::No)
            }
        },
        Kind::Uuid => match message.bytes(column.tag).map_err(unread)? {
            None if column.nullable => Ok(IsNull::Yes),
            Some(id) if id.len() == UUID_BYTES => {
                out.put_slice(id);
                Ok(IsNull::No)
            }
            None | Some(_) => Err(misfit(column)),
        },
        Kind::Flag | Kind::Small | Kind::Count | Kind::Signed | Kind::Instant => {
            let number = match message.number(column.tag).map_err(unread)? {
                None if column.nullable => return Ok(IsNull::Yes),
                number => number.unwrap_or(0),
            };
            put_number(column, number, out)
        }
        Kind::Texts | Kind::Numbers | Kind::Part(_) | Kind::Parts(_) => {
            if column.is(Mark::Kept) && message.clone().take_all(column.tag).map_err(unread)?.is_empty() {
                return Ok(IsNull::Yes);
            }
            json.clear();
            column.put_json(message, json).map_err(unread)?;
            if column.nullable && json == b"null" {
                return Ok(IsNull::Yes);
            }
            if type_of(column) == Type::JSONB {
                out.put_u8(JSONB_VERSION);
            }
            out.put_slice(json);
            Ok(IsNull::No)
        }
    }
}

fn put_number(column: &Column, number: u64, out: &mut BytesMut) -> Result<IsNull, Failure> {
    match column.kind {
        Kind::Flag => out.put_u8(u8::from(number != 0)),
        Kind::Small if number > SMALL_MAX => return Err(format!("{number} is too large").into()),
        Kind::Small => out.put_u32(number as u32),
        Kind::Count => out.put_i64(i64::try_from(number)?),
        Kind::Instant => out.put_i64(postgres_micros(number.cast_signed())?),
        Kind::Signed => out.put_i64(number.cast_signed()),
        Kind::Text
        | Kind::Uuid
        | Kind::Texts
        | Kind::Date
        | Kind::Bytes
        | Kind::Numbers
        | Kind::Part(_)
        | Kind::Parts(_) => {
            return Err(format!("{} holds no number", column.name).into());
        }
    }
    Ok(IsNull::No)
}

/// A `timestamptz` in the wire format: microseconds since 2000. An error outside of the years that can be read back.
pub(super) fn postgres_micros(unix_ms: i64) -> Result<i64, Failure> {
    jiff::Timestamp::from_millisecond(unix_ms)?;
    Ok((unix_ms - POSTGRES_EPOCH_MS) * 1_000)
}

/// Appends the field that a column's value in an answer makes. NULL makes none where that may be.
pub(super) fn take(column: &Column, value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let Some(raw) = value else {
        let may_be = column.nullable || column.is(Mark::Kept);
        return if may_be { Ok(()) } else { Err(format!("{} is NULL", column.name).into()) };
    };
    let tag = column.tag;
    match column.kind {
        Kind::Text | Kind::Uuid | Kind::Bytes => write::bytes(tag, raw, out),
        Kind::Date => write::shown(tag, &Date::from_sql(&Type::DATE, raw)?, out),
        Kind::Flag => write::number(tag, u64::from(bool::from_sql(&Type::BOOL, raw)?), out),
        Kind::Small => write::number(tag, u64::try_from(i32::from_sql(&Type::INT4, raw)?)?, out),
        Kind::Count => write::number(tag, u64::try_from(i64::from_sql(&Type::INT8, raw)?)?, out),
        Kind::Signed => write::number(tag, i64::from_sql(&Type::INT8, raw)?.cast_unsigned(), out),
        Kind::Instant => {
            let at = jiff::Timestamp::from_sql(&Type::TIMESTAMPTZ, raw)?;
            write::number(tag, at.as_millisecond().cast_unsigned(), out);
        }
        Kind::Texts | Kind::Numbers | Kind::Part(_) | Kind::Parts(_) => {
            let json = if type_of(column) == Type::JSONB { raw.get(1..).unwrap_or_default() } else { raw };
            let value = serde_json::from_slice(json)?;
            column.take_json(&value, out).map_err(|Unreadable| misfit(column))?;
        }
    }
    Ok(())
}
