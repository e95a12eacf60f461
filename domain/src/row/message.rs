//! Messages in the wire format of protobuf, as far as rows need it: numbers as varints, and texts, bytes and messages with
//! their length. Fields rise by their tags.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost::encoding::{decode_key, decode_varint};

/// The bytes are not what was once written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable;

/// A field's value as it stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Raw<'a> {
    Number(u64),
    /// Also bytes, and messages within.
    Text(&'a [u8]),
}

impl<'a> Raw<'a> {
    pub fn number(self) -> Result<u64, Unreadable> {
        match self {
            Raw::Number(number) => Ok(number),
            Raw::Text(_) => Err(Unreadable),
        }
    }

    /// Appends it as a field.
    pub fn put(self, tag: u32, out: &mut Vec<u8>) {
        match self {
            Raw::Text(bytes) => write::bytes(tag, bytes, out),
            Raw::Number(number) => write::number(tag, number, out),
        }
    }

    pub fn bytes(self) -> Result<&'a [u8], Unreadable> {
        match self {
            Raw::Text(bytes) => Ok(bytes),
            Raw::Number(_) => Err(Unreadable),
        }
    }
}

/// A message that is read from its front to its end, each field by its tag.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    rest: &'a [u8],
    /// Of the last field that was passed.
    passed: u32,
}

impl<'a> Message<'a> {
    pub fn new(bytes: &'a [u8]) -> Message<'a> {
        Message { rest: bytes, passed: 0 }
    }

    /// What has not been passed yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field with its tag, whatever it is. A tag below an earlier one is an error: it would be missed by whoever
    /// asks for it.
    pub fn next_field(&mut self) -> Result<Option<(u32, Raw<'a>)>, Unreadable> {
        self.next_up_to(u32::MAX)
    }

    /// As [`Message::next_field`], unless its tag is above this one.
    fn next_up_to(&mut self, last: u32) -> Result<Option<(u32, Raw<'a>)>, Unreadable> {
        let mut rest = self.rest;
        if rest.is_empty() {
            return Ok(None);
        }
        let (tag, wire) = decode_key(&mut rest).map_err(|_| Unreadable)?;
        if tag < self.passed {
            return Err(Unreadable);
        }
        if tag > last {
            return Ok(None);
        }
        let raw = match wire {
            WireType::Varint => Raw::Number(decode_varint(&mut rest).map_err(|_| Unreadable)?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut rest).ok().and_then(|length| usize::try_from(length).ok());
                let (bytes, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or(Unreadable)?;
                rest = after;
                Raw::Text(bytes)
            }
            WireType::SixtyFourBit | WireType::StartGroup | WireType::EndGroup | WireType::ThirtyTwoBit => {
                return Err(Unreadable);
            }
        };
        (self.rest, self.passed) = (rest, tag);
        Ok(Some((tag, raw)))
    }

    /// The value under a tag. Tags have to be asked for in rising order; those in between are passed, because an older
    /// release may have written them.
    pub fn take(&mut self, tag: u32) -> Result<Option<Raw<'a>>, Unreadable> {
        let mut found = None;
        while let Some((next, raw)) = self.next_up_to(tag)? {
            if next == tag {
                found = Some(raw);
            }
        }
        Ok(found)
    }

    /// All fields under a tag, as they stand there.
    pub fn take_all(&mut self, tag: u32) -> Result<&'a [u8], Unreadable> {
        while self.next_up_to(tag - 1)?.is_some() {}
        let begin = self.rest;
        while self.next_up_to(tag)?.is_some() {}
        begin.get(..begin.len() - self.rest.len()).ok_or(Unreadable)
    }

    /// As [`Message::take`], of a number.
    pub fn number(&mut self, tag: u32) -> Result<Option<u64>, Unreadable> {
        self.take(tag)?.map(Raw::number).transpose()
    }

    /// As [`Message::take`], of bytes.
    pub fn bytes(&mut self, tag: u32) -> Result<Option<&'a [u8]>, Unreadable> {
        self.take(tag)?.map(Raw::bytes).transpose()
    }

    /// What is left can be read, too.
    pub fn finish(mut self) -> Result<(), Unreadable> {
        while self.next_field()?.is_some() {}
        Ok(())
    }
}

/// The way into a message.
pub mod write {
    use std::fmt::Display;
    use std::io::Write as _;

    use super::{WireType, encode_key, encode_varint};

    pub fn number(tag: u32, number: u64, out: &mut Vec<u8>) {
        encode_key(tag, WireType::Varint, out);
        encode_varint(number, out);
    }

    pub fn bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }

    /// A text that is not there yet.
    pub fn shown(tag: u32, value: &impl Display, out: &mut Vec<u8>) {
        within(tag, out, |out| {
            // Writing into memory does not fail.
            let _ = write!(out, "{value}");
        });
    }

    /// What `write` appends, with its length before it.
    pub fn within(tag: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        encode_key(tag, WireType::LengthDelimited, out);
        let start = out.len();
        out.push(0);
        write(out);
        let length = out.len() - start - 1;
        if let (Ok(byte @ 0..128), Some(slot)) = (u8::try_from(length), out.get_mut(start)) {
            // Almost always: the length fits the byte that was kept for it.
            *slot = byte;
            return;
        }
        let mut digits = Vec::with_capacity(4);
        encode_varint(length as u64, &mut digits);
        out.splice(start..=start, digits);
    }
}
