//! The desk of a shard of travellers: gives out order ids, keeps each traveller's Idempotency-Keys of the last 48 hours
//! and counts the unpaid orders (R-HOLD-05, R-HOLD-08). It writes no records: an order's first record carries its key,
//! and a desk that starts reads them back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use deeptravel_domain::ids::{OrderId, TravellerId};
use deeptravel_domain::order::{Order, OrderStatus, Wish};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::order::{Pending, Placement, Seed as OrderSeed};
use crate::outage::{Answer, Outage, Reply};
use crate::ports::DeskEntry;
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::services::Services;

/// How long a key is remembered (R-HOLD-05).
pub const KEYS_KEPT_SECONDS: i64 = 48 * 60 * 60;

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
    Placing { body_hash: [u8; 32], waiting: Vec<oneshot::Sender<Answer<Box<Order>>>> },
    Made { body_hash: [u8; 32], order: OrderId },
}

/// See the module's documentation.
pub struct Desk {
    services: Arc<Services>,
    keys: HashMap<Key, Known>,
    by_age: VecDeque<(Timestamp, Key)>,
    unpaid: HashMap<TravellerId, HashSet<OrderId>>,
}

impl Owner for Desk {
    /// The number of the shard.
    type Id = usize;
    type Seed = Vec<DeskEntry>;

    const KIND: &'static str = "desk";
    const READS_OTHERS: bool = true;

    fn keys(services: &Services) -> &Keys<Desk> {
        &services.desks
    }

    fn load(services: Arc<Services>, shard: usize) -> BoxFuture<'static, Result<Option<Vec<DeskEntry>>, Outage>> {
        Box::pin(async move {
            let since = services.clock.now().plus_seconds(-KEYS_KEPT_SECONDS);
            let mut entries = services.store.desk_entries(since).await.map_err(|error| {
                tracing::warn!(desk = shard, %error, "Desk {shard} cannot be read: {error}");
                Outage::Storage
            })?;
            entries.retain(|entry| services.desk_of(entry.traveller) == shard);
            Ok(Some(entries))
        })
    }

    fn build(services: Arc<Services>, _: usize, mut entries: Vec<DeskEntry>, _: Arc<Vitals>) -> Result<Desk, Outage> {
        let mut desk = Desk { services, keys: HashMap::new(), by_age: VecDeque::new(), unpaid: HashMap::new() };
        entries.sort_by_key(|entry| entry.order);
        for entry in entries {
            let key = (entry.traveller, entry.idempotency_key);
            desk.by_age.push_back((entry.order.made_at(), key.clone()));
            desk.keys.insert(key, Known::Made { body_hash: entry.body_hash, order: entry.order });
            if entry.status == OrderStatus::Pending {
                desk.unpaid.entry(entry.traveller).or_default().insert(entry.order);
            }
        }
        Ok(desk)
    }
}

impl Actor for Desk {
    type Context = Context<Desk>;
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
        self.keys.insert(key.clone(), Known::Placing { body_hash: wish.body_hash, waiting: vec![sender] });
        self.unpaid.entry(wish.traveller).or_default().insert(id);
        self.services.orders.put(&id, OrderSeed::new(draft, now));
        let services = Arc::clone(&self.services);
        let placement = async move {
            match services.orders.ask(&id, Placement).await {
                Ok(Some(placement)) => placement.await.unwrap_or(Err(Outage::Rebuilding)),
                Ok(None) => Err(Outage::Rebuilding),
                Err(outage) => Err(outage),
            }
        };
        ctx.spawn(placement.into_actor(self).map(move |answer, desk, _| desk.placed(&key, id, &answer)));
        Placed::New(receiver)
    }

    fn placed(&mut self, key: &Key, id: OrderId, answer: &Answer<Box<Order>>) {
        let Some(Known::Placing { body_hash, waiting }) = self.keys.remove(key) else { return };
        match answer {
            // Refusals are not remembered: the same key may try again.
            Ok(Reply { outcome: Err(_), .. }) => self.settled(key.0, id),
            // After an outage it may have been placed: whoever asks again looks.
            Ok(Reply { outcome: Ok(_), .. }) | Err(_) => {
                self.by_age.push_back((id.made_at(), key.clone()));
                self.keys.insert(key.clone(), Known::Made { body_hash, order: id });
            }
        }
        for sender in waiting {
            // Whoever waited may have gone.
            let _ = sender.send(answer.clone());
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

impl Handler<Place> for Desk {
    type Result = MessageResult<Place>;

    fn handle(&mut self, Place(wish): Place, ctx: &mut Context<Desk>) -> MessageResult<Place> {
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
