//! An order's status follows its tickets: nothing else completes one.

use super::scan::ScanOutcome;
use super::{Order, OrderStatus};

impl Order {
    /// Whether no ticket will ever be used again after this scan.
    pub(super) fn completes(&self, outcome: &ScanOutcome) -> bool {
        let mut tickets = self.tickets().iter();
        let all_final = tickets.all(|ticket| ticket.status.is_final() || outcome.leaves(ticket.id) == Some(0));
        self.status() == OrderStatus::Paid && !self.tickets().is_empty() && all_final
    }
}
