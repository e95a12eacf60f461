//! The payment supervisor: keeps what the provider says and no order can use. It may be real money, so it is written
//! down and reported, and nothing else happens by itself (R-PAY-06): a person sees to it and says so.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use deeptravel_domain::quarantine::{Notice, QuarantineRow, Resolved};
use deeptravel_domain::row::{Damage, Row as _, Rows};
use futures_util::future::BoxFuture;

use crate::journal::KeyText;
use crate::log::KeyLog;
use crate::outage::{Answer, Outage, Reply, damaged};
use crate::ports::{Haste, KeyVersionRow, Load, Parameter, Statement, newest_version};
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::services::Services;

/// There is one payment supervisor.
pub const KEY: &str = "payments";

/// Notices that are kept in memory, at about a KiB each. So many wait only when something is wrong with all of them; what
/// is left out is in Postgres.
pub const NOTICES_KEPT_MAX: u32 = 10_000;

/// A validly signed notice that fits no order. Its instant is set here.
#[derive(Debug)]
pub struct Quarantine(pub Notice);

impl Message for Quarantine {
    type Result = Answer<()>;
}

impl Fingerprint for Quarantine {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// That somebody has seen to a notice.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// Id of the notice.
    pub notice: String,
    /// User name of the account.
    pub by: String,
    /// What was done.
    pub note: String,
}

/// A notice has been seen to. Answers it as it is then; `None`: it is not in memory, and to be `stored`, as Postgres has it.
#[derive(Debug)]
pub struct Resolve {
    pub resolution: Resolution,
    pub stored: Option<Notice>,
}

impl Message for Resolve {
    type Result = Answer<Option<Notice>>;
}

impl Fingerprint for Resolve {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// The quarantine as it wakes.
#[derive(Debug)]
pub struct Seed {
    /// At most [`NOTICES_KEPT_MAX`].
    pub notices: Vec<Notice>,
    /// Of all rows.
    pub newest_version: u64,
}

/// At most so many notices, open ones first, of these and of the others the newest; and the newest version of any.
pub const LOAD: Load = Load::of(&[
    Statement::new("load/quarantine", QuarantineRow::TABLE),
    Statement::new("load/quarantine_version", KeyVersionRow::TABLE),
]);
/// One notice.
pub const LOAD_ONE: Load = Load::of(&[Statement::by("load/quarantined_notice", QuarantineRow::TABLE, "notice_id")]);

/// The parameter of [`LOAD`].
pub fn limit() -> Parameter {
    Parameter::Number(NOTICES_KEPT_MAX.into())
}

/// The quarantine that these rows are.
pub fn seed(rows: &Rows) -> Result<Seed, Outage> {
    let read = || Ok((notices(rows)?, newest_version(rows)?));
    let (notices, newest_version) = read().map_err(damaged)?;
    Ok(Seed { notices, newest_version })
}

pub fn notices(rows: &Rows) -> Result<Vec<Notice>, Damage> {
    rows.of().map(|row: Result<QuarantineRow<'_>, Damage>| row.map(|row| Notice::from_row(&row))).collect()
}

/// See the module's documentation.
pub struct PaymentSupervisor {
    services: Arc<Services>,
    notices: HashMap<String, Notice>,
    log: KeyLog,
    vitals: Arc<Vitals>,
}

impl Owner for PaymentSupervisor {
    type Id = &'static str;
    type Seed = Seed;

    const KIND: &'static str = "payment supervisor";

    fn keys(services: &Services) -> &Keys<PaymentSupervisor> {
        &services.payments
    }

    fn load(services: Arc<Services>, _: &'static str) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let rows = services.store.load(LOAD, vec![limit()], Haste::Start).await.map_err(|error| {
                tracing::warn!(%error, "The quarantine cannot be read: {error}");
                Outage::Storage
            })?;
            seed(&rows).map(Some)
        })
    }

    fn build(
        services: Arc<Services>,
        _: &'static str,
        seed: Seed,
        vitals: Arc<Vitals>,
    ) -> Result<PaymentSupervisor, Outage> {
        let key = KeyText::new(KEY).expect("a constant that fits");
        let log = KeyLog::wake(services.journal.clone(), key, seed.newest_version)?;
        let notices = seed.notices.into_iter().map(|notice| (notice.id.clone(), notice)).collect();
        let supervisor = PaymentSupervisor { services, notices, log, vitals };
        supervisor.report();
        Ok(supervisor)
    }
}

impl Actor for PaymentSupervisor {
    type Context = Context<PaymentSupervisor>;
}

impl PaymentSupervisor {
    /// Writes a notice as it is from now on.
    fn keep(&mut self, notice: Notice, ctx: &mut Context<PaymentSupervisor>) -> Answer<Notice> {
        let now = self.services.clock.now();
        let mut rows = Rows::default();
        rows.put(&notice.row(self.log.next_version()));
        let admission = self.log.admit_rows(&rows)?;

        let position = self.log.append(admission, rows, now).map_err(|error| {
            tracing::error!(%error, "The quarantine cannot be written: {error}");
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;
        self.notices.insert(notice.id.clone(), notice.clone());
        self.forget_one();
        self.report();
        Ok(Reply::ok(notice, position))
    }

    /// Keeps the number bounded: the oldest goes, one that was seen to before others.
    fn forget_one(&mut self) {
        if self.notices.len() <= NOTICES_KEPT_MAX as usize {
            return;
        }
        let oldest = self.notices.values().min_by_key(|notice| (notice.resolved.is_none(), notice.received_at));
        if let Some(id) = oldest.map(|notice| notice.id.clone()) {
            self.notices.remove(&id);
        }
    }

    fn report(&self) {
        let open = self.notices.values().filter(|notice| notice.resolved.is_none());
        self.services.attention.set_quarantine(open.map(|notice| notice.received_at).collect());
    }
}

impl Handler<Quarantine> for PaymentSupervisor {
    type Result = Answer<()>;

    /// WeChat repeats notices, and queries repeat what they found: the same again is nothing new, also when somebody has
    /// seen to it.
    fn handle(&mut self, Quarantine(notice): Quarantine, ctx: &mut Context<PaymentSupervisor>) -> Answer<()> {
        let same = |known: &Notice| known.reason == notice.reason && known.said == notice.said;
        if self.notices.get(&notice.id).is_some_and(same) {
            return Ok(Reply::ok((), self.log.last()));
        }
        let number = notice.out_trade_no.clone();
        let reason = notice.reason.clone();
        let received_at = self.services.clock.now();
        let kept = self.keep(Notice { received_at, ..notice }, ctx)?;
        tracing::error!(payment = %number, %reason, "A notice about {number} is put in quarantine: {reason}");
        Ok(kept.map(drop))
    }
}

impl Handler<Resolve> for PaymentSupervisor {
    type Result = Answer<Option<Notice>>;

    fn handle(&mut self, message: Resolve, ctx: &mut Context<PaymentSupervisor>) -> Answer<Option<Notice>> {
        let Resolve { resolution: Resolution { notice, by, note }, stored } = message;
        let Some(known) = self.notices.get(&notice).cloned().or(stored) else {
            return Ok(Reply::ok(None, self.log.last()));
        };
        if known.resolved.is_some() {
            return Ok(Reply::ok(Some(known), self.log.last()));
        }
        let resolved = Some(Resolved { at: self.services.clock.now(), by, note: Some(note) });
        Ok(self.keep(Notice { resolved, ..known }, ctx)?.map(Some))
    }
}
