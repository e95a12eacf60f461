//! Units of a reservation become an order: at the prices of the day on which they were reserved (R-OTA-03, R-OTA-10).

use super::{Command, Draw, PartnerBook, PartnerReservationId};
use crate::batch::{Activation, Units};
use crate::ids::{OrderId, digest_head};
use crate::order::PartnerSale;
use crate::rejection::Rejection;
use crate::time::Timestamp;

impl PartnerBook {
    /// The id of the order that a request with this Idempotency-Key makes of a reservation: the same each time, so that a
    /// repetition finds it. It has the reservation's time and its partner's shard.
    pub fn order_of(&self, id: PartnerReservationId, key: &str) -> OrderId {
        let chance = digest_head(&[&id.0.bits().to_be_bytes(), key.as_bytes()]);
        OrderId::compose(id.0.made_at(), self.partner.shard(), chance)
    }

    /// Whether an order, or a batch, has drawn of this reservation.
    pub fn has_drawn(&self, id: PartnerReservationId, by: OrderId) -> bool {
        self.drawn_by(by).is_some_and(|(reservation, _)| reservation.id == id)
    }

    /// The order that a draw is for. Refused as [`Command::Draw`] is, and then as [`Activation::sale`].
    pub fn sale(&self, draw: &Draw, activation: Activation, now: Timestamp) -> Result<PartnerSale, Rejection> {
        self.decide(&Command::Draw(*draw), now)?;
        let reservation = self.reservation(draw.reservation)?;
        let offer = reservation.offer.as_deref().ok_or(Rejection::ReservationEnded)?;
        let count = draw.quantity.unwrap_or_else(|| reservation.remaining());
        let count = u16::try_from(count).map_err(|_| Rejection::field("quantity", "is more than an order has"))?;
        activation.sale(Units { order: draw.by, partner: &self.partner, offer, count }, now)
    }
}
