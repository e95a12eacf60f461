//! The desk of a shard of travellers: gives out order ids, keeps each traveller's Idempotency-Keys of the last 48 hours
//! and counts the unpaid orders and the reservations (R-HOLD-05, R-HOLD-07, R-HOLD-08). It writes no records of its own: the
//! first images of an order or a reservation carry its key, and a desk that starts reads them back.

mod book;
mod keys;
mod reservations;
mod reserving;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WrapFuture};
use deeptravel_domain::ids::{IdHash, OrderId, TravellerId};
use deeptravel_domain::order::{Order, OrderStatus, Wish};
use deeptravel_domain::reservation::Reservation;
use deeptravel_domain::row;
use deeptravel_domain::row::{First, List, Row as _, Rows, Uuid};
use deeptravel_domain::time::Timestamp;

pub use book::Book;
use keys::Mark;
use reserving::Flight;
pub use reserving::{Reserved, release, reserve};

use crate::ask::{Ask, Asker, NOT_TOLD_APART, Question, asking};
use crate::journal::Position;
use crate::order::{Peers, Placement};
use crate::outage::{Answer, Outage, Reply};
use crate::parts::LOCK_SECONDS_MAX;
use crate::ports::{Haste, Load, Statement, lowest_id};
use crate::registry::cell::{Cell, GoOn};
use crate::registry::{Keys, Owner, Post, StartError};
use crate::services::{DESKS, Wished, desk_of_shard};
use crate::turn::Turn;

/// How long a key is remembered (R-HOLD-05).
pub const KEYS_KEPT_SECONDS: i64 = 48 * 60 * 60;
/// Orders that one desk has promised at once. All desks together as many as requests under way; but a request can go and
/// leave its order behind. Tests want to see the end of it.
const PROMISED_MAX: usize = if cfg!(test) { 64 } else { 32_768 / DESKS };
/// Reservations that all desks have asked for at once, likewise.
const RESERVING_MAX: usize = PROMISED_MAX * DESKS;
/// Pause before a desk looks again at an order or a reservation of which it does not know whether it was made.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

row! {
    /// An order's row as far as desks need it.
    pub struct DeskEntryRow<'a>: 1_003 "desk_entries", First::Unknown;
    1 order_id [Key]: Uuid<OrderId>,
    2 traveller_id: Uuid<TravellerId>,
    3 idempotency_key: &'a str,
    4 body_hash: [u8; 32],
    5 status: OrderStatus,
}

row! {
    /// A reservation with its hold, as far as desks need them.
    pub struct DeskReservationRow<'a>: 1_004 "desk_reservations", First::Unknown;
    1 reservation_id [Key]: Uuid<OrderId>,
    2 departure_id: &'a str,
    3 traveller_id: Uuid<TravellerId>,
    4 idempotency_key: &'a str,
    5 body_hash: [u8; 32],
    6 class_code: &'a str,
    7 seat_numbers [Json]: List<'a, &'a str>,
    8 board_stop: u8,
    9 alight_stop: u8,
    10 state: &'a str,
    11 expires_at: Timestamp,
}

/// Every order made since an instant (its parameter is the lowest id that one can have), and every pending one.
pub const LOAD: Load = Load::of(&[Statement::new("load/desk_entries", DeskEntryRow::TABLE)]);
/// Likewise every reservation.
pub const LOAD_RESERVATIONS: Load = Load::of(&[Statement::new("load/desk_reservations", DeskReservationRow::TABLE)]);

/// An order is wished for.
#[derive(Debug)]
struct Place {
    wish: Wish,
    sent: Instant,
}

impl Question<Desk> for Place {
    type Answer = Placed;

    fn put(self, desk: &mut Desk, asker: Asker<Placed>, ctx: &mut Context<Desk>) {
        desk.turns.taken_of(self.sent, Instant::now(), ctx);
        if let Some(Some(promise)) = desk.book(|book| book.place(self.wish, asker)) {
            promise.keep(&desk.peers);
        }
    }
}

/// Makes an order, or finds the one that its key has made: on this thread as far as its owners are idle. What is
/// made of the answer is made before it is durable, if it can be.
pub async fn place<T>(peers: &Arc<Peers>, wish: Wish, make: impl FnOnce(Placed) -> T) -> Answer<T> {
    let desk = peers.desk_of(wish.traveller);
    let (asker, asked) = asking(&peers.journal);
    let under_way = peers.desks.under_way()?;
    match peers.desks.turn_here(&desk, NOT_TOLD_APART, (wish, asker), |book, (wish, asker)| book.place(wish, asker)) {
        Ok(promise) => {
            if let Some(promise) = promise? {
                promise.keep(peers);
            }
            asked.made_into(make).await
        }
        Err((wish, asker)) => {
            drop(under_way);
            let question = Place { wish, sent: Instant::now() };
            let told = peers.desks.tell(&desk, NOT_TOLD_APART, Ask { question, asker }).await?;
            let _under_way = told.ok_or(Outage::Rebuilding)?;
            asked.made_into(make).await
        }
    }
}

/// What became of the wish.
#[derive(Debug)]
pub enum Placed {
    /// This key has made this order before. The wish comes back: the order may turn out not to be there.
    Known { order: OrderId, wish: Box<Wish> },
    /// It was made now. `is_first`: for this request, and not for the same one that was under way already.
    Made { order: Arc<Order>, is_first: bool },
}

/// What the owner of an order that is being made has of its desk: a note that outlives the desk, until there is a record or
/// a refusal, and whom to answer. Dropped without an answer it says so: the owner has ended.
pub struct Making {
    peers: Arc<Peers>,
    order: OrderId,
    /// Whoever has wished for it first. Everybody else is told by the desk.
    asker: Option<Asker<Placed>>,
    /// Until the desk knows.
    mark: Option<Mark>,
}

impl Making {
    /// The order has its first record, or never will.
    pub fn answer(mut self, answer: &Answer<Arc<Order>>) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: &Answer<Arc<Order>>) {
        // First, so that the desk knows when the same client comes again. One that is not there looks at what was noted.
        if let Some(mark) = self.mark.take() {
            tell_desk(&self.peers, Made { mark, order: self.order, answer: answer.clone() });
        }
        if let Some(asker) = self.asker.take() {
            asker.answer(placed(answer, true));
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.peers.in_flight.remove(&self.order);
        self.tell(&Err(Outage::Rebuilding));
    }
}

fn tell_desk(peers: &Peers, made: Made) {
    let desk = desk_of_shard(made.order.shard());
    // After an outage the desk itself has something to do.
    let told = match made.answer {
        Ok(_) => peers.desks.turn_here(&desk, NOT_TOLD_APART, made, Book::placed).map(drop),
        Err(_) => Err(made),
    };
    if let Err(made) = told {
        let _ = peers.desks.hand_over(&desk, NOT_TOLD_APART, made);
    }
}

/// The answer of an order's placement for those who wished for it.
fn placed(answer: &Answer<Arc<Order>>, is_first: bool) -> Answer<Placed> {
    answer.clone().map(|reply| reply.map(|order| Placed::Made { order, is_first }))
}

/// What has become of an order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Made {
    mark: Mark,
    order: OrderId,
    answer: Answer<Arc<Order>>,
}

/// An order holds unpaid seats no longer.
#[derive(Debug)]
pub struct Settled {
    pub traveller: TravellerId,
    pub order: OrderId,
}

impl Question<Desk> for Settled {
    type Answer = ();

    fn put(self, desk: &mut Desk, asker: Asker<()>, _: &mut Context<Desk>) {
        if desk.book(|book| book.settled(self.traveller, self.order)).is_some() {
            asker.answer(Ok(Reply::ok((), Position::NOTHING)));
        }
    }
}

/// An order that a desk remembers does not exist: it was never placed, although nobody could say so then.
#[derive(Debug)]
pub struct Forget {
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub order: OrderId,
}

impl Question<Desk> for Forget {
    type Answer = ();

    fn put(self, desk: &mut Desk, asker: Asker<()>, _: &mut Context<Desk>) {
        if desk.book(|book| book.forget(&self)).is_some() {
            asker.answer(Ok(Reply::ok((), Position::NOTHING)));
        }
    }
}

/// A traveller's orders of the last 48 hours, newest first.
#[derive(Debug)]
pub struct Recent(pub TravellerId);

impl Question<Desk> for Recent {
    type Answer = Vec<OrderId>;

    fn put(self, desk: &mut Desk, asker: Asker<Vec<OrderId>>, _: &mut Context<Desk>) {
        let Some(recent) = desk.book(|book| book.recent(self.0)) else { return };
        // What each of them rests on it says itself.
        asker.answer(Ok(Reply::ok(recent, Position::NOTHING)));
    }
}

/// See the module's documentation.
pub struct Desk {
    peers: Arc<Peers>,
    post: Post<Desk>,
    turns: Turn,
}

/// What a desk starts from.
#[derive(Debug)]
pub struct Seed {
    /// Of its travellers' orders and reservations: see [`LOAD`] and [`LOAD_RESERVATIONS`].
    entries: Rows,
    /// Orders that were being made when the desk before this one ended.
    in_flight: Vec<(OrderId, Wished)>,
    /// Likewise reservations.
    reserving: Vec<Arc<Reservation>>,
}

/// What [`LOAD`] and [`LOAD_RESERVATIONS`] answer, for each desk its own.
async fn load_entries(peers: &Peers) -> Result<Vec<Rows>, StartError> {
    let since = peers.clock.now().plus_seconds(-KEYS_KEPT_SECONDS);
    let rows = peers.store.load(LOAD, vec![lowest_id(since)], Haste::Start).await?;
    let mut desks = vec![Rows::default(); DESKS];
    for row in rows.of::<DeskEntryRow<'_>>() {
        let row = row?;
        desks[peers.desk_of(row.traveller_id.0)].put(&row);
    }
    // After the orders: one that an order has adopted meanwhile has ended.
    let since = peers.clock.now().plus_seconds(-i64::from(LOCK_SECONDS_MAX));
    let rows = peers.store.load(LOAD_RESERVATIONS, vec![lowest_id(since)], Haste::Start).await?;
    for row in rows.of::<DeskReservationRow<'_>>() {
        let row = row?;
        desks[peers.desk_of(row.traveller_id.0)].put(&row);
    }
    Ok(desks)
}

impl Owner for Desk {
    /// The number of the shard.
    type Id = usize;
    type Hash = IdHash;
    type Seed = Seed;
    type Hand = Infallible;
    type Shared = Arc<Cell<Book>>;
    type World = Peers;

    const KIND: &'static str = "desk";

    async fn start(peers: Arc<Peers>, keys: Arc<Keys<Desk>>) -> Result<(), StartError> {
        for (shard, entries) in load_entries(&peers).await?.into_iter().enumerate() {
            keys.put(&shard, Seed { entries, in_flight: Vec::new(), reserving: Vec::new() });
        }
        Ok(())
    }

    async fn load(peers: Arc<Peers>, shard: usize) -> Result<Option<Seed>, StartError> {
        // In this order: an order that is no longer in flight has a record, and that is projected before the rows
        // are read.
        let noted = peers.in_flight.iter().filter(|noted| peers.desk_of(noted.traveller) == shard);
        let in_flight = noted.map(|noted| (*noted.key(), noted.clone())).collect();
        let reserving = peers.reserving.iter().filter(|noted| peers.desk_of(noted.traveller) == shard);
        let reserving = reserving.map(|noted| Arc::clone(&noted)).collect();
        let appended = peers.journal.appended();
        let mut projected = peers.projected.clone();
        projected.wait_for(|position| *position >= appended).await.map_err(|_| Outage::Storage)?;
        let entries = load_entries(&peers).await?.swap_remove(shard);
        Ok(Some(Seed { entries, in_flight, reserving }))
    }

    fn build(peers: Arc<Peers>, post: Post<Desk>, seed: Seed) -> Result<Desk, Outage> {
        post.shared.put(Book::read(Arc::clone(&peers), seed)?);
        Ok(Desk { peers, post, turns: Turn::default() })
    }
}

impl Actor for Desk {
    type Context = Context<Desk>;

    fn started(&mut self, ctx: &mut Context<Desk>) {
        for (mark, order) in self.book(|book| book.promised()).into_iter().flatten() {
            self.look(mark, order, Duration::ZERO, ctx);
        }
        self.look_at_reservations();
    }
}

impl Desk {
    /// The actor's own turn. `None`: it has to end.
    fn book<T>(&self, turn: impl FnOnce(&mut Book) -> T) -> Option<T> {
        self.post.shared.turn(turn)
    }

    /// Asks departures how reservations stand of which the desk is not sure.
    fn look_at_reservations(&self) {
        for reservation in self.book(Book::reservations_to_look_at).into_iter().flatten() {
            Flight::new(&self.peers, &reservation, None).begin();
        }
    }

    /// Asks an order of which it is not known whether it was made.
    fn look(&mut self, mark: Mark, id: OrderId, pause: Duration, ctx: &mut Context<Desk>) {
        let peers = Arc::clone(&self.peers);
        let looking = async move {
            tokio::time::sleep(pause).await;
            peers.orders.ask(&id, Placement).await
        };
        ctx.spawn(looking.into_actor(self).map(move |answer, desk, ctx| {
            let looks_again = match answer {
                Ok(answer) => desk.book(|book| book.looked(mark, id, answer)).unwrap_or(false),
                Err(_) => true,
            };
            if looks_again {
                desk.look(mark, id, LOOKS_AGAIN, ctx);
            }
            desk.look_at_reservations();
        }));
    }
}

impl<Q: Question<Desk>> Handler<Ask<Q, Q::Answer>> for Desk {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<Q, Q::Answer>, ctx: &mut Context<Desk>) {
        question.put(self, asker, ctx);
        self.post.shared.handled();
    }
}

impl Handler<Made> for Desk {
    type Result = ();

    fn handle(&mut self, made: Made, ctx: &mut Context<Desk>) {
        let (mark, order, is_known) = (made.mark, made.order, made.answer.is_ok());
        if self.book(|book| book.placed(made)).is_some_and(|was_promised| was_promised && !is_known) {
            self.look(mark, order, LOOKS_AGAIN, ctx);
        }
        self.look_at_reservations();
        self.post.shared.handled();
    }
}

impl Handler<GoOn> for Desk {
    type Result = ();

    fn handle(&mut self, _: GoOn, ctx: &mut Context<Desk>) {
        self.post.shared.handled();
        if self.book(|_| ()).is_none() {
            self.post.vitals.fail();
            ctx.stop();
        }
        self.look_at_reservations();
    }
}
