//! A scan of an order's tickets, and the answer to it.

use std::sync::Arc;

use super::{Item, Order};
use crate::catalogue::{Catalogue, DepartureOverride};
use crate::code::{Code, CodeKind, CodeToken, Opened, Subject};
use crate::ids::{DepartureId, EntitlementCode, LocationCode, PortCode, SessionId, TicketId};
use crate::package::RedemptionChannel;
use crate::redeems::Redeems;
use crate::rejection::ScanRejection;
use crate::ticket::{Redemption, Ticket};
use crate::time::Timestamp;

/// A validator session as far as a scan depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    pub session: SessionId,
    /// User name of the operator.
    pub operator: Box<str>,
    pub device: Box<str>,
    /// What the operator redeems now.
    pub redeems: Arc<Redeems>,
    /// Where the device stands; `None`: it redeems anywhere.
    pub location: Option<LocationCode>,
    /// The port at the location, where journeys board; `None`: none does there.
    pub port: Option<PortCode>,
    /// The only departure that boards here now; `None`: any.
    pub departure: Option<DepartureId>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScanTarget {
    /// Every ticket of the order that this gate redeems.
    Order,
    Ticket(TicketId),
    /// Every ticket of an item that this gate redeems, by the item's index.
    Item(u16),
    /// These, as an operator has chosen (R-SCAN-01); no ticket twice.
    Chosen(Vec<Choice>),
}

/// What an operator takes of a ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    pub ticket: TicketId,
    pub take: Take,
}

/// What is taken of a ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Take {
    /// `None`: whatever the ticket gives.
    pub entitlement: Option<EntitlementCode>,
    /// Uses, at least 1 (R-SCAN-02).
    pub quantity: u16,
}

impl Take {
    /// One use of whatever it is.
    pub const ONE: Take = Take { entitlement: None, quantity: 1 };
}

/// By whom something is redeemed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A gate takes what a code shows.
    Gate,
    /// An operator looks at the order and takes what its owner wants to use. He has seen the code at this instant, of which it
    /// matters how long it was good.
    Counter { shown_at: Timestamp },
}

/// One press of the scanner, or of the operator's button.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    pub gate: Gate,
    pub request_id: Box<str>,
    pub place: Place,
    pub target: ScanTarget,
    /// Of each ticket that is not chosen by itself.
    pub take: Take,
    /// The code that was shown; `None`: the operator chose the tickets by hand.
    pub code: Option<Opened>,
    /// What departures of the order have other than their timetables. Nearly always nothing.
    pub overrides: Box<[Arc<DepartureOverride>]>,
}

impl Scan {
    /// What it takes of a ticket. `None`: it is not about that one.
    pub(in crate::order) fn takes(&self, ticket: &Ticket) -> Option<&Take> {
        match &self.target {
            ScanTarget::Order => Some(&self.take),
            ScanTarget::Ticket(id) => (*id == ticket.id).then_some(&self.take),
            ScanTarget::Item(item) => (*item == ticket.item).then_some(&self.take),
            ScanTarget::Chosen(choices) => {
                let chosen = choices.iter().find(|choice| choice.ticket == ticket.id);
                chosen.filter(|_| self.shows(ticket)).map(|choice| &choice.take)
            }
        }
    }

    /// Whether a ticket of the order is behind the code that was shown. Without a code all are.
    fn shows(&self, ticket: &Ticket) -> bool {
        self.code.is_none_or(|shown| match shown.code.subject {
            Subject::Order(_) => true,
            Subject::Item { item, .. } => item == ticket.item,
            Subject::Ticket { id, .. } => id == ticket.id,
        })
    }

    /// Whether what is redeemed through this channel is redeemed here.
    pub(super) const fn is_through(&self, channel: RedemptionChannel) -> bool {
        match (channel, self.place) {
            (RedemptionChannel::Any, _)
            | (RedemptionChannel::Gate, Place::Gate)
            | (RedemptionChannel::Counter, Place::Counter { .. }) => true,
            (RedemptionChannel::Gate, Place::Counter { .. }) | (RedemptionChannel::Counter, Place::Gate) => false,
        }
    }

    /// As the catalogue in force has it, for an order that is scanned.
    #[must_use]
    pub fn under(self, catalogue: &Catalogue, order: &Order) -> Scan {
        if catalogue.registers().overrides.is_empty() {
            return self;
        }
        let journeys = order.items().iter().filter_map(Item::leg).map(|leg| &leg.departure);
        let overrides = journeys.filter_map(|departure| catalogue.override_of(departure)).cloned().collect();
        Scan { overrides, ..self }
    }

    pub(super) fn differs(&self, departure: &DepartureId) -> Option<&DepartureOverride> {
        self.overrides.iter().find(|of| of.departure == *departure).map(|of| &**of)
    }

    pub(in crate::order) fn one_time(&self) -> Option<CodeToken> {
        self.code.filter(|shown| shown.code.kind == CodeKind::OneTime).map(|shown| shown.token)
    }

    pub(super) fn printed(&self) -> Option<Code> {
        self.code.map(|shown| shown.code).filter(|code| code.kind == CodeKind::Print)
    }

    /// A print code that says to be older than the ticket is nobody's but a forger's: with a key that has been replaced since,
    /// and that he can only use for the time before (one-time codes of that time have expired anyway).
    pub(super) fn predates(&self, ticket: &Ticket) -> bool {
        self.printed().is_some_and(|code| code.issued_at.as_seconds() < ticket.issued_at.as_seconds())
    }

    /// What the code has redeemed is still answered to the request that did.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        let shown_at = match self.place {
            Place::Gate => now,
            Place::Counter { shown_at } => shown_at,
        };
        self.code.is_some_and(|shown| shown_at >= shown.code.closes_at())
    }

    /// A one-time code that was shown is spent by what it redeems, at a counter for everybody else.
    pub(super) fn is_spent_by(&self, redemption: &Redemption) -> bool {
        let is_own = match self.place {
            Place::Gate => self.made(redemption),
            Place::Counter { .. } => redemption.session == self.gate.session,
        };
        redemption.code.is_some() && redemption.code == self.one_time() && !is_own
    }

    pub(super) fn made(&self, redemption: &Redemption) -> bool {
        redemption.session == self.gate.session && redemption.request_id == self.request_id
    }
}

/// When and where a ticket, or its code, was used before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Previous {
    pub at: Timestamp,
    pub location: Option<Box<str>>,
}

impl Previous {
    pub(super) fn of(redemption: &Redemption) -> Previous {
        Previous { at: redemption.at, location: redemption.location.clone() }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TicketOutcome {
    /// `remaining`: uses that are left after it. `repeated`: by this very request before; nothing is redeemed again.
    Redeemed {
        at: Timestamp,
        remaining: u16,
        repeated: bool,
    },
    Refused {
        reason: ScanRejection,
        previous: Option<Previous>,
    },
}

/// The answer to a scan as a whole: green, yellow or red.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    /// Everything that was asked for is redeemed.
    Success,
    /// Some of it; the reason is a refused ticket's.
    Partial(&'a ScanRejection),
    Rejected(&'a ScanRejection),
}

/// The answer to a scan, ticket by ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScanOutcome {
    pub scan: Scan,
    pub at: Timestamp,
    /// Empty when the target does not exist in this order, or the code is not good for any of it.
    pub tickets: Vec<(TicketId, TicketOutcome)>,
}

impl ScanOutcome {
    /// `None`: there is no ticket. Of several tickets' reasons the last in precedence stands: that
    /// ticket came nearest to being redeemed here.
    pub fn verdict(&self) -> Option<Verdict<'_>> {
        let mut redeemed = false;
        let mut refused: Option<&ScanRejection> = None;
        for (_, outcome) in &self.tickets {
            match outcome {
                TicketOutcome::Redeemed { .. } => redeemed = true,
                TicketOutcome::Refused { reason, .. } => refused = refused.max(Some(reason)),
            }
        }
        match (redeemed, refused) {
            (true, None) => Some(Verdict::Success),
            (true, Some(reason)) => Some(Verdict::Partial(reason)),
            (false, Some(reason)) => Some(Verdict::Rejected(reason)),
            (false, None) => None,
        }
    }

    /// Whether this is an answer given before, with nothing new to record: the request redeemed something the first
    /// time, and redeems nothing now.
    pub fn is_repeated(&self) -> bool {
        let redeemed = |again: bool| {
            self.tickets
                .iter()
                .any(|(_, outcome)| matches!(outcome, TicketOutcome::Redeemed { repeated, .. } if *repeated == again))
        };
        redeemed(true) && !redeemed(false)
    }

    /// How many uses of a ticket are left after this. `None`: it redeems nothing of it.
    pub(in crate::order) fn leaves(&self, ticket: TicketId) -> Option<u16> {
        self.tickets.iter().find_map(|(id, outcome)| match outcome {
            TicketOutcome::Redeemed { remaining, repeated: false, .. } if *id == ticket => Some(*remaining),
            TicketOutcome::Redeemed { .. } | TicketOutcome::Refused { .. } => None,
        })
    }
}
