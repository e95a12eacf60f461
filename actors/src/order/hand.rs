//! A scan of an order that has no actor: decided and written in a turn of its arbiter, in which nobody else has the order
//! (rule 6). One with tickets that will soon be shown stays at hand: its next scan neither unpacks nor packs it. Whatever
//! else is asked, or is to be done, is its actor's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{Order, Scan, ScanOutcome, ticket};
use deeptravel_domain::time::Timestamp;

use super::questions::{Redeem, scanned};
use super::rest::{IDLE_SECONDS, Rested, is_warm, pack, unpack};
use super::{OrderActor, Peers, Seed, report};
use crate::ask::{Question as _, asking};
use crate::journal::Position;
use crate::kept::{self, Kept};
use crate::outage::{Answer, Outage, Reply};
use crate::registry::hand::{Hand, Lying, Turn};
use crate::registry::{Vitals, Woken};

/// An order at hand. Nothing is to be done for it, and it has no deadline.
pub struct InHand {
    kept: Kept<Arc<Order>>,
    asked_at: Timestamp,
}

/// What came of a scan.
pub enum Redeemed<T, F> {
    Shown(T),
    /// Nothing: its owner is to be asked.
    HasActor(Box<Scan>, F),
}

/// Redeems what a gate scanned of an order that has no actor, on its arbiter, and shows there what came of it.
pub async fn redeem_without_actor<T, F>(peers: &Arc<Peers>, id: OrderId, scan: Scan, shown: F) -> Answer<Redeemed<T, F>>
where
    T: Send + 'static,
    F: FnOnce(&ScanOutcome, &Order) -> T + Send + 'static,
{
    let _under_way = peers.orders.under_way()?;
    let (asker, asked) = asking(&peers.journal);
    let at_home = Arc::clone(peers);
    peers.orders.run_at_home(&id, move || {
        asker.answer(match redeem(&at_home, id, scan) {
            Ok(answer) => answer.map(|reply| reply.map(|(outcome, order)| Redeemed::Shown(shown(&outcome, &order)))),
            Err(scan) => Ok(Reply::ok(Redeemed::HasActor(scan, shown), Position::NOTHING)),
        });
    });
    asked.durable().await
}

/// The scan comes back if the order has an actor, or has to get one.
fn redeem(peers: &Peers, id: OrderId, scan: Scan) -> Result<Answer<(ScanOutcome, Arc<Order>)>, Box<Scan>> {
    let redeem = Redeem(scan);
    let fingerprint = redeem.fingerprint();
    if peers.orders.is_set_aside(&id, fingerprint) {
        return Ok(Err(Outage::SetAside));
    }
    let Some((turn, lying)) = peers.orders.take(&id, fingerprint) else { return Err(Box::new(redeem.0)) };
    // A fault in there is the order's, which is rebuilt, and not of whoever asks, who is told.
    let redeemed = catch_unwind(AssertUnwindSafe(|| redeem_in_turn(peers, id, turn, lying, redeem.0)));
    Ok(redeemed.unwrap_or(Err(Outage::Rebuilding)))
}

fn redeem_in_turn(
    peers: &Peers,
    id: OrderId,
    turn: Turn<'_, OrderActor>,
    lying: Lying<OrderActor>,
    scan: Scan,
) -> Answer<(ScanOutcome, Arc<Order>)> {
    let now = peers.clock.now();
    let mut kept = match lying {
        Lying::AtHand(InHand { kept, .. }) => kept,
        Lying::Packed(packed) => wake(peers, id, &packed)?,
    };
    #[cfg(test)]
    peers.faults.strike_order(&kept.machine, crate::testing::Fault::BeforeScan);
    let scan = scan.under(&peers.catalogue.load(), &kept.machine);
    let told = kept.tell(&ticket::Command::Scan(scan).into(), now);
    #[cfg(test)]
    peers.faults.strike_order(&kept.machine, crate::testing::Fault::AfterScan);
    if kept.vitals.has_failed() {
        // Only its rows can tell what has become of it.
        drop(turn);
        return Err(Outage::Journal);
    }
    if let Ok(reply) = &told
        && let Ok(events) = &reply.outcome
    {
        report::report(&peers.attention, &kept.machine, events);
    }
    let answer = told.map(|reply| scanned(reply, &kept.machine));
    let hand = InHand { kept, asked_at: now };
    match hand.stays(now) {
        Some(until) => turn.lay_back(hand, until, peers.sales.at_hand_bytes_max),
        None => turn.leave(hand.lay_down()),
    }
    answer
}

fn wake(peers: &Peers, id: OrderId, packed: &[u8]) -> Result<Kept<Arc<Order>>, Outage> {
    // It was packed in this process: what cannot be unpacked is a fault, and the rows have it, too.
    let Seed { order, version, rested, .. } = unpack(id, packed).ok_or(Outage::Rebuilding)?;
    let woken = kept::Seed { machine: order, version };
    let mut kept = Kept::wake(&peers.parts, &format!("order/{id}"), woken, &Arc::new(Vitals::new()))?;
    if let Some(rested) = rested {
        kept.log.rested_on(rested.last);
    }
    Ok(kept)
}

impl Hand<OrderActor> for InHand {
    fn seed(self) -> Seed {
        let InHand { kept: Kept { machine: order, log, .. }, asked_at } = self;
        let rested = Rested::of(&order, &log, asked_at);
        Seed { order, version: rested.version, making: None, rested: Some(rested) }
    }

    fn lay_down(self) -> Woken<OrderActor> {
        let InHand { kept: Kept { machine: order, log, .. }, asked_at } = &self;
        let has_nothing_to_do = order.effects().next().is_none();
        match has_nothing_to_do.then(|| pack(order, Rested::of(order, log, *asked_at))).flatten() {
            Some(rest) => {
                log.retire();
                Woken::Dormant(rest)
            }
            None => Woken::Awake(self.seed()),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<InHand>() + self.kept.machine.bytes_in_memory() + self.kept.log.key().len()
    }

    fn stays(&self, now: Timestamp) -> Option<Timestamp> {
        let order = &self.kept.machine;
        let stays = order.is_settled() && order.next_deadline().is_none() && is_warm(order, now);
        stays.then(|| now.max(self.asked_at).plus_seconds(IDLE_SECONDS))
    }
}
