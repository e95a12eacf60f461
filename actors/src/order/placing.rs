//! An order from its wish to its first record. It needs no actor as long as nothing goes wrong: its desk asks the
//! departure for seats, and lays the order to rest when it has them. Whatever else is to be done, an actor starts from where
//! the order stands; asking for the same seats again changes nothing.

use std::sync::Arc;
use std::time::Instant;

use actix::{Addr, Message};
use deeptravel_domain::ids::{DepartureId, OrderId};
use deeptravel_domain::inventory::{Command as SeatCommand, HoldAt};
use deeptravel_domain::order::{Command, Draft, Effect, Order};

use super::steps::hold_command;
use super::{OrderActor, Seed};
use crate::departure;
use crate::desk::{Desk, Making};
use crate::outage::{Answer, Outage};
use crate::registry::{Fingerprint, Owner, Vitals, Woken};
use crate::services::Services;

/// An order that is being placed, in whose hands it is. Dropped it is not lost: its desk goes on with it, or an
/// actor.
#[derive(Debug)]
pub struct Placing {
    services: Arc<Services>,
    /// Until the departure has answered.
    desk: Option<Addr<Desk>>,
    /// Until it is placed or refused.
    order: Option<(Arc<Order>, Making)>,
}

/// Seats for an order that has no actor. The answer goes to its desk.
#[derive(Debug)]
pub struct PlaceSeats {
    pub command: SeatCommand,
    pub placing: Placing,
}

impl Message for PlaceSeats {
    type Result = ();
}

impl Fingerprint for PlaceSeats {
    /// The same as if an actor asked.
    fn fingerprint(&self) -> u64 {
        departure::fingerprint(&self.command)
    }
}

/// A departure has answered.
#[derive(Debug)]
pub struct Held {
    placing: Placing,
    answer: Answer<Vec<Box<str>>>,
    pub sent: Instant,
}

impl Message for Held {
    type Result = ();
}

impl Placing {
    /// Begins with a draft. `making` gets the answer.
    pub fn begin(services: &Arc<Services>, draft: Draft, making: Making, desk: Addr<Desk>) {
        let order = Order::draft(draft, services.clock.now());
        let wanted = seats_wanted(&order);
        if !services.orders.reserve(&order.id()) {
            tracing::error!(order.id = %order.id(), "Order id {} has been given out twice", order.id());
            return;
        }
        let placing =
            Placing { services: Arc::clone(services), desk: Some(desk), order: Some((Arc::new(order), making)) };
        let unsent = match wanted {
            Some((departure, command)) => {
                let message = PlaceSeats { command, placing };
                services.departures.try_tell(&departure, message).err().map(|message| message.placing)
            }
            None => Some(placing),
        };
        // The departure has to be woken first, or has trouble.
        if let Some(mut placing) = unsent {
            placing.start_actor();
        }
    }

    /// What the departure says. Goes on at the desk.
    pub fn held(mut self, answer: Answer<Vec<Box<str>>>) {
        if let Some(desk) = self.desk.take() {
            // Without its desk an actor goes on with the order.
            let _ = desk.try_send(Held { placing: self, answer, sent: Instant::now() });
        }
    }

    fn start_actor(&mut self) {
        if let Some((order, making)) = self.order.take() {
            let id = order.id();
            let seed = Seed { order, version: 0, making: Some(making), rested: None };
            self.services.orders.woken(&id, Ok(Woken::Awake(seed)));
        }
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        let Some(order) = self.order.take() else { return };
        let services = Arc::clone(&self.services);
        let mut placing = Placing { services, desk: self.desk.take(), order: Some(order) };
        if placing.desk.is_some() {
            // The departure has ended. What has ended it is not asked again.
            placing.held(Err(Outage::Rebuilding));
        } else {
            // The desk has. Not here: whoever drops this may be ending, too, and its arbiter with it.
            self.services.io.spawn(async move { placing.start_actor() });
        }
    }
}

fn seats_wanted(order: &Order) -> Option<(DepartureId, SeatCommand)> {
    let Some(Effect::PlaceHold { item, hold, epoch, wish, expires_at }) = order.effect() else { return None };
    hold_command(order, item, HoldAt { hold, epoch }, &wish, expires_at)
}

impl Held {
    /// Writes the order's first record, answers, and lays it to rest.
    pub fn go_on(self) {
        let Held { mut placing, answer, .. } = self;
        let Some((order, making)) = placing.order.take() else { return };
        let services = &placing.services;
        let mut unsettled = Unsettled { services, id: Some(order.id()) };
        #[cfg(test)]
        strike(services, &order, crate::testing::Fault::BeforeOrder);
        let step = order.effect();

        let seed = Seed { order, version: 0, making: Some(making), rested: None };
        let vitals = Arc::new(Vitals::new());
        let Ok(mut actor) = OrderActor::build(Arc::clone(services), seed.id(), seed, vitals) else { return };
        let result = actor.departure_says(answer);
        if let Some(answer) = step.and_then(|step| step.hold_answer(result))
            && actor.change(&Command::HoldAnswered(answer)).is_err()
            && actor.vitals.has_failed()
        {
            return;
        }
        #[cfg(test)]
        strike(services, &actor.order, crate::testing::Fault::AfterOrder);
        actor.answer_waiting();
        let woken = actor.leave();
        if let Some(id) = unsettled.id {
            services.orders.woken(&id, Ok(woken));
            unsettled.id = None;
        }
    }
}

#[cfg(test)]
fn strike(services: &Services, order: &Order, fault: crate::testing::Fault) {
    services.faults.strike(&order.items()[0].departure, fault);
}

/// An order that is about to change. If that breaks off, only its rows can tell what has become of it.
struct Unsettled<'a> {
    services: &'a Services,
    id: Option<OrderId>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.services.orders.broken(&id);
        }
    }
}

impl OrderActor {
    /// What becomes of an order that has been placed without an actor, or not.
    fn leave(self) -> Woken<OrderActor> {
        if self.order.refusal().is_some() {
            return Woken::Absent;
        }
        let rest = self.may_rest(self.services.clock.now()).then(|| self.pack()).flatten();
        self.log.retire();
        match rest {
            Some(rest) => Woken::Dormant(rest),
            None => {
                Woken::Awake(Seed { version: self.log.version(), order: self.order, making: self.making, rested: None })
            }
        }
    }
}
