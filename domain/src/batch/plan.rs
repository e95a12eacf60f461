//! From a partner's request to what its batch will be: checked against the catalogue, and frozen.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::offer::Offer;
use super::{BATCH_TICKETS_MAX, BatchId};
use crate::catalogue::Catalogue;
use crate::code::{Code, CodeKind, Subject};
use crate::departure::Channel;
use crate::hold::{FIRST_EPOCH, HoldAt};
use crate::ids::{HoldId, InvalidId, OrderId, PartnerCode, codes};
use crate::rejection::{Rejection, ensure};
use crate::row::{part, text_fields};
use crate::stock::{Place, StockId};
use crate::text::{has_controls, is_blank};
use crate::time::Timestamp;

/// Longest text of a partner's own id of a batch.
const OWN_ID_MAX: usize = 64;
/// Longest name of a reseller, in characters.
const RESELLER_NAME_MAX: usize = 100;
/// Longest purpose or note, in characters: what a clerk writes on a delivery slip.
const RESELLER_NOTE_MAX: usize = 500;
/// Units are held for so long until a batch, or a reservation, has them, which takes milliseconds: long enough that a process
/// that ends in between is up again, and short for a partner whose request was lost in between and who repeats it.
pub const HELD_SECONDS: i64 = 2 * 60;

/// Nothing is activated later than five years after it was generated: what is printed for it is good for so long.
const PRINTED_FOR_SECONDS: i64 = 5 * 366 * 24 * 60 * 60;

/// What the partner calls a batch: 1–64 visible ASCII characters, unique among his.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct OwnId(Arc<str>);

impl OwnId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OwnId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<OwnId, InvalidId> {
        let fits = (1..=OWN_ID_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(OwnId(text.into())) } else { Err(InvalidId("batch id of a partner")) }
    }
}

text_fields!(OwnId: Text);

/// By whom a batch is sold on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// By the partner himself.
    DirectSale,
    /// By a reseller of his.
    ResellerBatch,
}

codes!(Distribution, "distribution mode: known are direct_sale and reseller_batch":
    DirectSale = "direct_sale",
    ResellerBatch = "reseller_batch",
);

/// What the partner says of the reseller (R-OTA-04).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reseller {
    pub name: Box<str>,
    pub purpose: Option<Box<str>>,
    pub note: Option<Box<str>>,
}

part!(Reseller {
    1 name as "intended_reseller": Box<str>,
    2 purpose as "batch_purpose": Option<Box<str>>,
    3 note as "distribution_notes": Option<Box<str>>,
} => Some(Reseller { name, purpose, note }));

impl Reseller {
    fn check(&self) -> Result<(), Rejection> {
        let fits =
            |text: &str, longest: usize| !is_blank(text) && !has_controls(text) && text.chars().count() <= longest;
        let in_words = |longest| format!("is not 1 to {longest} printable characters");
        ensure(fits(&self.name, RESELLER_NAME_MAX), "resellerMetadata.intendedReseller", in_words(RESELLER_NAME_MAX))?;
        for (field, text) in [("batchPurpose", &self.purpose), ("distributionNotes", &self.note)] {
            let holds = text.as_deref().is_none_or(|text| fits(text, RESELLER_NOTE_MAX));
            ensure(holds, format_args!("resellerMetadata.{field}"), in_words(RESELLER_NOTE_MAX))?;
        }
        Ok(())
    }
}

/// A request for a batch, its fields parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchWish {
    pub partner: PartnerCode,
    pub own_id: OwnId,
    /// SHA-256, to tell a repetition from another request with the same id.
    pub body_hash: [u8; 32],
    pub product: u32,
    pub quantity: u32,
    pub distribution: Distribution,
    pub reseller: Option<Reseller>,
    /// The number of the partner's reservation that its units are drawn from. `None`: they are taken of the allotment.
    pub reservation: Option<OrderId>,
    /// As the partner wants it; his product may end sooner.
    pub expires_at: Option<Timestamp>,
}

/// What a batch is: it never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub id: BatchId,
    pub partner: PartnerCode,
    pub own_id: OwnId,
    pub body_hash: [u8; 32],
    /// 1 to [`BATCH_TICKETS_MAX`].
    pub quantity: u16,
    pub distribution: Distribution,
    pub reseller: Option<Reseller>,
    /// The number of the reservation that its units were drawn from: in its hold they stay, and the batch has none of its own.
    /// What the batch does not need goes back on sale, and not to the reservation.
    pub reservation: Option<OrderId>,
    pub created_at: Timestamp,
    /// From then on nothing of it is activated. `None`: it has no end.
    pub ends_at: Option<Timestamp>,
    pub offer: Offer,
}

impl BatchWish {
    /// The batch that it makes, under a fresh id. Errors: `TEMPLATE_NOT_FOUND`, and field rejections in the words of the wire.
    pub fn plan(self, catalogue: &Catalogue, id: BatchId, now: Timestamp) -> Result<Plan, Rejection> {
        let quantity = u16::try_from(self.quantity).ok().filter(|number| (1..=BATCH_TICKETS_MAX).contains(number));
        let quantity = quantity.ok_or_else(|| Rejection::field("quantity", format!("is 1 to {BATCH_TICKETS_MAX}")))?;
        let is_named = self.distribution == Distribution::DirectSale || self.reseller.is_some();
        ensure(is_named, "resellerMetadata.intendedReseller", "is missing: a reseller_batch is for somebody")?;
        self.reseller.as_ref().map_or(Ok(()), Reseller::check)?;
        ensure(self.expires_at.is_none_or(|at| at > now), "expiresAt", "is in the past")?;
        let entry = catalogue.package_of_product(self.product)?;
        let product_ends = entry.sold_until();
        if product_ends.is_some_and(|end| end <= now) {
            return Err(Rejection::TemplateNotFound);
        }
        let offer = Offer::of(entry, catalogue, now)?;

        Ok(Plan {
            id,
            partner: self.partner,
            own_id: self.own_id,
            body_hash: self.body_hash,
            quantity,
            distribution: self.distribution,
            reseller: self.reseller,
            reservation: self.reservation,
            created_at: now,
            ends_at: self
                .expires_at
                .into_iter()
                .chain(product_ends)
                .chain([now.plus_seconds(PRINTED_FOR_SECONDS)])
                .min(),
            offer,
        })
    }
}

impl Plan {
    pub fn stock(&self) -> StockId {
        StockId::Package(self.offer.terms.template.clone())
    }

    /// All its units are one hold of the product's stock, unless they were drawn from a reservation.
    pub fn hold(&self) -> HoldAt {
        HoldAt { hold: HoldId { order: self.id.holder(), item: 0 }, epoch: FIRST_EPOCH }
    }

    /// What the stock is asked before there is a batch.
    pub fn place(&self, now: Timestamp) -> Place {
        Place {
            at: self.hold(),
            quantity: self.quantity.into(),
            date: None,
            channel: Channel::from(&self.partner),
            holder: None,
            expires_at: now.plus_seconds(HELD_SECONDS),
        }
    }

    /// What is printed for a ticket: good from its generation until the last thing that it gives can end. Before it is
    /// activated gates say so.
    pub fn code(&self, number: u16) -> Code {
        let last = self.ends_at.unwrap_or_else(|| self.created_at.plus_seconds(PRINTED_FOR_SECONDS));
        let terms = &self.offer.terms;
        let ends = terms.entitlements.iter().map(|one| one.validity.from_payment(last, &terms.zone).1);
        Code {
            kind: CodeKind::Print,
            subject: Subject::Order(self.id.ticket(number)),
            issued_at: self.created_at,
            from: self.created_at,
            until: ends.max().unwrap_or(last),
        }
    }

    /// The numbers of its tickets.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.quantity
    }
}
