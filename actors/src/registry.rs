//! The registry: starts and ends the actors of one kind of key, wakes them from rows, and rebuilds one that panicked
//! (rules 6 and 20). Nobody else starts or stops an owner.
//!
//! actix has no supervision that fits: its `Supervisor` re-uses the half-changed value and does not see panics, and its
//! mailbox is no bound. So an actor runs as a task that the registry watches; when the task has ended by a panic, a new
//! actor is built from durable rows once they contain everything the old one had appended.

mod arbiters;
pub mod birth;
pub mod cell;
mod dormant;
mod ending;
pub mod hand;
mod rebuild;
#[cfg(test)]
mod testing;
mod under_way;

use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use actix::dev::channel;
use actix::{Actor, Addr, Context, Handler, Message};
use dashmap::{DashMap, Entry, OccupiedEntry};
use deeptravel_domain::row::Damage;
use deeptravel_domain::time::Timestamp;
use tokio::sync::oneshot;

pub use arbiters::{Arbiters, home_of};
use cell::Shared as _;
use dormant::Deadlines;
pub use dormant::{Gauge, Look, Rest};
use ending::Ending;
use hand::{AtHand, Hands};
pub use rebuild::Vitals;
pub use under_way::UnderWay;

use crate::ask::{Ask, NOT_TOLD_APART, Question, asking};
use crate::outage::{Outage, Reply};
use crate::parts::Parts;
use crate::ports::StoreError;

/// Keys of one kind that may be read from Postgres at once; more would only queue for its connections (rule 13).
const WAKES_MAX: usize = 1_024;

/// Slots lie in so many tables, each with its own lock. One that grows is moved as a whole, and whoever wants a key of
/// it waits: of a million orders it has four thousand.
const TABLES: usize = 256;

/// Envelopes an actor's queue takes before senders are parked. The real bound is that of requests under way.
const MAILBOX: usize = 16;

/// The last message of an owner that wants to sleep, see [`Keys::retire`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Sleep;

/// The shell of one key's machine, as the registry needs it.
pub trait Owner: Actor<Context = Context<Self>> {
    type Id: Clone + Eq + Hash + Debug + Display + Send + Sync + 'static;
    /// Of ids: the fast one if nobody outside chooses them.
    type Hash: BuildHasher + Clone + Default + Send + Sync + 'static;
    /// What an actor starts from: rows read, or what was born just now.
    type Seed: Send + 'static;
    /// What lies in the slot of a key at hand. Owners that never do so have `Infallible`.
    type Hand: hand::Hand<Self>;
    /// What askers may have a turn of while the actor is idle. Owners that are asked by message only have `()`.
    type Shared: cell::Shared;
    /// What owners of this kind know of the outside.
    type World: Send + Sync + 'static;

    const KIND: &'static str;

    /// Keys with the same home run on the same arbiter, so that those that talk most need no other thread for it.
    fn home(id: &Self::Id) -> u64 {
        home_of(id)
    }

    /// Loads what a start asks for (rule 14). Everything durable has been projected before.
    fn start(
        world: Arc<Self::World>,
        keys: Arc<Keys<Self>>,
    ) -> impl Future<Output = Result<(), StartError>> + Send + 'static;

    /// `None`: there is no such key.
    fn load(
        world: Arc<Self::World>,
        id: Self::Id,
    ) -> impl Future<Output = Result<Option<Self::Seed>, StartError>> + Send + 'static;

    /// A seed from what [`Keys::rest`] was given. Runs on the actor's arbiter. Owners that never rest have none.
    fn unpack(_id: &Self::Id, _packed: &[u8]) -> Option<Self::Seed> {
        None
    }

    /// What becomes of a dormant key whose time has come. Called while the key's slot is locked.
    fn look(_world: &Self::World, _id: &Self::Id, _packed: &[u8], _now: Timestamp) -> Look {
        Look::Act
    }

    /// Runs on the actor's arbiter.
    fn build(world: Arc<Self::World>, post: Post<Self>, seed: Self::Seed) -> Result<Self, Outage>;
}

/// Why an owner, or the engine, did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("stored rows cannot be used: {0}")]
    Rows(#[from] Damage),
    #[error(transparent)]
    Owner(#[from] Outage),
}

/// An owner's place: which key it is, where it is registered, and how it is.
pub struct Post<A: Owner> {
    pub id: A::Id,
    pub keys: Arc<Keys<A>>,
    pub vitals: Arc<Vitals>,
    pub shared: A::Shared,
}

/// What an actor starts from.
enum Origin<A: Owner> {
    Seed(A::Seed),
    Packed(Box<[u8]>),
}

/// What has been found about a key that nobody owned.
pub enum Woken<A: Owner> {
    /// Its owner starts from this.
    Awake(A::Seed),
    /// There is nothing to do for it now.
    Dormant(Rest),
    /// There is no such key.
    Absent,
}

/// Told `true` when the key has an owner again, `false` when there is no such key.
type Waiting = oneshot::Sender<Result<bool, Outage>>;
type Woke = oneshot::Receiver<Result<bool, Outage>>;

/// A key's actor.
struct Live<A: Owner> {
    addr: Addr<A>,
    shared: A::Shared,
    generation: u64,
    /// It is to end.
    leaving: Option<Leaving>,
}

#[derive(Default)]
struct Leaving {
    /// These wait until it has ended and then wake it again.
    waiting: Vec<Waiting>,
    /// The owner becomes dormant; otherwise it sleeps.
    rest: Option<Rest>,
}

impl<A: Owner> Live<A> {
    /// What its owner has no more use for is dropped, and whoever asked learns of that.
    fn send<M: Message<Result = ()> + Send + 'static>(&self, message: M)
    where
        A: Handler<M>,
    {
        self.shared.has_mail();
        // A fresh clone always has room for one message; this address might be parked.
        let _ = self.addr.clone().try_send(message);
    }
}

/// Most slots are dormant ones: what others need stands in boxes of its own.
enum Slot<A: Owner> {
    Live(Box<Live<A>>),
    /// No actor; its whole state is here.
    Dormant(Rest),
    /// No actor; its machine is here, as it is.
    AtHand(Box<AtHand<A>>),
    /// Being read from Postgres, or made; these wait.
    Waking(Vec<Waiting>),
    /// Ended by a fault; answered 503 until it is back.
    Rebuilding,
}

impl<A: Owner> Slot<A> {
    /// The actor, if it takes messages.
    fn awake(&self) -> Option<&Live<A>> {
        match self {
            Slot::Live(live) if live.leaving.is_none() => Some(live),
            Slot::Live(_) | Slot::Dormant(_) | Slot::AtHand(_) | Slot::Waking(_) | Slot::Rebuilding => None,
        }
    }
}

/// How one kind of owner fares.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub kind: &'static str,
    /// Keys with an actor.
    pub live: usize,
    /// Actors rebuilt after a fault since the start.
    pub restarts: u64,
}

/// All keys of one kind.
pub struct Keys<A: Owner> {
    this: Weak<Keys<A>>,
    world: OnceLock<Weak<A::World>>,
    parts: Arc<Parts>,
    arbiters: Arbiters,
    slots: DashMap<A::Id, Slot<A>, A::Hash>,
    asks: AtomicUsize,
    wakes: AtomicUsize,
    generations: AtomicU64,
    /// How often a command has ended its owner.
    deaths: DashMap<(A::Id, u64), u32>,
    /// How many commands are set aside: while there are none, asking need not look.
    set_aside: AtomicUsize,
    restarts: AtomicU64,
    dormant: Gauge,
    at_hand: Hands<A::Id>,
    /// Of keys without an actor, per arbiter.
    deadlines: Vec<Deadlines<A::Id>>,
}

impl<A: Owner> Debug for Keys<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kind", &A::KIND).field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

impl<A: Owner> Keys<A> {
    /// Of a world that is still to be [settled](Keys::settle).
    pub fn new(parts: &Arc<Parts>, arbiters: &Arbiters) -> Arc<Keys<A>> {
        Arc::new_cyclic(|this| Keys {
            this: this.clone(),
            world: OnceLock::new(),
            slots: DashMap::with_hasher_and_shard_amount(A::Hash::default(), TABLES),
            deadlines: (0..arbiters.count()).map(|_| Deadlines::default()).collect(),
            parts: Arc::clone(parts),
            arbiters: arbiters.clone(),
            asks: AtomicUsize::new(0),
            wakes: AtomicUsize::new(0),
            generations: AtomicU64::new(1),
            deaths: DashMap::new(),
            set_aside: AtomicUsize::new(0),
            restarts: AtomicU64::new(0),
            dormant: Gauge::default(),
            at_hand: Hands::default(),
        })
    }

    /// From now on owners are built in this world, as long as somebody keeps it.
    pub fn settle(&self, world: &Arc<A::World>) {
        let settled = self.world.set(Arc::downgrade(world)).is_ok();
        debug_assert!(settled, "a registry is settled once");
    }

    /// What the process plugged in.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    fn world(&self) -> Option<Arc<A::World>> {
        self.world.get()?.upgrade()
    }

    /// How many keys are dormant, and what they take.
    pub fn dormant(&self) -> &Gauge {
        &self.dormant
    }

    pub fn figures(&self) -> Figures {
        let live = self.slots.len().saturating_sub(self.dormant.keys() + self.at_hand().keys());
        Figures { kind: A::KIND, live, restarts: self.restarts.load(Ordering::Relaxed) }
    }

    /// Whether the key can answer without Postgres. One that retires can, but for those that are about to sleep.
    pub fn is_in_memory(&self, id: &A::Id) -> bool {
        self.slots.get(id).is_some_and(|slot| matches!(&*slot, Slot::Live(_) | Slot::Dormant(_) | Slot::AtHand(_)))
    }

    /// Asks a key's owner, waking it if it is dormant or sleeps. The answer is durable. `Ok(None)`: there is no such key.
    ///
    /// After [`Outage::Rebuilding`] the question may have had its effect or not, as after a crash of the process.
    pub async fn ask<Q: Question<A>>(&self, id: &A::Id, question: Q) -> Result<Option<Reply<Q::Answer>>, Outage>
    where
        A: Handler<Ask<Q, Q::Answer>>,
    {
        let (asker, asked) = asking(&self.parts.journal);
        let told = self.tell(id, question.fingerprint(), Ask { question, asker }).await?;
        let Some(_under_way) = told else { return Ok(None) };
        asked.durable().await.map(Some)
    }

    /// Gives a key's owner a message that says whom to answer, waking it if it is dormant or sleeps. No task is
    /// woken for its mere delivery. `Ok(None)`: there is no such key.
    pub async fn tell<M>(&self, id: &A::Id, fingerprint: u64, mut message: M) -> Result<Option<UnderWay<'_>>, Outage>
    where
        M: Message<Result = ()> + Send + 'static,
        A: Handler<M>,
    {
        let under_way = self.under_way()?;
        if self.is_set_aside(id, fingerprint) {
            return Err(Outage::SetAside);
        }
        while let Some((unsent, woke)) = self.send(id, message)? {
            if !woke.await.unwrap_or(Err(Outage::Rebuilding))? {
                return Ok(None);
            }
            message = unsent;
        }
        Ok(Some(under_way))
    }

    /// As [`Keys::tell`], if the owner is awake. Otherwise the message comes back.
    pub fn hand_over<M>(&self, id: &A::Id, fingerprint: u64, message: M) -> Result<(), M>
    where
        M: Message<Result = ()> + Send + 'static,
        A: Handler<M>,
    {
        if self.is_set_aside(id, fingerprint) {
            return Err(message);
        }
        let Some(slot) = self.slots.get(id) else { return Err(message) };
        let Some(live) = slot.awake() else { return Err(message) };
        live.send(message);
        Ok(())
    }

    /// Puts the message into the owner's mailbox while the key's slot is locked: an owner that wants to sleep has it
    /// before [`Sleep`], or its sender finds the key retiring. It comes back if the owner is not there yet.
    fn send<M>(&self, id: &A::Id, message: M) -> Result<Option<(M, Woke)>, Outage>
    where
        M: Message<Result = ()> + Send + 'static,
        A: Handler<M>,
    {
        if let Some(slot) = self.slots.get(id)
            && let Some(live) = slot.awake()
        {
            live.send(message);
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        match self.slots.entry(id.clone()) {
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Slot::Live(live) => {
                    let Some(leaving) = &mut live.leaving else {
                        live.send(message);
                        return Ok(None);
                    };
                    leaving.waiting.push(sender);
                }
                Slot::Rebuilding => return Err(Outage::Rebuilding),
                Slot::Dormant(rest) => {
                    let live = self.rouse(id, rest);
                    live.send(message);
                    entry.insert(Slot::Live(Box::new(live)));
                    return Ok(None);
                }
                Slot::AtHand(at_hand) => match self.rouse_hand(id, at_hand) {
                    Some(live) => {
                        live.send(message);
                        entry.insert(Slot::Live(Box::new(live)));
                        return Ok(None);
                    }
                    None => at_hand.wait(sender),
                },
                Slot::Waking(waiting) => waiting.push(sender),
            },
            Entry::Vacant(entry) => {
                if self.wakes.load(Ordering::Relaxed) >= WAKES_MAX {
                    return Err(Outage::Overloaded);
                }
                entry.insert(Slot::Waking(vec![sender]));
                self.wake(id.clone());
            }
        }
        Ok(Some((message, receiver)))
    }

    fn wake(&self, id: A::Id) {
        let (Some(keys), Some(world)) = (self.this.upgrade(), self.world()) else { return };
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.parts.io.spawn(async move {
            let woken = load::<A>(world, &id).await;
            keys.wakes.fetch_sub(1, Ordering::Relaxed);
            keys.woken(&id, woken);
        });
    }

    /// What has become of a key for which others wait.
    pub fn woken(&self, id: &A::Id, woken: Result<Woken<A>, Outage>) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        let Slot::Waking(waiting) = entry.get_mut() else { return };
        let waiting = std::mem::take(waiting);
        // One that cannot be read is not kept: whoever asks next looks again.
        let outage = woken.as_ref().err().copied();
        let exists = self.fill(entry, woken.unwrap_or(Woken::Absent));
        tell_all(waiting, outage.map_or(Ok(exists), Err));
    }

    /// Whether there is such a key.
    fn fill(&self, mut entry: OccupiedEntry<'_, A::Id, Slot<A>>, woken: Woken<A>) -> bool {
        match woken {
            Woken::Awake(seed) => {
                let live = self.start(entry.key(), Origin::Seed(seed));
                entry.insert(Slot::Live(Box::new(live)));
            }
            Woken::Dormant(rest) => {
                self.dormant.add(rest.packed.len());
                self.deadlines_of(entry.key()).note(rest.due, entry.key().clone());
                entry.insert(Slot::Dormant(rest));
            }
            Woken::Absent => {
                entry.remove();
                return false;
            }
        }
        true
    }

    /// Starts an owner that is known not to exist yet, or whose rows have been read in bulk. `false`: it exists.
    pub fn put(&self, id: &A::Id, seed: A::Seed) -> bool {
        let Entry::Vacant(entry) = self.slots.entry(id.clone()) else { return false };
        entry.insert(Slot::Live(Box::new(self.start(id, Origin::Seed(seed)))));
        true
    }

    /// To be called while the key's slot is locked, so that an owner that ends at once finds itself in it.
    fn start(&self, id: &A::Id, origin: Origin<A>) -> Live<A> {
        let (sender, receiver) = channel::channel(MAILBOX);
        let (vitals, shared) = (Arc::new(Vitals::new()), A::Shared::default());
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let (keys, id, its) = (self.this.clone(), id.clone(), shared.clone());
        self.arbiters.run_at(self.place(&id), move || {
            let Some(keys) = keys.upgrade() else { return };
            let ending = Ending::<A> { post: Post { id, keys, vitals, shared: its }, generation, end: None };
            actix_rt::spawn(async move {
                let outcome = ending.run(receiver, origin).await;
                ending.with(outcome);
            });
        });
        Live { addr: Addr::new(sender), shared, generation, leaving: None }
    }

    /// Index of the key's arbiter.
    fn place(&self, id: &A::Id) -> usize {
        self.arbiters.place(A::home(id))
    }

    /// An owner asks to leave memory: from here on whoever asks waits, and after the messages it has got already it
    /// gets [`Sleep`]. Then it either stops, everything being projected and nothing under way, or [`Keys::rest`]s, or
    /// [`Keys::stay`]s.
    pub fn retire(&self, id: &A::Id)
    where
        A: Handler<Sleep>,
    {
        if let Some(mut slot) = self.slots.get_mut(id)
            && let Slot::Live(live) = &mut *slot
            && live.leaving.is_none()
        {
            live.send(Sleep);
            live.leaving = Some(Leaving::default());
        }
    }

    /// The owner that asked to leave has something to do again.
    pub fn stay(&self, id: &A::Id) {
        let Some(mut slot) = self.slots.get_mut(id) else { return };
        let Slot::Live(live) = &mut *slot else { return };
        let Some(leaving) = live.leaving.take() else { return };
        drop(slot);
        tell_all(leaving.waiting, Ok(true));
    }
}

/// Reads a key's rows. A panic in there is a fault of the key, not of those who wait for it.
async fn load<A: Owner>(world: Arc<A::World>, id: &A::Id) -> Result<Woken<A>, Outage> {
    let loaded = tokio::spawn(A::load(world, id.clone())).await.unwrap_or_else(|error| {
        tracing::error!(kind = A::KIND, %id, %error, "Reading {} {id} panicked", A::KIND);
        Err(Outage::Rebuilding.into())
    });
    match loaded {
        Ok(seed) => Ok(seed.map_or(Woken::Absent, Woken::Awake)),
        Err(StartError::Owner(outage)) => Err(outage),
        Err(StartError::Rows(damage)) => Err(damage.into()),
        Err(StartError::Store(error)) => {
            tracing::warn!(kind = A::KIND, %id, %error, "{} {id} cannot be read: {error}", A::KIND);
            Err(Outage::Storage)
        }
    }
}

fn tell_all(waiting: Vec<Waiting>, result: Result<bool, Outage>) {
    for sender in waiting {
        // Whoever asked may have gone.
        let _ = sender.send(result);
    }
}
