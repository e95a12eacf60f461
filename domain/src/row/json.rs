//! Rows and their parts as JSON: parts in a database's columns, whole rows for people who look at records.

use std::fmt::Display;
use std::io::Write as _;

use serde_json::Value;

use super::message::{Message, Raw, Unreadable, write};
use super::{Column, Kind, Mark, TRUE, Table};
use crate::id_text;
use crate::time::Timestamp;

/// For whom it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reader {
    /// Reads it back: an instant is a number.
    Database,
    /// An instant is a text, and hidden columns are left out.
    Person,
}

impl Table {
    /// An image as an object, for people: without its hidden columns.
    pub fn to_json(&self, image: &[u8]) -> Result<String, Unreadable> {
        let mut out = Vec::with_capacity(image.len() * 2);
        put_part(self.columns, *b"{}", image, Reader::Person, &mut out)?;
        String::from_utf8(out).map_err(|_| Unreadable)
    }
}

impl Column {
    /// Appends the column's value as a database keeps it that has no type for it.
    pub fn put_json(&self, message: &mut Message<'_>, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        put(self, message, Reader::Database, out)
    }

    /// Appends the field that such a value makes.
    pub fn take_json(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        take(self.kind, self.tag, value, out)
    }
}

/// Ends an object or a list after its last comma.
fn close(bracket: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}

fn put(column: &Column, message: &mut Message<'_>, reader: Reader, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    if column.kind.is_list() {
        return put_list(column, message.take_all(column.tag)?, reader, out);
    }
    let raw = match (message.take(column.tag)?, column.nullable) {
        (Some(raw), _) => raw,
        (None, true) => {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        (None, false) => nothing(column.kind),
    };
    put_value(column.kind, raw, reader, out)
}

/// What a field is that was not written.
fn nothing(kind: Kind) -> Raw<'static> {
    match kind {
        Kind::Flag | Kind::Small | Kind::Count | Kind::Signed | Kind::Instant => Raw::Number(0),
        Kind::Text
        | Kind::Uuid
        | Kind::Date
        | Kind::Bytes
        | Kind::Texts
        | Kind::Numbers
        | Kind::Part(_)
        | Kind::Parts(_) => Raw::Text(&[]),
    }
}

fn put_list(column: &Column, fields: &[u8], reader: Reader, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    out.push(b'[');
    let mut message = Message::new(fields);
    while let Some((_, raw)) = message.next_field()? {
        match column.kind {
            Kind::Parts(columns) if column.is(Mark::Compact) => {
                put_part(columns, *b"[]", raw.bytes()?, reader, out)?;
            }
            Kind::Numbers => {
                for number in super::Numbers::unpacked(raw.bytes()?)? {
                    write_number(number, out);
                    out.push(b',');
                }
                continue;
            }
            kind => put_value(kind, raw, reader, out)?,
        }
        out.push(b',');
    }
    close(b']', out);
    Ok(())
}

/// Several columns: with their names in braces, without them in other brackets.
fn put_part(
    columns: &[Column],
    brackets: [u8; 2],
    part: &[u8],
    reader: Reader,
    out: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let mut message = Message::new(part);
    let [opens, closes] = brackets;
    out.push(opens);
    for column in columns {
        let start = out.len();
        if opens == b'{' {
            out.push(b'"');
            out.extend_from_slice(column.name.as_bytes());
            out.extend_from_slice(b"\":");
        }
        put(column, &mut message, reader, out)?;
        out.push(b',');
        // An image without what is kept leaves it as it was: that is not the same as nothing.
        let is_left_out = column.is(Mark::Kept) && out.ends_with(b"[],");
        if reader == Reader::Person && (column.is(Mark::Hidden) || is_left_out) {
            out.truncate(start);
        }
    }
    close(closes, out);
    Ok(())
}

fn put_value(kind: Kind, raw: Raw<'_>, reader: Reader, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    match kind {
        Kind::Text | Kind::Texts | Kind::Date => {
            let text = raw.bytes()?;
            // JSON has NUL, and a database stores it: whoever then looks into the column is refused.
            if reader == Reader::Database && text.contains(&0) {
                return Err(Unreadable);
            }
            put_text(text, out)?;
        }
        Kind::Uuid => put_text(&id_text::of_bytes(raw.bytes()?).ok_or(Unreadable)?, out)?,
        Kind::Bytes => {
            out.push(b'"');
            raw.bytes()?.iter().for_each(|byte| write_text(format_args!("{byte:02x}"), out));
            out.push(b'"');
        }
        Kind::Flag => write_text(format_args!("{}", raw.number()? == TRUE), out),
        Kind::Small | Kind::Count | Kind::Numbers => write_number(raw.number()?, out),
        Kind::Signed => write_number(raw.number()?.cast_signed(), out),
        Kind::Instant => {
            let ms = raw.number()?.cast_signed();
            match reader {
                Reader::Database => write_number(ms, out),
                Reader::Person => write_text(format_args!("\"{}\"", Timestamp::from_ms(ms)), out),
            }
        }
        Kind::Part(columns) | Kind::Parts(columns) => put_part(columns, *b"{}", raw.bytes()?, reader, out)?,
    }
    Ok(())
}

fn put_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
    serde_json::to_writer(out, text).map_err(|_| Unreadable)
}

fn write_number(number: impl Display, out: &mut Vec<u8>) {
    write_text(format_args!("{number}"), out);
}

fn write_text(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let _ = out.write_fmt(text);
}

fn take(kind: Kind, tag: u32, value: &Value, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let number = |number: Option<u64>| number.ok_or(Unreadable);
    match kind {
        Kind::Text | Kind::Date => write::bytes(tag, value.as_str().ok_or(Unreadable)?.as_bytes(), out),
        Kind::Flag => write::number(tag, u64::from(value.as_bool().ok_or(Unreadable)?), out),
        Kind::Small | Kind::Count => write::number(tag, number(value.as_u64())?, out),
        Kind::Signed | Kind::Instant => write::number(tag, number(value.as_i64().map(i64::cast_unsigned))?, out),
        Kind::Part(columns) => take_part(columns, tag, value, out)?,
        Kind::Texts => {
            for text in value.as_array().ok_or(Unreadable)? {
                take(Kind::Text, tag, text, out)?;
            }
        }
        Kind::Parts(columns) => {
            for part in value.as_array().ok_or(Unreadable)? {
                take_part(columns, tag, part, out)?;
            }
        }
        Kind::Numbers => {
            let numbers = value.as_array().ok_or(Unreadable)?;
            let numbers = numbers.iter().map(|number| u32::try_from(number.as_u64()?).ok());
            let numbers = numbers.collect::<Option<Vec<u32>>>().ok_or(Unreadable)?;
            super::Field::put(&super::Numbers(numbers), tag, out);
        }
        Kind::Bytes => write::bytes(tag, &bytes_of(value).ok_or(Unreadable)?, out),
        // No part of a row has ids in it that are not texts.
        Kind::Uuid => return Err(Unreadable),
    }
    Ok(())
}

/// From two digits a byte.
fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    let (pairs, rest) = value.as_str()?.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// From an object, or a list of the same values in their order.
fn take_part(columns: &[Column], tag: u32, value: &Value, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut part = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let field = match value {
            Value::Object(fields) => fields.get(column.name),
            Value::Array(fields) => fields.get(place),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(Unreadable),
        };
        match field {
            None | Some(Value::Null) if column.nullable => {}
            None => return Err(Unreadable),
            Some(field) => take(column.kind, column.tag, field, &mut part)?,
        }
    }
    write::bytes(tag, &part, out);
    Ok(())
}
