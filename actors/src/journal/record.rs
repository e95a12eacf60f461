//! Records and how they are written: a fixed header outside the payload (rule 23), little-endian, length first.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The number of a record in the log. The first record has 1; 0 means "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record.
    pub const NOTHING: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before this one; nothing stays nothing.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest key in bytes. Its length is one byte in the log; our longest keys (kind, tenant, UUID) stay below 100.
pub const KEY_BYTES_MAX: usize = 200;

/// The text of a key: 1 to [`KEY_BYTES_MAX`] bytes without control characters, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyText(Arc<str>);

impl KeyText {
    /// Checks the length and refuses control characters (Postgres stores no NUL).
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyTextError> {
        let text = text.as_ref();
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            return Err(KeyTextError::Length { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(KeyTextError::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Empty or longer than [`KEY_BYTES_MAX`].
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one has {bytes}")]
    Length { bytes: usize },
    /// Contains a control character.
    #[error("a key has no control characters")]
    ControlCharacter,
}

impl Deref for KeyText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for KeyText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands outside the payload, so that a reader can decide what to do before decoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordHeader {
    /// What the record is; tags are never reused.
    pub kind: u16,
    /// Version of the payload's encoding.
    pub codec: u16,
    /// The owner that decided.
    pub key: KeyText,
    /// The key's version after this record: its first record has 1.
    pub key_version: u64,
    /// Engine time in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// One decision as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Readable without knowing the payload.
    pub header: RecordHeader,
    /// Encoded by the owner, opaque here.
    pub payload: Vec<u8>,
}

/// Length, kind, codec, key version, engine time, length of the key.
const FIXED_BYTES: usize = 4 + 2 + 2 + 8 + 8 + 1;

/// The smallest record: a key of one byte and no payload.
pub(super) const RECORD_BYTES_MIN: usize = FIXED_BYTES + 1;

impl Record {
    /// Bytes this record takes in a frame.
    pub fn encoded_bytes(&self) -> usize {
        FIXED_BYTES + self.header.key.len() + self.payload.len()
    }

    /// Appends the record to a frame. The caller has checked its size against the options.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let header = &self.header;
        let following = self.encoded_bytes() - 4;
        into.extend_from_slice(&(following as u32).to_le_bytes());
        into.extend_from_slice(&header.kind.to_le_bytes());
        into.extend_from_slice(&header.codec.to_le_bytes());
        into.extend_from_slice(&header.key_version.to_le_bytes());
        into.extend_from_slice(&header.at_ms.to_le_bytes());
        into.push(header.key.len() as u8);
        into.extend_from_slice(header.key.as_bytes());
        into.extend_from_slice(&self.payload);
    }
}

/// A record of a frame whose checksum held, borrowed from the frame's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRecord<'a> {
    pub kind: u16,
    pub codec: u16,
    pub key: &'a str,
    pub key_version: u64,
    pub at_ms: i64,
    pub payload: &'a [u8],
    /// Bytes the record takes in its frame.
    pub encoded_bytes: usize,
}

/// The frame's checksum held and yet its records do not parse: written by a broken writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> RawRecord<'a> {
    /// Reads the record at the start of `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(bytes);
        let following = u32::from_le_bytes(fields.take()?) as usize;
        let mut fields = Fields(fields.0.get(..following).ok_or(Malformed)?);
        let kind = u16::from_le_bytes(fields.take()?);
        let codec = u16::from_le_bytes(fields.take()?);
        let key_version = u64::from_le_bytes(fields.take()?);
        let at_ms = i64::from_le_bytes(fields.take()?);
        let [key_bytes] = fields.take()?;
        let (key, payload) = fields.0.split_at_checked(usize::from(key_bytes)).ok_or(Malformed)?;
        let key = std::str::from_utf8(key).map_err(|_| Malformed)?;
        Ok(Self { kind, codec, key, key_version, at_ms, payload, encoded_bytes: 4 + following })
    }

    pub(super) fn header(&self) -> Result<RecordHeader, Malformed> {
        let key = KeyText::new(self.key).map_err(|_| Malformed)?;
        Ok(RecordHeader { kind: self.kind, codec: self.codec, key, key_version: self.key_version, at_ms: self.at_ms })
    }

    pub(super) fn to_record(self) -> Result<Record, Malformed> {
        Ok(Record { header: self.header()?, payload: self.payload.to_vec() })
    }
}

/// Takes fixed-size fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, payload: &[u8]) -> Record {
        let key = KeyText::new(key).unwrap();
        Record {
            header: RecordHeader { kind: 7, codec: 2, key, key_version: 41, at_ms: -5 },
            payload: payload.to_vec(),
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        for written in [record("k", b""), record("order/線路", b"abc"), record(&"x".repeat(KEY_BYTES_MAX), &[0; 999])]
        {
            let mut bytes = Vec::new();
            written.encode(&mut bytes);
            assert_eq!(bytes.len(), written.encoded_bytes());
            bytes.extend_from_slice(b"what follows");

            let read = RawRecord::parse(&bytes).unwrap();
            assert_eq!(read.encoded_bytes, written.encoded_bytes());
            assert_eq!(read.to_record().unwrap(), written);
        }
    }

    #[test]
    fn a_shortened_record_is_malformed_and_never_a_panic() {
        let mut bytes = Vec::new();
        record("order/1", b"payload").encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(RawRecord::parse(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn keys_are_short_and_printable() {
        assert_eq!(KeyText::new(""), Err(KeyTextError::Length { bytes: 0 }));
        assert_eq!(KeyText::new("x".repeat(201)), Err(KeyTextError::Length { bytes: 201 }));
        assert_eq!(KeyText::new("a\0b"), Err(KeyTextError::ControlCharacter));
        assert_eq!(KeyText::new("departure/1").unwrap().as_str(), "departure/1");
    }
}
