//! What partners sell a product as: frozen when tickets are generated (R-OTA-04) or units are reserved (R-OTA-03), whatever
//! becomes of it.

use jiff::civil::Date;

use crate::catalogue::{Catalogue, PackageLine, Template, Tier, check_day, tier_for};
use crate::package::PackageTerms;
use crate::party::PassengerType;
use crate::register::Entry;
use crate::rejection::{Rejection, ensure};
use crate::row::part;
use crate::time::Timestamp;

/// Whoever activates a ticket is a party of his own.
const PARTY: u16 = 1;

/// The product as it was: its price table with the calendar that goes with it, and what a ticket gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// One unit, without a day.
    pub terms: PackageTerms,
    pub tiers: Vec<Tier>,
    /// From the day on on which it was frozen, as they were known then.
    pub holidays: Vec<Date>,
    /// Days for which it is not sold (禁售日).
    pub blackout: Vec<Date>,
}

part!(Offer {
    1 terms: PackageTerms,
    2 tiers: Vec<Tier>,
    3 holidays: Vec<Date>,
    4 blackout as "blackout_dates": Vec<Date>,
} => Some(Offer { terms, tiers, holidays, blackout }));

/// What a ticket costs one visitor, and what he gets for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Priced {
    pub line: PackageLine,
    /// For the day of the visit.
    pub terms: PackageTerms,
}

impl Offer {
    /// A product as it is sold now. Refused with `TemplateNotFound` for one that is not, and with the field `productId` for
    /// what cannot be sold in advance: its seats, or the units of its day, would have to be held for a day that nobody knows.
    pub fn of_product(product: u32, catalogue: &Catalogue, now: Timestamp) -> Result<Offer, Rejection> {
        let entry = catalogue.package_of_product(product)?;
        if entry.sold_until().is_some_and(|end| end <= now) {
            return Err(Rejection::TemplateNotFound);
        }
        Offer::of(entry, catalogue, now)
    }

    pub(super) fn of(entry: &Entry<Template>, catalogue: &Catalogue, now: Timestamp) -> Result<Offer, Rejection> {
        let template = &*entry.content;
        let is_simple = template.journeys.is_empty();
        ensure(is_simple, "productId", "includes journeys: it cannot be sold in advance")?;
        let is_dateless = template.stock.per_date.is_none();
        ensure(is_dateless, "productId", "has a stock for each date: it cannot be sold in advance")?;

        let today = template.zone().local(now).date();
        Ok(Offer {
            terms: entry.terms(None, 1),
            tiers: template.tiers.clone(),
            holidays: catalogue.holidays_since(today).collect(),
            blackout: template.blackout.iter().copied().collect(),
        })
    }

    /// Whether whoever activates a ticket has to say for which day.
    pub fn needs_visit_date(&self) -> bool {
        !self.blackout.is_empty() || self.tiers.iter().any(Tier::depends_on_day)
    }

    /// The price of a visitor of this type on his day (R-OTA-10). Errors: field rejections of `visitDate` and
    /// `customerType`, `BLACKOUT`.
    pub fn priced(&self, visitor: PassengerType, visit: Option<Date>, now: Timestamp) -> Result<Priced, Rejection> {
        match visit {
            None => ensure(!self.needs_visit_date(), "visitDate", "is missing: the price depends on the day")?,
            Some(date) => {
                check_day(&self.terms.entitlements, &self.terms.zone, date, "visitDate", now)?;
                if self.blackout.contains(&date) {
                    return Err(Rejection::Blackout);
                }
            }
        }
        let day = visit.map(|date| (date, self.holidays.contains(&date)));
        let (index, tier) = tier_for(&self.tiers, visitor, PARTY, day).ok_or_else(|| {
            Rejection::field("customerType", format!("the product has no price for {visitor} on that day"))
        })?;
        let terms = PackageTerms { service_date: visit, ..self.terms.clone() };
        let (unit, count) = (tier.price, 1);
        let line = PackageLine { passenger_type: visitor, count, unit, total: unit, tier, index: index as u16 };
        Ok(Priced { line, terms })
    }
}
