//! The owner of one stock: units of a package, or uses of a promotion. A shell around [`Stock`]. It never sleeps: search,
//! the catalogue's pages and partners read what is left at any time.

use std::convert::Infallible;
use std::hash::RandomState;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::HoldId;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Rows};
use deeptravel_domain::stock::rows::{StockHoldRow, StockHolderRow, StockRow, StockSoldRow};
use deeptravel_domain::stock::{BeginPaying, Command, Event, Free, Hold, Place, Stock, StockId, settled_hold};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use tokio::sync::oneshot;

use crate::ask::fingerprint_of;
use crate::celled::{Around, Celled, Timed};
use crate::kept::{Kept, Seed, Shell};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{Haste, Load, Parameter, Statement};
use crate::registry::cell::{Cell, GoOn, InCell};
use crate::registry::{Keys, Owner, Post, StartError};
use crate::services::Services;
use crate::stock_board::Shown;

/// How often a stock looks whether there are settled holds to forget: few have become so since.
const FORGETS_EVERY_SECONDS: i64 = 60 * 60;

/// Anything that changes units.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Change {
    command: Command,
    asker: oneshot::Sender<Answer<()>>,
}

impl Keys<StockActor> {
    /// One owner asks a stock, on this thread if the stock is idle: what comes back need not be durable yet, and whoever rests
    /// on it says so. A hold that the stock has forgotten is looked up in the database.
    pub async fn consult(&self, id: &StockId, command: Command) -> Answer<()> {
        let reply = self.change(id, command.clone()).await?;
        let Some(at) = confirmed_hold_of(&command).filter(|_| reply.outcome == Err(Rejection::HoldNotFound)) else {
            return Ok(reply);
        };
        let Some(hold) = self.settled(id, at).await? else { return Ok(reply) };
        if let Command::Free(free) = command {
            return self.change(id, Command::Free(Free { settled: Some(Box::new(hold)), ..free })).await;
        }
        let outcome = if hold.is_given_back() { Err(Rejection::HoldAlreadyReleased) } else { Ok(()) };
        Ok(Reply { outcome, ..reply })
    }

    async fn change(&self, id: &StockId, command: Command) -> Answer<()> {
        let fingerprint = fingerprint(&command);
        let under_way = self.under_way()?;
        let here = self.turn_here(id, fingerprint, command, |stocking, command| stocking.change_units(&command));
        drop(under_way);
        let command = match here {
            Ok(answer) => return answer?,
            Err(command) => command,
        };
        let (asker, asked) = oneshot::channel();
        let told = self.tell(id, fingerprint, Change { command, asker }).await?;
        let _under_way = told.ok_or(Outage::Rebuilding)?;
        asked.await.unwrap_or(Err(Outage::Rebuilding))
    }

    /// A confirmed hold as its row has it: what a stock has forgotten the database has.
    async fn settled(&self, id: &StockId, at: HoldAt) -> Result<Option<Hold>, Outage> {
        let parts = Arc::clone(self.parts());
        let orders: Parameter = vec![at.hold.order].into();
        let reading =
            self.parts().io.spawn(async move { parts.store.load(LOAD_SETTLED, vec![orders], Haste::Wake).await });
        let rows = reading.await.map_err(|_| Outage::Storage)?.map_err(|error| {
            tracing::warn!(stock.id = %id, %error, "A hold of stock {id} cannot be read: {error}");
            Outage::Storage
        })?;
        Ok(settled_hold(&rows, id, at)?)
    }
}

/// Of a command that is also told of holds that are settled.
fn confirmed_hold_of(command: &Command) -> Option<HoldAt> {
    match command {
        Command::Confirm(at) | Command::Free(Free { at, .. }) => Some(*at),
        // Of a settled hold these come from nobody: its order knows that it is confirmed.
        Command::Place(_) | Command::BeginPaying(_) | Command::Release(_) => None,
        Command::SetLimits(_) | Command::SetAllotments(_) | Command::Expire | Command::Forget => None,
    }
}

/// Whoever asks: of what is done to which hold.
fn fingerprint(command: &Command) -> u64 {
    fingerprint_of((std::mem::discriminant(command), hold_of(command)))
}

fn hold_of(command: &Command) -> Option<(HoldId, u32)> {
    match command {
        Command::Place(Place { at, .. })
        | Command::Confirm(at)
        | Command::Release(at)
        | Command::Free(Free { at, .. }) => Some((at.hold, at.epoch)),
        Command::BeginPaying(BeginPaying { hold, epoch, .. }) => Some((*hold, *epoch)),
        Command::SetLimits(_) | Command::SetAllotments(_) | Command::Expire | Command::Forget => None,
    }
}

/// What a stock's actor shares with those who ask it.
pub struct Stocking {
    services: Arc<Services>,
    kept: Kept<Stock>,
    shown: Arc<Shown>,
    forgets_at: Timestamp,
    /// When the actor looks at it.
    looks_at: Timestamp,
}

/// See the module's documentation.
pub struct StockActor {
    around: Around<StockActor>,
}

/// A stock's rows, see [`parameters`].
pub const LOAD: Load = Load::of(&[
    Statement::new("load/stock", StockRow::TABLE),
    Statement::new("load/holds_of_stock", StockHoldRow::TABLE),
    Statement::new("load/sold_of_stock", StockSoldRow::TABLE),
    Statement::new("load/holders_of_stock", StockHolderRow::TABLE),
]);
/// Every stock there is.
pub const LOAD_IDS: Load = Load::of(&[Statement::new("load/stock_ids", StockIdRow::TABLE)]);
/// The holds of an order on units, one of which its stock has forgotten.
pub const LOAD_SETTLED: Load = Load::of(&[Statement::by("load/stock_holds_of_order", StockHoldRow::TABLE, "order_id")]);

row! {
    /// That there is a stock.
    pub struct StockIdRow: 1_012 "stock_ids", First::Unknown;
    1 stock_id [Key]: StockId,
}

/// Of the statements of [`LOAD`].
pub fn parameters(id: &StockId, now: Timestamp) -> Vec<Parameter> {
    vec![id.to_string().into(), Stock::settled_until(now).into()]
}

/// `None`: nobody has limited or used it. All that was ever sold of it is added up, also when it is made anew.
async fn read(services: &Services, id: &StockId) -> Result<Option<Seed<Stock>>, StartError> {
    let now = services.clock.now();
    let rows = services.store.load(LOAD, parameters(id, now), Haste::Start).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(seed(&rows, now)?))
}

fn seed(rows: &Rows, now: Timestamp) -> Result<Seed<Stock>, Damage> {
    Ok(Seed { version: tables::newest_version(rows)?, machine: Stock::from_rows(rows, now)? })
}

impl Owner for StockActor {
    type Id = StockId;
    type Hash = RandomState;
    type Seed = Seed<Stock>;
    type Hand = Infallible;
    type Shared = Arc<Cell<Stocking>>;
    type World = Services;

    const KIND: &'static str = "stock";

    /// All of them.
    async fn start(services: Arc<Services>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        let ids = services.store.load(LOAD_IDS, Vec::new(), Haste::Start).await?;
        for row in ids.of::<StockIdRow>() {
            let id = row?.stock_id;
            if let Some(seed) = read(&services, &id).await? {
                services.stock_board.open(&seed.machine);
                keys.put(&id, seed);
            }
        }
        Ok(())
    }

    async fn load(services: Arc<Services>, id: StockId) -> Result<Option<Seed<Stock>>, StartError> {
        // Every stock that there was is there since the start, and none sleeps: this one is unborn, whatever Postgres does.
        let is_known = services.stock_board.get(&id).is_some();
        let stored = if is_known { read(&services, &id).await? } else { None };
        Ok(Some(stored.unwrap_or_else(|| Seed { machine: Stock::unborn(id), version: 0 })))
    }

    fn build(services: Arc<Services>, post: Post<Self>, seed: Seed<Stock>) -> Result<StockActor, Outage> {
        let shown = services.stock_board.open(&seed.machine);
        services.attention.set_holds(seed.machine.holds().map(|(id, hold)| (id, &hold.life)));
        let kept = Kept::wake(&services.parts, &format!("stock/{}", post.id), seed, &post.vitals)?;
        let forgets_at = services.clock.now().plus_seconds(FORGETS_EVERY_SECONDS);
        let around = Around::new(post, services.clock.clone());
        let stocking = Stocking { services, kept, shown, forgets_at, looks_at: Timestamp::MAX };
        around.post.shared.put(stocking);
        Ok(StockActor { around })
    }
}

impl Shell for Stocking {
    type Machine = Stock;

    fn kept(&mut self) -> &mut Kept<Stock> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event]) {
        #[cfg(test)]
        self.services.faults.strike(self.kept.machine.id(), crate::testing::Fault::AfterAppend);
        self.shown.publish(&self.kept.machine, events);
        self.services.attention.follow_units(events);
    }
}

impl InCell for Stocking {
    fn has_failed(&self) -> bool {
        self.kept.vitals.has_failed()
    }

    fn calls_actor(&self) -> bool {
        self.deadline() < self.looks_at
    }
}

impl Stocking {
    fn change_units(&mut self, command: &Command) -> Answer<()> {
        #[cfg(test)]
        self.services.faults.strike(self.kept.machine.id(), crate::testing::Fault::AtMessage);
        let reply = self.change(command)?;
        Ok(Reply { position: self.kept.log.last(), outcome: reply.outcome.map(drop) })
    }
}

impl Timed for Stocking {
    fn deadline(&self) -> Timestamp {
        let lapses_at = self.kept.machine.next_deadline();
        lapses_at.map_or(self.forgets_at, |lapses_at| lapses_at.min(self.forgets_at))
    }

    fn will_look(&mut self, at: Timestamp) {
        self.looks_at = at;
    }

    fn expire(&mut self) -> Result<bool, Outage> {
        self.change(&Command::Expire)?;
        let now = self.services.clock.now();
        if now >= self.forgets_at {
            let id = self.kept.machine.id();
            for hold in self.kept.machine.overdue(now) {
                tracing::error!(stock.id = %id, %hold, "Hold {hold} waits for a close long after its payment ended");
            }
            self.forgets_at = now.plus_seconds(FORGETS_EVERY_SECONDS);
            // What is forgotten is read from the database.
            if *self.services.projected.borrow() >= self.kept.log.last() {
                self.change(&Command::Forget)?;
            }
        }
        Ok(false)
    }
}

impl Celled for StockActor {
    type State = Stocking;

    fn around(&mut self) -> &mut Around<StockActor> {
        &mut self.around
    }
}

impl Actor for StockActor {
    type Context = Context<StockActor>;

    fn started(&mut self, ctx: &mut Context<StockActor>) {
        self.turn(ctx, |_| ());
    }
}

impl Handler<Change> for StockActor {
    type Result = ();

    fn handle(&mut self, Change { command, asker }: Change, ctx: &mut Context<StockActor>) {
        self.around.post.vitals.handling(fingerprint(&command));
        let answer = self.hears(ctx, |stocking| stocking.change_units(&command));
        self.around.post.vitals.handled();
        if let Some(answer) = answer {
            // Whoever asked may have gone.
            let _ = asker.send(answer);
        }
    }
}

impl Handler<GoOn> for StockActor {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Context<StockActor>) {
        self.hears(ctx, |_| ());
    }
}
