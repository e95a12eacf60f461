//! The owner of a machine of which there is one: it takes commands, keeps what others read, and is asked nothing else. What
//! it keeps is said by a type without a value, see [`Keeping`].

use std::convert::Infallible;
use std::hash::RandomState;
use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, Handler, WrapFuture};
use deeptravel_domain::machine::Machine;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Rows};
use deeptravel_domain::time::Timestamp;

use crate::ask::{Ask, Asker, NOT_TOLD_APART, Question};
use crate::kept::{Kept, LiveShell, Seed, Shell};
use crate::outage::{Outage, Reply};
use crate::ports::{Haste, Load, Parameter, newest_version};
use crate::registry::{Keys, Owner, Post, StartError};
use crate::services::Services;
use crate::timer::Timer;

type Command<K> = <<K as Keeping>::Machine as Machine>::Command;
type Event<K> = <<K as Keeping>::Machine as Machine>::Event;

/// When others see what has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// As soon as it is appended: they read it for things that wait for the journal themselves.
    Appended,
    /// Once it is durable, and before the answer: what was answered is what everybody sees.
    Durable,
}

/// What a [`Keeper`] keeps.
pub trait Keeping: Sized + Send + Sync + 'static {
    type Machine: Machine<Command: Send + 'static, Event: Send + 'static> + Send + Unpin + 'static;
    type Answer: Send + 'static;

    /// Its key, of which there is one.
    const KEY: &'static str;
    const KIND: &'static str;
    const SHOWN: Shown;
    /// Its rows; the parameters are [`Keeping::parameters`].
    const LOAD: Load;

    fn parameters(now: Timestamp) -> Vec<Parameter>;

    /// As [`Question::fingerprint`].
    fn fingerprint(_: &Command<Self>) -> u64 {
        NOT_TOLD_APART
    }

    fn read(rows: &Rows, now: Timestamp) -> Result<Self::Machine, Damage>;

    /// Shows everything: at the start, and when the owner was rebuilt.
    fn begin(services: &Services, machine: &Self::Machine);

    /// Shows what has changed.
    fn show(services: &Services, machine: &Self::Machine, _: &[Event<Self>]) {
        Self::begin(services, machine);
    }

    /// What whoever told the command learns; a refusal that leaves a record has events.
    fn answer(
        machine: &Self::Machine,
        command: &Command<Self>,
        events: &[Event<Self>],
    ) -> Result<Self::Answer, Rejection>;
}

/// A command on its way to a keeper.
pub struct Tell<K: Keeping>(pub Command<K>);

/// See the module's documentation.
pub struct Keeper<K: Keeping> {
    services: Arc<Services>,
    kept: Kept<K::Machine>,
    timer: Timer,
    /// Version of what everybody reads, where that is shown once it is durable.
    shown: u64,
}

impl<K: Keeping> Owner for Keeper<K> {
    type Id = &'static str;
    type Hash = RandomState;
    type Seed = Seed<K::Machine>;
    type Hand = Infallible;
    type Shared = ();
    type World = Services;

    const KIND: &'static str = K::KIND;

    async fn start(services: Arc<Services>, keys: Arc<Keys<Self>>) -> Result<(), StartError> {
        if let Some(seed) = Keeper::<K>::load(Arc::clone(&services), K::KEY).await? {
            // What is read without a message is there before the first request; the actor starts a little later.
            K::begin(&services, &seed.machine);
            keys.put(&K::KEY, seed);
        }
        Ok(())
    }

    /// All that there is may take longer than somebody who waits for one key would.
    async fn load(services: Arc<Services>, _: &'static str) -> Result<Option<Self::Seed>, StartError> {
        let now = services.clock.now();
        let rows = services.store.load(K::LOAD, K::parameters(now), Haste::Start).await?;
        Ok(Some(Seed { machine: K::read(&rows, now)?, version: newest_version(&rows)? }))
    }

    fn build(services: Arc<Services>, post: Post<Self>, seed: Self::Seed) -> Result<Keeper<K>, Outage> {
        K::begin(&services, &seed.machine);
        let shown = seed.version;
        let kept = Kept::wake(&services.parts, K::KEY, seed, &post.vitals)?;
        Ok(Keeper { services, kept, timer: Timer::default(), shown })
    }
}

impl<K: Keeping> Actor for Keeper<K> {
    type Context = Context<Keeper<K>>;

    fn started(&mut self, ctx: &mut Context<Keeper<K>>) {
        self.go_on(ctx);
    }
}

impl<K: Keeping> Shell for Keeper<K> {
    type Machine = K::Machine;

    fn kept(&mut self) -> &mut Kept<K::Machine> {
        &mut self.kept
    }

    fn publish(&mut self, events: &[Event<K>]) {
        if K::SHOWN == Shown::Appended {
            K::show(&self.services, &self.kept.machine, events);
        }
    }
}

impl<K: Keeping> LiveShell for Keeper<K> {
    fn timer(&mut self) -> &mut Timer {
        &mut self.timer
    }

    fn go_on(&mut self, ctx: &mut Context<Keeper<K>>) {
        self.arm(self.kept.machine.next_deadline(), ctx);
    }

    fn wake(&mut self, ctx: &mut Context<Keeper<K>>) {
        let due = K::Machine::when_due();
        if due.is_some_and(|command| self.apply(&command, ctx).is_err()) {
            return self.wake_later(ctx);
        }
        self.go_on(ctx);
    }
}

impl<K: Keeping> Keeper<K> {
    /// Whoever asked is answered once everybody sees it, also if it was so already: then by an earlier change.
    fn answer_shown(
        &mut self,
        asker: Asker<K::Answer>,
        answer: Reply<K::Answer>,
        events: Vec<Event<K>>,
        ctx: &mut Context<Keeper<K>>,
    ) {
        let (machine, version) = (self.kept.machine.clone(), self.kept.log.version());
        let durable = self.services.journal.wait(self.kept.log.last()).into_actor(self);
        ctx.spawn(durable.map(move |durable, keeper, _| {
            // If it never became durable the journal has failed, and the process ends. actix does not keep the order
            // of futures that are ready together.
            if durable.is_ok() && version > keeper.shown {
                keeper.shown = version;
                K::show(&keeper.services, &machine, &events);
            }
            asker.answer(Ok(answer));
        }));
    }
}

impl<K: Keeping> Question<Keeper<K>> for Tell<K> {
    type Answer = K::Answer;

    fn fingerprint(&self) -> u64 {
        K::fingerprint(&self.0)
    }

    fn put(self, keeper: &mut Keeper<K>, asker: Asker<K::Answer>, ctx: &mut Context<Keeper<K>>) {
        let Tell(command) = self;
        #[cfg(test)]
        keeper.services.faults.strike_key(K::KEY);
        let Reply { outcome, position } = match keeper.apply(&command, ctx) {
            Ok(reply) => reply,
            Err(outage) => return asker.answer(Err(outage)),
        };
        let answer = outcome.as_ref().map_err(Clone::clone);
        let answer = answer.and_then(|events| K::answer(&keeper.kept.machine, &command, events));
        let answer = Reply { outcome: answer, position };
        match K::SHOWN {
            Shown::Appended => asker.answer(Ok(answer)),
            Shown::Durable => keeper.answer_shown(asker, answer, outcome.unwrap_or_default(), ctx),
        }
    }
}

impl<K: Keeping, Q: Question<Keeper<K>>> Handler<Ask<Q, Q::Answer>> for Keeper<K> {
    type Result = ();

    fn handle(&mut self, ask: Ask<Q, Q::Answer>, ctx: &mut Context<Keeper<K>>) {
        self.hear(ask, ctx);
    }
}
