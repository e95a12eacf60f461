//! The owner of one order. A shell around [`Order`]: it does the machine's steps one after the other, with departures
//! by message and with WeChat by tasks on the I/O runtime, and answers those who wait once the machine is there.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WrapFuture};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{OrderId, OutTradeNo};
use deeptravel_domain::inventory::{BeginPaying, Command as SeatCommand, HoldAt, PlaceHold, Wanted};
use deeptravel_domain::order::rows::OrderRows;
use deeptravel_domain::order::{
    Command, Draft, Effect, Event, HoldAnswer, Order, OrderStatus, PaymentFact, PaymentState, Scan, ScanOutcome,
    SeatWish, StepFailure,
};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::departure::Seats;
use crate::desk::Settled;
use crate::journal::KeyText;
use crate::log::KeyLog;
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{GatewayError, StoreError};
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::rows::Rows;
use crate::services::{Services, chance};
use crate::timer::Timer;

/// A settled order is kept in memory this long after it was last asked for.
const IDLE_SECONDS: i64 = 10 * 60;
/// An order with a ticket for a departure within this time stays in memory (rule 6).
const WARM_SECONDS: i64 = 24 * 60 * 60;
/// What WeChat shows as the thing paid for; at most 127 characters.
const DESCRIPTION: &str = "DeepTravel 车船票";

/// An answer that comes when the machine is there.
pub type Pending<T> = oneshot::Receiver<Answer<T>>;

/// The order as it is.
#[derive(Clone, Copy, Debug)]
pub struct View;

impl Message for View {
    type Result = Answer<Box<Order>>;
}

/// Seats held or not: the first answer of a new order.
#[derive(Debug)]
pub struct Placement;

impl Message for Placement {
    type Result = Pending<Box<Order>>;
}

/// Makes the order payable, or returns the parameters that were made before. `openid` is the traveller's.
#[derive(Debug)]
pub struct OpenPayment {
    pub openid: Box<str>,
}

impl Message for OpenPayment {
    type Result = Pending<Box<Order>>;
}

#[derive(Clone, Copy, Debug)]
pub struct Cancel;

impl Message for Cancel {
    type Result = Pending<Box<Order>>;
}

/// What WeChat says, from a callback or a query on demand. Answered when it has been acted on.
#[derive(Debug)]
pub struct Learn(pub PaymentFact);

impl Message for Learn {
    type Result = Pending<()>;
}

#[derive(Debug)]
pub struct Redeem(pub Scan);

impl Message for Redeem {
    /// The outcome, and the order as it then is.
    type Result = Answer<(ScanOutcome, Box<Order>)>;
}

macro_rules! not_told_apart {
    ($($message:ty),*) => {
        $(impl Fingerprint for $message {
            fn fingerprint(&self) -> u64 {
                NOT_TOLD_APART
            }
        })*
    };
}

not_told_apart!(View, Placement, OpenPayment, Cancel);

impl Fingerprint for Learn {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.number.hash(&mut hasher);
        std::mem::discriminant(&self.0.state).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

impl Fingerprint for Redeem {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0.gate.session, &self.0.request_id).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

/// See the module's documentation.
pub struct OrderActor {
    services: Arc<Services>,
    order: Order,
    log: KeyLog,
    vitals: Arc<Vitals>,
    timer: Timer,
    /// The step under way. A later stage of the machine may want another one: then this one's answer comes too late
    /// and changes nothing.
    under_way: Option<Effect>,
    placement: Vec<oneshot::Sender<Answer<Box<Order>>>>,
    payments: Vec<oneshot::Sender<Answer<Box<Order>>>>,
    cancels: Vec<oneshot::Sender<Answer<Box<Order>>>>,
    facts: Vec<oneshot::Sender<Answer<()>>>,
    /// The desk counts the order among those that hold unpaid seats.
    counted: bool,
    asked_at: Timestamp,
}

/// An order as it wakes: as a draft, or from its rows.
#[derive(Debug)]
pub struct Seed {
    order: Box<Order>,
    version: u64,
}

impl Seed {
    pub fn new(draft: Draft, now: Timestamp) -> Seed {
        Seed { order: Box::new(Order::draft(draft, now)), version: 0 }
    }

    pub fn from_rows(rows: OrderRows, now: Timestamp) -> Result<Seed, Outage> {
        let version = rows.version();
        let order = Order::from_rows(rows, now).map_err(|error| {
            tracing::error!(%error, "Rows of an order cannot be read: {error}");
            Outage::Rebuilding
        })?;
        Ok(Seed { order: Box::new(order), version })
    }

    pub fn id(&self) -> OrderId {
        self.order.id()
    }
}

impl Owner for OrderActor {
    type Id = OrderId;
    type Seed = Seed;

    const KIND: &'static str = "order";

    fn keys(services: &Services) -> &Keys<OrderActor> {
        &services.orders
    }

    fn load(services: Arc<Services>, id: OrderId) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let stored = services.store.order(id).await.map_err(|error: StoreError| {
                tracing::warn!(order.id = %id, %error, "Order {id} cannot be read: {error}");
                Outage::Storage
            })?;
            let now = services.clock.now();
            stored.map(|rows| Seed::from_rows(rows, now)).transpose()
        })
    }

    fn build(services: Arc<Services>, id: OrderId, seed: Seed, vitals: Arc<Vitals>) -> Result<OrderActor, Outage> {
        let key = KeyText::new(format!("order/{id}")).expect("an order id is short printable ASCII");
        let log = KeyLog::wake(services.journal.clone(), key, seed.version)?;
        let asked_at = services.clock.now();
        Ok(OrderActor {
            counted: seed.order.status() == OrderStatus::Pending,
            order: *seed.order,
            services,
            log,
            vitals,
            timer: Timer::default(),
            under_way: None,
            placement: Vec::new(),
            payments: Vec::new(),
            cancels: Vec::new(),
            facts: Vec::new(),
            asked_at,
        })
    }
}

impl Actor for OrderActor {
    type Context = Context<OrderActor>;

    fn started(&mut self, ctx: &mut Context<OrderActor>) {
        self.go_on(ctx);
    }
}

impl OrderActor {
    /// Decides, changes, writes, and goes on with what follows.
    fn apply(&mut self, command: &Command, ctx: &mut Context<OrderActor>) -> Answer<Vec<Event>> {
        let now = self.services.clock.now();
        let events = match self.order.decide(command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };
        if events.is_empty() {
            return Ok(Reply::ok(events, self.log.last()));
        }

        for event in &events {
            self.order.evolve(event);
        }
        let rows = self.order.changed_rows(&events, self.log.next_version());
        if !rows.is_empty() {
            self.append(&rows.into(), ctx)?;
        }
        self.answer_failed_step(&events);
        self.go_on(ctx);
        Ok(Reply::ok(events, self.log.last()))
    }

    fn append(&mut self, rows: &Rows, ctx: &mut Context<OrderActor>) -> Result<(), Outage> {
        let now = self.services.clock.now();
        let position = self.log.append(rows, now).map_err(|error| {
            tracing::error!(order.id = %self.order.id(), %error, "Order {} cannot write: {error}", self.order.id());
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;
        self.vitals.appended(position);
        Ok(())
    }

    /// After every change: answers those whose wait is over, starts the next step, arms the timer.
    fn go_on(&mut self, ctx: &mut Context<OrderActor>) {
        self.answer_waiting();
        self.tell_desk(ctx);
        if self.order.refusal().is_some() {
            self.services.orders.retire(&self.order.id());
            ctx.stop();
            return;
        }
        self.start_step(ctx);
        let now = self.services.clock.now();
        let deadline = self.order.next_deadline().or_else(|| self.order.is_settled().then(|| self.looks_again_at()));
        self.timer.arm(ctx, now, deadline, OrderActor::wake);
    }

    fn looks_again_at(&self) -> Timestamp {
        self.asked_at.plus_seconds(IDLE_SECONDS)
    }

    fn wake(&mut self, ctx: &mut Context<OrderActor>) {
        self.timer.fired();
        if self.order.is_settled() && self.may_sleep() {
            self.log.retire();
            self.services.orders.retire(&self.order.id());
            ctx.stop();
            return;
        }
        if self.order.is_settled() {
            self.asked_at = self.services.clock.now();
        }
        // The answer is for nobody; a failure has been reported and ends the actor.
        let _ = self.apply(&Command::Wake, ctx);
        self.go_on(ctx);
    }

    fn may_sleep(&self) -> bool {
        let now = self.services.clock.now();
        let idle = now >= self.looks_again_at() && self.under_way.is_none();
        let warm = self.order.tickets().iter().any(|ticket| {
            ticket.status == TicketStatus::Usable
                && now < ticket.valid_until
                && ticket.journey.departs_at < now.plus_seconds(WARM_SECONDS)
        });
        let crowded = self.services.orders.live() > self.services.sales.warm_orders_max as usize;
        idle && (!warm || crowded) && *self.services.projected.borrow() >= self.log.last()
    }

    fn tell_desk(&mut self, ctx: &mut Context<OrderActor>) {
        let over = self.order.status() != OrderStatus::Pending || self.order.refusal().is_some();
        if !self.counted || !over {
            return;
        }
        self.counted = false;
        let (services, traveller, order) = (Arc::clone(&self.services), self.order.traveller(), self.order.id());
        let telling = async move {
            // A desk that is being rebuilt counts anew from rows.
            let _ = services.desks.ask(&services.desk_of(traveller), Settled { traveller, order }).await;
        };
        ctx.spawn(telling.into_actor(self));
    }

    fn answer_waiting(&mut self) {
        let position = self.log.last();
        if let Some(failure) = self.order.refusal() {
            let answer = match failure {
                StepFailure::Refused(rejection) => Ok(Reply::rejected(rejection.clone(), position)),
                StepFailure::Unavailable => Err(Outage::Rebuilding),
            };
            send_all(&mut self.placement, &answer);
            return;
        }
        if self.order.is_placed() && !self.placement.is_empty() {
            let answer = Ok(Reply::ok(Box::new(self.order.clone()), position));
            send_all(&mut self.placement, &answer);
        }
        if !self.payments.is_empty()
            && let Some(answer) = self.payment_answer()
        {
            send_all(&mut self.payments, &answer);
        }
        if !self.cancels.is_empty()
            && let Some(answer) = self.cancel_answer()
        {
            send_all(&mut self.cancels, &answer);
        }
        if !self.order.is_settling() {
            send_all(&mut self.facts, &Ok(Reply::ok((), position)));
        }
    }

    /// `None`: still on the way.
    fn payment_answer(&self) -> Option<Answer<Box<Order>>> {
        let position = self.log.last();
        match self.order.status() {
            OrderStatus::Paid | OrderStatus::Completed => Some(Ok(Reply::rejected(Rejection::OrderPaid, position))),
            OrderStatus::Cancelled => Some(Ok(Reply::rejected(Rejection::OrderNotPayable, position))),
            OrderStatus::Pending => match self.order.payments().last().map(|payment| &payment.state) {
                Some(PaymentState::Created { .. }) => Some(Ok(Reply::ok(Box::new(self.order.clone()), position))),
                Some(PaymentState::Refused { .. }) => Some(Err(Outage::Provider)),
                _ => None,
            },
        }
    }

    fn cancel_answer(&self) -> Option<Answer<Box<Order>>> {
        let position = self.log.last();
        match self.order.status() {
            OrderStatus::Cancelled => Some(Ok(Reply::ok(Box::new(self.order.clone()), position))),
            OrderStatus::Paid | OrderStatus::Completed => Some(Ok(Reply::rejected(Rejection::OrderPaid, position))),
            OrderStatus::Pending => None,
        }
    }

    /// Nobody waits for the repetition of a step: the order goes on by itself, and the client asks again.
    fn answer_failed_step(&mut self, events: &[Event]) {
        if events.iter().any(|event| matches!(event, Event::StepFailed { .. })) {
            send_all(&mut self.payments, &Err(Outage::Provider));
            send_all(&mut self.cancels, &Err(Outage::Provider));
            send_all(&mut self.facts, &Err(Outage::Rebuilding));
        }
    }

    fn start_step(&mut self, ctx: &mut Context<OrderActor>) {
        let effect = self.order.effect();
        if effect.is_none() || effect == self.under_way {
            return;
        }
        self.under_way.clone_from(&effect);
        match effect {
            Some(Effect::PlaceHold { item, hold, epoch, expires_at }) => {
                let Some(journey) = self.order.items().get(item) else { return };
                let wanted = match &journey.wish {
                    SeatWish::Any => Wanted::Auto(self.order.details().passengers.len() as u16),
                    SeatWish::Chosen(labels) => Wanted::Chosen(labels.iter().map(ToString::to_string).collect()),
                };
                let place = PlaceHold {
                    hold,
                    epoch,
                    channel: Channel::Direct,
                    class: journey.class.clone(),
                    stretch: journey.stretch,
                    wanted,
                    expires_at,
                };
                self.ask_departure(item, SeatCommand::PlaceHold(place), ctx);
            }
            Some(Effect::BeginPaying { item, hold, epoch, expires_at }) => {
                self.ask_departure(item, SeatCommand::BeginPaying(BeginPaying { hold, epoch, expires_at }), ctx);
            }
            Some(Effect::ConfirmHold { item, hold, epoch }) => {
                self.ask_departure(item, SeatCommand::ConfirmHold(HoldAt { hold, epoch }), ctx);
            }
            Some(Effect::ReleaseHold { item, hold, epoch }) => {
                self.ask_departure(item, SeatCommand::ReleaseHold(HoldAt { hold, epoch }), ctx);
            }
            Some(Effect::CreatePayment { number, body }) => self.create_payment(number, body, ctx),
            Some(Effect::QueryPayment { number }) => {
                let gateway = Arc::clone(&self.services.gateway);
                self.call(number, async move { gateway.query(number).await }, ctx, move |result| match result {
                    Ok(state) => Command::PaymentFact(PaymentFact { number, state }),
                    Err(_) => Command::CallFailed { number },
                });
            }
            Some(Effect::ClosePayment { number }) => {
                let gateway = Arc::clone(&self.services.gateway);
                self.call(number, async move { gateway.close(number).await }, ctx, move |result| match result {
                    // Also a refusal: whatever it says, the query that follows decides (wechat.md 2.4).
                    Ok(()) | Err(GatewayError::Refused { .. }) => Command::CloseAnswered { number },
                    Err(GatewayError::Unknown(_)) => Command::CallFailed { number },
                });
            }
            None => {}
        }
    }

    fn ask_departure(&mut self, item: usize, command: SeatCommand, ctx: &mut Context<OrderActor>) {
        let Some(departure) = self.order.items().get(item).map(|item| item.departure.clone()) else { return };
        let services = Arc::clone(&self.services);
        let asking = async move { services.departures.ask(&departure, Seats(command)).await };
        let step = self.under_way.clone();
        ctx.spawn(asking.into_actor(self).map(move |answer, actor, ctx| {
            let result = match answer {
                Ok(Some(Ok(reply))) => {
                    actor.log.rests_on(reply.position);
                    reply.outcome.map_err(StepFailure::Refused)
                }
                Ok(None) => Err(StepFailure::Refused(Rejection::DepartureNotFound)),
                Ok(Some(Err(_))) | Err(_) => Err(StepFailure::Unavailable),
            };
            actor.finish_step(step.as_ref(), &Command::HoldAnswered(HoldAnswer { item, result }), ctx);
        }));
    }

    fn create_payment(&mut self, number: OutTradeNo, body: Arc<[u8]>, ctx: &mut Context<OrderActor>) {
        let now = self.services.clock.now();
        if let Ok(events) = self.order.decide(&Command::CreateCalled, now) {
            for event in &events {
                self.order.evolve(event);
            }
        }
        let gateway = Arc::clone(&self.services.gateway);
        self.call(number, async move { gateway.create(&body).await }, ctx, move |result| match result {
            Ok(prepay_id) => Command::PaymentCreated {
                number,
                prepay_id: prepay_id.into(),
                nonce: format!("{:016X}{:016X}", chance(), chance()).into(),
                signed_at_seconds: now.as_seconds(),
            },
            Err(GatewayError::Refused { code, may_exist }) => {
                Command::CreateRefused { number, code: code.into(), may_exist }
            }
            Err(GatewayError::Unknown(_)) => Command::CallFailed { number },
        });
    }

    /// A call to WeChat on the I/O runtime, once everything that the order rests on is durable (rule 16).
    fn call<T: Send + 'static>(
        &mut self,
        number: OutTradeNo,
        call: impl Future<Output = Result<T, GatewayError>> + Send + 'static,
        ctx: &mut Context<OrderActor>,
        answer: impl FnOnce(Result<T, GatewayError>) -> Command + 'static,
    ) {
        let durable = self.services.journal.wait(self.log.last());
        let calling = self.services.io.spawn(async move {
            durable.await.map_err(|error| GatewayError::Unknown(error.to_string()))?;
            call.await
        });
        let step = self.under_way.clone();
        ctx.spawn(calling.into_actor(self).map(move |result, actor, ctx| {
            let result = result.unwrap_or_else(|error| Err(GatewayError::Unknown(error.to_string())));
            if let Err(error) = &result {
                tracing::warn!(payment = %number, %error, "Calling WeChat about {number} failed: {error}");
            }
            actor.finish_step(step.as_ref(), &answer(result), ctx);
        }));
    }

    fn finish_step(&mut self, step: Option<&Effect>, command: &Command, ctx: &mut Context<OrderActor>) {
        if self.under_way.as_ref() == step {
            self.under_way = None;
        }
        match self.apply(command, ctx) {
            Ok(Reply { outcome: Err(rejection), .. }) => {
                tracing::error!(order.id = %self.order.id(), %rejection, "A payment of {} is refused: {rejection}", self.order.id());
            }
            Ok(Reply { outcome: Ok(events), .. }) if events.is_empty() => self.go_on(ctx),
            Ok(_) | Err(_) => {}
        }
    }
}

fn send_all<T: Clone>(waiting: &mut Vec<oneshot::Sender<Answer<T>>>, answer: &Answer<T>) {
    for sender in waiting.drain(..) {
        // Whoever waited may have gone.
        let _ = sender.send(answer.clone());
    }
}

impl Handler<View> for OrderActor {
    type Result = Answer<Box<Order>>;

    fn handle(&mut self, _: View, _: &mut Context<OrderActor>) -> Answer<Box<Order>> {
        self.asked_at = self.services.clock.now();
        Ok(Reply::ok(Box::new(self.order.clone()), self.log.last()))
    }
}

impl Handler<Placement> for OrderActor {
    type Result = actix::MessageResult<Placement>;

    fn handle(&mut self, _: Placement, _: &mut Context<OrderActor>) -> actix::MessageResult<Placement> {
        let (sender, receiver) = oneshot::channel();
        self.placement.push(sender);
        self.answer_waiting();
        actix::MessageResult(receiver)
    }
}

impl Handler<OpenPayment> for OrderActor {
    type Result = actix::MessageResult<OpenPayment>;

    fn handle(&mut self, message: OpenPayment, ctx: &mut Context<OrderActor>) -> actix::MessageResult<OpenPayment> {
        let (sender, receiver) = oneshot::channel();
        if self.order.live_payment().is_some() || self.order.status() != OrderStatus::Pending {
            self.payments.push(sender);
            self.answer_waiting();
            return actix::MessageResult(receiver);
        }
        let now = self.services.clock.now();
        let begun = match self.order.payment_terms(&self.services.sales.payment, now) {
            Ok(terms) => {
                let body = self.services.gateway.create_body(&terms, DESCRIPTION, &message.openid);
                self.payments.push(sender);
                self.apply(&Command::BeginPayment { terms, body: body.into() }, ctx)
            }
            Err(rejection) => {
                // Whoever waited may have gone.
                let _ = sender.send(Ok(Reply::rejected(rejection, self.log.last())));
                return actix::MessageResult(receiver);
            }
        };
        match begun {
            Ok(Reply { outcome: Err(rejection), position }) => {
                send_all(&mut self.payments, &Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => send_all(&mut self.payments, &Err(outage)),
            Ok(_) => {}
        }
        actix::MessageResult(receiver)
    }
}

impl Handler<Cancel> for OrderActor {
    type Result = actix::MessageResult<Cancel>;

    fn handle(&mut self, _: Cancel, ctx: &mut Context<OrderActor>) -> actix::MessageResult<Cancel> {
        let (sender, receiver) = oneshot::channel();
        self.cancels.push(sender);
        match self.apply(&Command::Cancel, ctx) {
            Ok(Reply { outcome: Err(rejection), position }) => {
                send_all(&mut self.cancels, &Ok(Reply::rejected(rejection, position)));
            }
            Err(outage) => send_all(&mut self.cancels, &Err(outage)),
            Ok(_) => self.answer_waiting(),
        }
        actix::MessageResult(receiver)
    }
}

impl Handler<Learn> for OrderActor {
    type Result = actix::MessageResult<Learn>;

    fn handle(&mut self, message: Learn, ctx: &mut Context<OrderActor>) -> actix::MessageResult<Learn> {
        self.vitals.handling(message.fingerprint());
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
        actix::MessageResult(receiver)
    }
}

impl Handler<Redeem> for OrderActor {
    type Result = Answer<(ScanOutcome, Box<Order>)>;

    fn handle(&mut self, message: Redeem, ctx: &mut Context<OrderActor>) -> Answer<(ScanOutcome, Box<Order>)> {
        self.vitals.handling(message.fingerprint());
        let reply = self.apply(&Command::Scan(message.0), ctx)?;
        self.vitals.handled();
        self.asked_at = self.services.clock.now();
        let order = &self.order;
        let position = reply.position;
        let outcome = reply.outcome.and_then(|events| {
            let scanned = events.into_iter().find_map(|event| match event {
                Event::Scanned(outcome) => Some(outcome),
                _ => None,
            });
            scanned.map(|outcome| (outcome, Box::new(order.clone()))).ok_or(Rejection::TicketNotFound)
        });
        Ok(Reply { outcome, position })
    }
}
