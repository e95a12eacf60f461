//! A request in its one form, so that the same request has the same hash however it is written.

use std::borrow::Cow;

use derive_more::Deref;
use serde::Deserialize;

use super::auth::sha256;

/// A string of the request, copied only when it is written with escapes.
#[derive(Debug, Deref, Deserialize)]
#[deref(forward)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// SHA-256 of a request as understood: spaces and the order of fields make no other request.
pub fn hash_of(request: &impl Canonical) -> [u8; 32] {
    let mut text = Vec::with_capacity(CANONICAL_BYTES);
    request.write(&mut text);
    sha256(&text)
}

/// Room for the canonical form of a request of some passengers. A larger one grows.
const CANONICAL_BYTES: usize = 1024;

/// Writes a part of a request in its one form. Two requests have the same form only if they are the same: what may vary in
/// length is preceded by its length, and what may be missing by whether it is there.
pub trait Canonical {
    fn write(&self, into: &mut Vec<u8>);
}

impl Canonical for Text<'_> {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&(self.len() as u64).to_be_bytes());
        into.extend_from_slice(self.as_bytes());
    }
}

impl Canonical for u8 {
    fn write(&self, into: &mut Vec<u8>) {
        into.push(*self);
    }
}

impl Canonical for u16 {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.to_be_bytes());
    }
}

impl Canonical for u32 {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.to_be_bytes());
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, into: &mut Vec<u8>) {
        into.push(u8::from(self.is_some()));
        if let Some(there) = self {
            there.write(into);
        }
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&(self.len() as u64).to_be_bytes());
        for part in self {
            part.write(into);
        }
    }
}

/// All fields of a structure, in this order. A field that is left out does not compile.
macro_rules! canonical {
    ($name:ident { $($field:ident),* }) => {
        impl $crate::api::frame::Canonical for $name<'_> {
            fn write(&self, into: &mut Vec<u8>) {
                let $name { $($field),* } = self;
                $($crate::api::frame::Canonical::write($field, into);)*
            }
        }
    };
}

pub(crate) use canonical;
