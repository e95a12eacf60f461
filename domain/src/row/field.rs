//! Which types a field of a row can have, and how each of them stands in a message. A value that is the default of its
//! kind is not written; one that may be absent is written whenever it is there.

use std::marker::PhantomData;
use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};

use super::message::{Message, Raw, Unreadable, write};
use super::{Kind, TRUE};
use crate::time::Timestamp;

/// A type of fields: one value, one that may be absent, or many.
pub trait Field<'a>: Sized {
    const KIND: Kind;
    const NULLABLE: bool = false;

    fn put(&self, tag: u32, out: &mut Vec<u8>);

    fn get(message: &mut Message<'a>, tag: u32) -> Result<Self, Unreadable>;
}

/// A type of values.
pub trait Element<'a>: PartialEq + Sized {
    const ONE: Kind;
    /// Nothing has several hashes or flags: those say what they are.
    const MANY: Kind = Self::ONE;

    /// Whether it need not be written where it cannot be absent.
    fn is_default(&self) -> bool {
        Self::absent().is_ok_and(|absent| *self == absent)
    }

    fn put_one(&self, tag: u32, out: &mut Vec<u8>);

    fn get_one(raw: Raw<'a>) -> Result<Self, Unreadable>;

    /// What it is when it was not written.
    fn absent() -> Result<Self, Unreadable> {
        Err(Unreadable)
    }
}

impl<'a, T: Element<'a>> Field<'a> for T {
    const KIND: Kind = T::ONE;

    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.is_default() {
            self.put_one(tag, out);
        }
    }

    fn get(message: &mut Message<'a>, tag: u32) -> Result<Self, Unreadable> {
        message.take(tag)?.map_or_else(T::absent, T::get_one)
    }
}

impl<'a, T: Element<'a>> Field<'a> for Option<T> {
    const KIND: Kind = T::ONE;
    const NULLABLE: bool = true;

    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put_one(tag, out);
        }
    }

    fn get(message: &mut Message<'a>, tag: u32) -> Result<Self, Unreadable> {
        message.take(tag)?.map(T::get_one).transpose()
    }
}

/// Several values. Written from a slice; read, each is made when it is asked for.
#[derive(Debug)]
pub enum List<'a, T> {
    Of(&'a [T]),
    /// As they stand in a message.
    Stored(&'a [u8], PhantomData<T>),
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'a, T: Element<'a> + Clone> List<'a, T> {
    /// Stored values that cannot be read are not found here, but when the row is: see [`Field::get`].
    pub fn to_vec(self) -> Vec<T> {
        match self {
            List::Of(values) => values.to_vec(),
            List::Stored(bytes, _) => stored(bytes).filter_map(Result::ok).collect(),
        }
    }
}

impl<'a, T: Element<'a> + Clone + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_vec() == other.to_vec()
    }
}

fn stored<'a, T: Element<'a>>(bytes: &'a [u8]) -> impl Iterator<Item = Result<T, Unreadable>> {
    let mut message = Message::new(bytes);
    std::iter::from_fn(move || message.next_field().transpose().map(|field| T::get_one(field?.1)))
}

impl<'a, T: Element<'a>> Field<'a> for List<'a, T> {
    const KIND: Kind = T::MANY;

    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        match self {
            List::Of(values) => values.iter().for_each(|value| value.put_one(tag, out)),
            List::Stored(bytes, _) => {
                let mut message = Message::new(bytes);
                while let Ok(Some((_, raw))) = message.next_field() {
                    raw.put(tag, out);
                }
            }
        }
    }

    fn get(message: &mut Message<'a>, tag: u32) -> Result<Self, Unreadable> {
        let bytes = message.take_all(tag)?;
        for value in stored::<T>(bytes) {
            value?;
        }
        Ok(List::Stored(bytes, PhantomData))
    }
}

impl<'a, T: Element<'a>> Field<'a> for Vec<T> {
    const KIND: Kind = T::MANY;

    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        for value in self {
            value.put_one(tag, out);
        }
    }

    fn get(message: &mut Message<'a>, tag: u32) -> Result<Self, Unreadable> {
        stored(message.take_all(tag)?).collect()
    }
}

/// An id as its 16 bytes. Where a row is not written by the million, ids stand as texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uuid<T>(pub T);

/// Several small numbers, packed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Numbers(pub Vec<u32>);

impl Field<'_> for Numbers {
    const KIND: Kind = Kind::Numbers;

    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            write::within(tag, out, |out| self.0.iter().for_each(|number| encode_varint(u64::from(*number), out)));
        }
    }

    fn get(message: &mut Message<'_>, tag: u32) -> Result<Self, Unreadable> {
        Numbers::unpacked(message.bytes(tag)?.unwrap_or_default()).map(Numbers)
    }
}

impl Numbers {
    pub(super) fn unpacked(mut packed: &[u8]) -> Result<Vec<u32>, Unreadable> {
        let mut numbers = Vec::new();
        while !packed.is_empty() {
            let number = decode_varint(&mut packed).map_err(|_| Unreadable)?;
            numbers.push(u32::try_from(number).map_err(|_| Unreadable)?);
        }
        Ok(numbers)
    }
}

impl<'a> Element<'a> for &'a str {
    const ONE: Kind = Kind::Text;
    const MANY: Kind = Kind::Texts;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::bytes(tag, self.as_bytes(), out);
    }

    fn get_one(raw: Raw<'a>) -> Result<Self, Unreadable> {
        std::str::from_utf8(raw.bytes()?).map_err(|_| Unreadable)
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok("")
    }
}

impl<'a> Element<'a> for &'a [u8] {
    const ONE: Kind = Kind::Bytes;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::bytes(tag, self, out);
    }

    fn get_one(raw: Raw<'a>) -> Result<Self, Unreadable> {
        raw.bytes()
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok(&[])
    }
}

/// A hash.
impl Element<'_> for [u8; 32] {
    const ONE: Kind = Kind::Bytes;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::bytes(tag, self, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        raw.bytes()?.try_into().map_err(|_| Unreadable)
    }
}

impl Element<'_> for bool {
    const ONE: Kind = Kind::Flag;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::number(tag, u64::from(*self), out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        Ok(raw.number()? == TRUE)
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok(false)
    }
}

impl Element<'_> for i64 {
    const ONE: Kind = Kind::Signed;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::number(tag, self.cast_unsigned(), out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        Ok(raw.number()?.cast_signed())
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok(0)
    }
}

impl Element<'_> for Timestamp {
    const ONE: Kind = Kind::Instant;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        self.as_ms().put_one(tag, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        i64::get_one(raw).map(Timestamp::from_ms)
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok(Timestamp::from_ms(0))
    }
}

/// Implements [`Element`] for numbers that are never negative.
macro_rules! unsigned {
    ($($type:ty: $one:ident, $many:ident;)+) => {
        $(impl Element<'_> for $type {
            const ONE: Kind = Kind::$one;
            const MANY: Kind = Kind::$many;

            fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
                write::number(tag, u64::from(*self), out);
            }

            fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
                raw.number()?.try_into().map_err(|_| Unreadable)
            }

            fn absent() -> Result<Self, Unreadable> {
                Ok(0)
            }
        })+
    };
}

unsigned! {
    u8: Small, Numbers;
    u16: Small, Numbers;
    u32: Small, Numbers;
    u64: Count, Count;
}

/// Implements [`Element`](crate::row::Element) for types that have a text (`Display`), never an empty one, and are made from
/// it (`FromStr`).
macro_rules! text_fields {
    ($($type:ty: $one:ident),+ $(,)?) => {
        $(impl $crate::row::Element<'_> for $type {
            const ONE: $crate::row::Kind = $crate::row::Kind::$one;
            const MANY: $crate::row::Kind = $crate::row::Kind::Texts;

            fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::row::write::shown(tag, self, out);
            }

            fn get_one(raw: $crate::row::Raw<'_>) -> Result<Self, $crate::row::Unreadable> {
                <&str as $crate::row::Element<'_>>::get_one(raw)?.parse().map_err(|_| $crate::row::Unreadable)
            }
        })+
    };
}
pub(crate) use text_fields;

text_fields!(jiff::civil::Date: Date);

/// Implements [`Element`] for texts that are somebody's own.
macro_rules! owned_texts {
    ($($type:ty),+) => {
        $(impl Element<'_> for $type {
            const ONE: Kind = Kind::Text;
            const MANY: Kind = Kind::Texts;

            fn is_default(&self) -> bool {
                self.is_empty()
            }

            fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
                write::bytes(tag, self.as_bytes(), out);
            }

            fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
                <&str>::get_one(raw).map(Into::into)
            }

            fn absent() -> Result<Self, Unreadable> {
                Ok(<$type>::default())
            }
        })+
    };
}

owned_texts!(String, Box<str>, Arc<str>);

impl Element<'_> for Box<[u8]> {
    const ONE: Kind = Kind::Bytes;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::bytes(tag, self, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        raw.bytes().map(Into::into)
    }

    fn absent() -> Result<Self, Unreadable> {
        Ok(Box::default())
    }
}
