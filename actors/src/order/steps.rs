//! The steps of an order, one after the other: departures are asked by message, WeChat by tasks on the I/O runtime
//! that come back as commands (rule 16).

use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{AsyncContext, Context, WrapFuture};
use deeptravel_domain::departure::Ride;
use deeptravel_domain::ids::{DepartureId, OutRefundNo, OutTradeNo, TravellerId};
use deeptravel_domain::inventory::{BeginPaying, Command as SeatCommand, FreeSeats, HoldAt, PlaceHold, Wanted};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::order::{
    CallFailure, Claim, ClaimStep, Command, Effect, Event, HoldAnswer, Leg, Order, PartName, PaymentFact, Prepay,
    RefundFact, SeatWish, StepFailure, back, collect,
};
use deeptravel_domain::quarantine::Command::Keep;
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::{self, Command as StockCommand, StockId};
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;

use super::OrderActor;
use crate::departure::Labels;
use crate::keeper::{Keeping as _, Tell};
use crate::kept::LiveShell as _;
use crate::outage::{Answer, Outage, Reply};
use crate::payment::Doubtful;
use crate::ports::GatewayError;
use crate::services::chance;

/// The steps under way, one of each part. A later stage of a part may want another one: then the answer to this one comes
/// too late and changes nothing.
#[derive(Default)]
pub(super) struct UnderWay([Option<Effect>; PartName::ALL.len()]);

impl UnderWay {
    pub fn is_any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    fn is(&self, effect: &Effect) -> bool {
        self.0.iter().any(|step| step.as_ref() == Some(effect))
    }

    fn begins(&mut self, effect: Effect) {
        let part = effect.part() as usize;
        if let Some(step) = self.0.get_mut(part) {
            *step = Some(effect);
        }
    }

    fn ends(&mut self, effect: &Effect) {
        for step in self.0.iter_mut().filter(|step| step.as_ref() == Some(effect)) {
            *step = None;
        }
    }
}

impl OrderActor {
    /// Every part's next step. What follows on one that ends at once, its end begins; one that could not be written waits for
    /// the timer.
    pub(super) fn start_steps(&mut self, ctx: &mut Context<OrderActor>) {
        for effect in self.order().effects() {
            // One before it may have ended at once: then this one may not be wanted any more, or the owner has failed.
            let is_wanted = self.order().effects().any(|wanted| wanted == effect);
            if is_wanted && !self.under_way.is(&effect) && !self.kept.vitals.has_failed() {
                self.under_way.begins(effect.clone());
                self.start(effect, ctx);
            }
        }
    }

    fn start(&mut self, effect: Effect, ctx: &mut Context<OrderActor>) {
        let step = effect.clone();
        let gateway = Arc::clone(&self.peers.gateway);
        match effect {
            Effect::PlaceHold { .. }
            | Effect::BeginPaying { .. }
            | Effect::ConfirmHold { .. }
            | Effect::ReleaseHold { .. }
            | Effect::Free { .. } => self.ask_owner(step, ctx),
            Effect::CreatePayment { number, body } => self.create_payment(step, number, body, ctx),
            Effect::QueryPayment { number } => {
                self.remember(collect::Command::QueryCalled);
                self.call(step, async move { gateway.query(number).await }, ctx, move |result| match result {
                    Ok(state) => collect::Command::Fact(PaymentFact { number, state }).into(),
                    Err(_) => collect::Command::CallFailed { number, why: CallFailure::NoAnswer }.into(),
                });
            }
            Effect::ClosePayment { number } => {
                self.call(step, async move { gateway.close(number).await }, ctx, move |result| match result {
                    // Also a refusal: whatever it says, the query that follows decides (wechat.md 2.4).
                    Ok(()) | Err(GatewayError::Refused { .. }) => collect::Command::CloseAnswered { number }.into(),
                    Err(GatewayError::Unknown(_)) => {
                        collect::Command::CallFailed { number, why: CallFailure::NoAnswer }.into()
                    }
                });
            }
            Effect::BeginRefund { number } => self.begin_refund(&step, number, ctx),
            Effect::CallRefund { number, body } => {
                self.call(step, async move { gateway.refund(&body).await }, ctx, move |result| match result {
                    Ok(state) => back::Command::RefundFact(RefundFact { number, state }).into(),
                    Err(GatewayError::Refused { code, may_exist: false }) => {
                        back::Command::RefundRefused { number, code: code.into() }.into()
                    }
                    Err(GatewayError::Refused { may_exist: true, .. } | GatewayError::Unknown(_)) => {
                        back::Command::RefundCallFailed { number, why: CallFailure::NoAnswer }.into()
                    }
                });
            }
            Effect::QueryRefund { number } => {
                self.call(step, async move { gateway.query_refund(number).await }, ctx, move |result| match result {
                    Ok(state) => back::Command::RefundFact(RefundFact { number, state }).into(),
                    Err(_) => back::Command::RefundCallFailed { number, why: CallFailure::NoAnswer }.into(),
                });
            }
        }
    }

    /// The body is made here and recorded before the call.
    fn begin_refund(&mut self, step: &Effect, number: OutRefundNo, ctx: &mut Context<OrderActor>) {
        let Some(terms) = self.order().refund_terms(number) else { return };
        let command = match self.peers.gateway.refund_body(&terms) {
            Ok(body) => back::Command::BeginRefund { number, body: body.into() },
            // What is recorded is what is called for ever: nothing is, and it is tried again.
            Err(_) => back::Command::RefundCallFailed { number, why: CallFailure::NoAnswer },
        };
        self.finish_step(step, &command.into(), ctx);
    }

    /// The owner of a claim is asked for its step.
    fn ask_owner(&mut self, step: Effect, ctx: &mut Context<OrderActor>) {
        let Some(request) = request_of(self.order(), &step) else { return };
        let peers = Arc::clone(&self.peers);
        let asking = async move {
            match request {
                Request::Departure(departure, command) => peers.departures.consult(&departure, command).await,
                Request::Stock(stock, command) => {
                    Ok(peers.stocks.consult(&stock, command).await?.map(|()| Labels::new()))
                }
            }
        };
        self.outstanding += 1;
        ctx.spawn(asking.into_actor(self).map(move |answer, actor, ctx| {
            actor.outstanding -= 1;
            let result = actor.owner_says(answer);
            if let Some(answer) = step.hold_answer(result) {
                actor.finish_step(&step, &Command::HoldAnswered(answer), ctx);
            }
        }));
    }

    /// What its answer means for the step.
    pub(super) fn owner_says<T>(&mut self, answer: Answer<T>) -> Result<T, StepFailure> {
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

    fn create_payment(&mut self, step: Effect, number: OutTradeNo, body: Arc<[u8]>, ctx: &mut Context<OrderActor>) {
        let now = self.remember(collect::Command::CreateCalled);
        let gateway = Arc::clone(&self.peers.gateway);
        self.call(step, async move { gateway.create(&body).await }, ctx, move |result| match result {
            Ok(prepay_id) => {
                let nonce = format!("{:016X}{:016X}", chance(), chance()).into();
                let prepay = Prepay { id: prepay_id.into(), nonce, signed_at_seconds: now.as_seconds() };
                collect::Command::Created { number, prepay }.into()
            }
            Err(GatewayError::Refused { code, may_exist }) => {
                collect::Command::CreateRefused { number, code: code.into(), may_exist }.into()
            }
            Err(GatewayError::Unknown(_)) => collect::Command::CallFailed { number, why: CallFailure::NoAnswer }.into(),
        });
    }

    /// A call is about to be made: the order remembers when, and no row says so.
    fn remember(&mut self, command: collect::Command) -> Timestamp {
        let now = self.peers.clock.now();
        if let Ok(events) = self.order().decide(&command.into(), now) {
            self.kept.machine.apply(&events, self.kept.log.next_version());
        }
        now
    }

    /// A call to WeChat on the I/O runtime, once everything that the order rests on is durable (rule 16).
    fn call<T: Send + 'static>(
        &mut self,
        step: Effect,
        call: impl Future<Output = Result<T, GatewayError>> + Send + 'static,
        ctx: &mut Context<OrderActor>,
        answer: impl FnOnce(Result<T, GatewayError>) -> Command + 'static,
    ) {
        let durable = self.peers.journal.wait(self.kept.log.last());
        let calling = self.peers.io.spawn(async move {
            durable.await.map_err(|error| GatewayError::Unknown(error.to_string()))?;
            call.await
        });
        self.outstanding += 1;
        ctx.spawn(calling.into_actor(self).map(move |result, actor, ctx| {
            actor.outstanding -= 1;
            let result = result.unwrap_or_else(|error| Err(GatewayError::Unknown(error.to_string())));
            if let Err(error) = &result {
                let id = actor.order().id();
                tracing::warn!(order.id = %id, %error, "Calling WeChat about order {id} failed: {error}");
            }
            actor.finish_step(&step, &answer(result), ctx);
        }));
    }

    fn finish_step(&mut self, step: &Effect, command: &Command, ctx: &mut Context<OrderActor>) {
        self.under_way.ends(step);
        let outcome = match self.told(command, ctx) {
            Ok(Reply { outcome, .. }) => outcome,
            Err(outage) => return self.step_put_off(outage, step, command, ctx),
        };
        if let Err(rejection) = outcome
            && let Err(outage) = self.distrust(command, &rejection, ctx)
        {
            return self.put_off(outage, ctx);
        }
        self.go_on(ctx);
    }

    /// As `apply`; of money only what has paid nothing else is believed (R-PAY-06).
    pub(super) fn told(&mut self, command: &Command, ctx: &mut Context<OrderActor>) -> Answer<Vec<Event>> {
        // What does not fit the order claims nothing.
        let would_pay = self.order().would_be_paid_by(command, self.peers.clock.now());
        if would_pay.is_some_and(|(payment, transaction)| !self.peers.claim(transaction, payment)) {
            let rejection = Rejection::PaymentMismatch("its transaction has paid another");
            return Ok(Reply::rejected(rejection, self.kept.log.last()));
        }
        self.apply(command, ctx)
    }

    /// The answer to a step cannot be written. An order that has no record yet gives its seats back and is not made;
    /// otherwise the step is done again.
    fn step_put_off(&mut self, outage: Outage, step: &Effect, command: &Command, ctx: &mut Context<OrderActor>) {
        if let Command::HoldAnswered(answer) = command
            && !self.order().is_placed()
            && answer.result.is_ok()
        {
            self.unavailable = outage;
            let given_up = HoldAnswer { result: Err(StepFailure::Unavailable), ..answer.clone() };
            return self.finish_step(step, &Command::HoldAnswered(given_up), ctx);
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
        let (about, said, again): (_, _, Command) = match command {
            Command::Collect(collect::Command::Fact(PaymentFact { number, state })) => (
                number.to_string(),
                format!("{state:?}"),
                collect::Command::CallFailed { number: *number, why: CallFailure::Distrusted }.into(),
            ),
            Command::Back(back::Command::RefundFact(RefundFact { number, state })) => (
                number.to_string(),
                format!("{state:?}"),
                back::Command::RefundCallFailed { number: *number, why: CallFailure::Distrusted }.into(),
            ),
            // Nothing of these says anything about money.
            Command::Collect(
                collect::Command::Begin { .. }
                | collect::Command::CreateCalled
                | collect::Command::QueryCalled
                | collect::Command::Created { .. }
                | collect::Command::CreateRefused { .. }
                | collect::Command::CloseAnswered { .. }
                | collect::Command::CallFailed { .. },
            )
            | Command::Back(
                back::Command::BeginRefund { .. }
                | back::Command::RefundRefused { .. }
                | back::Command::RefundCallFailed { .. }
                | back::Command::RetryRefund { .. },
            )
            | Command::HoldAnswered(_)
            | Command::Sale(_)
            | Command::Ticket(_)
            | Command::Partner(_)
            | Command::Wake => return Ok(()),
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

/// What the owner of a claim is asked for.
pub(super) enum Request {
    Departure(DepartureId, SeatCommand),
    Stock(StockId, StockCommand),
}

/// `None`: it is no step with a claim's owner.
pub(super) fn request_of(order: &Order, step: &Effect) -> Option<Request> {
    let (claim, at, step) = step.claim_step()?;
    Some(match order.claimed(claim)? {
        Claim::Seats(leg) => Request::Departure(leg.departure.clone(), seat_command(order, leg, at, step)),
        Claim::Units(terms) => {
            let (quantity, date) = (terms.units(order.details().passengers.len()), terms.service_date);
            let units = Units { quantity, date, holder: None };
            Request::Stock(StockId::Package(terms.template.clone()), unit_command(order, &units, at, step))
        }
        Claim::Use(promotion) => {
            let one = Units { quantity: 1, date: None, holder: order.traveller() };
            Request::Stock(StockId::Promotion(promotion.clone()), unit_command(order, &one, at, step))
        }
    })
}

fn seat_command(order: &Order, leg: &Leg, at: HoldAt, step: ClaimStep<'_>) -> SeatCommand {
    let HoldAt { hold, epoch } = at;
    let labels = |seats: &[Box<str>]| seats.iter().map(ToString::to_string).collect();
    match step {
        ClaimStep::Place { wish, expires_at } => SeatCommand::PlaceHold(PlaceHold {
            hold,
            epoch,
            channel: order.details().channel.clone(),
            class: leg.class.clone(),
            stretch: leg.stretch,
            ride: Some(Ride { departs_at: leg.departs_at, arrives_at: leg.arrives_at }),
            wanted: match wish {
                SeatWish::Any => Wanted::Auto(order.details().passengers.len() as u16),
                SeatWish::Chosen(seats) => Wanted::Chosen(labels(seats)),
                SeatWish::Reserved { reservation, .. } => {
                    let seats = order.details().passengers.len() as u16;
                    Wanted::Reserved { reservation: *reservation, seats }
                }
            },
            expires_at,
        }),
        ClaimStep::BeginPaying { expires_at } => SeatCommand::BeginPaying(BeginPaying { hold, epoch, expires_at }),
        ClaimStep::Confirm => SeatCommand::ConfirmHold(at),
        ClaimStep::Release => SeatCommand::ReleaseHold(at),
        ClaimStep::Free { seats } => SeatCommand::FreeSeats(FreeSeats { hold, epoch, seats: labels(seats) }),
    }
}

/// What a claim takes of a stock.
struct Units {
    quantity: u32,
    date: Option<Date>,
    holder: Option<TravellerId>,
}

fn unit_command(order: &Order, units: &Units, at: HoldAt, step: ClaimStep<'_>) -> StockCommand {
    let HoldAt { hold, epoch } = at;
    match step {
        ClaimStep::Place { expires_at, .. } => StockCommand::Place(stock::Place {
            at,
            quantity: units.quantity,
            date: units.date,
            channel: order.details().channel.clone(),
            holder: units.holder,
            expires_at,
        }),
        ClaimStep::BeginPaying { expires_at } => StockCommand::BeginPaying(BeginPaying { hold, epoch, expires_at }),
        ClaimStep::Confirm => StockCommand::Confirm(at),
        ClaimStep::Release => StockCommand::Release(at),
        // An order that ends gives all of them back.
        ClaimStep::Free { .. } => StockCommand::Free(stock::Free { at, units_left: 0, settled: None }),
    }
}
