//! Units of a reservation become an order: it is born in the record of its draw (rule 4, R-OTA-03).

use std::sync::Arc;

use actix::{ActorContext as _, Context};
use deeptravel_domain::batch::Activation;
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::Order;
use deeptravel_domain::partner::{Command, Draw, DrawnFor, PartnerReservationId};
use deeptravel_domain::rejection::Rejection;

use super::PartnerActor;
use crate::ask::{Asker, Question, fingerprint_of};
use crate::kept::{LiveShell as _, Shell as _};
use crate::order::newborn;
use crate::outage::{Answer, Outage, Reply};

/// A customer has paid for units of a reservation: they become an order.
#[derive(Debug)]
pub struct ActivateUnits {
    pub reservation: PartnerReservationId,
    /// The order follows from it.
    pub idempotency_key: Box<str>,
    /// `None`: all that is left.
    pub quantity: Option<u32>,
    pub activation: Box<Activation>,
}

/// What an activation has come to.
#[derive(Clone, Debug)]
pub enum Activated {
    Now(Arc<Order>),
    /// A request with this key had drawn units before.
    Before(OrderId),
}

impl Question<PartnerActor> for ActivateUnits {
    type Answer = Activated;

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.reservation, &self.idempotency_key))
    }

    fn put(self, actor: &mut PartnerActor, asker: Asker<Activated>, ctx: &mut Context<PartnerActor>) {
        #[cfg(test)]
        actor.peers.faults.strike(actor.book().partner(), crate::testing::Fault::AtMessage);
        let answer = actor.activate(self, ctx);
        asker.answer(answer);
    }
}

impl PartnerActor {
    /// No new sale (rule 11): the units were sold to the partner when it reserved them, and its customer has paid.
    fn activate(&mut self, asked: ActivateUnits, ctx: &mut Context<PartnerActor>) -> Answer<Activated> {
        let ActivateUnits { reservation, idempotency_key, quantity, activation } = asked;
        let now = self.now();
        let by = self.book().order_of(reservation, &idempotency_key);
        if self.book().has_drawn(reservation, by) {
            return Ok(Reply::ok(Activated::Before(by), self.kept.log.last()));
        }
        let mut draw = Draw { reservation, by, drawn_for: DrawnFor::Order, quantity };
        let sale = match self.book().sale(&draw, *activation, now) {
            Ok(sale) => sale,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.kept.log.last())),
        };
        draw.quantity = Some(sale.items.len() as u32);
        // Somebody asks for the order just now, and will find that there is none: the partner repeats.
        let birth = self.peers.orders.expect_birth(&by).ok_or(Outage::Overloaded)?;
        let (order, first_images) = Order::born_paid(sale, now);
        if !self.kept.log.fits(&first_images) {
            let too_large =
                Rejection::field("quantity", "makes an order that is too large for one record: sell fewer at once");
            return Ok(Reply::rejected(too_large, self.kept.log.last()));
        }
        // Of a hundred units these are more than a decision is expected to write.
        let room = self.kept.log.admit_rows(&first_images)?;

        let told = self.change_with(&Command::Draw(draw), |_, rows| rows.extend(&first_images));
        drop(room);
        if self.kept.vitals.has_failed() {
            ctx.stop();
        }
        let position = self.kept.log.last();
        let reply = told?.map(|_| Arc::new(order));
        if let Ok(order) = &reply.outcome {
            birth.born(newborn(Arc::clone(order), position, now));
        }
        self.go_on(ctx);
        Ok(Reply { position, ..reply.map(Activated::Now) })
    }
}
