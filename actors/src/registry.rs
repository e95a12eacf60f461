//! The registry: starts and ends the actors of one kind of key, wakes them from rows, and rebuilds one that panicked
//! (rules 6 and 20). Nobody else starts or stops an owner.
//!
//! actix has no supervision that fits: its `Supervisor` re-uses the half-changed value and does not see panics, and its
//! mailbox is no bound. So an actor runs as a task that the registry watches; when the task has ended by a panic, a new
//! actor is built from durable rows once they contain everything the old one had appended.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::dev::{ToEnvelope, channel};
use actix::{Actor, Addr, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use dashmap::{DashMap, DashSet, Entry};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::journal::Position;
use crate::outage::Outage;
use crate::services::Services;

/// Requests to owners of one kind that may be under way at once. Above the ten thousand orders that must be in flight
/// together (spec section 12), and small enough that their replies fit memory.
const ASKS_MAX: usize = 32_768;

/// Envelopes an actor's queue takes before senders are parked. The real bound is [`ASKS_MAX`].
const MAILBOX: usize = 16;

/// A command that ended its owner this often is set aside (rule 20).
const DEATHS_MAX: u32 = 2;

/// Pause between attempts to rebuild an owner while Postgres is away.
const REBUILD_PAUSE: Duration = Duration::from_millis(500);

/// Fingerprint of messages that are not set aside: they only read, or come from administrators who see the fault.
pub const NOT_TOLD_APART: u64 = 0;

/// A message to an owner that changes something, told apart from others by a number that is the same when the same
/// message is sent again.
pub trait Fingerprint {
    fn fingerprint(&self) -> u64;
}

/// The shell of one key's machine, as the registry needs it.
pub trait Owner: Actor<Context = Context<Self>> {
    type Id: Clone + Eq + Hash + Debug + Display + Send + Sync + 'static;
    /// What an actor starts from: rows read, or what was born just now.
    type Seed: Send + 'static;

    const KIND: &'static str;

    /// Whether a successor reads rows that other owners wrote: it then waits until all of them are projected.
    const READS_OTHERS: bool = false;

    fn keys(services: &Services) -> &Keys<Self>;

    /// `None`: there is no such key.
    fn load(services: Arc<Services>, id: Self::Id) -> BoxFuture<'static, Result<Option<Self::Seed>, Outage>>;

    /// Runs on the actor's arbiter.
    fn build(services: Arc<Services>, id: Self::Id, seed: Self::Seed, vitals: Arc<Vitals>) -> Result<Self, Outage>;
}

/// What the registry knows of a running actor without asking it.
#[derive(Debug, Default)]
pub struct Vitals {
    last_position: AtomicU64,
    /// Fingerprint of the message being handled; 0 between messages.
    handling: AtomicU64,
    /// The machine is ahead of its log: the actor has stopped itself and must be rebuilt.
    failed: AtomicBool,
}

impl Vitals {
    pub fn handling(&self, fingerprint: u64) {
        self.handling.store(fingerprint, Ordering::Relaxed);
    }

    pub fn handled(&self) {
        self.handling.store(0, Ordering::Relaxed);
    }

    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub fn appended(&self, position: Position) {
        self.last_position.store(position.0, Ordering::Release);
    }

    pub fn last_position(&self) -> Position {
        Position(self.last_position.load(Ordering::Acquire))
    }
}

type Waiting<A> = oneshot::Sender<Result<Option<Addr<A>>, Outage>>;

enum Slot<A: Owner> {
    Live {
        addr: Addr<A>,
        generation: u64,
    },
    /// Being read from Postgres; these wait.
    Waking(Vec<Waiting<A>>),
    /// On its way out of memory; these wait until it has ended and then wake it again.
    Retiring {
        generation: u64,
        waiting: Vec<Waiting<A>>,
    },
    /// Ended by a panic; answered 503 until it is back.
    Rebuilding,
}

/// All keys of one kind.
pub struct Keys<A: Owner> {
    slots: DashMap<A::Id, Slot<A>>,
    arbiters: Vec<ArbiterHandle>,
    services: Weak<Services>,
    asks: AtomicUsize,
    generations: AtomicU64,
    deaths: DashMap<A::Id, HashMap<u64, u32>>,
    set_aside: DashSet<(A::Id, u64)>,
    restarts: AtomicU64,
}

impl<A: Owner> Debug for Keys<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kind", &A::KIND).field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

/// Counts one request under way.
struct Ask<'a>(&'a AtomicUsize);

impl Drop for Ask<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Owner> Keys<A> {
    pub fn new(arbiters: Vec<ArbiterHandle>, services: Weak<Services>) -> Keys<A> {
        Keys {
            slots: DashMap::new(),
            arbiters,
            services,
            asks: AtomicUsize::new(0),
            generations: AtomicU64::new(1),
            deaths: DashMap::new(),
            set_aside: DashSet::new(),
            restarts: AtomicU64::new(0),
        }
    }

    /// Keys that are in memory.
    pub fn live(&self) -> usize {
        self.slots.len()
    }

    /// Actors rebuilt after a panic since the start.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Sends a message to a key's owner, waking it if it sleeps. `Ok(None)`: there is no such key.
    pub async fn ask<M>(&self, id: &A::Id, message: M) -> Result<Option<M::Result>, Outage>
    where
        M: Message + Fingerprint + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        if self.asks.fetch_add(1, Ordering::Relaxed) >= ASKS_MAX {
            self.asks.fetch_sub(1, Ordering::Relaxed);
            return Err(Outage::Overloaded);
        }
        let _ask = Ask(&self.asks);
        if !self.set_aside.is_empty() && self.set_aside.contains(&(id.clone(), message.fingerprint())) {
            return Err(Outage::SetAside);
        }
        let Some(addr) = self.address(id).await? else { return Ok(None) };
        // A closed mailbox: it panicked, or went to sleep between the look-up and the send. Nothing was decided.
        addr.send(message).await.map(Some).map_err(|_| Outage::Rebuilding)
    }

    async fn address(&self, id: &A::Id) -> Result<Option<Addr<A>>, Outage> {
        if let Some(slot) = self.slots.get(id) {
            match &*slot {
                Slot::Live { addr, .. } => return Ok(Some(addr.clone())),
                Slot::Rebuilding => return Err(Outage::Rebuilding),
                Slot::Waking(_) | Slot::Retiring { .. } => {}
            }
        }
        let (sender, receiver) = oneshot::channel();
        match self.slots.entry(id.clone()) {
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Slot::Live { addr, .. } => return Ok(Some(addr.clone())),
                Slot::Rebuilding => return Err(Outage::Rebuilding),
                Slot::Waking(waiting) | Slot::Retiring { waiting, .. } => waiting.push(sender),
            },
            Entry::Vacant(entry) => {
                entry.insert(Slot::Waking(vec![sender]));
                self.wake(id.clone());
            }
        }
        receiver.await.unwrap_or(Err(Outage::Rebuilding))
    }

    fn wake(&self, id: A::Id) {
        let Some(services) = self.services.upgrade() else { return };
        services.io.clone().spawn(async move {
            let loaded = A::load(Arc::clone(&services), id.clone()).await;
            A::keys(&services).woken(&id, loaded);
        });
    }

    fn woken(&self, id: &A::Id, loaded: Result<Option<A::Seed>, Outage>) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        let Slot::Waking(waiting) = entry.get_mut() else { return };
        let waiting = std::mem::take(waiting);
        let result = match loaded {
            Ok(Some(seed)) => {
                let (slot, addr) = self.start(id, seed);
                entry.insert(slot);
                Ok(Some(addr))
            }
            Ok(None) => {
                entry.remove();
                Ok(None)
            }
            Err(outage) => {
                entry.remove();
                Err(outage)
            }
        };
        for sender in waiting {
            // Whoever asked may have gone.
            let _ = sender.send(result.clone());
        }
    }

    /// Starts an owner that is known not to exist yet, or whose rows have been read in bulk.
    pub fn put(&self, id: &A::Id, seed: A::Seed) -> Option<Addr<A>> {
        match self.slots.entry(id.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                let (slot, addr) = self.start(id, seed);
                entry.insert(slot);
                Some(addr)
            }
        }
    }

    fn start(&self, id: &A::Id, seed: A::Seed) -> (Slot<A>, Addr<A>) {
        let (sender, receiver) = channel::channel(MAILBOX);
        let addr = Addr::new(sender);
        let vitals = Arc::new(Vitals::default());
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let slot = Slot::Live { addr: addr.clone(), generation };
        let (services, id) = (self.services.clone(), id.clone());
        self.arbiter(&id).spawn_fn(move || {
            let Some(services) = services.upgrade() else { return };
            let running = actix_rt::spawn({
                let (services, id, vitals) = (Arc::clone(&services), id.clone(), Arc::clone(&vitals));
                async move {
                    let actor = A::build(services, id, seed, vitals)?;
                    Context::with_receiver(receiver).into_future(actor).await;
                    Ok::<(), Outage>(())
                }
            });
            actix_rt::spawn(async move {
                let ended = running.await;
                A::keys(&services).ended(&id, generation, &vitals, ended);
            });
        });
        (slot, addr)
    }

    fn arbiter(&self, id: &A::Id) -> &ArbiterHandle {
        use std::hash::BuildHasher;
        let hash = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(id);
        &self.arbiters[(hash % self.arbiters.len() as u64) as usize]
    }

    fn ended(
        &self,
        id: &A::Id,
        generation: u64,
        vitals: &Vitals,
        ended: Result<Result<(), Outage>, tokio::task::JoinError>,
    ) {
        let Entry::Occupied(mut entry) = self.slots.entry(id.clone()) else { return };
        match entry.get_mut() {
            Slot::Live { generation: current, .. } if *current == generation => {}
            Slot::Retiring { generation: current, waiting } if *current == generation => {
                if waiting.is_empty() {
                    entry.remove();
                } else {
                    let waiting = std::mem::take(waiting);
                    entry.insert(Slot::Waking(waiting));
                    drop(entry);
                    self.wake(id.clone());
                }
                return;
            }
            // Its successor runs already.
            Slot::Live { .. } | Slot::Retiring { .. } | Slot::Waking(_) | Slot::Rebuilding => return,
        }
        match ended {
            Ok(Ok(())) if !vitals.failed.load(Ordering::Acquire) => {
                entry.remove();
                return;
            }
            Ok(Ok(())) => tracing::error!(kind = A::KIND, %id, "{} {id} could not write and is rebuilt", A::KIND),
            Ok(Err(outage)) => tracing::error!(kind = A::KIND, %id, %outage, "{} {id} cannot start: {outage}", A::KIND),
            Err(error) => {
                tracing::error!(kind = A::KIND, %id, %error, "{} {id} panicked and is rebuilt", A::KIND);
            }
        }
        entry.insert(Slot::Rebuilding);
        drop(entry);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.count_death(id, vitals.handling.load(Ordering::Relaxed));
        self.rebuild(id.clone(), vitals.last_position());
    }

    fn count_death(&self, id: &A::Id, fingerprint: u64) {
        if fingerprint == 0 {
            return;
        }
        let mut deaths = self.deaths.entry(id.clone()).or_default();
        let count = deaths.entry(fingerprint).or_default();
        *count += 1;
        if *count >= DEATHS_MAX {
            tracing::error!(kind = A::KIND, %id, fingerprint, "A command that broke {id} twice is set aside");
            self.set_aside.insert((id.clone(), fingerprint));
        }
    }

    /// A successor starts from rows that contain everything its predecessor appended.
    fn rebuild(&self, id: A::Id, appended: Position) {
        let Some(services) = self.services.upgrade() else { return };
        services.io.clone().spawn(async move {
            let keys = A::keys(&services);
            let appended = if A::READS_OTHERS { services.journal.appended() } else { appended };
            let mut projected = services.projected.clone();
            if projected.wait_for(|position| *position >= appended).await.is_err() {
                return;
            }
            loop {
                match A::load(Arc::clone(&services), id.clone()).await {
                    Ok(Some(seed)) => {
                        let (slot, _) = keys.start(&id, seed);
                        keys.slots.insert(id, slot);
                        return;
                    }
                    Ok(None) => {
                        keys.slots.remove(&id);
                        return;
                    }
                    Err(outage) => {
                        tracing::warn!(kind = A::KIND, %id, %outage, "{} {id} cannot be rebuilt yet", A::KIND);
                        tokio::time::sleep(REBUILD_PAUSE).await;
                    }
                }
            }
        });
    }

    /// Takes a key out of memory: its actor ends, and whoever asks meanwhile waits until it has. The caller, the actor
    /// itself, has made sure that everything is projected and nothing is under way, and stops right after.
    pub fn retire(&self, id: &A::Id) {
        if let Some(mut slot) = self.slots.get_mut(id)
            && let Slot::Live { generation, .. } = &*slot
        {
            let generation = *generation;
            *slot = Slot::Retiring { generation, waiting: Vec::new() };
        }
    }
}
