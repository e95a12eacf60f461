//! Every check of a batch. Nothing here changes anything.

use std::collections::BTreeMap;

use super::command::{Became, Command, Event};
use super::{Batch, BatchState, TicketState};
use crate::rejection::{Rejection, ScanRejection};
use crate::time::Timestamp;

impl Batch {
    pub(super) fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Begin => Ok(vec![Event::Begun]),
            Command::UnitsTaken => Ok(self.is_taking().then_some(Event::Generated).into_iter().collect()),
            Command::UnitsLost => Ok(self.is_taking().then_some(Event::GivenUp).into_iter().collect()),
            Command::Activate { number } => self.activate(*number, now),
            Command::Cancel { number } => self.cancel(*number, now),
            Command::Follow(became) => Ok(self.follow(became, now)),
            Command::UnitsReturned { kept } => {
                let is_news = *kept < self.known_kept;
                Ok(is_news.then_some(Event::UnitsReturned { kept: *kept }).into_iter().collect())
            }
            Command::Expire => {
                let is_over = self.state == BatchState::Active && self.is_over(now);
                Ok(is_over.then_some(Event::Ended { at: now }).into_iter().collect())
            }
        }
    }

    fn is_taking(&self) -> bool {
        self.state == BatchState::Taking
    }

    /// Whether its time is over, swept or not.
    fn is_over(&self, now: Timestamp) -> bool {
        self.plan.ends_at.is_some_and(|end| end <= now)
    }

    /// A ticket that its partner may know of, as it is at this instant. Refused with `TicketNotFound`.
    pub fn known(&self, number: u16, now: Timestamp) -> Result<TicketState, Rejection> {
        let ticket = match self.state {
            BatchState::Active | BatchState::Ended => self.ticket(number),
            BatchState::Taking | BatchState::GivenUp => None,
        };
        match ticket.ok_or(Rejection::TicketNotFound)? {
            TicketState::PreGenerated if self.is_over(now) => Ok(TicketState::Expired),
            state => Ok(state),
        }
    }

    fn activate(&self, number: u16, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.known(number, now)? {
            TicketState::PreGenerated => Ok(vec![Event::TicketChanged { number, to: TicketState::Active, at: now }]),
            TicketState::Active | TicketState::Used | TicketState::Refunded => Err(self.already_activated(number)),
            TicketState::Cancelled => Err(Rejection::TicketCancelled),
            TicketState::Expired => Err(Rejection::TicketExpired),
        }
    }

    fn cancel(&self, number: u16, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.known(number, now)? {
            TicketState::PreGenerated => Ok(vec![Event::TicketChanged { number, to: TicketState::Cancelled, at: now }]),
            TicketState::Cancelled => Ok(Vec::new()),
            // Its order knows whether it can still be given up.
            TicketState::Active | TicketState::Used | TicketState::Refunded => Err(self.already_activated(number)),
            TicketState::Expired => Err(Rejection::TicketExpired),
        }
    }

    fn follow(&self, all: &BTreeMap<u16, Became>, now: Timestamp) -> Vec<Event> {
        let changed = |(&number, became): (&u16, &Became)| match self.ticket(number)? {
            TicketState::Active => Some(Event::TicketChanged { number, to: became.state(), at: now }),
            // The order has said so before, or it is no order of this ticket.
            TicketState::Used
            | TicketState::Refunded
            | TicketState::PreGenerated
            | TicketState::Cancelled
            | TicketState::Expired => None,
        };
        all.iter().filter_map(changed).collect()
    }

    fn already_activated(&self, number: u16) -> Rejection {
        Rejection::TicketAlreadyActivated { order: self.id().ticket(number) }
    }

    /// Why a gate lets nobody in with a ticket that is no order. `None`: it is one, which is to be asked.
    pub fn without_order(state: TicketState, ends_at: Option<Timestamp>, now: Timestamp) -> Option<ScanRejection> {
        match state {
            TicketState::PreGenerated if ends_at.is_some_and(|end| end <= now) => Some(ScanRejection::Expired),
            TicketState::PreGenerated => Some(ScanRejection::NotActivated),
            TicketState::Cancelled => Some(ScanRejection::Cancelled),
            TicketState::Expired => Some(ScanRejection::Expired),
            TicketState::Active | TicketState::Used | TicketState::Refunded => None,
        }
    }
}
