//! How a code's bytes lie (`docs/codes.md` says it for those who build gates). Everything before the sealed part is
//! authenticated with it; everything before the signature is signed.
//!
//! ```text
//! layout 1 │ kind 1 │ key version 4 │ nonce 12 │ issued 4 │ from 4 │ until 4        every code
//! reference 8 │ scope 8 │ signature 64                                              a ticket's: the part for gates
//! sealed (order 16 │ number 2) │ tag 16                                             every code
//! ```

use super::{CODE_PREFIX, CODE_TEXT_LEN_MAX, CodeKind, base45};
use crate::sealing::{NONCE_LEN, TAG_LEN};
use crate::time::Timestamp;

/// An order's or an item's code: nothing in it can be verified without the network.
const LAYOUT_ORDER: u8 = 2;
/// A ticket's code, with a pass.
const LAYOUT_TICKET: u8 = 3;

/// Up to the window's end.
pub(super) const HEADER_LEN: usize = 1 + 1 + 4 + NONCE_LEN + 3 * 4;
pub(super) const REFERENCE_LEN: usize = 8;
pub(super) const SCOPE_LEN: usize = 8;
/// Up to the signature.
pub(super) const SIGNED_LEN: usize = HEADER_LEN + REFERENCE_LEN + SCOPE_LEN;
pub(super) const SIGNATURE_LEN: usize = 64;
/// Order, and in a ticket's code the ticket's number; otherwise 0, or an item's number from 1.
pub(super) const SECRET_LEN: usize = 16 + 2;

const ORDER_CODE_LEN: usize = HEADER_LEN + SECRET_LEN + TAG_LEN;
const TICKET_CODE_LEN: usize = SIGNED_LEN + SIGNATURE_LEN + SECRET_LEN + TAG_LEN;
// Even: then base45 has exactly one text for it and does not end in a space, which scanners trim.
const _: () = assert!(ORDER_CODE_LEN.is_multiple_of(2) && TICKET_CODE_LEN.is_multiple_of(2));

/// Characters of an order's code: a QR symbol of version 5 (37 × 37) holds 122 at level M.
pub const ORDER_CODE_TEXT_LEN: usize = CODE_PREFIX.len() + ORDER_CODE_LEN / 2 * 3;
/// Characters of a ticket's code: a QR symbol of version 8 (49 × 49) holds 221 at level M.
pub const TICKET_CODE_TEXT_LEN: usize = CODE_PREFIX.len() + TICKET_CODE_LEN / 2 * 3;
const _: () = assert!(TICKET_CODE_TEXT_LEN <= CODE_TEXT_LEN_MAX);

/// What every code says to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub is_ticket: bool,
    pub kind: CodeKind,
    pub version: u32,
    pub nonce: [u8; NONCE_LEN],
    pub issued_at: Timestamp,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Header {
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TICKET_CODE_LEN);
        bytes.push(if self.is_ticket { LAYOUT_TICKET } else { LAYOUT_ORDER });
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.nonce);
        for at in [self.issued_at, self.from, self.until] {
            bytes.extend_from_slice(&seconds(at).to_be_bytes());
        }
        bytes
    }

    /// The header of bytes that are as long as their layout says.
    pub fn read(code: &[u8]) -> Option<Header> {
        let (layout, rest) = code.split_first()?;
        let (kind, rest) = rest.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (issued_at, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let until = rest.first_chunk()?;
        let is_ticket = match *layout {
            LAYOUT_TICKET if code.len() == TICKET_CODE_LEN => true,
            LAYOUT_ORDER if code.len() == ORDER_CODE_LEN => false,
            _ => return None,
        };
        let kind = [CodeKind::OneTime, CodeKind::Print].into_iter().find(|known| *known as u8 == *kind)?;
        let at = |bytes: &[u8; 4]| Timestamp::from_seconds(i64::from(u32::from_be_bytes(*bytes)));
        Some(Header {
            is_ticket,
            kind,
            version: u32::from_be_bytes(*version),
            nonce: *nonce,
            issued_at: at(issued_at),
            from: at(from),
            until: at(until),
        })
    }

    /// Bytes before the sealed part.
    pub fn clear_len(&self) -> usize {
        if self.is_ticket { SIGNED_LEN + SIGNATURE_LEN } else { HEADER_LEN }
    }
}

/// Whole seconds as codes say them, until the year 2106; what lies outside is clamped.
fn seconds(at: Timestamp) -> u32 {
    at.as_seconds().clamp(0, i64::from(u32::MAX)) as u32
}

pub(super) fn to_text(code: &[u8]) -> String {
    let mut text = Vec::with_capacity(CODE_TEXT_LEN_MAX);
    text.extend_from_slice(CODE_PREFIX.as_bytes());
    base45::encode(code, &mut text);
    let Ok(text) = String::from_utf8(text) else { unreachable!("the digits are ASCII") };
    text
}

/// The bytes of a code as it was scanned. Scanners end a line, and some send a tab or blanks, before it or after it; a code
/// neither begins nor ends with one.
pub(super) fn from_text(scanned: &str) -> Option<Vec<u8>> {
    let text = scanned.trim_ascii();
    if text.len() > CODE_TEXT_LEN_MAX {
        return None;
    }
    base45::decode(text.strip_prefix(CODE_PREFIX)?.as_bytes())
}
