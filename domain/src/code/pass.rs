//! The part of a ticket's code that a gate verifies without the network, with public keys alone (R-SCAN-09). It says that
//! we issued a code for this ticket, what it is good for and when, and no more: ids are hashed, so that a photographed
//! code tells nobody which order it belongs to. The server does not verify it: what it seals covers the signature.
//!
//! What a gate without the network cannot know is whether the ticket was refunded, changed or used elsewhere since; its
//! pack and the scans that it uploads later are for that.

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

use super::keys::PublicKeys;
use super::layout::{HEADER_LEN, Header, REFERENCE_LEN, SCOPE_LEN, SIGNATURE_LEN, SIGNED_LEN, from_text};
use super::{CodeKind, PublicKey};
use crate::ids::{DepartureId, EntitlementCode, TicketId};
use crate::rejection::ScanRejection;
use crate::time::Timestamp;

const PASS_DOMAIN: &[u8] = b"deeptravel/pass";
const REFERENCE_DOMAIN: &[u8] = b"deeptravel/reference";
const SCOPE_DOMAIN: &[u8] = b"deeptravel/scope";

/// Stands for a ticket in a gate's pack: the same in all its codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reference(pub(super) [u8; REFERENCE_LEN]);

impl Reference {
    pub fn of(ticket: TicketId) -> Reference {
        Reference(hash(REFERENCE_DOMAIN, &[ticket.to_string().as_bytes()]))
    }
}

/// What a ticket is good for: an entitlement, of a journey on one departure. A gate computes the scopes that it
/// redeems and compares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scope(pub(super) [u8; SCOPE_LEN]);

impl Scope {
    /// `departure`: `None` for what is not a journey.
    pub fn of(entitlement: &EntitlementCode, departure: Option<&DepartureId>) -> Scope {
        let departure = departure.map_or("", DepartureId::as_str);
        Scope(hash(SCOPE_DOMAIN, &[entitlement.as_str().as_bytes(), departure.as_bytes()]))
    }
}

/// What a gate learns from a ticket's code without the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    pub kind: CodeKind,
    pub reference: Reference,
    pub scope: Scope,
    pub issued_at: Timestamp,
    pub from: Timestamp,
    /// Exclusive.
    pub until: Timestamp,
}

/// Verifies a ticket's code with public keys. Refusals: `InvalidCode` for anything that we did not sign, for a key whose
/// time it was not, and for an order's code; `NotYetValid` and `CodeExpired` outside of its window.
pub fn verify(keys: &PublicKeys, text: &str, now: Timestamp) -> Result<Pass, ScanRejection> {
    let pass = authenticate(keys, text, now).ok_or(ScanRejection::InvalidCode)?;
    if now < pass.from {
        return Err(ScanRejection::NotYetValid);
    }
    if now >= pass.until {
        return Err(ScanRejection::CodeExpired);
    }
    Ok(pass)
}

fn authenticate(keys: &PublicKeys, text: &str, now: Timestamp) -> Option<Pass> {
    let code = from_text(text)?;
    let header = Header::read(&code)?;
    if !header.is_ticket {
        return None;
    }
    let (signed, rest) = code.split_first_chunk::<SIGNED_LEN>()?;
    let signature = rest.first_chunk::<SIGNATURE_LEN>()?;
    let key: &PublicKey = keys.0.genuine(header.version, header.issued_at, now)?;
    UnparsedPublicKey::new(&ED25519, key).verify(&message(signed), signature).ok()?;
    let (reference, scope) = signed.get(HEADER_LEN..)?.split_first_chunk()?;
    Some(Pass {
        kind: header.kind,
        reference: Reference(*reference),
        scope: Scope(*scope.first_chunk()?),
        issued_at: header.issued_at,
        from: header.from,
        until: header.until,
    })
}

pub(super) fn sign(key: &Ed25519KeyPair, signed: &[u8]) -> [u8; SIGNATURE_LEN] {
    let signature = key.sign(&message(signed));
    let Some(signature) = signature.as_ref().first_chunk() else { unreachable!("an Ed25519 signature has 64 bytes") };
    *signature
}

/// Nothing else that the key may ever sign begins so.
fn message(signed: &[u8]) -> Vec<u8> {
    [PASS_DOMAIN, signed].concat()
}

/// The first bytes of SHA-256 over the parts, each after its length.
fn hash<const LEN: usize>(domain: &[u8], parts: &[&[u8]]) -> [u8; LEN] {
    let mut context = digest::Context::new(&SHA256);
    context.update(domain);
    for part in parts {
        context.update(&(part.len() as u16).to_be_bytes());
        context.update(part);
    }
    let Some(hash) = context.finish().as_ref().first_chunk().copied() else { unreachable!("SHA-256 has 32 bytes") };
    hash
}
