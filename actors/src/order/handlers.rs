//! One handler per question.

use std::sync::Arc;

use actix::{Context, Handler};
use deeptravel_domain::order::{Command, Event, Order, OrderStatus, Scan, ScanOutcome};
use deeptravel_domain::rejection::Rejection;

use super::OrderActor;
use super::messages::{Cancel, Learn, LearnRefund, OpenPayment, Placement, Redeem, RetryRefund, View};
use crate::ask::{Ask, Question, answer_all};
use crate::kept::LiveShell as _;
use crate::outage::{Answer, Reply};

/// What WeChat shows as the thing paid for; at most 127 characters.
const DESCRIPTION: &str = "DeepTravel 车船票";

impl OrderActor {
    /// An order that is still being made does not exist for those who ask by its id.
    fn unplaced<T>(&self) -> Reply<T> {
        Reply::rejected(Rejection::OrderNotFound, self.kept.log.last())
    }
}

impl Handler<Ask<View>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { asker, .. }: Ask<View>, ctx: &mut Context<OrderActor>) {
        self.asked();
        if !self.order().is_placed() {
            return asker.answer(Ok(self.unplaced()));
        }
        self.go_on(ctx);
        asker.answer(Ok(Reply::ok(Arc::clone(self.order()), self.kept.log.last())));
    }
}

impl Handler<Ask<Placement>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { asker, .. }: Ask<Placement>, _: &mut Context<OrderActor>) {
        self.asked();
        self.placement.push(asker);
        self.answer_waiting();
    }
}

impl Handler<Ask<OpenPayment>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<OpenPayment>, ctx: &mut Context<OrderActor>) {
        self.asked();
        if self.order().live_payment().is_some() || self.order().status() != OrderStatus::Pending {
            self.payments.push(asker);
            return self.answer_waiting();
        }
        let now = self.peers.clock.now();
        match self.order().payment_terms(&self.peers.sales.payment(), now) {
            Ok(terms) => {
                let body = self.peers.gateway.create_body(&terms, DESCRIPTION, &question.openid).into();
                // Before it is told: the steps that follow may fail at once, and then this is who is to know.
                self.payments.push(asker);
                let begun = self.apply(&Command::BeginPayment { terms, body }, ctx);
                self.answer_refused_payment(begun.map(|reply| reply.map(drop)));
            }
            Err(rejection) => asker.answer(Ok(Reply::rejected(rejection, self.kept.log.last()))),
        }
    }
}

impl Handler<Ask<Cancel>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { asker, .. }: Ask<Cancel>, ctx: &mut Context<OrderActor>) {
        self.asked();
        self.cancels.push(asker);
        match self.apply(&Command::Cancel, ctx) {
            Ok(Reply { outcome: Err(rejection), position }) => {
                answer_all(&mut self.cancels, &Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => answer_all(&mut self.cancels, &Err(outage)),
            Ok(_) => self.answer_waiting(),
        }
    }
}

impl Handler<Ask<Learn>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<Learn>, ctx: &mut Context<OrderActor>) {
        self.kept.vitals.handling(question.fingerprint());
        self.asked();
        match self.apply(&Command::PaymentFact(question.0), ctx) {
            Ok(Reply { outcome: Err(rejection), position }) => asker.answer(Ok(Reply::rejected(rejection, position))),
            Err(outage) => asker.answer(Err(outage)),
            Ok(_) => {
                self.facts.push(asker);
                self.answer_waiting();
            }
        }
        self.kept.vitals.handled();
    }
}

impl Handler<Ask<LearnRefund>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<LearnRefund>, ctx: &mut Context<OrderActor>) {
        self.kept.vitals.handling(question.fingerprint());
        let answer = self.apply(&Command::RefundFact(question.0), ctx);
        self.kept.vitals.handled();
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}

impl Handler<Ask<RetryRefund>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<RetryRefund>, ctx: &mut Context<OrderActor>) {
        let answer = self.apply(&Command::RetryRefund { number: question.0 }, ctx);
        asker.answer(answer.map(|reply| reply.map(drop)));
    }
}

impl Handler<Ask<Redeem>> for OrderActor {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<Redeem>, ctx: &mut Context<OrderActor>) {
        self.kept.vitals.handling(question.fingerprint());
        let answer = self.redeem(question.0, ctx);
        self.kept.vitals.handled();
        asker.answer(answer);
    }
}

impl OrderActor {
    fn redeem(&mut self, scan: Scan, ctx: &mut Context<OrderActor>) -> Answer<(ScanOutcome, Arc<Order>)> {
        if !self.order().is_placed() {
            return Ok(self.unplaced());
        }
        self.asked();
        let Reply { outcome, position } = self.apply(&Command::Scan(scan), ctx)?;
        let outcome = outcome.and_then(|events| {
            let scanned = events.into_iter().find_map(|event| match event {
                Event::Scanned(outcome) => Some(outcome),
                _ => None,
            });
            scanned.map(|outcome| (outcome, Arc::clone(self.order()))).ok_or(Rejection::TicketNotFound)
        });
        Ok(Reply { outcome, position })
    }
}
