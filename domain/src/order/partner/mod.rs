//! Orders that a partner has sold (R-OTA-06, R-OTA-07): paid when they are born, by money that never comes to us, of units
//! that are held for the partner already. The caller is whoever holds those: a batch or a reservation, in whose record the
//! order's first images stand. It also gives a unit back that is cancelled here, when it hears of that.
//!
//! An item is one unit of a package, and a ticket of the partner's. Everything that happens to one at a gate is as of every
//! other order.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rows::{Saved, Touched};
use super::sale::Stage;
use super::{Buyer, Contact, Draft, Event as OrderEvent, Item, ItemKind, Order, Passenger, Price, ticket};
use crate::departure::Channel;
use crate::ids::{InvalidId, OrderId, PartnerCode, as_text, codes};
use crate::package::PackageTerms;
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::ticket::{Ticket, TicketStatus};
use crate::time::Timestamp;

/// The version of an order's first images, which its parent's record has.
const BORN: u64 = 0;

/// What a partner has sold to one customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartnerSale {
    /// Its time is when the tickets were made: a code that was printed since is good for them.
    pub id: OrderId,
    pub partner: PartnerCode,
    pub locale: Box<str>,
    pub contact: Contact,
    pub passenger: Passenger,
    /// Each of quantity 1: one unit.
    pub items: Vec<PackageTerms>,
    /// Its lines are of passengers of the passenger's type, and name the items by their index.
    pub price: Price,
    /// Of the customer's payment, as the partner calls it.
    pub payment_reference: Box<str>,
    /// See [`Buyer::Partner`].
    pub message: Option<[u8; 32]>,
    /// When the customer paid, by the partner's clock. Validity that begins with the payment counts from it.
    pub paid_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A partner says that its customer does not want an item any more: by its index. Another partner's is not there.
    Cancel { partner: PartnerCode, item: u16 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Nothing of the item was used, and nothing will be.
    Refunded { item: u16, at: Timestamp },
}

impl Order {
    /// An order that is paid, and its rows as they are first written.
    pub fn born_paid(sale: PartnerSale, now: Timestamp) -> (Order, Rows) {
        let made_at = sale.id.made_at().min(now);
        let paid_at = sale.paid_at.min(now);
        let mut order = Order::at_stage(Saved::new(sale.draft(), now), Stage::Over);
        let mut tickets = order.issue(order.item_seats(), paid_at);
        for ticket in &mut tickets {
            ticket.issued_at = made_at;
        }
        let mut touched = Touched::default();
        order.saved.born_paid(&tickets, paid_at, now, &mut touched);
        let rows = order.saved.touched_rows(std::iter::empty(), &touched, BORN);
        (order, rows)
    }

    /// SHA-256 of the id of the message that has told of its payment. `None`: a call has.
    pub fn message(&self) -> Option<[u8; 32]> {
        match &self.details().buyer {
            Buyer::Traveller { .. } => None,
            Buyer::Partner { message, .. } => *message,
        }
    }

    pub(super) fn partner_decides(&self, command: &Command, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        match command {
            Command::Cancel { partner, item } => self.cancel_unit(partner, *item, now),
        }
    }

    fn cancel_unit(&self, partner: &PartnerCode, item: u16, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        let unit = || self.tickets_of(item);
        if self.partner() != Some(partner) || unit().next().is_none() {
            return Err(Rejection::TicketNotFound);
        }
        let is_touched = unit().any(|ticket| !ticket.redemptions.is_empty());
        match self.unit_status(item, now) {
            UnitStatus::Refunded => return Ok(vec![]),
            UnitStatus::Used => return Err(Rejection::TicketUsed),
            UnitStatus::Active | UnitStatus::Expired if is_touched => return Err(Rejection::TicketUsed),
            UnitStatus::Expired => return Err(Rejection::TicketExpired),
            UnitStatus::Active => {}
        }

        let mut events = vec![Event::Refunded { item, at: now }.into()];
        if self.completes_when(|ticket| ticket.item == item) {
            events.push(ticket::Event::Completed { at: now }.into());
        }
        Ok(events)
    }

    /// The tickets of an item.
    pub fn tickets_of(&self, item: u16) -> impl Iterator<Item = &Ticket> + Clone {
        self.tickets().iter().filter(move |ticket| ticket.item == item)
    }

    /// Where an item of a partner's order stands as a whole, whether anybody has marked what has expired or not.
    pub fn unit_status(&self, item: u16, now: Timestamp) -> UnitStatus {
        let is_good = |ticket: &Ticket| match ticket.status {
            TicketStatus::PreGenerated | TicketStatus::Usable | TicketStatus::Changing => {
                now < ticket.entitlement().valid_until
            }
            TicketStatus::Used
            | TicketStatus::Refunded
            | TicketStatus::Changed
            | TicketStatus::Expired
            | TicketStatus::Cancelled => false,
        };
        if self.tickets_of(item).any(is_good) {
            UnitStatus::Active
        } else if self.tickets_of(item).all(|ticket| ticket.status == TicketStatus::Refunded) {
            UnitStatus::Refunded
        } else if self.tickets_of(item).all(|ticket| ticket.status == TicketStatus::Used) {
            UnitStatus::Used
        } else {
            UnitStatus::Expired
        }
    }

    /// Of a partner's order, how many of its units have not been given back.
    pub fn units_kept(&self) -> u32 {
        let is_refunded = |item| self.tickets_of(item).all(|ticket| ticket.status == TicketStatus::Refunded);
        (0..self.items().len()).filter(|item| !is_refunded(*item as u16)).count() as u32
    }

    pub(super) fn partner_evolves(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::Refunded { item, at } => self.saved.unit_refunded(*item, *at, touched),
        }
    }
}

/// Where a unit stands that a partner has sold, as the partner is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitStatus {
    /// Something of it can be used, now or later.
    Active,
    /// All of it was used.
    Used,
    Refunded,
    /// What was not used cannot be used any more.
    Expired,
}

codes!(UnitStatus, "ticket status: known are ACTIVE, USED, REFUNDED and EXPIRED":
    Active = "ACTIVE",
    Used = "USED",
    Refunded = "REFUNDED",
    Expired = "EXPIRED",
);

/// A unit that a partner has sold, as both sides call it: `ticketCode`. Text: its order's id, and of every unit but the first
/// `.` and its number from 2; so a ticket that was made in advance is called as its order is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UnitId {
    pub order: OrderId,
    /// Index of its item.
    pub item: u16,
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.order.fmt(f)?;
        if self.item > 0 { write!(f, ".{}", u32::from(self.item) + 1) } else { Ok(()) }
    }
}

impl Serialize for UnitId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for UnitId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UnitId, D::Error> {
        as_text::deserialize(deserializer)
    }
}

impl FromStr for UnitId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<UnitId, InvalidId> {
        let (order, number) = text.split_once('.').map_or((text, None), |(order, number)| (order, Some(number)));
        let item = number.map_or(Some(0), |number| number.parse::<u16>().ok()?.checked_sub(1));
        let unit = order.parse().ok().zip(item).map(|(order, item)| UnitId { order, item });
        // In canonical form, so that it has exactly one text.
        unit.filter(|unit| unit.to_string() == text).ok_or(InvalidId("ticket code"))
    }
}

impl PartnerSale {
    fn draft(self) -> Draft {
        let item = |terms| Item { kind: ItemKind::Package(Box::new(terms)), part_of: None, refund_rule: None };
        Draft {
            id: self.id,
            channel: Channel::from(&self.partner),
            buyer: Buyer::Partner {
                partner: self.partner,
                payment_reference: self.payment_reference,
                message: self.message,
            },
            locale: self.locale,
            contact: self.contact,
            passengers: vec![self.passenger],
            items: self.items.into_iter().map(item).collect(),
            asked: Vec::new(),
            price: self.price,
            promotions: Vec::new(),
            lock_seconds: 0,
        }
    }
}
