//! Whoever holds the units that partners have sold hears what becomes of their orders: batches of their tickets, partners'
//! books of units that are given back. A follower tells them; here is the owner of its position, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deeptravel_domain::batch::followed::{BatchFollowerRow, Followed, Heard, News};
use deeptravel_domain::batch::{BatchId, Became};
use deeptravel_domain::ids::{OrderId, PartnerCode};
use deeptravel_domain::partner::GiveBack;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};

use super::questions::Follow;
use super::{BatchActor, BatchPeers};
use crate::ask::fingerprint_of;
use crate::follow::{Announcing, Batch, Failure, Follower};
use crate::journal::Position;
use crate::keeper::{Keeper, Keeping, Shown, Tell};
use crate::order::View;
use crate::outage::{Outage, Reply};
use crate::partner::GiveBackUnits;
use crate::ports::{Haste, Load, Parameter, Store, StoreError};
use crate::registry::Keys;
use crate::services::Services;

/// Owners that are told something at a time: each answers when its record is durable, and those of one moment share a
/// write.
const TOLD_AT_ONCE: usize = 256;

/// Up to where all have been told.
#[derive(Debug)]
pub enum Told {}

impl Keeping for Told {
    type Machine = Followed;
    /// The position up to which they have.
    type Answer = Position;

    const KEY: &'static str = "batches";
    const KIND: &'static str = "batches";
    const SHOWN: Shown = Shown::Durable;
    const LOAD: Load = Load::of_whole(&[BatchFollowerRow::TABLE], &[]);

    fn parameters(_: Timestamp) -> Vec<Parameter> {
        Vec::new()
    }

    fn fingerprint(heard: &Heard) -> u64 {
        fingerprint_of(heard)
    }

    fn read(rows: &Rows, _: Timestamp) -> Result<Followed, Damage> {
        Followed::from_rows(rows)
    }

    fn begin(services: &Services, followed: &Followed) {
        services.batch_board.has_followed(Position(followed.position()));
    }

    fn answer(followed: &Followed, _: &Heard, _: &[Heard]) -> Result<Position, Rejection> {
        Ok(Position(followed.position()))
    }
}

/// What follows the journal and tells them.
#[derive(Debug)]
pub struct Telling {
    owner: Arc<Keys<Keeper<Told>>>,
    batches: Arc<Keys<BatchActor>>,
    peers: Arc<BatchPeers>,
    /// Where the owner stood when the engine started.
    begun_at: Position,
}

impl Telling {
    pub(crate) fn new(
        owner: Arc<Keys<Keeper<Told>>>,
        batches: Arc<Keys<BatchActor>>,
        peers: &Arc<BatchPeers>,
    ) -> Telling {
        Telling { owner, batches, peers: Arc::clone(peers), begun_at: peers.batch_board.followed() }
    }

    /// The order says how many units it keeps, so that telling its partner's book twice gives nothing back twice.
    async fn give_back(&self, partner: PartnerCode, id: OrderId) -> Result<(), Failure> {
        let Some(Reply { outcome: Ok(order), .. }) = self.peers.orders.ask(&id, View).await? else {
            return Err(Failure::Fault(format!("order {id} is not there")));
        };
        let back = GiveBackUnits(GiveBack { by: id, units_left: order.units_kept() });
        match self.peers.partners.ask(&partner, back).await?.map(|reply| reply.outcome) {
            // The book has forgotten the reservation, all of whose units are back.
            Some(Ok(()) | Err(Rejection::ReservationNotFound)) => Ok(()),
            Some(Err(rejection)) => Err(Failure::Fault(rejection.to_string())),
            None => Err(Outage::Rebuilding.into()),
        }
    }

    /// A batch that is not there has nothing to hear: it was never generated here.
    async fn tell_batch(&self, batch: BatchId, became: BTreeMap<u16, Became>) -> Result<(), Failure> {
        match self.batches.ask(&batch, Follow(became)).await?.map(|reply| reply.outcome) {
            Some(Ok(())) | None => Ok(()),
            Some(Err(rejection)) => Err(Failure::Fault(rejection.to_string())),
        }
    }
}

#[async_trait]
impl Follower for Telling {
    fn name(&self) -> &'static str {
        Told::KEY
    }

    fn position(&self) -> Position {
        self.begun_at
    }

    /// What cannot be read has to be taken, so that it fails there.
    fn follows_from(&self, records: &[Announcing]) -> bool {
        records.iter().any(|record| news_of(std::slice::from_ref(record)).map_or(true, |news| !news.is_empty()))
    }

    /// Beside each other: a ticket has one end, so there is no order in which they could be heard wrongly.
    async fn take(&mut self, batch: Batch<'_>) -> Result<Position, Failure> {
        let News { tickets, refunded } = news_of(batch.records)?;
        let told = stream::iter(tickets).map(|(batch, became)| self.tell_batch(batch, became));
        let told = told.buffer_unordered(TOLD_AT_ONCE).try_collect::<()>();
        let given_back = stream::iter(refunded).map(|(partner, order)| self.give_back(partner, order));
        let given_back = given_back.buffer_unordered(TOLD_AT_ONCE).try_collect::<()>();
        future::try_join(told, given_back).await?;
        let heard = Heard { after: batch.after.0, up_to: batch.up_to.0 };
        let answer = self.owner.ask(&Told::KEY, Tell(heard)).await?.ok_or(Outage::Rebuilding)?;
        answer.outcome.map_err(|rejection| Failure::Fault(rejection.to_string()))
    }
}

fn news_of(records: &[Announcing]) -> Result<News, Failure> {
    let mut news = News::default();
    for record in records {
        record.rows()?.iter().for_each(|announced| news.add(announced));
    }
    Ok(news)
}

/// Up to where batches have been told as far as the database knows; `None`: nobody has begun.
pub async fn followed(store: &dyn Store) -> Result<Option<Position>, StoreError> {
    let rows = store.load(Told::LOAD, Vec::new(), Haste::Start).await?;
    let followed = Followed::from_rows(&rows)?;
    Ok(rows.has(BatchFollowerRow::TABLE).then(|| Position(followed.position())))
}
