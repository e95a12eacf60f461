//! What an order's owner is asked, and what it does about it.

use std::mem::discriminant;
use std::sync::Arc;

use actix::{Context, Handler};
use deeptravel_domain::ids::{OutRefundNo, PartnerCode};
use deeptravel_domain::order::{
    Event, Order, OrderStatus, PaymentFact, RefundFact, Scan, ScanOutcome, back, collect, partner, sale, ticket,
};
use deeptravel_domain::rejection::Rejection;

use super::OrderActor;
use crate::ask::{Ask, Asker, Question, answer_all, fingerprint_of};
use crate::kept::LiveShell as _;
use crate::outage::{Answer, Outage, Reply};

/// What WeChat shows as the thing paid for; at most 127 characters.
const DESCRIPTION: &str = "DeepTravel 车船票";

impl<Q: Question<OrderActor>> Handler<Ask<Q, Q::Answer>> for OrderActor {
    type Result = ();

    fn handle(&mut self, ask: Ask<Q, Q::Answer>, ctx: &mut Context<OrderActor>) {
        self.hear(ask, ctx);
    }
}

/// The order as it is.
#[derive(Clone, Copy, Debug)]
pub struct View;

impl Question<OrderActor> for View {
    type Answer = Arc<Order>;

    fn put(self, owner: &mut OrderActor, asker: Asker<Arc<Order>>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        if !owner.order().is_placed() {
            return asker.answer(Ok(owner.unplaced()));
        }
        owner.go_on(ctx);
        asker.answer(Ok(Reply::ok(Arc::clone(owner.order()), owner.kept.log.last())));
    }
}

/// Seats held or not: the first answer of a new order, or the order itself when it has been given before.
#[derive(Debug)]
pub struct Placement;

impl Question<OrderActor> for Placement {
    type Answer = Arc<Order>;

    fn put(self, owner: &mut OrderActor, asker: Asker<Arc<Order>>, _: &mut Context<OrderActor>) {
        owner.asked();
        owner.placement.push(asker);
        owner.answer_waiting();
    }
}

/// Makes the order payable, or returns the parameters that were made before. `openid` is the traveller's.
#[derive(Debug)]
pub struct OpenPayment {
    pub openid: Box<str>,
}

impl Question<OrderActor> for OpenPayment {
    type Answer = Arc<Order>;

    fn put(self, owner: &mut OrderActor, asker: Asker<Arc<Order>>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        if owner.order().live_payment().is_some() || owner.order().status() != OrderStatus::Pending {
            owner.payments.push(asker);
            return owner.answer_waiting();
        }
        let now = owner.peers.clock.now();
        match owner.order().payment_terms(&owner.peers.sales.payment(), now) {
            Ok(terms) => {
                let Ok(body) = owner.peers.gateway.create_body(&terms, DESCRIPTION, &self.openid) else {
                    return asker.answer(Err(Outage::Provider));
                };
                // Before it is told: the steps that follow may fail at once, and then this is who is to know.
                owner.payments.push(asker);
                if let Some(why) =
                    failure(owner.apply(&collect::Command::Begin { terms, body: body.into() }.into(), ctx))
                {
                    answer_all(&mut owner.payments, &why);
                }
            }
            Err(rejection) => asker.answer(Ok(Reply::rejected(rejection, owner.kept.log.last()))),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Cancel;

impl Question<OrderActor> for Cancel {
    type Answer = Arc<Order>;

    fn put(self, owner: &mut OrderActor, asker: Asker<Arc<Order>>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        owner.cancels.push(asker);
        match failure(owner.apply(&sale::Command::Cancel.into(), ctx)) {
            Some(why) => answer_all(&mut owner.cancels, &why),
            None => owner.answer_waiting(),
        }
    }
}

/// What WeChat says, from a callback or a query on demand. Answered when it has been acted on.
#[derive(Debug)]
pub struct Learn(pub PaymentFact);

impl Question<OrderActor> for Learn {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.number, discriminant(&self.0.state)))
    }

    fn put(self, owner: &mut OrderActor, asker: Asker<()>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        if let Some(why) = failure(owner.told(&collect::Command::Fact(self.0).into(), ctx)) {
            return asker.answer(why);
        }
        owner.facts.push(asker);
        owner.answer_waiting();
    }
}

/// What WeChat says about a refund.
#[derive(Debug)]
pub struct LearnRefund(pub RefundFact);

impl Question<OrderActor> for LearnRefund {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.number, discriminant(&self.0.state)))
    }

    fn put(self, owner: &mut OrderActor, asker: Asker<()>, ctx: &mut Context<OrderActor>) {
        let answer = owner.apply(&back::Command::RefundFact(self.0).into(), ctx);
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}

/// A person wants a stuck refund to be tried again now.
#[derive(Debug)]
pub struct RetryRefund(pub OutRefundNo);

impl Question<OrderActor> for RetryRefund {
    type Answer = ();

    fn put(self, owner: &mut OrderActor, asker: Asker<()>, ctx: &mut Context<OrderActor>) {
        let answer = owner.apply(&back::Command::RetryRefund { number: self.0 }.into(), ctx);
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}

/// A partner cancels an item of an order that it has sold. Answered with the order as it then is.
#[derive(Debug)]
pub struct CancelUnit {
    pub partner: PartnerCode,
    pub item: u16,
}

impl Question<OrderActor> for CancelUnit {
    type Answer = Arc<Order>;

    fn fingerprint(&self) -> u64 {
        fingerprint_of((&self.partner, self.item))
    }

    fn put(self, owner: &mut OrderActor, asker: Asker<Arc<Order>>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        let CancelUnit { partner, item } = self;
        let answer = owner.apply(&partner::Command::Cancel { partner, item }.into(), ctx);
        asker.answer(answer.map(|reply| reply.map(|_| Arc::clone(owner.order()))));
    }
}

/// A gate has scanned something of the order. Answered with the outcome, and the order as it then is.
#[derive(Debug)]
pub struct Redeem(pub Scan);

impl Question<OrderActor> for Redeem {
    type Answer = (ScanOutcome, Arc<Order>);

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.gate.session, &self.0.request_id))
    }

    fn put(self, owner: &mut OrderActor, asker: Asker<Self::Answer>, ctx: &mut Context<OrderActor>) {
        let answer = owner.redeem(self.0, ctx);
        asker.answer(answer);
    }
}

/// An operator looks what could be redeemed of the order. Answered as [`Redeem`].
#[derive(Debug)]
pub struct LookAt(pub Scan);

impl Question<OrderActor> for LookAt {
    type Answer = (ScanOutcome, Arc<Order>);

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.gate.session, &self.0.request_id))
    }

    fn put(self, owner: &mut OrderActor, asker: Asker<Self::Answer>, ctx: &mut Context<OrderActor>) {
        owner.asked();
        let scan = self.0.under(&owner.peers.catalogue.load(), owner.order());
        let answer = owner.apply(&ticket::Command::Look(scan).into(), ctx);
        asker.answer(answer.map(|reply| scanned(reply, owner.order())));
    }
}

impl OrderActor {
    /// An order that is still being made does not exist for those who ask by its id.
    fn unplaced<T>(&self) -> Reply<T> {
        Reply::rejected(Rejection::OrderNotFound, self.kept.log.last())
    }

    fn redeem(&mut self, scan: Scan, ctx: &mut Context<OrderActor>) -> Answer<(ScanOutcome, Arc<Order>)> {
        self.asked();
        let scan = scan.under(&self.peers.catalogue.load(), self.order());
        let reply = self.apply(&ticket::Command::Scan(scan).into(), ctx)?;
        Ok(scanned(reply, self.order()))
    }
}

/// What came of a scan, and the order as it then is.
pub(super) fn scanned(reply: Reply<Vec<Event>>, order: &Arc<Order>) -> Reply<(ScanOutcome, Arc<Order>)> {
    reply.and_then(|events| {
        let scanned = events.into_iter().find_map(|event| match event {
            Event::Ticket(ticket::Event::Scanned(outcome) | ticket::Event::Looked(outcome)) => Some(outcome),
            Event::Ticket(ticket::Event::Completed { .. })
            | Event::Sale(_)
            | Event::Collect(_)
            | Event::Back(_)
            | Event::Partner(_)
            | Event::StepFailed { .. }
            | Event::RetryDue { .. } => None,
        });
        scanned.map(|outcome| (outcome, Arc::clone(order))).ok_or(Rejection::TicketNotFound)
    })
}

/// Why nothing has come of a command, for whoever waits for more than the command; `None`: something has.
fn failure<T>(answer: Answer<Vec<Event>>) -> Option<Answer<T>> {
    match answer {
        Ok(Reply { outcome: Ok(_), .. }) => None,
        Ok(Reply { outcome: Err(rejection), position }) => Some(Ok(Reply::rejected(rejection, position))),
        Err(outage) => Some(Err(outage)),
    }
}
