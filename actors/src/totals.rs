//! Totals of what is announced, since the journal's beginning: a follower, and its owner.

use std::sync::Arc;

use async_trait::async_trait;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::totals::{Counts, Take, Totals, TotalsRow};

use crate::ask::fingerprint_of;
use crate::follow::{Batch, Failure, Follower};
use crate::journal::Position;
use crate::keeper::{Keeper, Keeping, Shown, Tell};
use crate::outage::Outage;
use crate::ports::{Haste, Load, Parameter, Store, StoreError};
use crate::registry::Keys;
use crate::services::Services;

/// The totals' owner.
#[derive(Debug)]
pub enum Counted {}

impl Keeping for Counted {
    type Machine = Totals;
    /// The position up to which everything is counted.
    type Answer = Position;

    const KEY: &'static str = "totals";
    const KIND: &'static str = "totals";
    /// A counter must not go back after a crash.
    const SHOWN: Shown = Shown::Durable;
    const LOAD: Load = Load::of_whole(&[TotalsRow::TABLE], &[]);

    fn parameters(_: Timestamp) -> Vec<Parameter> {
        Vec::new()
    }

    fn fingerprint(take: &Take) -> u64 {
        fingerprint_of(take)
    }

    fn read(rows: &Rows, _: Timestamp) -> Result<Totals, Damage> {
        Totals::from_rows(rows)
    }

    fn begin(services: &Services, totals: &Totals) {
        services.totals.store(Arc::new(totals.clone()));
    }

    fn answer(totals: &Totals, _: &Take, _: &[Take]) -> Result<Position, Rejection> {
        Ok(Position(totals.position()))
    }
}

/// What follows the journal and tells the owner what there is to count.
#[derive(Debug)]
pub struct Counting {
    owner: Arc<Keys<Keeper<Counted>>>,
    /// Where the owner stood when the engine started.
    begun_at: Position,
}

impl Counting {
    pub(crate) fn new(owner: Arc<Keys<Keeper<Counted>>>, services: &Services) -> Counting {
        Counting { owner, begun_at: Position(services.totals.load().position()) }
    }
}

#[async_trait]
impl Follower for Counting {
    fn name(&self) -> &'static str {
        Counted::KEY
    }

    fn position(&self) -> Position {
        self.begun_at
    }

    async fn take(&mut self, batch: Batch<'_>) -> Result<Position, Failure> {
        let take = Take { after: batch.after.0, up_to: batch.up_to.0, counts: counts(batch)? };
        let answer = self.owner.ask(&Counted::KEY, Tell(take)).await?.ok_or(Outage::Rebuilding)?;
        answer.outcome.map_err(|rejection| Failure::Fault(rejection.to_string()))
    }
}

/// Up to where it has followed as far as the database knows; without a row it is new.
pub(crate) async fn followed(store: &dyn Store) -> Result<Option<Position>, StoreError> {
    let rows = store.load(Counted::LOAD, Vec::new(), Haste::Start).await?;
    let totals = Totals::from_rows(&rows)?;
    Ok(rows.has(TotalsRow::TABLE).then(|| Position(totals.position())))
}

fn counts(batch: Batch<'_>) -> Result<Counts, Failure> {
    let mut counts = Counts::new();
    for record in batch.records {
        for announced in record.rows()? {
            *counts.entry(announced.kind).or_default() += 1;
        }
    }
    Ok(counts)
}
