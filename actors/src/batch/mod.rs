//! The owner of one batch of a partner's tickets. A shell around [`Batch`]: it asks the product's stock for what the batch
//! wants, and bears the order of a ticket that is activated. It never sleeps: gates and partners read where tickets stand at
//! any time, and an idle ticket is a byte here and one on the [board](crate::batch_board).
//!
//! How a batch begins is in `generate`, how a ticket becomes an order in `activating`, what else it is asked in `questions`,
//! how it hears of its orders in `following`, and how partners ask for all this in `partner_tickets`.

mod activating;
mod drawing;
mod following;
mod generate;
mod peers;
mod questions;

use std::convert::Infallible;
use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use deeptravel_domain::batch::rows::{BatchRow, BatchTicketsRow};
use deeptravel_domain::batch::{Batch, BatchId, BatchState, Command, Effect, Event};
use deeptravel_domain::ids::IdHash;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::partner::GiveBack;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Row as _;
use deeptravel_domain::stock::{self, Free};
use deeptravel_domain::time::Timestamp;

pub use activating::Activate;
pub use following::{Telling, Told, followed};
pub use generate::{Generated, generate};
pub use peers::BatchPeers;
pub use questions::{Cancel, Follow, View};

use crate::ask::{Asker, answer_all};
use crate::journal::Position;
use crate::kept::{Kept, LiveShell, Seed, Shell};
use crate::outage::{Answer, Outage, Reply};
use crate::partner::GiveBackUnits;
use crate::ports::{Haste, Load, Statement};
use crate::registry::{Keys, Owner, Post, Sleep, StartError, home_of};
use crate::services::desk_of_shard;
use crate::timer::Timer;

/// A stock that gives no answer is asked again after this long.
const ASK_AGAIN_SECONDS: i64 = 1;
/// A stock that refuses what it cannot refuse is a fault that somebody has to see to.
const REFUSED_AGAIN_SECONDS: i64 = 60;

/// Every batch there is.
pub const LOAD_ALL: Load = Load::of(&[
    Statement::new("load/batches", BatchRow::TABLE),
    Statement::new("load/tickets_of_batches", BatchTicketsRow::TABLE),
]);
/// A batch: its parameter is its id.
pub const LOAD: Load = Load::of(&[
    Statement::new("load/batch_rows", BatchRow::TABLE),
    Statement::new("load/tickets_of_batch", BatchTicketsRow::TABLE),
]);

/// See the module's documentation.
pub struct BatchActor {
    peers: Arc<BatchPeers>,
    post: Post<BatchActor>,
    kept: Kept<Batch>,
    timer: Timer,
    /// A stock is being asked.
    asks: bool,
    /// Not before.
    asks_from: Timestamp,
    /// For the tickets.
    waiting: Vec<Asker<Arc<Batch>>>,
}

impl Owner for BatchActor {
    type Id = BatchId;
    type Hash = IdHash;
    type Seed = Seed<Batch>;
    type Hand = Infallible;
    type Shared = ();
    type World = BatchPeers;

    const KIND: &'static str = "batch";

    /// All of them. One that has yet to take its units goes on at once.
    async fn start(peers: Arc<BatchPeers>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        let rows = peers.store.load(LOAD_ALL, Vec::new(), Haste::Start).await?;
        for (machine, version) in Batch::from_rows(&rows)? {
            peers.batch_board.open(&machine);
            keys.put(&machine.id(), Seed { machine, version });
        }
        Ok(())
    }

    /// Beside the orders that its tickets become.
    fn home(id: &BatchId) -> u64 {
        home_of(&desk_of_shard(id.shard()))
    }

    async fn load(peers: Arc<BatchPeers>, id: BatchId) -> Result<Option<Seed<Batch>>, StartError> {
        let rows = peers.store.load(LOAD, vec![vec![id.holder()].into()], Haste::Wake).await?;
        let found = Batch::from_rows(&rows)?.into_iter().next();
        Ok(found.map(|(machine, version)| Seed { machine, version }))
    }

    fn build(peers: Arc<BatchPeers>, post: Post<Self>, seed: Seed<Batch>) -> Result<BatchActor, Outage> {
        if is_begun(&seed.machine, seed.version) {
            peers.batch_board.open(&seed.machine);
        }
        let kept = Kept::wake(&peers.parts, &format!("batch/{}", post.id), seed, &post.vitals)?;
        let asks_from = peers.clock.now();
        Ok(BatchActor { peers, post, kept, timer: Timer::default(), asks: false, asks_from, waiting: Vec::new() })
    }
}

/// Whether it is in a record, of its own or of the draw that it was born with. Otherwise nobody knows of it.
fn is_begun(batch: &Batch, version: u64) -> bool {
    version > 0 || batch.is_drawn()
}

impl Actor for BatchActor {
    type Context = Context<BatchActor>;

    fn started(&mut self, ctx: &mut Context<BatchActor>) {
        self.go_on(ctx);
    }
}

impl Shell for BatchActor {
    type Machine = Batch;

    fn kept(&mut self) -> &mut Kept<Batch> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event]) {
        #[cfg(test)]
        self.peers.faults.strike(&self.post.id, crate::testing::Fault::AfterAppend);
        self.peers.batch_board.publish(&self.kept.machine, events);
    }
}

impl LiveShell for BatchActor {
    fn timer(&mut self) -> &mut Timer {
        &mut self.timer
    }

    fn go_on(&mut self, ctx: &mut Context<BatchActor>) {
        self.answer_waiting();
        let now = self.peers.clock.now();
        let effect = self.kept.machine.effect().filter(|_| self.is_begun() && !self.asks);
        let mut wakes_at = self.kept.machine.next_deadline();
        match effect {
            Some(effect) if self.asks_from <= now => self.attend_to(effect, ctx),
            Some(_) => wakes_at = Some(wakes_at.map_or(self.asks_from, |at| at.min(self.asks_from))),
            None => {}
        }
        self.arm(wakes_at, ctx);
    }

    fn wake(&mut self, ctx: &mut Context<BatchActor>) {
        if self.apply(&Command::Expire, ctx).is_err() {
            return self.wake_later(ctx);
        }
        self.go_on(ctx);
    }
}

impl BatchActor {
    fn is_begun(&self) -> bool {
        is_begun(&self.kept.machine, self.kept.log.version())
    }

    /// Does what the batch wants, and tells it what came of that.
    fn attend_to(&mut self, effect: Effect, ctx: &mut Context<BatchActor>) {
        self.asks = true;
        let (peers, plan) = (Arc::clone(&self.peers), Arc::clone(self.kept.machine.plan()));
        let asking = self.peers.io.spawn(async move {
            let (stock, at) = (plan.stock(), plan.hold());
            match effect {
                Effect::TakeUnits => peers.stocks.consult(&stock, stock::Command::Confirm(at)).await,
                Effect::ReturnUnits { kept } => {
                    let free = Free { at, units_left: kept.into(), settled: None };
                    peers.stocks.consult(&stock, stock::Command::Free(free)).await
                }
                Effect::Finish => Ok(Reply::ok((), Position::NOTHING)),
                Effect::GiveBack { kept } => {
                    let back = GiveBack { by: plan.id.holder(), units_left: kept.into() };
                    peers.partners.ask(&plan.partner, GiveBackUnits(back)).await?.ok_or(Outage::Rebuilding)
                }
            }
        });
        let told = asking.into_actor(self).map(move |answer, actor: &mut BatchActor, ctx| {
            actor.asks = false;
            actor.hears(effect, answer.unwrap_or(Err(Outage::Rebuilding)), ctx);
        });
        ctx.spawn(told);
    }

    fn hears(&mut self, effect: Effect, answer: Answer<()>, ctx: &mut Context<BatchActor>) {
        let now = self.peers.clock.now();
        let outcome = match answer {
            Ok(Reply { outcome, position }) => {
                self.kept.log.rests_on(position);
                outcome
            }
            Err(outage) => {
                self.fail_waiting(outage);
                self.asks_from = now.plus_seconds(ASK_AGAIN_SECONDS);
                return self.go_on(ctx);
            }
        };
        let command = match (effect, outcome) {
            (Effect::TakeUnits, Ok(())) | (Effect::Finish, Ok(()) | Err(_)) => Command::UnitsTaken,
            (Effect::TakeUnits, Err(refused)) => {
                let id = self.post.id;
                tracing::warn!(batch.id = %id, %refused, "Batch {id} is given up: its units are not held any more");
                Command::UnitsLost
            }
            (Effect::ReturnUnits { kept } | Effect::GiveBack { kept }, Ok(())) => Command::UnitsReturned { kept },
            // The book forgets a draw of which nothing is kept: it has heard of that.
            (Effect::GiveBack { kept: 0 }, Err(Rejection::ReservationNotFound)) => Command::UnitsReturned { kept: 0 },
            (Effect::ReturnUnits { .. } | Effect::GiveBack { .. }, Err(refused)) => {
                let id = self.post.id;
                tracing::error!(batch.id = %id, %refused, "Units of batch {id} cannot be given back: {refused}");
                self.asks_from = now.plus_seconds(REFUSED_AGAIN_SECONDS);
                return self.go_on(ctx);
            }
        };
        if let Err(outage) = self.apply(&command, ctx) {
            self.fail_waiting(outage);
            self.asks_from = now.plus_seconds(ASK_AGAIN_SECONDS);
            self.go_on(ctx);
        }
    }

    fn answer_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let position = self.kept.log.last();
        let answer = match self.kept.machine.state() {
            BatchState::Taking => return,
            BatchState::Active | BatchState::Ended => Reply::ok(Arc::new(self.kept.machine.clone()), position),
            // Whoever repeats the request makes another one.
            BatchState::GivenUp => return self.fail_waiting(Outage::Overloaded),
        };
        answer_all(&mut self.waiting, &Ok(answer));
    }

    fn fail_waiting(&mut self, outage: Outage) {
        answer_all(&mut self.waiting, &Err(outage));
    }
}

/// One that could not begin leaves: there is nothing of it.
impl Handler<Sleep> for BatchActor {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Context<BatchActor>) {
        if self.is_begun() { self.post.keys.stay(&self.post.id) } else { ctx.stop() }
    }
}
