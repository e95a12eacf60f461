//! What partners ask of their batches. Another partner's batch or ticket is not there.

use std::sync::Arc;

use deeptravel_domain::batch::{Activation, Batch, BatchId, BatchWish, Became, TicketState};
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::order::Order;
use deeptravel_domain::rejection::{Rejection, ScanRejection};

use crate::batch::{Activate, Cancel, Follow, Generated, View, generate};
use crate::engine::Engine;
use crate::outage::{Answer, Outage, Reply};

/// A ticket's order is of one unit.
const ONLY_ITEM: u16 = 0;

impl Engine {
    /// Generates tickets, all or none, or finds the batch that the partner calls so (R-OTA-04). With whether it was made now.
    /// Refused with fields, `TemplateNotFound`, `BatchExists`, `InsufficientAllotment`.
    pub async fn generate_batch(&self, wish: BatchWish) -> Answer<Generated> {
        let (peers, batches) = (Arc::clone(self.owners.peers()), Arc::clone(&self.owners.batches));
        // To its end: whoever asked may go in between.
        let generating = self.owners.io.spawn(generate(peers, batches, wish));
        generating.await.unwrap_or(Err(Outage::Rebuilding))
    }

    /// A batch as it is. Refused with `BatchNotFound`.
    pub async fn batch(&self, partner: &PartnerCode, id: BatchId) -> Answer<Arc<Batch>> {
        if self.owners.batch_board.of_partner(partner, id).is_none() {
            return Ok(Reply::rejected(Rejection::BatchNotFound, self.owners.journal.durable()));
        }
        self.owners.batches.ask(&id, View).await?.ok_or(Outage::Rebuilding)
    }

    /// A partner's customer has paid for a ticket: it becomes an order, which is paid (R-OTA-06). Refused with
    /// `TicketNotFound`, `TicketAlreadyActivated`, `TicketCancelled`, `TicketExpired`, `Blackout`, and fields.
    pub async fn activate_ticket(
        &self,
        partner: &PartnerCode,
        ticket: OrderId,
        activation: Activation,
    ) -> Answer<Arc<Order>> {
        let Some((batch, number)) = self.ticket_of(partner, ticket) else { return Ok(self.no_ticket()) };
        let activate = Activate { number, activation: Box::new(activation) };
        self.owners.batches.ask(&batch, activate).await?.ok_or(Outage::Rebuilding)
    }

    /// Gives up a ticket, or cancels its order if nothing of that was used: its unit goes back to the partner's allotment
    /// (R-OTA-07). With how the ticket then stands. Repeated it is already so. Refused with `TicketNotFound`, `TicketUsed`,
    /// `TicketExpired`.
    pub async fn cancel_ticket(&self, partner: &PartnerCode, ticket: OrderId) -> Answer<TicketState> {
        let Some((batch, number)) = self.ticket_of(partner, ticket) else { return Ok(self.no_ticket()) };
        let given_up = self.owners.batches.ask(&batch, Cancel(number)).await?.ok_or(Outage::Rebuilding)?;
        if !matches!(given_up.outcome, Err(Rejection::TicketAlreadyActivated { .. })) {
            return Ok(given_up.map(|()| TicketState::Cancelled));
        }
        let cancelled = self.cancel_partner_ticket(partner.clone(), ticket, ONLY_ITEM).await?;
        if cancelled.outcome.is_ok() {
            // It hears of it from its follower as well, if this breaks off.
            let refunded = Follow { number, became: Became::Refunded };
            self.owners.batches.ask(&batch, refunded).await?.ok_or(Outage::Rebuilding)?;
        }
        Ok(cancelled.map(|_| TicketState::Refunded))
    }

    fn no_ticket<T>(&self) -> Reply<T> {
        Reply::rejected(Rejection::TicketNotFound, self.owners.journal.durable())
    }

    /// Why a gate lets nobody in with what it has scanned, if that is a ticket of a batch that is no order: known without a
    /// message and without Postgres. `None`: the order is to be asked.
    pub fn without_order(&self, scanned: OrderId) -> Option<ScanRejection> {
        self.owners.batch_board.without_order(scanned, self.now())
    }

    /// The batch and number of a partner's ticket.
    fn ticket_of(&self, partner: &PartnerCode, ticket: OrderId) -> Option<(BatchId, u16)> {
        let (batch, number) = ticket.of_batch()?;
        let shown = self.owners.batch_board.of_partner(partner, batch)?;
        shown.ticket(number).map(|_| (batch, number))
    }
}
