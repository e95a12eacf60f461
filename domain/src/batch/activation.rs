//! A ticket becomes an order: what its customer pays, and what he gets for it, follow from what was frozen (R-OTA-06).

use jiff::civil::Date;

use super::{Batch, Command, Priced};
use crate::order::{Contact, PartnerSale, Passenger, Price, package_line};
use crate::party::PassengerType;
use crate::rejection::{Rejection, ensure};
use crate::text::{has_controls, is_blank};
use crate::time::Timestamp;

/// Longest reference of a payment, in characters.
const PAYMENT_REFERENCE_MAX: usize = 128;

/// A partner's customer has paid for a ticket; the fields of the request are parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activation {
    pub customer: Contact,
    pub visitor: PassengerType,
    pub visit_date: Option<Date>,
    /// Of the customer's payment, as the partner calls it.
    pub payment_reference: Box<str>,
    /// By the partner's clock. `None`: just now.
    pub paid_at: Option<Timestamp>,
    /// In which the customer reads.
    pub locale: Box<str>,
}

impl Batch {
    /// The order that a ticket becomes. Refused as [`Command::Activate`] is, and then with what [`Offer::priced`] refuses and
    /// the field `paymentReference`: a ticket that was activated is that, whatever else the request says.
    ///
    /// [`Offer::priced`]: super::Offer::priced
    pub fn sale(&self, number: u16, activation: Activation, now: Timestamp) -> Result<PartnerSale, Rejection> {
        self.decide(&Command::Activate { number }, now)?;
        let Activation { customer, visitor, visit_date, payment_reference, paid_at, locale } = activation;
        let is_fit = !is_blank(&payment_reference)
            && !has_controls(&payment_reference)
            && payment_reference.chars().count() <= PAYMENT_REFERENCE_MAX;
        ensure(is_fit, "paymentReference", format_args!("is not 1 to {PAYMENT_REFERENCE_MAX} printable characters"))?;
        let Priced { line, terms } = self.plan.offer.priced(visitor, visit_date, now)?;

        Ok(PartnerSale {
            id: self.id().ticket(number),
            partner: self.plan.partner.clone(),
            locale,
            passenger: Passenger { name: customer.name.clone(), kind: visitor, document: None },
            contact: customer,
            price: Price { total: line.total, lines: vec![package_line(0, terms.version, &line)] },
            items: vec![terms],
            payment_reference,
            paid_at: paid_at.map_or(now, |at| at.min(now)),
        })
    }
}
