//! The owner of one dated departure: its seats and holds. A shell around [`Inventory`].

use std::convert::Infallible;
use std::hash::RandomState;
use std::sync::Arc;

use actix::{Actor, ActorContext as _, Context, Handler, Message};
use deeptravel_domain::ids::{DepartureId, HoldId};
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, Event, Inventory};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use tokio::sync::oneshot;

use crate::ask::{NOT_TOLD_APART, fingerprint_of};
use crate::board::Occupancy;
use crate::celled::{Around, Celled, Timed};
use crate::journal::Position;
use crate::kept::{Kept, Seed, Shell};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{Haste, Load, Statement};
use crate::registry::cell::{Cell, GoOn, InCell};
use crate::registry::{Keys, Owner, Post, Sleep, StartError};
use crate::services::Services;

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
struct Seats<P> {
    command: Command,
    asker: P,
}

/// Whoever gets a departure's answer.
pub trait AsksForSeats: Send + 'static {
    /// What is born in the record that places his seats, if anything: it appends its first images. Not called when
    /// nothing is written. It may take the labels; then the answer is without them.
    fn bear(&mut self, seats: &mut Labels, rows: &mut Rows);

    fn told(self, answer: Answer<Labels>);
}

/// Whoever waits for a departure's answer on a task of his own.
struct Waits<B> {
    bears: Option<B>,
    answer: oneshot::Sender<Answer<Labels>>,
}

impl<B: FnOnce(&mut Rows) + Send + 'static> AsksForSeats for Waits<B> {
    fn bear(&mut self, _: &mut Labels, rows: &mut Rows) {
        if let Some(bear) = self.bears.take() {
            bear(rows);
        }
    }

    fn told(self, answer: Answer<Labels>) {
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }
}

impl Keys<DepartureActor> {
    /// One owner asks a departure: what comes back need not be durable yet, and whoever rests on it says so.
    pub async fn consult(&self, id: &DepartureId, command: Command) -> Answer<Labels> {
        self.consult_bearing(id, command, |_| ()).await
    }

    /// As [`Keys::consult`]; `bears` appends what is born in the record, and is not called when nothing is written.
    pub async fn consult_bearing(
        &self,
        id: &DepartureId,
        command: Command,
        bears: impl FnOnce(&mut Rows) + Send + 'static,
    ) -> Answer<Labels> {
        let (answer, asked) = oneshot::channel();
        let asker = Waits { bears: Some(bears), answer };
        match self.tell(id, fingerprint(&command), Seats { command, asker }).await? {
            Some(_under_way) => asked.await.unwrap_or(Err(Outage::Rebuilding)),
            None => Ok(Reply::rejected(Rejection::DepartureNotFound, Position::NOTHING)),
        }
    }
}

/// Something to be read of a departure.
#[derive(Message)]
#[rtype(result = "()")]
struct Look<F, T> {
    read: F,
    asker: oneshot::Sender<Reply<T>>,
}

impl Keys<DepartureActor> {
    /// What is made of a departure's seats as they are now, which need not be durable yet. `Ok(None)`: there is no such
    /// departure.
    pub async fn read<T, F>(&self, id: &DepartureId, read: F) -> Result<Option<Reply<T>>, Outage>
    where
        T: Send + 'static,
        F: FnOnce(&Inventory, Timestamp) -> T + Send + 'static,
    {
        let (asker, asked) = oneshot::channel();
        match self.tell(id, NOT_TOLD_APART, Look { read, asker }).await? {
            Some(_under_way) => asked.await.map(Some).map_err(|_| Outage::Rebuilding),
            None => Ok(None),
        }
    }
}

/// Whoever asks: of what is done to which hold.
fn fingerprint(command: &Command) -> u64 {
    fingerprint_of((std::mem::discriminant(command), hold_of(command)))
}

fn hold_of(command: &Command) -> Option<(HoldId, u32)> {
    match command {
        Command::PlaceHold(place) => Some((place.hold, place.epoch)),
        Command::BeginPaying(begin) => Some((begin.hold, begin.epoch)),
        Command::ConfirmHold(at) | Command::ReleaseHold(at) => Some((at.hold, at.epoch)),
        Command::FreeSeats(free) => Some((free.hold, free.epoch)),
        Command::SetAllotments(_)
        | Command::Alter(_)
        | Command::Retime(_)
        | Command::CancelDeparture
        | Command::Expire => None,
    }
}

/// What a departure's actor shares with those who ask it.
pub struct Seating {
    services: Arc<Services>,
    id: DepartureId,
    kept: Kept<Inventory>,
    occupancy: Arc<Occupancy>,
    sleeps_at: Timestamp,
    /// When the actor looks at it.
    looks_at: Timestamp,
}

/// The labels of the hold that a command is about, if there is one.
fn seats_of(inventory: &Inventory, command: &Command) -> Labels {
    let hold = hold_of(command).and_then(|(hold, _)| inventory.hold(hold));
    hold.into_iter().flat_map(|hold| hold.takes.live_seats()).map(|seat| inventory.label(seat).into()).collect()
}

/// See the module's documentation.
pub struct DepartureActor {
    services: Arc<Services>,
    around: Around<DepartureActor>,
}

impl Owner for DepartureActor {
    type Id = DepartureId;
    type Hash = RandomState;
    type Seed = Seed<Inventory>;
    type Hand = Infallible;
    type Shared = Arc<Cell<Seating>>;
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
        services.attention.set_holds(seed.machine.holds().map(|(id, hold)| (id, &hold.life)));
        let sleeps_at = over_at(&seed.machine);
        let kept = Kept::wake(&services.parts, &format!("departure/{}", post.id), seed, &post.vitals)?;
        let (id, looks_at) = (post.id.clone(), Timestamp::MAX);
        let seating = Seating { services: Arc::clone(&services), id, kept, occupancy, sleeps_at, looks_at };
        post.shared.put(seating);
        let around = Around::new(post, services.clock.clone());
        Ok(DepartureActor { services, around })
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

impl Shell for Seating {
    type Machine = Inventory;

    fn kept(&mut self) -> &mut Kept<Inventory> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event]) {
        #[cfg(test)]
        self.services.faults.strike(&self.id, crate::testing::Fault::AfterAppend);
        for event in events {
            match event {
                Event::Refitted { .. } => self.occupancy = self.services.board.open(&self.kept.machine),
                // Whoever asks for seats says when it means to travel.
                Event::Retimed { .. } => {
                    self.occupancy = self.services.board.open(&self.kept.machine);
                    self.sleeps_at = over_at(&self.kept.machine);
                }
                Event::Opened
                | Event::HoldPlaced { .. }
                | Event::PayingBegun { .. }
                | Event::HoldConfirmed { .. }
                | Event::HoldReleased { .. }
                | Event::HoldLapsed { .. }
                | Event::SeatsFreed { .. }
                | Event::SeatsAllotted { .. }
                | Event::SaleStopped
                | Event::SaleResumed
                | Event::DepartureCancelled => {}
            }
        }
        self.occupancy.publish(&self.kept.machine, events.iter().flat_map(Event::touched_seats));
        self.services.attention.follow_holds(events);
    }
}

impl InCell for Seating {
    fn has_failed(&self) -> bool {
        self.kept.vitals.has_failed()
    }

    fn calls_actor(&self) -> bool {
        self.deadline() < self.looks_at
    }
}

impl Seating {
    fn change_seats(&mut self, command: &Command, asker: &mut impl AsksForSeats) -> Answer<Labels> {
        #[cfg(test)]
        self.services.faults.strike(&self.id, crate::testing::Fault::AtMessage);
        self.follow_catalogue();
        let mut seats = None;
        let reply = self.change_with(command, |inventory, rows| {
            asker.bear(seats.insert(seats_of(inventory, command)), rows);
        })?;
        let seats = seats.unwrap_or_else(|| seats_of(&self.kept.machine, command));
        Ok(Reply { position: self.kept.log.last(), outcome: reply.outcome.map(|_| seats) })
    }

    /// Until its first record a departure is what the catalogue says, also when that has changed since it woke (rule 4).
    fn follow_catalogue(&mut self) {
        if self.kept.log.version() > 0 {
            return;
        }
        let Some(spec) = self.services.catalogue.load().departure_spec(&self.id) else { return };
        if spec == *self.kept.machine.spec() {
            return;
        }
        if let Ok(inventory) = Inventory::unborn(spec) {
            self.occupancy = self.services.board.open(&inventory);
            self.sleeps_at = over_at(&inventory);
            self.kept.machine = inventory;
        }
    }

    fn may_sleep(&self) -> bool {
        let inventory = &self.kept.machine;
        let over = inventory.next_deadline().is_none() && self.services.clock.now() >= over_at(inventory);
        over && *self.services.projected.borrow() >= self.kept.log.last()
    }
}

impl Timed for Seating {
    /// The next thing that happens by itself.
    fn deadline(&self) -> Timestamp {
        self.kept.machine.next_deadline().unwrap_or(self.sleeps_at)
    }

    fn will_look(&mut self, at: Timestamp) {
        self.looks_at = at;
    }

    fn expire(&mut self) -> Result<bool, Outage> {
        self.change(&Command::Expire)?;
        let now = self.services.clock.now();
        for hold in self.kept.machine.overdue(now) {
            tracing::error!(departure.id = %self.id, %hold, "Hold {hold} waits for a close long after its payment ended");
        }
        if now >= self.sleeps_at {
            self.sleeps_at = now.plus_seconds(LOOKS_AGAIN_SECONDS);
        }
        Ok(self.may_sleep())
    }
}

impl Keys<DepartureActor> {
    /// Changes seats: on this thread if the departure is idle, otherwise by message. Whoever asks comes back if the
    /// departure is to be woken first, or has trouble.
    pub fn change<P: AsksForSeats>(&self, id: &DepartureId, command: Command, mut asker: P) -> Result<(), P> {
        let fingerprint = fingerprint(&command);
        let here = self.turn_here(id, fingerprint, (), |seating, ()| seating.change_seats(&command, &mut asker));
        let Ok(answer) = here else {
            return self.hand_over(id, fingerprint, Seats { command, asker }).map_err(|unsent| unsent.asker);
        };
        asker.told(answer.unwrap_or_else(Err));
        Ok(())
    }
}

impl Actor for DepartureActor {
    type Context = Context<DepartureActor>;

    fn started(&mut self, ctx: &mut Context<DepartureActor>) {
        self.turn(ctx, |_| ());
    }
}

impl Celled for DepartureActor {
    type State = Seating;

    fn around(&mut self) -> &mut Around<DepartureActor> {
        &mut self.around
    }

    fn leave(&mut self) {
        let post = &self.around.post;
        post.keys.retire(&post.id);
    }
}

impl<P: AsksForSeats> Handler<Seats<P>> for DepartureActor {
    type Result = ();

    fn handle(&mut self, Seats { command, mut asker }: Seats<P>, ctx: &mut Context<DepartureActor>) {
        self.around.post.vitals.handling(fingerprint(&command));
        let answer = self.hears(ctx, |seating| seating.change_seats(&command, &mut asker));
        self.around.post.vitals.handled();
        if let Some(answer) = answer {
            asker.told(answer);
        }
    }
}

impl<T, F> Handler<Look<F, T>> for DepartureActor
where
    T: Send + 'static,
    F: FnOnce(&Inventory, Timestamp) -> T + Send + 'static,
{
    type Result = ();

    fn handle(&mut self, Look { read, asker }: Look<F, T>, ctx: &mut Context<DepartureActor>) {
        let shown = self.hears(ctx, |seating| {
            seating.follow_catalogue();
            let value = read(&seating.kept.machine, seating.services.clock.now());
            Reply::ok(value, seating.kept.log.last())
        });
        if let Some(shown) = shown {
            // Whoever asked may have gone.
            let _ = asker.send(shown);
        }
    }
}

impl Handler<GoOn> for DepartureActor {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Context<DepartureActor>) {
        self.hears(ctx, |_| ());
    }
}

impl Handler<Sleep> for DepartureActor {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Context<DepartureActor>) {
        let may_sleep = self.hears(ctx, |seating| {
            let may_sleep = seating.may_sleep();
            if may_sleep {
                seating.kept.log.retire();
            }
            may_sleep
        });
        match may_sleep {
            Some(true) => {
                self.services.board.close(&self.around.post.id);
                ctx.stop();
            }
            Some(false) => self.around.post.keys.stay(&self.around.post.id),
            None => {}
        }
    }
}
