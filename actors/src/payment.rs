//! The payment supervisor: keeps what the provider says and no order can use. It may be real money, so it is written
//! down and reported, and nothing else happens by itself (R-PAY-06).

use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, Message};
use futures_util::future::BoxFuture;

use crate::journal::KeyText;
use crate::log::KeyLog;
use crate::outage::{Answer, Outage, Reply};
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::rows::{QuarantineRow, Rows};
use crate::services::Services;

/// There is one payment supervisor.
pub const KEY: &str = "payments";

/// A validly signed notice that fits no order. Its version and instant are set here.
#[derive(Debug)]
pub struct Quarantine(pub QuarantineRow);

impl Message for Quarantine {
    type Result = Answer<()>;
}

impl Fingerprint for Quarantine {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// See the module's documentation.
pub struct PaymentSupervisor {
    services: Arc<Services>,
    log: KeyLog,
    vitals: Arc<Vitals>,
}

impl Owner for PaymentSupervisor {
    type Id = &'static str;
    /// The version of the newest row.
    type Seed = u64;

    const KIND: &'static str = "payment supervisor";

    fn keys(services: &Services) -> &Keys<PaymentSupervisor> {
        &services.payments
    }

    fn load(services: Arc<Services>, _: &'static str) -> BoxFuture<'static, Result<Option<u64>, Outage>> {
        Box::pin(async move {
            services.store.quarantine_version().await.map(Some).map_err(|error| {
                tracing::warn!(%error, "The quarantine cannot be read: {error}");
                Outage::Storage
            })
        })
    }

    fn build(
        services: Arc<Services>,
        _: &'static str,
        version: u64,
        vitals: Arc<Vitals>,
    ) -> Result<PaymentSupervisor, Outage> {
        let key = KeyText::new(KEY).expect("a constant that fits");
        let log = KeyLog::wake(services.journal.clone(), key, version)?;
        Ok(PaymentSupervisor { services, log, vitals })
    }
}

impl Actor for PaymentSupervisor {
    type Context = Context<PaymentSupervisor>;
}

impl Handler<Quarantine> for PaymentSupervisor {
    type Result = Answer<()>;

    fn handle(&mut self, Quarantine(notice): Quarantine, ctx: &mut Context<PaymentSupervisor>) -> Answer<()> {
        let now = self.services.clock.now();
        let row = QuarantineRow { version: self.log.next_version(), received_at: now.as_ms(), ..notice };
        tracing::error!(
            payment = %row.out_trade_no,
            reason = %row.reason,
            "A payment notice for {} is put in quarantine: {}",
            row.out_trade_no,
            row.reason
        );
        let rows = Rows { quarantine: vec![row], ..Rows::default() };
        let admission = self.log.admit_rows(&rows)?;
        let position = self.log.append(admission, &rows, now).map_err(|error| {
            tracing::error!(%error, "The quarantine cannot be written: {error}");
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;
        Ok(Reply::ok((), position))
    }
}
