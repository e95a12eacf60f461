//! A ticket is activated: its order is born in the batch's record (rule 4, R-OTA-06).

use std::sync::Arc;

use actix::{ActorContext as _, Context};
use deeptravel_domain::batch::{Activation, Command};
use deeptravel_domain::order::Order;

use super::BatchActor;
use crate::ask::{Asker, Question, fingerprint_of};
use crate::kept::{LiveShell as _, Shell as _};
use crate::order::newborn;
use crate::outage::{Answer, Outage, Reply};

/// A customer has paid for a ticket, by its number.
#[derive(Debug)]
pub struct Activate {
    pub number: u16,
    pub activation: Box<Activation>,
}

impl Question<BatchActor> for Activate {
    type Answer = Arc<Order>;

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.number, &self.activation.payment_reference))
    }

    fn put(self, owner: &mut BatchActor, asker: Asker<Arc<Order>>, ctx: &mut Context<BatchActor>) {
        let answer = owner.activate(self.number, *self.activation, ctx);
        asker.answer(answer);
    }
}

impl BatchActor {
    fn activate(&mut self, number: u16, activation: Activation, ctx: &mut Context<BatchActor>) -> Answer<Arc<Order>> {
        let now = self.peers.clock.now();
        let sale = match self.kept.machine.sale(number, activation, now) {
            Ok(sale) => sale,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.kept.log.last())),
        };
        // Somebody asks for the order just now, and will find that there is none: the partner repeats.
        let birth = self.peers.orders.expect_birth(&sale.id).ok_or(Outage::Overloaded)?;
        let (order, first_images) = Order::born_paid(sale, now);

        let told = self.change_with(&Command::Activate { number }, |_, rows| rows.extend(&first_images));
        if self.kept.vitals.has_failed() {
            ctx.stop();
        }
        let position = self.kept.log.last();
        let reply = told?.map(|_| Arc::new(order));
        if let Ok(order) = &reply.outcome {
            birth.born(newborn(Arc::clone(order), position, now));
        }
        self.go_on(ctx);
        Ok(Reply { position, ..reply })
    }
}
