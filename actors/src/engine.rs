//! The engine: everything that owns, started from Postgres and the journal, and asked through one handle.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use deeptravel_domain::catalogue::Command as CatalogueCommand;
use deeptravel_domain::identity::{Attempt, Command as IdentityCommand};
use deeptravel_domain::ids::{OrderId, OutRefundNo, TravellerId};
use deeptravel_domain::order::{Order, PaymentFact, RefundFact, Scan, ScanOutcome, Wish};
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use tokio::sync::watch;

use crate::attention::Attention;
use crate::board::Board;
use crate::catalogue::Configure;
use crate::clock::Clock;
use crate::desk::{DeskEntry, DeskEntryRow, Forget, KEYS_KEPT_SECONDS, Place, Placed, Recent};
use crate::directory::Directory;
use crate::identity::{Identify, LogAttempt};
use crate::journal::{Journal, Position};
use crate::order::{
    Cancel, Learn, LearnRefund, OpenPayment, Pending, Placement, Redeem, RetryRefund, View, WARM_SECONDS,
};
use crate::outage::{Answer, Outage, Reply, asking, damaged};
use crate::payment::{Quarantine, Resolution, Resolve};
use crate::ports::{Haste, Load, Parameter, PaymentGateway, Store, StoreError, Warm};
use crate::registry::{Arbiters, Keys};
use crate::services::{DESKS, SalesPolicy, Services};
use crate::{catalogue, departure, desk, identity, order, payment};

/// What the process plugs in.
#[derive(Debug)]
pub struct Parts {
    pub journal: Journal,
    pub clock: Clock,
    pub store: Arc<dyn Store>,
    pub gateway: Arc<dyn PaymentGateway>,
    pub projected: watch::Receiver<Position>,
    pub io: tokio::runtime::Handle,
    pub sales: SalesPolicy,
    /// Arbiters for the owners; none of them serves HTTP.
    pub arbiters: usize,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("stored rows cannot be used: {0}")]
    Rows(#[from] Outage),
}

/// A running engine. Clones are the same one. Dropping the last one does not stop the arbiters: call [`Engine::stop`].
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) services: Arc<Services>,
    arbiters: Arbiters,
}

impl Engine {
    /// Loads what rule 14 asks for. Everything durable must have been projected before.
    pub async fn start(parts: Parts) -> Result<Engine, StartError> {
        let now = parts.clock.now();
        let store = Arc::clone(&parts.store);
        let load = async |load: Load, parameters: Vec<Parameter>| store.load(load, parameters, Haste::Start).await;
        let catalogue = catalogue::seed(&load(catalogue::LOAD, Vec::new()).await?)?;
        let identities = identity::seed(&load(identity::LOAD, vec![now.into()]).await?, now)?;
        let kept_since = desk::lowest_id(now.plus_seconds(-KEYS_KEPT_SECONDS));
        let desk_entries = load(desk::LOAD, vec![kept_since]).await?;
        let departures = load(departure::LOAD_AFTER, vec![now.plus_seconds(-WARM_SECONDS).into()]).await?;
        let departs_before = now.plus_seconds(WARM_SECONDS);
        let warm = Warm { now, departs_before, bytes_max: parts.sales.warm_load_bytes_max };
        let orders = load(order::LOAD_WARM, warm.parameters()).await?;
        let quarantine = payment::seed(&load(payment::LOAD, vec![payment::limit()]).await?)?;

        order::register();
        let arbiters = Arbiters::start(parts.arbiters);
        let snapshot = Arc::new(catalogue.catalogue.clone());
        let services = Arc::new_cyclic(|services| Services {
            clock: parts.clock,
            journal: parts.journal,
            catalogue: ArcSwap::new(snapshot),
            board: Board::default(),
            attention: Attention::default(),
            directory: Directory::default(),
            store: parts.store,
            gateway: parts.gateway,
            projected: parts.projected,
            io: parts.io,
            sales: parts.sales,
            in_flight: DashMap::new(),
            departures: Keys::new(arbiters.clone(), services.clone()),
            orders: Keys::new(arbiters.clone(), services.clone()),
            desks: Keys::new(arbiters.clone(), services.clone()),
            configuration: Keys::new(arbiters.clone(), services.clone()),
            identities: Keys::new(arbiters.clone(), services.clone()),
            payments: Keys::new(arbiters.clone(), services.clone()),
            #[cfg(test)]
            faults: crate::testing::Faults::default(),
        });

        // What is read without a message is there before the first request; the owners' actors start a little later.
        services.directory.load(&identities.identities);
        services.configuration.put(&catalogue::KEY, catalogue);
        services.identities.put(&identity::KEY, identities);
        services.payments.put(&payment::KEY, quarantine);
        for rows in tables::split(&departures, "departure_id").map_err(damaged)? {
            let seed = departure::seed(&rows, now)?;
            let id = seed.inventory.spec().id.clone();
            services.board.open(&seed.inventory);
            services.departures.put(&id, seed);
        }
        put_desks(&services, &desk_entries)?;
        // Orders last: what is outstanding of theirs goes on at once, and asks the departures.
        for rows in tables::split(&orders, "order_id").map_err(damaged)? {
            let seed = order::Seed::from_rows(&rows, now)?;
            services.orders.put(&seed.id(), seed);
        }
        services.orders.tend_dormant();
        Ok(Engine { services, arbiters })
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    pub fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// Resolves when an answer that rests on `position` may be shown (rule 9).
    pub async fn durable(&self, position: Position) -> Result<(), Outage> {
        self.services.journal.wait(position).await.map_err(|_| Outage::Journal)
    }

    /// Makes an order or finds the one that the key made before. `true`: it was made now.
    pub async fn place(&self, wish: Wish) -> Answer<(Arc<Order>, bool)> {
        let services = &self.services;
        let desk = services.desk_of(wish.traveller);
        let wish = Arc::new(wish);
        loop {
            let (asker, asked) = asking(&services.journal);
            let place = Place { wish: Arc::clone(&wish), asker, sent: Instant::now() };
            let _ask = services.desks.tell(&desk, place).await?.ok_or(Outage::Rebuilding)?;
            let Reply { outcome, position } = asked.answer().await?;
            match outcome {
                Err(rejection) => return Ok(Reply::rejected(rejection, position)),
                Ok(Placed::Made { order, is_first }) => return Ok(Reply::ok((order, is_first), position)),
                Ok(Placed::Known(id)) => {
                    // It may still be on its way, if its desk was rebuilt meanwhile.
                    if let Some(pending) = services.orders.ask(&id, Placement).await? {
                        return Ok(wait(pending).await?.map(|order| (order, false)));
                    }
                    let (traveller, idempotency_key) = (wish.traveller, wish.idempotency_key.clone());
                    services.desks.ask(&desk, Forget { traveller, idempotency_key, order: id }).await?;
                }
            }
        }
    }

    pub async fn order(&self, id: OrderId) -> Answer<Arc<Order>> {
        let answer = self.services.orders.ask(&id, View).await?;
        answer.unwrap_or_else(|| Ok(self.not_found()))
    }

    /// The newest of a traveller's recent orders that are in memory: what there is to show while Postgres is away
    /// (rule 13).
    pub async fn orders_in_memory(&self, traveller: TravellerId, limit: usize) -> Answer<Vec<Arc<Order>>> {
        let services = &self.services;
        let desk = services.desk_of(traveller);
        let recent = services.desks.ask(&desk, Recent(traveller)).await?.ok_or(Outage::Rebuilding)?;
        let (mut orders, mut position) = (Vec::new(), Position::NOTHING);
        for id in recent.into_iter().filter(|id| services.orders.is_in_memory(id)).take(limit) {
            // One that falls asleep meanwhile would have to be read from Postgres: it is left out.
            let Ok(Some(Ok(reply))) = services.orders.ask(&id, View).await else { continue };
            position = position.max(reply.position);
            orders.extend(reply.outcome.ok());
        }
        Ok(Reply::ok(orders, position))
    }

    /// The order with a payment that can be paid. `openid` is the traveller's.
    pub async fn open_payment(&self, id: OrderId, openid: Box<str>) -> Answer<Arc<Order>> {
        match self.services.orders.ask(&id, OpenPayment { openid }).await? {
            Some(pending) => wait(pending).await,
            None => Ok(self.not_found()),
        }
    }

    pub async fn cancel(&self, id: OrderId) -> Answer<Arc<Order>> {
        match self.services.orders.ask(&id, Cancel).await? {
            Some(pending) => wait(pending).await,
            None => Ok(self.not_found()),
        }
    }

    /// Tells an order what WeChat says. Answers when it has been acted on.
    pub async fn learn(&self, fact: PaymentFact) -> Answer<()> {
        match self.services.orders.ask(&fact.number.order.clone(), Learn(fact)).await? {
            Some(pending) => wait(pending).await,
            None => Ok(self.not_found()),
        }
    }

    /// Tells an order what WeChat says about one of its refunds.
    pub async fn learn_refund(&self, fact: RefundFact) -> Answer<()> {
        let answer = self.services.orders.ask(&fact.number.order.clone(), LearnRefund(fact)).await?;
        answer.unwrap_or_else(|| Ok(self.not_found()))
    }

    /// Tries a refund that is stuck again, now.
    pub async fn retry_refund(&self, number: OutRefundNo) -> Answer<()> {
        let answer = self.services.orders.ask(&number.order, RetryRefund(number)).await?;
        answer.unwrap_or_else(|| Ok(self.not_found()))
    }

    pub async fn quarantine(&self, notice: Notice) -> Answer<()> {
        self.services.payments.ask(&payment::KEY, Quarantine(notice)).await?.unwrap_or(Err(Outage::Rebuilding))
    }

    /// Somebody has seen to a notice in quarantine. Who did so first is kept. `None`: there is no such notice.
    pub async fn resolve_notice(&self, resolution: Resolution) -> Answer<Option<Notice>> {
        let answer = self.ask_payments(Resolve { resolution: resolution.clone(), stored: None }).await?;
        if !matches!(answer.outcome, Ok(None)) {
            return Ok(answer);
        }
        // Not in memory: of older ones Postgres has what there is to know, and only the owner changes it.
        let (services, id) = (Arc::clone(&self.services), resolution.notice.clone());
        let reading = self
            .services
            .io
            .spawn(async move { services.store.load(payment::LOAD_ONE, vec![id.into()], Haste::Wake).await });
        let rows = reading.await.map_err(|_| Outage::Storage)?.map_err(|error| {
            tracing::warn!(%error, "The quarantine cannot be read: {error}");
            Outage::Storage
        })?;
        match payment::notices(&rows).map_err(damaged)?.pop() {
            Some(stored) => self.ask_payments(Resolve { resolution, stored: Some(stored) }).await,
            None => Ok(answer),
        }
    }

    async fn ask_payments(&self, message: Resolve) -> Answer<Option<Notice>> {
        self.services.payments.ask(&payment::KEY, message).await?.unwrap_or(Err(Outage::Rebuilding))
    }

    /// Redeems what a gate scanned of an order.
    pub async fn redeem(&self, id: OrderId, scan: Scan) -> Answer<(ScanOutcome, Arc<Order>)> {
        let (asker, asked) = asking(&self.services.journal);
        match self.services.orders.tell(&id, Redeem { scan, asker }).await? {
            Some(_ask) => asked.answer().await,
            None => Ok(self.not_found()),
        }
    }

    /// Writes down an attempt without a ticket.
    pub async fn log_attempt(&self, attempt: Attempt) -> Answer<()> {
        self.services.identities.ask(&identity::KEY, LogAttempt(attempt)).await?.unwrap_or(Err(Outage::Rebuilding))
    }

    pub async fn identify(&self, command: IdentityCommand) -> Answer<()> {
        self.services.identities.ask(&identity::KEY, Identify(command)).await?.unwrap_or(Err(Outage::Rebuilding))
    }

    /// Whether the command changed anything.
    pub async fn configure(&self, command: CatalogueCommand) -> Answer<bool> {
        self.services.configuration.ask(&catalogue::KEY, Configure(command)).await?.unwrap_or(Err(Outage::Rebuilding))
    }

    fn not_found<T>(&self) -> Reply<T> {
        Reply::rejected(Rejection::OrderNotFound, self.services.journal.durable())
    }

    /// Ends the arbiters. What was appended before is in the journal's hands.
    pub fn stop(&self) {
        self.arbiters.stop();
    }
}

fn put_desks(services: &Services, rows: &Rows) -> Result<(), Outage> {
    let mut desks: Vec<Vec<DeskEntry>> = (0..DESKS).map(|_| Vec::new()).collect();
    for row in rows.of::<DeskEntryRow<'_>>() {
        let entry = DeskEntry::from(row.map_err(damaged)?);
        if let Some(desk) = desks.get_mut(services.desk_of(entry.traveller)) {
            desk.push(entry);
        }
    }
    for (shard, entries) in desks.into_iter().enumerate() {
        services.desks.put(&shard, desk::Seed { entries, in_flight: Vec::new() });
    }
    Ok(())
}

async fn wait<T>(pending: Pending<T>) -> Answer<T> {
    // The owner ended before it could answer.
    pending.await.unwrap_or(Err(Outage::Rebuilding))
}
