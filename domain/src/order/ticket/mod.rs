//! Tickets of an order: issued when it is paid, and redeemed at gates.

mod issue;
mod redeem;
#[cfg(test)]
mod tests;

use super::meeting::Asked;
use super::rows::Touched;
use super::scan::{Scan, ScanOutcome};
use super::{Event as OrderEvent, Order};
use crate::rejection::Rejection;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Scan(Scan),
    /// An operator looks what could be redeemed: nothing changes, and it is logged (R-SCAN-01).
    Look(Scan),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Scanned(ScanOutcome),
    /// What would come of it.
    Looked(ScanOutcome),
    /// No ticket of the order will ever be used again.
    Completed {
        at: Timestamp,
    },
}

impl Order {
    pub(super) fn ticket_decides(&self, command: &Command, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        match command {
            Command::Scan(scan) => {
                self.meets(Asked::Scan)?;
                let outcome = self.scan(scan, now);
                let completes = self.completes(&outcome);
                let mut events = vec![Event::Scanned(outcome).into()];
                if completes {
                    events.push(Event::Completed { at: now }.into());
                }
                Ok(events)
            }
            Command::Look(scan) => {
                self.meets(Asked::Scan)?;
                Ok(vec![Event::Looked(self.scan(scan, now)).into()])
            }
        }
    }

    pub(super) fn ticket_evolves(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::Scanned(outcome) => self.saved.scanned(outcome),
            Event::Looked(_) => {}
            Event::Completed { at } => self.saved.completed(*at, touched),
        }
    }
}
