//! The owner of one dated departure: its seats and holds. A shell around [`Inventory`].

use std::convert::Infallible;
use std::hash::RandomState;
use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use deeptravel_domain::ids::{DepartureId, HoldId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, Event, Inventory};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use tokio::sync::oneshot;

use crate::ask::fingerprint_of;
use crate::board::Occupancy;
use crate::journal::Position;
use crate::kept::{Kept, LiveShell, Seed, Shell};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{Haste, Load, Statement};
use crate::registry::{Keys, Owner, Post, Sleep, StartError};
use crate::services::Services;
use crate::turn::Turn;

/// A departure that left so long ago is still loaded at the start.
const STARTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;
/// How long after its arrival a departure stays in memory.
const KEPT_AFTER_ARRIVAL_SECONDS: i64 = 3 * 60 * 60;
/// A departure that may not sleep yet, because it is not projected, looks again after this long.
const LOOKS_AGAIN_SECONDS: i64 = 60;

/// The labels of a hold's seats.
pub type Labels = Vec<Box<str>>;

/// Anything that changes seats.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Seats<P> {
    pub command: Command,
    pub asker: P,
}

/// Whoever gets a departure's answer.
pub trait AsksForSeats: Send + 'static {
    fn told(self, answer: Answer<Labels>);
}

impl AsksForSeats for oneshot::Sender<Answer<Labels>> {
    fn told(self, answer: Answer<Labels>) {
        // Whoever asked may have gone.
        let _ = self.send(answer);
    }
}

impl Keys<DepartureActor> {
    /// One owner asks a departure: what comes back need not be durable yet, and whoever rests on it says so.
    pub async fn consult(&self, id: &DepartureId, command: Command) -> Answer<Labels> {
        let (asker, asked) = oneshot::channel();
        match self.tell(id, fingerprint(&command), Seats { command, asker }).await? {
            Some(_under_way) => asked.await.unwrap_or(Err(Outage::Rebuilding)),
            None => Ok(Reply::rejected(Rejection::DepartureNotFound, Position::NOTHING)),
        }
    }
}

/// Whoever asks: of what is done to which hold.
pub fn fingerprint(command: &Command) -> u64 {
    fingerprint_of((std::mem::discriminant(command), hold_of(command)))
}

fn hold_of(command: &Command) -> Option<(HoldId, u32)> {
    match command {
        Command::PlaceHold(place) => Some((place.hold, place.epoch)),
        Command::BeginPaying(begin) => Some((begin.hold, begin.epoch)),
        Command::ConfirmHold(at) | Command::ReleaseHold(at) => Some((at.hold, at.epoch)),
        Command::FreeSeats(free) => Some((free.hold, free.epoch)),
        Command::SetAllotments(_) | Command::CancelDeparture | Command::Expire => None,
    }
}

/// See the module's documentation.
pub struct DepartureActor {
    services: Arc<Services>,
    post: Post<DepartureActor>,
    kept: Kept<Inventory>,
    occupancy: Arc<Occupancy>,
    turn: Turn,
    sleeps_at: Timestamp,
}

impl Owner for DepartureActor {
    type Id = DepartureId;
    type Hash = RandomState;
    type Seed = Seed<Inventory>;
    type Hand = Infallible;
    type World = Services;

    const KIND: &'static str = "departure";

    /// Every born departure that is still under way, or will be.
    async fn start(services: Arc<Services>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        let now = services.clock.now();
        let since = now.plus_seconds(-STARTED_BEFORE_SECONDS);
        let rows = services.store.load(LOAD_AFTER, vec![since.into()], Haste::Start).await?;
        for rows in tables::split(&rows, "departure_id")? {
            let seed = seed(&rows, now)?;
            let id = seed.machine.spec().id.clone();
            services.board.open(&seed.machine);
            keys.put(&id, seed);
        }
        Ok(())
    }

    async fn load(services: Arc<Services>, id: DepartureId) -> Result<Option<Seed<Inventory>>, StartError> {
        let now = services.clock.now();
        let spec = services.catalogue.load().departure_spec(&id);
        // Every born departure on sale was loaded at the start and stays (rule 14): this one is unborn.
        let on_sale = spec.as_ref().is_some_and(|spec| now < spec.departs_at());
        let was_here = services.board.get(&id).is_some();
        if !on_sale || was_here {
            let stored = services.store.load(LOAD, vec![id.to_string().into()], Haste::Wake).await?;
            if !stored.is_empty() {
                return Ok(Some(seed(&stored, now)?));
            }
        }
        let unborn = |spec| {
            Inventory::unborn(spec).map_err(|error| {
                tracing::error!(departure.id = %id, %error, "The catalogue describes an impossible departure {id}");
                Outage::Rebuilding
            })
        };
        Ok(spec.map(unborn).transpose()?.map(|machine| Seed { machine, version: 0 }))
    }

    fn build(services: Arc<Services>, post: Post<Self>, seed: Seed<Inventory>) -> Result<DepartureActor, Outage> {
        let occupancy = services.board.open(&seed.machine);
        let sleeps_at = over_at(&seed.machine);
        let kept = Kept::wake(&services.parts, &format!("departure/{}", post.id), seed, &post.vitals)?;
        Ok(DepartureActor { services, post, kept, occupancy, turn: Turn::default(), sleeps_at })
    }
}

/// A departure's rows: its parameter is the departure's id.
pub const LOAD: Load = Load::of(&[
    Statement::by("load/departure", DepartureRow::TABLE, "departure_id"),
    Statement::by("load/holds_of_departure", HoldRow::TABLE, "departure_id"),
]);
/// The rows of every born departure that leaves its first stop after an instant.
pub const LOAD_AFTER: Load = Load::of(&[
    Statement::new("load/departures_after", DepartureRow::TABLE),
    Statement::new("load/holds_after", HoldRow::TABLE),
]);

/// A seed from a departure's rows.
fn seed(rows: &Rows, now: Timestamp) -> Result<Seed<Inventory>, Damage> {
    Ok(Seed { version: tables::newest_version(rows)?, machine: Inventory::from_rows(rows, now)? })
}

/// When nobody has anything to do with a departure any more.
fn over_at(inventory: &Inventory) -> Timestamp {
    let arrival = inventory.spec().calls.last().map_or(Timestamp::MAX, |call| call.arrives_at);
    arrival.plus_seconds(KEPT_AFTER_ARRIVAL_SECONDS)
}

impl Actor for DepartureActor {
    type Context = Context<DepartureActor>;

    fn started(&mut self, ctx: &mut Context<DepartureActor>) {
        self.services.attention.set_holds(&self.kept.machine);
        self.go_on(ctx);
    }
}

impl Shell for DepartureActor {
    type Machine = Inventory;

    fn kept(&mut self) -> &mut Kept<Inventory> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event]) {
        #[cfg(test)]
        self.services.faults.strike(&self.post.id, crate::testing::Fault::AfterAppend);
        self.occupancy.publish(&self.kept.machine, events.iter().flat_map(Event::touched_seats));
        self.services.attention.follow_holds(events);
    }
}

impl LiveShell for DepartureActor {
    fn go_on(&mut self, ctx: &mut Context<DepartureActor>) {
        self.arm(Some(self.kept.machine.next_deadline().unwrap_or(self.sleeps_at)), ctx);
    }

    fn wake(&mut self, ctx: &mut Context<DepartureActor>) {
        if self.apply(&Command::Expire, ctx).is_err() {
            return self.wake_later(ctx);
        }
        let now = self.services.clock.now();
        for hold in self.kept.machine.overdue(now) {
            tracing::error!(departure.id = %self.post.id, %hold, "Hold {hold} waits for a close long after its payment ended");
        }
        if self.may_sleep() {
            self.post.keys.retire(&self.post.id);
        }
        if now >= self.sleeps_at {
            self.sleeps_at = now.plus_seconds(LOOKS_AGAIN_SECONDS);
        }
        self.go_on(ctx);
    }
}

impl DepartureActor {
    fn may_sleep(&self) -> bool {
        let inventory = &self.kept.machine;
        let over = inventory.next_deadline().is_none() && self.services.clock.now() >= over_at(inventory);
        over && *self.services.projected.borrow() >= self.kept.log.last()
    }

    /// Until its first record a departure is what the catalogue says, also when that has changed since it woke (rule 4).
    fn follow_catalogue(&mut self) {
        if self.kept.log.version() > 0 {
            return;
        }
        let Some(spec) = self.services.catalogue.load().departure_spec(&self.post.id) else { return };
        if spec == *self.kept.machine.spec() {
            return;
        }
        if let Ok(inventory) = Inventory::unborn(spec) {
            self.occupancy = self.services.board.open(&inventory);
            self.sleeps_at = over_at(&inventory);
            self.kept.machine = inventory;
        }
    }

    fn change_seats(&mut self, command: &Command, ctx: &mut Context<DepartureActor>) -> Answer<Labels> {
        self.kept.vitals.handling(fingerprint(command));
        #[cfg(test)]
        self.services.faults.strike(&self.post.id, crate::testing::Fault::AtMessage);
        self.follow_catalogue();
        let reply = self.apply(command, ctx);
        self.kept.vitals.handled();
        let reply = reply?;
        self.turn.taken(ctx);
        let inventory = &self.kept.machine;
        let hold = hold_of(command).and_then(|(hold, _)| inventory.hold(hold));
        let seats = hold.into_iter().flat_map(|hold| hold.takes.live_seats()).map(|seat| inventory.label(seat).into());
        Ok(reply.map(|_| seats.collect()))
    }
}

impl<P: AsksForSeats> Handler<Seats<P>> for DepartureActor {
    type Result = ();

    fn handle(&mut self, Seats { command, asker }: Seats<P>, ctx: &mut Context<DepartureActor>) {
        let answer = self.change_seats(&command, ctx);
        asker.told(answer);
    }
}

impl Handler<Sleep> for DepartureActor {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Context<DepartureActor>) {
        if self.may_sleep() {
            self.services.board.close(&self.post.id);
            self.kept.log.retire();
            ctx.stop();
        } else {
            self.post.keys.stay(&self.post.id);
        }
    }
}
