//! A ticket and its states (R-TICKET-05). Tickets belong to their order: only the order's machine changes them.

use serde::{Deserialize, Serialize};

use crate::catalogue::DepartureOverride;
use crate::departure::Stretch;
use crate::ids::{CodeToken, DepartureId, EntitlementCode, MerchantCode, PortCode, SessionId, TicketId, codes};
use crate::time::Timestamp;

/// A journey's ticket is valid until this long after the departure (R-TICKET-02).
pub const JOURNEY_VALID_AFTER_DEPARTURE_SECONDS: i64 = 2 * 60 * 60;

/// The entitlement of every journey ticket: to board.
pub const BOARDING: &str = "BOARDING";

/// Where a ticket stands. Only `usable` can be redeemed; the last five are final.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    /// Made for a partner, not yet sold.
    PreGenerated,
    Usable,
    /// The new seat is held and the difference settled; the new ticket is about to be issued.
    Changing,
    Used,
    Refunded,
    Changed,
    Expired,
    Cancelled,
}

codes!(TicketStatus, "ticket status":
    PreGenerated = "pre_generated",
    Usable = "usable",
    Changing = "changing",
    Used = "used",
    Refunded = "refunded",
    Changed = "changed",
    Expired = "expired",
    Cancelled = "cancelled",
);

impl TicketStatus {
    /// Nothing follows a final state.
    pub const fn is_final(self) -> bool {
        match self {
            TicketStatus::PreGenerated | TicketStatus::Usable | TicketStatus::Changing => false,
            TicketStatus::Used
            | TicketStatus::Refunded
            | TicketStatus::Changed
            | TicketStatus::Expired
            | TicketStatus::Cancelled => true,
        }
    }

    /// The whole state table of R-TICKET-05: no ticket takes another way.
    pub(crate) const fn may_become(self, next: TicketStatus) -> bool {
        use TicketStatus::{Cancelled, Changed, Changing, Expired, PreGenerated, Refunded, Usable, Used};
        match (self, next) {
            (PreGenerated, Usable | Cancelled | Expired)
            | (Usable, Used | Refunded | Changing | Expired)
            | (Changing, Changed) => true,
            (PreGenerated | Usable | Changing | Used | Refunded | Changed | Expired | Cancelled, _) => false,
        }
    }
}

/// What a ticket gives the right to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Right {
    Journey(Journey),
    /// One of a package's entitlements.
    Entitlement(Entitlement),
}

/// Who may use a ticket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Holder {
    /// Index into the order's passengers.
    Passenger(u16),
    /// Whoever of the order comes: they use it up together.
    Party,
}

/// The journey that a ticket carries its passenger on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Journey {
    pub departure: DepartureId,
    pub stretch: Stretch,
    pub seat: Box<str>,
    pub board_port: PortCode,
    /// From the stop where the passenger boards.
    pub departs_at: Timestamp,
    pub boarding: Entitlement,
}

/// What is redeemed, and how often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entitlement {
    pub code: EntitlementCode,
    /// Who redeems it: of a journey the carrier. `None`: every merchant.
    pub merchant: Option<MerchantCode>,
    pub total: u16,
    pub remaining: u16,
    pub valid_from: Timestamp,
    /// Exclusive.
    pub valid_until: Timestamp,
}

/// One use of a ticket, kept as long as the ticket: it answers a repeated request, and "already redeemed".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Redemption {
    pub session: SessionId,
    pub request_id: Box<str>,
    pub location: Option<Box<str>>,
    pub quantity: u16,
    pub at: Timestamp,
    /// Of the one-time code that was shown: it redeems nothing more.
    pub code: Option<CodeToken>,
}

/// What may be used, once paid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ticket {
    pub id: TicketId,
    /// Index into the order's items: what was bought.
    pub item: u16,
    pub holder: Holder,
    pub right: Right,
    pub status: TicketStatus,
    /// Its share of the order's price, in minor units.
    pub price_minor: i64,
    /// When it was made, which need not be when it was paid: a partner's before, one that takes another's place after.
    pub issued_at: Timestamp,
    pub redemptions: Vec<Redemption>,
}

impl Ticket {
    /// What is redeemed of it.
    pub fn entitlement(&self) -> &Entitlement {
        match &self.right {
            Right::Journey(journey) => &journey.boarding,
            Right::Entitlement(entitlement) => entitlement,
        }
    }

    /// From when and, exclusively, until when it is good. After a re-timing boarding opens as long before the departure in
    /// force as it did before the one that was sold, and ends 2 hours after it (R-TICKET-02).
    pub fn validity(&self, differs: Option<&DepartureOverride>) -> (Timestamp, Timestamp) {
        let &Entitlement { valid_from, valid_until, .. } = self.entitlement();
        let Right::Journey(journey) = &self.right else { return (valid_from, valid_until) };
        let Some(call) = differs.and_then(|of| of.call(journey.stretch.board)) else {
            return (valid_from, valid_until);
        };
        let opens_late = valid_from > self.issued_at;
        let moved = valid_from.plus_ms(call.departs_at.ms_since(journey.departs_at)).max(self.issued_at);
        let from = if opens_late { moved } else { valid_from };
        (from, call.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(from))
    }

    /// Of a journey.
    pub const fn departure(&self) -> Option<&DepartureId> {
        match &self.right {
            Right::Journey(journey) => Some(&journey.departure),
            Right::Entitlement(_) => None,
        }
    }

    pub(crate) fn entitlement_mut(&mut self) -> &mut Entitlement {
        match &mut self.right {
            Right::Journey(journey) => &mut journey.boarding,
            Right::Entitlement(entitlement) => entitlement,
        }
    }

    pub(crate) fn add_redemption(&mut self, redemption: Redemption) {
        // Nearly every ticket is used once: a list that grows by itself would take room for four.
        self.redemptions.reserve_exact(1);
        self.redemptions.push(redemption);
    }

    /// The only way in which the status of a ticket changes. A step that the state table does not have is a fault of
    /// ours: the order's owner ends before a record says so, and is rebuilt as it was.
    pub(crate) fn set_status(&mut self, next: TicketStatus) {
        let Ticket { id, status, .. } = self;
        assert!(status.may_become(next), "ticket {id} is {} and cannot become {}", status.code(), next.code());
        *status = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ticket_05_no_final_state_is_ever_left_and_every_state_has_one_name() {
        for from in TicketStatus::ALL {
            assert_eq!(from.code().parse(), Ok(from));
            for to in TicketStatus::ALL {
                assert!(!(from.is_final() && from.may_become(to)), "{from:?} → {to:?}");
                assert!(from != to || !from.may_become(to), "{from:?} does not become itself");
            }
        }
    }

    #[test]
    fn r_ticket_05_a_usable_ticket_is_used_refunded_expired_or_enters_a_change() {
        let next: Vec<_> = TicketStatus::ALL.into_iter().filter(|to| TicketStatus::Usable.may_become(*to)).collect();
        assert_eq!(next, [TicketStatus::Changing, TicketStatus::Used, TicketStatus::Refunded, TicketStatus::Expired]);
    }
}
