//! The owner of one order. A shell around [`Order`]: it does the machine's steps one after the other, with departures
//! by message and with WeChat by tasks on the I/O runtime, and answers those who wait once the machine is there.

mod handlers;
mod messages;
mod placing;
mod report;
mod rest;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::rows::{
    LedgerRow, OrderItemRow, OrderRow, PassengerRow, PaymentRow, RedemptionRow, RefundRow, TicketRow,
};
use deeptravel_domain::order::{Command, Effect, Event, Order, OrderStatus, PaymentState, StepFailure};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

pub use messages::{Cancel, Learn, LearnRefund, OpenPayment, Pending, Placement, Redeem, RetryRefund, View};
pub use placing::{Held, PlaceSeats, Placing};
pub use report::register;
pub use rest::WARM_SECONDS;

use crate::desk::{Desk, Making, Settled};
use crate::journal::{Admission, KeyText};
use crate::lists::OrderIdRow;
use crate::log::{KeyLog, PUT_OFF_MS};
use crate::outage::{Answer, Outage, Reply, damaged};
use crate::ports::{Haste, Load, Statement, StoreError};
use crate::registry::{Keys, Look, Owner, Sleep, Vitals};
use crate::services::{Services, desk_of_shard};
use crate::timer::Timer;

/// Pause before the desk is told again of what it could not be told.
const TELL_AGAIN: Duration = Duration::from_millis(500);

/// The rows of orders. Without attempts and audit, which no order reads back: each is written together with its ticket.
const ROWS: &[Statement] = &[
    Statement::by("load/orders", OrderRow::TABLE, "order_id"),
    Statement::by("load/order_items", OrderItemRow::TABLE, "order_id"),
    Statement::by("load/order_passengers", PassengerRow::TABLE, "order_id"),
    Statement::by("load/payments", PaymentRow::TABLE, "order_id"),
    Statement::by("load/refunds", RefundRow::TABLE, "order_id"),
    Statement::by("load/tickets", TicketRow::TABLE, "order_id"),
    Statement::by("load/redemptions", RedemptionRow::TABLE, "order_id"),
    Statement::by("load/ledger_entries", LedgerRow::TABLE, "order_id"),
];
/// The rows of orders: its parameter are their ids.
pub const LOAD: Load = Load::of(ROWS);
/// Of every order that is pending or has something outstanding, and of those with tickets that will soon be shown at a gate
/// as many as there is room for: see [`Warm`](crate::ports::Warm).
pub const LOAD_WARM: Load =
    Load { keys: Some((Statement::new("load/order_ids_warm", OrderIdRow::TABLE), "order_id")), rows: ROWS };

/// See the module's documentation.
pub struct OrderActor {
    services: Arc<Services>,
    /// Shared with whoever is being answered; copied only if it changes before they are done with it.
    order: Arc<Order>,
    log: KeyLog,
    vitals: Arc<Vitals>,
    timer: Timer,
    /// The step under way. A later stage of the machine may want another one: then this one's answer comes too late
    /// and changes nothing.
    under_way: Option<Effect>,
    /// Steps that were begun and have not been answered, also those whose answer nobody waits for any more.
    outstanding: u32,
    placement: Vec<oneshot::Sender<Answer<Arc<Order>>>>,
    payments: Vec<oneshot::Sender<Answer<Arc<Order>>>>,
    cancels: Vec<oneshot::Sender<Answer<Arc<Order>>>>,
    facts: Vec<oneshot::Sender<Answer<()>>>,
    /// While the order has no record and no refusal yet.
    making: Option<Making>,
    desk: DeskCount,
    /// Why the last step with a departure was not possible.
    unavailable: Outage,
    asked_at: Timestamp,
    /// Its state is in the registry already: nothing may change any more.
    has_left: bool,
    /// It cannot be packed.
    stays: bool,
    /// Not before: whoever has woken it shall find it awake.
    rests_from: Timestamp,
}

/// What the desk knows of the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DeskCount {
    /// It counts it among those that hold unpaid seats.
    Unpaid,
    /// It is being told that it no longer is.
    Telling,
    /// It does not count it.
    Settled,
}

/// An order as it wakes: as a draft, or from its rows.
#[derive(Debug)]
pub struct Seed {
    order: Arc<Order>,
    version: u64,
    /// Of a draft.
    making: Option<Making>,
    /// Of a dormant order: what its owner knew.
    rested: Option<rest::Rested>,
}

impl Seed {
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Seed, Outage> {
        let read = || Ok((tables::newest_version(rows)?, Order::from_rows(rows, now)?));
        let (version, order) = read().map_err(damaged)?;
        Ok(Seed { order: Arc::new(order), version, making: None, rested: None })
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

    /// Beside its desk, which makes it.
    fn home(id: &OrderId) -> u64 {
        Desk::home(&desk_of_shard(id.shard()))
    }

    fn load(services: Arc<Services>, id: OrderId) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let parameters = vec![vec![id.to_string()].into()];
            let stored = services.store.load(LOAD, parameters, Haste::Wake).await.map_err(|error: StoreError| {
                tracing::warn!(order.id = %id, %error, "Order {id} cannot be read: {error}");
                Outage::Storage
            })?;
            let now = services.clock.now();
            (!stored.is_empty()).then(|| Seed::from_rows(&stored, now)).transpose()
        })
    }

    fn unpack(id: &OrderId, packed: &[u8]) -> Option<Seed> {
        rest::unpack(*id, packed)
    }

    fn look(services: &Services, id: &OrderId, packed: &[u8], now: Timestamp) -> Look {
        rest::look(services, *id, packed, now)
    }

    fn build(services: Arc<Services>, id: OrderId, seed: Seed, vitals: Arc<Vitals>) -> Result<OrderActor, Outage> {
        let key = KeyText::new(format!("order/{id}")).expect("an order id is short printable ASCII");
        let mut log = KeyLog::wake(services.journal.clone(), key, seed.version)?;
        let asked_at = seed.rested.map_or_else(|| services.clock.now(), |rested| rested.asked_at);
        if let Some(rested) = seed.rested {
            log.rested_on(rested.last);
        }
        let rests_from = services.clock.now().plus_ms(rest::AWAKE_MS);
        let unpaid = seed.order.status() == OrderStatus::Pending;
        Ok(OrderActor {
            desk: if unpaid { DeskCount::Unpaid } else { DeskCount::Settled },
            making: seed.making,
            order: seed.order,
            services,
            log,
            vitals,
            timer: Timer::default(),
            under_way: None,
            outstanding: 0,
            has_left: false,
            stays: false,
            rests_from,
            placement: Vec::new(),
            payments: Vec::new(),
            cancels: Vec::new(),
            facts: Vec::new(),
            unavailable: Outage::Rebuilding,
            asked_at,
        })
    }
}

impl Actor for OrderActor {
    type Context = Context<OrderActor>;

    fn started(&mut self, ctx: &mut Context<OrderActor>) {
        if !self.order.refunds().is_empty() {
            self.services.attention.set_refunds(&self.order);
        }
        self.go_on(ctx);
    }
}

impl OrderActor {
    /// Changes, and goes on with what follows. An outage is found before anything changes, unless the actor has failed by
    /// it.
    fn apply(&mut self, command: &Command, ctx: &mut Context<OrderActor>) -> Answer<Vec<Event>> {
        let changed = self.change(command);
        if self.vitals.has_failed() {
            ctx.stop();
        }
        let reply = changed?;
        if reply.outcome.as_ref().is_ok_and(|events| !events.is_empty()) {
            self.go_on(ctx);
        }
        Ok(Reply { position: self.log.last(), ..reply })
    }

    /// Decides, changes and writes.
    fn change(&mut self, command: &Command) -> Answer<Vec<Event>> {
        let now = self.services.clock.now();
        let events = match self.order.decide(command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };
        if events.is_empty() {
            return Ok(Reply::ok(events, self.log.last()));
        }
        // A draft remembers only; its first record is its placement.
        let writes = self.order.is_placed() || events.contains(&Event::Placed);
        let admission = writes.then(|| self.log.admit(events.len())).transpose()?;

        for event in &events {
            Arc::make_mut(&mut self.order).evolve(event);
        }
        let rows = self.order.changed_rows(&events, self.log.next_version());
        if let Some(admission) = admission.filter(|_| !rows.is_empty()) {
            self.append(admission, rows)?;
        }
        report::report(&self.services.attention, &self.order, &events);
        self.answer_failed_step(&events);
        Ok(Reply::ok(events, self.log.last()))
    }

    fn append(&mut self, admission: Admission, rows: Rows) -> Result<(), Outage> {
        let now = self.services.clock.now();
        self.log.append(admission, rows, now).map_err(|error| {
            tracing::error!(order.id = %self.order.id(), %error, "Order {} cannot write: {error}", self.order.id());
            self.vitals.fail();
            Outage::Journal
        })?;
        Ok(())
    }

    /// After every change: answers those whose wait is over, arms the timer, starts the next step.
    fn go_on(&mut self, ctx: &mut Context<OrderActor>) {
        self.answer_waiting();
        self.tell_desk(ctx);
        if self.order.refusal().is_some() {
            self.services.orders.retire(&self.order.id());
            return;
        }
        let now = self.services.clock.now();
        let rests_at = self.may_rest(now).then_some(self.rests_from);
        if rests_at.is_some_and(|at| at <= now) {
            self.services.orders.retire(&self.order.id());
            return;
        }
        let deadline = self.order.next_deadline().into_iter().chain(rests_at).min();
        self.timer.arm(ctx, now, deadline, OrderActor::wake);
        // Last: a step that ends at once may have been put off, and arms the timer for that.
        self.start_step(ctx);
    }

    /// What is to happen cannot be written now: whoever waits is told, and the order tries again by itself.
    fn put_off(&mut self, outage: Outage, ctx: &mut Context<OrderActor>) {
        if self.vitals.has_failed() {
            return;
        }
        send_all(&mut self.payments, &Err(outage));
        send_all(&mut self.cancels, &Err(outage));
        send_all(&mut self.facts, &Err(outage));
        let now = self.services.clock.now();
        self.timer.arm(ctx, now, Some(now.plus_ms(PUT_OFF_MS)), OrderActor::wake);
    }

    fn wake(&mut self, ctx: &mut Context<OrderActor>) {
        self.timer.fired();
        if self.has_left {
            return;
        }
        match self.apply(&Command::Wake, ctx) {
            Ok(_) => self.go_on(ctx),
            Err(outage) => self.put_off(outage, ctx),
        }
    }

    fn is_waited_for(&self) -> bool {
        !(self.placement.is_empty() && self.payments.is_empty() && self.cancels.is_empty() && self.facts.is_empty())
    }

    /// Somebody wants something of the order. Once they have it the order may rest: whoever asks next does so after
    /// seconds, and waiting for him would cost a timer.
    fn asked(&mut self) {
        self.asked_at = self.services.clock.now();
        self.rests_from = self.asked_at;
    }

    fn tell_desk(&mut self, ctx: &mut Context<OrderActor>) {
        // Of a refusal the desk learns from the placement's answer.
        if self.desk != DeskCount::Unpaid || self.order.status() == OrderStatus::Pending {
            return;
        }
        self.desk = DeskCount::Telling;
        let (services, traveller, order) = (Arc::clone(&self.services), self.order.traveller(), self.order.id());
        let telling = async move {
            let desk = services.desk_of(traveller);
            // A desk that is being rebuilt may have read the rows of before.
            while services.desks.ask(&desk, Settled { traveller, order }).await.is_err() {
                tokio::time::sleep(TELL_AGAIN).await;
            }
        };
        ctx.spawn(telling.into_actor(self).map(|(), actor, ctx| {
            actor.desk = DeskCount::Settled;
            actor.go_on(ctx);
        }));
    }

    fn answer_waiting(&mut self) {
        let position = self.log.last();
        if let Some(failure) = self.order.refusal() {
            let answer = match failure {
                StepFailure::Refused(rejection) => Ok(Reply::rejected(rejection.clone(), position)),
                StepFailure::Unavailable => Err(self.unavailable),
            };
            self.answer_placement(&answer);
            return;
        }
        if self.order.is_placed() && (self.making.is_some() || !self.placement.is_empty()) {
            // Its record has been taken by the journal.
            self.answer_placement(&Ok(Reply::ok(Arc::clone(&self.order), position)));
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
        if !self.order.has_unrecorded_money() {
            send_all(&mut self.facts, &Ok(Reply::ok((), position)));
        }
    }

    fn answer_placement(&mut self, answer: &Answer<Arc<Order>>) {
        if let Some(making) = self.making.take() {
            making.answer(answer);
            self.asked();
        }
        send_all(&mut self.placement, answer);
    }

    /// `None`: still on the way.
    fn payment_answer(&self) -> Option<Answer<Arc<Order>>> {
        let position = self.log.last();
        match self.order.status() {
            OrderStatus::Paid | OrderStatus::Completed => Some(Ok(Reply::rejected(Rejection::OrderPaid, position))),
            OrderStatus::Cancelled => Some(Ok(Reply::rejected(Rejection::OrderNotPayable, position))),
            OrderStatus::Pending if self.order.is_ending() => {
                Some(Ok(Reply::rejected(Rejection::OrderNotPayable, position)))
            }
            OrderStatus::Pending if self.order.is_settling() => None,
            OrderStatus::Pending => match self.order.payments().last().map(|payment| &payment.state) {
                Some(PaymentState::Created { .. }) => Some(Ok(Reply::ok(Arc::clone(&self.order), position))),
                Some(PaymentState::Refused { .. }) => Some(Err(Outage::Provider)),
                _ => None,
            },
        }
    }

    fn cancel_answer(&self) -> Option<Answer<Arc<Order>>> {
        let position = self.log.last();
        match self.order.status() {
            OrderStatus::Cancelled => Some(Ok(Reply::ok(Arc::clone(&self.order), position))),
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
}

impl Handler<Sleep> for OrderActor {
    type Result = ();

    /// Whoever asked since has been answered, and may have given it something to do.
    fn handle(&mut self, _: Sleep, ctx: &mut Context<OrderActor>) {
        let id = self.order.id();
        let rest = self.may_rest(self.services.clock.now()).then(|| self.pack());
        match rest {
            Some(Some(rest)) => self.services.orders.rest(&id, rest),
            _ if self.order.refusal().is_some() => {}
            _ => {
                if rest.is_some() {
                    tracing::error!(order.id = %id, "Order {id} cannot be packed and stays as it is");
                    self.stays = true;
                }
                self.services.orders.stay(&id);
                self.go_on(ctx);
                return;
            }
        }
        // Whatever the journal has to check of the key from here on, its next actor brings along.
        self.has_left = true;
        self.log.retire();
        ctx.stop();
    }
}

fn send_all<T: Clone>(waiting: &mut Vec<oneshot::Sender<Answer<T>>>, answer: &Answer<T>) {
    for sender in waiting.drain(..) {
        // Whoever waited may have gone.
        let _ = sender.send(answer.clone());
    }
}
