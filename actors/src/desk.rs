//! The desk of a shard of travellers: gives out order ids, keeps each traveller's Idempotency-Keys of the last 48 hours
//! and counts the unpaid orders (R-HOLD-05, R-HOLD-08). It writes no records of its own: the first record of an order, which
//! is written in its mailbox's turn ([`Held`]), carries the order's key, and a desk that starts reads them back.

mod keys;

use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use deeptravel_domain::ids::{IdHash, IdMap, OrderId, TravellerId};
use deeptravel_domain::order::{Draft, Order, OrderStatus, Wish};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Rows, Uuid};
use deeptravel_domain::time::Timestamp;
use keys::{Known, MadeKeys, Mark};

use crate::ask::{Ask, Asker, Question};
use crate::journal::Position;
use crate::log::admit_sale;
use crate::order::{Held, Peers, Placement, Placing};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::{Haste, Load, Parameter, Statement};
use crate::registry::{Keys, Owner, Post, StartError};
use crate::services::DESKS;
use crate::turn::Turn;

/// How long a key is remembered (R-HOLD-05).
pub const KEYS_KEPT_SECONDS: i64 = 48 * 60 * 60;
/// Orders that one desk has promised at once. All desks together as many as requests under way; but a request can go and
/// leave its order behind. Tests want to see the end of it.
const PROMISED_MAX: usize = if cfg!(test) { 64 } else { 32_768 / DESKS };
/// Pause before a desk looks again at an order of which it does not know whether it was made.
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

/// Every order made since an instant (its parameter is the lowest id that one can have), and every pending one.
pub const LOAD: Load = Load::of(&[Statement::new("load/desk_entries", DeskEntryRow::TABLE)]);

/// The parameter of [`LOAD`].
pub fn lowest_id(since: Timestamp) -> Parameter {
    // Ids begin with 48 bits of milliseconds.
    OrderId::from_bits(u128::from(since.as_ms().max(0).unsigned_abs()) << 80).to_string().into()
}

/// An order is wished for.
#[derive(Debug)]
pub struct Place {
    pub wish: Arc<Wish>,
    pub sent: Instant,
}

impl Question<Desk> for Place {
    type Answer = Placed;

    fn put(self, desk: &mut Desk, asker: Asker<Placed>, ctx: &mut Context<Desk>) {
        desk.turn.taken_of(self.sent, Instant::now(), ctx);
        desk.place(&self.wish, asker, ctx);
    }
}

/// What became of the wish.
#[derive(Clone, Debug)]
pub enum Placed {
    /// This key has made this order before.
    Known(OrderId),
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
    desk: Option<(Mark, Addr<Desk>)>,
}

impl Making {
    /// The order has its first record, or never will.
    pub fn answer(mut self, answer: &Answer<Arc<Order>>) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: &Answer<Arc<Order>>) {
        // First, so that the desk knows when the same client comes again. If it has ended, its successor looks at what was
        // noted.
        if let Some((mark, desk)) = self.desk.take() {
            let _ = desk.try_send(Made { mark, order: self.order, answer: answer.clone() });
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
        desk.settled(self.traveller, self.order);
        asker.answer(Ok(Reply::ok((), Position::NOTHING)));
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
        let mark = desk.made.mark(self.traveller, &self.idempotency_key);
        if desk.made.remove(mark, self.order) {
            desk.settled(self.traveller, self.order);
        }
        asker.answer(Ok(Reply::ok((), Position::NOTHING)));
    }
}

/// A traveller's orders of the last 48 hours, newest first.
#[derive(Debug)]
pub struct Recent(pub TravellerId);

impl Question<Desk> for Recent {
    type Answer = Vec<OrderId>;

    fn put(self, desk: &mut Desk, asker: Asker<Vec<OrderId>>, _: &mut Context<Desk>) {
        let recent = desk.made.recent(self.0, desk.peers.clock.now());
        // What each of them rests on it says itself.
        asker.answer(Ok(Reply::ok(recent, Position::NOTHING)));
    }
}

/// An order that is being made, and who waits for it besides the first.
struct Promised {
    body_hash: [u8; 32],
    order: OrderId,
    waiting: Vec<Asker<Placed>>,
}

/// See the module's documentation.
pub struct Desk {
    peers: Arc<Peers>,
    promised: IdMap<Mark, Promised>,
    made: MadeKeys,
    /// Orders that hold unpaid seats: few of each traveller, as the limit is low.
    unpaid: IdMap<TravellerId, Vec<OrderId>>,
    turn: Turn,
}

/// What a desk starts from.
#[derive(Debug)]
pub struct Seed {
    /// Of its travellers' orders: see [`LOAD`].
    entries: Rows,
    /// Orders that were being made when the desk before this one ended.
    in_flight: Vec<(OrderId, Arc<Wish>)>,
}

/// What [`LOAD`] answers, for each desk its own.
async fn load_entries(peers: &Peers) -> Result<Vec<Rows>, StartError> {
    let since = peers.clock.now().plus_seconds(-KEYS_KEPT_SECONDS);
    let rows = peers.store.load(LOAD, vec![lowest_id(since)], Haste::Start).await?;
    let mut desks = vec![Rows::default(); DESKS];
    for row in rows.of::<DeskEntryRow<'_>>() {
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
    type World = Peers;

    const KIND: &'static str = "desk";

    async fn start(peers: Arc<Peers>, keys: Arc<Keys<Desk>>) -> Result<(), StartError> {
        for (shard, entries) in load_entries(&peers).await?.into_iter().enumerate() {
            keys.put(&shard, Seed { entries, in_flight: Vec::new() });
        }
        Ok(())
    }

    async fn load(peers: Arc<Peers>, shard: usize) -> Result<Option<Seed>, StartError> {
        // In this order: an order that is no longer in flight has a record, and that is projected before the rows
        // are read.
        let noted = peers.in_flight.iter().map(|noted| (*noted.key(), Arc::clone(&noted)));
        let in_flight = noted.filter(|(_, wish)| peers.desk_of(wish.traveller) == shard).collect();
        let appended = peers.journal.appended();
        let mut projected = peers.projected.clone();
        projected.wait_for(|position| *position >= appended).await.map_err(|_| Outage::Storage)?;
        let entries = load_entries(&peers).await?.swap_remove(shard);
        Ok(Some(Seed { entries, in_flight }))
    }

    fn build(peers: Arc<Peers>, _: Post<Desk>, seed: Seed) -> Result<Desk, Outage> {
        let (promised, made, unpaid) = (IdMap::default(), MadeKeys::default(), IdMap::default());
        let mut desk = Desk { peers, promised, made, unpaid, turn: Turn::default() };
        let mut entries: Vec<DeskEntryRow<'_>> = seed.entries.of().collect::<Result<_, Damage>>()?;
        entries.sort_by_key(|entry| entry.order_id.0);
        for entry in &entries {
            let mark = desk.made.mark(entry.traveller_id.0, entry.idempotency_key);
            desk.made.insert(mark, &entry.body_hash, entry.order_id.0);
            if entry.status == OrderStatus::Pending {
                desk.note_unpaid(entry.traveller_id.0, entry.order_id.0);
            }
        }
        for (order, wish) in seed.in_flight {
            if entries.binary_search_by_key(&order, |entry| entry.order_id.0).is_err() {
                desk.promise(desk.mark_of(&wish), &wish, order);
            }
        }
        Ok(desk)
    }
}

impl Actor for Desk {
    type Context = Context<Desk>;

    fn started(&mut self, ctx: &mut Context<Desk>) {
        let promised = self.promised.iter().map(|(mark, promised)| (*mark, promised.order));
        for (mark, order) in promised.collect::<Vec<_>>() {
            self.look(mark, order, Duration::ZERO, ctx);
        }
    }
}

impl Desk {
    fn place(&mut self, wish: &Arc<Wish>, asker: Asker<Placed>, ctx: &mut Context<Desk>) {
        let now = self.peers.clock.now();
        self.made.sweep(now);
        let mark = self.mark_of(wish);
        if let Some(promised) = self.promised.get_mut(&mark) {
            if promised.body_hash == wish.body_hash {
                return promised.waiting.push(asker);
            }
            return asker.answer(Ok(Reply::rejected(Rejection::IdempotencyMismatch, self.peers.journal.appended())));
        }
        let known = self.made.get(mark, &wish.body_hash, now);
        let drafted = match known {
            Some(Known { same_request: false, .. }) => Ok(Err(Rejection::IdempotencyMismatch)),
            // Of what it rests on the order knows more.
            Some(Known { order, .. }) => return asker.answer(Ok(Reply::ok(Placed::Known(order), Position::NOTHING))),
            None => self.draft(wish, now),
        };
        match drafted {
            Ok(Ok(draft)) => self.make(mark, wish, draft, asker, ctx),
            Ok(Err(rejection)) => asker.answer(Ok(Reply::rejected(rejection, self.peers.journal.appended()))),
            Err(outage) => asker.answer(Err(outage)),
        }
    }

    /// An outage: no new sale begins now, the journal's space being rationed (rule 11), or its disk behind.
    fn draft(&self, wish: &Wish, now: Timestamp) -> Result<Result<Draft, Rejection>, Outage> {
        if self.promised.len() >= PROMISED_MAX {
            return Err(Outage::Overloaded);
        }
        admit_sale(&self.peers.journal)?;
        let limit = self.peers.sales.live_holds_max;
        if self.unpaid.get(&wish.traveller).map_or(0, Vec::len) >= limit as usize {
            return Ok(Err(Rejection::LockLimit { limit }));
        }
        let id = self.peers.new_order_id(wish.traveller);
        let catalogue = self.peers.catalogue.load();
        Ok(wish.draft(&catalogue, id, now, self.peers.sales.lock_seconds))
    }

    fn mark_of(&self, wish: &Wish) -> Mark {
        self.made.mark(wish.traveller, &wish.idempotency_key)
    }

    fn promise(&mut self, mark: Mark, wish: &Wish, order: OrderId) {
        let promised = Promised { body_hash: wish.body_hash, order, waiting: Vec::new() };
        self.promised.insert(mark, promised);
        self.note_unpaid(wish.traveller, order);
    }

    fn make(&mut self, mark: Mark, wish: &Arc<Wish>, draft: Draft, asker: Asker<Placed>, ctx: &mut Context<Desk>) {
        let id = draft.id;
        self.promise(mark, wish, id);
        self.peers.in_flight.insert(id, Arc::clone(wish));
        let desk = Some((mark, ctx.address()));
        let making = Making { peers: Arc::clone(&self.peers), order: id, asker: Some(asker), desk };
        Placing::begin(&self.peers, draft, making, ctx.address());
    }

    fn placed(&mut self, mark: Mark, id: OrderId, answer: &Answer<Arc<Order>>, ctx: &mut Context<Desk>) {
        let Some(Promised { body_hash, waiting, .. }) = self.promised.remove(&mark) else { return };
        match answer {
            // Refusals are not remembered: the same key may try again.
            Ok(Reply { outcome: Err(_), .. }) => self.settled(mark.traveller, id),
            // After an outage it may have been placed: whoever asks again looks, and so does the desk.
            Ok(Reply { outcome: Ok(_), .. }) | Err(_) => {
                self.made.insert(mark, &body_hash, id);
                if answer.is_err() {
                    self.look(mark, id, LOOKS_AGAIN, ctx);
                }
            }
        }
        for asker in waiting {
            asker.answer(placed(answer, false));
        }
    }

    /// Asks an order of which it is not known whether it was made.
    fn look(&mut self, mark: Mark, id: OrderId, pause: Duration, ctx: &mut Context<Desk>) {
        let peers = Arc::clone(&self.peers);
        let looking = async move {
            tokio::time::sleep(pause).await;
            peers.orders.ask(&id, Placement).await
        };
        ctx.spawn(looking.into_actor(self).map(move |answer, desk, ctx| desk.looked(mark, id, answer, ctx)));
    }

    fn looked(
        &mut self,
        mark: Mark,
        id: OrderId,
        answer: Result<Option<Reply<Arc<Order>>>, Outage>,
        ctx: &mut Context<Desk>,
    ) {
        let order = match &answer {
            Ok(Some(Reply { outcome: Ok(order), .. })) => Some(order),
            Ok(Some(Reply { outcome: Err(_), .. }) | None) => None,
            Err(_) => return self.look(mark, id, LOOKS_AGAIN, ctx),
        };
        let made = order.is_some();
        if order.is_none_or(|order| order.status() != OrderStatus::Pending) {
            self.settled(mark.traveller, id);
        }
        if self.promised.get(&mark).is_some_and(|promised| promised.order == id) {
            let answer = answer.and_then(|reply| reply.ok_or(Outage::Rebuilding));
            self.placed(mark, id, &answer, ctx);
        } else if !made {
            self.made.remove(mark, id);
        }
    }

    fn note_unpaid(&mut self, traveller: TravellerId, order: OrderId) {
        self.unpaid.entry(traveller).or_default().push(order);
    }

    fn settled(&mut self, traveller: TravellerId, order: OrderId) {
        let Entry::Occupied(mut orders) = self.unpaid.entry(traveller) else { return };
        orders.get_mut().retain(|unpaid| *unpaid != order);
        if orders.get().is_empty() {
            orders.remove();
        }
    }
}

impl<Q: Question<Desk>> Handler<Ask<Q, Q::Answer>> for Desk {
    type Result = ();

    fn handle(&mut self, Ask { question, asker }: Ask<Q, Q::Answer>, ctx: &mut Context<Desk>) {
        question.put(self, asker, ctx);
    }
}

/// In the same mailbox as wishes, so that orders are placed in the order of their arrival.
impl Handler<Held> for Desk {
    type Result = ();

    fn handle(&mut self, held: Held, ctx: &mut Context<Desk>) {
        self.turn.taken_of(held.sent, Instant::now(), ctx);
        // A fault in there is the order's, which is rebuilt, and not of all others of the desk.
        let _ = catch_unwind(AssertUnwindSafe(|| held.go_on()));
    }
}

impl Handler<Made> for Desk {
    type Result = ();

    fn handle(&mut self, Made { mark, order, answer }: Made, ctx: &mut Context<Desk>) {
        self.placed(mark, order, &answer, ctx);
    }
}
