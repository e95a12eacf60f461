//! The owner of one dated departure: its seats and holds. A shell around [`Inventory`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use deeptravel_domain::ids::{DepartureId, HoldId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, Event, Hold, Inventory};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;

use crate::board::Occupancy;
use crate::journal::KeyText;
use crate::log::{KeyLog, PUT_OFF_MS};
use crate::order::PlaceSeats;
use crate::outage::{Answer, Outage, Reply, damaged};
use crate::ports::{Haste, Load, Statement, StoreError};
use crate::registry::{Fingerprint, Keys, Owner, Sleep, Vitals};
use crate::services::Services;
use crate::timer::Timer;
use crate::turn::Turn;

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

/// Whoever sends it: of what is done to which hold.
pub fn fingerprint(command: &Command) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(command).hash(&mut hasher);
    hold_of(command).hash(&mut hasher);
    hasher.finish().max(1)
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
    id: DepartureId,
    inventory: Inventory,
    log: KeyLog,
    vitals: Arc<Vitals>,
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

    const KIND: &'static str = "departure";

    fn keys(services: &Services) -> &Keys<DepartureActor> {
        &services.departures
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
                let stored = services.store.load(LOAD, parameters, Haste::Wake).await;
                let stored = stored.map_err(|error| storage(&id, &error))?;
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

    fn build(
        services: Arc<Services>,
        id: DepartureId,
        seed: Seed,
        vitals: Arc<Vitals>,
    ) -> Result<DepartureActor, Outage> {
        let log = KeyLog::wake(services.journal.clone(), key_of(&id), seed.version)?;
        let occupancy = services.board.open(&seed.inventory);
        let sleeps_at = over_at(&seed.inventory);
        Ok(DepartureActor {
            services,
            id,
            inventory: seed.inventory,
            log,
            vitals,
            occupancy,
            timer: Timer::default(),
            turn: Turn::default(),
            sleeps_at,
        })
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
pub fn seed(rows: &Rows, now: Timestamp) -> Result<Seed, Outage> {
    let read = || Ok((tables::newest_version(rows)?, Inventory::from_rows(rows, now)?));
    let (version, inventory) = read().map_err(damaged)?;
    Ok(Seed { inventory, version })
}

/// When nobody has anything to do with a departure any more.
fn over_at(inventory: &Inventory) -> Timestamp {
    let arrival = inventory.spec().calls.last().map_or(Timestamp::MAX, |call| call.arrives_at);
    arrival.plus_seconds(KEPT_AFTER_ARRIVAL_SECONDS)
}

fn storage(id: &DepartureId, error: &StoreError) -> Outage {
    tracing::warn!(departure.id = %id, %error, "Departure {id} cannot be read: {error}");
    Outage::Storage
}

fn key_of(id: &DepartureId) -> KeyText {
    KeyText::new(format!("departure/{id}")).expect("a departure id is short printable ASCII")
}

impl Actor for DepartureActor {
    type Context = Context<DepartureActor>;

    fn started(&mut self, ctx: &mut Context<DepartureActor>) {
        self.services.attention.set_holds(&self.inventory);
        self.arm(ctx);
    }
}

impl DepartureActor {
    /// Decides, changes, writes, shows. An outage is found before anything changes; if the journal refuses all the same,
    /// the machine is ahead of its log: the actor ends and is rebuilt.
    fn apply(&mut self, command: &Command, ctx: &mut Context<DepartureActor>) -> Answer<()> {
        let now = self.services.clock.now();
        let events = match self.inventory.decide(command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };
        if events.is_empty() {
            return Ok(Reply::ok((), self.log.last()));
        }
        let admission = self.log.admit(events.len())?;

        for event in &events {
            self.inventory.evolve(event);
        }
        let rows = self.inventory.changed_rows(&events, self.log.next_version());
        let position = self.log.append(admission, rows, now).map_err(|error| {
            tracing::error!(departure.id = %self.id, %error, "Departure {} cannot write: {error}", self.id);
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;
        #[cfg(test)]
        self.services.faults.strike(&self.id, crate::testing::Fault::AfterAppend);
        self.occupancy.publish(&self.inventory, events.iter().flat_map(Event::touched_seats));
        self.services.attention.follow_holds(&events);
        self.arm(ctx);
        Ok(Reply::ok((), position))
    }

    fn arm(&mut self, ctx: &mut Context<DepartureActor>) {
        let now = self.services.clock.now();
        let deadline = self.inventory.next_deadline().unwrap_or(self.sleeps_at);
        self.timer.arm(ctx, now, Some(deadline), DepartureActor::wake);
    }

    fn may_sleep(&self) -> bool {
        let over = self.inventory.next_deadline().is_none() && self.services.clock.now() >= over_at(&self.inventory);
        over && *self.services.projected.borrow() >= self.log.last()
    }

    /// Until its first record a departure is what the catalogue says, also when that has changed since it woke (rule 4).
    fn follow_catalogue(&mut self) {
        if self.log.version() > 0 {
            return;
        }
        let Some(spec) = self.services.catalogue.load().departure_spec(&self.id) else { return };
        if spec == *self.inventory.spec() {
            return;
        }
        if let Ok(inventory) = Inventory::unborn(spec) {
            self.occupancy = self.services.board.open(&inventory);
            self.sleeps_at = over_at(&inventory);
            self.inventory = inventory;
        }
    }

    fn wake(&mut self, ctx: &mut Context<DepartureActor>) {
        self.timer.fired();
        let expired = self.apply(&Command::Expire, ctx);
        let now = self.services.clock.now();
        if expired.is_err() {
            if !self.vitals.has_failed() {
                self.timer.arm(ctx, now, Some(now.plus_ms(PUT_OFF_MS)), DepartureActor::wake);
            }
            return;
        }
        for hold in self.inventory.overdue(now) {
            tracing::error!(departure.id = %self.id, %hold, "Hold {hold} waits for a close long after its payment ended");
        }
        if self.may_sleep() {
            self.services.departures.retire(&self.id);
        }
        if now >= self.sleeps_at {
            self.sleeps_at = now.plus_seconds(LOOKS_AGAIN_SECONDS);
        }
        self.arm(ctx);
    }

    fn seats_of(&self, hold: HoldId) -> Vec<Box<str>> {
        let seats = self.inventory.hold(hold).into_iter().flat_map(Hold::live_seats);
        seats.map(|seat| self.inventory.label(seat).into()).collect()
    }
}

impl Handler<Seats> for DepartureActor {
    type Result = Answer<Vec<Box<str>>>;

    fn handle(&mut self, message: Seats, ctx: &mut Context<DepartureActor>) -> Answer<Vec<Box<str>>> {
        self.change_seats(&message.0, ctx)
    }
}

impl Handler<PlaceSeats> for DepartureActor {
    type Result = ();

    fn handle(&mut self, message: PlaceSeats, ctx: &mut Context<DepartureActor>) {
        let answer = self.change_seats(&message.command, ctx);
        message.placing.held(answer);
    }
}

impl DepartureActor {
    fn change_seats(&mut self, command: &Command, ctx: &mut Context<DepartureActor>) -> Answer<Vec<Box<str>>> {
        self.vitals.handling(fingerprint(command));
        #[cfg(test)]
        self.services.faults.strike(&self.id, crate::testing::Fault::AtMessage);
        self.follow_catalogue();
        let reply = self.apply(command, ctx);
        self.vitals.handled();
        let reply = reply?;
        self.turn.taken(ctx);
        let seats = hold_of(command).map_or_else(Vec::new, |(hold, _)| self.seats_of(hold));
        Ok(reply.map(|()| seats))
    }
}

impl Handler<Sleep> for DepartureActor {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Context<DepartureActor>) {
        if self.may_sleep() {
            self.services.board.close(&self.id);
            self.log.retire();
            ctx.stop();
        } else {
            self.services.departures.stay(&self.id);
        }
    }
}
