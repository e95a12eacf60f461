//! An order from its wish to its first record. It needs no actor as long as nothing goes wrong: its desk asks the
//! departure for seats, and lays the order to rest when it has them. Whatever else is to be done, an actor starts from where
//! the order stands; asking for the same seats again changes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use actix::Message;
use deeptravel_domain::ids::DepartureId;
use deeptravel_domain::inventory::{Command as SeatCommand, HoldAt};
use deeptravel_domain::order::{Command, Draft, Effect, Order};

use super::steps::hold_command;
use super::{OrderActor, Peers, Seed};
use crate::ask::NOT_TOLD_APART;
use crate::departure::{AsksForSeats, Labels, Seats, fingerprint};
use crate::desk::Making;
use crate::kept::{Kept, Shell as _};
use crate::outage::{Answer, Outage};
use crate::registry::birth::Birth;
use crate::registry::{Owner, Post, Vitals, Woken};
use crate::services::desk_of_shard;

/// An order that is being placed, in whose hands it is. Dropped it is not lost: its desk goes on with it, or an
/// actor.
pub struct Placing {
    peers: Arc<Peers>,
    /// Until the departure has answered.
    desk: Option<usize>,
    /// Until it is placed or refused.
    order: Option<Unplaced>,
}

type Unplaced = (Arc<Order>, Making, Birth<OrderActor>);

/// A departure has answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Held {
    placing: Placing,
    answer: Answer<Labels>,
    pub sent: Instant,
}

impl Placing {
    /// Begins with a draft. `making` gets the answer.
    pub fn begin(peers: &Arc<Peers>, draft: Draft, making: Making) {
        let order = Order::draft(draft, peers.clock.now());
        let wanted = seats_wanted(&order);
        let Some(birth) = peers.orders.expect_birth(&order.id()) else {
            tracing::error!(order.id = %order.id(), "Order id {} has been given out twice", order.id());
            return;
        };
        let desk = Some(desk_of_shard(order.id().shard()));
        let order = Some((Arc::new(order), making, birth));
        let placing = Placing { peers: Arc::clone(peers), desk, order };
        let unsent = match wanted {
            Some((departure, command)) => {
                if let Some(answer) = peers.departures.change_here(&departure, &command) {
                    return Held { placing, answer, sent: Instant::now() }.go_on();
                }
                let fingerprint = fingerprint(&command);
                let message = Seats { command, asker: placing };
                peers.departures.hand_over(&departure, fingerprint, message).err().map(|message| message.asker)
            }
            None => Some(placing),
        };
        // The departure has to be woken first, or has trouble.
        if let Some(unplaced) = unsent.and_then(|mut placing| placing.order.take()) {
            start_actor(unplaced);
        }
    }
}

fn start_actor((order, making, birth): Unplaced) {
    birth.born(Woken::Awake(Seed { order, version: 0, making: Some(making), rested: None }));
}

impl AsksForSeats for Placing {
    /// Goes on at the desk.
    fn told(mut self, answer: Answer<Labels>) {
        if let Some(desk) = self.desk.take() {
            // Without its desk an actor goes on with the order.
            let peers = Arc::clone(&self.peers);
            let held = Held { placing: self, answer, sent: Instant::now() };
            let _ = peers.desks.hand_over(&desk, NOT_TOLD_APART, held);
        }
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        let Some(unplaced) = self.order.take() else { return };
        let peers = Arc::clone(&self.peers);
        match self.desk.take() {
            // The departure has ended. What has ended it is not asked again.
            Some(desk) => {
                Placing { peers, desk: Some(desk), order: Some(unplaced) }.told(Err(Outage::Rebuilding));
            }
            // The desk has. Not here: whoever drops this may be ending, too, and its arbiter with it. At the end of the
            // process nobody takes it, and it is dropped as a birth is that nobody saw.
            None => drop(peers.io.spawn(async move { start_actor(unplaced) })),
        }
    }
}

fn seats_wanted(order: &Order) -> Option<(DepartureId, SeatCommand)> {
    let Some(Effect::PlaceHold { claim, hold, epoch, wish, expires_at }) = order.effects().next() else { return None };
    hold_command(order, claim, HoldAt { hold, epoch }, &wish, expires_at)
}

impl Held {
    /// Writes the order's first record, answers, and lays it to rest. A fault in there is the order's, which is rebuilt, and
    /// not of whoever runs it.
    pub fn go_on(self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.place()));
    }

    fn place(self) {
        let Held { mut placing, answer, .. } = self;
        let Some((order, making, birth)) = placing.order.take() else { return };
        let peers = &placing.peers;
        #[cfg(test)]
        peers.faults.strike_order(&order, crate::testing::Fault::BeforeOrder);
        let step = order.effects().next();

        let seed = Seed { order, version: 0, making: Some(making), rested: None };
        let post = Post { id: seed.id(), keys: Arc::clone(&peers.orders), vitals: Arc::new(Vitals::new()), shared: () };
        let Ok(mut actor) = OrderActor::build(Arc::clone(peers), post, seed) else { return birth.broken() };
        let result = actor.departure_says(answer);
        if let Some(answer) = step.and_then(|step| step.hold_answer(result))
            && actor.change(&Command::HoldAnswered(answer)).is_err()
            && actor.kept.vitals.has_failed()
        {
            // Only its rows can tell what has become of it.
            return birth.broken();
        }
        #[cfg(test)]
        peers.faults.strike_order(actor.order(), crate::testing::Fault::AfterOrder);
        actor.answer_waiting();
        birth.born(actor.leave());
    }
}

impl OrderActor {
    /// What becomes of an order that has been placed without an actor, or not.
    fn leave(self) -> Woken<OrderActor> {
        if self.order().refusal().is_some() {
            return Woken::Absent;
        }
        let rest = self.may_rest(self.peers.clock.now()).then(|| self.pack()).flatten();
        let Kept { machine: order, log, .. } = self.kept;
        log.retire();
        match rest {
            Some(rest) => Woken::Dormant(rest),
            None => Woken::Awake(Seed { version: log.version(), order, making: self.making, rested: None }),
        }
    }
}
