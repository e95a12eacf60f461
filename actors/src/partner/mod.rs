//! The owner of a partner's reservations: an actor around [`PartnerBook`]. It asks stocks for units before it records a
//! reservation, and tells them afterwards what their holds keep, again and again until they know (rule 16). It never sleeps:
//! reservations end by themselves.
//!
//! How units become an order is in `activating`.

mod activating;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::RandomState;
use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext as _, AsyncContext, Context, Handler, WrapFuture};
use deeptravel_domain::batch::Offer;
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::partner::rows::{PartnerDrawRow, PartnerReservationRow};
use deeptravel_domain::partner::{
    Command, Draw, Event, GiveBack, PartnerBook, PartnerReservationId, Reservation, Reserve, Tell,
};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row;
use deeptravel_domain::row::{First, Row as _, Rows};
use deeptravel_domain::stock::{self, StockId};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;

pub use activating::{ActivateUnits, Activated};

use crate::ask::{Ask, Asker, Question, answer_all, fingerprint_of};
use crate::kept::{Kept, LiveShell, Seed, Shell};
use crate::log::{PUT_OFF_MS, admit_sale};
use crate::order::Peers;
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{Haste, Load, Parameter, Statement};
use crate::registry::{Keys, Owner, Post, StartError};
use crate::services::chance;
use crate::timer::Timer;

/// A partner's rows: its parameter is the partner's id.
pub const LOAD: Load = Load::of(&[
    Statement::by("load/partner_reservation_rows", PartnerReservationRow::TABLE, "partner_id"),
    Statement::by("load/partner_draw_rows", PartnerDrawRow::TABLE, "partner_id"),
]);
/// Every partner that has reserved something.
pub const LOAD_IDS: Load = Load::of(&[Statement::new("load/partner_ids", PartnerIdRow::TABLE)]);

row! {
    /// That a partner has reserved something.
    pub struct PartnerIdRow: 1_090 "partner_ids", First::Unknown;
    1 partner_id [Key]: PartnerCode,
}

/// A request for units, its fields parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReserveUnits {
    pub idempotency_key: Box<str>,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
    pub product: u32,
    pub quantity: u32,
    /// `None`: it never expires.
    pub ttl_hours: Option<u32>,
}

/// A reservation as it is at an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub reservation: Arc<Reservation>,
    pub now: Timestamp,
    /// The request that is answered has made it.
    pub is_first: bool,
}

/// See the module's documentation.
pub struct PartnerActor {
    peers: Arc<Peers>,
    kept: Kept<PartnerBook>,
    timer: Timer,
    /// Requests whose units are being asked for, by their keys: there is no record of them yet.
    placing: HashMap<Box<str>, Wanted>,
    waiting: HashMap<PartnerReservationId, Waiting>,
    /// What stocks are being told.
    telling: HashSet<PartnerReservationId>,
    /// What a stock could not be told of a reservation is told again then.
    tells_again: HashMap<PartnerReservationId, Timestamp>,
}

struct Wanted {
    body_hash: [u8; 32],
    waiting: Waiting,
}

/// Whoever waits until the stock has confirmed a reservation.
#[derive(Default)]
struct Waiting {
    /// Whose request makes it.
    maker: Option<Asker<Shown>>,
    /// The same request, told again meanwhile.
    others: Vec<Asker<Shown>>,
}

impl Waiting {
    fn answer(&mut self, answer: &Answer<Shown>) {
        if let Some(maker) = self.maker.take() {
            let made = answer.clone().map(|reply| reply.map(|shown| Shown { is_first: true, ..shown }));
            maker.answer(made);
        }
        answer_all(&mut self.others, answer);
    }
}

async fn read(peers: &Peers, partner: PartnerCode) -> Result<Seed<PartnerBook>, StartError> {
    let parameters: Vec<Parameter> = vec![partner.to_string().into()];
    let rows = peers.store.load(LOAD, parameters, Haste::Start).await?;
    let machine = PartnerBook::from_rows(partner, &rows, peers.clock.now())?;
    Ok(Seed { version: tables::newest_version(&rows)?, machine })
}

impl Owner for PartnerActor {
    type Id = PartnerCode;
    type Hash = RandomState;
    type Seed = Seed<PartnerBook>;
    type Hand = Infallible;
    type Shared = ();
    type World = Peers;

    const KIND: &'static str = "partner";

    /// All that have reserved something: their stocks are there before.
    async fn start(peers: Arc<Peers>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        let ids = peers.store.load(LOAD_IDS, Vec::new(), Haste::Start).await?;
        for row in ids.of::<PartnerIdRow>() {
            let id = row?.partner_id;
            peers.books.insert(id.clone());
            keys.put(&id, read(&peers, id.clone()).await?);
        }
        Ok(())
    }

    /// Every book that there was is there since the start, and none sleeps: another one is empty, whatever Postgres does.
    async fn load(peers: Arc<Peers>, id: PartnerCode) -> Result<Option<Seed<PartnerBook>>, StartError> {
        let is_known = !peers.books.insert(id.clone());
        let unborn = |id| Seed { machine: PartnerBook::new(id), version: 0 };
        Ok(Some(if is_known { read(&peers, id).await? } else { unborn(id) }))
    }

    fn build(peers: Arc<Peers>, post: Post<Self>, seed: Seed<PartnerBook>) -> Result<PartnerActor, Outage> {
        let kept = Kept::wake(&peers.parts, &format!("partner/{}", post.id), seed, &post.vitals)?;
        Ok(PartnerActor {
            peers,
            kept,
            timer: Timer::default(),
            placing: HashMap::new(),
            waiting: HashMap::new(),
            telling: HashSet::new(),
            tells_again: HashMap::new(),
        })
    }
}

impl Actor for PartnerActor {
    type Context = Context<PartnerActor>;

    fn started(&mut self, ctx: &mut Context<PartnerActor>) {
        self.go_on(ctx);
    }
}

impl Shell for PartnerActor {
    type Machine = PartnerBook;

    fn kept(&mut self) -> &mut Kept<PartnerBook> {
        &mut self.kept
    }

    fn publish(&mut self, _: &[Event]) {
        #[cfg(test)]
        self.peers.faults.strike(self.book().partner(), crate::testing::Fault::AfterAppend);
    }
}

impl LiveShell for PartnerActor {
    fn timer(&mut self) -> &mut Timer {
        &mut self.timer
    }

    fn go_on(&mut self, ctx: &mut Context<PartnerActor>) {
        self.tell_stocks(ctx);
        let deadline = self.book().next_deadline().into_iter().chain(self.tells_again.values().copied()).min();
        self.arm(deadline, ctx);
    }

    fn wake(&mut self, ctx: &mut Context<PartnerActor>) {
        let now = self.now();
        self.tells_again.retain(|_, at| *at > now);
        if self.apply(&Command::Expire, ctx).is_err() {
            return self.wake_later(ctx);
        }
        self.go_on(ctx);
    }
}

impl PartnerActor {
    fn book(&self) -> &PartnerBook {
        &self.kept.machine
    }

    fn now(&self) -> Timestamp {
        self.peers.clock.now()
    }

    fn shown(&self, id: PartnerReservationId) -> Reply<Shown> {
        let found = self.book().reservation(id).cloned();
        let outcome =
            found.map(|reservation| Shown { reservation: Arc::new(reservation), now: self.now(), is_first: false });
        Reply { outcome, position: self.kept.log.last() }
    }

    /// What the book makes of a command, and how the reservation then stands.
    fn change_and_show(
        &mut self,
        command: &Command,
        id: PartnerReservationId,
        birth: &Rows,
        ctx: &mut Context<PartnerActor>,
    ) -> Answer<Shown> {
        let changed = self.change_with(command, |_, rows| rows.extend(birth));
        if self.kept.vitals.has_failed() {
            ctx.stop();
        }
        let reply = changed?;
        self.go_on(ctx);
        match reply.outcome {
            Ok(_) => Ok(self.shown(id)),
            Err(refused) => Ok(Reply::rejected(refused, self.kept.log.last())),
        }
    }

    /// The units are asked for first: what has a record has them.
    fn ask_for_units(&mut self, wish: ReserveUnits, asker: Asker<Shown>, ctx: &mut Context<PartnerActor>) {
        if let Err(outage) = admit_sale(&self.peers.journal) {
            return asker.answer(Err(outage));
        }
        let now = self.now();
        let ReserveUnits { idempotency_key, body_hash, product, quantity, ttl_hours } = wish;
        let offer = match Offer::of_product(product, &self.peers.catalogue.load(), now) {
            Ok(offer) => Arc::new(offer),
            Err(rejection) => return asker.answer(Ok(Reply::rejected(rejection, self.kept.log.last()))),
        };
        let expires_at = ttl_hours.map(|hours| now.plus_seconds(i64::from(hours) * 60 * 60));
        let id = PartnerReservationId::compose(now, chance());
        let waiting = Waiting { maker: Some(asker), others: Vec::new() };
        self.placing.insert(idempotency_key.clone(), Wanted { body_hash, waiting });
        let reserve = Reserve { id, idempotency_key, body_hash, product, offer, quantity, expires_at };
        let (stock, place) = reserve.place(self.book().partner(), now);
        let peers = Arc::clone(&self.peers);
        let asking = async move { peers.stocks.consult(&stock, place).await };
        ctx.spawn(asking.into_actor(self).map(move |answer, actor, ctx| actor.placed(reserve, answer, ctx)));
    }

    fn placed(&mut self, reserve: Reserve, answer: Answer<()>, ctx: &mut Context<PartnerActor>) {
        let Some(mut wanted) = self.placing.remove(&reserve.idempotency_key) else { return };
        let recorded = match answer {
            Ok(Reply { outcome: Ok(()), position }) => {
                self.kept.log.rests_on(position);
                // Those that wait are known before stocks are told: one that answers at once ends their wait.
                self.waiting.insert(reserve.id, std::mem::take(&mut wanted.waiting));
                let (id, (stock, hold)) = (reserve.id, reserve.held());
                let recorded = self.apply(&Command::Reserve(reserve), ctx);
                match recorded.map(|reply| (reply.outcome, reply.position)) {
                    Ok((Ok(_), _)) => return,
                    Ok((Err(refused), position)) => {
                        self.let_go(stock, hold);
                        (id, Ok(Reply::rejected(refused, position)))
                    }
                    Err(outage) => {
                        self.let_go(stock, hold);
                        (id, Err(outage))
                    }
                }
            }
            Ok(Reply { outcome: Err(refused), position }) => {
                return wanted.waiting.answer(&Ok(Reply::rejected(as_allotment(refused), position)));
            }
            Err(outage) => return wanted.waiting.answer(&Err(outage)),
        };
        let (id, answer) = recorded;
        self.waiting.remove(&id).unwrap_or_default().answer(&answer);
    }

    /// Units of which nothing is recorded. Should the stock not hear of it they lapse by themselves, as they do if nobody knows
    /// whether something is.
    fn let_go(&self, stock: StockId, hold: HoldAt) {
        if !self.kept.vitals.has_failed() {
            let peers = Arc::clone(&self.peers);
            self.peers.io.spawn(async move { drop(peers.stocks.consult(&stock, stock::Command::Release(hold)).await) });
        }
    }

    /// Tells stocks what they do not know, each of one reservation at a time.
    fn tell_stocks(&mut self, ctx: &mut Context<PartnerActor>) {
        if self.kept.vitals.has_failed() {
            return;
        }
        let is_told = |id: &PartnerReservationId| self.telling.contains(id) || self.tells_again.contains_key(id);
        let untold: Vec<_> = self.book().untold().filter(|(id, _)| !is_told(id)).collect();
        for (id, tell) in untold {
            let Some((stock, command)) = self.book().request(id, tell) else { continue };
            self.telling.insert(id);
            let peers = Arc::clone(&self.peers);
            let telling = async move { peers.stocks.consult(&stock, command).await };
            ctx.spawn(telling.into_actor(self).map(move |answer, actor, ctx| actor.told(id, tell, answer, ctx)));
        }
    }

    fn told(&mut self, id: PartnerReservationId, tell: Tell, answer: Answer<()>, ctx: &mut Context<PartnerActor>) {
        self.telling.remove(&id);
        let learned = match (tell, answer) {
            (Tell::Confirm, Ok(Reply { outcome: Ok(()), position })) => {
                self.kept.log.rests_on(position);
                Command::Confirmed(id)
            }
            // The record came later than the hold lasts.
            (Tell::Confirm, Ok(Reply { outcome: Err(refused), position })) => {
                self.kept.log.rests_on(position);
                tracing::warn!(reservation.id = %id, %refused, "The units of reservation {id} are gone: {refused}");
                Command::Lost(id)
            }
            (Tell::Keep(keeps), Ok(Reply { outcome, position })) => {
                self.kept.log.rests_on(position);
                if let Err(refused) = outcome {
                    tracing::error!(
                        reservation.id = %id, %refused, "Units of reservation {id} cannot be given back: {refused}"
                    );
                }
                Command::Told { reservation: id, keeps }
            }
            (Tell::Confirm | Tell::Keep(_), Err(outage)) => return self.tell_again(id, outage, ctx),
        };
        if let Err(outage) = self.apply(&learned, ctx) {
            return self.tell_again(id, outage, ctx);
        }
        if let Some(mut waiting) = self.waiting.remove(&id) {
            let answer = match learned {
                // It is to be asked for again.
                Command::Lost(_) => Err(Outage::Overloaded),
                Command::Reserve(_)
                | Command::Confirmed(_)
                | Command::Told { .. }
                | Command::Cancel(_)
                | Command::Expire
                | Command::Draw(_)
                | Command::GiveBack(_) => Ok(self.shown(id)),
            };
            waiting.answer(&answer);
        }
        self.go_on(ctx);
    }

    /// Whoever waits is told; the stock is told again by itself.
    fn tell_again(&mut self, id: PartnerReservationId, outage: Outage, ctx: &mut Context<PartnerActor>) {
        if self.kept.vitals.has_failed() {
            return;
        }
        self.waiting.remove(&id).unwrap_or_default().answer(&Err(outage));
        self.tells_again.insert(id, self.now().plus_ms(PUT_OFF_MS));
        self.go_on(ctx);
    }
}

/// A partner has an allotment, not a sale.
pub fn as_allotment(refused: Rejection) -> Rejection {
    match refused {
        Rejection::SoldOut { wanted, available, .. } => Rejection::InsufficientAllotment { wanted, available },
        other => other,
    }
}

impl Question<PartnerActor> for ReserveUnits {
    type Answer = Shown;

    fn fingerprint(&self) -> u64 {
        fingerprint_of((&self.idempotency_key, self.body_hash))
    }

    fn put(self, actor: &mut PartnerActor, asker: Asker<Shown>, ctx: &mut Context<PartnerActor>) {
        #[cfg(test)]
        actor.peers.faults.strike(actor.book().partner(), crate::testing::Fault::AtMessage);
        let now = actor.now();
        let refused = |refused, actor: &PartnerActor| Ok(Reply::rejected(refused, actor.kept.log.last()));
        let made = actor.book().made_by(&self.idempotency_key, &self.body_hash, now);
        match made.map(|made| made.map(|made| (made.id, made.is_confirmed()))) {
            Err(rejection) => return asker.answer(refused(rejection, actor)),
            Ok(Some((id, true))) => return asker.answer(Ok(actor.shown(id))),
            Ok(Some((id, false))) => return actor.waiting.entry(id).or_default().others.push(asker),
            Ok(None) => {}
        }
        match actor.placing.get_mut(&self.idempotency_key) {
            Some(wanted) if wanted.body_hash == self.body_hash => return wanted.waiting.others.push(asker),
            Some(_) => return asker.answer(refused(Rejection::IdempotencyMismatch, actor)),
            None => {}
        }
        if let Err(rejection) = actor.book().check_room(self.quantity, actor.placing.len()) {
            return asker.answer(refused(rejection, actor));
        }
        actor.ask_for_units(self, asker, ctx);
    }
}

/// How a reservation stands.
#[derive(Debug)]
pub struct ShowReservation(pub PartnerReservationId);

impl Question<PartnerActor> for ShowReservation {
    type Answer = Shown;

    fn put(self, actor: &mut PartnerActor, asker: Asker<Shown>, _: &mut Context<PartnerActor>) {
        asker.answer(Ok(actor.shown(self.0)));
    }
}

/// The partner gives back what is left of a reservation.
#[derive(Debug)]
pub struct CancelReservation(pub PartnerReservationId);

impl Question<PartnerActor> for CancelReservation {
    type Answer = Shown;

    fn fingerprint(&self) -> u64 {
        fingerprint_of(self.0)
    }

    fn put(self, actor: &mut PartnerActor, asker: Asker<Shown>, ctx: &mut Context<PartnerActor>) {
        let answer = actor.change_and_show(&Command::Cancel(self.0), self.0, &Rows::default(), ctx);
        asker.answer(answer);
    }
}

/// A batch or an order takes units of a reservation.
#[derive(Debug)]
pub struct DrawUnits {
    pub draw: Draw,
    /// First images of what they are drawn for, with version 0: born in the same record. Whoever asks keeps its slot, and lays
    /// it there afterwards. A draw that is so already bears nothing.
    pub birth: Rows,
}

impl Question<PartnerActor> for DrawUnits {
    type Answer = Shown;

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.draw.reservation, self.draw.by))
    }

    fn put(self, actor: &mut PartnerActor, asker: Asker<Shown>, ctx: &mut Context<PartnerActor>) {
        let answer = actor.change_and_show(&Command::Draw(self.draw), self.draw.reservation, &self.birth, ctx);
        asker.answer(answer);
    }
}

/// A batch or an order needs fewer of the units that it drew.
#[derive(Debug)]
pub struct GiveBackUnits(pub GiveBack);

impl Question<PartnerActor> for GiveBackUnits {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        let GiveBack { by, units_left } = self.0;
        fingerprint_of((by, units_left))
    }

    fn put(self, actor: &mut PartnerActor, asker: Asker<()>, ctx: &mut Context<PartnerActor>) {
        let reply = actor.apply(&Command::GiveBack(self.0), ctx);
        asker.answer(reply.map(|reply| reply.map(drop)));
    }
}

impl<Q: Question<PartnerActor>> Handler<Ask<Q, Q::Answer>> for PartnerActor {
    type Result = ();

    fn handle(&mut self, ask: Ask<Q, Q::Answer>, ctx: &mut Context<PartnerActor>) {
        self.hear(ask, ctx);
    }
}
