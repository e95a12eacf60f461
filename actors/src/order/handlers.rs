//! One handler per message.

use std::sync::Arc;

use actix::{Context, Handler, MessageResult};
use deeptravel_domain::order::{Command, Event, Order, OrderStatus, Scan, ScanOutcome};
use deeptravel_domain::rejection::Rejection;
use tokio::sync::oneshot;

use super::messages::{Cancel, Learn, LearnRefund, OpenPayment, Placement, Redeem, RetryRefund, View};
use super::{OrderActor, send_all};
use crate::outage::{Answer, Reply};
use crate::registry::Fingerprint;

/// What WeChat shows as the thing paid for; at most 127 characters.
const DESCRIPTION: &str = "DeepTravel 车船票";

impl OrderActor {
    /// An order that is still being made does not exist for those who ask by its id.
    fn unplaced<T>(&self) -> Reply<T> {
        Reply::rejected(Rejection::OrderNotFound, self.log.last())
    }
}

impl Handler<View> for OrderActor {
    type Result = Answer<Arc<Order>>;

    fn handle(&mut self, _: View, ctx: &mut Context<OrderActor>) -> Answer<Arc<Order>> {
        self.asked();
        if !self.order.is_placed() {
            return Ok(self.unplaced());
        }
        self.go_on(ctx);
        Ok(Reply::ok(Arc::clone(&self.order), self.log.last()))
    }
}

impl Handler<Placement> for OrderActor {
    type Result = MessageResult<Placement>;

    fn handle(&mut self, _: Placement, _: &mut Context<OrderActor>) -> MessageResult<Placement> {
        self.asked();
        let (sender, receiver) = oneshot::channel();
        self.placement.push(sender);
        self.answer_waiting();
        MessageResult(receiver)
    }
}

impl Handler<OpenPayment> for OrderActor {
    type Result = MessageResult<OpenPayment>;

    fn handle(&mut self, message: OpenPayment, ctx: &mut Context<OrderActor>) -> MessageResult<OpenPayment> {
        self.asked();
        let (sender, receiver) = oneshot::channel();
        if self.order.live_payment().is_some() || self.order.status() != OrderStatus::Pending {
            self.payments.push(sender);
            self.answer_waiting();
            return MessageResult(receiver);
        }
        let now = self.services.clock.now();
        let begun = match self.order.payment_terms(&self.services.sales.payment(), now) {
            Ok(terms) => {
                let body = self.services.gateway.create_body(&terms, DESCRIPTION, &message.openid);
                self.payments.push(sender);
                self.apply(&Command::BeginPayment { terms, body: body.into() }, ctx)
            }
            Err(rejection) => {
                // Whoever waited may have gone.
                let _ = sender.send(Ok(Reply::rejected(rejection, self.log.last())));
                return MessageResult(receiver);
            }
        };
        match begun {
            Ok(Reply { outcome: Err(rejection), position }) => {
                send_all(&mut self.payments, &Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => send_all(&mut self.payments, &Err(outage)),
            Ok(_) => {}
        }
        MessageResult(receiver)
    }
}

impl Handler<Cancel> for OrderActor {
    type Result = MessageResult<Cancel>;

    fn handle(&mut self, _: Cancel, ctx: &mut Context<OrderActor>) -> MessageResult<Cancel> {
        self.asked();
        let (sender, receiver) = oneshot::channel();
        self.cancels.push(sender);
        match self.apply(&Command::Cancel, ctx) {
            Ok(Reply { outcome: Err(rejection), position }) => {
                send_all(&mut self.cancels, &Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => send_all(&mut self.cancels, &Err(outage)),
            Ok(_) => self.answer_waiting(),
        }
        MessageResult(receiver)
    }
}

impl Handler<Learn> for OrderActor {
    type Result = MessageResult<Learn>;

    fn handle(&mut self, message: Learn, ctx: &mut Context<OrderActor>) -> MessageResult<Learn> {
        self.vitals.handling(message.fingerprint());
        self.asked();
        let (sender, receiver) = oneshot::channel();
        match self.apply(&Command::PaymentFact(message.0), ctx) {
            Ok(Reply { outcome: Err(rejection), position }) => {
                // Whoever asked may have gone.
                let _ = sender.send(Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => {
                let _ = sender.send(Err(outage));
            }
            Ok(_) => {
                self.facts.push(sender);
                self.answer_waiting();
            }
        }
        self.vitals.handled();
        MessageResult(receiver)
    }
}

impl Handler<LearnRefund> for OrderActor {
    type Result = Answer<()>;

    fn handle(&mut self, message: LearnRefund, ctx: &mut Context<OrderActor>) -> Answer<()> {
        self.vitals.handling(message.fingerprint());
        let answer = self.apply(&Command::RefundFact(message.0), ctx);
        self.vitals.handled();
        Ok(answer?.map(drop))
    }
}

impl Handler<RetryRefund> for OrderActor {
    type Result = Answer<()>;

    fn handle(&mut self, message: RetryRefund, ctx: &mut Context<OrderActor>) -> Answer<()> {
        Ok(self.apply(&Command::RetryRefund { number: message.0 }, ctx)?.map(drop))
    }
}

impl Handler<Redeem> for OrderActor {
    type Result = ();

    fn handle(&mut self, message: Redeem, ctx: &mut Context<OrderActor>) {
        self.vitals.handling(message.fingerprint());
        let Redeem { scan, asker } = message;
        let answer = self.redeem(scan, ctx);
        self.vitals.handled();
        asker.answer(answer);
    }
}

impl OrderActor {
    fn redeem(&mut self, scan: Scan, ctx: &mut Context<OrderActor>) -> Answer<(ScanOutcome, Arc<Order>)> {
        if !self.order.is_placed() {
            return Ok(self.unplaced());
        }
        self.asked();
        let Reply { outcome, position } = self.apply(&Command::Scan(scan), ctx)?;
        let outcome = outcome.and_then(|events| {
            let scanned = events.into_iter().find_map(|event| match event {
                Event::Scanned(outcome) => Some(outcome),
                _ => None,
            });
            scanned.map(|outcome| (outcome, Arc::clone(&self.order))).ok_or(Rejection::TicketNotFound)
        });
        Ok(Reply { outcome, position })
    }
}
