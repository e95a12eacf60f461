//! The desk of a shard of travellers: gives out order ids, keeps each traveller's Idempotency-Keys of the last 48 hours
//! and counts the unpaid orders (R-HOLD-05, R-HOLD-08). It writes no records: an order's first record carries its key,
//! and a desk that starts reads them back.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use deeptravel_domain::ids::{OrderId, TravellerId};
use deeptravel_domain::order::{Order, OrderStatus, Wish};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;
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
pub struct Place(pub Box<Wish>);

impl Message for Place {
    type Result = Placed;
}

/// What became of the wish.
#[derive(Debug)]
pub enum Placed {
    /// This key has made this order before.
    Known(OrderId),
    /// It is being made; the answer of its placement comes here.
    New(Pending<Box<Order>>),
    /// The same request is under way already; its answer comes here too.
    Joined(Pending<Box<Order>>),
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

#[derive(Debug)]
enum Known {
    Placing { body_hash: [u8; 32], order: OrderId, waiting: Vec<oneshot::Sender<Answer<Box<Order>>>> },
    Made { body_hash: [u8; 32], order: OrderId },
}

/// See the module's documentation.
pub struct Desk {
    services: Arc<Services>,
    /// Sorted, so that a traveller's keys are together.
    keys: BTreeMap<Key, Known>,
    by_age: VecDeque<(Timestamp, Key)>,
    unpaid: HashMap<TravellerId, HashSet<OrderId>>,
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
        let (keys, by_age, unpaid) = (BTreeMap::new(), VecDeque::new(), HashMap::new());
        let mut desk = Desk { services, keys, by_age, unpaid, turn: Turn::default() };
        entries.sort_by_key(|entry| entry.order);
        for entry in entries {
            let key = (entry.traveller, entry.idempotency_key);
            desk.by_age.push_back((entry.order.made_at(), key.clone()));
            desk.keys.insert(key, Known::Made { body_hash: entry.body_hash, order: entry.order });
            if entry.status == OrderStatus::Pending {
                desk.unpaid.entry(entry.traveller).or_default().insert(entry.order);
            }
        }
        for entry in in_flight {
            desk.unpaid.entry(entry.traveller).or_default().insert(entry.order);
            let placing = Known::Placing { body_hash: entry.body_hash, order: entry.order, waiting: Vec::new() };
            desk.keys.insert((entry.traveller, entry.idempotency_key), placing);
        }
        Ok(desk)
    }
}

impl Actor for Desk {
    type Context = Context<Desk>;

    fn started(&mut self, ctx: &mut Context<Desk>) {
        let placing = self.keys.iter().filter_map(|(key, known)| match known {
            Known::Placing { order, .. } => Some((key.clone(), *order)),
            Known::Made { .. } => None,
        });
        for (key, order) in placing.collect::<Vec<_>>() {
            self.look(key, order, Duration::ZERO, ctx);
        }
    }
}

impl Desk {
    fn forget_old_keys(&mut self, now: Timestamp) {
        let oldest = now.plus_seconds(-KEYS_KEPT_SECONDS);
        while self.by_age.front().is_some_and(|(at, _)| *at < oldest) {
            let Some((_, key)) = self.by_age.pop_front() else { return };
            if matches!(self.keys.get(&key), Some(Known::Made { order, .. }) if order.made_at() < oldest) {
                self.keys.remove(&key);
            }
        }
    }

    fn place(&mut self, wish: &Wish, ctx: &mut Context<Desk>) -> Placed {
        let now = self.services.clock.now();
        self.forget_old_keys(now);
        let key: Key = (wish.traveller, wish.idempotency_key.clone());
        match self.keys.get_mut(&key) {
            Some(Known::Placing { body_hash, .. } | Known::Made { body_hash, .. }) if *body_hash != wish.body_hash => {
                return Placed::Refused(Rejection::IdempotencyMismatch);
            }
            Some(Known::Made { order, .. }) => return Placed::Known(*order),
            Some(Known::Placing { waiting, .. }) => {
                let (sender, receiver) = oneshot::channel();
                waiting.push(sender);
                return Placed::Joined(receiver);
            }
            None => {}
        }
        if let Err(outage) = admit_sale(&self.services.journal) {
            return Placed::Unavailable(outage);
        }
        let limit = self.services.sales.live_holds_max;
        if self.unpaid.get(&wish.traveller).is_some_and(|orders| orders.len() >= limit as usize) {
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
        self.keys.insert(key.clone(), Known::Placing { body_hash: wish.body_hash, order: id, waiting });
        self.unpaid.entry(wish.traveller).or_default().insert(id);
        let in_flight = InFlight::note(&self.services, entry_of(wish, id));
        let (placed, placement) = oneshot::channel();
        self.services.orders.put(&id, OrderSeed::draft(draft, now, in_flight, placed));
        // Without an answer the order's owner has ended.
        let placement = async move { placement.await.unwrap_or(Err(Outage::Rebuilding)) };
        ctx.spawn(placement.into_actor(self).map(move |answer, desk, ctx| desk.placed(key, id, &answer, ctx)));
        Placed::New(receiver)
    }

    fn placed(&mut self, key: Key, id: OrderId, answer: &Answer<Box<Order>>, ctx: &mut Context<Desk>) {
        let Some(Known::Placing { body_hash, waiting, .. }) = self.keys.remove(&key) else { return };
        match answer {
            // Refusals are not remembered: the same key may try again.
            Ok(Reply { outcome: Err(_), .. }) => self.settled(key.0, id),
            // After an outage it may have been placed: whoever asks again looks, and so does the desk.
            Ok(Reply { outcome: Ok(_), .. }) | Err(_) => {
                self.by_age.push_back((id.made_at(), key.clone()));
                self.keys.insert(key.clone(), Known::Made { body_hash, order: id });
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
        answer: Result<Option<Reply<Box<Order>>>, Outage>,
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
        match self.keys.get(&key) {
            Some(Known::Placing { order, .. }) if *order == id => {
                let answer = answer.and_then(|reply| reply.ok_or(Outage::Rebuilding));
                self.placed(key, id, &answer, ctx);
            }
            Some(Known::Made { order, .. }) if *order == id && !made => {
                self.keys.remove(&key);
            }
            Some(Known::Placing { .. } | Known::Made { .. }) | None => {}
        }
    }

    fn settled(&mut self, traveller: TravellerId, order: OrderId) {
        if let Some(orders) = self.unpaid.get_mut(&traveller) {
            orders.remove(&order);
            if orders.is_empty() {
                self.unpaid.remove(&traveller);
            }
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
        let key = (message.traveller, message.idempotency_key);
        if matches!(self.keys.get(&key), Some(Known::Made { order, .. }) if *order == message.order) {
            self.keys.remove(&key);
            self.settled(message.traveller, message.order);
        }
    }
}

impl Handler<Recent> for Desk {
    type Result = MessageResult<Recent>;

    fn handle(&mut self, Recent(traveller): Recent, _: &mut Context<Desk>) -> MessageResult<Recent> {
        let first: Key = (traveller, Box::default());
        let own = self.keys.range(first..).take_while(|((owner, _), _)| *owner == traveller);
        let mut orders: Vec<OrderId> = own
            .filter_map(|(_, known)| match known {
                Known::Made { order, .. } => Some(*order),
                Known::Placing { .. } => None,
            })
            .collect();
        orders.sort_unstable_by(|a, b| b.cmp(a));
        MessageResult(orders)
    }
}
