//! The owner of one dated departure: its seats and holds. A shell around [`Inventory`].

use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use deeptravel_domain::ids::{DepartureId, HoldId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, Event, Hold, Inventory};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;

use crate::ask::fingerprint_of;
use crate::board::Occupancy;
use crate::journal::KeyText;
use crate::kept::{Kept, LiveShell, Shell};
use crate::log::PUT_OFF_MS;
use crate::outage::{Answer, Outage};
use crate::ports::{Haste, Load, Statement};
use crate::registry::{Fingerprint, Keys, Owner, Post, Sleep, StartError};
use crate::services::Services;
use crate::timer::Timer;
use crate::turn::Turn;

/// A departure that left so long ago is still loaded at the start.
const STARTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;
/// How long after its arrival a departure stays in memory.
const KEPT_AFTER_ARRIVAL_SECONDS: i64 = 3 * 60 * 60;
/// A departure that may not sleep yet, because it is not projected, looks again after this long.
const LOOKS_AGAIN_SECONDS: i64 = 60;

/// Anything that changes seats. The answer has the labels of the hold's seats.
#[derive(Clone, Debug)]
pub struct Seats(pub Command);

impl Message for Seats {
    type Result = Answer<Vec<Box<str>>>;
}

impl Fingerprint for Seats {
    fn fingerprint(&self) -> u64 {
        fingerprint(&self.0)
    }
}

/// Whoever gets seats without waiting for the answer himself.
pub trait Placing: Send + 'static {
    /// What the departure says.
    fn held(self, answer: Answer<Vec<Box<str>>>);
}

/// Seats for somebody who goes on elsewhere.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PlaceSeats<P> {
    pub command: Command,
    pub placing: P,
}

impl<P> Fingerprint for PlaceSeats<P> {
    /// The same as if the answer were waited for.
    fn fingerprint(&self) -> u64 {
        fingerprint(&self.command)
    }
}

/// Whoever sends it: of what is done to which hold.
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
    timer: Timer,
    turn: Turn,
    sleeps_at: Timestamp,
}

/// A departure as it wakes: unborn, or from its rows.
#[derive(Debug)]
pub struct Seed {
    pub inventory: Inventory,
    pub version: u64,
}

impl Owner for DepartureActor {
    type Id = DepartureId;
    type Seed = Seed;
    type World = Services;

    const KIND: &'static str = "departure";

    /// Every born departure that is still under way, or will be.
    fn start(services: Arc<Services>, keys: Arc<Keys<Self>>) -> BoxFuture<'static, Result<(), StartError>> {
        Box::pin(async move {
            let now = services.clock.now();
            let since = now.plus_seconds(-STARTED_BEFORE_SECONDS);
            let rows = services.store.load(LOAD_AFTER, vec![since.into()], Haste::Start).await?;
            for rows in tables::split(&rows, "departure_id")? {
                let seed = seed(&rows, now)?;
                let id = seed.inventory.spec().id.clone();
                services.board.open(&seed.inventory);
                keys.put(&id, seed);
            }
            Ok(())
        })
    }

    fn load(services: Arc<Services>, id: DepartureId) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let now = services.clock.now();
            let spec = services.catalogue.load().departure_spec(&id);
            // Every born departure on sale was loaded at the start and stays (rule 14): this one is unborn.
            let on_sale = spec.as_ref().is_some_and(|spec| now < spec.departs_at());
            let was_here = services.board.get(&id).is_some();
            if !on_sale || was_here {
                let parameters = vec![id.to_string().into()];
                let stored = services.store.load(LOAD, parameters, Haste::Wake).await.map_err(|error| {
                    tracing::warn!(departure.id = %id, %error, "Departure {id} cannot be read: {error}");
                    Outage::Storage
                })?;
                if !stored.is_empty() {
                    return seed(&stored, now).map(Some);
                }
            }
            let unborn = |spec| {
                Inventory::unborn(spec).map_err(|error| {
                    tracing::error!(departure.id = %id, %error, "The catalogue describes an impossible departure {id}");
                    Outage::Rebuilding
                })
            };
            Ok(spec.map(unborn).transpose()?.map(|inventory| Seed { inventory, version: 0 }))
        })
    }

    fn build(services: Arc<Services>, post: Post<Self>, seed: Seed) -> Result<DepartureActor, Outage> {
        let Seed { inventory, version } = seed;
        let occupancy = services.board.open(&inventory);
        let sleeps_at = over_at(&inventory);
        let kept = Kept::wake(&services.journal, key_of(&post.id), version, inventory, Arc::clone(&post.vitals))?;
        let (timer, turn) = (Timer::default(), Turn::default());
        Ok(DepartureActor { services, post, kept, occupancy, timer, turn, sleeps_at })
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
fn seed(rows: &Rows, now: Timestamp) -> Result<Seed, Outage> {
    let (version, inventory) = (tables::newest_version(rows)?, Inventory::from_rows(rows, now)?);
    Ok(Seed { inventory, version })
}

/// When nobody has anything to do with a departure any more.
fn over_at(inventory: &Inventory) -> Timestamp {
    let arrival = inventory.spec().calls.last().map_or(Timestamp::MAX, |call| call.arrives_at);
    arrival.plus_seconds(KEPT_AFTER_ARRIVAL_SECONDS)
}

fn key_of(id: &DepartureId) -> KeyText {
    KeyText::new(format!("departure/{id}")).expect("a departure id is short printable ASCII")
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

    fn now(&self) -> Timestamp {
        self.services.clock.now()
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
        let deadline = self.kept.machine.next_deadline().unwrap_or(self.sleeps_at);
        self.timer.arm(ctx, self.services.clock.now(), Some(deadline), DepartureActor::wake);
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

    fn wake(&mut self, ctx: &mut Context<DepartureActor>) {
        self.timer.fired();
        let expired = self.apply(&Command::Expire, ctx);
        let now = self.services.clock.now();
        if expired.is_err() {
            if !self.kept.vitals.has_failed() {
                self.timer.arm(ctx, now, Some(now.plus_ms(PUT_OFF_MS)), DepartureActor::wake);
            }
            return;
        }
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

    fn seats_of(&self, hold: HoldId) -> Vec<Box<str>> {
        let inventory = &self.kept.machine;
        let seats = inventory.hold(hold).into_iter().flat_map(Hold::live_seats);
        seats.map(|seat| inventory.label(seat).into()).collect()
    }
}

impl Handler<Seats> for DepartureActor {
    type Result = Answer<Vec<Box<str>>>;

    fn handle(&mut self, message: Seats, ctx: &mut Context<DepartureActor>) -> Answer<Vec<Box<str>>> {
        self.change_seats(&message.0, ctx)
    }
}

impl<P: Placing> Handler<PlaceSeats<P>> for DepartureActor {
    type Result = ();

    fn handle(&mut self, message: PlaceSeats<P>, ctx: &mut Context<DepartureActor>) {
        let answer = self.change_seats(&message.command, ctx);
        message.placing.held(answer);
    }
}

impl DepartureActor {
    fn change_seats(&mut self, command: &Command, ctx: &mut Context<DepartureActor>) -> Answer<Vec<Box<str>>> {
        self.kept.vitals.handling(fingerprint(command));
        #[cfg(test)]
        self.services.faults.strike(&self.post.id, crate::testing::Fault::AtMessage);
        self.follow_catalogue();
        let reply = self.apply(command, ctx);
        self.kept.vitals.handled();
        let reply = reply?;
        self.turn.taken(ctx);
        let seats = hold_of(command).map_or_else(Vec::new, |(hold, _)| self.seats_of(hold));
        Ok(reply.map(|_| seats))
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
