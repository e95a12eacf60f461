//! A customer has paid his partner: what he pays for each unit, and what he gets for it, follow from what was frozen (R-OTA-06).
//! Units are a ticket of a batch, or some of a reservation.

use jiff::civil::Date;

use super::{Batch, Command, Offer, Priced};
use crate::ids::{OrderId, PartnerCode};
use crate::order::{Buyer, Contact, Item, Order, PartnerSale, Passenger, Price, package_line};
use crate::package::EntitlementTerms;
use crate::party::PassengerType;
use crate::rejection::{Rejection, ensure};
use crate::text::{has_controls, is_blank};
use crate::time::Timestamp;

/// Longest reference of a payment, in characters.
const PAYMENT_REFERENCE_MAX: usize = 128;

/// A partner's customer has paid; the fields of the request are parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activation {
    pub customer: Contact,
    pub visitor: PassengerType,
    pub visit_date: Option<Date>,
    /// Of the customer's payment, as the partner calls it.
    pub payment_reference: Box<str>,
    /// SHA-256 of the id of the message that tells of it. `None`: a call does.
    pub message: Option<[u8; 32]>,
    /// By the partner's clock. `None`: just now.
    pub paid_at: Option<Timestamp>,
    /// In which the customer reads.
    pub locale: Box<str>,
}

/// What is sold by an activation.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// Of the order.
    pub order: OrderId,
    pub partner: &'a PartnerCode,
    pub offer: &'a Offer,
    /// At least 1.
    pub count: u16,
}

impl Activation {
    /// The order of these units, each of which costs what the offer says of its visitor and day. Errors: the field
    /// `paymentReference` and `paidAt`, and what [`Offer::priced`] refuses.
    pub fn sale(self, units: Units<'_>, now: Timestamp) -> Result<PartnerSale, Rejection> {
        let Activation { customer, visitor, visit_date, payment_reference, message, paid_at, locale } = self;
        let is_fit = !is_blank(&payment_reference)
            && !has_controls(&payment_reference)
            && payment_reference.chars().count() <= PAYMENT_REFERENCE_MAX;
        ensure(is_fit, "paymentReference", format_args!("is not 1 to {PAYMENT_REFERENCE_MAX} printable characters"))?;
        let Units { order, partner, offer, count } = units;
        let Priced { line, terms } = offer.priced(visitor, visit_date, now)?;
        // Without a time of its own it is paid now, and its batch or reservation has not ended.
        let paid = paid_at.map_or(now, |at| at.min(now));
        let is_good = |one: &EntitlementTerms| one.validity.from_payment(paid, &terms.zone).1 > now;
        let is_any_good = paid == now || terms.entitlements.iter().any(is_good);
        ensure(is_any_good, "paidAt", "is so long ago that nothing of it is valid any more")?;
        let total = line.total.times(count.into());
        let total = total.map_err(|_| Rejection::field("quantity", "costs more than an amount can say"))?;

        Ok(PartnerSale {
            id: order,
            partner: partner.clone(),
            locale,
            passenger: Passenger { name: customer.name.clone(), kind: visitor, document: None },
            contact: customer,
            price: Price { total, lines: (0..count).map(|item| package_line(item, terms.version, &line)).collect() },
            items: vec![terms; count.into()],
            payment_reference,
            message,
            paid_at: paid,
        })
    }

    /// Whether the order is what this activation makes: then it is the same request, told again. A message is known by its id
    /// alone: what it left out may be called otherwise by now. `units`: as many as the request names.
    pub fn has_made(&self, order: &Order, units: Option<u32>) -> bool {
        if self.message.is_some() {
            return order.message() == self.message;
        }
        let details = order.details();
        let reference = match &details.buyer {
            Buyer::Partner { payment_reference, .. } => Some(payment_reference),
            Buyer::Traveller { .. } => None,
        };
        let visit_date = order.items().first().and_then(Item::package).and_then(|terms| terms.service_date);
        reference == Some(&self.payment_reference)
            && visit_date == self.visit_date
            && details.contact == self.customer
            && details.passengers.iter().all(|passenger| passenger.kind == self.visitor)
            && units.is_none_or(|units| units as usize == order.items().len())
    }
}

impl Batch {
    /// The order that a ticket becomes. Refused as [`Command::Activate`] is, and then as [`Activation::sale`]: a ticket that was
    /// activated is that, whatever else the request says.
    pub fn sale(&self, number: u16, activation: Activation, now: Timestamp) -> Result<PartnerSale, Rejection> {
        self.decide(&Command::Activate { number }, now)?;
        let (order, plan) = (self.id().ticket(number), &*self.plan);
        activation.sale(Units { order, partner: &plan.partner, offer: &plan.offer, count: 1 }, now)
    }
}
