//! How a batch begins whose units are reserved already (R-OTA-03, R-OTA-04): it is born in the record in which the partner's
//! book draws them, and one more record has all tickets. Between the two a crash leaves a batch that finishes by itself at the
//! next start; the units are drawn once, and stay in the reservation's hold.

use std::sync::Arc;

use deeptravel_domain::batch::{Batch, BatchId, Plan};
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::partner::{Draw, DrawnFor, PartnerReservationId, Reservation};
use deeptravel_domain::rejection::{Rejection, ensure};

use super::questions::Ready;
use super::{BatchActor, BatchPeers};
use crate::journal::Position;
use crate::kept::Seed;
use crate::outage::{Answer, Outage, Reply};
use crate::partner::{DrawUnits, ShowReservation, Shown};
use crate::registry::Keys;

/// Wakes batches of a reservation whose draw is recorded, and of whose draw nobody has heard, because the book broke over its
/// answer: the request that made such a one finds it when it is repeated.
pub(super) async fn wake_unanswered(
    peers: &BatchPeers,
    batches: &Keys<BatchActor>,
    partner: &PartnerCode,
    reservation: OrderId,
) -> Result<(), Outage> {
    let Some(id) = PartnerReservationId::of_number(reservation) else { return Ok(()) };
    let Ok(Shown { reservation, .. }) = shown(peers, partner, id).await?.outcome else { return Ok(()) };
    let drawn = reservation.draws().iter().filter(|drawn| drawn.drawn_for == DrawnFor::Batch);
    let drawn = drawn.filter_map(|drawn| BatchId::from_bits(drawn.by.bits()));
    for batch in drawn.filter(|batch| peers.batch_board.get(*batch).is_none()) {
        batches.ask(&batch, Ready).await?;
    }
    Ok(())
}

/// Draws the units of a batch. Refused with `ReservationNotFound`, `ReservationExpired`, `ReservationActivated`,
/// `ReservationEnded`, `InsufficientAllotment`, and the field `reservationId` for a reservation of another product.
pub(super) async fn draw(
    peers: &BatchPeers,
    batches: &Keys<BatchActor>,
    plan: Plan,
    reservation: OrderId,
) -> Answer<Arc<Batch>> {
    let Some(of) = PartnerReservationId::of_number(reservation) else {
        return peers.refuse(Rejection::ReservationNotFound, Position::NOTHING).await;
    };
    let Reply { outcome, position } = shown(peers, &plan.partner, of).await?;
    if let Err(rejection) = outcome.and_then(|shown| fits(&plan, &shown.reservation)) {
        return peers.refuse(rejection, position).await;
    }
    let (id, partner, quantity) = (plan.id, plan.partner.clone(), plan.quantity);
    let (batch, birth) = Batch::born(plan);
    let draw = Draw { reservation: of, by: id.holder(), drawn_for: DrawnFor::Batch, quantity: Some(quantity.into()) };
    let Reply { outcome, position } =
        peers.partners.ask(&partner, DrawUnits { draw, birth }).await?.ok_or(Outage::Rebuilding)?;
    if let Err(rejection) = outcome {
        return peers.refuse(rejection, position).await;
    }
    batches.put(&id, Seed { machine: batch, version: 0 });
    batches.ask(&id, Ready).await?.ok_or(Outage::Rebuilding)
}

async fn shown(peers: &BatchPeers, partner: &PartnerCode, id: PartnerReservationId) -> Answer<Shown> {
    peers.partners.ask(partner, ShowReservation(id)).await?.ok_or(Outage::Rebuilding)
}

/// Whether so much is left, the book itself says.
fn fits(plan: &Plan, reservation: &Reservation) -> Result<(), Rejection> {
    let is_of_it = reservation.template == plan.offer.terms.template;
    ensure(is_of_it, "reservationId", "is of another product")
}
