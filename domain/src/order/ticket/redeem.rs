//! Scans: what a gate may redeem of an order's tickets, exactly once (R-SCAN-02 to R-SCAN-05).
//!
//! A one-time code redeems by one request only (R-TICKET-04). What it redeemed says so: every redemption keeps the
//! code's token, and there are never more redemptions than uses. A refused scan leaves no redemption, so a code that was
//! shown at the wrong gate is still good at the right one; and of two codes that two phones fetched at once, both are.
//! Every use of a ticket that has several takes a fresh one-time code; a print code takes one by each request.

use crate::order::Order;
use crate::order::scan::{Previous, Scan, ScanOutcome, TicketOutcome};
use crate::rejection::ScanRejection;
use crate::ticket::{Journey, Redemption, Right, Ticket, TicketStatus};
use crate::time::Timestamp;

/// What a gate takes of a ticket at once (R-SCAN-02).
const USES_OF_A_SCAN: u16 = 1;

/// Within this time a session takes one use of a ticket by a print code, because a reader that still sees the paper reads
/// it again.
const READ_TWICE_MS: i64 = 2_000;

impl Order {
    /// Always an answer, also for a refusal: every attempt is logged.
    pub(super) fn scan(&self, scan: &Scan, now: Timestamp) -> ScanOutcome {
        let used = self.use_by_another_request(scan);
        let targets = || self.tickets().iter().filter(|ticket| scan.target.is(ticket.id));
        let is_good =
            targets().any(|ticket| !scan.predates(ticket)) && (!scan.is_late(now) || self.is_repetition(scan));
        let tickets = targets().filter(|_| is_good).map(|ticket| (ticket.id, judge(ticket, scan, used, now))).collect();
        ScanOutcome { scan: scan.clone(), at: now, tickets }
    }

    /// What the shown one-time code has redeemed by another request.
    fn use_by_another_request(&self, scan: &Scan) -> Option<(&Ticket, &Redemption)> {
        let token = scan.one_time()?;
        let by_another = |redemption: &&Redemption| redemption.code == Some(token) && !scan.made(redemption);
        self.tickets().iter().find_map(|ticket| Some((ticket, ticket.redemptions.iter().find(by_another)?)))
    }

    fn is_repetition(&self, scan: &Scan) -> bool {
        self.tickets().iter().any(|ticket| ticket.redemptions.iter().any(|redemption| scan.made(redemption)))
    }
}

/// `used`: what the shown one-time code has redeemed by another request.
fn judge(ticket: &Ticket, scan: &Scan, used: Option<(&Ticket, &Redemption)>, now: Timestamp) -> TicketOutcome {
    let by_this_request = ticket.redemptions.iter().enumerate().find(|(_, redemption)| scan.made(redemption));
    if let Some((place, redemption)) = by_this_request {
        // As it was answered then, whatever has been used since (R-SCAN-03).
        let used_then = ticket.redemptions.iter().take(place + 1).map(|redemption| redemption.quantity).sum();
        let remaining = ticket.entitlement().total.saturating_sub(used_then);
        return TicketOutcome::Redeemed { at: redemption.at, remaining, repeated: true };
    }
    let Some(reason) = refusal(ticket, scan, used, now) else {
        let remaining = ticket.entitlement().remaining.saturating_sub(USES_OF_A_SCAN);
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
fn refusal(
    ticket: &Ticket,
    scan: &Scan,
    used: Option<(&Ticket, &Redemption)>,
    now: Timestamp,
) -> Option<ScanRejection> {
    let gate = &scan.gate;
    let Right::Journey(Journey { departure, board_port, boarding, .. }) = &ticket.right;
    if !gate.redeems.of_merchant(&boarding.merchant) {
        return Some(ScanRejection::NotYourMerchant);
    }
    if let Some((_, used)) = used {
        // At the very gate that took the code, a ticket with nothing left was scanned twice: that is the better answer
        // to its operator. Anywhere else the code is a copy.
        let twice = used.session == gate.session && ticket.status == TicketStatus::Used;
        return Some(if twice { ScanRejection::AlreadyRedeemed } else { ScanRejection::Replayed });
    }
    let boards_here = gate.location.is_none() || gate.port.as_ref() == Some(board_port);
    if !boards_here || !gate.redeems.at(gate.location.as_ref()) {
        return Some(ScanRejection::WrongLocation);
    }
    let is_another = scan.entitlement.as_ref().is_some_and(|wanted| *wanted != boarding.code);
    if is_another || !gate.redeems.entitled(&boarding.code) {
        return Some(ScanRejection::WrongEntitlement(boarding.code.clone()));
    }
    if gate.departure.as_ref().is_some_and(|boards| boards != departure) {
        return Some(ScanRejection::WrongDeparture);
    }
    match ticket.status {
        TicketStatus::PreGenerated => Some(ScanRejection::NotActivated),
        TicketStatus::Used => Some(ScanRejection::AlreadyRedeemed),
        TicketStatus::Refunded => Some(ScanRejection::Refunded),
        TicketStatus::Changing | TicketStatus::Changed => Some(ScanRejection::Changed),
        TicketStatus::Cancelled => Some(ScanRejection::Cancelled),
        TicketStatus::Expired => Some(ScanRejection::Expired),
        TicketStatus::Usable if now < boarding.valid_from => Some(ScanRejection::NotYetValid),
        TicketStatus::Usable if now >= boarding.valid_until => Some(ScanRejection::Expired),
        TicketStatus::Usable if boarding.remaining == 0 => Some(ScanRejection::NoRemaining),
        // A request that is repeated too late to redeem what it could not redeem the first time.
        TicketStatus::Usable if scan.is_late(now) => Some(ScanRejection::CodeExpired),
        // An order's code that was printed before this ticket of it was issued.
        TicketStatus::Usable if scan.predates(ticket) => Some(ScanRejection::CodeExpired),
        TicketStatus::Usable if is_read_twice(ticket, scan, now) => Some(ScanRejection::AlreadyRedeemed),
        TicketStatus::Usable => None,
    }
}

fn is_read_twice(ticket: &Ticket, scan: &Scan, now: Timestamp) -> bool {
    let just_now = |used: &Redemption| used.session == scan.gate.session && now.ms_since(used.at) < READ_TWICE_MS;
    scan.printed().is_some() && ticket.redemptions.iter().any(just_now)
}
