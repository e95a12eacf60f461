//! An order's status follows its tickets: nothing else completes one.

use super::scan::ScanOutcome;
use super::{Order, OrderStatus};
use crate::ticket::Ticket;

impl Order {
    /// Whether no ticket will ever be used again after this scan.
    pub(super) fn completes(&self, outcome: &ScanOutcome) -> bool {
        self.completes_when(|ticket| outcome.leaves(ticket.id) == Some(0))
    }

    /// The same once these have ended.
    pub(super) fn completes_when(&self, ends: impl Fn(&Ticket) -> bool) -> bool {
        let all_final = self.tickets().iter().all(|ticket| ticket.status.is_final() || ends(ticket));
        self.status() == OrderStatus::Paid && !self.tickets().is_empty() && all_final
    }
}
