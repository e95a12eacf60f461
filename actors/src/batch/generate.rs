//! How a batch begins: its units are held, its first record names them, the stock confirms them, and one record has all
//! tickets (R-OTA-04). Before its first record a crash leaves nothing but a hold that lapses; after it the batch finishes by
//! itself, or is given up if the units have lapsed meanwhile. Nobody sees a ticket before the last record. How one begins whose
//! units are reserved already is in `drawing`.
//!
//! Batches of one partner begin one after the other: so his id of a batch stands for one, and a repeated request finds it.

use std::sync::Arc;

use deeptravel_domain::batch::{Batch, BatchId, BatchWish, Plan};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::Command;

use super::questions::{Begin, Ready};
use super::{BatchActor, BatchPeers, drawing};
use crate::journal::Position;
use crate::kept::Seed;
use crate::log::admit_sale;
use crate::outage::{Answer, Outage, Reply};
use crate::partner::as_allotment;
use crate::registry::Keys;
use crate::services::chance;

/// A batch, and whether the request has made it now.
pub type Generated = (Arc<Batch>, bool);

/// Makes a batch, or finds the one that the partner calls so. Refused with `BatchExists` if that was another request's, with
/// what [`BatchWish::plan`] refuses, and with what the stock or the reservation refuses.
pub async fn generate(peers: Arc<BatchPeers>, batches: Arc<Keys<BatchActor>>, wish: BatchWish) -> Answer<Generated> {
    let turn = peers.batch_board.turn_of(&wish.partner);
    let _turn = turn.lock().await;
    if let Some(reservation) = wish.reservation
        && peers.batch_board.named(&wish.partner, &wish.own_id).is_none()
    {
        drawing::wake_unanswered(&peers, &batches, &wish.partner, reservation).await?;
    }
    if let Some(known) = peers.batch_board.named(&wish.partner, &wish.own_id) {
        if known.plan().body_hash != wish.body_hash {
            return peers.refuse(Rejection::BatchExists, peers.journal.appended()).await;
        }
        let id = known.plan().id;
        let ready = batches.ask(&id, Ready).await?.ok_or(Outage::Rebuilding)?;
        return Ok(ready.map(|batch| (batch, false)));
    }

    let now = peers.clock.now();
    let id = BatchId::compose(now, &wish.partner, chance());
    let plan = match wish.plan(&peers.catalogue.load(), id, now) {
        Ok(plan) => plan,
        Err(rejection) => return peers.refuse(rejection, Position::NOTHING).await,
    };
    admit_sale(&peers.journal)?;
    let made = match plan.reservation {
        Some(reservation) => drawing::draw(&peers, &batches, plan, reservation).await?,
        None => take(&peers, &batches, plan).await?,
    };
    Ok(made.map(|batch| (batch, true)))
}

/// Its units are taken of the partner's allotment.
async fn take(peers: &BatchPeers, batches: &Keys<BatchActor>, plan: Plan) -> Answer<Arc<Batch>> {
    let (id, stock, hold) = (plan.id, plan.stock(), plan.hold());
    let place = Command::Place(plan.place(plan.created_at));
    let Reply { outcome, position } = peers.stocks.consult(&stock, place).await?;
    if let Err(rejection) = outcome {
        return peers.refuse(as_allotment(rejection), position).await;
    }
    batches.put(&id, Seed { machine: Batch::planned(plan), version: 0 });
    let made = batches.ask(&id, Begin(position)).await.and_then(|made| made.ok_or(Outage::Rebuilding));
    let is_unwritten = made.as_ref().is_err_and(|outage| *outage != Outage::Rebuilding);
    if is_unwritten && peers.batch_board.get(id).is_none() {
        // It has no record: whoever repeats the request at once needs its units. If the stock does not hear it, they lapse.
        drop(peers.stocks.consult(&stock, Command::Release(hold)).await);
    }
    made
}
