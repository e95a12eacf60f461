//! The codes that travellers show: encrypted, authenticated, short enough for a QR symbol that a gate reads at once
//! (R-TICKET-04). The API seals them, the gate's scan opens them; whether a ticket may be used is the order's to say.
//!
//! Text: `DT1`, then in base45 (all of it fits QR alphanumeric mode) a format byte, the key's version, the nonce, the
//! encrypted payload and the tag. All before the payload is authenticated with it. The format byte leaves room for
//! one-time codes, print codes and codes with a part that verifies without the network; they are not built yet.

use std::fmt;

use crate::ids::{OrderId, TicketId};
use crate::rejection::ScanRejection;
use crate::sealing::{KEY_LEN, KeyRing, KeyRingError, NONCE_LEN, TAG_LEN, open_in_place, seal_in_place};
use crate::time::Timestamp;

/// Every code starts so: a hardware scanner's input is told from other barcodes by it.
pub const CODE_PREFIX: &str = "DT1";

/// Longest text that is looked at as a code, in characters. A QR symbol of version 10 holds it at level Q, whatever
/// future formats add.
pub const CODE_TEXT_LEN_MAX: usize = 221;

/// Characters of a code of the only format so far: a QR symbol of version 5 holds it at level M.
pub const CODE_TEXT_LEN: usize = CODE_PREFIX.len() + CODE_LEN / 2 * 3;

/// A payload under a key of ours, valid until it expires and as often as it is shown.
const FORMAT_SEALED: u8 = 1;

/// Format, key version, nonce.
const HEADER_LEN: usize = 1 + 4 + NONCE_LEN;
/// Subject's kind, order, number of the ticket (0 for an order), issued, expires.
const PAYLOAD_LEN: usize = 1 + 16 + 2 + 8 + 8;
/// Even: then base45 has exactly one text for it and does not end in a space, which scanners trim.
const CODE_LEN: usize = HEADER_LEN + PAYLOAD_LEN + TAG_LEN;
const _: () = assert!(CODE_LEN.is_multiple_of(2) && CODE_TEXT_LEN <= CODE_TEXT_LEN_MAX);

const CODE_DOMAIN: [u8; 15] = *b"deeptravel/code";

const KIND_ORDER: u8 = 1;
const KIND_TICKET: u8 = 2;

/// The keys of codes (`secrets.code_keys_file`).
#[derive(Debug)]
pub struct CodeKeys(KeyRing);

impl CodeKeys {
    /// The highest version seals; every version opens. Errors: no key, a version twice, a key of zeros.
    pub fn new(keys: impl IntoIterator<Item = (u32, [u8; KEY_LEN])>) -> Result<CodeKeys, KeyRingError> {
        KeyRing::new(keys).map(CodeKeys)
    }
}

/// What a code stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// Every ticket of the order.
    Order(OrderId),
    Ticket(TicketId),
}

impl Subject {
    /// The order whose machine decides about it.
    pub fn order(self) -> OrderId {
        match self {
            Subject::Order(order) => order,
            Subject::Ticket(ticket) => ticket.order,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Order(order) => order.fmt(f),
            Subject::Ticket(ticket) => ticket.fmt(f),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodePayload {
    pub subject: Subject,
    pub issued_at: Timestamp,
    /// Exclusive.
    pub expires_at: Timestamp,
}

/// The text of a code, [`CODE_TEXT_LEN`] characters. `nonce` must be fresh for every call.
pub fn seal(keys: &CodeKeys, payload: &CodePayload, nonce: [u8; NONCE_LEN]) -> String {
    let (version, key) = keys.0.newest();
    let mut code = Writer::<CODE_LEN>::new();
    code.put(&[FORMAT_SEALED]);
    code.put(&version.to_be_bytes());
    code.put(&nonce);
    let mut sealed = encode(payload);
    let tag = seal_in_place(key, nonce, &associated(code.written()), &mut sealed);
    code.put(&sealed);
    code.put(&tag);

    let mut text = String::with_capacity(CODE_TEXT_LEN);
    text.push_str(CODE_PREFIX);
    text.push_str(&base45::encode(code.bytes));
    text
}

/// What a code stands for. [`ScanRejection::InvalidCode`] for anything that we did not seal exactly so, or whose key
/// is gone; [`ScanRejection::CodeExpired`] from `expires_at` on.
pub fn open(keys: &CodeKeys, text: &str, now: Timestamp) -> Result<CodePayload, ScanRejection> {
    let payload = authenticate(keys, text).ok_or(ScanRejection::InvalidCode)?;
    if now >= payload.expires_at {
        return Err(ScanRejection::CodeExpired);
    }
    Ok(payload)
}

fn authenticate(keys: &CodeKeys, text: &str) -> Option<CodePayload> {
    if text.len() > CODE_TEXT_LEN_MAX {
        return None;
    }
    let mut code = base45::decode(text.strip_prefix(CODE_PREFIX)?).ok()?;
    if code.len() != CODE_LEN {
        return None;
    }
    let (header, sealed) = code.split_first_chunk_mut::<HEADER_LEN>()?;
    let (format, rest) = header.split_first()?;
    let (version, nonce) = rest.split_first_chunk::<4>()?;
    if *format != FORMAT_SEALED {
        return None;
    }
    let key = keys.0.key(u32::from_be_bytes(*version))?;
    let opened = open_in_place(key, *nonce.first_chunk()?, &associated(header), sealed)?;
    decode(opened.first_chunk()?)
}

fn associated(header: &[u8]) -> [u8; CODE_DOMAIN.len() + HEADER_LEN] {
    let mut associated = Writer::new();
    associated.put(&CODE_DOMAIN);
    associated.put(header);
    associated.bytes
}

fn encode(payload: &CodePayload) -> [u8; PAYLOAD_LEN] {
    let (kind, order, number) = match payload.subject {
        Subject::Order(order) => (KIND_ORDER, order, 0),
        Subject::Ticket(ticket) => (KIND_TICKET, ticket.order, ticket.number),
    };
    let mut bytes = Writer::new();
    bytes.put(&[kind]);
    bytes.put(&order.bits().to_be_bytes());
    bytes.put(&number.to_be_bytes());
    bytes.put(&payload.issued_at.as_ms().to_be_bytes());
    bytes.put(&payload.expires_at.as_ms().to_be_bytes());
    bytes.bytes
}

fn decode(bytes: &[u8; PAYLOAD_LEN]) -> Option<CodePayload> {
    let (kind, rest) = bytes.split_first()?;
    let (order, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (issued_at, rest) = rest.split_first_chunk()?;
    let order = OrderId::from_bits(u128::from_be_bytes(*order));
    let number = u16::from_be_bytes(*number);
    let subject = match *kind {
        KIND_ORDER => Subject::Order(order),
        KIND_TICKET => Subject::Ticket(TicketId { order, number }),
        _ => return None,
    };
    Some(CodePayload {
        subject,
        issued_at: Timestamp::from_ms(i64::from_be_bytes(*issued_at)),
        expires_at: Timestamp::from_ms(i64::from_be_bytes(*rest.first_chunk()?)),
    })
}

/// Fills an array from the front; what does not fit is a mistake in the constants above.
struct Writer<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Writer<LEN> {
    fn new() -> Writer<LEN> {
        Writer { bytes: [0; LEN], len: 0 }
    }

    fn put(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        debug_assert!(end <= LEN, "{end} bytes do not fit {LEN}");
        if let Some(space) = self.bytes.get_mut(self.len..end) {
            space.copy_from_slice(part);
        }
        self.len = end;
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sealing::{DocumentKeys, seal_document};

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);
    const NONCE: [u8; NONCE_LEN] = [3; NONCE_LEN];

    fn keys(versions: &[u8]) -> CodeKeys {
        CodeKeys::new(versions.iter().map(|version| (u32::from(*version), [*version; KEY_LEN]))).unwrap()
    }

    fn order() -> OrderId {
        OrderId::compose(NOW, crate::ids::Shard::of(7), 42)
    }

    fn payload() -> CodePayload {
        let ticket = TicketId { order: order(), number: 2 };
        CodePayload { subject: Subject::Ticket(ticket), issued_at: NOW, expires_at: NOW.plus_seconds(60) }
    }

    #[test]
    fn r_ticket_04_a_code_says_what_it_stands_for_until_the_instant_it_expires() {
        let code = seal(&keys(&[1]), &payload(), NONCE);
        assert_eq!(open(&keys(&[1]), &code, NOW), Ok(payload()));
        assert_eq!(open(&keys(&[1]), &code, NOW.plus_ms(59_999)), Ok(payload()));
        assert_eq!(open(&keys(&[1]), &code, NOW.plus_seconds(60)), Err(ScanRejection::CodeExpired));
    }

    #[test]
    fn a_code_fits_the_alphanumeric_mode_of_a_small_symbol() {
        let code = seal(&keys(&[1]), &payload(), NONCE);
        assert_eq!(code.len(), CODE_TEXT_LEN);
        assert_eq!(CODE_TEXT_LEN, 105, "a symbol of version 5 at level M holds 122");
        assert!(code.bytes().all(|byte| base45::alphabet::TABLE.contains(&byte)));
        assert!(!code.ends_with(' '), "scanners trim");
    }

    #[test]
    fn r_ticket_04_a_code_with_any_bit_of_its_bytes_altered_is_refused() {
        let keys = keys(&[1, 2, 3]);
        let code = seal(&keys, &payload(), NONCE);
        let bytes = base45::decode(&code[CODE_PREFIX.len()..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = format!("{CODE_PREFIX}{}", base45::encode(&altered));
            assert_eq!(open(&keys, &altered, NOW), Err(ScanRejection::InvalidCode), "bit {bit}");
        }
    }

    #[test]
    fn r_ticket_04_a_code_with_any_character_replaced_dropped_or_added_is_refused() {
        let keys = keys(&[1]);
        let code = seal(&keys, &payload(), NONCE);
        for at in 0..code.len() {
            for byte in 0..=127_u8 {
                let mut altered = code.clone().into_bytes();
                altered[at] = byte;
                let altered = String::from_utf8(altered).unwrap();
                let expected = if altered == code { Ok(payload()) } else { Err(ScanRejection::InvalidCode) };
                assert_eq!(open(&keys, &altered, NOW), expected, "{altered:?}");
            }
            assert_eq!(open(&keys, &code[..at], NOW), Err(ScanRejection::InvalidCode));
            let longer = format!("{}0{}", &code[..at], &code[at..]);
            assert_eq!(open(&keys, &longer, NOW), Err(ScanRejection::InvalidCode));
        }
    }

    #[test]
    fn r_ticket_04_a_rotated_key_opens_the_codes_already_out_and_an_unknown_one_none() {
        let old = seal(&keys(&[1]), &payload(), NONCE);
        assert_eq!(open(&keys(&[1, 2]), &old, NOW), Ok(payload()));
        let new = seal(&keys(&[1, 2]), &payload(), NONCE);
        assert_eq!(open(&keys(&[1]), &new, NOW), Err(ScanRejection::InvalidCode), "the newest sealed it");
        assert_eq!(open(&keys(&[2]), &old, NOW), Err(ScanRejection::InvalidCode));
        let same_version = CodeKeys::new([(1, [99; KEY_LEN])]).unwrap();
        assert_eq!(open(&same_version, &old, NOW), Err(ScanRejection::InvalidCode));
    }

    #[test]
    fn what_was_sealed_as_a_document_under_the_same_key_is_no_code() {
        let number = "x".repeat(PAYLOAD_LEN);
        let documents = DocumentKeys::new([(1, [1; KEY_LEN])]).unwrap();
        let sealed = seal_document(&documents, "", &number, NONCE).ciphertext;
        let mut bytes = vec![FORMAT_SEALED, 0, 0, 0, 1];
        bytes.extend_from_slice(&sealed[1..]);
        let forged = format!("{CODE_PREFIX}{}", base45::encode(&bytes));
        assert_eq!(forged.len(), CODE_TEXT_LEN);
        assert_eq!(open(&keys(&[1]), &forged, NOW), Err(ScanRejection::InvalidCode));
    }

    #[test]
    fn anything_else_is_no_code() {
        let huge = format!("{CODE_PREFIX}{}", "0".repeat(100_000));
        for text in ["", "DT1", "dt1", "DT2", "https://example.org", "DT1é", "DT1\0", &huge] {
            assert_eq!(open(&keys(&[1]), text, NOW), Err(ScanRejection::InvalidCode));
        }
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(bits: u128, number: Option<u16>, issued: i64, ms in 1_i64.., nonce: [u8; NONCE_LEN]) {
            let order = OrderId::from_bits(bits);
            let subject = number.map_or(Subject::Order(order), |number| Subject::Ticket(TicketId { order, number }));
            let (issued_at, expires_at) = (Timestamp::from_ms(issued), Timestamp::from_ms(ms));
            let payload = CodePayload { subject, issued_at, expires_at };
            let code = seal(&keys(&[1]), &payload, nonce);
            prop_assert_eq!(open(&keys(&[1]), &code, expires_at.plus_ms(-1)), Ok(payload));
            prop_assert_eq!(subject.order(), order);
        }

        #[test]
        fn no_text_makes_it_stumble(text in "(DT1)?\\PC{0,120}") {
            prop_assert_eq!(open(&keys(&[1]), &text, NOW), Err(ScanRejection::InvalidCode));
        }
    }
}
