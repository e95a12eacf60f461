//! What a partner says of a customer who has paid: by a call or by its payment webhook, for a ticket or of a reservation
//! (R-OTA-03, R-OTA-06).

use deeptravel_domain::batch::Activation;
use deeptravel_domain::order::Contact;
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::time::Timestamp;

use crate::api::frame::{Language, Problem, Text, parse_date};

/// Where the customer is written.
pub(super) const CUSTOMER: &str = "customerDetails";

/// The fields of a request, of whichever kind, that say for whom and what was paid.
#[derive(Debug)]
pub(super) struct Purchase<'a> {
    pub customer: Contact,
    /// `adult` without it.
    pub customer_type: Option<&'a Text<'a>>,
    pub visit_date: Option<&'a Text<'a>>,
    pub payment_reference: &'a Text<'a>,
    /// Just now without it.
    pub paid_at: Option<Timestamp>,
}

impl Purchase<'_> {
    /// Errors name the field. The reference of the payment is checked by the owner.
    pub fn activation(self, language: Language) -> Result<Activation, Problem> {
        let Purchase { customer, customer_type, visit_date, payment_reference, paid_at } = self;
        let visitor = match customer_type {
            None => PassengerType::Adult,
            Some(given) => {
                given.parse().map_err(|_| Problem::field("customerType", "is none of adult, child, senior"))?
            }
        };
        Ok(Activation {
            customer,
            visitor,
            visit_date: visit_date.map(|given| parse_date("visitDate", given)).transpose()?,
            payment_reference: (&**payment_reference).into(),
            message: None,
            paid_at,
            locale: language.pick("zh-CN", "en").into(),
        })
    }
}
