//! What a batch's owner is asked, and what it does about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Context, Handler};
use deeptravel_domain::batch::{Batch, Became, Command};

use super::BatchActor;
use crate::ask::{Ask, Asker, Question, fingerprint_of};
use crate::journal::Position;
use crate::kept::LiveShell as _;
use crate::outage::Reply;

impl<Q: Question<BatchActor>> Handler<Ask<Q, Q::Answer>> for BatchActor {
    type Result = ();

    fn handle(&mut self, ask: Ask<Q, Q::Answer>, ctx: &mut Context<BatchActor>) {
        #[cfg(test)]
        self.peers.faults.strike(&self.post.id, crate::testing::Fault::AtMessage);
        self.hear(ask, ctx);
    }
}

/// The units are held, by a record of this position. Answered when all tickets are there.
#[derive(Debug)]
pub struct Begin(pub Position);

impl Question<BatchActor> for Begin {
    type Answer = Arc<Batch>;

    fn put(self, owner: &mut BatchActor, asker: Asker<Arc<Batch>>, ctx: &mut Context<BatchActor>) {
        let Begin(held) = self;
        owner.kept.log.rests_on(held);
        // Before it is told: what follows may be there at once.
        owner.waiting.push(asker);
        if let Err(outage) = owner.apply(&Command::Begin, ctx) {
            owner.fail_waiting(outage);
            owner.post.keys.retire(&owner.post.id);
        }
    }
}

/// Answered when all tickets are there.
#[derive(Debug)]
pub struct Ready;

impl Question<BatchActor> for Ready {
    type Answer = Arc<Batch>;

    fn put(self, owner: &mut BatchActor, asker: Asker<Arc<Batch>>, ctx: &mut Context<BatchActor>) {
        owner.waiting.push(asker);
        owner.go_on(ctx);
    }
}

/// The batch as it is.
#[derive(Debug)]
pub struct View;

impl Question<BatchActor> for View {
    type Answer = Arc<Batch>;

    fn put(self, owner: &mut BatchActor, asker: Asker<Arc<Batch>>, _: &mut Context<BatchActor>) {
        asker.answer(Ok(Reply::ok(Arc::new(owner.kept.machine.clone()), owner.kept.log.last())));
    }
}

/// A ticket that nobody has activated is given up, by its number.
#[derive(Debug)]
pub struct Cancel(pub u16);

impl Question<BatchActor> for Cancel {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of(self.0)
    }

    fn put(self, owner: &mut BatchActor, asker: Asker<()>, ctx: &mut Context<BatchActor>) {
        let answer = owner.apply(&Command::Cancel { number: self.0 }, ctx);
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}

/// What has become of the orders of its tickets, by their numbers.
#[derive(Debug)]
pub struct Follow(pub BTreeMap<u16, Became>);

impl Question<BatchActor> for Follow {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of(&self.0)
    }

    fn put(self, owner: &mut BatchActor, asker: Asker<()>, ctx: &mut Context<BatchActor>) {
        let answer = owner.apply(&Command::Follow(self.0), ctx);
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}
