//! The desk of a shard of travellers: gives out order ids, keeps each traveller's Idempotency-Keys of the last 48 hours
//! and counts the unpaid orders (R-HOLD-05, R-HOLD-08). It writes no records: an order's first record carries its key,
//! and a desk that starts reads them back.

mod keys;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use deeptravel_domain::ids::{OrderId, TravellerId};
use deeptravel_domain::order::{Order, OrderStatus, Wish};
use deeptravel_domain::rejection::Rejection;
use futures_util::future::BoxFuture;
use keys::{Made, MadeKeys};
use tokio::sync::oneshot;

use crate::log::admit_sale;
use crate::order::{Pending, Placement, Seed as OrderSeed};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::DeskEntry;
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::services::Services;
use crate::turn::Turn;

/// How long a key is remembered (R-HOLD-05).
pub const KEYS_KEPT_SECONDS: i64 = 48 * 60 * 60;
/// Pause before a desk looks again at an order of which it does not know whether it was made.
const LOOKS_AGAIN: Duration = Duration::from_secs(1);

/// An order is wished for.
#[derive(Debug)]
pub struct Place(pub Arc<Wish>);

impl Message for Place {
    type Result = Placed;
}

/// What became of the wish.
#[derive(Debug)]
pub enum Placed {
    /// This key has made this order before.
    Known(OrderId),
    /// It is being made; the answer of its placement comes here.
    New(Pending<Arc<Order>>),
    /// The same request is under way already; its answer comes here too.
    Joined(Pending<Arc<Order>>),
    Refused(Rejection),
    /// No new sale begins now: the journal's space is rationed (rule 11), or its disk is behind.
    Unavailable(Outage),
}

/// Notes that an order is being made, until it has a record or a refusal: it outlives the desk. Held by the order's
/// owner, so it also ends with that.
#[derive(Debug)]
pub struct InFlight {
    services: Arc<Services>,
    order: OrderId,
}

impl InFlight {
    fn note(services: &Arc<Services>, entry: DeskEntry) -> InFlight {
        let order = entry.order;
        services.in_flight.insert(order, entry);
        InFlight { services: Arc::clone(services), order }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.services.in_flight.remove(&self.order);
    }
}

/// An order holds unpaid seats no longer.
#[derive(Debug)]
pub struct Settled {
    pub traveller: TravellerId,
    pub order: OrderId,
}

impl Message for Settled {
    type Result = ();
}

/// An order that a desk remembers does not exist: it was never placed, although nobody could say so then.
#[derive(Debug)]
pub struct Forget {
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub order: OrderId,
}

impl Message for Forget {
    type Result = ();
}

impl Fingerprint for Forget {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// A traveller's orders of the last 48 hours, newest first.
#[derive(Debug)]
pub struct Recent(pub TravellerId);

impl Message for Recent {
    type Result = Vec<OrderId>;
}

impl Fingerprint for Recent {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

impl Fingerprint for Place {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

impl Fingerprint for Settled {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

type Key = (TravellerId, Box<str>);

/// An order that is being made, and who waits for it.
#[derive(Debug)]
struct Placing {
    body_hash: [u8; 32],
    order: OrderId,
    waiting: Vec<oneshot::Sender<Answer<Arc<Order>>>>,
}

/// See the module's documentation.
pub struct Desk {
    services: Arc<Services>,
    placing: HashMap<Key, Placing>,
    made: MadeKeys,
    /// Orders that hold unpaid seats: few of each traveller, as the limit is low.
    unpaid: HashMap<TravellerId, Vec<OrderId>>,
    turn: Turn,
}

/// What a desk starts from.
#[derive(Debug)]
pub struct Seed {
    pub entries: Vec<DeskEntry>,
    /// Orders that were being made when the desk before this one ended.
    pub in_flight: Vec<DeskEntry>,
}

impl Owner for Desk {
    /// The number of the shard.
    type Id = usize;
    type Seed = Seed;

    const KIND: &'static str = "desk";

    fn keys(services: &Services) -> &Keys<Desk> {
        &services.desks
    }

    fn load(services: Arc<Services>, shard: usize) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            // In this order: an order that is no longer in flight has a record, and that is projected before the rows
            // are read.
            let of_shard = |entry: &DeskEntry| services.desk_of(entry.traveller) == shard;
            let noted = services.in_flight.iter().map(|entry| entry.value().clone());
            let mut in_flight: Vec<DeskEntry> = noted.filter(of_shard).collect();
            let appended = services.journal.appended();
            let mut projected = services.projected.clone();
            projected.wait_for(|position| *position >= appended).await.map_err(|_| Outage::Storage)?;

            let since = services.clock.now().plus_seconds(-KEYS_KEPT_SECONDS);
            let mut entries = services.store.desk_entries(since).await.map_err(|error| {
                tracing::warn!(desk = shard, %error, "Desk {shard} cannot be read: {error}");
                Outage::Storage
            })?;
            entries.retain(of_shard);
            let made: HashSet<OrderId> = entries.iter().map(|entry| entry.order).collect();
            in_flight.retain(|entry| !made.contains(&entry.order));
            Ok(Some(Seed { entries, in_flight }))
        })
    }

    fn build(services: Arc<Services>, _: usize, seed: Seed, _: Arc<Vitals>) -> Result<Desk, Outage> {
        let Seed { mut entries, in_flight } = seed;
        let (placing, made, unpaid) = (HashMap::new(), MadeKeys::default(), HashMap::new());
        let mut desk = Desk { services, placing, made, unpaid, turn: Turn::default() };
        entries.sort_by_key(|entry| entry.order);
        for entry in entries {
            desk.made.insert(entry.traveller, &entry.idempotency_key, &entry.body_hash, entry.order);
            if entry.status == OrderStatus::Pending {
                desk.note_unpaid(entry.traveller, entry.order);
            }
        }
        for entry in in_flight {
            desk.note_unpaid(entry.traveller, entry.order);
            let placing = Placing { body_hash: entry.body_hash, order: entry.order, waiting: Vec::new() };
            desk.placing.insert((entry.traveller, entry.idempotency_key), placing);
        }
        Ok(desk)
    }
}

impl Actor for Desk {
    type Context = Context<Desk>;

    fn started(&mut self, ctx: &mut Context<Desk>) {
        let placing = self.placing.iter().map(|(key, placing)| (key.clone(), placing.order));
        for (key, order) in placing.collect::<Vec<_>>() {
            self.look(key, order, Duration::ZERO, ctx);
        }
    }
}

impl Desk {
    fn place(&mut self, wish: &Wish, ctx: &mut Context<Desk>) -> Placed {
        let now = self.services.clock.now();
        self.made.sweep(now);
        let key: Key = (wish.traveller, wish.idempotency_key.clone());
        if let Some(placing) = self.placing.get_mut(&key) {
            if placing.body_hash != wish.body_hash {
                return Placed::Refused(Rejection::IdempotencyMismatch);
            }
            let (sender, receiver) = oneshot::channel();
            placing.waiting.push(sender);
            return Placed::Joined(receiver);
        }
        match self.made.get(wish.traveller, &wish.idempotency_key, &wish.body_hash, now) {
            Some(Made { same_request: false, .. }) => return Placed::Refused(Rejection::IdempotencyMismatch),
            Some(Made { same_request: true, order }) => return Placed::Known(order),
            None => {}
        }
        if let Err(outage) = admit_sale(&self.services.journal) {
            return Placed::Unavailable(outage);
        }
        let limit = self.services.sales.live_holds_max;
        if self.unpaid.get(&wish.traveller).map_or(0, Vec::len) >= limit as usize {
            return Placed::Refused(Rejection::LockLimit { limit });
        }
        let id = self.services.new_order_id(wish.traveller);
        let catalogue = self.services.catalogue.load();
        let draft = match wish.draft(&catalogue, id, now, self.services.sales.lock_seconds) {
            Ok(draft) => draft,
            Err(rejection) => return Placed::Refused(rejection),
        };

        let (sender, receiver) = oneshot::channel();
        let waiting = vec![sender];
        self.placing.insert(key.clone(), Placing { body_hash: wish.body_hash, order: id, waiting });
        self.note_unpaid(wish.traveller, id);
        let in_flight = InFlight::note(&self.services, entry_of(wish, id));
        let (placed, placement) = oneshot::channel();
        self.services.orders.put(&id, OrderSeed::draft(draft, now, in_flight, placed));
        // Without an answer the order's owner has ended.
        let placement = async move { placement.await.unwrap_or(Err(Outage::Rebuilding)) };
        ctx.spawn(placement.into_actor(self).map(move |answer, desk, ctx| desk.placed(key, id, &answer, ctx)));
        Placed::New(receiver)
    }

    fn placed(&mut self, key: Key, id: OrderId, answer: &Answer<Arc<Order>>, ctx: &mut Context<Desk>) {
        let Some(Placing { body_hash, waiting, .. }) = self.placing.remove(&key) else { return };
        match answer {
            // Refusals are not remembered: the same key may try again.
            Ok(Reply { outcome: Err(_), .. }) => self.settled(key.0, id),
            // After an outage it may have been placed: whoever asks again looks, and so does the desk.
            Ok(Reply { outcome: Ok(_), .. }) | Err(_) => {
                self.made.insert(key.0, &key.1, &body_hash, id);
                if answer.is_err() {
                    self.look(key, id, LOOKS_AGAIN, ctx);
                }
            }
        }
        for sender in waiting {
            // Whoever waited may have gone.
            let _ = sender.send(answer.clone());
        }
    }

    /// Asks an order of which it is not known whether it was made.
    fn look(&mut self, key: Key, id: OrderId, pause: Duration, ctx: &mut Context<Desk>) {
        let services = Arc::clone(&self.services);
        let looking = async move {
            tokio::time::sleep(pause).await;
            match services.orders.ask(&id, Placement).await {
                Ok(Some(placement)) => placement.await.unwrap_or(Err(Outage::Rebuilding)).map(Some),
                Ok(None) => Ok(None),
                Err(outage) => Err(outage),
            }
        };
        ctx.spawn(looking.into_actor(self).map(move |answer, desk, ctx| desk.looked(key, id, answer, ctx)));
    }

    fn looked(
        &mut self,
        key: Key,
        id: OrderId,
        answer: Result<Option<Reply<Arc<Order>>>, Outage>,
        ctx: &mut Context<Desk>,
    ) {
        let order = match &answer {
            Ok(Some(Reply { outcome: Ok(order), .. })) => Some(order),
            Ok(Some(Reply { outcome: Err(_), .. }) | None) => None,
            Err(_) => return self.look(key, id, LOOKS_AGAIN, ctx),
        };
        let made = order.is_some();
        if order.is_none_or(|order| order.status() != OrderStatus::Pending) {
            self.settled(key.0, id);
        }
        if self.placing.get(&key).is_some_and(|placing| placing.order == id) {
            let answer = answer.and_then(|reply| reply.ok_or(Outage::Rebuilding));
            self.placed(key, id, &answer, ctx);
        } else if !made {
            self.made.remove(key.0, &key.1, id);
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

fn entry_of(wish: &Wish, order: OrderId) -> DeskEntry {
    DeskEntry {
        order,
        traveller: wish.traveller,
        idempotency_key: wish.idempotency_key.clone(),
        body_hash: wish.body_hash,
        status: OrderStatus::Pending,
    }
}

impl Handler<Place> for Desk {
    type Result = MessageResult<Place>;

    fn handle(&mut self, Place(wish): Place, ctx: &mut Context<Desk>) -> MessageResult<Place> {
        self.turn.taken(ctx);
        MessageResult(self.place(&wish, ctx))
    }
}

impl Handler<Settled> for Desk {
    type Result = ();

    fn handle(&mut self, message: Settled, _: &mut Context<Desk>) {
        self.settled(message.traveller, message.order);
    }
}

impl Handler<Forget> for Desk {
    type Result = ();

    fn handle(&mut self, message: Forget, _: &mut Context<Desk>) {
        if self.made.remove(message.traveller, &message.idempotency_key, message.order) {
            self.settled(message.traveller, message.order);
        }
    }
}

impl Handler<Recent> for Desk {
    type Result = MessageResult<Recent>;

    fn handle(&mut self, Recent(traveller): Recent, _: &mut Context<Desk>) -> MessageResult<Recent> {
        MessageResult(self.made.recent(traveller, self.services.clock.now()))
    }
}
