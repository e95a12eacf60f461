//! The codes that travellers show: encrypted, authenticated, short enough for a QR symbol that a gate reads at once
//! (R-TICKET-04). The API seals them, the gate's scan opens them; whether a ticket may be used is the order's to say.
//!
//! There are two kinds. A *one-time* code is for the app: it lives for a minute and redeems once; each look at the ticket
//! makes another, which needs no write. A *print* code is for paper and resellers: it lives as long as the ticket.
//! Whether a one-time code was used is read from the order's redemptions, each of which keeps the token of the code that
//! it came by ([`crate::order::Scan`]): nothing else has to be remembered, and a crash forgets none.
//!
//! Text: `DT1`, then in base45 (all of it fits QR alphanumeric mode) the bytes of `layout`. A ticket's code has, besides
//! what only the server reads, a signed part that gates verify without the network ([`verify`]). An order's code, and that of
//! an item, is for the server alone.

mod base45;
mod keys;
mod layout;
mod pass;
#[cfg(test)]
mod tests;

pub use crate::ids::CodeToken;
pub use keys::{CodeKey, CodeKeys, CodeKeysError, PUBLIC_KEY_LEN, PublicKeys};
pub use layout::{ORDER_CODE_TEXT_LEN, TICKET_CODE_TEXT_LEN};
pub use pass::{Pass, Reference, Scope, verify};

use crate::departure::Channel;
use crate::ids::{OrderId, TicketId};
use crate::rejection::ScanRejection;
use crate::sealing::{NONCE_LEN, open_in_place, seal_in_place};
use crate::ticket::Ticket;
use crate::time::Timestamp;
use layout::{Header, SECRET_LEN, SIGNED_LEN, from_text, to_text};

/// Every code starts so: a hardware scanner's input is told from other barcodes by it.
pub const CODE_PREFIX: &str = "DT1";

/// Longest text that is looked at as a code, in characters: what a QR symbol of version 8 holds at level M.
pub const CODE_TEXT_LEN_MAX: usize = 221;

/// A print code is opened for so long after its ticket's end, so that the gate hears the ticket's own reason and a
/// departure that is delayed for days still boards.
pub const PRINT_GRACE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A scan that is repeated because its answer was lost gets the same answer so long after its code has expired (R-SCAN-03):
/// an outage, and a gate that tries again.
pub const REPEAT_SECONDS: i64 = 60 * 60;

const CODE_DOMAIN: &[u8] = b"deeptravel/code";

type PublicKey = [u8; PUBLIC_KEY_LEN];

/// What a code is for, numbered as in its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CodeKind {
    /// For the app: short-lived, redeems once.
    OneTime = 1,
    /// For paper and resellers: as long as the ticket, as often as the ticket allows.
    Print = 2,
}

impl CodeKind {
    /// What a channel's travellers are shown when they ask for this kind, or for none (R-TICKET-04); `None`: not that. Who
    /// buys from us has the app; a partner's traveller has what the partner printed.
    pub fn of(channel: &Channel, asked: Option<CodeKind>) -> Option<CodeKind> {
        match (channel, asked) {
            (Channel::Direct, asked) => Some(asked.unwrap_or(CodeKind::OneTime)),
            (Channel::Ota(_), None | Some(CodeKind::Print)) => Some(CodeKind::Print),
            (Channel::Ota(_), Some(CodeKind::OneTime)) => None,
        }
    }
}

/// What a code stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// Every ticket of the order.
    Order(OrderId),
    /// Every ticket of one of its items, by its index: a unit that a partner has sold.
    Item {
        order: OrderId,
        item: u16,
    },
    Ticket {
        id: TicketId,
        scope: Scope,
    },
}

impl Subject {
    pub fn of_ticket(ticket: &Ticket) -> Subject {
        Subject::Ticket { id: ticket.id, scope: Scope::of(&ticket.entitlement().code, ticket.departure()) }
    }

    /// The order whose machine decides about it.
    pub fn order(self) -> OrderId {
        match self {
            Subject::Order(order) | Subject::Item { order, .. } => order,
            Subject::Ticket { id, .. } => id.order,
        }
    }
}

/// What a code says, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    pub kind: CodeKind,
    pub subject: Subject,
    pub issued_at: Timestamp,
    pub from: Timestamp,
    /// Exclusive.
    pub until: Timestamp,
}

impl Code {
    pub fn one_time(subject: Subject, now: Timestamp, seconds: u32) -> Code {
        Code {
            kind: CodeKind::OneTime,
            subject,
            issued_at: now,
            from: now,
            until: now.plus_seconds(i64::from(seconds)),
        }
    }

    /// `tickets`: those that it stands for; `None` without one.
    pub fn print<'a>(
        subject: Subject,
        tickets: impl Iterator<Item = &'a Ticket> + Clone,
        now: Timestamp,
    ) -> Option<Code> {
        let from = tickets.clone().map(|ticket| ticket.entitlement().valid_from).min()?;
        let until = tickets.map(|ticket| ticket.entitlement().valid_until).max()?;
        Some(Code { kind: CodeKind::Print, subject, issued_at: now, from, until })
    }

    /// From then on it redeems nothing.
    pub fn closes_at(&self) -> Timestamp {
        match self.kind {
            CodeKind::OneTime => self.until,
            CodeKind::Print => self.until.plus_seconds(PRINT_GRACE_SECONDS),
        }
    }
}

/// A code to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    pub text: String,
    pub expires_at: Timestamp,
}

/// A code that was shown, and is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    pub code: Code,
    pub token: CodeToken,
}

/// Seals at `now` with the key whose time that is. A code that was issued before the key's turn, and is sealed again, says to
/// be issued when that turn began: what says to be older would not open, because another key sealed then. A key that will
/// end ends its codes: `expires_at` says so. `nonce` must be fresh for every call.
pub fn seal(keys: &CodeKeys, code: &Code, now: Timestamp, nonce: [u8; NONCE_LEN]) -> Sealed {
    let (entry, since) = keys.sealing(now);
    let until = entry.opens_until.map_or(code.until, |end| code.until.min(end));
    let header = Header {
        is_ticket: matches!(code.subject, Subject::Ticket { .. }),
        kind: code.kind,
        version: entry.version,
        nonce,
        issued_at: since.map_or(code.issued_at, |since| code.issued_at.max(since)),
        from: code.from,
        until,
    };
    let mut bytes = header.write();
    let mut secret = Vec::with_capacity(SECRET_LEN);
    secret.extend_from_slice(&code.subject.order().bits().to_be_bytes());
    match code.subject {
        Subject::Order(_) => secret.extend_from_slice(&0_u16.to_be_bytes()),
        // An order has far fewer items.
        Subject::Item { item, .. } => secret.extend_from_slice(&item.saturating_add(1).to_be_bytes()),
        Subject::Ticket { id, scope } => {
            secret.extend_from_slice(&id.number.to_be_bytes());
            bytes.extend_from_slice(&Reference::of(id).0);
            bytes.extend_from_slice(&scope.0);
            let signature = pass::sign(&entry.key.signing, &bytes);
            bytes.extend_from_slice(&signature);
        }
    }
    let tag = seal_in_place(&entry.key.sealing, nonce, &associated(&bytes), &mut secret);
    bytes.extend_from_slice(&secret);
    bytes.extend_from_slice(&tag);
    Sealed { text: to_text(&bytes), expires_at: Timestamp::from_seconds(until.as_seconds()) }
}

/// What a code stands for, also one that has expired not long ago: the order knows whether the request is repeated, and
/// redeems nothing with it otherwise. [`ScanRejection::InvalidCode`] for anything that we did not seal exactly so, or with a
/// key whose time it was not; [`ScanRejection::CodeExpired`] when its time is over.
pub fn open_for_scan(keys: &CodeKeys, text: &str, now: Timestamp) -> Result<Opened, ScanRejection> {
    open_within(keys, text, now, REPEAT_SECONDS)
}

fn open_within(keys: &CodeKeys, text: &str, now: Timestamp, seconds: i64) -> Result<Opened, ScanRejection> {
    let opened = authenticate(keys, text, now).ok_or(ScanRejection::InvalidCode)?;
    if now >= opened.code.closes_at().plus_seconds(seconds) {
        return Err(ScanRejection::CodeExpired);
    }
    Ok(opened)
}

fn authenticate(keys: &CodeKeys, text: &str, now: Timestamp) -> Option<Opened> {
    let mut bytes = from_text(text)?;
    let header = Header::read(&bytes)?;
    let key = keys.0.genuine(header.version, header.issued_at, now)?;
    let (clear, sealed) = bytes.split_at_mut_checked(header.clear_len())?;
    let secret = open_in_place(&key.sealing, header.nonce, &associated(clear), sealed)?;
    let (order, number) = secret.split_first_chunk()?;
    let order = OrderId::from_bits(u128::from_be_bytes(*order));
    let subject = match u16::from_be_bytes(*number.first_chunk()?) {
        number if header.is_ticket => {
            let scope = clear.get(..SIGNED_LEN)?.last_chunk()?;
            Subject::Ticket { id: TicketId { order, number }, scope: Scope(*scope) }
        }
        0 => Subject::Order(order),
        number => Subject::Item { order, item: number - 1 },
    };
    let Header { kind, issued_at, from, until, nonce, .. } = header;
    Some(Opened { code: Code { kind, subject, issued_at, from, until }, token: token(nonce) })
}

fn token(nonce: [u8; NONCE_LEN]) -> CodeToken {
    CodeToken(nonce.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

fn associated(clear: &[u8]) -> Vec<u8> {
    [CODE_DOMAIN, clear].concat()
}
