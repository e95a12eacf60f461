//! The owner of what is sold: administration and imports write through it, everybody else reads the snapshot that it
//! publishes once a change is durable.

use std::sync::Arc;

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, WrapFuture};
use deeptravel_domain::catalogue::rows::{
    HolidayRow, OperatorRow, PlaceRow, PortRow, RouteFaresRow, RouteRow, ScheduleRow, VehicleRow,
};
use deeptravel_domain::catalogue::{Catalogue, Command};
use deeptravel_domain::money::Currency;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::tables;
use futures_util::future::BoxFuture;

use crate::journal::KeyText;
use crate::log::KeyLog;
use crate::outage::{Answer, Outage, Reply, damaged};
use crate::ports::{Haste, Load, Statement};
use crate::registry::{Fingerprint, Keys, NOT_TOLD_APART, Owner, Vitals};
use crate::services::Services;

/// There is one catalogue.
pub const KEY: &str = "catalogue";

/// The currency of sale: mainland WeChat Pay takes no other (R-PRICE-02).
pub const SALE_CURRENCY: Currency = Currency::Cny;

/// A change of the catalogue. Answers whether anything changed.
#[derive(Debug)]
pub struct Configure(pub Command);

impl Message for Configure {
    type Result = Answer<bool>;
}

impl Fingerprint for Configure {
    fn fingerprint(&self) -> u64 {
        NOT_TOLD_APART
    }
}

/// See the module's documentation.
pub struct CatalogueActor {
    services: Arc<Services>,
    catalogue: Catalogue,
    log: KeyLog,
    vitals: Arc<Vitals>,
    /// Version of the snapshot that everybody reads.
    published: u64,
}

/// The catalogue as it wakes.
#[derive(Debug)]
pub struct Seed {
    pub catalogue: Catalogue,
    /// Of the newest row.
    pub version: u64,
}

/// Every row of the catalogue's tables.
pub const LOAD: Load = Load::of(&[
    Statement::new("load/operators", OperatorRow::TABLE),
    Statement::new("load/ports", PortRow::TABLE),
    Statement::new("load/places", PlaceRow::TABLE),
    Statement::new("load/vehicles", VehicleRow::TABLE),
    Statement::new("load/holidays", HolidayRow::TABLE),
    Statement::new("load/routes", RouteRow::TABLE),
    Statement::new("load/schedules", ScheduleRow::TABLE),
    Statement::new("load/route_fares", RouteFaresRow::TABLE),
]);

/// The catalogue that these rows are.
pub fn seed(rows: &Rows) -> Result<Seed, Outage> {
    let read = || Ok((tables::newest_version(rows)?, Catalogue::from_rows(SALE_CURRENCY, rows)?));
    let (version, catalogue) = read().map_err(damaged)?;
    Ok(Seed { catalogue, version })
}

impl Owner for CatalogueActor {
    type Id = &'static str;
    type Seed = Seed;

    const KIND: &'static str = "catalogue";

    fn keys(services: &Services) -> &Keys<CatalogueActor> {
        &services.configuration
    }

    fn load(services: Arc<Services>, _: &'static str) -> BoxFuture<'static, Result<Option<Seed>, Outage>> {
        Box::pin(async move {
            let rows = services.store.load(LOAD, Vec::new(), Haste::Start).await.map_err(|error| {
                tracing::warn!(%error, "The catalogue cannot be read: {error}");
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
    ) -> Result<CatalogueActor, Outage> {
        let key = KeyText::new(KEY).expect("a constant that fits");
        let log = KeyLog::wake(services.journal.clone(), key, seed.version)?;
        // Its rows are durable.
        services.catalogue.store(Arc::new(seed.catalogue.clone()));
        Ok(CatalogueActor { services, catalogue: seed.catalogue, log, vitals, published: seed.version })
    }
}

impl Actor for CatalogueActor {
    type Context = Context<CatalogueActor>;
}

impl Handler<Configure> for CatalogueActor {
    type Result = Answer<bool>;

    fn handle(&mut self, Configure(command): Configure, ctx: &mut Context<CatalogueActor>) -> Answer<bool> {
        let now = self.services.clock.now();
        let events = match self.catalogue.decide(command, now) {
            Ok(events) if events.is_empty() => return Ok(Reply::ok(false, self.log.last())),
            Ok(events) => events,
            Err(rejection) => return Ok(Reply::rejected(rejection, self.log.last())),
        };

        // Changed aside: its rows say how much room it needs, and the snapshot needs a copy anyway.
        let mut changed = self.catalogue.clone();
        for event in &events {
            changed.evolve(event);
        }
        let rows = changed.changed_rows(&events, self.log.next_version());
        let admission = self.log.admit_rows(&rows)?;

        self.catalogue = changed;
        let position = self.log.append(admission, rows, now).map_err(|error| {
            tracing::error!(%error, "The catalogue cannot be written: {error}");
            self.vitals.fail();
            ctx.stop();
            Outage::Journal
        })?;

        let (snapshot, version) = (Arc::new(self.catalogue.clone()), self.log.version());
        let durable = self.services.journal.wait(position).into_actor(self);
        ctx.spawn(durable.map(move |durable, actor, _| {
            // If it never became durable the journal has failed, and the process ends. actix does not keep the order
            // of futures that are ready together.
            if durable.is_ok() && version > actor.published {
                actor.published = version;
                actor.services.catalogue.store(snapshot);
            }
        }));
        Ok(Reply::ok(true, position))
    }
}
