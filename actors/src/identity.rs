//! The owner of accounts and sessions. It keeps the [`Directory`](crate::directory::Directory) that requests read.

use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use deeptravel_domain::identity::rows::{AccountRow, SessionRow, ValidatorSessionRow};
use deeptravel_domain::identity::{Attempt, Command, Identities};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use futures_util::future::BoxFuture;

use crate::journal::{Admission, KeyText};
use crate::log::KeyLog;
use crate::outage::{Answer, Outage, Reply, damaged};
use crate::ports::{Haste, KeyVersionRow, Load, Statement, newest_version};
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::services::Services;
use crate::timer::Timer;

/// There is one owner of identities.
pub const KEY: &str = "identity";

/// A change of accounts or sessions, credentials already checked.
#[derive(Debug)]
pub struct Identify(pub Command);

impl Message for Identify {
    type Result = Answer<()>;
}

/// An attempt to redeem without a ticket: it belongs to the validator session (rule 4).
#[derive(Debug)]
pub struct LogAttempt(pub Attempt);

impl Message for LogAttempt {
    type Result = Answer<()>;
}

impl Fingerprint for Identify {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

impl Fingerprint for LogAttempt {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// See the module's documentation.
pub struct IdentityActor {
    services: Arc<Services>,
    identities: Identities,
    log: KeyLog,
    vitals: Arc<Vitals>,
    timer: Timer,
}

/// Identities as they wake.
#[derive(Debug)]
pub struct Seed {
    pub identities: Identities,
    /// Of the newest row.
    pub version: u64,
}

/// All accounts, the sessions that are open at an instant, and the newest version of any row.
pub const LOAD: Load = Load::of(&[
    Statement::new("load/accounts", AccountRow::TABLE),
    Statement::new("load/sessions_open", SessionRow::TABLE),
    Statement::new("load/validator_sessions_open", ValidatorSessionRow::TABLE),
    Statement::new("load/identity_version", KeyVersionRow::TABLE),
]);

/// The identities that these rows are.
pub fn seed(rows: &Rows, now: Timestamp) -> Result<Seed, Outage> {
    let read = || Ok((newest_version(rows)?, Identities::from_rows(rows, now)?));
    let (version, identities) = read().map_err(damaged)?;
    Ok(Seed { identities, version })
}

impl Owner for IdentityActor {
    type Id = &'static str;
    type Seed = Seed;

    const KIND: &'static str = "identity";

    fn keys(services: &Services) -> &Keys<IdentityActor> {
        &services.identities
    }

    fn load(services: Arc<Services>, _: &'static str) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let now = services.clock.now();
            let rows = services.store.load(LOAD, vec![now.into()], Haste::Start).await.map_err(|error| {
                tracing::warn!(%error, "Identities cannot be read: {error}");
                Outage::Storage
            })?;
            seed(&rows, now).map(Some)
        })
    }

    fn build(
        services: Arc<Services>,
        _: &'static str,
        seed: Seed,
        vitals: Arc<Vitals>,
    ) -> Result<IdentityActor, Outage> {
        let key = KeyText::new(KEY).expect("a constant that fits");
        let log = KeyLog::wake(services.journal.clone(), key, seed.version)?;
        services.directory.load(&seed.identities);
        Ok(IdentityActor { services, identities: seed.identities, log, vitals, timer: Timer::default() })
    }
}

impl IdentityActor {
    fn apply(&mut self, command: Command, ctx: &mut Context<IdentityActor>) -> Answer<()> {
        let now = self.services.clock.now();
        let events = match self.identities.decide(command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };

        let rows = self.identities.changed_rows(&events, self.log.next_version());
        let writing = (!rows.is_empty()).then_some(rows);
        let admission = writing.as_ref().map(|rows| self.log.admit_rows(rows)).transpose()?;

        for event in &events {
            self.identities.evolve(event);
        }
        if let Some((admission, rows)) = admission.zip(writing) {
            self.append(admission, rows, ctx)?;
        }
        for event in &events {
            self.services.directory.apply(event);
        }
        self.arm(ctx);
        Ok(Reply::ok((), self.log.last()))
    }

    fn append(&mut self, admission: Admission, rows: Rows, ctx: &mut Context<IdentityActor>) -> Result<(), Outage> {
        let now = self.services.clock.now();
        self.log.append(admission, rows, now).map_err(|error| {
            tracing::error!(%error, "Identities cannot be written: {error}");
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;
        Ok(())
    }

    fn arm(&mut self, ctx: &mut Context<IdentityActor>) {
        let now = self.services.clock.now();
        self.timer.arm(ctx, now, self.identities.next_deadline(), |actor, ctx| {
            actor.timer.fired();
            // Forgetting leaves no row, so nothing can fail.
            let _ = actor.apply(Command::Sweep, ctx);
            actor.arm(ctx);
        });
    }
}

impl Actor for IdentityActor {
    type Context = Context<IdentityActor>;

    fn started(&mut self, ctx: &mut Context<IdentityActor>) {
        self.arm(ctx);
    }
}

impl Handler<Identify> for IdentityActor {
    type Result = Answer<()>;

    fn handle(&mut self, Identify(command): Identify, ctx: &mut Context<IdentityActor>) -> Answer<()> {
        self.apply(command, ctx)
    }
}

impl Handler<LogAttempt> for IdentityActor {
    type Result = Answer<()>;

    fn handle(&mut self, message: LogAttempt, ctx: &mut Context<IdentityActor>) -> Answer<()> {
        let version = self.log.next_version();
        // The session's own row comes along: attempts are not read back, and the key's newest version has to be.
        let Some(session) = self.identities.validator_row(message.0.session, version) else {
            return Ok(Reply::rejected(Rejection::SessionEnded, self.log.last()));
        };
        let mut rows = Rows::default();
        rows.put(&message.0.row(version));
        rows.put(&session);
        let admission = self.log.admit_rows(&rows)?;
        self.append(admission, rows, ctx)?;
        Ok(Reply::ok((), self.log.last()))
    }
}
