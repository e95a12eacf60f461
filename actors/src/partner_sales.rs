//! What partners ask of their reservations and of the orders that they have sold. Another partner's is not there.

use std::sync::Arc;

use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::order::Order;
use deeptravel_domain::partner::{GiveBack, PartnerReservationId};
use deeptravel_domain::rejection::Rejection;

use crate::ask::Question;
use crate::engine::Engine;
use crate::order::View;
use crate::outage::{Answer, Outage, Reply};
use crate::partner::{
    ActivateUnits, Activated, CancelReservation, DrawUnits, GiveBackUnits, PartnerActor, ReserveUnits, ShowReservation,
    Shown,
};

/// An order, and whether the request has made it now.
pub type Sold = (Arc<Order>, bool);

impl Engine {
    /// Reserves units for a partner, without paying, or finds the reservation that the key made before (R-OTA-03). Refused with
    /// fields, `TemplateNotFound`, `IdempotencyMismatch`, `ReservationLimit`, `InsufficientAllotment`.
    pub async fn reserve_units(&self, partner: &PartnerCode, wish: ReserveUnits) -> Answer<Shown> {
        self.ask_partner(partner, wish).await
    }

    /// Refused with `ReservationNotFound`, also if it is another partner's.
    pub async fn partner_reservation(&self, partner: &PartnerCode, id: PartnerReservationId) -> Answer<Shown> {
        self.ask_partner(partner, ShowReservation(id)).await
    }

    /// Puts what is left of a reservation back on sale. Refused with `ReservationNotFound`, `ReservationActivated`.
    pub async fn cancel_partner_reservation(&self, partner: &PartnerCode, id: PartnerReservationId) -> Answer<Shown> {
        self.ask_partner(partner, CancelReservation(id)).await
    }

    /// Takes units of a reservation for a batch or an order, which is born in the same record. Refused with
    /// `ReservationNotFound`, `ReservationExpired`, `ReservationActivated`, `ReservationEnded` or a field.
    pub async fn draw_units(&self, partner: &PartnerCode, draw: DrawUnits) -> Answer<Shown> {
        self.ask_partner(partner, draw).await
    }

    /// Puts units that were drawn back on sale. Refused with `ReservationNotFound`, if nobody has drawn them.
    pub async fn give_back_units(&self, partner: &PartnerCode, back: GiveBack) -> Answer<()> {
        self.ask_partner(partner, GiveBackUnits(back)).await
    }

    async fn ask_partner<Q: Question<PartnerActor>>(&self, partner: &PartnerCode, question: Q) -> Answer<Q::Answer> {
        self.owners.partners.ask(partner, question).await?.ok_or(Outage::Rebuilding)
    }

    /// A partner's customer has paid for units of a reservation: they become one order, which is paid (R-OTA-03, R-OTA-06).
    /// With whether it was made now: a key that has made one before finds it. Refused with `ReservationNotFound`,
    /// `ReservationExpired`, `ReservationActivated`, `ReservationEnded`, `IdempotencyMismatch`, `Blackout`, and fields.
    pub async fn activate_units(&self, partner: &PartnerCode, asked: ActivateUnits) -> Answer<Sold> {
        let (quantity, activation) = (asked.quantity, asked.activation.clone());
        let Reply { outcome, position } = self.ask_partner(partner, asked).await?;
        let order = match outcome {
            Ok(Activated::Now(order)) => return Ok(Reply::ok((order, true), position)),
            Ok(Activated::Before(order)) => order,
            Err(rejection) => return Ok(Reply::rejected(rejection, position)),
        };
        let known = self.ask_order(order, View).await?;
        Ok(known.and_then(|order| {
            let is_same = activation.has_made(&order, quantity);
            if is_same { Ok((order, false)) } else { Err(Rejection::IdempotencyMismatch) }
        }))
    }

    /// An order that the partner has sold. Refused with `OrderNotFound`: nobody is asked for one of another partner or of a
    /// traveller, so it is answered as one that is not there. Ids of orders of the partner's own shard alone are looked up.
    pub async fn partner_order(&self, partner: &PartnerCode, id: OrderId) -> Answer<Arc<Order>> {
        // A ticket that nobody has activated is none, and that is known without Postgres.
        if id.shard() != partner.shard() || self.without_order(id).is_some() {
            return Ok(Reply::rejected(Rejection::OrderNotFound, self.owners.journal.durable()));
        }
        let found = self.ask_order(id, View).await?;
        let own = |order: Arc<Order>| Some(order).filter(|order| order.partner() == Some(partner));
        Ok(found.and_then(|order| own(order).ok_or(Rejection::OrderNotFound)))
    }
}
