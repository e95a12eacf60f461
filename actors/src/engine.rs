//! The engine: everything that owns, started from Postgres and the journal, and asked through one handle.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::{DashMap, DashSet};
use deeptravel_domain::catalogue::{self, Catalogue, SetAside};
use deeptravel_domain::identity::{AccountStanding, AccountWrite, Command as IdentityCommand, KeyWrite};
use deeptravel_domain::ids::{OrderId, OutRefundNo, PartnerCode, PartnerKeyId, TravellerId};
use deeptravel_domain::machine::Machine;
use deeptravel_domain::order::{Order, PaymentFact, RefundFact, Scan, ScanOutcome, Wish};
use deeptravel_domain::quarantine::{Command as Doubt, Notice};
use deeptravel_domain::register::{AuditRow, Author, Standing};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{ReservationId, ReservationWish};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::stock::{self, Allotment, Limits, StockId};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook;
use tokio::sync::watch;

use crate::ask::Question;
use crate::attention::Attention;
use crate::batch_board::BatchBoard;
use crate::board::Board;
use crate::catalogue::{LOAD_AUDITED, SALE_CURRENCY};
use crate::desk::{self, Forget, Placed, Recent, Reserved};
use crate::directory::Directory;
use crate::follow::Follower;
use crate::followers;
use crate::keeper::{Keeper, Keeping, Tell};
use crate::order::{
    Cancel, CancelUnit, Learn, LearnRefund, LookAt, OpenPayment, OrderActor, Placement, Redeem, Redeemed, RetryRefund,
    View, redeem_without_actor,
};
use crate::outage::{Answer, Outage, Reply};
use crate::payment::LOAD_ONE;
use crate::ports::{Haste, Load, Parameter, WebhookPost};
use crate::registry::{Arbiters, Keys};
use crate::services::Services;
use crate::stock_board::StockBoard;
use crate::webhooks::{self, Sender, Told};

pub use crate::owners::Owners;
pub use crate::parts::Parts;
pub use crate::registry::{Figures, StartError};

/// How long a restore waits until Postgres has followed what is durable: it is a fraction of a second behind.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(2);

type KeeperCommand<K> = <<K as Keeping>::Machine as Machine>::Command;

/// A running engine. Clones are the same one. Dropping the last one does not stop the arbiters: call [`Engine::stop`].
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) owners: Arc<Owners>,
    arbiters: Arbiters,
    /// Whoever writes configuration that may limit a stock.
    limiting: Arc<tokio::sync::Mutex<()>>,
}

impl Engine {
    /// Loads what rule 14 asks for. Everything durable must have been projected before.
    pub async fn start(parts: Parts) -> Result<Engine, StartError> {
        let arbiters = Arbiters::start(parts.arbiters, &parts.journal);
        let services = Services {
            parts: Arc::new(parts),
            catalogue: ArcSwap::from_pointee(Catalogue::new(SALE_CURRENCY)),
            board: Board::default(),
            stock_board: StockBoard::default(),
            batch_board: BatchBoard::default(),
            attention: Attention::default(),
            totals: ArcSwap::default(),
            webhooks: watch::Sender::default(),
            directory: Directory::default(),
            in_flight: DashMap::default(),
            reserving: DashMap::default(),
            overriding: tokio::sync::Mutex::default(),
            transactions: Mutex::default(),
            books: DashSet::default(),
            #[cfg(test)]
            faults: crate::testing::Faults::default(),
        };
        match Owners::start(&arbiters, services).await {
            Ok(owners) => Ok(Engine { owners: Arc::new(owners), arbiters, limiting: Arc::default() }),
            Err(error) => {
                arbiters.stop();
                Err(error)
            }
        }
    }

    pub fn services(&self) -> &Owners {
        &self.owners
    }

    pub fn now(&self) -> Timestamp {
        self.owners.clock.now()
    }

    /// Makes an order or finds the one that the key made before. What `make` makes of it is the answer; it is told whether
    /// the order was made now.
    pub async fn place<T>(&self, mut wish: Wish, make: impl Fn(&Arc<Order>, bool) -> T) -> Answer<T> {
        let owners = &self.owners;
        let desk = owners.desk_of(wish.traveller);
        loop {
            let made = |placed| match placed {
                Placed::Made { order, is_first } => Ok(make(&order, is_first)),
                Placed::Known { order, wish } => Err((order, wish)),
            };
            let Reply { outcome, position } = desk::place(owners.peers(), wish, made).await?;
            match outcome {
                Err(rejection) => return Ok(Reply::rejected(rejection, position)),
                Ok(Ok(made)) => return Ok(Reply::ok(made, position)),
                Ok(Err((id, known))) => {
                    // It may still be on its way, if its desk was rebuilt meanwhile.
                    if let Some(placed) = owners.orders.ask(&id, Placement).await? {
                        return Ok(placed.map(|order| make(&order, false)));
                    }
                    wish = *known;
                    let (traveller, idempotency_key) = (wish.traveller, wish.idempotency_key.clone());
                    owners.desks.ask(&desk, Forget { traveller, idempotency_key, order: id }).await?;
                }
            }
        }
    }

    /// Holds seats before there is an order, or finds the reservation that the key made before (R-HOLD-07).
    pub async fn reserve(&self, wish: ReservationWish) -> Answer<Reserved> {
        desk::reserve(self.owners.peers(), wish).await
    }

    /// Gives the seats of a reservation back.
    pub async fn release(&self, traveller: TravellerId, id: &ReservationId) -> Answer<()> {
        desk::release(self.owners.peers(), traveller, id).await
    }

    /// Asks an order. One that is not there is a refusal.
    pub(crate) async fn ask_order<Q: Question<OrderActor>>(&self, id: OrderId, question: Q) -> Answer<Q::Answer> {
        let nothing = || Reply::rejected(Rejection::OrderNotFound, self.owners.journal.durable());
        Ok(self.owners.orders.ask(&id, question).await?.unwrap_or_else(nothing))
    }

    /// Tells the owner of something of which there is one.
    async fn tell<K: Keeping>(&self, keys: &Keys<Keeper<K>>, command: KeeperCommand<K>) -> Answer<K::Answer> {
        keys.ask(&K::KEY, Tell(command)).await?.ok_or(Outage::Rebuilding)
    }

    pub async fn order(&self, id: OrderId) -> Answer<Arc<Order>> {
        self.ask_order(id, View).await
    }

    /// The newest of a traveller's recent orders that are in memory: what there is to show while Postgres is away
    /// (rule 13).
    pub async fn orders_in_memory(&self, traveller: TravellerId, limit: usize) -> Answer<Vec<Arc<Order>>> {
        let owners = &self.owners;
        let desk = owners.desk_of(traveller);
        let recent = owners.desks.ask(&desk, Recent(traveller)).await?.ok_or(Outage::Rebuilding)?;
        let (mut orders, mut position) = (Vec::new(), recent.position);
        let recent = recent.outcome.unwrap_or_default().into_iter();
        for id in recent.filter(|id| owners.orders.is_in_memory(id)).take(limit) {
            // One that falls asleep meanwhile would have to be read from Postgres: it is left out.
            let Ok(Some(reply)) = owners.orders.ask(&id, View).await else { continue };
            position = position.max(reply.position);
            orders.extend(reply.outcome.ok());
        }
        Ok(Reply::ok(orders, position))
    }

    /// The order with a payment that can be paid. `openid` is the traveller's.
    pub async fn open_payment(&self, id: OrderId, openid: Box<str>) -> Answer<Arc<Order>> {
        self.ask_order(id, OpenPayment { openid }).await
    }

    pub async fn cancel(&self, id: OrderId) -> Answer<Arc<Order>> {
        self.ask_order(id, Cancel).await
    }

    /// Cancels an item of an order that this partner has sold: its tickets, of which none may have been used, are refunded.
    /// Answers with the order; no order, or another's, is no such ticket.
    pub async fn cancel_partner_ticket(&self, partner: PartnerCode, id: OrderId, item: u16) -> Answer<Arc<Order>> {
        let Reply { outcome, position } = self.ask_order(id, CancelUnit { partner, item }).await?;
        Ok(match outcome {
            Err(Rejection::OrderNotFound) => Reply::rejected(Rejection::TicketNotFound, position),
            Ok(_) | Err(_) => Reply { outcome, position },
        })
    }

    /// Tells an order what WeChat says. Answers when it has been acted on.
    pub async fn learn(&self, fact: PaymentFact) -> Answer<()> {
        self.ask_order(fact.number.order, Learn(fact)).await
    }

    /// Tells an order what WeChat says about one of its refunds.
    pub async fn learn_refund(&self, fact: RefundFact) -> Answer<()> {
        self.ask_order(fact.number.order, LearnRefund(fact)).await
    }

    /// Tries a refund that is stuck again, now.
    pub async fn retry_refund(&self, number: OutRefundNo) -> Answer<()> {
        self.ask_order(number.order, RetryRefund(number)).await
    }

    /// Redeems what a gate scanned of an order. What came of it, and the order as it then is, is `shown` before it is
    /// durable, so that nobody keeps the order while he waits; what that makes of it is the answer.
    pub async fn redeem<T, F>(&self, id: OrderId, scan: Scan, shown: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&ScanOutcome, &Order) -> T + Send + 'static,
    {
        let Reply { outcome, position } = redeem_without_actor(self.owners.peers(), id, scan, shown).await?;
        match outcome {
            Ok(Redeemed::Shown(shown)) => Ok(Reply::ok(shown, position)),
            Ok(Redeemed::HasActor(scan, shown)) => {
                let reply = self.ask_order(id, Redeem(*scan)).await?;
                Ok(reply.map(|(outcome, order)| shown(&outcome, &order)))
            }
            Err(rejection) => Ok(Reply::rejected(rejection, position)),
        }
    }

    /// What could be redeemed of an order now, as an operator sees it. It is logged, and nothing changes (R-SCAN-01).
    pub async fn look(&self, id: OrderId, scan: Scan) -> Answer<(ScanOutcome, Arc<Order>)> {
        self.ask_order(id, LookAt(scan)).await
    }

    pub async fn quarantine(&self, notice: Notice) -> Answer<()> {
        Ok(self.tell(&self.owners.payments, Doubt::Keep(notice)).await?.map(drop))
    }

    /// Somebody has seen to a notice in quarantine. Who did so first is kept.
    pub async fn resolve_notice(&self, notice: String, by: String, note: String) -> Answer<Arc<Notice>> {
        let known = |notice: Option<Arc<Notice>>| notice.ok_or(Rejection::NoticeNotFound);
        let resolve = |stored| Doubt::Resolve { notice: notice.clone(), by: by.clone(), note: note.clone(), stored };
        let answer = self.tell(&self.owners.payments, resolve(None)).await?.and_then(known);
        if !matches!(answer.outcome, Err(Rejection::NoticeNotFound)) {
            return Ok(answer);
        }
        // Not in memory: of older ones Postgres has what there is to know, and only the owner changes it.
        let rows = self.stored(LOAD_ONE, vec![notice.clone().into()]).await?;
        match rows.of().last().transpose()? {
            Some(stored) => Ok(self.tell(&self.owners.payments, resolve(Some(stored))).await?.and_then(known)),
            None => Ok(answer),
        }
    }

    /// Sessions.
    pub async fn identify(&self, command: IdentityCommand) -> Answer<()> {
        Ok(self.tell(&self.owners.identities, command).await?.map(drop))
    }

    /// A write to an account, in force from the answer on.
    pub async fn write_account(&self, write: AccountWrite) -> Answer<AccountStanding> {
        self.tell(&self.owners.identities, IdentityCommand::WriteAccount(write)).await
    }

    /// Makes or revokes a key of a partner, in force from the answer on.
    pub async fn write_key(&self, write: KeyWrite) -> Answer<()> {
        self.identify(IdentityCommand::WriteKey(write)).await
    }

    /// Writes down when a key was used. Nobody waits for it: if it cannot be written now, a later call's will be.
    pub fn note_key_use(&self, id: PartnerKeyId, at: Timestamp) {
        let engine = self.clone();
        self.owners.io.spawn(async move { drop(engine.identify(IdentityCommand::NoteKeyUse { id, at }).await) });
    }

    /// A write to the catalogue. What was answered is what everybody sees from then on. If it limits a stock, that is asked first:
    /// what it refuses changes nothing but the audit. If it breaks off between the two records, the stock keeps to limits that
    /// the configuration does not show; the same write, told again, finds the stock as it wants it, and goes on.
    pub async fn configure(&self, command: catalogue::Command) -> Answer<Standing> {
        if !command.change.asks_stocks() {
            return self.tell(&self.owners.catalogue_owner, command).await;
        }
        // To its end: whoever asked may go between the two records.
        let engine = self.clone();
        let written = self.owners.io.spawn(async move { engine.configure_limited(command).await });
        written.await.unwrap_or(Err(Outage::Rebuilding))
    }

    async fn configure_limited(&self, mut command: catalogue::Command) -> Answer<Standing> {
        // One after the other, so that stock and configuration do not end with different writes.
        let _turn = self.limiting.lock().await;
        let catalogue = self.owners.catalogue.load_full();
        let limits = catalogue.limits_of(&command, self.now());
        if let Some((stock, limits)) = limits
            && (limits != Limits::default() || self.owners.stock_board.get(&stock).is_some())
        {
            let asked = self.set_stock_limits(&stock, limits).await?.outcome;
            command.refused = asked.err().map(|refused| as_configured(&stock, refused));
        }
        if let Err(refused) = self.set_aside(catalogue.set_aside_by(&command, self.now())).await? {
            command.refused = Some(refused);
        }
        self.tell(&self.owners.catalogue_owner, command).await
    }

    /// Has all stocks set something aside, or none. If one refuses, those before it go back to what is configured. Those that
    /// are to have more are asked first: their way back takes from nobody. A way back may be refused nevertheless, where what
    /// it needs was sold meanwhile: such a stock keeps to something else than the configuration shows until the next write.
    async fn set_aside(&self, mut wanted: Vec<SetAside>) -> Result<Result<(), Rejection>, Outage> {
        wanted.sort_by_key(|one| one.after < one.before);
        for (place, one) in wanted.iter().enumerate() {
            let Err(refused) = self.set_stock_allotments(&one.stock, one.of(one.after)).await?.outcome else {
                continue;
            };
            for earlier in wanted.iter().take(place) {
                let back = self.set_stock_allotments(&earlier.stock, earlier.of(earlier.before)).await?.outcome;
                if let Err(refused) = back {
                    let SetAside { stock, channel, before, after, .. } = earlier;
                    tracing::error!(
                        %stock, %channel, before, after, %refused,
                        "Stock {stock} keeps {after} units set aside for {channel}, and {before} are configured"
                    );
                }
            }
            return Ok(Err(one.refusal(refused)));
        }
        Ok(Ok(()))
    }

    /// What the stock of a package's template or of a promotion may sell. Refused with `BelowUse`, and then nothing changes.
    pub async fn set_stock_limits(&self, id: &StockId, limits: Limits) -> Answer<()> {
        self.change_stock(id, stock::Command::SetLimits(limits)).await
    }

    /// What is set aside for the partners named. Refused with `BelowUse`, and then nothing changes.
    pub async fn set_stock_allotments(&self, id: &StockId, allotments: Vec<Allotment>) -> Answer<()> {
        self.change_stock(id, stock::Command::SetAllotments(allotments)).await
    }

    async fn change_stock(&self, id: &StockId, command: stock::Command) -> Answer<()> {
        let reply = self.owners.stocks.consult(id, command).await?;
        self.owners.journal.wait(reply.position).await.map_err(|_| Outage::Journal)?;
        Ok(reply)
    }

    /// A write to what a partner is told, in force from the answer on.
    pub async fn write_webhook(&self, write: webhook::Write) -> Answer<Told> {
        self.tell(&self.owners.webhooks_owner, webhook::Command::Write(write)).await
    }

    /// Tells partners what is due, for as long as the engine runs. To be spawned on the runtime that waits for the network.
    pub fn send_webhooks(&self, post: Arc<dyn WebhookPost>) -> impl Future<Output = ()> + Send + use<> {
        let (services, owner) = (Arc::clone(&self.owners.services), Arc::clone(&self.owners.webhooks_owner));
        webhooks::send(Sender { services, owner, post })
    }

    /// Everybody who follows the journal, each from where his owner stood when the engine started.
    pub fn followers(&self) -> Vec<Box<dyn Follower>> {
        followers::all(&self.owners)
    }

    /// Brings back what an entity held in a revision, or before the one that stands. Postgres has it, the owner decides.
    pub async fn restore(&self, key: catalogue::Key, revision: Option<u32>, by: Author) -> Answer<Standing> {
        let mut projected = self.owners.projected.clone();
        let durable = self.owners.journal.durable();
        let follows = async move { projected.wait_for(|position| *position >= durable).await.map(drop) };
        let following = self.owners.io.spawn(tokio::time::timeout(FOLLOWS_WITHIN, follows));
        let follows = following.await.is_ok_and(|in_time| in_time.is_ok_and(|followed| followed.is_ok()));
        if !follows {
            return Err(Outage::Storage);
        }
        let (entity, id) = key.names();
        let wanted = Parameter::Number(revision.unwrap_or(0).into());
        let rows = self.stored(LOAD_AUDITED, vec![entity.to_owned().into(), id.into(), wanted]).await?;
        let audited: Option<AuditRow<'_>> = rows.of().next().transpose()?;
        let content = audited.as_ref().and_then(|row| if revision.is_some() { row.after } else { row.before });
        let change = catalogue::Change::restore(key, revision, content).map_err(|error| match &audited {
            Some(row) => Outage::from(row.damage(format!("its content cannot be read: {error}"))),
            None => Outage::Rebuilding,
        })?;
        self.configure(catalogue::Command::new(change, by)).await
    }

    /// What Postgres has.
    async fn stored(&self, load: Load, parameters: Vec<Parameter>) -> Result<Rows, Outage> {
        let owners = Arc::clone(&self.owners);
        let reading = self.owners.io.spawn(async move { owners.store.load(load, parameters, Haste::Wake).await });
        reading.await.map_err(|_| Outage::Storage)?.map_err(|error| {
            tracing::warn!(%error, "Postgres cannot be read: {error}");
            Outage::Storage
        })
    }

    /// Ends the arbiters. What was appended before is in the journal's hands.
    pub fn stop(&self) {
        self.arbiters.stop();
    }
}

/// A field of a stock's limits as the configuration calls it.
fn as_configured(stock: &StockId, refused: Rejection) -> Rejection {
    match (stock, refused) {
        (StockId::Package(_), Rejection::Field { field, message }) if field == "limitTotal" => {
            Rejection::field("stock.total", message)
        }
        (StockId::Package(_), Rejection::Field { field, message }) if field == "limitPerDate" => {
            Rejection::field("stock.perDate", message)
        }
        (StockId::Package(_) | StockId::Promotion(_), other) => other,
    }
}
