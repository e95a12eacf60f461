//! The owner of one order. A shell around [`Order`]: it does the machine's steps one after the other, with departures
//! by message and with WeChat by tasks on the I/O runtime, and answers those who wait once the machine is there.

mod hand;
mod peers;
mod placing;
mod questions;
mod report;
mod rest;
mod steps;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use deeptravel_domain::ids::{IdHash, OrderId};
use deeptravel_domain::order::rows::{LedgerRow, OrderRow, PaymentRow, RefundRow, ScanRow, TicketRow};
use deeptravel_domain::order::{Command, Event, Order, OrderStatus, PartName, PaymentState, StepFailure};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;

pub use hand::{Redeemed, redeem_without_actor};
pub use peers::Peers;
pub use placing::Placing;
pub use questions::{
    Cancel, CancelUnit, Learn, LearnRefund, LookAt, OpenPayment, Placement, Redeem, RetryRefund, View,
};
pub use rest::{WARM_SECONDS, newborn};

use crate::ask::{Asker, answer_all};
use crate::desk::{Making, Settled};
use crate::kept::{self, Kept, LiveShell, Shell};
use crate::lists::OrderIdRow;
use crate::outage::{Answer, Outage, Reply};
use crate::payment::load_transactions;
use crate::ports::{Haste, Load, Statement, Warm};
use crate::registry::{Keys, Look, Owner, Post, Sleep, StartError, home_of};
use crate::services::desk_of_shard;
use crate::timer::Timer;
use steps::UnderWay;

/// Pause before the desk is told again of what it could not be told.
const TELL_AGAIN: Duration = Duration::from_millis(500);

/// The rows of orders. Without refused scans and audit, which no order reads back: each is written together with its ticket.
const ROWS: &[Statement] = &[
    Statement::by("load/order_rows", OrderRow::TABLE, "order_id"),
    Statement::by("load/payments", PaymentRow::TABLE, "order_id"),
    Statement::by("load/refunds", RefundRow::TABLE, "order_id"),
    Statement::by("load/ticket_rows", TicketRow::TABLE, "order_id"),
    Statement::by("load/ticket_scans", ScanRow::TABLE, "order_id"),
    Statement::by("load/ledger_entries", LedgerRow::TABLE, "order_id"),
];
/// The rows of orders: its parameter are their ids.
pub const LOAD: Load = Load::of(ROWS);
/// Of every order that is pending or has something outstanding, and of those with tickets that will soon be shown at a gate
/// as many as there is room for: see [`Warm`](crate::ports::Warm).
pub const LOAD_WARM: Load = Load::of_found(Statement::new("load/order_ids_warm", OrderIdRow::TABLE), "order_id", ROWS);

/// See the module's documentation.
pub struct OrderActor {
    peers: Arc<Peers>,
    post: Post<OrderActor>,
    /// The order is shared with whoever is being answered; copied only if it changes before they are done with it.
    kept: Kept<Arc<Order>>,
    timer: Timer,
    under_way: UnderWay,
    /// Steps that were begun and have not been answered, also those whose answer nobody waits for any more.
    outstanding: u32,
    placement: Vec<Asker<Arc<Order>>>,
    payments: Vec<Asker<Arc<Order>>>,
    cancels: Vec<Asker<Arc<Order>>>,
    facts: Vec<Asker<()>>,
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
pub struct Seed {
    order: Arc<Order>,
    version: u64,
    /// Of a draft.
    making: Option<Making>,
    /// Of a dormant order: what its owner knew.
    rested: Option<rest::Rested>,
}

impl Seed {
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Seed, Damage> {
        let (version, order) = (tables::newest_version(rows)?, Order::from_rows(rows, now)?);
        Ok(Seed { order: Arc::new(order), version, making: None, rested: None })
    }

    pub fn id(&self) -> OrderId {
        self.order.id()
    }
}

impl Owner for OrderActor {
    type Id = OrderId;
    type Hash = IdHash;
    type Seed = Seed;
    type Hand = hand::InHand;
    type Shared = ();
    type World = Peers;

    const KIND: &'static str = "order";

    /// Every order that has something to do, and those that will soon be shown at a gate. What is outstanding of theirs
    /// goes on at once, and asks the departures: they are there before.
    async fn start(peers: Arc<Peers>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        report::register();
        let transactions = load_transactions(&peers).await?;
        *peers.transactions.lock().unwrap_or_else(PoisonError::into_inner) = transactions;
        let now = peers.clock.now();
        let (departs_before, bytes_max) = (now.plus_seconds(WARM_SECONDS), peers.sales.warm_load_bytes_max);
        let parameters = Warm { now, departs_before, bytes_max }.parameters();
        let rows = peers.store.load(LOAD_WARM, parameters, Haste::Start).await?;
        for rows in tables::split(&rows, "order_id")? {
            let seed = Seed::from_rows(&rows, now)?;
            keys.put(&seed.id(), seed);
        }
        keys.tend_dormant();
        Ok(())
    }

    /// Beside its desk, which makes it.
    fn home(id: &OrderId) -> u64 {
        home_of(&desk_of_shard(id.shard()))
    }

    async fn load(peers: Arc<Peers>, id: OrderId) -> Result<Option<Seed>, StartError> {
        let stored = peers.store.load(LOAD, vec![vec![id].into()], Haste::Wake).await?;
        let now = peers.clock.now();
        Ok((!stored.is_empty()).then(|| Seed::from_rows(&stored, now)).transpose()?)
    }

    fn unpack(id: &OrderId, packed: &[u8]) -> Option<Seed> {
        rest::unpack(*id, packed)
    }

    fn look(peers: &Peers, id: &OrderId, packed: &[u8], now: Timestamp) -> Look {
        rest::look(peers, *id, packed, now)
    }

    fn build(peers: Arc<Peers>, post: Post<Self>, seed: Seed) -> Result<OrderActor, Outage> {
        let now = peers.clock.now();
        let unpaid = seed.order.status() == OrderStatus::Pending;
        let woken = kept::Seed { machine: seed.order, version: seed.version };
        let mut kept = Kept::wake(&peers.parts, &format!("order/{}", post.id), woken, &post.vitals)?;
        if let Some(rested) = seed.rested {
            kept.log.rested_on(rested.last);
        }
        Ok(OrderActor {
            desk: if unpaid { DeskCount::Unpaid } else { DeskCount::Settled },
            making: seed.making,
            peers,
            post,
            kept,
            timer: Timer::default(),
            under_way: UnderWay::default(),
            outstanding: 0,
            has_left: false,
            stays: false,
            rests_from: now.plus_ms(rest::AWAKE_MS),
            placement: Vec::new(),
            payments: Vec::new(),
            cancels: Vec::new(),
            facts: Vec::new(),
            unavailable: Outage::Rebuilding,
            asked_at: seed.rested.map_or(now, |rested| rested.asked_at),
        })
    }
}

impl Actor for OrderActor {
    type Context = Context<OrderActor>;

    fn started(&mut self, ctx: &mut Context<OrderActor>) {
        if !self.order().refunds().is_empty() {
            self.peers.attention.set_refunds(self.order());
        }
        self.go_on(ctx);
    }
}

impl Shell for OrderActor {
    type Machine = Arc<Order>;

    fn kept(&mut self) -> &mut Kept<Arc<Order>> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event]) {
        report::report(&self.peers.attention, &self.kept.machine, events);
        self.answer_failed_step(events);
    }
}

impl LiveShell for OrderActor {
    fn timer(&mut self) -> &mut Timer {
        &mut self.timer
    }

    /// Answers those whose wait is over, arms the timer, starts the next steps.
    fn go_on(&mut self, ctx: &mut Context<OrderActor>) {
        self.answer_waiting();
        self.tell_desk(ctx);
        if self.order().refusal().is_some() {
            self.post.keys.retire(&self.post.id);
            return;
        }
        let now = self.peers.clock.now();
        let rests_at = self.may_rest(now).then_some(self.rests_from);
        if rests_at.is_some_and(|at| at <= now) {
            self.post.keys.retire(&self.post.id);
            return;
        }
        let deadline = self.order().next_deadline().into_iter().chain(rests_at).min();
        self.arm(deadline, ctx);
        // Last: a step that ends at once may have been put off, and arms the timer for that.
        self.start_steps(ctx);
    }

    fn wake(&mut self, ctx: &mut Context<OrderActor>) {
        if self.has_left {
            return;
        }
        match self.apply(&Command::Wake, ctx) {
            Ok(_) => self.go_on(ctx),
            Err(outage) => self.put_off(outage, ctx),
        }
    }
}

impl OrderActor {
    fn order(&self) -> &Arc<Order> {
        &self.kept.machine
    }

    /// What is to happen cannot be written now: whoever waits is told, and the order tries again by itself.
    fn put_off(&mut self, outage: Outage, ctx: &mut Context<OrderActor>) {
        if self.kept.vitals.has_failed() {
            return;
        }
        answer_all(&mut self.payments, &Err(outage));
        answer_all(&mut self.cancels, &Err(outage));
        answer_all(&mut self.facts, &Err(outage));
        self.wake_later(ctx);
    }

    fn is_waited_for(&self) -> bool {
        !(self.placement.is_empty() && self.payments.is_empty() && self.cancels.is_empty() && self.facts.is_empty())
    }

    /// Somebody wants something of the order. Once they have it the order may rest: whoever asks next does so after
    /// seconds, and waiting for him would cost a timer.
    fn asked(&mut self) {
        self.asked_at = self.peers.clock.now();
        self.rests_from = self.asked_at;
    }

    fn tell_desk(&mut self, ctx: &mut Context<OrderActor>) {
        // Of a refusal the desk learns from the placement's answer.
        if self.desk != DeskCount::Unpaid || self.order().status() == OrderStatus::Pending {
            return;
        }
        // No desk counts what a partner has bought.
        let Some(traveller) = self.order().traveller() else { return };
        self.desk = DeskCount::Telling;
        let (peers, order) = (Arc::clone(&self.peers), self.order().id());
        let telling = async move {
            let desk = peers.desk_of(traveller);
            // A desk that is being rebuilt may have read the rows of before.
            while peers.desks.ask(&desk, Settled { traveller, order }).await.is_err() {
                tokio::time::sleep(TELL_AGAIN).await;
            }
        };
        ctx.spawn(telling.into_actor(self).map(|(), actor, ctx| {
            actor.desk = DeskCount::Settled;
            actor.go_on(ctx);
        }));
    }

    fn answer_waiting(&mut self) {
        let position = self.kept.log.last();
        if let Some(failure) = self.order().refusal() {
            let answer = match failure {
                StepFailure::Refused(rejection) => Ok(Reply::rejected(rejection.clone(), position)),
                StepFailure::Unavailable => Err(self.unavailable),
            };
            self.answer_placement(&answer);
            return;
        }
        if self.order().is_placed() && (self.making.is_some() || !self.placement.is_empty()) {
            // Its record has been taken by the journal.
            self.answer_placement(&Ok(Reply::ok(Arc::clone(self.order()), position)));
        }
        if let Some(answer) = self.payment_answer() {
            answer_all(&mut self.payments, &answer);
        }
        if let Some(answer) = self.cancel_answer() {
            answer_all(&mut self.cancels, &answer);
        }
        if !self.order().has_unrecorded_money() {
            answer_all(&mut self.facts, &Ok(Reply::ok((), position)));
        }
    }

    fn answer_placement(&mut self, answer: &Answer<Arc<Order>>) {
        if let Some(making) = self.making.take() {
            making.answer(answer);
            self.asked();
        }
        answer_all(&mut self.placement, answer);
    }

    /// `None`: still on the way.
    fn payment_answer(&self) -> Option<Answer<Arc<Order>>> {
        let position = self.kept.log.last();
        let refused = |rejection| Some(Ok(Reply::rejected(rejection, position)));
        match self.order().status() {
            OrderStatus::Paid | OrderStatus::Completed => refused(Rejection::OrderPaid),
            OrderStatus::Cancelled => refused(Rejection::OrderNotPayable),
            OrderStatus::Pending if self.order().is_ending() => refused(Rejection::OrderNotPayable),
            OrderStatus::Pending if self.order().is_settling() => None,
            OrderStatus::Pending => match self.order().payments().last().map(|payment| &payment.state) {
                Some(PaymentState::Created(_)) => Some(Ok(Reply::ok(Arc::clone(self.order()), position))),
                Some(PaymentState::Refused { .. }) => Some(Err(Outage::Provider)),
                Some(
                    PaymentState::Begun
                    | PaymentState::Closed
                    | PaymentState::Paid { .. }
                    | PaymentState::PaidLate { .. },
                )
                | None => None,
            },
        }
    }

    fn cancel_answer(&self) -> Option<Answer<Arc<Order>>> {
        let position = self.kept.log.last();
        match self.order().status() {
            OrderStatus::Cancelled => Some(Ok(Reply::ok(Arc::clone(self.order()), position))),
            OrderStatus::Paid | OrderStatus::Completed => Some(Ok(Reply::rejected(Rejection::OrderPaid, position))),
            OrderStatus::Pending => None,
        }
    }

    /// Nobody waits for the repetition of a step: the order goes on by itself, and the client asks again. For a refund nobody
    /// waits.
    fn answer_failed_step(&mut self, events: &[Event]) {
        let waited_for = |event: &Event| match event {
            Event::StepFailed { part, .. } => match part {
                PartName::Sale | PartName::Collecting | PartName::GivingBack => true,
                PartName::Refunding => false,
            },
            Event::Sale(_)
            | Event::Collect(_)
            | Event::Back(_)
            | Event::Ticket(_)
            | Event::Partner(_)
            | Event::RetryDue { .. } => false,
        };
        if events.iter().any(waited_for) {
            answer_all(&mut self.payments, &Err(Outage::Provider));
            answer_all(&mut self.cancels, &Err(Outage::Provider));
            answer_all(&mut self.facts, &Err(Outage::Rebuilding));
        }
    }
}

impl Handler<Sleep> for OrderActor {
    type Result = ();

    /// Whoever asked since has been answered, and may have given it something to do.
    fn handle(&mut self, _: Sleep, ctx: &mut Context<OrderActor>) {
        let id = self.order().id();
        let rest = self.may_rest(self.peers.clock.now()).then(|| self.pack());
        match rest {
            Some(Some(rest)) => self.post.keys.rest(&self.post.id, rest),
            _ if self.order().refusal().is_some() => {}
            _ => {
                if rest.is_some() {
                    tracing::error!(order.id = %id, "Order {id} cannot be packed and stays as it is");
                    self.stays = true;
                }
                self.post.keys.stay(&self.post.id);
                self.go_on(ctx);
                return;
            }
        }
        // Whatever the journal has to check of the key from here on, its next actor brings along.
        self.has_left = true;
        self.kept.log.retire();
        ctx.stop();
    }
}
