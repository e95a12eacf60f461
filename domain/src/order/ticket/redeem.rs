//! Scans: what a gate may redeem of an order's tickets, exactly once (R-SCAN-02 to R-SCAN-05).
//!
//! A one-time code redeems by one request only (R-TICKET-04). What it redeemed says so: every redemption keeps the
//! code's token, and there are never more redemptions than uses. A refused scan leaves no redemption, so a code that was
//! shown at the wrong gate is still good at the right one; and of two codes that two phones fetched at once, both are.
//! Every use of a ticket that has several takes a fresh one-time code; a print code takes one by each request.

use crate::order::Order;
use crate::order::scan::{Gate, Previous, Scan, ScanOutcome, Take, TicketOutcome};
use crate::package::EntitlementTerms;
use crate::rejection::ScanRejection;
use crate::ticket::{Redemption, Right, Ticket, TicketStatus};
use crate::time::Timestamp;

/// Within this time a session takes one use of a ticket by a print code, because a reader that still sees the paper reads
/// it again.
const READ_TWICE_MS: i64 = 2_000;

impl Order {
    /// Always an answer, also for a refusal: every attempt is logged.
    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> ScanOutcome {
        let used = self.use_by_another_request(scan);
        let targets = || self.tickets().iter().filter_map(|ticket| Some((ticket, scan.takes(ticket)?)));
        let is_good =
            targets().any(|(ticket, _)| !scan.predates(ticket)) && (!scan.is_late(now) || self.is_repetition(scan));
        let judged = |(ticket, take): (&Ticket, &Take)| (ticket.id, self.judge(ticket, scan, take, used, now));
        let tickets = targets().filter(|_| is_good).map(judged).collect();
        ScanOutcome { scan: scan.clone(), at: now, tickets }
    }

    /// What the shown one-time code has redeemed by another request.
    fn use_by_another_request(&self, scan: &Scan) -> Option<(&Ticket, &Redemption)> {
        scan.one_time()?;
        let by_another = |redemption: &&Redemption| scan.is_spent_by(redemption);
        self.tickets().iter().find_map(|ticket| Some((ticket, ticket.redemptions.iter().find(by_another)?)))
    }

    fn is_repetition(&self, scan: &Scan) -> bool {
        self.tickets().iter().any(|ticket| ticket.redemptions.iter().any(|redemption| scan.made(redemption)))
    }
}

impl Order {
    /// `used`: what the shown one-time code has redeemed by another request.
    fn judge(
        &self,
        ticket: &Ticket,
        scan: &Scan,
        take: &Take,
        used: Option<(&Ticket, &Redemption)>,
        now: Timestamp,
    ) -> TicketOutcome {
        let by_this_request = ticket.redemptions.iter().enumerate().find(|(_, redemption)| scan.made(redemption));
        if let Some((place, redemption)) = by_this_request {
            // As it was answered then, whatever has been used since (R-SCAN-03).
            let used_then = ticket.redemptions.iter().take(place + 1).map(|redemption| redemption.quantity).sum();
            let remaining = ticket.entitlement().total.saturating_sub(used_then);
            return TicketOutcome::Redeemed { at: redemption.at, remaining, repeated: true };
        }
        let Some(reason) = self.refuses(ticket, scan, take, used, now) else {
            let remaining = ticket.entitlement().remaining.saturating_sub(take.quantity);
            return TicketOutcome::Redeemed { at: now, remaining, repeated: false };
        };
        let previous = match reason {
            ScanRejection::AlreadyRedeemed => ticket.redemptions.last(),
            // Tenants never meet, nor do their gates learn of each other.
            ScanRejection::Replayed => {
                let merchant = &ticket.entitlement().merchant;
                used.filter(|(other, _)| other.entitlement().merchant == *merchant).map(|(_, used)| used)
            }
            ScanRejection::InvalidCode
            | ScanRejection::NotYourMerchant
            | ScanRejection::WrongLocation
            | ScanRejection::WrongEntitlement(_)
            | ScanRejection::WrongDeparture
            | ScanRejection::DepartureCancelled
            | ScanRejection::NotActivated
            | ScanRejection::RefundPending
            | ScanRejection::Refunded
            | ScanRejection::Changed
            | ScanRejection::Cancelled
            | ScanRejection::Expired
            | ScanRejection::NotYetValid
            | ScanRejection::NoRemaining
            | ScanRejection::CodeExpired => None,
        };
        TicketOutcome::Refused { reason, previous: previous.map(Previous::of) }
    }

    /// The first reason that applies, in the order of precedence of [`ScanRejection`].
    fn refuses(
        &self,
        ticket: &Ticket,
        scan: &Scan,
        take: &Take,
        used: Option<(&Ticket, &Redemption)>,
        now: Timestamp,
    ) -> Option<ScanRejection> {
        let Gate { session, redeems, location, departure, .. } = &scan.gate;
        let entitlement = ticket.entitlement();
        if entitlement.merchant.as_ref().is_some_and(|merchant| !redeems.of_merchant(merchant)) {
            return Some(ScanRejection::NotYourMerchant);
        }
        if let Some((_, used)) = used {
            // At the very gate that took the code, a ticket with nothing left was scanned twice: that is the better answer
            // to its operator. Anywhere else the code is a copy.
            let twice = used.session == *session && ticket.status == TicketStatus::Used;
            return Some(if twice { ScanRejection::AlreadyRedeemed } else { ScanRejection::Replayed });
        }
        let terms = self.terms(ticket);
        if !is_redeemed_here(ticket, terms, &scan.gate) || !redeems.at(location.as_ref()) {
            return Some(ScanRejection::WrongLocation);
        }
        let is_elsewhere = terms.is_some_and(|terms| !scan.is_through(terms.channel));
        let is_not_his = is_elsewhere || !redeems.entitled(&entitlement.code);
        if is_not_his || take.entitlement.as_ref().is_some_and(|wanted| *wanted != entitlement.code) {
            return Some(ScanRejection::WrongEntitlement(entitlement.code.clone()));
        }
        if departure.as_ref().is_some_and(|boards| Some(boards) != ticket.departure()) {
            return Some(ScanRejection::WrongDeparture);
        }
        let differs = ticket.departure().and_then(|departure| scan.differs(departure));
        if differs.is_some_and(|of| of.cancelled) {
            return Some(ScanRejection::DepartureCancelled);
        }
        let (valid_from, valid_until) = ticket.validity(differs);
        match ticket.status {
            TicketStatus::PreGenerated => Some(ScanRejection::NotActivated),
            TicketStatus::Used => Some(ScanRejection::AlreadyRedeemed),
            TicketStatus::Refunded => Some(ScanRejection::Refunded),
            TicketStatus::Changing | TicketStatus::Changed => Some(ScanRejection::Changed),
            TicketStatus::Cancelled => Some(ScanRejection::Cancelled),
            TicketStatus::Expired => Some(ScanRejection::Expired),
            TicketStatus::Usable if now < valid_from => Some(ScanRejection::NotYetValid),
            TicketStatus::Usable if now >= valid_until => Some(ScanRejection::Expired),
            TicketStatus::Usable if entitlement.remaining < take.quantity => Some(ScanRejection::NoRemaining),
            // A request that is repeated too late to redeem what it could not redeem the first time.
            TicketStatus::Usable if scan.is_late(now) => Some(ScanRejection::CodeExpired),
            // An order's code that was printed before this ticket of it was issued.
            TicketStatus::Usable if scan.predates(ticket) => Some(ScanRejection::CodeExpired),
            TicketStatus::Usable if is_read_twice(ticket, scan, now) => Some(ScanRejection::AlreadyRedeemed),
            TicketStatus::Usable => None,
        }
    }
}

/// Whether it is redeemed where the gate stands: a journey where its passenger boards, an entitlement at its locations.
/// `terms`: of an entitlement.
fn is_redeemed_here(ticket: &Ticket, terms: Option<&EntitlementTerms>, gate: &Gate) -> bool {
    let Some(location) = &gate.location else { return true };
    match &ticket.right {
        Right::Journey(journey) => gate.port.as_ref() == Some(&journey.board_port),
        Right::Entitlement(_) => {
            terms.is_none_or(|terms| terms.locations.is_empty() || terms.locations.contains(location))
        }
    }
}

fn is_read_twice(ticket: &Ticket, scan: &Scan, now: Timestamp) -> bool {
    let just_now = |used: &Redemption| used.session == scan.gate.session && now.ms_since(used.at) < READ_TWICE_MS;
    scan.printed().is_some() && ticket.redemptions.iter().any(just_now)
}
