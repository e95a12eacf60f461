//! What every owner does with every command: decide, ask for room, evolve, write the rows that changed, show what others
//! read. Written once, here; an owner needs no actor for it.

use std::sync::Arc;

use actix::{Actor, ActorContext, Context};
use deeptravel_domain::machine::{Machine, Room};
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;

use crate::ask::{Ask, Question};
use crate::clock::Clock;
use crate::journal::{Admission, KeyText};
use crate::log::{KeyLog, PUT_OFF_MS};
use crate::outage::{Answer, Outage, Reply};
use crate::parts::Parts;
use crate::registry::Vitals;
use crate::timer::Timer;

/// A machine, its log, and whether the two still agree.
#[derive(Debug)]
pub struct Kept<M> {
    pub machine: M,
    pub log: KeyLog,
    pub vitals: Arc<Vitals>,
    clock: Clock,
}

/// A machine as it wakes.
#[derive(Debug)]
pub struct Seed<M> {
    pub machine: M,
    /// Of its newest row; 0: it has none yet.
    pub version: u64,
}

impl<M: Machine> Kept<M> {
    pub fn wake(parts: &Parts, key: &str, seed: Seed<M>, vitals: &Arc<Vitals>) -> Result<Kept<M>, Outage> {
        let key = KeyText::new(key).expect("an owner's key is short printable text");
        let log = KeyLog::wake(parts.journal.clone(), key, seed.version)?;
        Ok(Kept { machine: seed.machine, log, vitals: Arc::clone(vitals), clock: parts.clock.clone() })
    }

    /// Decides, changes and writes. An outage is found before anything changes; if the journal refuses all the same, the
    /// machine is ahead of its log, and its owner has failed: it ends and is rebuilt.
    pub fn tell(&mut self, command: &M::Command, now: Timestamp) -> Answer<Vec<M::Event>> {
        self.tell_with(command, now, |_, _| {})
    }

    /// As [`Kept::tell`], with rows of a child that is born in the same record: `bear` appends them.
    pub fn tell_with(
        &mut self,
        command: &M::Command,
        now: Timestamp,
        bear: impl FnOnce(&M, &mut Rows),
    ) -> Answer<Vec<M::Event>> {
        let events = match self.machine.decide(command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };
        if events.is_empty() {
            return Ok(Reply::ok(events, self.log.last()));
        }
        let version = self.log.next_version();
        if !self.machine.wants_room(&events) {
            self.machine.apply(&events, version);
            return Ok(Reply::ok(events, self.log.last()));
        }
        match M::ROOM {
            Room::Estimated => {
                let admission = self.log.admit(events.len())?;
                let mut rows = self.machine.apply(&events, version);
                bear(&self.machine, &mut rows);
                self.append(admission, rows, now)?;
            }
            Room::Exact => {
                let mut changed = self.machine.clone();
                let mut rows = changed.apply(&events, version);
                bear(&changed, &mut rows);
                let admission = self.log.admit_rows(&rows)?;
                self.machine = changed;
                self.append(admission, rows, now)?;
            }
        }
        Ok(Reply::ok(events, self.log.last()))
    }

    fn append(&mut self, admission: Admission, rows: Rows, now: Timestamp) -> Result<(), Outage> {
        if rows.is_empty() {
            return Ok(());
        }
        self.log.append(admission, rows, now).map(drop).map_err(|error| {
            let key = self.log.key();
            tracing::error!(key, %error, "The owner of {key} cannot write: {error}");
            self.vitals.fail();
            Outage::Journal
        })
    }
}

/// A machine with others around it: readers who want to see what has changed, and an actor if it has one.
pub trait Shell: Sized {
    type Machine: Machine;

    fn kept(&mut self) -> &mut Kept<Self::Machine>;

    /// Shows what others read without asking. Called after the record was appended.
    fn publish(&mut self, events: &[<Self::Machine as Machine>::Event]);

    /// [`Kept::tell`], and shows what came of it.
    fn change(
        &mut self,
        command: &<Self::Machine as Machine>::Command,
    ) -> Answer<Vec<<Self::Machine as Machine>::Event>> {
        self.change_with(command, |_, _| {})
    }

    /// [`Kept::tell_with`], and shows what came of it.
    fn change_with(
        &mut self,
        command: &<Self::Machine as Machine>::Command,
        bear: impl FnOnce(&Self::Machine, &mut Rows),
    ) -> Answer<Vec<<Self::Machine as Machine>::Event>> {
        let now = self.kept().clock.now();
        let reply = self.kept().tell_with(command, now, bear)?;
        if let Ok(events) = &reply.outcome
            && !events.is_empty()
        {
            self.publish(events);
        }
        Ok(reply)
    }
}

/// A shell that is an actor.
pub trait LiveShell: Shell + Actor<Context = Context<Self>> {
    /// After every change: whatever follows from how things stand now, the timer among it.
    fn go_on(&mut self, ctx: &mut Context<Self>);

    /// The timer's deadline has passed. It has to be armed again.
    fn wake(&mut self, ctx: &mut Context<Self>);

    /// Of the actor, for the earliest deadline of its machine.
    fn timer(&mut self) -> &mut Timer;

    fn arm(&mut self, deadline: Option<Timestamp>, ctx: &mut Context<Self>) {
        let now = self.kept().clock.now();
        self.timer().arm(ctx, now, deadline, |shell, ctx| {
            shell.timer().fired();
            shell.wake(ctx);
        });
    }

    /// What cannot be written now is tried again when the actor wakes.
    fn wake_later(&mut self, ctx: &mut Context<Self>) {
        if !self.kept().vitals.has_failed() {
            let later = self.kept().clock.now().plus_ms(PUT_OFF_MS);
            self.arm(Some(later), ctx);
        }
    }

    /// Hears a question, and remembers while it does which one it is: should it be the end of the owner, it is not asked
    /// again and again (rule 20).
    fn hear<Q: Question<Self>>(&mut self, Ask { question, asker }: Ask<Q, Q::Answer>, ctx: &mut Context<Self>) {
        self.kept().vitals.handling(question.fingerprint());
        question.put(self, asker, ctx);
        self.kept().vitals.handled();
    }

    /// [`Shell::change`], and what follows. The actor ends if it has failed.
    fn apply(
        &mut self,
        command: &<Self::Machine as Machine>::Command,
        ctx: &mut Context<Self>,
    ) -> Answer<Vec<<Self::Machine as Machine>::Event>> {
        let changed = self.change(command);
        if self.kept().vitals.has_failed() {
            ctx.stop();
        }
        let reply = changed?;
        if reply.outcome.as_ref().is_ok_and(|events| !events.is_empty()) {
            self.go_on(ctx);
        }
        Ok(Reply { position: self.kept().log.last(), ..reply })
    }
}
