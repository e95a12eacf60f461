//! The steps of an order, one after the other: departures are asked by message, WeChat by tasks on the I/O runtime
//! that come back as commands (rule 16).

use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, Context, WrapFuture};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{DepartureId, OutRefundNo, OutTradeNo};
use deeptravel_domain::inventory::{BeginPaying, Command as SeatCommand, FreeSeats, HoldAt, PlaceHold, Wanted};
use deeptravel_domain::order::{
    CallFailure, Command, Effect, HoldAnswer, Order, PaymentFact, Prepay, RefundFact, SeatWish, StepFailure,
};
use deeptravel_domain::quarantine::Command::Keep;
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;

use super::OrderActor;
use crate::keeper::{Keeping as _, Tell};
use crate::kept::LiveShell as _;
use crate::outage::{Answer, Outage, Reply};
use crate::payment::Doubtful;
use crate::ports::GatewayError;
use crate::services::chance;

impl OrderActor {
    pub(super) fn start_step(&mut self, ctx: &mut Context<OrderActor>) {
        let effect = self.order().effect();
        if effect.is_none() || effect == self.under_way {
            return;
        }
        self.under_way.clone_from(&effect);
        let Some(effect) = effect else { return };
        let gateway = Arc::clone(&self.peers.gateway);
        match effect {
            Effect::PlaceHold { item, hold, epoch, wish, expires_at } => {
                let wanted = hold_command(self.order(), item, HoldAt { hold, epoch }, &wish, expires_at);
                if let Some((_, command)) = wanted {
                    self.ask_departure(item, command, ctx);
                }
            }
            Effect::BeginPaying { item, hold, epoch, expires_at } => {
                self.ask_departure(item, SeatCommand::BeginPaying(BeginPaying { hold, epoch, expires_at }), ctx);
            }
            Effect::ConfirmHold { item, hold, epoch } => {
                self.ask_departure(item, SeatCommand::ConfirmHold(HoldAt { hold, epoch }), ctx);
            }
            Effect::ReleaseHold { item, hold, epoch } => {
                self.ask_departure(item, SeatCommand::ReleaseHold(HoldAt { hold, epoch }), ctx);
            }
            Effect::FreeSeats { item, hold, epoch, seats } => {
                let seats = seats.into_iter().map(String::from).collect();
                self.ask_departure(item, SeatCommand::FreeSeats(FreeSeats { hold, epoch, seats }), ctx);
            }
            Effect::CreatePayment { number, body } => self.create_payment(number, body, ctx),
            Effect::QueryPayment { number } => {
                self.remember(&Command::QueryCalled);
                self.call(async move { gateway.query(number).await }, ctx, move |result| match result {
                    Ok(state) => Command::PaymentFact(PaymentFact { number, state }),
                    Err(_) => Command::CallFailed { number, why: CallFailure::NoAnswer },
                });
            }
            Effect::ClosePayment { number } => {
                self.call(async move { gateway.close(number).await }, ctx, move |result| match result {
                    // Also a refusal: whatever it says, the query that follows decides (wechat.md 2.4).
                    Ok(()) | Err(GatewayError::Refused { .. }) => Command::CloseAnswered { number },
                    Err(GatewayError::Unknown(_)) => Command::CallFailed { number, why: CallFailure::NoAnswer },
                });
            }
            Effect::BeginRefund { number } => self.begin_refund(number, ctx),
            Effect::CallRefund { number, body } => {
                self.call(async move { gateway.refund(&body).await }, ctx, move |result| match result {
                    Ok(state) => Command::RefundFact(RefundFact { number, state }),
                    Err(GatewayError::Refused { code, may_exist: false }) => {
                        Command::RefundRefused { number, code: code.into() }
                    }
                    Err(GatewayError::Refused { may_exist: true, .. } | GatewayError::Unknown(_)) => {
                        Command::RefundCallFailed { number, why: CallFailure::NoAnswer }
                    }
                });
            }
            Effect::QueryRefund { number } => {
                self.call(async move { gateway.query_refund(number).await }, ctx, move |result| match result {
                    Ok(state) => Command::RefundFact(RefundFact { number, state }),
                    Err(_) => Command::RefundCallFailed { number, why: CallFailure::NoAnswer },
                });
            }
        }
    }

    /// The body is made here and recorded before the call.
    fn begin_refund(&mut self, number: OutRefundNo, ctx: &mut Context<OrderActor>) {
        let Some(terms) = self.order().refund_terms(number) else { return };
        let command = match self.peers.gateway.refund_body(&terms) {
            Ok(body) => Command::BeginRefund { number, body: body.into() },
            // What is recorded is what is called for ever: nothing is, and it is tried again.
            Err(_) => Command::RefundCallFailed { number, why: CallFailure::NoAnswer },
        };
        let step = self.under_way.clone();
        self.finish_step(step.as_ref(), &command, ctx);
    }

    fn ask_departure(&mut self, item: usize, command: SeatCommand, ctx: &mut Context<OrderActor>) {
        let Some(step) = self.under_way.clone() else { return };
        let Some(departure) = self.order().items().get(item).map(|item| item.departure.clone()) else { return };
        let peers = Arc::clone(&self.peers);
        let asking = async move { peers.departures.consult(&departure, command).await };
        self.outstanding += 1;
        ctx.spawn(asking.into_actor(self).map(move |answer, actor, ctx| {
            actor.outstanding -= 1;
            let result = actor.departure_says(answer);
            if let Some(answer) = step.hold_answer(result) {
                actor.finish_step(Some(&step), &Command::HoldAnswered(answer), ctx);
            }
        }));
    }

    /// What its answer means for the step.
    pub(super) fn departure_says<T>(&mut self, answer: Answer<T>) -> Result<T, StepFailure> {
        match answer {
            Ok(reply) => {
                self.kept.log.rests_on(reply.position);
                reply.outcome.map_err(StepFailure::Refused)
            }
            Err(outage) => {
                self.unavailable = outage;
                Err(StepFailure::Unavailable)
            }
        }
    }

    fn create_payment(&mut self, number: OutTradeNo, body: Arc<[u8]>, ctx: &mut Context<OrderActor>) {
        let now = self.remember(&Command::CreateCalled);
        let gateway = Arc::clone(&self.peers.gateway);
        self.call(async move { gateway.create(&body).await }, ctx, move |result| match result {
            Ok(prepay_id) => {
                let nonce = format!("{:016X}{:016X}", chance(), chance()).into();
                let prepay = Prepay { id: prepay_id.into(), nonce, signed_at_seconds: now.as_seconds() };
                Command::PaymentCreated { number, prepay }
            }
            Err(GatewayError::Refused { code, may_exist }) => {
                Command::CreateRefused { number, code: code.into(), may_exist }
            }
            Err(GatewayError::Unknown(_)) => Command::CallFailed { number, why: CallFailure::NoAnswer },
        });
    }

    /// A call is about to be made: the order remembers when, and no row says so.
    fn remember(&mut self, command: &Command) -> Timestamp {
        let now = self.peers.clock.now();
        if let Ok(events) = self.order().decide(command, now) {
            let order = Arc::make_mut(&mut self.kept.machine);
            for event in &events {
                order.evolve(event);
            }
        }
        now
    }

    /// A call to WeChat on the I/O runtime, once everything that the order rests on is durable (rule 16).
    fn call<T: Send + 'static>(
        &mut self,
        call: impl Future<Output = Result<T, GatewayError>> + Send + 'static,
        ctx: &mut Context<OrderActor>,
        answer: impl FnOnce(Result<T, GatewayError>) -> Command + 'static,
    ) {
        let durable = self.peers.journal.wait(self.kept.log.last());
        let calling = self.peers.io.spawn(async move {
            durable.await.map_err(|error| GatewayError::Unknown(error.to_string()))?;
            call.await
        });
        let step = self.under_way.clone();
        self.outstanding += 1;
        ctx.spawn(calling.into_actor(self).map(move |result, actor, ctx| {
            actor.outstanding -= 1;
            let result = result.unwrap_or_else(|error| Err(GatewayError::Unknown(error.to_string())));
            if let Err(error) = &result {
                let id = actor.order().id();
                tracing::warn!(order.id = %id, %error, "Calling WeChat about order {id} failed: {error}");
            }
            actor.finish_step(step.as_ref(), &answer(result), ctx);
        }));
    }

    fn finish_step(&mut self, step: Option<&Effect>, command: &Command, ctx: &mut Context<OrderActor>) {
        if self.under_way.as_ref() == step {
            self.under_way = None;
        }
        let outcome = match self.apply(command, ctx) {
            Ok(Reply { outcome, .. }) => outcome,
            Err(outage) => return self.step_put_off(outage, command, ctx),
        };
        if let Err(rejection) = outcome
            && let Err(outage) = self.distrust(command, &rejection, ctx)
        {
            return self.put_off(outage, ctx);
        }
        self.go_on(ctx);
    }

    /// The answer to a step cannot be written. An order that has no record yet gives its seats back and is not made;
    /// otherwise the step is done again.
    fn step_put_off(&mut self, outage: Outage, command: &Command, ctx: &mut Context<OrderActor>) {
        if let Command::HoldAnswered(answer) = command
            && !self.order().is_placed()
            && answer.result.is_ok()
        {
            self.unavailable = outage;
            let given_up = HoldAnswer { result: Err(StepFailure::Unavailable), ..answer.clone() };
            return self.finish_step(None, &Command::HoldAnswered(given_up), ctx);
        }
        self.put_off(outage, ctx);
    }

    /// A call brought what cannot be this order's payment or refund. It may be real money all the same: it is kept, and
    /// asked about later.
    fn distrust(
        &mut self,
        command: &Command,
        rejection: &Rejection,
        ctx: &mut Context<OrderActor>,
    ) -> Result<(), Outage> {
        let id = self.order().id();
        tracing::error!(order.id = %id, %rejection, "What WeChat says about {id} is refused: {rejection}");
        let (about, said, again) = match command {
            Command::PaymentFact(PaymentFact { number, state }) => (
                number.to_string(),
                format!("{state:?}"),
                Command::CallFailed { number: *number, why: CallFailure::Distrusted },
            ),
            Command::RefundFact(RefundFact { number, state }) => (
                number.to_string(),
                format!("{state:?}"),
                Command::RefundCallFailed { number: *number, why: CallFailure::Distrusted },
            ),
            // Nothing of these says anything about money.
            Command::HoldAnswered(_)
            | Command::BeginPayment { .. }
            | Command::CreateCalled
            | Command::QueryCalled
            | Command::PaymentCreated { .. }
            | Command::CreateRefused { .. }
            | Command::CloseAnswered { .. }
            | Command::CallFailed { .. }
            | Command::BeginRefund { .. }
            | Command::RefundRefused { .. }
            | Command::RefundCallFailed { .. }
            | Command::RetryRefund { .. }
            | Command::Cancel
            | Command::Wake
            | Command::Scan(_) => return Ok(()),
        };
        let notice = Notice {
            notice_id: format!("query/{about}"),
            out_trade_no: about,
            reason: rejection.to_string(),
            notice: said,
            ..Notice::default()
        };
        let peers = Arc::clone(&self.peers);
        let keeping = async move {
            // The supervisor reports what it cannot write; the repeated query brings it again.
            let _ = peers.payments.ask(&Doubtful::KEY, Tell(Keep(notice))).await;
        };
        // Not the actor's own: the notice must be kept, whatever becomes of that.
        self.peers.io.spawn(keeping);
        self.apply(&again, ctx).map(drop)
    }
}

/// Which departure to ask for an item's seats, and how.
pub(super) fn hold_command(
    order: &Order,
    item: usize,
    at: HoldAt,
    wish: &SeatWish,
    expires_at: Timestamp,
) -> Option<(DepartureId, SeatCommand)> {
    let journey = order.items().get(item)?;
    let wanted = match wish {
        SeatWish::Any => Wanted::Auto(order.details().passengers.len() as u16),
        SeatWish::Chosen(labels) => Wanted::Chosen(labels.iter().map(ToString::to_string).collect()),
    };
    let place = PlaceHold {
        hold: at.hold,
        epoch: at.epoch,
        channel: Channel::Direct,
        class: journey.class.clone(),
        stretch: journey.stretch,
        wanted,
        expires_at,
    };
    Some((journey.departure.clone(), SeatCommand::PlaceHold(place)))
}
