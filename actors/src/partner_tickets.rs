//! What partners ask of their batches. Another partner's batch or ticket is not there.

use std::sync::Arc;

use deeptravel_domain::batch::{Activation, Batch, BatchId, BatchWish, Became, OwnId, TicketState};
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::order::{Order, UnitId};
use deeptravel_domain::rejection::{Rejection, ScanRejection};

use crate::batch::{Activate, Cancel, Follow, Generated, View, generate};
use crate::batch_board::{ListedTicket, TicketFilter};
use crate::engine::Engine;
use crate::lists::{Listed, NumberedPage};
use crate::outage::{Answer, Outage, Reply};

/// A ticket's order is of one unit.
const ONLY_ITEM: u16 = 0;

/// What a partner has sold or is to sell, as it is.
#[derive(Debug, Clone)]
pub enum PartnerTicket {
    /// A ticket of a batch, by its number, which is no order.
    Unsold { batch: Arc<Batch>, number: u16, state: TicketState },
    /// A unit of an order.
    Sold(Arc<Order>),
}

impl Engine {
    /// Generates tickets, all or none, or finds the batch that the partner calls so (R-OTA-04). With whether it was made now.
    /// Refused with fields, `TemplateNotFound`, `BatchExists`, `InsufficientAllotment`, and if its units are to be drawn from a
    /// reservation with `ReservationNotFound`, `ReservationExpired`, `ReservationActivated`, `ReservationEnded`.
    pub async fn generate_batch(&self, wish: BatchWish) -> Answer<Generated> {
        let (peers, batches) = (Arc::clone(self.owners.batch_peers()), Arc::clone(&self.owners.batches));
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

    /// As [`Engine::batch`], by what the partner calls it.
    pub async fn batch_named(&self, partner: &PartnerCode, own_id: &OwnId) -> Answer<Arc<Batch>> {
        match self.owners.batch_board.named(partner, own_id) {
            Some(shown) => self.batch(partner, shown.plan().id).await,
            None => Ok(Reply::rejected(Rejection::BatchNotFound, self.owners.journal.durable())),
        }
    }

    /// A page of a partner's tickets of batches, from memory (R-OTA-08).
    pub async fn partner_tickets(
        &self,
        partner: &PartnerCode,
        filter: &TicketFilter,
        page: NumberedPage,
    ) -> Answer<Listed<ListedTicket>> {
        let listed = self.owners.batch_board.tickets_of(partner, filter, page, self.now());
        // What the board shows was appended before.
        let position = self.owners.journal.appended();
        self.owners.journal.wait(position).await.map_err(|_| Outage::Journal)?;
        Ok(Reply::ok(listed, position))
    }

    /// A ticket as it is, of a batch or of an order. Refused with `TicketNotFound`.
    pub async fn partner_ticket(&self, partner: &PartnerCode, unit: UnitId) -> Answer<PartnerTicket> {
        let Some((batch, number)) = self.ticket_of(partner, unit.order).filter(|_| unit.item == ONLY_ITEM) else {
            return if unit.order.of_batch().is_some() { Ok(self.no_ticket()) } else { self.sold(partner, unit).await };
        };
        let Reply { outcome, position } = self.batch(partner, batch).await?;
        let known = outcome.and_then(|batch| batch.known(number, self.now()).map(|state| (batch, state)));
        match known {
            Ok((_, TicketState::Active | TicketState::Used | TicketState::Refunded)) => self.sold(partner, unit).await,
            Ok((batch, state @ (TicketState::PreGenerated | TicketState::Cancelled | TicketState::Expired))) => {
                Ok(Reply::ok(PartnerTicket::Unsold { batch, number, state }, position))
            }
            Err(_) => Ok(Reply::rejected(Rejection::TicketNotFound, position)),
        }
    }

    async fn sold(&self, partner: &PartnerCode, unit: UnitId) -> Answer<PartnerTicket> {
        let Reply { outcome, position } = self.partner_order(partner, unit.order).await?;
        let is_there = |order: &Arc<Order>| usize::from(unit.item) < order.items().len();
        let sold = outcome.ok().filter(is_there).map(PartnerTicket::Sold).ok_or(Rejection::TicketNotFound);
        Ok(Reply { outcome: sold, position })
    }

    /// A partner's customer has paid for a ticket: it becomes an order, which is paid (R-OTA-06). Refused with
    /// `TicketNotFound`, `TicketAlreadyActivated`, `TicketCancelled`, `TicketExpired`, `Blackout`, and fields.
    pub async fn activate_unit(
        &self,
        partner: &PartnerCode,
        unit: UnitId,
        activation: Activation,
    ) -> Answer<Arc<Order>> {
        if unit.order.of_batch().is_some() && unit.item == ONLY_ITEM {
            return self.activate_ticket(partner, unit.order, activation).await;
        }
        // Whatever else is sold was active when it was born.
        let Reply { outcome, position } = self.partner_ticket(partner, unit).await?;
        let refused =
            outcome.map_or_else(|refused| refused, |_| Rejection::TicketAlreadyActivated { order: unit.order });
        Ok(Reply::rejected(refused, position))
    }

    /// As [`Engine::activate_unit`], of a ticket of a batch. Repeated, the message that has activated it finds it so, and its
    /// order.
    pub async fn activate_ticket(
        &self,
        partner: &PartnerCode,
        ticket: OrderId,
        activation: Activation,
    ) -> Answer<Arc<Order>> {
        let Some((batch, number)) = self.ticket_of(partner, ticket) else { return Ok(self.no_ticket()) };
        let message = activation.message;
        let activate = Activate { number, activation: Box::new(activation) };
        let reply = self.owners.batches.ask(&batch, activate).await?.ok_or(Outage::Rebuilding)?;
        if message.is_none() || !matches!(reply.outcome, Err(Rejection::TicketAlreadyActivated { .. })) {
            return Ok(reply);
        }
        let found = self.order(ticket).await?;
        Ok(if found.outcome.as_ref().is_ok_and(|order| order.message() == message) { found } else { reply })
    }

    /// Gives up a ticket, or cancels its order if nothing of that was used: its unit goes back to the partner's allotment
    /// (R-OTA-07). With how the ticket then stands. Repeated it is already so. Refused with `TicketNotFound`, `TicketUsed`,
    /// `TicketExpired`.
    pub async fn cancel_unit(&self, partner: &PartnerCode, unit: UnitId) -> Answer<TicketState> {
        if unit.order.shard() != partner.shard() {
            return Ok(self.no_ticket());
        }
        if unit.order.of_batch().is_none() {
            let cancelled = self.cancel_partner_ticket(partner.clone(), unit.order, unit.item).await?;
            return Ok(cancelled.map(|_| TicketState::Refunded));
        }
        if unit.item == ONLY_ITEM { self.cancel_ticket(partner, unit.order).await } else { Ok(self.no_ticket()) }
    }

    /// As [`Engine::cancel_unit`], of a ticket of a batch.
    pub async fn cancel_ticket(&self, partner: &PartnerCode, ticket: OrderId) -> Answer<TicketState> {
        let Some((batch, number)) = self.ticket_of(partner, ticket) else { return Ok(self.no_ticket()) };
        let given_up = self.owners.batches.ask(&batch, Cancel(number)).await?.ok_or(Outage::Rebuilding)?;
        if !matches!(given_up.outcome, Err(Rejection::TicketAlreadyActivated { .. })) {
            return Ok(given_up.map(|()| TicketState::Cancelled));
        }
        let cancelled = self.cancel_partner_ticket(partner.clone(), ticket, ONLY_ITEM).await?;
        if cancelled.outcome.is_ok() {
            // It hears of it from its follower as well, if this breaks off.
            let refunded = Follow([(number, Became::Refunded)].into());
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
