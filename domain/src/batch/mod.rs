//! Batches of tickets that a partner has generated in advance (R-OTA-04, R-OTA-06, R-OTA-07).
//!
//! A ticket is one unit of a product, sold at a price that was frozen when it was generated. It is one byte of its batch until
//! it is activated; then it is an order, whose id was fixed at generation ([`BatchId::ticket`]), whose machine issues and
//! redeems what it gives, and which tells the batch when it is used or refunded.
//!
//! The caller is the batch's owner: it has the units held before there is a batch, tells [`Command`]s, does what
//! [`Batch::effect`] asks for, and wakes at the batch's deadline. That an id of a partner stands for one batch is its
//! business, too.
//!
//! The parts: `activation` from what is paid to an order; `id` ids of batches and tickets; [`plan`] from a request to what a batch
//! is; [`offer`] what is frozen of the product; [`command`] what can be asked and what then happened; `decide` every check;
//! [`followed`] what orders tell batches; [`rows`] how it looks in the journal and in the database.

mod activation;
pub mod command;
mod decide;
pub mod followed;
mod id;
pub mod offer;
pub mod plan;
pub mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use activation::{Activation, Units};
pub use command::{Became, Command, Event};
pub use id::BatchId;
pub use offer::{Offer, Priced};
pub use plan::{BatchWish, Distribution, OwnId, Plan, Reseller};

use crate::ids::codes;
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::time::Timestamp;

/// Most tickets of a batch (R-OTA-04): their rows are one record, and fit.
pub const BATCH_TICKETS_MAX: u16 = 5_000;

/// Where a ticket stands, as partners see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum TicketState {
    PreGenerated,
    /// It is an order.
    Active,
    /// Nothing of it is left to be used.
    Used,
    /// Activated, and cancelled unused.
    Refunded,
    /// Cancelled before it was activated.
    Cancelled,
    /// Nobody has activated it before its batch ended.
    Expired,
}

// What a batch is loaded from tells them by their first letters.
codes!(TicketState, "ticket status: known are PRE_GENERATED, ACTIVE, USED, REFUNDED, CANCELLED and EXPIRED":
    PreGenerated = "PRE_GENERATED",
    Active = "ACTIVE",
    Used = "USED",
    Refunded = "REFUNDED",
    Cancelled = "CANCELLED",
    Expired = "EXPIRED",
);

impl TicketState {
    /// Whether its unit is sold; others go back on sale.
    const fn keeps_unit(self) -> bool {
        match self {
            TicketState::PreGenerated | TicketState::Active | TicketState::Used => true,
            TicketState::Refunded | TicketState::Cancelled | TicketState::Expired => false,
        }
    }
}

/// Where a batch stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BatchState {
    /// The stock is to confirm its units. Nobody sees it yet.
    Taking,
    Active,
    /// Its time is over: nothing of it is activated any more.
    Ended,
    /// The stock had no units for it any more: it never was.
    GivenUp,
}

codes!(BatchState, "batch status: known are taking, active, expired and given_up":
    Taking = "taking",
    Active = "active",
    Ended = "expired",
    GivenUp = "given_up",
);

/// What is to be done for a batch. Doing it twice is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The stock confirms the batch's hold.
    TakeUnits,
    /// Its units were drawn from a reservation in the record that it was born with: nobody need be asked before all tickets are
    /// there.
    Finish,
    /// The stock learns how many units of it the batch keeps.
    ReturnUnits { kept: u16 },
    /// The partner's book of reservations learns it, of what was drawn there.
    GiveBack { kept: u16 },
}

/// How many tickets of a batch are in each state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts([u16; TicketState::ALL.len()]);

impl Counts {
    pub(super) fn of_all(tickets: &[TicketState]) -> Counts {
        let mut counts = Counts::default();
        for ticket in tickets {
            counts.add(*ticket, 1);
        }
        counts
    }

    pub fn of(&self, state: TicketState) -> u16 {
        self.0.get(state as usize).copied().unwrap_or_default()
    }

    /// Tickets that were activated, whatever has become of them.
    pub fn activated(&self) -> u16 {
        [TicketState::Active, TicketState::Used, TicketState::Refunded].map(|state| self.of(state)).iter().sum()
    }

    fn kept(&self) -> u16 {
        TicketState::ALL.into_iter().filter(|state| state.keeps_unit()).map(|state| self.of(state)).sum()
    }

    fn add(&mut self, state: TicketState, tickets: u16) {
        if let Some(count) = self.0.get_mut(state as usize) {
            *count += tickets;
        }
    }

    /// A ticket of the state `from` is there.
    fn shift(&mut self, from: TicketState, to: TicketState) {
        if let Some(count) = self.0.get_mut(from as usize) {
            debug_assert!(*count > 0, "a ticket is in its state");
            *count = count.saturating_sub(1);
        }
        self.add(to, 1);
    }
}

/// One batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    plan: Arc<Plan>,
    state: BatchState,
    /// Of ticket 1, 2, …
    tickets: Box<[TicketState]>,
    counts: Counts,
    /// How many units the stock knows the batch to keep.
    known_kept: u16,
}

impl Batch {
    /// Before [`Command::Begin`] it does not exist; see also [`Batch::born`].
    pub fn planned(plan: Plan) -> Batch {
        let quantity = plan.quantity;
        let mut counts = Counts::default();
        counts.add(TicketState::PreGenerated, quantity);
        Batch {
            plan: Arc::new(plan),
            state: BatchState::Taking,
            tickets: vec![TicketState::PreGenerated; usize::from(quantity)].into(),
            counts,
            known_kept: quantity,
        }
    }

    /// One whose units are drawn from a reservation, and its row as it is first written: it begins to exist in the record of
    /// the draw (rule 4), and then finishes by itself.
    pub fn born(plan: Plan) -> (Batch, Rows) {
        let batch = Batch::planned(plan);
        let mut rows = Rows::default();
        rows.put(&batch.row(0, true));
        (batch, rows)
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether its units were drawn from a reservation: then it was born, and never begun.
    pub fn is_drawn(&self) -> bool {
        self.plan.reservation.is_some()
    }

    pub fn id(&self) -> BatchId {
        self.plan.id
    }

    pub fn state(&self) -> BatchState {
        self.state
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Of ticket 1, 2, …
    pub fn tickets(&self) -> &[TicketState] {
        &self.tickets
    }

    /// `None`: there is no such ticket.
    pub fn ticket(&self, number: u16) -> Option<TicketState> {
        let place = usize::from(number).checked_sub(1)?;
        self.tickets.get(place).copied()
    }

    /// What is to be done now.
    pub fn effect(&self) -> Option<Effect> {
        let kept = self.counts.kept();
        match self.state {
            BatchState::Taking => Some(if self.is_drawn() { Effect::Finish } else { Effect::TakeUnits }),
            BatchState::Active | BatchState::Ended => (kept < self.known_kept).then_some(if self.is_drawn() {
                Effect::GiveBack { kept }
            } else {
                Effect::ReturnUnits { kept }
            }),
            BatchState::GivenUp => None,
        }
    }

    fn set(&mut self, number: u16, to: TicketState) {
        let place = usize::from(number).checked_sub(1);
        let Some(ticket) = place.and_then(|place| self.tickets.get_mut(place)) else { return };
        self.counts.shift(*ticket, to);
        *ticket = to;
    }

    /// The numbers of those that nobody has activated before the batch ends with this event.
    fn expired_by(&self, event: &Event) -> Vec<u16> {
        let is_open = |number: &u16| self.ticket(*number) == Some(TicketState::PreGenerated);
        match event {
            Event::Ended { .. } => self.plan.numbers().filter(is_open).collect(),
            Event::Begun
            | Event::Generated
            | Event::GivenUp
            | Event::TicketChanged { .. }
            | Event::UnitsReturned { .. } => Vec::new(),
        }
    }

    /// Trusts the events and cannot fail.
    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Begun => self.state = BatchState::Taking,
            Event::Generated => self.state = BatchState::Active,
            Event::GivenUp => self.state = BatchState::GivenUp,
            Event::TicketChanged { number, to, .. } => self.set(*number, *to),
            Event::UnitsReturned { kept } => self.known_kept = *kept,
            Event::Ended { .. } => {
                for number in self.expired_by(event) {
                    self.set(number, TicketState::Expired);
                }
                self.state = BatchState::Ended;
            }
        }
    }
}

impl Machine for Batch {
    type Command = Command;
    type Event = Event;

    /// The rows of all tickets are far larger than an estimate, and a copy is a byte for each.
    const ROOM: Room = Room::Exact;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.decide(command, now)
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        let mut rows = Rows::default();
        for event in events {
            let expires = self.expired_by(event);
            self.evolve(event);
            self.put_rows(event, &expires, version, &mut rows);
        }
        rows
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.plan.ends_at.filter(|_| self.state == BatchState::Active)
    }

    fn when_due() -> Option<Command> {
        Some(Command::Expire)
    }
}
