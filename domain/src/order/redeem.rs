//! Scans: what a gate may redeem of an order's tickets, exactly once (R-SCAN-02 to R-SCAN-05).

use super::command::Event;
use super::{Order, OrderStatus};
use crate::ids::{DepartureId, EntitlementCode, LocationCode, MerchantCode, SessionId, TicketId};
use crate::rejection::ScanRejection;
use crate::ticket::{Redemption, Ticket, TicketStatus};
use crate::time::Timestamp;

/// A validator session as far as a scan depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    pub session: SessionId,
    /// User name of the operator.
    pub operator: Box<str>,
    pub device: Box<str>,
    /// The only merchant whose tickets the operator redeems; `None`: every merchant's.
    pub merchant: Option<MerchantCode>,
    /// Where the device stands; `None`: it redeems anywhere.
    pub location: Option<LocationCode>,
    /// The only departure that boards here now; `None`: any.
    pub departure: Option<DepartureId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanTarget {
    /// Every ticket of the order that this gate redeems.
    Order,
    Ticket(TicketId),
}

/// One press of the scanner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    pub gate: Gate,
    pub request_id: Box<str>,
    pub target: ScanTarget,
    /// What the gate redeems; `None`: whatever the ticket gives.
    pub entitlement: Option<EntitlementCode>,
}

/// When and where a ticket was used before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Previous {
    pub at: Timestamp,
    pub location: Option<Box<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TicketOutcome {
    /// `repeated`: by this very request before; nothing is redeemed again.
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
    /// Empty when the target does not exist in this order.
    pub tickets: Vec<(TicketId, TicketOutcome)>,
}

impl ScanOutcome {
    /// `None`: the target does not exist in this order. Of several tickets' reasons the last in precedence stands: that
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

    fn redeems(&self, ticket: TicketId) -> bool {
        self.tickets
            .iter()
            .any(|(id, outcome)| *id == ticket && matches!(outcome, TicketOutcome::Redeemed { repeated: false, .. }))
    }
}

impl Order {
    /// Always an answer, also for a refusal: every attempt is logged.
    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> Vec<Event> {
        let tickets = self
            .tickets
            .iter()
            .filter(|ticket| match scan.target {
                ScanTarget::Order => true,
                ScanTarget::Ticket(id) => ticket.id == id,
            })
            .map(|ticket| (ticket.id, judge(ticket, scan, now)))
            .collect();
        let outcome = ScanOutcome { scan: scan.clone(), at: now, tickets };

        let all_final = self.tickets.iter().all(|ticket| ticket.status.is_final() || outcome.redeems(ticket.id));
        let completes = self.status == OrderStatus::Paid && !self.tickets.is_empty() && all_final;
        let mut events = vec![Event::Scanned(outcome)];
        if completes {
            events.push(Event::Completed { at: now });
        }
        events
    }

    pub(super) fn apply_scan(&mut self, outcome: &ScanOutcome) {
        for ticket in &mut self.tickets {
            if !outcome.redeems(ticket.id) {
                continue;
            }
            let quantity = ticket.remaining;
            ticket.remaining = 0;
            ticket.status = TicketStatus::Used;
            ticket.redemptions.push(Redemption {
                session: outcome.scan.gate.session,
                request_id: outcome.scan.request_id.clone(),
                location: outcome.scan.gate.location.as_ref().map(|location| location.as_str().into()),
                quantity,
                at: outcome.at,
            });
        }
    }
}

fn judge(ticket: &Ticket, scan: &Scan, now: Timestamp) -> TicketOutcome {
    let by_this_request = ticket
        .redemptions
        .iter()
        .find(|redemption| redemption.session == scan.gate.session && redemption.request_id == scan.request_id);
    if let Some(redemption) = by_this_request {
        return TicketOutcome::Redeemed { at: redemption.at, remaining: ticket.remaining, repeated: true };
    }
    match refusal(ticket, scan, now) {
        Some(reason) => {
            let previous = (reason == ScanRejection::AlreadyRedeemed).then(|| last_use(ticket)).flatten();
            TicketOutcome::Refused { reason, previous }
        }
        None => TicketOutcome::Redeemed { at: now, remaining: 0, repeated: false },
    }
}

/// The first reason that applies, in the order of precedence of [`ScanRejection`].
fn refusal(ticket: &Ticket, scan: &Scan, now: Timestamp) -> Option<ScanRejection> {
    let gate = &scan.gate;
    if gate.merchant.as_ref().is_some_and(|merchant| *merchant != ticket.merchant) {
        return Some(ScanRejection::NotYourMerchant);
    }
    if gate.location.as_ref().is_some_and(|location| location.as_str() != ticket.journey.board_port.as_str()) {
        return Some(ScanRejection::WrongLocation);
    }
    if scan.entitlement.as_ref().is_some_and(|wanted| *wanted != ticket.entitlement) {
        return Some(ScanRejection::WrongEntitlement(ticket.entitlement.clone()));
    }
    if gate.departure.as_ref().is_some_and(|departure| *departure != ticket.journey.departure) {
        return Some(ScanRejection::WrongDeparture);
    }
    match ticket.status {
        TicketStatus::PreGenerated => Some(ScanRejection::NotActivated),
        TicketStatus::Used => Some(ScanRejection::AlreadyRedeemed),
        TicketStatus::Refunded => Some(ScanRejection::Refunded),
        TicketStatus::Changing | TicketStatus::Changed => Some(ScanRejection::Changed),
        TicketStatus::Cancelled => Some(ScanRejection::Cancelled),
        TicketStatus::Expired => Some(ScanRejection::Expired),
        TicketStatus::Usable if now < ticket.valid_from => Some(ScanRejection::NotYetValid),
        TicketStatus::Usable if now >= ticket.valid_until => Some(ScanRejection::Expired),
        TicketStatus::Usable if ticket.remaining == 0 => Some(ScanRejection::NoRemaining),
        TicketStatus::Usable => None,
    }
}

fn last_use(ticket: &Ticket) -> Option<Previous> {
    ticket.redemptions.last().map(|redemption| Previous { at: redemption.at, location: redemption.location.clone() })
}
